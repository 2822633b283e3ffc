"""Every documented error of every operation is met once, under the name by which a client catches it.

Where a request can bring it about, a request does; the others, which only a bad day brings, come from the fault switch
of `fraudstream serve --faults`, and are skipped at an endpoint that has none.
"""

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config

from .api import MODEL_TYPE, REGION, ROLE, WHEN, fresh, refusal
from .model import MODEL
from .test_limits import cases


def documented(*only):
    """Each operation with each exception that it documents."""
    return [
        pytest.param(operation, shape.name, id=f"{operation}-{shape.name}")
        for operation in MODEL.operation_names
        for shape in MODEL.operation_model(operation).error_shapes
        if not only or shape.name in only
    ]


@pytest.mark.parametrize("operation, error", documented())
def test_the_fault_switch(afd, fault, operation, error):
    fault(operation, error)
    with pytest.raises(getattr(afd.exceptions, error)) as caught:
        getattr(afd, xform_name(operation))()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == (500 if error == "InternalServerException" else 400)


def test_a_fault_is_met_as_often_as_it_was_asked_for(afd, fault):
    fault("GetLabels", "ThrottlingException", times=2)
    afd.get_outcomes()
    for _ in range(2):
        assert refusal(afd.get_labels).startswith("ThrottlingException: ")
    afd.get_labels()


def test_an_sdk_retries_throttling_and_our_faults(afd, fault, endpoint):
    config = Config(retries={"total_max_attempts": 3, "mode": "standard"})
    patient = boto3.client(
        "frauddetector", endpoint_url=endpoint, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test", config=config
    )
    for error in ("ThrottlingException", "InternalServerException"):
        fault("GetLabels", error, times=2)
        assert patient.get_labels()["ResponseMetadata"]["RetryAttempts"] == 2


FIRST = {case.values[0]: case.values[2] for case in reversed(cases(beyond=True))}


@pytest.mark.parametrize("operation, error", documented("ValidationException"))
def test_a_request_beyond_its_limits(afd, operation, error):
    assert refusal(getattr(afd, xform_name(operation)), **FIRST[operation]).startswith(f"{error}: ")


def version(shop, number="9"):
    return {"detectorId": shop.name, "detectorVersionId": number}


def rule(shop):
    return {"detectorId": shop.name, "ruleId": "nothing", "ruleVersion": "1"}


def text(shop):
    return {"expression": shop.text("$amount > 1"), "language": "DETECTORPL", "outcomes": [shop.outcome("any")]}


def arn(shop):
    known = shop.afd.get_detectors(detectorId=shop.name)["detectors"][0]["arn"]
    return {"resourceARN": f"{known}x"}


def model(shop):
    return {"modelId": shop.v("nothing"), "modelType": MODEL_TYPE}


def job(shop):
    paths = {"inputPath": "s3://bucket/input.csv", "outputPath": "s3://bucket/out"}
    return {"jobId": fresh("job"), "eventTypeName": fresh(), "iamRoleArn": ROLE, **paths}


# A request for something that does not exist.
MISSING = {
    "CancelBatchImportJob": lambda shop: {"jobId": fresh()},
    "CancelBatchPredictionJob": lambda shop: {"jobId": fresh()},
    "CreateBatchImportJob": job,
    "CreateBatchPredictionJob": lambda shop: {**job(shop), "detectorName": shop.name},
    "CreateModelVersion": lambda shop: {**model(shop), **shop.training()},
    "DeleteEventsByEventType": lambda shop: {"eventTypeName": fresh()},
    "DescribeModelVersions": lambda shop: {**model(shop), "modelVersionNumber": "1.0"},
    "GetBatchImportJobs": lambda shop: {"jobId": fresh()},
    "GetBatchPredictionJobs": lambda shop: {"jobId": fresh()},
    "GetDeleteEventsByEventTypeStatus": lambda shop: {"eventTypeName": fresh()},
    "GetExternalModels": lambda shop: {"modelEndpoint": fresh()},
    "GetKMSEncryptionKey": lambda shop: {},
    "GetModelVersion": lambda shop: {**model(shop), "modelVersionNumber": "1.0"},
    "GetModels": model,
    "UpdateModel": lambda shop: {**model(shop), "description": "x"},
    "UpdateModelVersion": lambda shop: {**model(shop), "majorVersionNumber": "1"},
    "UpdateModelVersionStatus": lambda shop: {**model(shop), "modelVersionNumber": "1.0", "status": "INACTIVE"},
    "CreateDetectorVersion": lambda shop: {"detectorId": fresh(), "rules": []},
    "DeleteDetectorVersion": version,
    "DescribeDetector": lambda shop: {"detectorId": fresh()},
    "GetDetectorVersion": version,
    "GetDetectors": lambda shop: {"detectorId": fresh()},
    "GetEntityTypes": lambda shop: {"name": fresh()},
    "GetEvent": lambda shop: {"eventId": "nothing", "eventTypeName": shop.name},
    "GetEventPrediction": lambda shop: shop.prediction(detectorId=fresh()),
    "GetEventPredictionMetadata": lambda shop: {
        "eventId": "nothing", "eventTypeName": shop.name, **version(shop), "predictionTimestamp": WHEN,
    },
    "GetEventTypes": lambda shop: {"name": fresh()},
    "GetLabels": lambda shop: {"name": fresh()},
    "GetListElements": lambda shop: {"name": fresh()},
    "GetListsMetadata": lambda shop: {"name": fresh()},
    "GetOutcomes": lambda shop: {"name": fresh()},
    "GetRules": lambda shop: {"detectorId": fresh()},
    "GetVariables": lambda shop: {"name": fresh()},
    "ListTagsForResource": arn,
    "SendEvent": lambda shop: shop.event(eventTypeName=fresh()),
    "TagResource": lambda shop: {**arn(shop), "tags": []},
    "UntagResource": lambda shop: {**arn(shop), "tagKeys": []},
    "UpdateDetectorVersion": lambda shop: {**version(shop), "externalModelEndpoints": [], "rules": []},
    "UpdateDetectorVersionStatus": lambda shop: {**version(shop), "status": "ACTIVE"},
    "UpdateEventLabel": lambda shop: {
        "eventId": "nothing", "eventTypeName": shop.name, "assignedLabel": shop.labels[0], "labelTimestamp": WHEN,
    },
    "UpdateList": lambda shop: {"name": fresh(), "description": "x"},
    "UpdateRuleMetadata": lambda shop: {"rule": rule(shop), "description": "x"},
    "UpdateRuleVersion": lambda shop: {"rule": rule(shop), **text(shop)},
    "UpdateVariable": lambda shop: {"name": fresh()},
}


