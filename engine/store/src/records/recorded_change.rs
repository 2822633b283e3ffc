//! The history of changes of what decides, and what a change needs.
//!
//! The sort key of a change is its id, which begins with its time, so that the partition lists by time. There are few
//! changes, so one partition is enough. A change is written before its first step: a run that is interrupted leaves a
//! record that says so, and no change without one.

use protocol::Result;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::bundle::BundleReference;
use crate::table::{Key, KeyRange, StoredRecord};

const HISTORY: &str = "history";

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// A detector file was applied.
    Apply,
    /// A version that decided before was made active again.
    Rollback,
    /// Changes were refused from now on, or allowed again.
    Freeze,
    /// What a change needs was changed.
    Policy,
    /// A version got a share of the orders, or no longer has it.
    Rollout,
    /// A version judges beside the active one, or no longer does.
    Shadow,
}

/// How far a change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeState {
    /// It began; if it does not end, its process was interrupted.
    Started,
    /// All steps are done.
    Done,
    /// A step failed; those before it are done.
    Stopped,
    /// Everything but the activation is done; that waits for an approval.
    Waiting,
}

/// A detector whose active version changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionMove {
    /// The detector.
    pub detector_id: String,
    /// The version that was active, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// The version that is active afterwards.
    pub after: u32,
}

/// Who approved a change, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeApproval {
    /// Who.
    pub author: String,
    /// When, ISO 8601 UTC.
    pub time: String,
    /// Why, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why a freeze was passed over, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
}

/// A change as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedChange {
    /// Its id, which begins with its time.
    pub id: String,
    /// When it began, ISO 8601 UTC.
    pub time: String,
    /// What was done.
    pub kind: ChangeKind,
    /// How far it came.
    pub state: ChangeState,
    /// Who did it.
    pub author: String,
    /// Why, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why a freeze or a missing approval was passed over, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// The detectors whose active version changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<VersionMove>,
    /// The approval, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ChangeApproval>,
    /// Where its details are.
    pub details: BundleReference,
}

impl RecordedChange {
    /// Whether this change, made later than `earlier`, may have made another version of one of its detectors active.
    pub fn moves_after(&self, earlier: &RecordedChange) -> bool {
        let moves = |other: &VersionMove| {
            let same = |it: &VersionMove| it.detector_id == other.detector_id;
            earlier.moves.iter().any(same) && other.before != Some(other.after)
        };
        // One that waits has moved nothing; the id begins with the time.
        self.id > earlier.id && self.state != ChangeState::Waiting && self.moves.iter().any(moves)
    }
}

impl StoredRecord for RecordedChange {
    fn key(&self) -> Key {
        change_key(&self.id)
    }
}

/// The key of a change.
pub fn change_key(id: &str) -> Key {
    Key::new(HISTORY, id)
}

/// The newest changes, the newest first.
pub async fn list_recorded_changes(account: &Account, limit: usize) -> Result<Vec<RecordedChange>> {
    let range = KeyRange::all(HISTORY).newest_first().limit(limit);
    account.definitions.query(range).await
}

/// What a change consists of. It is a bundle, so it may be larger than an item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeDetails {
    /// The steps, as lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// What differs, with the text before and after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ChangedPart>,
    /// All rules of the versions that become active, as they were then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RecordedRule>,
    /// The backtest of that moment, as `fraudstream backtest --json` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtest: Option<serde_json::Value>,
}

/// A part of what decides, before and after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedPart {
    /// The kind of part: `rule`, `variable`, `outcome`.
    pub resource: String,
    /// Its name.
    pub name: String,
    /// The text before; `None` if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The text after; `None` if it no longer decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A rule with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedRule {
    /// Its detector.
    pub detector_id: String,
    /// Its id.
    pub rule_id: String,
    /// Its text.
    pub expression: String,
    /// Its outcomes.
    pub outcomes: Vec<String>,
}

/// What a change of the rules needs. Without an item, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangePolicy {
    /// Whether a change without a reason is refused.
    #[serde(default)]
    pub reason_required: bool,
    /// Whether another person has to approve a change before it decides.
    #[serde(default)]
    pub approval_required: bool,
    /// Until when changes are refused, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<ChangeFreeze>,
}

impl StoredRecord for ChangePolicy {
    fn key(&self) -> Key {
        policy_key()
    }
}

/// The key of the policy.
pub fn policy_key() -> Key {
    Key::new("change-policy", "change-policy")
}

/// A time in which changes are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeFreeze {
    /// Its end, ISO 8601 UTC.
    pub until: String,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub author: String,
}

impl ChangePolicy {
    /// The freeze, if it has not ended.
    pub fn freeze_at(&self, now: jiff::Timestamp) -> Option<&ChangeFreeze> {
        let freeze = self.freeze.as_ref()?;
        // A time that cannot be read refuses: a freeze is not lifted by accident.
        let until = freeze.until.parse::<jiff::Timestamp>();
        until.map_or(true, |until| until > now).then_some(freeze)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_change_moves_a_detector() {
        let change = |id: &str,
                      state: &str,
                      detector: &str,
                      before: u32,
                      after: u32|
         -> RecordedChange {
            serde_json::from_value(serde_json::json!({
                "id": id, "time": "2026-11-28T18:45:01.123Z", "kind": "apply", "state": state, "author": "ana",
                "moves": [{"detectorId": detector, "before": before, "after": after}],
                "details": {"hash": "0", "chunks": 1}
            }))
            .unwrap()
        };
        let waits = change("20261128-2", "waiting", "orders", 3, 4);
        for (other, want) in [
            (change("20261128-3", "done", "orders", 3, 2), true),
            (change("20261128-3", "stopped", "orders", 3, 2), true),
            (change("20261128-3", "waiting", "orders", 3, 5), false),
            (change("20261128-3", "done", "refunds", 3, 2), false),
            (change("20261128-3", "done", "orders", 3, 3), false),
            (change("20261128-1", "done", "orders", 2, 3), false),
            (waits.clone(), false),
        ] {
            assert_eq!(other.moves_after(&waits), want, "{other:?}");
        }
    }

    #[test]
    fn a_freeze_ends_by_itself() {
        let policy = ChangePolicy {
            freeze: Some(ChangeFreeze {
                until: "2026-12-02T00:00:00Z".to_owned(),
                reason: "peak season".to_owned(),
                author: "ana".to_owned(),
            }),
            ..ChangePolicy::default()
        };
        for (now, want) in [
            ("2026-12-01T23:59:59Z", true),
            ("2026-12-02T00:00:00Z", false),
        ] {
            let now = now.parse().unwrap();
            assert_eq!(policy.freeze_at(now).is_some(), want, "{now}");
        }
        assert_eq!(
            ChangePolicy::default().freeze_at(jiff::Timestamp::UNIX_EPOCH),
            None
        );
    }
}
