//! Model versions and their training jobs.

use std::collections::BTreeMap;
use std::fmt;

use model::LabelsAre;
use protocol::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::bundle::BundleReference;
use crate::change::Change;
use crate::records::model::{ApiModelType, name_score_variable};
use crate::records::tags::Tags;
use crate::records::variable::{BundledVariable, StoredVariable};
use crate::table::{Key, KeyRange, StoredRecord};

pub const MODEL_VERSION_PARTITION: &str = "model-version";

/// The partition of the trainings to be done.
pub const TRAINING_JOBS: &str = "training-job";

/// The number of a version. `1.0` is a new training; `1.01` is that version retrained on other events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelVersionNumber {
    pub major: u32,
    pub minor: u32,
}

impl fmt::Display for ModelVersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            0 => write!(f, "{}.0", self.major),
            minor => write!(f, "{}.{minor:02}", self.major),
        }
    }
}

impl From<ModelVersionNumber> for String {
    fn from(number: ModelVersionNumber) -> Self {
        number.to_string()
    }
}

impl TryFrom<String> for ModelVersionNumber {
    type Error = &'static str;

    /// Reads e.g. `1.0`. `1.00` is the same version, and so are `1.1` and `1.01`.
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

/// The status of a version, in the words of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ModelVersionStatus {
    TrainingInProgress,
    TrainingComplete,
    TrainingCancelled,
    Active,
    Error,
}

impl fmt::Display for ModelVersionStatus {
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
pub enum TrainingDataSource {
    ExternalEvents,
    IngestedEvents,
}

/// The variables that a version is trained on, and the meaning of its labels.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainingDataSchema {
    pub model_variables: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_schema: Option<LabelSchema>,
}

/// The meaning of the labels in the training data.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSchema {
    /// `FRAUD` and `LEGIT`, each with labels of the event type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_mapper: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlabeled_events_treatment: Option<UnlabeledEventsTreatment>,
}

/// How events without a label are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UnlabeledEventsTreatment {
    Ignore,
    Fraud,
    Legit,
    Auto,
}

/// A file of events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalEvents {
    pub data_location: String,
    pub data_access_role_arn: String,
}

/// Stored events of a time window.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngestedEvents {
    pub ingested_events_time_window: TimeWindow,
}

/// A time window: from its start to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeWindow {
    pub start_time: String,
    pub end_time: String,
}

/// The data that a version was trained on, in requests and answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainingDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_events_detail: Option<ExternalEvents>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingested_events_detail: Option<IngestedEvents>,
}

/// A model version as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelVersion {
    pub model_id: String,
    pub model_type: ApiModelType,
    pub model_version_number: ModelVersionNumber,
    pub event_type_name: String,
    pub status: ModelVersionStatus,
    pub training_data_source: TrainingDataSource,
    pub training_data_schema: TrainingDataSchema,
    #[serde(flatten)]
    pub details: TrainingDetails,
    pub last_updated_time: String,
    pub created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// The trained model; `None` before the training has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ModelArtifact>,
    /// The result of the training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<BundleReference>,
}

impl StoredRecord for ModelVersion {
    fn key(&self) -> Key {
        model_version_key(self.model_type, &self.model_id, self.model_version_number)
    }
}

/// A training to be done, and the runner that does it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainingJob {
    pub model_id: String,
    pub model_type: ApiModelType,
    pub model_version_number: ModelVersionNumber,
    /// The runner that has taken it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// When the lease ends, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<i64>,
    /// The progress, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
}

impl TrainingJob {
    /// The key of the model version to be trained.
    pub fn version_key(&self) -> Key {
        model_version_key(self.model_type, &self.model_id, self.model_version_number)
    }
}

/// All trainings to be done.
pub async fn list_training_jobs(account: &Account) -> Result<Vec<TrainingJob>> {
    account
        .definitions
        .query(KeyRange::all(TRAINING_JOBS))
        .await
}

impl StoredRecord for TrainingJob {
    fn key(&self) -> Key {
        Key::new(TRAINING_JOBS, self.version_key().sk)
    }
}

/// The prefix of the sort keys of the versions of a model.
pub fn model_version_prefix(model_type: ApiModelType, model_id: &str) -> String {
    format!("{}#{model_id}#", model_type.name())
}

pub fn model_version_key(
    model_type: ApiModelType,
    model_id: &str,
    number: ModelVersionNumber,
) -> Key {
    let ModelVersionNumber { major, minor } = number;
    let prefix = model_version_prefix(model_type, model_id);
    Key::new(
        MODEL_VERSION_PARTITION,
        format!("{prefix}{major:05}.{minor:02}"),
    )
}

