//! Clients of AWS: one HTTP client, one configuration, explicit time-outs.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(1);
/// Time of one attempt.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Time of all attempts: the SDK has no such limit of its own.
const OPERATION: Duration = Duration::from_secs(5);
/// Attempts of DynamoDB, S3 and EventBridge calls.
const ATTEMPTS: u32 = 3;

/// The one HTTP client of a process.
pub fn https() -> SharedHttpClient {
    Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https()
}

/// The configuration that every client of a process is built from.
///
/// The region is given: without one aws-config asks the instance metadata service and stalls.
pub async fn config(region: &str) -> SdkConfig {
    with_limits(aws_config::defaults(BehaviorVersion::latest()))
        .region(Region::new(region.to_owned()))
        .http_client(https())
        .load()
        .await
}

/// The same configuration with the time-outs and attempts of every client.
pub fn with_limits(loader: ConfigLoader) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    loader
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
}

/// A client of Amazon's service: one attempt, because the budget of calls must see each.
pub fn fraud_detector(config: &SdkConfig) -> aws_sdk_frauddetector::Client {
    let config =
        aws_sdk_frauddetector::config::Builder::from(config).retry_config(RetryConfig::disabled());
    aws_sdk_frauddetector::Client::from_conf(config.build())
}

/// A client of a Fraud Detector in this process, such as the engine.
///
/// No signature, retries, time-outs or stalled-stream protection: there is no network.
pub fn fraud_detector_in_process(http: SharedHttpClient) -> aws_sdk_frauddetector::Client {
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
