//! Model versions: what each is trained on, and where it is in its life.
//!
//! `TRAINING_IN_PROGRESS` → `TRAINING_COMPLETE`, `TRAINING_CANCELLED` or `ERROR`;
//! `TRAINING_COMPLETE` ⇄ `ACTIVE`. No operation trains: they also run in functions. A version
//! in training has a job beside it, for whoever does.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use model::{LabelsAre, Level, Message};
use serde::{Deserialize, Serialize};

use super::super::detectors;
use super::super::event_types;
use super::super::events;
use super::super::page::{self, Listing, Page, Paging};
use super::super::tags::{Tag, Tags};
use super::super::variables::{self, Variable};
use super::super::versions as detector_versions;
use super::super::{Empty, EventType, event_type_key};
use super::{Model, ModelType, Reference, of_request, score_variable};
use crate::bundle::{self, BundleReference, BundledModel};
use crate::engine::Engine;
use crate::jobs::Location;
use crate::scorers::Artifact;
use crate::store::{Change, Key, Range, Record};
use crate::training::{Outcome, TrainingResult, TrainingResultV2};
use protocol::text;
use protocol::{Error, Result};

const PARTITION: &str = "model-version";
const JOBS: &str = "training-job";
/// Versions that can score; the ledger counts them against the quota.
const DEPLOYED: &str = "deployed model version";
/// The tag that says whether labels are `final` or `maturing`; without it the events do. The API has no member for it.
const LABELS: &str = "fraudstream:labels";
/// Variables that a model learns from, at least and at most.
const VARIABLES: std::ops::RangeInclusive<usize> = 2..=100;
/// What `modelVersionNumber` has room for: `1.99`.
const LAST_MINOR: u32 = 99;
const LAST_MAJOR: u32 = 9999;

/// `1.0` is trained from nothing, `1.01` is that version trained again on other events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct VersionNumber {
    major: u32,
    minor: u32,
}

impl fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            0 => write!(f, "{}.0", self.major),
            minor => write!(f, "{}.{minor:02}", self.major),
        }
    }
}

impl From<VersionNumber> for String {
    fn from(number: VersionNumber) -> Self {
        number.to_string()
    }
}

impl TryFrom<String> for VersionNumber {
    type Error = &'static str;

    /// Reads `1.0`; `1.00` is the same version, and so are `1.1` and `1.01`.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let expected = "a model version is a number such as 1.0";
        let (major, minor) = text.split_once('.').ok_or(expected)?;
        let number = |text: &str| text.parse().map_err(|_| expected);
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

/// Where a version is in its life, in the words of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    TrainingInProgress,
    TrainingComplete,
    TrainingCancelled,
    Active,
    Error,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TrainingInProgress => "TRAINING_IN_PROGRESS",
            Self::TrainingComplete => "TRAINING_COMPLETE",
            Self::TrainingCancelled => "TRAINING_CANCELLED",
            Self::Active => "ACTIVE",
            Self::Error => "ERROR",
        })
    }
}

/// Where a version's events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TrainingDataSource {
    ExternalEvents,
    IngestedEvents,
}

/// Which variables a version learns from, and which labels mean what.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrainingDataSchema {
    pub(crate) model_variables: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label_schema: Option<LabelSchema>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LabelSchema {
    /// `FRAUD` and `LEGIT`, each with labels of the event type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label_mapper: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unlabeled_events_treatment: Option<UnlabeledEventsTreatment>,
}

/// What an event without a label counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum UnlabeledEventsTreatment {
    Ignore,
    Fraud,
    Legit,
    Auto,
}

/// A file of events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalEvents {
    pub(crate) data_location: String,
    data_access_role_arn: String,
}

/// Stored events of a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IngestedEvents {
    pub(crate) ingested_events_time_window: TimeWindow,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TimeWindow {
    pub(crate) start_time: String,
    pub(crate) end_time: String,
}

/// The details of a training's data, in requests and answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) external_events_detail: Option<ExternalEvents>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ingested_events_detail: Option<IngestedEvents>,
}

