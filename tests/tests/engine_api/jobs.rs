//! Batch imports, batch predictions and deletions of events, with a folder as S3.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_frauddetector::types::AsyncJobStatus::{self, Canceled, Complete, Failed, InProgress};
use aws_sdk_frauddetector::types::RuleExecutionMode::FirstMatched;
use aws_sdk_frauddetector::types::{BatchImport, BatchPrediction, EventIngestion, Tag};
use engine::{EndedJob, JobRunner};
use local_aws::clients;
use local_aws::fault::{Fault, Faults};
use local_aws::s3::S3;
use tempfile::TempDir;

use crate::world::{World, refusal};

const ROLE: &str = "arn:aws:iam::123456789012:role/jobs";
const HEADER: &str = "EVENT_ID,EVENT_TIMESTAMP,ENTITY_ID,ENTITY_TYPE,price,country,items,member,since,EVENT_LABEL,LABEL_TIMESTAMP";
const RULES: [(&str, &str, &str); 2] = [
    ("large", "$price > 100", "block"),
    ("foreign", "$country == \"FR\"", "review"),
];

/// A world with a bucket `files`.
struct Files {
    world: World,
    folder: TempDir,
    s3: S3,
}

impl Files {
    async fn new() -> Self {
        let world = World::deciding(&RULES, FirstMatched).await;
        let folder = tempfile::tempdir().unwrap();
        let s3 = S3::open(folder.path()).unwrap();
        s3.create_bucket("files").unwrap();
        Self { world, folder, s3 }
    }

    fn runner(&self, worker: &str) -> JobRunner {
        let s3 = clients::connect_s3(self.s3.clone().service().http_client());
        JobRunner::new(Arc::clone(&self.world.engine), s3, worker)
    }

    async fn run(&self) -> Option<EndedJob> {
        self.runner("one").run_one().await.unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("files").join(name), text).unwrap();
    }

    /// The files of a job's output, by name.
    fn outputs(&self, job: &str) -> Vec<PathBuf> {
        let Ok(folder) = std::fs::read_dir(self.folder.path().join("files/out")) else {
            return Vec::new();
        };
        let paths = folder.map(|entry| entry.unwrap().path());
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        paths
            .filter(|path| path.is_file() && name(path).starts_with(&format!("{job}_")))
            .collect()
    }

    fn output(&self, job: &str) -> String {
        let outputs = self.outputs(job);
        assert_eq!(outputs.len(), 1, "{outputs:?}");
        std::fs::read_to_string(&outputs[0]).unwrap()
    }

    async fn import(&self, job: &str, text: &str) {
        self.write(&format!("{job}.csv"), text);
        self.create_import(job).await.unwrap();
    }

    async fn create_import(&self, job: &str) -> Result<(), String> {
        let request = self.world.client.create_batch_import_job().job_id(job);
        let request = request
            .input_path(format!("s3://files/{job}.csv"))
            .output_path("s3://files/out/")
            .event_type_name("order")
            .iam_role_arn(ROLE);
        let sent = request.send().await;
        if sent.is_ok() {
            return Ok(());
        }
        Err(refusal(sent))
    }

    async fn predict(&self, job: &str, text: &str) {
        self.write(&format!("{job}.csv"), text);
        let request = self.world.client.create_batch_prediction_job().job_id(job);
        let request = request
            .input_path(format!("s3://files/{job}.csv"))
            .output_path("s3://files/out")
            .event_type_name("order")
            .detector_name("orders")
            .iam_role_arn(ROLE);
        request.send().await.unwrap();
    }

    async fn imported(&self, job: &str) -> BatchImport {
        let request = self.world.client.get_batch_import_jobs().job_id(job);
        request.send().await.unwrap().batch_imports()[0].clone()
    }

    async fn predicted(&self, job: &str) -> BatchPrediction {
        let request = self.world.client.get_batch_prediction_jobs().job_id(job);
        request.send().await.unwrap().batch_predictions()[0].clone()
    }

    /// `COMPLETE 2/3, 1 failed` of an import; `?` for a total that is not known.
    async fn progress(&self, job: &str) -> String {
        let job = self.imported(job).await;
        format!(
            "{} {}/{}, {} failed",
            job.status().unwrap(),
            job.processed_records_count().unwrap(),
            job.total_records_count()
                .map_or_else(|| "?".to_owned(), |total| total.to_string()),
            job.failed_records_count().unwrap()
        )
    }

    async fn cancel(&self, job: &str) -> Result<(), String> {
        let request = self.world.client.cancel_batch_import_job().job_id(job);
        request
            .send()
            .await
            .map(|_| ())
            .map_err(|e| refusal::<(), _>(Err(e)))
    }

    /// The number and the size of the stored events, and the time span.
    async fn statistics(&self) -> String {
        self.world.engine.flush().await.unwrap();
        let request = self.world.client.get_event_types().name("order");
        let types = request.send().await.unwrap();
        let Some(found) = types.event_types()[0].ingested_event_statistics() else {
            return "none".to_owned();
        };
        format!(
            "{} {} {:?} {:?}",
            found.number_of_events().unwrap(),
            found.event_data_size_in_bytes().unwrap(),
            found.least_recent_event(),
            found.most_recent_event()
        )
    }

    async fn event(&self, id: &str) -> String {
        let request = self.world.client.get_event();
        let got = request.event_id(id).event_type_name("order").send().await;
        let Ok(got) = got else { return refusal(got) };
        let event = got.event.unwrap();
        format!(
            "{} {} {:?}",
            event.event_timestamp().unwrap(),
            event.event_variables().unwrap()["price"],
            event.current_label()
        )
    }

    async fn predictions(&self, id: &str) -> usize {
        let filter = aws_sdk_frauddetector::types::FilterCondition::builder().value(id);
        let request = self.world.client.list_event_predictions();
        let list = request.event_id(filter.build()).send().await.unwrap();
        list.event_prediction_summaries().len()
    }
}

