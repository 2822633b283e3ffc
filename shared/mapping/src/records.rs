//! Records as Lambda delivers them, and the JSON inside.
//!
//! A record keeps its payload as bytes until it is processed. It is not parsed together with the Lambda event, because one
//! payload that is not JSON must not make the whole batch fail.

use std::fmt;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use event::hash::short_hash;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::failure::Failure;
use crate::json::{self, JsonError};
use crate::kpl;

/// The largest payload after decompression, in bytes: more than the limit of Lambda for an event, because of gzip.
pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024;

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
}

impl Position {
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
            write!(f, ".{}", self.sub)
        } else {
            Ok(())
        }
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
    /// Anything else: one order by itself.
    Direct(Value),
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
    /// Distinguishes a batch from a single order: a batch has `Records`, each with an `eventSource`.
    ///
    /// # Errors
    /// [`UnsupportedBatch`] for a batch of Kafka, MQ or `DocumentDB`, whose records are in other members.
    pub fn new(event: Value) -> Result<Self, UnsupportedBatch> {
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
        let is_batch = event
            .get("Records")
            .and_then(Value::as_array)
            .is_some_and(|records| {
                records
                    .iter()
                    .all(|record| record.get("eventSource").is_some_and(Value::is_string))
            });
        Ok(match event {
            Value::Object(mut members) if is_batch => match members.remove("Records") {
                Some(Value::Array(records)) => {
                    Self::Batch(records.into_iter().flat_map(read_records).collect())
                }
                _ => Self::Batch(Vec::new()),
            },
            event => Self::Direct(event),
        })
    }
}

impl Invocation {
    /// The records. A single order becomes a batch of one, whose id is the hash of its content.
    pub fn into_records(self) -> Vec<Record> {
        match self {
            Self::Batch(records) => records,
            Self::Direct(value) => {
                let payload = value.to_string().into_bytes();
                let id = short_hash(&payload);
                let position = Position {
                    origin: Origin::Invoke,
                    arn: "invoke".to_owned(),
                    id,
                    sub: 0,
                };
                vec![Record {
                    position,
                    key: None,
                    payload,
                }]
            }
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
    let data = &record["kinesis"];
    let position = Position {
        origin: Origin::Kinesis,
        arn: text_or_empty(&record["eventSourceARN"]),
        id: text_or_empty(&data["sequenceNumber"]),
        sub: 0,
    };
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
        position: Position {
            origin: Origin::Sqs,
            arn: text_or_empty(&record["eventSourceARN"]),
            id: text_or_empty(&record["messageId"]),
            sub: 0,
        },
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
    let position = Position {
        origin: Origin::Other,
        arn,
        id,
        sub: 0,
    };
    Record {
        position,
        key: None,
        payload,
    }
}

fn text_or_empty(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Record {
    /// The JSON object in the payload: decompressed, parsed, and taken out of an envelope of SNS or EventBridge.
    ///
    /// # Errors
    /// [`Failure::Rejected`], which says what the payload is instead.
    pub fn json(&self) -> Result<Value, Failure> {
        if self.position.origin == Origin::Other {
            let reason = "its eventSource is none that orders come from: aws:kinesis or aws:sqs";
            return Err(Failure::rejected("foreign-source", reason));
        }
        open_envelope(parse_object(&decompress_payload(&self.payload)?)?)
    }
}

fn decompress_payload(bytes: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, Failure> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return decompress_gzip(bytes).map(Into::into);
    }
    // The base64 of gzip's magic: how gzip travels in an SQS body, which is text.
    if bytes.starts_with(b"H4sI") {
        let decoded = BASE64.decode(bytes).map_err(|_| {
            Failure::rejected(
                "bad-gzip",
                "the payload begins like gzip in base64 and is no base64",
            )
        })?;
        return decompress_gzip(&decoded).map(Into::into);
    }
    Ok(bytes.into())
}

fn decompress_gzip(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut plain = Vec::new();
    let limit = MAX_PAYLOAD_BYTES as u64 + 1;
    MultiGzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|_| {
            Failure::rejected(
                "bad-gzip",
                "the payload begins like gzip and cannot be decompressed",
            )
        })?;
    if plain.len() > MAX_PAYLOAD_BYTES {
        return Err(Failure::rejected(
            "too-large",
            format!("the payload is over {MAX_PAYLOAD_BYTES} bytes decompressed"),
        ));
    }
    Ok(plain)
}

fn parse_object(bytes: &[u8]) -> Result<Value, Failure> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::rejected(
            "empty",
            "the payload is empty; it should be one JSON object",
        ));
    }
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return Err(Failure::rejected(
            "too-large",
            format!("the payload is over {MAX_PAYLOAD_BYTES} bytes"),
        ));
    }
    let value = json::parse_json(bytes).map_err(|error| {
        let class = match error {
            JsonError::TooManyValues => "too-large",
            JsonError::TooDeep => "too-deep",
            JsonError::NotJson(_) => "not-json",
        };
        Failure::rejected(class, error.to_string())
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Failure::rejected(
            "not-an-object",
            "the payload is JSON and not an object",
        ))
    }
}

