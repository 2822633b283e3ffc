"""What an earlier release stored is read by this one, and sent again it is known: nothing is lost, nothing is there twice.
And the other way: what this release stores has all that the earlier one reads, so that a deployment can be taken back.

tests/states/ has one archive for each release, made by make_state.py with that release's binary.
"""

import contextlib
import json
import re
import subprocess
import tarfile

import pytest

from conftest import ROOT, client, environment, free_port, run, server

STATES = sorted((ROOT / "tests/states").glob("*.tar.xz"))
# The mapping with which the state was made: orders are compared under one mapping only.
MAPPING = ROOT / "shared/mapping/testdata/with-jq.yaml"


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


@pytest.fixture
def serve(folder, fraudstream, logs):
    """The old state behind AWS's clients, for as long as the block runs."""

    @contextlib.contextmanager
    def serve():
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [fraudstream, "serve", "--port", port, "--home", folder / "state"]
        with server(command, f"{url}/_fraudstream/health", logs / "serve-upgrade.log", env=environment()):
            yield url

    return serve


TABLES = ["Definitions", "Events", "Decisions"]


def items(url):
    """Every item of the three tables, by table and key."""
    dynamodb = client("dynamodb", url)
    found = {}
    for table in TABLES:
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                found[table, item["pk"]["S"], item["sk"]["S"]] = item
    return found


def kind(key):
    """What an item is: its table and its key without ids, hashes, numbers and days."""
    table, pk, sk = key
    if pk.startswith(("order#", "labels#")) and table == "Decisions":
        return table, re.sub("#.*", "", sk)
    sk = re.sub(r"[#@].*|^\d{4}-\d\d-\d\d$", "#", sk) if table == "Events" else ""
    return table, re.sub("#.*", "#", pk), sk


# Maps with members of their own that a reader relies on. The keys of other maps are data.
NESTED = {"label", "prediction", "position"}


def typed(item, prefix=""):
    """Each attribute of an item with its type, those inside the nested maps included."""
    for name, value in item.items():
        ((type_, content),) = value.items()
        yield prefix + name, type_
        if name in NESTED and type_ == "M":
            yield from typed(content, f"{prefix}{name}.")


def needs(rows):
    """The attributes that all of these items have, with their types: what a reader may rely on."""
    return set.intersection(*(set(typed(item)) for item in rows))


def by_kind(found):
    kinds = {}
    for key, item in found.items():
        kinds.setdefault(kind(key), []).append(item)
    return kinds


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


def test_the_api_answers_from_the_old_tables(folder, serve):
    with serve() as url:
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