/// A file of `count` valid rows with ids `e-0`, `e-1`, ...
fn rows(count: usize) -> String {
    let mut text = format!("{HEADER}\n");
    for number in 0..count {
        writeln!(
            text,
            "e-{number},2026-06-01T10:15:30Z,cust-{number},customer,{number},US,1,true,,,"
        )
        .unwrap();
    }
    text
}

#[tokio::test]
async fn an_import_stores_the_good_rows_and_tells_of_the_others() {
    let files = Files::new().await;
    let text = format!(
        "{HEADER}\n\
         e-1,11/30/2019 1:01:01 PM,cust-1,customer,5,\"New York, US\",1,true,,fraud,1/12/2020\n\
         e-2,2026-06-01T10:15:30Z,cust 2,customer,5,US,1,true,,,\n\
         e-3,2026-06-01T10:15:30Z,,customer,7.5,,,,2020-01-01T00:00:00Z,,\n\
         e-4,2026-06-01T10:15:30Z,cust-4,customer,many,US,1,true,,,\n\
         e-5,2026-06-01T10:15:30Z,cust-4\n\
         e-1,2026-06-01T10:15:30Z,cust-1,customer,6,US,1,true,,,\n\
         e-7,2026-06-01T10:15:30Z,cust-7,customer,8,US,1,true,,,\n\
         e-8,2026-06-01 10:15:30.0,cust-8,customer,9,US,1,true,,fraud,2026-06-01T12:15:30.5+02:00\n"
    );
    files.import("i-1", &text).await;
    assert_eq!(
        files.progress("i-1").await,
        "IN_PROGRESS_INITIALIZING 0/?, 0 failed"
    );
    let ended = files.run().await.unwrap();
    assert_eq!(
        (ended.kind.name(), ended.job_id.as_str()),
        ("batch-import", "i-1")
    );
    assert_eq!(files.progress("i-1").await, "COMPLETE 8/8, 4 failed");
    assert_eq!(
        files.output("i-1"),
        "ROW,EVENT_ID,ERROR\n\
         2,e-2,1 validation error detected: Value at 'entities.1.member.entityId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9A-Za-z_.@+-]+$\n\
         4,e-4,Value of variable 'price' is not a valid FLOAT.\n\
         5,e-5,\"The row has 3 fields, the header has 11.\"\n\
         6,e-1,Another row of the file has the same EVENT_ID.\n"
    );
    assert_eq!(
        files.event("e-1").await,
        "2019-11-30T13:01:01Z 5 Some(\"fraud\")"
    );
    assert_eq!(files.event("e-3").await, "2026-06-01T10:15:30Z 7.5 None");
    assert_eq!(
        files.event("e-8").await,
        "2026-06-01T10:15:30Z 9 Some(\"fraud\")"
    );
    assert!(
        files
            .event("e-4")
            .await
            .starts_with("ResourceNotFoundException")
    );
    assert!(files.statistics().await.starts_with("4 "));
    let job = files.imported("i-1").await;
    assert_eq!(
        job.arn(),
        Some("arn:aws:frauddetector:us-east-1:123456789012:batch-import/i-1")
    );
    assert_eq!(job.start_time(), Some("2026-06-01T10:15:30Z"));
    assert_eq!(job.completion_time(), Some("2026-06-01T10:15:30Z"));
    assert_eq!(job.input_path(), Some("s3://files/i-1.csv"));
    assert_eq!(job.iam_role_arn(), Some(ROLE));
    assert_eq!(job.failure_reason(), None);
    assert_eq!(files.run().await, None);
}

