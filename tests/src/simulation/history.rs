//! The history of a day: readable lines with their times.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When every simulated day starts: 2026-06-01T00:00:00Z, in milliseconds since 1970.
pub const MIDNIGHT_MS: u64 = 1_780_272_000_000;

/// The clock of the simulation. It uses tokio's time, which advances only when nothing else can happen.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// The clock of a day that starts now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Milliseconds since midnight.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A time of the day as an instant of tokio.
    pub fn instant(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// A time of the day as shown by a clock that is off by `skew_ms` milliseconds.
    ///
    /// # Panics
    /// If it is not a valid time.
    pub fn timestamp(self, ms: u64, skew_ms: i64) -> jiff::Timestamp {
        time_of_day(i64::try_from(ms).unwrap() + skew_ms)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// The time `ms` milliseconds after midnight, or before it if negative.
///
/// # Panics
/// If it is not a valid time.
pub fn time_of_day(ms: i64) -> jiff::Timestamp {
    let midnight = i64::try_from(MIDNIGHT_MS).unwrap();
    jiff::Timestamp::from_millisecond(midnight + ms).unwrap()
}

/// A time of the day, printed as `hh:mm:ss.mmm`.
pub struct TimeOfDay(pub u64);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1000, self.0 % 1000);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02}.{ms:03}", seconds % 60)
    }
}

/// The lines of one simulated day, shared by all its parts.
#[derive(Clone, Debug)]
pub struct History {
    clock: Clock,
    lines: Arc<Mutex<Vec<String>>>,
}

impl History {
    /// An empty history.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            lines: Arc::default(),
        }
    }

    /// Adds a line with the current time: who did what.
    pub fn add(&self, who: &str, what: impl fmt::Display) {
        let line = format!("{}  {who:<12} {what}", TimeOfDay(self.clock.now()));
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    /// All lines.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
