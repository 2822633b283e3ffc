//! What may be done with a case, and what becomes of it: a function of the case as it was read.

use event::Timestamp;
use mapping::{Mapping, VerdictEffect};
use thiserror::Error;

use super::names::{CaseText, PersonName};
use super::verdict::{Lapse, Verdict, VerdictCause};
use crate::decisions::{APPEALS, CaseAction, CaseClaim, CaseEntry, Decision, ReviewCase};

/// The most entries in the history of a case: with texts of the greatest length they fit into an item.
const LONGEST_HISTORY: usize = 60;
/// The most entries to which a note is added: the rest is kept for what closes and opens a case.
const MOST_WITH_NOTES: usize = 40;

/// Why something cannot be done with a case.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Nobody waits for a verdict on it.
    #[error(
        "order `{order}` does not wait for a verdict: {state}. `fraudstream review appeal {order} --as NAME --reason TEXT` opens its case again"
    )]
    NotWaiting {
        /// The order.
        order: String,
        /// What it is instead.
        state: String,
    },
    /// It waits already.
    #[error(
        "order `{order}` waits for a verdict already; add to its case with `fraudstream review note {order}`"
    )]
    Waiting {
        /// The order.
        order: String,
    },
    /// Somebody else works on it.
    #[error("order `{order}` is claimed by {by} until {until}")]
    Claimed {
        /// The order.
        order: String,
        /// Who works on it.
        by: String,
        /// Until when.
        until: String,
    },
    /// A verdict without a claim.
    #[error(
        "{who} has not claimed order `{order}`; claim it first: `fraudstream review claim {order} --as {who}`"
    )]
    NotClaimed {
        /// The order.
        order: String,
        /// Who wants to decide.
        who: String,
    },
    /// A verdict after the claim.
    #[error(
        "the claim of {who} on order `{order}` expired at {until}; look at it again and claim it: `fraudstream review claim {order} --as {who}`"
    )]
    Expired {
        /// The order.
        order: String,
        /// Who wants to decide.
        who: String,
        /// Until when the claim was.
        until: String,
    },
    /// The person has asked somebody else to decide.
    #[error("{who} has escalated order `{order}`, so somebody else has to decide it")]
    OwnEscalation {
        /// The order.
        order: String,
        /// Who.
        who: String,
    },
    /// There are very many notes.
    #[error(
        "the case of order `{order}` has {MOST_WITH_NOTES} entries or more, so no note is added; decide it"
    )]
    TooLong {
        /// The order.
        order: String,
    },
}

/// Whether a case is in a queue after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueChange {
    /// As before.
    Stays,
    /// It is closed.
    Leaves,
    /// It waits, under this key and at this place of index `gsi2`.
    Enters(String, String),
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseChange {
    /// The case afterwards.
    pub case: ReviewCase,
    /// Whether it waits afterwards.
    pub queue: QueueChange,
    /// The verdict that closes it.
    pub verdict: Option<Verdict>,
}

/// What becomes of the case of a decision. Each function gives `None` where nothing has to be written, because it is so
/// already: a command may be repeated.
#[derive(Clone, Copy, Debug)]
pub struct CaseEditor<'a> {
    /// The decision, as it was read.
    pub decision: &'a Decision,
    /// The settings.
    pub mapping: &'a Mapping,
    /// The time of the change.
    pub now: Timestamp,
}

/// What a change of a case gives.
pub type Edited = Result<Option<CaseChange>, Refusal>;

