//! What follows from recorded answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Region};
use bytes::Bytes;
use http::{Request, Response};
use local_aws::clients;
use local_aws::dynamodb::DynamoDb;
use local_aws::local_stack::create_pipeline_tables;
use local_aws::service::{Service, operation_name};
use serde_json::{Value, json};

use super::judging::*;
use super::*;

fn refused(operation: &'static str, code: &str) -> FailedCall {
    FailedCall {
        operation,
        code: code.to_owned(),
        message: String::new(),
    }
}

fn table(status: &str, view: Option<&str>) -> TableState {
    TableState {
        status: Some(status.to_owned()),
        view: view.map(str::to_owned),
        stream_arn: view.map(|_| "arn".to_owned()),
    }
}

fn seen(seconds: u64, has_image: bool) -> SeenRecord {
    SeenRecord {
        after: Duration::from_secs(seconds),
        has_image,
    }
}

fn read(put: Option<SeenRecord>, inserted: Option<SeenRecord>) -> StreamOutcome {
    StreamOutcome::Read {
        put,
        inserted,
        waited: Duration::from_mins(1),
    }
}

/// The answers of one probe; each test changes one of them.
struct RecordedAnswers {
    table: Result<TableState, FailedCall>,
    put: Result<(), FailedCall>,
    insert: Result<(), FailedCall>,
    duplicate: Result<(), FailedCall>,
    stream: StreamOutcome,
    delete: Result<(), (String, FailedCall)>,
}

impl RecordedAnswers {
    fn good() -> Self {
        Self {
            table: Ok(table("ACTIVE", Some("NEW_IMAGE"))),
            put: Ok(()),
            insert: Ok(()),
            duplicate: Err(refused("BatchExecuteStatement", "DuplicateItem")),
            stream: read(Some(seen(1, true)), Some(seen(2, true))),
            delete: Ok(()),
        }
    }

    fn report(&self) -> ProbeReport {
        let steps = vec![
            judge_table(&self.table),
            judge_put(self.put.as_ref()),
            judge_insert(self.insert.as_ref()),
            judge_duplicate(self.duplicate.as_ref()),
            judge_stream(&self.stream),
            judge_delete(&[Ok(()), self.delete.clone()]),
        ];
        ProbeReport::new("Decisions", steps, false)
    }
}

/// The report with one answer changed: whether statements may be used, the lines that failed, and the verdict.
#[track_caller]
fn check(change: impl FnOnce(&mut RecordedAnswers), want: &str) {
    let mut answers = RecordedAnswers::good();
    change(&mut answers);
    let report = answers.report();
    let text = report.to_string();
    let lines = text.lines().filter(|line| !line.contains(" ok "));
    assert_eq!(lines.collect::<Vec<_>>().join("\n"), want);
    let setting = if report.statements_may_be_used {
        "statements"
    } else {
        "put-item"
    };
    assert_eq!(report.decision_writes, setting);
    assert!(
        report
            .verdict
            .contains(&format!("DecisionWrites={setting}"))
    );
}

const USE: &str =
    "Statements may be used on table Decisions: deploy with DecisionWrites=statements.";

#[test]
fn all_steps_in_the_report() {
    let report = RecordedAnswers::good().report();
    assert!(report.statements_may_be_used);
    assert_eq!(
        report.to_string(),
        format!(
            "table      ok      ACTIVE, stream with NEW_IMAGE\n\
             put        ok      PutItem stored an item\n\
             insert     ok      INSERT stored an item\n\
             duplicate  ok      the same INSERT again: DuplicateItem\n\
             stream     ok      PutItem seen after 1.0 s, INSERT seen after 2.0 s\n\
             delete     ok      the items of the probe are deleted\n\
             {USE}\n"
        )
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["statements_may_be_used"], true);
    assert_eq!(json["steps"][3]["step"], "duplicate");
}

