//! How many connections, how much time and memory clients may use. A slow or malicious client must
//! not keep the server from others.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Bytes that one request may send. S3's clients send larger objects in parts.
pub const LARGEST: usize = 256 * MIB;
/// Bytes that one request may send before its signature is checked: the largest body of the JSON
/// services is a list of 100,000 elements.
pub const LARGEST_UNVERIFIED: usize = 64 * MIB;

const MIB: usize = 1024 * 1024;

/// The limits; the defaults are for a server that other machines reach.
#[derive(Clone, Debug)]
pub struct ClientLimits {
    /// Connections at a time. Further ones wait until one of these ends.
    pub connections: usize,
    /// Time for the head of a request, counted from the end of the one before.
    pub head: Duration,
    /// Longest time in which a client neither sends a byte of its body nor takes one of its response.
    pub stall: Duration,
    /// Bytes a second that have to arrive on average, once `stall` has passed.
    pub rate: u64,
    /// Bytes of bodies that may be in memory at a time while their signature is not checked yet.
    pub unverified: usize,
    /// Time for the requests in progress when the server is told to stop.
    pub finish: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            rate: 32 * 1024,
            unverified: 128 * MIB,
            finish: Duration::from_secs(10),
        }
    }
}

/// Why a body was not read completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BodyError {
    /// It has more bytes than one request may send.
    #[error("A request of this kind may have at most {} MiB.", .0 / MIB)]
    TooLarge(usize),
    /// It stopped, or arrives too slowly.
    #[error("The body of the request did not come in time.")]
    Slow,
    /// The memory for unverified bodies is used up.
    #[error("Too much is being sent whose signature is not checked yet. Send the request again.")]
    NoRoom,
    /// The client ended it too early.
    #[error("The request is cut short.")]
    CutShort,
}

/// Reads the bodies of requests, within the limits.
#[derive(Debug)]
pub struct BodyReader {
    stall: Duration,
    rate: u64,
    room: Arc<Semaphore>,
}

impl BodyReader {
    /// A reader; all memory for unverified bodies is free.
    pub fn new(limits: &ClientLimits) -> Self {
        Self {
            stall: limits.stall,
            rate: limits.rate.max(1),
            room: Arc::new(Semaphore::new(limits.unverified)),
        }
    }

    /// Reads a body of at most `most` bytes that may be kept.
    ///
    /// # Errors
    /// [`BodyError`]; the rest of the body is not read.
    pub async fn read(&self, body: Body, most: usize) -> Result<Bytes, BodyError> {
        self.read_with(body, most, |_| Ok(())).await
    }

    /// Reads a body of at most `most` bytes that the signature is checked with. Keep the permit until then: it stands for the
    /// memory.
    ///
    /// # Errors
    /// [`BodyError`]; the rest of the body is not read.
    pub async fn read_unverified(
        &self,
        body: Body,
        most: usize,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), BodyError> {
        let mut taken: Option<OwnedSemaphorePermit> = None;
        let take = |bytes: usize| {
            let count = u32::try_from(bytes).map_err(|_| BodyError::NoRoom)?;
            let more = Arc::clone(&self.room).try_acquire_many_owned(count);
            let more = more.map_err(|_| BodyError::NoRoom)?;
            match &mut taken {
                Some(taken) => taken.merge(more),
                None => taken = Some(more),
            }
            Ok(())
        };
        let body = self.read_with(body, most, take).await?;
        Ok((body, taken))
    }

    /// Reads a body of at most `most` bytes; `take` reserves the memory of each piece.
    async fn read_with(
        &self,
        mut body: Body,
        most: usize,
        mut take: impl FnMut(usize) -> Result<(), BodyError>,
    ) -> Result<Bytes, BodyError> {
        if body.size_hint().lower() > most as u64 {
            return Err(BodyError::TooLarge(most));
        }
        let start = Instant::now();
        let mut whole = BytesMut::new();
        loop {
            let earned = Duration::from_secs(whole.len() as u64 / self.rate);
            let in_time = (start + self.stall + earned).min(Instant::now() + self.stall);
            let frame = timeout_at(in_time, body.frame()).await;
            let Some(frame) = frame.map_err(|_| BodyError::Slow)? else {
                return Ok(whole.freeze());
            };
            // Frames without data are trailers.
            if let Ok(data) = frame.map_err(|_| BodyError::CutShort)?.into_data() {
                if whole.len() + data.len() > most {
                    return Err(BodyError::TooLarge(most));
                }
                take(data.len())?;
                whole.extend_from_slice(&data);
            }
        }
    }
}
