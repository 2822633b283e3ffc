"""Every limit of the service model, asked from both sides.

The cases are made from the model that botocore brings: for each member of each operation's input a value on the bound
and one beyond it. What is within its limits must not be named in the message, what is not must be, in AWS's words.
"""

import collections
import re

import pytest
from botocore import xform_name

from .api import refusal
from .model import MODEL


# pattern, how texts that match begin, what they are filled up with, texts that do not match
PATTERNS = {
    r"^[0-9a-z_-]+$": ("", "_", ["A", "a b", "ä", "a\n"]),
    r"^[0-9a-z_]+$": ("", "_", ["a-b", "A", "a\n"]),
    r"^[0-9A-Za-z_-]+$": ("", "_", ["a.b", "a\n"]),
    r"^[0-9A-Za-z_.@+-]+$": ("", "+", ["a b", "a/b", "a\n"]),
    r"^([1-9][0-9]*)$": ("", "1", ["0", "01", "1.0", "-1"]),
    r"^[1-9][0-9]{0,3}\.[0-9]{1,2}$": ("1", "0", ["100", "0.1", "1.000", "12345.0"]),
    r"^[A-Z_]{1,64}$": ("", "A", ["a", "A1"]),
    r"^\S+( +\S+)*$": ("", "a", [" a", "a ", "a\tb"]),
    r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$": ("", "ä", ["a!", "a\tb"]),
    r"^s3:\/\/(.+)$": ("s3://", "a", ["s3:/a", "https://a"]),
    r"^arn\:aws[a-z-]{0,15}\:iam\:\:[0-9]{12}\:role\/[^\s]{2,64}$": (
        "arn:aws:iam::123456789012:role/", "a", ["arn:aws:iam::123456789012:user/aa", "arn:aws:iam::12345678901:role/aa"],
    ),
    r"^arn\:aws[a-z-]{0,15}\:frauddetector\:[a-z0-9-]{3,20}\:[0-9]{12}\:[^\s]{2,128}$": (
        "arn:aws:frauddetector:us-east-1:123456789012:", "_", ["arn:aws:sqs:us-east-1:123456789012:aa", "arn:aws:frauddetector:us-east-1::aa"],
    ),
    r"^DEFAULT|arn:[a-zA-Z0-9-]+:kms:[a-zA-Z0-9-]+:\d{12}:key\/\w{8}-\w{4}-\w{4}-\w{4}-\w{12}$": ("DEFAULT", "", ["default", "arn:aws:kms:us-east-1:1:key/a"]),
    r".*": ("", "a", []),
    None: ("", "a", []),
}


def text(shape, length):
    """A text of this length that the shape's pattern allows, if there is one."""
    pattern = shape.metadata.get("pattern")
    start, fill, _ = PATTERNS[pattern]
    if r"\." in (pattern or "") and pattern.startswith("^[1-9]"):
        return {3: "1.0", 7: "1234.56"}.get(length)
    made = start + fill * (length - len(start)) if fill else start
    known = pattern and r"\p{" not in pattern
    return made if len(made) == length and (not known or re.search(pattern, made)) else None


def least(shape):
    """The smallest value a shape allows."""
    if shape.type_name == "structure":
        return {name: least(shape.members[name]) for name in shape.required_members}
    if shape.type_name == "list":
        return [least(shape.member)] * shape.metadata.get("min", 0)
    if shape.type_name == "map":
        return {"a": least(shape.value)} if shape.metadata.get("min") else {}
    if shape.type_name == "string":
        lengths = range(max(shape.metadata.get("min", 0), 1), 257)
        return shape.enum[0] if shape.enum else next(filter(None, (text(shape, length) for length in lengths)))
    return {"boolean": False, "integer": shape.metadata.get("min", 0), "blob": b"a"}[shape.type_name]


def sized(shape, size):
    """A value of this length or size, if there is one."""
    if shape.type_name == "string":
        return "" if size == 0 else text(shape, size)
    if shape.type_name == "list":
        return [least(shape.member)] * size
    if shape.type_name == "map":
        return {f"a{number}": least(shape.value) for number in range(size)}
    return size


