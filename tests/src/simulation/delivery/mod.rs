//! How Lambda's event source mappings deliver: streams and queues as state machines.
//!
//! There is no clock and no chance but [`Dice`](super::dice::Dice): time comes in as milliseconds since the start of
//! the day, and whoever drives a source asks it for a batch ([`EventSource::take`]), gives it the
//! function's answer ([`EventSource::answered`]) and asks when to look again ([`EventSource::next_time`]). Each rule names the page of AWS's documentation that it rests on. Where
//! AWS says nothing, the comment says so.

pub mod kpl;
pub mod queue;
pub mod stream;

use serde_json::Value;

/// What a function answered, as its event source sees it.
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
    /// Names the delivery to its source.
    pub ticket: u64,
    /// The event, as Lambda passes it: `{"Records":[...]}`.
    pub event: Value,
    /// A short text for the printed history, such as `shard 0 #17-#23 (second half)` or `orders.fifo m-4 m-5`.
    pub what: String,
    /// How many records.
    pub records: usize,
}

/// What Lambda polls: a stream or a queue, with its event source mapping.
pub trait EventSource {
    /// The next batch that may be invoked now.
    fn take(&mut self, now: u64) -> Option<Batch>;
    /// Takes the function's answer to a batch.
    fn answered(&mut self, now: u64, ticket: u64, answer: Answer);
    /// When there may be a batch that is not there now, if no answer comes.
    fn next_time(&self, now: u64) -> Option<u64>;
    /// Whether nothing waits and nothing is in flight.
    fn is_drained(&self) -> bool;
    /// How many records were given up: for their age, or for being received too often.
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

    /// Has a function answer each batch after so many milliseconds; gives the history.
    #[track_caller]
    pub fn drive(
        source: &mut impl EventSource,
        function: impl FnMut(u64, &Batch) -> (u64, Answer),
    ) -> Vec<String> {
        drive_from(0, source, function)
    }

    /// The same from a later time on.
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

    /// What an answer names the records of a batch by.
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
