//! Detectors: one event type, its rules, and versions that pin them.

use protocol::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    /// The version that judges beside the one that decides, and decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_version: Option<u32>,
    /// The version that decides on a share of the events instead of the active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<VersionRollout>,
}

/// A version with a share of the events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionRollout {
    pub version: u32,
    /// How many of 10,000 buckets it decides on.
    pub share: u32,
}

impl VersionRollout {
    /// Into how many buckets entities are divided.
    pub const BUCKETS: u32 = 10_000;

    /// Whether the version decides on the events of this entity. An entity keeps its bucket while the share changes, and has
    /// another one for another version, so that it is not always the same customers who try what is new.
    pub fn includes(&self, detector_id: &str, entity: &str) -> bool {
        let name = format!("{detector_id}#{}#{entity}", self.version);
        let digest = Sha256::digest(name.as_bytes());
        let number = digest
            .iter()
            .take(8)
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(Self::BUCKETS) < u64::from(self.share)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_stay_in_while_the_share_grows() {
        let included = |share: u32| -> Vec<usize> {
            let rollout = VersionRollout { version: 4, share };
            let is_in = |number: &usize| rollout.includes("orders", &format!("cust-{number}"));
            (0..10_000).filter(is_in).collect()
        };
        let (one, ten) = (included(100), included(1_000));
        // 1 % and 10 % of 10,000, give or take three standard deviations.
        assert!((70..=130).contains(&one.len()), "{}", one.len());
        assert!((910..=1_090).contains(&ten.len()), "{}", ten.len());
        assert!(one.iter().all(|number| ten.contains(number)));
        assert_eq!(included(0).len(), 0);
        assert_eq!(included(VersionRollout::BUCKETS).len(), 10_000);
        let other = VersionRollout {
            version: 5,
            share: 100,
        };
        let same = one
            .iter()
            .filter(|number| other.includes("orders", &format!("cust-{number}")));
        assert!(same.count() < 20);
    }
}
