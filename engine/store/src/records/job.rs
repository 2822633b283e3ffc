//! The stored form of a job: its request and its progress.
//!
//! The request is a definition like any other, with tags, and never changes. The state is an item of its own, because
//! it changes often and definitions should not. A job without a state has not been started.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use jiff::Timestamp;
use protocol::{Error, Result, text};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::account::Account;
use crate::records::tags::Tags;
use crate::table::{Key, StoredRecord, encode_record_at};

/// How long a runner may be silent, in seconds, before another one takes its job.
pub const LEASE_SECONDS: i64 = 60;
/// The partition of the jobs that have not ended.
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
    /// The partition of these jobs, and the kind in their ARNs, e.g. `batch-import`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BatchImport => "batch-import",
            Self::BatchPrediction => "batch-prediction",
            Self::EventsDeletion => "events-deletion",
        }
    }

    /// The kind as the first words of a sentence.
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
    /// No runner has started it.
    InProgressInitializing,
    /// It is running, or waits for a runner to continue it.
    InProgress,
    /// Its cancellation was requested and is not done yet.
    CancelInProgress,
    /// It was canceled.
    Canceled,
    /// It is done.
    Complete,
    /// It failed for good; `failureReason` says why.
    Failed,
}

impl JobStatus {
    /// The name on the wire, e.g. `IN_PROGRESS`.
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

    /// Whether the job has ended and will not change any more.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Canceled | Self::Complete | Self::Failed)
    }
}

/// A job as it was requested.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub kind: JobKind,
    pub job_id: String,
    /// The id of this run. If the job is deleted, another with the same id gets a new run.
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

/// The detector that a batch prediction uses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobDetector {
    pub detector_name: String,
    pub detector_version: String,
}

impl StoredRecord for Job {
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

    /// When it was requested.
    pub fn start_time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.started).unwrap_or_default()
    }

    /// The item by which runners find it.
    pub fn to_open_job(&self) -> OpenJob {
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

impl StoredRecord for OpenJob {
    fn key(&self) -> Key {
        Key::new(OPEN_JOBS, &self.run)
    }
}

/// The lease of a job: its runner, and until when no other runner may take it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobLease {
    pub worker: String,
    pub until: i64,
}

/// The phase of a job. Every step of it can be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobPhase {
    /// Reads every row and stores nothing.
    #[default]
    Check,
    /// Does its work.
    Work,
}

/// The position up to which a job is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobPosition {
    pub phase: JobPhase,
    /// Rows of the file that are done, without the header.
    pub row: u64,
    /// The offset of the next row in the file, in bytes.
    pub byte: u64,
    /// Parts of the output that have been written.
    pub parts: u64,
    /// The last key that a scan has read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<(String, String)>,
}

/// The progress of a job.
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
    #[serde(rename = "place")]
    pub position: JobPosition,
    /// The `ETag` of the input file; detects that the file was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<JobLease>,
    pub revision: u64,
    /// Tells our own write, sent again by the SDK, from a write of another process.
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
            position: JobPosition::default(),
            input_tag: None,
            lease: None,
            revision: 0,
            attempt: String::new(),
        }
    }

    /// The state of a job; a new one if no runner has started the job.
    pub async fn load(account: &Account, run: &str) -> Result<Self> {
        let found = account.events.get(&job_state_key(run)).await?;
        Ok(found.unwrap_or_else(|| Self::new(run)))
    }

    /// The states of many jobs, by their runs.
    pub async fn load_all(account: &Account, runs: &[&str]) -> Result<Vec<Self>> {
        let keys: Vec<Key> = runs.iter().map(|run| job_state_key(run)).collect();
        let found: Vec<Self> = account.events.get_many(&keys).await?;
        let state = |run: &&str| {
            let state = found.iter().find(|state| state.run == **run).cloned();
            state.unwrap_or_else(|| Self::new(run))
        };
        Ok(runs.iter().map(state).collect())
    }

    pub async fn delete(account: &Account, run: &str) -> Result<()> {
        account.events.delete(&job_state_key(run)).await
    }

    /// Whether no runner has started it.
    pub fn is_untouched(&self) -> bool {
        self.lease.is_none()
    }

    /// Whether a runner other than `worker` may still be working on it.
    pub fn is_leased_by_another(&self, worker: &str, now: Timestamp) -> bool {
        let lease = self.lease.as_ref();
        lease.is_some_and(|lease| lease.worker != worker && lease.until > now.as_second())
    }

    /// Whether `worker` has the lease, even if it is over.
    pub fn is_leased_by(&self, worker: &str) -> bool {
        self.lease
            .as_ref()
            .is_some_and(|lease| lease.worker == worker)
    }

    /// Takes the lease for `worker`, or renews it.
    pub fn take_lease(&mut self, worker: &str, now: Timestamp) {
        self.heartbeat_time = Some(text::format_seconds(now));
        self.lease = Some(JobLease {
            worker: worker.to_owned(),
            until: now.as_second() + LEASE_SECONDS,
        });
    }

    /// Sets the final status; [`Self::save`] writes it.
    pub fn end(&mut self, status: JobStatus, now: Timestamp) {
        self.status = status;
        self.completion_time = Some(text::format_seconds(now));
    }

    /// Writes the state, and `with` in the same transaction. Fails with [`Error::write_conflict`] if another process
    /// has written the state since it was read.
    pub async fn save(&mut self, account: &Account, with: Option<Update>) -> Result<()> {
        let before = self.revision;
        self.revision += 1;
        self.attempt = Uuid::new_v4().simple().to_string();
        let item = encode_record_at(&job_state_key(&self.run), self)?;
        let table = &account.events;
        let written = match with {
            None => table.put_if_unchanged(item, before).await?,
            Some(update) => {
                let put = table.conditional_put(item, before)?;
                let put = TransactWriteItem::builder().put(put).build();
                let update = TransactWriteItem::builder().update(update).build();
                table.write_transaction(vec![put, update]).await?
            }
        };
        if written || Self::load(account, &self.run).await?.attempt == self.attempt {
            return Ok(());
        }
        Err(Error::write_conflict())
    }
}