/// A model version as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelVersion {
    pub(crate) model_id: String,
    pub(crate) model_type: ModelType,
    pub(crate) model_version_number: VersionNumber,
    pub(crate) event_type_name: String,
    pub(crate) status: Status,
    pub(crate) training_data_source: TrainingDataSource,
    pub(crate) training_data_schema: TrainingDataSchema,
    #[serde(flatten)]
    pub(crate) details: Details,
    pub(crate) last_updated_time: String,
    pub(super) created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(super) tags: Tags,
    /// The model, once it is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifact: Option<Artifact>,
    /// How the training ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<BundleReference>,
}

impl Record for ModelVersion {
    fn key(&self) -> Key {
        version_key(self.model_type, &self.model_id, self.model_version_number)
    }
}

/// A training that is to be done, and who does it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) model_id: String,
    pub(crate) model_type: ModelType,
    pub(crate) model_version_number: VersionNumber,
    /// The runner that has taken it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worker: Option<String>,
    /// Until when it is taken, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease_until: Option<i64>,
    /// How far it is, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<String>,
}

impl Job {
    pub(crate) fn version_key(&self) -> Key {
        version_key(self.model_type, &self.model_id, self.model_version_number)
    }
}

/// The trainings that are to be done.
pub(crate) async fn jobs(engine: &Engine) -> Result<Vec<Job>> {
    engine.definitions.query(Range::all(JOBS)).await
}

/// Ends the training of a version that is still in training: with a model it is complete, without
/// one an error. Says in which status the version is now.
pub(crate) async fn finish(
    engine: &Engine,
    trained: &ModelVersion,
    artifact: Option<Artifact>,
    result: BundleReference,
) -> Result<Status> {
    loop {
        let mut change = engine.change().await?;
        let found: Option<ModelVersion> = change.get(&trained.key()).await?;
        // Another version may have the number by now; its training began at another time.
        let Some(version) = found.filter(|found| found.created_time == trained.created_time) else {
            return Ok(Status::TrainingCancelled);
        };
        if version.status != Status::TrainingInProgress {
            return Ok(Status::TrainingCancelled);
        }
        let status = match &artifact {
            Some(_) => Status::TrainingComplete,
            None => Status::Error,
        };
        change.delete(version.job().key());
        change.put(&ModelVersion {
            status,
            artifact: artifact.clone(),
            result: Some(result.clone()),
            last_updated_time: text::milliseconds(engine.now()),
            ..version
        })?;
        match engine.commit(change).await {
            Err(error) if error.is_write_conflict() => {}
            ended => return ended.map(|()| status),
        }
    }
}

impl Record for Job {
    fn key(&self) -> Key {
        Key::new(JOBS, self.version_key().sk)
    }
}

fn prefix(model_type: ModelType, model_id: &str) -> String {
    format!("{}#{model_id}#", model_type.name())
}

pub(crate) fn version_key(model_type: ModelType, model_id: &str, number: VersionNumber) -> Key {
    let VersionNumber { major, minor } = number;
    let prefix = prefix(model_type, model_id);
    Key::new(PARTITION, format!("{prefix}{major:05}.{minor:02}"))
}

/// The key of a version as an ARN names it.
pub(crate) fn key_of_text(model_type: &str, model_id: &str, number: &str) -> Option<Key> {
    let model_type = ModelType::ALL
        .into_iter()
        .find(|known| known.name() == model_type)?;
    let number = VersionNumber::try_from(number.to_owned()).ok()?;
    Some(version_key(model_type, model_id, number))
}

/// The versions of a model, oldest first.
pub(super) async fn of(
    change: &Change<'_>,
    model_type: ModelType,
    model_id: &str,
) -> Result<Vec<ModelVersion>> {
    let prefix = prefix(model_type, model_id);
    change.query(Range::all(PARTITION).prefix(&prefix)).await
}

