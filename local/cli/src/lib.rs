//! The command line of fraudstream.
//!
//! The crate `local_aws` puts the engine, an embedded DynamoDB, a folder as S3 and a file as event
//! bus behind AWS's clients; [`cli`] has the commands over them, or over AWS itself.

pub mod apply;
pub mod backtest;
mod bucket_objects;
mod change_log;
pub mod check;
pub mod cli;
mod cloudformation;
mod commands;
pub mod demo_report;
pub mod detector_rules;
pub mod doctor;
pub mod exit_status;
pub mod file_run;
pub mod first_refusals;
pub mod forget;
pub mod hold;
pub mod init;
pub mod input;
mod label_kinds;
mod printable;
pub mod probe;
mod progress_bar;
pub mod rebuild;
mod rehearsal;
pub mod replay;
mod run_records;
pub mod run_summary;
pub mod runners;
pub mod signals;
pub mod subject;
mod webhook_replay;

/// Starts logging to standard error; `directives` is the value of `RUST_LOG`.
pub fn start_logging(directives: &str) {
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
