//! One batch: order kept per key, keys side by side, every record answered for.
//!
//! A key stops at its first [`Failure::Retry`]: what follows it must not overtake it. A rejection does
//! not stop anything: the record is parked and the next one is taken. The response needs
//! `FunctionResponseTypes: [ReportBatchItemFailures]` on the event source mapping; without it Lambda
//! takes every answer for success and failed records are lost.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use event::Timestamp;
use futures::{FutureExt as _, StreamExt as _, stream};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::Serialize;
use thiserror::Error;
use tokio::time::Instant;

use crate::failure::{Failure, Refusal, Rejection};
use crate::records::{Position, Record};

/// How much one environment may do at once: its share of the account's quota.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Keys in progress at a time.
    pub concurrency: usize,
    /// Calls of the service per second; none: no limit.
    pub calls_per_second: Option<NonZeroU32>,
    /// Time kept before the deadline, to answer and to park.
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

/// When an invocation happens: time comes in as a value.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// The end of the invocation; `None` means unknown.
    pub deadline: Option<Instant>,
}

impl Moment {
    /// Reads a deadline as Lambda gives it, in milliseconds since 1970.
    ///
    /// A deadline that is long past is unknown: `cargo lambda watch` sends one in 1970.
    pub fn new(now: jiff::Timestamp, deadline_ms: u64) -> Self {
        let left = i64::try_from(deadline_ms)
            .ok()
            .and_then(|end| u64::try_from(end - now.as_millisecond()).ok());
        Self {
            // A clock before 1970 or after 9999 cannot be; the epoch is as good as any other time then.
            now: Timestamp::from_jiff(now).unwrap_or(Timestamp::MIN),
            deadline: left.map(|left| Instant::now() + Duration::from_millis(left)),
        }
    }
}

/// When a record's twenty predecessors were all refused alike, it is the set-up that is wrong.
const ALIKE_IN_A_ROW: u32 = 20;
/// A batch of at least so many records, all refused alike, is a wrong set-up too.
const ALIKE_IN_A_BATCH: usize = 10;

/// Runs batches for one function.
pub struct Batcher {
    function: &'static str,
    budget: Budget,
    limiter: Option<DefaultDirectRateLimiter>,
    streak: Mutex<Streak>,
}

/// What a function answers to Lambda.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The records to deliver again. Empty: the whole batch succeeded.
    pub batch_item_failures: Vec<ItemFailure>,
}

/// Names one record to deliver again.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// Sequence number or message id.
    pub item_identifier: String,
}

/// No record of the batch succeeded: Lambda should count an error and back off.
#[derive(Debug, Error)]
#[error("all {records} records failed and will be delivered again; the first: {first}")]
pub struct BatchFailed {
    /// How many records there were.
    pub records: usize,
    /// Why the first failed.
    pub first: String,
}

/// What became of each record, in the order of the batch.
#[derive(Debug)]
pub struct Handled<T> {
    /// Source position and result of each record.
    pub results: Vec<(Position, Result<T, Failure>)>,
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

    /// Processes each record with `process`, which gets its place in the batch, then all that succeeded
    /// together with `finish`, which answers for each, then parks the rejected ones with `park`.
    ///
    /// What is not done a margin before the deadline is a retry.
    pub async fn run<T>(
        &self,
        records: Vec<Record>,
        deadline: Option<Instant>,
        process: impl AsyncFn(usize, &Record) -> Result<T, Failure>,
        finish: impl AsyncFn(&[&T]) -> Vec<Result<(), Failure>>,
        park: impl AsyncFn(&Record, &Rejection) -> Result<(), Failure>,
    ) -> Handled<T> {
        let end = deadline.map(|deadline| deadline - self.budget.margin);
        let mut results = self.process_all(&records, end, process).await;
        finish_all(&mut results, end, finish).await;
        self.detect_wrong_set_up(&mut results);
        self.park(&records, &mut results, park).await;
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
        let one_key = async |indexes: Vec<usize>| {
            for index in indexes {
                let result = caught(process(index, &records[index])).await;
                let stop = matches!(result, Err(Failure::Retry(_)));
                keep(index, result);
                if stop {
                    break;
                }
            }
        };
        let all = stream::iter(by_key(records))
            .for_each_concurrent(self.budget.concurrency.max(1), one_key);
        match end {
            None => all.await,
            // What is in flight is dropped here, and its record is delivered again.
            Some(end) => drop(tokio::time::timeout_at(end, all).await),
        }
        let results = results.into_inner().unwrap_or_default();
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| Err(Failure::retry("not reached"))))
            .collect()
    }

    /// Turns refusals that are too alike to lie in the records into retries.
    ///
    /// An event type without ingestion, or a variable that the event type lacks, is answered with a
    /// `ValidationException` for every record: it must not drain the stream into `rejected/`.
    fn detect_wrong_set_up<T>(&self, results: &mut [Result<T, Failure>]) {
        let Ok(mut streak) = self.streak.lock() else {
            return;
        };
        let whole_batch = results.len() >= ALIKE_IN_A_BATCH && all_refused_alike(results);
        for result in results {
            let refused_alike = streak.add(refusal_of(result)) >= ALIKE_IN_A_ROW;
            if let Some(refusal) = refusal_of(result).filter(|_| whole_batch || refused_alike) {
                let cause = format!(
                    "every record is refused with {} at `{}`",
                    refusal.code, refusal.member
                );
                *result = Err(Failure::set_up(cause));
            }
        }
    }

    /// Writes rejected records away; a record that cannot be written becomes a retry.
    ///
    /// On a stream everything from the checkpoint on comes again, so only what lies below is written.
    async fn park<T>(
        &self,
        records: &[Record],
        results: &mut [Result<T, Failure>],
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
                    .is_none_or(|end| Position::compare_sequence(&position.id, end).is_lt())
        };
        let parked = records
            .iter()
            .zip(results.iter_mut())
            .filter(|(record, _)| below(&record.position));
        stream::iter(parked)
            .for_each_concurrent(self.budget.concurrency.max(1), async |(record, result)| {
                if let Err(Failure::Rejected(rejection)) = result
                    && let Err(failure) = park(record, rejection).await
                {
                    *result = Err(failure);
                }
            })
            .await;
    }
}

