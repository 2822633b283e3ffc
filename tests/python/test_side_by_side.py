"""Functions of two releases on the same tables, as during a deployment, and back again: nothing is lost, nothing is there twice.

EARLIER_FUNCTIONS names a folder with the functions of an earlier release, as its `target/lambda` has them:

    git worktree add ../earlier REVISION, and there cargo lambda build --release in each folder of functions/
    EARLIER_FUNCTIONS=../earlier/target/lambda pytest tests/python/test_side_by_side.py

Without it both sides are of this release: two environments of one function, which have to share the tables as well.
"""

import http.server
import json
import os
import pathlib
import queue
import random
import subprocess
import threading
import time
import uuid

import pytest

from conftest import lines

EARLIER = os.environ.get("EARLIER_FUNCTIONS")
SEED = 7


class Function:
    """One environment of a function, and Lambda's runtime interface in front of it."""

    def __init__(self, bootstrap, env, log):
        self.waiting, self.answers = queue.Queue(), queue.Queue()
        function = self

        class Runtime(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = function.waiting.get()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4()))
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 60_000))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:f")
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                function.answers.put((self.path.rsplit("/", 1)[-1], body))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        lambda_env = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server.server_port}", "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
        }
        with open(log, "w") as output:
            self.process = subprocess.Popen([bootstrap], env=env | lambda_env, stdout=output, stderr=output)

    def invoke(self, event):
        self.waiting.put(json.dumps(event).encode())
        kind, body = self.answers.get(timeout=60)
        assert kind == "response", body
        return json.loads(body)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.server.shutdown()


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
        both = [Function(path, env, logs / f"{name}-{side}.log") for side, path in (("earlier", earlier), ("now", bootstraps[name]))]
        started.extend(both)
        return both

    yield pair
    for function in started:
        function.end()


def test_two_releases_share_the_tables(functions, serve):
    dice = random.Random(SEED)
    orders = [{**order, "order_id": f"SIDE-{number}"} for number, order in enumerate(lines("events/orders.jsonl")[:120]) if "created_at" in order]
    label = {"kind": "chargeback", "reason_code": "10.4", "label_timestamp": "2026-07-15T08:00:00Z", "source": "processor"}
    labels = [{**label, "order_id": order["order_id"]} for order in orders[::3]]
    predict, labelling, ingest = functions("predict"), functions("label"), functions("ingest")
    # Each record comes twice, to either release, orders and labels in any order: back and forth between the releases.
    deliveries = [(predict, order) for order in orders] * 2 + [(labelling, row) for row in labels] * 2
    deliveries += [(ingest, {**order, "order_id": f"{order['order_id']}-past"}) for order in orders[:30]] * 2
    dice.shuffle(deliveries)
    for pair, body in deliveries:
        answer = dice.choice(pair).invoke({"Records": [message(body)]})
        assert answer == {"batchItemFailures": []}, body

    dynamodb = serve.client("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(TableName="Decisions", ConsistentRead=True)
    found = [item for page in pages for item in page["Items"] if item.get("order_id", {}).get("S", "").startswith("SIDE-")]
    decisions = [item for item in found if item["kind"]["S"] == "decision"]
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
    for item in decisions[:10]:
        event = afd.get_event(eventId=item["event_id"]["S"], eventTypeName="order")["event"]
        assert event.get("currentLabel") == (item.get("label") or {"M": {"label": {"S": None}}})["M"]["label"]["S"]
    past = afd.get_event(eventId=decisions[0]["event_id"]["S"], eventTypeName="order")
    assert past["event"]["entities"]
