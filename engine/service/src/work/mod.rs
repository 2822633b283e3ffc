//! Runs the jobs that operations have stored.
//!
//! A runner takes a job with a lease and works in steps. After each step it saves the progress in one conditional
//! write. That write renews the lease, updates the counters that clients poll, and detects that the job was canceled.
//! If a runner dies, the progress of its last step remains. The next runner repeats at most one step, with the same
//! result. A function never runs jobs.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::Update;
use protocol::job_file::{RowBatch, RowPosition};
use protocol::{Error, Result};
use store::records::job::{
    Job, JobKind, JobPhase, JobState, JobStatus, OPEN_JOBS, OpenJob, job_key,
};
use store::table::{KeyRange, StoredRecord as _};

use crate::engine::Engine;
use crate::services::EngineServices;
use crate::services::statistics::EventCount;

mod batch_prediction;
mod deletion;
mod import;
mod job_file;
mod output;
pub(crate) mod source;
pub(crate) mod training;

/// How often a runner looks for jobs.
const IDLE_PAUSE: Duration = Duration::from_secs(1);
/// How long it waits after a dependency failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Rows in progress at a time.
const AT_ONCE: usize = 16;

/// A runner of jobs, for one engine and the client of its bucket.
#[derive(Clone, Debug)]
pub struct JobRunner {
    engine: Arc<Engine>,
    s3: aws_sdk_s3::Client,
    worker: String,
}

/// A job that a runner has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedJob {
    /// The kind of the job.
    pub kind: JobKind,
    /// Its id; for a deletion, the event type.
    pub job_id: String,
    /// Its final status.
    pub status: JobStatus,
    /// The number of rows or events that were processed, including failed ones.
    pub processed: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Why it failed.
    pub reason: Option<String>,
}

/// Why a job stops early.
#[derive(Debug)]
pub(crate) enum JobStopReason {
    /// It failed for good; the reason.
    Failed(String),
    /// A client asked for it.
    Canceled,
    /// Another runner has taken it.
    Lost,
    /// A dependency failed; the job continues later, after its last saved step.
    Error(Error),
}

