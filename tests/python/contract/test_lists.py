"""CreateList, UpdateList, GetListElements, GetListsMetadata, DeleteList."""

import pytest

from .api import MILLISECONDS, body, check_pages, fresh, refusal


def elements(afd, name):
    return " ".join(sorted(afd.get_list_elements(name=name)["elements"]))


def metadata(afd, name):
    (row,) = afd.get_lists_metadata(name=name)["lists"]
    return row


def test_what_is_created_can_be_got(afd):
    name = fresh("domains")
    tags = [{"key": "team", "value": "fraud"}]
    answer = afd.create_list(name=name, elements=["b", "a c"], variableType="EMAIL_ADDRESS", description="of mail", tags=tags)
    assert body(answer) == {}
    row = metadata(afd, name)
    arn, created, updated = (row.pop(member) for member in ("arn", "createdTime", "updatedTime"))
    assert arn.endswith(f":list/{name}")
    assert MILLISECONDS.fullmatch(created) and created == updated
    assert row == {"name": name, "description": "of mail", "variableType": "EMAIL_ADDRESS"}
    assert body(afd.get_list_elements(name=name)) == {"elements": ["a c", "b"]}
    assert afd.list_tags_for_resource(resourceARN=arn)["tags"] == tags


def test_a_list_may_be_empty(afd):
    for given in ({}, {"elements": []}):
        name = fresh()
        afd.create_list(name=name, **given)
        assert body(afd.get_list_elements(name=name)) == {"elements": []}


def test_a_name_is_created_once(afd):
    name = fresh()
    afd.create_list(name=name, elements=["a"])
    with pytest.raises(afd.exceptions.ValidationException, match=f"'{name}' already exists"):
        afd.create_list(name=name, elements=["b"])
    assert elements(afd, name) == "a"


# before, mode, given, after
UPDATES = """
a b   | APPEND  | c     | a b c
a b   | APPEND  | b c b | a b c
a b   | APPEND  |       | a b
      | APPEND  | a     | a
a b   | REMOVE  | a z   | b
a b   | REMOVE  | a b   |
a b   | REMOVE  |       | a b
a b   | REPLACE | c b   | b c
a b   | REPLACE | c c   | c
a b   | REPLACE |       |
A a   | REMOVE  | a     | A
a a b | APPEND  | a     | a b
"""


@pytest.mark.parametrize("line", UPDATES.strip().splitlines())
def test_updates(afd, line):
    before, mode, given, after = (part.strip() for part in line.split("|"))
    name = fresh()
    afd.create_list(name=name, elements=before.split())
    assert body(afd.update_list(name=name, elements=given.split(), updateMode=mode)) == {}
    assert elements(afd, name) == after


@pytest.mark.parametrize("change", [{"elements": ["x"]}, {"updateMode": "APPEND"}])
def test_elements_and_mode_belong_together(afd, change):
    name = fresh()
    afd.create_list(name=name, elements=["a"])
    with pytest.raises(afd.exceptions.ValidationException):
        afd.update_list(name=name, **change)
    assert elements(afd, name) == "a"


def test_an_update_of_the_description_leaves_the_elements(afd):
    name = fresh()
    afd.create_list(name=name, elements=["a"], description="old", variableType="AVS")
    afd.update_list(name=name, description="new")
    row = metadata(afd, name)
    assert (row["description"], row["variableType"], elements(afd, name)) == ("new", "AVS", "a")
    assert row["updatedTime"] >= row["createdTime"]


def test_the_variable_type_is_set_once(afd):
    name = fresh()
    afd.create_list(name=name)
    afd.update_list(name=name, variableType="IP_ADDRESS")
    afd.update_list(name=name, variableType="IP_ADDRESS")
    with pytest.raises(afd.exceptions.ValidationException, match="IP_ADDRESS"):
        afd.update_list(name=name, variableType="EMAIL_ADDRESS")
    assert metadata(afd, name)["variableType"] == "IP_ADDRESS"


@pytest.mark.parametrize("variable_type", ["NUMERIC", "ARE_CREDENTIALS_VALID", "NO_SUCH_TYPE"])
def test_a_list_is_of_texts(afd, variable_type):
    name = fresh()
    assert refusal(afd.create_list, name=name, variableType=variable_type).startswith("ValidationException: ")
    assert refusal(afd.get_lists_metadata, name=name).startswith("ResourceNotFoundException: ")


