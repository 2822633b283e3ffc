//! The runners of the engine's jobs and trainings.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use engine::{EndedJob, EndedTraining, Engine, JobRunner, TrainingRunner};
use serde_json::json;
use uuid::Uuid;

use crate::commands::output::print_line;
use local_aws::clients::{self, Clients};
use local_aws::local_stack::LocalStack;

/// How often `--watch` looks for jobs.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs jobs and trainings, beside the operations that create them.
#[derive(Clone, Debug)]
pub struct Runners {
    jobs: JobRunner,
    trainings: TrainingRunner,
}

/// What a runner has finished.
enum FinishedWork {
    Job(EndedJob),
    Training(EndedTraining),
}

impl Runners {
    /// Runs jobs and trainings as they come; never returns.
    pub async fn run(&self) {
        tokio::join!(Box::pin(self.jobs.run()), Box::pin(self.trainings.run()));
    }

    /// Runs a waiting training; returns whether there was one.
    ///
    /// # Errors
    /// A dependency failed.
    pub async fn train_one(&self) -> Result<bool, engine::Error> {
        Ok(Box::pin(self.trainings.run_one()).await?.is_some())
    }

    async fn run_one(&self) -> Result<Option<FinishedWork>, engine::Error> {
        if let Some(ended) = self.jobs.run_one().await? {
            return Ok(Some(FinishedWork::Job(ended)));
        }
        Ok(self.trainings.run_one().await?.map(FinishedWork::Training))
    }
}

/// The runners of the local stack. Only one process at a time uses its folder, so a job that an
/// earlier process left unfinished is taken over at once.
pub fn local_runners(stack: &LocalStack) -> Runners {
    new_runners(Arc::clone(&stack.engine), &stack.clients.s3, "local")
}

/// Runners beside those of other processes: a job that another one left unfinished is taken over when
/// its lease ends.
pub fn remote_runners(engine: Arc<Engine>, clients: &Clients) -> Runners {
    let s3 = clients::with_file_timeouts(&clients.s3);
    new_runners(engine, &s3, &Uuid::new_v4().to_string())
}

fn new_runners(engine: Arc<Engine>, s3: &aws_sdk_s3::Client, name: &str) -> Runners {
    Runners {
        jobs: JobRunner::new(Arc::clone(&engine), s3.clone(), name),
        trainings: TrainingRunner::new(engine, s3.clone(), name),
    }
}

/// Runs the waiting jobs, or with `watch` also all that come later, until `stop`. Prints how each
/// ended.
///
/// # Errors
/// A dependency failed; the job continues when the command is run again.
pub async fn run_jobs(
    runners: &Runners,
    watch: bool,
    json: bool,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut stop = pin!(stop);
    let mut ended = 0;
    loop {
        let done = tokio::select! {
            () = &mut stop => return Ok(()),
            done = runners.run_one() => done?,
        };
        match done {
            Some(done) => {
                ended += 1;
                print_line(if json {
                    done.to_json()
                } else {
                    done.to_sentence()
                })?;
            }
            None if watch => tokio::select! {
                () = &mut stop => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            },
            None => break,
        }
    }
    if ended == 0 && !json {
        print_line("no job is waiting")?;
    }
    Ok(())
}

impl FinishedWork {
    fn to_json(&self) -> String {
        match self {
            Self::Job(job) => job_to_json(job),
            Self::Training(training) => json!({
                "kind": "training",
                "modelId": training.model_id,
                "modelVersionNumber": training.version,
                "status": training.status,
                "failureReason": training.reason,
            })
            .to_string(),
        }
    }

    fn to_sentence(&self) -> String {
        match self {
            Self::Job(job) => describe_job(job),
            Self::Training(training) => {
                let EndedTraining {
                    model_id,
                    version,
                    status,
                    reason,
                } = training;
                let reason = reason.iter().map(|reason| format!("\n  {reason}"));
                format!(
                    "training {model_id} {version}: {status}{}",
                    reason.collect::<String>()
                )
            }
        }
    }
}

fn job_to_json(job: &EndedJob) -> String {
    json!({
        "kind": job.kind.name(),
        "jobId": job.job_id,
        "status": job.status.name(),
        "processed": job.processed,
        "failed": job.failed,
        "failureReason": job.reason,
    })
    .to_string()
}

fn describe_job(job: &EndedJob) -> String {
    let (kind, status) = (job.kind.name(), job.status.name());
    let mut text = format!(
        "{kind} {}: {status}, {} processed, {} failed",
        job.job_id, job.processed, job.failed
    );
    if let Some(reason) = &job.reason {
        text.push_str("\n  ");
        text.push_str(reason);
    }
    text
}
