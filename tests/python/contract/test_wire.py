"""AWS JSON 1.1 as plain HTTP: what no SDK would send, and what every SDK relies on."""

import json
import uuid

import pytest

from .api import WHEN, fresh, post, refusal
from .model import MODEL

JSON = "application/x-amz-json-1.1"


def check_error(answer, status, exception):
    """An error is in the header and in the body."""
    assert (answer.status, answer.headers["content-type"]) == (status, JSON), answer.body
    assert (answer.json["__type"], answer.headers["x-amzn-errortype"]) == (exception, exception)
    assert answer.json["message"]
    return answer.json["message"]


def test_an_answer(endpoint):
    answers = [post(endpoint, "GetLabels", {}) for _ in range(2)]
    assert [(answer.status, answer.headers["content-type"]) for answer in answers] == [(200, JSON)] * 2
    assert len({uuid.UUID(answer.headers["x-amzn-requestid"]) for answer in answers}) == 2


def test_an_empty_result_is_two_bytes(endpoint):
    name = fresh()
    for operation in ("PutOutcome", "DeleteOutcome"):
        answer = post(endpoint, operation, {"name": name})
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"{}", "2")


def test_an_error(endpoint):
    answer = post(endpoint, "GetLabels", {"name": fresh("nothing")})
    assert "does not exist" in check_error(answer, 400, "ResourceNotFoundException")
    uuid.UUID(answer.headers["x-amzn-requestid"])


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_every_operation_is_known(endpoint, operation):
    """Answered, refused for what it lacks, or not built yet: but never taken for something else."""
    answer = post(endpoint, operation, {"name": 1, "names": 1, "maxResults": "x", "jobId": 1, "kmsEncryptionKeyArn": 1})
    shape = MODEL.operation_model(operation).input_shape
    if answer.status == 200:
        assert shape is None
    elif shape is not None:
        assert answer.json["__type"] in ("SerializationException", "ValidationException"), answer.body


@pytest.mark.parametrize("operation", ["PutModel", "DeleteRuleVersion", "getLabels", "", "GetLabels.x"])
def test_operations_that_are_none(endpoint, operation):
    check_error(post(endpoint, operation, {}), 400, "UnknownOperationException")


@pytest.mark.parametrize("target", [None, "GetLabels", "AWSHawksNestServiceFacade", "AWSDance.GetLabels", "ü"])
def test_a_target_is_needed(endpoint, target):
    """An exact one: a request without it is for nobody."""
    headers = {"Content-Type": JSON} | ({"X-Amz-Target": target} if target else {})
    answer = post(endpoint, None, {}, **headers)
    check_error(answer, 400, "UnknownOperationException")


@pytest.mark.parametrize("method, path", [("GET", "/"), ("PUT", "/"), ("POST", "/labels"), ("DELETE", "/")])
def test_every_operation_is_a_post_to_the_root(endpoint, method, path):
    check_error(post(endpoint, "GetLabels", {}, method=method, path=path), 400, "UnknownOperationException")


MALFORMED = [
    "{",
    '{"name":}',
    '{"name":"a"',
    '{"name":"a"} x',
    "{name:1}",
    "{'name':'a'}",
    "[]",
    "null",
    '"name"',
    "1",
    "\x00",
    b"\xff\xfe",
    b'{"name":"\xff"}',
    '{"name":"\\ud800"}',
    '{"name":NaN}',
    '{"name":' + "[" * 200 + "]" * 200 + "}",
    "[" * 100_000,
]


@pytest.mark.parametrize("given", MALFORMED, ids=lambda given: repr(given)[:30])
def test_bodies_that_are_no_json_object(endpoint, given):
    check_error(post(endpoint, "GetLabels", given), 400, "SerializationException")


# operation, body, the member that the message names
TYPES = [
    ("GetLabels", {"name": 1}, "name"),
    ("GetLabels", {"name": ["fraud"]}, "name"),
    ("GetLabels", {"maxResults": "10"}, "maxResults"),
    ("GetLabels", {"maxResults": 10.5}, "maxResults"),
    ("GetLabels", {"maxResults": True}, "maxResults"),
    ("GetLabels", {"maxResults": 10**30}, "maxResults"),
    ("BatchGetVariable", {"names": "a"}, "names"),
    ("BatchGetVariable", {"names": {"0": "a"}}, "names"),
    ("BatchGetVariable", {"names": ["a", 1]}, "names.2.member"),
    ("PutLabel", {"name": "a", "tags": ["a"]}, "tags.1.member"),
    ("PutLabel", {"name": "a", "tags": [{"key": "a", "value": 1}]}, "tags.1.member.value"),
    ("PutEventType", {"eventOrchestration": {"eventBridgeEnabled": "true"}}, "eventOrchestration.eventBridgeEnabled"),
    ("PutEventType", {"eventOrchestration": True}, "eventOrchestration"),
    ("SendEvent", {"eventVariables": {"amount": 5}}, "eventVariables.amount"),
    ("SendEvent", {"eventVariables": [["amount", "5"]]}, "eventVariables"),
    ("SendEvent", {"eventTimestamp": 1780000000}, "eventTimestamp"),
    ("GetEventPrediction", {"entities": {"entityType": "a", "entityId": "b"}}, "entities"),
    ("ListEventPredictions", {"eventId": "e-1"}, "eventId"),
    ("DeleteEvent", {"eventId": "a", "eventTypeName": "b", "deleteAuditHistory": "true"}, "deleteAuditHistory"),
]