/// The version of the same model that a new one is to follow, with its artifact: the newest ACTIVE one, else the newest
/// that is trained.
pub(crate) async fn trained_before(
    engine: &Engine,
    new: &ModelVersion,
) -> Result<Option<(VersionNumber, Artifact)>> {
    let prefix = prefix(new.model_type, &new.model_id);
    let range = Range::all(PARTITION).prefix(&prefix);
    let versions: Vec<ModelVersion> = engine.definitions.query(range).await?;
    let trained = |version: ModelVersion| {
        let is_active = version.status == Status::Active;
        Some((is_active, version.model_version_number, version.artifact?))
    };
    let newest = versions
        .into_iter()
        .filter(|version| version.model_version_number != new.model_version_number)
        .filter_map(trained)
        .max_by_key(|(is_active, number, _)| (*is_active, *number));
    Ok(newest.map(|(_, number, artifact)| (number, artifact)))
}

impl ModelVersion {
    fn job(&self) -> Job {
        Job {
            model_id: self.model_id.clone(),
            model_type: self.model_type,
            model_version_number: self.model_version_number,
            worker: None,
            lease_until: None,
            progress: None,
        }
    }

    /// Whether it was trained elsewhere: then it has no events.
    fn is_imported(&self) -> bool {
        let details = &self.details;
        details.external_events_detail.is_none() && details.ingested_events_detail.is_none()
    }

    /// Whether labels may still change, if whoever asked for the version said so.
    pub(crate) fn labels_are(&self) -> Option<LabelsAre> {
        labels_are(&self.tags).ok().flatten()
    }

    /// `scorer/1.0`, for the name of its artifact.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.model_id, self.model_version_number)
    }

    /// What a detector version pins of it.
    pub(crate) fn bundled(&self) -> BundledModel {
        let name = score_variable(&self.model_id);
        BundledModel {
            version: VersionReference {
                model_id: self.model_id.clone(),
                model_type: self.model_type,
                model_version_number: self.model_version_number,
            },
            score: Variable::score(name, &self.model_id, "").bundled(),
            artifact: self.artifact.clone(),
        }
    }

    /// `Version 1.0 of model 'm'`, as a sentence begins with it.
    fn title(&self) -> String {
        title(&self.model_id, self.model_version_number)
    }
}

fn title(model_id: &str, number: VersionNumber) -> String {
    format!("Version {number} of model '{model_id}'")
}

