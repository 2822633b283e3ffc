//! One AWS service in this process, as the HTTP client of an SDK client: no port and no socket.
//!
//! Everything that stands in for AWS on one machine is a [`Service`]: one function from a whole
//! request to a whole response. [`Service::http_client`] puts it behind an SDK client; the module
//! `serve` puts the same service on a loopback port.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use http::{Request, Response, StatusCode};

/// A response on its way.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

type RequestHandler = dyn Fn(Request<Bytes>) -> ResponseFuture + Send + Sync;

/// One AWS service in this process. Cloning it is cheap and gives the same service.
///
/// A service cannot fail: what goes wrong inside it is a response with AWS's error shape.
#[derive(Clone)]
pub struct Service(Arc<RequestHandler>);

impl Service {
    /// The service that answers each request with `call`.
    pub fn new<F, A>(call: F) -> Self
    where
        F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Bytes>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(call(request))))
    }

    /// Answers one request.
    pub fn call(&self, request: Request<Bytes>) -> ResponseFuture {
        (self.0)(request)
    }

    /// The service as the HTTP client of an AWS SDK client.
    pub fn http_client(&self) -> SharedHttpClient {
        let service = self.clone();
        engine::in_process_http_client(move |request| service.call(request))
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Service")
    }
}

/// The operation of a JSON service: the part of the header `X-Amz-Target` behind the dot; empty if there is none.
pub fn operation_name<B>(request: &Request<B>) -> &str {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|value| value.to_str().ok());
    target.map_or("", |text| {
        text.rsplit_once('.').map_or(text, |(_, name)| name)
    })
}

/// A response of a JSON service.
pub(crate) fn json_response(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let media_type = http::HeaderValue::from_static(media_type);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, media_type);
    response
}

/// An error of a JSON service, where clients look for it: in the header and in the body.
pub(crate) fn exception_response(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({ "__type": code, "message": message }).to_string();
    let mut response = json_response(status, "application/x-amz-json-1.1", body);
    if let Ok(code) = http::HeaderValue::from_str(code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_is_what_follows_the_dot() {
        let cases = [
            (Some("DynamoDB_20120810.PutItem"), "PutItem"),
            (Some("AWSEvents.PutEvents"), "PutEvents"),
            (Some("PutEvents"), "PutEvents"),
            (Some(""), ""),
            (None, ""),
        ];
        for (target, want) in cases {
            let mut request = Request::new(());
            if let Some(target) = target {
                let value = http::HeaderValue::from_static(target);
                request.headers_mut().insert("x-amz-target", value);
            }
            assert_eq!(operation_name(&request), want, "{target:?}");
        }
    }
}
