"""A Kinesis data stream or a DynamoDB stream, and the event source mapping that reads it.

A shard is read in order and divided into lanes; each lane has one invocation at a time. The rules are those of
tests/src/simulation/delivery/stream.rs, which names the page of AWS for each. Times are seconds of the caller's clock, and
nothing here waits: the caller takes a batch, says how it was answered, and asks when to look again.
"""

import base64
import collections
import dataclasses
import hashlib
import json

# The longest time until a reader sees a record that was put; the number is our choice.
PROPAGATION = 0.3
# How often a shard is polled.
POLL = {"kinesis": 1.0, "dynamodb": 0.25}
# Before a failed batch comes again: the first pause, which doubles, and the longest. AWS publishes neither.
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 60.0
# How often, per thousand, an invocation is made twice at the same time, and a batch that succeeded comes once more.
TWICE_AT_ONCE, TWICE_LATE = 5, 10
# A batch that comes once more comes within this time. Our choice, and short, because time is real here.
LATEST_COPY = 5.0
LARGEST_STEP = 2_000


@dataclasses.dataclass
class Batch:
    """One invocation's event."""

    ticket: int
    what: str
    records: list
    event: dict


@dataclasses.dataclass
class StreamRules:
    """The settings of the stream and of its event source mapping."""

    arn: str
    kind: str = "kinesis"
    shards: int = 1
    batch_size: int = 100
    factor: int = 1
    bisect: bool = True
    max_age: float = 21_600


@dataclasses.dataclass
class Record:
    """A record in its shard; `tag` is the caller's name for it."""

    name: str
    key: str
    shard: int
    place: int
    sequence: int
    arrived: float
    visible: float
    data: object
    tag: object


@dataclasses.dataclass
class Piece:
    """A batch, or what remains of one; `failures` counts since its checkpoint last moved."""

    records: list
    failures: int = 0
    not_before: float = 0.0
    note: str = ""

    def name(self):
        return f"{self.records[0].name} to {self.records[-1].name} #{self.failures}"

    def retried(self, records, failures, now, note):
        return Piece(records, failures, now + min(FIRST_BACKOFF * 2 ** min(failures - 1, 32), LONGEST_BACKOFF), note)

    def rest(self, place, now):
        """Everything from the checkpoint on; the pause grows while the checkpoint stays the same."""
        return self.retried(self.records[place:], self.failures + 1 if place == 0 else 1, now, "from the checkpoint")

    def halves(self, now):
        middle, failures = len(self.records) // 2, self.failures + 1
        return [self.retried(self.records[:middle], failures, now, "first half"), Piece(self.records[middle:], failures, now, "second half")]


class Lane:
    """A part of a shard that has one invocation at a time; what is to come again comes before what waits."""

    def __init__(self):
        self.waiting, self.again, self.is_busy = collections.deque(), collections.deque(), False


class Shard:
    def __init__(self, hashes, start, factor, parent=None):
        self.hashes, self.last, self.parent = hashes, start, parent
        self.is_closed, self.places, self.seen = False, 0, 0.0
        self.lanes = [Lane() for _ in range(factor)]

    def is_drained(self):
        return not any(lane.is_busy or lane.waiting or lane.again for lane in self.lanes)


def hash_of(text):
    return int.from_bytes(hashlib.md5(text.encode()).digest(), "big")


