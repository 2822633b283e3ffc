//! Records as Lambda delivers them, and the JSON inside.
//!
//! A record keeps its payload as bytes until it is processed. It is not parsed together with the Lambda event, because one
//! payload that is not JSON must not make the whole batch fail.

use std::fmt;
use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use event::hash::short_hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::failure::Failure;
use crate::http_call::HttpCall;
use crate::kpl;
use crate::opener::{is_bare_order, open_payload};

pub use crate::opener::MAX_PAYLOAD_BYTES;

/// How many bytes the records of a batch may have decompressed, and as single orders, when they are split. Beyond it they
/// are delivered again, so that a batch fits the memory of a function.
const SPLIT_BYTES: usize = 3 * MAX_PAYLOAD_BYTES;

/// Where a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A Kinesis data stream: one checkpoint per shard.
    Kinesis,
    /// An SQS queue: each message succeeds or fails by itself.
    Sqs,
    /// A DynamoDB stream: one checkpoint per shard.
    DynamoDb,
    /// A direct invocation with one order.
    Invoke,
    /// A line or row of a file.
    File,
    /// Anything else: its records are rejected.
    Other,
}

/// The position of a record in its source. It is the same each time the record is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The kind of source.
    pub origin: Origin,
    /// The stream's or queue's ARN.
    pub arn: String,
    /// Sequence number or message id, by which the response to Lambda names the record.
    pub id: String,
    /// Index inside a KPL aggregate, from 0; all its records share one sequence number.
    pub sub: u32,
    /// Which of several orders in one payload, from 1; 0 is the whole payload. All of them share one sequence number or
    /// message id.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde needs"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Position {
    /// The position of a whole record.
    pub fn new(origin: Origin, arn: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            origin,
            arn: arn.into(),
            id: id.into(),
            sub: 0,
            part: 0,
        }
    }

    /// Whether the source has one checkpoint, so that everything from the first failure on is delivered again.
    pub fn is_stream(&self) -> bool {
        matches!(self.origin, Origin::Kinesis | Origin::DynamoDb)
    }

    /// The name of the stream or queue: the end of its ARN.
    pub fn source_name(&self) -> &str {
        self.arn
            .rsplit([':', '/'])
            .next()
            .filter(|name| !name.is_empty())
            .unwrap_or("unnamed")
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source_name(), self.id)?;
        if self.sub > 0 {
            write!(f, ".{}", self.sub)?;
        }
        // Another sign than that of aggregates: an aggregate may have a record with several orders.
        if self.part > 0 {
            write!(f, "/{}", self.part)?;
        }
        Ok(())
    }
}

/// One record of a batch.
#[derive(Clone)]
pub struct Record {
    /// Where it came from.
    pub position: Position,
    /// Partition key or message group: records of the same key are processed in order.
    pub key: Option<String>,
    /// The bytes of the payload, as they arrived.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.payload.len();
        write!(f, "Record({}, {bytes} bytes)", self.position)
    }
}

/// What a function was invoked with.
#[derive(Debug)]
pub enum Invocation {
    /// Records of a stream or queue, in order.
    Batch(Vec<Record>),
    /// A request over HTTP.
    Http(HttpCall),
    /// Anything else: orders by themselves, mostly one.
    Direct(Vec<Record>),
}

/// A batch from a source of Lambda that is not supported. It fails as a whole and is delivered again, because a response
/// that names no record would count as success.
#[derive(Debug, Error)]
#[error(
    "the event is a batch of `{event_source}`, which is not read; connect the function to a Kinesis stream or an SQS queue"
)]
pub struct UnsupportedBatch {
    /// The name of the source, as Lambda writes it.
    pub event_source: String,
}

impl Invocation {
    /// Distinguishes a batch from a request over HTTP and from orders that are sent directly: a batch has `Records`, each with an `eventSource`, or is a
    /// list of such records, as `EventBridge` Pipes sends it. Records with several orders are split.
    ///
    /// # Errors
    /// [`UnsupportedBatch`] for a batch of Kafka, MQ or `DocumentDB`, whose records are in other members.
    pub fn new(mut event: Value) -> Result<Self, UnsupportedBatch> {
        // `aws:kafka` (MSK) and `SelfManagedKafka` have an object of partitions in `records`, `aws:rmq` and `aws:amq`
        // have other members; none has `Records`. An order may have an `eventSource` of its own, but none like these.
        if let Some(source) = event["eventSource"].as_str()
            && (source.starts_with("aws:") || source == "SelfManagedKafka")
            && event.get("Records").is_none()
        {
            return Err(UnsupportedBatch {
                event_source: source.to_owned(),
            });
        }
        let list = match &mut event {
            Value::Array(list) if list.is_empty() => None,
            Value::Object(members) => members.get_mut("Records"),
            list => Some(list),
        };
        let list = list.and_then(Value::as_array_mut);
        let of_source = |record: &Value| record.get("eventSource").is_some_and(Value::is_string);
        if let Some(records) = list.filter(|records| records.iter().all(of_source)) {
            let records = std::mem::take(records);
            let records = records.into_iter().flat_map(read_records).collect();
            return Ok(Self::Batch(split_records(records, SPLIT_BYTES)));
        }
        if let Some(call) = HttpCall::read(&mut event) {
            return Ok(Self::Http(call));
        }
        let payload = event.to_string().into_bytes();
        // The id is the hash of the content.
        let position = Position::new(Origin::Invoke, "invoke", short_hash(&payload));
        let record = Record {
            position,
            key: None,
            payload,
        };
        Ok(Self::Direct(record.split()))
    }

