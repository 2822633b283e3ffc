"""The AWS CLI walks from nothing to a decision and why it was made."""

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
        pairs = [word for pair in zip(flags, values) for word in pair]
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
