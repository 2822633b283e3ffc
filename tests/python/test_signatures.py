"""`serve --credentials`: who signs with a key of the file is answered, everybody else is refused in AWS's words."""

import datetime
import http.client
import subprocess
import types
import urllib.parse

import boto3
import botocore.auth
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import REGION, environment, free_port, run, server

KEY, SECRET = "AKIDSHOP", "a+secret/of=the&shop"
FILE = f"""
[default]
aws_access_key_id = {KEY}
aws_secret_access_key = {SECRET}

[session]
aws_access_key_id = ASIASHOP
aws_secret_access_key = other
aws_session_token = a/token==
"""


@pytest.fixture(scope="module")
def signed(fraudstream, logs, tmp_path_factory):
    """The address of a server that knows the keys of the file."""
    folder = tmp_path_factory.mktemp("signed")
    (folder / "credentials").write_text(FILE)
    port = free_port()
    command = [fraudstream, "--home", folder / "home", "serve", "--port", port, "--credentials", folder / "credentials"]
    url = f"http://127.0.0.1:{port}"
    with server(command, f"{url}/_fraudstream/health", logs / "signed.log"):
        yield url


def client(url, service="frauddetector", key=KEY, secret=SECRET, token=None, **config):
    return boto3.client(
        service, endpoint_url=url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
    )


def refusal(call, **request):
    try:
        answer = call(**request)
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    pytest.fail(f"accepted, with {answer}")


# Unusual characters are where two ways of signing part.
NAMES = ["a", "with blank & ü+%2F", "deep/er/~x"]


def test_the_right_key_is_answered_by_every_service(signed):
    afd = client(signed)
    afd.put_label(name="fraud", description="ü & <>")
    assert [row["name"] for row in afd.get_labels()["labels"]] == ["fraud"]
    assert "Decisions" in client(signed, "dynamodb").list_tables()["TableNames"]
    entry = {"Source": "shop", "DetailType": "order", "Detail": "{}", "EventBusName": "fraudstream"}
    assert client(signed, "events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    s3 = client(signed, "s3")
    for name in NAMES:
        s3.put_object(Bucket="fraudstream", Key=name, Body=b"body")
        assert s3.get_object(Bucket="fraudstream", Key=name)["Body"].read() == b"body"
    listed = s3.list_objects_v2(Bucket="fraudstream", Prefix="deep/", MaxKeys=5)["Contents"]
    assert [row["Key"] for row in listed] == ["deep/er/~x"]


def test_a_session_needs_its_token(signed):
    assert client(signed, key="ASIASHOP", secret="other", token="a/token==").get_outcomes()["outcomes"] == []
    for token in (None, "another"):
        refused = refusal(client(signed, key="ASIASHOP", secret="other", token=token).get_outcomes)
        assert refused.startswith("UnrecognizedClientException: ")
    assert refusal(client(signed, token="a/token==").get_outcomes).startswith("UnrecognizedClientException: ")


# service, call, what is wrong, the exception
REFUSED = [
    ("frauddetector", "get_labels", {"secret": "wrong"}, "InvalidSignatureException: The request signature we calculated does not match"),
    ("frauddetector", "get_labels", {"key": "AKIDOTHER"}, "UnrecognizedClientException: The security token included in the request is invalid."),
    ("frauddetector", "get_labels", {"signature_version": UNSIGNED}, "MissingAuthenticationTokenException: Missing Authentication Token"),
    ("dynamodb", "list_tables", {"secret": "wrong"}, "InvalidSignatureException: "),
    ("dynamodb", "list_tables", {"signature_version": UNSIGNED}, "MissingAuthenticationTokenException: "),
    ("events", "list_event_buses", {"key": "AKIDOTHER"}, "UnrecognizedClientException: "),
    ("s3", "list_buckets", {"secret": "wrong"}, "SignatureDoesNotMatch: "),
    ("s3", "list_buckets", {"key": "AKIDOTHER"}, "InvalidAccessKeyId: "),
    ("s3", "list_buckets", {"signature_version": UNSIGNED}, "AccessDenied: "),
]


@pytest.mark.parametrize("service, call, wrong, exception", REFUSED)
def test_others_are_refused(signed, service, call, wrong, exception):
    assert refusal(getattr(client(signed, service, **wrong), call)).startswith(exception)


def test_an_altered_request_is_refused(signed):
    def alter(change):
        afd = client(signed)
        afd.meta.events.register("before-send.frauddetector", lambda request, **_: change(request))
        return refusal(afd.put_label, name="legit")

    def other_body(request):
        request.body = request.body.replace(b"legit", b"other")

    def other_target(request):
        request.headers["X-Amz-Target"] = "AWSHawksNestServiceFacade.DeleteLabel"

    for change in (other_body, other_target):
        assert alter(change).startswith("InvalidSignatureException: The request signature we calculated does not match")
    s3 = client(signed, "s3", request_checksum_calculation="when_required")
    s3.meta.events.register("before-send.s3", lambda request, **_: setattr(request, "body", b"BODY"))
    assert refusal(s3.put_object, Bucket="fraudstream", Key="altered", Body=b"body").startswith("XAmzContentSHA256Mismatch: ")
    assert [row["name"] for row in client(signed).get_labels()["labels"]] == ["fraud"]


@pytest.mark.parametrize("service, call, minutes, exception", [
    ("frauddetector", "get_labels", -4, None),
    ("frauddetector", "get_labels", 4, None),
    ("frauddetector", "get_labels", -6, "InvalidSignatureException: Signature expired: "),
    ("frauddetector", "get_labels", 6, "InvalidSignatureException: Signature not yet current: "),
    ("s3", "list_buckets", -14, None),
    ("s3", "list_buckets", -16, "RequestTimeTooSkewed: "),
    ("s3", "list_buckets", 16, "RequestTimeTooSkewed: "),
])
def test_clocks(signed, monkeypatch, service, call, minutes, exception):
    shifted = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: shifted.replace(tzinfo=None))
    call = getattr(client(signed, service), call)
    if exception:
        assert refusal(call).startswith(exception)
    else:
        call()


