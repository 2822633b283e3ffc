//! Runs one batch of records: in order within a key, concurrently across keys, with a result for every record.
//!
//! After its first [`Failure::Retry`] the rest of a key is not processed, because later records must not overtake an
//! earlier one. A rejection stops nothing: the record is parked and the next one is processed. The event source mapping
//! needs `FunctionResponseTypes: [ReportBatchItemFailures]`; without it Lambda takes every response for success, and
//! failed records are lost.

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
use crate::known_faults::is_injected;
use crate::records::{Position, Record};
use groups::group_records;
use refusals::RefusalStreak;
use response::{compare_sequence_numbers, find_checkpoint};

pub use deadlines::{InvocationContext, PhaseDeadlines, run_until};
pub use response::{BatchFailed, BatchResponse, BatchResults, InvocationError, ItemFailure};

/// How much one Lambda environment may do at once: its share of the account's quota.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// How many keys are processed at the same time.
    pub concurrency: usize,
    /// Calls of Amazon Fraud Detector per second; `None` means no limit.
    pub calls_per_second: Option<NonZeroU32>,
    /// Time reserved before the deadline for finishing, parking and answering; at most half of the time that is left is
    /// used for it.
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
    streak: Mutex<RefusalStreak>,
}

impl Batcher {
    /// A batcher for `function`, which names it in metrics.
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

    /// Waits until the budget allows another call.
    pub async fn wait_for_call_permit(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.until_ready().await;
        }
    }

    /// The time limits of the phases of a batch with this deadline.
    pub fn phase_deadlines(&self, deadline: Option<Instant>) -> PhaseDeadlines {
        PhaseDeadlines::new(deadline, self.budget.margin)
    }

    /// Runs a batch in three phases and returns the result of every record.
    ///
    /// 1. `process` is called for each record, with its index in the batch. Records of the same key, and records that
    ///    share a text of `subjects` (the ids of the events they are about), are processed one after the other.
    /// 2. `finish` is called once with everything that succeeded, and reports the result of each.
    /// 3. `park` is called for each rejected record.
    ///
    /// What a phase has not done by its time limit becomes a retry; what it has done by then stays done.
    pub async fn run<T>(
        &self,
        records: Vec<Record>,
        ends: PhaseDeadlines,
        subjects: impl Fn(usize) -> Vec<String>,
        process: impl AsyncFn(usize, &Record) -> Result<T, Failure>,
        finish: impl AsyncFn(&[&T], &dyn Fn(usize, Result<(), Failure>)),
        park: impl AsyncFn(&Record, &Rejection) -> Result<(), Failure>,
    ) -> BatchResults<T> {
        let groups = group_records(&records, subjects);
        let mut results = self
            .process_all(&records, groups, ends.process, process)
            .await;
        let end = ends.finish.filter(|_| !is_injected(FinishWithoutTime));
        finish_all(&mut results, end, finish).await;
        self.detect_wrong_set_up(&records, &mut results);
        self.park_rejected(&records, &mut results, ends.park, park)
            .await;
        let results = records
            .into_iter()
            .map(|record| record.position)
            .zip(results)
            .collect();
        let handled = BatchResults { results };
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
                let result = catch_panic(process(index, &records[index])).await;
                let stop = matches!(result, Err(Failure::Retry(_)));
                keep(index, result);
                if stop {
                    break;
                }
            }
        };
        let all =
            stream::iter(groups).for_each_concurrent(self.budget.concurrency.max(1), one_group);
        // What is still in progress at the time limit is dropped, and its record is delivered again.
        run_until(end, all).await;
        let results = results.into_inner().unwrap_or_default();
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| Err(not_reached_failure())))
            .collect()
    }

    /// Parks the rejected records; a record that cannot be parked becomes a retry.
    ///
    /// A stream delivers everything from the checkpoint on again, so only records before the checkpoint are parked.
    async fn park_rejected<T>(
        &self,
        records: &[Record],
        results: &mut [Result<T, Failure>],
        end: Option<Instant>,
        park: impl AsyncFn(&Record, &Rejection) -> Result<(), Failure>,
    ) {
        let checkpoint = find_checkpoint(
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
        run_until(end, all).await;
        let mut parked = parked.into_inner().unwrap_or_default();
        for index in places {
            let result = parked.remove(&index);
            if let Err(failure) =
                result.unwrap_or_else(|| Err(Failure::retry("not parked in time")))
                && !is_injected(ParkFailureIgnored)
            {
                results[index] = Err(failure);
            }
        }
    }
}

/// The result of a record for which there was no time left.
pub fn not_reached_failure() -> Failure {
    Failure::retry("not reached")
}

/// Calls `finish` with all results that succeeded. One that is not finished becomes a retry, which is safe because every
/// effect may be repeated.
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
    // After a panic or at the time limit, whatever was not reported yet stays unfinished.
    drop(run_until(end, AssertUnwindSafe(finish(&done, &say)).catch_unwind()).await);
    let mut finished = finished.into_inner().unwrap_or_default().into_iter();
    for result in results.iter_mut().filter(|result| result.is_ok()) {
        let finished = finished.next().flatten();
        if let Err(failure) = finished.unwrap_or_else(|| Err(Failure::retry("not finished"))) {
            *result = Err(failure);
        }
    }
}

/// The `finish` of a function that has nothing left to do once its records are processed: reports success for each.
pub fn report_all_done<T>(
    done: &[&T],
    say: &dyn Fn(usize, Result<(), Failure>),
) -> std::future::Ready<()> {
    (0..done.len()).for_each(|index| say(index, Ok(())));
    std::future::ready(())
}

/// Processes one record. A panic becomes a rejection, so that a bug affects one record and not the whole batch.
pub async fn catch_panic<T>(
    process: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    AssertUnwindSafe(process)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(panic_failure()))
}

/// Prepares each record, in order, before the batch runs. A panic becomes a rejection. Records that are not reached in
/// half of the time for processing become retries.
pub fn prepare_records<T>(
    records: &[Record],
    ends: PhaseDeadlines,
    prepare: impl Fn(&Record) -> Result<T, Failure>,
) -> Vec<Result<T, Failure>> {
    let one = |record| {
        if ends.prepare.is_some_and(|end| Instant::now() >= end) {
            return Err(not_reached_failure());
        }
        std::panic::catch_unwind(AssertUnwindSafe(|| prepare(record)))
            .unwrap_or_else(|_| Err(panic_failure()))
    };
    records.iter().map(one).collect()
}

fn panic_failure() -> Failure {
    Failure::rejected(
        "panic",
        "the function panicked on this record; please report it with the record",
    )
}

#[cfg(test)]
mod tests;
