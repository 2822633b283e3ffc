//! Model versions: their training data and their status.
//!
//! `TRAINING_IN_PROGRESS` → `TRAINING_COMPLETE`, `TRAINING_CANCELLED` or `ERROR`; `TRAINING_COMPLETE` ⇄ `ACTIVE`.
//! Operations do not train, because they also run in functions. A version in training has a training job, which a
//! runner finds.

use model::{Severity, TrainingMessage};
use protocol::limits::{LAST_MAJOR_VERSION, LAST_MINOR_VERSION};
use protocol::page::{Page, PageRequest};
use protocol::{Error, Result, page, text};
use serde::{Deserialize, Serialize};
use store::bundle;
use store::bundle::BundleReference;
use store::change::Change;
use store::listing::Listing;
use store::records::detector::list_detectors;
use store::records::detector_version::find_version_using_model;
use store::records::model::{ApiModelType, StoredModel};
use store::records::model_version::{
    LABELS_TAG, MODEL_VERSION_PARTITION, ModelArtifact, ModelVersion, ModelVersionNumber,
    ModelVersionReference, ModelVersionStatus, TrainingDataSchema, TrainingDataSource,
    TrainingDetails, TrainingJob, list_model_versions, missing_model_version, model_version_key,
    model_version_prefix, read_labels_tag,
};
use store::records::tags::{Tag, Tags};
use store::table::StoredRecord as _;

use crate::operations::models::{ModelReference, find_requested_model};
use crate::operations::training_checks::{
    check_training_quotas, check_training_schema, check_training_source,
};
use crate::operations::training_result::{TrainingOutcome, TrainingResult, TrainingResultV2};
use crate::operations::{EmptyOutput, event_types};
use crate::services::EngineServices;

/// The key under which the ledger counts ACTIVE versions against the quota.
const DEPLOYED_VERSION_KIND: &str = "deployed model version";

