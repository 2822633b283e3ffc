//! Detector versions: pinned rules and models.

use std::collections::HashSet;
use std::fmt;

use protocol::{Result, text};
use serde::{Deserialize, Serialize};

use crate::bundle::BundleReference;
use crate::change::Change;
use crate::records::detector::{self, Detector};
use crate::records::model_version::ModelVersionReference;
use crate::records::rule::{RuleReference, RuleVersion};
use crate::records::tags::Tags;
use crate::table::{Key, KeyRange, StoredRecord};

/// A DRAFT can be changed; the ACTIVE one decides; an INACTIVE one no longer decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DetectorVersionStatus {
    Draft,
    Active,
    Inactive,
}

impl fmt::Display for DetectorVersionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft => "DRAFT",
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
        })
    }
}

/// A detector version as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetectorVersion {
    pub detector_id: String,
    pub detector_version_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub rules: Vec<RuleReference>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_versions: Vec<ModelVersionReference>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_model_endpoints: Vec<String>,
    pub rule_execution_mode: RuleExecutionMode,
    pub status: DetectorVersionStatus,
    pub last_updated_time: String,
    pub created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    pub bundle: BundleReference,
}

impl StoredRecord for DetectorVersion {
    fn key(&self) -> Key {
        detector_version_key(&self.detector_id, self.detector_version_id)
    }
}

pub fn detector_version_partition(detector_id: &str) -> String {
    format!("detector-version#{detector_id}")
}

pub fn detector_version_key(detector_id: &str, version: u32) -> Key {
    Key::new(
        detector_version_partition(detector_id),
        text::pad_version(version),
    )
}

/// The versions of a detector, oldest first.
pub async fn list_detector_versions(
    change: &Change<'_>,
    detector_id: &str,
) -> Result<Vec<DetectorVersion>> {
    change
        .query(KeyRange::all(&detector_version_partition(detector_id)))
        .await
}

/// The rule versions that the versions of a detector pin, without duplicates.
pub async fn list_pinned_rules(change: &Change<'_>, detector_id: &str) -> Result<Vec<RuleVersion>> {
    let versions = list_detector_versions(change, detector_id).await?;
    let keys: HashSet<Key> = versions
        .iter()
        .flat_map(|v| &v.rules)
        .map(RuleReference::key)
        .collect();
    change.get_many(&keys.into_iter().collect::<Vec<_>>()).await
}

/// The number of a detector version that pins this rule version, if there is one.
pub async fn find_version_using_rule(
    change: &Change<'_>,
    rule: &RuleReference,
) -> Result<Option<u32>> {
    let versions = list_detector_versions(change, &rule.detector_id).await?;
    let user = versions
        .iter()
        .find(|version| version.rules.iter().any(|r| r.key() == rule.key()));
    Ok(user.map(|version| version.detector_version_id))
}

/// The number of a version of the detector that has a model version, if there is one.
pub async fn find_version_using_model(
    change: &Change<'_>,
    detector: &Detector,
    model: &Key,
) -> Result<Option<u32>> {
    let versions = list_detector_versions(change, &detector.detector_id).await?;
    let uses =
        |version: &&DetectorVersion| version.model_versions.iter().any(|m| m.key() == *model);
    Ok(versions.iter().find(uses).map(|v| v.detector_version_id))
}

/// A detector version that uses an external model, if there is one.
pub async fn find_version_using_endpoint(
    change: &Change<'_>,
    endpoint: &String,
) -> Result<Option<(String, u32)>> {
    for detector in detector::list_detectors(change).await? {
        let versions = list_detector_versions(change, &detector.detector_id).await?;
        let user = versions
            .into_iter()
            .find(|version| version.external_model_endpoints.contains(endpoint));
        if let Some(version) = user {
            return Ok(Some((version.detector_id, version.detector_version_id)));
        }
    }
    Ok(None)
}

/// The rule execution mode: whether the first match ends the evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RuleExecutionMode {
    #[default]
    FirstMatched,
    AllMatched,
}