/// What succeeded and cannot be finished is a retry: its effects are safe to repeat.
async fn finish_all<T>(
    results: &mut [Result<T, Failure>],
    end: Option<Instant>,
    finish: impl AsyncFn(&[&T]) -> Vec<Result<(), Failure>>,
) {
    let done: Vec<&T> = results.iter().flatten().collect();
    if done.is_empty() {
        return;
    }
    let finished = AssertUnwindSafe(finish(&done)).catch_unwind();
    let finished = match end {
        None => finished.await.unwrap_or_default(),
        Some(end) => match tokio::time::timeout_at(end, finished).await {
            Ok(finished) => finished.unwrap_or_default(),
            Err(_) => Vec::new(),
        },
    };
    let mut finished = finished.into_iter();
    for result in results.iter_mut().filter(|result| result.is_ok()) {
        if let Err(failure) = finished
            .next()
            .unwrap_or_else(|| Err(Failure::retry("not finished")))
        {
            *result = Err(failure);
        }
    }
}

/// The `finish` of a function whose records are done one by one.
pub fn done<T>(done: &[&T]) -> std::future::Ready<Vec<Result<(), Failure>>> {
    std::future::ready(done.iter().map(|_| Ok(())).collect())
}

/// Runs one record; a panic is a rejection, so that a bug costs one record and not the batch.
pub async fn caught<T>(process: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    AssertUnwindSafe(process)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(panicked()))
}

