"""Writes events/*.json: what AWS hands to the functions, made of the sample orders and chargebacks.

    .venv/tools/bin/python tests/python/make_events.py          writes the files
    .venv/tools/bin/python tests/python/make_events.py --check  fails where a file is not what would be written

The same input gives the same bytes: every id is a hash of its record.
"""

import base64
import datetime
import hashlib
import json
import pathlib
import sys

EVENTS = pathlib.Path(__file__).resolve().parents[2] / "events"
ACCOUNT = "123456789012"
REGION = "us-east-1"
# Sequence numbers have 56 digits, so they are compared as integers of that size and not as text.
FIRST_SEQUENCE = 49590338271490256608559692538361571095921575989136588898


def lines(name):
    """The objects of a file; the sample orders hold a few lines that are none, on purpose."""
    for line in (EVENTS / name).read_text().splitlines():
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            yield value


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def digest(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def uuid_of(text):
    hexadecimal = digest("uuid", text)
    return "-".join([hexadecimal[:8], hexadecimal[8:12], hexadecimal[12:16], hexadecimal[16:20], hexadecimal[20:32]])


def seconds(time):
    return datetime.datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


def kinesis(orders, stream):
    def record(number, order):
        sequence = str(FIRST_SEQUENCE + number)
        return {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": order["customer"].get("id") or order["order_id"],
                "sequenceNumber": sequence,
                "data": base64.b64encode(compact(order).encode()).decode(),
                "approximateArrivalTimestamp": seconds(order["created_at"]) + 0.25,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"shardId-000000000006:{sequence}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/lambda-role",
            "awsRegion": REGION,
            "eventSourceARN": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{stream}",
        }

    return {"Records": [record(number, order) for number, order in enumerate(orders)]}


def sqs(bodies, times, queue, groups=None):
    """Messages of a queue; with `groups`, of a FIFO queue."""

    def record(number, body, time):
        text = compact(body)
        sent = str(round(seconds(time) * 1000) + 500)
        attributes = {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": sent,
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": str(int(sent) + 12),
        }
        if groups:
            attributes |= {
                "SequenceNumber": str(18849496460467696128 + number * 256),
                "MessageGroupId": groups[number],
                "MessageDeduplicationId": hashlib.sha256(text.encode()).hexdigest(),
            }
        return {
            "messageId": uuid_of(text),
            "receiptHandle": base64.b64encode(digest("receipt", text).encode()).decode(),
            "body": text,
            "attributes": attributes,
            "messageAttributes": {},
            "md5OfBody": hashlib.md5(text.encode()).hexdigest(),
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
            "awsRegion": REGION,
        }

    return {"Records": [record(number, body, time) for number, (body, time) in enumerate(zip(bodies, times, strict=True))]}


def url_request(order):
    """A request to the URL of a function, payload format 2.0."""
    host = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"
    time = datetime.datetime.fromisoformat(order["created_at"].replace("Z", "+00:00"))
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/decide",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": host, "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": host.split(".")[0],
            "authentication": None,
            "authorizer": {"iam": {"accountId": ACCOUNT, "userArn": f"arn:aws:iam::{ACCOUNT}:role/checkout"}},
            "domainName": host,
            "http": {"method": "POST", "path": "/decide", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "checkout"},
            "requestId": uuid_of(order["order_id"]),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(time.timestamp() * 1000),
        },
        "body": compact(order),
        "isBase64Encoded": False,
    }


def attribute(value):
    """A value as DynamoDB's streams write it."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float):
        return {"N": str(value)}
    if isinstance(value, list):
        return {"L": [attribute(item) for item in value]}
    return {"M": {name: attribute(item) for name, item in value.items()}}


def decision(order):
    """A decision as `predict` stores it, on an order that nothing speaks against."""
    event_id = order["order_id"].lower()
    customer = order["customer"].get("id") or "unknown"
    by_time = f"{order['created_at']}#{event_id}#1"
    return {
        "pk": f"order#{event_id}",
        "sk": "decision#00001",
        "kind": "decision",
        "decision_id": f"order#{event_id}#1",
        "attempt_id": digest("attempt", event_id)[:32],
        "order_id": order["order_id"],
        "event_type": "order",
        "event_id": event_id,
        "revision": 1,
        "event_timestamp": order["created_at"],
        "entity_type": "customer",
        "entity_id": customer,
        "variables": {"email_address": order["customer"].get("email") or "jo@example.com", "order_price": order["total"]},
        "detector_id": "orders",
        "matched_rules": [{"rule_id": "fallback", "outcomes": ["approve"]}],
        "prediction": {"detectorVersionId": "1", "predictionTimestamp": order["created_at"]},
        "outcomes": ["approve"],
        "effective_outcome": "approve",
        "undetermined": False,
        "data_quality": [],
        "event_hash": digest("event", event_id)[:16],
        "mapping_hash": digest("mapping")[:16],
        "decided_at": order["created_at"],
        "expires_at": int(seconds(order["created_at"])) + 548 * 86400,
        "label_history": {},
        "label_revision": 0,
        "gsi1pk": f"customer#{customer}",
        "gsi1sk": by_time,
    }


def dynamodb(items, table):
    def record(number, item):
        image = {name: attribute(value) for name, value in item.items()}
        return {
            "eventID": digest("stream", item["pk"])[:32],
            "eventName": "INSERT",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": REGION,
            "dynamodb": {
                "ApproximateCreationDateTime": float(int(seconds(item["decided_at"])) + 1),
                "Keys": {"pk": image["pk"], "sk": image["sk"]},
                "NewImage": image,
                "SequenceNumber": str(4421584500000000017450439091 + number),
                "SizeBytes": len(compact(image)),
                "StreamViewType": "NEW_IMAGE",
            },
            "eventSourceARN": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}/stream/2026-06-01T00:00:00.000",
        }

    return {"Records": [record(number, item) for number, item in enumerate(items)]}


def payloads():
    # An order without a readable time or customer is a test of its own, not a payload to learn from.
    orders = [order for order in lines("orders.jsonl") if readable(order)][:20]
    chargebacks = [message for message in lines("chargebacks.jsonl") if "label_timestamp" in message][:5]
    customers = [order["customer"].get("id") or order["order_id"] for order in orders]
    created = [order["created_at"] for order in orders]
    return {
        "predict-order.json": orders[0],
        "predict-url.json": url_request(orders[0]),
        "predict-kinesis.json": kinesis(orders[:10], "orders"),
        "predict-sqs.json": sqs(orders[10:], created[10:], "orders.fifo", customers[10:]),
        "ingest-kinesis.json": kinesis(orders[:10], "history"),
        "label-sqs.json": sqs(chargebacks, [message["label_timestamp"] for message in chargebacks], "chargebacks"),
        "forward-dynamodb.json": dynamodb([decision(order) for order in orders[:3]], "decisions"),
    }


def readable(order):
    try:
        seconds(order["created_at"])
        return order["created_at"].endswith("Z") and isinstance(order["customer"], dict) and isinstance(order["order_id"], str)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def main(arguments):
    stale = []
    for name, payload in payloads().items():
        text = json.dumps(payload, indent=2, ensure_ascii=False) + "\n"
        path = EVENTS / name
        if arguments == ["--check"]:
            if not path.is_file() or path.read_text() != text:
                stale.append(name)
        else:
            path.write_text(text)
    if stale:
        sys.exit(f"not what make_events.py writes: {', '.join(stale)}; run it without --check")


if __name__ == "__main__":
    main(sys.argv[1:])
