"""GetEventPrediction, ListEventPredictions, GetEventPredictionMetadata."""

import datetime
import json
import time

import pytest

from .api import ENDPOINT, MILLISECONDS, WHEN, Shop, body, check_tokens, fresh, pages, post, refusal

AMAZON = "amazonaws.com" in (ENDPOINT or "")
HOW = "x-fraudstream-prediction"


@pytest.fixture(scope="module")
def plain(afd):
    """A detector that says which variable has which value."""
    rules = """
        no-country: $country == null
        us: $country == "US"
        large: $amount > 100
        many: $items >= 3
        member: $member
        joined: $joined != null
    """
    return Shop(afd).deciding(rules, ruleExecutionMode="ALL_MATCHED")


def test_the_whole_answer(shop):
    rules = [shop.rule("a", "$amount > 1", outcomes="review block"), shop.rule("b", "$amount > 2")]
    shop.version(rules)
    assert body(shop.predict("amount=5")) == {
        "modelScores": [],
        "ruleResults": [{"ruleId": "a", "outcomes": [shop.v("review"), shop.v("block")]}],
        "externalModelOutputs": [],
    }


# variables, rules that match: the first one, all of them
MODES = """
amount=500 items=1 | large       | large
amount=500 items=5 | large       | large many
amount=5   items=5 | many        | many
amount=5   items=1 |             |
"""


@pytest.mark.parametrize("line", MODES.strip().splitlines())
@pytest.mark.parametrize("mode", [None, "FIRST_MATCHED", "ALL_MATCHED"])
def test_modes(afd, mode, line):
    variables, first, every = (" ".join(part.split()) for part in line.split("|"))
    shop = modes(afd, mode)
    assert shop.decide(variables) == (every if mode == "ALL_MATCHED" else first)


def modes(afd, mode, made={}):
    if mode not in made:
        given = {"ruleExecutionMode": mode} if mode else {}
        made[mode] = Shop(afd).deciding("large: $amount > 100\nmany: $items > 3", **given)
    return made[mode]


def test_all_that_match_are_in_the_order_of_the_version(shop):
    rules = shop.rules("z: $amount > 1\na: $amount > 2\nm: $amount > 3")
    shop.version(rules, ruleExecutionMode="ALL_MATCHED")
    assert shop.decide("amount=9") == "z a m"
    shop.version(rules[::-1], ruleExecutionMode="ALL_MATCHED")
    assert shop.decide("amount=9") == "m a z"


def test_no_match_is_an_empty_list(shop):
    shop.deciding("large: $amount > 100")
    assert shop.predict("amount=5")["ruleResults"] == []


# variables, rules that match
VALUES = """
country=DE                                  |
amount=5                                    | us
country=US amount=100.01 items=3            | us large many
country=DE amount=1000 items=-3             | large
country=DE amount=1e3                       | large
country=DE member=true                      | member
country=DE member=TRUE                      | member
country=DE member=False                     |
country=DE joined=2019-11-30T13:01:01Z      | joined
country=us                                  |
"""


@pytest.mark.parametrize("line", VALUES.strip().splitlines())
def test_a_variable_that_is_left_out_has_its_default(plain, line):
    variables, want = (part.strip() for part in line.split("|"))
    assert plain.decide(variables, fresh()) == want


NULLS = """
country=null            | no-country |
country=null amount=200 | no-country large |
country=DE amount=null  |            | large
country=DE items=null   |            | many
country=DE member=null  |            | member
country=DE joined=null  |            |
"""


@pytest.mark.parametrize("line", NULLS.strip().splitlines())
def test_an_explicit_null_is_null_to_rules(plain, endpoint, line):
    variables, want, undetermined = (part.strip() for part in line.split("|"))
    if "country=null" in variables:
        undetermined = "us"
    answer = post(endpoint, "GetEventPrediction", plain.prediction(variables, fresh()))
    assert answer.status == 200, answer.body
    assert " ".join(result["ruleId"] for result in answer.json["ruleResults"]) == want
    if not AMAZON:
        assert " ".join(json.loads(answer.headers[HOW])["undetermined"]) == undetermined


