//! Logs and metrics that carry no personal data.
//!
//! Foreign crates are held at `warn` whatever `RUST_LOG` says: the Lambda runtime and the SDK print
//! whole bodies at `trace`.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The crates whose events hold no value of an order at any level.
const OURS: &[&str] = &["shared", "predict", "ingest", "label", "forward", "engine", "rules", "event", "fraudstream"];

/// The metrics of one function, in CloudWatch's embedded metric format on standard output.
pub struct Metrics(&'static metrics_cloudwatch_embedded::Collector);

impl Metrics {
    /// Installs the collector; once a process.
    ///
    /// # Errors
    /// A sentence where the process has a collector already.
    pub fn install() -> Result<Self, String> {
        metrics_cloudwatch_embedded::Builder::new()
            .cloudwatch_namespace("fraudstream")
            .init()
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Writes what was counted since the last time; at the end of an invocation.
    pub fn flush(&self) {
        if self.0.flush(std::io::stdout()).is_err() {
            tracing::warn!("metrics could not be written");
        }
    }
}

/// Starts logging as JSON lines; `directives` is the value of `RUST_LOG`.
pub fn init_logs(directives: &str) {
    let wanted = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stdout);
    let layer = lines.with_filter(wanted.and(filter_fn(may_be_logged)));
    // A second call finds a subscriber in place, which is what tests of `main` want.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

/// Whether an event of this target and level may be logged at all.
pub fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    OURS.contains(&krate) || *metadata.level() <= Level::WARN
}