@pytest.mark.parametrize("operation, given, member", TYPES)
def test_a_wrong_json_type_names_the_member(endpoint, operation, given, member):
    message = check_error(post(endpoint, operation, given), 400, "SerializationException")
    assert message.startswith(f"{member} must be ")


def optional(operation):
    """The members of an operation that may be left out."""
    shape = MODEL.operation_model(operation).input_shape
    return [member for member in shape.members if member not in shape.required_members]


def test_a_null_is_a_member_that_is_left_out(endpoint, afd, shop):
    rule = shop.rule("r", "$amount > 1")
    version = {"detectorId": shop.name, "rules": [rule]}
    draft = shop.version([rule])
    variable = {"name": fresh(), "dataType": "STRING", "dataSource": "EVENT", "defaultValue": ""}
    arn = afd.get_detectors(detectorId=shop.name)["detectors"][0]["arn"]
    refused = []
    for operation, given in [
        ("PutOutcome", {"name": fresh()}),
        ("GetOutcomes", {}),
        ("CreateVariable", variable),
        ("UpdateVariable", {"name": variable["name"]}),
        ("GetVariables", {}),
        ("BatchCreateVariable", {"variableEntries": [variable | {"name": fresh(), "variableType": None, "description": None}]}),
        ("PutEventType", {"name": fresh("bare"), "eventVariables": [shop.v("amount")], "entityTypes": [shop.customer]}),
        ("GetEventTypes", {}),
        ("CreateList", {"name": shop.v("listed")}),
        ("UpdateList", {"name": shop.v("listed")}),
        ("GetListElements", {"name": shop.v("listed")}),
        ("GetListsMetadata", {}),
        ("PutDetector", {"detectorId": shop.name, "eventTypeName": shop.name}),
        ("DescribeDetector", {"detectorId": shop.name}),
        ("CreateRule", {**rule, "ruleId": "other", "expression": shop.text("$items > 1"), "language": "DETECTORPL", "outcomes": [shop.v("r")]}),
        ("UpdateRuleVersion", {"rule": rule, "expression": shop.text("$items > 1"), "language": "DETECTORPL", "outcomes": [shop.v("r")]}),
        ("GetRules", {"detectorId": shop.name}),
        ("CreateDetectorVersion", version),
        ("UpdateDetectorVersion", {**version, "detectorVersionId": str(int(draft) + 1), "externalModelEndpoints": []}),
        ("GetEventPrediction", shop.prediction()),
        ("ListEventPredictions", {}),
        ("SendEvent", shop.event()),
        ("DeleteEvent", {"eventId": "e-1", "eventTypeName": shop.name}),
        ("ListTagsForResource", {"resourceARN": arn}),
    ]:
        for nulls in [dict.fromkeys(optional(operation)), *({member: None} for member in optional(operation))]:
            # What is created a second time is refused for that, and so is a rule's version that is no longer the most recent.
            answer = post(endpoint, operation, {**given, **nulls})
            again = ("already exists", "whereas the most recent version is")
            if answer.status != 200 and not any(text in answer.error for text in again):
                refused.append(f"{operation} {list(nulls)}: {answer.error}")
    assert not refused, "\n".join(refused)


def test_a_null_is_nothing_where_something_must_be(endpoint):
    message = check_error(post(endpoint, "PutOutcome", {"name": None}), 400, "ValidationException")
    assert message == "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"


@pytest.mark.parametrize(
    "operation, given, place",
    [
        ("BatchGetVariable", {"names": ["a", None]}, "names.2.member"),
        ("PutLabel", {"name": "a", "tags": [None]}, "tags.1.member"),
        ("GetEventPrediction", {"entities": [None]}, "entities.1.member"),
    ],
)
def test_a_null_in_a_list(endpoint, operation, given, place):
    message = check_error(post(endpoint, operation, given), 400, "ValidationException")
    assert f"Value null at '{place}' failed to satisfy constraint: Member must not be null" in message


