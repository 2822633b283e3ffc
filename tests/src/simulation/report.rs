//! The report of a simulated day: its history, its counts, and the properties that it violates.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::network::Counts;
use super::scenario::Scenario;

/// The report of a simulated day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was simulated.
    pub scenario: Scenario,
    /// The violated properties; empty on a good day.
    pub violations: Vec<Violation>,
    /// The history, line by line.
    pub history: Vec<String>,
    /// The counts.
    pub counts: Counts,
    /// A summary of every decision, by key, to compare two days.
    pub decisions: Vec<String>,
}

impl fmt::Display for Report {
    /// The scenario to repeat, the counts, and the violated properties.
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

/// A property of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// Every order has a decision, or is rejected and kept with its reason.
    NothingLost,
    /// An event with its revision has one decision, which is never written again.
    DecidedOnce,
    /// A decision is what the rules, the list and the mapping at that time give for the order.
    RightDecision,
    /// Deliveries in another order, twice or late do not change a decision.
    DeliveryChangesNothing,
    /// The prediction of a decision is stored and has the same results.
    Snapshot,
    /// The stored prediction of a decision, judged again by the rules, gives the same rules and outcomes.
    JudgedAgain,
    /// An order that is decided is counted once in the profile of each of its keys, with its label.
    CountedOnce,
    /// A decision saw a state of each profile in which its own order is counted.
    FreshProfiles,
    /// Every decision is published at least once, under its own id and unchanged.
    Forwarded,
    /// Rank and time decide the label, on every revision and in the service.
    Labels,
    /// A label that arrives after the decision closes the review; one that was there before does not.
    Reviews,
    /// No event is counted twice; without kills, each is counted.
    Counters,
    /// A record that was parked has not succeeded.
    ParkedInVain,
    /// No value of an order is in the logs.
    NoPersonalData,
    /// A function answers before its time-out.
    AnswersInTime,
    /// Everything is done within a limited time after it arrived and the services that it needs work.
    Progress,
    /// A checkout was given the stored decision.
    ToldAsDecided,
}

/// A violation of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property.
    pub law: Law,
    /// What is wrong.
    pub text: String,
}

impl Violation {
    /// A violation of this property.
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

/// The logs of the functions, to be searched for personal data.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The whole text.
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
