//! `fraudstream train`: a model version over the API, trained here, on a file or on stored events.
//!
//! The command does what a script would do: `CreateModel` if there is none, `CreateModelVersion`, wait,
//! `DescribeModelVersions`. Where the engine answers, this process is also who trains.

use std::fmt;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_frauddetector::types::{
    AggregatedVariablesImportanceMetrics, DataSource, ExternalEventsDetail, IngestedEventsDetail,
    IngestedEventsTimeWindow, LabelSchema, ModelTypeEnum, ModelVersionDetail, ModelVersionStatus,
    Tag, TrainingDataSchema, TrainingDataSourceEnum, UnlabeledEventsTreatment,
};
use aws_sdk_s3::primitives::ByteStream;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use thiserror::Error;

use crate::clients::ACCOUNT;
use crate::evaluate::Labels;
use crate::grid::grid;
use crate::jobs::Runners;

/// How often Amazon's service is asked whether it has trained.
const PAUSE: Duration = Duration::from_secs(15);
/// Variables that show in the table.
const SHOWN: usize = 15;

/// Why there is no model.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The service refuses a call.
    #[error("{call}: {code}: {message}")]
    Refused {
        /// The operation.
        call: &'static str,
        /// The exception.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// The file cannot be read, or not be written into the bucket.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The event type has nothing to learn from.
    #[error(
        "event type `{event_type}` has {found} variables with a type; a model needs 2. Give variables a variableType, such as IP_ADDRESS or NUMERIC"
    )]
    TooFew {
        /// The event type.
        event_type: String,
        /// How many there are.
        found: usize,
    },
    /// What labels are cannot be said there.
    #[error("--labels is for the engine: Amazon's service has no such choice")]
    LabelsAtAmazon,
    /// The runner failed.
    #[error(transparent)]
    Runner(#[from] engine::Error),
    /// The training ended without a model.
    #[error("{model} {version}: {status}\n  {}", .reasons.join("\n  "))]
    NoModel {
        /// The model.
        model: String,
        /// The version.
        version: String,
        /// What became of it.
        status: String,
        /// What the service says of the data.
        reasons: Vec<String>,
    },
}

/// What is trained.
#[derive(Clone, Debug, Args)]
pub struct Train {
    /// CSV with Amazon's headers, plain; default the stored events.
    file: Option<PathBuf>,
    /// The model; created if it is missing.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// Its type; default what the model is, or `ONLINE_FRAUD_INSIGHTS` for a new one.
    #[arg(long = "type", value_name = "TYPE")]
    model_type: Option<String>,
    /// Event type; default the mapping's.
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,
    /// A label that means fraud.
    #[arg(long = "fraud", value_name = "LABEL", default_value = "fraud")]
    fraud: Vec<String>,
    /// A label that means legitimate.
    #[arg(long = "legit", value_name = "LABEL", default_value = "legit")]
    legit: Vec<String>,
    /// A variable to learn from; default all of the event type that have a type.
    #[arg(long = "variable", value_name = "NAME")]
    variables: Vec<String>,
    /// What stored events without a label stand for: IGNORE, FRAUD, LEGIT or AUTO.
    #[arg(long, value_name = "TREATMENT", default_value = "IGNORE")]
    unlabeled: String,
    /// Whether labels may still change; default `maturing`, and `final` for a file that does not say when labels came.
    #[arg(long, value_enum)]
    labels: Option<Labels>,
    /// Stored events from this time on.
    #[arg(long, value_name = "TIME", default_value = "2000-01-01T00:00:00Z")]
    from: String,
    /// Stored events up to this time.
    #[arg(long, value_name = "TIME", default_value = "2100-01-01T00:00:00Z")]
    to: String,
    /// Let the version score once it is trained.
    #[arg(long)]
    activate: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Trained {
    /// The model.
    pub model: String,
    /// The version.
    pub version: String,
    /// Its status.
    pub status: String,
    /// What a template's `AssociatedModels` names.
    pub arn: String,
    /// Area under the ROC curve of the validation events.
    pub auc: Option<f32>,
    /// What scores mean.
    pub thresholds: Vec<Threshold>,
    /// Variables and how much they matter, most first.
    pub importance: Vec<(String, f32)>,
    /// What the service says of the data.
    pub notes: Vec<String>,
}

/// A row of the threshold table.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Threshold {
    /// From this score on.
    pub threshold: f32,
    /// The share of legitimate events.
    pub fpr: f32,
    /// The share of fraud among those above.
    pub precision: f32,
    /// The share of fraud.
    pub tpr: f32,
}

