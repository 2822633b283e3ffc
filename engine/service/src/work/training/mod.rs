//! Trains the model versions that wait for it.
//!
//! A runner takes a training job with a lease and renews the lease while it works. If the training is cancelled, the
//! job is deleted, and the runner notices at the next renewal. The artifact is written first and the version last, in
//! one conditional write, so a version never has an incomplete model. If a runner dies, its training ends as `ERROR`
//! when another runner finds the expired lease. A function never trains.

mod data;
mod events_file;
mod rows;
mod thresholds;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use model::{
    EntityHistories, Severity, TrainingError, TrainingMessage, TrainingProgress, TrainingReport,
    TrainingStage,
};
use protocol::{Error, Result};
use store::bundle;
use store::conditional_writes::is_condition_failure;
use store::records::model_version::{
    ModelArtifact, ModelVersion, ModelVersionStatus, TrainingJob, list_training_jobs,
};
use store::table::{StoredRecord as _, convert_sdk_error};

use crate::engine::Engine;
use crate::operations::model_versions::finish_training;
use crate::operations::training_result::TrainingOutcome;
use crate::work::run_repeatedly;

/// How often a training renews its lease.
const LEASE_RENEWAL_INTERVAL: Duration = Duration::from_secs(1);
/// How long a lease is valid, in milliseconds.
const LEASE_MILLISECONDS: i64 = 60_000;

/// A runner of trainings, for one engine, the client for the files that it reads, and a name.
#[derive(Clone, Debug)]
pub struct TrainingRunner {
    engine: Arc<Engine>,
    s3: aws_sdk_s3::Client,
    worker: String,
}

/// A training that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedTraining {
    /// The model.
    pub model_id: String,
    /// Its version, e.g. `1.0`.
    pub version: String,
    /// The version's status now: `TRAINING_COMPLETE`, `TRAINING_CANCELLED` or `ERROR`.
    pub status: String,
    /// Why there is no model, if there is none.
    pub reason: Option<String>,
}

/// The progress of a training, shared between the training and the lease renewal.
#[derive(Debug, Default)]
pub(crate) struct TrainingTracker {
    step: Mutex<&'static str>,
    permille: AtomicU32,
    cancelled: AtomicBool,
}

