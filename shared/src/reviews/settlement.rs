//! Which cases are closed without a person: those that waited too long, and those for which there is no room.

use event::Timestamp;
use mapping::ReviewSettings;

use super::queue::WaitingCase;
use super::verdict::{Lapse, VerdictCause};

/// What becomes of the cases that wait.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settlement {
    /// The cases that are closed, each with why and how.
    pub lapses: Vec<(WaitingCase, Lapse)>,
    /// How many would be closed, but somebody works on them.
    pub claimed: usize,
    /// How many wait afterwards.
    pub waiting: usize,
}

/// Decides what becomes of all `cases` that wait, the largest expected loss first.
///
/// A case that is past its time gets the outcome of the SLA. Of the others, as many stay as people can decide in a day:
/// appeals and escalated cases first, then those with the largest losses.
pub fn plan_settlement(
    settings: &ReviewSettings,
    cases: Vec<WaitingCase>,
    now: Timestamp,
) -> Settlement {
    let mut settlement = Settlement::default();
    let mut in_time = Vec::new();
    for case in cases {
        let is_over = case.due.is_some_and(|due| due <= now);
        match settings.sla(&case.outcome).filter(|_| is_over) {
            Some(sla) => {
                let outcome = sla.then.to_string();
                settlement.add(case, VerdictCause::Sla, outcome);
            }
            None => in_time.push(case),
        }
    }
    let Some(capacity) = &settings.capacity else {
        settlement.waiting += in_time.len();
        return settlement;
    };
    let must_stay =
        |case: &WaitingCase| case.is_appeal || case.escalated_by.is_some() || case.claim.is_some();
    let (stay, mut others): (Vec<_>, Vec<_>) = in_time.into_iter().partition(must_stay);
    settlement.waiting += stay.len();
    let most = usize::try_from(capacity.reviews_per_day).unwrap_or(usize::MAX);
    let room = most.saturating_sub(settlement.waiting);
    // What can no longer be stopped loses its place first.
    others.sort_by(|a, b| b.expected_loss.total_cmp(&a.expected_loss));
    for case in others.split_off(room.min(others.len())) {
        settlement.add(case, VerdictCause::Overflow, capacity.overflow.to_string());
    }
    settlement.waiting += others.len();
    settlement
}

impl Settlement {
    fn add(&mut self, case: WaitingCase, cause: VerdictCause, outcome: String) {
        if case.claim.is_some() {
            self.claimed += 1;
            self.waiting += 1;
        } else {
            self.lapses.push((case, Lapse { cause, outcome }));
        }
    }
}
