"""CreateRule, UpdateRuleVersion, UpdateRuleMetadata, GetRules, DeleteRule."""

import pytest

from .api import MILLISECONDS, body, check_pages, fresh, refusal


def versions(afd, shop, **request):
    """The rule versions of a detector, in short."""
    rows = afd.get_rules(detectorId=shop.name, **request)["ruleDetails"]
    return " ".join(f"{row['ruleId']}/{row['ruleVersion']}" for row in rows)


def update(afd, shop, rule, expression="$amount > 2", **more):
    request = {"expression": shop.text(expression), "language": "DETECTORPL", "outcomes": [shop.outcome("other")]}
    return afd.update_rule_version(rule=rule, **request | more)["rule"]


def test_what_is_created_can_be_got(afd, shop):
    rule = shop.rule("large", "$amount > 100", outcomes="review block", description="much money")
    assert rule == {"detectorId": shop.name, "ruleId": "large", "ruleVersion": "1"}
    (row,) = afd.get_rules(detectorId=shop.name)["ruleDetails"]
    arn, created, updated = (row.pop(member) for member in ("arn", "createdTime", "lastUpdatedTime"))
    assert row == rule | {
        "description": "much money",
        "expression": shop.text("$amount > 100"),
        "language": "DETECTORPL",
        "outcomes": [shop.v("review"), shop.v("block")],
    }
    assert arn.endswith(f":rule/{shop.name}/large/1")
    assert MILLISECONDS.fullmatch(created) and created == updated


def test_an_update_makes_the_next_version(afd, shop):
    first = shop.rule("r", "$amount > 1", description="one")
    second = update(afd, shop, first, description="two")
    third = update(afd, shop, second)
    assert [rule["ruleVersion"] for rule in (first, second, third)] == ["1", "2", "3"]
    rows = afd.get_rules(detectorId=shop.name, ruleId="r")["ruleDetails"]
    assert [(row["ruleVersion"], row.get("description"), shop.short(row["expression"])) for row in rows] == [
        ("1", "one", "$amount > 1"),
        ("2", "two", "$amount > 2"),
        ("3", None, "$amount > 2"),
    ]


def test_an_update_of_metadata_changes_the_description_only(afd, shop):
    rule = shop.rule("r", "$amount > 1", description="old")
    (before,) = afd.get_rules(detectorId=shop.name)["ruleDetails"]
    assert body(afd.update_rule_metadata(rule=rule, description="new")) == {}
    (after,) = afd.get_rules(detectorId=shop.name)["ruleDetails"]
    assert after.pop("lastUpdatedTime") >= before.pop("lastUpdatedTime")
    assert after == before | {"description": "new"}


def test_which_rules_are_got(afd, shop):
    a, ab = shop.rule("a", "$amount > 1"), shop.rule("ab", "$amount > 1")
    update(afd, shop, a), update(afd, shop, ab)
    for request, want in [
        ({}, "a/1 a/2 ab/1 ab/2"),
        ({"ruleId": "a"}, "a/1 a/2"),
        ({"ruleId": "ab", "ruleVersion": "2"}, "ab/2"),
    ]:
        assert versions(afd, shop, **request) == want
    assert refusal(afd.get_rules, detectorId=shop.name, ruleVersion="1").startswith("ValidationException: ")


def test_a_detector_without_rules(afd, shop):
    assert body(afd.get_rules(detectorId=shop.name)) == {"ruleDetails": []}


def test_rules_that_do_not_exist(afd, shop):
    shop.rule("r", "$amount > 1")
    nothing = {"detectorId": shop.name, "ruleId": "nothing", "ruleVersion": "1"}
    no_version = nothing | {"ruleId": "r", "ruleVersion": "2"}
    no_detector = nothing | {"detectorId": fresh()}
    for rule in (nothing, no_version, no_detector):
        with pytest.raises(afd.exceptions.ResourceNotFoundException):
            afd.update_rule_metadata(rule=rule, description="x")
        assert body(afd.delete_rule(rule=rule)) == {}
    for rule in (nothing, no_detector):
        with pytest.raises(afd.exceptions.ResourceNotFoundException):
            update(afd, shop, rule)


@pytest.mark.parametrize(
    "request_", [{"ruleId": "nothing"}, {"ruleId": "nothing", "ruleVersion": "1"}, {"ruleId": "r", "ruleVersion": "2"}]
)
@pytest.mark.parametrize("paging", [{}, {"maxResults": 50}, {"nextToken": ""}])
def test_a_rule_that_does_not_exist_is_an_empty_list(afd, shop, request_, paging):
    shop.rule("r", "$amount > 1")
    assert body(afd.get_rules(detectorId=shop.name, **request_, **paging)) == {"ruleDetails": []}
    with pytest.raises(afd.exceptions.ResourceNotFoundException):
        afd.get_rules(detectorId=fresh(), **request_, **paging)


def test_only_the_most_recent_version_is_updated(afd, shop):
    first = shop.rule("r", "$amount > 1")
    ahead = first | {"ruleVersion": "9999"}

    def first_sentence(rule):
        with pytest.raises(afd.exceptions.ValidationException) as caught:
            update(afd, shop, rule)
        return caught.value.response["Error"]["Message"].split(". ")[0]

    assert first_sentence(ahead).endswith("whereas the most recent version is 1")
    second = update(afd, shop, first)
    assert first_sentence(first).endswith("whereas the most recent version is 2")
    assert update(afd, shop, second)["ruleVersion"] == "3"


