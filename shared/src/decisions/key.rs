//! Keys of the table of decisions and of its indexes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use event::hash::short_hash;
use event::{EventId, EventTypeName, Revision, Timestamp};

use crate::items::Item;

/// How many index keys the open reviews of one day are spread over.
pub const REVIEW_SHARDS: u32 = 8;

/// Prefix of the sort key of a decision; the key of the revision follows.
pub(super) const DECISION: &str = "decision#";

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

/// The key of one shard of a day's open reviews in index `gsi2`; `day` is `yyyy-MM-dd`.
pub fn review_key(outcome: &str, day: &str, shard: u32) -> String {
    format!("{outcome}#{day}#{shard}")
}

/// The revision in the sort key of a decision.
pub(super) fn read_revision(sk: &str) -> Option<Revision> {
    Revision::from_key(sk.strip_prefix(DECISION)?)
}

pub(super) fn day_of(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

pub(super) fn review_shard(event_id: &EventId) -> u32 {
    let hash = short_hash(event_id.as_str().as_bytes());
    hash.bytes().next_back().map_or(0, u32::from) % REVIEW_SHARDS
}
