//! A service in this process as the HTTP client of an AWS SDK client: no port, no socket, no wait.
//!
//! Everything that stands in for AWS on one machine is a [`Service`]: one function from a whole
//! request to a whole response. [`Service::http_client`] puts it behind an SDK client,
//! [`crate::serve`] puts the same one on a loopback port.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use http::{Request, Response, StatusCode};

/// A response on its way.
pub type Answer = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

type Call = dyn Fn(Request<Bytes>) -> Answer + Send + Sync;

/// One AWS service in this process. Cloning it is cheap and gives the same service.
///
/// A service cannot fail: what goes wrong inside it is a response with AWS's error shape.
#[derive(Clone)]
pub struct Service(Arc<Call>);

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
    pub fn call(&self, request: Request<Bytes>) -> Answer {
        (self.0)(request)
    }

    /// The service as the HTTP client of an AWS SDK client.
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(InProcess(self.clone()));
        SharedHttpClient::new(Client(connector))
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Service")
    }
}

/// The part of `X-Amz-Target` behind the dot: the operation of a JSON service.
pub(crate) fn operation<B>(request: &Request<B>) -> &str {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|value| value.to_str().ok());
    target.map_or("", |text| {
        text.rsplit_once('.').map_or(text, |(_, name)| name)
    })
}

/// A response of a JSON service.
pub(crate) fn json(
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
pub(crate) fn exception(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({ "__type": code, "message": message }).to_string();
    let mut response = json(status, "application/x-amz-json-1.1", body);
    if let Ok(code) = http::HeaderValue::from_str(code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

/// Hands the one connector to every operation: there are no timeouts to tell them apart.
#[derive(Debug)]
struct Client(SharedHttpConnector);

impl HttpClient for Client {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.clone()
    }
}

#[derive(Debug)]
struct InProcess(Service);

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = whole(request).await?;
            let response = service.call(request).await.map(SdkBody::from);
            HttpResponse::try_from(response).map_err(other)
        })
    }
}

/// The request of an SDK client with its body in memory.
///
/// # Errors
/// A body that cannot be read.
pub async fn whole(request: HttpRequest) -> Result<Request<Bytes>, ConnectorError> {
    let (parts, body) = request.try_into_http1x().map_err(other)?.into_parts();
    let body = match body.bytes() {
        Some(bytes) => Bytes::copy_from_slice(bytes),
        None => collect(body).await?,
    };
    Ok(Request::from_parts(parts, body))
}

/// Reads a body that is not in memory yet, such as a file on its way to S3.
async fn collect(body: SdkBody) -> Result<Bytes, ConnectorError> {
    let whole = ByteStream::new(body).collect().await.map_err(other)?;
    Ok(whole.into_bytes())
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> ConnectorError {
    ConnectorError::other(error.into(), None)
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
            assert_eq!(operation(&request), want, "{target:?}");
        }
    }

    #[tokio::test]
    async fn an_sdk_client_reaches_the_service() {
        let service = Service::new(|request: Request<Bytes>| async move {
            let tables = format!(r#"{{"TableNames":["{}"]}}"#, operation(&request));
            json(StatusCode::OK, "application/x-amz-json-1.0", tables)
        });
        let client = crate::clients::dynamodb(service.http_client());
        let tables = client.list_tables().send().await.unwrap();
        assert_eq!(tables.table_names(), ["ListTables"]);
    }
}
