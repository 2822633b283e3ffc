//! `fraudstream train`: a model version over the API, trained here, on a file or on stored events.
//!
//! The command calls what a script would call: `CreateModel` if the model is missing,
//! `CreateModelVersion`, `DescribeModelVersions` until it is trained. If the engine is the backend, this
//! process also runs the training.

use std::fmt;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::error::ProvideErrorMetadata as _;
use aws_sdk_frauddetector::types::{
    AggregatedVariablesImportanceMetrics, DataSource, ExternalEventsDetail, IngestedEventsDetail,
    IngestedEventsTimeWindow, LabelSchema, ModelTypeEnum, ModelVersionDetail, Tag,
    TrainingDataSchema, TrainingDataSourceEnum, UnlabeledEventsTreatment,
};
use aws_sdk_s3::primitives::ByteStream;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use thiserror::Error;

use super::CommandError;
use super::model_versions::{
    RefusedCall, activate_version, create_missing_model, describe_build_error, describe_refusal,
    describe_usage, find_auc_range,
};
use super::output::print_result;
use super::workspace::WorkspaceArgs;
use crate::runners::Runners;
use evaluation::text_table::build_text_table;
use evaluation::{LabelMaturity, SHOWN_THRESHOLDS, format_auc, format_percent};
use local_aws::clients::ACCOUNT;
use local_aws::dynamodb::Durability;
use model::metrics::ConfidenceRange;

/// Time between two questions to Amazon's service whether the training has ended.
const PAUSE: Duration = Duration::from_secs(15);
/// How many variables the table shows.
const SHOWN: usize = 15;

/// Why there is no trained version.
#[derive(Debug, Error)]
pub(crate) enum TrainCommandError {
    /// The service refuses a call.
    #[error(transparent)]
    Refused(#[from] RefusedCall),
    /// The file cannot be read, or cannot be written to the bucket.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The event type has too few variables to learn from.
    #[error(
        "event type `{event_type}` has {found} variables with a type; a model needs 2. Give variables a variableType, such as IP_ADDRESS or NUMERIC"
    )]
    TooFew {
        /// The event type.
        event_type: String,
        /// How many there are.
        found: usize,
    },
    /// Amazon's service has no setting for how final labels are.
    #[error("--labels is for the engine: Amazon's service has no such choice")]
    LabelsAtAmazon,
    /// The engine's runner failed.
    #[error(transparent)]
    Runner(#[from] engine::Error),
    /// The training ended without a model.
    #[error("{model} {version}: {status}\n  {}", .reasons.join("\n  "))]
    NoModel {
        /// The model.
        model: String,
        /// The version.
        version: String,
        /// Its status.
        status: String,
        /// What the service says of the data.
        reasons: Vec<String>,
    },
}

/// The arguments of `train`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrainArgs {
    /// CSV with Amazon's headers, plain; default the stored events.
    file: Option<PathBuf>,
    /// The model; created if it is missing.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// Model type; default that of the existing model, or `ONLINE_FRAUD_INSIGHTS` for a new one.
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
    /// How stored events without a label are treated: IGNORE, FRAUD, LEGIT or AUTO.
    #[arg(long, value_name = "TREATMENT", default_value = "IGNORE")]
    unlabeled: String,
    /// Whether labels may still change; default `maturing`, and `final` for a file that does not say when labels came.
    #[arg(long, value_enum)]
    labels: Option<LabelMaturity>,
    /// Stored events from this time on.
    #[arg(long, value_name = "TIME", default_value = "2000-01-01T00:00:00Z")]
    from: String,
    /// Stored events up to this time.
    #[arg(long, value_name = "TIME", default_value = "2100-01-01T00:00:00Z")]
    to: String,
    /// Activate the version once it is trained.
    #[arg(long)]
    activate: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The trained version, as the service describes it.
#[derive(Debug, Serialize)]
pub(crate) struct TrainedModel {
    /// The model.
    pub model: String,
    /// The version.
    pub version: String,
    /// Its status.
    pub status: String,
    /// Its ARN, for `AssociatedModels` in a template.
    pub arn: String,
    /// Area under the ROC curve of the validation events.
    pub auc: Option<f32>,
    /// The same with its 95 % range, if the service says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc_range: Option<ConfidenceRange>,
    /// What scores mean: a row for each of some thresholds, from the highest.
    pub thresholds: Vec<ThresholdMetrics>,
    /// Variables and their importance, most important first.
    pub importance: Vec<(String, f32)>,
    /// What the service says of the data.
    pub notes: Vec<String>,
}

