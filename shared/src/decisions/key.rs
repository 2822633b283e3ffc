//! Keys of the table of decisions and of its indexes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use event::hash::short_hash;
use event::{EventId, EventTypeName, Revision};

use crate::items::Item;

/// How many index keys the cases of a queue are spread over.
pub const REVIEW_SHARDS: u32 = 8;
/// The queue of appeals; the others are named as outcomes, which have no capital letter.
pub const APPEALS: &str = "Appeals";

/// Prefix of the sort key of a decision; the key of the revision follows.
pub(super) const DECISION: &str = "decision#";

/// Prefix of the sort key of a verdict; the key of the revision and the number of the verdict follow.
pub(crate) const VERDICT: &str = "verdict#";

/// The primary key of an item in the table of decisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemKey {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl ItemKey {
    /// The key of the decision on one revision of an event.
    pub fn new(event_type: &EventTypeName, event_id: &EventId, revision: Revision) -> Self {
        Self {
            pk: format!("{event_type}#{event_id}"),
            sk: format!("{DECISION}{}", revision.key()),
        }
    }

    /// The key of the label history of an event.
    pub fn labels(event_type: &EventTypeName, event_id: &EventId) -> Self {
        Self {
            pk: format!("{}{event_id}", label_prefix(event_type)),
            sk: "labels".to_owned(),
        }
    }

    /// The key of the labels that wait for an event, as releases before label histories wrote them.
    pub fn waiting_labels(event_type: &EventTypeName, event_id: &EventId) -> Self {
        Self {
            pk: format!("waiting#{event_type}#{event_id}"),
            sk: "labels".to_owned(),
        }
    }

    /// The key of a verdict on the decision with this key; the first verdict has number 1.
    #[must_use]
    pub fn verdict(&self, number: u32) -> Self {
        let revision = self.sk.strip_prefix(DECISION).unwrap_or(&self.sk);
        Self {
            pk: self.pk.clone(),
            sk: format!("{VERDICT}{revision}#{number:06}"),
        }
    }

    /// The key with this partition key and sort key.
    pub fn from_parts(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self {
            pk: pk.into(),
            sk: sk.into(),
        }
    }

    /// The key of an item.
    pub(crate) fn read(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        Some(Self {
            pk: text("pk")?,
            sk: text("sk")?,
        })
    }

    /// The partition key.
    pub fn pk(&self) -> &str {
        &self.pk
    }

    /// The sort key.
    pub fn sk(&self) -> &str {
        &self.sk
    }

    /// The key as attributes of DynamoDB.
    pub fn attributes(&self) -> Item {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

/// What the partition keys of all label histories of an event type begin with.
pub(super) fn label_prefix(event_type: &EventTypeName) -> String {
    format!("labels#{event_type}#")
}

/// The key of an entity in index `gsi1`.
pub fn entity_key(entity_type: &str, entity_id: &str) -> String {
    format!("{entity_type}#{entity_id}")
}

/// The key in index `gsi2` of one shard of a queue: the cases that wait because their decision has this outcome, or
/// [`APPEALS`]. It begins with a sign that no name begins with, so it differs from all keys of earlier releases.
pub fn queue_key(event_type: &str, queue: &str, shard: u32) -> String {
    format!("#open#{event_type}#{queue}#{shard}")
}

/// The key in index `gsi2` under which releases before queues listed the open reviews of a day, `yyyy-MM-dd`.
pub fn review_day_key(outcome: &str, day: &str, shard: u32) -> String {
    format!("{outcome}#{day}#{shard}")
}

/// The place of a case in its queue: by the expected loss, and among equals by `by_time`.
pub(super) fn queue_place(loss: f64, by_time: &str) -> String {
    // Whole cents, with as many digits as the largest amount has, so that texts sort as numbers. A cast of a float
    // keeps within the limits of the integer.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a negative or huge amount gets the lowest or highest place"
    )]
    let cents = ((loss * 100.0).round() as u64).min(MOST_CENTS);
    format!("{cents:015}#{by_time}")
}

/// The largest loss by which cases are ordered.
const MOST_CENTS: u64 = 999_999_999_999_999;

/// The revision in the sort key of a decision.
pub(super) fn read_revision(sk: &str) -> Option<Revision> {
    Revision::from_key(sk.strip_prefix(DECISION)?)
}

pub(super) fn review_shard(event_id: &str) -> u32 {
    let hash = short_hash(event_id.as_bytes());
    hash.bytes().next_back().map_or(0, u32::from) % REVIEW_SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_sort_as_losses_do() {
        let losses = [-5.0, 0.0, 0.01, 9.99, 10.0, 1e6, 1e12, 1e30];
        let places: Vec<String> = losses
            .iter()
            .map(|loss| queue_place(*loss, "2026-06-01"))
            .collect();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(places[3], "000000000000999#2026-06-01");
    }
}
