//! Detectors: one event type, its rules, and versions that pin them.

use protocol::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::records::tags::Tags;
use crate::table::{Key, KeyRange, StoredRecord};

/// A detector as stored; also the pointer to its active version.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detector {
    pub detector_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub event_type_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_version: Option<u32>,
    /// The highest version number given out; a number is never given out twice.
    pub last_version: u32,
    pub last_updated_time: String,
    pub created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

impl StoredRecord for Detector {
    fn key(&self) -> Key {
        detector_key(&self.detector_id)
    }
}

pub fn detector_key(detector_id: &str) -> Key {
    Key::new("detector", detector_id)
}

/// Every detector of the account.
pub async fn list_detectors(change: &Change<'_>) -> Result<Vec<Detector>> {
    change.query(KeyRange::all("detector")).await
}

/// The error for a detector that does not exist.
pub fn missing_detector(detector_id: &str) -> Error {
    Error::not_found(format!("Detector '{detector_id}' does not exist."))
}
