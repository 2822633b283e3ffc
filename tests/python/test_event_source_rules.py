"""The rules by which the driver delivers, without functions: those of tests/src/simulation/delivery, with a clock of numbers."""

import pytest

from event_sources.dice import Dice
from event_sources.queue import Queue, QueueRules
from event_sources.stream import Stream, StreamRules


def stream(seed, kind="kinesis", **rules):
    return Stream(StreamRules(f"arn:aws:{kind}:us-east-1:1:stream/orders", kind, **{"batch_size": 10} | rules), "orders", Dice(seed))


def queue(seed, **rules):
    return Queue(QueueRules("arn:aws:sqs:us-east-1:1:orders", **{"visibility": 6} | rules), "orders", Dice(seed))


def deliver(source, answer, now=0.0):
    """Answers each batch half a second after it was taken, until nothing is left. `answer` gets the time, the batch and its identifiers."""
    answers = []
    for _ in range(20_000):
        while batch := source.take(now):
            ids = [str(record.sequence) if hasattr(record, "sequence") else record.id for record in batch.records]
            answers.append((now + 0.5, batch.ticket, answer(now, batch, ids)))
        if source.is_drained():
            return
        now = min([at for at, *_ in answers] + [at for at in [source.next_time(now)] if at is not None and at > now])
        for one in [one for one in answers if one[0] <= now]:
            answers.remove(one)
            source.answered(now, one[1], one[2])
    raise AssertionError("it does not end")


def moody(dice, until):
    """For a while, a third of the batches fail, and another third in part."""

    def answer(now, batch, ids):
        mood = dice.between(f"{batch.what} at {now}", 0, 3) if now < until else 2
        return None if mood == 0 else [one for one in ids if mood == 1 and dice.happens(f"{one} at {now}", 300)]

    return answer


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("kind", "bisect"), [("kinesis", True), ("kinesis", False), ("dynamodb", True)])
def test_a_stream_loses_nothing_and_no_record_overtakes_its_key(kind, bisect, seed):
    source, answer, done = stream(seed, kind, bisect=bisect, shards=2, factor=2), moody(Dice(seed), 300), []
    for number in range(40):
        source.put(number / 20, f"k-{number % 5}", b"" if kind == "kinesis" else {}, number)
        if number == 20:
            source.reshard(number / 20)

    def noted(now, batch, ids):
        failures = answer(now, batch, ids)
        numbers = [record.tag for record in batch.records]
        if "once more" in batch.what:
            return failures
        for number in numbers:
            assert all(other in done or other in numbers for other in range(number % 5, number, 5)), (number, done)
        if failures is not None:
            done.extend(numbers[: min([ids.index(one) for one in failures], default=len(ids))])
        return failures

    deliver(source, noted)
    assert sorted(done) == list(range(40)) and not source.given_up


def test_halving_narrows_to_the_one_record_that_fails():
    source, failed, done = stream(7, shards=1), [], set()
    for number in range(8):
        source.put(0, "k", b"", number)

    def answer(now, batch, ids):
        numbers = [record.tag for record in batch.records]
        if 5 in numbers and now < 60:
            failed.append(numbers)
            return None
        done.update(numbers)
        return []

    deliver(source, answer)
    sizes = [len(numbers) for numbers in failed]
    assert done == set(range(8)) and sizes == sorted(sizes, reverse=True) and sizes[0] > 1 and failed[-1] == [5]


@pytest.mark.parametrize(("failures", "again"), [([2, 1], [1, 2]), ([2], [2]), ([0], [0, 1, 2]), ([2, "7"], [0, 1, 2])])
def test_the_checkpoint_is_the_lowest_number_and_an_unknown_one_fails_all(failures, again):
    # A seed that gives all three at once; their numbers get longer after the first.
    source = stream(2, shards=1, bisect=False)
    for number, sequence in enumerate([10**55 - 1, 10**55, 10**55 + 1]):
        source.put(0, "k", b"", number)
        source.shards[0].lanes[0].waiting[-1].sequence = sequence
    batch = source.take(10)
    assert [record.tag for record in batch.records] == [0, 1, 2]
    source.answered(10, batch.ticket, [one if isinstance(one, str) else str(batch.records[one].sequence) for one in failures])
    assert [record.tag for record in source.take(20).records][: len(again)] == again


def test_what_is_too_old_is_given_up():
    source, done = stream(7, shards=1, max_age=600), []
    source.put(0, "k", b"", 0)
    source.put(300, "k", b"", 1)

    def answer(now, batch, ids):
        numbers = [record.tag for record in batch.records]
        done.extend(numbers if 0 not in numbers else [])
        return None if 0 in numbers else []

    deliver(source, answer)
    assert done == [1] and [record.tag for record in source.given_up] == [0]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fifo", [False, True])
def test_a_queue_loses_nothing_and_a_group_keeps_its_order(fifo, seed):
    source, answer, done = queue(seed, fifo=fifo), moody(Dice(seed), 60), []
    for number in range(30):
        source.send(0, f"g-{number % 3}", "", number)

    def noted(now, batch, ids):
        failures = answer(now, batch, ids)
        if failures is not None:
            # Of a group nothing after its first failure: that is what the functions answer.
            failed = set()
            for message in batch.records:
                if message.id in failures or (fifo and message.group in failed):
                    failed.add(message.group)
                    failures.append(message.id)
                else:
                    done.append(message.tag)
        return failures

    deliver(source, noted)
    assert set(done) == set(range(30)) and not source.given_up
    if fifo:
        for group in range(3):
            assert [number for number in done if number % 3 == group] == list(range(group, 30, 3))


def test_a_message_that_is_received_too_often_is_a_dead_letter():
    source = queue(1, max_receives=3)
    source.send(0, "", "", "bad")
    deliver(source, lambda *_: None)
    (message,) = source.given_up
    assert (message.tag, message.receives) == ("bad", 3)


def test_a_message_can_be_hidden_for_longer_and_its_earlier_handle_changes_nothing():
    source = queue(1, fifo=True)
    source.send(0, "g", "")
    first = source.take(0).event["Records"][0]["receiptHandle"]
    assert source.change_visibility(1, first, 30)
    source.answered(2, 1, None)
    assert source.take(30.9) is None
    assert source.take(31.0).event["Records"][0]["attributes"]["ApproximateReceiveCount"] == "2"
    assert not source.change_visibility(32, first, 300)