impl TrainingTracker {
    fn set_step(&self, step: &'static str, done: f64) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1000"
        )]
        let permille = (done.clamp(0.0, 1.0) * 1000.0) as u32;
        self.permille.store(permille, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The progress as a sentence, e.g. `Growing the trees: 62 %.`
    fn describe_progress(&self) -> String {
        let step = *self.step.lock().unwrap_or_else(PoisonError::into_inner);
        let percent = self.permille.load(Ordering::Relaxed) / 10;
        format!("{step}: {percent} %.")
    }

    fn on_progress(&self, progress: TrainingProgress) -> ControlFlow<()> {
        let step = match progress.stage {
            TrainingStage::Features => "Making features",
            TrainingStage::Search => "Searching for settings",
            TrainingStage::AllFeatures => "Making features of all events",
            TrainingStage::Growing => "Growing the trees",
        };
        self.set_step(step, progress.done);
        if self.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Why a training gives no model.
#[derive(Debug)]
pub(crate) enum TrainingStopReason {
    Cancelled,
    /// The messages about the data, errors first.
    Found(Vec<TrainingMessage>),
    Error(Error),
}

impl From<Error> for TrainingStopReason {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl TrainingStopReason {
    fn with_message(title: &str, content: impl Into<String>) -> Self {
        Self::Found(vec![new_message(Severity::Error, title, content)])
    }
}

impl From<TrainingError> for TrainingStopReason {
    fn from(error: TrainingError) -> Self {
        match error {
            TrainingError::Cancelled => Self::Cancelled,
            TrainingError::Data(messages) => Self::Found(messages),
            error => Self::with_message("Training failed", format!("{error}.")),
        }
    }
}

fn new_message(level: Severity, title: &str, content: impl Into<String>) -> TrainingMessage {
    TrainingMessage {
        level,
        field: None,
        title: title.to_owned(),
        content: content.into(),
    }
}

/// Says of how many events, and of how much fraud, the figures are: Amazon's answer has no field for it. `None` for a
/// model of log-ins, whose fraud is synthetic.
fn describe_validation(report: &TrainingReport) -> Option<TrainingMessage> {
    let [.., events] = report.blocks;
    let [.., fraud] = report.fraud;
    let content = format!(
        "Measured on {events} events that the model was not trained on, {fraud} of them fraud: recall at 1 % false \
         positives {:.1} %.",
        report.recall_at_1_percent * 100.0
    );
    let message = new_message(Severity::Info, "Measured on", content);
    report.logins.is_none().then_some(message)
}

impl TrainingRunner {
    /// A runner with the name `worker`. A training that a runner of the same name has taken counts as interrupted, so
    /// only one process at a time may use a name. Files are read with `s3`; models are written to the engine's bucket,
    /// see [`Engine::with_bucket`].
    pub fn new(engine: Arc<Engine>, s3: aws_sdk_s3::Client, worker: impl Into<String>) -> Self {
        Self {
            engine,
            s3,
            worker: worker.into(),
        }
    }

    /// Trains waiting versions, forever.
    pub async fn run(&self) {
        run_repeatedly(|| async { Ok(self.run_one().await?.is_some()) }).await;
    }

    /// Takes one waiting version and trains it; `None` if there is none.
    ///
    /// # Errors
    /// The engine's tables failed. Errors of the data are in the result, and in `DescribeModelVersions`.
    pub async fn run_one(&self) -> Result<Option<EndedTraining>> {
        for job in list_training_jobs(&self.engine.services().account).await? {
            let version: Option<ModelVersion> = self
                .engine
                .services()
                .account
                .definitions
                .get(&job.version_key())
                .await?;
            let Some(version) = version else { continue };
            match &job.worker {
                None if self.claim_job(&job).await? => {
                    return Box::pin(self.run_job(job, version)).await.map(Some);
                }
                Some(worker) if *worker == self.worker || self.is_lease_over(&job) => {
                    let stop = TrainingStopReason::with_message(
                        "Training interrupted",
                        "The process that trained this version ended before it was done. Train it again.",
                    );
                    return self.end_training(version, Err(stop)).await.map(Some);
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn is_lease_over(&self, job: &TrainingJob) -> bool {
        let until = job.lease_until.unwrap_or_default();
        until < self.engine.services().account.now().as_millisecond()
    }

    /// Takes a job that no other runner has. Returns false if it is gone or was taken.
    async fn claim_job(&self, job: &TrainingJob) -> Result<bool> {
        self.write_lease(
            job,
            "Starting: 0 %.",
            "attribute_exists(pk) AND attribute_not_exists(worker)",
        )
        .await
    }

    /// Renews the lease. Returns whether the job still exists and is ours.
    async fn renew_lease(&self, job: &TrainingJob, tracker: &TrainingTracker) -> Result<bool> {
        self.write_lease(job, &tracker.describe_progress(), "worker = :worker")
            .await
    }

    async fn write_lease(
        &self,
        job: &TrainingJob,
        progress: &str,
        condition: &str,
    ) -> Result<bool> {
        let table = &self.engine.services().account.definitions;
        let until = self.engine.services().account.now().as_millisecond() + LEASE_MILLISECONDS;
        let request = table
            .client
            .update_item()
            .table_name(&table.name)
            .set_key(Some(job.key().attributes()))
            .update_expression("SET worker = :worker, leaseUntil = :until, progress = :progress")
            .condition_expression(condition)
            .expression_attribute_values(":worker", AttributeValue::S(self.worker.clone()))
            .expression_attribute_values(":until", AttributeValue::N(until.to_string()))
            .expression_attribute_values(":progress", AttributeValue::S(progress.to_owned()));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if is_condition_failure(error.as_service_error()) => Ok(false),
            Err(error) => Err(convert_sdk_error(error)),
        }
    }

    async fn run_job(&self, job: TrainingJob, version: ModelVersion) -> Result<EndedTraining> {
        let tracker = Arc::new(TrainingTracker::default());
        // Both run concurrently: a renewal must not wait for a lock that the training holds.
        let beats = async {
            loop {
                tokio::time::sleep(LEASE_RENEWAL_INTERVAL).await;
                // If a renewal fails, the next one replaces it; the lease is valid for a minute.
                if let Ok(false) = self.renew_lease(&job, &tracker).await {
                    tracker.cancelled.store(true, Ordering::Relaxed);
                }
            }
        };
        let done = tokio::select! {
            done = self.train_version(&version, &tracker) => done,
            () = beats => Err(TrainingStopReason::Cancelled),
        };
        self.end_training(version, done).await
    }

    async fn train_version(
        &self,
        version: &ModelVersion,
        tracker: &Arc<TrainingTracker>,
    ) -> Result<(ModelArtifact, TrainingOutcome), TrainingStopReason> {
        let mut data =
            data::read_training_data(self.engine.services(), &self.s3, version, tracker).await?;
        let before = thresholds::find_previous_with_rules(self.engine.services(), version).await?;
        let tell = Arc::clone(tracker);
        let trained = tokio::task::spawn_blocking(move || {
            let trained = model::train_model(&data.dataset, &data.options, &mut |progress| {
                tell.on_progress(progress)
            });
            trained.map(|(model, report)| {
                data.notes.extend(report.messages.iter().cloned());
                data.notes.extend(describe_validation(&report));
                if let Some(before) = &before {
                    data.notes
                        .extend(before.threshold_messages(&data.dataset, &model));
                }
                let outcome = TrainingOutcome {
                    messages: data.notes,
                    report: Some(report),
                };
                (
                    model.to_bytes(),
                    outcome,
                    EntityHistories::of_dataset(&data.dataset),
                )
            })
        });
        let (bytes, outcome, histories) = trained.await.map_err(Error::internal)??;
        if tracker.is_cancelled() {
            return Err(TrainingStopReason::Cancelled);
        }
        tracker.set_step("Writing what entities did", 0.0);
        self.engine
            .services()
            .entity_histories
            .backfill(&version.event_type_name, histories)
            .await?;
        let artifact = self
            .engine
            .services()
            .model_cache
            .save_model(&version.artifact_path(), bytes)
            .await?;
        Ok((artifact, outcome))
    }

    /// Writes the result of a training, unless it was cancelled.
    async fn end_training(
        &self,
        version: ModelVersion,
        done: Result<(ModelArtifact, TrainingOutcome), TrainingStopReason>,
    ) -> Result<EndedTraining> {
        let services = self.engine.services();
        let (artifact, outcome, reason) = match done {
            Ok((artifact, outcome)) => (Some(artifact), outcome, None),
            Err(TrainingStopReason::Cancelled) => {
                return Ok(make_ended_training(
                    &version,
                    ModelVersionStatus::TrainingCancelled,
                    None,
                ));
            }
            Err(TrainingStopReason::Found(messages)) => {
                let reason = messages.first().map(|message| message.content.clone());
                (None, TrainingOutcome::from_messages(messages), reason)
            }
            Err(TrainingStopReason::Error(error)) => {
                tracing::error!(cause = ?std::error::Error::source(&error).map(ToString::to_string), "a training failed");
                let reason = error.message().to_owned();
                let messages = vec![new_message(Severity::Error, "Training failed", &reason)];
                (None, TrainingOutcome::from_messages(messages), Some(reason))
            }
        };
        let result = bundle::save_bundle(&services.account.definitions, &outcome).await?;
        let ended = finish_training(services, &version, artifact.clone(), result).await?;
        if ended == ModelVersionStatus::TrainingCancelled
            && let Some(artifact) = &artifact
        {
            services.model_cache.delete_model(artifact).await;
        }
        Ok(make_ended_training(&version, ended, reason))
    }
}

fn make_ended_training(
    version: &ModelVersion,
    status: ModelVersionStatus,
    reason: Option<String>,
) -> EndedTraining {
    EndedTraining {
        model_id: version.model_id.clone(),
        version: version.model_version_number.to_string(),
        status: status.to_string(),
        reason,
    }
}
