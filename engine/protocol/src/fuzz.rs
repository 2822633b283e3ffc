//! Properties that hold for any bytes as a request, a token or the file of a job. Shared by the tests and the fuzz targets.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::job_file::{ExpectedEvent, JobFileColumn, JobFileHeader, RequiredColumns, RowReader};
use crate::operation::Operation;
use crate::page_token::{self, TokenScope};
use crate::shapes::{Member, Shape};
use crate::wire::{Reply, TARGET_PREFIX, read_request, write_response};

/// Texts with a meaning in some operation, so that random requests pass the validation.
const SAMPLE_TEXTS: &[&str] = &[
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

/// Checks that reading any bytes as a request never panics, and that the answer is one that a client of AWS
/// understands.
///
/// # Panics
/// If a property does not hold.
pub fn check_request_bytes(data: &[u8]) {
    let request = make_request(data);
    let reply = read_request(&request).and_then(|(_, input)| Reply::new(&input));
    let response = write_response(reply);
    assert!(is_answer(&response), "{request:?}\n{response:?}");
}

/// Whether a response is an answer of AWS JSON 1.1 and no server error.
pub fn is_answer(response: &Response<Bytes>) -> bool {
    let header = |name: &str| response.headers().get(name).map(HeaderValue::as_bytes);
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let has_headers = header("x-amzn-requestid").is_some()
        && header("content-type") == Some(b"application/x-amz-json-1.1");
    let has_body = match response.status() {
        StatusCode::OK => body.is_object(),
        StatusCode::BAD_REQUEST => {
            let code = body["__type"].as_str().map(str::as_bytes);
            let message = body["message"].as_str().unwrap_or_default();
            code.is_some() && code == header("x-amzn-errortype") && !message.is_empty()
        }
        _ => false,
    };
    has_headers && has_body
}

/// Makes a request from any bytes: mostly one that has the shape of its operation.
pub fn make_request(data: &[u8]) -> Request<Bytes> {
    let source = &mut ByteSource(data);
    let operations = Operation::ALL;
    let operation = operations[usize::from(source.take_byte()) % operations.len()];
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::POST;
    set_header(&mut request, "content-type", b"application/x-amz-json-1.1");
    let target = format!("{TARGET_PREFIX}{}", operation.name());
    set_header(&mut request, "x-amz-target", target.as_bytes());
    let kind = source.take_byte();
    let body = match kind {
        0..32 => source.take_rest().to_vec(),
        32..48 => {
            let name = if kind < 40 {
                "x-amz-target"
            } else {
                "content-type"
            };
            set_header(&mut request, name, source.take_rest());
            b"{}".to_vec()
        }
        48..52 => {
            *request.method_mut() = Method::from_bytes(source.take_rest()).unwrap_or(Method::GET);
            b"{}".to_vec()
        }
        _ => {
            let mut body = make_members(operation.input(), source)
                .to_string()
                .into_bytes();
            // Sometimes the body is truncated.
            if kind == 255 {
                body.truncate(usize::from(source.take_byte()));
            }
            body
        }
    };
    *request.body_mut() = Bytes::from(body);
    request
}

fn set_header(request: &mut Request<Bytes>, name: &'static str, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        let name = HeaderName::from_static(name);
        request.headers_mut().insert(name, value);
    }
}

/// A structure with most of the required members.
fn make_members(members: &[Member], source: &mut ByteSource<'_>) -> Value {
    let mut made = Map::new();
    for member in members {
        let chance = source.take_byte();
        if chance < if member.required { 250 } else { 100 } {
            made.insert(member.name.to_owned(), make_value(member.shape, source));
        }
    }
    Value::Object(made)
}

fn make_value(shape: &Shape, source: &mut ByteSource<'_>) -> Value {
    match source.take_byte() {
        0 => return Value::Null,
        1 => return Value::from(i64::from(source.take_byte()) - 128),
        2 => return Value::from(vec![make_text(source)]),
        3 => return make_members(&[], source),
        _ => {}
    }
    match shape {
        Shape::Text(_) | Shape::Blob => Value::from(make_text(source)),
        Shape::Enumeration(allowed) => {
            Value::from(allowed[usize::from(source.take_byte()) % allowed.len()])
        }
        Shape::Integer { min, max } => match source.take_byte() {
            0 => Value::from(i64::MIN),
            1 => Value::from(f64::MAX),
            2 => Value::from(max + 1),
            byte => Value::from(if byte > 127 { *min } else { *max }),
        },
        Shape::Boolean => Value::from(source.take_byte() > 127),
        Shape::List { of, .. } => {
            let count = source.take_count();
            Value::from(
                (0..count)
                    .map(|_| make_value(of, source))
                    .collect::<Vec<_>>(),
            )
        }
        Shape::Map {
            key: _, value: of, ..
        } => {
            let count = source.take_count();
            let entries = (0..count).map(|_| (make_text(source), make_value(of, source)));
            Value::Object(entries.collect())
        }
        Shape::Structure(inner) => make_members(inner, source),
    }
}