#[test]
fn the_table() {
    let keep = "Keep DecisionWrites=put-item for table Decisions: the table cannot feed forward, or is not known here.";
    let cases = [
        (
            Ok(table("ACTIVE", None)),
            "ACTIVE, no stream; give the table StreamSpecification: { StreamViewType: NEW_IMAGE }, as template.yaml does",
        ),
        (
            Ok(table("ACTIVE", Some("KEYS_ONLY"))),
            "ACTIVE, stream with KEYS_ONLY; forward needs the new items: set StreamViewType to NEW_IMAGE, as template.yaml does",
        ),
        (
            Ok(table("CREATING", Some("NEW_IMAGE"))),
            "CREATING, stream with NEW_IMAGE; wait until the table is ACTIVE",
        ),
        (
            Err(refused("DescribeTable", "ResourceNotFoundException")),
            "DescribeTable: ResourceNotFoundException; there is no such table in this region; give --decisions-table, which is the \
             stack's output DecisionsTable, and --region",
        ),
        (
            Err(refused("DescribeTable", "AccessDeniedException")),
            "DescribeTable: AccessDeniedException; allow whoever runs this command dynamodb:DescribeTable on the table",
        ),
        (
            Err(refused("DescribeTable", "no connection")),
            "DescribeTable: no connection; check --region and --endpoint-url",
        ),
    ];
    for (answer, want) in cases {
        let want = format!("table      FAILED  {want}\n{keep}");
        check(|answers| answers.table = answer, &want);
    }
    check(
        |answers| answers.table = Ok(table("UPDATING", Some("NEW_AND_OLD_IMAGES"))),
        USE,
    );
}

#[test]
fn the_writes() {
    check(
        |answers| answers.put = Err(refused("PutItem", "AccessDeniedException")),
        "put        FAILED  PutItem: AccessDeniedException; allow whoever runs this command dynamodb:PutItem on the table\n\
         Keep DecisionWrites=put-item for table Decisions: not even PutItem works, so the probe says nothing about statements.",
    );
    check(
        |answers| answers.insert = Err(refused("BatchExecuteStatement", "AccessDenied")),
        "insert     FAILED  BatchExecuteStatement: AccessDenied; allow whoever runs this command dynamodb:PartiQLInsert on the table\n\
         Keep DecisionWrites=put-item for table Decisions: it is not certain that a statement stores a decision.",
    );
    check(
        |answers| answers.duplicate = Ok(()),
        "duplicate  FAILED  the same INSERT was accepted again; it would replace a decision; keep put-item\n\
         Keep DecisionWrites=put-item for table Decisions: a statement might decide an order a second time.",
    );
    check(
        |answers| answers.duplicate = Err(refused("BatchExecuteStatement", "ThrottlingError")),
        "duplicate  FAILED  BatchExecuteStatement: ThrottlingError; run the command again; if the answer stays the same, keep put-item\n\
         Keep DecisionWrites=put-item for table Decisions: a statement might decide an order a second time.",
    );
}

#[test]
fn the_stream() {
    let keep = "Keep DecisionWrites=put-item for table Decisions: it is not certain that decisions which a statement inserts reach \
                forward.";
    let cases = [
        (
            read(Some(seen(1, true)), None),
            "PutItem seen after 1.0 s, INSERT not seen within 60.0 s; the stream has what PutItem puts and not what statements insert, \
             so such decisions would never be forwarded; keep put-item",
        ),
        (
            read(None, None),
            "PutItem not seen within 60.0 s, INSERT not seen within 60.0 s; without the record of PutItem the probe says nothing about \
             statements; give --wait more seconds, and see whether forward gets its records",
        ),
        (
            read(None, Some(seen(2, true))),
            "PutItem not seen within 60.0 s, INSERT seen after 2.0 s; without the record of PutItem the probe says nothing about \
             statements; give --wait more seconds, and see whether forward gets its records",
        ),
        (
            read(Some(seen(1, true)), Some(seen(2, false))),
            "PutItem seen after 1.0 s, INSERT seen after 2.0 s without the item; forward needs the items in the records; keep put-item",
        ),
        (
            StreamOutcome::Unreadable(refused("GetRecords", "AccessDeniedException")),
            "GetRecords: AccessDeniedException; allow whoever runs this command dynamodb:DescribeStream, dynamodb:GetShardIterator and \
             dynamodb:GetRecords on the table's stream",
        ),
        (
            StreamOutcome::Unreadable(refused("DescribeStream", "UnknownOperationException")),
            "DescribeStream: UnknownOperationException; this endpoint does not have the operation; probe the table on AWS",
        ),
        (
            StreamOutcome::NoStream,
            "not read; the table needs a stream first, see the step table",
        ),
    ];
    for (stream, want) in cases {
        let want = format!("stream     FAILED  {want}\n{keep}");
        check(|answers| answers.stream = stream, &want);
    }
}

