//! Rule versions, which never change, and the highest version of each rule.

use protocol::{Error, Result, text};
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::records::detector;
use crate::records::tags::Tags;
use crate::records::variable::BundledVariable;
use crate::table::{Key, KeyRange, StoredRecord};

/// A rule version as stored. Its expression and outcomes never change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleVersion {
    pub detector_id: String,
    pub rule_id: String,
    pub rule_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub expression: String,
    pub language: String,
    pub outcomes: Vec<String>,
    pub lists: Vec<String>,
    /// The score variables that it uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<BundledVariable>,
    pub last_updated_time: String,
    pub created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

impl StoredRecord for RuleVersion {
    fn key(&self) -> Key {
        rule_key(&self.detector_id, &self.rule_id, self.rule_version)
    }
}

/// The highest version number given out for a rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleVersionCounter {
    pub detector_id: String,
    pub rule_id: String,
    pub last_version: u32,
}

impl StoredRecord for RuleVersionCounter {
    fn key(&self) -> Key {
        rule_version_counter_key(&self.detector_id, &self.rule_id)
    }
}

pub fn rule_version_counter_key(detector_id: &str, rule_id: &str) -> Key {
    Key::new(format!("rule-head#{detector_id}"), rule_id)
}

pub fn rule_partition(detector_id: &str) -> String {
    format!("rule#{detector_id}")
}

pub fn rule_key(detector_id: &str, rule_id: &str, version: u32) -> Key {
    Key::new(
        rule_partition(detector_id),
        format!("{rule_id}#{}", text::pad_version(version)),
    )
}

/// Every rule version of the account.
pub async fn list_rules(change: &Change<'_>) -> Result<Vec<RuleVersion>> {
    let mut rules = Vec::new();
    for detector in detector::list_detectors(change).await? {
        rules.extend(
            change
                .query::<RuleVersion>(KeyRange::all(&rule_partition(&detector.detector_id)))
                .await?,
        );
    }
    Ok(rules)
}

/// A reference to a rule version, on the wire and as stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleReference {
    pub detector_id: String,
    pub rule_id: String,
    pub rule_version: String,
}

impl RuleReference {
    pub fn key(&self) -> Key {
        rule_key(&self.detector_id, &self.rule_id, self.version_number())
    }

    /// The number. Validation has ensured that it has at most five digits.
    pub fn version_number(&self) -> u32 {
        self.rule_version.parse().unwrap_or_default()
    }

    /// The error for a rule version that does not exist.
    pub fn missing_error(&self) -> Error {
        let Self {
            detector_id,
            rule_id,
            rule_version,
        } = self;
        Error::not_found(format!(
            "Version {rule_version} of rule '{rule_id}' of detector '{detector_id}' does not exist."
        ))
    }
}

impl RuleVersion {
    /// The reference to this version.
    pub fn reference(&self) -> RuleReference {
        RuleReference {
            detector_id: self.detector_id.clone(),
            rule_id: self.rule_id.clone(),
            rule_version: self.rule_version.to_string(),
        }
    }
}
