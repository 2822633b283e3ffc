//! `fraudstream apply`: makes the service decide as a detector file says.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use super::output::print_result;
use super::rollback::{RollbackTarget, roll_back};
use super::workspace::{Backend, WorkspaceArgs};
use crate::apply::{self, ApplyError, ApplyTarget, MappedDetector, NewVersions};
use crate::change_log::{ChangeLog, UrgentChangeArgs, read_backtest};
use crate::cloudformation::inputs::parse_parameter;
use crate::exit_status::explain_write_error;
use local_aws::dynamodb::Durability;

/// The values of a template's parameters.
#[derive(Debug, Args)]
pub(crate) struct ParameterArgs {
    /// The value of a parameter of the template; repeat it for each. `AWS::AccountId` and the other pseudo
    /// parameters can be given too.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub(crate) parameters: Vec<(String, String)>,
}

/// The arguments of `apply`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub(crate) struct ApplyArgs {
    /// The detector file.
    #[arg(default_value = "config/detector.yaml")]
    file: PathBuf,
    #[command(flatten)]
    parameters: ParameterArgs,
    /// Print what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Leave the new version a draft, for `shadow` and `rollout`: the one that is active decides on.
    #[arg(long)]
    no_activate: bool,
    #[command(flatten)]
    change: UrgentChangeArgs,
    /// What `fraudstream backtest --json` printed of this change; it is kept in the history.
    #[arg(long, value_name = "FILE")]
    backtest: Option<PathBuf>,
    /// Instead of applying a file, make the version active that decided before the present one, or version TO. Nothing else is
    /// changed.
    #[arg(
        long,
        value_name = "TO",
        num_args = 0..=1,
        default_missing_value = RollbackTarget::BEFORE,
        value_parser = RollbackTarget::parse,
        conflicts_with_all = ["file", "parameters", "dry_run", "backtest", "allow_unfilled", "no_activate"]
    )]
    rollback: Option<RollbackTarget>,
    /// The service to apply it to; default that of --fraud-detector.
    #[arg(long, value_enum)]
    to: Option<ApplyTarget>,
    /// Apply rules that read what the mapping never fills: for events that other programs send.
    #[arg(long)]
    allow_unfilled: bool,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

impl ApplyArgs {
    /// Applies the file, and prints the plan and each step that is done.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let backend = match self.to {
            Some(ApplyTarget::Amazon) => Backend::Aws,
            Some(ApplyTarget::Engine) => Backend::Engine,
            None => workspace.fraud_detector,
        };
        // Amazon's service is on AWS only, so it needs no --aws.
        let mut workspace = workspace.clone();
        workspace.aws |= backend == Backend::Aws;
        let report = self.backtest.as_deref().map(read_backtest).transpose()?;
        let mapping = workspace.read_mapping_if_any()?;
        let rollback = match self.rollback {
            None => None,
            Some(to) => Some((workspace.read_mapping()?.detector().to_string(), to)),
        };
        let opened = workspace.open(Durability::PowerLoss, backend).await?;
        // Amazon's service has no place for a history.
        let log = match backend {
            Backend::Engine => Some(
                ChangeLog::of_urgent(opened.open_engine().await, &self.change)
                    .with_backtest(report),
            ),
            Backend::Aws => None,
        };
        if let Some((detector, to)) = rollback {
            let client = &opened.pipeline.clients.frauddetector;
            let result = roll_back(client, &detector, to, log.as_ref()).await;
            drop(log);
            opened.close().await?;
            let done = result?;
            return print_result(self.json, &done, format_args!("{done}\n"));
        }
        if backend == Backend::Aws
            && (self.change.change.reason.is_some() || self.backtest.is_some())
        {
            eprintln!(
                "note: Amazon Fraud Detector keeps no history: reason and backtest are not recorded"
            );
        }
        let options = apply::ApplyOptions {
            file: self.file,
            parameters: self.parameters.parameters,
            dry_run: self.dry_run,
            to: match backend {
                Backend::Aws => ApplyTarget::Amazon,
                Backend::Engine => ApplyTarget::Engine,
            },
            json: self.json,
            mapped: mapping.as_ref().map(MappedDetector::new),
            allow_unfilled: self.allow_unfilled,
            new_versions: if self.no_activate {
                NewVersions::StayDrafts
            } else {
                NewVersions::AsFile
            },
            log,
        };
        let client = &opened.pipeline.clients.frauddetector;
        let result = apply::apply_template(client, &options, &mut io::stdout()).await;
        drop(options);
        opened.close().await?;
        match result {
            Ok(_) => Ok(()),
            Err(ApplyError::Output(error)) => Err(explain_write_error(error)),
            Err(error) => Err(error.into()),
        }
    }
}
