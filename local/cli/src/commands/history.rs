//! `fraudstream history`: the changes of what decides.

use clap::Args;

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
        let opened = open_with_history(workspace, "history").await?;
        let result = read_entries(&opened, usize::from(self.limit)).await;
        opened.close().await?;
        let entries = result?;
        let text = if entries.is_empty() {
            "no change is recorded yet: `fraudstream apply` records each\n".to_owned()
        } else {
            format_changes(&entries)
        };
        print_result(self.json, &entries, text)
    }
}

async fn read_entries(
    opened: &Workspace<'_>,
    limit: usize,
) -> Result<Vec<ChangeEntry>, CommandError> {
    let engine = opened.open_engine().await;
    let mut entries = Vec::new();
    for change in engine.list_changes(limit).await? {
        let content = engine.load_change_details(&change).await?;
        entries.push(ChangeEntry { change, content });
    }
    Ok(entries)
}

/// Opens the workspace of a command that needs the engine's history.
///
/// # Errors
/// Amazon's service is to answer: it has none.
pub(super) async fn open_with_history<'w>(
    workspace: &'w WorkspaceArgs,
    command: &str,
) -> Result<Workspace<'w>, CommandError> {
    if workspace.fraud_detector == Backend::Aws {
        return Err(format!(
            "Amazon Fraud Detector keeps no history of changes and refuses none: `fraudstream {command}` is for the engine only"
        )
        .into());
    }
    workspace.open(Durability::PowerLoss, Backend::Engine).await
}