def test_members_that_the_model_lacks_are_left_alone(endpoint):
    assert post(endpoint, "GetLabels", {"Name": "nothing", "more": [1, {}]}).status == 200


def test_no_body_is_an_empty_request(endpoint):
    assert post(endpoint, "GetLabels", "").status == 200
    check_error(post(endpoint, "PutLabel", ""), 400, "ValidationException")


@pytest.mark.parametrize("content_type, status", [(JSON, 200), (f"{JSON}; charset=utf-8", 200), ("application/json", 400), ("text/plain", 400)])
def test_content_types(endpoint, content_type, status):
    answer = post(endpoint, "GetLabels", {}, **{"Content-Type": content_type})
    assert answer.status == status, answer.body


def test_a_body_that_is_too_large(endpoint):
    given = {"name": "a", "description": "x" * 300_000}
    message = check_error(post(endpoint, "PutLabel", given), 400, "ValidationException")
    assert "262144" in message


def test_a_message_has_an_end(endpoint):
    given = {"name": fresh(), "elements": [" "] * 1000}
    message = check_error(post(endpoint, "CreateList", given), 400, "ValidationException")
    assert message.startswith("1000 validation errors detected: ")
    assert message.endswith("; and 980 more")
    assert len(message) < 5000


def test_a_long_value_is_cut(endpoint):
    message = check_error(post(endpoint, "GetLabels", {"name": "A" * 100_000}), 400, "ValidationException")
    assert len(message) < 2000


def test_a_name_that_is_escaped(endpoint, afd):
    name = fresh()
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
    assert post(endpoint, "PutOutcome", f'{{"name": "{escaped}", "description": "\\u00fc\\ud83d\\ude00"}}').status == 200
    assert afd.get_outcomes(name=name)["outcomes"][0]["description"] == "ü😀"


def test_a_length_is_counted_in_characters(afd):
    name = fresh()
    afd.put_outcome(name=name, description="ü" * 128)
    assert afd.get_outcomes(name=name)["outcomes"][0]["description"] == "ü" * 128


SECRET = "secret-4111"


# where a value that may be personal is wrong
HIDDEN = [
    {"eventVariables": {"amount": SECRET * 1000}},
    {"eventVariables": {"amount": SECRET, "items": ""}},
    {"entities": [{"entityType": "customer", "entityId": f"{SECRET} x"}]},
    {"entities": [{"entityType": "customer", "entityId": SECRET * 100}]},
]


@pytest.mark.parametrize("operation", ["SendEvent", "GetEventPrediction"])
@pytest.mark.parametrize("change", HIDDEN)
def test_personal_values_are_not_quoted(endpoint, operation, change):
    request = {
        "detectorId": "orders",
        "eventId": "1",
        "eventTypeName": "order",
        "eventTimestamp": WHEN,
        "entities": [{"entityType": "customer", "entityId": "1"}],
        "eventVariables": {"amount": "1"},
    }
    answer = post(endpoint, operation, request | change)
    check_error(answer, 400, "ValidationException")
    assert SECRET.encode() not in answer.body


LISTINGS = [
    ("get_labels", {}),
    ("get_outcomes", {}),
    ("get_entity_types", {}),
    ("get_variables", {}),
    ("get_event_types", {}),
    ("get_detectors", {}),
    ("get_lists_metadata", {}),
    ("list_event_predictions", {}),
]


@pytest.fixture(scope="module")
def token(afd):
    """A token of GetListElements."""
    name = fresh()
    afd.create_list(name=name, elements=[str(number) for number in range(501)])
    return afd.get_list_elements(name=name, maxResults=500)["nextToken"]


@pytest.mark.parametrize("call, request_", LISTINGS)
def test_a_token_of_another_operation(afd, token, call, request_):
    assert refusal(getattr(afd, call), nextToken=token, **request_).startswith("ValidationException: Invalid nextToken")


def test_a_token_of_another_operation_and_a_detector(afd, shop, token):
    rule = shop.rule("r", "$amount > 1")
    arn = afd.get_rules(**{name: rule[name] for name in ("detectorId", "ruleId")})["ruleDetails"][0]["arn"]
    for call, request in [
        (afd.get_rules, {"detectorId": shop.name}),
        (afd.describe_detector, {"detectorId": shop.name}),
        (afd.list_tags_for_resource, {"resourceARN": arn}),
    ]:
        assert refusal(call, nextToken=token, **request).startswith("ValidationException: Invalid nextToken")


def test_a_body_in_pieces(endpoint):
    """Chunked, as an SDK sends a body whose length it does not know."""
    given = json.dumps({"name": fresh("nothing")}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (given[:5], given[5:])) + b"0\r\n\r\n"
    answer = post(endpoint, "GetLabels", chunks, Transfer_Encoding="chunked")
    check_error(answer, 400, "ResourceNotFoundException")
