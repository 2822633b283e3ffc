//! Import of a model that was trained elsewhere, as a version of a model here. The API has no operation for it.

use model::{Severity, TrainingMessage};
use protocol::{Error, Result, text};
use store::bundle;
use store::change::Change;
use store::conflict_retry::retry_on_write_conflict;
use store::records::event_type::{EventType, event_type_key, missing_event_type};
use store::records::model::{StoredModel, find_model, missing_model};
use store::records::model_version::{
    ModelVersion, ModelVersionReference, ModelVersionStatus, TrainingDataSchema,
    TrainingDataSource, TrainingDetails,
};
use store::records::tags::Tags;
use store::records::variable::{StoredVariable, variable_key};
use store::table::Key;

use crate::operations::model_versions::allocate_major_version;
use crate::operations::training_result::TrainingOutcome;
use crate::operations::{model_versions, training_checks};
use crate::services::EngineServices;

/// An imported model version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedModelVersion {
    /// The model.
    pub model_id: String,
    /// The version, e.g. `1.0`.
    pub version: String,
    /// The ARN by which detector versions refer to it.
    pub arn: String,
}

/// Imports a model as the next major version of the model with this id, in status `TRAINING_COMPLETE`. `notes` say
/// where it comes from and what its scores mean; `DescribeModelVersions` shows them.
///
/// # Errors
/// There is no model with this id, its event type lacks a variable that `model` needs, a quota is reached, or the
/// engine's tables or its bucket fail.
pub(crate) async fn import_model(
    services: &EngineServices,
    model_id: &str,
    model: &model::Model,
    notes: &[String],
) -> Result<ImportedModelVersion> {
    retry_on_write_conflict(|| import_model_once(services, model_id, model, notes)).await
}

async fn import_model_once(
    services: &EngineServices,
    model_id: &str,
    imported: &model::Model,
    notes: &[String],
) -> Result<ImportedModelVersion> {
    let names: Vec<String> = imported
        .variables()
        .iter()
        .map(|v| v.name.clone())
        .collect();
    let bytes = imported.to_bytes();
    model::Model::from_bytes(&bytes)
        .map_err(|error| Error::validation(format!("The model cannot be kept: {error}.")))?;
    let mut change = services.account.begin_change().await?;
    let mut model = find_model(&change, model_id)
        .await?
        .ok_or_else(|| missing_model(model_id))?;
    check_features(&change, &model, &names).await?;
    training_checks::check_version_quota(services, &change, &model).await?;
    let number = allocate_major_version(&mut model)?;
    let outcome =
        TrainingOutcome::from_messages(notes.iter().map(|note| make_note(note)).collect());
    let now = text::format_milliseconds(services.account.now());
    let mut version = ModelVersion {
        model_id: model.model_id.clone(),
        model_type: model.model_type,
        model_version_number: number,
        event_type_name: model.event_type_name.clone(),
        status: ModelVersionStatus::TrainingComplete,
        // Its training events are unknown, so there is no location.
        training_data_source: TrainingDataSource::ExternalEvents,
        training_data_schema: TrainingDataSchema {
            model_variables: names,
            label_schema: None,
        },
        details: TrainingDetails::default(),
        last_updated_time: now.clone(),
        created_time: now,
        tags: Tags::default(),
        artifact: None,
        result: Some(bundle::save_bundle(&services.account.definitions, &outcome).await?),
    };
    // As after a training: the artifact is written before the version that names it.
    let artifact = services
        .model_cache
        .save_model(&version.artifact_path(), bytes)
        .await?;
    version.artifact = Some(artifact.clone());
    change.put(&model)?;
    change.put(&version)?;
    if let Err(error) = services.account.commit_change(change).await {
        services.model_cache.delete_model(&artifact).await;
        return Err(error);
    }
    let reference = ModelVersionReference {
        model_id: version.model_id,
        model_type: version.model_type,
        model_version_number: number,
    };
    Ok(ImportedModelVersion {
        arn: model_versions::make_model_version_arn(services, &reference),
        model_id: reference.model_id,
        version: number.to_string(),
    })
}

fn make_note(content: &str) -> TrainingMessage {
    TrainingMessage {
        level: Severity::Info,
        field: None,
        title: "Imported model".to_owned(),
        content: content.to_owned(),
    }
}

/// Checks that the event type has a suitable variable for each feature of the imported model, by name.
async fn check_features(change: &Change<'_>, model: &StoredModel, names: &[String]) -> Result<()> {
    let event_type: Option<EventType> = change.get(&event_type_key(&model.event_type_name)).await?;
    let event_type = event_type.ok_or_else(|| missing_event_type(&model.event_type_name))?;
    let lacking = names
        .iter()
        .filter(|name| !event_type.event_variables.contains(*name));
    training_checks::refuse_names(lacking, |lacking| {
        Error::validation(format!(
            "Features {lacking} of the model are not variables of event type '{}', which has {}.",
            event_type.name,
            text::join_names(event_type.event_variables.iter().map(String::as_str))
        ))
    })?;
    let keys: Vec<Key> = names.iter().map(|name| variable_key(name)).collect();
    let found: Vec<StoredVariable> = change.get_many(&keys).await?;
    let times = found
        .iter()
        .filter(|variable| variable.data_type == "DATETIME")
        .map(|variable| &variable.name);
    training_checks::refuse_names(times, |names| {
        Error::validation(format!(
            "Features {names} of the model are variables of type DATETIME: a model from elsewhere looks at numbers."
        ))
    })
}
