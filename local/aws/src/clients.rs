//! The four SDK clients, in one process or over the network.
//!
//! Code that uses a client cannot see what stands behind it; that is decided here.

use std::net::IpAddr;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::ProvideCredentials as _;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// The region of everything in this process, and of `fraudstream serve`.
pub const REGION: &str = "us-east-1";

/// The account of everything in this process: AWS's documentation uses the same one.
pub const ACCOUNT: &str = "123456789012";

/// Never resolved: a connector answers before any name is looked up.
const IN_PROCESS: &str = "http://in-process";

/// The four clients that the pipeline and the command line use.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Amazon Fraud Detector, or the engine.
    pub frauddetector: aws_sdk_frauddetector::Client,
    /// Decisions, and the state of the engine.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Rejected records, models, jobs.
    pub s3: aws_sdk_s3::Client,
    /// The event bus, which gets the outcomes.
    pub eventbridge: aws_sdk_eventbridge::Client,
}

/// What answers each client of one process.
#[derive(Clone, Debug)]
pub struct Connectors {
    /// The engine.
    pub frauddetector: SharedHttpClient,
    /// The embedded DynamoDB.
    pub dynamodb: SharedHttpClient,
    /// The folder that stands in for S3.
    pub s3: SharedHttpClient,
    /// The file that stands in for EventBridge.
    pub eventbridge: SharedHttpClient,
}

impl Clients {
    /// Clients that are answered in this process: without signatures, retries and time-outs.
    pub fn in_process(connectors: Connectors) -> Self {
        Self {
            frauddetector: connect_frauddetector(connectors.frauddetector),
            dynamodb: connect_dynamodb(connectors.dynamodb),
            s3: connect_s3(connectors.s3),
            eventbridge: connect_eventbridge(connectors.eventbridge),
        }
    }

    /// Clients that go over the network, with the credentials that the AWS CLI would use.
    pub async fn over_network(network: &NetworkConfig) -> Self {
        let config = remove_missing_credentials(load_network_config(network).await, network).await;
        let endpoints = &network.endpoints;
        Self {
            frauddetector: connect_frauddetector_over_network(
                &config,
                endpoints.frauddetector.as_deref(),
            ),
            dynamodb: connect_dynamodb_over_network(&config, endpoints.dynamodb.as_deref()),
            s3: connect_s3_over_network(&config, endpoints.s3.as_deref()),
            eventbridge: connect_eventbridge_over_network(
                &config,
                endpoints.eventbridge.as_deref(),
            ),
        }
    }
}

/// A client for SageMaker's endpoints, at AWS or at the address `url`. The engine needs it for
/// detectors with external models.
pub async fn connect_sagemaker(
    region: &str,
    url: Option<&str>,
) -> aws_sdk_sagemakerruntime::Client {
    let network = NetworkConfig {
        region: region.to_owned(),
        endpoints: url.map(Endpoints::all).unwrap_or_default(),
    };
    let config = remove_missing_credentials(load_network_config(&network).await, &network).await;
    let config = config_for_endpoint(&config, url);
    let mut builder = aws_sdk_sagemakerruntime::config::Builder::from(&config.sdk);
    if config.anonymous {
        builder = builder.allow_no_auth();
    }
    aws_sdk_sagemakerruntime::Client::from_conf(builder.build())
}

/// A client for the streams of `DynamoDB`'s tables, at AWS or at the address `url`.
pub async fn connect_streams(region: &str, url: Option<&str>) -> aws_sdk_dynamodbstreams::Client {
    let network = NetworkConfig {
        region: region.to_owned(),
        endpoints: url.map(Endpoints::all).unwrap_or_default(),
    };
    let config = remove_missing_credentials(load_network_config(&network).await, &network).await;
    let config = config_for_endpoint(&config, url);
    let mut builder = aws_sdk_dynamodbstreams::config::Builder::from(&config.sdk);
    if config.anonymous {
        builder = builder.allow_no_auth();
    }
    aws_sdk_dynamodbstreams::Client::from_conf(builder.build())
}

/// The configuration of a client, at AWS or at the address `url`.
pub async fn load_sdk_config(region: &str, url: Option<&str>) -> SdkConfig {
    let network = NetworkConfig {
        region: region.to_owned(),
        endpoints: url.map(Endpoints::all).unwrap_or_default(),
    };
    let config = remove_missing_credentials(load_network_config(&network).await, &network).await;
    config_for_endpoint(&config, url).sdk
}

/// The region and the addresses that clients use.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Always given: without a region the SDK asks the metadata service of EC2 and waits.
    pub region: String,
    /// Where a service is, if it is not at AWS.
    pub endpoints: Endpoints,
}

