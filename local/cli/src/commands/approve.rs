//! `fraudstream approve`: a second person lets a change decide.

use aws_sdk_frauddetector::Client;
use clap::Args;
use engine::{ChangeApproval, ChangeState, Engine, RecordedChange, RecordedRule};
use jiff::Timestamp;

use super::CommandError;
use super::history::run_with_history;
use super::output::print_result;
use super::workspace::WorkspaceArgs;
use crate::apply::{
    HeldVersionError, VersionChoice, activate_version, read_held_version, record_rules,
};
use crate::change_log::{ChangeLog, UNKNOWN_AUTHOR, UrgentChangeArgs, take_text};

/// The arguments of `approve`.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The id of the change, as `apply` and `history` print it.
    id: String,
    #[command(flatten)]
    change: UrgentChangeArgs,
    /// Print the change as JSON.
    #[arg(long)]
    json: bool,
}

impl ApproveArgs {
    /// Approves the change, and makes its versions active if they wait for that.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let change = run_with_history(workspace, "approve", async |opened, engine| {
            let client = &opened.pipeline.clients.frauddetector;
            self.approve_change(client, engine).await
        })
        .await?;
        let moves = change.moves.iter();
        let moves: Vec<String> = moves
            .map(|it| {
                format!(
                    "; version {} of detector {} is active",
                    it.after, it.detector_id
                )
            })
            .collect();
        print_result(
            self.json,
            &change,
            format_args!("change {} is approved{}\n", change.id, moves.concat()),
        )
    }

    async fn approve_change(
        &self,
        client: &Client,
        engine: &std::sync::Arc<Engine>,
    ) -> Result<RecordedChange, CommandError> {
        let id = &self.id;
        let Some(change) = engine.find_change(id).await? else {
            return Err(
                format!("there is no change `{id}`; `fraudstream history` lists them").into(),
            );
        };
        let author = self.change.change.author_name();
        check_approver(&change, &author)?;
        // A freeze holds for approvals, too.
        let log = ChangeLog::of_urgent(std::sync::Arc::clone(engine), &self.change);
        log.check_freeze().await?;
        if change.state == ChangeState::Waiting {
            check_not_moved(engine, &change).await?;
            check_still_active(client, &change).await?;
            check_same_rules(client, engine, &change).await?;
            for moved in &change.moves {
                activate_version(client, &moved.detector_id, &moved.after.to_string()).await?;
            }
        }
        let approval = ChangeApproval {
            author,
            time: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            reason: take_text(self.change.change.reason.as_deref()),
            break_glass: take_text(self.change.break_glass.as_deref()),
        };
        let approved = engine.approve_change(id, &approval).await;
        approved.map_err(|error| {
            format!(
                "the versions of change {id} are active, but this approval is not recorded: {error}"
            )
            .into()
        })
    }
}

/// Checks that no newer change made another version active, even one that was taken back since.
async fn check_not_moved(engine: &Engine, change: &RecordedChange) -> Result<(), CommandError> {
    let changes = engine.list_changes(usize::MAX).await?;
    let Some(newer) = changes.iter().find(|it| it.moves_after(change)) else {
        return Ok(());
    };
    Err(format!(
        "change {} came after change {} and made another version active: apply it again; nothing was changed",
        newer.id, change.id
    )
    .into())
}

/// Checks that the versions still have the rules that were recorded: a draft can be changed through the API.
async fn check_same_rules(
    client: &Client,
    engine: &Engine,
    change: &RecordedChange,
) -> Result<(), CommandError> {
    let recorded = engine.load_change_details(change).await?.rules;
    for moved in &change.moves {
        let (detector, number) = (&moved.detector_id, moved.after);
        let held = read_held_version(client, detector, VersionChoice::Number(number)).await?;
        let rules: Vec<RecordedRule> = held
            .template
            .detectors
            .iter()
            .flat_map(record_rules)
            .collect();
        let wanted = recorded.iter().filter(|it| it.detector_id == *detector);
        if !wanted
            .map(simplify_rule)
            .eq(rules.iter().map(simplify_rule))
        {
            return Err(format!(
                "version {number} of detector `{detector}` no longer has the rules that change {} recorded: apply it again; nothing \
                 was changed",
                change.id
            )
            .into());
        }
    }
    Ok(())
}

/// What a rule decides, without the blanks around its text.
fn simplify_rule(rule: &RecordedRule) -> (&str, &str, &[String]) {
    (&rule.rule_id, rule.expression.trim(), &rule.outcomes)
}

/// Checks that a change can be approved by this person.
fn check_approver(change: &RecordedChange, author: &str) -> Result<(), String> {
    let id = &change.id;
    if let Some(approval) = &change.approval {
        return Err(format!(
            "change {id} was approved by {} at {}",
            approval.author, approval.time
        ));
    }
    let went_without = change.state == ChangeState::Done && change.break_glass.is_some();
    if change.state != ChangeState::Waiting && !went_without {
        return Err(format!("change {id} does not wait for an approval"));
    }
    if author == UNKNOWN_AUTHOR {
        return Err("say who approves: --author NAME".to_owned());
    }
    if author.to_lowercase() == change.author.to_lowercase() {
        return Err(format!(
            "{author} made change {id}, so another person has to approve it; nothing was changed"
        ));
    }
    Ok(())
}

/// Checks that nothing else became active since the change was made: its author compared it with that.
async fn check_still_active(client: &Client, change: &RecordedChange) -> Result<(), CommandError> {
    for moved in &change.moves {
        let detector = &moved.detector_id;
        let active = match read_held_version(client, detector, VersionChoice::Active).await {
            Ok(active) => Some(active.number),
            Err(HeldVersionError::NoneActive { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        // An approval that was interrupted has made it active.
        if active != moved.before && active != Some(moved.after) {
            let name =
                |version: Option<u32>| version.map_or("none".to_owned(), |it| it.to_string());
            return Err(format!(
                "when change {} was made, version {} of detector `{detector}` was active, and now it is {}: apply it again; \
                 nothing was changed",
                change.id,
                name(moved.before),
                name(active)
            )
            .into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_person_approves_what_waits() {
        let change = |state: &str, break_glass: Option<&str>| -> RecordedChange {
            serde_json::from_value(serde_json::json!({
                "id": "c1", "time": "2026-11-28T18:45:01.123Z", "kind": "apply", "state": state, "author": "ana",
                "breakGlass": break_glass, "details": {"hash": "0", "chunks": 1}
            }))
            .unwrap()
        };
        let own = "Ana made change c1, so another person has to approve it; nothing was changed";
        for (change, author, want) in [
            (change("waiting", None), "bo", ""),
            (change("waiting", None), "Ana", own),
            (
                change("waiting", None),
                UNKNOWN_AUTHOR,
                "say who approves: --author NAME",
            ),
            (
                change("done", None),
                "bo",
                "change c1 does not wait for an approval",
            ),
            (
                change("stopped", None),
                "bo",
                "change c1 does not wait for an approval",
            ),
            (change("done", Some("attack")), "bo", ""),
            (change("done", Some("attack")), "Ana", own),
        ] {
            let got = check_approver(&change, author).err().unwrap_or_default();
            assert_eq!(got, want, "{change:?} {author}");
        }
    }
}