/// Where the training happens.
pub struct Place<'a> {
    /// The API.
    pub client: &'a Client,
    /// Where a file is put for the service.
    pub s3: &'a aws_sdk_s3::Client,
    /// The bucket.
    pub bucket: &'a str,
    /// The runners of this process; none: the service trains.
    pub runners: Option<&'a Runners>,
}

fn refused<E>(call: &'static str) -> impl Fn(SdkError<E>) -> TrainError
where
    E: ProvideErrorMetadata,
{
    move |error| TrainError::Refused {
        call,
        code: error.code().unwrap_or("no answer").to_owned(),
        message: error
            .message()
            .unwrap_or("the service was not reached")
            .to_owned(),
    }
}

impl Train {
    /// Trains, and returns what came of it; `event_type` is the mapping's.
    ///
    /// # Errors
    /// [`TrainError`], a sentence.
    pub async fn run(&self, place: &Place<'_>, event_type: &str) -> Result<Trained, TrainError> {
        // A training that a killed command left behind ends first: while it waits, its model takes no other.
        if let Some(runners) = place.runners {
            while runners.train_one().await? {}
        }
        let event_type = self.event_type.as_deref().unwrap_or(event_type);
        let model_type = self.model_type(place.client).await;
        let variables = self.variables(place.client, event_type).await?;
        create_model(place.client, &self.model, &model_type, event_type).await?;
        let labels = LabelSchema::builder()
            .label_mapper("FRAUD", self.fraud.clone())
            .label_mapper("LEGIT", self.legit.clone())
            .unlabeled_events_treatment(UnlabeledEventsTreatment::from(self.unlabeled.as_str()));
        let schema = TrainingDataSchema::builder()
            .set_model_variables(Some(variables))
            .label_schema(labels.build())
            .build();
        let call = place
            .client
            .create_model_version()
            .model_id(&self.model)
            .model_type(model_type.clone())
            .training_data_schema(schema.map_err(|error| not_built(&error))?)
            .set_tags(self.tags(place)?);
        let call = if let Some(file) = &self.file {
            let detail = ExternalEventsDetail::builder()
                .data_location(upload(place, file).await?)
                // The engine reads with the credentials of this command; Amazon wants a role.
                .data_access_role_arn(format!("arn:aws:iam::{ACCOUNT}:role/fraudstream"));
            call.training_data_source(TrainingDataSourceEnum::ExternalEvents)
                .external_events_detail(detail.build().map_err(|error| not_built(&error))?)
        } else {
            let window = IngestedEventsTimeWindow::builder()
                .start_time(&self.from)
                .end_time(&self.to);
            let window = window.build().map_err(|error| not_built(&error))?;
            let detail = IngestedEventsDetail::builder().ingested_events_time_window(window);
            call.training_data_source(TrainingDataSourceEnum::IngestedEvents)
                .ingested_events_detail(detail.build())
        };
        let created = call.send().await.map_err(refused("CreateModelVersion"))?;
        let version = created.model_version_number.unwrap_or_default();
        self.wait(place, &model_type, &version).await?;
        let detail = self.describe(place.client, &model_type, &version).await?;
        let status = detail.status.clone().unwrap_or_default();
        if status != "TRAINING_COMPLETE" {
            return Err(TrainError::NoModel {
                model: self.model.clone(),
                version,
                status,
                reasons: notes(&detail),
            });
        }
        if self.activate {
            activate(place.client, &self.model, &model_type, &version).await?;
        }
        let detail = self.describe(place.client, &model_type, &version).await?;
        Ok(trained(&detail))
    }

    /// The API has no member for what labels are; the engine reads a tag of the version.
    fn tags(&self, place: &Place<'_>) -> Result<Option<Vec<Tag>>, TrainError> {
        let value = match self.labels {
            None => return Ok(None),
            Some(_) if place.runners.is_none() => return Err(TrainError::LabelsAtAmazon),
            Some(Labels::Final) => "final",
            Some(Labels::Maturing) => "maturing",
        };
        let tag = Tag::builder().key("fraudstream:labels").value(value);
        Ok(Some(vec![tag.build().map_err(|error| not_built(&error))?]))
    }

    /// The type that was said, or that the model has.
    async fn model_type(&self, client: &Client) -> ModelTypeEnum {
        if let Some(said) = &self.model_type {
            return ModelTypeEnum::from(said.as_str());
        }
        let found = client.get_models().model_id(&self.model).send().await;
        // Where there is no such model, the next call makes one, or says what is wrong.
        let found = found
            .ok()
            .and_then(|found| found.models?.into_iter().next());
        let found = found.and_then(|model| model.model_type);
        found.unwrap_or(ModelTypeEnum::OnlineFraudInsights)
    }

    /// The variables to learn from: those said, or all of the event type that have a type.
    async fn variables(
        &self,
        client: &Client,
        event_type: &str,
    ) -> Result<Vec<String>, TrainError> {
        if !self.variables.is_empty() {
            return Ok(self.variables.clone());
        }
        let found = client.get_event_types().name(event_type).send().await;
        let found = found
            .map_err(refused("GetEventTypes"))?
            .event_types
            .unwrap_or_default();
        let names = found
            .into_iter()
            .next()
            .and_then(|found| found.event_variables);
        let names = names.unwrap_or_default();
        let mut typed = Vec::new();
        // Amazon's limit on names in one call.
        for hundred in names.chunks(100) {
            let call = client
                .batch_get_variable()
                .set_names(Some(hundred.to_vec()));
            let found = call.send().await.map_err(refused("BatchGetVariable"))?;
            let usable = found
                .variables
                .unwrap_or_default()
                .into_iter()
                .filter(|variable| {
                    variable.data_source == Some(DataSource::Event)
                        && variable.variable_type.is_some()
                });
            typed.extend(usable.filter_map(|variable| variable.name));
        }
        if typed.len() < 2 {
            return Err(TrainError::TooFew {
                event_type: event_type.to_owned(),
                found: typed.len(),
            });
        }
        Ok(typed)
    }

    /// Trains until the version is no longer in training.
    async fn wait(
        &self,
        place: &Place<'_>,
        model_type: &ModelTypeEnum,
        version: &str,
    ) -> Result<(), TrainError> {
        let spinner = spinner(self.json, &format!("training {} {version}", self.model));
        loop {
            let ran = match place.runners {
                Some(runners) => runners.train_one().await?,
                None => false,
            };
            let detail = self.describe(place.client, model_type, version).await?;
            if detail.status.as_deref() != Some("TRAINING_IN_PROGRESS") {
                spinner.finish_and_clear();
                return Ok(());
            }
            // Another runner has it, or the service does it.
            if !ran {
                tokio::time::sleep(if place.runners.is_some() {
                    Duration::from_secs(1)
                } else {
                    PAUSE
                })
                .await;
            }
        }
    }

    async fn describe(
        &self,
        client: &Client,
        model_type: &ModelTypeEnum,
        version: &str,
    ) -> Result<ModelVersionDetail, TrainError> {
        let call = client
            .describe_model_versions()
            .model_id(&self.model)
            .model_type(model_type.clone())
            .model_version_number(version);
        let found = call
            .send()
            .await
            .map_err(refused("DescribeModelVersions"))?;
        let detail = found
            .model_version_details
            .unwrap_or_default()
            .into_iter()
            .next();
        detail.ok_or_else(|| TrainError::Refused {
            call: "DescribeModelVersions",
            code: "no version".to_owned(),
            message: format!("{} has no version {version}", self.model),
        })
    }
}

/// Creates a model unless it is there.
pub(crate) async fn create_model(
    client: &Client,
    model: &str,
    model_type: &ModelTypeEnum,
    event_type: &str,
) -> Result<(), TrainError> {
    let found = client
        .get_models()
        .model_id(model)
        .model_type(model_type.clone());
    match found.send().await {
        Ok(found)
            if found
                .models
                .as_ref()
                .is_some_and(|models| !models.is_empty()) =>
        {
            Ok(())
        }
        Err(error) if error.code() != Some("ResourceNotFoundException") => {
            Err(refused("GetModels")(error))
        }
        _ => client
            .create_model()
            .model_id(model)
            .model_type(model_type.clone())
            .event_type_name(event_type)
            .send()
            .await
            .map(drop)
            .map_err(refused("CreateModel")),
    }
}

/// Lets a version score.
pub(crate) async fn activate(
    client: &Client,
    model: &str,
    model_type: &ModelTypeEnum,
    version: &str,
) -> Result<(), TrainError> {
    let update = client.update_model_version_status().model_id(model);
    let update = update
        .model_type(model_type.clone())
        .model_version_number(version);
    let updated = update.status(ModelVersionStatus::Active).send().await;
    updated
        .map(drop)
        .map_err(refused("UpdateModelVersionStatus"))
}

/// A request that the client refuses to build; its inputs are the command's own.
fn not_built(error: &aws_sdk_frauddetector::error::BuildError) -> TrainError {
    TrainError::Refused {
        call: "CreateModelVersion",
        code: "not built".to_owned(),
        message: error.to_string(),
    }
}

/// Puts the file where the service reads; returns the place.
async fn upload(place: &Place<'_>, file: &Path) -> Result<String, TrainError> {
    let wrong = |why: String| TrainError::File {
        path: file.display().to_string(),
        why,
    };
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| wrong("it is no file".to_owned()))?;
    let key = format!("training/{name}");
    let body = ByteStream::from_path(file).await.map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        wrong(source.unwrap_or_else(|| error.to_string()))
    })?;
    let put = place
        .s3
        .put_object()
        .bucket(place.bucket)
        .key(&key)
        .body(body);
    put.send().await.map_err(|error| {
        wrong(format!(
            "it cannot be put into the bucket `{}`: {}",
            place.bucket,
            error.code().unwrap_or("no answer")
        ))
    })?;
    Ok(format!("s3://{}/{key}", place.bucket))
}

