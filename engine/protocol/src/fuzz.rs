//! What must hold for any bytes as a request, a token or the file of a job. Shared by the tests and the fuzz targets.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::job_file::{Column, ExpectedEvent, Header, Rules, Steps};
use crate::operation::Operation;
use crate::page_token::{self, Scope};
use crate::shapes::{Member, Shape};
use crate::wire::{Reply, TARGET_PREFIX, read_request, write_response};

/// Texts that mean something to some operation, so that random requests get past the checks.
const TEXTS: &[&str] = &[
    "a",
    "1",
    "2",
    "1.0",
    "order",
    "orders",
    "customer",
    "unknown",
    "price",
    "country",
    "fraud",
    "block",
    "r",
    "l",
    "STRING",
    "FLOAT",
    "EVENT",
    "EMAIL_ADDRESS",
    "10.5",
    "-0",
    "1e400",
    "true",
    "$price > 1",
    "$country in @l",
    "DEFAULT",
    "2026-06-01T10:15:30Z",
    "2026-06-01T10:15:30.123Z",
    "9999-12-31T23:59:59Z",
    "0000-00-00T00:00:00Z",
    "arn:aws:frauddetector:us-east-1:123456789012:label/fraud",
    "arn:aws:frauddetector:us-east-1:123456789012:rule/orders/r/1",
    "arn:aws:iam::123456789012:role/fraud",
    "s3://bucket/key",
    "ü\u{0}#/",
    "ledger",
    "",
];

/// Any bytes as a request: reading it never panics, and what is wrong with it is an answer that a client of AWS
/// understands.
///
/// # Panics
/// If it is not.
pub fn wire(data: &[u8]) {
    let request = request(data);
    let reply = read_request(&request).and_then(|(_, input)| Reply::new(&input));
    let response = write_response(reply);
    assert!(is_answer(&response), "{request:?}\n{response:?}");
}

/// Whether a response is an answer of AWS JSON 1.1 that does not say that the engine failed.
pub fn is_answer(response: &Response<Bytes>) -> bool {
    let header = |name: &str| response.headers().get(name).map(HeaderValue::as_bytes);
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let named = header("x-amzn-requestid").is_some()
        && header("content-type") == Some(b"application/x-amz-json-1.1");
    let said = match response.status() {
        StatusCode::OK => body.is_object(),
        StatusCode::BAD_REQUEST | StatusCode::NOT_IMPLEMENTED => {
            let code = body["__type"].as_str().map(str::as_bytes);
            let message = body["message"].as_str().unwrap_or_default();
            code.is_some() && code == header("x-amzn-errortype") && !message.is_empty()
        }
        _ => false,
    };
    named && said
}

/// A request made from any bytes: mostly one that has the shape of its operation.
pub fn request(data: &[u8]) -> Request<Bytes> {
    let source = &mut Source(data);
    let operations = Operation::ALL;
    let operation = operations[usize::from(source.byte()) % operations.len()];
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::POST;
    set(&mut request, "content-type", b"application/x-amz-json-1.1");
    let target = format!("{TARGET_PREFIX}{}", operation.name());
    set(&mut request, "x-amz-target", target.as_bytes());
    let kind = source.byte();
    let body = match kind {
        0..32 => source.rest().to_vec(),
        32..48 => {
            let name = if kind < 40 {
                "x-amz-target"
            } else {
                "content-type"
            };
            set(&mut request, name, source.rest());
            b"{}".to_vec()
        }
        48..52 => {
            *request.method_mut() = Method::from_bytes(source.rest()).unwrap_or(Method::GET);
            b"{}".to_vec()
        }
        _ => {
            let mut body = members(operation.input(), source).to_string().into_bytes();
            // Now and then the end is cut off.
            if kind == 255 {
                body.truncate(usize::from(source.byte()));
            }
            body
        }
    };
    *request.body_mut() = Bytes::from(body);
    request
}

fn set(request: &mut Request<Bytes>, name: &'static str, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        let name = HeaderName::from_static(name);
        request.headers_mut().insert(name, value);
    }
}

/// A structure in which most of what must be there is.
fn members(members: &[Member], source: &mut Source<'_>) -> Value {
    let mut made = Map::new();
    for member in members {
        let chance = source.byte();
        if chance < if member.required { 250 } else { 100 } {
            made.insert(member.name.to_owned(), value(member.shape, source));
        }
    }
    Value::Object(made)
}