#[tokio::test]
async fn a_sound_file_leaves_an_empty_output() {
    let files = Files::new().await;
    files.import("i-1", &rows(1201)).await;
    files.run().await;
    assert_eq!(files.progress("i-1").await, "COMPLETE 1201/1201, 0 failed");
    assert_eq!(files.output("i-1"), "");
    let before = files.statistics().await;
    assert!(before.starts_with("1201 "));
    // With the same file again, every event is replaced and none is new.
    files.import("i-2", &rows(1201)).await;
    files.run().await;
    assert_eq!(files.statistics().await, before);
}

/// A file, and why it is rejected.
#[tokio::test]
async fn files_that_are_refused_as_a_whole() {
    let files = Files::new().await;
    let cases = [
        ("", "The input file is empty."),
        (HEADER, "The input file has no rows."),
        (
            "EVENT_ID,price\n1,2\n",
            "The header does not fit event type 'order': column [EVENT_TIMESTAMP, ENTITY_ID, ENTITY_TYPE, country, items, member, since] is missing.",
        ),
        (
            &format!("{HEADER}\na\nb\ne-3,2026-06-01T10:15:30Z,,customer,7.5,,,,,,\n"),
            "2 of 3 records failed, which is more than 50%. The output file has the reasons: fix the errors in the data file and start a new import job.",
        ),
    ];
    for (number, (text, reason)) in cases.into_iter().enumerate() {
        let job = format!("i-{number}");
        files.import(&job, text).await;
        assert_eq!(files.run().await.unwrap().reason.as_deref(), Some(reason));
        let found = files.imported(&job).await;
        assert_eq!(
            (found.status(), found.failure_reason()),
            (Some(&Failed), Some(reason))
        );
    }
    assert_eq!(files.output("i-3").lines().count(), 3);
    assert!(files.event("e-3").await.starts_with("ResourceNotFound"));
    files.create_import("none").await.unwrap();
    let reason = files.run().await.unwrap().reason;
    assert_eq!(
        reason.as_deref(),
        Some("Cannot read s3://files/none.csv: NoSuchKey.")
    );
}

