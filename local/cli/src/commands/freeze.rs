//! `fraudstream freeze`: refuses changes until a time.

use clap::Args;
use engine::{ChangeFreeze, ChangeKind, ChangePolicy, Engine};
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;

use super::CommandError;
use super::history::run_with_history;
use super::list::parse_expiry;
use super::output::print_result;
use super::workspace::WorkspaceArgs;
use crate::change_log::{ChangeArgs, ChangeLog, RefusedChange, describe_only_step, take_text};

/// The arguments of `freeze`.
#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    /// Until when: a day, a time, or a duration such as 14d.
    #[arg(long, value_name = "WHEN", requires = "reason")]
    until: Option<String>,
    /// Allow changes again.
    #[arg(long, conflicts_with = "until")]
    lift: bool,
    #[command(flatten)]
    change: ChangeArgs,
    /// Print the freeze as JSON.
    #[arg(long)]
    json: bool,
}

impl FreezeArgs {
    /// Begins or ends a freeze, and prints what holds.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let now = Timestamp::now();
        let until = self.until.as_deref();
        let until = until.map(|until| parse_expiry(until, now)).transpose()?;
        if until.is_some_and(|until| until <= now) {
            return Err("a freeze has to end in the future; nothing was changed".into());
        }
        let freeze = run_with_history(workspace, "freeze", async |_, engine| {
            self.change_freeze(engine, until, now).await
        })
        .await?;
        let text = match &freeze {
            None => "changes are not frozen\n".to_owned(),
            Some(freeze) => format!(
                "changes are frozen until {} by {}: {}\n",
                freeze.until, freeze.author, freeze.reason
            ),
        };
        print_result(self.json, &json!({ "freeze": freeze }), text)
    }

    async fn change_freeze(
        &self,
        engine: &Arc<Engine>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<ChangeFreeze>, CommandError> {
        let policy = engine.load_change_policy().await?;
        if until.is_none() && !self.lift {
            return Ok(policy.freeze_at(now).cloned());
        }
        if self.lift && policy.freeze_at(now).is_none() {
            return Err("changes are not frozen; nothing was changed".into());
        }
        let log = ChangeLog::new(Arc::clone(engine), &self.change);
        log.check_reason().await?;
        let freeze = match until {
            None => None,
            Some(until) => Some(ChangeFreeze {
                until: until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                reason: take_text(self.change.reason.as_deref()).ok_or(RefusedChange::NoReason)?,
                author: self.change.author_name(),
            }),
        };
        let step = match &freeze {
            Some(freeze) => format!("changes are frozen until {}", freeze.until),
            None => "changes are allowed again".to_owned(),
        };
        let write = Box::pin(async {
            let set = |policy: &mut ChangePolicy| policy.freeze.clone_from(&freeze);
            engine.update_change_policy(set).await?;
            Ok(())
        });
        log.record_step(
            ChangeKind::Freeze,
            describe_only_step(step),
            Vec::new(),
            write,
        )
        .await?;
        Ok(freeze)
    }
}