fn spinner(quiet: bool, what: &str) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

fn notes(detail: &ModelVersionDetail) -> Vec<String> {
    let Some(result) = &detail.training_result_v2 else {
        return Vec::new();
    };
    let Some(data) = &result.data_validation_metrics else {
        return Vec::new();
    };
    let of_file = data
        .file_level_messages()
        .iter()
        .filter_map(|message| message.content.clone());
    let of_fields = data.field_level_messages().iter().filter_map(|message| {
        let field = message.field_name.as_deref().unwrap_or_default();
        Some(format!("{field}: {}", message.content.as_deref()?))
    });
    of_file.chain(of_fields).collect()
}

fn trained(detail: &ModelVersionDetail) -> Trained {
    let old = detail.training_result.as_ref();
    let metrics = old.and_then(|result| result.training_metrics.as_ref());
    let point = |point: &aws_sdk_frauddetector::types::MetricDataPoint| Threshold {
        threshold: point.threshold.unwrap_or_default(),
        fpr: point.fpr.unwrap_or_default(),
        precision: point.precision.unwrap_or_default(),
        tpr: point.tpr.unwrap_or_default(),
    };
    let new = detail.training_result_v2.as_ref();
    let habits = new.and_then(|result| result.aggregated_variables_importance_metrics.as_ref());
    let habits = habits
        .map(AggregatedVariablesImportanceMetrics::log_odds_metrics)
        .unwrap_or_default();
    let importance = old.and_then(|result| result.variable_importance_metrics.as_ref());
    let mut importance: Vec<(String, f32)> = importance
        .map(aws_sdk_frauddetector::types::VariableImportanceMetrics::log_odds_metrics)
        .unwrap_or_default()
        .iter()
        .map(|metric| (metric.variable_name.clone(), metric.variable_importance))
        .collect();
    importance.extend(habits.iter().map(|metric| {
        let name = format!("history of {}", metric.variable_names.join(", "));
        (name, metric.aggregated_variables_importance)
    }));
    importance.sort_by(|a, b| b.1.total_cmp(&a.1));
    Trained {
        model: detail.model_id.clone().unwrap_or_default(),
        version: detail.model_version_number.clone().unwrap_or_default(),
        status: detail.status.clone().unwrap_or_default(),
        arn: detail.arn.clone().unwrap_or_default(),
        auc: metrics.and_then(|metrics| metrics.auc),
        thresholds: metrics
            .map(|metrics| metrics.metric_data_points().iter().map(point).collect())
            .unwrap_or_default(),
        importance,
        notes: notes(detail),
    }
}

fn percent(share: f32) -> String {
    format!("{:.1} %", share * 100.0)
}

impl fmt::Display for Trained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}: {}", self.model, self.version, self.status)?;
        if let Some(auc) = self.auc {
            writeln!(
                f,
                "AUC {auc:.4} on the newest events, which it was not trained on"
            )?;
        }
        let row = |row: &Threshold| {
            vec![
                format!("{:.0}", row.threshold),
                percent(row.fpr),
                percent(row.tpr),
                percent(row.precision),
            ]
        };
        let header = ["score from", "false positives", "recall", "precision"];
        writeln!(f, "\n{}", grid(&header, self.thresholds.iter().map(row)))?;
        let row = |(name, share): &(String, f32)| vec![name.clone(), format!("{share:.3}")];
        let shown = self.importance.iter().take(SHOWN).map(row);
        writeln!(f, "\n{}", grid(&["variable", "importance"], shown))?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        f.write_str(&how_to_use(&self.model, &self.arn))
    }
}

/// What a detector file says to let a version score.
pub(crate) fn how_to_use(model: &str, arn: &str) -> String {
    format!(
        "\nits ARN, for AssociatedModels in the detector file: {arn}\nits score in rules: ${model}_insightscore"
    )
}
