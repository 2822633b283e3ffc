"""Every operation of the service model is served, and every member of its answer appears.

One walk calls each operation once with success and makes what is needed for each member to be there.
"""

import csv
import io
import re

import pytest
from conftest import ROOT, eventually

from . import model
from .api import MODEL_TYPE, REGION, WHEN, Shop, delete_all, fresh
from .model import MODEL, NOT_SHOWN, members
from .test_jobs import ENDED, Files, rows

# Members that this walk leaves out: one would take a thousand versions, the other is in no answer of Amazon's either.
LEFT_OUT = {("DescribeDetector", "nextToken"), ("GetEventPrediction", "modelScores[].modelVersion.arn")}


@pytest.fixture(scope="module", autouse=True)
def walk(afd, endpoint):
    model.SERVED.clear()
    model.SEEN.clear()
    shop = Shop(afd)
    files = Files(endpoint)
    described(afd, shop)
    decided(afd, shop)
    worked(afd, shop, files)
    scored(afd, shop, files)
    listed(afd, shop)
    deleted(afd, shop)
    return shop


def described(afd, shop):
    """Definitions with all their members."""
    text = {"description": "what it is"}
    afd.put_entity_type(name=shop.customer, **text)
    for label in shop.labels:
        afd.put_label(name=label, **text)
    name = fresh("email")
    variable = {"name": name, "dataType": "STRING", "dataSource": "EVENT", "defaultValue": "-"}
    afd.create_variable(**variable)
    afd.update_variable(name=name, variableType="EMAIL_ADDRESS", **text)
    afd.get_variables(name=name)
    afd.batch_get_variable(names=[name, fresh("nothing")])
    afd.batch_create_variable(variableEntries=[variable])
    shop.put_event_type(eventOrchestration={"eventBridgeEnabled": False}, **text)
    afd.put_detector(detectorId=shop.name, eventTypeName=shop.name, **text)
    afd.put_outcome(name=shop.v("review"), **text)
    afd.get_outcomes(name=shop.v("review"))
    afd.get_labels(name=shop.labels[0])
    afd.get_entity_types(name=shop.customer)
    afd.get_detectors(detectorId=shop.name)
    afd.create_list(name=shop.v("listed"), elements=["a"], variableType="EMAIL_ADDRESS", **text)
    afd.update_list(name=shop.v("listed"), elements=[str(number) for number in range(501)], updateMode="REPLACE")
    afd.get_lists_metadata(name=shop.v("listed"))
    arn = afd.get_labels(name=shop.labels[0])["labels"][0]["arn"]
    afd.tag_resource(resourceARN=arn, tags=[{"key": f"k{number}", "value": "v"} for number in range(51)])
    afd.list_tags_for_resource(resourceARN=arn)
    afd.untag_resource(resourceARN=arn, tagKeys=["k1"])


def decided(afd, shop):
    """A detector version, its rules, and what it decided."""
    first = shop.rule("large", "$amount > 100", outcomes="review", description="too much")
    rule = shop.afd.update_rule_version(
        rule=first, expression=shop.text("$amount > 10"), language="DETECTORPL", outcomes=[shop.v("review")], description="much"
    )["rule"]
    afd.update_rule_metadata(rule=rule, description="more than usual")
    version = shop.version([first], "DRAFT", description="first")
    reference = {"detectorId": shop.name, "detectorVersionId": version}
    afd.update_detector_version(**reference, externalModelEndpoints=[], rules=[rule])
    afd.update_detector_version_metadata(**reference, description="the first")
    shop.set(version, "ACTIVE")
    afd.get_detector_version(**reference)
    afd.describe_detector(detectorId=shop.name)
    for number in range(51):
        shop.predict("amount=50", event_id=f"p-{number}")
    row = afd.list_event_predictions(eventType={"value": shop.name}, maxResults=50)["eventPredictionSummaries"][0]
    keys = ("eventId", "eventTypeName", "detectorId", "detectorVersionId", "predictionTimestamp")
    afd.get_event_prediction_metadata(**{key: row[key] for key in keys})
    shop.send()
    afd.update_event_label(eventId="e-1", eventTypeName=shop.name, assignedLabel=shop.labels[0], labelTimestamp=WHEN)
    shop.stored()
    eventually(lambda: "ingestedEventStatistics" in afd.get_event_types(name=shop.name)["eventTypes"][0])