@pytest.mark.parametrize("element", [" a", "a ", "a\tb", " ", ""])
def test_elements_have_no_blanks_around_them(afd, element):
    got = refusal(afd.create_list, name=fresh(), elements=["sound", element])
    assert "at 'elements.2.member' failed to satisfy constraint: Member must satisfy regular expression pattern: ^\\S+( +\\S+)*$" in got
    assert "sound" not in got


def test_an_element_is_not_quoted(afd):
    assert "secret" not in refusal(afd.create_list, name=fresh(), elements=["secret\tthing"])


def test_lists_that_do_not_exist(afd):
    name = fresh("nothing")
    for call in (afd.get_list_elements, afd.get_lists_metadata, afd.update_list):
        with pytest.raises(afd.exceptions.ResourceNotFoundException, match=name):
            call(name=name)
    assert body(afd.delete_list(name=name)) == {}


def test_a_list_of_a_rule_stays(afd, shop):
    afd.create_list(name=shop.v("blocked"))
    rule = shop.rule("r", "$country in @blocked")
    with pytest.raises(afd.exceptions.ConflictException, match=shop.v("blocked")):
        afd.delete_list(name=shop.v("blocked"))
    afd.delete_rule(rule=rule)
    assert body(afd.delete_list(name=shop.v("blocked"))) == {}
    with pytest.raises(afd.exceptions.ResourceNotFoundException):
        afd.get_list_elements(name=shop.v("blocked"))


def test_a_rule_sees_every_edit_at_once(afd, shop):
    name = shop.v("blocked")
    afd.create_list(name=name)
    shop.deciding("listed: $country in @blocked")
    steps = [("APPEND", "US DE", True), ("REMOVE", "US", False), ("REPLACE", "US", True), ("REPLACE", "", False), ("APPEND", "US", True)]
    for mode, given, listed in steps:
        afd.update_list(name=name, elements=given.split(), updateMode=mode)
        assert shop.decide("country=US") == ("listed" if listed else ""), (mode, given)


def test_a_list_holds_texts_exactly(afd, shop):
    afd.create_list(name=shop.v("listed"), elements=["US", "New York", "5"])
    shop.deciding("country: $country in @listed\nitems: $items in @listed", ruleExecutionMode="ALL_MATCHED")
    for country, items, want in [("US", "1", "country"), ("us", "1", ""), ("New York", "5", "country items"), ("New", "05", "items")]:
        assert shop.decide({"country": country, "items": items}) == want, (country, items)


def test_a_list_of_100_000(afd, shop):
    name = shop.v("many")
    all_of_it = [f"{number:06}" for number in range(100_000)]
    afd.create_list(name=name, elements=all_of_it)
    shop.deciding("listed: $country in @many")
    assert shop.decide("country=099999") == "listed"
    with pytest.raises(afd.exceptions.ValidationException, match="100000|100,000"):
        afd.update_list(name=name, elements=["one-more"], updateMode="APPEND")
    afd.update_list(name=name, elements=all_of_it[1:], updateMode="REMOVE")
    assert elements(afd, name) == "000000"


def test_pages_of_elements(afd):
    name = fresh()
    given = [f"{number:04}" for number in range(1001)]
    afd.create_list(name=name, elements=given)
    check_pages(afd.get_list_elements, "elements", lambda row: row, 500, given, name=name)
    assert len(afd.get_list_elements(name=name)["elements"]) == 1000
    other = fresh()
    afd.create_list(name=other, elements=given)
    token = afd.get_list_elements(name=name)["nextToken"]
    assert refusal(afd.get_list_elements, name=other, nextToken=token).startswith("ValidationException: Invalid nextToken")


def test_an_edit_between_two_pages(afd):
    name = fresh()
    given = [f"{number:04}" for number in range(501)]
    afd.create_list(name=name, elements=given)
    first = afd.get_list_elements(name=name, maxResults=500)
    afd.update_list(name=name, elements=["0000", "0499"], updateMode="REMOVE")
    second = afd.get_list_elements(name=name, maxResults=500, nextToken=first["nextToken"])
    assert sorted(first["elements"] + second["elements"]) == given
    assert "nextToken" not in second


def test_pages_of_lists(afd):
    names = [fresh(f"page{number}") for number in range(6)]
    for name in names:
        afd.create_list(name=name)
    check_pages(afd.get_lists_metadata, "lists", lambda row: row["name"], 5, names)
