//! `fraudstream jobs`: runs the jobs and trainings that were asked for.

use clap::Args;

use super::CommandError;
use super::workspace::{Backend, WorkspaceArgs};
use crate::runners;
use crate::signals;
use local_aws::dynamodb::Durability;

/// The arguments of `jobs`.
#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Wait for new jobs until interrupted; otherwise the command ends when no job is left.
    #[arg(long)]
    watch: bool,
    /// Print each job that ends as a line of JSON.
    #[arg(long)]
    json: bool,
}

impl JobsArgs {
    /// Runs jobs, and prints a line for each that ends.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let workspace = workspace.open(Durability::Kill, Backend::Engine).await?;
        let runners = workspace.open_runners().await;
        let stop = signals::listen_for_interrupt(signals::GRACE)?;
        let result = runners::run_jobs(&runners, self.watch, self.json, stop).await;
        drop(runners);
        workspace.close().await?;
        result
    }
}