/// A row of the threshold table.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ThresholdMetrics {
    /// The lowest score that counts as fraud.
    pub threshold: f32,
    /// False positive rate: the share of legitimate events at or above the threshold.
    pub fpr: f32,
    /// The share of fraud among the events at or above the threshold.
    pub precision: f32,
    /// True positive rate: the share of fraud at or above the threshold.
    pub tpr: f32,
}

/// The service that trains.
pub(crate) struct TrainingTarget<'a> {
    /// The API.
    pub client: &'a Client,
    /// Where a file is put for the service.
    pub s3: &'a aws_sdk_s3::Client,
    /// The bucket.
    pub bucket: &'a str,
    /// The runners of this process, or `None` if the service trains by itself.
    pub runners: Option<&'a Runners>,
}

impl TrainArgs {
    /// Trains a version, and prints what came of it.
    pub(crate) async fn run(&self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let opened = workspace
            .open(Durability::Kill, workspace.fraud_detector)
            .await?;
        let runners = if opened.is_engine_backend() {
            Some(opened.open_runners().await)
        } else {
            None
        };
        let clients = &opened.pipeline.clients;
        let mapping = workspace.read_mapping()?;
        let target = TrainingTarget {
            client: &clients.frauddetector,
            s3: &clients.s3,
            bucket: &workspace.bucket,
            runners: runners.as_ref(),
        };
        let trained = Box::pin(self.train(&target, mapping.event_type().as_str())).await;
        drop(runners);
        opened.close().await?;
        let trained = trained?;
        print_result(self.json, &trained, format_args!("{trained}\n"))
    }

    /// Trains and describes the version; `event_type` is the mapping's.
    pub(crate) async fn train(
        &self,
        target: &TrainingTarget<'_>,
        event_type: &str,
    ) -> Result<TrainedModel, TrainCommandError> {
        // First finish a training that a killed command left: until then its model accepts no other.
        if let Some(runners) = target.runners {
            while runners.train_one().await? {}
        }
        let event_type = self.event_type.as_deref().unwrap_or(event_type);
        let model_type = self.find_model_type(target.client).await;
        let variables = self.find_variables(target.client, event_type).await?;
        create_missing_model(target.client, &self.model, &model_type, event_type).await?;
        let version = self.create_version(target, &model_type, variables).await?;
        self.wait_until_trained(target, &model_type, &version)
            .await?;
        let detail = self
            .describe_version(target.client, &model_type, &version)
            .await?;
        let status = detail.status.clone().unwrap_or_default();
        if status != "TRAINING_COMPLETE" {
            return Err(TrainCommandError::NoModel {
                model: self.model.clone(),
                version,
                status,
                reasons: training_notes(&detail),
            });
        }
        if self.activate {
            activate_version(target.client, &self.model, &model_type, &version).await?;
        }
        let detail = self
            .describe_version(target.client, &model_type, &version)
            .await?;
        Ok(describe_trained_model(&detail))
    }

    /// Creates a version, which then waits for its training; returns its number.
    async fn create_version(
        &self,
        target: &TrainingTarget<'_>,
        model_type: &ModelTypeEnum,
        variables: Vec<String>,
    ) -> Result<String, TrainCommandError> {
        let labels = LabelSchema::builder()
            .label_mapper("FRAUD", self.fraud.clone())
            .label_mapper("LEGIT", self.legit.clone())
            .unlabeled_events_treatment(UnlabeledEventsTreatment::from(self.unlabeled.as_str()));
        let schema = TrainingDataSchema::builder()
            .set_model_variables(Some(variables))
            .label_schema(labels.build())
            .build();
        let call = target
            .client
            .create_model_version()
            .model_id(&self.model)
            .model_type(model_type.clone())
            .training_data_schema(schema.map_err(|error| describe_build_error(&error))?)
            .set_tags(self.label_tags(target)?);
        let call = if let Some(file) = &self.file {
            let detail = ExternalEventsDetail::builder()
                .data_location(upload_file(target, file).await?)
                // The engine reads with the credentials of this command; Amazon wants a role.
                .data_access_role_arn(format!("arn:aws:iam::{ACCOUNT}:role/fraudstream"));
            call.training_data_source(TrainingDataSourceEnum::ExternalEvents)
                .external_events_detail(
                    detail
                        .build()
                        .map_err(|error| describe_build_error(&error))?,
                )
        } else {
            let window = IngestedEventsTimeWindow::builder()
                .start_time(&self.from)
                .end_time(&self.to);
            let window = window
                .build()
                .map_err(|error| describe_build_error(&error))?;
            let detail = IngestedEventsDetail::builder().ingested_events_time_window(window);
            call.training_data_source(TrainingDataSourceEnum::IngestedEvents)
                .ingested_events_detail(detail.build())
        };
        let created = call
            .send()
            .await
            .map_err(describe_refusal("CreateModelVersion"))?;
        Ok(created.model_version_number.unwrap_or_default())
    }

