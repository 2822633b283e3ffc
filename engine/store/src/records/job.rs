//! What is kept of a job: what was asked for, and how far it is.
//!
//! The request is a definition like any other, with tags, and never changes. The state is an item
//! of its own, because it moves all the time and definitions should not. A job without a state is
//! one that nobody has begun.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::account::Account;
use crate::records::tags::Tags;
use crate::table::{Key, Record, write_at};
use protocol::text;
use protocol::{Error, Result};

/// How long a runner may be silent before another takes its job.
pub const LEASE_SECONDS: i64 = 60;
/// Where the jobs are that have not ended.
pub const OPEN_JOBS: &str = "open-job";

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JobKind {
    /// Stores the rows of a file as events.
    #[serde(rename = "batch-import")]
    BatchImport,
    /// Predicts on the rows of a file.
    #[serde(rename = "batch-prediction")]
    BatchPrediction,
    /// Deletes the events of an event type.
    #[serde(rename = "events-deletion")]
    EventsDeletion,
}

impl JobKind {
    /// The partition of its jobs, and the kind in their ARNs, e.g. `batch-import`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BatchImport => "batch-import",
            Self::BatchPrediction => "batch-prediction",
            Self::EventsDeletion => "events-deletion",
        }
    }

    /// As a sentence begins with it.
    pub fn title(self) -> &'static str {
        match self {
            Self::BatchImport => "Batch import job",
            Self::BatchPrediction => "Batch prediction job",
            Self::EventsDeletion => "Deletion of events",
        }
    }
}

/// `AsyncJobStatus` of the service model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStatus {
    /// Nobody has begun it.
    InProgressInitializing,
    /// It runs, or waits for a runner to go on with it.
    InProgress,
    /// It is to end and has not yet.
    CancelInProgress,
    /// It was ended on request.
    Canceled,
    /// It is done.
    Complete,
    /// It cannot be done; `failureReason` says why.
    Failed,
}

impl JobStatus {
    /// As on the wire, e.g. `IN_PROGRESS`.
    pub fn name(self) -> &'static str {
        match self {
            Self::InProgressInitializing => "IN_PROGRESS_INITIALIZING",
            Self::InProgress => "IN_PROGRESS",
            Self::CancelInProgress => "CANCEL_IN_PROGRESS",
            Self::Canceled => "CANCELED",
            Self::Complete => "COMPLETE",
            Self::Failed => "FAILED",
        }
    }

    /// Whether nothing more will happen.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Canceled | Self::Complete | Self::Failed)
    }
}

/// A job as it was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub kind: JobKind,
    pub job_id: String,
    /// Another job of the same id, after this one is deleted, has another.
    pub run: String,
    /// Milliseconds since 1970.
    pub started: i64,
    pub event_type_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<JobFiles>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<JobDetector>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// Where a job reads and writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobFiles {
    pub input_path: String,
    pub output_path: String,
    pub iam_role_arn: String,
}

/// Who predicts in a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobDetector {
    pub detector_name: String,
    pub detector_version: String,
}

impl Record for Job {
    fn key(&self) -> Key {
        job_key(self.kind, &self.job_id)
    }
}

pub fn job_key(kind: JobKind, job_id: &str) -> Key {
    Key::new(kind.name(), job_id)
}

impl Job {
    pub fn new(account: &Account, kind: JobKind, job_id: String, event_type: String) -> Self {
        Self {
            kind,
            job_id,
            run: Uuid::new_v4().simple().to_string(),
            started: account.now().as_millisecond(),
            event_type_name: event_type,
            files: None,
            detector: None,
            tags: Tags::default(),
        }
    }

    /// When it was asked for.
    pub fn started(&self) -> Timestamp {
        Timestamp::from_millisecond(self.started).unwrap_or_default()
    }

    /// What makes a runner see it.
    pub fn open(&self) -> OpenJob {
        OpenJob {
            kind: self.kind,
            job_id: self.job_id.clone(),
            run: self.run.clone(),
            started: self.started,
        }
    }
}

/// A job that has not ended, for runners to find.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenJob {
    pub kind: JobKind,
    pub job_id: String,
    pub run: String,
    pub started: i64,
}

impl Record for OpenJob {
    fn key(&self) -> Key {
        Key::new(OPEN_JOBS, &self.run)
    }
}

