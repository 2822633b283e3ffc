"""CreateVariable, BatchCreateVariable, UpdateVariable, GetVariables, BatchGetVariable, DeleteVariable."""

import pytest

from .api import MILLISECONDS, body, check_pages, fresh, refusal


def variable(name, data_type="STRING", default="", **more):
    return {"name": name, "dataType": data_type, "dataSource": "EVENT", "defaultValue": default} | more


def one(afd, name):
    (row,) = afd.get_variables(name=name)["variables"]
    return row


def test_what_is_created_can_be_got(afd):
    name = fresh("amount")
    wanted = variable(name, "FLOAT", "0.5", description="what it costs", variableType="PRICE")
    assert body(afd.create_variable(**wanted)) == {}
    row = one(afd, name)
    arn, created, updated = (row.pop(member) for member in ("arn", "createdTime", "lastUpdatedTime"))
    assert row == wanted
    assert arn.endswith(f":variable/{name}")
    assert MILLISECONDS.fullmatch(created) and created == updated


def test_a_name_is_created_once(afd):
    name = fresh()
    afd.create_variable(**variable(name))
    with pytest.raises(afd.exceptions.ValidationException, match=f"'{name}' already exists"):
        afd.create_variable(**variable(name))


# data type, default, whether it may be
DEFAULTS = """
STRING                              yes
STRING   <null>                     yes
INTEGER  0                          yes
INTEGER  -7                         yes
INTEGER  9223372036854775807        yes
INTEGER  9223372036854775808        no
INTEGER  1.5                        no
INTEGER                             no
INTEGER  one                        no
FLOAT    0.0                        yes
FLOAT    4                          yes
FLOAT    -4.01                      yes
FLOAT                               no
FLOAT    1,5                        no
FLOAT    nan                        no
FLOAT    inf                        no
BOOLEAN  false                      yes
BOOLEAN  True                       yes
BOOLEAN  yes                        no
BOOLEAN                             no
DATETIME                            yes
DATETIME 2019-11-30T13:01:01Z       yes
DATETIME today                      no
DATETIME 2019-13-30T13:01:01Z       no
"""


@pytest.mark.parametrize("line", DEFAULTS.strip().splitlines())
def test_a_default_is_of_its_data_type(afd, line):
    data_type, default, may = line[:9].strip(), line[9:36].strip(), line[36:].strip()
    name = fresh()
    if may == "yes":
        afd.create_variable(**variable(name, data_type, default))
        assert one(afd, name)["defaultValue"] == default
    else:
        got = refusal(afd.create_variable, **variable(name, data_type, default))
        assert got.startswith("ValidationException: ") and name in got


NAMES = [
    ("a", True),
    ("_a1", True),
    ("a" * 100, True),
    ("a" * 101, False),
    ("", False),
    ("1a", False),
    ("a-b", False),
    ("Amount", False),
    ("a b", False),
    ("ä", False),
]


@pytest.mark.parametrize("name, may", NAMES)
def test_names(afd, name, may):
    if may:
        # In front, for names of exactly this length: what is made here begins as all of this run.
        name = (fresh("") + name)[: len(name)] if len(name) == 100 else fresh("") + name
        assert body(afd.create_variable(**variable(name))) == {}
    else:
        assert refusal(afd.create_variable, **variable(name)).startswith("ValidationException: ")


# variable type, data types it goes with
VARIABLE_TYPES = """
EMAIL_ADDRESS         STRING
IP_ADDRESS            STRING
USERAGENT             STRING
FINGERPRINT           STRING
SESSION_ID            STRING
ARE_CREDENTIALS_VALID BOOLEAN
PHONE_NUMBER          STRING
BILLING_ADDRESS_L1    STRING
BILLING_ZIP           STRING
SHIPPING_COUNTRY      STRING
ORDER_ID              STRING
PRICE                 STRING INTEGER FLOAT
CURRENCY_CODE         STRING
PAYMENT_TYPE          STRING
AUTH_CODE             STRING
AVS                   STRING
PRODUCT_CATEGORY      STRING
NUMERIC               INTEGER FLOAT
CATEGORICAL           STRING INTEGER BOOLEAN
FREE_FORM_TEXT        STRING
"""
OF_TYPE = {"STRING": "", "INTEGER": "0", "FLOAT": "0.0", "BOOLEAN": "false", "DATETIME": ""}