    /// The API has no field for how final labels are, so the engine reads a tag of the version.
    fn label_tags(
        &self,
        target: &TrainingTarget<'_>,
    ) -> Result<Option<Vec<Tag>>, TrainCommandError> {
        let value = match self.labels {
            None => return Ok(None),
            Some(_) if target.runners.is_none() => return Err(TrainCommandError::LabelsAtAmazon),
            Some(LabelMaturity::Final) => "final",
            Some(LabelMaturity::Maturing) => "maturing",
        };
        let tag = Tag::builder().key("fraudstream:labels").value(value);
        Ok(Some(vec![
            tag.build().map_err(|error| describe_build_error(&error))?,
        ]))
    }

    /// The type from the arguments, or that of the existing model.
    async fn find_model_type(&self, client: &Client) -> ModelTypeEnum {
        if let Some(said) = &self.model_type {
            return ModelTypeEnum::from(said.as_str());
        }
        let found = client.get_models().model_id(&self.model).send().await;
        // If there is no such model, the next call creates it, or returns the error.
        let found = found
            .ok()
            .and_then(|found| found.models?.into_iter().next());
        let found = found.and_then(|model| model.model_type);
        found.unwrap_or(ModelTypeEnum::OnlineFraudInsights)
    }

    /// The variables to learn from: those of the arguments, or all of the event type that have a type.
    async fn find_variables(
        &self,
        client: &Client,
        event_type: &str,
    ) -> Result<Vec<String>, TrainCommandError> {
        if !self.variables.is_empty() {
            return Ok(self.variables.clone());
        }
        let found = client.get_event_types().name(event_type).send().await;
        let found = found
            .map_err(describe_refusal("GetEventTypes"))?
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
            let found = call
                .send()
                .await
                .map_err(describe_refusal("BatchGetVariable"))?;
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
            return Err(TrainCommandError::TooFew {
                event_type: event_type.to_owned(),
                found: typed.len(),
            });
        }
        Ok(typed)
    }

    /// Waits until the version is no longer in training; runs the training if this process has runners.
    async fn wait_until_trained(
        &self,
        target: &TrainingTarget<'_>,
        model_type: &ModelTypeEnum,
        version: &str,
    ) -> Result<(), TrainCommandError> {
        let spinner = start_spinner(self.json, &format!("training {} {version}", self.model));
        loop {
            let ran = match target.runners {
                Some(runners) => runners.train_one().await?,
                None => false,
            };
            let detail = self
                .describe_version(target.client, model_type, version)
                .await?;
            if detail.status.as_deref() != Some("TRAINING_IN_PROGRESS") {
                spinner.finish_and_clear();
                return Ok(());
            }
            // Another runner or the service is training.
            if !ran {
                tokio::time::sleep(if target.runners.is_some() {
                    Duration::from_secs(1)
                } else {
                    PAUSE
                })
                .await;
            }
        }
    }

    async fn describe_version(
        &self,
        client: &Client,
        model_type: &ModelTypeEnum,
        version: &str,
    ) -> Result<ModelVersionDetail, TrainCommandError> {
        let call = client
            .describe_model_versions()
            .model_id(&self.model)
            .model_type(model_type.clone())
            .model_version_number(version);
        let found = call
            .send()
            .await
            .map_err(describe_refusal("DescribeModelVersions"))?;
        let detail = found
            .model_version_details
            .unwrap_or_default()
            .into_iter()
            .next();
        let missing = || RefusedCall {
            call: "DescribeModelVersions",
            code: "no version".to_owned(),
            message: format!("{} has no version {version}", self.model),
        };
        Ok(detail.ok_or_else(missing)?)
    }
}