    /// The records, whichever way they came.
    pub fn into_records(self) -> Vec<Record> {
        match self {
            Self::Batch(records) | Self::Direct(records) => records,
            Self::Http(call) => Record::from(call).split(),
        }
    }
}

fn read_records(record: Value) -> Vec<Record> {
    match record["eventSource"].as_str() {
        Some("aws:kinesis") => read_kinesis_record(&record),
        Some("aws:sqs") => vec![read_sqs_record(record)],
        _ => vec![read_unknown_record(&record)],
    }
}

fn read_kinesis_record(record: &Value) -> Vec<Record> {
    // `EventBridge` Pipes has the members of `kinesis` in the record itself.
    let data = record.get("kinesis").unwrap_or(record);
    let position = Position::new(
        Origin::Kinesis,
        text_or_empty(&record["eventSourceARN"]),
        text_or_empty(&data["sequenceNumber"]),
    );
    let key = data["partitionKey"].as_str().map(str::to_owned);
    let text = data["data"].as_str().unwrap_or_default();
    // What is not base64 is kept as it is, and rejected later.
    let payload = BASE64
        .decode(text)
        .unwrap_or_else(|_| text.as_bytes().to_vec());
    match kpl::deaggregate(&payload) {
        None => vec![Record {
            position,
            key,
            payload,
        }],
        Some(parts) => (0..)
            .zip(parts)
            .map(|(sub, part)| Record {
                position: Position {
                    sub,
                    ..position.clone()
                },
                key: Some(part.partition_key),
                payload: part.data,
            })
            .collect(),
    }
}

fn read_sqs_record(mut record: Value) -> Record {
    let body = match record["body"].take() {
        Value::String(body) => body.into_bytes(),
        other => other.to_string().into_bytes(),
    };
    Record {
        position: Position::new(
            Origin::Sqs,
            text_or_empty(&record["eventSourceARN"]),
            text_or_empty(&record["messageId"]),
        ),
        key: record["attributes"]["MessageGroupId"]
            .as_str()
            .map(str::to_owned),
        payload: body,
    }
}

/// A record of an unsupported source, which is rejected later.
fn read_unknown_record(record: &Value) -> Record {
    let payload = record.to_string().into_bytes();
    let id = text_or_empty(record.get("messageId").unwrap_or(&record["eventID"]));
    let id = if id.is_empty() {
        short_hash(&payload)
    } else {
        id
    };
    let arn = text_or_empty(&record["eventSourceARN"]);
    let position = Position::new(Origin::Other, arn, id);
    Record {
        position,
        key: None,
        payload,
    }
}

