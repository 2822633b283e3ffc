//! A verdict on a decision, as it is stored: an item of its own, written once.

use event::Timestamp;
use event::hash::short_hash;
use mapping::Mapping;
use serde::{Deserialize, Serialize};

use super::names::{CaseText, PersonName};
use crate::decisions::{APPEALS, Decision, FORM, ItemKey, check_form};
use crate::failure::Failure;
use crate::items::Item;

/// The kind of the item.
pub(crate) const KIND: &str = "verdict";

/// Why a case was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictCause {
    /// A person decided.
    Person,
    /// It waited too long.
    Sla,
    /// There were more cases than people can decide.
    Overflow,
}

/// Why a case is closed although nobody decided it, and with which outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// Why.
    pub cause: VerdictCause,
    /// The outcome that the shop acts on from then on.
    pub outcome: String,
}

/// A verdict on a decision: the outcome that the shop acts on from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Partition key: that of the decision.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Always `verdict`.
    pub kind: String,
    /// The version of its form, as of all items of the table.
    pub form: u32,
    /// Deterministic id: consumers deduplicate by it.
    pub verdict_id: String,
    /// The decision.
    pub decision_id: String,
    /// The id of the order as the shop wrote it.
    pub order_id: String,
    /// Event type.
    pub event_type: String,
    /// Event id.
    pub event_id: String,
    /// Which revision of the order was decided.
    pub revision: u64,
    /// How many verdicts on the decision there were by then, with this one.
    pub number: u32,
    /// What the shop acted on before.
    pub outcome_before: String,
    /// What it acts on now.
    pub outcome: String,
    /// Whether it answers an appeal.
    pub is_appeal: bool,
    /// Why the case was closed.
    pub cause: VerdictCause,
    /// Who decided; `None` if nobody did in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
    /// Why, in the reviewer's words. It stays in the table, because it may name a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The label that it gives; `None` if nobody decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When, ISO 8601 UTC.
    pub reviewed_at: String,
    /// Whether a second person gives it again.
    #[serde(default)]
    pub is_rechecked: bool,
    /// What the second person says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recheck: Option<Recheck>,
    /// When DynamoDB may delete it, in seconds since 1970: with the decision.
    pub expires_at: i64,
    /// Lists the verdicts of a day.
    pub gsi1pk: String,
    /// `<time>#<verdict id>`.
    pub gsi1sk: String,
    /// What is still to be done with it: to apply its label, then to give it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi2pk: Option<String>,
    /// `<time>#<verdict id>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi2sk: Option<String>,
}

/// What a second person says about a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recheck {
    /// The second person.
    pub by: String,
    /// The outcome that this person would have given.
    pub outcome: String,
    /// Why.
    pub reason: String,
    /// When, ISO 8601 UTC.
    pub at: String,
    /// Whether both say the same.
    pub agrees: bool,
}

impl Verdict {
    /// A person's verdict; `effect` is its outcome and label.
    pub(super) fn of_person(
        decision: &Decision,
        mapping: &Mapping,
        (who, reason): (&PersonName, &CaseText),
        effect: &mapping::VerdictEffect,
        now: Timestamp,
    ) -> Self {
        let mut verdict = Self::new(decision, VerdictCause::Person, &effect.outcome, now);
        verdict.reviewer = Some(who.to_string());
        verdict.reason = Some(reason.to_string());
        verdict.label = Some(effect.label.clone());
        verdict.is_rechecked = is_in_share(&verdict.verdict_id, mapping.review().recheck);
        verdict.gsi2pk = Some(unlabelled_key(&decision.event_type));
        verdict.gsi2sk = Some(verdict.gsi1sk.clone());
        verdict
    }

    /// The verdict of nobody: the case lapsed.
    pub(super) fn of_lapse(decision: &Decision, lapse: &Lapse, now: Timestamp) -> Self {
        Self::new(decision, lapse.cause, &lapse.outcome, now)
    }

    fn new(decision: &Decision, cause: VerdictCause, outcome: &str, now: Timestamp) -> Self {
        let number = decision.review.as_ref().map_or(0, |case| case.verdicts) + 1;
        let key = decision.key().verdict(number);
        let verdict_id = format!("{}#verdict#{number}", decision.decision_id);
        let queue = decision.gsi2pk.as_deref().unwrap_or_default();
        Self {
            pk: key.pk().to_owned(),
            sk: key.sk().to_owned(),
            kind: KIND.to_owned(),
            form: FORM,
            decision_id: decision.decision_id.clone(),
            order_id: decision.order_id.clone(),
            event_type: decision.event_type.clone(),
            event_id: decision.event_id.clone(),
            revision: decision.revision,
            number,
            outcome_before: decision.current_outcome().to_owned(),
            outcome: outcome.to_owned(),
            is_appeal: is_appeal_queue(queue),
            cause,
            reviewer: None,
            reason: None,
            label: None,
            reviewed_at: now.to_string(),
            is_rechecked: false,
            recheck: None,
            expires_at: decision.expires_at,
            gsi1pk: day_key(&decision.event_type, &now.date().to_string()),
            gsi1sk: format!("{now}#{verdict_id}"),
            gsi2pk: None,
            gsi2sk: None,
            verdict_id,
        }
    }

    /// Whether its label is not applied yet.
    pub fn waits_for_label(&self) -> bool {
        self.gsi2pk.as_deref() == Some(&unlabelled_key(&self.event_type))
    }

    /// Its primary key.
    pub fn key(&self) -> ItemKey {
        ItemKey::from_parts(&self.pk, &self.sk)
    }
}

/// Whether a key of index `gsi2` is one of the queue of appeals.
pub(super) fn is_appeal_queue(key: &str) -> bool {
    key.split('#').nth(3) == Some(APPEALS)
}

/// The key in index `gsi1` of the verdicts of a day, `yyyy-MM-dd`. It begins with a sign that no entity type begins with.
pub(super) fn day_key(event_type: &str, day: &str) -> String {
    format!("#verdicts#{event_type}#{day}")
}

/// The key in index `gsi2` of verdicts whose label is not applied yet.
pub(super) fn unlabelled_key(event_type: &str) -> String {
    format!("#unlabelled#{event_type}")
}

/// The key in index `gsi2` of verdicts that a second person gives again.
pub(super) fn recheck_key(event_type: &str) -> String {
    format!("#recheck#{event_type}")
}

/// Whether something with this id belongs to a share from 0 to 1, always the same.
pub(super) fn is_in_share(id: &str, share: f64) -> bool {
    let hash = short_hash(id.as_bytes());
    let digits = hash.get(..8).unwrap_or_default();
    let place = u32::from_str_radix(digits, 16).unwrap_or(u32::MAX);
    f64::from(place) < share * 2_f64.powi(32)
}

/// Parses a verdict from an item of the table.
///
/// # Errors
/// [`Failure::Retry`], as a wrong set-up, if the item was written by an incompatible version.
pub fn parse_verdict(item: Item) -> Result<Verdict, Failure> {
    check_form(&item)?;
    serde_dynamo::from_item(item)
        .map_err(|_| Failure::set_up("a verdict is not readable by this version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_about_so_many() {
        for (share, from, to) in [
            (0.0, 0, 0),
            (0.05, 30, 70),
            (0.5, 450, 550),
            (1.0, 1000, 1000),
        ] {
            let ids = (0..1000).map(|n| format!("order#o-{n}#1#verdict#1"));
            let inside = ids.filter(|id| is_in_share(id, share)).count();
            assert!((from..=to).contains(&inside), "{share}: {inside}");
        }
    }
}
