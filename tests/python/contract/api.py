"""What the tests of the contract share: a client that checks nothing itself, plain HTTP, and a detector of one's own."""

import contextlib
import http.client
import itertools
import json
import os
import re
import secrets
import time
import urllib.parse

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from .model import check_answer

ENDPOINT = os.environ.get("CONTRACT_ENDPOINT")
REGION = "us-east-1"
TARGET = "AWSHawksNestServiceFacade."
WHEN = "2026-06-01T10:15:30Z"
ROLE = "arn:aws:iam::123456789012:role/contract"
MODEL_TYPE = "ONLINE_FRAUD_INSIGHTS"
MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

# Every name of this run begins with it: the runs may share an endpoint, and each deletes what it made.
RUN = f"c{secrets.token_hex(3)}_"
NUMBERS = itertools.count()


def fresh(name="x"):
    """A name that nothing has."""
    return f"{RUN}{next(NUMBERS)}_{name}"


def connect(endpoint):
    """A client that sends whatever it is told to, once."""
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=20)
    client = boto3.client(
        "frauddetector", endpoint_url=endpoint, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test", config=config
    )
    client.meta.events.register("before-parse.frauddetector", check_answer)
    return client


class Answer:
    """An HTTP response."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """Exception and message."""
        return f"{self.json['__type']}: {self.json['message']}"


def post(endpoint, operation, body, method="POST", path="/", **headers):
    """One request as it is, body and headers; a body that is no text is sent as JSON."""
    url = urllib.parse.urlsplit(endpoint)
    connection = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}[url.scheme](url.netloc, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    target = {} if operation is None else {"X-Amz-Target": f"{TARGET}{operation}"}
    headers = {"Content-Type": "application/x-amz-json-1.1", **target, **headers}
    body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    with contextlib.closing(connection):
        connection.request(method, path, body.encode() if isinstance(body, str) else body, headers)
        return Answer(connection.getresponse())


def refusal(call, *arguments, **request):
    """The exception of a call that must fail: its class and its message."""
    try:
        answer = call(*arguments, **request)
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    pytest.fail(f"accepted: {request}, with {answer}")


def body(answer):
    """An answer without what every answer has."""
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def pages(call, rows, **request):
    """The rows of every page of a listing."""
    token = {}
    while True:
        answer = call(**request, **token)
        yield answer[rows]
        if not answer.get("nextToken"):
            return
        token = {"nextToken": answer["nextToken"]}


def check_pages(call, rows, key, size, want, **request):
    """All pages but the last are full, and the rows named `want` are on them, each once."""
    got = list(pages(call, rows, maxResults=size, **request))
    assert len(got) > 1
    assert [len(page) for page in got[:-1]] == [size] * (len(got) - 1)
    assert 1 <= len(got[-1]) <= size
    found = [key(row) for page in got for row in page]
    assert len(found) == len(set(found)), "a row is on two pages"
    assert sorted(name for name in found if name in set(want)) == sorted(want)
    check_tokens(call, call(maxResults=size, **request)["nextToken"], **request)


def check_tokens(call, token, **request):
    """Tokens that were cut, edited or made up are refused; an empty one is none."""
    for forged in ["10", "x", "ü", token[1:], token[:-1], f"{token}AA", token.swapcase()]:
        assert refusal(call, nextToken=forged, **request).startswith("ValidationException: Invalid nextToken"), forged
    assert call(nextToken="", **request) is not None


class Shop:
    """An event type with a detector of its own, to which a test adds rules."""

    VARIABLES = {
        "amount": ("FLOAT", "0.0"),
        "items": ("INTEGER", "1"),
        "country": ("STRING", "US"),
        "member": ("BOOLEAN", "false"),
        "joined": ("DATETIME", ""),
    }

    def __init__(self, afd, **event_type):
        self.afd = afd
        self.prefix = fresh("")
        self.name = f"{self.prefix}order"
        self.customer = f"{self.prefix}customer"
        self.entities = [{"entityType": self.customer, "entityId": "cust-42"}]
        self.labels = [f"{self.prefix}fraud", f"{self.prefix}legit"]
        self.made = set()
        self.versions = {}
        entries = [
            {"name": self.v(name), "dataType": ty, "dataSource": "EVENT", "defaultValue": default}
            for name, (ty, default) in self.VARIABLES.items()
        ]
        assert afd.batch_create_variable(variableEntries=entries)["errors"] == []
        afd.put_entity_type(name=self.customer)
        for label in self.labels:
            afd.put_label(name=label)
        self.put_event_type(**event_type)
        afd.put_detector(detectorId=self.name, eventTypeName=self.name)

    def put_event_type(self, **changed):
        variables = changed.pop("variables", self.VARIABLES)
        request = {
            "name": self.name,
            "eventVariables": [self.v(name) for name in variables],
            "labels": self.labels,
            "entityTypes": [self.customer],
        }
        return self.afd.put_event_type(**request | changed)

    def v(self, name):
        """The full name of a variable."""
        return f"{self.prefix}{name}"

    def text(self, short):
        """A text in which `$name` and `@name` stand for the full names."""
        return re.sub(r"([$@])(?=[a-z_])", rf"\g<1>{self.prefix}", short)

    def short(self, text):
        """The way back."""
        return text.replace(self.prefix, "")

    def variables(self, given):
        """`amount=5 country=DE` as the map of a request; `null` is null."""
        pairs = (pair.split("=", 1) for pair in given.split()) if isinstance(given, str) else given.items()
        return {self.v(name): None if value == "null" else value for name, value in pairs}

    def outcome(self, name):
        if name not in self.made:
            self.afd.put_outcome(name=self.v(name))
            self.made.add(name)
        return self.v(name)

    def rule(self, rule_id, expression, outcomes=None, **more):
        """Makes a rule; its outcome has its name unless told otherwise."""
        request = {
            "detectorId": self.name,
            "ruleId": rule_id,
            "expression": self.text(expression),
            "language": "DETECTORPL",
            "outcomes": outcomes if isinstance(outcomes, list) else [self.outcome(name) for name in (outcomes or rule_id).split()],
        }
        return self.afd.create_rule(**request | more)["rule"]

    def rules(self, text):
        """A rule per line, `id: expression`."""
        lines = (line.split(":", 1) for line in text.strip().splitlines())
        return [self.rule(name.strip(), expression.strip()) for name, expression in lines]

    def version(self, rules, status="ACTIVE", **more):
        """A detector version, in the status that is asked for."""
        made = self.afd.create_detector_version(detectorId=self.name, rules=rules, **more)["detectorVersionId"]
        steps = {"DRAFT": [], "ACTIVE": ["ACTIVE"], "INACTIVE": ["ACTIVE", "INACTIVE"]}
        for step in steps[status]:
            self.set(made, step)
        return made

    def set(self, version, status):
        return self.afd.update_detector_version_status(detectorId=self.name, detectorVersionId=version, status=status)

    def status(self, version):
        return self.afd.get_detector_version(detectorId=self.name, detectorVersionId=version)["status"]

    def deciding(self, text, **more):
        """A detector that decides by these rules."""
        self.version(self.rules(text), **more)
        return self

    def model(self, **more):
        """Makes a model over amount and country; its reference."""
        for name, kind in (("amount", "PRICE"), ("country", "CATEGORICAL")):
            self.afd.update_variable(name=self.v(name), variableType=kind)
        reference = {"modelId": self.v("scorer"), "modelType": MODEL_TYPE}
        self.afd.create_model(**reference, eventTypeName=self.name, **more)
        return reference

    def training(self, **source):
        """What CreateModelVersion takes of the training; stored events unless told otherwise."""
        source = source or {
            "trainingDataSource": "INGESTED_EVENTS",
            "ingestedEventsDetail": {"ingestedEventsTimeWindow": {"startTime": "2026-01-01T00:00:00Z", "endTime": WHEN}},
        }
        mapper = {"FRAUD": self.labels[:1], "LEGIT": self.labels[1:]}
        schema = {
            "modelVariables": [self.v("amount"), self.v("country")],
            "labelSchema": {"labelMapper": mapper, "unlabeledEventsTreatment": "IGNORE"},
        }
        return {"trainingDataSchema": schema, **source}

    def external_model(self, name="endpoint", score="score", **changed):
        """Makes an external model and the variable of its answer; its name."""
        with contextlib.suppress(self.afd.exceptions.ValidationException):
            self.afd.create_variable(name=self.v(score), dataType="FLOAT", dataSource="EXTERNAL_MODEL_SCORE", defaultValue="0.0")
        request = {
            "modelEndpoint": self.v(name),
            "modelSource": "SAGEMAKER",
            "invokeModelEndpointRoleArn": ROLE,
            "inputConfiguration": {
                "eventTypeName": self.name, "format": "TEXT_CSV", "useEventVariables": True,
                "csvInputTemplate": "{{%s}}" % self.v("amount"),
            },
            "outputConfiguration": {"format": "TEXT_CSV", "csvIndexToVariableMap": {"0": self.v(score)}},
            "modelEndpointStatus": "ASSOCIATED",
        }
        self.afd.put_external_model(**request | changed)
        return self.v(name)

    def event(self, variables="amount=5", event_id="e-1", **changed):
        """A request of SendEvent."""
        request = {
            "eventId": event_id,
            "eventTypeName": self.name,
            "eventTimestamp": WHEN,
            "eventVariables": self.variables(variables),
            "entities": self.entities,
        }
        return request | changed

    def prediction(self, variables="amount=5", event_id="e-1", **changed):
        """A request of GetEventPrediction."""
        return self.event(variables, event_id) | {"detectorId": self.name} | changed

    def predict(self, *arguments, **changed):
        return self.afd.get_event_prediction(**self.prediction(*arguments, **changed))

    def decide(self, *arguments, **changed):
        """A prediction in short: the rules that matched."""
        return " ".join(result["ruleId"] for result in self.predict(*arguments, **changed)["ruleResults"])

    def send(self, *arguments, **changed):
        return self.afd.send_event(**self.event(*arguments, **changed))

    def stored(self, event_id="e-1"):
        return self.afd.get_event(eventId=event_id, eventTypeName=self.name)["event"]


    # Closed, with stored events that are being deleted.
    emptying = []

    def close(self):
        """Deletes what there may be only a hundred of; what has stored events, when a later test ends."""
        delete_detector(self.afd, self.name)
        Shop.emptying = [shop for shop in [*Shop.emptying, self] if not shop.deleted()]

    def deleted(self):
        """Deletes the event type and what belongs to it, or says that its events are there yet."""
        # What the test gave to another of its own goes at the end of the run.
        with contextlib.suppress(self.afd.exceptions.ConflictException):
            if not delete_event_type(self.afd, self.name):
                return False
            self.afd.delete_entity_type(name=self.customer)
            for label in self.labels:
                self.afd.delete_label(name=label)
        return True


def delete_event_type(afd, name):
    """Deletes an event type, or begins to delete its stored events; whether it is gone."""
    try:
        afd.delete_event_type(name=name)
    except afd.exceptions.ConflictException as conflict:
        if "stored events" not in str(conflict):
            raise
        # They may be being deleted already.
        with contextlib.suppress(afd.exceptions.ConflictException):
            afd.delete_events_by_event_type(eventTypeName=name)
        return False
    return True


def delete_detector(afd, detector):
    """Deletes a detector that may be there, its versions and its rules."""
    try:
        versions = afd.describe_detector(detectorId=detector)["detectorVersionSummaries"]
    except afd.exceptions.ResourceNotFoundException:
        return
    for version in versions:
        reference = {"detectorId": detector, "detectorVersionId": version["detectorVersionId"]}
        if version["status"] == "ACTIVE":
            afd.update_detector_version_status(**reference, status="INACTIVE")
        afd.delete_detector_version(**reference)
    for rule in [rule for page in pages(afd.get_rules, "ruleDetails", detectorId=detector) for rule in page]:
        afd.delete_rule(rule={name: rule[name] for name in ("detectorId", "ruleId", "ruleVersion")})
    afd.delete_detector(detectorId=detector)


def delete_model_version(afd, timeout=120, **reference):
    """Ends a model version's training or service, waits until it has ended, and deletes it.

    A training can end by itself between the question for its status and the request to cancel it: the request is then refused.
    """
    end = time.monotonic() + timeout
    while (status := afd.get_model_version(**reference)["status"]) in ("ACTIVE", "TRAINING_IN_PROGRESS"):
        try:
            ended = {"ACTIVE": "INACTIVE", "TRAINING_IN_PROGRESS": "TRAINING_CANCELLED"}[status]
            afd.update_model_version_status(**reference, status=ended)
        except afd.exceptions.ValidationException:
            assert afd.get_model_version(**reference)["status"] != status
        assert time.monotonic() < end, f"{reference} stays {status}"
        time.sleep(0.1)
    afd.delete_model_version(**reference)


def delete_model(afd, model):
    """Deletes a model and its versions."""
    for version in [row for page in pages(afd.describe_model_versions, "modelVersionDetails", modelId=model) for row in page]:
        delete_model_version(afd, **{name: version[name] for name in ("modelId", "modelType", "modelVersionNumber")})
    afd.delete_model(modelId=model, modelType=MODEL_TYPE)


def delete_all(afd):
    """Deletes what this run has made, in the order that works."""

    def ours(call, rows, key="name"):
        return [row[key] for page in pages(call, rows) for row in page if row[key].startswith(RUN)]

    for detector in ours(afd.get_detectors, "detectors", "detectorId"):
        delete_detector(afd, detector)
    for model in ours(afd.get_models, "models", "modelId"):
        delete_model(afd, model)
    for endpoint in ours(afd.get_external_models, "externalModels", "modelEndpoint"):
        afd.delete_external_model(modelEndpoint=endpoint)
    end = time.monotonic() + 120
    while left := [name for name in ours(afd.get_event_types, "eventTypes") if not delete_event_type(afd, name)]:
        assert time.monotonic() < end, f"their events are not deleted: {left}"
        time.sleep(0.1)
    for get, rows, delete in [
        (afd.get_outcomes, "outcomes", afd.delete_outcome),
        (afd.get_variables, "variables", afd.delete_variable),
        (afd.get_labels, "labels", afd.delete_label),
        (afd.get_entity_types, "entityTypes", afd.delete_entity_type),
        (afd.get_lists_metadata, "lists", afd.delete_list),
    ]:
        for name in ours(get, rows):
            delete(name=name)
        assert ours(get, rows) == []
