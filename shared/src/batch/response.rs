//! What became of a batch, and what Lambda is told of it.

use std::cmp::Ordering;

use serde::Serialize;
use thiserror::Error;

use crate::failure::Failure;
use crate::known_faults::KnownFault::SequenceAsText;
use crate::known_faults::is_back;
use crate::records::{ForeignBatch, Position};

/// What became of each record, in the order of the batch.
#[derive(Debug)]
pub struct Handled<T> {
    /// Source position and result of each record.
    pub results: Vec<(Position, Result<T, Failure>)>,
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

/// The lowest sequence number of a stream's batch that must be delivered again.
pub(super) fn checkpoint<'a, T: 'a>(
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
pub(super) fn compare_sequence_numbers(left: &str, right: &str) -> Ordering {
    if is_back(SequenceAsText) {
        return left.cmp(right);
    }
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_are_integers() {
        assert_eq!(compare_sequence_numbers("9", "10"), Ordering::Less);
        assert_eq!(compare_sequence_numbers("0010", "10"), Ordering::Equal);
        let long = "4".repeat(56);
        assert_eq!(compare_sequence_numbers(&long, "5"), Ordering::Greater);
    }
}
