//! All services on one loopback port, for the AWS CLI, for boto3, and for a pipeline that runs in
//! another process.
//!
//! The services are told apart by the header `X-Amz-Target`; S3 is the one that has none. `POST /decide` decides the order in
//! its body.
//! With keys, signatures are checked; without keys, only requests of this machine are answered.

mod admission;
mod decide;
mod fault_requests;
mod limits;
mod routes;
mod services;
mod state;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use axum::serve::{Listener as _, ListenerExt as _};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

use crate::fault::Faults;
use crate::signature::SigningKeys;

pub use decide::DecideService;
pub use limits::ClientLimits;
pub use services::Services;

use routes::build_router;

/// Answers 200 once the server listens. S3 owns all other paths.
pub const HEALTH: &str = "/_fraudstream/health";

/// Where tests ask for faults, and take them back.
pub const FAULTS: &str = "/_fraudstream/faults";

/// Bytes that the head of a request may have; also how much of a connection is read ahead.
const LARGEST_HEAD: usize = 64 * 1024;

/// Which requests are answered, which faults tests may ask for, and the limits of clients.
#[derive(Debug, Default)]
pub struct ServeOptions {
    /// The keys that sign requests; without them, every request of this machine is answered.
    pub keys: Option<SigningKeys>,
    /// Faults that tests ask for at [`FAULTS`]; without them there is no such address.
    pub faults: Option<Faults>,
    /// Decides orders that are posted to `/decide`; without it, such a request is told what is missing.
    pub decide: Option<DecideService>,
    /// How many connections, how much time and memory clients may use.
    pub limits: ClientLimits,
}

/// Serves on an address, with port 0 on a free one, until `stop` is ready. Prints on stdout where it
/// listens.
///
/// # Errors
/// The address cannot be used, or other machines reach it and there are no keys.
pub async fn listen_and_serve(
    host: IpAddr,
    port: u16,
    services: Services,
    front: ServeOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    if !host.is_loopback() && front.keys.is_none() {
        return Err(io::Error::other(format!(
            "anyone who reaches {host} could read and write everything: say --credentials, or stay at 127.0.0.1"
        )));
    }
    let listener = TcpListener::bind(SocketAddr::new(host, port)).await?;
    let mut stdout = io::stdout();
    // In one write: whoever waits for the address may close the pipe after its line.
    let start = format!(
        "listening on http://{}\n\
         a program that forks creates its clients after the fork, or closes them before it: see docs/operating.md\n",
        listener.local_addr()?
    );
    stdout.write_all(start.as_bytes())?;
    stdout.flush()?;
    serve_connections(listener, services, front, stop).await
}

/// Answers requests until `stop` is ready, then finishes those that have begun, within
/// [`ClientLimits::finish`].
pub async fn serve_connections(
    listener: TcpListener,
    services: Services,
    front: ServeOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let limits = front.limits.clone();
    let service = TowerToHyperService::new(build_router(services, front));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(LARGEST_HEAD);
    let mut listener = listener.tap_io(|stream| {
        // Small answers are sent at once. An error means that the client has gone.
        stream.set_nodelay(true).ok();
    });
    let ending = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            (stream, _) = listener.accept(), if connections.len() < limits.connections => {
                let mut stream = TimeoutStream::new(stream);
                stream.set_write_timeout(Some(limits.stall));
                let stream = TokioIo::new(Box::pin(stream));
                let connection = http.serve_connection(stream, service.clone());
                connections.spawn(ending.watch(connection));
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(limits.finish, ending.shutdown())
        .await
        .is_err()
    {
        tracing::error!("requests in progress did not end in time and are left unanswered");
    }
    connections.shutdown().await;
    Ok(())
}
