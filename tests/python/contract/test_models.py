"""Models and their versions; training, where the endpoint has a bucket.

The file of a training is in S3. Elsewhere than against `fraudstream serve` the tests that train need a bucket and a role:
CONTRACT_BUCKET and CONTRACT_ROLE.
"""

import os
import random
import time

import boto3
import pytest

from .api import ENDPOINT, MILLISECONDS, REGION, body, delete_model_version, fresh, pages, refusal

OFI = "ONLINE_FRAUD_INSIGHTS"
ROLE = os.environ.get("CONTRACT_ROLE", "arn:aws:iam::123456789012:role/training")
WINDOW = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-06-01T00:00:00Z"}


class Models:
    """Models over the event type of a shop, which a test leaves behind it clean."""

    def __init__(self, afd, shop):
        self.afd, self.shop, self.made = afd, shop, []
        afd.update_variable(name=shop.v("amount"), variableType="PRICE")
        afd.update_variable(name=shop.v("country"), variableType="CATEGORICAL")

    def create(self, model_id=None, model_type=OFI, **more):
        model = {"modelId": model_id or fresh("model"), "modelType": model_type}
        self.afd.create_model(**model, eventTypeName=self.shop.name, **more)
        self.made.append(model)
        return model

    def schema(self, *names, **mapper):
        fraud, legit = self.shop.labels
        labels = mapper or {"FRAUD": [fraud], "LEGIT": [legit]}
        return {"modelVariables": [self.shop.v(name) for name in names or ("amount", "country")], "labelSchema": {"labelMapper": labels}}

    def ingested(self, model, **changed):
        """A request for a version that learns from stored events."""
        request = {
            "trainingDataSource": "INGESTED_EVENTS",
            "trainingDataSchema": self.schema(),
            "ingestedEventsDetail": {"ingestedEventsTimeWindow": WINDOW},
        }
        return model | request | changed

    def status(self, version):
        return self.afd.get_model_version(**version)["status"]

    def until(self, version, *statuses, timeout=300):
        """Polls as a client does."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if (status := self.status(version)) in statuses:
                return status
            time.sleep(0.1)
        pytest.fail(f"{version} stays {status}")

    def close(self):
        for model in self.made:
            details = [row for page in pages(self.afd.describe_model_versions, "modelVersionDetails", **model) for row in page]
            for detail in details:
                delete_model_version(self.afd, **model, modelVersionNumber=detail["modelVersionNumber"])
            self.afd.delete_model(**model)


@pytest.fixture
def models(afd, shop):
    made = Models(afd, shop)
    yield made
    for version in afd.describe_detector(detectorId=shop.name)["detectorVersionSummaries"]:
        reference = {"detectorId": shop.name, "detectorVersionId": version["detectorVersionId"]}
        if version["status"] == "ACTIVE":
            afd.update_detector_version_status(**reference, status="INACTIVE")
        afd.delete_detector_version(**reference)
    made.close()


def test_what_is_created_can_be_got_and_brings_a_variable(afd, models, shop):
    model = models.create(description="the first")
    (row,) = afd.get_models(**model)["models"]
    arn, created, updated = (row.pop(member) for member in ("arn", "createdTime", "lastUpdatedTime"))
    assert row == model | {"eventTypeName": shop.name, "description": "the first"}
    assert arn.endswith(f":model/{OFI}/{model['modelId']}")
    assert MILLISECONDS.fullmatch(created) and created == updated
    (score,) = afd.get_variables(name=f"{model['modelId']}_insightscore")["variables"]
    assert (score["dataType"], score["dataSource"]) == ("FLOAT", "MODEL_SCORE")
    with pytest.raises(afd.exceptions.ConflictException):
        afd.delete_variable(name=score["name"])
    assert body(afd.update_model(**model, description="renamed")) == {}
    assert afd.get_models(**model)["models"][0]["description"] == "renamed"


def test_a_model_that_exists_is_refused(afd, models):
    model = models.create()
    with pytest.raises(afd.exceptions.ValidationException, match=model["modelId"]):
        models.create(model["modelId"])


def test_models_that_do_not_exist(afd, models):
    nothing = {"modelId": fresh("nothing"), "modelType": OFI}
    version = nothing | {"modelVersionNumber": "1.0"}
    for call in (
        lambda: afd.get_models(modelId=nothing["modelId"]),
        lambda: afd.update_model(**nothing, description="x"),
        lambda: afd.create_model_version(**models.ingested(nothing)),
        lambda: afd.update_model_version(**nothing, majorVersionNumber="1", ingestedEventsDetail={"ingestedEventsTimeWindow": WINDOW}),
        lambda: afd.get_model_version(**version),
        lambda: afd.update_model_version_status(**version, status="ACTIVE"),
        lambda: afd.describe_model_versions(modelId=nothing["modelId"]),
    ):
        with pytest.raises(afd.exceptions.ResourceNotFoundException, match=nothing["modelId"]):
            call()
    assert body(afd.delete_model(**nothing)) == {}
    assert body(afd.delete_model_version(**version)) == {}


def test_an_event_type_with_a_model_stays(afd, models, shop):
    models.create()
    afd.delete_detector(detectorId=shop.name)
    with pytest.raises(afd.exceptions.ConflictException, match=shop.name):
        afd.delete_event_type(name=shop.name)
    afd.put_detector(detectorId=shop.name, eventTypeName=shop.name)


@pytest.mark.parametrize(
    "changed, error",
    [
        ({"trainingDataSource": "EXTERNAL_EVENTS"}, "ValidationException"),
        ({"ingestedEventsDetail": {"ingestedEventsTimeWindow": dict(zip(WINDOW, reversed(WINDOW.values())))}}, "ValidationException"),
        ({"trainingDataSchema": {"modelVariables": ["EVENT_TIMESTAMP", "EVENT_LABEL"]}}, "ResourceNotFoundException"),
    ],
)
def test_what_a_version_cannot_learn_from(afd, models, changed, error):
    with pytest.raises(getattr(afd.exceptions, error)):
        afd.create_model_version(**models.ingested(models.create(), **changed))


def test_a_version_learns_from_typed_variables_and_known_labels(afd, models):
    model = models.create()
    for schema in (models.schema("amount"), models.schema("amount", "items"), models.schema(FRAUD=["x"], LEGIT=["y"])):
        with pytest.raises(afd.exceptions.ValidationException):
            afd.create_model_version(**models.ingested(model, trainingDataSchema=schema))


def test_a_version_without_events_ends_as_an_error(afd, models):
    model = models.create()
    made = body(afd.create_model_version(**models.ingested(model)))
    assert made == model | {"modelVersionNumber": "1.0", "status": "TRAINING_IN_PROGRESS"}
    version = model | {"modelVersionNumber": "1.0"}
    models.until(version, "ERROR")
    (detail,) = afd.describe_model_versions(**version)["modelVersionDetails"]
    messages = detail["trainingResult"]["dataValidationMetrics"]["fileLevelMessages"]
    assert messages[0]["content"] == "No ingested events found for training, please check your training configuration."
    assert refusal(afd.update_model_version_status, **version, status="ACTIVE").startswith("ValidationException: ")
    again = {"majorVersionNumber": "1", "ingestedEventsDetail": {"ingestedEventsTimeWindow": WINDOW}}
    assert afd.update_model_version(**model, **again)["modelVersionNumber"] == "1.01"
    models.until(version | {"modelVersionNumber": "1.01"}, "ERROR")
    assert afd.create_model_version(**models.ingested(model))["modelVersionNumber"] == "2.0"


def orders(labels, prefix, rows=2000):
    """A file of Amazon's form, in which dear orders from FR are mostly fraud."""
    chance = random.Random(7)
    fraud, legit = labels
    lines = [f"{prefix}amount,{prefix}country,EVENT_TIMESTAMP,EVENT_LABEL"]
    for row in range(rows):
        amount, country = chance.uniform(1, 500), chance.choice(["US", "DE", "FR"])
        is_fraud = chance.random() < (0.9 if amount > 300 and country == "FR" else 0.02)
        day, hour = 1 + row * 28 // rows, row % 24
        lines.append(f"{amount:.2f},{country},2026-02-{day:02}T{hour:02}:00:00Z,{fraud if is_fraud else legit}")
    return "\n".join(lines) + "\n"


