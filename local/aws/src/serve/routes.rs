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
use predict::{DECIDE_PATH, LARGEST_ORDER};
use uuid::Uuid;

use super::decide;
use super::fault_requests::{add_faults, clear_faults};
use super::limits::{BodyError, BodyReader, LARGEST, LARGEST_UNVERIFIED};
use super::state::{ServerState, SharedState};
use super::{FAULTS, HEALTH, ServeOptions, Services, admission};
use crate::fault::{self, Fault};
use crate::signature::SignatureClaim;
use crate::{s3, service};

/// Bytes of an order that are read. It is more than an order may have: a client whose connection is closed while it sends sees
/// an error of the network, and not the answer.
const LARGEST_READ: usize = 8 * LARGEST_ORDER;

/// All routes: the services, the server's own addresses, and admission around them.
pub(super) fn build_router(services: Services, front: ServeOptions) -> Router {
    let mut router = Router::new()
        .route(HEALTH, get(|| async { "ok" }))
        // A bucket may have this name, too.
        .route(DECIDE_PATH, post(decide_order).fallback(answer_request));
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

/// Finds the service, reads the request, and calls the service.
async fn route_request(server: &ServerState, request: Request) -> http::Response<Bytes> {
    let Some((service, name)) = server.services.find(&request) else {
        return unknown_target_response();
    };
    let fault = server.front.faults.as_ref();
    if let Some(Fault::Answer(status, body)) =
        fault.map(|f| f.take_next(service::operation_name(&request)))
    {
        return fault::json_response(status, body);
    }
    let limits = BodyLimits {
        verified: LARGEST,
        unverified: LARGEST_UNVERIFIED,
    };
    match read_request(server, request, name, limits).await {
        Ok(request) => service.call(request).await,
        Err(refusal) => refusal,
    }
}

/// Decides the order in the body.
async fn decide_order(State(server): SharedState, request: Request) -> Response {
    let limits = BodyLimits {
        verified: LARGEST_READ,
        unverified: LARGEST_READ,
    };
    let response = match read_request(&server, request, decide::SIGNED_AS, limits).await {
        Err(refusal) => refusal,
        Ok(request) => match &server.front.decide {
            Some(service) => service.answer(request).await,
            None => decide::no_mapping_response(),
        },
    };
    response.map(Body::from)
}

/// The most bytes of a body.
#[derive(Clone, Copy)]
struct BodyLimits {
    verified: usize,
    /// Where the signature can only be checked with the body.
    unverified: usize,
}

/// Reads a request of the service with this name in signatures, and checks its signature if requests are signed.
async fn read_request(
    server: &ServerState,
    request: Request,
    name: &str,
    limits: BodyLimits,
) -> Result<http::Request<Bytes>, http::Response<Bytes>> {
    let (head, body) = request.into_parts();
    let keys = server.front.keys.as_ref();
    let claim = keys.map(|keys| keys.claim(&head, name, Timestamp::now()));
    let claim = claim.transpose().map_err(|refusal| refusal.response())?;
    let reader = &server.reader;
    let read = if claim.as_ref().is_some_and(SignatureClaim::needs_body) {
        reader.read_unverified(body, limits.unverified).await
    } else {
        let read = reader.read(body, limits.verified).await;
        read.map(|body| (body, None))
    };
    let (body, taken) = read.map_err(|error| unread_body_response(name, error))?;
    if let Some(claim) = claim {
        let verified = claim.verify(&head, &body);
        verified.map_err(|refusal| refusal.response())?;
    }
    drop(taken);
    Ok(http::Request::from_parts(head, body))
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
    let message = error.to_string();
    if service == decide::SIGNED_AS {
        return decide::unread_body_response(status, &message);
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    if service == "s3" {
        s3::error_response(status, s3, &message)
    } else {
        service::exception_response(status, json, &message)
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