@pytest.mark.parametrize("line", VARIABLE_TYPES.strip().splitlines())
def test_a_variable_type_goes_with_some_data_types(afd, line):
    variable_type, *fits = line.split()
    entries = [variable(fresh(ty.lower()), ty, default, variableType=variable_type) for ty, default in OF_TYPE.items()]
    errors = afd.batch_create_variable(variableEntries=entries)["errors"]
    refused = {error["name"] for error in errors}
    assert [entry["dataType"] for entry in entries if entry["name"] not in refused] == [ty for ty in OF_TYPE if ty in fits]


@pytest.mark.parametrize(
    "changed",
    [
        {"variableType": "CREDIT_CARD"},
        {"variableType": "email_address"},
        {"dataSource": "MODEL_SCORE"},
        {"tags": [{"key": "a", "value": ""}, {"key": "a", "value": ""}]},
    ],
)
def test_what_is_refused(afd, changed):
    name = fresh()
    assert refusal(afd.create_variable, **variable(name) | changed).startswith("ValidationException: ")
    assert refusal(afd.get_variables, name=name).startswith("ResourceNotFoundException: ")


def test_a_default_that_stands_for_no_value(afd):
    for ty in ("INTEGER", "FLOAT", "BOOLEAN", "DATETIME"):
        name = fresh(ty.lower())
        afd.create_variable(**variable(name, ty, "<null>"))
        assert one(afd, name)["defaultValue"] == "<null>"
        assert refusal(afd.create_variable, **variable(fresh(), ty, "null")).startswith("ValidationException: ")
    name = fresh("bin")
    afd.create_variable(**variable(name, "INTEGER", "<null>", variableType="CARD_BIN"))
    assert one(afd, name)["variableType"] == "CARD_BIN"


def test_a_variable_of_a_model_score(afd):
    name = fresh("model_insightscore")
    afd.create_variable(**variable(name, "FLOAT", "0.0", dataSource="MODEL_SCORE", variableType="NUMERIC"))
    assert one(afd, name)["dataSource"] == "MODEL_SCORE"
    assert body(afd.delete_variable(name=name)) == {}


def test_a_variable_of_an_external_model(afd):
    name = fresh("score")
    afd.create_variable(**variable(name, "FLOAT", "0.0", dataSource="EXTERNAL_MODEL_SCORE"))
    assert one(afd, name)["dataSource"] == "EXTERNAL_MODEL_SCORE"


UPDATES = [
    ({"defaultValue": "2.5"}, {"defaultValue": "2.5"}),
    ({"description": "new"}, {"description": "new"}),
    ({"variableType": "PRICE"}, {"variableType": "PRICE"}),
    ({}, {}),
]


@pytest.mark.parametrize("change, want", UPDATES)
def test_an_update_changes_what_it_names(afd, change, want):
    name = fresh()
    afd.create_variable(**variable(name, "FLOAT", "1.0", description="old", variableType="NUMERIC"))
    before = one(afd, name)
    assert body(afd.update_variable(name=name, **change)) == {}
    after = one(afd, name)
    assert after.pop("lastUpdatedTime") >= before.pop("lastUpdatedTime")
    assert after == before | want


