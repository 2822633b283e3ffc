//! Detects a wrong set-up: the service refuses many records in the same way.

use std::collections::HashSet;

use super::Batcher;
use crate::failure::{Failure, Rejection, ServiceRefusal};
use crate::known_faults::KnownFault::StreakOfDeliveries;
use crate::known_faults::is_injected;
use crate::records::{Position, Record};

/// So many different records in a row, all refused in the same way, mean that the set-up is wrong.
const ALIKE_IN_A_ROW: usize = 20;
/// A whole batch of at least so many records, all refused in the same way, means the same.
const ALIKE_IN_A_BATCH: usize = 10;

impl Batcher {
    /// Turns identical refusals of many records into retries, because their cause is the set-up and not the records.
    ///
    /// If, for example, the event type has ingestion switched off or lacks a variable, the service answers every record
    /// with a `ValidationException`. That must not drain the stream into `rejected/`.
    pub(super) fn detect_wrong_set_up<T>(
        &self,
        records: &[Record],
        results: &mut [Result<T, Failure>],
    ) {
        let Ok(mut streak) = self.streak.lock() else {
            return;
        };
        let processed = records.iter().zip(results.iter());
        let processed = processed.filter(|(_, result)| !matches!(result, Err(Failure::Skipped)));
        let distinct: HashSet<&Position> = processed.map(|(record, _)| &record.position).collect();
        let whole_batch = distinct.len() >= ALIKE_IN_A_BATCH && all_refused_alike(results);
        for (record, result) in records.iter().zip(results) {
            // What is skipped says nothing about the set-up.
            if matches!(result, Err(Failure::Skipped)) {
                continue;
            }
            let refused_alike = streak.add(refusal_of(result), &record.position) >= ALIKE_IN_A_ROW;
            if let Some(refusal) = refusal_of(result).filter(|_| whole_batch || refused_alike) {
                let cause = format!(
                    "every record is refused with {} at `{}`",
                    refusal.code, refusal.member
                );
                *result = Err(Failure::set_up(cause));
            }
        }
    }
}

fn refusal_of<T>(result: &Result<T, Failure>) -> Option<&ServiceRefusal> {
    match result {
        Err(Failure::Rejected(Rejection { refusal, .. })) => refusal.as_ref(),
        _ => None,
    }
}

fn all_refused_alike<T>(results: &[Result<T, Failure>]) -> bool {
    let mut processed = results
        .iter()
        .filter(|result| !matches!(result, Err(Failure::Skipped)));
    let first = processed.clone().next().and_then(refusal_of);
    first.is_some() && processed.all(|result| refusal_of(result) == first)
}

/// The different records in a row that were refused in the same way, across all batches of this environment. A record
/// that is delivered several times counts once.
#[derive(Debug, Default)]
pub(super) struct RefusalStreak {
    refusal: Option<ServiceRefusal>,
    positions: Vec<Position>,
}

impl RefusalStreak {
    /// Adds the next result and returns the length of the streak.
    fn add(&mut self, refusal: Option<&ServiceRefusal>, position: &Position) -> usize {
        if refusal.is_none() || refusal != self.refusal.as_ref() {
            self.refusal = refusal.cloned();
            self.positions.clear();
        }
        let is_new = is_injected(StreakOfDeliveries) || !self.positions.contains(position);
        if refusal.is_some() && is_new && self.positions.len() < ALIKE_IN_A_ROW {
            self.positions.push(position.clone());
        }
        self.positions.len()
    }
}
