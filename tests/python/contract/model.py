"""The service model that botocore brings, and what it says of every answer.

Every answer that a client of `api.connect` gets is held against it: a member that the model lacks, a value of another
JSON type, an exception that the operation does not document fails the test that asked.
"""

import json

import botocore.session

MODEL = botocore.session.get_session().get_service_model("frauddetector")

# Members of answers that test_model.py does not bring about, with all that is in them: it has no SageMaker endpoint, and
# no account with the months of events that the other two model types learn from. Their tests are expected to fail, and
# fail when they do not: then the line goes.
NOT_SHOWN = {
    "DescribeModelVersions": [
        f"modelVersionDetails[].trainingResultV2.{member}"
        for member in ("trainingMetricsV2.tfi", "trainingMetricsV2.ati", "aggregatedVariablesImportanceMetrics")
    ],
    "GetEventPrediction": ["externalModelOutputs[]"],
    "GetEventPredictionMetadata": [
        "evaluatedExternalModels[]",
        "evaluatedModelVersions[].evaluations[].predictionExplanations.aggregatedVariablesImpactExplanations[]",
    ],
}

# Answers of the front end, which no operation documents.
FRONT_END = {"SerializationException"}

JSON_TYPES = {
    "structure": dict, "map": dict, "list": list, "string": str, "blob": str, "timestamp": str, "boolean": bool,
    "integer": int, "long": int, "float": (int, float), "double": (int, float),
}

# The operations that were answered with success, and (operation, member) of every member that an answer had.
SERVED = set()
SEEN = set()


def members(shape, path=""):
    """The places of a shape, from the outside in: `rules`, `rules[].ruleId`."""
    if shape is None:
        return
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            place = f"{path}.{name}".lstrip(".")
            yield place
            yield from members(member, place)
    elif shape.type_name == "list":
        yield from members(shape.member, f"{path}[]")
    elif shape.type_name == "map":
        yield from members(shape.value, f"{path}{{}}")


def conform(operation, shape, value, path=""):
    """Holds a value of an answer against its shape, and notes the members that are there."""
    where = f"{operation}: {path or 'the answer'}"
    wanted = JSON_TYPES[shape.type_name]
    assert isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool), f"{where} is {value!r}"
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), f"{where} has members that the model lacks: {set(value) - set(shape.members)}"
        for name, inner in value.items():
            place = f"{path}.{name}".lstrip(".")
            SEEN.add((operation, place))
            conform(operation, shape.members[name], inner, place)
    elif shape.type_name == "list":
        for inner in value:
            conform(operation, shape.member, inner, f"{path}[]")
    elif shape.type_name == "map":
        for inner in value.values():
            conform(operation, shape.value, inner, f"{path}{{}}")
    elif shape.type_name == "string" and shape.enum:
        assert value in shape.enum, f"{where} is {value!r}"


def check_answer(operation_model, response_dict, **_):
    """The hook of a client: runs before botocore, which overlooks what it does not know, reads the answer."""
    operation, body = operation_model.name, json.loads(response_dict["body"])
    if response_dict["status_code"] < 300:
        SERVED.add(operation)
        output = operation_model.output_shape
        assert output or body == {}, f"{operation} has no output: {body}"
        if output:
            conform(operation, output, body)
        return
    documented = {shape.name for shape in operation_model.error_shapes} | FRONT_END
    assert body["__type"].split("#")[-1] in documented, f"{operation} does not document {body['__type']}"
