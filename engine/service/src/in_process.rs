//! An HTTP client for AWS SDKs that calls a Rust function instead of the network: the same bytes, without a port.

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
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;

use crate::engine::Engine;

/// An HTTP client that answers every request with `engine`, for any address.
///
/// ```no_run
/// # fn client(engine: std::sync::Arc<engine::Engine>) -> aws_smithy_runtime_api::client::http::SharedHttpClient {
/// // aws_sdk_frauddetector::Config::builder().http_client(engine::http_client(engine))
/// engine::http_client(engine)
/// # }
/// ```
pub fn http_client(engine: Arc<Engine>) -> SharedHttpClient {
    in_process_http_client(move |request| {
        let engine = Arc::clone(&engine);
        async move { engine.handle(request).await }
    })
}

/// An HTTP client like [`http_client`], for a caller that stores the predictions itself: see
/// [`Engine::handle_and_hold`].
pub fn holding_http_client(engine: Arc<Engine>) -> SharedHttpClient {
    in_process_http_client(move |request| {
        let engine = Arc::clone(&engine);
        async move { engine.handle_and_hold(request).await }
    })
}

/// An HTTP client that answers every request with `answer`, for any address. It opens no connection and needs no port.
///
/// `answer` cannot fail: its errors are responses in the form of AWS's errors.
pub fn in_process_http_client<F, A>(answer: F) -> SharedHttpClient
where
    F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Bytes>> + Send + 'static,
{
    let answer: Arc<AnswerRequest> = Arc::new(move |request| Box::pin(answer(request)));
    let connector = SharedHttpConnector::new(InProcessConnector(answer));
    SharedHttpClient::new(InProcessClient(connector))
}

/// Reads the request of an SDK client with its whole body into memory.
///
/// # Errors
/// The body cannot be read.
pub async fn collect_request(request: HttpRequest) -> Result<Request<Bytes>, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let bytes = match body.bytes() {
        Some(bytes) => Bytes::copy_from_slice(bytes),
        // The body is not in memory yet, such as a file that is uploaded to S3.
        None => body
            .collect()
            .await
            .map_err(ConnectorError::user)?
            .to_bytes(),
    };
    Ok(Request::from_parts(parts, bytes))
}

type PendingResponse = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;
type AnswerRequest = dyn Fn(Request<Bytes>) -> PendingResponse + Send + Sync;

/// Gives every operation the same connector: operations differ only in time-outs, and there are none.
#[derive(Debug)]
struct InProcessClient(SharedHttpConnector);

impl HttpClient for InProcessClient {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.clone()
    }
}

struct InProcessConnector(Arc<AnswerRequest>);

impl fmt::Debug for InProcessConnector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("InProcessConnector")
    }
}

impl HttpConnector for InProcessConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let request = collect_request(request).await?;
            let response = answer(request).await.map(SdkBody::from);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
        })
    }
}
