//! Runs what the job operations wrote down.
//!
//! A runner takes a job with a lease and does it in steps. After each step it notes, in one
//! conditional write, how far the job is: that keeps the lease, moves the counters that clients
//! poll, and notices that the job was canceled. A runner that dies leaves the note of its last
//! step, and whoever takes the job next repeats at most the step after it, which comes out the
//! same. A function never runs jobs.

use crate::engine::Engine;
use crate::services::statistics::Count;
use protocol::{Error, Result};
use store::records::job::{Job, JobKind, JobState, JobStatus, OPEN_JOBS, OpenJob, job_key};
use store::table::Range;

mod batch_prediction;
mod csv;
mod deletion;
mod import;
mod output;
pub(crate) mod source;
pub(crate) mod training;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::Update;

use crate::services::Services;
use store::table::Record as _;

/// How often a runner looks for jobs.
const PAUSE: Duration = Duration::from_secs(1);
/// How long it waits after a dependency failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Rows in progress at a time.
const AT_ONCE: usize = 16;

/// A runner of jobs over one engine and its bucket's client.
#[derive(Clone, Debug)]
pub struct Jobs {
    engine: Arc<Engine>,
    s3: aws_sdk_s3::Client,
    worker: String,
}

/// A job that a runner has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What it did.
    pub kind: JobKind,
    /// Its id; of a deletion, the event type.
    pub job_id: String,
    /// How it ended.
    pub status: JobStatus,
    /// Rows or events that were looked at, and how many of them failed.
    pub processed: u64,
    /// See [`Ended::processed`].
    pub failed: u64,
    /// Why it failed.
    pub reason: Option<String>,
}

/// Why a job stops before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It can never be done.
    Failed(String),
    /// A client asked for it.
    Canceled,
    /// Another runner has taken it.
    Lost,
    /// A dependency failed; the job goes on from its last step later.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Does what waits, for ever; `one` says whether there was anything.