def test_what_this_release_stores_has_all_that_the_earlier_one_reads(ask, folder, serve):
    with serve() as url:
        before = items(url)
    old = by_kind(before)
    orders = [json.loads(line) for line in (folder / "orders.jsonl").read_text().splitlines()[:30]]
    new = [{**order, "order_id": f"NEW-{number}"} for number, order in enumerate(orders)]
    labels = [{**json.loads((folder / "labels.jsonl").read_text().splitlines()[0]), "order_id": row["order_id"]} for row in new[:3]]
    labels.append({**labels[0], "order_id": "NEW-UNKNOWN"})
    for name, rows in (("new", new), ("new-labels", labels), ("new-history", [{**row, "order_id": f"OLD-{row['order_id']}"} for row in new])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ask("run", "predict", "new.jsonl")
    ask("run", "label", "new-labels.jsonl")
    ask("run", "ingest", "new-history.jsonl")
    ask("list", "disposable_email_domains", "--add", "new.example", "--expires", "30d", "--reason", "new", "--author", "tests")
    ask("train", "--model", "orders_model", "--unlabeled", "LEGIT", "--variable", "order_price", "--variable", "ip_address", "--activate")
    ask("forget", "NEW-7")
    with serve() as url:
        afd = client("frauddetector", url)
        afd.put_label(name="other", description="other")
        afd.put_outcome(name="other", description="other")
        afd.create_variable(name="other", dataType="STRING", dataSource="EVENT", defaultValue="", description="other")
        afd.create_rule(ruleId="other", detectorId="orders", description="other", expression="$order_price > 1", language="DETECTORPL", outcomes=["other"])
        afd.create_batch_import_job(
            jobId="import_2", inputPath="s3://fraudstream/jobs/orders.csv", outputPath="s3://fraudstream/jobs/",
            eventTypeName="order", iamRoleArn="arn:aws:iam::123456789012:role/jobs",
        )
        after = items(url)
    written = {key: item for key, item in after.items() if before.get(key) != item}
    compared = set()
    for key, item in written.items():
        if kind(key) in old:
            lacking = needs(old[kind(key)]) - needs([item])
            assert not lacking, f"{key} lacks {lacking}, which the earlier release may rely on"
            compared.add(kind(key))
    # Nothing is stored under a kind of key that the earlier release does not know.
    assert {kind(key) for key in written} - set(old) <= {("Definitions", "open-job", "")}
    assert len(compared) >= 15, compared


@pytest.mark.parametrize("which", ["a decision", "a label history", "an event", "an active version"])
def test_a_form_that_is_newer_than_the_reader_is_named(fraudstream, folder, serve, which):
    facts = json.loads((folder / "facts.json").read_text())
    order = facts["orders"][0]
    with serve() as url:
        chosen = {
            "a decision": lambda key: key[0] == "Decisions" and key[1].startswith(f"order#{order.lower()}") and key[2].startswith("decision"),
            "a label history": lambda key: key[0] == "Decisions" and key[1].startswith(f"labels#order#{order.lower()}"),
            "an event": lambda key: key[0] == "Events" and key[1] == "event#order#imported-1" and key[2] == "event",
            "an active version": lambda key: key[0] == "Definitions" and key[1] == "detector",
        }[which]
        ((table, *_), item), = [(key, item) for key, item in items(url).items() if chosen(key)]
        client("dynamodb", url).put_item(TableName=table, Item={**item, "form": {"N": "99"}})
    told = outcomes(folder)
    ask = {
        "a decision": ["show", order],
        "a label history": ["run", "label", "labels.jsonl", "--restart"],
        "an event": ["subject", "--order", "imported-1"],
        "an active version": ["run", "predict", "again.jsonl"],
    }[which]
    (folder / "again.jsonl").write_text(json.dumps({**json.loads((folder / "orders.jsonl").read_text().splitlines()[0]), "order_id": "AGAIN-1"}) + "\n")
    command = [fraudstream, *ask, "--home", "state", "--mapping", MAPPING]
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "form 99" in done.stdout + done.stderr, done.stdout + done.stderr
    assert outcomes(folder) == told


def test_an_item_of_a_newer_form_is_not_written_over(folder, serve):
    with serve() as url:
        ((table, *key), item), = [row for row in items(url).items() if row[0] == ("Events", "event#order#imported-1", "event")]
        newer = {**item, "form": {"N": "99"}}
        dynamodb = client("dynamodb", url)
        dynamodb.put_item(TableName=table, Item=newer)
        afd = client("frauddetector", url)
        with pytest.raises(afd.exceptions.InternalServerException, match="form 99"):
            afd.send_event(
                eventId="imported-1", eventTypeName="order", eventTimestamp="2026-05-01T10:00:00Z",
                eventVariables={"order_price": "1.00"}, entities=[{"entityType": "customer", "entityId": "cust-1"}],
            )
        found = dynamodb.get_item(TableName=table, Key={"pk": newer["pk"], "sk": newer["sk"]}, ConsistentRead=True)["Item"]
        assert found == newer


def test_a_prediction_of_the_earlier_release_can_be_deleted(serve):
    """The last test: it changes the state."""
    with serve() as url:
        afd = client("frauddetector", url)
        summaries = afd.list_event_predictions(maxResults=100)["eventPredictionSummaries"]
        oldest = min(summaries, key=lambda summary: summary["predictionTimestamp"])
        afd.delete_event(eventId=oldest["eventId"], eventTypeName=oldest["eventTypeName"], deleteAuditHistory=True)
        assert not afd.list_event_predictions(eventId={"value": oldest["eventId"]})["eventPredictionSummaries"]
