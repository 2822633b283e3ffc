//! Entity histories: one item of bounded size per event type and entity, and per value of each other key.

use model::history::TrackedFields;
use serde::{Deserialize, Serialize};

use crate::records::event::{EventEntity, StoredEvent};
use crate::table::Key;

/// What the models of an event type need in histories. It is set by the first of the models and does not change, so that
/// all models and all versions read the same items; only keys are added to what a release without keys stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistorySettings {
    #[serde(rename = "watched")]
    pub tracked_fields: TrackedFields,
    /// The labels that mean fraud.
    pub fraud: Vec<String>,
}

/// The stored item of an entity history, without its key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityHistoryItem {
    /// The content of the history, as JSON.
    #[serde(rename = "profile")]
    pub history: String,
    pub revision: u64,
    pub filled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// The partition of the item of an entity or another key; without one, the prefix of these partitions of an event type.
pub fn entity_history_partition(event_type: &str, key: &str) -> String {
    format!("habits#{event_type}#{key}")
}

/// The sort key of every such item.
pub const ENTITY_HISTORY_SORT_KEY: &str = "habits";

pub fn entity_history_key(event_type: &str, key: &str) -> Key {
    Key::new(
        entity_history_partition(event_type, key),
        ENTITY_HISTORY_SORT_KEY,
    )
}

/// Whether an entity id stands for the unknown entity. No history is kept for it.
pub use model::is_nobody;

/// The entities of an event that have histories, as `type#id`: all but the unknown one.
pub fn list_history_entities(event: &StoredEvent) -> Vec<String> {
    let entity = |entity: &EventEntity| {
        let EventEntity {
            entity_type,
            entity_id,
        } = entity;
        (!is_nobody(entity_id)).then(|| format!("{entity_type}#{entity_id}"))
    };
    event.entities.iter().filter_map(entity).collect()
}
