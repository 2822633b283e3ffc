"""Jobs of `fraudstream serve` whose process is ended: nothing is lost, nothing is there twice."""

import json
import signal
import subprocess

import pytest

from conftest import client, environment, eventually, free_port, run, server

ROWS = 40_000
# The sample's event type: the row says what differs.
HEADER = "EVENT_ID,EVENT_TIMESTAMP,ENTITY_ID,ENTITY_TYPE"


@pytest.fixture
def served(fraudstream, logs, tmp_path):
    """Starts `fraudstream serve` on one folder, as often as it is asked to."""

    def serve():
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [fraudstream, "serve", "--port", port, "--home", tmp_path / "home"]
        return server(command, f"{url}/_fraudstream/health", logs / "serve-jobs.log"), url

    return serve


def begin(fraudstream, url, job):
    """The sample's detector, a file of orders, and a job that imports it."""
    run(fraudstream, "apply", "config/detector.yaml", env=environment(AWS_ENDPOINT_URL=url), timeout=120)
    afd = client("frauddetector", url)
    (event_type,) = afd.get_event_types(name="order")["eventTypes"]
    names = event_type["eventVariables"]
    header = ",".join([HEADER, *names])
    (first, *_) = names
    variables = {row["name"]: row for row in afd.batch_get_variable(names=[first])["variables"]}
    value = {"STRING": "x", "INTEGER": "1", "FLOAT": "1.0", "BOOLEAN": "true"}[variables[first]["dataType"]]
    row = "e-{},2026-06-01T10:15:30Z,cust-{},customer," + ",".join([value] + [""] * (len(names) - 1))
    text = "\n".join([header, *(row.format(number, number) for number in range(ROWS))])
    client("s3", url).put_object(Bucket="fraudstream", Key="jobs/orders.csv", Body=text.encode())
    afd.create_batch_import_job(
        jobId=job, inputPath="s3://fraudstream/jobs/orders.csv", outputPath="s3://fraudstream/jobs/", eventTypeName="order",
        iamRoleArn="arn:aws:iam::123456789012:role/jobs",
    )


def progress(url, job):
    (row,) = client("frauddetector", url).get_batch_import_jobs(jobId=job)["batchImports"]
    return row


def check(url, job):
    """All rows are events, and each is counted once."""
    row = eventually(lambda: progress(url, job)["status"] == "COMPLETE" and progress(url, job), timeout=240)
    assert (row["processedRecordsCount"], row["failedRecordsCount"], row["totalRecordsCount"]) == (ROWS, 0, ROWS)
    afd = client("frauddetector", url)
    (event_type,) = afd.get_event_types(name="order")["eventTypes"]
    assert event_type["ingestedEventStatistics"]["numberOfEvents"] == ROWS
    for number in (0, ROWS // 2, ROWS - 1):
        assert afd.get_event(eventId=f"e-{number}", eventTypeName="order")["event"]["eventId"] == f"e-{number}"


@pytest.mark.parametrize("kind, status", [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)])
def test_an_import_outlives_a_signal(fraudstream, served, tmp_path, kind, status):
    server_, url = served()
    with server_ as process:
        begin(fraudstream, url, "orders")
        eventually(lambda: progress(url, "orders")["processedRecordsCount"] > 0)
        process.send_signal(kind)
        assert process.wait(timeout=60) == status
    for path in [tmp_path / "home", *(tmp_path / "home").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, f"others may read {path}"
    server_, url = served()
    with server_:
        assert progress(url, "orders")["status"] == "IN_PROGRESS"
        check(url, "orders")


def test_the_command_goes_on_with_a_job(fraudstream, served, tmp_path):
    server_, url = served()
    with server_ as process:
        begin(fraudstream, url, "orders")
        eventually(lambda: progress(url, "orders")["processedRecordsCount"] > 0)
        process.kill()
        process.wait()
    command = [fraudstream, "jobs", "--json", "--home", tmp_path / "home"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=240, check=True)
    want = {
        "kind": "batch-import", "jobId": "orders", "status": "COMPLETE", "processed": ROWS, "failed": 0, "failureReason": None,
    }
    assert json.loads(done.stdout) == want
    server_, url = served()
    with server_:
        check(url, "orders")