#[test]
fn items_that_are_left_do_not_change_the_verdict() {
    let error = refused("DeleteItem", "AccessDeniedException");
    check(
        |answers| answers.delete = Err(("probe#7".to_owned(), error)),
        &format!(
            "delete     FAILED  DeleteItem: AccessDeniedException; left: pk probe#7, sk probe; the table's time to live deletes them \
             after an hour, and nothing takes them for decisions; allow whoever runs this command dynamodb:DeleteItem on the table\n\
             {USE}"
        ),
    );
}

#[test]
fn a_step_that_is_missing_is_no_step_that_passed() {
    let mut steps = RecordedAnswers::good().report().steps;
    steps.retain(|result| result.step != ProbeStep::Stream);
    let interrupted = ProbeReport::new("Decisions", steps.clone(), true);
    assert!(!interrupted.statements_may_be_used);
    assert_eq!(
        interrupted.verdict,
        "Keep DecisionWrites=put-item for table Decisions: the probe was interrupted."
    );
    let incomplete = ProbeReport::new("Decisions", steps, false);
    assert!(!incomplete.statements_may_be_used);
}

/// A table with a stream of two shards, of which the first ends after everything was written. The second has the first
/// `records` of the items.
struct StreamedTable {
    dynamodb: DynamoDb,
    images: Arc<Mutex<Vec<Value>>>,
    records: usize,
}

impl StreamedTable {
    async fn new(records: usize) -> Self {
        let images = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&images);
        let dynamodb = DynamoDb::in_memory().unwrap();
        let dynamodb = dynamodb.on_insert("Decisions", move |insert| {
            written.lock().unwrap().push(insert.image);
        });
        let client = clients::connect_dynamodb(dynamodb.clone().service().http_client());
        create_pipeline_tables(&client, "Decisions", "Velocity")
            .await
            .unwrap();
        Self {
            dynamodb,
            images,
            records,
        }
    }

    /// The embedded table, which says that it has a stream.
    fn client(&self) -> aws_sdk_dynamodb::Client {
        let dynamodb = self.dynamodb.clone();
        let service = Service::new(move |request: Request<Bytes>| {
            let dynamodb = dynamodb.clone();
            async move {
                if operation_name(&request) != "DescribeTable" {
                    return dynamodb.answer(&request);
                }
                let stream = json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" });
                let table = json!({ "TableStatus": "ACTIVE", "LatestStreamArn": "arn", "StreamSpecification": stream });
                answer(&json!({ "Table": table }))
            }
        });
        clients::connect_dynamodb(service.http_client())
    }

    fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        let (images, records) = (Arc::clone(&self.images), self.records);
        let calls = Mutex::new(HashMap::<String, u32>::new());
        let service = Service::new(move |request: Request<Bytes>| {
            let operation = operation_name(&request).to_owned();
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            let is_first = {
                let mut calls = calls.lock().unwrap();
                let count = calls.entry(operation.clone()).or_default();
                *count += 1;
                *count == 1
            };
            let answered = match operation.as_str() {
                "DescribeStream" => {
                    let range = json!({ "StartingSequenceNumber": "1" });
                    let ended =
                        json!({ "StartingSequenceNumber": "1", "EndingSequenceNumber": "9" });
                    let shard = |id: &str, range: &Value| json!({ "ShardId": id, "SequenceNumberRange": range });
                    let shards = if is_first {
                        vec![shard("old", &ended), shard("first", &range)]
                    } else {
                        vec![
                            shard("old", &ended),
                            shard("first", &ended),
                            shard("second", &range),
                        ]
                    };
                    json!({ "StreamDescription": { "StreamArn": "arn", "Shards": shards } })
                }
                "GetShardIterator" => {
                    let (shard, from) = (&body["ShardId"], &body["ShardIteratorType"]);
                    let wanted = [("first", "LATEST"), ("second", "TRIM_HORIZON")];
                    assert!(
                        wanted
                            .iter()
                            .any(|wanted| shard == wanted.0 && from == wanted.1),
                        "{body}"
                    );
                    json!({ "ShardIterator": shard })
                }
                "GetRecords" if body["ShardIterator"] == "first" => json!({ "Records": [] }),
                "GetRecords" => {
                    let images = images.lock().unwrap();
                    let record = |image: &Value| {
                        let keys = json!({ "pk": image["pk"], "sk": image["sk"] });
                        json!({ "eventName": "INSERT", "dynamodb": { "Keys": keys, "NewImage": image } })
                    };
                    let records: Vec<Value> = images.iter().take(records).map(record).collect();
                    json!({ "Records": records, "NextShardIterator": "second" })
                }
                other => panic!("{other}"),
            };
            async move { answer(&answered) }
        });
        let config = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url("http://in-process")
            .http_client(service.http_client())
            .allow_no_auth();
        aws_sdk_dynamodbstreams::Client::from_conf(config.build())
    }

    async fn probe(&self, wait: Duration) -> ProbeReport {
        let client = self.client();
        let probe = TableProbe {
            decisions: &Decisions::new(client.clone(), "Decisions"),
            streams: &self.streams(),
            wait,
            now: Timestamp::from_jiff(jiff::Timestamp::now()).unwrap(),
            say: &|_| (),
        };
        let report = probe.run(std::future::pending()).await;
        let left = client.scan().table_name("Decisions").send().await.unwrap();
        assert_eq!(left.count, 0);
        report
    }
}