/// Ends the training of a version that is still in training: with a model in `TRAINING_COMPLETE`, without one in
/// `ERROR`. Returns the status that the version has now.
pub(crate) async fn finish_training(
    services: &EngineServices,
    trained: &ModelVersion,
    artifact: Option<ModelArtifact>,
    result: BundleReference,
) -> Result<ModelVersionStatus> {
    loop {
        let mut change = services.account.begin_change().await?;
        let found: Option<ModelVersion> = change.get(&trained.key()).await?;
        // The number may belong to another version by now; that one has another creation time.
        let Some(version) = found.filter(|found| found.created_time == trained.created_time) else {
            return Ok(ModelVersionStatus::TrainingCancelled);
        };
        if version.status != ModelVersionStatus::TrainingInProgress {
            return Ok(ModelVersionStatus::TrainingCancelled);
        }
        let status = match &artifact {
            Some(_) => ModelVersionStatus::TrainingComplete,
            None => ModelVersionStatus::Error,
        };
        change.delete(version.training_job().key());
        change.put(&ModelVersion {
            status,
            artifact: artifact.clone(),
            result: Some(result.clone()),
            last_updated_time: text::format_milliseconds(services.account.now()),
            ..version
        })?;
        match services.account.commit_change(change).await {
            Err(error) if error.is_write_conflict() => {}
            ended => return ended.map(|()| status),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateModelVersionInput {
    #[serde(flatten)]
    model: ModelReference,
    training_data_source: TrainingDataSource,
    training_data_schema: TrainingDataSchema,
    #[serde(flatten)]
    details: TrainingDetails,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelVersionOutput {
    model_id: String,
    model_type: ApiModelType,
    model_version_number: ModelVersionNumber,
    status: ModelVersionStatus,
}

/// Creates the next major version and its training job.
pub(crate) async fn create_model_version(
    services: &EngineServices,
    input: CreateModelVersionInput,
) -> Result<ModelVersionOutput> {
    let tags = Tags::new(input.tags)?;
    read_labels_tag(&tags)?;
    let mut change = services.account.begin_change().await?;
    let mut model = input.model.load(&change).await?;
    check_training_source(model.model_type, input.training_data_source, &input.details)?;
    check_training_schema(&change, &model, &input.training_data_schema).await?;
    check_training_quotas(services, &change, &model).await?;
    let number = allocate_major_version(&mut model)?;
    let now = text::format_milliseconds(services.account.now());
    let version = ModelVersion {
        model_id: model.model_id.clone(),
        model_type: model.model_type,
        model_version_number: number,
        event_type_name: model.event_type_name.clone(),
        status: ModelVersionStatus::TrainingInProgress,
        training_data_source: input.training_data_source,
        training_data_schema: input.training_data_schema,
        details: input.details,
        last_updated_time: now.clone(),
        created_time: now,
        tags,
        artifact: None,
        result: None,
    };
    change.put(&model)?;
    begin_training(services, change, version).await
}

/// Assigns the next major version number of a model.
pub(super) fn allocate_major_version(model: &mut StoredModel) -> Result<ModelVersionNumber> {
    if model.last_major_version >= LAST_MAJOR_VERSION {
        let message = format!("A model may have at most {LAST_MAJOR_VERSION} major versions.");
        return Err(Error::validation(message));
    }
    model.last_major_version += 1;
    Ok(ModelVersionNumber {
        major: model.last_major_version,
        minor: 0,
    })
}

async fn begin_training(
    services: &EngineServices,
    mut change: Change<'_>,
    version: ModelVersion,
) -> Result<ModelVersionOutput> {
    if version.model_type != ApiModelType::OnlineFraudInsights {
        let mapper = version.training_data_schema.label_schema.as_ref();
        let mapper = mapper.and_then(|schema| schema.label_mapper.as_ref());
        let fraud = mapper.and_then(|mapper| mapper.get("FRAUD"));
        let fraud = fraud.map(Vec::as_slice).unwrap_or_default();
        // A model of log-ins looks at its account alone.
        let with_keys = version.model_type == ApiModelType::TransactionFraudInsights;
        let name = &version.event_type_name;
        event_types::track_histories(services, &mut change, name, fraud, with_keys).await?;
    }
    change.put(&version)?;
    change.put(&version.training_job())?;
    services.account.commit_change(change).await?;
    Ok(ModelVersionOutput {
        model_id: version.model_id,
        model_type: version.model_type,
        model_version_number: version.model_version_number,
        status: version.status,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdateModelVersionInput {
    #[serde(flatten)]
    model: ModelReference,
    major_version_number: String,
    #[serde(flatten)]
    details: TrainingDetails,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Creates the next minor version, which retrains a major version on other events, and its training job.
pub(crate) async fn update_model_version(
    services: &EngineServices,
    input: UpdateModelVersionInput,
) -> Result<ModelVersionOutput> {
    let mut tags = Tags::new(input.tags)?;
    let change = services.account.begin_change().await?;
    let model = input.model.load(&change).await?;
    let before = list_model_versions(&change, model.model_type, &model.model_id)
        .await?
        .into_iter()
        .rfind(|version| {
            version.model_version_number.major.to_string() == input.major_version_number
        });
    let before = before.ok_or_else(|| {
        Error::not_found(format!(
            "Major version {} of model '{}' does not exist.",
            input.major_version_number, model.model_id
        ))
    })?;
    if before.is_imported() {
        return Err(Error::validation(format!(
            "{} was imported: it cannot be trained again.",
            before.title()
        )));
    }
    check_training_source(
        model.model_type,
        before.training_data_source,
        &input.details,
    )?;
    // Whether labels are final is part of the settings that the retraining copies, like the schema.
    tags.copy_if_absent(LABELS_TAG, &before.tags);
    read_labels_tag(&tags)?;
    check_training_schema(&change, &model, &before.training_data_schema).await?;
    check_training_quotas(services, &change, &model).await?;
    let ModelVersionNumber { major, minor } = before.model_version_number;
    if minor >= LAST_MINOR_VERSION {
        let message =
            format!("A major version may be trained again at most {LAST_MINOR_VERSION} times.");
        return Err(Error::validation(message));
    }
    let now = text::format_milliseconds(services.account.now());
    let version = ModelVersion {
        model_version_number: ModelVersionNumber {
            major,
            minor: minor + 1,
        },
        status: ModelVersionStatus::TrainingInProgress,
        details: input.details,
        last_updated_time: now.clone(),
        created_time: now,
        tags,
        artifact: None,
        result: None,
        ..before
    };
    begin_training(services, change, version).await
}

/// The statuses that a request may set.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum RequestedModelVersionStatus {
    Active,
    Inactive,
    TrainingCancelled,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateModelVersionStatusInput {
    #[serde(flatten)]
    version: ModelVersionReference,
    status: RequestedModelVersionStatus,
}

/// Cancels a training, or activates or deactivates a version. A deactivated version has the status `TRAINING_COMPLETE`
/// again, as at Amazon.
pub(crate) async fn update_model_version_status(
    services: &EngineServices,
    input: UpdateModelVersionStatusInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let version = input.version.load(&change).await?;
    let status = match (version.status, input.status) {
        (
            ModelVersionStatus::TrainingInProgress,
            RequestedModelVersionStatus::TrainingCancelled,
        ) => {
            change.delete(version.training_job().key());
            ModelVersionStatus::TrainingCancelled
        }
        (ModelVersionStatus::TrainingComplete, RequestedModelVersionStatus::Active) => {
            check_artifact(services, &version).await?;
            change.count_resources(
                DEPLOYED_VERSION_KIND,
                1,
                services.account.options.quotas.deployed_model_versions,
            )?;
            ModelVersionStatus::Active
        }
        (ModelVersionStatus::Active, RequestedModelVersionStatus::Inactive) => {
            refuse_if_used(&change, &version).await?;
            change.count_resources(DEPLOYED_VERSION_KIND, -1, usize::MAX)?;
            ModelVersionStatus::TrainingComplete
        }
        (ModelVersionStatus::Active, RequestedModelVersionStatus::Active)
        | (ModelVersionStatus::TrainingCancelled, RequestedModelVersionStatus::TrainingCancelled) =>
        {
            return Ok(EmptyOutput {});
        }
        (from, to) => {
            let to = match to {
                RequestedModelVersionStatus::Active => "ACTIVE",
                RequestedModelVersionStatus::Inactive => "INACTIVE",
                RequestedModelVersionStatus::TrainingCancelled => "TRAINING_CANCELLED",
            };
            let message = format!("A model version cannot go from status {from} to {to}.");
            return Err(Error::validation(message));
        }
    };
    change.put(&ModelVersion {
        status,
        last_updated_time: text::format_milliseconds(services.account.now()),
        ..version
    })?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

/// Checks that the model can be loaded, before anything depends on it.
async fn check_artifact(services: &EngineServices, version: &ModelVersion) -> Result<()> {
    let Some(artifact) = &version.artifact else {
        return Ok(());
    };
    match services.model_cache.get_model(artifact).await {
        Ok(_) => Ok(()),
        Err(why) => Err(Error::validation(format!(
            "{} cannot become ACTIVE: {why}.",
            version.title()
        ))),
    }
}

async fn refuse_if_used(change: &Change<'_>, version: &ModelVersion) -> Result<()> {
    for detector in list_detectors(change).await? {
        let user = find_version_using_model(change, &detector, &version.key()).await?;
        if let Some(number) = user {
            return Err(Error::conflict(format!(
                "{} is used by version {number} of detector '{}'.",
                version.title(),
                detector.detector_id
            )));
        }
    }
    Ok(())
}

/// A model version in the answer of `GetModelVersion`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetModelVersionOutput {
    model_id: String,
    model_type: ApiModelType,
    model_version_number: ModelVersionNumber,
    training_data_source: TrainingDataSource,
    training_data_schema: TrainingDataSchema,
    #[serde(flatten)]
    details: TrainingDetails,
    status: ModelVersionStatus,
    arn: String,
}

pub(crate) async fn get_model_version(
    services: &EngineServices,
    input: ModelVersionReference,
) -> Result<GetModelVersionOutput> {
    let version: Option<ModelVersion> = services.account.definitions.get(&input.key()).await?;
    let version = version
        .ok_or_else(|| missing_model_version(&input.model_id, input.model_version_number))?;
    Ok(GetModelVersionOutput {
        arn: make_model_version_arn(services, &input),
        model_id: version.model_id,
        model_type: version.model_type,
        model_version_number: version.model_version_number,
        training_data_source: version.training_data_source,
        training_data_schema: version.training_data_schema,
        details: version.details,
        status: version.status,
    })
}

pub(crate) fn make_model_version_arn(
    services: &EngineServices,
    version: &ModelVersionReference,
) -> String {
    let ModelVersionReference {
        model_id,
        model_type,
        model_version_number,
    } = version;
    let path = format!("{}/{model_id}/{model_version_number}", model_type.name());
    services.account.arn(MODEL_VERSION_PARTITION, &path)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeModelVersionsInput {
    model_id: Option<String>,
    model_version_number: Option<ModelVersionNumber>,
    model_type: Option<ApiModelType>,
    #[serde(flatten)]
    paging: PageRequest,
}

/// A model version in the answer of `DescribeModelVersions`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelVersionDetail {
    #[serde(flatten)]
    version: GetModelVersionOutput,
    #[serde(skip_serializing_if = "Option::is_none")]
    training_result: Option<TrainingResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    training_result_v2: Option<TrainingResultV2>,
    last_updated_time: String,
    created_time: String,
}

/// Lists model versions: of all models, of a type, of one model, or one version.
pub(crate) async fn describe_model_versions(
    services: &EngineServices,
    input: DescribeModelVersionsInput,
) -> Result<impl Serialize + use<>> {
    let DescribeModelVersionsInput {
        model_id,
        model_version_number,
        model_type,
        paging,
    } = input;
    let page: Page<ModelVersion> = match (model_id, model_version_number) {
        (None, Some(_)) => {
            return Err(Error::validation("A modelVersionNumber needs a modelId."));
        }
        (Some(model_id), Some(number)) => {
            let model = find_requested_model(services, &model_id, model_type).await?;
            let key = model_version_key(model.model_type, &model_id, number);
            let found = services.account.definitions.get(&key).await?;
            Page::of_one_row(found.ok_or_else(|| missing_model_version(&model_id, number))?)
        }
        (Some(model_id), None) => {
            let model = find_requested_model(services, &model_id, model_type).await?;
            list_versions_page(
                services,
                &model_version_prefix(model.model_type, &model_id),
                &paging,
            )
            .await?
        }
        (None, None) => {
            let prefix = model_type.map(|model_type| format!("{}#", model_type.name()));
            list_versions_page(services, &prefix.unwrap_or_default(), &paging).await?
        }
    };
    let mut rows = Vec::with_capacity(page.rows.len());
    for version in page.rows {
        let outcome = load_training_outcome(services, &version).await?;
        rows.push(make_model_version_detail(
            services,
            version,
            outcome.as_ref(),
        ));
    }
    Ok(page::make_page_output(
        "modelVersionDetails",
        Page {
            rows,
            next_token: page.next_token,
        },
    ))
}

async fn list_versions_page(
    services: &EngineServices,
    prefix: &str,
    paging: &PageRequest,
) -> Result<Page<ModelVersion>> {
    let listing = Listing {
        operation: "DescribeModelVersions",
        filters: "",
        pk: MODEL_VERSION_PARTITION,
        prefix,
        default_size: 10,
    };
    listing.read_page(&services.account, paging).await
}

/// The result or the progress of a training.
async fn load_training_outcome(
    services: &EngineServices,
    version: &ModelVersion,
) -> Result<Option<TrainingOutcome>> {
    if let Some(result) = &version.result {
        return bundle::load_bundle(&services.account.definitions, result)
            .await
            .map(Some);
    }
    if version.status != ModelVersionStatus::TrainingInProgress {
        return Ok(None);
    }
    let job: Option<TrainingJob> = services
        .account
        .definitions
        .get(&version.training_job().key())
        .await?;
    let content = job.and_then(|job| job.progress).unwrap_or_else(|| {
        "Waiting to be trained: `fraudstream serve` and `fraudstream jobs` do.".to_owned()
    });
    Ok(Some(TrainingOutcome::from_messages(vec![
        TrainingMessage {
            level: Severity::Info,
            field: None,
            title: "Training in progress".to_owned(),
            content,
        },
    ])))
}

fn make_model_version_detail(
    services: &EngineServices,
    version: ModelVersion,
    outcome: Option<&TrainingOutcome>,
) -> ModelVersionDetail {
    let reference = ModelVersionReference {
        model_id: version.model_id,
        model_type: version.model_type,
        model_version_number: version.model_version_number,
    };
    ModelVersionDetail {
        version: GetModelVersionOutput {
            arn: make_model_version_arn(services, &reference),
            model_id: reference.model_id,
            model_type: reference.model_type,
            model_version_number: reference.model_version_number,
            training_data_source: version.training_data_source,
            training_data_schema: version.training_data_schema,
            details: version.details,
            status: version.status,
        },
        training_result: outcome.map(TrainingResult::new),
        training_result_v2: outcome
            .map(|outcome| TrainingResultV2::new(outcome, version.model_type)),
        last_updated_time: version.last_updated_time,
        created_time: version.created_time,
    }
}

/// Deletes a version. Rejected while it is in training, ACTIVE, or used by a detector version.
pub(crate) async fn delete_model_version(
    services: &EngineServices,
    input: ModelVersionReference,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let Some(version) = change.get::<ModelVersion>(&input.key()).await? else {
        return Ok(EmptyOutput {});
    };
    if matches!(
        version.status,
        ModelVersionStatus::Active | ModelVersionStatus::TrainingInProgress
    ) {
        let message = format!("{} is {}.", version.title(), version.status);
        return Err(Error::conflict(message));
    }
    refuse_if_used(&change, &version).await?;
    change.delete(version.key());
    services.account.commit_change(change).await?;
    if let Some(artifact) = &version.artifact {
        services.model_cache.delete_model(artifact).await;
    }
    Ok(EmptyOutput {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_number_is_written_as_on_the_wire() {
        for (text, want) in [
            ("1.0", "1.0"),
            ("1.00", "1.0"),
            ("2.01", "2.01"),
            ("2.1", "2.01"),
            ("9999.99", "9999.99"),
        ] {
            let number = ModelVersionNumber::try_from(text.to_owned()).unwrap();
            assert_eq!(number.to_string(), want);
        }
        for text in ["1", "x.0", "1.x", ""] {
            assert!(
                ModelVersionNumber::try_from(text.to_owned()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn versions_are_in_order() {
        let key = |text: &str| {
            let number = ModelVersionNumber::try_from(text.to_owned()).unwrap();
            model_version_key(ApiModelType::OnlineFraudInsights, "m", number).sk
        };
        let keys = ["1.0", "1.01", "1.10", "2.0", "10.0"].map(key);
        assert!(keys.is_sorted(), "{keys:?}");
    }
}
