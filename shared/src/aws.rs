//! The clients of AWS: one HTTP client and one configuration per process, with explicit time-outs.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::dependency_latency::measure_calls;

/// Time-out of connecting.
const CONNECT: Duration = Duration::from_secs(1);
/// Time-out of one attempt.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Time-out of all attempts together; the SDK sets none by default.
const OPERATION: Duration = Duration::from_secs(5);
/// Attempts per call of DynamoDB, S3 and EventBridge.
const ATTEMPTS: u32 = 3;

/// Makes the HTTP client of a process, with TLS. How long its calls take is a metric.
pub fn make_https_client() -> SharedHttpClient {
    let client = Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    measure_calls(client)
}

/// Loads the configuration from which all clients of a process are built.
///
/// The region is an argument, because aws-config without one waits for the instance metadata service.
pub async fn load_config(region: &str) -> SdkConfig {
    set_timeouts(aws_config::defaults(BehaviorVersion::latest()))
        .region(Region::new(region.to_owned()))
        .http_client(make_https_client())
        .load()
        .await
}

/// Sets the time-outs and attempts that all clients share.
pub fn set_timeouts(loader: ConfigLoader) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    loader
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
}

/// Makes a client of Amazon Fraud Detector. It makes one attempt per call, so that the budget of calls counts each.
pub fn make_fraud_detector_client(config: &SdkConfig) -> aws_sdk_frauddetector::Client {
    let config =
        aws_sdk_frauddetector::config::Builder::from(config).retry_config(RetryConfig::disabled());
    aws_sdk_frauddetector::Client::from_conf(config.build())
}

/// Makes a client of a Fraud Detector in this process, such as the engine.
///
/// It has no signature, retries, time-outs or stalled-stream protection, because there is no network.
pub fn make_in_process_client(http: SharedHttpClient) -> aws_sdk_frauddetector::Client {
    use aws_sdk_frauddetector::config::{Builder, StalledStreamProtectionConfig};
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url("http://fraudstream.local")
        .http_client(http)
        .allow_no_auth()
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    aws_sdk_frauddetector::Client::from_conf(config.build())
}
