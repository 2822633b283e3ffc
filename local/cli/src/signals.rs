//! How a command ends when it is asked to: Ctrl-C, SIGTERM or SIGHUP.
//!
//! Commands without a safe point have no handler: the first signal ends them at once. Their state
//! stays whole, because each of its writes stands for itself.

use std::future::Future;
use std::io;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::oneshot;

/// Time to reach a safe point.
pub const GRACE: Duration = Duration::from_secs(5);

/// The first request to stop. The process ends at once with the second one, and also where it is
/// still there when `grace` is over: a computation, or a read that waits, looks at no future.
///
/// # Errors
/// The handlers cannot be set up.
pub fn interrupted(grace: Duration) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut signals = signals.forever();
            let Some(first) = signals.next() else { return };
            // An error says that nobody waits any more.
            sender.send(()).ok();
            let late = std::thread::Builder::new().name("grace".to_owned());
            let late = late.spawn(move || {
                std::thread::sleep(grace);
                eprintln!(
                    "fraudstream: not at a safe point {} s after the signal, so the process ends now; what is \
                     done is kept, and the same command does the rest",
                    grace.as_secs()
                );
                end(first);
            });
            if late.is_err() {
                end(first);
            }
            if let Some(second) = signals.next() {
                end(second);
            }
        })?;
    Ok(async move {
        receiver.await.ok();
    })
}

/// Ends the process with the status that a shell gives for a signal. Nothing is run at exit: other
/// threads are still at work.
fn end(signal: i32) {
    signal_hook::low_level::exit(128 + signal);
}
