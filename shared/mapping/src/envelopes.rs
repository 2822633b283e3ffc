//! Envelopes that AWS's services put around a message. An order may have members of the same names, so an envelope is
//! known by several members whose values are of the right kind.

use serde_json::{Map, Value};

use crate::base64_text::decode_base64_text;
use crate::failure::Failure;
use crate::layer::Layer;

/// Every envelope has a member of one of these names.
pub(crate) const MARKS: [&str; 3] = ["TopicArn", "detail-type", "eventSource"];

/// The members that every EventBridge event has (Amazon EventBridge User Guide, "Event structure").
const EVENT_MEMBERS: [&str; 9] = [
    "version",
    "id",
    "detail-type",
    "source",
    "account",
    "time",
    "region",
    "resources",
    "detail",
];
/// The member that an event has beside them if an archive sent it again.
const REPLAY_MEMBER: &str = "replay-name";

/// What an envelope holds.
pub(crate) enum Content {
    /// Text or bytes.
    Bytes(Vec<u8>),
    /// A JSON object.
    Object(Value),
}

/// An object that may be an envelope.
pub(crate) enum Unwrapped {
    /// The content of an envelope.
    Envelope(Layer, Content),
    /// An object that is no envelope.
    Order(Value),
}

/// Takes the content out of an envelope.
///
/// # Errors
/// [`Failure::Rejected`] if an envelope cannot hold what it holds.
pub(crate) fn unwrap_envelope(value: Value) -> Result<Unwrapped, Failure> {
    let Value::Object(mut members) = value else {
        return Ok(Unwrapped::Order(value));
    };
    let envelope = if is_sns_notification(&members) {
        take_text(&mut members, "Message").map(|text| (Layer::SnsMessage, text))
    } else if is_sqs_message(&members) {
        take_text(&mut members, "body").map(|text| (Layer::SqsMessage, text))
    } else if let Some(data) = kinesis_data(&members) {
        let Some(bytes) = decode_base64_text(data.as_bytes()) else {
            let reason = "the data of the Kinesis record is not base64";
            return Err(Failure::rejected("bad-base64", reason));
        };
        Some((Layer::KinesisRecord, bytes))
    } else {
        None
    };
    if let Some((layer, bytes)) = envelope {
        return Ok(Unwrapped::Envelope(layer, Content::Bytes(bytes)));
    }
    if is_event(&members)
        && let Some(detail) = members.get_mut("detail")
    {
        let content = Content::Object(detail.take());
        return Ok(Unwrapped::Envelope(Layer::EventDetail, content));
    }
    Ok(Unwrapped::Order(Value::Object(members)))
}

type Members = Map<String, Value>;

fn text_of<'a>(members: &'a Members, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

fn has_text(members: &Members, name: &str) -> bool {
    text_of(members, name).is_some()
}

fn take_text(members: &mut Members, name: &str) -> Option<Vec<u8>> {
    match members.get_mut(name).map(Value::take) {
        Some(Value::String(text)) => Some(text.into_bytes()),
        _ => None,
    }
}

fn is_sns_notification(members: &Members) -> bool {
    text_of(members, "Type") == Some("Notification")
        && has_text(members, "TopicArn")
        && has_text(members, "Message")
}

/// A message of a queue, as `EventBridge` Pipes hands it on.
fn is_sqs_message(members: &Members) -> bool {
    text_of(members, "eventSource") == Some("aws:sqs")
        && has_text(members, "messageId")
        && has_text(members, "body")
}

/// The data of a record of a stream: as `EventBridge` Pipes hands it on, or as Lambda does.
fn kinesis_data(members: &Members) -> Option<&str> {
    if text_of(members, "eventSource") != Some("aws:kinesis") {
        return None;
    }
    let inner = match members.get("kinesis") {
        Some(Value::Object(inner)) => inner,
        _ => members,
    };
    text_of(inner, "sequenceNumber")?;
    text_of(inner, "data")
}

/// An `EventBridge` event has nothing beside its own members, or it has all of them.
fn is_event(members: &Members) -> bool {
    let is_own = |name: &String| name == REPLAY_MEMBER || EVENT_MEMBERS.contains(&name.as_str());
    has_text(members, "detail-type")
        && has_text(members, "source")
        && members.get("detail").is_some_and(Value::is_object)
        && (members.keys().all(is_own)
            || EVENT_MEMBERS.iter().all(|name| members.contains_key(*name)))
}
