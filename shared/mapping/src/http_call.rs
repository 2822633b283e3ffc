//! A request over HTTP, as the URL of a Lambda function delivers it (payload format 2.0, which HTTP APIs of API Gateway
//! share).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// A request over HTTP, as far as it matters to a function.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// The method, such as `POST`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The value of `Content-Type`.
    pub media_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Shows nothing of the body, which has personal data, nor of the path, which the caller chose.
impl fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpCall({} bytes)", self.body.len())
    }
}

impl HttpCall {
    /// Whether an event of Lambda is a request over HTTP.
    pub fn is_one(event: &Value) -> bool {
        event["version"] == "2.0"
            && event["rawPath"].is_string()
            && event["requestContext"]["http"]["method"].is_string()
    }

    /// Reads the request; `None` if the event is none.
    pub fn read(event: &mut Value) -> Option<Self> {
        if !Self::is_one(event) {
            return None;
        }
        let body = match event["body"].take() {
            Value::String(body) => body.into_bytes(),
            _ => Vec::new(),
        };
        let body = if event["isBase64Encoded"] == true {
            // What is not base64 is kept as it is, and rejected later.
            BASE64.decode(&body).unwrap_or(body)
        } else {
            body
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some(Self {
            method: text(&event["requestContext"]["http"]["method"]),
            path: text(&event["rawPath"]),
            media_type: find_media_type(&event["headers"]),
            body,
        })
    }

    /// Whether the body says that it is JSON.
    pub fn is_json(&self) -> bool {
        let media_type = self.media_type.as_deref().unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default();
        let media_type = media_type.trim().to_ascii_lowercase();
        media_type == "application/json"
            || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    }
}

fn find_media_type(headers: &Value) -> Option<String> {
    let headers = headers.as_object()?;
    let mut headers = headers.iter();
    let (_, value) = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"))?;
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(body: &Value, is_base64: bool, headers: &Value) -> Value {
        json!({
            "version": "2.0", "rawPath": "/decide", "rawQueryString": "", "headers": headers,
            "requestContext": {"http": {"method": "POST", "path": "/decide"}},
            "body": body, "isBase64Encoded": is_base64,
        })
    }

    #[test]
    fn the_body_is_what_was_sent() {
        let cases = [
            (json!("{}"), false, "{}"),
            (json!("e30="), true, "{}"),
            (json!("e30="), false, "e30="),
            (json!("{not base64"), true, "{not base64"),
            (Value::Null, false, ""),
        ];
        for (body, is_base64, want) in cases {
            let mut event = request(&body, is_base64, &json!({}));
            let call = HttpCall::read(&mut event).unwrap();
            assert_eq!(
                (call.method.as_str(), call.path.as_str()),
                ("POST", "/decide")
            );
            assert_eq!(call.body, want.as_bytes(), "{body}");
        }
    }

    #[test]
    fn json_is_told_by_its_media_type() {
        let cases = [
            (json!({"content-type": "application/json"}), true),
            (
                json!({"Content-Type": "Application/JSON; charset=utf-8"}),
                true,
            ),
            (
                json!({"content-type": "application/cloudevents+json"}),
                true,
            ),
            (
                json!({"content-type": "application/x-www-form-urlencoded"}),
                false,
            ),
            (json!({"content-type": "text/plain"}), false),
            (json!({}), false),
            (Value::Null, false),
        ];
        for (headers, want) in cases {
            let mut event = request(&json!("{}"), false, &headers);
            assert_eq!(
                HttpCall::read(&mut event).unwrap().is_json(),
                want,
                "{headers}"
            );
        }
    }

    #[test]
    fn an_order_is_no_request() {
        for event in [
            json!({"order_id": "1"}),
            json!({"version": "2.0", "order_id": "1"}),
            json!({"version": "1.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}}),
            json!([1]),
            Value::Null,
        ] {
            assert_eq!(HttpCall::read(&mut event.clone()), None, "{event}");
        }
    }

    #[test]
    fn nothing_of_the_request_is_shown() {
        let mut event = request(&json!("jo@example.com"), false, &json!({}));
        let shown = format!("{:?}", HttpCall::read(&mut event));
        assert_eq!(shown, "Some(HttpCall(14 bytes))");
    }
}
