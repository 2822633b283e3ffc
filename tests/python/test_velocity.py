"""Velocity with the functions as they are deployed: two environments count the same cards, and one of them is killed."""

import concurrent.futures
import json
import queue
import random
import subprocess
import time
import uuid

import pytest

from conftest import client, environment, eventually, free_port, server
from event_sources.environment import Environment

CARDS = 12
ORDERS = 240
BATCH = 10
MAPPING = """
event_type: order
detector: orders
event:
  id: /order_id
  timestamp: /created_at
  entity: {type: customer, id: [/customer]}
variables:
  order_price: {from: /total, type: FLOAT}
aggregates:
  keys: {card: /card, customer: /customer}
  variables:
    card_orders_1d: {count: {by: card, within: 1d}}
    customers_per_card_30d: {distinct: {of: customer, by: card, within: 30d}}
decision: {outcome_priority: [block, approve], on_undetermined: [block], on_no_match: [approve]}
"""


def define(afd):
    """A detector that blocks a card's order after forty others."""
    afd.put_entity_type(name="customer")
    for name, kind in (("order_price", "FLOAT"), ("card_orders_1d", "INTEGER"), ("customers_per_card_30d", "INTEGER")):
        afd.create_variable(name=name, dataType=kind, dataSource="EVENT", defaultValue="0")
    for outcome in ("block", "approve"):
        afd.put_outcome(name=outcome)
    afd.put_event_type(
        name="order", entityTypes=["customer"], eventVariables=["order_price", "card_orders_1d", "customers_per_card_30d"],
    )
    afd.put_detector(detectorId="orders", eventTypeName="order")
    afd.create_rule(
        ruleId="many", detectorId="orders", expression="$card_orders_1d >= 40", language="DETECTORPL", outcomes=["block"],
    )
    rules = [{"detectorId": "orders", "ruleId": "many", "ruleVersion": "1"}]
    afd.create_detector_version(detectorId="orders", rules=rules, ruleExecutionMode="FIRST_MATCHED")
    afd.update_detector_version_status(detectorId="orders", detectorVersionId="1", status="ACTIVE")


@pytest.fixture
def shop(fraudstream, bootstraps, logs, tmp_path):
    """`serve` with a detector of its own, and what starts an environment of `predict` against it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(MAPPING)
    started = []
    with server([fraudstream, "serve", "--port", port, "--memory"], f"{url}/_fraudstream/health", logs / "velocity.log"):
        define(client("frauddetector", url))
        env = environment(AWS_ENDPOINT_URL=url) | {
            "FRAUD_DETECTOR": "engine", "BUCKET": "fraudstream", "AWS_ACCOUNT_ID": "123456789012", "RUST_LOG": "warn",
            "MAPPING_FILE": str(mapping),
        }

        def start():
            function = Environment(bootstraps["predict"], env, logs / f"velocity-{len(started)}.log")
            started.append(function)
            return function

        yield start, client("dynamodb", url)
        for function in started:
            function.end()


def order(number, card, minute):
    return {
        "order_id": f"V-{number}", "created_at": f"2026-06-01T{10 + minute // 60:02}:{minute % 60:02}:00Z",
        "customer": f"customer-{number % 7}", "card": card, "total": "10",
    }


def batch(orders):
    records = [
        {
            "messageId": str(uuid.uuid4()), "body": json.dumps(one), "attributes": {}, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders",
        }
        for one in orders
    ]
    return {"Records": records}


def decisions(dynamodb):
    pages = dynamodb.get_paginator("scan").paginate(TableName="Decisions", ConsistentRead=True)
    items = [item for page in pages for item in page["Items"]]
    return {item["order_id"]["S"]: item for item in items if item.get("kind", {}).get("S") == "decision"}


def test_two_environments_count_each_order_once(shop):
    start, dynamodb = shop
    dice = random.Random(7)
    orders = [order(number, f"card-{number % CARDS}", number) for number in range(ORDERS)]
    # Each order comes twice; batches are mixed, so both environments meet every card.
    deliveries = orders * 2
    dice.shuffle(deliveries)
    batches = [deliveries[at : at + BATCH] for at in range(0, len(deliveries), BATCH)]
    environments = queue.Queue()
    for _ in range(2):
        environments.put(start())
    killed = queue.Queue()

    def deliver(number):
        function = environments.get()
        if number == len(batches) // 2:
            # Killed with the batch in its hands: another environment gets it.
            function.waiting.put(json.dumps(batch(batches[number])).encode())
            eventually(function.waiting.empty, what="the function takes the batch")
            time.sleep(0.002)
            function.process.kill()
            killed.put(number)
            function = start()
        left = batches[number]
        for _ in range(20):
            answer = function.invoke(batch(left))
            if answer == {"batchItemFailures": []}:
                break
        environments.put(function)
        return answer

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(deliver, range(len(batches))))
    assert all(answer == {"batchItemFailures": []} for answer in answers)
    assert killed.qsize() == 1
    made = decisions(dynamodb)
    assert len(made) == ORDERS
    # No order saw more than there was before it.
    for number, one in enumerate(orders):
        before = sum(other["card"] == one["card"] for other in orders[:number])
        assert int(made[one["order_id"]]["variables"]["M"]["card_orders_1d"]["S"]) <= before
        assert len(made[one["order_id"]]["velocity_keys"]["M"]["card"]["L"]) == 1
    # An order after all of them sees each once, and is blocked or not by what it sees.
    function = environments.get()
    probes = [order(10_000 + card, f"card-{card}", ORDERS + 5) for card in range(CARDS)]
    assert function.invoke(batch(probes)) == {"batchItemFailures": []}
    made = decisions(dynamodb)
    for probe in probes:
        variables = made[probe["order_id"]]["variables"]["M"]
        assert variables["card_orders_1d"]["S"] == str(ORDERS // CARDS)
        assert variables["customers_per_card_30d"]["S"] == "7"
        assert made[probe["order_id"]]["effective_outcome"]["S"] == "approve"


def test_a_broken_aggregate_ends_the_function_at_start(shop, tmp_path, bootstraps):
    """The function ends with a sentence that names file, line and what would be right."""
    broken = tmp_path / "broken.yaml"
    broken.write_text(MAPPING.replace("within: 1d", "within: 1w"))
    env = environment(BUCKET="b", MAPPING_FILE=str(broken), AWS_LAMBDA_RUNTIME_API="127.0.0.1:9")
    ended = subprocess.run([bootstraps["predict"]], env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    said = ended.stdout + ended.stderr
    assert f"{broken}:13:" in said and "`1w` is not a window" in said, said
