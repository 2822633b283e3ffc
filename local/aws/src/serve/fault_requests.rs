//! The address where tests ask for faults and clear them.

use axum::extract::{Request, State};
use http::StatusCode;
use serde::Deserialize;

use super::limits::LARGEST;
use super::state::SharedState;
use crate::fault::Fault;

/// `{"operation": "GetLabels", "error": "ThrottlingException", "times": 1}`: the next calls of the
/// operation are answered with the error, and do nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRequest {
    operation: String,
    error: String,
    #[serde(default = "default_times")]
    times: usize,
}

fn default_times() -> usize {
    1
}

/// How many calls one request may let fail.
const MOST_FAULTS: usize = 10_000;

pub(super) async fn add_faults(
    State(server): SharedState,
    request: Request,
) -> (StatusCode, String) {
    let Some(faults) = &server.front.faults else {
        return (StatusCode::NOT_FOUND, String::new());
    };
    let body = match server.reader.read(request.into_body(), LARGEST).await {
        Ok(body) => body,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()),
    };
    match serde_json::from_slice::<FaultRequest>(&body) {
        Ok(wanted) if wanted.times <= MOST_FAULTS => {
            let fault = Fault::exception(&wanted.error);
            faults.inject(&wanted.operation, fault, wanted.times);
            (StatusCode::NO_CONTENT, String::new())
        }
        Ok(_) => {
            let message = format!("`times` must be at most {MOST_FAULTS}");
            (StatusCode::BAD_REQUEST, message)
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}

pub(super) async fn clear_faults(State(server): SharedState) -> StatusCode {
    if let Some(faults) = &server.front.faults {
        faults.clear();
    }
    StatusCode::NO_CONTENT
}
