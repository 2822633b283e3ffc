"""Batch import and batch prediction jobs, DeleteEventsByEventType.

The files of a job are in S3. Elsewhere than against `fraudstream serve` the tests need a bucket and a role: CONTRACT_BUCKET and
CONTRACT_ROLE.
"""

import csv
import io
import os
import re
import time

import boto3
import pytest

from .api import ENDPOINT, REGION, WHEN, body, check_pages, fresh, refusal

SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ENDED = {"COMPLETE", "CANCELED", "FAILED"}


class Files:
    """A bucket, in which every test has a folder of its own."""

    def __init__(self, endpoint):
        self.bucket = os.environ.get("CONTRACT_BUCKET", "fraudstream")
        self.role = os.environ.get("CONTRACT_ROLE", "arn:aws:iam::123456789012:role/jobs")
        place = {} if ENDPOINT else {"endpoint_url": endpoint, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self.s3 = boto3.client("s3", region_name=REGION, config=boto3.session.Config(s3={"addressing_style": "path"}), **place)

    def path(self, key):
        return f"s3://{self.bucket}/{key}"

    def put(self, job, text):
        """The input of a job."""
        self.s3.put_object(Bucket=self.bucket, Key=f"{job}/input.csv", Body=text.encode())

    def request(self, job, shop, **changed):
        paths = {"inputPath": self.path(f"{job}/input.csv"), "outputPath": self.path(f"{job}/out")}
        return {"jobId": job, "eventTypeName": shop.name, "iamRoleArn": self.role, **paths} | changed

    def output(self, job):
        """Name and text of a job's only output."""
        (row,) = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"{job}/out/").get("Contents", [])
        text = self.s3.get_object(Bucket=self.bucket, Key=row["Key"])["Body"].read().decode()
        return row["Key"].rsplit("/", 1)[1], text


@pytest.fixture(scope="module")
def files(endpoint):
    if ENDPOINT and not os.environ.get("CONTRACT_BUCKET"):
        pytest.skip("CONTRACT_BUCKET names no bucket")
    return Files(endpoint)


def ended(get, timeout=600):
    """Polls as a client does, and keeps every answer."""
    seen, end = [], time.monotonic() + timeout
    while time.monotonic() < end:
        job = get()
        if not seen or job != seen[-1]:
            seen.append(job)
        if job["status"] in ENDED:
            return seen
        time.sleep(0.05)
    pytest.fail(f"the job did not end: {seen[-1]}")


def import_job(afd, job):
    (row,) = afd.get_batch_import_jobs(jobId=job)["batchImports"]
    return row


def prediction_job(afd, job):
    (row,) = afd.get_batch_prediction_jobs(jobId=job)["batchPredictions"]
    return row


def rows(shop, count, labelled=True):
    """A file of good rows, `e-0` to `e-<count - 1>`."""
    columns = ["EVENT_ID", "EVENT_TIMESTAMP", "ENTITY_ID", "ENTITY_TYPE", *(shop.v(name) for name in shop.VARIABLES)]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(columns + (["EVENT_LABEL", "LABEL_TIMESTAMP"] if labelled else []))
    for number in range(count):
        row = [f"e-{number}", WHEN, f"cust-{number}", shop.customer, number, 1, "US", "true", ""]
        writer.writerow(row + ([shop.labels[number % 2], WHEN] if labelled else []))
    return table.getvalue()


def imported(afd, shop, files, text, **changed):
    job = fresh("import")
    files.put(job, text)
    assert body(afd.create_batch_import_job(**files.request(job, shop, **changed))) == {}
    return job


def test_an_import(afd, shop, files):
    bad = f"Bad-Id,{WHEN},c,{shop.customer},1,1,US,true,,,\n"
    job = imported(afd, shop, files, rows(shop, 3000) + bad)
    seen = ended(lambda: import_job(afd, job))
    assert len({row["processedRecordsCount"] for row in seen}) > 2, "the counters do not move"
    row = seen[-1]
    assert row["arn"].endswith(f":batch-import/{job}")
    for name in ("startTime", "completionTime"):
        assert SECONDS.fullmatch(row.pop(name))
    del row["arn"]
    assert row == {
        **{name: value for name, value in files.request(job, shop).items()},
        "status": "COMPLETE",
        "processedRecordsCount": 3001,
        "failedRecordsCount": 1,
        "totalRecordsCount": 3001,
    }
    name, text = files.output(job)
    assert re.fullmatch(rf"{job}_\d+_output\.csv", name)
    assert text.startswith("ROW,EVENT_ID,ERROR\n3001,Bad-Id,1 validation error detected: Value 'Bad-Id' at 'eventId'")
    assert shop.stored("e-2999")["currentLabel"] == shop.labels[1]
    (row,) = afd.get_event_types(name=shop.name)["eventTypes"]
    assert row["ingestedEventStatistics"]["numberOfEvents"] == 3000


