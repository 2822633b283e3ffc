//! `fraudstream velocity`: which generations of profiles there are, and filling a new one from past orders.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use clap::{Args, Subcommand};
use event::Timestamp;
use shared::mapping::Mapping;

use super::CommandError;
use super::output::print_result;
use super::workspace::{Workspace, WorkspaceArgs};
use crate::rebuild::{Rebuild, RebuildProgress};
use local_aws::dynamodb::Durability;

/// How long an invocation lasts at most: the timeout of the functions in template.yaml, and as much again.
const SETTLE_SECONDS: u64 = 120;
/// The time between two lines about progress.
const SAY_SECONDS: i64 = 5;

/// The arguments of `velocity`.
#[derive(Debug, Args)]
pub(crate) struct VelocityArgs {
    #[command(subcommand)]
    action: VelocityAction,
}

#[derive(Debug, Subcommand)]
enum VelocityAction {
    /// Count all past orders again, for aggregates and keys that were added, and for profiles that cannot be read.
    #[command(
        after_help = "Examples:\n  fraudstream velocity rebuild --dry-run\n  fraudstream --aws velocity rebuild\n\nThe pipeline goes on meanwhile. Deploy the mapping with the new aggregates to all functions first. If the command is stopped,\nrun it again: it continues."
    )]
    Rebuild(RebuildArgs),
    /// Give up a rebuild that is under way, and delete what it filled.
    #[command(after_help = "Example:\n  fraudstream --aws velocity abandon")]
    Abandon(StepArgs),
    /// Show which generations of profiles there are, and how far a rebuild is.
    #[command(after_help = "Example:\n  fraudstream --aws velocity status --profiles")]
    Status(StatusArgs),
}

#[derive(Debug, Args)]
struct RebuildArgs {
    /// Print what would be read and what it costs, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Judge orders on the new profiles although something cannot be rebuilt for some orders.
    #[arg(long)]
    accept_missing: bool,
    #[command(flatten)]
    steps: StepArgs,
}

/// What the actions have in common that change generations.
#[derive(Debug, Args)]
struct StepArgs {
    /// For how long an invocation may last: the longest timeout of the functions, with a margin. Without --aws it is 0, since
    /// nothing else uses the folder.
    #[arg(long, value_name = "SECONDS")]
    settle: Option<u64>,
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// Read all profiles, count them, and name keys with profiles that cannot be read.
    #[arg(long)]
    profiles: bool,
    /// Print the generations as JSON.
    #[arg(long)]
    json: bool,
}

impl VelocityArgs {
    /// Runs the action, and prints its result.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let mapping = Arc::new(workspace.read_mapping()?);
        let opened = workspace
            .open(Durability::Kill, workspace.fraud_detector)
            .await?;
        let result = self.action.run(workspace, &opened, &mapping).await;
        opened.close().await?;
        result
    }
}

impl VelocityAction {
    async fn run(
        &self,
        workspace: &WorkspaceArgs,
        opened: &Workspace<'_>,
        mapping: &Arc<Mapping>,
    ) -> Result<(), CommandError> {
        let start = Timestamp::from_jiff(jiff::Timestamp::now())?;
        // A clock beyond the year 9999 stands still.
        let clock = || Timestamp::from_jiff(jiff::Timestamp::now()).unwrap_or(start);
        let said = AtomicI64::new(start.epoch_seconds());
        let say = |progress: &RebuildProgress| say_sometimes(&said, clock(), progress);
        let rebuild = Rebuild {
            pipeline: &opened.pipeline,
            mapping,
            settle: self.settle(workspace.is_remote()),
            accept_missing: matches!(self, Self::Rebuild(args) if args.accept_missing),
            clock: &clock,
            say: &say,
        };
        match self {
            Self::Rebuild(args) => args.rebuild(&rebuild).await,
            Self::Abandon(args) => {
                let report = rebuild.abandon().await?;
                print_result(args.json, &report, &report)
            }
            Self::Status(args) => {
                let status = rebuild.status(args.profiles).await?;
                print_result(args.json, &status, &status)
            }
        }
    }

    /// For how long an invocation may last.
    fn settle(&self, is_remote: bool) -> Duration {
        let given = match self {
            Self::Rebuild(args) => args.steps.settle,
            Self::Abandon(args) => args.settle,
            Self::Status(_) => None,
        };
        let usual = if is_remote { SETTLE_SECONDS } else { 0 };
        Duration::from_secs(given.unwrap_or(usual))
    }
}

impl RebuildArgs {
    async fn rebuild(&self, rebuild: &Rebuild<'_>) -> Result<(), CommandError> {
        let json = self.steps.json;
        if self.dry_run {
            let estimate = rebuild.estimate().await?;
            return print_result(json, &estimate, &estimate);
        }
        let report = Box::pin(rebuild.run()).await?;
        print_result(json, &report, &report)?;
        if !report.is_active {
            return Err("something cannot be rebuilt for some orders; they are judged on the old profiles as before".into());
        }
        Ok(())
    }
}

/// Prints how far it is, every few seconds.
fn say_sometimes(said: &AtomicI64, now: Timestamp, progress: &RebuildProgress) {
    let now = now.epoch_seconds();
    if now - said.load(Ordering::Relaxed) >= SAY_SECONDS {
        said.store(now, Ordering::Relaxed);
        eprintln!("{progress}");
    }
}
