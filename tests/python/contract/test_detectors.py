"""Detectors and their versions."""

import itertools

import pytest

from .api import MILLISECONDS, Shop, body, check_pages, fresh, refusal

STATUSES = ["DRAFT", "ACTIVE", "INACTIVE"]


def one(afd, detector):
    (row,) = afd.get_detectors(detectorId=detector)["detectors"]
    return row


def summary(afd, shop):
    """The versions of a detector, in short."""
    rows = afd.describe_detector(detectorId=shop.name)["detectorVersionSummaries"]
    return " ".join(f"{row['detectorVersionId']}:{row['status']}" for row in rows)


def of(shop, version):
    return {"detectorId": shop.name, "detectorVersionId": version}


def test_what_is_put_can_be_got(afd, shop):
    name = fresh("orders")
    assert body(afd.put_detector(detectorId=name, eventTypeName=shop.name, description="decides")) == {}
    row = one(afd, name)
    arn, created, updated = (row.pop(member) for member in ("arn", "createdTime", "lastUpdatedTime"))
    assert row == {"detectorId": name, "eventTypeName": shop.name, "description": "decides"}
    assert arn.endswith(f":detector/{name}")
    assert MILLISECONDS.fullmatch(created) and created == updated
    afd.put_detector(detectorId=name, eventTypeName=shop.name)
    row = one(afd, name)
    assert "description" not in row
    assert row["createdTime"] == created
    assert body(afd.describe_detector(detectorId=name)) == {"detectorId": name, "detectorVersionSummaries": [], "arn": arn}


def test_the_event_type_must_exist_and_stays(afd, shop):
    nothing = fresh("nothing")
    with pytest.raises(afd.exceptions.ValidationException, match=nothing):
        afd.put_detector(detectorId=fresh(), eventTypeName=nothing)
    other = Shop(afd)
    with pytest.raises(afd.exceptions.ValidationException, match=shop.name):
        afd.put_detector(detectorId=shop.name, eventTypeName=other.name)
    assert one(afd, shop.name)["eventTypeName"] == shop.name


def test_detectors_and_versions_that_do_not_exist(afd, shop):
    rules = shop.rules("r: $amount > 1")
    nothing = fresh("nothing")
    for call in (
        lambda: afd.get_detectors(detectorId=nothing),
        lambda: afd.describe_detector(detectorId=nothing),
        lambda: afd.create_detector_version(detectorId=nothing, rules=[]),
    ):
        with pytest.raises(afd.exceptions.ResourceNotFoundException, match=nothing):
            call()
    for missing in ({"detectorId": nothing, "detectorVersionId": "1"}, of(shop, "7")):
        for call in (
            lambda: afd.get_detector_version(**missing),
            lambda: afd.update_detector_version(**missing, rules=rules, externalModelEndpoints=[]),
            lambda: afd.update_detector_version_status(**missing, status="ACTIVE"),
            lambda: afd.delete_detector_version(**missing),
        ):
            with pytest.raises(afd.exceptions.ResourceNotFoundException):
                call()
        # The model declares no ResourceNotFoundException for this one.
        with pytest.raises(afd.exceptions.ValidationException):
            afd.update_detector_version_metadata(**missing, description="x")


def test_a_detector_with_versions_or_rules_stays(afd, shop):
    rule = shop.rule("r", "$amount > 1")
    version = shop.version([rule], status="DRAFT")
    with pytest.raises(afd.exceptions.ConflictException):
        afd.delete_detector(detectorId=shop.name)
    afd.delete_detector_version(**of(shop, version))
    with pytest.raises(afd.exceptions.ConflictException):
        afd.delete_detector(detectorId=shop.name)
    afd.delete_rule(rule=rule)
    for _ in range(2):
        assert body(afd.delete_detector(detectorId=shop.name)) == {}
    assert refusal(afd.get_detectors, detectorId=shop.name).startswith("ResourceNotFoundException: ")


def test_what_a_version_is(afd, shop):
    rules = shop.rules("b: $amount > 1\na: $amount > 2")
    made = body(afd.create_detector_version(detectorId=shop.name, rules=rules, description="first"))
    assert made == of(shop, "1") | {"status": "DRAFT"}
    got = body(afd.get_detector_version(**of(shop, "1")))
    arn, created, updated = (got.pop(member) for member in ("arn", "createdTime", "lastUpdatedTime"))
    assert got == made | {
        "description": "first",
        "rules": rules,
        "ruleExecutionMode": "FIRST_MATCHED",
        "modelVersions": [],
        "externalModelEndpoints": [],
    }
    assert arn.endswith(f":detector-version/{shop.name}/1")
    assert MILLISECONDS.fullmatch(created) and created == updated
    (row,) = afd.describe_detector(detectorId=shop.name)["detectorVersionSummaries"]
    assert row == {"detectorVersionId": "1", "status": "DRAFT", "description": "first", "lastUpdatedTime": updated}