def test_a_sound_import_has_an_empty_output(afd, shop, files):
    job = imported(afd, shop, files, rows(shop, 2, labelled=False))
    assert ended(lambda: import_job(afd, job))[-1]["status"] == "COMPLETE"
    assert files.output(job)[1] == ""


@pytest.mark.parametrize("change, reason", [
    (lambda text: "", "empty"),
    (lambda text: text.splitlines()[0], "no rows"),
    (lambda text: text.replace("ENTITY_TYPE", "entity_type"), "[ENTITY_TYPE] is missing"),
    (lambda text: text.replace(WHEN, "yesterday"), "more than 50%"),
])
def test_an_import_that_fails(afd, shop, files, change, reason):
    job = imported(afd, shop, files, change(rows(shop, 2)))
    row = ended(lambda: import_job(afd, job))[-1]
    assert row["status"] == "FAILED" and reason in row["failureReason"]
    assert refusal(shop.stored, "e-0").startswith("ResourceNotFoundException: ")


def test_a_file_that_is_not_there(afd, shop, files):
    job = imported(afd, shop, files, "", inputPath=files.path("nothing/there.csv"))
    row = ended(lambda: import_job(afd, job))[-1]
    assert (row["status"], "NoSuchKey" in row["failureReason"]) == ("FAILED", True)


def test_an_import_is_canceled(afd, shop, files):
    job = imported(afd, shop, files, rows(shop, 30_000))
    while import_job(afd, job)["processedRecordsCount"] == 0:
        time.sleep(0.02)
    for _ in range(2):
        assert body(afd.cancel_batch_import_job(jobId=job)) == {}
    row = ended(lambda: import_job(afd, job))[-1]
    assert row["status"] == "CANCELED" and 0 < row["processedRecordsCount"] < 30_000
    assert not files.s3.list_objects_v2(Bucket=files.bucket, Prefix=f"{job}/out/").get("Contents")


def test_an_import_in_the_way_of_its_clients(afd, shop, files):
    job = imported(afd, shop, files, rows(shop, 1))
    request = files.request(job, shop)
    got = refusal(afd.create_batch_import_job, **request)
    assert got.startswith("ValidationException: ") and job in got
    ended(lambda: import_job(afd, job))
    assert refusal(afd.cancel_batch_import_job, jobId=job).startswith("ValidationException: ")
    for _ in range(2):
        assert body(afd.delete_batch_import_job(jobId=job)) == {}
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match=job):
        afd.get_batch_import_jobs(jobId=job)
    assert shop.stored("e-0")["eventId"] == "e-0"
    with pytest.raises(afd.exceptions.ResourceNotFoundException):
        afd.cancel_batch_import_job(jobId=job)
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match="nothing"):
        afd.create_batch_import_job(**request | {"eventTypeName": "nothing"})
    for path in ("s3://", "folder/file.csv", files.path("folder/")):
        assert refusal(afd.create_batch_import_job, **request | {"inputPath": path}).startswith("ValidationException: ")


