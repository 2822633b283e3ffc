"""PutEventType, GetEventTypes, DeleteEventType."""

import pytest
from conftest import eventually

from .api import MILLISECONDS, Shop, body, check_pages, delete_detector, fresh, refusal


def one(afd, name):
    (row,) = afd.get_event_types(name=name)["eventTypes"]
    return row


def test_what_is_put_can_be_got(afd, shop):
    shop.put_event_type(description="an order", eventIngestion="DISABLED", eventOrchestration={"eventBridgeEnabled": True})
    row = one(afd, shop.name)
    arn, created, updated = (row.pop(member) for member in ("arn", "createdTime", "lastUpdatedTime"))
    assert arn.endswith(f":event-type/{shop.name}")
    assert MILLISECONDS.fullmatch(created) and created <= updated
    assert row == {
        "name": shop.name,
        "description": "an order",
        "eventVariables": [shop.v(name) for name in shop.VARIABLES],
        "labels": shop.labels,
        "entityTypes": [shop.customer],
        "eventIngestion": "DISABLED",
        "eventOrchestration": {"eventBridgeEnabled": True},
    }


def test_what_a_new_event_type_has_unless_told_otherwise(afd, shop):
    name = fresh("bare")
    answer = afd.put_event_type(name=name, eventVariables=[shop.v("amount")], entityTypes=[shop.customer])
    assert body(answer) == {}
    row = one(afd, name)
    assert (row["eventIngestion"], row["eventOrchestration"]) == ("ENABLED", {"eventBridgeEnabled": False})
    assert row["labels"] == []
    assert "description" not in row


def test_a_put_replaces_but_keeps_ingestion_and_orchestration(afd, shop):
    shop.put_event_type(description="old", eventIngestion="DISABLED", eventOrchestration={"eventBridgeEnabled": True})
    created = one(afd, shop.name)["createdTime"]
    shop.put_event_type(variables=["items", "amount"], labels=shop.labels[:1])
    row = one(afd, shop.name)
    assert row["eventVariables"] == [shop.v("items"), shop.v("amount")]
    assert row["labels"] == shop.labels[:1]
    assert row["createdTime"] == created
    assert "description" not in row
    assert (row["eventIngestion"], row["eventOrchestration"]) == ("DISABLED", {"eventBridgeEnabled": True})


@pytest.mark.parametrize("member", ["eventVariables", "labels", "entityTypes"])
def test_a_name_it_refers_to_must_exist(afd, shop, member):
    before = one(afd, shop.name)
    nothing = fresh("nothing")
    with pytest.raises(afd.exceptions.ValidationException, match=nothing):
        shop.put_event_type(**{member: [nothing]})
    assert one(afd, shop.name) == before


@pytest.mark.parametrize("member", ["eventVariables", "labels", "entityTypes"])
def test_an_empty_name_is_none(shop, member):
    assert refusal(shop.put_event_type, **{member: [""]}).startswith("ValidationException: ")


@pytest.mark.parametrize("member", ["eventVariables", "entityTypes"])
def test_variables_and_entity_types_are_at_least_one(shop, member):
    assert refusal(shop.put_event_type, **{member: []}) == (
        f"ValidationException: 1 validation error detected: Value at '{member}' "
        "failed to satisfy constraint: Member must have length greater than or equal to 1"
    )


def test_an_event_brings_no_variable_of_a_model(afd, shop):
    score = fresh("score")
    afd.create_variable(name=score, dataType="FLOAT", dataSource="EXTERNAL_MODEL_SCORE", defaultValue="0.0")
    with pytest.raises(afd.exceptions.ValidationException, match=score):
        shop.put_event_type(eventVariables=[score])


def test_a_variable_that_a_rule_needs_stays(afd, shop):
    rule = shop.rule("large", "$amount > 100")
    shop.put_event_type(variables=["amount", "items"])
    version = shop.version([rule], status="DRAFT")
    with pytest.raises(afd.exceptions.ValidationException, match="'large'"):
        shop.put_event_type(variables=["items"])
    afd.delete_detector_version(detectorId=shop.name, detectorVersionId=version)
    shop.put_event_type(variables=["items"])


def test_a_variable_that_is_added_counts_at_once(afd, shop):
    shop.put_event_type(variables=["amount"])
    shop.deciding("large: $amount > 100")
    assert refusal(shop.predict, "amount=200 items=3").startswith("ValidationException: ")
    shop.put_event_type()
    assert shop.decide("amount=200 items=3") == "large"
    shop.version([shop.rule("many", "$items > 2")])
    assert shop.decide("amount=200 items=3") == "many"


def test_an_event_type_of_a_detector_stays(afd, shop):
    with pytest.raises(afd.exceptions.ConflictException, match=shop.name):
        afd.delete_event_type(name=shop.name)
    afd.delete_detector(detectorId=shop.name)
    for _ in range(2):
        assert body(afd.delete_event_type(name=shop.name)) == {}
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match=shop.name):
        afd.get_event_types(name=shop.name)


@pytest.mark.parametrize("store", ["send", "predict"])
def test_an_event_type_with_stored_events_stays(afd, shop, store):
    shop.deciding("large: $amount > 100")
    getattr(shop, store)()
    delete_detector(afd, shop.name)
    with pytest.raises(afd.exceptions.ConflictException, match=shop.name):
        afd.delete_event_type(name=shop.name)
    afd.delete_event(eventId="e-1", eventTypeName=shop.name)
    assert body(afd.delete_event_type(name=shop.name)) == {}


def test_the_events_of_an_event_type_are_deleted_before_it(afd, shop):
    for number in range(3):
        shop.send(event_id=f"e-{number}")
    afd.delete_detector(detectorId=shop.name)
    afd.delete_events_by_event_type(eventTypeName=shop.name)

    def deleted():
        """whether the events are deleted"""
        status = afd.get_delete_events_by_event_type_status(eventTypeName=shop.name)["eventsDeletionStatus"]
        return status == "COMPLETE"

    eventually(deleted)
    assert body(afd.delete_event_type(name=shop.name)) == {}


def test_ingestion_that_is_off(afd):
    shop = Shop(afd, eventIngestion="DISABLED").deciding("large: $amount > 100")
    with pytest.raises(afd.exceptions.ValidationException, match="DISABLED"):
        shop.send()
    assert shop.decide("amount=200") == "large"
    with pytest.raises(afd.exceptions.ResourceNotFoundException):
        shop.stored()
    shop.put_event_type(eventIngestion="ENABLED")
    shop.send()
    assert shop.stored()["eventId"] == "e-1"


def test_statistics_of_stored_events(afd, shop):
    for event_id, when in [("e-1", "2026-03-01T00:00:00Z"), ("e-2", "2026-01-01T00:00:00Z"), ("e-1", "2026-02-01T00:00:00Z")]:
        shop.send(event_id=event_id, eventTimestamp=when)

    def counted():
        """the statistics of the event type"""
        return one(afd, shop.name).get("ingestedEventStatistics")

    statistics = eventually(counted, timeout=5)
    assert statistics["numberOfEvents"] == 2
    assert statistics["eventDataSizeInBytes"] > 0
    assert (statistics["leastRecentEvent"], statistics["mostRecentEvent"]) == ("2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z")


def test_pages(afd, shop):
    names = [fresh(f"page-{number}") for number in range(6)]
    for name in names:
        afd.put_event_type(name=name, eventVariables=[shop.v("amount")], entityTypes=[shop.customer])
    check_pages(afd.get_event_types, "eventTypes", lambda row: row["name"], 5, names)
    for name in names:
        afd.delete_event_type(name=name)