fn make_text(source: &mut ByteSource<'_>) -> String {
    let choice = source.take_byte();
    let known = SAMPLE_TEXTS[usize::from(choice) % SAMPLE_TEXTS.len()];
    match choice {
        0..220 => known.to_owned(),
        220..240 => known.repeat(usize::from(source.take_byte())),
        _ => String::from_utf8_lossy(source.take_bytes(usize::from(choice) - 235)).into_owned(),
    }
}

/// Uses any bytes as the cursor, the operation and the filters of a token, and as a token. Checks that a token is not
/// accepted for another request, after its lifetime, or with a character changed.
///
/// # Panics
/// If a token does not return its cursor, or if a token that is changed, expired or of another request is accepted.
pub fn check_token_bytes(data: &[u8]) {
    let mut source = ByteSource(data);
    let (operation, filter) = (make_text(&mut source), make_text(&mut source));
    let now = i64::from(source.take_byte()) * 10_000_000;
    let (place, change) = (source.take_byte(), source.take_byte());
    let cursor = String::from_utf8_lossy(source.take_rest()).into_owned();
    let scope = TokenScope::new(&operation, &filter);
    let read = |scope: &TokenScope, token: &str, second: i64| -> Result<Option<String>, Error> {
        let now = Timestamp::from_second(second).unwrap_or_default();
        page_token::decode_page_token(scope, Some(token), now)
    };
    let given = page_token::encode_page_token(
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
    let refused = |scope: &TokenScope, token: &str, second: i64| {
        let read = read(scope, token, second);
        let is_refused = read.is_err_and(|error| error.message().starts_with("Invalid nextToken"));
        assert!(is_refused, "`{token}` of {scope:?}");
    };
    refused(&scope, &given, now + page_token::LIFETIME_SECONDS + 1);
    refused(
        &TokenScope::new(&format!("{operation}x"), &filter),
        &given,
        now,
    );
    refused(
        &TokenScope::new(&operation, &format!("{filter}x")),
        &given,
        now,
    );
    // Replaces one character of the token.
    let mut forged = given.clone().into_bytes();
    let place = usize::from(place) % forged.len();
    forged[place] = b"AQgw-_019z+/= \n"[usize::from(change) % 15];
    let forged = String::from_utf8_lossy(&forged).into_owned();
    if forged != given {
        refused(&scope, &forged, now);
    }
    // Any other text is read without a panic. It may be a valid token, because a fuzzer can send back one that it has
    // seen.
    let _ = read(&scope, &cursor, now);
}

/// Reads any bytes as a file of events whose type has the variables that the header names.
///
/// # Panics
/// If a row is numbered wrongly, or the reader is beyond the end of a file that is not packed.
pub fn check_job_file_bytes(data: &[u8]) {
    // More than any file that a fuzzer makes and packs.
    const LARGEST: u64 = 1024 * 1024;
    let Ok(mut steps) = RowReader::open(Box::new(std::io::Cursor::new(data.to_vec())), LARGEST)
    else {
        return;
    };
    let names = steps.header().names.clone();
    let expected = ExpectedEvent {
        event_type: "order",
        entity_type: "customer",
        variables: names
            .iter()
            .map(String::as_str)
            .filter(|name| matches!(JobFileColumn::from_header(name), JobFileColumn::Variable(_)))
            .collect(),
    };
    let Ok(header) = JobFileHeader::new(steps.header(), &expected, RequiredColumns::Prediction)
    else {
        return;
    };
    let is_plain = !data.starts_with(b"\x1f\x8b") && std::str::from_utf8(data).is_ok();
    let mut rows = 0;
    while let Ok(step) = steps.read_batch() {
        for row in &step.rows {
            rows += 1;
            assert_eq!(row.number, rows);
            // Whether the row makes a request or a reason, it must not end the process.
            drop(header.request_from_row("order", row));
        }
        let is_inside = usize::try_from(step.byte).is_ok_and(|byte| byte <= data.len());
        assert!(is_inside || !is_plain);
        if step.rows.is_empty() {
            break;
        }
    }
}

/// Random choices from bytes; zero when the bytes are used up.
struct ByteSource<'a>(&'a [u8]);

impl<'a> ByteSource<'a> {
    fn take_bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn take_byte(&mut self) -> u8 {
        self.take_bytes(1).first().copied().unwrap_or_default()
    }

    /// A count that is mostly small.
    fn take_count(&mut self) -> usize {
        match self.take_byte() {
            few @ 0..240 => usize::from(few % 4),
            many => usize::from(many) - 200,
        }
    }

    fn take_rest(&mut self) -> &'a [u8] {
        self.take_bytes(usize::MAX)
    }
}