impl NetworkConfig {
    /// AWS itself.
    pub fn aws(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            endpoints: Endpoints::default(),
        }
    }

    /// One address for all four, such as `fraudstream serve`.
    pub fn at(url: &str) -> Self {
        Self {
            region: REGION.to_owned(),
            endpoints: Endpoints::all(url),
        }
    }
}

/// The addresses of services that are not at AWS. A client at a loopback address needs no
/// credentials; it signs if it has some.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// Of Fraud Detector.
    pub frauddetector: Option<String>,
    /// Of DynamoDB.
    pub dynamodb: Option<String>,
    /// Of S3, addressed by path.
    pub s3: Option<String>,
    /// Of EventBridge.
    pub eventbridge: Option<String>,
}

impl Endpoints {
    /// The same address for all four.
    pub fn all(url: &str) -> Self {
        let url = || Some(url.to_owned());
        Self {
            frauddetector: url(),
            dynamodb: url(),
            s3: url(),
            eventbridge: url(),
        }
    }
}

/// A Fraud Detector client of this process, answered by `connector`.
pub fn connect_frauddetector(connector: SharedHttpClient) -> aws_sdk_frauddetector::Client {
    let config = aws_sdk_frauddetector::config::Builder::from(&build_in_process_config(connector));
    aws_sdk_frauddetector::Client::from_conf(config.allow_no_auth().build())
}

/// A DynamoDB client of this process, answered by `connector`.
pub fn connect_dynamodb(connector: SharedHttpClient) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::config::Builder::from(&build_in_process_config(connector));
    aws_sdk_dynamodb::Client::from_conf(config.allow_no_auth().build())
}

/// An S3 client of this process, answered by `connector`.
pub fn connect_s3(connector: SharedHttpClient) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&build_in_process_config(connector));
    let config = config.force_path_style(true);
    aws_sdk_s3::Client::from_conf(disable_s3_checksums_and_signing(config).build())
}

/// Turns off checksums: there is no network to protect against, and with a checksum the SDK sends a
/// file in chunks, which panics without credentials.
fn disable_s3_checksums_and_signing(
    config: aws_sdk_s3::config::Builder,
) -> aws_sdk_s3::config::Builder {
    config
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .allow_no_auth()
}

/// An EventBridge client of this process, answered by `connector`.
pub fn connect_eventbridge(connector: SharedHttpClient) -> aws_sdk_eventbridge::Client {
    let config = aws_sdk_eventbridge::config::Builder::from(&build_in_process_config(connector));
    aws_sdk_eventbridge::Client::from_conf(config.allow_no_auth().build())
}

/// Retries, time-outs, stalled-stream protection and signing are a third of the cost of a call
/// that never leaves the process, and protect against nothing there.
fn build_in_process_config(connector: SharedHttpClient) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url(IN_PROCESS)
        .http_client(connector)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

async fn load_network_config(network: &NetworkConfig) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(network.region.clone()))
        .http_client(build_https_client())
        .timeout_config(build_network_timeouts())
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .load()
        .await
}

/// One pool of connections for all clients.
fn build_https_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https()
}

/// The same client with longer time-outs: a part of a file takes longer than a record.
pub fn with_file_timeouts(client: &aws_sdk_s3::Client) -> aws_sdk_s3::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_mins(1))
        .build();
    let config = client.config().to_builder().timeout_config(timeouts);
    aws_sdk_s3::Client::from_conf(config.build())
}

/// Time-outs of calls over the network. The SDK itself does not limit an operation as a whole.
fn build_network_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(2))
        .operation_timeout(Duration::from_secs(5))
        .build()
}

fn connect_frauddetector_over_network(
    config: &SdkConfig,
    endpoint: Option<&str>,
) -> aws_sdk_frauddetector::Client {
    let config = config_for_endpoint(config, endpoint);
    let mut builder = aws_sdk_frauddetector::config::Builder::from(&config.sdk)
        // The rate limiter has to count each attempt, so it makes the retries itself.
        .retry_config(RetryConfig::disabled());
    if config.anonymous {
        builder = builder.allow_no_auth();
    }
    aws_sdk_frauddetector::Client::from_conf(builder.build())
}

fn connect_dynamodb_over_network(
    config: &SdkConfig,
    endpoint: Option<&str>,
) -> aws_sdk_dynamodb::Client {
    let config = config_for_endpoint(config, endpoint);
    let mut builder = aws_sdk_dynamodb::config::Builder::from(&config.sdk);
    if config.anonymous {
        builder = builder.allow_no_auth();
    }
    aws_sdk_dynamodb::Client::from_conf(builder.build())
}