#[tokio::test]
async fn what_the_operations_refuse() {
    let files = Files::new().await;
    let client = &files.world.client;
    files.import("i-1", &rows(1)).await;
    assert_eq!(
        files.create_import("i-1").await.unwrap_err(),
        "ValidationException: Batch import job 'i-1' already exists: the id of a past job cannot be used again."
    );
    let delete = client.delete_batch_import_job().job_id("i-1").send().await;
    assert_eq!(
        refusal(delete),
        "ValidationException: Batch import job 'i-1' is in status IN_PROGRESS_INITIALIZING: cancel it first."
    );
    files.run().await;
    assert_eq!(
        files.cancel("i-1").await.unwrap_err(),
        "ValidationException: Batch import job 'i-1' has ended with COMPLETE: only a job in progress can be canceled."
    );
    client
        .delete_batch_import_job()
        .job_id("i-1")
        .send()
        .await
        .unwrap();
    client
        .delete_batch_import_job()
        .job_id("i-1")
        .send()
        .await
        .unwrap();
    let missing = "ResourceNotFoundException: Batch import job 'i-1' does not exist.";
    assert_eq!(files.cancel("i-1").await.unwrap_err(), missing);
    let get = client.get_batch_import_jobs().job_id("i-1").send().await;
    assert_eq!(refusal(get), missing);
    // The data of the deleted job stays.
    assert_eq!(files.event("e-0").await, "2026-06-01T10:15:30Z 0 None");

    let import = || {
        let request = client.create_batch_import_job().job_id("i-2");
        let request = request
            .input_path("s3://files/i.csv")
            .output_path("s3://files");
        request.event_type_name("order").iam_role_arn(ROLE)
    };
    let unknown = import().event_type_name("login").send().await;
    assert!(refusal(unknown).starts_with("ResourceNotFoundException: Event type 'login'"));
    let folder = import().input_path("s3://files/folder/").send().await;
    assert!(refusal(folder).starts_with("ValidationException: 'inputPath' has to name an object"));
    let put = client
        .put_event_type()
        .name("order")
        .entity_types("customer");
    let put = put.event_variables("price").event_variables("country");
    let off = put.event_ingestion(EventIngestion::Disabled);
    off.send().await.unwrap();
    let off = import().send().await;
    assert!(refusal(off).contains("its event ingestion is DISABLED"));

    let predict = |detector: &str, version: &str| {
        let request = client.create_batch_prediction_job().job_id("p-1");
        let request = request
            .input_path("s3://files/i.csv")
            .output_path("s3://files");
        let request = request.detector_name(detector).detector_version(version);
        request.event_type_name("order").iam_role_arn(ROLE).send()
    };
    let unknown = refusal(predict("none", "1").await);
    assert!(unknown.starts_with("ResourceNotFoundException: Detector 'none'"));
    let unknown = refusal(predict("orders", "7").await);
    assert!(unknown.starts_with("ResourceNotFoundException: Version 7"));
}

#[tokio::test]
async fn tags_and_pages_of_jobs() {
    let files = Files::new().await;
    let client = &files.world.client;
    for number in 0..5 {
        files.import(&format!("i-{number}"), "").await;
    }
    let arn = "arn:aws:frauddetector:us-east-1:123456789012:batch-import/i-0";
    let tag = Tag::builder().key("team").value("risk").build().unwrap();
    client
        .tag_resource()
        .resource_arn(arn)
        .tags(tag)
        .send()
        .await
        .unwrap();
    let tags = client.list_tags_for_resource().resource_arn(arn);
    assert_eq!(tags.send().await.unwrap().tags()[0].value(), "risk");
    let mut pages = client
        .get_batch_import_jobs()
        .max_results(2)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let jobs = page.unwrap();
        found.push(jobs.batch_imports().len());
    }
    assert_eq!(found, [2, 2, 1]);
    // The job and its state are unchanged.
    files.run().await.unwrap();
    assert_eq!(files.imported("i-0").await.status(), Some(&Failed));
}

