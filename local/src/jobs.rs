//! `fraudstream jobs`: the runner of the engine's jobs.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use engine::{Ended, Engine, Jobs};
use serde_json::json;
use uuid::Uuid;

use crate::clients::{self, Clients};
use crate::machine::Machine;

/// How often `--watch` looks for jobs.
const PAUSE: Duration = Duration::from_secs(1);

/// The runner of a folder. One process at a time works there, so what an earlier one left behind
/// is taken over at once.
pub fn local(machine: &Machine) -> Jobs {
    let engine = Arc::clone(&machine.engine);
    Jobs::new(engine, machine.clients.s3.clone(), "local")
}

/// A runner among others: a job that another one left behind is taken over when its lease ends.
pub fn remote(engine: Arc<Engine>, clients: &Clients) -> Jobs {
    let s3 = clients::for_files(&clients.s3);
    Jobs::new(engine, s3, Uuid::new_v4().to_string())
}

/// Runs the jobs that are there, or with `watch` all that come, until `stop`. Says of each how it
/// ended.
///
/// # Errors
/// A dependency failed; the job goes on when the command is called again.
pub async fn run(
    jobs: &Jobs,
    watch: bool,
    json: bool,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut stop = pin!(stop);
    let mut ended = 0;
    loop {
        let job = tokio::select! {
            () = &mut stop => return Ok(()),
            job = jobs.run_one() => job?,
        };
        match job {
            Some(job) => {
                ended += 1;
                println!("{}", if json { as_json(&job) } else { sentence(&job) });
            }
            None if watch => tokio::select! {
                () = &mut stop => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            },
            None => break,
        }
    }
    if ended == 0 && !json {
        println!("no job is waiting");
    }
    Ok(())
}

fn as_json(job: &Ended) -> String {
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

fn sentence(job: &Ended) -> String {
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