@pytest.mark.parametrize(
    "change, want",
    [
        ({"defaultValue": "much"}, "default value"),
        ({"defaultValue": ""}, "default value"),
        ({"variableType": "EMAIL_ADDRESS"}, "EMAIL_ADDRESS"),
        ({"variableType": "COST"}, "COST"),
    ],
)
def test_an_update_that_does_not_fit(afd, change, want):
    name = fresh()
    afd.create_variable(**variable(name, "FLOAT", "1.0"))
    before = one(afd, name)
    with pytest.raises(afd.exceptions.ValidationException, match=want):
        afd.update_variable(name=name, **change)
    assert one(afd, name) == before


def test_names_that_do_not_exist(afd):
    for call in (afd.get_variables, afd.update_variable):
        with pytest.raises(afd.exceptions.ResourceNotFoundException):
            call(name=fresh())


def test_a_batch_creates_what_it_can(afd):
    good, taken, bad = fresh("good"), fresh("taken"), fresh("bad")
    afd.create_variable(**variable(taken))
    entries = [variable(good), variable(taken), variable(bad, "INTEGER", "x"), variable(good), {"name": fresh("bare")}]
    errors = afd.batch_create_variable(variableEntries=entries, tags=[{"key": "k", "value": "v"}])["errors"]
    assert [(error["name"], error["code"]) for error in errors] == [(entry["name"], 400) for entry in entries[1:]]
    assert all(error["message"] for error in errors)
    assert afd.list_tags_for_resource(resourceARN=one(afd, good)["arn"])["tags"] == [{"key": "k", "value": "v"}]
    assert refusal(afd.get_variables, name=bad).startswith("ResourceNotFoundException: ")


@pytest.mark.parametrize(
    "changed, want",
    [
        ({"dataType": "TEXT"}, "data type"),
        ({"dataSource": "USER"}, "data source"),
        ({"dataType": None}, "dataType"),
        ({"dataSource": None}, "dataSource"),
        ({"defaultValue": None}, "defaultValue"),
        ({"name": None}, "name"),
        ({"name": "Amount"}, "name"),
    ],
)
def test_an_entry_that_makes_no_variable(afd, changed, want):
    entry = {name: value for name, value in (variable(fresh()) | changed).items() if value is not None}
    (error,) = afd.batch_create_variable(variableEntries=[entry])["errors"]
    assert error["code"] == 400
    assert want in error["message"]


def test_a_batch_gets_what_there_is(afd):
    names = [fresh(), fresh()]
    afd.batch_create_variable(variableEntries=[variable(name) for name in names])
    nothing = fresh("nothing")
    answer = afd.batch_get_variable(names=[names[1], nothing, names[0], names[1]])
    assert [row["name"] for row in answer["variables"]] == [names[1], names[0]]
    assert answer["variables"][0] == one(afd, names[1])
    (error,) = answer["errors"]
    assert (error["name"], error["code"]) == (nothing, 400)


def test_a_variable_of_an_event_type_stays(afd, shop):
    name = shop.v("items")
    with pytest.raises(afd.exceptions.ConflictException, match=shop.name):
        afd.delete_variable(name=name)
    shop.put_event_type(variables=["amount"])
    for _ in range(2):
        assert body(afd.delete_variable(name=name)) == {}
    assert refusal(afd.get_variables, name=name).startswith("ResourceNotFoundException: ")


def test_pages(afd):
    names = [fresh(f"page{number}") for number in range(51)]
    for start in range(0, 51, 25):
        afd.batch_create_variable(variableEntries=[variable(name) for name in names[start : start + 25]])
    check_pages(afd.get_variables, "variables", lambda row: row["name"], 50, names)


def test_a_data_type_that_is_none(afd):
    assert refusal(afd.create_variable, **variable(fresh(), "TEXT", dataSource="USER")) == (
        "ValidationException: 2 validation errors detected: Value 'TEXT' at 'dataType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [STRING, INTEGER, FLOAT, BOOLEAN, DATETIME]; Value 'USER' at 'dataSource' "
        "failed to satisfy constraint: Member must satisfy enum value set: [EVENT, MODEL_SCORE, EXTERNAL_MODEL_SCORE]"
    )
