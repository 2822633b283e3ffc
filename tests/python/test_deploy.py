"""The product as it is deployed: template.yaml on MiniStack, fed as a shop feeds it, read as a shop reads it.

MiniStack delivers streams and queues to the real functions. What it does not do - partial responses on
streams, bisecting, the on-failure destination - is tested in Rust against the handlers.
"""

import copy
import itertools
import json
import types

import pytest
from conftest import eventually, lines, run

numbers = itertools.count(1)


def order(**more):
    """A new order like the first of the sample."""
    new = copy.deepcopy(lines("events/orders.jsonl")[0]) | more
    new["order_id"] = f"DEPLOY-{next(numbers):06}"
    return new


@pytest.fixture(scope="module")
def shop(stack):
    """The stack from outside: where orders go in, and what can be seen of them."""
    clients = {name: stack.client(name) for name in ["kinesis", "sqs", "dynamodb", "events", "lambda", "s3"]}
    outputs = stack.outputs
    listener = listen(clients, outputs["OutcomeBusName"])
    heard = []

    def items(order_id):
        pages = clients["dynamodb"].get_paginator("scan").paginate(
            TableName=outputs["DecisionsTable"],
            ConsistentRead=True,
            FilterExpression="order_id = :id AND #kind = :kind",
            ExpressionAttributeNames={"#kind": "kind"},
            ExpressionAttributeValues={":id": {"S": order_id}, ":kind": {"S": "decision"}},
        )
        return [item for page in pages for item in page["Items"]]

    def decision(order_id):
        found = eventually(lambda: items(order_id), what=f"a decision on {order_id}")
        assert len(found) == 1
        return found[0]

    def outcomes(order_id):
        received = clients["sqs"].receive_message(QueueUrl=listener, MaxNumberOfMessages=10, WaitTimeSeconds=0)
        for message in received.get("Messages", []):
            heard.append(json.loads(message["Body"]))
            clients["sqs"].delete_message(QueueUrl=listener, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in heard if event["detail"].get("order_id") == order_id]

    def rejected(function):
        pages = clients["s3"].get_paginator("list_objects_v2").paginate(Bucket=outputs["BucketName"], Prefix=f"rejected/{function}/")
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    return types.SimpleNamespace(
        **{name: made for name, made in clients.items() if name != "lambda"},
        functions=clients["lambda"], outputs=outputs, env=stack.env,
        items=items, decision=decision, outcomes=outcomes, rejected=rejected,
    )


def listen(clients, bus):
    """A queue that a rule fills with every decision that the bus hears of."""
    queue = clients["sqs"].create_queue(QueueName="listener")["QueueUrl"]
    arn = clients["sqs"].get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["fraudstream"], "detail-type": ["Fraud Decision"]})
    clients["events"].put_rule(Name="decisions", EventBusName=bus, EventPattern=pattern)
    clients["events"].put_targets(Rule="decisions", EventBusName=bus, Targets=[{"Id": "listener", "Arn": arn}])
    return queue


def by_stream(shop, record, name="OrdersStream"):
    body = record if isinstance(record, bytes) else json.dumps(record).encode()
    shop.kinesis.put_record(StreamName=shop.outputs[name], Data=body, PartitionKey="customer")


def by_queue(shop, message, name="OrderQueueUrl"):
    group = {"MessageGroupId": "customer"} if name == "OrderFifoUrl" else {}
    shop.sqs.send_message(QueueUrl=shop.outputs[name], MessageBody=json.dumps(message), **group)


def by_invoke(shop, payload):
    answer = shop.functions.invoke(FunctionName=shop.outputs["PredictFunction"], Payload=json.dumps(payload).encode())
    body = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, body
    return body


@pytest.mark.parametrize(
    "send",
    [by_stream, by_queue, lambda shop, record: by_queue(shop, record, "OrderFifoUrl"), by_invoke],
    ids=["stream", "queue", "fifo", "invoke"],
)
def test_an_order_is_decided_and_told(shop, send):
    new = order()
    send(shop, new)
    item = shop.decision(new["order_id"])
    assert item["effective_outcome"]["S"] in {"approve", "challenge", "review", "block"}
    told = eventually(lambda: shop.outcomes(new["order_id"]), what="the outcome on the bus")
    assert [event["detail"]["decision_id"] for event in told] == [item["decision_id"]["S"]]


def test_a_checkout_gets_the_decision_that_is_stored(shop):
    new = order()
    first, second = by_invoke(shop, new), by_invoke(shop, new)
    item = shop.decision(new["order_id"])
    assert first == second
    assert first["decision_id"] == item["decision_id"]["S"]
    assert first["effective_outcome"] == item["effective_outcome"]["S"]


