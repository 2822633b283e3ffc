//! Processing the records of a batch, and settling what was processed in chunks, each with few calls.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;

use super::{PhaseDeadlines, catch_panic, not_reached_failure, run_until};
use crate::failure::Failure;
use crate::known_faults::KnownFault::FinishWithoutTime;
use crate::known_faults::is_injected;
use crate::records::Record;

/// The most records in a chunk: what one `BatchWriteItem` and one `BatchExecuteStatement` take.
pub const CHUNK: usize = 25;

/// How long a processed record waits for others that are still processed, so that one slow call does not stop all keys.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// How many records are processed at the same time, and how many are settled together.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkLimits {
    pub(super) concurrency: usize,
    pub(super) chunk: usize,
}

/// A processed record that waits to be settled.
struct Processed<T> {
    group: usize,
    index: usize,
    value: T,
}

/// Processes the records of each group one after the other, and settles them in chunks with at most one record of a
/// group. Returns the result of each record.
///
/// A chunk is settled when it is full, when there is nothing to wait for, when its first record has waited for 20 ms,
/// and when the time for processing is over. The next record of a group is processed once the one before it is settled;
/// after a retry none is.
pub(super) async fn process_in_chunks<T, U>(
    records: &[Record],
    groups: Vec<Vec<usize>>,
    limits: ChunkLimits,
    ends: PhaseDeadlines,
    process: impl AsyncFn(usize, &Record) -> Result<T, Failure>,
    settle: impl AsyncFn(Vec<T>, &dyn Fn(usize, Result<U, Failure>)),
) -> Vec<Result<U, Failure>> {
    let results = Results::new(records.len());
    let mut queues: Vec<VecDeque<usize>> = groups.into_iter().map(VecDeque::from).collect();
    let mut ready: VecDeque<usize> = (0..queues.len()).collect();
    let process_one = async |group: usize, index: usize| {
        let result = catch_panic(process(index, &records[index])).await;
        (group, index, result)
    };
    let settle_chunk = async |chunk: Vec<Processed<T>>| settle_all(chunk, &results, &settle).await;
    let mut processing = FuturesUnordered::new();
    let mut settling = FuturesUnordered::new();
    let mut chunk: Vec<Processed<T>> = Vec::new();
    // Until when the records of the chunk wait for others.
    let mut waits_until = None;
    loop {
        while processing.len() < limits.concurrency.max(1)
            && let Some(group) = ready.pop_front()
        {
            if let Some(index) = queues[group].pop_front() {
                processing.push(process_one(group, index));
            }
        }
        let is_waiting = !processing.is_empty() || !settling.is_empty();
        if chunk.len() >= limits.chunk || (!is_waiting && !chunk.is_empty()) {
            waits_until = None;
            settling.push(settle_chunk(std::mem::take(&mut chunk)));
        } else if !is_waiting {
            break;
        }
        tokio::select! {
            biased;
            Some(groups) = settling.next() => ready.extend(groups),
            Some((group, index, result)) = processing.next() => match result {
                Ok(value) => {
                    waits_until.get_or_insert_with(|| Instant::now() + LONGEST_WAIT);
                    chunk.push(Processed { group, index, value });
                }
                Err(failure) => {
                    let goes_on = !matches!(failure, Failure::Retry(_));
                    results.set(index, Err(failure));
                    ready.extend(goes_on.then_some(group));
                }
            },
            () = wait_until(waits_until), if settling.is_empty() && !chunk.is_empty() => {
                waits_until = None;
                settling.push(settle_chunk(std::mem::take(&mut chunk)));
            }
            // The last branch: what needs no waiting, such as a record that cannot be read, is done in any case.
            () = wait_until(ends.process) => break,
        }
    }
    // What is still being processed at the time limit is dropped, and its record is delivered again.
    drop(processing);
    if !chunk.is_empty() {
        settling.push(settle_chunk(chunk));
    }
    let end = ends.finish.filter(|_| !is_injected(FinishWithoutTime));
    run_until(end, async { while settling.next().await.is_some() {} }).await;
    drop(settling);
    results.into_vec()
}

/// Settles a chunk. Returns the groups that go on.
async fn settle_all<T, U>(
    chunk: Vec<Processed<T>>,
    results: &Results<U>,
    settle: &impl AsyncFn(Vec<T>, &dyn Fn(usize, Result<U, Failure>)),
) -> Vec<usize> {
    let (places, values): (Vec<(usize, usize)>, Vec<T>) = chunk
        .into_iter()
        .map(|processed| ((processed.group, processed.index), processed.value))
        .unzip();
    for (_, index) in &places {
        results.set(*index, Err(Failure::retry("not finished")));
    }
    let say = |place: usize, result| {
        if let Some((_, index)) = places.get(place) {
            results.set(*index, result);
        }
    };
    // After a panic, whatever was not reported yet stays unfinished.
    drop(AssertUnwindSafe(settle(values, &say)).catch_unwind().await);
    places
        .iter()
        .filter(|(_, index)| results.goes_on_after(*index))
        .map(|(group, _)| *group)
        .collect()
}

/// The result of each record, as far as it is known.
struct Results<U>(Mutex<Vec<Option<Result<U, Failure>>>>);

impl<U> Results<U> {
    fn new(length: usize) -> Self {
        Self(Mutex::new((0..length).map(|_| None).collect()))
    }

    fn set(&self, index: usize, result: Result<U, Failure>) {
        if let Ok(mut results) = self.0.lock() {
            results[index] = Some(result);
        }
    }

    /// Whether the next record of a key may be processed after this one.
    fn goes_on_after(&self, index: usize) -> bool {
        let results = self.0.lock();
        results.is_ok_and(|results| match &results[index] {
            Some(Ok(_) | Err(Failure::Rejected(_) | Failure::Skipped)) => true,
            Some(Err(Failure::Retry(_))) | None => false,
        })
    }

    fn into_vec(self) -> Vec<Result<U, Failure>> {
        let results = self.0.into_inner().unwrap_or_default().into_iter();
        results
            .map(|result| result.unwrap_or_else(|| Err(not_reached_failure())))
            .collect()
    }
}

async fn wait_until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
