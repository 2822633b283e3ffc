//! The command line of fraudstream.
//!
//! The crate `local_aws` puts the engine, an embedded DynamoDB, a folder as S3 and a file as event
//! bus behind AWS's clients; [`cli`] has the commands over them, or over AWS itself.

pub mod apply;
pub mod cli;
pub mod demo;
pub mod evaluate;
pub mod explain;
pub mod forget;
pub mod hold;
pub mod import_model;
pub mod input;
pub mod jobs;
pub mod list;
pub mod replay;
pub mod report;
pub mod run;
pub mod show;
pub mod signals;
mod spelling;
pub mod subject;
pub mod train;

// What has become a crate of its own, under its former path.
pub(crate) use evaluation::text_table as grid;
pub(crate) use local_aws::{clients, dynamodb, home, local_stack as machine, serve, signature};
pub(crate) use simulator as simulate;

/// Starts logging to standard error; `directives` is the value of `RUST_LOG`.
pub fn logs(directives: &str) {
    use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
    use tracing_subscriber::util::SubscriberInitExt as _;
    let wanted = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("error"));
    let lines = tracing_subscriber::fmt::layer()
        .compact()
        .with_writer(std::io::stderr);
    let layer = lines.with_filter(wanted.and(filter_fn(shared::telemetry::may_be_logged)));
    // A second call finds a subscriber in place.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}
