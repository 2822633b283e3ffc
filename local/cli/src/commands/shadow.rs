//! `fraudstream shadow`: a version that judges each live order beside the one that decides.

use clap::Args;
use engine::{ChangeKind, LiveVersions};

use super::CommandError;
use super::history::open_with_history;
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
        let opened = open_with_history(workspace, "shadow").await?;
        let engine = opened.open_engine().await;
        let result = async {
            let before = engine.load_live_versions(&detector).await?;
            let wanted = if self.off { None } else { self.version };
            if (self.off || self.version.is_some()) && wanted != before.shadow {
                let after = LiveVersions {
                    shadow: wanted,
                    ..before
                };
                let log = ChangeLog::new(std::sync::Arc::clone(&engine), &self.change);
                log.check_reason().await?;
                let details = describe_only_step(describe_live_versions(&after));
                // It decides nothing, so a freeze allows it.
                let write = Box::pin(async { Ok(engine.set_shadow(&detector, wanted).await?) });
                log.record_step(ChangeKind::Shadow, details, Vec::new(), write)
                    .await?;
            }
            Ok::<_, CommandError>(engine.load_live_versions(&detector).await?)
        };
        let result = result.await;
        drop(engine);
        opened.close().await?;
        print_live_versions(self.json, &detector, &result?)
    }
}