@pytest.fixture
def captured(signed):
    """A signed request as it went over the wire."""
    kept = {}
    afd = client(signed)
    afd.meta.events.register(
        "before-send.frauddetector", lambda request, **_: kept.update(body=request.body, headers=dict(request.headers.items()))
    )
    afd.get_labels()
    text = {name: value.decode() if isinstance(value, bytes) else value for name, value in kept["headers"].items()}
    return types.SimpleNamespace(body=kept["body"], headers=text)


def send(url, headers, body=b"{}"):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=20)
    connection.request("POST", "/", body, headers)
    response = connection.getresponse()
    answer = response.read().decode()
    connection.close()
    return response.status, answer


def test_the_same_request_may_come_again(signed, captured):
    assert [send(signed, captured.headers, captured.body)[0] for _ in range(2)] == [200, 200]


def test_headers_that_are_no_signature(signed, captured):
    good = captured.headers["Authorization"]
    cases = {
        "Bearer token": "IncompleteSignatureException",
        "AWS4-HMAC-SHA256": "IncompleteSignatureException",
        "AWS4-HMAC-SHA256 Credential=a": "IncompleteSignatureException",
        good.replace("SignedHeaders=", "Signed="): "IncompleteSignatureException",
        good.replace("/aws4_request", ""): "IncompleteSignatureException",
        good.replace("/aws4_request", "/aws4_request/x"): "IncompleteSignatureException",
        good.replace("/frauddetector/", "/dynamodb/"): "InvalidSignatureException",
        good.replace(f"/{REGION}/", "/eu-west-1/"): "InvalidSignatureException",
        good.replace("x-amz-target", "x-amz-nothing"): "InvalidSignatureException",
        good.replace(";x-amz-target", ""): "InvalidSignatureException",
        good[:-1]: "InvalidSignatureException",
        good + "0": "InvalidSignatureException",
    }
    for header, exception in cases.items():
        status, answer = send(signed, {**captured.headers, "Authorization": header}, captured.body)
        assert (status, f'"{exception}"' in answer) == (400, True), (header, answer)
    for date in ("", "yesterday", "20260601T101530", "99999999T999999Z"):
        status, answer = send(signed, {**captured.headers, "X-Amz-Date": date}, captured.body)
        assert (status, "IncompleteSignatureException" in answer) == (400, True), (date, answer)


def test_the_command_line_signs(signed, fraudstream, tmp_path):
    env = environment(AWS_ENDPOINT_URL=signed, AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET)
    run(fraudstream, "--home", tmp_path, "apply", "config/detector.yaml", env=env, timeout=120)
    assert client(signed).get_detectors(detectorId="orders")["detectors"]


@pytest.mark.parametrize("arguments, sentence", [
    (["--host", "0.0.0.0"], "anyone who reaches 0.0.0.0 could read and write everything: say --credentials, or stay at 127.0.0.1"),
    (["--credentials", "nothing"], "cannot read nothing: "),
    (["--credentials", "empty"], "empty has no key: "),
])
def test_what_it_does_not_start_with(fraudstream, tmp_path, arguments, sentence):
    (tmp_path / "empty").write_text("[default]\n")
    done = subprocess.run(
        [fraudstream, "serve", "--port", "0", *arguments], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0 and sentence in done.stderr, done
