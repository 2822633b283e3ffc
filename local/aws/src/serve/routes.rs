//! From a request to the service that answers it: admission, signature, body, call.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use uuid::Uuid;

use super::fault_requests::{add_faults, clear_faults};
use super::limits::{BodyError, BodyReader};
use super::state::{ServerState, SharedState};
use super::{FAULTS, HEALTH, ServeOptions, Services, admission};
use crate::fault::{self, Fault};
use crate::signature::SignatureClaim;
use crate::{s3, service};

/// All routes: the services, the server's own addresses, and admission around them.
pub(super) fn build_router(services: Services, front: ServeOptions) -> Router {
    let mut router = Router::new().route(HEALTH, get(|| async { "ok" }));
    if front.faults.is_some() {
        router = router.route(FAULTS, post(add_faults).delete(clear_faults));
    }
    let reader = BodyReader::new(&front.limits);
    let server = Arc::new(ServerState {
        services,
        front,
        reader,
    });
    // Around all routes, so that no route is without it.
    let admission = middleware::from_fn_with_state(Arc::clone(&server), admit_request);
    router
        .fallback(answer_request)
        .layer(admission)
        .with_state(server)
}

/// Refuses requests that are not admitted, and gives every response an id.
async fn admit_request(State(server): SharedState, request: Request, next: Next) -> Response {
    let mut response = match admission::find_refusal(&request, server.front.keys.is_none()) {
        Some(reason) => {
            s3::error_response(StatusCode::FORBIDDEN, "AccessDenied", reason).map(Body::from)
        }
        None => next.run(request).await,
    };
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        let headers = response.headers_mut();
        headers.entry("x-amzn-requestid").or_insert(id);
    }
    response
}

async fn answer_request(State(server): SharedState, request: Request) -> Response {
    route_request(&server, request).await.map(Body::from)
}

/// Finds the service, checks the signature, reads the body, and calls the service.
async fn route_request(server: &ServerState, request: Request) -> http::Response<Bytes> {
    let ServerState {
        services,
        front,
        reader,
    } = server;
    let Some((service, name)) = services.find(&request) else {
        return unknown_target_response();
    };
    let fault = front.faults.as_ref();
    if let Some(Fault::Answer(status, body)) =
        fault.map(|f| f.take_next(service::operation_name(&request)))
    {
        return fault::json_response(status, body);
    }
    let (head, body) = request.into_parts();
    let keys = front.keys.as_ref();
    let claim = match keys.map(|keys| keys.claim(&head, name, Timestamp::now())) {
        Some(Err(refusal)) => return refusal.response(),
        Some(Ok(claim)) => Some(claim),
        None => None,
    };
    let read = if claim.as_ref().is_some_and(SignatureClaim::needs_body) {
        reader.read_unverified(body).await
    } else {
        reader.read(body).await.map(|body| (body, None))
    };
    let (body, taken) = match read {
        Ok(read) => read,
        Err(error) => return unread_body_response(name, error),
    };
    if let Some(Err(refusal)) = claim.map(|claim| claim.verify(&head, &body)) {
        return refusal.response();
    }
    drop(taken);
    service.call(http::Request::from_parts(head, body)).await
}

/// The answer to a request whose body was not read, with codes that clients know: they retry a slow
/// body, and one that there was no memory for.
fn unread_body_response(service: &str, error: BodyError) -> http::Response<Bytes> {
    let (status, s3, json) = match error {
        BodyError::TooLarge(_) => (413, "EntityTooLarge", "RequestEntityTooLargeException"),
        BodyError::Slow => (408, "RequestTimeout", "RequestTimeoutException"),
        BodyError::NoRoom => (503, "SlowDown", "ThrottlingException"),
        BodyError::CutShort => (400, "IncompleteBody", "SerializationException"),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    if service == "s3" {
        s3::error_response(status, s3, &error.to_string())
    } else {
        service::exception_response(status, json, &error.to_string())
    }
}

/// The answer to an operation of a service that is not here.
pub(super) fn unknown_target_response() -> http::Response<Bytes> {
    let message = "The header X-Amz-Target names no operation that there is here.";
    service::exception_response(
        StatusCode::BAD_REQUEST,
        "UnknownOperationException",
        message,
    )
}
