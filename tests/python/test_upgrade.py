"""What an earlier release stored is read by this one, and sent again it is known: nothing is lost, nothing is there twice.

tests/states/ has one archive for each release, made by make_state.py with that release's binary.
"""

import json
import tarfile

import pytest

from conftest import ROOT, client, environment, free_port, run, server

STATES = sorted((ROOT / "tests/states").glob("*.tar.xz"))
MAPPING = ROOT / "config/mapping.yaml"


@pytest.fixture(params=STATES, ids=[path.name.removesuffix(".tar.xz") for path in STATES])
def folder(request, tmp_path):
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def ask(fraudstream, folder):
    """A command on the old state, and what it answers as JSON."""

    def ask(*arguments):
        command = [fraudstream, *arguments, "--json", "--home", "state", "--mapping", MAPPING]
        return json.loads(run(*command, cwd=folder, timeout=120).stdout)

    return ask


def outcomes(folder):
    return (folder / "state/outcomes.jsonl").read_text().splitlines()


def test_there_is_a_state_to_open():
    assert STATES


def test_orders_and_labels_that_are_sent_again_are_known(ask, folder):
    told = outcomes(folder)
    again = ask("run", "predict", "orders.jsonl", "--restart")
    assert (again["records"], again["duplicates"], again["forgotten"], again["decided"]) == (32, 29, 1, {})
    assert again["rejected"] == {"bad-timestamp": 1, "order-changed": 1}
    again = ask("run", "label", "labels.jsonl", "--restart")
    assert (again["labels"], again["labels_waiting"], again["rejected"]) == (5, 1, {})
    assert outcomes(folder) == told


def test_what_was_decided_is_shown_and_explained(ask, folder):
    facts = json.loads((folder / "facts.json").read_text())
    forgotten = facts["orders"][5]
    labels = {}
    for order in facts["orders"]:
        if order == forgotten:
            continue
        (decision,) = ask("show", order)
        assert decision["order_id"] == order
        assert decision["prediction"]["detectorVersionId"] == "2"
        assert 0 <= decision["scores"]["orders_model_insightscore"] <= 1000
        labels[order] = (decision.get("label") or {}).get("label")
        assert ask("explain", order)["models"][0]["model_id"] == "orders_model"
        assert ask("subject", "--order", order)["decisions"]
    first, second, third, fourth, *others = facts["orders"]
    assert [labels[order] for order in (first, second, third, fourth)] == ["fraud", "legit", "fraud", "fraud"]
    assert not any(labels.get(order) for order in others)


def test_the_detector_the_lists_and_the_rejected_records_are_there(ask, folder, fraudstream):
    entries = ask("list", "disposable_email_domains")
    (entry,) = [entry for entry in entries if entry["reason"] == "fixture"]
    assert (entry["element"], entry["author"]) == ("old.example", "tests")
    assert len(ask("replay", "--dry-run")) == 2
    # The same file again changes nothing.
    plan = run(fraudstream, "apply", "detector.yaml", "--dry-run", "--home", "state", cwd=folder).stdout
    assert "nothing to do" in plan, plan


def test_new_orders_are_decided_with_the_old_model_and_the_old_history(ask, folder):
    orders = [json.loads(line) for line in (folder / "orders.jsonl").read_text().splitlines()[:30]]
    rows = [{**order, "order_id": f"NEW-{number}"} for number, order in enumerate(orders)]
    (folder / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = len(outcomes(folder))
    summary = ask("run", "predict", "new.jsonl")
    assert sum(summary["decided"].values()) == 30, summary
    assert len(outcomes(folder)) == told + 30
    (decision,) = ask("show", "NEW-0")
    assert decision["scores"]["orders_model_insightscore"] >= 0
    # Another version learns from what the earlier release stored.
    trained = ask("train", "--model", "orders_model", "--unlabeled", "LEGIT", "--variable", "order_price", "--variable", "ip_address")
    assert trained["arn"].endswith("/2.0") or trained["arn"].endswith("/1.01"), trained


def test_the_api_answers_from_the_old_tables(folder, fraudstream, logs):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [fraudstream, "serve", "--port", port, "--home", folder / "state"]
    with server(command, f"{url}/_fraudstream/health", logs / "serve-upgrade.log", env=environment()):
        afd = client("frauddetector", url)
        (job,) = afd.get_batch_import_jobs(jobId="import_1")["batchImports"]
        assert (job["status"], job["processedRecordsCount"]) == ("COMPLETE", 2)
        imported = afd.get_event(eventId="imported-1", eventTypeName="order")["event"]
        assert imported["eventVariables"]["order_price"] == "12.50"
        version = afd.get_detector_version(detectorId="orders", detectorVersionId="2")
        assert version["status"] == "ACTIVE" and version["modelVersions"]
        predictions = afd.list_event_predictions(maxResults=100)["eventPredictionSummaries"]
        assert len(predictions) == 29
        summary = predictions[0]
        about = {key: summary[key] for key in ("eventId", "eventTypeName", "detectorId", "detectorVersionId", "predictionTimestamp")}
        assert afd.get_event_prediction_metadata(**about)["rules"]
        (event_type,) = afd.get_event_types(name="order")["eventTypes"]
        history = json.loads((folder / "facts.json").read_text())["history"]
        assert event_type["ingestedEventStatistics"]["numberOfEvents"] == history + 29 + 2
