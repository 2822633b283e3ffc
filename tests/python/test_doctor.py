"""`fraudstream doctor`: a template that is broken, and the probe of a table on MiniStack, which tells what statements lack there."""

import json
import signal
import subprocess
import time

import pytest
from conftest import ROOT, client, environment, eventually


@pytest.fixture(scope="module")
def tables(ministack):
    """Tables of decisions on MiniStack, with and without a stream."""
    dynamodb = client("dynamodb", ministack)
    for name, stream in [("Decisions", {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}), ("Silent", {"StreamEnabled": False})]:
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ["pk", "sk"]],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            StreamSpecification=stream,
        )
    return dynamodb


def items(dynamodb, table="Decisions"):
    return dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]


def doctor(fraudstream, *arguments, home, **env):
    command = [fraudstream, "--home", home, "doctor", *arguments]
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=environment(**env), capture_output=True, text=True, timeout=120)


def steps(report):
    return {step["step"]: step["passed"] for step in report["steps"]}


def test_the_probe_finds_that_ministack_has_no_stream_record_of_a_statement(fraudstream, ministack, tables, tmp_path):
    done = doctor(fraudstream, "--probe", "--wait", "3", "--json", home=tmp_path, AWS_ENDPOINT_URL=ministack)
    assert done.returncode == 1, done.stderr
    assert done.stderr == "fraudstream: the probe did not pass\n"
    report = json.loads(done.stdout)
    assert steps(report) == {"table": True, "put": True, "insert": True, "duplicate": True, "stream": False, "delete": True}
    [stream] = [step for step in report["steps"] if step["step"] == "stream"]
    # The control is there, so it is the statement that the stream lacks.
    assert stream["seen"].startswith("PutItem seen after ")
    assert "INSERT not seen within " in stream["seen"]
    assert stream["advice"].startswith("the stream has what PutItem puts and not what statements insert")
    assert (report["table"], report["statements_may_be_used"], report["decision_writes"]) == ("Decisions", False, "put-item")
    assert items(tables) == []


def test_the_probe_in_words(fraudstream, ministack, tables, tmp_path):
    done = doctor(fraudstream, "--probe", "--wait", "0", home=tmp_path, AWS_ENDPOINT_URL=ministack)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["table", "put", "insert", "duplicate", "stream", "delete"]
    assert lines[3] == "duplicate  ok      the same INSERT again: DuplicateItem"
    assert lines[-1].startswith("Keep DecisionWrites=put-item for table Decisions: ")


def test_an_interrupted_probe_deletes_its_items(fraudstream, ministack, tables, tmp_path):
    command = [str(fraudstream), "--home", str(tmp_path), "doctor", "--probe", "--wait", "60"]
    probe = subprocess.Popen(
        command, cwd=ROOT, env=environment(AWS_ENDPOINT_URL=ministack), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    found = eventually(lambda: len(now := items(tables)) == 2 and now, what="the items of the probe")
    for item in found:
        # What forward filters for, the indexes of lists and the id of a decision are all absent.
        assert item["kind"] == {"S": "probe"}
        assert not {"decision_id", "gsi1pk", "gsi2pk"} & set(item)
        assert 0 < int(item["expires_at"]["N"]) - time.time() <= 3600
    probe.send_signal(signal.SIGINT)
    output, _ = probe.communicate(timeout=30)
    assert probe.returncode == 1
    assert output.splitlines()[-1] == "Keep DecisionWrites=put-item for table Decisions: the probe was interrupted."
    assert "delete     ok" in output
    assert items(tables) == []


def test_a_table_that_cannot_feed_forward(fraudstream, ministack, tables, tmp_path):
    cases = [("Silent", "ACTIVE, no stream; give the table StreamSpecification"), ("Absent", "DescribeTable: ResourceNotFoundException")]
    for table, seen in cases:
        done = doctor(fraudstream, "--probe", home=tmp_path, AWS_ENDPOINT_URL=ministack, DECISIONS_TABLE=table)
        assert done.returncode == 1, table
        assert done.stdout.startswith(f"table      FAILED  {seen}"), done.stdout
    assert items(tables, "Silent") == []


def test_the_local_folder_needs_no_probe_and_serve_has_no_stream(fraudstream, serve, tmp_path):
    done = doctor(fraudstream, "--probe", home=tmp_path)
    assert done.returncode == 1
    assert "give --aws or --endpoint-url" in done.stderr
    done = doctor(fraudstream, "--probe", "--json", home=tmp_path, AWS_ENDPOINT_URL=serve.endpoint)
    assert steps(json.loads(done.stdout)) == {
        "table": False, "put": True, "insert": True, "duplicate": True, "stream": False, "delete": True,
    }
    assert items(serve.client("dynamodb")) == []


def test_a_template_is_read_without_aws(fraudstream, tmp_path):
    done = doctor(fraudstream, home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "template.yaml: nothing found that would lose orders or money\n"), done.stderr
    text = (ROOT / "template.yaml").read_text()
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace("MaximumRetryAttempts: -1", "MaximumRetryAttempts: 2", 1))
    done = doctor(fraudstream, broken, home=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(f"error: PredictFromOrders ({broken}:")
    assert done.stderr == f"fraudstream: 1 finding in {broken}\n"
    done = doctor(fraudstream, broken, "--json", home=tmp_path)
    [finding] = json.loads(done.stdout)["findings"]
    assert (finding["severity"], finding["resource"]) == ("error", "PredictFromOrders")
    assert text.splitlines()[finding["line"] - 1] == "  PredictFromOrders:"


def test_what_is_no_template_is_a_sentence(fraudstream, tmp_path):
    cases = [("events/orders.jsonl", "fraudstream: events/orders.jsonl:"), ("config/detector.yaml", "fraudstream: config/detector.yaml has no function with ")]
    for file, want in cases:
        done = doctor(fraudstream, file, home=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(want), done.stderr