/// The key of a model version, from the parts of its ARN.
pub fn parse_model_version_key(model_type: &str, model_id: &str, number: &str) -> Option<Key> {
    let model_type = ApiModelType::ALL
        .into_iter()
        .find(|known| known.name() == model_type)?;
    let number = ModelVersionNumber::try_from(number.to_owned()).ok()?;
    Some(model_version_key(model_type, model_id, number))
}

/// The versions of a model, oldest first.
pub async fn list_model_versions(
    change: &Change<'_>,
    model_type: ApiModelType,
    model_id: &str,
) -> Result<Vec<ModelVersion>> {
    let prefix = model_version_prefix(model_type, model_id);
    change
        .query(KeyRange::all(MODEL_VERSION_PARTITION).prefix(&prefix))
        .await
}

/// The earlier version of the same model that a new one is compared with, and its artifact: the newest ACTIVE one,
/// otherwise the newest trained one.
pub async fn find_previous_version(
    account: &Account,
    new: &ModelVersion,
) -> Result<Option<(ModelVersionNumber, ModelArtifact)>> {
    let prefix = model_version_prefix(new.model_type, &new.model_id);
    let range = KeyRange::all(MODEL_VERSION_PARTITION).prefix(&prefix);
    let versions: Vec<ModelVersion> = account.definitions.query(range).await?;
    let trained = |version: ModelVersion| {
        let is_active = version.status == ModelVersionStatus::Active;
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
    /// A new job that trains this version.
    pub fn training_job(&self) -> TrainingJob {
        TrainingJob {
            model_id: self.model_id.clone(),
            model_type: self.model_type,
            model_version_number: self.model_version_number,
            worker: None,
            lease_until: None,
            progress: None,
        }
    }

    /// Whether it was trained elsewhere and imported. Such a version has no events.
    pub fn is_imported(&self) -> bool {
        let details = &self.details;
        details.external_events_detail.is_none() && details.ingested_events_detail.is_none()
    }

    /// Whether labels are final or maturing, if the request for the version said so.
    pub fn label_maturity(&self) -> Option<LabelsAre> {
        read_labels_tag(&self.tags).ok().flatten()
    }

    /// The path for its artifact, e.g. `scorer/1.0`.
    pub fn artifact_path(&self) -> String {
        format!("{}/{}", self.model_id, self.model_version_number)
    }

    /// The part of it that a detector version pins.
    pub fn to_bundled(&self) -> BundledModel {
        let name = name_score_variable(&self.model_id);
        BundledModel {
            version: ModelVersionReference {
                model_id: self.model_id.clone(),
                model_type: self.model_type,
                model_version_number: self.model_version_number,
            },
            score: StoredVariable::new_score(name, &self.model_id, "").to_bundled(),
            artifact: self.artifact.clone(),
        }
    }

    /// `Version 1.0 of model 'm'`, for the beginning of a sentence.
    pub fn title(&self) -> String {
        write_model_version_title(&self.model_id, self.model_version_number)
    }
}

pub fn write_model_version_title(model_id: &str, number: ModelVersionNumber) -> String {
    format!("Version {number} of model '{model_id}'")
}

/// The error for a model version that does not exist.
pub fn missing_model_version(model_id: &str, number: ModelVersionNumber) -> Error {
    Error::not_found(format!(
        "{} does not exist.",
        write_model_version_title(model_id, number)
    ))
}

/// A reference to a model version, in requests and in stored detector versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelVersionReference {
    pub model_id: String,
    pub model_type: ApiModelType,
    pub model_version_number: ModelVersionNumber,
}

impl ModelVersionReference {
    pub fn key(&self) -> Key {
        model_version_key(self.model_type, &self.model_id, self.model_version_number)
    }

    /// Reads the version; an error if it does not exist.
    pub async fn load(&self, change: &Change<'_>) -> Result<ModelVersion> {
        let found = change.get(&self.key()).await?;
        found.ok_or_else(|| missing_model_version(&self.model_id, self.model_version_number))
    }
}

/// The tag that says whether labels are `final` or `maturing`; without it, this is derived from the events. The API has
/// no member for it.
pub const LABELS_TAG: &str = "fraudstream:labels";

/// Reads the value of that tag; an error if it has another value.
pub fn read_labels_tag(tags: &Tags) -> Result<Option<LabelsAre>> {
    match tags.get(LABELS_TAG) {
        None => Ok(None),
        Some("final") => Ok(Some(LabelsAre::Final)),
        Some("maturing") => Ok(Some(LabelsAre::Maturing)),
        Some(_) => Err(Error::validation(format!(
            "The tag '{LABELS_TAG}' of a model version says final or maturing."
        ))),
    }
}

/// The location and the checksum of a trained model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelArtifact {
    /// The key in the engine's bucket.
    pub key: String,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// A model version as it was when it was pinned.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledModel {
    #[serde(flatten)]
    pub version: ModelVersionReference,
    /// The variable that holds its score.
    pub score: BundledVariable,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ModelArtifact>,
}
