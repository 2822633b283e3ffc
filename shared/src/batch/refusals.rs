//! When refusals are so alike that the set-up is wrong and not the records.

use std::collections::HashSet;

use super::Batcher;
use crate::failure::{Failure, Refusal, Rejection};
use crate::known_faults::KnownFault::StreakOfDeliveries;
use crate::known_faults::is_back;
use crate::records::{Position, Record};

/// When twenty records in a row, each another one, were refused alike, it is the set-up that is wrong.
const ALIKE_IN_A_ROW: usize = 20;
/// A batch of at least so many records, all refused alike, is a wrong set-up too.
const ALIKE_IN_A_BATCH: usize = 10;

impl Batcher {
    /// Turns refusals that are too alike to lie in the records into retries.
    ///
    /// An event type without ingestion, or a variable that the event type lacks, is answered with a
    /// `ValidationException` for every record: it must not drain the stream into `rejected/`.
    pub(super) fn detect_wrong_set_up<T>(
        &self,
        records: &[Record],
        results: &mut [Result<T, Failure>],
    ) {
        let Ok(mut streak) = self.streak.lock() else {
            return;
        };
        let distinct: HashSet<&Position> = records.iter().map(|record| &record.position).collect();
        let whole_batch = distinct.len() >= ALIKE_IN_A_BATCH && all_refused_alike(results);
        for (record, result) in records.iter().zip(results) {
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

fn refusal_of<T>(result: &Result<T, Failure>) -> Option<&Refusal> {
    match result {
        Err(Failure::Rejected(Rejection { refusal, .. })) => refusal.as_ref(),
        _ => None,
    }
}

fn all_refused_alike<T>(results: &[Result<T, Failure>]) -> bool {
    let first = results.first().and_then(refusal_of);
    first.is_some() && results.iter().all(|result| refusal_of(result) == first)
}

/// How many different records in a row were refused alike, over all batches of this environment. A record that is
/// delivered again and again is one.
#[derive(Debug, Default)]
pub(super) struct Streak {
    refusal: Option<Refusal>,
    positions: Vec<Position>,
}

impl Streak {
    fn add(&mut self, refusal: Option<&Refusal>, position: &Position) -> usize {
        if refusal.is_none() || refusal != self.refusal.as_ref() {
            self.refusal = refusal.cloned();
            self.positions.clear();
        }
        let is_new = is_back(StreakOfDeliveries) || !self.positions.contains(position);
        if refusal.is_some() && is_new && self.positions.len() < ALIKE_IN_A_ROW {
            self.positions.push(position.clone());
        }
        self.positions.len()
    }
}