def test_a_rule_is_created_once(shop):
    shop.rule("r", "$amount > 1")
    assert refusal(shop.rule, rule_id="r", expression="$amount > 2") == (
        "ValidationException: Failed to save rule since it already exists."
    )


@pytest.mark.parametrize("member", ["detectorId", "outcomes"])
def test_a_name_it_refers_to_must_exist(afd, shop, member):
    nothing = fresh("nothing")
    value = [shop.outcome("r"), nothing] if member == "outcomes" else nothing
    with pytest.raises(afd.exceptions.ValidationException, match=nothing):
        shop.rule("r", "$amount > 1", **{member: value})
    assert versions(afd, shop) == ""


# expression, what the message says of it
EXPRESSIONS = """
$nothing > 1                                | no variable `$nothing`
$country in @nothing                        | no list `@nothing`
$amount                                     | true or false
$amount >                                   |
$amount > 1 and                             |
($amount > 1                                |
$amount > "1"                               | FLOAT with STRING
$country > "DE"                             | STRING
$amount = 1                                 | ==
$amount > 1 && $items > 1                   | and
country == "US"                             | $
length($country) > 1                        | length
lowercase($amount) == "a"                   | lowercase
regex_match("(", $country)                  |
$amount in []                               |
$member == "yes"                            |
$joined > "2019-13-30T01:01:01Z"            |
-$amount > 1                                |
"""


@pytest.mark.parametrize("line", EXPRESSIONS.strip().splitlines())
def test_expressions_that_make_no_rule(afd, shop, line):
    expression, want = (part.strip() for part in line.split("|"))
    got = refusal(shop.rule, rule_id="r", expression=expression)
    assert got.startswith("ValidationException: ")
    assert want in shop.short(got)
    assert versions(afd, shop) == ""


def test_all_mistakes_are_shown(shop):
    got = shop.short(refusal(shop.rule, rule_id="r", expression='$nothing > 1 and $country in @none and $amount > "x"'))
    for want in ("`$nothing`", "`@none`", "FLOAT with STRING"):
        assert want in got


RULES = """
$amount > 100 and $country != "US" or ($amount * 2.0 > $items)
$country in ["US", "CA"] and $items in [5, 10, 25, 100]
$items not in [5]
regex_match(".*@gmail\\.com", lowercase($country))
uppercase($country) == "US"
isbefore(getcurrentdatetime(), "2019-11-30T01:01:01Z") == "False"
isafter($joined, "2019-11-30T01:01:01Z")
getepochmilliseconds("2019-11-30T01:01:01Z") == 1575075661000
$country == null or $joined != null
!($amount > 1) and $member
$member == "True" # a comment
$amount + $items < 10
$items % 2 == 1
"""


@pytest.mark.parametrize("expression", RULES.strip().splitlines())
def test_expressions_of_the_language(afd, shop, expression):
    shop.rule("r", expression)
    (row,) = afd.get_rules(detectorId=shop.name)["ruleDetails"]
    assert row["expression"] == shop.text(expression)


def test_a_rule_has_4096_characters_at_most(shop):
    longest = "$amount > 1".ljust(4096 - len(shop.prefix))
    shop.rule("r", longest)
    assert refusal(shop.rule, rule_id="longer", expression=f"{longest} ", outcomes="r") == (
        "ValidationException: 1 validation error detected: Value at 'expression' "
        "failed to satisfy constraint: Member must have length less than or equal to 4096"
    )


def test_a_rule_uses_three_lists_at_most(afd, shop):
    for name in "abcd":
        afd.create_list(name=shop.v(name))
    condition = "$country in @{}".format
    shop.rule("three", " or ".join(map(condition, "abc")))
    with pytest.raises(afd.exceptions.ValidationException):
        shop.rule("four", " or ".join(map(condition, "abcd")))


def test_a_rule_of_a_version_stays(afd, shop):
    rule = shop.rule("r", "$amount > 1")
    newer = update(afd, shop, rule)
    version = shop.version([rule])
    with pytest.raises(afd.exceptions.ConflictException, match="'r'"):
        afd.delete_rule(rule=rule)
    assert body(afd.delete_rule(rule=newer)) == {}
    shop.set(version, "INACTIVE")
    with pytest.raises(afd.exceptions.ConflictException):
        afd.delete_rule(rule=rule)
    afd.delete_detector_version(detectorId=shop.name, detectorVersionId=version)
    for _ in range(2):
        assert body(afd.delete_rule(rule=rule)) == {}
    assert versions(afd, shop) == ""


def test_a_version_number_is_not_given_out_twice(afd, shop):
    rule = shop.rule("r", "$amount > 1")
    second = update(afd, shop, rule)
    afd.delete_rule(rule=second)
    assert update(afd, shop, rule)["ruleVersion"] == "3"


def test_pages(afd, shop):
    names = [f"r{number:02}" for number in range(51)]
    for name in names:
        shop.rule(name, "$amount > 1", outcomes="approve")
    check_pages(afd.get_rules, "ruleDetails", lambda row: row["ruleId"], 50, names, detectorId=shop.name)
    token = afd.get_rules(detectorId=shop.name, maxResults=50)["nextToken"]
    other = fresh()
    afd.put_detector(detectorId=other, eventTypeName=shop.name)
    for request in ({"detectorId": other}, {"detectorId": shop.name, "ruleId": "r00"}):
        assert refusal(afd.get_rules, nextToken=token, **request).startswith("ValidationException: Invalid nextToken")
