//! `fraudstream shadow`: a version that judges each live order beside the one that decides.

use std::sync::Arc;

use clap::Args;
use engine::{ChangeKind, Engine, LiveVersions};

use super::CommandError;
use super::history::run_with_history;
use super::live_versions::{describe_live_versions, print_live_versions};
use super::workspace::WorkspaceArgs;
use crate::change_log::{ChangeArgs, ChangeLog, describe_only_step};

/// The arguments of `shadow`.
#[derive(Debug, Args)]
pub(crate) struct ShadowArgs {
    /// The version that judges beside the active one. What it says is recorded, and decides nothing.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// No version judges beside the active one.
    #[arg(long, conflicts_with = "version")]
    off: bool,
    #[command(flatten)]
    change: ChangeArgs,
    /// Print the versions that judge as JSON.
    #[arg(long)]
    json: bool,
}

impl ShadowArgs {
    /// Begins or ends a shadow, and prints which versions judge.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let detector = workspace.read_mapping()?.detector().to_string();
        let live = run_with_history(workspace, "shadow", async |_, engine| {
            self.change_shadow(engine, &detector).await
        })
        .await?;
        print_live_versions(self.json, &detector, &live)
    }

    async fn change_shadow(
        &self,
        engine: &Arc<Engine>,
        detector: &str,
    ) -> Result<LiveVersions, CommandError> {
        let before = engine.load_live_versions(detector).await?;
        if (self.version.is_none() && !self.off) || self.version == before.shadow {
            return Ok(before);
        }
        let after = LiveVersions {
            shadow: self.version,
            ..before
        };
        // It decides nothing, so a freeze allows it.
        let log = ChangeLog::new(Arc::clone(engine), &self.change);
        log.check_reason().await?;
        let details = describe_only_step(describe_live_versions(&after));
        let write = Box::pin(async { Ok(engine.set_shadow(detector, self.version).await?) });
        log.record_step(ChangeKind::Shadow, details, Vec::new(), write)
            .await?;
        Ok(engine.load_live_versions(detector).await?)
    }
}
