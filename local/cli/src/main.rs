//! The command `fraudstream`.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use fraudstream::cli::Cli;
use fraudstream::exit_status::{OutputClosed, find_exit_status};
use tokio::runtime::Runtime;

/// Deciding an order allocates some thousand times, mostly in serialization: the system's allocator takes
/// almost a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    fraudstream::start_logging(&std::env::var("RUST_LOG").unwrap_or_else(|_| "error".to_owned()));
    let cli = Cli::parse();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return print_failure(&error),
    };
    let result = runtime.block_on(cli.run());
    // What still computes, such as a training that was interrupted, has no result to wait for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => print_failure(error.as_ref()),
    }
}

/// Prints why the command failed, and returns its exit status.
fn print_failure(error: &(dyn Error + 'static)) -> ExitCode {
    if !error.is::<OutputClosed>() {
        // A standard error that is closed is nothing that can be reported.
        drop(writeln!(io::stderr(), "fraudstream: {error}"));
    }
    ExitCode::from(find_exit_status(error))
}
