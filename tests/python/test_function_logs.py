"""No value of an order reaches the log of a function, whatever fails and whatever RUST_LOG says."""

import base64
import json

import pytest
from conftest import environment
from event_sources.environment import Environment

SENTINEL = "sentinel-4711"


def kinesis(payloads):
    return {
        "Records": [
            {
                "eventSource": "aws:kinesis",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/orders",
                "kinesis": {"sequenceNumber": str(number), "partitionKey": str(number), "data": base64.b64encode(payload.encode()).decode()},
            }
            for number, payload in enumerate(payloads, 1)
        ]
    }


def poisoned():
    """Orders whose every value is the sentinel, in every way that ends differently."""
    def order(number, **more):
        return {
            "order_id": f"log-{number}", "created_at": "2026-06-30T10:15:30Z", "total": "12.50",
            "customer": {"id": SENTINEL, "email": f"{SENTINEL}@example.com", "phone": SENTINEL, "signed_up_at": SENTINEL},
            "client": {"ip": SENTINEL, "user_agent": SENTINEL}, "payment": {"method": SENTINEL, "card_bin": SENTINEL, "currency": "USD", "avs": SENTINEL},
            "billing": {"name": SENTINEL, "address": SENTINEL, "country": SENTINEL}, "shipping": {"name": SENTINEL, "country": SENTINEL},
            "items": [{"quantity": 1, "unit_price": "12.50", "category": SENTINEL}], **more,
        }

    return [
        json.dumps(order(1)),
        json.dumps(order(2, created_at=SENTINEL)),
        json.dumps(order(3, total=SENTINEL)),
        json.dumps(order(4, items=SENTINEL)),
        json.dumps(order(5, customer=SENTINEL)),
        json.dumps(order(1, total="99.00")),
        json.dumps({"order_id": {"is": SENTINEL}, "kind": SENTINEL, "label_timestamp": SENTINEL}),
        json.dumps({"order_id": "log-1", "kind": SENTINEL, "label_timestamp": "2026-06-30", "reason_code": SENTINEL}),
        f'{{"{SENTINEL}": "{SENTINEL}"',
        SENTINEL,
    ]


@pytest.mark.parametrize("name", ["predict", "ingest", "label", "forward"])
@pytest.mark.parametrize("endpoint", ["up", "down"])
def test_no_value_is_logged_at_trace(name, endpoint, bootstraps, serve, tmp_path):
    events = [kinesis(poisoned()), json.loads(poisoned()[0]), {"customer": SENTINEL}]
    image = {"kind": {"S": "decision"}, "order_id": {"S": SENTINEL}, "variables": {"M": {"email": {"S": SENTINEL}}}}
    events.append({"Records": [{"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": {"SequenceNumber": "1", "NewImage": image}}]})
    env = environment(
        RUST_LOG="trace", BUCKET="fraudstream", EVENT_BUS="fraudstream", AWS_ENDPOINT_URL=serve.endpoint if endpoint == "up" else "http://127.0.0.1:9",
    )
    function = Environment(bootstraps[name], env, tmp_path / "log", name)
    try:
        ended = [function.run(event) for event in events]
    finally:
        function.end()
    text = (tmp_path / "log").read_text()
    assert {one.how for one in ended} <= {"response", "error"}, text[-2000:]
    assert name != "predict" or "record" in text, "the log must be there for its silence to mean something"
    found = [line for line in text.splitlines() if SENTINEL in line]
    assert not found, found[:3]