#[tokio::test]
async fn a_batch_prediction() {
    let files = Files::new().await;
    let text = "EVENT_TIMESTAMP,price,country,EVENT_ID\n\
                2026-06-01 10:15:30.0,250,\"a,b\",e-1\n\
                11/30/19,5,FR,e-2\n\
                2026-06-01T10:15:30Z,5,US,\n\
                soon,5,US,e-4\n\
                2026-06-01T10:15:30Z,five,US,e-5\n";
    files.predict("p-1", text).await;
    let waiting = files.predicted("p-1").await;
    assert_eq!(waiting.last_heartbeat_time(), Some("2026-06-01T10:15:30Z"));
    assert_eq!(waiting.total_records_count(), None);
    files.run().await.unwrap();
    assert_eq!(
        files.output("p-1"),
        "EVENT_TIMESTAMP,price,country,EVENT_ID,MODEL_SCORES,OUTCOMES,RULE_RESULTS,STATUS\n\
         2026-06-01T10:15:30.000Z,250,\"a,b\",e-1,{},block,\"{\"\"large\"\": [\"\"block\"\"]}\",Success\n\
         2019-11-30T00:00:00.000Z,5,FR,e-2,{},review,\"{\"\"foreign\"\": [\"\"review\"\"]}\",Success\n\
         2026-06-01T10:15:30.000Z,5,US,,{},,{},Success\n\
         soon,5,US,e-4,,,,EVENT_TIMESTAMP: timestamp `soon` is in no form that is accepted here; write it as `2019-11-30T13:01:01Z`.\n\
         2026-06-01T10:15:30.000Z,five,US,e-5,,,,ValidationException: Value of variable 'price' is not a valid FLOAT.\n"
    );
    let name = files.outputs("p-1")[0].clone();
    assert!(name.ends_with("p-1_1780308930_output.csv"), "{name:?}");
    let job = files.predicted("p-1").await;
    assert_eq!(job.status(), Some(&Complete));
    assert_eq!(
        (job.processed_records_count(), job.total_records_count()),
        (Some(5), Some(5))
    );
    assert_eq!(
        (job.detector_name(), job.detector_version()),
        (Some("orders"), Some("1"))
    );
    assert_eq!(job.last_heartbeat_time(), Some("2026-06-01T10:15:30Z"));
    assert_eq!(files.predictions("e-1").await, 1);
}

