//! Detector versions: pinned rules and models, and the version that is active.

use std::collections::HashSet;

use crate::operations::model_versions;
use crate::operations::{EmptyOutput, external_models};
use crate::services::EngineServices;
use crate::services::definition_cache::CompiledDetector;
use protocol::{Error, Result, text};
use serde::{Deserialize, Serialize};
use store::bundle;
use store::bundle::BundleReference;
use store::change::Change;
use store::pinned_bundles::{BundledExternalModel, BundledRule, DetectorVersionBundle};
use store::records::detector::{Detector, detector_key, list_detectors, missing_detector};
use store::records::detector_version::RuleExecutionMode;
use store::records::detector_version::{
    DetectorVersion, DetectorVersionStatus, detector_version_key, detector_version_partition,
    list_detector_versions,
};
use store::records::event_type::{EventType, event_type_key, missing_event_type};
use store::records::model_version::BundledModel;
use store::records::model_version::{ModelVersionReference, ModelVersionStatus};
use store::records::rule::{RuleReference, RuleVersion};
use store::records::tags::{Tag, Tags};
use store::table::StoredRecord as _;
use store::table::{Key, KeyRange};

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

    async fn find(&self, change: &Change<'_>) -> Result<DetectorVersion> {
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

/// The content of a version, in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DetectorVersionParts {
    description: Option<String>,
    rules: Vec<RuleReference>,
    #[serde(default)]
    rule_execution_mode: Option<RuleExecutionMode>,
    #[serde(default)]
    external_model_endpoints: Vec<String>,
    #[serde(default)]
    model_versions: Vec<ModelVersionReference>,
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

/// Writes the bundle of a version, after its rules were loaded, compiled and counted.
async fn build_and_save_bundle(
    services: &EngineServices,
    change: &Change<'_>,
    detector: &Detector,
    version: u32,
    mode: RuleExecutionMode,
    content: &DetectorVersionParts,
) -> Result<BundleReference> {
    let event_type_name = &detector.event_type_name;
    check_part_quotas(services, content)?;
    let models = find_model_versions(change, event_type_name, &content.model_versions).await?;
    let endpoints = &content.external_model_endpoints;
    let external_models =
        external_models::find_external_models(change, event_type_name, endpoints).await?;
    let rules = find_rule_versions(change, detector, &content.rules).await?;
    let bundle = DetectorVersionBundle {
        detector_id: detector.detector_id.clone(),
        detector_version_id: version,
        event_type_name: detector.event_type_name.clone(),
        mode,
        rules: rules.into_iter().map(bundle_rule).collect(),
        models,
        external_models,
    };
    compile_and_save_bundle(services, change, bundle).await
}

/// Compiles a version's rules and writes its bundle.
async fn compile_and_save_bundle(
    services: &EngineServices,
    change: &Change<'_>,
    bundle: DetectorVersionBundle,
) -> Result<BundleReference> {
    let name = &bundle.event_type_name;
    let event_type: Option<EventType> = change.get(&event_type_key(name)).await?;
    let event_type = event_type.ok_or_else(|| missing_event_type(name))?;
    let event_type = bundle::load_bundle(&services.account.definitions, &event_type.bundle).await?;
    let compiled = CompiledDetector::new(bundle, event_type)?;
    let most = services.account.options.quotas.lists_per_detector;
    if compiled.list_names().len() > most {
        let message = format!("The rules of a detector version may use at most {most} lists.");
        return Err(Error::validation(message));
    }
    bundle::save_bundle(&services.account.definitions, &compiled.version).await
}

fn bundle_rule(rule: RuleVersion) -> BundledRule {
    BundledRule {
        rule_id: rule.rule_id,
        rule_version: rule.rule_version,
        expression: rule.expression,
        outcomes: rule.outcomes,
        lists: rule.lists,
    }
}

fn check_part_quotas(services: &EngineServices, content: &DetectorVersionParts) -> Result<()> {
    let most = services.account.options.quotas.models_per_detector_version;
    if content.model_versions.len() + content.external_model_endpoints.len() <= most {
        return Ok(());
    }
    Err(Error::validation(format!(
        "A detector version may have at most {most} models."
    )))
}

/// Loads the model versions for a detector version over an event type.
async fn find_model_versions(
    change: &Change<'_>,
    event_type: &str,
    references: &[ModelVersionReference],
) -> Result<Vec<BundledModel>> {
    let mut found: Vec<BundledModel> = Vec::new();
    for reference in references {
        let ModelVersionReference {
            model_id,
            model_version_number,
            ..
        } = reference;
        if found
            .iter()
            .any(|model| model.version.model_id == *model_id)
        {
            let message = format!("Model '{model_id}' is in the version twice.");
            return Err(Error::validation(message));
        }
        let model = reference.find(change).await?;
        if model.event_type_name != event_type {
            return Err(Error::validation(format!(
                "Model '{model_id}' belongs to event type '{}', not to '{event_type}'.",
                model.event_type_name
            )));
        }
        if model.status != ModelVersionStatus::Active {
            return Err(Error::validation(format!(
                "Version {model_version_number} of model '{model_id}' is {}: only one that is ACTIVE can be used.",
                model.status
            )));
        }
        found.push(model.to_bundled());
    }
    Ok(found)
}

/// Writes new bundles for the detector versions that use an external model, because it changes.
pub(crate) async fn renew_detector_version_bundles(
    services: &EngineServices,
    change: &mut Change<'_>,
    changed: &BundledExternalModel,
) -> Result<()> {
    let endpoint = &changed.model_endpoint;
    for detector in list_detectors(change).await? {
        for mut version in list_detector_versions(change, &detector.detector_id).await? {
            if !version.external_model_endpoints.contains(endpoint) {
                continue;
            }
            let mut bundle: DetectorVersionBundle =
                bundle::load_bundle(&services.account.definitions, &version.bundle).await?;
            for model in &mut bundle.external_models {
                if model.model_endpoint == *endpoint {
                    *model = changed.clone();
                }
            }
            version.bundle = compile_and_save_bundle(services, change, bundle).await?;
            change.put(&version)?;
        }
    }
    Ok(())
}

async fn find_rule_versions(
    change: &Change<'_>,
    detector: &Detector,
    references: &[RuleReference],
) -> Result<Vec<RuleVersion>> {
    check_rule_references(detector, references)?;
    let keys: Vec<Key> = references.iter().map(RuleReference::key).collect();
    let found: Vec<RuleVersion> = change.get_many(&keys).await?;
    let find = |reference: &RuleReference| {
        let key = reference.key();
        let rule = found.iter().find(|rule| rule.key() == key);
        rule.cloned().ok_or_else(|| reference.missing_error())
    };
    references.iter().map(find).collect()
}

fn check_rule_references(detector: &Detector, references: &[RuleReference]) -> Result<()> {
    let mut seen = HashSet::new();
    for RuleReference {
        detector_id,
        rule_id,
        ..
    } in references
    {
        if *detector_id != detector.detector_id {
            let message = format!(
                "Rule '{rule_id}' belongs to detector '{detector_id}', not to detector '{}'.",
                detector.detector_id
            );
            return Err(Error::validation(message));
        }
        if !seen.insert(rule_id) {
            return Err(Error::validation(format!(
                "Rule '{rule_id}' is in the version twice."
            )));
        }
    }
    Ok(())
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

/// Replaces the content of a draft.
pub(crate) async fn update_detector_version(
    services: &EngineServices,
    input: UpdateDetectorVersionInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let mut version = input.reference.find(&change).await?;
    if version.status != DetectorVersionStatus::Draft {
        let message = format!(
            "Only a version in status DRAFT can be updated, this one is {}.",
            version.status
        );
        return Err(Error::validation(message));
    }
    let detector = find_detector(&change, &version.detector_id).await?;
    let number = version.detector_version_id;
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
    let found = input.reference.find(&change).await;
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
    let version = input.reference.find(&change).await?;
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
        }
        (DetectorVersionStatus::Active, DetectorVersionStatus::Inactive) => {
            detector.active_version = None;
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

fn check_has_rules(version: &DetectorVersion) -> Result<()> {
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

/// Deletes a version. Rejected while it is ACTIVE.
pub(crate) async fn delete_detector_version(
    services: &EngineServices,
    input: DetectorVersionReference,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let version = input.find(&change).await?;
    if version.status == DetectorVersionStatus::Active {
        let message = format!(
            "Version {} of detector '{}' is ACTIVE.",
            version.detector_version_id, version.detector_id
        );
        return Err(Error::conflict(message));
    }
    change.delete(version.key());
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}