def test_versions_count_from_one_and_never_back(afd, shop):
    rules = shop.rules("r: $amount > 1")
    assert [shop.version(rules, status="DRAFT") for _ in range(3)] == ["1", "2", "3"]
    afd.delete_detector_version(**of(shop, "3"))
    assert shop.version(rules, status="DRAFT") == "4"
    assert summary(afd, shop) == "1:DRAFT 2:DRAFT 4:DRAFT"


def test_versions_are_listed_by_number(afd, shop):
    rules = shop.rules("r: $amount > 1")
    made = [shop.version(rules, status="DRAFT") for _ in range(11)]
    rows = afd.describe_detector(detectorId=shop.name, maxResults=1000)["detectorVersionSummaries"]
    assert [row["detectorVersionId"] for row in rows] == made


# status, requested status, what becomes of it
TRANSITIONS = """
DRAFT    ACTIVE   ACTIVE
DRAFT    INACTIVE ValidationException
ACTIVE   ACTIVE   ACTIVE
ACTIVE   INACTIVE INACTIVE
ACTIVE   DRAFT    ValidationException
INACTIVE ACTIVE   ACTIVE
INACTIVE INACTIVE INACTIVE
INACTIVE DRAFT    ValidationException
"""


@pytest.mark.parametrize("line", TRANSITIONS.strip().splitlines())
def test_status_changes(afd, shop, line):
    before, asked, after = line.split()
    version = shop.version(shop.rules("r: $amount > 1"), status=before)
    assert shop.status(version) == before
    if after in STATUSES:
        assert body(shop.set(version, asked)) == {}
        assert shop.status(version) == after
    else:
        got = refusal(shop.set, version=version, status=asked)
        assert got.startswith(f"{after}: ") and before in got
        assert shop.status(version) == before


def test_one_version_is_active(afd, shop):
    rules = shop.rules("r: $amount > 1")
    first, second = shop.version(rules), shop.version(rules)
    assert summary(afd, shop) == "1:INACTIVE 2:ACTIVE"
    shop.set(first, "ACTIVE")
    assert summary(afd, shop) == "1:ACTIVE 2:INACTIVE"
    assert (shop.status(first), shop.status(second)) == ("ACTIVE", "INACTIVE")


def test_the_active_version_decides_at_once(shop):
    one, two = (shop.version(shop.rules(f"{name}: $amount > 1")) for name in ("one", "two"))
    for version, want in [(one, "one"), (two, "two"), (one, "one")]:
        shop.set(version, "ACTIVE")
        assert shop.decide() == want


@pytest.mark.parametrize("status", STATUSES)
def test_only_a_draft_can_be_updated(afd, shop, status):
    a, b = shop.rules("a: $amount > 1\nb: $amount > 2")
    version = shop.version([a], status=status, description="old")
    change = {"rules": [b, a], "externalModelEndpoints": [], "ruleExecutionMode": "ALL_MATCHED"}
    before = body(afd.get_detector_version(**of(shop, version)))
    if status == "DRAFT":
        assert body(afd.update_detector_version(**of(shop, version), **change)) == {}
        after = body(afd.get_detector_version(**of(shop, version)))
        assert (after["rules"], after["ruleExecutionMode"]) == ([b, a], "ALL_MATCHED")
        assert shop.decide("amount=5", detectorVersionId=version) == "b a"
    else:
        with pytest.raises(afd.exceptions.ValidationException, match=f"DRAFT.*{status}"):
            afd.update_detector_version(**of(shop, version), **change)
        assert body(afd.get_detector_version(**of(shop, version))) == before


@pytest.mark.parametrize("status", STATUSES)
def test_a_version_of_any_status_can_be_described_anew(afd, shop, status):
    version = shop.version(shop.rules("r: $amount > 1"), status=status, description="old")
    assert body(afd.update_detector_version_metadata(**of(shop, version), description="new")) == {}
    got = afd.get_detector_version(**of(shop, version))
    assert (got["description"], got["status"]) == ("new", status)


