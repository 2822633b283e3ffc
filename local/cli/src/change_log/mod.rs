//! Who changed what decides, when and why; and whether a change is allowed now.

mod text;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use engine::{
    ChangeDetails, ChangeKind, ChangePolicy, ChangeState, Engine, NewChange, RecordedChange,
    VersionMove, VersionRollout,
};
use futures::future::LocalBoxFuture;
use jiff::Timestamp;
use serde_json::Value;

pub(crate) use text::{ChangeEntry, format_changes};

/// The author of a change that nobody signed.
pub(crate) const UNKNOWN_AUTHOR: &str = "unknown";

/// Why a change is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RefusedChange {
    /// Changes are frozen.
    #[error(
        "changes are frozen until {until} by {author} ({reason}); nothing was changed. `fraudstream freeze --lift` ends it, and \
         --break-glass REASON passes over it"
    )]
    Frozen {
        /// Until when.
        until: String,
        /// By whom.
        author: String,
        /// Why.
        reason: String,
    },
    /// A reason is required and was not given.
    #[error("a change needs a reason here: say --reason TEXT; nothing was changed")]
    NoReason,
    /// A second person has to approve, so the first has to be known.
    #[error(
        "a change is approved by another person than its author, so say --author NAME; nothing was changed"
    )]
    NoAuthor,
    /// The same change waits already.
    #[error(
        "version {version} of detector `{detector}` waits for an approval already: `fraudstream approve {id}`"
    )]
    WaitsAlready {
        /// The detector.
        detector: String,
        /// The version.
        version: u32,
        /// The change.
        id: String,
    },
    /// The file is no backtest.
    #[error("`{file}` is not what `fraudstream backtest --json` prints: {why}")]
    InvalidBacktest {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// The history cannot be read or written.
    #[error("the history of changes: {0}")]
    History(#[from] engine::Error),
}

/// Who makes a change, and why: the same options at every command that makes one.
#[derive(Clone, Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Why; it is kept in the history.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Who; default the user of this machine.
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    pub(crate) author: Option<String>,
}

/// The same for a change that a freeze refuses, unless somebody says why it cannot wait.
#[derive(Clone, Debug, Args)]
pub(crate) struct UrgentChangeArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Why this change passes over a freeze and a missing approval; it is kept in the history.
    #[arg(long, value_name = "REASON")]
    pub(crate) break_glass: Option<String>,
}

impl ChangeArgs {
    /// The author, `unknown` if there is none.
    pub(crate) fn author_name(&self) -> String {
        take_text(self.author.as_deref()).unwrap_or_else(|| UNKNOWN_AUTHOR.to_owned())
    }
}

/// A text that is not blank.
pub(crate) fn take_text(text: Option<&str>) -> Option<String> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(str::to_owned)
}

/// The history, for one change.
#[derive(Clone, Debug)]
pub struct ChangeLog {
    engine: Arc<Engine>,
    author: String,
    reason: Option<String>,
    break_glass: Option<String>,
    backtest: Option<Value>,
}

impl ChangeLog {
    /// The history behind an engine, for a change by these arguments.
    pub(crate) fn new(engine: Arc<Engine>, args: &ChangeArgs) -> Self {
        Self {
            engine,
            author: args.author_name(),
            reason: take_text(args.reason.as_deref()),
            break_glass: None,
            backtest: None,
        }
    }

    /// The same for a change that may be urgent.
    pub(crate) fn of_urgent(engine: Arc<Engine>, args: &UrgentChangeArgs) -> Self {
        Self {
            break_glass: take_text(args.break_glass.as_deref()),
            ..Self::new(engine, &args.change)
        }
    }

    /// The same with the backtest of the change.
    pub(crate) fn with_backtest(self, backtest: Option<Value>) -> Self {
        Self { backtest, ..self }
    }

    /// Checks that the change is allowed now, and says whether it waits for an approval.
    pub(crate) async fn check_policy(&self) -> Result<bool, RefusedChange> {
        let policy = self.engine.load_change_policy().await?;
        self.judge_policy(&policy, Timestamp::now())
    }

    fn judge_policy(&self, policy: &ChangePolicy, now: Timestamp) -> Result<bool, RefusedChange> {
        self.judge_freeze(policy, now)?;
        if self.break_glass.is_some() {
            return Ok(false);
        }
        if policy.reason_required && self.reason.is_none() {
            return Err(RefusedChange::NoReason);
        }
        if policy.approval_required && self.author == UNKNOWN_AUTHOR {
            return Err(RefusedChange::NoAuthor);
        }
        Ok(policy.approval_required)
    }

    /// Checks that a change is allowed that may go without an approval, and says whether one is required of others.
    pub(crate) async fn check_direct_change(&self) -> Result<bool, RefusedChange> {
        let policy = self.engine.load_change_policy().await?;
        let is_required = policy.approval_required && self.break_glass.is_none();
        let direct = ChangePolicy {
            approval_required: false,
            ..policy
        };
        self.judge_policy(&direct, Timestamp::now())?;
        Ok(is_required)
    }

