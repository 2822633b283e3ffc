"""No value of an order reaches the log of a function, whatever fails and whatever RUST_LOG says."""

import base64
import http.server
import json
import subprocess
import threading

import pytest
from conftest import environment

SENTINEL = "sentinel-4711"


class Lambda:
    """Lambda's runtime API: hands out events, keeps the answers."""

    def __init__(self, events):
        events, answers, done = list(events), [], threading.Event()
        self.answers, self.done = answers, done

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if not events:
                    done.set()
                    threading.Event().wait(2)
                    return
                body = json.dumps(events.pop(0)).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", f"request-{len(events)}")
                self.send_header("Lambda-Runtime-Deadline-Ms", "9999999999999")
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:f")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"null"))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


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
    api = Lambda(events)
    env = environment(
        AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{api.server.server_port}", RUST_LOG="trace", BUCKET="fraudstream", EVENT_BUS="fraudstream",
        AWS_ENDPOINT_URL=serve.endpoint if endpoint == "up" else "http://127.0.0.1:9", AWS_LAMBDA_FUNCTION_NAME=name,
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE="128", AWS_LAMBDA_FUNCTION_VERSION="1", AWS_LAMBDA_LOG_GROUP_NAME="g", AWS_LAMBDA_LOG_STREAM_NAME="s",
    )
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen([bootstraps[name]], env=env, stdout=log, stderr=log)
        finished = api.done.wait(90)
        process.kill()
        process.wait()
    api.server.shutdown()
    text = (tmp_path / "log").read_text()
    assert finished and len(api.answers) == len(events), text[-2000:]
    assert name != "predict" or "record" in text, "the log must be there for its silence to mean something"
    found = [line for line in text.splitlines() if SENTINEL in line]
    assert not found, found[:3]
