//! Runs one batch of records: in order within a key, concurrently across keys, with a result for every record.
//!
//! After its first [`Failure::Retry`] the rest of a key is not processed, because later records must not overtake an
//! earlier one. A rejection stops nothing: the record is parked and the next one is processed. The event source mapping
//! needs `FunctionResponseTypes: [ReportBatchItemFailures]`; without it Lambda takes every response for success, and
//! failed records are lost.

mod chunks;
mod deadlines;
mod groups;
mod outbound;
mod refusals;
mod response;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, stream};
use tokio::time::Instant;

use crate::failure::{Failure, Rejection};
use crate::known_faults::KnownFault::ParkFailureIgnored;
use crate::known_faults::is_injected;
use crate::records::{Position, Record};
use chunks::{ChunkLimits, process_in_chunks};
use groups::group_records;
use outbound::OutboundCalls;
use refusals::RefusalStreak;
use response::{compare_sequence_numbers, find_checkpoint};

pub use chunks::CHUNK;
pub use deadlines::{InvocationContext, PhaseDeadlines, run_until};
pub use response::{BatchFailed, BatchResponse, BatchResults, InvocationError, ItemFailure};

/// How much one Lambda environment may do at once: its share of the account's quota.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// How many keys are processed at the same time.
    pub concurrency: usize,
    /// The most calls of Amazon Fraud Detector per second; `None` means no limit. The rate is lower after throttled calls.
    pub calls_per_second: Option<NonZeroU32>,
    /// Whether the calls leave this process, to Amazon: then a circuit breaker stops them while the service fails.
    pub is_remote: bool,
    /// Time reserved before the deadline for finishing, parking and answering; at most half of the time that is left is
    /// used for it.
    pub margin: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            concurrency: 16,
            calls_per_second: None,
            is_remote: false,
            margin: Duration::from_secs(2),
        }
    }
}

/// Runs batches for one function.
pub struct Batcher {
    function: &'static str,
    budget: Budget,
    outbound: OutboundCalls,
    streak: Mutex<RefusalStreak>,
}

impl Batcher {
    /// A batcher for `function`, which names it in metrics.
    pub fn new(function: &'static str, budget: Budget) -> Self {
        Self {
            function,
            outbound: OutboundCalls::new(&budget),
            budget,
            streak: Mutex::default(),
        }
    }

    /// The time limits of the phases of a batch with this deadline.
    pub fn phase_deadlines(&self, deadline: Option<Instant>) -> PhaseDeadlines {
        PhaseDeadlines::new(deadline, self.budget.margin)
    }

    /// Runs a batch in two phases and returns the result of every record.
    ///
    /// 1. `process` is called for each record, with its index in the batch, and `settle` with chunks of at most `chunk`
    ///    records that were processed; it reports the result of each by its place in the chunk. Records of the same key,
    ///    and records that share a text of `subjects` (the ids of the events they are about), are processed and settled
    ///    one after the other; a chunk has at most one of them.
    /// 2. `park` is called for each rejected record.
    ///
    /// A batch of a stream first waits while the circuit is open.
    ///
    /// What a phase has not done by its time limit becomes a retry; what it has done by then stays done. What is
    /// processed when the time for processing is over is still settled.
    #[expect(
        clippy::too_many_arguments,
        reason = "the steps of a batch, each of which a function defines"
    )]
    pub async fn run<T, U>(
        &self,
        records: Vec<Record>,
        ends: PhaseDeadlines,
        subjects: impl Fn(usize) -> Vec<String>,
        process: impl AsyncFn(usize, &Record) -> Result<T, Failure>,
        chunk: usize,
        settle: impl AsyncFn(Vec<T>, &dyn Fn(usize, Result<U, Failure>)),
        park: impl AsyncFn(&Record, &Rejection) -> Result<(), Failure>,
    ) -> BatchResults<U> {
        self.wait_for_circuit(&records, ends.process).await;
        let mut results = self
            .run_direct(&records, ends, subjects, process, chunk, settle)
            .await;
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
        self.report_circuit();
        handled
    }

    /// As the first phase of [`Self::run`], for records whose senders wait for the results: rejected records are not
    /// parked, and nothing is reported, because the senders have them and get the reason. Nor do refusals in a row mean
    /// wrong set-up: one sender may send the same mistake again and again.
    pub async fn run_direct<T, U>(
        &self,
        records: &[Record],
        ends: PhaseDeadlines,
        subjects: impl Fn(usize) -> Vec<String>,
        process: impl AsyncFn(usize, &Record) -> Result<T, Failure>,
        chunk: usize,
        settle: impl AsyncFn(Vec<T>, &dyn Fn(usize, Result<U, Failure>)),
    ) -> Vec<Result<U, Failure>> {
        let groups = group_records(records, subjects);
        let limits = ChunkLimits {
            concurrency: self.budget.concurrency,
            chunk,
        };
        process_in_chunks(records, groups, limits, ends, process, settle).await
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

/// The `settle` of a function that has nothing left to do once its records are processed: their results are final.
pub fn keep_results<T>(
    chunk: Vec<T>,
    say: &dyn Fn(usize, Result<T, Failure>),
) -> std::future::Ready<()> {
    for (place, result) in chunk.into_iter().enumerate() {
        say(place, Ok(result));
    }
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