def rule(shop, rule_id, expression):
    """A rule whose expression is taken as it is: a score's name does not begin as the shop's variables do."""
    outcomes = [shop.outcome(rule_id)]
    request = {"ruleId": rule_id, "expression": expression, "language": "DETECTORPL", "outcomes": outcomes}
    return shop.afd.create_rule(detectorId=shop.name, **request)["rule"]


def test_from_a_file_to_a_score_and_its_explanation(afd, models, shop, endpoint):
    if ENDPOINT and not os.environ.get("CONTRACT_BUCKET"):
        pytest.skip("CONTRACT_BUCKET names no bucket")
    bucket = os.environ.get("CONTRACT_BUCKET", "fraudstream")
    place = {} if ENDPOINT else {"endpoint_url": endpoint, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    s3 = boto3.client("s3", region_name=REGION, config=boto3.session.Config(s3={"addressing_style": "path"}), **place)
    model = models.create()
    key = f"{model['modelId']}/orders.csv"
    s3.put_object(Bucket=bucket, Key=key, Body=orders(shop.labels, shop.prefix).encode())
    detail = {"dataLocation": f"s3://{bucket}/{key}", "dataAccessRoleArn": ROLE}
    request = model | {"trainingDataSource": "EXTERNAL_EVENTS", "trainingDataSchema": models.schema(), "externalEventsDetail": detail}
    afd.create_model_version(**request)
    assert refusal(afd.create_model_version, **request) == (
        "ValidationException: Simultaneous training for the same major version not allowed."
    )
    version = model | {"modelVersionNumber": "1.0"}
    assert models.until(version, "TRAINING_COMPLETE", "ERROR") == "TRAINING_COMPLETE"
    (found,) = afd.describe_model_versions(**version)["modelVersionDetails"]
    metrics = found["trainingResult"]["trainingMetrics"]
    assert metrics["auc"] > 0.8
    assert {"fpr", "precision", "tpr", "threshold"} == set(metrics["metricDataPoints"][0])
    assert [point["threshold"] for point in metrics["metricDataPoints"]] == [5.0 * step for step in range(201)]
    # Samples look for a threshold at these rates. A few hundred good orders do not have one at each exactly.
    rates = [point["fpr"] for point in metrics["metricDataPoints"]]
    assert rates[0] == 1.0 and rates == sorted(rates, reverse=True)
    for rate in (0.03, 0.06):
        assert min(abs(found - rate) for found in rates) <= 0.015, rate
    performance = found["trainingResultV2"]["trainingMetricsV2"]["ofi"]["modelPerformance"]
    assert performance["auc"] == metrics["auc"]
    assert set(performance["uncertaintyRange"]) == {"lowerBoundValue", "upperBoundValue"}
    importance = found["trainingResult"]["variableImportanceMetrics"]["logOddsMetrics"]
    assert {shop.v("amount"), shop.v("country")} <= {metric["variableName"] for metric in importance}

    afd.update_model_version_status(**version, status="ACTIVE")
    models.until(version, "ACTIVE")
    score = f"{model['modelId']}_insightscore"
    high, low = rule(shop, "high", f"${score} >= 700"), rule(shop, "low", f"${score} < 700")
    with pytest.raises(afd.exceptions.ValidationException):
        shop.version([high])
    decides = shop.version([high, low], modelVersions=[version])
    (pinned,) = afd.get_detector_version(detectorId=shop.name, detectorVersionId=decides)["modelVersions"]
    assert pinned.pop("arn").endswith(f":model-version/{OFI}/{model['modelId']}/1.0")
    assert pinned == version
    answer = shop.predict("amount=450 country=FR", "risky")
    assert [result["ruleId"] for result in answer["ruleResults"]] == ["high"]
    (scores,) = answer["modelScores"]
    assert scores["modelVersion"] == version
    assert 700 <= scores["scores"][score] <= 1000
    assert shop.decide("amount=10 country=US", "plain") == "low"

    (row,) = afd.list_event_predictions(eventId={"value": "risky"}, eventType={"value": shop.name})["eventPredictionSummaries"]
    keys = ("eventId", "eventTypeName", "detectorId", "detectorVersionId", "predictionTimestamp")
    metadata = afd.get_event_prediction_metadata(**{name: row[name] for name in keys})
    (evaluated,) = metadata["evaluatedModelVersions"]
    (evaluation,) = evaluated["evaluations"]
    assert (evaluation["outputVariableName"], float(evaluation["evaluationScore"])) == (score, scores["scores"][score])
    impacts = {
        impact["eventVariableName"]: impact for impact in evaluation["predictionExplanations"]["variableImpactExplanations"]
    }
    assert 1 <= int(impacts[shop.v("amount")]["relativeImpact"]) <= 5
    assert impacts[shop.v("country")]["logOddsImpact"] > 0

    for refused in (
        lambda: afd.update_model_version_status(**version, status="INACTIVE"),
        lambda: afd.delete_model_version(**version),
        lambda: afd.delete_model(**model),
    ):
        with pytest.raises(afd.exceptions.ConflictException):
            refused()


def test_pages_and_filters(afd, models):
    made = [models.create(fresh("page")) for _ in range(3)]
    got = [row["modelId"] for page in pages(afd.get_models, "models", maxResults=1) for row in page]
    assert len(got) == len(set(got))
    assert {model["modelId"] for model in made} <= set(got)
    of_type = [row for page in pages(afd.get_models, "models", modelType=OFI) for row in page]
    assert {row["modelType"] for row in of_type} == {OFI}
    assert body(afd.describe_model_versions(**made[0])) == {"modelVersionDetails": []}


def test_tags(afd, models):
    model = models.create(tags=[{"key": "team", "value": "risk"}])
    arn = afd.get_models(**model)["models"][0]["arn"]
    assert afd.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "team", "value": "risk"}]
    afd.create_model_version(**models.ingested(model))
    version = afd.get_model_version(**model, modelVersionNumber="1.0")
    afd.tag_resource(resourceARN=version["arn"], tags=[{"key": "a", "value": "1"}])
    assert afd.list_tags_for_resource(resourceARN=version["arn"])["tags"] == [{"key": "a", "value": "1"}]