@pytest.mark.skipif(AMAZON, reason="Amazon has no such header")
def test_the_header_says_how_it_came_about(plain, endpoint):
    answer = post(endpoint, "GetEventPrediction", plain.prediction("amount=200 country=DE", fresh()))
    how = json.loads(answer.headers[HOW])
    assert MILLISECONDS.fullmatch(how["predictionTimestamp"])
    assert (how["detectorId"], how["detectorVersionId"]) == (plain.name, "1")
    assert (how["rules"], how["undetermined"]) == ([{"id": "large", "version": 1}], [])
    assert how["engine"]


# variable, value that is not of its type
WRONG = """
amount  much
amount  1,5
amount  NaN
amount  0x10
items   1.5
items   9223372036854775808
items   three
member  yes
member  1
joined  2019-11-30
joined  2019-11-30T13:01:01+01:00
joined  yesterday
"""


@pytest.mark.parametrize("line", WRONG.strip().splitlines())
def test_a_value_of_the_wrong_type_names_the_variable(plain, line):
    name, value = line.split()
    event_id = fresh()
    got = refusal(plain.predict, variables={name: value}, event_id=event_id)
    assert got.startswith("ValidationException: ")
    assert plain.v(name) in got
    assert f"'{value}'" not in got and f" {value}" not in got
    assert refusal(plain.stored, event_id=event_id).startswith("ResourceNotFoundException: "), "a refused event is not stored"


REFUSED = [
    ({"detectorId": "no_such_detector"}, "ResourceNotFoundException", "no_such_detector"),
    ({"detectorVersionId": "9"}, "ResourceNotFoundException", "9"),
    ({"eventTypeName": "no_such_type"}, "ValidationException", "no_such_type"),
    ({"eventVariables": {"no_such_variable": "1"}}, "ValidationException", "no_such_variable"),
    ({"entities": []}, "ValidationException", "entity"),
    ({"entities": [{"entityType": "no_such_entity", "entityId": "1"}]}, "ValidationException", "no_such_entity"),
    ({"eventId": "ORD-1"}, "ValidationException", "eventId"),
    ({"eventId": "a" * 65}, "ValidationException", "eventId"),
]


@pytest.mark.parametrize("change, exception, named", REFUSED)
def test_what_is_refused(plain, change, exception, named):
    got = refusal(plain.predict, **change)
    assert got.startswith(f"{exception}: ") and named in got


TIMESTAMPS = """
2019-11-30T13:01:01Z           | 2019-11-30T13:01:01Z
2019-11-30T13:01:01.5Z         | 2019-11-30T13:01:01Z
2019-11-30T13:01:01.999999Z    | 2019-11-30T13:01:01Z
2019/11/30 1:01:01 PM          | 2019-11-30T13:01:01Z
11/30/2019 13:01:01            | 2019-11-30T13:01:01Z
11/30/19 13:01:01              | 2019-11-30T13:01:01Z
2019-11-30T13:01:01+00:00      |
2019-11-30T13:01:01            |
2019-11-30T13:01:01.Z          |
2019-11-31T13:01:01Z           |
"""


@pytest.mark.parametrize("line", TIMESTAMPS.strip().splitlines())
def test_timestamps(plain, line):
    given, want = (part.strip() for part in line.split("|"))
    event_id = fresh()
    if want:
        plain.predict(event_id=event_id, eventTimestamp=given)
        assert plain.stored(event_id)["eventTimestamp"] == want
    else:
        got = refusal(plain.predict, event_id=event_id, eventTimestamp=given)
        assert got.startswith("ValidationException: ") and "'eventTimestamp'" in got


def test_only_an_active_version_decides_unless_one_is_named(afd, shop):
    rules = shop.rules("draft: $amount > 1\ninactive: $amount > 1\nactive: $amount > 1")
    draft = shop.version(rules[:1], status="DRAFT")
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match=shop.name):
        shop.predict()
    inactive, active = shop.version(rules[1:2]), shop.version(rules[2:])
    assert shop.decide() == "active"
    for version, want in [(draft, "draft"), (inactive, "inactive"), (active, "active")]:
        assert shop.decide(detectorVersionId=version) == want