pub(crate) fn missing(model_id: &str, number: VersionNumber) -> Error {
    Error::not_found(format!("{} does not exist.", title(model_id, number)))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    #[serde(flatten)]
    model: Reference,
    training_data_source: TrainingDataSource,
    training_data_schema: TrainingDataSchema,
    #[serde(flatten)]
    details: Details,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Created {
    model_id: String,
    model_type: ModelType,
    model_version_number: VersionNumber,
    status: Status,
}

/// Asks for the training of the next major version.
pub(crate) async fn create_version(engine: &Engine, input: Create) -> Result<Created> {
    let tags = Tags::new(input.tags)?;
    labels_are(&tags)?;
    let mut change = engine.change().await?;
    let mut model = input.model.find(&change).await?;
    check_source(model.model_type, input.training_data_source, &input.details)?;
    check_schema(&change, &model, &input.training_data_schema).await?;
    check_room(engine, &change, &model).await?;
    let number = next_major(&mut model)?;
    let now = text::milliseconds(engine.now());
    let version = ModelVersion {
        model_id: model.model_id.clone(),
        model_type: model.model_type,
        model_version_number: number,
        event_type_name: model.event_type_name.clone(),
        status: Status::TrainingInProgress,
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
    begin(engine, change, version).await
}

/// Gives out the next major version of a model.
pub(super) fn next_major(model: &mut Model) -> Result<VersionNumber> {
    if model.last_major_version >= LAST_MAJOR {
        let message = format!("A model may have at most {LAST_MAJOR} major versions.");
        return Err(Error::validation(message));
    }
    model.last_major_version += 1;
    Ok(VersionNumber {
        major: model.last_major_version,
        minor: 0,
    })
}

async fn begin(engine: &Engine, mut change: Change<'_>, version: ModelVersion) -> Result<Created> {
    if version.model_type != ModelType::OnlineFraudInsights {
        let mapper = version.training_data_schema.label_schema.as_ref();
        let mapper = mapper.and_then(|schema| schema.label_mapper.as_ref());
        let fraud = mapper.and_then(|mapper| mapper.get("FRAUD"));
        let fraud = fraud.map(Vec::as_slice).unwrap_or_default();
        event_types::watch(engine, &mut change, &version.event_type_name, fraud).await?;
    }
    change.put(&version)?;
    change.put(&version.job())?;
    engine.commit(change).await?;
    Ok(Created {
        model_id: version.model_id,
        model_type: version.model_type,
        model_version_number: version.model_version_number,
        status: version.status,
    })
}

/// Which source a model type may learn from, and that it is said where the events are.
fn check_source(
    model_type: ModelType,
    source: TrainingDataSource,
    details: &Details,
) -> Result<()> {
    let lacking = match source {
        TrainingDataSource::ExternalEvents if model_type != ModelType::OnlineFraudInsights => {
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
            return Location::object("dataLocation", location.unwrap_or_default()).map(|_| ());
        }
        TrainingDataSource::IngestedEvents => return check_window(details),
    };
    Err(Error::validation(format!(
        "The trainingDataSource {lacking}."
    )))
}

fn check_window(details: &Details) -> Result<()> {
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
    if events::moment("startTime", start_time)? >= events::moment("endTime", end_time)? {
        return Err(Error::validation(
            "The startTime of ingestedEventsTimeWindow is not before its endTime.",
        ));
    }
    Ok(())
}

/// Checks the variables and labels that a version learns from.
async fn check_schema(
    change: &Change<'_>,
    model: &Model,
    schema: &TrainingDataSchema,
) -> Result<()> {
    let event_type: Option<EventType> = change.get(&event_type_key(&model.event_type_name)).await?;
    let event_type = event_type.ok_or_else(|| event_types::missing(&model.event_type_name))?;
    check_variables(change, model, &event_type, &schema.model_variables).await?;
    check_labels(model, &event_type, schema.label_schema.as_ref())
}

async fn check_variables(
    change: &Change<'_>,
    model: &Model,
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
        .map(|name| variables::key(name))
        .collect();
    let found: Vec<Variable> = change.many(&keys).await?;
    let variable = |name: &&String| found.iter().find(|variable| variable.name == **name);
    refuse(
        names.iter().filter(|name| variable(name).is_none()),
        |names| {
            // Amazon's words.
            Error::not_found(format!("VariableIds: {names} do not exist."))
        },
    )?;
    let included = |name: &&String| event_type.event_variables.contains(*name);
    refuse(names.iter().filter(|name| !included(name)), |names| {
        Error::validation(format!(
            "Variables {names} are not included in event type '{}'.",
            event_type.name
        ))
    })?;
    let typed = |name: &&String| variable(name).is_some_and(|v| v.variable_type.is_some());
    refuse(names.iter().filter(|name| !typed(name)), |names| {
        Error::validation(format!(
            "Variables {names} have no variable type: a model learns only from variables that have one."
        ))
    })?;
    if !VARIABLES.contains(&names.len()) {
        let (least, most) = VARIABLES.into_inner();
        return Err(Error::validation(format!(
            "A model learns from {least} to {most} variables, not from {}.",
            names.len()
        )));
    }
    match model.model_type {
        ModelType::AccountTakeoverInsights => check_login(names, &found),
        _ => Ok(()),
    }
}

/// An error about these names, if there are any.
pub(super) fn refuse<'a>(
    names: impl Iterator<Item = &'a String>,
    error: impl FnOnce(String) -> Error,
) -> Result<()> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(error(text::names(names)))
}