def worked(afd, shop, files):
    """Jobs, and the key of the account."""
    for create, get, cancel, rows_, more in [
        (afd.create_batch_import_job, afd.get_batch_import_jobs, afd.cancel_batch_import_job, "batchImports", {}),
        (
            afd.create_batch_prediction_job, afd.get_batch_prediction_jobs, afd.cancel_batch_prediction_job, "batchPredictions",
            {"detectorName": shop.name},
        ),
    ]:
        good, bad, long = fresh("good"), fresh("bad"), fresh("long")
        files.put(good, rows(shop, 2, labelled=False))
        files.put(long, rows(shop, 20_000, labelled=False))
        for job in (good, bad, long):
            create(**files.request(job, shop, **more))
            if job == long:
                cancel(jobId=job)
            eventually(lambda: get(jobId=job)[rows_][0]["status"] in ENDED, timeout=120)
        get(maxResults=1)
        for job in (good, bad, long):
            {"batchImports": afd.delete_batch_import_job, "batchPredictions": afd.delete_batch_prediction_job}[rows_](jobId=job)
    afd.delete_events_by_event_type(eventTypeName=shop.name)
    eventually(lambda: afd.get_delete_events_by_event_type_status(eventTypeName=shop.name)["eventsDeletionStatus"] in ENDED)
    key = f"arn:aws:kms:{REGION}:123456789012:key/12345678-1234-1234-1234-123456789012"
    afd.put_kms_encryption_key(kmsEncryptionKeyArn=key)
    afd.get_kms_encryption_key()
    afd.put_kms_encryption_key(kmsEncryptionKeyArn="DEFAULT")


