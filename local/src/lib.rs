//! The whole of fraudstream on one machine: the command line, and what stands behind AWS's clients
//! where there is no AWS.
//!
//! [`machine::Machine`] puts the engine, an embedded DynamoDB, a folder as S3 and a file as event
//! bus behind the clients; [`machine::Pipeline`] is the functions over some clients, local or not;
//! [`cli`] has the commands that use them.

pub mod apply;
mod bucket_objects;
pub mod bus;
pub mod cli;
pub mod clients;
mod commands;
pub mod connector;
pub mod dynamodb;
pub mod evaluate;
pub mod fault;
pub mod forget;
mod grid;
pub mod hold;
pub mod home;
pub mod input;
pub mod limits;
pub mod machine;
pub mod replay;
pub mod report;
pub mod run;
pub mod runners;
pub mod s3;
pub mod serve;
pub mod signals;
pub mod signature;
pub mod simulate;
pub mod subject;

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
