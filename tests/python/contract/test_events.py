"""SendEvent, GetEvent, UpdateEventLabel, DeleteEvent."""

import pytest

from .api import WHEN, Shop, body, fresh, post, refusal


@pytest.fixture(scope="module")
def one(afd):
    """An event type for tests that only look at one event of their own."""
    return Shop(afd)


@pytest.fixture
def event_id():
    return fresh("event-1")


def label(shop, event_id):
    """Label and time of a stored event, in short."""
    event = shop.stored(event_id)
    return shop.short(f"{event.get('currentLabel')} {event.get('labelTimestamp')}")


def update(afd, shop, event_id, name, when=WHEN, **changed):
    request = {"eventId": event_id, "eventTypeName": shop.name, "assignedLabel": shop.v(name), "labelTimestamp": when}
    return afd.update_event_label(**request | changed)


def test_what_is_sent_can_be_got(one, event_id):
    given = {"amount": "129.99", "items": "3", "country": "New York, ü", "member": "True", "joined": "2025-02-01T09:00:00Z"}
    assert body(one.send(given, event_id, assignedLabel=one.labels[0], labelTimestamp="2026-07-01T00:00:00Z")) == {}
    assert one.stored(event_id) == {
        "eventId": event_id,
        "eventTypeName": one.name,
        "eventTimestamp": WHEN,
        "eventVariables": one.variables(given),
        "currentLabel": one.labels[0],
        "labelTimestamp": "2026-07-01T00:00:00Z",
        "entities": one.entities,
    }


def test_what_is_not_sent_is_not_stored(one, event_id):
    one.send("amount=1", event_id)
    event = one.stored(event_id)
    assert event["eventVariables"] == one.variables("amount=1")
    assert not {"currentLabel", "labelTimestamp"} & set(event)


# as sent, as stored; nothing where it is refused
TIMESTAMPS = """
2019-11-30T13:01:01Z      | 2019-11-30T13:01:01Z
2024-02-29T23:59:59Z      | 2024-02-29T23:59:59Z
2019/11/30 1:01:01 PM     | 2019-11-30T13:01:01Z
2019/11/30 13:01:01       | 2019-11-30T13:01:01Z
2019-11-30 13:01:01       | 2019-11-30T13:01:01Z
2019/11/30 13:01          | 2019-11-30T13:01:00Z
2019/11/30                | 2019-11-30T00:00:00Z
11/30/2019 1:01:01 PM     | 2019-11-30T13:01:01Z
11/30/2019 13:01:01       | 2019-11-30T13:01:01Z
11-30-2019 13:01:01       | 2019-11-30T13:01:01Z
11/30/19 1:01:01 PM       | 2019-11-30T13:01:01Z
11/30/19 13:01:01         | 2019-11-30T13:01:01Z
1/2/2019 12:00:00 AM      | 2019-01-02T00:00:00Z
1/2/2019 12:00:00 PM      | 2019-01-02T12:00:00Z
01/12/2019                | 2019-01-12T00:00:00Z
01/02/68 00:00            | 2068-01-02T00:00:00Z
01/02/70 00:00            | 1970-01-02T00:00:00Z
1/12/2019                 |
2019-11-30T13:01:01.000Z  |
2019-11-30T13:01:01+00:00 |
2019-11-30T13:01:01       |
2019-11-30t13:01:01z      |
2019-11-30T13:01:01z      |
2019-11-30T13:01:60Z      |
2019-11-30T24:00:00Z      |
2019-02-29T13:01:01Z      |
2019/11/30 13             |
2019/11/30 1 PM           |
2019/11/30 13:01:01.000   |
2019/11/30 13:01:01 PM    |
2019/11/30 0:01:01 AM     |
30/11/2019 13:01:01       |
2019.11.30 13:01:01       |
1575075661000             |
yesterday!!               |
"""


def split(table):
    return [tuple(part.strip() for part in line.split("|")) for line in table.strip().splitlines()]


@pytest.mark.parametrize("given, want", split(TIMESTAMPS))
@pytest.mark.parametrize("member", ["eventTimestamp", "labelTimestamp"])
def test_timestamps(one, event_id, member, given, want):
    request = {"assignedLabel": one.labels[0], "labelTimestamp": WHEN} | {member: given}
    if want:
        one.send(event_id=event_id, **request)
        assert one.stored(event_id)[member] == want
    else:
        got = refusal(one.send, event_id=event_id, **request)
        assert got.startswith("ValidationException: ") and f"'{member}'" in got
        assert refusal(one.stored, event_id=event_id).startswith("ResourceNotFoundException: ")


SENTINEL = "sentinel-4111"


# what is changed, what the message names
REFUSED = [
    ({"eventTypeName": "no_such_type"}, "ResourceNotFoundException", "no_such_type"),
    ({"eventVariables": {"no_such_variable": SENTINEL}}, "ValidationException", "no_such_variable"),
    ({"variables": {"amount": SENTINEL}}, "ValidationException", "$amount"),
    ({"variables": {"items": f"1.5{SENTINEL}"}}, "ValidationException", "$items"),
    ({"variables": {"items": "1.5"}}, "ValidationException", "$items"),
    ({"variables": {"member": SENTINEL}}, "ValidationException", "$member"),
    ({"variables": {"joined": SENTINEL}}, "ValidationException", "$joined"),
    ({"variables": {"country": ""}}, "ValidationException", "$country"),
    ({"eventVariables": {}}, "ValidationException", "eventVariables"),
    ({"entities": []}, "ValidationException", "entity"),
    ({"entities": [{"entityType": "no_such_entity", "entityId": SENTINEL}]}, "ValidationException", "no_such_entity"),
    ({"entities": [{"entityType": "customer", "entityId": f"{SENTINEL} x"}]}, "ValidationException", "entities.1.member.entityId"),
    ({"assignedLabel": "$fraud"}, "ValidationException", "labelTimestamp"),
    ({"labelTimestamp": WHEN}, "ValidationException", "assignedLabel"),
    ({"assignedLabel": "no_such_label", "labelTimestamp": WHEN}, "ValidationException", "no_such_label"),
]


