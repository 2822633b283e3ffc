//! The command `fraudstream`.

use std::process::ExitCode;

use clap::Parser as _;
use fraudstream::cli::Cli;

/// Deciding an order allocates some thousand times, mostly in serialization: the system's allocator takes
/// almost a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    fraudstream::logs(&std::env::var("RUST_LOG").unwrap_or_else(|_| "error".to_owned()));
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fraudstream: {error}");
            ExitCode::FAILURE
        }
    }
}