@pytest.mark.parametrize("status", STATUSES)
def test_an_active_version_stays(afd, shop, status):
    version = shop.version(shop.rules("r: $amount > 1"), status=status)
    if status == "ACTIVE":
        with pytest.raises(afd.exceptions.ConflictException, match="ACTIVE"):
            afd.delete_detector_version(**of(shop, version))
    else:
        assert body(afd.delete_detector_version(**of(shop, version))) == {}
        assert summary(afd, shop) == ""


def test_rules_of_a_version(afd, shop):
    rule = shop.rule("r", "$amount > 1")
    other = Shop(afd).rule("r", "$amount > 1")
    newer = afd.update_rule_version(
        rule=rule, expression=shop.text("$amount > 2"), language="DETECTORPL", outcomes=[shop.outcome("r")]
    )["rule"]
    for rules, want in [
        ([rule, rule], "ValidationException: "),
        ([rule, newer], "ValidationException: "),
        ([other], "ValidationException: "),
        ([rule | {"ruleId": "nothing"}], "ResourceNotFoundException: "),
        ([rule | {"ruleVersion": "9"}], "ResourceNotFoundException: "),
    ]:
        assert refusal(afd.create_detector_version, detectorId=shop.name, rules=rules).startswith(want), rules
        draft = shop.version([newer], status="DRAFT")
        update = of(shop, draft) | {"rules": rules, "externalModelEndpoints": []}
        assert refusal(afd.update_detector_version, **update).startswith(want), rules


def test_a_version_without_rules_cannot_become_active(afd, shop):
    version = shop.version([], status="DRAFT")
    assert refusal(shop.set, version=version, status="ACTIVE").startswith("ValidationException: ")
    assert shop.status(version) == "DRAFT"


MODEL = {"modelId": "nothing", "modelType": "ONLINE_FRAUD_INSIGHTS", "modelVersionNumber": "1.0"}


@pytest.mark.parametrize("models", [{"modelVersions": [MODEL]}, {"externalModelEndpoints": ["nothing"]}])
def test_models_that_do_not_exist(afd, shop, models):
    rules = shop.rules("r: $amount > 1")
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match="nothing"):
        afd.create_detector_version(detectorId=shop.name, rules=rules, **models)


def test_a_detector_has_100_drafts_at_most(afd, shop):
    rules = shop.rules("r: $amount > 1")
    for _ in range(100):
        shop.version(rules, status="DRAFT")
    with pytest.raises(afd.exceptions.ValidationException, match="100"):
        shop.version(rules, status="DRAFT")
    shop.set("1", "ACTIVE")
    assert shop.version(rules, status="DRAFT") == "101"


def test_a_version_uses_30_lists_at_most(afd, shop):
    names = [f"l{number:02}" for number in range(31)]
    for name in names:
        afd.create_list(name=shop.v(name))
    rules = [shop.rule(f"r-{name}", f"$country in @{name}", outcomes="listed") for name in names]
    with pytest.raises(afd.exceptions.ValidationException, match="30"):
        shop.version(rules, status="DRAFT")
    shop.version(rules[:30])


def test_a_version_keeps_the_rule_version_it_was_made_of(afd, shop):
    rule = shop.rule("r", "$amount > 100")
    shop.version([rule])
    afd.update_rule_version(rule=rule, expression=shop.text("$amount > 1"), language="DETECTORPL", outcomes=[shop.outcome("r")])
    assert (shop.decide("amount=50"), shop.decide("amount=500")) == ("", "r")


def test_pages(afd, shop):
    names = [fresh(f"page-{number}") for number in range(6)]
    for name in names:
        afd.put_detector(detectorId=name, eventTypeName=shop.name)
    check_pages(afd.get_detectors, "detectors", lambda row: row["detectorId"], 5, names)
    for name in names:
        afd.delete_detector(detectorId=name)


def test_everything_goes_in_order(afd, shop):
    version = shop.version(shop.rules("r: $amount > 1"))
    shop.set(version, "INACTIVE")
    afd.delete_detector_version(**of(shop, version))
    afd.delete_rule(rule={"detectorId": shop.name, "ruleId": "r", "ruleVersion": "1"})
    afd.delete_outcome(name=shop.v("r"))
    afd.delete_detector(detectorId=shop.name)
    afd.delete_event_type(name=shop.name)
    for name in shop.VARIABLES:
        afd.delete_variable(name=shop.v(name))
    afd.delete_entity_type(name=shop.customer)
    for label in shop.labels:
        afd.delete_label(name=label)
    gets = [(afd.get_detectors, "detectorId"), (afd.get_event_types, "name")]
    for get, member in gets:
        with pytest.raises(afd.exceptions.ResourceNotFoundException):
            get(**{member: shop.name})
