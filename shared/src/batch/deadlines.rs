//! When an invocation and the parts of its work must end.

use std::time::Duration;

use event::Timestamp;
use tokio::time::Instant;

/// When an invocation happens: time comes in as a value.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// The end of the invocation; `None` means unknown.
    pub deadline: Option<Instant>,
}

impl Moment {
    /// Reads a deadline as Lambda gives it, in milliseconds since 1970.
    ///
    /// A deadline that is long past is unknown: `cargo lambda watch` sends one in 1970.
    pub fn new(now: jiff::Timestamp, deadline_ms: u64) -> Self {
        let left = i64::try_from(deadline_ms)
            .ok()
            .and_then(|end| u64::try_from(end - now.as_millisecond()).ok());
        Self {
            // A clock before 1970 or after 9999 cannot be; the epoch is as good as any other time then.
            now: Timestamp::from_jiff(now).unwrap_or(Timestamp::MIN),
            deadline: left.map(|left| Instant::now() + Duration::from_millis(left)),
        }
    }

    /// Half of the time there is, from now on.
    pub fn half_way(&self) -> Option<Instant> {
        let now = Instant::now();
        self.deadline
            .map(|deadline| now + deadline.saturating_duration_since(now) / 2)
    }
}

/// When the parts of a batch must end. Without a deadline there is no end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    /// Of preparing records: half of the time there is to process them.
    pub(super) prepare: Option<Instant>,
    /// Of processing records.
    pub process: Option<Instant>,
    /// Of finishing what was processed.
    pub(super) finish: Option<Instant>,
    /// Of parking what was rejected; what is left is for the answer.
    pub(super) park: Option<Instant>,
}

impl Ends {
    /// Divides the margin before the deadline: half to finish, three eighths to park, an eighth to answer.
    pub(super) fn new(deadline: Option<Instant>, margin: Duration) -> Self {
        let Some(deadline) = deadline else {
            return Self::default();
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let margin = margin.min(left / 2);
        let before = |part: Duration| deadline.checked_sub(part);
        Self {
            prepare: before(margin + left.saturating_sub(margin) / 2),
            process: before(margin),
            finish: before(margin / 2),
            park: before(margin / 8),
        }
    }
}

/// Runs a future until `end`; `None` where it was cut off there.
pub async fn until<T>(end: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match end {
        None => Some(future.await),
        Some(end) => tokio::time::timeout_at(end, future).await.ok(),
    }
}