def test_a_new_default_counts_at_once_and_for_new_predictions_only(afd, shop):
    shop.deciding("us: $country == \"US\"")
    assert shop.decide() == "us"
    afd.update_variable(name=shop.v("country"), defaultValue="DE")
    assert shop.decide() == ""
    new, old = (explained(afd, row)["rules"][0] for row in history(afd, shop))
    assert (old["matched"], shop.short(old["expressionWithValues"])) == (True, '"US" == "US"')
    assert (new["matched"], shop.short(new["expressionWithValues"])) == (False, '"DE" == "US"')


def history(afd, shop, **filters):
    filters = {name: {"value": value} for name, value in filters.items()}
    return afd.list_event_predictions(**{"eventType": {"value": shop.name}} | filters)["eventPredictionSummaries"]


def explained(afd, summary):
    members = ("eventId", "eventTypeName", "detectorId", "detectorVersionId", "predictionTimestamp")
    return afd.get_event_prediction_metadata(**{member: summary[member] for member in members})


@pytest.fixture(scope="module")
def past(afd):
    """Predictions on three events, by two versions of one detector."""
    shop = Shop(afd)
    one, two = (shop.version(shop.rules(f"{name}: $amount > 1")) for name in ("one", "two"))
    for event_id, version in [("e-1", one), ("e-2", two), ("e-1", two), ("e-3", one)]:
        shop.predict(event_id=event_id, detectorVersionId=version)
        time.sleep(0.002)
    return shop


# filters, events and versions found, the newest first
FILTERS = """
                                             | e-3/1 e-1/2 e-2/2 e-1/1
eventId=e-1                                  | e-1/2 e-1/1
detectorVersionId=2                          | e-1/2 e-2/2
eventId=e-1 detectorVersionId=2              | e-1/2
eventId=e-9                                  |
detectorVersionId=9                          |
detectorId=no_such_detector                  |
eventId=e-1 eventType=no_such_type           |
"""


@pytest.mark.parametrize("line", FILTERS.strip("\n").splitlines())
@pytest.mark.parametrize("by", ["eventType", "detectorId"])
def test_filters(afd, past, by, line):
    given, want = (part.strip() for part in line.split("|"))
    filters = {by: {"value": past.name}} | {name: {"value": value} for name, value in (pair.split("=") for pair in given.split())}
    rows = afd.list_event_predictions(**filters)["eventPredictionSummaries"]
    assert " ".join(f"{row['eventId']}/{row['detectorVersionId']}" for row in rows) == want


def test_what_a_summary_is(afd, past):
    (row,) = history(afd, past, eventId="e-2")
    assert MILLISECONDS.fullmatch(row.pop("predictionTimestamp"))
    assert row == {
        "eventId": "e-2",
        "eventTypeName": past.name,
        "eventTimestamp": WHEN,
        "detectorId": past.name,
        "detectorVersionId": "2",
    }


def test_an_empty_filter_is_none(afd, past):
    rows = afd.list_event_predictions(eventType={"value": past.name}, eventId={})["eventPredictionSummaries"]
    assert len(rows) == 4


def test_time_ranges(afd, past):
    times = sorted(row["predictionTimestamp"] for row in history(afd, past))
    assert len(set(times)) == 4

    def found(start, end, **filters):
        request = {"eventType": {"value": past.name}, "predictionTimeRange": {"startTime": start, "endTime": end}} | filters
        return sorted(row["predictionTimestamp"] for row in afd.list_event_predictions(**request)["eventPredictionSummaries"])

    assert found(times[1], times[2]) == times[1:3], "both ends are included"
    assert found(times[0], times[0]) == times[:1]
    assert found(times[0], times[3], eventId={"value": "e-1"}) == [times[0], times[2]]
    assert found("2020-01-01T00:00:00Z", "2020-12-31T00:00:00Z") == []
    assert found("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z") == times
    day = datetime.datetime.fromisoformat(times[0]).date()
    tomorrow = day + datetime.timedelta(days=2)
    assert found(f"{day}T00:00:00Z", f"{tomorrow}T00:00:00Z") == times