    /// Checks that changes are not frozen.
    pub(crate) async fn check_freeze(&self) -> Result<(), RefusedChange> {
        let policy = self.engine.load_change_policy().await?;
        self.judge_freeze(&policy, Timestamp::now())
    }

    fn judge_freeze(&self, policy: &ChangePolicy, now: Timestamp) -> Result<(), RefusedChange> {
        match policy.freeze_at(now) {
            Some(freeze) if self.break_glass.is_none() => Err(RefusedChange::Frozen {
                until: freeze.until.clone(),
                author: freeze.author.clone(),
                reason: freeze.reason.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Checks that there is a reason where one is required, for a change that neither freeze nor approval hold back.
    pub(crate) async fn check_reason(&self) -> Result<(), RefusedChange> {
        let policy = self.engine.load_change_policy().await?;
        if policy.reason_required && self.reason.is_none() {
            return Err(RefusedChange::NoReason);
        }
        Ok(())
    }

    /// The version of a detector that decides on a share of the entities, with the share.
    pub(crate) async fn find_rollout(
        &self,
        detector: &str,
    ) -> Result<Option<VersionRollout>, RefusedChange> {
        Ok(self.engine.load_live_versions(detector).await?.rollout)
    }

    /// The version of a detector that was active before version `active` became active. A change that stopped or was
    /// interrupted counts, too: that its version is active proves that it came so far.
    pub(crate) async fn find_version_before(
        &self,
        detector: &str,
        active: Option<u32>,
    ) -> Result<Option<u32>, RefusedChange> {
        let changes = self.engine.list_changes(usize::MAX).await?;
        Ok(find_move_to(&changes, detector, active).and_then(|it| it.before))
    }

    /// Records a change of one step, before it and after it, and returns the record. Fails as the step does.
    pub(crate) async fn record_step(
        &self,
        kind: ChangeKind,
        details: ChangeDetails,
        moves: Vec<VersionMove>,
        write: LocalBoxFuture<'_, Result<(), Box<dyn Error>>>,
    ) -> Result<RecordedChange, Box<dyn Error>> {
        let change = self.begin(kind, moves, details).await?;
        let result = write.await;
        let state = match &result {
            Ok(()) => ChangeState::Done,
            Err(_) => ChangeState::Stopped,
        };
        let ended = self.end(change, state).await;
        result?;
        Ok(ended?)
    }

    /// Refuses a change that waits already, so that nobody approves it twice.
    pub(crate) async fn check_not_waiting(
        &self,
        moves: &[VersionMove],
    ) -> Result<(), RefusedChange> {
        /// Older changes than these are not approved any more: another one came after them.
        const NEWEST: usize = 100;
        let changes = self.engine.list_changes(NEWEST).await?;
        let is_open = |it: &&RecordedChange| {
            it.state == ChangeState::Waiting && !changes.iter().any(|other| other.moves_after(it))
        };
        for change in changes.iter().filter(is_open) {
            if let Some(found) = change.moves.iter().find(|it| moves.contains(it)) {
                return Err(RefusedChange::WaitsAlready {
                    detector: found.detector_id.clone(),
                    version: found.after,
                    id: change.id.clone(),
                });
            }
        }
        Ok(())
    }

    /// Records that a change begins.
    pub(crate) async fn begin(
        &self,
        kind: ChangeKind,
        moves: Vec<VersionMove>,
        details: ChangeDetails,
    ) -> Result<RecordedChange, RefusedChange> {
        let change = NewChange {
            kind,
            state: ChangeState::Started,
            author: self.author.clone(),
            reason: self.reason.clone(),
            break_glass: self.break_glass.clone(),
            moves,
            details: ChangeDetails {
                backtest: self.backtest.clone(),
                ..details
            },
        };
        Ok(self.engine.record_change(change).await?)
    }

    /// Records how a change ended. What was done is done even if that cannot be written, so this is then a note; only a
    /// change that waits cannot be approved without it.
    pub(crate) async fn end(
        &self,
        change: RecordedChange,
        state: ChangeState,
    ) -> Result<RecordedChange, RefusedChange> {
        let ended = RecordedChange { state, ..change };
        match self.engine.update_change(&ended).await {
            Err(error) if state == ChangeState::Waiting => return Err(error.into()),
            Err(error) => eprintln!(
                "note: the history cannot be written, so it shows change {} as not finished: {error}",
                ended.id
            ),
            Ok(()) => {}
        }
        Ok(ended)
    }
}

/// The newest move, of changes with the newest first, that made a version active and another one not.
fn find_move_to<'c>(
    changes: &'c [RecordedChange],
    detector: &str,
    active: Option<u32>,
) -> Option<&'c VersionMove> {
    let mut moves = changes.iter().flat_map(|change| &change.moves);
    moves.find(|it| it.detector_id == detector && Some(it.after) == active && it.before != active)
}

/// The details of a change that is only one step.
pub(crate) fn describe_only_step(step: String) -> ChangeDetails {
    ChangeDetails {
        steps: vec![step],
        ..ChangeDetails::default()
    }
}

/// Reads what `fraudstream backtest --json` printed. The orders that it lists one by one are left out.
pub(crate) fn read_backtest(file: &Path) -> Result<Value, RefusedChange> {
    let invalid = |why: String| RefusedChange::InvalidBacktest {
        file: PathBuf::from(file).display().to_string(),
        why,
    };
    let text = std::fs::read_to_string(file).map_err(|error| invalid(error.to_string()))?;
    let mut report: Value =
        serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?;
    for member in ["draft", "against", "orders", "before", "after"] {
        if report.get(member).is_none() {
            return Err(invalid(format!("it has no member `{member}`")));
        }
    }
    if let Some(report) = report.as_object_mut() {
        report.remove("changed_orders");
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use engine::ChangeFreeze;
    use local_aws::clients;
    use local_aws::dynamodb::DynamoDb;

    use super::*;

    fn make_log(reason: &str, author: &str, break_glass: &str) -> ChangeLog {
        let dynamodb =
            clients::connect_dynamodb(DynamoDb::in_memory().unwrap().service().http_client());
        let options = engine::EngineOptions::new(clients::REGION, clients::ACCOUNT);
        let args = UrgentChangeArgs {
            change: ChangeArgs {
                reason: Some(reason.to_owned()),
                author: Some(author.to_owned()),
            },
            break_glass: Some(break_glass.to_owned()),
        };
        ChangeLog::of_urgent(Arc::new(Engine::new(options, dynamodb)), &args)
    }

    #[test]
    fn the_version_before_is_that_of_the_newest_move() {
        let change = |state: &str,
                      detector: &str,
                      before: Option<u32>,
                      after: u32|
         -> RecordedChange {
            serde_json::from_value(serde_json::json!({
                "id": "c1", "time": "2026-11-28T18:45:01.123Z", "kind": "apply", "state": state, "author": "ana",
                "moves": [{"detectorId": detector, "before": before, "after": after}],
                "details": {"hash": "0", "chunks": 1}
            }))
            .unwrap()
        };
        let changes = [
            // Moves nothing.
            change("done", "orders", Some(4), 4),
            change("done", "refunds", Some(8), 4),
            // It made version 4 active, and failed at a later step.
            change("stopped", "orders", Some(2), 4),
            change("done", "orders", Some(1), 4),
            change("done", "orders", None, 1),
        ];
        for (active, want) in [
            (Some(4), Some(2)),
            (Some(1), None),
            (Some(3), None),
            (None, None),
        ] {
            let got = find_move_to(&changes, "orders", active).and_then(|it| it.before);
            assert_eq!(got, want, "{active:?}");
        }
    }

    #[test]
    fn what_a_change_needs() {
        let now: Timestamp = "2026-11-28T10:00:00Z".parse().unwrap();
        let policy = |reason_required, approval_required, until: &str| ChangePolicy {
            reason_required,
            approval_required,
            freeze: (!until.is_empty()).then(|| ChangeFreeze {
                until: until.to_owned(),
                reason: "peak season".to_owned(),
                author: "ana".to_owned(),
            }),
        };
        let (before, after) = ("2026-11-27T00:00:00Z", "2026-12-02T00:00:00Z");
        for (policy, log, want) in [
            (policy(false, false, ""), make_log("", "", ""), "live"),
            (
                policy(true, false, ""),
                make_log(" ", "ana", ""),
                "needs a reason",
            ),
            (policy(true, false, ""), make_log("ring", "ana", ""), "live"),
            (
                policy(true, false, ""),
                make_log("", "ana", "attack"),
                "live",
            ),
            (
                policy(false, true, ""),
                make_log("ring", "", ""),
                "say --author",
            ),
            (
                policy(false, true, ""),
                make_log("ring", "ana", ""),
                "waits",
            ),
            (
                policy(false, true, ""),
                make_log("ring", "ana", "attack"),
                "live",
            ),
            (
                policy(false, false, before),
                make_log("", "ana", ""),
                "live",
            ),
            (
                policy(false, false, after),
                make_log("ring", "bo", ""),
                "frozen until 2026-12-02T00:00:00Z by ana (peak season)",
            ),
            (
                policy(false, false, after),
                make_log("", "bo", "attack"),
                "live",
            ),
        ] {
            let got = match log.judge_policy(&policy, now) {
                Ok(false) => "live".to_owned(),
                Ok(true) => "waits".to_owned(),
                Err(error) => error.to_string(),
            };
            assert!(got.contains(want), "{policy:?}: {got}");
        }
    }
}
