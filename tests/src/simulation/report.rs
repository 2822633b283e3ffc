//! What a day came to: what happened, how much of it, and which laws were broken.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::network::Counts;
use super::scenario::Scenario;

/// What a day came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was simulated.
    pub scenario: Scenario,
    /// What is not as it must be; nothing on a good day.
    pub violations: Vec<Violation>,
    /// What happened, line by line.
    pub history: Vec<String>,
    /// How much of everything there was.
    pub counts: Counts,
    /// Every decision in short, by key: to compare two days.
    pub decisions: Vec<String>,
}

impl fmt::Display for Report {
    /// The scenario to replay, what there was, and which laws are broken.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "SEED={}  {}", self.scenario, self.counts)?;
        self.violations
            .iter()
            .try_for_each(|it| writeln!(f, "{it}"))
    }
}

impl Report {
    /// The lines about one order.
    pub fn lines_about(&self, order_id: &str) -> Vec<&str> {
        let lines = self.history.iter().map(String::as_str);
        lines.filter(|line| line.contains(order_id)).collect()
    }
}

/// A law of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// Every order has a decision, or is kept with its reason.
    NothingLost,
    /// An event and its revision have one decision, and it is never written anew.
    DecidedOnce,
    /// A decision is what the rules, the list and the mapping of its time say of the order.
    RightDecision,
    /// Deliveries in another order, twice or late change no decision.
    DeliveryChangesNothing,
    /// The prediction behind a decision is stored, and says the same.
    Snapshot,
    /// Every decision is told at least once, under its own id and as it is.
    Forwarded,
    /// Rank and time decide the label, on every revision and at the service.
    Labels,
    /// A label that came after its decision closes the review; one that was there before does not.
    Reviews,
    /// No event is counted twice; without kills, each is counted.
    Counters,
    /// What was parked did not succeed.
    ParkedInVain,
    /// No value of an order is in the logs.
    NoPersonalData,
    /// A function answers before its time is over.
    AnswersInTime,
    /// All is done some time after it came, and after the services that it needs work.
    Progress,
    /// A checkout was told the decision.
    ToldAsDecided,
}

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// How.
    pub text: String,
}

impl Violation {
    /// A law that was broken, and how.
    pub fn new(law: Law, text: impl Into<String>) -> Self {
        Self {
            law,
            text: text.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.law, self.text)
    }
}

/// What the functions log, to look for personal data in it.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// All of it.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