# The engine does not ask for the key, so only the fault switch shows that it is missing.
ELSEWHERE = {"PutKMSEncryptionKey"}


@pytest.mark.parametrize(
    "operation, error", [case for case in documented("ResourceNotFoundException") if case.values[0] not in ELSEWHERE]
)
def test_what_does_not_exist(afd, shop, operation, error):
    with pytest.raises(getattr(afd.exceptions, error)):
        getattr(afd, xform_name(operation))(**MISSING[operation](shop))


def trained(shop):
    """A model version in training, on events that are not there."""
    reference = shop.model()
    version = shop.afd.create_model_version(**reference, **shop.training())["modelVersionNumber"]
    return {**reference, "modelVersionNumber": version}


def asked(shop):
    """An external model that a detector version asks."""
    name = shop.external_model()
    shop.version([shop.rule("scored", "$score > 0.9")], externalModelEndpoints=[name])
    return {"modelEndpoint": name}


def dissociated(shop):
    name = asked(shop)["modelEndpoint"]
    (row,) = shop.afd.get_external_models(modelEndpoint=name)["externalModels"]
    members = MODEL.operation_model("PutExternalModel").input_shape.members
    return {**{name: value for name, value in row.items() if name in members}, "modelEndpointStatus": "DISSOCIATED"}


def being_deleted(shop):
    for number in range(20):
        shop.send(event_id=f"e-{number}")
    shop.afd.delete_events_by_event_type(eventTypeName=shop.name)
    return {"eventTypeName": shop.name}


# A request to delete or to change what is in use.
IN_USE = {
    "DeleteEventsByEventType": being_deleted,
    "DeleteExternalModel": asked,
    "DeleteModel": lambda shop: {name: value for name, value in trained(shop).items() if name != "modelVersionNumber"},
    "DeleteModelVersion": trained,
    "PutExternalModel": dissociated,
    "DeleteDetector": lambda shop: {"detectorId": shop.name},
    "DeleteDetectorVersion": lambda shop: version(shop, "1"),
    "DeleteEntityType": lambda shop: {"name": shop.customer},
    "DeleteEventType": lambda shop: {"name": shop.name},
    "DeleteLabel": lambda shop: {"name": shop.labels[0]},
    "DeleteList": lambda shop: {"name": shop.v("listed")},
    "DeleteOutcome": lambda shop: {"name": shop.v("hit")},
    "DeleteRule": lambda shop: {"rule": {**rule(shop), "ruleId": "hit"}},
    "DeleteVariable": lambda shop: {"name": shop.v("country")},
}
# Documented, and brought about only by two writers that get in each other's way for a long time, which the engine lets
# take effect one after the other: only the fault switch shows it.
WRITERS = {
    "CreateDetectorVersion", "GetEventPrediction", "PutDetector", "PutEntityType", "PutEventType", "PutLabel", "PutOutcome", "SendEvent",
    "UpdateDetectorVersion", "UpdateDetectorVersionMetadata", "UpdateDetectorVersionStatus", "UpdateEventLabel", "UpdateList",
    "UpdateRuleMetadata", "UpdateRuleVersion", "UpdateVariable", "PutKMSEncryptionKey", "UpdateModel", "UpdateModelVersion",
    "UpdateModelVersionStatus",
}


@pytest.mark.parametrize("operation, error", [case for case in documented("ConflictException") if case.values[0] not in WRITERS])
def test_what_is_in_use_stays(afd, shop, operation, error):
    afd.create_list(name=shop.v("listed"), elements=["DE"])
    shop.deciding("hit: $country in @listed")
    with pytest.raises(getattr(afd.exceptions, error)):
        getattr(afd, xform_name(operation))(**IN_USE[operation](shop))
