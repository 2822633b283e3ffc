//! `fraudstream history`: the changes of what decides.

use std::sync::Arc;

use clap::Args;
use engine::Engine;

use super::CommandError;
use super::output::print_result;
use super::workspace::{Backend, Workspace, WorkspaceArgs};
use crate::change_log::{ChangeEntry, format_changes};
use local_aws::dynamodb::Durability;

/// The arguments of `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// How many changes, the newest first.
    #[arg(value_name = "N", default_value_t = 10)]
    limit: u16,
    /// Print the changes as JSON, with all rules of each version as they were.
    #[arg(long)]
    json: bool,
}

impl HistoryArgs {
    /// Prints the newest changes.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let limit = usize::from(self.limit);
        let entries = run_with_history(workspace, "history", async |_, engine| {
            read_entries(engine, limit).await
        })
        .await?;
        let text = if entries.is_empty() {
            "no change is recorded yet: `fraudstream apply` records each\n".to_owned()
        } else {
            format_changes(&entries)
        };
        print_result(self.json, &entries, text)
    }
}

async fn read_entries(engine: &Engine, limit: usize) -> Result<Vec<ChangeEntry>, CommandError> {
    let mut entries = Vec::new();
    for change in engine.list_changes(limit).await? {
        let content = engine.load_change_details(&change).await?;
        entries.push(ChangeEntry { change, content });
    }
    Ok(entries)
}

/// Does the work of a command that needs the engine's history, in the workspace, which is closed whatever comes of it.
///
/// # Errors
/// Amazon's service is to answer: it has no history. Or that of the work, or of the workspace.
pub(super) async fn run_with_history<T>(
    workspace: &WorkspaceArgs,
    command: &str,
    work: impl AsyncFnOnce(&Workspace<'_>, &Arc<Engine>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    if workspace.fraud_detector == Backend::Aws {
        return Err(format!(
            "Amazon Fraud Detector keeps no history of changes and refuses none: `fraudstream {command}` is for the engine only"
        )
        .into());
    }
    let opened = workspace
        .open(Durability::PowerLoss, Backend::Engine)
        .await?;
    let engine = opened.open_engine().await;
    let result = work(&opened, &engine).await;
    drop(engine);
    opened.close().await?;
    result
}
