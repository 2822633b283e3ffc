//! `fraudstream apply`: makes the service decide as a detector file says.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use super::workspace::{Backend, WorkspaceArgs};
use crate::apply::{self, Target};
use local_aws::dynamodb::Durability;

/// The arguments of `apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The detector file.
    #[arg(default_value = "config/detector.yaml")]
    file: PathBuf,
    /// Print what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The service to apply it to; default that of --fraud-detector.
    #[arg(long, value_enum)]
    to: Option<Target>,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

impl ApplyArgs {
    /// Applies the file, and prints the plan and each step that is done.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let backend = match self.to {
            Some(Target::Amazon) => Backend::Aws,
            Some(Target::Engine) => Backend::Engine,
            None => workspace.fraud_detector,
        };
        // Amazon's service is on AWS only, so it needs no --aws.
        let mut workspace = workspace.clone();
        workspace.aws |= backend == Backend::Aws;
        let opened = workspace.open(Durability::PowerLoss, backend).await?;
        let options = apply::Options {
            file: self.file,
            dry_run: self.dry_run,
            to: match backend {
                Backend::Aws => Target::Amazon,
                Backend::Engine => Target::Engine,
            },
            json: self.json,
        };
        let client = &opened.pipeline.clients.frauddetector;
        let result = apply::run(client, &options, &mut io::stdout()).await;
        opened.close().await?;
        result?;
        Ok(())
    }
}
