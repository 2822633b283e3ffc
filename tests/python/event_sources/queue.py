"""An SQS queue, standard or FIFO, and the event source mapping that polls it.

A message that was received stays in the queue and is hidden until its visibility timeout ends or it is deleted. The rules
are those of tests/src/simulation/delivery/queue.rs, which names the page of AWS for each.
"""

import dataclasses
import hashlib
import uuid

from event_sources.stream import Batch

# How often, per thousand, a message of a standard queue is not hidden when it is received, and is delivered once more after
# it was deleted. AWS says that both happen, but not how often.
TWICE_AT_ONCE, SURVIVES_DELETION = 5, 5
# A deleted message comes again within this time. Our choice, and short, because time is real here.
LATEST_COPY = 5.0
# How many others a message of a standard queue may overtake: usually, and sometimes.
OVERTAKES = (3, 30)


@dataclasses.dataclass
class QueueRules:
    """The settings of the queue and of its event source mapping.

    `second` is the length of a second of its timeouts: functions hide what failed for 15 seconds to 12 minutes, which a
    test does not wait for. So a message may come again while a slow invocation still has it, which six time-outs of a function
    avoid on AWS.
    """

    arn: str
    fifo: bool = False
    batch_size: int = 10
    visibility: float = 360
    max_receives: int = 250
    max_in_flight: int = 5
    second: float = 1.0


@dataclasses.dataclass
class Message:
    id: str
    number: int
    group: str
    body: str
    tag: object
    sent: float
    visible: float
    receives: int = 0
    first_received: float = 0.0
    is_copy: bool = False

    def handle(self):
        """The handle of the last delivery."""
        return "AQEB" + hashlib.md5(f"{self.id} {self.receives}".encode()).hexdigest()