def test_a_batch_prediction(afd, shop, files):
    shop.deciding("large: $amount > 1\nlow: $amount <= 1")
    job = fresh("predict")
    of_spark = WHEN.replace("T", " ").replace("Z", ".0")
    text = rows(shop, 3, labelled=False) + f"e-x,{WHEN},c,{shop.customer},much,1,US,true,\n"
    files.put(job, text + f"e-s,{of_spark},c,{shop.customer},5,1,US,true,\n")
    tags = [{"key": "team", "value": "fraud"}]
    request = files.request(job, shop, detectorName=shop.name, tags=tags)
    assert body(afd.create_batch_prediction_job(**request)) == {}
    row = ended(lambda: prediction_job(afd, job))[-1]
    arn = row.pop("arn")
    assert arn.endswith(f":batch-prediction/{job}")
    for name in ("startTime", "completionTime", "lastHeartbeatTime"):
        assert SECONDS.fullmatch(row.pop(name))
    del request["tags"]
    want = {"status": "COMPLETE", "processedRecordsCount": 5, "totalRecordsCount": 5, "detectorVersion": "1"}
    assert row == request | want
    assert afd.list_tags_for_resource(resourceARN=arn)["tags"] == tags
    table = list(csv.DictReader(io.StringIO(files.output(job)[1])))
    assert list(table[0])[-4:] == ["MODEL_SCORES", "OUTCOMES", "RULE_RESULTS", "STATUS"]
    said = [(row["EVENT_ID"], row["EVENT_TIMESTAMP"], shop.short(row["OUTCOMES"]), row["STATUS"].split(":")[0]) for row in table]
    when = WHEN.replace("Z", ".000Z")
    assert sorted(said) == [
        ("e-0", when, "low", "Success"), ("e-1", when, "low", "Success"), ("e-2", when, "large", "Success"),
        ("e-s", when, "large", "Success"), ("e-x", when, "", "ValidationException"),
    ]
    matched = {row["EVENT_ID"]: shop.short(row["RULE_RESULTS"]) for row in table}
    assert matched == {
        "e-0": '{"low": ["low"]}', "e-1": '{"low": ["low"]}', "e-2": '{"large": ["large"]}', "e-s": '{"large": ["large"]}',
        "e-x": "",
    }
    predictions = afd.list_event_predictions(eventId={"value": "e-2"}, eventType={"value": shop.name})
    assert len(predictions["eventPredictionSummaries"]) == 1
    assert body(afd.delete_batch_prediction_job(jobId=job)) == {}
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match=job):
        afd.get_batch_prediction_jobs(jobId=job)


def test_predictions_run_one_after_the_other(afd, shop, files):
    shop.deciding("large: $amount > 1")
    jobs = [fresh("predict") for _ in range(3)]
    for job in jobs:
        files.put(job, rows(shop, 600, labelled=False))
        afd.create_batch_prediction_job(**files.request(job, shop, detectorName=shop.name))
    assert body(afd.cancel_batch_prediction_job(jobId=jobs[2])) == {}
    last = [ended(lambda: prediction_job(afd, job))[-1] for job in jobs]
    assert [row["status"] for row in last] == ["COMPLETE", "COMPLETE", "CANCELED"]


def test_a_prediction_without_a_detector(afd, shop, files):
    request = files.request(fresh(), shop, detectorName=shop.name)
    with pytest.raises(afd.exceptions.ResourceNotFoundException, match="ACTIVE"):
        afd.create_batch_prediction_job(**request)
    for changed in ({"detectorName": "nothing"}, {"detectorVersion": "7"}, {"eventTypeName": "nothing"}):
        with pytest.raises(afd.exceptions.ResourceNotFoundException):
            afd.create_batch_prediction_job(**request | changed)


def test_pages_of_imports(afd, shop, files):
    jobs = [imported(afd, shop, files, rows(shop, 1)) for _ in range(4)]
    for job in jobs:
        ended(lambda: import_job(afd, job))
    check_pages(afd.get_batch_import_jobs, "batchImports", lambda row: row["jobId"], 3, jobs)


def test_all_events_of_a_type(afd, shop, files):
    with pytest.raises(afd.exceptions.ResourceNotFoundException):
        afd.get_delete_events_by_event_type_status(eventTypeName=shop.name)
    with pytest.raises(afd.exceptions.ResourceNotFoundException):
        afd.delete_events_by_event_type(eventTypeName="nothing")
    for number in range(3):
        shop.send(event_id=f"e-{number}")
    answer = afd.delete_events_by_event_type(eventTypeName=shop.name)
    assert body(answer) == {"eventTypeName": shop.name, "eventsDeletionStatus": "IN_PROGRESS_INITIALIZING"}
    with pytest.raises(afd.exceptions.ConflictException):
        afd.delete_events_by_event_type(eventTypeName=shop.name)

    def status():
        return {"status": afd.get_delete_events_by_event_type_status(eventTypeName=shop.name)["eventsDeletionStatus"]}

    assert ended(status)[-1] == {"status": "COMPLETE"}
    assert refusal(shop.stored, "e-1").startswith("ResourceNotFoundException: ")
