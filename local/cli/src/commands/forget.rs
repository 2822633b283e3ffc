//! `fraudstream forget`: forgets an order or an entity, wherever it is kept.

use clap::Args;
use event::Timestamp;

use super::CommandError;
use super::output::print_result;
use super::workspace::WorkspaceArgs;
use crate::forget::{self, Forget};
use crate::subject::{SubjectFinder, SubjectQuery};
use local_aws::dynamodb::Durability;

/// The arguments of `forget`.
#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    #[command(flatten)]
    whom: WhomToForget,
    /// Print what would be forgotten, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhomToForget {
    /// Order id as the shop writes it.
    order_id: Option<String>,
    /// Entity id, or type/id; or an e-mail address that the mapping hashes.
    #[arg(long, value_name = "ID")]
    entity: Option<String>,
}

impl ForgetArgs {
    /// Forgets, and prints how much of what was deleted and what remains.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let mapping = workspace.read_mapping()?;
        let (order_id, entity) = (self.whom.order_id.as_deref(), self.whom.entity.as_deref());
        let whom = SubjectQuery::resolve(&mapping, order_id, entity)?;
        // What is deleted has to stay deleted after a power loss.
        let opened = workspace
            .open(Durability::PowerLoss, workspace.fraud_detector)
            .await?;
        let engine = opened.backend_engine().await;
        let forget = Forget {
            finder: SubjectFinder {
                pipeline: &opened.pipeline,
                engine: engine.as_deref(),
                mapping: &mapping,
            },
            is_remote: workspace.is_remote(),
            dry_run: self.dry_run,
            now: Timestamp::from_jiff(jiff::Timestamp::now())?,
        };
        let result = forget.forget_subject(whom).await;
        if let Some(engine) = &engine {
            engine.flush().await?;
        }
        drop(engine);
        let local_home = opened.local_home().cloned();
        opened.close().await?;
        let (mut report, traces) = result?;
        if let Some(home) = local_home {
            report.outcomes = forget::rewrite_local_files(&home, &traces, self.dry_run)?;
        }
        print_result(self.json, &report, &report)
    }
}