fn text_or_empty(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The body of a request, as the record of a direct invocation.
impl From<HttpCall> for Record {
    fn from(call: HttpCall) -> Self {
        Self {
            position: Position::new(Origin::Invoke, "http", short_hash(&call.body)),
            key: None,
            payload: call.body,
        }
    }
}

impl Record {
    /// The order in the payload, a JSON object, without the layers around it.
    ///
    /// # Errors
    /// [`Failure::Rejected`], which says what the payload is instead, and in which layer. [`Failure::Retry`] if the record
    /// has several orders and was not split, because the batch has too many bytes.
    pub fn json(&self) -> Result<Value, Failure> {
        if self.position.origin == Origin::Other {
            let reason = "its eventSource is none that orders come from: aws:kinesis or aws:sqs";
            return Err(Failure::rejected("foreign-source", reason));
        }
        let mut found = None;
        open_payload(&self.payload, &mut |opened| {
            if found.is_none() {
                found = Some(opened.value);
                return ControlFlow::Continue(());
            }
            let cause = "the batch has too many bytes to split its records into orders";
            found = Some(Err(Failure::retry(cause)));
            ControlFlow::Break(())
        });
        found.unwrap_or_else(|| Err(Failure::retry("the payload was not opened")))
    }

    /// A record for each order in the payload, with a position of its own. A record with one order, or with none that can
    /// be found, stays as it is.
    pub fn split(self) -> Vec<Self> {
        split_records(vec![self], usize::MAX)
    }

    /// The parts of the payload that hold one order each, if it has several, and how many bytes were needed for them.
    fn find_parts(&self) -> (Vec<Vec<u8>>, usize) {
        let mut parts = Vec::new();
        let inflated = open_payload(&self.payload, &mut |opened| {
            // Without a list there is one order, and no parts.
            parts.extend(opened.element.map(<[u8]>::to_vec));
            ControlFlow::Continue(())
        });
        let bytes = parts.iter().map(Vec::len).sum::<usize>();
        (parts, inflated.saturating_add(bytes))
    }
}

/// Splits the records that hold several orders, until that has taken `most` bytes. The others stay as they are, and those
/// with several orders are delivered again, see [`Record::json`].
pub fn split_records(records: Vec<Record>, most: usize) -> Vec<Record> {
    let mut left = most;
    let mut all = Vec::with_capacity(records.len());
    for record in records {
        let is_whole =
            left == 0 || record.position.origin == Origin::Other || is_bare_order(&record.payload);
        let (parts, bytes) = if is_whole {
            (Vec::new(), 0)
        } else {
            record.find_parts()
        };
        left = left.saturating_sub(bytes);
        if parts.len() < 2 {
            all.push(record);
            continue;
        }
        let Record { position, key, .. } = record;
        all.extend((1..).zip(parts).map(|(part, payload)| Record {
            position: Position {
                part,
                ..position.clone()
            },
            key: key.clone(),
            payload,
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn batch(event: Value) -> Vec<Record> {
        match Invocation::new(event).unwrap() {
            Invocation::Batch(records) => records,
            other => panic!("a batch, not {other:?}"),
        }
    }

    #[test]
    fn a_foreign_source_is_rejected_and_a_bare_order_is_direct() {
        let records = batch(json!({"Records":[{"eventSource":"aws:s3","eventID":"1"}]}));
        assert!(records[0].json().is_err());
        for order in [
            json!({"order_id":"1"}),
            json!({"Records":[{"x":1}]}),
            json!({"order_id":"1","eventSource":"shop"}),
        ] {
            assert!(matches!(
                Invocation::new(order).unwrap(),
                Invocation::Direct(_)
            ));
        }
    }

    #[test]
    fn a_batch_of_kafka_is_no_order() {
        for source in [
            "aws:kafka",
            "SelfManagedKafka",
            "aws:rmq",
            "aws:amq",
            "aws:docdb",
        ] {
            let event = json!({"eventSource": source, "records": {"orders-0": [{"topic": "orders", "value": "e30="}]}});
            let refused = Invocation::new(event).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!(
                    "the event is a batch of `{source}`, which is not read; connect the function to a Kinesis stream or an SQS queue"
                )
            );
        }
    }

    #[test]
    fn the_official_event_types_read_the_same_records() {
        let event = json!({"Records":[{"messageId":"m-1","receiptHandle":"r","body":"not json","attributes":{"MessageGroupId":"g"},
            "messageAttributes":{},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:orders.fifo","awsRegion":"us-east-1"}]});
        let official: aws_lambda_events::sqs::SqsEvent =
            serde_json::from_value(event.clone()).unwrap();
        let ours = batch(event);
        assert_eq!(
            official.records[0].message_id.as_deref(),
            Some(ours[0].position.id.as_str())
        );
        assert_eq!(
            official.records[0].body.as_deref().map(str::as_bytes),
            Some(ours[0].payload.as_slice())
        );
        assert_eq!(ours[0].key.as_deref(), Some("g"));
        assert_eq!(ours[0].position.to_string(), "orders.fifo/m-1");
    }

    /// The records of an invocation: position, key and payload of each.
    #[track_caller]
    fn check(event: &Value, want: &[&str]) {
        let records = Invocation::new(event.clone()).unwrap().into_records();
        let got: Vec<String> = records
            .iter()
            .map(|record| {
                let key = record.key.as_deref().unwrap_or("-");
                let payload = String::from_utf8_lossy(&record.payload);
                format!("{} {key} {payload}", record.position)
            })
            .collect();
        assert_eq!(got, want, "{event}");
        for record in &records {
            // A part is one order: it stays as it is when it is replayed.
            assert_eq!(record.clone().split().len(), 1, "{event}");
        }
    }

    fn sqs(body: &str) -> Value {
        json!({"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:orders","messageId":"m",
            "attributes":{"MessageGroupId":"g"},"body":body})
    }

    fn kinesis(data: &[u8]) -> Value {
        json!({"eventSource":"aws:kinesis","eventSourceARN":"arn:aws:kinesis:us-east-1:1:stream/orders",
            "kinesis":{"sequenceNumber":"7","partitionKey":"k","data": BASE64.encode(data)}})
    }

    #[test]
    fn a_record_with_several_orders_is_split() {
        let two = r#"[{"a":1}, {"a":2}]"#;
        check(
            &json!({"Records":[sqs(two), sqs("{}")]}),
            &[
                "orders/m/1 g {\"a\":1}",
                "orders/m/2 g {\"a\":2}",
                "orders/m g {}",
            ],
        );
        check(
            &json!({"Records":[kinesis(b"{\"a\":1}\n{\"a\":\n{\"a\":3}\n")]}),
            &[
                "orders/7/1 k {\"a\":1}",
                "orders/7/2 k {\"a\":",
                "orders/7/3 k {\"a\":3}",
            ],
        );
        let sns = json!({"Type":"Notification","TopicArn":"t","Message":"[1,[{},{}]]"}).to_string();
        check(
            &json!({"Records":[sqs(&sns)]}),
            &["orders/m/1 g 1", "orders/m/2 g {}", "orders/m/3 g {}"],
        );
        // What holds one order stays as it arrived.
        check(&json!({"Records":[sqs("[{}]")]}), &["orders/m g [{}]"]);
        check(&json!({"Records":[sqs("[]")]}), &["orders/m g []"]);
        check(&json!({"Records":[sqs("[{},")]}), &["orders/m g [{},"]);
    }

    #[test]
    fn a_direct_invocation_may_bring_several_orders() {
        let id = |event: &Value| short_hash(event.to_string().as_bytes());
        let two = json!([{"a":1}, {"a":2}]);
        check(
            &two,
            &[
                &format!("invoke/{}/1 - {{\"a\":1}}", id(&two)),
                &format!("invoke/{}/2 - {{\"a\":2}}", id(&two)),
            ],
        );
        check(&json!([]), &[&format!("invoke/{} - []", id(&json!([])))]);
        let one = json!({"a":1});
        check(&one, &[&format!("invoke/{} - {one}", id(&one))]);
    }

    #[test]
    fn a_list_of_records_is_a_batch_of_pipes() {
        let pipes = json!({"eventSource":"aws:kinesis","eventSourceARN":"arn:aws:kinesis:us-east-1:1:stream/orders",
            "sequenceNumber":"8","partitionKey":"k","data": BASE64.encode("{}")});
        assert_eq!(batch(json!([pipes, sqs("{}")])).len(), 2);
        check(
            &json!([pipes, sqs("{}")]),
            &["orders/8 k {}", "orders/m g {}"],
        );
    }

    #[test]
    fn parts_of_aggregates_have_positions_of_their_own() {
        let position = Position {
            sub: 2,
            ..Position::new(
                Origin::Kinesis,
                "arn:aws:kinesis:us-east-1:1:stream/orders",
                "7",
            )
        };
        let record = Record {
            position,
            key: None,
            payload: b"[{},{}]".to_vec(),
        };
        let positions = record.split().into_iter();
        let positions: Vec<_> = positions.map(|part| part.position.to_string()).collect();
        assert_eq!(positions, ["orders/7.2/1", "orders/7.2/2"]);
    }

    #[test]
    fn what_does_not_fit_the_memory_is_delivered_again() {
        let record = |id: &str, payload: &str| Record {
            position: Position::new(Origin::Sqs, "q", id),
            key: None,
            payload: payload.into(),
        };
        let two = "[{\"a\":1},{\"a\":2}]";
        let records = vec![record("1", two), record("2", two), record("3", "[{}]")];
        let records = split_records(records, 10);
        let got: Vec<_> = records
            .iter()
            .map(|record| match record.json() {
                Ok(value) => format!("{} {value}", record.position),
                Err(failure) => format!("{} {failure}", record.position),
            })
            .collect();
        assert_eq!(
            got,
            [
                "q/1/1 {\"a\":1}",
                "q/1/2 {\"a\":2}",
                "q/2 retry: the batch has too many bytes to split its records into orders",
                "q/3 {}",
            ]
        );
        // Next time it is the first.
        assert_eq!(split_records(vec![record("2", two)], 10).len(), 2);
    }

    proptest::proptest! {
        /// Whatever a payload is, it becomes at least one record, each with a position of its own, and splitting a part
        /// again changes nothing.
        #[test]
        fn splitting_loses_nothing(payload in r#"([\[\]{}, \n"]|\{"a":1\}|\[\]|H4sI|eyJ9){0,12}"#) {
            let record = Record { position: Position::new(Origin::Sqs, "q", "1"), key: None, payload: payload.into_bytes() };
            let parts = record.split();
            proptest::prop_assert!(!parts.is_empty());
            for (part, number) in parts.iter().zip(1..) {
                proptest::prop_assert_eq!(part.position.part, if parts.len() == 1 { 0 } else { number });
                let again = part.clone().split();
                proptest::prop_assert_eq!(again.len(), 1);
                proptest::prop_assert_eq!(&again[0].payload, &part.payload);
            }
        }
    }
}
