//! How a command ends when it is asked to: Ctrl-C, SIGTERM or SIGHUP.
//!
//! Commands without a safe point have no handler: the first signal ends them at once. Their state
//! stays consistent, because each of its writes is complete by itself.

use std::future::Future;
use std::io::{self, Write as _};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::oneshot;

/// How long a command may take to reach a safe point.
pub const GRACE: Duration = Duration::from_secs(5);

/// Waits for the first signal to stop. A second signal ends the process at once, and so does the end
/// of `grace`, because a computation or a blocking read does not look at the future.
///
/// # Errors
/// The handlers cannot be set up.
pub fn listen_for_interrupt(
    grace: Duration,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut signals = signals.forever();
            let Some(first) = signals.next() else { return };
            // An error means that nobody waits for the signal any more.
            sender.send(()).ok();
            let late = std::thread::Builder::new().name("grace".to_owned());
            let late = late.spawn(move || {
                std::thread::sleep(grace);
                // A standard error that is closed must not keep the process from ending.
                drop(writeln!(
                    io::stderr(),
                    "fraudstream: not at a safe point {} s after the signal, so the process ends now; what is \
                     done is kept, and the same command does the rest",
                    grace.as_secs()
                ));
                end_process(first);
            });
            if late.is_err() {
                end_process(first);
            }
            if let Some(second) = signals.next() {
                end_process(second);
            }
        })?;
    Ok(async move {
        receiver.await.ok();
    })
}

/// Ends the process with the status that a shell reports for a signal. No exit handlers run, because
/// other threads are still working.
fn end_process(signal: i32) {
    signal_hook::low_level::exit(128 + signal);
}