@pytest.mark.parametrize("change, exception, named", REFUSED)
def test_what_is_refused(one, event_id, change, exception, named):
    request = one.event(change.get("variables", "amount=5"), event_id)
    request |= {name: one.text(value) if isinstance(value, str) else value for name, value in change.items() if name != "variables"}
    if request.get("assignedLabel", "").startswith("$"):
        request["assignedLabel"] = request["assignedLabel"][1:]
    got = refusal(one.afd.send_event, **request)
    assert got.startswith(f"{exception}: ")
    assert one.text(named).lstrip("$") in got
    assert SENTINEL not in got
    assert refusal(one.stored, event_id=event_id).startswith("ResourceNotFoundException: ")


@pytest.mark.parametrize("entity_id", ["unknown", "UNKNOWN", "jo@example.com", "a+b_c-d.E9"])
def test_entities(one, event_id, entity_id):
    entities = [{"entityType": one.customer, "entityId": entity_id}] * 2
    one.send(event_id=event_id, entities=entities)
    assert one.stored(event_id)["entities"] == entities


def test_null_is_not_stored(one, event_id, endpoint):
    answer = post(endpoint, "SendEvent", one.event("amount=1 country=null", event_id))
    assert (answer.status, answer.body) == (200, b"{}")
    assert one.stored(event_id)["eventVariables"] == one.variables("amount=1")


def test_events_that_do_not_exist(one, afd, event_id):
    other = Shop(afd)
    other.send(event_id=event_id)
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match=event_id):
        one.stored(event_id)
    with pytest.raises(afd.exceptions.ResourceNotFoundException):
        afd.get_event(eventId=event_id, eventTypeName=fresh("nothing"))
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match=event_id):
        update(afd, one, event_id, "fraud")
    with pytest.raises(afd.exceptions.ResourceNotFoundException):
        update(afd, one, event_id, "fraud", eventTypeName=fresh("nothing"))


def test_a_label_is_replaced(one, afd, event_id):
    one.send(event_id=event_id)
    assert label(one, event_id) == "None None"
    for name, when, want in [
        ("fraud", "2026-07-01T00:00:00Z", "fraud 2026-07-01T00:00:00Z"),
        ("legit", "07/02/2026 1:00:00 PM", "legit 2026-07-02T13:00:00Z"),
        # Older than the one it replaces, and than the event: no order is documented.
        ("fraud", "2020-01-01T00:00:00Z", "fraud 2020-01-01T00:00:00Z"),
    ]:
        assert body(update(afd, one, event_id, name, when)) == {}
        assert label(one, event_id) == want


def test_a_label_that_does_not_fit(one, afd, event_id):
    one.send(event_id=event_id, assignedLabel=one.labels[1], labelTimestamp=WHEN)
    for name, when, want in [("nothing", WHEN, "nothing"), ("fraud", "2026-07-01T00:00:00.5Z", "'labelTimestamp'")]:
        got = refusal(update, afd=afd, shop=one, event_id=event_id, name=name, when=when)
        assert got.startswith("ValidationException: ") and want in got
    assert label(one, event_id) == f"legit {WHEN}"


def test_an_event_that_is_sent_again_keeps_its_label(one, afd, event_id):
    one.send("amount=1 items=2", event_id, assignedLabel=one.labels[0], labelTimestamp=WHEN)
    one.send("amount=7", event_id, eventTimestamp="2026-06-02T00:00:00Z")
    event = one.stored(event_id)
    assert (event["eventVariables"], event["eventTimestamp"]) == (one.variables("amount=7"), "2026-06-02T00:00:00Z")
    assert label(one, event_id) == f"fraud {WHEN}"
    one.send("amount=7", event_id, assignedLabel=one.labels[1], labelTimestamp=WHEN)
    assert label(one, event_id) == f"legit {WHEN}"


def test_a_prediction_stores_its_event(afd, shop):
    shop.deciding("large: $amount > 100")
    shop.predict("amount=1")
    assert shop.stored() == {
        "eventId": "e-1",
        "eventTypeName": shop.name,
        "eventTimestamp": WHEN,
        "eventVariables": shop.variables("amount=1"),
        "entities": shop.entities,
    }
    update(afd, shop, "e-1", "fraud")
    shop.send("amount=2")
    assert shop.stored()["eventVariables"] == shop.variables("amount=2")
    shop.predict("amount=3")
    assert shop.stored()["eventVariables"] == shop.variables("amount=3")
    assert label(shop, "e-1") == f"fraud {WHEN}"


@pytest.mark.parametrize("history, left", [({}, 1), ({"deleteAuditHistory": False}, 1), ({"deleteAuditHistory": True}, 0)])
def test_a_deleted_event(afd, shop, history, left):
    shop.deciding("large: $amount > 100")
    shop.send(assignedLabel=shop.labels[0], labelTimestamp=WHEN)
    shop.predict()
    for _ in range(2):
        assert body(afd.delete_event(eventId="e-1", eventTypeName=shop.name, **history)) == {}
    assert refusal(shop.stored).startswith("ResourceNotFoundException: ")
    assert refusal(update, afd=afd, shop=shop, event_id="e-1", name="fraud").startswith("ResourceNotFoundException: ")
    predictions = afd.list_event_predictions(eventId={"value": "e-1"}, eventType={"value": shop.name})
    assert len(predictions["eventPredictionSummaries"]) == left
    shop.send()
    assert label(shop, "e-1") == "None None"
