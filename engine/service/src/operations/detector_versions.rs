//! Detector versions: pinned rules and models, and the version that is active.

use std::collections::HashSet;

use protocol::{Error, Result, text};
use serde::{Deserialize, Serialize};
use store::change::Change;
use store::records::detector::{Detector, detector_key, missing_detector};
use store::records::detector_version::{
    DetectorVersion, DetectorVersionStatus, RuleExecutionMode, detector_version_key,
    detector_version_partition, list_detector_versions,
};
use store::records::model_version::ModelVersionReference;
use store::records::rule::{RuleReference, RuleVersion};
use store::records::tags::{Tag, Tags};
use store::table::{Key, KeyRange, StoredRecord as _};

use crate::operations::version_bundle::{
    DetectorVersionParts, build_and_save_bundle, find_model_versions,
};
use crate::operations::{EmptyOutput, model_versions};
use crate::services::EngineServices;

/// A reference to a detector version in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DetectorVersionReference {
    detector_id: String,
    detector_version_id: String,
}

impl DetectorVersionReference {
    fn key(&self) -> Key {
        // Validation has ensured that it is a number of at most five digits.
        detector_version_key(
            &self.detector_id,
            self.detector_version_id.parse().unwrap_or_default(),
        )
    }

    fn missing_error(&self) -> Error {
        let Self {
            detector_id,
            detector_version_id,
        } = self;
        Error::not_found(format!(
            "Version {detector_version_id} of detector '{detector_id}' does not exist."
        ))
    }

    async fn load(&self, change: &Change<'_>) -> Result<DetectorVersion> {
        change
            .get(&self.key())
            .await?
            .ok_or_else(|| self.missing_error())
    }
}

