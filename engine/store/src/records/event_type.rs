//! Event types: which variables, labels and entity types an event has.

use protocol::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::bundle::BundleReference;
use crate::change::Change;
use crate::records::entity_history::HistorySettings;
use crate::records::tags::Tags;
use crate::table::{Key, KeyRange, StoredRecord};

/// An event type as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventType {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub event_variables: Vec<String>,
    pub labels: Vec<String>,
    pub entity_types: Vec<String>,
    pub event_ingestion: String,
    pub event_orchestration: Orchestration,
    pub last_updated_time: String,
    pub created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// The settings of the entity histories that its models need.
    #[serde(default, rename = "habits", skip_serializing_if = "Option::is_none")]
    pub history_settings: Option<HistorySettings>,
    pub bundle: BundleReference,
}

/// Whether predictions are published on the event bus.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orchestration {
    pub event_bridge_enabled: bool,
}

impl StoredRecord for EventType {
    fn key(&self) -> Key {
        event_type_key(&self.name)
    }
}

pub fn event_type_key(name: &str) -> Key {
    Key::new("event-type", name)
}

/// Every event type of the account.
pub async fn list_event_types(change: &Change<'_>) -> Result<Vec<EventType>> {
    change.query(KeyRange::all("event-type")).await
}

/// The error for an event type that does not exist.
pub fn missing_event_type(name: &str) -> Error {
    Error::not_found(format!("Event type '{name}' does not exist."))
}

/// The error for storing an event while the event type has ingestion turned off.
pub fn ingestion_disabled_error(name: &str) -> Error {
    Error::validation(format!(
        "Event type '{name}' does not store events: its event ingestion is DISABLED."
    ))
}

/// The names of all event types.
pub async fn list_event_type_names(account: &Account) -> Result<Vec<String>> {
    let all: Vec<EventType> = account
        .definitions
        .query(KeyRange::all("event-type"))
        .await?;
    Ok(all.into_iter().map(|event_type| event_type.name).collect())
}
