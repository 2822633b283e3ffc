"""Lambda: event source mappings that give batches to environments of functions, and what happens to environments."""

import collections
import concurrent.futures
import dataclasses
import itertools
import threading
import time

from event_sources.environment import Environment, Plan

# The most that the loop waits before it looks at everything again, in seconds.
LOOK = 0.1


@dataclasses.dataclass
class Troubles:
    """How often, per thousand invocations, something happens to one."""

    killed: int = 0
    answer_lost: int = 0
    killed_after_answer: int = 0
    little_time: int = 0
    refused: int = 0


class Pool:
    """The environments of one function: at most `most`, started when they are needed, and again when they are over."""

    def __init__(self, name, bootstrap, env, logs, most):
        self.name, self.bootstrap, self.env, self.logs, self.most = name, bootstrap, env, logs, most
        self.idle, self.busy, self.started = [], 0, 0
        # Seconds that environments which are over have computed.
        self.cpu = 0.0
        self.lock = threading.Lock()
        # How long the last ones took, so that a kill comes in the middle of one.
        self.took = collections.deque([0.5], maxlen=50)

    def has_room(self):
        return self.busy < self.most

    def take(self):
        """An idle environment, or a new one; the caller has made sure that there is room."""
        with self.lock:
            if self.idle:
                return self.idle.pop()
            self.started += 1
            log = self.logs / f"{self.name}-{self.started}.log"
        return Environment(self.bootstrap, self.env, log, self.name, freezes=True)

    def give_back(self, environment):
        with self.lock:
            if environment.is_alive:
                self.idle.append(environment)
            else:
                self.cpu += environment.cpu

    def end(self):
        for environment in self.idle:
            environment.end()
            self.cpu += environment.cpu


@dataclasses.dataclass
class Delivery:
    """One invocation, for whoever measures: when an environment got it, when it was answered, and how."""

    function: str
    # The names of its records.
    tags: list
    began: float = 0.0
    answered: float = 0.0
    how: str = "refused"


class Mapping:
    """An event source and the function that gets its batches. `watch` is told of each delivery."""

    def __init__(self, source, pool, watch=lambda delivery: None):
        self.source, self.pool, self.watch = source, pool, watch
        self.attempts = collections.Counter()


class Lambda:
    """Runs mappings until their sources are empty. `time_out` is that of the functions, in seconds."""

    def __init__(self, mappings, dice, troubles=Troubles(), time_out=60.0):
        self.mappings, self.dice, self.troubles, self.time_out = mappings, dice, troubles, time_out
        # Guards the sources: batches are answered by other threads.
        self.changed = threading.Condition()
        self.ended = collections.Counter()
        self.broken = None

    def run(self, feeds, until):
        """Calls each feed, a pair of a time and a function, when its time has come, and delivers until all sources are empty.

        Raises TimeoutError if that is not so by `until`.
        """
        pools = {id(mapping.pool): mapping.pool for mapping in self.mappings}.values()
        try:
            with concurrent.futures.ThreadPoolExecutor(sum(pool.most for pool in pools)) as workers:
                self.deliver_all(collections.deque(feeds), until, workers)
        finally:
            # Not before the workers are done: they give their environments back.
            for pool in pools:
                pool.end()

    def deliver_all(self, feeds, until, workers):
        with self.changed:
            for turn in itertools.count():
                now = time.time()
                while feeds and feeds[0][0] <= now:
                    feeds.popleft()[1](now)
                first = turn % len(self.mappings)
                for mapping in self.mappings[first:] + self.mappings[:first]:
                    self.deliver_ready(mapping, now, workers)
                if self.broken:
                    raise self.broken
                undrained = [mapping.source.name for mapping in self.mappings if not mapping.source.is_drained()]
                if not feeds and not undrained:
                    return
                if now > until:
                    raise TimeoutError(f"not over in time: {undrained}, {len(feeds)} not sent; invocations: {dict(self.ended)}")
                times = [mapping.source.next_time(now) for mapping in self.mappings if mapping.pool.has_room()]
                times += [feeds[0][0]] if feeds else []
                wake = min((at for at in times if at is not None), default=now + LOOK)
                self.changed.wait(min(max(wake - now, 0.002), LOOK))

    def deliver_ready(self, mapping, now, workers):
        while mapping.pool.has_room() and (batch := mapping.source.take(now)):
            mapping.pool.busy += 1
            mapping.attempts[batch.what] += 1
            plan = self.plan(f"{batch.what} attempt {mapping.attempts[batch.what]}", mapping.pool)
            workers.submit(self.deliver, mapping, batch, plan)

    def deliver(self, mapping, batch, plan):
        failures, delivery = None, Delivery(mapping.pool.name, [record.tag for record in batch.records])
        try:
            failures = self.invoke(mapping, batch, plan, delivery) if plan else None
        except Exception as error:  # of the driver itself; the loop raises it
            self.broken = error
        with self.changed:
            mapping.pool.busy -= 1
            mapping.source.answered(time.time(), batch.ticket, failures)
            self.ended[f"{mapping.pool.name} {delivery.how}"] += 1
            if failures is not None:
                mapping.pool.took.append(delivery.answered - delivery.began)
            mapping.watch(delivery)
            self.changed.notify()

    def invoke(self, mapping, batch, plan, delivery):
        """The identifiers that failed; None if the invocation did."""
        environment = mapping.pool.take()
        delivery.began = time.time()
        ended = environment.run(batch.event, plan)
        delivery.answered, delivery.how = time.time(), ended.how
        mapping.pool.give_back(environment)
        if ended.how == "not started":
            raise RuntimeError(f"{mapping.pool.name} does not start: see its log in {mapping.pool.logs}")
        if ended.how != "response":
            return None
        failures = [failure["itemIdentifier"] for failure in ended.body["batchItemFailures"]]
        delivery.how = "failed in part" if failures else "done"
        return failures

    def plan(self, name, pool):
        """What happens to an invocation; None if Lambda has no room for it at the moment."""
        drawn, troubles = self.dice.between(f"trouble of {name}", 0, 1000), self.troubles
        part = self.dice.part(f"when, {name}")
        plans = [
            (troubles.killed, lambda: Plan(self.time_out, kill_after=1.2 * part * sorted(pool.took)[len(pool.took) // 2])),
            (troubles.answer_lost, lambda: Plan(self.time_out, loses_answer=True)),
            (troubles.killed_after_answer, lambda: Plan(self.time_out, kill_when_answered=True)),
            (troubles.little_time, lambda: Plan(0.05 + 0.3 * part)),
            (troubles.refused, lambda: None),
        ]
        for per_mille, make in plans:
            if drawn < per_mille:
                return make()
            drawn -= per_mille
        return Plan(self.time_out)