def own(shape):
    """Values of a shape on its bounds and beyond: (value, what is broken)."""
    limits = shape.metadata
    word = "value" if shape.type_name == "integer" else "length"
    if "min" in limits:
        yield sized(shape, limits["min"]), None
        if word == "value" or limits["min"] > 0:
            beyond = sized(shape, limits["min"] - 1)
            constraint = f"Member must have {word} greater than or equal to {limits['min']}"
            yield ("a" * (limits["min"] - 1) if beyond is None else beyond), constraint
    if "max" in limits:
        yield sized(shape, limits["max"]), None
        beyond = sized(shape, limits["max"] + 1)
        yield ("a" * (limits["max"] + 1) if beyond is None else beyond), f"Member must have {word} less than or equal to {limits['max']}"
    for bad in PATTERNS[limits.get("pattern")][2] if shape.type_name == "string" else []:
        yield bad, f"Member must satisfy regular expression pattern: {limits['pattern']}"
    if shape.type_name == "string" and shape.enum:
        for value in shape.enum:
            yield value, None
        for value in ("NO_SUCH_VALUE", shape.enum[0].lower(), ""):
            yield value, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def values(shape, path=""):
    """Values of a shape and of all in it: (path, value, what is broken)."""
    for value, broken in own(shape):
        if value is not None:
            yield path, value, broken
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            for inner, value, broken in values(member, f"{path}.{name}".lstrip(".")):
                yield inner, least(shape) | {name: value}, broken
        for missing in shape.required_members:
            others = {name: value for name, value in least(shape).items() if name != missing}
            yield f"{path}.{missing}".lstrip("."), others, "Member must not be null"
    if shape.type_name == "list":
        for inner, value, broken in values(shape.member, f"{path}.1.member"):
            yield inner, [value], broken
    if shape.type_name == "map":
        for key, broken in own(shape.key):
            # A key has no place of its own: it is reported at its map.
            if key is not None:
                yield path, {key: least(shape.value)}, broken and broken.replace("Member must", "Map keys must")
        for inner, value, broken in values(shape.value, f"{path}.a"):
            yield inner, {"a": value}, broken


def cases(beyond):
    """The cases of all operations, numbered in each member."""
    made = []
    for operation in MODEL.operation_names:
        shape = MODEL.operation_model(operation).input_shape
        numbers = collections.Counter()
        for path, request, broken in values(shape) if shape else []:
            if (broken is not None) == beyond:
                numbers[path] += 1
                made.append(pytest.param(operation, path, request, broken, id=f"{operation}-{path}-{numbers[path]}"))
    return made


def violations(message):
    """The places and constraints that a message names."""
    head = re.match(r"ValidationException: (\d+) validation errors? detected: ", message)
    assert head, message[:300]
    found = re.findall(r"Value(?: null| '.*?')? at '(.*?)' failed to satisfy constraint: (.*?)(?=; Value|$)", message, re.DOTALL)
    assert len(found) == int(head[1]), message[:300]
    return found


@pytest.mark.parametrize("operation, path, request_, broken", cases(beyond=True))
def test_beyond_a_limit(afd, operation, path, request_, broken):
    found = violations(refusal(getattr(afd, xform_name(operation)), **request_))
    assert {place for place, _ in found} == {path}
    assert broken in [constraint for _, constraint in found]


@pytest.mark.parametrize("operation, path, request_, broken", cases(beyond=False))
def test_on_a_limit(afd, operation, path, request_, broken):
    # Something else is broken, so that nothing comes of the request and the message says what it thinks of this.
    members = MODEL.operation_model(operation).input_shape
    other = next((name for name in members.required_members if name != path.split(".")[0]), None)
    if other:
        request_ = {name: value for name, value in request_.items() if name != other}
    elif "maxResults" in members.members and path != "maxResults":
        other, request_ = "maxResults", request_ | {"maxResults": 0}
    elif "tags" in members.members:
        other, request_ = "tags.1.member.key", request_ | {"tags": [{"key": "!", "value": ""}]}
    if other:
        assert {place for place, _ in violations(refusal(getattr(afd, xform_name(operation)), **request_))} == {other}
        return
    try:
        getattr(afd, xform_name(operation))(**request_)
    except afd.exceptions.ClientError as error:
        assert "failed to satisfy constraint" not in str(error)