impl From<Error> for JobStopReason {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Runs what is waiting, forever. `one` returns whether there was anything.
pub(crate) async fn run_repeatedly<F>(one: impl Fn() -> F)
where
    F: Future<Output = Result<bool>>,
{
    loop {
        let pause = match one().await {
            Ok(true) => continue,
            Ok(false) => IDLE_PAUSE,
            Err(error) => {
                tracing::warn!(code = error.code().name(), "a job has to wait");
                FAILURE_PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

impl JobRunner {
    /// A runner with the name `worker`. It takes jobs that a runner of the same name has taken at once, so only one
    /// process at a time may use a name.
    pub fn new(engine: Arc<Engine>, s3: aws_sdk_s3::Client, worker: impl Into<String>) -> Self {
        Self {
            engine,
            s3,
            worker: worker.into(),
        }
    }

    /// Runs jobs forever.
    pub async fn run(&self) {
        run_repeatedly(|| async { Ok(self.run_one().await?.is_some()) }).await;
    }

    /// Takes one job and runs it to its end; `None` if no job is waiting.
    ///
    /// # Errors
    /// A dependency failed. The next runner that takes the job continues after its last saved step.
    pub async fn run_one(&self) -> Result<Option<EndedJob>> {
        while let Some(job_run) = self.claim_job().await? {
            if let Some(ended) = job_run.run_to_end().await? {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    /// Takes the oldest job that no other runner has. Only one batch prediction runs at a time, as at Amazon.
    async fn claim_job(&self) -> Result<Option<JobRun<'_>>> {
        let services = self.engine.services();
        let mut open: Vec<OpenJob> = services
            .account
            .definitions
            .query(KeyRange::all(OPEN_JOBS))
            .await?;
        open.sort_by(|a, b| (a.started, &a.job_id).cmp(&(b.started, &b.job_id)));
        let runs: Vec<&str> = open.iter().map(|open| open.run.as_str()).collect();
        let states = JobState::load_all(&services.account, &runs).await?;
        let taken =
            |state: &JobState| state.is_leased_by_another(&self.worker, services.account.now());
        let predicts = |open: &OpenJob| open.kind == JobKind::BatchPrediction;
        let busy = open
            .iter()
            .zip(&states)
            .any(|(o, s)| predicts(o) && taken(s));
        for (open, mut state) in open.iter().zip(states.clone()) {
            if taken(&state) || busy && predicts(open) {
                continue;
            }
            let job: Option<Job> = services
                .account
                .definitions
                .get(&job_key(open.kind, &open.job_id))
                .await?;
            let Some(job) = job.filter(|job| job.run == open.run) else {
                services.account.definitions.delete(&open.key()).await?;
                continue;
            };
            if !state.status.has_ended() {
                state.take_lease(&self.worker, services.account.now());
                if state.status == JobStatus::InProgressInitializing {
                    state.status = JobStatus::InProgress;
                }
                match state.save(&services.account, None).await {
                    Ok(()) => {}
                    Err(error) if error.is_write_conflict() => continue,
                    Err(error) => return Err(error),
                }
            }
            return Ok(Some(JobRun {
                jobs: self,
                job,
                state,
            }));
        }
        Ok(None)
    }
}

/// A job that this runner has taken.
struct JobRun<'a> {
    jobs: &'a JobRunner,
    job: Job,
    state: JobState,
}

impl JobRun<'_> {
    fn services(&self) -> &EngineServices {
        self.jobs.engine.services()
    }

    /// Runs the job to its end; `None` if another runner has taken it.
    async fn run_to_end(mut self) -> Result<Option<EndedJob>> {
        let mut end = JobStatus::Complete;
        if !self.state.status.has_ended() {
            match self.run_job().await {
                Ok(()) => {}
                Err(JobStopReason::Canceled) => end = JobStatus::Canceled,
                Err(JobStopReason::Failed(reason)) => {
                    end = JobStatus::Failed;
                    self.state.failure_reason = Some(reason);
                }
                Err(JobStopReason::Lost) => return Ok(None),
                Err(JobStopReason::Error(error)) => return Err(error),
            }
            if !self.end_job(end).await? {
                return Ok(None);
            }
        }
        if self.job.files.is_some() && self.state.position.parts > 0 {
            output::delete_parts(&self).await;
        }
        self.services()
            .account
            .definitions
            .delete(&self.job.to_open_job().key())
            .await?;
        Ok(Some(EndedJob {
            kind: self.job.kind,
            job_id: self.job.job_id,
            status: self.state.status,
            processed: self.state.processed,
            failed: self.state.failed,
            reason: self.state.failure_reason,
        }))
    }

    async fn run_job(&mut self) -> Result<(), JobStopReason> {
        if self.state.status == JobStatus::CancelInProgress {
            return Err(JobStopReason::Canceled);
        }
        match self.job.kind {
            JobKind::BatchImport => import::run_import(self).await,
            JobKind::BatchPrediction => batch_prediction::run_batch_prediction(self).await,
            JobKind::EventsDeletion => deletion::run_deletion(self).await,
        }
    }

    /// Saves that a step is done, and its counts in the same transaction.
    async fn save_stored_step(&mut self, count: &EventCount) -> Result<(), JobStopReason> {
        if count.is_empty() {
            return self.save_progress(None).await;
        }
        let jobs = self.jobs;
        let event_type = self.job.event_type_name.clone();
        jobs.engine
            .services()
            .statistics
            .extend_time_span(&event_type, count)
            .await?;
        let with = jobs
            .engine
            .services()
            .statistics
            .count_update(&event_type, count)?;
        self.save_progress(Some(with)).await
    }

    /// Where reading the input goes on.
    fn row_position(&self) -> RowPosition {
        let position = &self.state.position;
        RowPosition {
            row: position.row,
            byte: position.byte,
        }
    }

    /// Moves the position behind the rows of a step.
    fn advance_past(&mut self, step: &RowBatch) {
        self.state.position.row += step.rows.len() as u64;
        self.state.position.byte = step.byte;
    }

    /// Goes from the check to the work: the file is read from the start again, the output continues.
    fn begin_work_phase(&mut self) {
        let position = &mut self.state.position;
        position.phase = JobPhase::Work;
        (position.row, position.byte) = (0, 0);
    }

    /// Saves that a step is done, and `with` in the same transaction.
    async fn save_progress(&mut self, with: Option<Update>) -> Result<(), JobStopReason> {
        let services = self.jobs.engine.services();
        self.state
            .take_lease(&self.jobs.worker, services.account.now());
        match self.state.save(&services.account, with).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_write_conflict() => Err(self.find_stop_reason().await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the job; a cancellation that arrives after this has no effect. Returns whether the job was still ours.
    async fn end_job(&mut self, status: JobStatus) -> Result<bool> {
        let jobs = self.jobs;
        let now = jobs.engine.services().account.now();
        self.state.end(status, now);
        loop {
            match self.state.save(&jobs.engine.services().account, None).await {
                Ok(()) => return Ok(true),
                Err(error) if error.is_write_conflict() => {}
                Err(error) => return Err(error),
            }
            let mut found = JobState::load(&jobs.engine.services().account, &self.job.run).await?;
            if !found.is_leased_by(&jobs.worker) || found.status.has_ended() {
                return Ok(false);
            }
            found.processed = self.state.processed;
            found.failed = self.state.failed;
            found.failure_reason.clone_from(&self.state.failure_reason);
            found.end(status, now);
            self.state = found;
        }
    }

    /// Handles a write conflict with our progress: a client canceled the job, or another runner took it.
    async fn find_stop_reason(&mut self) -> Result<JobStopReason> {
        let found = JobState::load(&self.services().account, &self.job.run).await?;
        if found.is_leased_by(&self.jobs.worker) && found.status == JobStatus::CancelInProgress {
            // What was done before the last save is in the saved state; parts written after it are deleted as well.
            self.state = found;
            return Ok(JobStopReason::Canceled);
        }
        Ok(JobStopReason::Lost)
    }
}
