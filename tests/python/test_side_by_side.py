"""Functions of two releases on the same tables, as during a deployment, and back again: nothing is lost, nothing is there twice.

EARLIER_FUNCTIONS names a folder with the functions of an earlier release, as its `target/lambda` has them:

    git worktree add ../earlier REVISION, and there cargo lambda build --release in each folder of functions/
    EARLIER_FUNCTIONS=../earlier/target/lambda pytest tests/python/test_side_by_side.py

Without it both sides are of this release: two environments of one function, which have to share the tables as well.
"""

import json
import os
import pathlib
import random
import time
import uuid

import pytest

from conftest import lines
from event_sources.environment import Environment

EARLIER = os.environ.get("EARLIER_FUNCTIONS")
SEED = 7


def message(body):
    """An SQS message with this body; each delivery has another receipt."""
    return {
        "messageId": str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(body, sort_keys=True))), "receiptHandle": str(uuid.uuid4()),
        "body": json.dumps(body), "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1782492556500"},
        "messageAttributes": {}, "md5OfBody": "0", "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders", "awsRegion": "us-east-1",
    }


@pytest.fixture
def functions(serve, bootstraps, logs):
    """Pairs of each function: the earlier release's and this one's."""
    env = serve.env | {"FRAUD_DETECTOR": "engine", "BUCKET": "fraudstream", "AWS_ACCOUNT_ID": "123456789012", "RUST_LOG": "info"}
    started = []

    def pair(name):
        earlier = pathlib.Path(EARLIER) / name / "bootstrap" if EARLIER else bootstraps[name]
        both = [Environment(path, env, logs / f"{name}-{side}.log") for side, path in (("earlier", earlier), ("now", bootstraps[name]))]
        started.extend(both)
        return both

    yield pair
    for function in started:
        function.end()


def read_decisions(serve):
    pages = serve.client("dynamodb").get_paginator("scan").paginate(TableName="Decisions", ConsistentRead=True)
    items = [item for page in pages for item in page["Items"] if item.get("order_id", {}).get("S", "").startswith("SIDE-")]
    return [item for item in items if item["kind"]["S"] == "decision"]


def test_two_releases_share_the_tables(functions, serve):
    dice = random.Random(SEED)
    orders = [{**order, "order_id": f"SIDE-{number}"} for number, order in enumerate(lines("events/orders.jsonl")[:120]) if "created_at" in order]
    label = {"kind": "chargeback", "reason_code": "10.4", "label_timestamp": "2026-07-15T08:00:00Z", "source": "processor"}
    labels = [{**label, "order_id": order["order_id"]} for order in orders[::3]]
    predict, labelling, ingest = functions("predict"), functions("label"), functions("ingest")
    # Each record comes twice, to either release, orders and labels in any order: back and forth between the releases.
    deliveries = [(predict, order) for order in orders] * 2 + [(labelling, row) for row in labels] * 2
    deliveries += [(ingest, {**order, "order_id": f"{order['order_id'].lower()}-past"}) for order in orders[:30]] * 2
    dice.shuffle(deliveries)
    first = {}
    for number, (pair, body) in enumerate(deliveries):
        answer = dice.choice(pair).invoke({"Records": [message(body)]})
        assert answer == {"batchItemFailures": []}, body
        if number == len(deliveries) // 2:
            first = {item["order_id"]["S"]: item["attempt_id"] for item in read_decisions(serve)}

    decisions = read_decisions(serve)
    # What was decided in the first half is not decided anew in the second.
    assert len(first) > 50
    assert {item["order_id"]["S"]: item["attempt_id"] for item in decisions if item["order_id"]["S"] in first} == first
    by_order = {}
    for item in decisions:
        by_order.setdefault(item["order_id"]["S"], []).append(item)
    rejected = serve.client("s3").list_objects_v2(Bucket="fraudstream", Prefix="rejected/predict/").get("Contents", [])
    assert all(len(items) == 1 for items in by_order.values())
    lost = {order["order_id"] for order in orders} - set(by_order)
    assert not lost, (lost, [row["Key"] for row in rejected])
    for row in labels:
        (decision,) = by_order[row["order_id"]]
        assert decision["label"]["M"]["label"]["S"] == "fraud", row
    afd = serve.client("frauddetector")
    labelled = [item for item in decisions if item.get("label")][:5]
    for item in labelled + [item for item in decisions if not item.get("label")][:5]:
        event = afd.get_event(eventId=item["event_id"]["S"], eventTypeName="order")["event"]
        assert event.get("currentLabel") == (item.get("label") or {"M": {"label": {"S": None}}})["M"]["label"]["S"]
    for order in orders[:30]:
        past = afd.get_event(eventId=f"{order['order_id'].lower()}-past", eventTypeName="order")
        assert past["event"]["entities"]