impl CaseEditor<'_> {
    /// Somebody begins to work on it, or works on.
    ///
    /// # Errors
    /// [`Refusal`] if it does not wait, if somebody else works on it, or if this person has escalated it.
    pub fn claim(&self, who: &PersonName) -> Edited {
        self.check_waiting()?;
        let mut case = self.changed_case();
        if let Some(claim) = self.valid_claim()
            && !who.is(&claim.by)
        {
            return Err(self.refuse_claimed(claim));
        }
        self.check_escalation(&case, who)?;
        let until = self.now.epoch_seconds() + self.mapping.review().claim.millis() / 1000;
        let until = Timestamp::from_epoch_seconds(until).unwrap_or(self.now);
        case.claim = Some(CaseClaim {
            by: who.to_string(),
            until: until.to_string(),
        });
        Ok(Some(keep(case)))
    }

    /// Somebody stops working on it.
    ///
    /// # Errors
    /// [`Refusal::Claimed`] if it is somebody else who works on it.
    pub fn release(&self, who: &PersonName) -> Edited {
        match self.valid_claim() {
            None => Ok(None),
            Some(claim) if !who.is(&claim.by) => Err(self.refuse_claimed(claim)),
            Some(_) => {
                let mut case = self.changed_case();
                case.claim = None;
                Ok(Some(keep(case)))
            }
        }
    }

    /// Somebody writes something down, on an open or a closed case.
    ///
    /// # Errors
    /// [`Refusal::TooLong`].
    pub fn note(&self, who: &PersonName, text: &CaseText) -> Edited {
        if self.is_last_entry(CaseAction::Note, who, text) {
            return Ok(None);
        }
        let mut case = self.changed_case();
        self.add_entry(&mut case, CaseAction::Note, Some(who), Some(text), None)?;
        Ok(Some(keep(case)))
    }

    /// Somebody who works on it asks somebody else to decide.
    ///
    /// # Errors
    /// [`Refusal`] if this person does not work on it.
    pub fn escalate(&self, who: &PersonName, reason: &CaseText) -> Edited {
        if self.is_last_entry(CaseAction::Escalated, who, reason) {
            return Ok(None);
        }
        self.check_own(who)?;
        let mut case = self.changed_case();
        self.add_entry(
            &mut case,
            CaseAction::Escalated,
            Some(who),
            Some(reason),
            None,
        )?;
        case.claim = None;
        case.escalated_by = Some(who.to_string());
        Ok(Some(keep(case)))
    }

    /// Somebody, such as customer service, says that the outcome is wrong.
    ///
    /// # Errors
    /// [`Refusal::Waiting`] if it waits for a verdict anyway.
    pub fn appeal(&self, who: &PersonName, reason: &CaseText) -> Edited {
        if self.is_last_entry(CaseAction::Appealed, who, reason) {
            return Ok(None);
        }
        if self.decision.is_waiting() {
            return Err(Refusal::Waiting {
                order: self.order(),
            });
        }
        let mut case = self.changed_case();
        self.add_entry(
            &mut case,
            CaseAction::Appealed,
            Some(who),
            Some(reason),
            None,
        )?;
        case.claim = None;
        case.escalated_by = None;
        case.appealed_at = Some(self.now.to_string());
        let (key, place) = self.decision.queue_entry(self.mapping, APPEALS);
        Ok(Some(CaseChange {
            case,
            queue: QueueChange::Enters(key, place),
            verdict: None,
        }))
    }

    /// Somebody who works on it decides.
    ///
    /// # Errors
    /// [`Refusal`] if it does not wait, or if this person does not work on it.
    pub fn decide(&self, who: &PersonName, effect: &VerdictEffect, reason: &CaseText) -> Edited {
        if !self.decision.is_waiting() && self.was_decided_so(who, &effect.outcome) {
            return Ok(None);
        }
        self.check_own(who)?;
        let mut case = self.changed_case();
        let verdict =
            Verdict::of_person(self.decision, self.mapping, (who, reason), effect, self.now);
        let outcome = Some(effect.outcome.as_str());
        self.add_entry(
            &mut case,
            CaseAction::Decided,
            Some(who),
            Some(reason),
            outcome,
        )?;
        Ok(Some(close(case, verdict)))
    }

    /// It is closed although nobody decided it, unless somebody works on it.
    ///
    /// # Errors
    /// [`Refusal::Claimed`].
    pub fn lapse(&self, lapse: &Lapse) -> Edited {
        if !self.decision.is_waiting() {
            return Ok(None);
        }
        if let Some(claim) = self.valid_claim() {
            return Err(self.refuse_claimed(claim));
        }
        let mut case = self.changed_case();
        let verdict = Verdict::of_lapse(self.decision, lapse, self.now);
        let action = match lapse.cause {
            VerdictCause::Overflow => CaseAction::Overflowed,
            VerdictCause::Sla | VerdictCause::Person => CaseAction::TimeOver,
        };
        self.add_entry(&mut case, action, None, None, Some(&lapse.outcome))?;
        Ok(Some(close(case, verdict)))
    }

    /// The claim that holds now.
    pub fn valid_claim(&self) -> Option<&CaseClaim> {
        let claim = self.decision.review.as_ref()?.claim.as_ref()?;
        is_valid(claim, self.now).then_some(claim)
    }

    fn order(&self) -> String {
        self.decision.order_id.clone()
    }

    /// The case, with one change more.
    fn changed_case(&self) -> ReviewCase {
        let mut case = self.decision.review.clone().unwrap_or_default();
        case.changes += 1;
        case
    }

    fn check_waiting(&self) -> Result<(), Refusal> {
        if self.decision.is_waiting() {
            return Ok(());
        }
        let order = self.order();
        let state = describe_closed(self.decision);
        Err(Refusal::NotWaiting { order, state })
    }

    /// Checks that this person works on it now.
    fn check_own(&self, who: &PersonName) -> Result<(), Refusal> {
        self.check_waiting()?;
        let order = self.order();
        if let Some(claim) = self.valid_claim() {
            return if who.is(&claim.by) {
                Ok(())
            } else {
                Err(self.refuse_claimed(claim))
            };
        }
        let expired = self
            .decision
            .review
            .as_ref()
            .and_then(|case| case.claim.as_ref());
        let who = match expired {
            Some(claim) if who.is(&claim.by) => {
                let (who, until) = (who.to_string(), claim.until.clone());
                return Err(Refusal::Expired { order, who, until });
            }
            _ => who.to_string(),
        };
        Err(Refusal::NotClaimed { order, who })
    }

    fn check_escalation(&self, case: &ReviewCase, who: &PersonName) -> Result<(), Refusal> {
        match &case.escalated_by {
            Some(by) if who.is(by) => Err(Refusal::OwnEscalation {
                order: self.order(),
                who: who.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether the last verdict is this one: the command was interrupted after it was written, and is repeated.
    fn was_decided_so(&self, who: &PersonName, outcome: &str) -> bool {
        let mut history = self.decision.review.iter().flat_map(|case| &case.history);
        let last = history.rfind(|entry| entry.outcome.is_some());
        last.is_some_and(|entry| {
            entry.action == CaseAction::Decided
                && entry.outcome.as_deref() == Some(outcome)
                && entry.by.as_deref().is_some_and(|by| who.is(by))
        })
    }

    /// Whether this very step is the last of the case: its answer was lost, and it is done again.
    fn is_last_entry(&self, action: CaseAction, who: &PersonName, text: &CaseText) -> bool {
        let last = self
            .decision
            .review
            .as_ref()
            .and_then(|case| case.history.last());
        last.is_some_and(|entry| {
            entry.action == action
                && entry.at == self.now.to_string()
                && entry.by.as_deref().is_some_and(|by| who.is(by))
                && entry.text.as_deref() == Some(&text.to_string())
        })
    }

    fn refuse_claimed(&self, claim: &CaseClaim) -> Refusal {
        Refusal::Claimed {
            order: self.order(),
            by: claim.by.clone(),
            until: claim.until.clone(),
        }
    }

    fn add_entry(
        &self,
        case: &mut ReviewCase,
        action: CaseAction,
        by: Option<&PersonName>,
        text: Option<&CaseText>,
        outcome: Option<&str>,
    ) -> Result<(), Refusal> {
        let is_note = action == CaseAction::Note;
        if is_note && case.history.len() >= MOST_WITH_NOTES {
            return Err(Refusal::TooLong {
                order: self.order(),
            });
        }
        if case.history.len() >= LONGEST_HISTORY {
            // A long history must not keep a case open, or closed, for ever.
            let of_note = |entry: &CaseEntry| entry.action == CaseAction::Note;
            let oldest = case.history.iter().position(of_note).unwrap_or_default();
            case.history.remove(oldest);
        }
        case.history.push(CaseEntry {
            at: self.now.to_string(),
            by: by.map(ToString::to_string),
            action,
            outcome: outcome.map(str::to_owned),
            text: text.map(ToString::to_string),
        });
        Ok(())
    }
}

/// Whether a claim holds.
pub(super) fn is_valid(claim: &CaseClaim, now: Timestamp) -> bool {
    Timestamp::parse(&claim.until).is_ok_and(|until| now.epoch_millis() < until.epoch_millis())
}

fn keep(case: ReviewCase) -> CaseChange {
    CaseChange {
        case,
        queue: QueueChange::Stays,
        verdict: None,
    }
}

fn close(mut case: ReviewCase, verdict: Verdict) -> CaseChange {
    case.claim = None;
    case.escalated_by = None;
    case.verdicts = verdict.number;
    case.outcome = Some(verdict.outcome.clone());
    CaseChange {
        case,
        queue: QueueChange::Leaves,
        verdict: Some(verdict),
    }
}

/// Why a case is not open.
fn describe_closed(decision: &Decision) -> String {
    let mut history = decision.review.iter().flat_map(|case| &case.history);
    let last = history.rfind(|entry| entry.outcome.is_some());
    let outcome = decision.current_outcome();
    match (last, &decision.label) {
        (Some(entry), _) => match &entry.by {
            Some(by) => format!("{by} decided `{outcome}` at {}", entry.at),
            None => format!("its time was over at {}, and it is `{outcome}`", entry.at),
        },
        (None, Some(label)) => format!(
            "it is `{outcome}`, and a label came at {}",
            label.label_timestamp
        ),
        (None, None) => format!("it is `{outcome}`"),
    }
}

#[cfg(test)]
mod tests;
