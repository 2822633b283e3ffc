//! AWS JSON 1.1 over HTTP: one `POST /` per operation, named in a header.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::error::{Error, ErrorCode, Result};
use crate::operation::Operation;
use crate::validation::validate;

pub use event::PREDICTION_HEADER;

/// The part of `X-Amz-Target` before the name of the operation.
pub const TARGET_PREFIX: &str = "AWSHawksNestServiceFacade.";

const JSON_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const PREDICTION_HEADER_NAME: HeaderName = HeaderName::from_static(PREDICTION_HEADER);

/// The answer of an operation.
#[derive(Debug)]
pub struct Reply {
    /// The output as JSON.
    pub body: Bytes,
    /// The value of [`PREDICTION_HEADER`].
    pub prediction: Option<String>,
}

impl Reply {
    /// The reply with this output.
    ///
    /// # Errors
    /// [`ErrorCode::InternalServer`] if the output cannot be written as JSON.
    pub fn new(output: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(output).map_err(Error::internal)?;
        Ok(Self {
            body: Bytes::from(body),
            prediction: None,
        })
    }
}

/// Reads a request: its operation, and its input, which is checked against the service model.
///
/// # Errors
/// What is wrong with the request, in the words of AWS.
pub fn read_request(request: &Request<Bytes>) -> Result<(Operation, Value)> {
    let operation = read_operation(request)?;
    let mut input = read_body(operation, request.body())?;
    validate(operation, &input)?;
    // A member that is null counts as left out. A null further inside, such as that of an event's variable, is a value.
    if let Value::Object(members) = &mut input {
        members.retain(|_, value| !value.is_null());
    }
    Ok((operation, input))
}

/// Reads the input of an operation as its type, from JSON that [`validate`] accepted.
///
/// # Errors
/// [`ErrorCode::InternalServer`] if the type does not agree with the shape; all errors of the client were found before.
/// Serde's message is left out, because it may quote a value.
pub fn read_input<I: DeserializeOwned>(input: &Value) -> Result<I> {
    I::deserialize(input).map_err(|_| Error::internal(std::any::type_name::<I>()))
}

/// Validates and reads the input of an operation from JSON that no client sent, such as a row of a file.
///
/// # Errors
/// What is wrong with it, in the words of AWS.
pub fn validate_and_read_input<I: DeserializeOwned>(
    operation: Operation,
    input: &Value,
) -> Result<I> {
    validate(operation, input)?;
    read_input(input)
}

/// Writes the HTTP response for the result of an operation.
pub fn write_response(result: Result<Reply>) -> Response<Bytes> {
    match result {
        Ok(reply) => write_reply(reply),
        Err(error) => write_error(&error),
    }
}

fn read_operation(request: &Request<Bytes>) -> Result<Operation> {
    let unknown = |message: &str| Error::new(ErrorCode::UnknownOperation, message);
    if request.method() != Method::POST || request.uri().path() != "/" {
        return Err(unknown("Every operation is a POST to `/`."));
    }
    let target = header_text(request.headers(), "x-amz-target");
    let target = target.ok_or_else(|| unknown("The header X-Amz-Target is missing."))?;
    let operation = target
        .strip_prefix(TARGET_PREFIX)
        .and_then(Operation::find)
        .ok_or_else(|| {
            let shown: String = target.chars().take(100).collect();
            unknown(&format!("There is no operation '{shown}'."))
        })?;
    let content_type = header_text(request.headers(), "content-type").unwrap_or_default();
    if !content_type.starts_with("application/x-amz-json-1.1") {
        let message = "The content type must be application/x-amz-json-1.1.";
        return Err(Error::new(ErrorCode::Serialization, message));
    }
    Ok(operation)
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads the body. `serde_json` refuses nesting deeper than 128.
fn read_body(operation: Operation, body: &Bytes) -> Result<Value> {
    if body.len() > operation.largest_request() {
        let message = format!(
            "The request has {} bytes, {} takes at most {}.",
            body.len(),
            operation.name(),
            operation.largest_request()
        );
        return Err(Error::validation(message));
    }
    if body.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Error::new(
            ErrorCode::Serialization,
            format!("The body is not valid JSON at {place}."),
        )
    })
}

fn write_reply(reply: Reply) -> Response<Bytes> {
    let mut response = new_response(StatusCode::OK, reply.body);
    let prediction = reply
        .prediction
        .and_then(|text| HeaderValue::try_from(text).ok());
    if let Some(prediction) = prediction {
        response
            .headers_mut()
            .insert(PREDICTION_HEADER_NAME, prediction);
    }
    response
}

fn write_error(error: &Error) -> Response<Bytes> {
    let code = error.code().name();
    let body = serde_json::json!({ "__type": code, "message": error.message() }).to_string();
    let mut response = new_response(error.code().status(), Bytes::from(body));
    response
        .headers_mut()
        .insert(ERROR_TYPE, HeaderValue::from_static(code));
    response
}

fn new_response(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, JSON_CONTENT_TYPE);
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
