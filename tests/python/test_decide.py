"""`POST /decide` of `fraudstream serve`, as a checkout asks it: one order in, its decision out."""

import concurrent.futures
import copy
import http.client
import json
import types
import urllib.parse

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conftest import REGION, ROOT, environment, eventually, free_port, make_call, run, server

KEY, SECRET = "AKIDCHECKOUT", "a+secret/of=the&checkout"
JSON = {"Content-Type": "application/json"}
ORDER = json.loads((ROOT / "events" / "predict-order.json").read_text())


def send(url, body, method="POST", path="/decide", headers=JSON):
    """Status, headers and JSON of the answer."""
    host = urllib.parse.urlsplit(url).netloc
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, answer.headers, json.loads(text) if text.startswith("{") else text
    finally:
        connection.close()


def decide(url, order, **more):
    status, _, answer = send(url, json.dumps(order), **more)
    return status, answer


def order(order_id, **changes):
    return copy.deepcopy(ORDER) | {"order_id": order_id} | changes


@pytest.fixture(scope="module")
def checkout(fraudstream, logs, tmp_path_factory):
    """`serve` with the sample's detector and mapping."""
    home = tmp_path_factory.mktemp("decide")
    call = make_call(fraudstream, home)
    call("apply")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with server([fraudstream, "--home", home, "serve", "--port", port], f"{url}/_fraudstream/health", logs / "decide.log"):
        yield types.SimpleNamespace(url=url, home=home, log=logs / "decide.log")


def test_an_order_is_decided_once_and_forwarded_once(checkout, fraudstream):
    status, first = decide(checkout.url, order("ORD-ONCE"))
    assert (status, first["decided"], first["order_id"], first["revision"]) == (200, "now", "ORD-ONCE", 1)
    assert first["effective_outcome"] in first["outcomes"]
    assert decide(checkout.url, order("ORD-ONCE")) == (200, first | {"decided": "before"})
    # Other content under the same revision is told what would be right; as the next revision it is decided.
    edited = order("ORD-ONCE", total="1.00")
    status, refused = decide(checkout.url, edited)
    assert (status, refused["decided"], refused["reason"]) == (409, False, "order-changed")
    assert "send a changed order as a new revision" in refused["message"]
    status, second = decide(checkout.url, edited | {"revision": 2})
    assert (status, second["decided"], second["revision"]) == (200, "now", 2)

    def forwarded():
        path = checkout.home / "outcomes.jsonl"
        events = [json.loads(line)["detail"] for line in path.read_text().splitlines()] if path.exists() else []
        return [event["decision_id"] for event in events if event["order_id"] == "ORD-ONCE"]

    eventually(lambda: len(forwarded()) >= 2, what="the decisions are forwarded")
    assert forwarded() == [first["decision_id"], second["decision_id"]]
    # The record is that of the stream: the commands find it.
    env = environment(AWS_ENDPOINT_URL=checkout.url)
    shown = run(fraudstream, "show", "ORD-ONCE", env=env).stdout
    assert first["effective_outcome"] in shown


def test_a_label_finds_a_decision_of_a_call(checkout, fraudstream, tmp_path):
    _, decided = decide(checkout.url, order("ORD-LABEL"))
    chargeback = {"order_id": "ORD-LABEL", "kind": "chargeback", "label_timestamp": "2026-07-20T00:00:00Z", "reason_code": "10.4"}
    path = tmp_path / "chargebacks.jsonl"
    path.write_text(json.dumps(chargeback) + "\n")
    env = environment(AWS_ENDPOINT_URL=checkout.url)
    run(fraudstream, "--home", tmp_path / "home", "run", "label", path, env=env)
    shown = run(fraudstream, "show", "ORD-LABEL", env=env).stdout
    assert decided["effective_outcome"] in shown
    assert "chargeback" in shown


def test_callers_at_the_same_time_get_the_same_decision(checkout):
    # Twelve orders, each sent by eight callers at once; one of the callers of each has an edited order.
    orders = [order(f"ORD-SAME-{number % 12}") for number in range(96)]
    with concurrent.futures.ThreadPoolExecutor(48) as callers:
        answers = list(callers.map(lambda one: decide(checkout.url, one), orders))
    assert {status for status, _ in answers} == {200}
    for number in range(12):
        mine = [answer for _, answer in answers[number::12]]
        assert sorted(answer["decided"] for answer in mine) == ["before"] * 7 + ["now"]
        assert len({json.dumps(answer | {"decided": ""}) for answer in mine}) == 1


def test_callers_who_disagree_about_an_order(checkout):
    orders = [order("ORD-RACE", total=f"{number}.00") for number in range(1, 17)]
    with concurrent.futures.ThreadPoolExecutor(16) as callers:
        answers = list(callers.map(lambda one: decide(checkout.url, one), orders))
    assert sorted(status for status, _ in answers) == [200] + [409] * 15


# what is sent, status, reason, a part of the sentence
REFUSED = [
    ({"body": "not json"}, 400, "not-json", "expected"),
    ({"body": ""}, 400, "empty", "one JSON object"),
    ({"body": "[]"}, 400, "empty", "at least one order"),
    ({"body": "42"}, 422, "not-an-object", "object"),
    ({"body": "{}"}, 422, "missing", ""),
    ({"body": json.dumps([order("A"), order("B")])}, 422, "several-orders", "the body has 2 orders"),
    ({"body": json.dumps(order("LARGE", note="x" * 1024 * 1024))}, 413, "too-large", "at most 1048576 bytes"),
    ({"body": json.dumps(ORDER), "headers": {"Content-Type": "text/plain"}}, 415, "wrong-media-type", "application/json"),
    ({"body": json.dumps(ORDER), "headers": {}}, 415, "wrong-media-type", "application/json"),
]