pub(crate) async fn as_they_come<F>(one: impl Fn() -> F)
where
    F: Future<Output = Result<bool>>,
{
    loop {
        let pause = match one().await {
            Ok(true) => continue,
            Ok(false) => PAUSE,
            Err(error) => {
                tracing::warn!(code = error.code().name(), "a job has to wait");
                AFTER_FAILURE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

impl Jobs {
    /// A runner that calls itself `worker`. A job that a runner of the same name has taken is
    /// taken again at once, so a name is for one process at a time.
    pub fn new(engine: Arc<Engine>, s3: aws_sdk_s3::Client, worker: impl Into<String>) -> Self {
        Self {
            engine,
            s3,
            worker: worker.into(),
        }
    }

    /// Runs jobs as they come, for ever.
    pub async fn run(&self) {
        as_they_come(|| async { Ok(self.run_one().await?.is_some()) }).await;
    }

    /// Takes one job and runs it to its end; `None` where there is none to take.
    ///
    /// # Errors
    /// A dependency failed. The job goes on from its last step when it is next taken.
    pub async fn run_one(&self) -> Result<Option<Ended>> {
        while let Some(turn) = self.claim().await? {
            if let Some(ended) = turn.run().await? {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    /// The oldest job that nobody works on. Of predictions one runs at a time, as at Amazon.
    async fn claim(&self) -> Result<Option<Turn<'_>>> {
        let services = self.engine.services();
        let mut open: Vec<OpenJob> = services
            .account
            .definitions
            .query(Range::all(OPEN_JOBS))
            .await?;
        open.sort_by(|a, b| (a.started, &a.job_id).cmp(&(b.started, &b.job_id)));
        let runs: Vec<&str> = open.iter().map(|open| open.run.as_str()).collect();
        let states = JobState::load_all(&services.account, &runs).await?;
        let taken = |state: &JobState| state.is_taken(&self.worker, services.account.now());
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
                state.lease(&self.worker, services.account.now());
                if state.status == JobStatus::InProgressInitializing {
                    state.status = JobStatus::InProgress;
                }
                match state.save(&services.account, None).await {
                    Ok(()) => {}
                    Err(error) if error.is_write_conflict() => continue,
                    Err(error) => return Err(error),
                }
            }
            return Ok(Some(Turn {
                jobs: self,
                job,
                state,
            }));
        }
        Ok(None)
    }
}

/// A job in the hands of a runner.
struct Turn<'a> {
    jobs: &'a Jobs,
    job: Job,
    state: JobState,
}

impl Turn<'_> {
    fn services(&self) -> &Services {
        self.jobs.engine.services()
    }

    /// Runs the job to its end; `None` where another runner has taken it.
    async fn run(mut self) -> Result<Option<Ended>> {
        let mut end = JobStatus::Complete;
        if !self.state.status.has_ended() {
            match self.work().await {
                Ok(()) => {}
                Err(Stop::Canceled) => end = JobStatus::Canceled,
                Err(Stop::Failed(reason)) => {
                    end = JobStatus::Failed;
                    self.state.failure_reason = Some(reason);
                }
                Err(Stop::Lost) => return Ok(None),
                Err(Stop::Error(error)) => return Err(error),
            }
            if !self.end(end).await? {
                return Ok(None);
            }
        }
        if self.job.files.is_some() && self.state.place.parts > 0 {
            output::sweep(&self).await;
        }
        self.services()
            .account
            .definitions
            .delete(&self.job.open().key())
            .await?;
        Ok(Some(Ended {
            kind: self.job.kind,
            job_id: self.job.job_id,
            status: self.state.status,
            processed: self.state.processed,
            failed: self.state.failed,
            reason: self.state.failure_reason,
        }))
    }

    async fn work(&mut self) -> Result<(), Stop> {
        if self.state.status == JobStatus::CancelInProgress {
            return Err(Stop::Canceled);
        }
        match self.job.kind {
            JobKind::BatchImport => import::run(self).await,
            JobKind::BatchPrediction => batch_prediction::run(self).await,
            JobKind::EventsDeletion => deletion::run(self).await,
        }
    }

    /// Notes that a step is done, and counts what it stored exactly when the note lands.
    async fn note_stored(&mut self, count: &Count) -> Result<(), Stop> {
        if count.is_empty() {
            return self.note(None).await;
        }
        let jobs = self.jobs;
        let event_type = self.job.event_type_name.clone();
        jobs.engine
            .services()
            .statistics
            .stretch_to(&event_type, count)
            .await?;
        let with = jobs
            .engine
            .services()
            .statistics
            .count_update(&event_type, count)?;
        self.note(Some(with)).await
    }

    /// Notes that a step is done. `with` lands exactly when the note does.
    async fn note(&mut self, with: Option<Update>) -> Result<(), Stop> {
        let services = self.jobs.engine.services();
        self.state.lease(&self.jobs.worker, services.account.now());
        match self.state.save(&services.account, with).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_write_conflict() => Err(self.overtaken().await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the job; a cancel that comes at the last moment has come too late. Says whether it was
    /// still ours to end.
    async fn end(&mut self, status: JobStatus) -> Result<bool> {
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
            if !found.is_ours(&jobs.worker) || found.status.has_ended() {
                return Ok(false);
            }
            found.processed = self.state.processed;
            found.failed = self.state.failed;
            found.failure_reason.clone_from(&self.state.failure_reason);
            found.end(status, now);
            self.state = found;
        }
    }

    /// Who wrote between two of our notes: a client that cancels, or another runner.
    async fn overtaken(&mut self) -> Result<Stop> {
        let found = JobState::load(&self.services().account, &self.job.run).await?;
        if found.is_ours(&self.jobs.worker) && found.status == JobStatus::CancelInProgress {
            // What it had done before the last note stands there; parts beyond are swept as well.
            self.state = found;
            return Ok(Stop::Canceled);
        }
        Ok(Stop::Lost)
    }
}