def test_an_order_that_comes_twice_is_decided_and_told_once(shop):
    new, last = order(), order()
    by_stream(shop, new)
    by_queue(shop, new)
    first = shop.decision(new["order_id"])
    by_stream(shop, new)
    # One key, so when the last is decided the repetition is done with.
    by_stream(shop, last)
    shop.decision(last["order_id"])
    eventually(lambda: shop.outcomes(last["order_id"]), what="the outcome of the last order")
    assert shop.items(new["order_id"]) == [first]
    assert len(shop.outcomes(new["order_id"])) == 1


def test_a_chargeback_labels_its_decision(shop):
    new = order()
    by_invoke(shop, new)
    chargeback = lines("events/chargebacks.jsonl")[0] | {
        "order_id": new["order_id"], "kind": "chargeback", "reason_code": "10.4", "label_timestamp": "2026-06-29T08:00:00Z",
    }
    by_queue(shop, chargeback, "ChargebackQueueUrl")
    item = eventually(
        lambda: next((found for found in shop.items(new["order_id"]) if "label" in found), None), what="a label on the decision"
    )
    assert item["label"]["M"]["label"]["S"] == "fraud"
    # A label is a change of an item, not news for whoever acts on decisions.
    assert len(shop.outcomes(new["order_id"])) <= 1


def test_a_chargeback_that_comes_before_its_order_waits_for_it(shop):
    new = order()
    chargeback = lines("events/chargebacks.jsonl")[0] | {
        "order_id": new["order_id"], "kind": "chargeback", "reason_code": "10.4", "label_timestamp": "2026-06-29T08:00:00Z",
    }
    by_queue(shop, chargeback, "ChargebackQueueUrl")
    eventually(lambda: empty(shop, "ChargebackQueueUrl"), what="the chargeback taken off its queue")
    by_stream(shop, new)
    eventually(lambda: [found for found in shop.items(new["order_id"]) if "label" in found], what="a label on the decision")


def test_history_becomes_events_and_no_decisions(shop):
    past = order()
    by_queue(shop, past, "HistoryQueueUrl")
    event_id = past["order_id"].lower()
    eventually(lambda: stored(shop, event_id), what=f"event {event_id} in the engine's table")
    assert shop.items(past["order_id"]) == []


def test_a_poison_record_is_put_aside_whole_and_can_be_replayed(shop, fraudstream):
    before, after = order(), order()
    good = order()
    known = set(shop.rejected("predict"))
    for record in [before, b"{ " + json.dumps(good).encode(), after]:
        by_stream(shop, record)
    # It stops nobody, though it has the key of its neighbours.
    shop.decision(before["order_id"])
    shop.decision(after["order_id"])
    (key,) = eventually(lambda: set(shop.rejected("predict")) - known, what="the record under rejected/")
    stored_object = shop.s3.get_object(Bucket=shop.outputs["BucketName"], Key=key)
    aside = json.loads(stored_object["Body"].read())
    assert aside["payload"] == "{ " + json.dumps(good)
    assert aside["reason"]

    # A person mends it where it lies, and has it run again.
    aside["payload"] = json.dumps(good)
    shop.s3.put_object(Bucket=shop.outputs["BucketName"], Key=key, Body=json.dumps(aside).encode())
    run(fraudstream, "replay", env=shop.env, timeout=120)
    shop.decision(good["order_id"])
    eventually(lambda: shop.outcomes(good["order_id"]), what="the outcome of the replayed order")


def test_nothing_was_given_up(shop):
    # What the tests above sent is processed, and no queue gave up on any of it.
    for name in ["OrderQueueUrl", "OrderFifoUrl", "HistoryQueueUrl", "ChargebackQueueUrl"]:
        eventually(lambda name=name: empty(shop, name), what=f"{name} empty")
        url = shop.outputs[name]
        dead = f"{url.removesuffix('.fifo')}-dead{'.fifo' if url.endswith('.fifo') else ''}"
        attributes = shop.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        assert attributes["ApproximateNumberOfMessages"] == "0", dead


def test_a_changed_parameter_reaches_the_alias(stack, shop):
    # SAM publishes a version for new code, not for a new parameter: VersionDescription in the template is what does.
    name = shop.outputs["PredictFunction"]
    before = shop.functions.get_function_configuration(FunctionName=name)
    stack.deploy("MaxConcurrency=17")
    after = shop.functions.get_function_configuration(FunctionName=name)
    assert after["Environment"]["Variables"]["MAX_CONCURRENCY"] == "17"
    assert int(after["Version"]) > int(before["Version"])


def empty(shop, name):
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = shop.sqs.get_queue_attributes(QueueUrl=shop.outputs[name], AttributeNames=wanted)["Attributes"]
    return all(attributes[attribute] == "0" for attribute in wanted)


def stored(shop, event_id):
    """Items of the engine's table whose key names the event; the table's layout is the engine's own business."""
    pages = shop.dynamodb.get_paginator("scan").paginate(
        TableName=shop.outputs["EventsTable"],
        FilterExpression="contains(pk, :id)",
        ExpressionAttributeValues={":id": {"S": event_id}},
    )
    return [item for page in pages for item in page["Items"]]