/// Puts the file where the service reads; returns the target.
async fn upload_file(
    target: &TrainingTarget<'_>,
    file: &Path,
) -> Result<String, TrainCommandError> {
    let wrong = |why: String| TrainCommandError::File {
        path: file.display().to_string(),
        why,
    };
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| wrong("it is not a file".to_owned()))?;
    let key = format!("training/{name}");
    let body = ByteStream::from_path(file).await.map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        wrong(source.unwrap_or_else(|| error.to_string()))
    })?;
    let put = target
        .s3
        .put_object()
        .bucket(target.bucket)
        .key(&key)
        .body(body);
    put.send().await.map_err(|error| {
        wrong(format!(
            "it cannot be put into the bucket `{}`: {}",
            target.bucket,
            error.code().unwrap_or("no answer")
        ))
    })?;
    Ok(format!("s3://{}/{key}", target.bucket))
}

fn start_spinner(quiet: bool, what: &str) -> ProgressBar {
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

fn training_notes(detail: &ModelVersionDetail) -> Vec<String> {
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

fn describe_trained_model(detail: &ModelVersionDetail) -> TrainedModel {
    let old = detail.training_result.as_ref();
    let metrics = old.and_then(|result| result.training_metrics.as_ref());
    let point = |point: &aws_sdk_frauddetector::types::MetricDataPoint| ThresholdMetrics {
        threshold: point.threshold.unwrap_or_default(),
        fpr: point.fpr.unwrap_or_default(),
        precision: point.precision.unwrap_or_default(),
        tpr: point.tpr.unwrap_or_default(),
    };
    let new = detail.training_result_v2.as_ref();
    let history_importance =
        new.and_then(|result| result.aggregated_variables_importance_metrics.as_ref());
    let history_importance = history_importance
        .map(AggregatedVariablesImportanceMetrics::log_odds_metrics)
        .unwrap_or_default();
    let importance = old.and_then(|result| result.variable_importance_metrics.as_ref());
    let mut importance: Vec<(String, f32)> = importance
        .map(aws_sdk_frauddetector::types::VariableImportanceMetrics::log_odds_metrics)
        .unwrap_or_default()
        .iter()
        .map(|metric| (metric.variable_name.clone(), metric.variable_importance))
        .collect();
    importance.extend(history_importance.iter().map(|metric| {
        let name = format!("history of {}", metric.variable_names.join(", "));
        (name, metric.aggregated_variables_importance)
    }));
    importance.sort_by(|a, b| b.1.total_cmp(&a.1));
    TrainedModel {
        model: detail.model_id.clone().unwrap_or_default(),
        version: detail.model_version_number.clone().unwrap_or_default(),
        status: detail.status.clone().unwrap_or_default(),
        arn: detail.arn.clone().unwrap_or_default(),
        auc: metrics.and_then(|metrics| metrics.auc),
        auc_range: find_auc_range(detail),
        thresholds: metrics
            .map(|metrics| select_thresholds(metrics.metric_data_points().iter().map(point)))
            .unwrap_or_default(),
        importance,
        notes: training_notes(detail),
    }
}

/// The rows of the thresholds that are shown, from the highest.
fn select_thresholds(rows: impl Iterator<Item = ThresholdMetrics>) -> Vec<ThresholdMetrics> {
    let mut shown: Vec<ThresholdMetrics> = rows
        .filter(|row| SHOWN_THRESHOLDS.contains(&f64::from(row.threshold)))
        .collect();
    shown.sort_by(|a, b| b.threshold.total_cmp(&a.threshold));
    shown
}

impl fmt::Display for TrainedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}: {}", self.model, self.version, self.status)?;
        let auc = self.auc.map(|auc| format!("{auc:.4}"));
        if let Some(auc) = self.auc_range.as_ref().map(format_auc).or(auc) {
            writeln!(
                f,
                "AUC {auc} on the newest events, which it was not trained on"
            )?;
        }
        let row = |row: &ThresholdMetrics| {
            vec![
                format!("{:.0}", row.threshold),
                format_percent(row.fpr.into()),
                format_percent(row.tpr.into()),
                format_percent(row.precision.into()),
            ]
        };
        let header = ["score from", "false positives", "recall", "precision"];
        writeln!(
            f,
            "\n{}",
            build_text_table(&header, self.thresholds.iter().map(row))
        )?;
        let row = |(name, share): &(String, f32)| vec![name.clone(), format!("{share:.3}")];
        let shown = self.importance.iter().take(SHOWN).map(row);
        writeln!(
            f,
            "\n{}",
            build_text_table(&["variable", "importance"], shown)
        )?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        f.write_str(&describe_usage(&self.model, &self.arn))
    }
}
