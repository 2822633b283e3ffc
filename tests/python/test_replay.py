"""`fraudstream replay` of queues: dead letters, and what event source mappings of Kinesis gave up, on MiniStack."""

import json
import uuid

import pytest
from conftest import client, lines, make_call


@pytest.fixture
def shop(fraudstream, tmp_path):
    call = make_call(fraudstream, tmp_path / "home")
    call("apply", "config/detector.yaml")
    return call


@pytest.fixture
def sqs(ministack):
    return client("sqs", ministack)


@pytest.fixture
def dead_letters(sqs):
    return sqs.create_queue(QueueName=f"dead-{uuid.uuid4().hex[:8]}")["QueueUrl"]


def order(number):
    return lines("events/orders.jsonl")[0] | {"order_id": f"REPLAY-{uuid.uuid4().hex[:8]}-{number}"}


def left(sqs, queue):
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=wanted)["Attributes"]
    return found["ApproximateNumberOfMessages"], found["ApproximateNumberOfMessagesNotVisible"]


def replay(shop, *arguments):
    return json.loads(shop("replay", *arguments, "--json").stdout)


def test_a_dead_letter_that_succeeds_is_deleted_and_one_that_fails_stays(shop, sqs, dead_letters):
    good, bad = order(1), "not json"
    for body in [json.dumps(good), bad]:
        sqs.send_message(QueueUrl=dead_letters, MessageBody=body)

    # A dead letter does not say whose it is.
    told = replay(shop, dead_letters)
    assert len(told) == 2 and not any(one["done"] for one in told)
    assert all("give --function" in one["now"] for one in told)
    assert left(sqs, dead_letters) == ("2", "0")

    dry = replay(shop, dead_letters, "--function", "predict", "--dry-run")
    assert sorted(one["would_succeed"] for one in dry) == [False, True]
    assert left(sqs, dead_letters) == ("2", "0"), "a dry run takes nothing"
    assert "no decision" in shop("show", good["order_id"], check=False).stderr

    done = replay(shop, dead_letters, "--function", "predict", "--rate", "20")
    by_result = {one["done"]: one for one in done}
    assert by_result[True]["now"] == "replayed"
    assert "not JSON" in by_result[False]["now"]
    assert good["order_id"] in shop("show", good["order_id"]).stdout
    assert left(sqs, dead_letters) == ("1", "0")


def test_filters_leave_messages_where_they_are(shop, sqs, dead_letters):
    sqs.send_message(QueueUrl=dead_letters, MessageBody=json.dumps(order(1)))
    for arguments in [["--until", "2020-01-01"], ["--since", "2100-01-01"], ["--reason", "no such reason"]]:
        assert replay(shop, dead_letters, "--function", "predict", *arguments) == []
        assert left(sqs, dead_letters) == ("1", "0"), arguments
    (done,) = replay(shop, dead_letters, "--function", "predict", "--since", "2020-01-01", "--reason", "dead-letter queue")
    assert done["done"]
    assert left(sqs, dead_letters) == ("0", "0")


def on_failure(stream, shard, first, last):
    """What Lambda sends to a queue when an event source mapping of Kinesis gives up."""
    return json.dumps({
        "requestContext": {
            "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5", "condition": "RecordAgeExceeded", "approximateInvokeCount": 9,
            "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:shop-Predict-1X2Y:live",
        },
        "version": "1.0", "timestamp": "2026-06-30T10:15:00.000Z",
        "KinesisBatchInfo": {
            "shardId": shard, "startSequenceNumber": first, "endSequenceNumber": last, "batchSize": 2, "streamArn": stream,
        },
    })


