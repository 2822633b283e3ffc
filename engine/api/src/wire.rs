//! AWS JSON 1.1 over HTTP: one `POST /` per operation, named in a header.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::operations::{self, Reply};
use crate::shapes::{self, Operation};

/// What precedes the operation in `X-Amz-Target`.
pub const TARGET_PREFIX: &str = "AWSHawksNestServiceFacade.";
pub use event::PREDICTION_HEADER;

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const PREDICTION: HeaderName = HeaderName::from_static(PREDICTION_HEADER);

impl Engine {
    /// Answers one request. What is wrong with it, or with us, is in the response.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        match self.answer(&request).await {
            Ok(reply) => respond(reply),
            Err(error) => {
                log(&error);
                refuse(&error)
            }
        }
    }

    async fn answer(&self, request: &Request<Bytes>) -> Result<Reply> {
        let operation = operation(request)?;
        let mut input = input(operation, request.body())?;
        crate::shape::check(operation.input, &input)?;
        // A member that is null is one that is left out; a null inside, such as a variable's, is a value.
        if let Value::Object(members) = &mut input {
            members.retain(|_, value| !value.is_null());
        }
        operations::run(self, operation, &input).await
    }
}

/// Only what went wrong on our side, and no message: it may quote the request.
fn log(error: &Error) {
    if error.code() == Code::InternalServer {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(cause, "an operation failed");
    }
}

fn operation(request: &Request<Bytes>) -> Result<&'static Operation> {
    let unknown = |message: &str| Error::new(Code::UnknownOperation, message);
    if request.method() != Method::POST || request.uri().path() != "/" {
        return Err(unknown("Every operation is a POST to `/`."));
    }
    let target = text(request.headers(), "x-amz-target");
    let target = target.ok_or_else(|| unknown("The header X-Amz-Target is missing."))?;
    let operation = target
        .strip_prefix(TARGET_PREFIX)
        .and_then(shapes::find)
        .ok_or_else(|| {
            let shown: String = target.chars().take(100).collect();
            unknown(&format!("There is no operation '{shown}'."))
        })?;
    let content_type = text(request.headers(), "content-type").unwrap_or_default();
    if !content_type.starts_with("application/x-amz-json-1.1") {
        let message = "The content type must be application/x-amz-json-1.1.";
        return Err(Error::new(Code::Serialization, message));
    }
    Ok(operation)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads the body. `serde_json` refuses nesting deeper than 128.
fn input(operation: &Operation, body: &Bytes) -> Result<Value> {
    if body.len() > operation.largest {
        let message = format!(
            "The request has {} bytes, {} takes at most {}.",
            body.len(),
            operation.name,
            operation.largest
        );
        return Err(Error::validation(message));
    }
    if body.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Error::new(
            Code::Serialization,
            format!("The body is not valid JSON at {place}."),
        )
    })
}

fn respond(reply: Reply) -> Response<Bytes> {
    let mut response = response(StatusCode::OK, reply.body);
    let prediction = reply
        .prediction
        .and_then(|text| HeaderValue::try_from(text).ok());
    if let Some(prediction) = prediction {
        response.headers_mut().insert(PREDICTION, prediction);
    }
    response
}

fn refuse(error: &Error) -> Response<Bytes> {
    let code = error.code().name();
    let body = serde_json::json!({ "__type": code, "message": error.message() }).to_string();
    let mut response = response(error.code().status(), Bytes::from(body));
    response
        .headers_mut()
        .insert(ERROR_TYPE, HeaderValue::from_static(code));
    response
}

fn response(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
