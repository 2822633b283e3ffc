//! What people did with a decision, as it is stored: the attribute `review` of its item.

use serde::{Deserialize, Serialize};

/// The case of a decision. Whether it is open is not stored here: it is while the decision is in a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewCase {
    /// Counts the changes; used to detect concurrent writes.
    pub changes: u32,
    /// How many verdicts were given, by people or because the time was over.
    #[serde(default)]
    pub verdicts: u32,
    /// When the last appeal came, ISO 8601 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appealed_at: Option<String>,
    /// Who works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<CaseClaim>,
    /// Who has asked somebody else to decide it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated_by: Option<String>,
    /// The outcome of the last verdict: what the shop acts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What happened, the oldest first.
    #[serde(default)]
    pub history: Vec<CaseEntry>,
}

/// Who works on a case, and until when nobody else can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseClaim {
    /// The person's name.
    pub by: String,
    /// ISO 8601 UTC.
    pub until: String,
}

/// One thing that happened with a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseEntry {
    /// When, ISO 8601 UTC.
    pub at: String,
    /// The person's name; `None` where nobody decided it in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What.
    pub action: CaseAction,
    /// The outcome that a verdict gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The reason, or the note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What can happen with a case, except a claim: who works on a case is no history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseAction {
    /// Somebody wrote something down.
    Note,
    /// Somebody asked somebody else to decide.
    Escalated,
    /// Somebody says that the outcome is wrong.
    Appealed,
    /// A person decided.
    Decided,
    /// It waited too long.
    TimeOver,
    /// There were more cases than people can decide.
    Overflowed,
}

/// What is at stake with an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stake {
    /// Its money; 0 where none is known.
    pub amount: f64,
    /// Its risk, from 0 to 1.
    pub risk: f64,
}

impl Stake {
    /// The loss that is expected without a verdict: money times risk. Of an appeal it is all of the money, because a person says
    /// that the decision is wrong.
    pub fn loss(self, is_appeal: bool) -> f64 {
        if is_appeal {
            self.amount
        } else {
            self.amount * self.risk
        }
    }
}

/// An amount of money; 0 for a text that is none.
pub(crate) fn parse_amount(text: &str) -> f64 {
    text.parse()
        .ok()
        .filter(|amount: &f64| amount.is_finite())
        .unwrap_or(0.0)
}
