//! What was forgotten, and what remains.

use std::fmt;

use serde::Serialize;

use crate::hold::HoldReason;

/// What was forgotten, or with `dry_run` would be.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct ForgetReport {
    /// Whether nothing was deleted.
    pub dry_run: bool,
    /// Stored events.
    pub events: usize,
    /// Predictions with their explanations.
    pub predictions: usize,
    /// Labels of events, of decisions, and those that wait for their event.
    pub labels: usize,
    /// Decisions.
    pub decisions: usize,
    /// Verdicts of people on decisions.
    pub verdicts: usize,
    /// Elements of lists.
    pub list_entries: usize,
    /// Deleted objects under `rejected/`, `replayed/` and `aws/lambda/`, which were about nobody else.
    pub rejected_objects: usize,
    /// Rewritten objects under `aws/lambda/`: they have others' records, too, which are kept.
    pub rewritten_objects: usize,
    /// Lines of `outcomes.jsonl`.
    pub outcomes: usize,
    /// Orders that are held for now, and why.
    pub held: Vec<HeldOrder>,
    /// What the command cannot reach.
    pub remains: Vec<String>,
}

/// An order that is held for now. Kept are its decision without the person's values, hashes of these,
/// and the person's elements of lists that block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldOrder {
    /// Event type.
    pub event_type: String,
    /// Event id.
    pub event_id: String,
    /// Why.
    pub reason: HoldReason,
    /// Until when, ISO 8601 UTC. After that it can be forgotten.
    pub until: String,
    #[serde(skip)]
    pub(super) expires_at: i64,
}

impl fmt::Display for ForgetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run {
            "would be forgotten"
        } else {
            "forgotten"
        };
        writeln!(f, "{verb}:")?;
        for (count, what) in [
            (self.events, "events"),
            (self.predictions, "predictions"),
            (self.labels, "labels"),
            (self.decisions, "decisions"),
            (self.verdicts, "verdicts"),
            (self.list_entries, "list entries"),
            (self.rejected_objects, "rejected objects"),
            (self.rewritten_objects, "objects of others' records, too"),
            (self.outcomes, "lines of outcomes"),
        ] {
            writeln!(f, "  {count:>6} {what}")?;
        }
        if !self.held.is_empty() {
            writeln!(f, "held, without the person's values:")?;
        }
        for held in &self.held {
            let (reason, until) = (held.reason, &held.until);
            writeln!(f, "  {} until {until}: {reason}", held.event_id)?;
        }
        writeln!(f, "remains:")?;
        self.remains
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// What no command of ours can delete.
pub(super) fn list_remains(is_remote: bool, is_engine: bool) -> Vec<String> {
    let mut remains = vec![
        "what was put on streams, queues and the event bus before, and whatever its readers kept",
        "back-ups: point-in-time recovery of the tables, versions of objects, copies of the folder",
        "input and output files of batch jobs, and files that `fraudstream run` read",
        "models that were trained with the events",
        "a hash of the id, so that replay and import refuse it",
    ];
    if is_remote {
        remains.push(DEAD_LETTERS);
    }
    if !is_engine {
        remains.push("list entries and events at Amazon that no decision of ours names");
    }
    remains.into_iter().map(str::to_owned).collect()
}

/// The commands have no client for queues, so a person has to look into them.
const DEAD_LETTERS: &str = "messages in the dead-letter queues STACK-orders-dead, STACK-orders-dead.fifo, \
STACK-history-dead and STACK-chargebacks-dead; read each with `aws sqs receive-message --queue-url \
$(aws sqs get-queue-url --queue-name STACK-orders-dead --query QueueUrl --output text) \
--max-number-of-messages 10`, and delete the subject's with `aws sqs delete-message` and the ReceiptHandle";
