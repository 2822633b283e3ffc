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
    others.sort_by(WaitingCase::compare_savings);
    for case in others.split_off(room.min(others.len())) {
        settlement.add(case, VerdictCause::Overflow, capacity.overflow.to_string());
    }
    settlement.waiting += others.len();
    settlement
}

impl Settlement {
    fn add(&mut self, waiting: WaitingCase, cause: VerdictCause, outcome: String) {
        if waiting.claim.is_some() {
            self.claimed += 1;
            self.waiting += 1;
        } else {
            self.lapses.push((waiting, Lapse { cause, outcome }));
        }
    }
}

#[cfg(test)]
mod tests {
    use mapping::Mapping;

    use super::*;
    use crate::decisions::{CaseClaim, ItemKey};

    const MAPPING: &str = "
event_type: order
detector: orders
event: {id: /id, timestamp: /at, entity: {type: customer, id: [/customer]}}
variables: {price: /price}
decision:
  outcome_priority: [block, review, approve]
  on_undetermined: [review]
  on_no_match: [approve]
  reviewable: [review]
  review: {sla: {review: {within: 4h, then: block}}, reviews_per_day: 2, overflow: approve}
";

    /// A case from its name, its loss, and words: `late`, `shipped`, `appeal`, `claimed`, `escalated`.
    fn case(text: &str) -> WaitingCase {
        let mut words = text.split(' ');
        let (name, loss) = (words.next().unwrap(), words.next().unwrap());
        let marks: Vec<&str> = words.collect();
        let has = |mark: &str| marks.contains(&mark);
        let time = |text: &str| Timestamp::parse(text).ok();
        WaitingCase {
            key: ItemKey::from_parts(name, "decision#1"),
            place: String::new(),
            order_id: name.to_owned(),
            revision: 1,
            event_timestamp: String::new(),
            outcome: "review".to_owned(),
            is_appeal: has("appeal"),
            waiting_since: String::new(),
            amount: 0.0,
            risk: 1.0,
            expected_loss: loss.parse().unwrap(),
            stoppable_until: None,
            is_shipped: has("shipped"),
            due: time(if has("late") {
                "2026-06-01T09:59:59Z"
            } else {
                "2026-06-01T10:00:01Z"
            }),
            claim: has("claimed").then(|| CaseClaim {
                by: "ana".to_owned(),
                until: String::new(),
            }),
            escalated_by: has("escalated").then(|| "bo".to_owned()),
            keys: mapping::HashedKeys::new(),
        }
    }

    #[test]
    fn late_cases_and_the_lowest_losses_are_closed() {
        let mapping = Mapping::parse("mapping.yaml", MAPPING).unwrap();
        let now = Timestamp::parse("2026-06-01T10:00:00Z").unwrap();
        for (cases, closed, claimed, waiting) in [
            ([].as_slice(), "", 0, 0),
            (&["a 3", "b 2"], "", 0, 2),
            (&["a 1", "b 2", "c 3"], "a approve", 0, 2),
            (&["a 9 shipped", "b 1", "c 2"], "a approve", 0, 2),
            (&["a 9 late", "b 1", "c 2"], "a block", 0, 2),
            (&["a 9 late claimed", "b 1", "c 2"], "b approve", 1, 2),
            (&["a 1 appeal", "b 2", "c 3"], "b approve", 0, 2),
            (
                &["a 1 claimed", "b 1 escalated", "c 1 appeal", "d 9"],
                "d approve",
                0,
                3,
            ),
            (&["a 1 appeal late", "b 1 late"], "a block, b block", 0, 0),
        ] {
            let all = cases.iter().map(|text| case(text)).collect();
            let plan = plan_settlement(mapping.review(), all, now);
            let lapses = plan.lapses.iter();
            let lapses: Vec<String> = lapses
                .map(|(case, lapse)| format!("{} {}", case.order_id, lapse.outcome))
                .collect();
            assert_eq!(lapses.join(", "), closed, "{cases:?}");
            assert_eq!(
                (plan.claimed, plan.waiting),
                (claimed, waiting),
                "{cases:?}"
            );
        }
    }
}
