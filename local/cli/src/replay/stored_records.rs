//! What can be replayed, as it is stored: a rejected record, what Lambda writes or sends when an event source mapping gives up,
//! and a message of a dead-letter queue.

use event::Timestamp;
use serde_json::Value;
use shared::json;
use shared::records::{Invocation, Origin, Position, Record, split_records};
use shared::rejected::RejectedRecord;

use super::kinesis_range::KinesisRange;

/// The records of one object, file or message, or where they are.
pub(crate) struct StoredRecords {
    /// The key of the object, the file, or the queue and the id of the message.
    pub(crate) key: String,
    /// The function that they are for.
    pub(crate) function: String,
    /// The class of the rejection, if it was one.
    pub(crate) class: String,
    /// Why they were given up.
    pub(crate) reason: String,
    /// When they were written, as far as that is known.
    pub(crate) at: Option<Timestamp>,
    pub(crate) content: StoredContent,
}

/// Where the records are.
pub(crate) enum StoredContent {
    /// Here.
    Records(Vec<Record>),
    /// Still on a stream.
    Range(KinesisRange),
}

/// Reads an object: a rejected record, or what Lambda writes when an event source mapping gives up.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_object(key: &str, bytes: &[u8]) -> Result<StoredRecords, String> {
    let value: Value = json::parse_stored(bytes).map_err(|error| error.to_string())?;
    if value.get("requestContext").is_some() {
        return parse_on_failure(key, value);
    }
    let rejected: RejectedRecord =
        serde_json::from_value(value).map_err(|error| error.to_string())?;
    Ok(StoredRecords {
        key: key.to_owned(),
        function: rejected.function.clone(),
        class: rejected.class.clone(),
        reason: rejected.reason.clone(),
        at: None,
        content: StoredContent::Records(rejected.into_record()?.split()),
    })
}

/// Reads a message of a queue: what an event source mapping sends when it gives up, or else a message that was moved to a
/// dead-letter queue, which is for `function`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_message(
    key: &str,
    message: &Value,
    queue_arn: &str,
    function: Option<&str>,
) -> Result<StoredRecords, String> {
    let body = message["Body"].as_str().unwrap_or_default();
    let attributes = &message["Attributes"];
    let sent = attributes["SentTimestamp"].as_str();
    let sent = sent.and_then(|ms| ms.parse::<i64>().ok());
    let sent = sent.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let at = sent.and_then(|at| Timestamp::from_jiff(at).ok());
    let value: Option<Value> = json::parse_stored(body.as_bytes()).ok();
    if let Some(value) = value.filter(|value| value["requestContext"]["functionArn"].is_string()) {
        let stored = parse_on_failure(key, value)?;
        return Ok(StoredRecords {
            at: stored.at.or(at),
            ..stored
        });
    }
    let function = function.ok_or(
        "it is a dead letter and does not say whose: give --function predict, ingest or label",
    )?;
    let id = message["MessageId"].as_str().unwrap_or_default();
    let record = Record {
        position: Position::new(Origin::Sqs, queue_arn, id),
        key: attributes["MessageGroupId"].as_str().map(str::to_owned),
        payload: body.as_bytes().to_vec(),
    };
    Ok(StoredRecords {
        key: key.to_owned(),
        function: function.to_owned(),
        class: String::new(),
        reason: "moved to the dead-letter queue after its last attempt".to_owned(),
        at,
        content: StoredContent::Records(record.split()),
    })
}

fn parse_on_failure(key: &str, mut value: Value) -> Result<StoredRecords, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let arn = text(&value["requestContext"]["functionArn"]);
    let reason = text(&value["requestContext"]["condition"]);
    let at = value["timestamp"].as_str();
    let at = at.and_then(|at| at.parse::<jiff::Timestamp>().ok());
    // The payload is text in an S3 object; some writers keep it as JSON. A queue gets none.
    let payload = match value["payload"].take() {
        Value::String(text) => {
            Some(json::parse_event(text.as_bytes()).map_err(|error| error.to_string())?)
        }
        Value::Null => None,
        payload => Some(payload),
    };
    let content = match payload {
        Some(payload) => {
            let records = Invocation::new(payload).map_err(|error| error.to_string())?;
            StoredContent::Records(split_records(records.into_records(), usize::MAX))
        }
        None => StoredContent::Range(KinesisRange::parse(&value)?),
    };
    Ok(StoredRecords {
        key: key.to_owned(),
        function: find_function(&arn)?.to_owned(),
        class: String::new(),
        reason,
        at: at.and_then(|at| Timestamp::from_jiff(at).ok()),
        content,
    })
}

fn find_function(arn: &str) -> Result<&'static str, String> {
    let names = [predict::FUNCTION, ingest::FUNCTION, label::FUNCTION];
    let name = arn.split(':').nth(6).unwrap_or_default();
    // SAM names a function `<stack>-Predict-<random>`; the stack may have any name.
    let part = name.rsplit('-').nth(1).unwrap_or(name);
    let found = names
        .into_iter()
        .find(|known| part.eq_ignore_ascii_case(known) || name == *known);
    found.ok_or_else(|| format!("its function `{name}` is none of {}", names.join(", ")))
}
