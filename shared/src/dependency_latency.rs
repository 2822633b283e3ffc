//! How long calls of AWS take, by dependency, as a metric.
//!
//! Each attempt is measured where it leaves the process, so that retries of the SDK count by themselves. Between two flushes
//! at most [`MOST`] values of a dependency are kept, the last ones: that is what one line of the embedded metric format takes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::config_bag::ConfigBag;

/// The most values of a dependency that are kept.
const MOST: usize = 100;

/// The times of a dependency since the last flush, in milliseconds.
#[derive(Debug, Default)]
struct CallTimes {
    count: usize,
    values: Vec<f64>,
}

/// Of this process, as the metrics are.
static TIMES: Mutex<BTreeMap<&'static str, CallTimes>> = Mutex::new(BTreeMap::new());

/// The same client, which notes how long each attempt takes.
pub(crate) fn measure_calls(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(MeasuredClient(client))
}

fn note_call(dependency: &'static str, took: Duration) {
    let mut all = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
    let times = all.entry(dependency).or_default();
    let ms = took.as_secs_f64() * 1_000.0;
    match times.values.get_mut(times.count % MOST) {
        Some(oldest) if times.count >= MOST => *oldest = ms,
        _ => times.values.push(ms),
    }
    times.count += 1;
}

/// Gives what was noted to the metrics.
pub(crate) fn record_times() {
    let all = std::mem::take(&mut *TIMES.lock().unwrap_or_else(PoisonError::into_inner));
    for (dependency, times) in all {
        let histogram = metrics::histogram!("DependencyMilliseconds", "dependency" => dependency);
        times.values.iter().for_each(|ms| histogram.record(*ms));
    }
}

/// The dependency that a host belongs to: a few names, so that the metric has few dimensions.
fn name_dependency(host: &str) -> &'static str {
    let names = [
        ("dynamodb", "DynamoDB"),
        // Endpoints with the account's number.
        ("ddb", "DynamoDB"),
        ("s3", "S3"),
        ("events", "EventBridge"),
        ("frauddetector", "FraudDetector"),
        ("sagemaker", "SageMaker"),
        ("sqs", "SQS"),
    ];
    // The name of the service comes before region and domain; what is before it may be anything, such as a bucket.
    let mut labels = host.split('.').rev();
    let found = labels.find_map(|label| names.iter().find(|(name, _)| *name == label));
    found.map_or("other", |(_, dependency)| dependency)
}

#[derive(Debug)]
struct MeasuredClient(SharedHttpClient);

impl HttpClient for MeasuredClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(MeasuredConnector(
            self.0.http_connector(settings, components),
        ))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

#[derive(Debug)]
struct MeasuredConnector(SharedHttpConnector);

impl HttpConnector for MeasuredConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let host = request.uri().split("://").nth(1).unwrap_or_default();
        let host = host.split(['/', ':', '?']).next().unwrap_or_default();
        let timer = CallTimer {
            dependency: name_dependency(host),
            start: Instant::now(),
        };
        let call = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer = call.await;
            drop(timer);
            answer
        })
    }
}

/// Notes the time when it is dropped: also of a call that is given up, because it takes too long.
struct CallTimer {
    dependency: &'static str,
    start: Instant,
}

impl Drop for CallTimer {
    fn drop(&mut self) {
        note_call(self.dependency, self.start.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_few_names() {
        let cases = [
            ("dynamodb.eu-west-1.amazonaws.com", "DynamoDB"),
            ("123456789012.ddb.eu-west-1.amazonaws.com", "DynamoDB"),
            ("events.s3.eu-west-1.amazonaws.com", "S3"),
            ("sqs.s3.eu-west-1.amazonaws.com", "S3"),
            ("events.eu-west-1.amazonaws.com", "EventBridge"),
            ("frauddetector.us-east-1.amazonaws.com", "FraudDetector"),
            ("runtime.sagemaker.us-east-1.amazonaws.com", "SageMaker"),
            ("sqs.cn-north-1.amazonaws.com.cn", "SQS"),
            ("127.0.0.1", "other"),
        ];
        for (host, want) in cases {
            assert_eq!(name_dependency(host), want, "{host}");
        }
    }

    #[test]
    fn the_last_hundred_times_are_kept() {
        for ms in 0..250 {
            note_call("a test", Duration::from_millis(ms));
        }
        let mut all = TIMES.lock().unwrap();
        let times = all.remove("a test").unwrap();
        let mut values = times.values;
        values.sort_by(f64::total_cmp);
        assert_eq!(values.len(), 100);
        assert!((values[0] - 150.0).abs() < 1e-9 && (values[99] - 249.0).abs() < 1e-9);
    }
}
