//! Model versions: their training data and their status.
//!
//! `TRAINING_IN_PROGRESS` → `TRAINING_COMPLETE`, `TRAINING_CANCELLED` or `ERROR`; `TRAINING_COMPLETE` ⇄ `ACTIVE`.
//! Operations do not train, because they also run in functions. A version in training has a training job, which a
//! runner finds.

use std::collections::HashSet;

use crate::event_check::parse_request_time;
use crate::operations::models::ModelReference;
use crate::operations::models::find_requested_model;
use crate::operations::training_result::{TrainingOutcome, TrainingResult, TrainingResultV2};
use crate::operations::{EmptyOutput, event_types};
use crate::services::EngineServices;
use model::{Severity, TrainingMessage};
use protocol::page::{Page, PageRequest};
use protocol::s3_location::S3Location;
use protocol::{Error, Result, page, text};
use serde::{Deserialize, Serialize};
use store::bundle;
use store::bundle::BundleReference;
use store::change::Change;
use store::listing::Listing;
use store::records::detector::list_detectors;
use store::records::detector_version::find_version_using_model;
use store::records::event_type::{EventType, event_type_key, missing_event_type};
use store::records::model::{ApiModelType, StoredModel};
use store::records::model_version::{
    IngestedEvents, LABELS_TAG, LabelSchema, MODEL_VERSION_PARTITION, ModelArtifact, ModelVersion,
    ModelVersionNumber, ModelVersionReference, ModelVersionStatus, TRAINING_JOBS, TimeWindow,
    TrainingDataSchema, TrainingDataSource, TrainingDetails, TrainingJob, list_model_versions,
    missing_model_version, model_version_key, model_version_prefix, read_labels_tag,
};
use store::records::tags::{Tag, Tags};
use store::records::variable::{StoredVariable, variable_key};
use store::table::StoredRecord as _;
use store::table::{Key, KeyRange};

/// The key under which the ledger counts ACTIVE versions against the quota.
const DEPLOYED_VERSION_KIND: &str = "deployed model version";
/// How many variables a model may be trained on.
const ALLOWED_VARIABLE_COUNT: std::ops::RangeInclusive<usize> = 2..=100;
/// The largest minor version that fits into `modelVersionNumber`: `1.99`.
const LAST_MINOR: u32 = 99;
const LAST_MAJOR: u32 = 9999;

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
    let mut model = input.model.find(&change).await?;
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
    if model.last_major_version >= LAST_MAJOR {
        let message = format!("A model may have at most {LAST_MAJOR} major versions.");
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
        event_types::track_histories(services, &mut change, &version.event_type_name, fraud)
            .await?;
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

/// Checks that the model type may use this data source, and that the request says where the events are.
fn check_training_source(
    model_type: ApiModelType,
    source: TrainingDataSource,
    details: &TrainingDetails,
) -> Result<()> {
    let lacking = match source {
        TrainingDataSource::ExternalEvents if model_type != ApiModelType::OnlineFraudInsights => {
            return Err(Error::validation(format!(
                "A model of type {} learns from stored events: its trainingDataSource must be INGESTED_EVENTS.",
                model_type.name()
            )));
        }
        TrainingDataSource::ExternalEvents if details.external_events_detail.is_none() => {
            "EXTERNAL_EVENTS needs an externalEventsDetail"
        }
        TrainingDataSource::IngestedEvents if details.ingested_events_detail.is_none() => {
            "INGESTED_EVENTS needs an ingestedEventsDetail"
        }
        TrainingDataSource::ExternalEvents => {
            let detail = details.external_events_detail.as_ref();
            let location = detail.map(|detail| detail.data_location.as_str());
            return S3Location::parse_object("dataLocation", location.unwrap_or_default())
                .map(|_| ());
        }
        TrainingDataSource::IngestedEvents => return check_time_window(details),
    };
    Err(Error::validation(format!(
        "The trainingDataSource {lacking}."
    )))
}

fn check_time_window(details: &TrainingDetails) -> Result<()> {
    let Some(IngestedEvents {
        ingested_events_time_window,
    }) = &details.ingested_events_detail
    else {
        return Ok(());
    };
    let TimeWindow {
        start_time,
        end_time,
    } = ingested_events_time_window;
    if parse_request_time("startTime", start_time)? >= parse_request_time("endTime", end_time)? {
        return Err(Error::validation(
            "The startTime of ingestedEventsTimeWindow is not before its endTime.",
        ));
    }
    Ok(())
}

/// Checks the variables and labels that a version is trained on.
async fn check_training_schema(
    change: &Change<'_>,
    model: &StoredModel,
    schema: &TrainingDataSchema,
) -> Result<()> {
    let event_type: Option<EventType> = change.get(&event_type_key(&model.event_type_name)).await?;
    let event_type = event_type.ok_or_else(|| missing_event_type(&model.event_type_name))?;
    check_variables(change, model, &event_type, &schema.model_variables).await?;
    check_labels(model, &event_type, schema.label_schema.as_ref())
}

async fn check_variables(
    change: &Change<'_>,
    model: &StoredModel,
    event_type: &EventType,
    names: &[String],
) -> Result<()> {
    let once: HashSet<&String> = names.iter().collect();
    if once.len() < names.len() {
        return Err(Error::validation(
            "A variable is in modelVariables more than once.",
        ));
    }
    let keys: Vec<Key> = names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| variable_key(name))
        .collect();
    let found: Vec<StoredVariable> = change.get_many(&keys).await?;
    let variable = |name: &&String| found.iter().find(|variable| variable.name == **name);
    refuse_names(
        names.iter().filter(|name| variable(name).is_none()),
        |names| {
            // The wording is Amazon's.
            Error::not_found(format!("VariableIds: {names} do not exist."))
        },
    )?;
    let included = |name: &&String| event_type.event_variables.contains(*name);
    refuse_names(names.iter().filter(|name| !included(name)), |names| {
        Error::validation(format!(
            "Variables {names} are not included in event type '{}'.",
            event_type.name
        ))
    })?;
    let typed = |name: &&String| variable(name).is_some_and(|v| v.variable_type.is_some());
    refuse_names(names.iter().filter(|name| !typed(name)), |names| {
        Error::validation(format!(
            "Variables {names} have no variable type: a model learns only from variables that have one."
        ))
    })?;
    if !ALLOWED_VARIABLE_COUNT.contains(&names.len()) {
        let (least, most) = ALLOWED_VARIABLE_COUNT.into_inner();
        return Err(Error::validation(format!(
            "A model learns from {least} to {most} variables, not from {}.",
            names.len()
        )));
    }
    match model.model_type {
        ApiModelType::AccountTakeoverInsights => check_login_variables(names, &found),
        _ => Ok(()),
    }
}