def test_a_batch_that_a_mapping_gave_up_is_read_again_from_its_stream(shop, ministack, sqs, dead_letters):
    kinesis = client("kinesis", ministack)
    name = f"orders-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    stream = kinesis.describe_stream(StreamName=name)["StreamDescription"]["StreamARN"]
    orders = [order(number) for number in range(4)]
    put = [kinesis.put_record(StreamName=name, Data=json.dumps(one).encode(), PartitionKey="k") for one in orders]
    shard, numbers = put[0]["ShardId"], [one["SequenceNumber"] for one in put]
    sqs.send_message(QueueUrl=dead_letters, MessageBody=on_failure(stream, shard, numbers[1], numbers[2]))

    (dry,) = replay(shop, dead_letters, "--dry-run")
    assert (dry["function"], dry["reason"], dry["would_succeed"]) == ("predict", "RecordAgeExceeded", True)
    assert replay(shop, dead_letters, "--function", "label") == []
    (done,) = replay(shop, dead_letters)
    assert done["now"] == "replayed" and left(sqs, dead_letters) == ("0", "0")
    decided = [shop("show", one["order_id"], check=False).returncode == 0 for one in orders]
    assert decided == [False, True, True, False], "the range and nothing else"


def test_a_range_that_cannot_be_read_is_a_sentence_and_stays(shop, ministack, sqs, dead_letters):
    kinesis = client("kinesis", ministack)
    name = f"orders-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    stream = kinesis.describe_stream(StreamName=name)["StreamDescription"]["StreamARN"]
    put = kinesis.put_record(StreamName=name, Data=json.dumps(order(1)).encode(), PartitionKey="k")
    last = put["SequenceNumber"]
    gone = [on_failure(stream, put["ShardId"], "1", last), on_failure(stream.replace(name, "no-such-stream"), put["ShardId"], "1", "2")]
    for body in gone:
        sqs.send_message(QueueUrl=dead_letters, MessageBody=body)
    told = replay(shop, dead_letters)
    assert [one["done"] for one in told] == [False, False]
    texts = sorted(one["now"] for one in told)
    assert any("or its shard" in text and "is not there: check account and region" in text for text in texts), texts
    assert sum("is not there" in text for text in texts) == 1, texts
    assert left(sqs, dead_letters) == ("2", "0")


def test_a_queue_that_cannot_be_read_ends_in_a_sentence(shop, ministack):
    done = shop("replay", f"{ministack}/000000000000/no-such-queue", "--function", "predict", check=False)
    assert done.returncode == 1
    assert "the queue cannot be used: ReceiveMessage" in done.stderr and "check its URL" in done.stderr


def test_a_queue_at_aws_is_not_emptied_into_the_local_folder(shop):
    done = shop("replay", "https://sqs.eu-west-1.amazonaws.com/000000000000/dead", "--function", "predict", check=False)
    assert done.returncode == 1 and "add --aws, or --dry-run" in done.stderr


def test_a_group_of_a_fifo_queue_waits_behind_a_message_that_stays(shop, sqs):
    queue = sqs.create_queue(
        QueueName=f"dead-{uuid.uuid4().hex[:8]}.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    )["QueueUrl"]
    behind, other = order(1), order(2)
    for group, body in [("a", "no order"), ("a", json.dumps(behind)), ("b", json.dumps(other))]:
        sqs.send_message(QueueUrl=queue, MessageBody=body, MessageGroupId=group)
    told = replay(shop, queue, "--function", "predict")
    # Whether the second message of a group is received while the first one is hidden is up to the service.
    assert [one["now"] for one in told if one["done"]] == ["replayed"], told
    decided = [shop("show", sent["order_id"], check=False).returncode == 0 for sent in (behind, other)]
    assert decided == [False, True]


def test_a_file_of_stored_records_is_replayed_line_by_line(shop, tmp_path):
    def rejected(number, payload):
        position = {"origin": "sqs", "arn": "arn:aws:sqs:us-east-1:1:orders", "id": f"m-{number}", "sub": 0}
        return {"function": "predict", "class": "not-json", "reason": "it was not JSON", "position": position, "key": None, "payload": payload}

    good = order(1)
    stored = [rejected(1, json.dumps(good)), rejected(2, "{"), {"neither": "nor"}]
    file = tmp_path / "stored.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in stored))
    before = file.read_bytes()
    told = replay(shop, file)
    assert [one["done"] for one in told] == [True, False, False]
    assert told[2]["key"].endswith("stored.jsonl:3") and "neither a rejected record" in told[2]["now"]
    assert good["order_id"] in shop("show", good["order_id"]).stdout
    assert file.read_bytes() == before
