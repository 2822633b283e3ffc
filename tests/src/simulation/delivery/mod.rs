//! How Lambda's event source mappings deliver records: streams and queues as state machines.
//!
//! There is no clock, and all chance comes from [`Dice`](super::dice::Dice). Time is a parameter: milliseconds since
//! the start of the day. The caller asks a source for a batch ([`EventSource::take`]), passes it the function's answer
//! ([`EventSource::answered`]) and asks when to look again ([`EventSource::next_time`]). Each rule names the page of
//! AWS's documentation that it is based on. If AWS says nothing, the comment says so.

pub mod kpl;
pub mod queue;
pub mod stream;

use serde_json::Value;

/// The answer of a function, as its event source sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `batchItemFailures`: the identifiers; empty means that all succeeded.
    Failures(Vec<String>),
    /// The invocation ended with an error, was killed or did not answer in time.
    Failed,
}

/// One invocation's event.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The id of this delivery at its source.
    pub ticket: u64,
    /// The event, as Lambda passes it: `{"Records":[...]}`.
    pub event: Value,
    /// A short description for the printed history, such as `shard 0 #17-#23 (second half)` or `orders.fifo m-4 m-5`.
    pub what: String,
    /// The number of records.
    pub records: usize,
}

/// A stream or a queue that Lambda polls, with its event source mapping.
pub trait EventSource {
    /// The next batch that may be delivered now.
    fn take(&mut self, now: u64) -> Option<Batch>;
    /// Processes the function's answer to a batch.
    fn answered(&mut self, now: u64, ticket: u64, answer: Answer);
    /// The earliest time at which there may be a new batch if no answer arrives.
    fn next_time(&self, now: u64) -> Option<u64>;
    /// Whether nothing is waiting and nothing is in flight.
    fn is_drained(&self) -> bool;
    /// How many records were given up because they were too old or received too often.
    fn given_up(&self) -> usize;
}

/// The region in an ARN: `arn:aws:sqs:REGION:account:name`.
fn region(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

/// Runs a source until nothing is left, for its tests.
#[cfg(test)]
mod drive {
    use std::collections::BTreeMap;

    use super::{Answer, Batch, EventSource};

    /// Answers each batch after a fixed number of milliseconds. Returns the history.
    #[track_caller]
    pub fn drive(
        source: &mut impl EventSource,
        function: impl FnMut(u64, &Batch) -> (u64, Answer),
    ) -> Vec<String> {
        drive_from(0, source, function)
    }

    /// The same, starting at a later time.
    #[track_caller]
    pub fn drive_from(
        mut now: u64,
        source: &mut impl EventSource,
        mut function: impl FnMut(u64, &Batch) -> (u64, Answer),
    ) -> Vec<String> {
        let mut history = Vec::new();
        let mut answers: BTreeMap<(u64, u64), Answer> = BTreeMap::new();
        loop {
            while let Some(batch) = source.take(now) {
                let (runs, answer) = function(now, &batch);
                assert_eq!(
                    batch.records,
                    batch.event["Records"].as_array().unwrap().len()
                );
                answers.insert((now + runs, batch.ticket), answer);
                history.push(format!("{now} {}", batch.what));
                assert!(history.len() < 100_000, "it does not end");
            }
            let next = source.next_time(now);
            assert!(next.is_none_or(|time| time > now), "{next:?} at {now}");
            let answer = answers.keys().next().map(|&(time, _)| time);
            let Some(time) = next.into_iter().chain(answer).min() else {
                break;
            };
            now = time;
            while let Some(entry) = answers.first_entry().filter(|entry| entry.key().0 <= now) {
                let (_, ticket) = *entry.key();
                source.answered(now, ticket, entry.remove());
            }
        }
        assert!(source.is_drained());
        history
    }

    /// The identifiers of a batch's records in an answer.
    pub fn ids(batch: &Batch) -> Vec<String> {
        let records = batch.event["Records"].as_array().unwrap();
        let id = |record: &serde_json::Value| {
            let ids = [
                &record["messageId"],
                &record["kinesis"]["sequenceNumber"],
                &record["dynamodb"]["SequenceNumber"],
            ];
            ids.into_iter()
                .find_map(|id| id.as_str())
                .unwrap()
                .to_owned()
        };
        records.iter().map(id).collect()
    }
}