fn value(shape: &Shape, source: &mut Source<'_>) -> Value {
    match source.byte() {
        0 => return Value::Null,
        1 => return Value::from(i64::from(source.byte()) - 128),
        2 => return Value::from(vec![text(source)]),
        3 => return members(&[], source),
        _ => {}
    }
    match shape {
        Shape::Text(_) | Shape::Blob => Value::from(text(source)),
        Shape::Enumeration(allowed) => {
            Value::from(allowed[usize::from(source.byte()) % allowed.len()])
        }
        Shape::Integer { min, max } => match source.byte() {
            0 => Value::from(i64::MIN),
            1 => Value::from(f64::MAX),
            2 => Value::from(max + 1),
            byte => Value::from(if byte > 127 { *min } else { *max }),
        },
        Shape::Boolean => Value::from(source.byte() > 127),
        Shape::List { of, .. } => {
            let count = source.count();
            Value::from((0..count).map(|_| value(of, source)).collect::<Vec<_>>())
        }
        Shape::Map {
            key: _, value: of, ..
        } => {
            let count = source.count();
            let entries = (0..count).map(|_| (text(source), value(of, source)));
            Value::Object(entries.collect())
        }
        Shape::Structure(inner) => members(inner, source),
    }
}

fn text(source: &mut Source<'_>) -> String {
    let choice = source.byte();
    let known = TEXTS[usize::from(choice) % TEXTS.len()];
    match choice {
        0..220 => known.to_owned(),
        220..240 => known.repeat(usize::from(source.byte())),
        _ => String::from_utf8_lossy(source.take(usize::from(choice) - 235)).into_owned(),
    }
}

/// Any bytes as the cursor, the operation and the filters of a token, and as a token. No token is accepted for another
/// request, after its lifetime, or with a character changed.
///
/// # Panics
/// If a token does not bring back its cursor, or one that is changed, too old or of another request brings back any.
pub fn token(data: &[u8]) {
    let mut source = Source(data);
    let (operation, filter) = (text(&mut source), text(&mut source));
    let now = i64::from(source.byte()) * 10_000_000;
    let (place, change) = (source.byte(), source.byte());
    let cursor = String::from_utf8_lossy(source.rest()).into_owned();
    let scope = Scope::new(&operation, &filter);
    let read = |scope: &Scope, token: &str, second: i64| -> Result<Option<String>, Error> {
        let now = Timestamp::from_second(second).unwrap_or_default();
        page_token::decode(scope, Some(token), now)
    };
    let given = page_token::encode(
        &scope,
        &cursor,
        Timestamp::from_second(now).unwrap_or_default(),
    );
    let given = given.unwrap_or_default();
    for second in [now, now + page_token::LIFETIME_SECONDS] {
        let cursor_read = read(&scope, &given, second);
        assert!(
            matches!(&cursor_read, Ok(Some(read)) if *read == cursor),
            "{cursor_read:?}"
        );
    }
    let refused = |scope: &Scope, token: &str, second: i64| {
        let read = read(scope, token, second);
        let is_refused = read.is_err_and(|error| error.message().starts_with("Invalid nextToken"));
        assert!(is_refused, "`{token}` of {scope:?}");
    };
    refused(&scope, &given, now + page_token::LIFETIME_SECONDS + 1);
    refused(&Scope::new(&format!("{operation}x"), &filter), &given, now);
    refused(&Scope::new(&operation, &format!("{filter}x")), &given, now);
    // A character of the token is another one.
    let mut forged = given.clone().into_bytes();
    let place = usize::from(place) % forged.len();
    forged[place] = b"AQgw-_019z+/= \n"[usize::from(change) % 15];
    let forged = String::from_utf8_lossy(&forged).into_owned();
    if forged != given {
        refused(&scope, &forged, now);
    }
    // Any other text is read without a panic. It may be a token: whoever fuzzes can send back one that was seen.
    let _ = read(&scope, &cursor, now);
}

/// Reads any bytes as a file of events whose type has the variables that the header names.
///
/// # Panics
/// If a row is numbered wrongly, or the reader is beyond the end of the file.
pub fn check_job_file_bytes(data: &[u8]) {
    let mut steps = Steps::new(data, 0, 0);
    let Ok(record) = steps.header() else { return };
    let names = record
        .iter()
        .filter_map(|name| std::str::from_utf8(name).ok());
    let expected = ExpectedEvent {
        event_type: "order",
        entity_type: "customer",
        variables: names
            .filter(|name| matches!(Column::new(name), Column::Variable(_)))
            .collect(),
    };
    let Ok(header) = Header::new(&record, &expected, Rules::Prediction) else {
        return;
    };
    let mut rows = 0;
    while let Ok(step) = steps.step() {
        for row in &step.rows {
            rows += 1;
            assert_eq!(row.number, rows);
            // Whether the row makes a request or a reason, it must not end the process.
            drop(header.request("order", row));
        }
        assert!(usize::try_from(step.byte).is_ok_and(|byte| byte <= data.len()));
        if step.rows.is_empty() {
            break;
        }
    }
}

/// Random choices from bytes, and zero when they are used up.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// Mostly few, seldom many.
    fn count(&mut self) -> usize {
        match self.byte() {
            few @ 0..240 => usize::from(few % 4),
            many => usize::from(many) - 200,
        }
    }

    fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }
}