@pytest.mark.parametrize(("sent", "status", "reason", "part"), REFUSED)
def test_what_is_no_order_is_told_what_would_be_right(checkout, sent, status, reason, part):
    got, headers, answer = send(checkout.url, **sent)
    assert got == status, answer
    assert headers["Content-Type"] == "application/json"
    assert answer["decided"] is False
    assert answer["reason"].startswith(reason), answer
    assert part in answer["message"]


def test_a_body_that_is_far_too_large_is_not_read(checkout):
    host = urllib.parse.urlsplit(checkout.url).netloc
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.putrequest("POST", "/decide")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["reason"]) == (413, "too-large")
    connection.close()


def test_only_this_method_and_path_decide(checkout):
    body = json.dumps(order("ORD-ELSEWHERE"))
    # S3 has all other paths and methods: a bucket of this name.
    assert send(checkout.url, None, method="GET")[0] == 404
    assert "NoSuchBucket" in send(checkout.url, None, method="GET")[2]
    for path in ("/decide/", "/decide/more", "/Decide", "//decide"):
        assert send(checkout.url, body, path=path)[0] != 200, path
    # A page of another origin may not ask, and a name that resolves to this machine is not its name.
    assert send(checkout.url, body, headers=JSON | {"Origin": "https://shop.example"})[0] == 403
    assert send(checkout.url, body, headers=JSON | {"Host": "shop.example"})[0] == 403


def test_nothing_of_an_order_is_logged(checkout):
    decide(checkout.url, order("ORD-QUIET", total="sentinel-4711"))
    send(checkout.url, '{"sentinel-4711": ')
    assert "sentinel-4711" not in checkout.log.read_text()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A folder without a configuration."""
    return tmp_path_factory.mktemp("elsewhere")


def test_without_mapping_or_detector_it_says_what_to_do(fraudstream, elsewhere, logs):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [fraudstream, "--home", elsewhere / "home", "serve", "--port", port]
    with server(command, f"{url}/_fraudstream/health", logs / "no-mapping.log", cwd=elsewhere):
        status, headers, answer = send(url, json.dumps(ORDER))
        assert (status, headers["Retry-After"], answer["reason"]) == (503, "30", "set-up")
        assert "--mapping FILE" in answer["message"]
    command = [*command, "--mapping", ROOT / "config" / "mapping.yaml"]
    with server(command, f"{url}/_fraudstream/health", logs / "no-detector.log", cwd=elsewhere):
        status, headers, answer = send(url, json.dumps(ORDER))
        assert (status, headers["Retry-After"], answer["reason"], answer["effective_outcome"]) == (503, "30", "set-up", "review")
        assert "fraudstream apply" in answer["message"]


def test_a_time_out_has_an_outcome_and_the_decision_comes_later(fraudstream, tmp_path, logs):
    home = tmp_path / "home"
    make_call(fraudstream, home)("apply")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [fraudstream, "--home", home, "serve", "--port", port, "--decide-timeout", "1"]
    with server(command, f"{url}/_fraudstream/health", logs / "late.log"):
        # A batch of many orders takes longer than a millisecond.
        orders = [order(f"ORD-LATE-{number}") for number in range(64)]
        with concurrent.futures.ThreadPoolExecutor(32) as callers:
            answers = list(callers.map(lambda one: decide(url, one), orders))
        late = [(one, answer) for one, (status, answer) in zip(orders, answers, strict=True) if status == 202]
        assert late
        for _, answer in late:
            assert (answer["decided"], answer["reason"], answer["effective_outcome"]) == (False, "time-out", "review")

        def decided(one):
            answer = decide(url, one)[1]
            return answer if answer["decided"] else None

        for one, _ in late[:5]:
            answer = eventually(lambda one=one: decided(one))
            assert answer["decided"] == "before", answer


@pytest.fixture(scope="module")
def guarded(fraudstream, logs, tmp_path_factory):
    """`serve` that answers only requests signed with a key."""
    folder = tmp_path_factory.mktemp("guarded")
    make_call(fraudstream, folder / "home")("apply")
    (folder / "credentials").write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [fraudstream, "--home", folder / "home", "serve", "--port", port, "--credentials", folder / "credentials"]
    with server(command, f"{url}/_fraudstream/health", logs / "guarded.log"):
        yield url


def signed(url, body, key=KEY, secret=SECRET, service="lambda"):
    request = AWSRequest("POST", f"{url}/decide", data=body, headers=dict(JSON))
    SigV4Auth(Credentials(key, secret), service, REGION).add_auth(request)
    return dict(request.headers)


def test_a_signed_request_is_answered_and_no_other(guarded):
    body = json.dumps(order("ORD-SIGNED"))
    assert send(guarded, body, headers=signed(guarded, body))[0] == 200
    for headers in (
        JSON,
        signed(guarded, body, secret="wrong"),
        signed(guarded, body, key="AKIDOTHER"),
        signed(guarded, body, service="s3"),
        signed(guarded, body + " "),
    ):
        status, _, answer = send(guarded, body, headers=headers)
        assert status in (400, 403), answer
    large = json.dumps(order("ORD-LARGE", note="x" * 1024 * 1024))
    assert send(guarded, large, headers=signed(guarded, large))[0] == 413


def test_a_signed_request_may_come_under_any_name(guarded):
    host = f"localhost:{urllib.parse.urlsplit(guarded).port}"
    body = json.dumps(order("ORD-NAME"))
    headers = signed(f"http://{host}", body) | {"Host": host}
    assert send(guarded, body, headers=headers)[0] == 200
