//! One batch: order kept per key, keys side by side, every record answered for.
//!
//! A key stops at its first [`Failure::Retry`]: what follows it must not overtake it. A rejection does
//! not stop anything: the record is parked and the next one is taken. The response needs
//! `FunctionResponseTypes: [ReportBatchItemFailures]` on the event source mapping; without it Lambda
//! takes every answer for success and failed records are lost.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
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
use crate::known_faults::KnownFault::{
    FinishWithoutTime, ParkFailureIgnored, SequenceAsText, StreakOfDeliveries,
};
use crate::known_faults::is_back;
use crate::records::{ForeignBatch, Position, Record};

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

    /// Half of the time there is, from now on.
    pub fn half_way(&self) -> Option<Instant> {
        let now = Instant::now();
        self.deadline
            .map(|deadline| now + deadline.saturating_duration_since(now) / 2)
    }
}

/// When twenty records in a row, each another one, were refused alike, it is the set-up that is wrong.
const ALIKE_IN_A_ROW: usize = 20;
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

/// Why an invocation fails as a whole. Its text quotes no value of a record: Lambda logs it.
#[derive(Debug, Error)]
pub enum InvocationError {
    /// No record of the batch succeeded.
    #[error(transparent)]
    Batch(#[from] BatchFailed),
    /// The batch is of a source that is not read.
    #[error(transparent)]
    Foreign(#[from] ForeignBatch),
    /// The one order failed.
    #[error("the order was not decided: {0}")]
    Order(String),
}

/// When the parts of a batch must end. Without a deadline there is no end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    /// Of preparing records: half of the time there is to process them.
    prepare: Option<Instant>,
    /// Of processing records.
    pub process: Option<Instant>,
    /// Of finishing what was processed.
    finish: Option<Instant>,
    /// Of parking what was rejected; what is left is for the answer.
    park: Option<Instant>,
}

impl Ends {
    /// Divides the margin before the deadline: half to finish, three eighths to park, an eighth to answer.
    fn new(deadline: Option<Instant>, margin: Duration) -> Self {
        let Some(deadline) = deadline else {
            return Self::default();
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let margin = margin.min(left / 2);
        let before = |part: Duration| deadline.checked_sub(part);
        Self {
            prepare: before(margin + left.saturating_sub(margin) / 2),
            process: before(margin),
            finish: before(margin / 2),
            park: before(margin / 8),
        }
    }
}

/// Runs a future until `end`; `None` where it was cut off there.
pub async fn until<T>(end: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match end {
        None => Some(future.await),
        Some(end) => tokio::time::timeout_at(end, future).await.ok(),
    }
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

    /// Turns refusals that are too alike to lie in the records into retries.
    ///
    /// An event type without ingestion, or a variable that the event type lacks, is answered with a
    /// `ValidationException` for every record: it must not drain the stream into `rejected/`.
    fn detect_wrong_set_up<T>(&self, records: &[Record], results: &mut [Result<T, Failure>]) {
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

/// Indexes of the records in groups that share no key and no subject, each in the order of the batch.
fn in_turn(records: &[Record], subjects: impl Fn(usize) -> Vec<String>) -> Vec<Vec<usize>> {
    // A disjoint set: each record points towards the first record of its group.
    let mut first: Vec<usize> = (0..records.len()).collect();
    let root = |first: &[usize], mut index: usize| {
        while first[index] != index {
            index = first[index];
        }
        index
    };
    let mut seen: HashMap<(bool, String), usize> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        let key = record.key.clone().map(|key| (true, key));
        let shared = key
            .into_iter()
            .chain(subjects(index).into_iter().map(|subject| (false, subject)));
        for name in shared {
            let other = *seen.entry(name).or_insert(index);
            let (a, b) = (root(&first, index), root(&first, other));
            first[a.max(b)] = a.min(b);
        }
    }
    let mut groups: Vec<Vec<usize>> = Vec::with_capacity(records.len());
    let mut places: HashMap<usize, usize> = HashMap::new();
    for index in 0..records.len() {
        let place = *places.entry(root(&first, index)).or_insert(groups.len());
        match groups.get_mut(place) {
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

/// How many different records in a row were refused alike, over all batches of this environment. A record that is
/// delivered again and again is one.
#[derive(Debug, Default)]
struct Streak {
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

/// The lowest sequence number of a stream's batch that must be delivered again.
fn checkpoint<'a, T: 'a>(
    results: impl Iterator<Item = (&'a Position, &'a Result<T, Failure>)>,
) -> Option<String> {
    results
        .filter(|(position, result)| {
            position.is_stream() && matches!(result, Err(Failure::Retry(_)))
        })
        .map(|(position, _)| position.id.as_str())
        .min_by(|left, right| compare_sequence_numbers(left, right))
        .map(str::to_owned)
}

/// Compares two sequence numbers as the integers they are; they have up to 56 digits.
fn compare_sequence_numbers(left: &str, right: &str) -> Ordering {
    if is_back(SequenceAsText) {
        return left.cmp(right);
    }
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
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

    fn no_subjects(_: usize) -> Vec<String> {
        Vec::new()
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
        let ends = batcher.ends(deadline);
        let handled = batcher
            .run(records, ends, no_subjects, process, done, park)
            .await;
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
            let mut other = records(Origin::Sqs, &["a:refused"]);
            other[0].position.id = round.to_string();
            let got = answer(&batcher, other, None, &parked).await;
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
    async fn one_record_that_is_delivered_again_and_again_is_no_wrong_set_up() {
        let parked = Mutex::default();
        let batcher = Batcher::new("test", Budget::default());
        for round in 0..50 {
            // On a stream the record comes again while a record before it is a retry.
            let lines = if round < 49 {
                ["a:down", "b:refused"]
            } else {
                ["a:ok", "b:refused"]
            };
            let got = answer(&batcher, records(Origin::Kinesis, &lines), None, &parked).await;
            assert_eq!(got, if round < 49 { "8" } else { "" }, "{round}");
        }
        assert_eq!(*parked.lock().unwrap(), ["9"]);
    }

    #[tokio::test]
    async fn what_was_done_before_the_deadline_stays_done() {
        let batcher = Batcher::new(
            "test",
            Budget {
                concurrency: 1,
                ..Budget::default()
            },
        );
        let records = records(
            Origin::Sqs,
            &["a:ok", "b:ok", "c:ok", "d:bad", "e:bad", "f:slow", "g:ok"],
        );
        let ends = batcher.ends(Some(Instant::now() + Duration::from_secs(4)));
        // Finishing and parking take the time that processing has left them, and more.
        let finish = async |done: &[&()], say: &dyn Fn(usize, Result<(), Failure>)| {
            for index in 0..done.len() {
                tokio::time::sleep(Duration::from_millis(400)).await;
                say(index, Ok(()));
            }
        };
        let park = async |_: &Record, _: &Rejection| {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok(())
        };
        let handled = batcher
            .run(records, ends, no_subjects, process, finish, park)
            .await;
        let failures = handled.response().unwrap().batch_item_failures;
        let failed: Vec<&str> = failures
            .iter()
            .map(|item| item.item_identifier.as_str())
            .collect();
        // Two of three are finished within a second, one of two is parked within three quarters of a second.
        assert_eq!(failed, ["10", "12", "13", "14"]);
        assert!(Instant::now() < ends.park.unwrap() + Duration::from_millis(250));
    }

    #[tokio::test]
    async fn preparation_counts_against_the_deadline() {
        let batcher = Batcher::new("test", Budget::default());
        let ends = batcher.ends(Some(Instant::now() + Duration::from_millis(100)));
        let records = records(Origin::Sqs, &[":ok"; 50]);
        let prepared = prepare(&records, ends, |_| {
            std::thread::sleep(Duration::from_millis(10));
            Ok(())
        });
        let reached = prepared.iter().filter(|result| result.is_ok()).count();
        assert!((1..40).contains(&reached), "{reached} of 50");
        assert!(
            matches!(&prepared[49], Err(Failure::Retry(retry)) if retry.cause == "not reached")
        );
    }

    #[test]
    fn records_of_one_key_or_one_event_are_in_one_group() {
        #[track_caller]
        fn check(lines: &[&str], want: &str) {
            let records = records(Origin::Kinesis, lines);
            let subjects = |index: usize| {
                let payload = String::from_utf8(records[index].payload.clone()).unwrap();
                payload.split_whitespace().map(str::to_owned).collect()
            };
            assert_eq!(format!("{:?}", in_turn(&records, subjects)), want);
        }
        check(&["a:1", "b:2", "a:3"], "[[0, 2], [1]]");
        check(&["a:1", "b:2", "c:1"], "[[0, 2], [1]]");
        check(&[":1", ":1", ":2"], "[[0, 1], [2]]");
        // A record that is about two events joins their groups.
        check(&[":1", ":2", ":3", ":2 1", ":3"], "[[0, 1, 3], [2, 4]]");
        // A key and an event of the same name are two things.
        check(&["x:1", "1:x"], "[[0], [1]]");
        check(&["a:1", "b:2", "c:3", "c:2", "b:1"], "[[0, 1, 2, 3, 4]]");
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_parked_is_delivered_again() {
        let batcher = Batcher::new("test", Budget::default());
        let broken = async |_: &Record, _: &Rejection| Err(Failure::retry("PutObject: no disk"));
        let handled = batcher
            .run(
                records(Origin::Sqs, &["a:bad", "b:ok"]),
                Ends::default(),
                no_subjects,
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
            .run(
                records(Origin::Kinesis, &lines),
                Ends::default(),
                no_subjects,
                &slow,
                done,
                &park,
            )
            .await;
        let overlapped = start.elapsed();
        seen.lock().unwrap().clear();
        let start = Instant::now();
        batcher
            .run(
                records(Origin::Kinesis, &["k:ok"; 100]),
                Ends::default(),
                no_subjects,
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

    #[test]
    fn sequence_numbers_are_integers() {
        assert_eq!(compare_sequence_numbers("9", "10"), Ordering::Less);
        assert_eq!(compare_sequence_numbers("0010", "10"), Ordering::Equal);
        let long = "4".repeat(56);
        assert_eq!(compare_sequence_numbers(&long, "5"), Ordering::Greater);
    }
}
