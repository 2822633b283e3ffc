"""The AWS CLI walks from nothing to a decision and why it was made, and back to nothing."""

import json

import pytest
from conftest import TOOLS, environment, run

from .api import REGION, RUN, WHEN


@pytest.fixture
def aws(endpoint):
    """A command of the AWS CLI: its output, read as JSON."""

    def call(command, **options):
        flags = [f"--{name.replace('_', '-')}" for name in options]
        values = [value if isinstance(value, str) else json.dumps(value) for value in options.values()]
        # A switch has no value.
        pairs = [word for flag, value in zip(flags, values) for word in ([flag] if value == "true" else [flag, value])]
        done = run(
            TOOLS / "aws", "frauddetector", command, "--endpoint-url", endpoint, "--region", REGION, "--output", "json", *pairs,
            env=environment(), timeout=60,
        )
        return json.loads(done.stdout) if done.stdout.strip() else None

    return call


def test_the_tutorial(aws):
    name = f"{RUN}registration"
    customer, fraud, legit, review, approve, email, score = (
        f"{RUN}{part}" for part in ("cli_customer", "cli_fraud", "cli_legit", "cli_review", "cli_approve", "cli_email", "cli_ip")
    )
    # What happens, to whom, and what it turned out to be.
    assert aws("put-entity-type", name=customer, description="who registers") is None
    assert aws("put-label", name=fraud) is None
    assert aws("put-label", name=legit) is None
    variables = [
        {"name": email, "dataType": "STRING", "dataSource": "EVENT", "defaultValue": "<null>", "variableType": "EMAIL_ADDRESS"},
        {"name": score, "dataType": "STRING", "dataSource": "EVENT", "defaultValue": "<null>", "variableType": "IP_ADDRESS"},
    ]
    assert aws("batch-create-variable", variable_entries=variables) == {"errors": []}
    assert aws(
        "put-event-type", name=name, event_variables=[email, score], labels=[fraud, legit], entity_types=[customer],
        event_ingestion="ENABLED",
    ) is None

    # What has happened before.
    event = {
        "event_id": "past-1",
        "event_type_name": name,
        "event_timestamp": WHEN,
        "event_variables": {email: "jo@example.com", score: "203.0.113.7"},
        "entities": [{"entityType": customer, "entityId": "cust-1"}],
    }
    assert aws("send-event", **event, assigned_label=legit, label_timestamp=WHEN) is None
    assert aws("get-event", event_id="past-1", event_type_name=name)["event"]["currentLabel"] == legit

    # What is to be decided, and how.
    assert aws("put-outcome", name=review) is None
    assert aws("put-outcome", name=approve) is None
    assert aws("put-detector", detector_id=name, event_type_name=name) is None
    rules = [
        aws(
            "create-rule", rule_id=rule_id, detector_id=name, expression=expression, language="DETECTORPL", outcomes=[outcome],
        )["rule"]
        for rule_id, expression, outcome in [
            ("throw-away", rf'regex_match(".*@trash\.example", lowercase(${email}))', review),
            ("rest", f'${email} != ""', approve),
        ]
    ]
    assert [rule["ruleVersion"] for rule in rules] == ["1", "1"]
    version = aws("create-detector-version", detector_id=name, rules=rules, rule_execution_mode="FIRST_MATCHED")
    assert version == {"detectorId": name, "detectorVersionId": "1", "status": "DRAFT"}
    assert aws("update-detector-version-status", detector_id=name, detector_version_id="1", status="ACTIVE") is None

    # A decision, and why.
    new = event | {"event_id": "new-1", "event_variables": {email: "Jo@TRASH.example"}}
    decided = aws("get-event-prediction", detector_id=name, **new)
    assert decided["ruleResults"] == [{"ruleId": "throw-away", "outcomes": [review]}]
    (row,) = aws("list-event-predictions", event_type={"value": name})["eventPredictionSummaries"]
    assert (row["eventId"], row["detectorVersionId"]) == ("new-1", "1")
    why = aws(
        "get-event-prediction-metadata", event_id="new-1", event_type_name=name, detector_id=name, detector_version_id="1",
        prediction_timestamp=row["predictionTimestamp"],
    )
    assert [(rule["ruleId"], rule["evaluated"], rule["matched"]) for rule in why["rules"]] == [
        ("throw-away", True, True),
        ("rest", False, False),
    ]
    assert why["rules"][0]["expressionWithValues"] == r'regex_match(".*@trash\.example", lowercase("Jo@TRASH.example"))'

    # A list that a rule looks into, and a second version that takes over.
    blocked = f"{RUN}cli_blocked"
    assert aws("create-list", name=blocked, elements=["one@example.com"], variable_type="EMAIL_ADDRESS") is None
    assert aws("update-list", name=blocked, elements=["jo@example.com"], update_mode="APPEND") is None
    assert aws("get-list-elements", name=blocked)["elements"] == ["jo@example.com", "one@example.com"]
    (row,) = aws("get-lists-metadata", name=blocked)["lists"]
    assert row["variableType"] == "EMAIL_ADDRESS"
    listed = aws(
        "create-rule", rule_id="listed", detector_id=name, expression=f"${email} in @{blocked}", language="DETECTORPL", outcomes=[review],
    )["rule"]
    assert aws("create-detector-version", detector_id=name, rules=[listed])["detectorVersionId"] == "2"
    assert aws("update-detector-version-status", detector_id=name, detector_version_id="2", status="ACTIVE") is None
    decided = aws("get-event-prediction", detector_id=name, **event | {"event_id": "new-2"})
    assert decided["ruleResults"] == [{"ruleId": "listed", "outcomes": [review]}]
    summaries = aws("describe-detector", detector_id=name)["detectorVersionSummaries"]
    assert {row["detectorVersionId"]: row["status"] for row in summaries} == {"1": "INACTIVE", "2": "ACTIVE"}

    # Tags.
    (detector,) = aws("get-detectors", detector_id=name)["detectors"]
    arn = detector["arn"]
    assert aws("tag-resource", resource_arn=arn, tags=[{"key": "team", "value": "fraud"}, {"key": "cost", "value": "7"}]) is None
    assert aws("untag-resource", resource_arn=arn, tag_keys=["cost"]) is None
    assert aws("list-tags-for-resource", resource_arn=arn) == {"tags": [{"key": "team", "value": "fraud"}]}

    # What turned out later, and the event's end.
    assert aws("update-event-label", event_id="past-1", event_type_name=name, assigned_label=fraud, label_timestamp=WHEN) is None
    assert aws("get-event", event_id="past-1", event_type_name=name)["event"]["currentLabel"] == fraud
    for event_id in ("past-1", "new-1", "new-2"):
        assert aws("delete-event", event_id=event_id, event_type_name=name, delete_audit_history=True) is None
    assert aws("list-event-predictions", event_type={"value": name})["eventPredictionSummaries"] == []

    # Clean-up in the documented order; each step too early is refused.
    refused = r"ConflictException"
    with pytest.raises(pytest.fail.Exception, match=refused):
        aws("delete-detector-version", detector_id=name, detector_version_id="2")
    with pytest.raises(pytest.fail.Exception, match=refused):
        aws("delete-detector", detector_id=name)
    with pytest.raises(pytest.fail.Exception, match=refused):
        aws("delete-list", name=blocked)
    with pytest.raises(pytest.fail.Exception, match=refused):
        aws("delete-event-type", name=name)
    assert aws("update-detector-version-status", detector_id=name, detector_version_id="2", status="INACTIVE") is None
    for version_id in ("1", "2"):
        assert aws("delete-detector-version", detector_id=name, detector_version_id=version_id) is None
    for rule in [*rules, listed]:
        assert aws("delete-rule", rule=rule) is None
    for outcome in (review, approve):
        assert aws("delete-outcome", name=outcome) is None
    assert aws("delete-detector", detector_id=name) is None
    assert aws("delete-list", name=blocked) is None
    assert aws("delete-event-type", name=name) is None
    for command, names in [("delete-variable", [email, score]), ("delete-label", [fraud, legit]), ("delete-entity-type", [customer])]:
        for one in names:
            assert aws(command, name=one) is None
    with pytest.raises(pytest.fail.Exception, match="ResourceNotFoundException"):
        aws("get-detectors", detector_id=name)