/// Takes the message out of an SNS notification or the detail out of an EventBridge event.
fn open_envelope(mut value: Value) -> Result<Value, Failure> {
    let is_sns = value["Type"] == "Notification" && value["TopicArn"].is_string();
    if is_sns && let Some(message) = value["Message"].as_str() {
        return parse_object(message.as_bytes());
    }
    let is_event = value["detail-type"].is_string()
        && value["source"].is_string()
        && value["detail"].is_object();
    Ok(if is_event {
        value["detail"].take()
    } else {
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Write as _;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn batch(event: Value) -> Vec<Record> {
        match Invocation::new(event).unwrap() {
            Invocation::Batch(records) => records,
            Invocation::Direct(_) => panic!("a batch"),
        }
    }

    #[track_caller]
    fn check(payload: &[u8], want: &str) {
        let record = json!({"eventSource":"aws:kinesis","eventSourceARN":"arn:aws:kinesis:us-east-1:1:stream/orders",
            "kinesis":{"sequenceNumber":"7","partitionKey":"k","data": BASE64.encode(payload)}});
        let records = batch(json!({ "Records": [record] }));
        let got = match records[0].json() {
            Ok(value) => value.to_string(),
            Err(Failure::Rejected(rejection)) => {
                format!("{}: {}", rejection.class, rejection.reason)
            }
            Err(failure) => failure.to_string(),
        };
        assert_eq!(got, want);
    }

    #[test]
    fn payloads() {
        check(br#"{"a":1}"#, r#"{"a":1}"#);
        check(&gzip(r#"{"a":1}"#), r#"{"a":1}"#);
        check(BASE64.encode(gzip(r#"{"a":1}"#)).as_bytes(), r#"{"a":1}"#);
        check(
            br#"{"Type":"Notification","TopicArn":"t","Message":"{\"a\":1}"}"#,
            r#"{"a":1}"#,
        );
        check(
            br#"{"detail-type":"Order","source":"shop","detail":{"a":1}}"#,
            r#"{"a":1}"#,
        );
    }

    #[test]
    fn bad_payloads() {
        check(
            b"",
            "empty: the payload is empty; it should be one JSON object",
        );
        check(
            b"[1]",
            "not-an-object: the payload is JSON and not an object",
        );
        check(
            b"{\"a\":",
            "not-json: the payload is not JSON: EOF while parsing a value at line 1 column 5",
        );
        check(
            &[0x1f, 0x8b, 1, 2],
            "bad-gzip: the payload begins like gzip and cannot be decompressed",
        );
        let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
        check(
            deep.as_bytes(),
            "too-deep: the payload is JSON nested more than 127 deep; at most 127 levels are read",
        );
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = gzip(&" ".repeat(MAX_PAYLOAD_BYTES + 10));
        check(
            &bomb,
            "too-large: the payload is over 16777216 bytes decompressed",
        );
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
    fn broken_text_does_not_cost_the_record() {
        check(
            b"{\"a\":1,\"note\":\"M\xfcller\"}",
            "{\"a\":1,\"note\":\"M\u{FDD0}ller\"}",
        );
        check(
            br#"{"a":1,"note":"\ud83d"}"#,
            "{\"a\":1,\"note\":\"\u{FDD0}\"}",
        );
    }

    #[test]
    fn many_values_in_few_bytes_are_refused() {
        let many =
            "too-large: the payload holds more than 100000 JSON values; at most 100000 are read";
        check(
            &gzip(&format!(
                "{{\"a\":[{}0]}}",
                "[0],".repeat(4 * 1024 * 1024 - 10)
            )),
            many,
        );
        let sns = json!({"Type":"Notification","TopicArn":"t","Message":format!("[{}0]", "0,".repeat(200_000))});
        check(sns.to_string().as_bytes(), many);
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
}