class Stream:
    """A stream as its event source mapping reads it. Its name is part of every draw."""

    def __init__(self, rules, name, dice):
        self.rules, self.name, self.dice = rules, name, dice
        width = 2**128 // rules.shards
        self.shards = [
            Shard(range(width * number, 2**128 if number + 1 == rules.shards else width * (number + 1)), self.first_sequence(number), rules.factor)
            for number in range(rules.shards)
        ]
        self.put_count = collections.Counter()
        self.in_flight, self.copies, self.given_up = {}, [], []
        self.tickets = 0

    def first_sequence(self, shard):
        """Some shards soon reach a number with one more digit, so that comparing as text gives another order."""
        before = 1 + self.dice.draw(f"records before more digits {self.name} shard {shard}") % (10 * LARGEST_STEP)
        grows = self.dice.happens(f"sequence gets longer {self.name} shard {shard}", 800)
        low = self.dice.draw(f"sequence {self.name} shard {shard}")
        if self.rules.kind == "kinesis":
            return 10**55 - before if grows else 49 * 10**54 + low
        return 10**21 - before if grows else 2 * 10**23 + low

    def put(self, now, key, data, tag=None):
        """Puts a record, which becomes visible at a poll a moment later."""
        self.put_count[key] += 1
        name, hashed = f"{self.name} {key}#{self.put_count[key]}", hash_of(key)
        number, shard = next((n, shard) for n, shard in enumerate(self.shards) if not shard.is_closed and hashed in shard.hashes)
        shard.last += self.dice.between(f"step to {name}", 1, LARGEST_STEP + 1)
        shard.places += 1
        poll = POLL[self.rules.kind]
        visible = now + PROPAGATION * self.dice.part(f"propagation {name}")
        shard.seen = max(shard.seen, -(-visible // poll) * poll)
        lane = shard.lanes[hash_of(f"lane of {key}") % len(shard.lanes)]
        lane.waiting.append(Record(name, key, number, shard.places, shard.last, now, shard.seen, data, tag))

    def reshard(self, now):
        """Splits an open shard; its children are read after it."""
        open_shards = [number for number, shard in enumerate(self.shards) if not shard.is_closed]
        parent = self.dice.one_of(f"reshard {self.name} of {len(self.shards)} shards", open_shards)
        shard = self.shards[parent]
        shard.is_closed = True
        middle = (shard.hashes.start + shard.hashes.stop) // 2
        for hashes in (range(shard.hashes.start, middle), range(middle, shard.hashes.stop)):
            child = Shard(hashes, shard.last + LARGEST_STEP, self.rules.factor, parent)
            child.seen = max(shard.seen, now)
            self.shards.append(child)

    def take(self, now):
        """The next batch that may be delivered now, or None."""
        for copy in [copy for copy in self.copies if copy.not_before <= now][:1]:
            self.copies.remove(copy)
            return self.invoke(None, copy, now)
        lanes = self.free_lanes()
        # The first lane changes each time, so that each gets its turn if there is room for some batches only.
        first = self.tickets % max(len(lanes), 1)
        for lane in lanes[first:] + lanes[:first]:
            if piece := self.next_piece(lane, now):
                return self.invoke(lane, piece, now)
        return None

    def answered(self, now, ticket, failures):
        """How a batch ended: the identifiers of `batchItemFailures`, or None if the invocation failed."""
        lane, piece, was_copied = self.in_flight.pop(ticket)
        if lane is None:
            return
        lane.is_busy = False
        places = {str(record.sequence): place for place, record in enumerate(piece.records)}
        if failures is not None and all(number in places for number in failures):
            if not failures:
                if not was_copied and self.dice.happens(f"duplicate {piece.name()}", TWICE_LATE):
                    self.copy(piece, now, f"duplicate after {piece.name()}", LATEST_COPY, "once more")
                return
            # The lowest number is the checkpoint, compared as integers.
            again = [piece.rest(places[min(failures, key=int)], now)]
        elif self.rules.bisect and len(piece.records) > 1:
            again = piece.halves(now)
        else:
            again = [piece.retried(piece.records, piece.failures + 1, now, "again")]
        lane.again.extendleft(reversed(again))

    def next_time(self, now):
        """When there may be a new batch if no answer arrives, or None."""
        times = [copy.not_before for copy in self.copies]
        for lane in self.free_lanes():
            if lane.again:
                times.append(lane.again[0].not_before)
            elif lane.waiting:
                times.append(lane.waiting[0].visible)
        return max(min(times), now) if times else None

    def is_drained(self):
        return not self.in_flight and not self.copies and all(shard.is_drained() for shard in self.shards)

    def free_lanes(self):
        readable = [shard for shard in self.shards if shard.parent is None or self.shards[shard.parent].is_drained()]
        return [lane for shard in readable for lane in shard.lanes if not lane.is_busy]

    def next_piece(self, lane, now):
        """Records to be delivered again, otherwise waiting ones. What is too old is given up."""
        oldest = now - self.rules.max_age
        while lane.again:
            if lane.again[0].not_before > now:
                return None
            piece = lane.again.popleft()
            self.given_up += [record for record in piece.records if record.arrived < oldest]
            piece.records = [record for record in piece.records if record.arrived >= oldest]
            if piece.records:
                return piece
        while lane.waiting and lane.waiting[0].arrived < oldest:
            self.given_up.append(lane.waiting.popleft())
        seen = 0
        while seen < min(len(lane.waiting), self.rules.batch_size) and lane.waiting[seen].visible <= now:
            seen += 1
        if not seen:
            return None
        # Lambda invokes as soon as there are records, so a batch has any number of them; it is drawn.
        first = lane.waiting[0].name
        count = seen if self.dice.happens(f"all there is from {first}", 500) else 1 + self.dice.between(f"batch from {first}", 0, seen)
        return Piece([lane.waiting.popleft() for _ in range(count)], not_before=now)

    def copy(self, piece, now, draw, latest, note):
        self.copies.append(Piece(list(piece.records), 0, now + latest * self.dice.part(draw), note))

    def invoke(self, lane, piece, now):
        was_copied = False
        if lane:
            lane.is_busy = True
            was_copied = self.dice.happens(f"twice at once {piece.name()}", TWICE_AT_ONCE)
            if was_copied:
                self.copy(piece, now, f"twice at once after {piece.name()}", 1.0, "once more, at once")
        self.tickets += 1
        self.in_flight[self.tickets] = (lane, piece, was_copied)
        what = f"{piece.name()} of {len(piece.records)} {piece.note}".strip()
        return Batch(self.tickets, what, piece.records, {"Records": [self.event(record) for record in piece.records]})

    def event(self, record):
        """The record as Lambda passes it."""
        region = self.rules.arn.split(":")[3]
        if self.rules.kind == "kinesis":
            return {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0", "partitionKey": record.key, "sequenceNumber": str(record.sequence),
                    "data": base64.b64encode(record.data).decode(), "approximateArrivalTimestamp": round(record.arrived, 3),
                },
                "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": f"shardId-{record.shard:012}:{record.sequence}",
                "eventName": "aws:kinesis:record", "awsRegion": region, "eventSourceARN": self.rules.arn,
            }
        return {
            "eventID": hashlib.md5(record.name.encode()).hexdigest(), "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": region,
            "dynamodb": {
                "ApproximateCreationDateTime": int(record.arrived), "SequenceNumber": str(record.sequence),
                "SizeBytes": len(json.dumps(record.data)), "StreamViewType": "NEW_IMAGE", "NewImage": record.data,
            },
            "eventSourceARN": self.rules.arn,
        }