/// Prepares each record before the batch runs, in the order of the batch; a panic is a rejection.
pub fn prepare<T>(
    records: &[Record],
    prepare: impl Fn(&Record) -> Result<T, Failure>,
) -> Vec<Result<T, Failure>> {
    let one = |record| {
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

/// Indexes of the records, grouped by key in the order of the batch; a record without key is alone.
fn by_key(records: &[Record]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::with_capacity(records.len());
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        let place = record
            .key
            .as_deref()
            .map(|key| *places.entry(key).or_insert(groups.len()));
        match place.and_then(|place| groups.get_mut(place)) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
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

/// How many records in a row were refused alike, over all batches of this environment.
#[derive(Debug, Default)]
struct Streak {
    refusal: Option<Refusal>,
    length: u32,
}

impl Streak {
    fn add(&mut self, refusal: Option<&Refusal>) -> u32 {
        if refusal.is_none() || refusal != self.refusal.as_ref() {
            *self = Self {
                refusal: refusal.cloned(),
                length: 0,
            };
        }
        self.length = if refusal.is_some() {
            self.length.saturating_add(1)
        } else {
            0
        };
        self.length
    }
}

/// The lowest sequence number of a stream's batch that must be delivered again.
fn checkpoint<'a, T: 'a>(
    results: impl Iterator<Item = (&'a Position, &'a Result<T, Failure>)>,
) -> Option<String> {
    results
        .filter(|(position, result)| {
            position.is_stream() && matches!(result, Err(Failure::Retry(_)))
        })
        .map(|(position, _)| position.id.as_str())
        .min_by(|left, right| Position::compare_sequence(left, right))
        .map(str::to_owned)
}

impl<T> Handled<T> {
    /// The answer to Lambda.
    ///
    /// # Errors
    /// [`BatchFailed`] where every record is a retry.
    pub fn response(&self) -> Result<Response, BatchFailed> {
        let retries: Vec<_> = self
            .results
            .iter()
            .filter_map(|(_, result)| match result {
                Err(Failure::Retry(retry)) => Some(retry),
                _ => None,
            })
            .collect();
        if let Some(first) = retries
            .first()
            .filter(|_| retries.len() == self.results.len())
        {
            return Err(BatchFailed {
                records: retries.len(),
                first: first.cause.clone(),
            });
        }
        let from_stream = checkpoint(
            self.results
                .iter()
                .map(|(position, result)| (position, result)),
        );
        let of_queue = |(position, result): &&(Position, Result<T, Failure>)| {
            !position.is_stream() && matches!(result, Err(Failure::Retry(_)))
        };
        let from_queue = self
            .results
            .iter()
            .filter(of_queue)
            .map(|(position, _)| position.id.clone());
        let failures = from_stream.into_iter().chain(from_queue);
        let batch_item_failures = failures
            .map(|item_identifier| ItemFailure { item_identifier })
            .collect();
        Ok(Response {
            batch_item_failures,
        })
    }

    /// Logs one line a failed record, without any of its values, and counts the batch.
    pub fn report(&self, function: &'static str) {
        let (mut done, mut rejected, mut retried) = (0_u64, 0_u64, 0_u64);
        for (position, result) in &self.results {
            match result {
                Ok(_) => done += 1,
                Err(Failure::Rejected(rejection)) => {
                    rejected += 1;
                    let refusal = rejection.refusal.as_ref();
                    let (code, member) =
                        refusal.map_or(("", ""), |refusal| (&refusal.code, &refusal.member));
                    tracing::warn!(%position, class = rejection.class, code, member, "record rejected");
                }
                Err(Failure::Retry(retry)) => {
                    retried += 1;
                    let (cause, set_up) = (&retry.cause, retry.set_up);
                    tracing::warn!(%position, %cause, set_up, "record will be delivered again");
                    if set_up {
                        metrics::counter!("SetUp", "function" => function).increment(1);
                    }
                }
            }
        }
        metrics::counter!("Done", "function" => function).increment(done);
        metrics::counter!("Rejected", "function" => function).increment(rejected);
        metrics::counter!("Retried", "function" => function).increment(retried);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Origin;

    /// Records written as `key:payload`; the payload says what becomes of it.
    fn records(origin: Origin, lines: &[&str]) -> Vec<Record> {
        lines
            .iter()
            .enumerate()
            .map(|(n, line)| {
                let (key, payload) = line.split_once(':').unwrap();
                Record {
                    position: Position {
                        origin,
                        arn: "arn:x:orders".into(),
                        id: (n + 8).to_string(),
                        sub: 0,
                    },
                    key: (!key.is_empty()).then(|| key.to_owned()),
                    payload: payload.into(),
                }
            })
            .collect()
    }

    async fn process(_: usize, record: &Record) -> Result<(), Failure> {
        match record.payload.as_slice() {
            b"bad" => Err(Failure::rejected("bad", "bad")),
            b"down" => Err(Failure::retry("down")),
            b"panic" => panic!("as the test wants"),
            b"refused" => Err(Failure::Rejected(Rejection {
                class: "refused",
                reason: String::new(),
                refusal: Some(Refusal {
                    code: "ValidationException".into(),
                    member: "price".into(),
                }),
            })),
            b"slow" => {
                tokio::time::sleep(Duration::from_mins(1)).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Runs a batch and keeps the ids of what was parked.
    async fn answer(
        batcher: &Batcher,
        records: Vec<Record>,
        deadline: Option<Instant>,
        parked: &Mutex<Vec<String>>,
    ) -> String {
        let park = async |record: &Record, _: &Rejection| {
            parked.lock().unwrap().push(record.position.id.clone());
            Ok(())
        };
        let handled = batcher.run(records, deadline, process, done, park).await;
        match handled.response() {
            Ok(response) => {
                let items: Vec<_> = response
                    .batch_item_failures
                    .into_iter()
                    .map(|item| item.item_identifier)
                    .collect();
                items.join(" ")
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[track_caller]
    fn check(origin: Origin, lines: &[&str], want: &str, parked: &[&str]) {
        let parked_ids = Mutex::default();
        let batcher = Batcher::new("test", Budget::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let got = runtime.block_on(async {
            let deadline = Instant::now() + Budget::default().margin + Duration::from_millis(50);
            answer(
                &batcher,
                records(origin, lines),
                Some(deadline),
                &parked_ids,
            )
            .await
        });
        assert_eq!(got, want, "{lines:?}");
        let mut ids = parked_ids.into_inner().unwrap();
        ids.sort();
        assert_eq!(ids, parked, "{lines:?}");
    }

    #[test]
    fn a_stream_names_its_lowest_failure() {
        use Origin::Kinesis;
        check(Kinesis, &[], "", &[]);
        check(Kinesis, &["a:ok", "b:ok"], "", &[]);
        check(Kinesis, &["a:ok", "b:down", "c:ok"], "9", &[]);
        // 9 comes before 10 although "10" sorts before "9".
        check(Kinesis, &["a:ok", "b:down", "c:down"], "9", &[]);
        check(
            Kinesis,
            &["a:down", "b:down"],
            "error: all 2 records failed and will be delivered again; the first: down",
            &[],
        );
    }

    #[test]
    fn a_key_stops_at_its_first_retry() {
        check(
            Origin::Sqs,
            &["a:ok", "a:down", "a:ok", "b:ok"],
            "9 10",
            &[],
        );
        check(Origin::Sqs, &[":ok", ":down", ":ok"], "9", &[]);
    }

    #[test]
    fn rejections_are_parked_and_stop_nothing() {
        check(Origin::Sqs, &["a:bad", "a:ok"], "", &["8"]);
        check(Origin::Kinesis, &["a:panic", "b:ok"], "", &["8"]);
        // What lies above the checkpoint comes again, so it is not parked now.
        check(Origin::Kinesis, &["a:bad", "b:down", "c:bad"], "9", &["8"]);
        check(
            Origin::Sqs,
            &["a:bad", "b:down", "c:bad"],
            "9",
            &["10", "8"],
        );
    }

    #[test]
    fn what_the_deadline_cuts_off_comes_again() {
        check(Origin::Sqs, &["a:ok", "b:slow", "b:ok"], "9 10", &[]);
    }

    #[test]
    fn refusals_that_are_all_alike_are_set_up() {
        let ten = ["a:refused"; 10];
        check(
            Origin::Kinesis,
            &ten,
            "error: all 10 records failed and will be delivered again; the first: every record is refused with ValidationException at `price`",
            &[],
        );
        let mut nine = ten;
        nine[9] = "a:ok";
        check(
            Origin::Kinesis,
            &nine,
            "",
            &["10", "11", "12", "13", "14", "15", "16", "8", "9"],
        );
    }

    #[tokio::test]
    async fn twenty_refusals_in_a_row_are_set_up_over_batches() {
        let parked = Mutex::default();
        let batcher = Batcher::new("test", Budget::default());
        for round in 0..21_usize {
            let got = answer(
                &batcher,
                records(Origin::Sqs, &["a:refused"]),
                None,
                &parked,
            )
            .await;
            assert_eq!(got.starts_with("error"), round >= 19, "{round}: {got}");
        }
        assert_eq!(parked.lock().unwrap().len(), 19);
        for one in ["a:ok", "a:refused"] {
            assert_eq!(
                answer(&batcher, records(Origin::Sqs, &[one]), None, &parked).await,
                ""
            );
        }
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_parked_is_delivered_again() {
        let batcher = Batcher::new("test", Budget::default());
        let broken = async |_: &Record, _: &Rejection| Err(Failure::retry("PutObject: no disk"));
        let handled = batcher
            .run(
                records(Origin::Sqs, &["a:bad", "b:ok"]),
                None,
                process,
                done,
                broken,
            )
            .await;
        assert_eq!(
            handled.response().unwrap().batch_item_failures[0].item_identifier,
            "8"
        );
    }

    #[tokio::test]
    async fn keys_run_side_by_side_and_one_key_in_order() {
        let batcher = Batcher::new(
            "test",
            Budget {
                concurrency: 16,
                ..Budget::default()
            },
        );
        let park = async |_: &Record, _: &Rejection| Ok(());
        let seen = Mutex::new(Vec::new());
        let slow = async |_: usize, record: &Record| -> Result<(), Failure> {
            tokio::time::sleep(Duration::from_millis(5)).await;
            seen.lock().unwrap().push(record.position.id.clone());
            Ok(())
        };
        let distinct: Vec<String> = (0..100).map(|n| format!("k{n}:ok")).collect();
        let lines: Vec<&str> = distinct.iter().map(String::as_str).collect();
        let start = Instant::now();
        batcher
            .run(records(Origin::Kinesis, &lines), None, &slow, done, &park)
            .await;
        let overlapped = start.elapsed();
        seen.lock().unwrap().clear();
        let start = Instant::now();
        batcher
            .run(
                records(Origin::Kinesis, &["k:ok"; 100]),
                None,
                &slow,
                done,
                &park,
            )
            .await;
        let one_by_one = start.elapsed();
        let in_order: Vec<String> = (8..108).map(|n| n.to_string()).collect();
        assert_eq!(*seen.lock().unwrap(), in_order);
        assert!(
            overlapped * 3 < one_by_one,
            "{overlapped:?} against {one_by_one:?}"
        );
    }
}
