//! `fraudstream policy`: what a change of the rules needs.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use engine::{ChangeKind, ChangePolicy, Engine};

use super::CommandError;
use super::history::run_with_history;
use super::output::print_result;
use super::workspace::WorkspaceArgs;
use crate::change_log::{ChangeArgs, ChangeLog, describe_only_step};

/// Whether a requirement holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// The arguments of `policy`.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// Whether a change without --reason is refused.
    #[arg(long, value_name = "SWITCH", value_enum)]
    require_reason: Option<Switch>,
    /// Whether another person has to approve a change before it decides.
    #[arg(long, value_name = "SWITCH", value_enum)]
    require_approval: Option<Switch>,
    #[command(flatten)]
    change: ChangeArgs,
    /// Print the policy as JSON.
    #[arg(long)]
    json: bool,
}

impl PolicyArgs {
    /// Changes what a change needs, and prints what holds.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let policy = run_with_history(workspace, "policy", async |_, engine| {
            self.change_policy(engine).await
        })
        .await?;
        print_result(self.json, &policy, describe_policy(&policy) + "\n")
    }

    async fn change_policy(&self, engine: &Arc<Engine>) -> Result<ChangePolicy, CommandError> {
        let before = engine.load_change_policy().await?;
        let is_on = |switch: Option<Switch>, before| switch.map_or(before, |it| it == Switch::On);
        let set = |policy: &mut ChangePolicy| {
            policy.reason_required = is_on(self.require_reason, policy.reason_required);
            policy.approval_required = is_on(self.require_approval, policy.approval_required);
        };
        let mut policy = before.clone();
        set(&mut policy);
        if policy != before {
            let log = ChangeLog::new(Arc::clone(engine), &self.change);
            log.check_reason().await?;
            let step = describe_policy(&policy);
            let write = Box::pin(async {
                engine.update_change_policy(set).await?;
                Ok(())
            });
            log.record_step(
                ChangeKind::Policy,
                describe_only_step(step),
                Vec::new(),
                write,
            )
            .await?;
        }
        Ok(policy)
    }
}

fn describe_policy(policy: &ChangePolicy) -> String {
    let word = |needed| if needed { "required" } else { "not required" };
    format!(
        "a reason is {}, an approval by another person is {}",
        word(policy.reason_required),
        word(policy.approval_required)
    )
}
