//! A client of services of which only a call or two is needed: AWS's JSON protocol, signed by AWS's own signer.
//!
//! SQS, Kinesis and Secrets Manager speak it. Their SDKs would make each function larger for one call; see docs/decisions/0027.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use serde_json::Value;
use thiserror::Error;

/// The time of a call that reads records.
const READ: Duration = Duration::from_secs(30);

/// A call that failed.
#[derive(Debug, Error)]
#[error("{operation}: {code}{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
pub struct AwsJsonError {
    /// The operation, such as `ReceiveMessage`.
    pub operation: String,
    /// The exception's name, or how the call failed without one.
    pub code: String,
    /// The message of the service. It may quote what was sent: never log it.
    pub message: String,
}

/// What the service answered instead of a result.
#[derive(Debug, Error)]
#[error("{code}")]
struct ServiceException {
    code: String,
    message: String,
}

/// A client of one service. It makes one attempt for each call.
#[derive(Clone, Debug)]
pub struct AwsJsonClient {
    config: SdkConfig,
    service: &'static str,
    target: &'static str,
    version: &'static str,
}

impl AwsJsonClient {
    /// A client of SQS.
    pub fn sqs(config: &SdkConfig) -> Self {
        Self::new(config, "sqs", "AmazonSQS", "1.0")
    }

    /// A client of Secrets Manager.
    pub fn secrets_manager(config: &SdkConfig) -> Self {
        Self::new(config, "secretsmanager", "secretsmanager", "1.1")
    }

    /// A client of Kinesis Data Streams. Its calls have more time than others: a read may bring 10 MiB.
    pub fn kinesis(config: &SdkConfig) -> Self {
        let given = config.timeout_config().map(TimeoutConfig::to_builder);
        let timeouts = given
            .unwrap_or_else(TimeoutConfig::builder)
            .operation_attempt_timeout(READ)
            .operation_timeout(READ)
            .build();
        let config = config.to_builder().timeout_config(timeouts).build();
        Self::new(&config, "kinesis", "Kinesis_20131202", "1.1")
    }

    fn new(
        config: &SdkConfig,
        service: &'static str,
        target: &'static str,
        version: &'static str,
    ) -> Self {
        Self {
            config: config.clone(),
            service,
            target,
            version,
        }
    }

    /// Calls an operation in `region`, with the members of its input. Returns the members of its output.
    ///
    /// # Errors
    /// [`AwsJsonError`]: the exception of the service, or how the call failed.
    pub async fn call(
        &self,
        region: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Value, AwsJsonError> {
        let failed = |code: String, message: String| AwsJsonError {
            operation: operation.to_owned(),
            code,
            message,
        };
        let not_built = |reason: &'static str| failed("request not built".into(), reason.into());
        let endpoint = self.find_endpoint(region);
        let request = self.sign_request(&endpoint, region, operation, input).await;
        let request = request.map_err(not_built)?;
        let http = self.config.http_client();
        let http = http.ok_or_else(|| not_built("there is no HTTP client"))?;
        let timeouts = self.config.timeout_config().cloned();
        let built = Operation::builder()
            .service_name(self.service)
            .operation_name(operation.to_owned())
            .http_client(http)
            .endpoint_url(&endpoint)
            .no_auth()
            .no_retry()
            .timeout_config(timeouts.unwrap_or_else(|| TimeoutConfig::builder().build()))
            .serializer(|request: HttpRequest| Ok(request))
            .deserializer(read_response)
            .build();
        built.invoke(request).await.map_err(|error| match error {
            SdkError::ServiceError(error) => {
                let ServiceException { code, message } = error.into_err();
                failed(code, message)
            }
            SdkError::TimeoutError(_) => failed("timeout".into(), String::new()),
            SdkError::DispatchFailure(_) => failed("no connection".into(), String::new()),
            _ => failed("response not readable".into(), String::new()),
        })
    }

    /// The address of the service: that of the configuration, as `AWS_ENDPOINT_URL` gives it, or AWS's.
    fn find_endpoint(&self, region: &str) -> String {
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let default = || format!("https://{}.{region}.amazonaws.com{suffix}", self.service);
        let given = self.config.endpoint_url().map(str::to_owned);
        given.unwrap_or_else(default)
    }

    async fn sign_request(
        &self,
        endpoint: &str,
        region: &str,
        operation: &str,
        input: &Value,
    ) -> Result<HttpRequest, &'static str> {
        let body = input.to_string();
        let url = format!("{}/", endpoint.trim_end_matches('/'));
        let target = format!("{}.{operation}", self.target);
        let content_type = format!("application/x-amz-json-{}", self.version);
        let headers = [
            ("content-type", content_type.as_str()),
            ("x-amz-target", target.as_str()),
        ];
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or("there is no provider of credentials")?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|_| "there are no credentials")?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(self.service)
            .time(self.config.time_source().unwrap_or_default().now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| "a parameter of the signature is missing")?;
        let content = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", &url, headers.into_iter(), content);
        let signable = signable.map_err(|_| "the address of the service is no URL")?;
        let (instructions, _) = sign(signable, &parameters.into())
            .map_err(|_| "the request cannot be signed")?
            .into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body.clone()));
        request.set_method("POST").map_err(|_| "no method")?;
        request
            .set_uri(url)
            .map_err(|_| "the address of the service is no URL")?;
        let added = request.headers_mut();
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            added.insert(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }
}

fn read_response(response: &HttpResponse) -> Result<Value, OrchestratorError<ServiceException>> {
    let body = response.body().bytes().unwrap_or_default();
    let read: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body).unwrap_or_default()
    };
    if response.status().is_success() {
        return Ok(read);
    }
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| read[*name].as_str());
        found.unwrap_or_default()
    };
    // `__type` may have a namespace before a number sign.
    let code = text(&["__type"]).rsplit('#').next().unwrap_or_default();
    let code = if code.is_empty() {
        format!("HTTP status {}", response.status().as_u16())
    } else {
        code.to_owned()
    };
    Err(OrchestratorError::operation(ServiceException {
        code,
        message: text(&["message", "Message"]).to_owned(),
    }))
}
