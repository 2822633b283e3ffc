//! The answer to a request over HTTP.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use serde_json::{Value, json};

/// The most bytes that an order may have: the limit of a message of SQS, and what Kinesis takes by default.
pub const LARGEST_ORDER: usize = 1024 * 1024;

/// The answer to a request over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers, in lower case.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The JSON in the body.
    pub body: Value,
}

/// In the form in which Lambda takes it from a function with a URL.
impl Serialize for HttpAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let headers = self.headers.iter();
        let headers: serde_json::Map<String, Value> = headers
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let mut answer = serializer.serialize_struct("HttpAnswer", 3)?;
        answer.serialize_field("statusCode", &self.status)?;
        answer.serialize_field("headers", &headers)?;
        answer.serialize_field("body", &self.body.to_string())?;
        answer.end()
    }
}

impl HttpAnswer {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        metrics::counter!("Answers", "status" => status.to_string()).increment(1);
        Self {
            status,
            headers: vec![
                ("content-type", "application/json"),
                ("cache-control", "no-store"),
            ],
            body,
        }
    }

    /// The answer to an order that was not decided: why, in a word for programs and in a sentence for people.
    pub fn refused(status: u16, reason: &str, message: &str) -> Self {
        let body = json!({"decided": false, "reason": reason, "message": message});
        Self::new(status, body)
    }

    /// The answer to an order that is too large.
    pub fn too_large() -> Self {
        let message = format!("an order has at most {LARGEST_ORDER} bytes");
        Self::refused(413, "too-large", &message)
    }

    /// The answer where orders cannot be decided now, although nothing is wrong with this one.
    pub fn unavailable(reason: &str, message: &str, retry_after: &'static str) -> Self {
        Self::refused(503, reason, message).with_header("retry-after", retry_after)
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn with_outcome(mut self, outcome: Option<&str>) -> Self {
        self.body["effective_outcome"] = json!(outcome);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambda_gets_its_own_form() {
        let answer = HttpAnswer::unavailable("throttled", "ask again", "1");
        let want = json!({
            "statusCode": 503,
            "headers": {"content-type": "application/json", "cache-control": "no-store", "retry-after": "1"},
            "body": r#"{"decided":false,"reason":"throttled","message":"ask again"}"#,
        });
        assert_eq!(serde_json::to_value(&answer).unwrap(), want);
    }
}