fn connect_s3_over_network(config: &SdkConfig, endpoint: Option<&str>) -> aws_sdk_s3::Client {
    let config = config_for_endpoint(config, endpoint);
    let mut builder = aws_sdk_s3::config::Builder::from(&config.sdk);
    builder = builder.force_path_style(endpoint.is_some());
    if config.anonymous {
        builder = disable_s3_checksums_and_signing(builder);
    }
    aws_sdk_s3::Client::from_conf(builder.build())
}

fn connect_eventbridge_over_network(
    config: &SdkConfig,
    endpoint: Option<&str>,
) -> aws_sdk_eventbridge::Client {
    let config = config_for_endpoint(config, endpoint);
    let mut builder = aws_sdk_eventbridge::config::Builder::from(&config.sdk);
    if config.anonymous {
        builder = builder.allow_no_auth();
    }
    aws_sdk_eventbridge::Client::from_conf(builder.build())
}

/// Removes the credentials provider if an address is on this machine and the provider finds no
/// credentials: `fraudstream serve` needs no signature, but an emulator of AWS may.
async fn remove_missing_credentials(config: SdkConfig, network: &NetworkConfig) -> SdkConfig {
    let Endpoints {
        frauddetector,
        dynamodb,
        s3,
        eventbridge,
    } = &network.endpoints;
    let mut endpoints = [frauddetector, dynamodb, s3, eventbridge]
        .into_iter()
        .flatten();
    if !endpoints.any(|url| is_loopback(url)) {
        return config;
    }
    let Some(provider) = config.credentials_provider() else {
        return config;
    };
    // A provider may ask the network; no answer in time means that there are no credentials.
    let asked = tokio::time::timeout(CREDENTIALS, provider.provide_credentials()).await;
    if matches!(asked, Ok(Ok(_))) {
        return config;
    }
    let mut builder = config.to_builder();
    builder.set_credentials_provider(None);
    builder.build()
}

/// How long to look for credentials that a client of this machine does not need.
const CREDENTIALS: Duration = Duration::from_secs(1);

/// The settings of one client.
struct EndpointConfig {
    sdk: SdkConfig,
    anonymous: bool,
}

fn config_for_endpoint(config: &SdkConfig, endpoint: Option<&str>) -> EndpointConfig {
    let mut builder = config.to_builder();
    let anonymous = endpoint.is_some_and(is_loopback) && config.credentials_provider().is_none();
    if let Some(url) = endpoint {
        builder.set_endpoint_url(Some(url.to_owned()));
    }
    EndpointConfig {
        sdk: builder.build(),
        anonymous,
    }
}

/// Whether `url` stays on this machine.
fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    uri.host().is_some_and(is_loopback_host)
}

/// Whether `host` is this machine by address or by name.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = host == "localhost" || host.ends_with(".localhost");
    name || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{Request, StatusCode};

    use super::*;
    use crate::service::{self, Service};

    #[tokio::test]
    async fn an_sdk_client_reaches_the_service() {
        let service = Service::new(|request: Request<Bytes>| async move {
            let tables = format!(
                r#"{{"TableNames":["{}"]}}"#,
                service::operation_name(&request)
            );
            service::json_response(StatusCode::OK, "application/x-amz-json-1.0", tables)
        });
        let client = connect_dynamodb(service.http_client());
        let tables = client.list_tables().send().await.unwrap();
        assert_eq!(tables.table_names(), ["ListTables"]);
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let cases = [
            ("http://127.0.0.1:4000", true),
            ("http://localhost:4000/", true),
            ("http://bucket.localhost", true),
            ("http://[::1]:4000", true),
            ("https://dynamodb.us-east-1.amazonaws.com", false),
            ("http://10.0.0.1:4000", false),
            ("http://localhost.example.com", false),
            ("not a url", false),
        ];
        for (url, want) in cases {
            assert_eq!(is_loopback(url), want, "{url}");
        }
    }

    #[tokio::test]
    async fn the_network_has_limits_and_the_process_has_none() {
        let network = Clients::over_network(&NetworkConfig::aws("eu-west-1")).await;
        let config = network.dynamodb.config();
        assert_eq!(config.region().unwrap().as_ref(), "eu-west-1");
        assert_eq!(config.retry_config().unwrap().max_attempts(), 3);
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(timeouts.connect_timeout(), Some(Duration::from_secs(1)));
        assert_eq!(timeouts.operation_timeout(), Some(Duration::from_secs(5)));
        let attempts = network.frauddetector.config().retry_config().unwrap();
        assert_eq!(attempts.max_attempts(), 1);

        let local = connect_dynamodb(build_https_client());
        let config = local.config();
        assert_eq!(config.retry_config().unwrap().max_attempts(), 1);
        assert!(!config.timeout_config().unwrap().has_timeouts());
    }
}
