"""Webhooks against receivers that fail, time out and come back: nothing is lost, and each decision has one id."""

import base64
import collections
import hmac
import http.server
import json
import re
import socket
import threading
import time
import types

import pytest
from conftest import REGION, ROOT, environment, eventually, make_call
from event_sources.environment import Environment

OLD, NEW = (f"whsec_{base64.b64encode(bytes([byte] * 32)).decode()}" for byte in (1, 2))


def verified(secret, headers, body):
    """Whether one of the signatures is by this secret."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), content, "sha256")).decode()
    return f"v1,{wanted}" in headers["webhook-signature"].split(" ")


class Receiver:
    """A receiver on loopback. `plan` says what it does with the next messages; after that it takes them."""

    def __init__(self, *plan):
        self.plan, self.seen, self.taken = collections.deque(plan), [], collections.Counter()
        receiver, self.release = self, threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.seen.append(types.SimpleNamespace(headers=self.headers, body=body, id=self.headers["webhook-id"]))
                action = receiver.plan.popleft() if receiver.plan else 204
                if action == "close":
                    self.close_connection = True
                    return
                if action == "hang":
                    # It has the message, and nobody hears of it.
                    receiver.taken[self.headers["webhook-id"]] += 1
                    receiver.release.wait(60)
                    self.close_connection = True
                    return
                if action < 300:
                    receiver.taken[self.headers["webhook-id"]] += 1
                self.send_response(action)
                if 300 <= action < 400:
                    self.send_header("Location", receiver.url)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def shop(fraudstream, tmp_path_factory):
    """A folder with decisions, the command on it, and the details of the events on its bus by the ids of the decisions."""
    folder = tmp_path_factory.mktemp("webhooks")
    call = make_call(fraudstream, folder / "home")
    call("apply")
    orders = folder / "orders.jsonl"
    sample = json.loads((ROOT / "events" / "predict-order.json").read_text())
    orders.write_text("".join(json.dumps(sample | {"order_id": f"ORD-{number}"}) + "\n" for number in range(12)))
    call("run", "predict", orders)
    events = [json.loads(line) for line in (folder / "home" / "outcomes.jsonl").read_text().splitlines()]
    (folder / "secrets").write_text(f"{OLD}\n{NEW}\n")
    outcomes = folder / "home" / "outcomes.jsonl"
    return types.SimpleNamespace(call=call, events=events, outcomes=outcomes, secrets=folder / "secrets")


def replay(shop, receiver, *more, **options):
    return shop.call("webhooks", "replay", "--since", "2026-01-01", "--url", receiver.url, "--secret-file", shop.secrets, "--rate", 200, *more, **options)


def test_every_decision_arrives_with_one_id_whatever_the_receiver_does(shop):
    plan = [500, "close", "hang", 302, 204, 429, 410, 404, "hang", 503]
    with Receiver(*plan) as receiver:
        report = json.loads(replay(shop, receiver, "--timeout", 300, "--json").stdout)
    assert (report["decisions"], report["sent"], report["failed"], report["stopped"]) == (12, 12, 0, False)
    details = {event["detail"]["decision_id"]: event["detail"] for event in shop.events}
    assert set(receiver.taken) == set(details)
    # Two were taken without an answer, and came again under the same id.
    assert sorted(receiver.taken.values()) == [1] * 10 + [2] * 2
    bodies = collections.defaultdict(set)
    for message in receiver.seen:
        bodies[message.id].add(message.body)
        assert verified(OLD, message.headers, message.body)
        assert verified(NEW, message.headers, message.body)
        assert not verified(OLD, message.headers, message.body + b" ")
        assert abs(time.time() - int(message.headers["webhook-timestamp"])) < 300
        # It is what the bus tells, and has no values of the order.
        assert json.loads(message.body)["type"] == "fraud.decision"
        assert json.loads(message.body)["data"] == details[message.id]
    assert {len(found) for found in bodies.values()} == {1}


def test_a_replay_again_sends_the_same_bytes(shop):
    with Receiver() as receiver:
        replay(shop, receiver)
        first = {message.id: message.body for message in receiver.seen}
        replay(shop, receiver)
    assert {message.id: message.body for message in receiver.seen[12:]} == first
    assert set(receiver.taken.values()) == {2}


def test_a_range_of_time_is_sent_and_a_dry_run_sends_nothing(shop):
    until = max(event["detail"]["decided_at"] for event in shop.events)
    before = sum(event["detail"]["decided_at"] < until for event in shop.events)
    with Receiver() as receiver:
        done = shop.call("webhooks", "replay", "--since", "2026-01-01", "--until", until, "--dry-run")
        assert done.stdout == f"dry run, nothing was sent: {before} decisions and 0 verdicts would be\n"
        assert receiver.seen == []
        report = json.loads(replay(shop, receiver, "--until", until, "--json").stdout)
        assert (report["sent"], len(receiver.seen)) == (before, before)
        assert json.loads(replay(shop, receiver, "--since", "2100-01-01", "--json", check=False).stdout or "{}").get("sent", 0) == 0


def test_a_receiver_that_is_down_stops_the_replay(shop):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
    # Nothing listens there.
    done = replay(shop, types.SimpleNamespace(url=url), check=False)
    assert done.returncode == 1
    assert "order#ord-" in done.stdout and ": no connection" in done.stdout
    assert "stopped: the receiver did not take 10 messages in a row" in done.stdout
    assert "run the command again when the receiver works" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--url", "http://shop.example/", "--secret-file", "x"], "should begin with https://; http:// is only for this machine"),
        (["--url", "https://a:b@shop.example/", "--secret-file", "x"], "should have no user name"),
        (["--url", "https://shop.example/", "--secret-file", "missing"], "cannot read missing"),
        (["--url", "https://shop.example/", "--secret-file", ROOT / "Makefile"], "secret 1 should be whsec_ and 24 to 64 bytes in base64"),
        (["--url", "https://shop.example/"], "--secret-file"),
    ],
)
def test_wrong_input_is_told_what_would_be_right(shop, arguments, sentence):
    done = shop.call("webhooks", "replay", "--since", "2026-01-01", *arguments, check=False)
    assert done.returncode != 0
    assert sentence in done.stderr


def test_the_receiver_of_the_documentation_takes_what_is_sent(shop):
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "webhooks.md").read_text(), re.DOTALL).group(1)
    example = {"__name__": "example"}
    exec(code, example)
    example["SECRET"] = base64.b64decode(NEW.removeprefix("whsec_"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), example["Receiver"])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver = types.SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/")
    for _ in range(2):
        assert json.loads(replay(shop, receiver, "--json").stdout)["sent"] == 12
    assert example["done"] == {event["detail"]["decision_id"] for event in shop.events}
    example["SECRET"] = b"another" * 5
    assert "HTTP status 401" in replay(shop, receiver, check=False).stdout
    server.shutdown()
    server.server_close()


class Cloud:
    """Secrets Manager and SQS, as far as the function asks them."""

    def __init__(self):
        self.hidden = []
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                operation = self.headers["x-amz-target"].split(".")[1]
                if operation == "ChangeMessageVisibilityBatch":
                    cloud.hidden += asked["Entries"]
                answers = {
                    "GetSecretValue": {"Name": asked.get("SecretId"), "SecretString": f"{OLD} {NEW}"},
                    "ChangeMessageVisibilityBatch": {"Successful": [], "Failed": []},
                }
                body = json.dumps(answers[operation]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_the_function_delivers_what_the_queue_brings_again(shop, bootstraps, tmp_path):
    cloud = Cloud()
    waiting = {f"m-{number}": json.dumps(event) for number, event in enumerate(shop.events[:10])}

    def batch():
        return {
            "Records": [
                {
                    "eventSource": "aws:sqs", "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:webhooks", "messageId": name,
                    "receiptHandle": f"handle-{name}", "body": body, "attributes": {"ApproximateReceiveCount": "3"},
                }
                for name, body in waiting.items()
            ]
        }

    with Receiver(500, "hang", "close", 204, 301, 204, 429) as receiver:
        env = environment(
            AWS_ENDPOINT_URL=cloud.url, WEBHOOK_URL=receiver.url, WEBHOOK_SECRET_NAME="webhooks", WEBHOOK_TIMEOUT_MS="500", RUST_LOG="trace"
        )
        function = Environment(bootstraps["webhook"], env, tmp_path / "log")
        try:
            failed = function.invoke(batch())["batchItemFailures"]
            assert 0 < len(failed) < 10
            # They are hidden for longer, because they came for the third time: a minute or two.
            assert len(cloud.hidden) == len(failed)
            assert {60 <= entry["VisibilityTimeout"] <= 120 for entry in cloud.hidden} == {True}

            def deliver():
                names = {row["itemIdentifier"] for row in function.invoke(batch())["batchItemFailures"]}
                for name in set(waiting) - names:
                    del waiting[name]
                return not waiting

            eventually(deliver, what="all messages are delivered")
        finally:
            function.end()
    assert set(receiver.taken) == {event["detail"]["decision_id"] for event in shop.events[:10]}
    assert all(verified(secret, message.headers, message.body) for message in receiver.seen for secret in (OLD, NEW))
    log = (tmp_path / "log").read_text()
    assert "HTTP status 500" in log
    assert not any(word in log for word in ("ORD-", "whsec_", OLD[6:], "webhook-signature"))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"WEBHOOK_URL": ""}, "WEBHOOK_URL is missing"),
        ({"WEBHOOK_URL": "http://shop.example/"}, "should begin with https://"),
        ({"WEBHOOK_SECRET_NAME": ""}, "WEBHOOK_SECRET_NAME is missing"),
        ({"WEBHOOK_TIMEOUT_MS": "soon"}, "a whole number of milliseconds"),
    ],
)
def test_the_function_does_not_start_with_a_wrong_setting(bootstraps, wrong, sentence, tmp_path):
    env = environment(WEBHOOK_URL="https://shop.example/", WEBHOOK_SECRET_NAME="webhooks") | wrong
    function = Environment(bootstraps["webhook"], env, tmp_path / "log")
    try:
        assert function.process.wait(timeout=30) != 0
    finally:
        function.end()
    assert sentence in (tmp_path / "log").read_text()


def test_a_verdict_is_sent_with_its_own_id(shop):
    """The last test of the shop: it has a verdict from now on."""
    by = ("ORD-0", "--as", "ana")
    shop.call("review", "appeal", *by, "--reason", "the customer called")
    shop.call("review", "claim", *by)
    shop.call("review", "block", *by, "--reason", "the card was reported")
    told = [json.loads(line) for line in shop.outcomes.read_text().splitlines()]
    (reviewed,) = [event["detail"] for event in told if event["detail-type"] == "Decision Reviewed"]
    with Receiver() as receiver:
        report = json.loads(replay(shop, receiver, "--json").stdout)
    assert (report["decisions"], report["verdicts"], report["sent"]) == (12, 1, 13)
    (message,) = [message for message in receiver.seen if message.id == reviewed["verdict_id"]]
    body = json.loads(message.body)
    assert body == {"type": "decision.reviewed", "timestamp": reviewed["reviewed_at"], "data": reviewed}
    assert "reported" not in message.body.decode()
