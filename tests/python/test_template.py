"""What AWS's own tools say of the templates, before anything is deployed."""

import json
import subprocess
import sys

from cfnlint.decode import cfn_yaml

from conftest import ROOT, SAM, TOOLS, environment, run


def test_sam_and_its_linter_find_nothing_in_the_template():
    assert "is a valid SAM Template" in run(SAM, "validate", "--lint", "--template", "template.yaml").stdout


def test_cfn_lint_finds_nothing_in_the_template():
    assert cfn_lint("template.yaml") == []


def test_the_detector_is_cloudformation():
    # W3696: the service takes no new customers. Whoever uses the engine does not care, whoever is one knows.
    found = cfn_lint("config/detector.yaml")
    assert {match["Rule"]["Id"] for match in found} <= {"W3696"}, found


def test_the_payloads_are_made_of_the_sample():
    run(sys.executable, "tests/python/make_events.py", "--check")


def test_the_location_files_are_what_their_script_writes():
    run(sys.executable, "tests/python/make_locations.py", "--check")


def test_only_who_maps_orders_gets_the_location_files():
    functions = resources("AWS::Serverless::Function")
    assert sorted(functions) == ["Forward", "Ingest", "Label", "Predict"]
    for name, function in functions.items():
        variables = function.get("Environment", {}).get("Variables", {})
        assert ("Layers" in function, "IP_LOCATION_FILES" in variables) == (name in ["Predict", "Ingest"],) * 2, name
        # A layer with new files has to make a new version, or `live` would keep the old one.
        assert ("${IpLocationLayer}" in str(function.get("VersionDescription"))) == ("Layers" in function), name


def test_every_mapping_says_what_it_does_with_failures():
    # Without ReportBatchItemFailures Lambda takes every answer for success, and failed records are lost.
    for name, mapping in resources("AWS::Lambda::EventSourceMapping").items():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
        if "StartingPosition" in mapping:
            assert mapping["MaximumRetryAttempts"] == -1, name
            assert mapping["BisectBatchOnFunctionError"] is True, name
            assert "OnFailure" in mapping["DestinationConfig"], name


def test_queues_outlast_a_day_and_no_attempt_overlaps_the_next():
    timeout = template()["Globals"]["Function"]["Timeout"]
    queues = {name: queue for name, queue in resources("AWS::SQS::Queue").items() if "RedrivePolicy" in queue}
    assert len(queues) == 4
    for name, queue in queues.items():
        visibility = queue["VisibilityTimeout"]
        assert visibility >= 6 * timeout, name
        assert visibility * queue["RedrivePolicy"]["maxReceiveCount"] > 24 * 3600, name
        assert queue["MessageRetentionPeriod"] > visibility * queue["RedrivePolicy"]["maxReceiveCount"], name


def test_tables_and_bucket_outlive_the_stack():
    kept = {name: resource for name, resource in template()["Resources"].items() if resource.get("DeletionPolicy") == "Retain"}
    assert sorted(kept) == ["Bucket", "Decisions", "Definitions", "Events"]
    assert all(resource["UpdateReplacePolicy"] == "Retain" for resource in kept.values())
    for name, table in resources("AWS::DynamoDB::Table").items():
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True, name
    expiry = {name: table.get("TimeToLiveSpecification", {}).get("AttributeName") for name, table in resources("AWS::DynamoDB::Table").items()}
    assert expiry == {"Decisions": "expires_at", "Events": "expiresAt", "Definitions": None}


def test_no_policy_is_wider_than_it_must_be():
    # X-Ray and ListStreams know no resources; whatever else stands on `*` is a mistake.
    wide = set()
    for role in resources("AWS::IAM::Role").values():
        for statement in statements(role):
            assert all("*" not in action for action in statement["Action"]), statement
            if statement["Resource"] == "*":
                wide |= set(statement["Action"])
    assert wide == {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "dynamodb:ListStreams"}


def cfn_lint(path):
    # Its exit code tells the level of what it found, so it is not asked for.
    command = [TOOLS / "cfn-lint", "--format", "json", "--region", "us-east-1", "--", path]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def template():
    return cfn_yaml.load(str(ROOT / "template.yaml"))


def resources(kind):
    return {name: resource["Properties"] for name, resource in template()["Resources"].items() if resource["Type"] == kind}


def statements(role):
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            # [condition, statement, nothing]
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement
