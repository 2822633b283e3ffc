"""The functions in two terminals, as docs/ shows it: `fraudstream serve` in one, `cargo lambda` in the other."""

import contextlib
import json

import pytest
from conftest import FUNCTIONS, HOST, REGION, ROOT, TARGET_CPU, free_port, run, server
from test_template import resources

PAYLOADS = [
    ("predict", "predict-kinesis.json"),
    ("predict", "predict-sqs.json"),
    ("ingest", "ingest-kinesis.json"),
    ("label", "label-sqs.json"),
    ("forward", "forward-dynamodb.json"),
]


@contextlib.contextmanager
def watched(name, env, log):
    """`cargo lambda watch` of one function, and how to invoke it."""
    port = free_port()
    env = env | {"RUSTFLAGS": f"-C target-cpu={TARGET_CPU}"}
    # In the function's folder: in the workspace's, cargo would unite the features of all crates and compile the
    # AWS SDK once more.
    command = [
        "cargo", "lambda", "watch", "--release", "--target", HOST, "--ignore-changes",
        "--invoke-address", "127.0.0.1", "--invoke-port", port,
    ]
    with server(command, f"http://127.0.0.1:{port}/", log, cwd=ROOT / "functions" / name, env=env):
        def invoke(payload):
            done = run("cargo", "lambda", "invoke", name, "--invoke-address", "127.0.0.1", "--invoke-port", port, "--data-file", payload)
            return json.loads(done.stdout)

        yield invoke


@pytest.fixture(scope="session")
def env(serve, bootstraps):
    """Where the functions find everything. The mapping and the names of the tables are the defaults."""
    return serve.env | {"FRAUD_DETECTOR": "engine", "BUCKET": "fraudstream", "AWS_ACCOUNT_ID": "123456789012", "RUST_LOG": "info"}


@pytest.mark.parametrize(("name", "payload"), PAYLOADS, ids=[payload.removesuffix(".json") for _, payload in PAYLOADS])
def test_a_function_takes_what_aws_delivers(name, payload, env, logs):
    with watched(name, env, logs / f"watch-{payload}.log") as invoke:
        # Twice, because everything is delivered at least once.
        for _ in range(2):
            assert invoke(ROOT / "events" / payload) == {"batchItemFailures": []}


def test_predict_answers_a_bare_order_with_its_decision(env, logs, serve):
    path = ROOT / "events" / "predict-order.json"
    with watched("predict", env, logs / "watch-order.log") as invoke:
        answer = invoke(path)
        assert invoke(path) == answer
    assert answer["order_id"] == json.loads(path.read_text())["order_id"]
    items = serve.client("dynamodb").scan(TableName="Decisions", ConsistentRead=True)["Items"]
    decided = {item["decision_id"]["S"]: item for item in items if item.get("kind") == {"S": "decision"}}
    assert decided[answer["decision_id"]]["effective_outcome"]["S"] == answer["effective_outcome"]


def test_predict_answers_a_request_to_its_url(env, logs, serve):
    path = ROOT / "events" / "predict-url.json"
    with watched("predict", env, logs / "watch-url.log") as invoke:
        first, again = invoke(path), invoke(path)
    assert [answer["statusCode"] for answer in (first, again)] == [200, 200]
    assert json.loads(again["body"])["decided"] == "before"
    assert {**json.loads(first["body"]), "decided": "before"} == json.loads(again["body"])
    order = json.loads(json.loads(path.read_text())["body"])
    assert json.loads(first["body"])["order_id"] == order["order_id"]


def test_a_record_that_can_never_succeed_does_not_fail_its_batch(env, logs, serve, tmp_path):
    event = json.loads((ROOT / "events" / "predict-sqs.json").read_text())
    event["Records"][0] |= {"body": "{not json", "messageId": "00000000-0000-4000-8000-00000000dead"}
    path = tmp_path / "poison.json"
    path.write_text(json.dumps(event))
    with watched("predict", env, logs / "watch-poison.log") as invoke:
        assert invoke(path) == {"batchItemFailures": []}
    found = serve.client("s3").list_objects_v2(Bucket="fraudstream", Prefix="rejected/predict/")["Contents"]
    assert any("dead" in item["Key"] for item in found)


def test_the_tables_of_a_laptop_are_those_of_the_template(serve):
    wanted = resources("AWS::DynamoDB::Table")
    for name in ["Definitions", "Events", "Decisions"]:
        table = serve.client("dynamodb").describe_table(TableName=name)["Table"]
        assert layout(table) == layout(wanted[name]), name


def layout(table):
    indexes = {
        index["IndexName"]: (index["KeySchema"], set(index["Projection"].get("NonKeyAttributes", [index["Projection"]["ProjectionType"]])))
        for index in table.get("GlobalSecondaryIndexes", [])
    }
    attributes = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    return table["KeySchema"], attributes, indexes


@pytest.mark.parametrize("name", FUNCTIONS)
def test_cargo_lambda_deploys_a_function(name, stack, bootstraps):
    # With the role and the environment of its twin in the stack: what cargo-lambda does not make.
    functions = stack.client("lambda").list_functions()["Functions"]
    (twin,) = [found for found in functions if found["FunctionName"].startswith(f"fraudstream-{name.title()}-")]
    variables = [f"--env-var={key}={value}" for key, value in twin["Environment"]["Variables"].items() if value]
    function = f"by-cargo-lambda-{name}"
    target = ["--endpoint-url", stack.env["AWS_ENDPOINT_URL"], "--region", REGION]
    run(
        "cargo", "lambda", "deploy", *target, "--role", twin["Role"], "--binary-path", bootstraps[name], *variables, function,
        env=stack.env, timeout=120,
    )
    # An empty batch: the function starts, reads its environment and answers.
    done = run("cargo", "lambda", "invoke", "--remote", *target, "--data-ascii", '{"Records":[]}', function, env=stack.env, timeout=120)
    assert json.loads(done.stdout) == {"batchItemFailures": []}