/// A login is an address, a browser, and whether the password was right.
fn check_login(names: &[String], variables: &[Variable]) -> Result<()> {
    for wanted in ["IP_ADDRESS", "USERAGENT", "ARE_CREDENTIALS_VALID"] {
        let is = |variable: &&Variable| {
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

fn check_labels(model: &Model, event_type: &EventType, schema: Option<&LabelSchema>) -> Result<()> {
    let mapper = schema.and_then(|schema| schema.label_mapper.as_ref());
    let Some(mapper) = mapper else {
        return match model.model_type {
            ModelType::AccountTakeoverInsights => Ok(()),
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
    refuse(mapper.values().flatten().filter(unknown), |names| {
        Error::validation(format!(
            "Labels {names} are not included in event type '{}'.",
            event_type.name
        ))
    })
}

/// Checks the quotas: versions of the model, and trainings at once.
async fn check_room(engine: &Engine, change: &Change<'_>, model: &Model) -> Result<()> {
    let limits = &engine.options.quotas;
    let jobs: Vec<Job> = change.query(Range::all(JOBS)).await?;
    let ours = |job: &Job| job.model_type == model.model_type && job.model_id == model.model_id;
    if jobs.iter().any(ours) {
        // Amazon's words; it allows one training per model.
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
    check_count(engine, change, model).await
}

/// Checks the quota of versions of a model.
pub(super) async fn check_count(engine: &Engine, change: &Change<'_>, model: &Model) -> Result<()> {
    let limits = &engine.options.quotas;
    let versions = of(change, model.model_type, &model.model_id).await?.len();
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
pub(crate) struct UpdateVersion {
    #[serde(flatten)]
    model: Reference,
    major_version_number: String,
    #[serde(flatten)]
    details: Details,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Asks for a training of a major version again, on other events: the next minor version.
pub(crate) async fn update_version(engine: &Engine, input: UpdateVersion) -> Result<Created> {
    let mut tags = Tags::new(input.tags)?;
    let change = engine.change().await?;
    let model = input.model.find(&change).await?;
    let before = of(&change, model.model_type, &model.model_id)
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
    check_source(
        model.model_type,
        before.training_data_source,
        &input.details,
    )?;
    // How labels are taken is part of what is trained again, as the schema is.
    tags.take_over(LABELS, &before.tags);
    labels_are(&tags)?;
    check_schema(&change, &model, &before.training_data_schema).await?;
    check_room(engine, &change, &model).await?;
    let VersionNumber { major, minor } = before.model_version_number;
    if minor >= LAST_MINOR {
        let message = format!("A major version may be trained again at most {LAST_MINOR} times.");
        return Err(Error::validation(message));
    }
    let now = text::milliseconds(engine.now());
    let version = ModelVersion {
        model_version_number: VersionNumber {
            major,
            minor: minor + 1,
        },
        status: Status::TrainingInProgress,
        details: input.details,
        last_updated_time: now.clone(),
        created_time: now,
        tags,
        artifact: None,
        result: None,
        ..before
    };
    begin(engine, change, version).await
}

fn labels_are(tags: &Tags) -> Result<Option<LabelsAre>> {
    match tags.get(LABELS) {
        None => Ok(None),
        Some("final") => Ok(Some(LabelsAre::Final)),
        Some("maturing") => Ok(Some(LabelsAre::Maturing)),
        Some(_) => Err(Error::validation(format!(
            "The tag '{LABELS}' of a model version says final or maturing."
        ))),
    }
}

/// Names a model version, in requests and as detector versions store it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VersionReference {
    pub(crate) model_id: String,
    pub(crate) model_type: ModelType,
    pub(crate) model_version_number: VersionNumber,
}

impl VersionReference {
    pub(crate) fn key(&self) -> Key {
        version_key(self.model_type, &self.model_id, self.model_version_number)
    }

    pub(crate) async fn find(&self, change: &Change<'_>) -> Result<ModelVersion> {
        let found = change.get(&self.key()).await?;
        found.ok_or_else(|| missing(&self.model_id, self.model_version_number))
    }
}

/// The statuses that a request may ask for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum WantedStatus {
    Active,
    Inactive,
    TrainingCancelled,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateStatus {
    #[serde(flatten)]
    version: VersionReference,
    status: WantedStatus,
}

/// Cancels a training, or lets a version score, or stops it. A version that was stopped reads
/// `TRAINING_COMPLETE` again, as at Amazon.
pub(crate) async fn update_version_status(engine: &Engine, input: UpdateStatus) -> Result<Empty> {
    let mut change = engine.change().await?;
    let version = input.version.find(&change).await?;
    let status = match (version.status, input.status) {
        (Status::TrainingInProgress, WantedStatus::TrainingCancelled) => {
            change.delete(version.job().key());
            Status::TrainingCancelled
        }
        (Status::TrainingComplete, WantedStatus::Active) => {
            check_artifact(engine, &version).await?;
            change.count(DEPLOYED, 1, engine.options.quotas.deployed_model_versions)?;
            Status::Active
        }
        (Status::Active, WantedStatus::Inactive) => {
            refuse_used(&change, &version).await?;
            change.count(DEPLOYED, -1, usize::MAX)?;
            Status::TrainingComplete
        }
        (Status::Active, WantedStatus::Active)
        | (Status::TrainingCancelled, WantedStatus::TrainingCancelled) => return Ok(Empty {}),
        (from, to) => {
            let to = match to {
                WantedStatus::Active => "ACTIVE",
                WantedStatus::Inactive => "INACTIVE",
                WantedStatus::TrainingCancelled => "TRAINING_CANCELLED",
            };
            let message = format!("A model version cannot go from status {from} to {to}.");
            return Err(Error::validation(message));
        }
    };
    change.put(&ModelVersion {
        status,
        last_updated_time: text::milliseconds(engine.now()),
        ..version
    })?;
    engine.commit(change).await.map(|()| Empty {})
}

/// A broken model is found before anything depends on it.
async fn check_artifact(engine: &Engine, version: &ModelVersion) -> Result<()> {
    let Some(artifact) = &version.artifact else {
        return Ok(());
    };
    match engine.scorer(artifact).await {
        Ok(_) => Ok(()),
        Err(why) => Err(Error::validation(format!(
            "{} cannot become ACTIVE: {why}.",
            version.title()
        ))),
    }
}

async fn refuse_used(change: &Change<'_>, version: &ModelVersion) -> Result<()> {
    for detector in detectors::all(change).await? {
        let user = detector_versions::user_of_model(change, &detector, &version.key()).await?;
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

/// A model version as `GetModelVersion` answers it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetOutput {
    model_id: String,
    model_type: ModelType,
    model_version_number: VersionNumber,
    training_data_source: TrainingDataSource,
    training_data_schema: TrainingDataSchema,
    #[serde(flatten)]
    details: Details,
    status: Status,
    arn: String,
}

pub(crate) async fn get_version(engine: &Engine, input: VersionReference) -> Result<GetOutput> {
    let version: Option<ModelVersion> = engine.definitions.get(&input.key()).await?;
    let version = version.ok_or_else(|| missing(&input.model_id, input.model_version_number))?;
    Ok(GetOutput {
        arn: arn(engine, &input),
        model_id: version.model_id,
        model_type: version.model_type,
        model_version_number: version.model_version_number,
        training_data_source: version.training_data_source,
        training_data_schema: version.training_data_schema,
        details: version.details,
        status: version.status,
    })
}

pub(crate) fn arn(engine: &Engine, version: &VersionReference) -> String {
    let VersionReference {
        model_id,
        model_type,
        model_version_number,
    } = version;
    let path = format!("{}/{model_id}/{model_version_number}", model_type.name());
    engine.arn(PARTITION, &path)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Describe {
    model_id: Option<String>,
    model_version_number: Option<VersionNumber>,
    model_type: Option<ModelType>,
    #[serde(flatten)]
    paging: Paging,
}

/// A model version as `DescribeModelVersions` answers it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(flatten)]
    version: GetOutput,
    #[serde(skip_serializing_if = "Option::is_none")]
    training_result: Option<TrainingResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    training_result_v2: Option<TrainingResultV2>,
    last_updated_time: String,
    created_time: String,
}

/// Lists model versions: of all models, of a type, of a model, or the one that is named.
pub(crate) async fn describe_versions(
    engine: &Engine,
    input: Describe,
) -> Result<impl Serialize + use<>> {
    let Describe {
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
            let model = of_request(engine, &model_id, model_type).await?;
            let key = version_key(model.model_type, &model_id, number);
            let found = engine.definitions.get(&key).await?;
            Page::one(found.ok_or_else(|| missing(&model_id, number))?)
        }
        (Some(model_id), None) => {
            let model = of_request(engine, &model_id, model_type).await?;
            list(engine, &prefix(model.model_type, &model_id), &paging).await?
        }
        (None, None) => {
            let prefix = model_type.map(|model_type| format!("{}#", model_type.name()));
            list(engine, &prefix.unwrap_or_default(), &paging).await?
        }
    };
    let mut rows = Vec::with_capacity(page.rows.len());
    for version in page.rows {
        let outcome = outcome(engine, &version).await?;
        rows.push(detail(engine, version, outcome.as_ref()));
    }
    Ok(page::output(
        "modelVersionDetails",
        Page {
            rows,
            next_token: page.next_token,
        },
    ))
}

async fn list(engine: &Engine, prefix: &str, paging: &Paging) -> Result<Page<ModelVersion>> {
    let listing = Listing {
        operation: "DescribeModelVersions",
        filters: "",
        pk: PARTITION,
        prefix,
        usual: 10,
    };
    listing.page(engine, paging).await
}

/// How a training ended, or how far it is.
async fn outcome(engine: &Engine, version: &ModelVersion) -> Result<Option<Outcome>> {
    if let Some(result) = &version.result {
        return bundle::load(&engine.definitions, result).await.map(Some);
    }
    if version.status != Status::TrainingInProgress {
        return Ok(None);
    }
    let job: Option<Job> = engine.definitions.get(&version.job().key()).await?;
    let content = job.and_then(|job| job.progress).unwrap_or_else(|| {
        "Waiting to be trained: `fraudstream serve` and `fraudstream jobs` do.".to_owned()
    });
    Ok(Some(Outcome::of(vec![Message {
        level: Level::Info,
        field: None,
        title: "Training in progress".to_owned(),
        content,
    }])))
}

fn detail(engine: &Engine, version: ModelVersion, outcome: Option<&Outcome>) -> Detail {
    let reference = VersionReference {
        model_id: version.model_id,
        model_type: version.model_type,
        model_version_number: version.model_version_number,
    };
    Detail {
        version: GetOutput {
            arn: arn(engine, &reference),
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

/// Refused while it is in training, ACTIVE, or used by a detector version.
pub(crate) async fn delete_version(engine: &Engine, input: VersionReference) -> Result<Empty> {
    let mut change = engine.change().await?;
    let Some(version) = change.get::<ModelVersion>(&input.key()).await? else {
        return Ok(Empty {});
    };
    if matches!(version.status, Status::Active | Status::TrainingInProgress) {
        let message = format!("{} is {}.", version.title(), version.status);
        return Err(Error::conflict(message));
    }
    refuse_used(&change, &version).await?;
    change.delete(version.key());
    engine.commit(change).await?;
    if let Some(artifact) = &version.artifact {
        engine.delete_model(artifact).await;
    }
    Ok(Empty {})
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
            let number = VersionNumber::try_from(text.to_owned()).unwrap();
            assert_eq!(number.to_string(), want);
        }
        for text in ["1", "x.0", "1.x", ""] {
            assert!(VersionNumber::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn versions_are_in_order() {
        let key = |text: &str| {
            let number = VersionNumber::try_from(text.to_owned()).unwrap();
            version_key(ModelType::OnlineFraudInsights, "m", number).sk
        };
        let keys = ["1.0", "1.01", "1.10", "2.0", "10.0"].map(key);
        assert!(keys.is_sorted(), "{keys:?}");
    }
}