@pytest.mark.parametrize(
    "start, end, want",
    [
        ("2026-06-02T00:00:00Z", "2026-06-01T00:00:00Z", "startTime"),
        ("yesterday at noon", "2026-06-01T00:00:00Z", "startTime"),
        ("2026-06-01T00:00:00Z", "tomorrow at noon", "endTime"),
        ("2026-06-01", "2026-06-02T00:00:00Z", "predictionTimeRange.startTime"),
    ],
)
def test_time_ranges_that_are_none(afd, start, end, want):
    got = refusal(afd.list_event_predictions, predictionTimeRange={"startTime": start, "endTime": end})
    assert got.startswith("ValidationException: ") and want in got


@pytest.mark.parametrize("by", ["eventId", "eventType"])
def test_pages(afd, shop, by):
    shop.deciding("large: $amount > 100")
    for number in range(53):
        shop.predict(event_id="e-1" if by == "eventId" else f"e-{number}")
    filters = {"eventType": {"value": shop.name}} | ({"eventId": {"value": "e-1"}} if by == "eventId" else {})
    usual = list(pages(afd.list_event_predictions, "eventPredictionSummaries", **filters))
    assert [len(page) for page in usual if page] == [10, 10, 10, 10, 10, 3]
    rows = [row for page in usual for row in page]
    times = [row["predictionTimestamp"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert len({(row["eventId"], row["predictionTimestamp"]) for row in rows}) == 53
    larger = list(pages(afd.list_event_predictions, "eventPredictionSummaries", maxResults=50, **filters))
    assert [len(page) for page in larger if page] == [50, 3]
    assert [row for page in larger for row in page] == rows
    token = afd.list_event_predictions(**filters)["nextToken"]
    check_tokens(afd.list_event_predictions, token, **filters)
    other = filters | {"detectorId": {"value": shop.name}}
    assert refusal(afd.list_event_predictions, nextToken=token, **other).startswith("ValidationException: Invalid nextToken")


def test_two_predictions_of_one_event_have_different_times(afd, shop):
    shop.deciding("large: $amount > 100")
    for amount in range(20):
        shop.predict(f"amount={amount}")
    rows = list(pages(afd.list_event_predictions, "eventPredictionSummaries", maxResults=50, eventType={"value": shop.name}))[0]
    assert len({row["predictionTimestamp"] for row in rows}) == 20
    amounts = [explained(afd, row)["eventVariables"][0]["value"] for row in rows]
    assert amounts == [str(amount) for amount in reversed(range(20))]


RULES = """
small: $amount < 10
odd: $items % 2 == 1 and $country != null
large: $amount > 100 # $amount
"""


def test_why_it_was_decided_so(afd, shop):
    shop.deciding(RULES)
    shop.predict("amount=250 items=3 country=DE", "e-7")
    (row,) = history(afd, shop)
    got = body(explained(afd, row))
    rules, variables = got.pop("rules"), got.pop("eventVariables")
    assert got == row | {
        "entityId": "cust-42",
        "entityType": shop.customer,
        "detectorVersionStatus": "ACTIVE",
        "ruleExecutionMode": "FIRST_MATCHED",
        "outcomes": [shop.v("odd")],
        "evaluatedModelVersions": [],
        "evaluatedExternalModels": [],
    }
    assert sorted((shop.short(v["name"]), v["value"], v["source"]) for v in variables) == [
        ("amount", "250", "EVENT"),
        ("country", "DE", "EVENT"),
        ("items", "3", "EVENT"),
    ]
    assert [(rule["ruleId"], rule["ruleVersion"], rule["evaluated"], rule["matched"]) for rule in rules] == [
        ("small", "1", True, False),
        ("odd", "1", True, True),
        ("large", "1", False, False),
    ]
    assert [shop.short(rule["expression"]) for rule in rules] == [line.split(": ")[1] for line in RULES.strip().splitlines()]
    assert [shop.short(rule["expressionWithValues"]) for rule in rules] == [
        "250.0 < 10",
        '3 % 2 == 1 and "DE" != null',
        "250.0 > 100 # $amount",
    ]
    assert [rule["outcomes"] for rule in rules] == [[shop.v(name)] for name in ("small", "odd", "large")]


def test_why_with_defaults_and_nulls(afd, shop, endpoint):
    shop.deciding("a: $country == \"US\"\nb: $amount > 1\nc: $items > 0", ruleExecutionMode="ALL_MATCHED")
    assert post(endpoint, "GetEventPrediction", shop.prediction("amount=null")).status == 200
    got = explained(afd, history(afd, shop)[0])
    assert got["ruleExecutionMode"] == "ALL_MATCHED"
    assert [(shop.short(rule["expressionWithValues"]), rule["evaluated"], rule["matched"]) for rule in got["rules"]] == [
        ('"US" == "US"', True, True),
        ("null > 1", True, False),
        ("1 > 0", True, True),
    ]
    assert got["outcomes"] == [shop.v("a"), shop.v("c")]


def test_why_by_a_version_that_has_changed_since(afd, shop):
    rule = shop.rule("r", "$amount > 1")
    version = shop.version([rule], status="DRAFT")
    shop.predict(detectorVersionId=version)
    shop.set(version, "ACTIVE")
    newer = afd.update_rule_version(rule=rule, expression=shop.text("$amount > 2"), language="DETECTORPL", outcomes=[shop.v("r")])["rule"]
    shop.version([newer])
    got = explained(afd, history(afd, shop)[0])
    assert (got["detectorVersionId"], got["detectorVersionStatus"]) == (version, "DRAFT")
    assert shop.short(got["rules"][0]["expressionWithValues"]) == "5.0 > 1"


def test_outcomes_are_named_once(afd, shop):
    rules = [shop.rule("a", "$amount > 1", outcomes="review block"), shop.rule("b", "$amount > 2", outcomes="block")]
    shop.version(rules, ruleExecutionMode="ALL_MATCHED")
    results = shop.predict()["ruleResults"]
    assert [result["outcomes"] for result in results] == [[shop.v("review"), shop.v("block")], [shop.v("block")]]
    assert explained(afd, history(afd, shop)[0])["outcomes"] == [shop.v("review"), shop.v("block")]


@pytest.mark.parametrize(
    "member, value",
    [
        ("eventId", "e-9"),
        ("eventTypeName", "no_such_type"),
        ("detectorId", "no_such_detector"),
        ("detectorVersionId", "1"),
        ("predictionTimestamp", "2026-06-01T00:00:00.000Z"),
    ],
)
def test_a_prediction_has_five_names(afd, past, member, value):
    (row,) = history(afd, past, eventId="e-2")
    with pytest.raises(afd.exceptions.ResourceNotFoundException):
        explained(afd, row | {member: value})


def test_a_prediction_time_that_is_none(afd, past):
    (row,) = history(afd, past, eventId="e-2")
    got = refusal(explained, afd=afd, summary=row | {"predictionTimestamp": "yesterday at noon"})
    assert got.startswith("ValidationException: ") and "predictionTimestamp" in got


def test_an_event_of_256_kb_is_too_large(plain):
    got = refusal(plain.afd.get_event_prediction, **plain.prediction({"country": "x"}) | {"eventVariables": {f"v{n}": "x" * 8000 for n in range(40)}})
    assert got.startswith("ValidationException: ") and "262144" in got.replace(",", "")


def test_a_client_of_2020(afd, shop, endpoint):
    """GetPrediction left the API in 2020; ours still answers it."""
    shop.deciding("large: $amount > 1")
    asked = {"detectorId": shop.name, "eventId": "e-1", "eventAttributes": shop.variables("amount=5")}
    answer = post(endpoint, "GetPrediction", asked)
    if answer.status == 400 and answer.json["__type"] == "UnknownOperationException":
        pytest.skip("this endpoint has no GetPrediction")
    assert answer.json == {"outcomes": [shop.v("large")], "modelScores": []}
    assert shop.stored()["eventVariables"] == asked["eventAttributes"]