def history(shop, count):
    """A file to train on: fraud is dear and mostly from abroad, and most rows do not say where from."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([shop.v("amount"), shop.v("country"), "EVENT_TIMESTAMP", "EVENT_LABEL"])
    for number in range(count):
        fraud = number % 3 == 0
        amount = (300 if fraud else 40) + number * 37 % 200
        country = "" if number % 5 else ("NG", "RO", "US")[number % 7 % 3] if fraud else ("US", "DE")[number % 2]
        writer.writerow([amount, country, f"2026-0{1 + number * 5 // count}-{1 + number % 28:02}T10:00:00Z", shop.labels[0 if fraud else 1]])
    return table.getvalue()


def scored(afd, shop, files):
    """A model from its training to the explanation of a score, and models of others."""
    reference = shop.model(description="what it is")
    afd.update_model(**reference, description="what it was")
    files.put(shop.name, history(shop, 900))
    detail = {"externalEventsDetail": {"dataLocation": files.path(f"{shop.name}/input.csv"), "dataAccessRoleArn": files.role}}
    first = afd.create_model_version(**reference, **shop.training(trainingDataSource="EXTERNAL_EVENTS", **detail))
    version = {name: first[name] for name in ("modelId", "modelType", "modelVersionNumber")}
    eventually(lambda: afd.get_model_version(**version)["status"] != "TRAINING_IN_PROGRESS", timeout=300)
    (described_,) = afd.describe_model_versions(**version)["modelVersionDetails"]
    assert described_["status"] == "TRAINING_COMPLETE", described_
    afd.update_model_version_status(**version, status="ACTIVE")
    eventually(lambda: afd.get_model_version(**version)["status"] == "ACTIVE")
    # Long enough not to end before the request that cancels it.
    files.put(shop.name, history(shop, 20_000))
    again = afd.update_model_version(**reference, majorVersionNumber="1", **detail)["modelVersionNumber"]
    afd.update_model_version_status(**reference, modelVersionNumber=again, status="TRAINING_CANCELLED")
    afd.create_model_version(**reference, **shop.training())
    afd.get_model_version(**reference, modelVersionNumber="2.0")
    afd.describe_model_versions(**reference, modelVersionNumber="2.0")
    afd.describe_model_versions(modelId=reference["modelId"], maxResults=1)
    afd.create_model(modelId=shop.v("other"), modelType=MODEL_TYPE, eventTypeName=shop.name)
    afd.get_models(maxResults=1)
    afd.get_models(**reference)

    for number in range(5):
        shop.external_model(f"endpoint_{number}")
    shop.external_model(
        inputConfiguration={"useEventVariables": True, "eventTypeName": shop.name, "format": "APPLICATION_JSON", "jsonInputTemplate": "{}"},
        outputConfiguration={"format": "APPLICATION_JSONLINES", "jsonKeyToVariableMap": {"score": shop.v("score")}},
    )
    afd.get_external_models(modelEndpoint=shop.v("endpoint"))
    afd.get_external_models(modelEndpoint=shop.v("endpoint_1"))
    afd.get_external_models(maxResults=5)

    score = f"{reference['modelId']}_insightscore"
    rule = afd.create_rule(
        ruleId="scored", detectorId=shop.name, expression=f"${score} >= 0", language="DETECTORPL", outcomes=[shop.outcome("review")],
    )["rule"]
    made = shop.version([rule], modelVersions=[version])
    afd.get_detector_version(detectorId=shop.name, detectorVersionId=made)
    assert shop.decide("amount=450 country=NG", event_id="scored-1") == "scored"
    (row,) = afd.list_event_predictions(eventId={"value": "scored-1"}, eventType={"value": shop.name})["eventPredictionSummaries"]
    keys = ("eventId", "eventTypeName", "detectorId", "detectorVersionId", "predictionTimestamp")
    afd.get_event_prediction_metadata(**{key: row[key] for key in keys})


def listed(afd, shop):
    """More than one page of everything."""
    for number in range(6):
        name = f"{shop.prefix}{number}"
        afd.put_entity_type(name=name)
        afd.put_event_type(name=name, eventVariables=[shop.v("amount")], entityTypes=[shop.customer])
        afd.put_detector(detectorId=name, eventTypeName=name)
        afd.create_list(name=name)
    for number in range(11):
        afd.put_label(name=f"{shop.prefix}{number}")
    for number in range(51):
        afd.put_outcome(name=f"{shop.prefix}{number}")
        shop.rule(f"r-{number}", "$amount > 1", outcomes="review")
    for start in range(0, 75, 25):
        afd.batch_create_variable(variableEntries=[
            {"name": f"{shop.prefix}v{number}", "dataType": "STRING", "dataSource": "EVENT", "defaultValue": ""}
            for number in range(start, start + 25)
        ])
    afd.get_list_elements(name=shop.v("listed"), maxResults=500)
    afd.get_rules(detectorId=shop.name, maxResults=50)
    for call, size in [
        (afd.get_entity_types, 5), (afd.get_event_types, 5), (afd.get_detectors, 5), (afd.get_lists_metadata, 5), (afd.get_labels, 10),
        (afd.get_outcomes, 50), (afd.get_variables, 50),
    ]:
        call(maxResults=size)


def deleted(afd, shop):
    """Everything again, in the order that works."""
    afd.delete_event(eventId="e-1", eventTypeName=shop.name)
    delete_all(afd)


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_the_operation_is_served(operation):
    assert operation in model.SERVED


def shown(operation, place):
    """Whether the member is expected to be there by now."""
    return not any(place == start or place.startswith(f"{start}.") for start in NOT_SHOWN.get(operation, []))


@pytest.mark.parametrize("operation, place", [
    pytest.param(operation, place, marks=pytest.mark.xfail(not shown(operation, place), reason="not shown", strict=True))
    for operation in MODEL.operation_names
    for place in members(MODEL.operation_model(operation).output_shape)
    if (operation, place) not in LEFT_OUT
])
def test_the_member_is_there(operation, place):
    assert (operation, place) in model.SEEN


def test_the_guide_says_what_is_built():
    """The table of docs/differences.md: a row for each operation, with its state."""
    text = (ROOT / "docs" / "differences.md").read_text()
    rows = re.findall(r"^\| (\w+) \| built \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(MODEL.operation_names)
