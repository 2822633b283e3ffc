"""External models: their records, and what a detector does without an endpoint to ask."""

import pytest

from .api import MILLISECONDS, body, check_pages, fresh

ROLE = "arn:aws:iam::123456789012:role/sagemaker"


class Endpoints:
    """External models over the event type of a shop."""

    def __init__(self, afd, shop):
        self.afd, self.shop, self.made = afd, shop, []
        self.score = shop.v("score")
        afd.create_variable(name=self.score, dataType="FLOAT", dataSource="EXTERNAL_MODEL_SCORE", defaultValue="0.0")

    def request(self, name, **changed):
        request = {
            "modelEndpoint": name,
            "modelSource": "SAGEMAKER",
            "invokeModelEndpointRoleArn": ROLE,
            "inputConfiguration": {
                "eventTypeName": self.shop.name,
                "format": "TEXT_CSV",
                "useEventVariables": True,
                "csvInputTemplate": f"{{{{{self.shop.v('amount')}}}}}",
            },
            "outputConfiguration": {"format": "TEXT_CSV", "csvIndexToVariableMap": {"0": self.score}},
            "modelEndpointStatus": "ASSOCIATED",
        }
        return request | changed

    def put(self, name=None, **changed):
        name = name or fresh("endpoint")
        self.afd.put_external_model(**self.request(name, **changed))
        self.made.append(name)
        return name


@pytest.fixture
def endpoints(afd, shop):
    made = Endpoints(afd, shop)
    yield made
    for version in afd.describe_detector(detectorId=shop.name)["detectorVersionSummaries"]:
        reference = {"detectorId": shop.name, "detectorVersionId": version["detectorVersionId"]}
        if version["status"] == "ACTIVE":
            afd.update_detector_version_status(**reference, status="INACTIVE")
        afd.delete_detector_version(**reference)
    for name in made.made:
        afd.delete_external_model(modelEndpoint=name)


def test_what_is_put_can_be_got(afd, endpoints):
    name = endpoints.put()
    (row,) = afd.get_external_models(modelEndpoint=name)["externalModels"]
    arn, created, updated = (row.pop(member) for member in ("arn", "createdTime", "lastUpdatedTime"))
    assert row == endpoints.request(name)
    assert arn.endswith(f":external-model/{name}")
    assert MILLISECONDS.fullmatch(created) and created == updated
    endpoints.put(name, modelEndpointStatus="DISSOCIATED")
    (row,) = afd.get_external_models(modelEndpoint=name)["externalModels"]
    assert (row["modelEndpointStatus"], row["createdTime"]) == ("DISSOCIATED", created)


def test_what_is_deleted_is_gone_and_deleting_it_again_is_no_error(afd, endpoints):
    name = endpoints.put()
    assert body(afd.delete_external_model(modelEndpoint=name)) == {}
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match=name):
        afd.get_external_models(modelEndpoint=name)
    assert body(afd.delete_external_model(modelEndpoint=name)) == {}


def test_a_role_of_another_account(afd, endpoints):
    with pytest.raises(afd.exceptions.AccessDeniedException):
        endpoints.put(invokeModelEndpointRoleArn="arn:aws:iam::999999999999:role/other")


@pytest.mark.parametrize(
    "changed",
    [
        {"invokeModelEndpointRoleArn": "role"},
        {"outputConfiguration": {"format": "TEXT_CSV"}},
        {"outputConfiguration": {"format": "APPLICATION_JSONLINES", "csvIndexToVariableMap": {"0": "score"}}},
        {"outputConfiguration": {"format": "TEXT_CSV", "csvIndexToVariableMap": {"0": "nothing_at_all"}}},
        {"inputConfiguration": {"useEventVariables": True}},
        {"inputConfiguration": {"useEventVariables": True, "format": "TEXT_CSV", "csvInputTemplate": "{{x}}", "eventTypeName": "nothing_at_all"}},
    ],
)
def test_configurations_that_cannot_be(afd, endpoints, changed):
    with pytest.raises(afd.exceptions.ValidationException):
        endpoints.put(**changed)


def test_a_detector_version_uses_what_is_associated(afd, endpoints, shop):
    name = endpoints.put(modelEndpointStatus="DISSOCIATED")
    rule = shop.rule("high", "$score > 0.9")
    with pytest.raises(afd.exceptions.ValidationException, match=name):
        shop.version([rule], externalModelEndpoints=[name])
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match="nothing"):
        shop.version([rule], externalModelEndpoints=["nothing"])
    endpoints.put(name)
    version = shop.version([rule], externalModelEndpoints=[name])
    row = afd.get_detector_version(detectorId=shop.name, detectorVersionId=version)
    assert row["externalModelEndpoints"] == [name]
    for refused in (
        lambda: endpoints.put(name, modelEndpointStatus="DISSOCIATED"),
        lambda: afd.delete_external_model(modelEndpoint=name),
        lambda: afd.delete_variable(name=endpoints.score),
    ):
        with pytest.raises(afd.exceptions.ConflictException, match=name):
            refused()
    # There is no such endpoint, wherever this runs.
    with pytest.raises(afd.exceptions.ResourceUnavailableException):
        shop.predict()
    assert afd.list_event_predictions(eventType={"value": shop.name})["eventPredictionSummaries"] == []


def test_pages(afd, endpoints):
    names = sorted(endpoints.put() for _ in range(6))
    check_pages(afd.get_external_models, "externalModels", lambda row: row["modelEndpoint"], 5, names)