fn answer(body: &Value) -> Response<Bytes> {
    let answer = Response::builder().header("content-type", "application/x-amz-json-1.0");
    answer.body(Bytes::from(body.to_string())).unwrap()
}

#[tokio::test]
async fn a_table_whose_stream_has_both_items_passes() {
    let table = StreamedTable::new(2).await;
    let report = table.probe(Duration::from_mins(1)).await;
    assert!(report.statements_may_be_used, "{report}");
    assert!(report.steps.iter().all(|step| step.passed), "{report}");
    // What is written differs in nothing but its key.
    let images = table.images.lock().unwrap();
    let without_key = |image: &Value| {
        let mut image = image.clone();
        image.as_object_mut().unwrap().remove("pk");
        image
    };
    assert_eq!(images.len(), 2);
    assert_eq!(without_key(&images[0]), without_key(&images[1]));
}

#[tokio::test]
async fn a_table_whose_stream_lacks_what_statements_insert_does_not_pass() {
    let report = StreamedTable::new(1)
        .await
        .probe(Duration::from_secs(1))
        .await;
    assert!(!report.statements_may_be_used, "{report}");
    let failed: Vec<ProbeStep> = report
        .steps
        .iter()
        .filter(|step| !step.passed)
        .map(|step| step.step)
        .collect();
    assert_eq!(failed, [ProbeStep::Stream]);
}

#[tokio::test]
async fn a_probe_that_is_stopped_at_once_writes_nothing() {
    let table = StreamedTable::new(2).await;
    let decisions = Decisions::new(table.client(), "Decisions");
    let probe = TableProbe {
        decisions: &decisions,
        streams: &table.streams(),
        wait: Duration::from_mins(1),
        now: Timestamp::from_jiff(jiff::Timestamp::now()).unwrap(),
        say: &|_| (),
    };
    let report = probe.run(std::future::ready(())).await;
    assert!(
        report.verdict.ends_with("the probe was interrupted."),
        "{report}"
    );
    assert!(table.images.lock().unwrap().is_empty());
}
