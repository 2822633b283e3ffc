//! One batch: order kept per key, keys side by side, every record answered for.
//!
//! A key stops at its first [`Failure::Retry`]: what follows it must not overtake it. A rejection does
//! not stop anything: the record is parked and the next one is taken. The response needs
//! `FunctionResponseTypes: [ReportBatchItemFailures]` on the event source mapping; without it Lambda
//! takes every answer for success and failed records are lost.

mod deadlines;
mod groups;
mod refusals;
mod response;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, stream};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use crate::failure::{Failure, Rejection};
use crate::known_faults::KnownFault::{FinishWithoutTime, ParkFailureIgnored};
use crate::known_faults::is_back;
use crate::records::{Position, Record};
use groups::in_turn;
use refusals::Streak;
use response::{checkpoint, compare_sequence_numbers};

pub use deadlines::{Ends, Moment, until};
pub use response::{BatchFailed, Handled, InvocationError, ItemFailure, Response};

/// How much one environment may do at once: its share of the account's quota.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Keys in progress at a time.
    pub concurrency: usize,
    /// Calls of the service per second; none: no limit.
    pub calls_per_second: Option<NonZeroU32>,
    /// Time kept before the deadline, to finish, to park and to answer: at most half of the time that is left.
    pub margin: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            concurrency: 16,
            calls_per_second: None,
            margin: Duration::from_secs(2),
        }
    }
}

/// Runs batches for one function.
pub struct Batcher {
    function: &'static str,
    budget: Budget,
    limiter: Option<DefaultDirectRateLimiter>,
    streak: Mutex<Streak>,
}

impl Batcher {
    /// A runner for `function`.
    pub fn new(function: &'static str, budget: Budget) -> Self {
        let limiter = budget
            .calls_per_second
            .map(|calls| RateLimiter::direct(Quota::per_second(calls)));
        Self {
            function,
            budget,
            limiter,
            streak: Mutex::default(),
        }
    }

    /// Waits until the budget of calls allows another one.
    pub async fn call_permit(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.until_ready().await;
        }
    }

    /// When the parts of a batch with this deadline must end.
    pub fn ends(&self, deadline: Option<Instant>) -> Ends {
        Ends::new(deadline, self.budget.margin)
    }

    /// Processes each record with `process`, which gets its place in the batch, then all that succeeded
    /// together with `finish`, which says of each when it is done, then parks the rejected ones with `park`.
    ///
    /// Records of one key, and records for which `subjects` has a text in common (the ids of the events that they are
    /// about), are processed one after the other. What is not done at its end is a retry; what was done stays so.
    pub async fn run<T>(
        &self,
        records: Vec<Record>,
        ends: Ends,
        subjects: impl Fn(usize) -> Vec<String>,
        process: impl AsyncFn(usize, &Record) -> Result<T, Failure>,
        finish: impl AsyncFn(&[&T], &dyn Fn(usize, Result<(), Failure>)),
        park: impl AsyncFn(&Record, &Rejection) -> Result<(), Failure>,
    ) -> Handled<T> {
        let groups = in_turn(&records, subjects);
        let mut results = self
            .process_all(&records, groups, ends.process, process)
            .await;
        let end = ends.finish.filter(|_| !is_back(FinishWithoutTime));
        finish_all(&mut results, end, finish).await;
        self.detect_wrong_set_up(&records, &mut results);
        self.park(&records, &mut results, ends.park, park).await;
        let results = records
            .into_iter()
            .map(|record| record.position)
            .zip(results)
            .collect();
        let handled = Handled { results };
        handled.report(self.function);
        handled
    }

    async fn process_all<T>(
        &self,
        records: &[Record],
        groups: Vec<Vec<usize>>,
        end: Option<Instant>,
        process: impl AsyncFn(usize, &Record) -> Result<T, Failure>,
    ) -> Vec<Result<T, Failure>> {
        let results: Mutex<Vec<Option<Result<T, Failure>>>> =
            Mutex::new(records.iter().map(|_| None).collect());
        let keep = |index: usize, result| {
            if let Ok(mut results) = results.lock() {
                results[index] = Some(result);
            }
        };
        let one_group = async |indexes: Vec<usize>| {
            for index in indexes {
                let result = caught(process(index, &records[index])).await;
                let stop = matches!(result, Err(Failure::Retry(_)));
                keep(index, result);
                if stop {
                    break;
                }
            }
        };
        let all =
            stream::iter(groups).for_each_concurrent(self.budget.concurrency.max(1), one_group);
        // What is in flight at the end is dropped there, and its record is delivered again.
        until(end, all).await;
        let results = results.into_inner().unwrap_or_default();
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| Err(not_reached())))
            .collect()
    }

    /// Writes rejected records away; a record that cannot be written becomes a retry.
    ///
    /// On a stream everything from the checkpoint on comes again, so only what lies below is written.
    async fn park<T>(
        &self,
        records: &[Record],
        results: &mut [Result<T, Failure>],
        end: Option<Instant>,
        park: impl AsyncFn(&Record, &Rejection) -> Result<(), Failure>,
    ) {
        let checkpoint = checkpoint(
            records
                .iter()
                .map(|record| &record.position)
                .zip(results.iter()),
        );
        let below = |position: &Position| {
            !position.is_stream()
                || checkpoint
                    .as_deref()
                    .is_none_or(|end| compare_sequence_numbers(&position.id, end).is_lt())
        };
        let rejected = records.iter().zip(results.iter()).enumerate();
        let rejected = rejected.filter_map(|(index, (record, result))| match result {
            Err(Failure::Rejected(rejection)) if below(&record.position) => {
                Some((index, record, rejection))
            }
            _ => None,
        });
        let places: Vec<usize> = rejected.clone().map(|(index, ..)| index).collect();
        let parked: Mutex<HashMap<usize, Result<(), Failure>>> = Mutex::default();
        let all = stream::iter(rejected).for_each_concurrent(
            self.budget.concurrency.max(1),
            async |(index, record, rejection)| {
                let result = park(record, rejection).await;
                if let Ok(mut parked) = parked.lock() {
                    parked.insert(index, result);
                }
            },
        );
        until(end, all).await;
        let mut parked = parked.into_inner().unwrap_or_default();
        for index in places {
            let result = parked.remove(&index);
            if let Err(failure) =
                result.unwrap_or_else(|| Err(Failure::retry("not parked in time")))
                && !is_back(ParkFailureIgnored)
            {
                results[index] = Err(failure);
            }
        }
    }
}

