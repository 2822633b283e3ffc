//! When an invocation, and each phase of a batch, must end.

use std::time::Duration;

use event::Timestamp;
use tokio::time::Instant;

/// What an invocation knows of time. Handlers read no clock: they get the time as a value.
#[derive(Clone, Copy, Debug)]
pub struct InvocationContext {
    /// When the invocation began.
    pub now: Timestamp,
    /// When Lambda ends the invocation; `None` if unknown.
    pub deadline: Option<Instant>,
}

impl InvocationContext {
    /// Takes the deadline as Lambda gives it, in milliseconds since 1970.
    ///
    /// A deadline in the past counts as unknown: `cargo lambda watch` sends one in 1970.
    pub fn new(now: jiff::Timestamp, deadline_ms: u64) -> Self {
        let left = i64::try_from(deadline_ms)
            .ok()
            .and_then(|end| u64::try_from(end - now.as_millisecond()).ok());
        Self {
            // A clock outside 1970 to 9999 is broken; any valid time will do then.
            now: Timestamp::from_jiff(now).unwrap_or(Timestamp::MIN),
            deadline: left.map(|left| Instant::now() + Duration::from_millis(left)),
        }
    }

    /// The same, with a deadline at most `time` from now.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        let end = Instant::now() + time;
        self.deadline = Some(self.deadline.map_or(end, |deadline| deadline.min(end)));
        self
    }

    /// The middle between now and the deadline.
    pub fn half_time(&self) -> Option<Instant> {
        let now = Instant::now();
        self.deadline
            .map(|deadline| now + deadline.saturating_duration_since(now) / 2)
    }
}

/// When each phase of a batch must end; `None` means no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct PhaseDeadlines {
    /// End of preparing records: half of the time until processing must end.
    pub(super) prepare: Option<Instant>,
    /// End of processing records.
    pub process: Option<Instant>,
    /// End of finishing what was processed.
    pub(super) finish: Option<Instant>,
    /// End of parking rejected records; the rest of the time is for the response.
    pub(super) park: Option<Instant>,
}

impl PhaseDeadlines {
    /// Divides the margin before the deadline: one half for finishing, three eighths for parking, one eighth for the
    /// response.
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

impl PhaseDeadlines {
    /// When the writes of a chunk that is settled now must end: in the middle of what is left for settling once the
    /// time for processing is over. The rest is for what follows the writes.
    pub fn end_of_writes(&self) -> Option<Instant> {
        let (process, finish) = (self.process?, self.finish?);
        let from = process.max(Instant::now());
        Some(from + finish.saturating_duration_since(from) / 2)
    }
}

/// Runs a future until `end`; `None` if it was not done by then.
pub async fn run_until<T>(end: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match end {
        None => Some(future.await),
        Some(end) => tokio::time::timeout_at(end, future).await.ok(),
    }
}
