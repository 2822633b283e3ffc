//! What a detector version pins: its rules, compiled over its event type, its models and its external models.

use std::collections::HashSet;

use protocol::{Error, Result};
use serde::Deserialize;
use store::bundle;
use store::bundle::BundleReference;
use store::change::Change;
use store::pinned_bundles::{BundledExternalModel, BundledRule, DetectorVersionBundle};
use store::records::detector::{Detector, list_detectors};
use store::records::detector_version::{RuleExecutionMode, list_detector_versions};
use store::records::event_type::{EventType, event_type_key, missing_event_type};
use store::records::external_model::{
    ExternalModel, ExternalModelStatus, external_model_key, missing_external_model,
};
use store::records::model_version::{BundledModel, ModelVersionReference, ModelVersionStatus};
use store::records::rule::{RuleReference, RuleVersion};
use store::records::variable::{BundledVariable, StoredVariable, variable_key};
use store::table::{Key, StoredRecord as _};

use crate::services::EngineServices;
use crate::services::definition_cache::CompiledDetector;

/// The content of a version, in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DetectorVersionParts {
    pub(crate) description: Option<String>,
    pub(crate) rules: Vec<RuleReference>,
    #[serde(default)]
    pub(crate) rule_execution_mode: Option<RuleExecutionMode>,
    #[serde(default)]
    pub(crate) external_model_endpoints: Vec<String>,
    #[serde(default)]
    pub(crate) model_versions: Vec<ModelVersionReference>,
}

/// Writes the bundle of a version, after its rules were loaded, compiled and counted.
pub(crate) async fn build_and_save_bundle(
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
    let external_models = find_external_models(change, event_type_name, endpoints).await?;
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
pub(crate) async fn compile_and_save_bundle(
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

pub(crate) fn bundle_rule(rule: RuleVersion) -> BundledRule {
    BundledRule {
        rule_id: rule.rule_id,
        rule_version: rule.rule_version,
        expression: rule.expression,
        outcomes: rule.outcomes,
        lists: rule.lists,
    }
}

pub(crate) fn check_part_quotas(
    services: &EngineServices,
    content: &DetectorVersionParts,
) -> Result<()> {
    let most = services.account.options.quotas.models_per_detector_version;
    if content.model_versions.len() + content.external_model_endpoints.len() <= most {
        return Ok(());
    }
    Err(Error::validation(format!(
        "A detector version may have at most {most} models."
    )))
}

/// Loads the model versions for a detector version over an event type.
pub(crate) async fn find_model_versions(
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
        let model = reference.load(change).await?;
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

pub(crate) async fn find_rule_versions(
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

pub(crate) fn check_rule_references(
    detector: &Detector,
    references: &[RuleReference],
) -> Result<()> {
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

/// The part of an external model that a detector version pins.
pub(crate) async fn bundle_external_model(
    change: &Change<'_>,
    model: &ExternalModel,
) -> Result<BundledExternalModel> {
    model.output_configuration.check_format()?;
    let names: Vec<&str> = model.output_configuration.variables().collect();
    let keys: Vec<Key> = names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| variable_key(name))
        .collect();
    let found: Vec<StoredVariable> = change.get_many(&keys).await?;
    let mut outputs = Vec::new();
    for name in names {
        let variable = found
            .iter()
            .find(|variable| variable.name == name)
            .ok_or_else(|| Error::validation(format!("Variable '{name}' does not exist.")))?;
        if variable.data_source != "EXTERNAL_MODEL_SCORE" {
            return Err(Error::validation(format!(
                "Variable '{name}' must have the data source EXTERNAL_MODEL_SCORE to hold a model's answer."
            )));
        }
        if outputs.iter().any(|v: &BundledVariable| v.name == name) {
            return Err(Error::validation(format!(
                "Variable '{name}' is in the outputConfiguration twice."
            )));
        }
        outputs.push(variable.to_bundled());
    }
    Ok(BundledExternalModel {
        model_endpoint: model.model_endpoint.clone(),
        model_source: model.model_source.clone(),
        input: model.input_configuration.clone(),
        output: model.output_configuration.clone(),
        variables: outputs,
    })
}

/// Loads the external models for a detector version over an event type.
pub(crate) async fn find_external_models(
    change: &Change<'_>,
    event_type: &str,
    endpoints: &[String],
) -> Result<Vec<BundledExternalModel>> {
    let mut found: Vec<BundledExternalModel> = Vec::new();
    for endpoint in endpoints {
        if found.iter().any(|model| model.model_endpoint == *endpoint) {
            return Err(Error::validation(format!(
                "External model '{endpoint}' is in the version twice."
            )));
        }
        let model: Option<ExternalModel> = match endpoint.as_str() {
            "" => None,
            endpoint => change.get(&external_model_key(endpoint)).await?,
        };
        let model = model.ok_or_else(|| missing_external_model(endpoint))?;
        if model.model_endpoint_status != ExternalModelStatus::Associated {
            return Err(Error::validation(format!(
                "External model '{endpoint}' is DISSOCIATED: only one that is ASSOCIATED can be used."
            )));
        }
        let bound = model.input_configuration.event_type_name.as_deref();
        if let Some(other) = bound.filter(|bound| *bound != event_type) {
            return Err(Error::validation(format!(
                "External model '{endpoint}' belongs to event type '{other}', not to '{event_type}'."
            )));
        }
        found.push(bundle_external_model(change, &model).await?);
    }
    Ok(found)
}