class Queue:
    """A queue as its event source mapping polls it. Its name is part of every draw."""

    def __init__(self, rules, name, dice):
        self.rules, self.name, self.dice = rules, name, dice
        self.messages, self.in_flight, self.given_up = {}, {}, []
        self.sent = self.tickets = 0

    def send(self, now, group, body, tag=None):
        """Sends a message. In a FIFO queue it belongs to a group."""
        self.sent += 1
        name = f"{self.name} #{self.sent}"
        message_id = str(uuid.UUID(bytes=hashlib.md5(f"{self.dice.seed} {name}".encode()).digest(), version=4))
        self.messages[self.sent] = Message(message_id, self.sent, group if self.rules.fifo else "", body, tag, now, now)

    def take(self, now):
        """The next batch that may be delivered now, or None. What was received too often is given up."""
        if len(self.in_flight) >= self.rules.max_in_flight:
            return None
        blocked = self.blocked(now)
        free = [message for message in self.messages.values() if message.visible <= now and message.group not in blocked]
        for message in [message for message in free if message.receives >= self.rules.max_receives]:
            self.given_up.append(self.messages.pop(message.number))
            free.remove(message)
        free = self.ordered(free)[: self.rules.batch_size]
        if not free:
            return None
        draw = f"{free[0].id} receive {free[0].receives + 1}"
        # A batch is the result of one poll; how many messages a poll returns is drawn.
        count = len(free) if self.dice.happens(f"all there is {draw}", 500) else 1 + self.dice.between(f"batch {draw}", 0, len(free))
        return self.invoke(free[:count], now)

    def answered(self, now, ticket, failures):
        """Deletes what succeeded; what did not is visible again when its timeout ends. None fails the whole batch."""
        receipts = self.in_flight.pop(ticket)
        ids = {message.id for message, _, _ in receipts}
        if failures is None or not ids.issuperset(failures):
            return
        for message, receive, hidden_until in receipts:
            if message.id not in failures and message.number in self.messages:
                self.delete(message, receive, hidden_until, now)

    def next_time(self, now):
        """When there may be a new batch if no answer arrives, or None."""
        if len(self.in_flight) >= self.rules.max_in_flight or not self.messages:
            return None
        if not self.rules.fifo:
            return max(min(message.visible for message in self.messages.values()), now)
        groups = {}
        for message in self.messages.values():
            groups[message.group] = max(groups.get(message.group, now), message.visible)
        return min(groups.values())

    def is_drained(self):
        return not self.messages and not self.in_flight

    def change_visibility(self, now, handle, seconds):
        """Hides a message for so long from now on, if it is hidden and this is the handle of its last delivery."""
        found = next((message for message in self.messages.values() if message.receives and message.handle() == handle), None)
        if found and found.visible > now:
            found.visible = now + seconds * self.rules.second
        return found is not None

    def blocked(self, now):
        """The groups of a FIFO queue of which a message is hidden: no other of the group can be received."""
        return {message.group for message in self.messages.values() if message.visible > now} if self.rules.fifo else set()

    def ordered(self, messages):
        if not self.rules.fifo:
            # The first ones are enough: no message overtakes more than a few.
            near = messages[: self.rules.batch_size + OVERTAKES[1] + 1]
            return sorted(near, key=lambda message: self.rank(message, near[0].number))
        # As many as possible of one group first, each group in the order of sending, groups in no order.
        first = {}
        for message in messages:
            first.setdefault(message.group, message)
        ranks = {group: self.rank(message, 0) for group, message in first.items()}
        return sorted(messages, key=lambda message: (ranks[message.group], message.group, message.number))

    def rank(self, message, start):
        """A place in the order, sometimes moved back by chance."""
        name = f"{message.id} receive {message.receives + 1}"
        most = OVERTAKES[1] if self.dice.happens(f"far back {name}", 50) else OVERTAKES[0]
        return message.number - start + self.dice.between(f"back {name}", 0, most + 1)

    def invoke(self, messages, now):
        receipts, events = [], []
        for message in messages:
            draw = f"twice at once {message.id} {message.receives + 1}"
            is_hidden = self.rules.fifo or not self.dice.happens(draw, TWICE_AT_ONCE)
            message.first_received = message.first_received or now
            message.receives += 1
            message.visible = now + (self.rules.visibility * self.rules.second if is_hidden else 0.0)
            receipts.append((message, message.receives, message.visible))
            events.append(self.event(message))
        self.tickets += 1
        self.in_flight[self.tickets] = receipts
        what = f"{self.name} " + " ".join(f"m-{message.number}.{message.receives}" for message in messages)
        return Batch(self.tickets, what, messages, {"Records": events})

    def delete(self, message, receive, hidden_until, now):
        """The latest handle deletes; an earlier one of a standard queue perhaps; one of a FIFO queue until its timeout ends."""
        name, is_latest = f"{message.id} receive {receive}", receive == message.receives
        if self.rules.fifo:
            deletes = is_latest and now < hidden_until
        else:
            deletes = is_latest or self.dice.happens(f"earlier handle deletes {name}", 500)
        if not deletes:
            return
        if not self.rules.fifo and not message.is_copy and self.dice.happens(f"survives deletion {name}", SURVIVES_DELETION):
            message.is_copy = True
            message.visible = now + LATEST_COPY * self.dice.part(f"survives deletion for {name}")
        else:
            del self.messages[message.number]

    def event(self, message):
        """The message as Lambda passes it."""
        attributes = {
            "ApproximateReceiveCount": str(message.receives), "SentTimestamp": str(int(message.sent * 1000)),
            "ApproximateFirstReceiveTimestamp": str(int(message.first_received * 1000)),
        }
        if self.rules.fifo:
            attributes |= {"MessageGroupId": message.group, "SequenceNumber": f"188{message.number:017}"}
        return {
            "messageId": message.id, "receiptHandle": message.handle(), "body": message.body, "attributes": attributes,
            "messageAttributes": {}, "eventSource": "aws:sqs", "eventSourceARN": self.rules.arn, "awsRegion": self.rules.arn.split(":")[3],
        }