/// What becomes of a record for which there was no time.
pub fn not_reached() -> Failure {
    Failure::retry("not reached")
}

/// What succeeded and cannot be finished is a retry: its effects are safe to repeat.
async fn finish_all<T>(
    results: &mut [Result<T, Failure>],
    end: Option<Instant>,
    finish: impl AsyncFn(&[&T], &dyn Fn(usize, Result<(), Failure>)),
) {
    let done: Vec<&T> = results.iter().flatten().collect();
    if done.is_empty() {
        return;
    }
    let finished: Mutex<Vec<Option<Result<(), Failure>>>> =
        Mutex::new(done.iter().map(|_| None).collect());
    let say = |index: usize, result| {
        if let Ok(mut finished) = finished.lock()
            && let Some(place) = finished.get_mut(index)
        {
            *place = Some(result);
        }
    };
    // What panics or is cut off leaves the rest unfinished.
    drop(until(end, AssertUnwindSafe(finish(&done, &say)).catch_unwind()).await);
    let mut finished = finished.into_inner().unwrap_or_default().into_iter();
    for result in results.iter_mut().filter(|result| result.is_ok()) {
        let finished = finished.next().flatten();
        if let Err(failure) = finished.unwrap_or_else(|| Err(Failure::retry("not finished"))) {
            *result = Err(failure);
        }
    }
}

/// The `finish` of a function whose records are done one by one.
pub fn done<T>(done: &[&T], say: &dyn Fn(usize, Result<(), Failure>)) -> std::future::Ready<()> {
    (0..done.len()).for_each(|index| say(index, Ok(())));
    std::future::ready(())
}

/// Runs one record; a panic is a rejection, so that a bug costs one record and not the batch.
pub async fn caught<T>(process: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    AssertUnwindSafe(process)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(panicked()))
}

/// Prepares each record before the batch runs, in the order of the batch; a panic is a rejection, and a record that is
/// not reached in half of the time that there is for the batch is a retry.
pub fn prepare<T>(
    records: &[Record],
    ends: Ends,
    prepare: impl Fn(&Record) -> Result<T, Failure>,
) -> Vec<Result<T, Failure>> {
    let one = |record| {
        if ends.prepare.is_some_and(|end| Instant::now() >= end) {
            return Err(not_reached());
        }
        std::panic::catch_unwind(AssertUnwindSafe(|| prepare(record)))
            .unwrap_or_else(|_| Err(panicked()))
    };
    records.iter().map(one).collect()
}

fn panicked() -> Failure {
    Failure::rejected(
        "panic",
        "the function panicked on this record; please report it with the record",
    )
}

#[cfg(test)]
mod tests;
