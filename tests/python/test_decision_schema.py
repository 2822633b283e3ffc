"""The details of decisions and verdicts on EventBridge are what docs/schemas says."""

import copy
import json
import subprocess

import jsonschema
import pytest
from conftest import ROOT, environment

SCHEMAS = ROOT / "docs" / "schemas"
SCHEMA = json.loads((SCHEMAS / "fraud-decision-1.json").read_text())
EXAMPLE = json.loads((SCHEMAS / "fraud-decision-1.example.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("name", ["fraud-decision-1", "decision-reviewed-1"])
def test_the_schema_is_one_and_the_example_is_valid(name):
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    example = json.loads((SCHEMAS / f"{name}.example.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(example)
    assert set(example) == set(schema["properties"]) == set(schema["required"])


@pytest.mark.parametrize("field, value", [
    ("version", 2), ("decision_id", None), ("outcomes", []), ("scores", {"model": "high"}), ("override", {"rule": "x", "kind": "maybe"}), ("event_id", "ORD 1"),
])
def test_what_is_no_decision_is_refused(field, value):
    other = copy.deepcopy(EXAMPLE)
    other[field] = value
    assert not VALIDATOR.is_valid(other)
    del other[field]
    assert not VALIDATOR.is_valid(other)


def test_what_the_pipeline_sends_fits_the_schema(fraudstream, tmp_path):
    def call(*arguments):
        command = [str(fraudstream), "--home", str(tmp_path / "home"), *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

    call("apply", "config/detector.yaml")
    call("run", "predict", "events/orders.jsonl")
    sent = [json.loads(line) for line in (tmp_path / "home" / "outcomes.jsonl").read_text().splitlines()]
    decisions = [event for event in sent if event["detail-type"] == "Fraud Decision"]
    assert len(decisions) > 1900
    for event in decisions:
        VALIDATOR.validate(event["detail"])
        assert set(event["detail"]) == set(SCHEMA["properties"]), "a new field belongs in the schema"
