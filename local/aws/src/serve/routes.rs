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

use super::fault_requests::{ask_for_fault, forget_faults};
use super::limits::{BodyError, Reader};
use super::state::{Server, Shared};
use super::{FAULTS, Front, HEALTH, Services, admission};
use crate::fault::{self, Fault};
use crate::signature::Claim;
use crate::{s3, service};

/// All routes: the services, the server's own addresses, and admission around them.
pub(super) fn router(services: Services, front: Front) -> Router {
    let mut router = Router::new().route(HEALTH, get(|| async { "ok" }));
    if front.faults.is_some() {
        router = router.route(FAULTS, post(ask_for_fault).delete(forget_faults));
    }
    let reader = Reader::new(&front.limits);
    let server = Arc::new(Server {
        services,
        front,
        reader,
    });
    // Around all routes, so that no route is without it.
    let admission = middleware::from_fn_with_state(Arc::clone(&server), admit);
    router.fallback(answer).layer(admission).with_state(server)
}

/// Refuses requests that are not admitted, and gives every response an id.
async fn admit(State(server): Shared, request: Request, next: Next) -> Response {
    let mut response = match admission::refusal(&request, server.front.keys.is_none()) {
        Some(reason) => s3::refusal(StatusCode::FORBIDDEN, "AccessDenied", reason).map(Body::from),
        None => next.run(request).await,
    };
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        let headers = response.headers_mut();
        headers.entry("x-amzn-requestid").or_insert(id);
    }
    response
}

async fn answer(State(server): Shared, request: Request) -> Response {
    route(&server, request).await.map(Body::from)
}

/// Finds the service, checks the signature, reads the body, and calls the service.
async fn route(server: &Server, request: Request) -> http::Response<Bytes> {
    let Server {
        services,
        front,
        reader,
    } = server;
    let Some((service, name)) = services.of(&request) else {
        return unknown_target();
    };
    let fault = front.faults.as_ref();
    if let Some(Fault::Answer(status, body)) = fault.map(|f| f.take_next(service::operation(&request))) {
        return fault::json(status, body);
    }
    let (head, body) = request.into_parts();
    let keys = front.keys.as_ref();
    let claim = match keys.map(|keys| keys.claim(&head, name, Timestamp::now())) {
        Some(Err(refusal)) => return refusal.response(),
        Some(Ok(claim)) => Some(claim),
        None => None,
    };
    let read = if claim.as_ref().is_some_and(Claim::needs_body) {
        reader.read_unverified(body).await
    } else {
        reader.read(body).await.map(|body| (body, None))
    };
    let (body, taken) = match read {
        Ok(read) => read,
        Err(error) => return unread(name, error),
    };
    if let Some(Err(refusal)) = claim.map(|claim| claim.verify(&head, &body)) {
        return refusal.response();
    }
    drop(taken);
    service.call(http::Request::from_parts(head, body)).await
}

/// The answer to a request whose body was not read, with codes that clients know: they retry a slow
/// body, and one that there was no memory for.
fn unread(service: &str, error: BodyError) -> http::Response<Bytes> {
    let (status, s3, json) = match error {
        BodyError::TooLarge(_) => (413, "EntityTooLarge", "RequestEntityTooLargeException"),
        BodyError::Slow => (408, "RequestTimeout", "RequestTimeoutException"),
        BodyError::NoRoom => (503, "SlowDown", "ThrottlingException"),
        BodyError::CutShort => (400, "IncompleteBody", "SerializationException"),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    if service == "s3" {
        s3::refusal(status, s3, &error.to_string())
    } else {
        service::exception(status, json, &error.to_string())
    }
}

/// The answer to an operation of a service that is not here.
pub(super) fn unknown_target() -> http::Response<Bytes> {
    let message = "The header X-Amz-Target names no operation that there is here.";
    service::exception(
        StatusCode::BAD_REQUEST,
        "UnknownOperationException",
        message,
    )
}
