//! Load on `fraudstream serve`, for `make bench`: one operation over connections that stay open.
//!
//! ```text
//! load 127.0.0.1:4567 GetEvent '{"eventId":"e-{n}","eventTypeName":"order"}' --count 10000
//! ```
//!
//! `{n}` in the body is the number of the request, or with `--ids N` a number below N that looks
//! random. Without `--rate` each connection asks as soon as it was answered; with it requests are
//! due at fixed times, and the time of one counts from when it was due. Prints one JSON line.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

#[derive(Debug, Parser)]
struct Options {
    /// Host and port.
    address: String,
    /// Operation of Fraud Detector.
    operation: String,
    /// Body of each request.
    body: String,
    /// Requests in all.
    #[arg(long, default_value_t = 10_000)]
    count: u64,
    /// Number of the first.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Take numbers below this instead of counting.
    #[arg(long)]
    ids: Option<u64>,
    /// Connections.
    #[arg(long, default_value_t = 16)]
    connections: u64,
    /// Requests a second.
    #[arg(long)]
    rate: Option<u32>,
}

impl Options {
    fn request(&self, number: u64) -> String {
        let number = match self.ids {
            // The golden ratio's multiples are spread evenly.
            Some(ids) => number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % ids.max(1),
            None => self.first + number,
        };
        let body = self.body.replace("{n}", &number.to_string());
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\n\
             X-Amz-Target: AWSHawksNestServiceFacade.{}\r\nContent-Length: {}\r\n\r\n{body}",
            self.operation,
            body.len(),
        )
    }

    /// When a request is due.
    fn due(&self, start: Instant, number: u64) -> Option<Instant> {
        let gap = Duration::from_secs(1) / self.rate?;
        Some(start + gap * u32::try_from(number).ok()?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Arc::new(Options::parse());
    let numbers = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..options.connections {
        let (options, numbers) = (Arc::clone(&options), Arc::clone(&numbers));
        connections.spawn(async move { connection(&options, &numbers, start).await });
    }
    let (mut times, mut refused) = (Vec::new(), 0);
    for done in connections.join_all().await {
        let (more, failed) = done?;
        times.extend(more);
        refused += failed;
    }
    let seconds = start.elapsed().as_secs_f64();
    times.sort();
    let at = |share: usize| {
        let place = times.len() * share / 1000;
        let time = times.get(place.min(times.len().saturating_sub(1)));
        time.map_or(0, Duration::as_micros)
    };
    println!(
        "{}",
        serde_json::json!({
            "operation": options.operation, "requests": times.len(), "refused": refused,
            "per_s": (f64::from(u32::try_from(times.len())?) / seconds).round(),
            "p50_us": at(500), "p99_us": at(990), "p999_us": at(999),
        })
    );
    Ok(())
}

/// Asks over one connection until all numbers are used up: the times, and how many were refused.
async fn connection(
    options: &Options,
    numbers: &AtomicU64,
    start: Instant,
) -> io::Result<(Vec<Duration>, u64)> {
    let stream = TcpStream::connect(&options.address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut times, mut refused, mut body) = (Vec::new(), 0, Vec::new());
    loop {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        if number >= options.count {
            return Ok((times, refused));
        }
        let request = options.request(number);
        let due = options.due(start, number);
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let asked = due.unwrap_or_else(Instant::now);
        stream.write_all(request.as_bytes()).await?;
        if !answered(&mut stream, &mut body).await? {
            refused += 1;
            if refused == 1 {
                eprintln!("{}", String::from_utf8_lossy(&body));
            }
        }
        times.push(asked.elapsed());
    }
}

/// Reads one response; says whether it has status 200.
async fn answered(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<bool> {
    let (mut line, mut length, mut ok) = (String::new(), 0, None);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        ok = ok.or(Some(line.contains(" 200 ")));
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    body.resize(length, 0);
    stream.read_exact(body).await?;
    Ok(ok == Some(true))
}