/// Who works on a job, and until when nobody else may.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobLease {
    pub worker: String,
    pub until: i64,
}

/// What a job is about to do: each step can be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobPhase {
    /// Reads every row and changes nothing.
    #[default]
    Check,
    /// Does its work.
    Work,
}

/// Up to where a job is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobPosition {
    pub phase: JobPhase,
    /// Rows of the file that are done, the header not counted.
    pub row: u64,
    /// Where in the file the next row begins.
    pub byte: u64,
    /// Parts of the output that are written.
    pub parts: u64,
    /// The last key of a scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<(String, String)>,
}

/// How far a job is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobState {
    pub run: String,
    pub status: JobStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_time: Option<String>,
    pub total: u64,
    pub processed: u64,
    pub failed: u64,
    pub place: JobPosition,
    /// Tells the input file from another that was put in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<JobLease>,
    pub revision: u64,
    /// Tells our own write, sent again by the SDK, from another's.
    pub attempt: String,
}

pub fn job_state_key(run: &str) -> Key {
    Key::new(format!("job#{run}"), "state")
}

impl JobState {
    pub fn new(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            status: JobStatus::InProgressInitializing,
            failure_reason: None,
            completion_time: None,
            heartbeat_time: None,
            total: 0,
            processed: 0,
            failed: 0,
            place: JobPosition::default(),
            input_tag: None,
            lease: None,
            revision: 0,
            attempt: String::new(),
        }
    }

    pub async fn load(account: &Account, run: &str) -> Result<Self> {
        let found = account.events.get(&job_state_key(run)).await?;
        Ok(found.unwrap_or_else(|| Self::new(run)))
    }

    /// The states of many jobs, by their runs.
    pub async fn load_all(account: &Account, runs: &[&str]) -> Result<Vec<Self>> {
        let keys: Vec<Key> = runs.iter().map(|run| job_state_key(run)).collect();
        let found: Vec<Self> = account.events.many(&keys).await?;
        let state = |run: &&str| {
            let state = found.iter().find(|state| state.run == **run).cloned();
            state.unwrap_or_else(|| Self::new(run))
        };
        Ok(runs.iter().map(state).collect())
    }

    pub async fn delete(account: &Account, run: &str) -> Result<()> {
        account.events.delete(&job_state_key(run)).await
    }

    /// Whether nobody has worked on it.
    pub fn is_untouched(&self) -> bool {
        self.lease.is_none()
    }

    /// Whether another runner than `worker` may still be at work.
    pub fn is_taken(&self, worker: &str, now: Timestamp) -> bool {
        let lease = self.lease.as_ref();
        lease.is_some_and(|lease| lease.worker != worker && lease.until > now.as_second())
    }

    pub fn is_ours(&self, worker: &str) -> bool {
        self.lease
            .as_ref()
            .is_some_and(|lease| lease.worker == worker)
    }

    /// Takes the job for `worker`, or keeps it.
    pub fn lease(&mut self, worker: &str, now: Timestamp) {
        self.heartbeat_time = Some(text::seconds(now));
        self.lease = Some(JobLease {
            worker: worker.to_owned(),
            until: now.as_second() + LEASE_SECONDS,
        });
    }

    pub fn end(&mut self, status: JobStatus, now: Timestamp) {
        self.status = status;
        self.completion_time = Some(text::seconds(now));
    }

    /// Writes the state, and with it what has to happen exactly when it does. Fails with
    /// [`Error::lost`] where somebody else has written since it was read.
    pub async fn save(&mut self, account: &Account, with: Option<Update>) -> Result<()> {
        let before = self.revision;
        self.revision += 1;
        self.attempt = Uuid::new_v4().simple().to_string();
        let item = write_at(&job_state_key(&self.run), self)?;
        let table = &account.events;
        let written = match with {
            None => table.put_after(item, before).await?,
            Some(update) => {
                let put = table.after(item, before)?;
                let put = TransactWriteItem::builder().put(put).build();
                let update = TransactWriteItem::builder().update(update).build();
                table.transact(vec![put, update]).await?
            }
        };
        if written || Self::load(account, &self.run).await?.attempt == self.attempt {
            return Ok(());
        }
        Err(Error::write_conflict())
    }
}
