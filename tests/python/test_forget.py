"""`fraudstream forget`: afterwards nothing that fraudstream keeps tells of the order or the customer."""

import contextlib
import json
import sqlite3
import subprocess

import pytest
from conftest import ROOT, client, environment, eventually, free_port, server

SECRET = "sentinel-4711"


@pytest.fixture
def home(tmp_path, fraudstream):
    """A folder of state with the sample's detector, and how to call the command on it."""

    def call(*arguments, check=True):
        command = [str(fraudstream), "--home", str(tmp_path / "home"), *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300)
        assert not check or done.returncode == 0, done.stderr
        return done

    call("apply", "config/detector.yaml")
    call.folder = tmp_path / "home"
    return call


def serving(home, fraudstream, logs):
    """`fraudstream serve` on the folder, for the length of a block."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [fraudstream, "serve", "--port", port, "--home", home.folder]

    @contextlib.contextmanager
    def served():
        with server(command, f"{url}/_fraudstream/health", logs / "serve-forget.log"):
            yield url

    return served()


def order(number, customer, **changed):
    made = json.loads((ROOT / "events/orders.jsonl").read_text().splitlines()[0])
    made |= {"order_id": f"FORGET-{number}", "created_at": f"2026-06-0{number}T10:15:30Z"}
    made["customer"] = made.get("customer", {}) | {"id": customer, "email": f"{customer}@example.com"}
    return made | changed


def run_lines(home, tmp_path, function, *records):
    path = tmp_path / f"{function}.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return json.loads(home("run", function, path, "--restart", "--json").stdout)


def kept(folder):
    """Whether the customer is anywhere: in a live row of the database, in S3, among the outcomes."""
    found = []
    with sqlite3.connect(folder / "dynamodb.sqlite") as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                if any(SECRET in str(cell) for cell in row):
                    found.append(table)
    for path in [*(folder / "s3").rglob("*"), folder / "outcomes.jsonl"]:
        if path.is_file() and SECRET in path.read_text(errors="replace"):
            found.append(str(path))
    return found


@pytest.fixture
def shop(home, tmp_path):
    """Two orders, a verdict and a broken order of the customer, and one order of another."""
    broken = order(9, SECRET, created_at="never")
    run_lines(home, tmp_path, "predict", order(1, SECRET), order(2, SECRET), order(3, "other"), broken)
    verdict = {
        "order_id": "FORGET-1", "kind": "verdict", "reason_code": "legit", "label_timestamp": "2026-06-29T08:00:00Z",
        "source": "analyst",
    }
    run_lines(home, tmp_path, "label", verdict)
    assert kept(home.folder)
    return home


def test_a_customer_is_forgotten(shop):
    counts = {
        "events": 2, "predictions": 2, "labels": 2, "decisions": 2, "verdicts": 0, "list_entries": 0, "rejected_objects": 1,
        "rewritten_objects": 0, "outcomes": 2,
    }
    report = json.loads(shop("forget", "--entity", SECRET, "--dry-run", "--json").stdout)
    remains = report.pop("remains")
    assert report == counts | {"dry_run": True, "held": []}
    assert remains
    assert kept(shop.folder), "a dry run deletes nothing"
    report = json.loads(shop("forget", "--entity", f"customer/{SECRET}", "--json").stdout)
    assert {name: report[name] for name in counts} == counts
    assert kept(shop.folder) == []
    # The other customer stays, and there is nothing left to forget.
    assert "FORGET-3" in shop("show", "FORGET-3").stdout
    assert shop("show", "FORGET-1", check=False).returncode != 0
    report = json.loads(shop("forget", "--entity", SECRET, "--json").stdout)
    assert {name: report[name] for name in counts} == dict.fromkeys(counts, 0)
    text = shop("forget", "FORGET-3", "--dry-run").stdout
    assert text.startswith("would be forgotten:\n       1 events\n") and "remains:" in text


def test_an_order_is_forgotten(shop):
    report = json.loads(shop("forget", "FORGET-1", "--json").stdout)
    assert (report["events"], report["predictions"], report["decisions"], report["outcomes"]) == (1, 1, 1, 1)
    assert shop("show", "FORGET-1", check=False).returncode != 0
    assert "FORGET-2" in shop("show", "FORGET-2").stdout


def test_an_address_leaves_the_lists_of_addresses(shop, fraudstream, logs):
    address = f"{SECRET.upper()}@example.com"
    with serving(shop, fraudstream, logs) as url:
        afd = client("frauddetector", url)
        for name, variable_type in [("forget_addresses", "EMAIL_ADDRESS"), ("forget_zips", "SHIPPING_ZIP")]:
            afd.create_list(name=name, elements=[address, "97201"], variableType=variable_type)
    assert shop("list", "forget_addresses").stdout == f"97201\n{address}\n"
    report = json.loads(shop("forget", "--entity", SECRET, "--json").stdout)
    assert report["list_entries"] == 1
    assert shop("list", "forget_addresses").stdout == "97201\n"
    # A list of postal codes holds no addresses: it is nobody's.
    assert shop("list", "forget_zips").stdout == f"97201\n{address}\n"


def test_a_person_sees_what_is_kept(shop):
    kept = json.loads(shop("subject", f"customer/{SECRET}", "--json").stdout)
    counts = {name: len(kept[name]) for name in ["events", "decisions", "rejected", "outcomes", "holds", "unread"]}
    assert counts == {"events": 2, "decisions": 2, "rejected": 1, "outcomes": 2, "holds": 0, "unread": 0}
    assert kept["decisions"][0]["variables"]["email_address"] == f"{SECRET}@example.com"
    text = shop("subject", "--order", "FORGET-3").stdout
    assert text.startswith("events: 1\n") and "decisions: 1\norder FORGET-3" in text


def test_nobody_in_particular_is_not_forgotten(shop):
    done = shop("forget", "--entity", "unknown", check=False)
    assert done.returncode != 0 and "all whose id is not known" in done.stderr


def test_replay_and_imports_refuse_what_was_forgotten(shop, fraudstream, logs, tmp_path):
    (rejected,) = (shop.folder / "s3" / "fraudstream" / "rejected").rglob("*.json")
    copy = tmp_path / "copy.json"
    copy.write_text(rejected.read_text().replace("never", "2026-06-09T10:15:30Z"))
    shop("forget", "--entity", SECRET)
    (replayed,) = json.loads(shop("replay", copy, "--json").stdout)
    assert (replayed["done"], replayed["now"]) == (False, "not replayed: it is about something that was forgotten")

    summary = run_lines(shop, tmp_path, "ingest", order(4, SECRET), order(5, "other"))
    assert (summary["forgotten"], summary["events"]) == (1, 1)

    with serving(shop, fraudstream, logs) as url:
        afd = client("frauddetector", url)
        (event_type,) = afd.get_event_types(name="order")["eventTypes"]
        names = event_type["eventVariables"]
        address = names.index("email_address")
        header = ",".join(["EVENT_ID", "EVENT_TIMESTAMP", "ENTITY_ID", "ENTITY_TYPE", *names])
        cells = ",".join("a@example.com" if place == address else "" for place in range(len(names)))
        rows = [f"e-{number},2026-06-01,{entity},customer,{cells}" for number, entity in enumerate([SECRET, "a", "b"])]
        client("s3", url).put_object(Bucket="fraudstream", Key="jobs/old.csv", Body="\n".join([header, *rows]).encode())
        afd.create_batch_import_job(
            jobId="old", inputPath="s3://fraudstream/jobs/old.csv", outputPath="s3://fraudstream/jobs", eventTypeName="order",
            iamRoleArn="arn:aws:iam::123456789012:role/jobs",
        )

        def done():
            (row,) = afd.get_batch_import_jobs(jobId="old")["batchImports"]
            return row["status"] == "COMPLETE" and row

        row = eventually(done)
        assert (row["processedRecordsCount"], row["failedRecordsCount"]) == (3, 1)
        with pytest.raises(afd.exceptions.ResourceNotFoundException):
            afd.get_event(eventId="e-0", eventTypeName="order")
        assert afd.get_event(eventId="e-1", eventTypeName="order")["event"]["eventId"] == "e-1"