/// Returns an error about these names if there are any.
pub(super) fn refuse_names<'a>(
    names: impl Iterator<Item = &'a String>,
    error: impl FnOnce(String) -> Error,
) -> Result<()> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(error(text::join_names(names)))
}

/// Checks the variables of a login: an address, a browser, and whether the password was right.
fn check_login_variables(names: &[String], variables: &[StoredVariable]) -> Result<()> {
    for wanted in ["IP_ADDRESS", "USERAGENT", "ARE_CREDENTIALS_VALID"] {
        let is = |variable: &&StoredVariable| {
            names.contains(&variable.name) && variable.variable_type.as_deref() == Some(wanted)
        };
        if variables.iter().filter(is).count() != 1 {
            return Err(Error::validation(format!(
                "A model of type ACCOUNT_TAKEOVER_INSIGHTS needs exactly one variable of type {wanted}."
            )));
        }
    }
    Ok(())
}

fn check_labels(
    model: &StoredModel,
    event_type: &EventType,
    schema: Option<&LabelSchema>,
) -> Result<()> {
    let mapper = schema.and_then(|schema| schema.label_mapper.as_ref());
    let Some(mapper) = mapper else {
        return match model.model_type {
            ApiModelType::AccountTakeoverInsights => Ok(()),
            _ => Err(Error::validation(
                "The labelSchema needs a labelMapper that says which labels are FRAUD and which are LEGIT.",
            )),
        };
    };
    if let Some(other) = mapper
        .keys()
        .find(|key| !["FRAUD", "LEGIT"].contains(&key.as_str()))
    {
        let message = format!("The labelMapper maps FRAUD and LEGIT, not '{other}'.");
        return Err(Error::validation(message));
    }
    for class in ["FRAUD", "LEGIT"] {
        if mapper.get(class).is_none_or(Vec::is_empty) {
            let message = format!("The labelMapper needs at least one label for {class}.");
            return Err(Error::validation(message));
        }
    }
    let mut seen = HashSet::new();
    if let Some(twice) = mapper.values().flatten().find(|label| !seen.insert(*label)) {
        let message = format!("Label '{twice}' is in the labelMapper more than once.");
        return Err(Error::validation(message));
    }
    let unknown = |label: &&String| !event_type.labels.contains(*label);
    refuse_names(mapper.values().flatten().filter(unknown), |names| {
        Error::validation(format!(
            "Labels {names} are not included in event type '{}'.",
            event_type.name
        ))
    })
}

/// Checks the quotas: versions of the model, and trainings at the same time.
async fn check_training_quotas(
    services: &EngineServices,
    change: &Change<'_>,
    model: &StoredModel,
) -> Result<()> {
    let limits = &services.account.options.quotas;
    let jobs: Vec<TrainingJob> = change.query(KeyRange::all(TRAINING_JOBS)).await?;
    let ours =
        |job: &TrainingJob| job.model_type == model.model_type && job.model_id == model.model_id;
    if jobs.iter().any(ours) {
        // The wording is Amazon's; it allows one training per model at a time.
        return Err(Error::validation(
            "Simultaneous training for the same major version not allowed.",
        ));
    }
    if jobs.len() >= limits.trainings {
        return Err(Error::validation(format!(
            "At most {} model versions may be in training at once.",
            limits.trainings
        )));
    }
    check_version_quota(services, change, model).await
}

/// Checks the quota of versions per model.
pub(super) async fn check_version_quota(
    services: &EngineServices,
    change: &Change<'_>,
    model: &StoredModel,
) -> Result<()> {
    let limits = &services.account.options.quotas;
    let versions = list_model_versions(change, model.model_type, &model.model_id)
        .await?
        .len();
    if versions >= limits.versions_per_model {
        return Err(Error::validation(format!(
            "A model may have at most {} versions.",
            limits.versions_per_model
        )));
    }
    Ok(())
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
    let model = input.model.find(&change).await?;
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
    if minor >= LAST_MINOR {
        let message = format!("A major version may be trained again at most {LAST_MINOR} times.");
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
    let version = input.version.find(&change).await?;
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
        usual: 10,
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
