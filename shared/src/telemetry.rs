//! Logs and metrics without personal data.
//!
//! Crates from elsewhere log warnings and errors only, whatever `RUST_LOG` says: the Lambda runtime and the SDK print whole
//! bodies at `trace`.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::dependency_latency::record_times;

/// The crates that log no value of an order at any level.
const OURS: &[&str] = &[
    "shared",
    "mapping",
    "predict",
    "ingest",
    "label",
    "forward",
    "engine",
    "store",
    "protocol",
    "local_aws",
    "rules",
    "event",
    "fraudstream",
];

/// The metrics of one function, in CloudWatch's embedded metric format on standard output.
pub struct Metrics(&'static metrics_cloudwatch_embedded::Collector);

impl Metrics {
    /// Installs the collector of metrics; once per process, when an environment of `function` starts.
    ///
    /// # Errors
    /// A sentence, if the process has a collector already.
    pub fn install(function: &'static str) -> Result<Self, String> {
        let collector = metrics_cloudwatch_embedded::Builder::new()
            .cloudwatch_namespace("fraudstream")
            .init()
            .map_err(|error| error.to_string())?;
        metrics::counter!("ColdStarts", "function" => function).increment(1);
        Ok(Self(collector))
    }

    /// Writes what was counted since the last call; called at the end of every invocation.
    pub fn flush(&self) {
        record_times();
        if self.0.flush(std::io::stdout()).is_err() {
            tracing::warn!("metrics could not be written");
        }
    }
}

/// Starts logging as JSON lines; `directives` is the value of `RUST_LOG`.
///
/// The text of a panic may quote a value, so only its location is logged.
pub fn init_logs(directives: &str) {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
    let wanted = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stdout);
    let layer = lines.with_filter(wanted.and(filter_fn(may_be_logged)));
    // Fails if a subscriber is installed already, which tests of `main` rely on.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

/// Whether an event of this target and level may be logged at all.
pub fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    OURS.contains(&krate) || *metadata.level() <= Level::WARN
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Buffer {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn foreign_crates_are_held_at_warn_whatever_is_wanted() {
        let buffer = Buffer::default();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(buffer.clone())
            .with_ansi(false);
        let layer = lines.with_filter(EnvFilter::new("trace").and(filter_fn(may_be_logged)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::trace!(target: "shared::batch", "ours");
            tracing::trace!(target: "aws_smithy_runtime::client", "a whole body");
            tracing::info!(target: "lambda_runtime::layers", "a whole event");
            tracing::warn!(target: "hyper", "a warning");
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        assert!(
            text.contains("ours") && text.contains("a warning"),
            "{text}"
        );
        assert!(!text.contains("a whole"), "{text}");
    }
}