/// The rules over a score that are in use or may be: those of all detector versions that are not INACTIVE.
pub(crate) async fn list_rules_over_score(
    services: &EngineServices,
    score: &str,
) -> Result<Vec<RuleVersion>> {
    let detectors: Vec<Detector> = services
        .account
        .definitions
        .query(KeyRange::all("detector"))
        .await?;
    let mut keys: HashSet<Key> = HashSet::new();
    for detector in detectors {
        let partition = detector_version_partition(&detector.detector_id);
        let versions: Vec<DetectorVersion> = services
            .account
            .definitions
            .query(KeyRange::all(&partition))
            .await?;
        let current = versions
            .iter()
            .filter(|version| version.status != DetectorVersionStatus::Inactive);
        keys.extend(
            current
                .flat_map(|version| &version.rules)
                .map(RuleReference::key),
        );
    }
    let keys: Vec<Key> = keys.into_iter().collect();
    let mut rules: Vec<RuleVersion> = services.account.definitions.get_many(&keys).await?;
    rules.retain(|rule| rule.scores.iter().any(|variable| variable.name == score));
    Ok(rules)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateDetectorVersionInput {
    detector_id: String,
    #[serde(flatten)]
    content: DetectorVersionParts,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateDetectorVersionOutput {
    detector_id: String,
    detector_version_id: String,
    status: DetectorVersionStatus,
}

pub(crate) async fn create_detector_version(
    services: &EngineServices,
    input: CreateDetectorVersionInput,
) -> Result<CreateDetectorVersionOutput> {
    let mut change = services.account.begin_change().await?;
    let mut detector = find_detector(&change, &input.detector_id).await?;
    check_draft_quota(services, &change, &detector).await?;
    detector.last_version += 1;
    let mode = input.content.rule_execution_mode.unwrap_or_default();
    let bundle = build_and_save_bundle(
        services,
        &change,
        &detector,
        detector.last_version,
        mode,
        &input.content,
    )
    .await?;
    let now = text::format_milliseconds(services.account.now());
    let version = DetectorVersion {
        detector_id: input.detector_id,
        detector_version_id: detector.last_version,
        description: input.content.description,
        rules: input.content.rules,
        model_versions: input.content.model_versions,
        external_model_endpoints: input.content.external_model_endpoints,
        rule_execution_mode: mode,
        status: DetectorVersionStatus::Draft,
        last_updated_time: now.clone(),
        created_time: now,
        tags: Tags::new(input.tags)?,
        bundle,
    };
    change.put(&version)?;
    change.put(&detector)?;
    services.account.commit_change(change).await?;
    Ok(CreateDetectorVersionOutput {
        detector_id: version.detector_id,
        detector_version_id: version.detector_version_id.to_string(),
        status: version.status,
    })
}

async fn find_detector(change: &Change<'_>, detector_id: &str) -> Result<Detector> {
    let detector = change.get(&detector_key(detector_id)).await?;
    detector.ok_or_else(|| missing_detector(detector_id))
}

async fn check_draft_quota(
    services: &EngineServices,
    change: &Change<'_>,
    detector: &Detector,
) -> Result<()> {
    let versions = list_detector_versions(change, &detector.detector_id).await?;
    let drafts = versions
        .iter()
        .filter(|version| version.status == DetectorVersionStatus::Draft)
        .count();
    let most = services.account.options.quotas.drafts_per_detector;
    if drafts < most {
        return Ok(());
    }
    Err(Error::validation(format!(
        "A detector may have at most {most} versions in status DRAFT."
    )))
}

/// A model version in the answer of `GetDetectorVersion`.
#[derive(Debug, Serialize)]
struct PinnedModel {
    #[serde(flatten)]
    version: ModelVersionReference,
    arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetDetectorVersionOutput {
    detector_id: String,
    detector_version_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    external_model_endpoints: Vec<String>,
    model_versions: Vec<PinnedModel>,
    rules: Vec<RuleReference>,
    status: DetectorVersionStatus,
    last_updated_time: String,
    created_time: String,
    rule_execution_mode: RuleExecutionMode,
    arn: String,
}

pub(crate) async fn get_detector_version(
    services: &EngineServices,
    input: DetectorVersionReference,
) -> Result<GetDetectorVersionOutput> {
    let version: Option<DetectorVersion> = services.account.definitions.get(&input.key()).await?;
    let version = version.ok_or_else(|| input.missing_error())?;
    let path = format!("{}/{}", version.detector_id, version.detector_version_id);
    Ok(GetDetectorVersionOutput {
        arn: services.account.arn("detector-version", &path),
        detector_id: version.detector_id,
        detector_version_id: version.detector_version_id.to_string(),
        description: version.description,
        external_model_endpoints: version.external_model_endpoints,
        model_versions: version
            .model_versions
            .into_iter()
            .map(|version| PinnedModel {
                arn: model_versions::make_model_version_arn(services, &version),
                version,
            })
            .collect(),
        rules: version.rules,
        status: version.status,
        last_updated_time: version.last_updated_time,
        created_time: version.created_time,
        rule_execution_mode: version.rule_execution_mode,
    })
}

/// A version in the answer of `DescribeDetector`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DetectorVersionSummary {
    detector_version_id: String,
    status: DetectorVersionStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    last_updated_time: String,
}

pub(crate) fn summarize_detector_version(version: DetectorVersion) -> DetectorVersionSummary {
    DetectorVersionSummary {
        detector_version_id: version.detector_version_id.to_string(),
        status: version.status,
        description: version.description,
        last_updated_time: version.last_updated_time,
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateDetectorVersionInput {
    #[serde(flatten)]
    reference: DetectorVersionReference,
    #[serde(flatten)]
    content: DetectorVersionParts,
}

/// Replaces the content of a draft. Rejected while it judges live events.
pub(crate) async fn update_detector_version(
    services: &EngineServices,
    input: UpdateDetectorVersionInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let mut version = input.reference.load(&change).await?;
    if version.status != DetectorVersionStatus::Draft {
        let message = format!(
            "Only a version in status DRAFT can be updated, this one is {}.",
            version.status
        );
        return Err(Error::validation(message));
    }
    let detector = find_detector(&change, &version.detector_id).await?;
    let number = version.detector_version_id;
    check_judges_nothing(&detector, number)?;
    let mode = input.content.rule_execution_mode.unwrap_or_default();
    version.bundle =
        build_and_save_bundle(services, &change, &detector, number, mode, &input.content).await?;
    version.description = input.content.description;
    version.rules = input.content.rules;
    version.model_versions = input.content.model_versions;
    version.external_model_endpoints = input.content.external_model_endpoints;
    version.rule_execution_mode = mode;
    version.last_updated_time = text::format_milliseconds(services.account.now());
    change.put(&version)?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateDetectorVersionMetadataInput {
    #[serde(flatten)]
    reference: DetectorVersionReference,
    description: String,
}

/// Replaces the description. Allowed in any status.
pub(crate) async fn update_detector_version_metadata(
    services: &EngineServices,
    input: UpdateDetectorVersionMetadataInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    // The service model declares no ResourceNotFoundException here.
    let found = input.reference.load(&change).await;
    let mut version = found.map_err(|error| Error::validation(error.message()))?;
    version.description = Some(input.description);
    version.last_updated_time = text::format_milliseconds(services.account.now());
    change.put(&version)?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateDetectorVersionStatusInput {
    #[serde(flatten)]
    reference: DetectorVersionReference,
    status: DetectorVersionStatus,
}

/// Activates or deactivates a version. The version that was active becomes INACTIVE.
pub(crate) async fn update_detector_version_status(
    services: &EngineServices,
    input: UpdateDetectorVersionStatusInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let version = input.reference.load(&change).await?;
    let mut detector = find_detector(&change, &version.detector_id).await?;
    match (version.status, input.status) {
        (
            DetectorVersionStatus::Draft | DetectorVersionStatus::Inactive,
            DetectorVersionStatus::Active,
        ) => {
            check_has_rules(&version)?;
            let event_type_name = &detector.event_type_name;
            find_model_versions(&change, event_type_name, &version.model_versions).await?;
            deactivate_active_version(services, &mut change, &detector).await?;
            detector.active_version = Some(version.detector_version_id);
            // What is made active decides on all events, and needs no shadow of itself.
            detector.rollout = None;
            if detector.shadow_version == detector.active_version {
                detector.shadow_version = None;
            }
        }
        (DetectorVersionStatus::Active, DetectorVersionStatus::Inactive) => {
            detector.active_version = None;
            detector.rollout = None;
            detector.shadow_version = None;
        }
        (DetectorVersionStatus::Active, DetectorVersionStatus::Active)
        | (DetectorVersionStatus::Inactive, DetectorVersionStatus::Inactive) => {
            return Ok(EmptyOutput {});
        }
        (from, to) => {
            let message = format!("A version cannot go from status {from} to {to}.");
            return Err(Error::validation(message));
        }
    }
    put_version_status(services, &mut change, version, input.status)?;
    change.put(&detector)?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

pub(crate) fn check_has_rules(version: &DetectorVersion) -> Result<()> {
    if version.rules.is_empty() {
        return Err(Error::validation(
            "A version without rules cannot become ACTIVE.",
        ));
    }
    Ok(())
}

async fn deactivate_active_version(
    services: &EngineServices,
    change: &mut Change<'_>,
    detector: &Detector,
) -> Result<()> {
    let Some(active) = detector.active_version else {
        return Ok(());
    };
    match change
        .get(&detector_version_key(&detector.detector_id, active))
        .await?
    {
        Some(version) => {
            put_version_status(services, change, version, DetectorVersionStatus::Inactive)
        }
        None => Ok(()),
    }
}

fn put_version_status(
    services: &EngineServices,
    change: &mut Change<'_>,
    version: DetectorVersion,
    status: DetectorVersionStatus,
) -> Result<()> {
    let last_updated_time = text::format_milliseconds(services.account.now());
    change.put(&DetectorVersion {
        status,
        last_updated_time,
        ..version
    })
}

/// Checks that a version that does not decide on all does not judge live events besides the one that does: what was
/// compared and approved of it must stay what judges.
fn check_judges_nothing(detector: &Detector, number: u32) -> Result<()> {
    let id = &detector.detector_id;
    let rollout = detector.rollout.as_ref().map(|rollout| rollout.version);
    let (how, end) = match (detector.shadow_version, rollout) {
        (_, Some(version)) if version == number => ("for a share of the entities", "rollout"),
        (Some(version), _) if version == number => ("as the shadow", "shadow"),
        _ => return Ok(()),
    };
    Err(Error::conflict(format!(
        "Version {number} of detector '{id}' judges live events {how}; `fraudstream {end} --off` ends that."
    )))
}

/// Deletes a version. Rejected while it is ACTIVE.
pub(crate) async fn delete_detector_version(
    services: &EngineServices,
    input: DetectorVersionReference,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let version = input.load(&change).await?;
    if version.status == DetectorVersionStatus::Active {
        let message = format!(
            "Version {} of detector '{}' is ACTIVE.",
            version.detector_version_id, version.detector_id
        );
        return Err(Error::conflict(message));
    }
    let detector = find_detector(&change, &version.detector_id).await?;
    check_judges_nothing(&detector, version.detector_version_id)?;
    change.delete(version.key());
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}
