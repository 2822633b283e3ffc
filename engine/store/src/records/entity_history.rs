//! What an entity did before: one item of bounded size per event type and entity.

use model::history::TrackedFields;
use serde::{Deserialize, Serialize};

use crate::records::event::{Entity, StoredEvent};
use crate::table::Key;

/// The entity of which no history is kept: events that are nobody's carry it.
pub const NOBODY: &str = "unknown";

/// What the models of an event type watch. What is watched stays as the first of them needed it,
/// so that all of them, and all versions, read the same items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistorySettings {
    pub watched: TrackedFields,
    /// Labels that mean fraud.
    pub fraud: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityHistoryItem {
    /// JSON.
    pub profile: String,
    pub revision: u64,
    pub filled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// The partition of an entity's item begins so.
pub fn entity_history_partition(event_type: &str, entity: &str) -> String {
    format!("habits#{event_type}#{entity}")
}

pub const ENTITY_HISTORY_SORT_KEY: &str = "habits";

pub fn entity_history_key(event_type: &str, entity: &str) -> Key {
    Key::new(
        entity_history_partition(event_type, entity),
        ENTITY_HISTORY_SORT_KEY,
    )
}

/// Whether an entity's id says that the event is nobody's.
pub fn is_nobody(entity_id: &str) -> bool {
    entity_id.eq_ignore_ascii_case(NOBODY)
}

/// Whose event it is, unless it is nobody's: its first entity.
pub fn history_entity(event: &StoredEvent) -> Option<String> {
    let Entity {
        entity_type,
        entity_id,
    } = event.entities.first()?;
    (!is_nobody(entity_id)).then(|| format!("{entity_type}#{entity_id}"))
}
