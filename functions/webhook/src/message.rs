//! What a receiver gets: an event of the bus with an id that is the same at each attempt.

use serde_json::{Value, json};
use shared::hash::short_hash;
use thiserror::Error;

/// Types of messages whose details have an id of their own and a time: the members of these.
const KNOWN_TYPES: [(&str, &str, &str); 2] = [
    ("fraud.decision", "decision_id", "decided_at"),
    ("decision.reviewed", "verdict_id", "reviewed_at"),
];

/// What is in the queue is no event of the bus.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the message is no event of the bus: {0}")]
pub struct UnreadableEvent(String);

impl UnreadableEvent {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// A message for the receiver.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookMessage {
    /// Its id. Messages about the same thing have the same, so that the receiver acts once.
    pub id: String,
    /// The JSON that is posted.
    pub body: String,
}

/// Shows nothing of the body.
impl std::fmt::Debug for WebhookMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebhookMessage({} bytes)", self.body.len())
    }
}

impl WebhookMessage {
    /// The message about an event as `EventBridge` delivers it.
    ///
    /// # Errors
    /// [`UnreadableEvent`], which says what is missing.
    pub fn from_event(text: &str) -> Result<Self, UnreadableEvent> {
        let mut event: Value =
            serde_json::from_str(text).map_err(|_| UnreadableEvent::new("it is not JSON"))?;
        let detail = event["detail"].take();
        let text = |name: &str| event[name].as_str();
        let detail_type =
            text("detail-type").ok_or_else(|| UnreadableEvent::new("`detail-type` is missing"))?;
        Self::new(detail_type, text("time").unwrap_or_default(), detail)
    }

    /// The message about an event with this detail; `time` is that of the event.
    ///
    /// The id of a decision or a verdict is its own. Other events are told apart by what is in them.
    ///
    /// # Errors
    /// [`UnreadableEvent`], which says what is missing.
    pub fn new(detail_type: &str, time: &str, mut detail: Value) -> Result<Self, UnreadableEvent> {
        if !detail.is_object() {
            return Err(UnreadableEvent::new("`detail` is no object"));
        }
        // What is sent again has the same bytes, whoever wrote the detail.
        detail.sort_all_objects();
        let words: Vec<&str> = detail_type.split_whitespace().collect();
        let message_type = words.join(".").to_ascii_lowercase();
        let text = |name: &str| detail[name].as_str().map(str::to_owned);
        let known = KNOWN_TYPES.iter().find(|(name, ..)| *name == message_type);
        let (id, timestamp) = if let Some((_, id, time)) = known {
            let missing = || UnreadableEvent::new(format!("`{id}` is missing"));
            (text(id).ok_or_else(missing)?, text(time))
        } else {
            let hash = short_hash(detail.to_string().as_bytes());
            (format!("{message_type}#{hash}"), None)
        };
        let timestamp = timestamp.unwrap_or_else(|| time.to_owned());
        let body = json!({"type": message_type, "timestamp": timestamp, "data": detail});
        Ok(Self {
            id,
            body: body.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_becomes_a_message() {
        let cases = [
            (
                r#"{"detail-type":"Fraud Decision","time":"2026-06-01T10:15:31Z","detail":{"order_id":"1","decision_id":"order#1#1","decided_at":"2026-06-01T10:15:31.204Z","scores":{"b":1.0,"a":2}}}"#,
                r#"order#1#1 {"type":"fraud.decision","timestamp":"2026-06-01T10:15:31.204Z","data":{"decided_at":"2026-06-01T10:15:31.204Z","decision_id":"order#1#1","order_id":"1","scores":{"a":2,"b":1.0}}}"#,
            ),
            (
                r#"{"detail-type":"Decision Reviewed","time":"2026-06-02T08:00:01Z","detail":{"verdict_id":"order#1#1#verdict#1","reviewed_at":"2026-06-02T08:00:00.000Z"}}"#,
                r#"order#1#1#verdict#1 {"type":"decision.reviewed","timestamp":"2026-06-02T08:00:00.000Z","data":{"reviewed_at":"2026-06-02T08:00:00.000Z","verdict_id":"order#1#1#verdict#1"}}"#,
            ),
            (
                r#"{"detail-type":"Decision Reviewed","time":"2026-06-02T08:00:00Z","detail":{}}"#,
                "the message is no event of the bus: `verdict_id` is missing",
            ),
            (
                r#"{"detail-type":"Stock Changed","time":"2026-06-02T08:00:00Z","detail":{"verdict":"good","decision_id":"order#1#1"}}"#,
                r#"stock.changed#916f6d1a602e55c1 {"type":"stock.changed","timestamp":"2026-06-02T08:00:00Z","data":{"decision_id":"order#1#1","verdict":"good"}}"#,
            ),
            ("{", "the message is no event of the bus: it is not JSON"),
            (
                "{}",
                "the message is no event of the bus: `detail-type` is missing",
            ),
            (
                r#"{"detail-type":"Fraud Decision"}"#,
                "the message is no event of the bus: `detail` is no object",
            ),
            (
                r#"{"detail-type":"Fraud Decision","detail":{}}"#,
                "the message is no event of the bus: `decision_id` is missing",
            ),
        ];
        for (event, want) in cases {
            let got = match WebhookMessage::from_event(event) {
                Ok(message) => format!("{} {}", message.id, message.body),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, want, "{event}");
        }
    }
}
