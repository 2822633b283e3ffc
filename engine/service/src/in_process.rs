//! The engine as an AWS SDK client's HTTP client: the same bytes, without a port.

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
use http_body_util::BodyExt;

use crate::engine::Engine;

/// An HTTP client that answers every request with `engine`, whatever its address.
///
/// ```no_run
/// # fn client(engine: std::sync::Arc<engine::Engine>) -> aws_smithy_runtime_api::client::http::SharedHttpClient {
/// // aws_sdk_frauddetector::Config::builder().http_client(engine::http_client(engine))
/// engine::http_client(engine)
/// # }
/// ```
pub fn http_client(engine: Arc<Engine>) -> SharedHttpClient {
    SharedHttpClient::new(InProcess { engine })
}

#[derive(Clone, Debug)]
struct InProcess {
    engine: Arc<Engine>,
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = Arc::clone(&self.engine);
        HttpConnectorFuture::new(async move {
            let request = read(request).await?;
            let response = engine.handle(request).await.map(SdkBody::from);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
        })
    }
}

async fn read(request: HttpRequest) -> Result<http::Request<Bytes>, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let bytes = match body.bytes() {
        Some(bytes) => Bytes::copy_from_slice(bytes),
        None => body
            .collect()
            .await
            .map_err(ConnectorError::user)?
            .to_bytes(),
    };
    Ok(http::Request::from_parts(parts, bytes))
}
