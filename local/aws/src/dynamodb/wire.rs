//! Requests and responses of DynamoDB as JSON, and its errors.

use bytes::Bytes;
use dynoxide::DynoxideError;
use http::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::service::json_response;

pub(super) const MEDIA_TYPE: &str = "application/x-amz-json-1.0";

/// Reads a request, makes the call, writes the response.
pub(super) fn answer_call<Q, A>(
    body: &[u8],
    call: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<Vec<u8>, DynoxideError>
where
    Q: DeserializeOwned,
    A: Serialize,
{
    let request = serde_json::from_slice(body).map_err(|error| request_error(&error))?;
    serde_json::to_vec(&call(request)?).map_err(|error| response_error(&error))
}

/// The database's request types name the exception in front of the reason. Serde adds the position
/// in the body, which AWS does not.
fn request_error(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let reason = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(head, _)| head);
    match reason.split_once(':') {
        Some(("VALIDATION" | "VALIDATION_AS_READ", reason)) => {
            DynoxideError::ValidationException(reason.to_owned())
        }
        Some(("VALIDATION_REQUEST", reason)) => {
            DynoxideError::EnvelopedValidation(reason.to_owned())
        }
        Some(("SERIALIZATION" | "SERIALIZATION_AS_READ", reason)) => {
            DynoxideError::SerializationException(reason.to_owned())
        }
        _ if reason.starts_with("missing field") || reason.starts_with("unknown variant") => {
            DynoxideError::ValidationException(reason.to_owned())
        }
        _ => DynoxideError::SerializationException(reason.to_owned()),
    }
}

pub(super) fn response_error(error: &serde_json::Error) -> DynoxideError {
    DynoxideError::InternalServerError(error.to_string())
}

/// An error as DynamoDB sends it.
pub(super) fn error_response(operation: &str, error: DynoxideError) -> Response<Bytes> {
    let error = match error {
        DynoxideError::UnsupportedCapability(_) => return unknown_operation_response(),
        DynoxideError::EnvelopedValidation(reason) => add_validation_prefix(operation, reason),
        error => error,
    };
    let status = StatusCode::from_u16(error.status_code());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_response(status, MEDIA_TYPE, error.to_json())
}

/// Writes have a sentence in front of the reason, reads do not.
fn add_validation_prefix(operation: &str, reason: String) -> DynoxideError {
    let writes_one = matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem");
    DynoxideError::ValidationException(if writes_one {
        format!("1 validation error detected: {reason}")
    } else {
        reason
    })
}

fn unknown_operation_response() -> Response<Bytes> {
    let body = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
    json_response(StatusCode::BAD_REQUEST, MEDIA_TYPE, body)
}

/// The answer to a call whose thread ended before the call did.
pub(super) fn lost_call_response(error: &tokio::task::JoinError) -> Response<Bytes> {
    let error = DynoxideError::InternalServerError(format!("the call did not finish: {error}"));
    error_response("", error)
}
