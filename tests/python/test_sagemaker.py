"""External models of `fraudstream serve`, with a server that answers as SageMaker's endpoints do."""

import contextlib
import http.server
import threading

import pytest
from conftest import client, free_port, server

ROLE = "arn:aws:iam::123456789012:role/models"


class Endpoint(http.server.BaseHTTPRequestHandler):
    """An endpoint whose score is a tenth of its input."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        assert self.path == "/endpoints/scorer-V1/invocations", self.path
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        body = f"{float(text) / 10}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def sagemaker():
    """The address of a server with one endpoint."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as endpoint:
        threading.Thread(target=endpoint.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{endpoint.server_port}"
        endpoint.shutdown()


@pytest.fixture
def serve(fraudstream, logs, tmp_path):
    """Serves with more arguments, and gives a client."""

    @contextlib.contextmanager
    def start(*arguments):
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [fraudstream, "serve", "--port", port, "--home", tmp_path / "home", "--memory", *arguments]
        with server(command, f"{url}/_fraudstream/health", logs / "serve-sagemaker.log"):
            yield client("frauddetector", url)

    return start


def create_detector(afd):
    """A detector with a rule over the score of an external model."""
    afd.create_variable(name="amount", dataType="FLOAT", dataSource="EVENT", defaultValue="0.0")
    afd.create_variable(name="score", dataType="FLOAT", dataSource="EXTERNAL_MODEL_SCORE", defaultValue="0.0")
    afd.put_entity_type(name="customer")
    afd.put_outcome(name="review")
    afd.put_event_type(name="order", eventVariables=["amount"], entityTypes=["customer"])
    afd.put_detector(detectorId="orders", eventTypeName="order")
    afd.put_external_model(
        modelEndpoint="scorer-V1", modelSource="SAGEMAKER", invokeModelEndpointRoleArn=ROLE, modelEndpointStatus="ASSOCIATED",
        inputConfiguration={"useEventVariables": True, "eventTypeName": "order", "format": "TEXT_CSV", "csvInputTemplate": "{{amount}}"},
        outputConfiguration={"format": "TEXT_CSV", "csvIndexToVariableMap": {"0": "score"}},
    )
    rule = afd.create_rule(detectorId="orders", ruleId="high", expression="$score > 0.5", language="DETECTORPL", outcomes=["review"])
    afd.create_detector_version(detectorId="orders", rules=[rule["rule"]], externalModelEndpoints=["scorer-V1"])


def predict(afd, amount):
    return afd.get_event_prediction(
        detectorId="orders", detectorVersionId="1", eventId="1", eventTypeName="order", eventTimestamp="2026-06-01T10:15:30Z",
        entities=[{"entityType": "customer", "entityId": "unknown"}], eventVariables={"amount": amount},
    )


def test_an_endpoint_is_asked_where_it_is_said_to_be(serve, sagemaker):
    with serve("--sagemaker-endpoint-url", sagemaker) as afd:
        create_detector(afd)
        for amount, score, matched in [("9", "0.9\n", ["high"]), ("2", "0.2\n", [])]:
            answer = predict(afd, amount)
            assert answer["externalModelOutputs"][0]["outputs"] == {"score": score}
            assert [rule["ruleId"] for rule in answer["ruleResults"]] == matched


def test_without_an_address_the_answer_says_what_to_do(serve):
    with serve() as afd:
        create_detector(afd)
        with pytest.raises(afd.exceptions.ResourceUnavailableException, match="--sagemaker-endpoint-url"):
            predict(afd, "9")