/// Runs a job until it has made some progress, and then kills its runner.
async fn killed(files: &Files, has_begun: impl AsyncFn() -> bool) {
    let runner = files.runner("one");
    let task = tokio::spawn(async move { runner.run_one().await });
    while !has_begun().await {
        assert!(!task.is_finished(), "the job was over too soon");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_after_the_process_died() {
    let files = Files::new().await;
    let count = 4000;
    files.import("i-1", &rows(count)).await;
    let begun = async || files.imported("i-1").await.processed_records_count() > Some(0);
    killed(&files, begun).await;
    let before = files.imported("i-1").await;
    assert_eq!(before.status(), Some(&InProgress));
    // It belongs to another process until its lease ends, but the same worker takes it at once.
    assert_eq!(files.runner("two").run_one().await.unwrap(), None);
    files.world.pass(Duration::from_secs(61));
    files.runner("two").run_one().await.unwrap().unwrap();
    assert_eq!(files.progress("i-1").await, "COMPLETE 4000/4000, 0 failed");
    assert!(files.statistics().await.starts_with("4000 "));
    for id in ["e-0", "e-1999", "e-3999"] {
        assert!(files.event(id).await.starts_with("2026-06-01T10:15:30Z "));
    }
}

/// A count fails before and after it is written; the job that continues then misses no event and no time.
#[tokio::test]
async fn an_import_whose_count_fails_half_way_counts_each_event_and_its_time() {
    for passes in [0, 1] {
        let files = Files::new().await;
        files.import("i-1", &rows(5)).await;
        let faults = Faults::new();
        let s3 = clients::connect_s3(files.s3.clone().service().http_client());
        let disturbed = JobRunner::new(files.world.engine_through(&faults), s3, "one");
        faults.inject("UpdateItem", Fault::Pass, passes);
        faults.inject("UpdateItem", Fault::exception("ValidationException"), 1);
        assert!(disturbed.run_one().await.is_err(), "{passes}");
        // A shard that has a part of its span and no count yet must not cause an error.
        files.statistics().await;
        files.run().await.unwrap();
        assert_eq!(files.progress("i-1").await, "COMPLETE 5/5, 0 failed");
        let time = r#"Some("2026-06-01T10:15:30Z")"#;
        let statistics = files.statistics().await;
        assert!(statistics.starts_with("5 "), "{passes}: {statistics}");
        assert!(
            statistics.ends_with(&format!("{time} {time}")),
            "{passes}: {statistics}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prediction_goes_on_after_the_process_died() {
    let files = Files::new().await;
    let count = 3000;
    files.predict("p-1", &rows(count)).await;
    for _ in 0..2 {
        let done = files.predicted("p-1").await.processed_records_count();
        let begun = async || files.predicted("p-1").await.processed_records_count() > done;
        killed(&files, begun).await;
    }
    files.run().await.unwrap();
    let output = files.output("p-1");
    let ids: BTreeSet<&str> = output
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!((output.lines().count(), ids.len()), (count + 1, count));
    assert!(
        files.statistics().await.starts_with("3000 "),
        "{}",
        files.statistics().await
    );
    for number in (0..count).step_by(97) {
        assert_eq!(
            files.predictions(&format!("e-{number}")).await,
            1,
            "{number}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_canceled_before_and_while_it_runs() {
    let files = Files::new().await;
    files.import("i-1", &rows(1)).await;
    files.cancel("i-1").await.unwrap();
    files.cancel("i-1").await.unwrap();
    assert_eq!(files.progress("i-1").await, "CANCELED 0/?, 0 failed");
    files.run().await;
    assert!(files.outputs("i-1").is_empty());

    files.import("i-2", &rows(20_000)).await;
    let runner = files.runner("one");
    let task = tokio::spawn(async move { runner.run_one().await });
    while files.imported("i-2").await.processed_records_count() == Some(0) {
        assert!(!task.is_finished(), "the job was over too soon");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    files.cancel("i-2").await.unwrap();
    assert_eq!(
        task.await.unwrap().unwrap().unwrap().status.name(),
        "CANCELED"
    );
    let job = files.imported("i-2").await;
    assert_eq!(job.status(), Some(&Canceled));
    assert!(job.processed_records_count() < Some(20_000));
    assert!(files.outputs("i-2").is_empty());
    // Events that were stored before the cancellation are kept, and counted exactly.
    let stored = job.processed_records_count().unwrap();
    let counted = files.statistics().await;
    let counted: i32 = counted.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(counted, stored);

    // Canceled while no runner has it: the next runner ends it.
    files.predict("p-1", &rows(3000)).await;
    let begun = async || files.predicted("p-1").await.processed_records_count() > Some(0);
    killed(&files, begun).await;
    let cancel = files
        .world
        .client
        .cancel_batch_prediction_job()
        .job_id("p-1");
    cancel.send().await.unwrap();
    let status = files.predicted("p-1").await.status().cloned();
    assert_eq!(status, Some(AsyncJobStatus::CancelInProgress));
    files.run().await.unwrap();
    assert_eq!(files.predicted("p-1").await.status(), Some(&Canceled));
    assert!(files.outputs("p-1").is_empty());
    let parts = files
        .folder
        .path()
        .join("files/out")
        .join("p-1_1780308930_output.parts");
    assert!(!parts.exists() || std::fs::read_dir(parts).unwrap().next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_prediction_runs_at_a_time() {
    let files = Files::new().await;
    files.predict("p-1", &rows(2000)).await;
    files.world.pass(Duration::from_secs(1));
    files.predict("p-2", &rows(1)).await;
    let begun = async || files.predicted("p-1").await.processed_records_count() > Some(0);
    killed(&files, begun).await;
    // The first one may still be running; imports have no such limit.
    assert_eq!(files.runner("two").run_one().await.unwrap(), None);
    files.import("i-1", &rows(1)).await;
    assert_eq!(
        files.runner("two").run_one().await.unwrap().unwrap().job_id,
        "i-1"
    );
    assert_eq!(files.run().await.unwrap().job_id, "p-1");
    assert_eq!(files.run().await.unwrap().job_id, "p-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_under_a_job_ends_it() {
    let files = Files::new().await;
    files.import("i-1", &rows(4000)).await;
    let begun = async || files.imported("i-1").await.processed_records_count() > Some(0);
    killed(&files, begun).await;
    files.write("i-1.csv", &rows(4001));
    let ended = files.run().await.unwrap();
    assert_eq!(
        ended.reason.as_deref(),
        Some("The input file was changed while the job read it.")
    );
}

#[tokio::test]
async fn all_events_of_a_type_are_deleted() {
    let files = Files::new().await;
    let client = &files.world.client;
    let status = async || {
        let request = client.get_delete_events_by_event_type_status();
        let found = request.event_type_name("order").send().await;
        match found {
            Ok(found) => found.events_deletion_status().unwrap().to_string(),
            Err(_) => refusal(found),
        }
    };
    let delete = || {
        client
            .delete_events_by_event_type()
            .event_type_name("order")
            .send()
    };
    assert!(status().await.starts_with("ResourceNotFoundException"));
    files.import("i-1", &rows(1500)).await;
    files.run().await;
    files.world.predict("e-1", &[("price", "1")]).await;
    files.world.predict("other", &[("price", "1")]).await;
    assert!(files.statistics().await.starts_with("1502 "));

    let begun = delete().await.unwrap();
    assert_eq!(begun.event_type_name(), Some("order"));
    assert_eq!(
        begun.events_deletion_status(),
        Some("IN_PROGRESS_INITIALIZING")
    );
    assert_eq!(
        refusal(delete().await),
        "ConflictException: The events of event type 'order' are being deleted already."
    );
    let ended = files.run().await.unwrap();
    assert_eq!(
        (ended.kind.name(), ended.processed),
        ("events-deletion", 1500)
    );
    assert_eq!(status().await, "COMPLETE");
    for id in ["e-0", "e-1", "e-1499", "other"] {
        assert!(
            files
                .event(id)
                .await
                .starts_with("ResourceNotFoundException"),
            "{id}"
        );
    }
    assert_eq!(files.statistics().await, "0 0 None None");
    // The predictions are kept.
    assert_eq!(files.predictions("e-1").await, 1);
    assert_eq!(files.predictions("other").await, 1);

    files.import("i-2", &rows(3)).await;
    files.run().await;
    assert!(files.statistics().await.starts_with("3 "));
    delete().await.unwrap();
    files.run().await;
    assert_eq!(files.statistics().await, "0 0 None None");
}

#[tokio::test]
async fn an_event_type_with_stored_events_stays_until_they_are_deleted() {
    let files = Files::new().await;
    let client = &files.world.client;
    let delete_type = || client.delete_event_type().name("order").send();
    let has_events = "ConflictException: Event type 'order' has stored events: delete them first, with \
                      DeleteEventsByEventType or DeleteEvent.";
    // A rule's answer is stored with its event, and the detector goes before the event type.
    files.world.predict("predicted", &[("price", "1")]).await;
    files
        .world
        .event("sent", &[("price", "1")])
        .send()
        .await
        .unwrap();
    assert!(
        refusal(delete_type().await)
            .starts_with("ConflictException: Event type 'order' is used by detector")
    );
    files
        .world
        .delete_detector(&RULES.map(|(rule, ..)| rule))
        .await;
    assert_eq!(refusal(delete_type().await), has_events);
    let delete = |id: &str| client.delete_event().event_type_name("order").event_id(id);
    delete("sent").send().await.unwrap();
    assert_eq!(refusal(delete_type().await), has_events);

    let begin = client
        .delete_events_by_event_type()
        .event_type_name("order");
    begin.send().await.unwrap();
    assert_eq!(refusal(delete_type().await), has_events);
    assert_eq!(files.run().await.unwrap().status.name(), "COMPLETE");
    // The prediction is kept.
    assert_eq!(files.predictions("predicted").await, 1);
    delete_type().await.unwrap();
    delete_type().await.unwrap();
}

#[tokio::test]
async fn deletes_lower_the_statistics() {
    let files = Files::new().await;
    let client = &files.world.client;
    for id in ["1", "2", "3"] {
        files
            .world
            .event(id, &[("price", "1")])
            .send()
            .await
            .unwrap();
    }
    files.world.predict("3", &[("price", "1")]).await;
    assert!(
        files.statistics().await.starts_with("4 28 "),
        "{}",
        files.statistics().await
    );
    let delete = |id: &str| client.delete_event().event_type_name("order").event_id(id);
    delete("1").send().await.unwrap();
    delete("1").send().await.unwrap();
    delete("none").send().await.unwrap();
    assert!(files.statistics().await.starts_with("3 21 "));
    delete("3").send().await.unwrap();
    delete("3").delete_audit_history(true).send().await.unwrap();
    assert!(files.statistics().await.starts_with("1 7 "));
    delete("2").delete_audit_history(true).send().await.unwrap();
    assert!(files.statistics().await.starts_with("0 0 "));
}
