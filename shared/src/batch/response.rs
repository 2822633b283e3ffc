//! The results of a batch, and the response to Lambda.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde::Serialize;
use thiserror::Error;

use crate::failure::{Failure, name_cause};
use crate::known_faults::KnownFault::SequenceAsText;
use crate::known_faults::is_injected;
use crate::records::{Position, UnsupportedBatch};

/// The result of each record, in the order of the batch.
#[derive(Debug)]
pub struct BatchResults<T> {
    /// Position and result of each record.
    pub results: Vec<(Position, Result<T, Failure>)>,
}

impl<T> BatchResults<T> {
    /// The response to Lambda: which records to deliver again.
    ///
    /// # Errors
    /// [`BatchFailed`] if every record is a retry.
    pub fn response(&self) -> Result<BatchResponse, BatchFailed> {
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
        let from_stream = find_checkpoint(
            self.results
                .iter()
                .map(|(position, result)| (position, result)),
        );
        let of_queue = |(position, result): &&(Position, Result<T, Failure>)| {
            !position.is_stream() && matches!(result, Err(Failure::Retry(_)))
        };
        // Several orders of one message share its id, which is named once.
        let mut named = HashSet::new();
        let from_queue = self
            .results
            .iter()
            .filter(of_queue)
            .map(|(position, _)| position.id.clone())
            .filter(|id| named.insert(id.clone()));
        let batch_item_failures = from_stream
            .into_iter()
            .chain(from_queue)
            .map(|item_identifier| ItemFailure { item_identifier })
            .collect();
        Ok(BatchResponse {
            batch_item_failures,
        })
    }

    /// Logs one line per failed record, without any of its values, and counts the results in metrics.
    pub fn report(&self, function: &'static str) {
        let (mut done, mut rejected, mut retried, mut skipped) = (0_u64, 0_u64, 0_u64, 0_u64);
        for (position, result) in &self.results {
            match result {
                Ok(_) => done += 1,
                Err(Failure::Skipped) => skipped += 1,
                Err(Failure::Rejected(rejection)) => {
                    rejected += 1;
                    let refusal = rejection.refusal.as_ref();
                    let (code, member) =
                        refusal.map_or(("", ""), |refusal| (&refusal.code, &refusal.member));
                    tracing::warn!(%position, class = rejection.class, code, member, "record rejected");
                    let class = rejection.class;
                    metrics::counter!("RejectedByClass", "class" => class, "function" => function)
                        .increment(1);
                }
                Err(Failure::Retry(retry)) => {
                    retried += 1;
                    let (cause, set_up) = (&retry.cause, retry.set_up);
                    tracing::warn!(%position, %cause, set_up, "record will be delivered again");
                    let cause = name_cause(retry);
                    metrics::counter!("RetriedByCause", "cause" => cause, "function" => function)
                        .increment(1);
                    if set_up {
                        metrics::counter!("SetUp", "function" => function).increment(1);
                    }
                }
            }
        }
        metrics::counter!("Done", "function" => function).increment(done);
        metrics::counter!("Rejected", "function" => function).increment(rejected);
        metrics::counter!("Retried", "function" => function).increment(retried);
        metrics::counter!("Skipped", "function" => function).increment(skipped);
    }
}

/// The response of a function to Lambda.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// The records to deliver again. Empty: the whole batch succeeded.
    pub batch_item_failures: Vec<ItemFailure>,
}

/// One record to deliver again.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// Sequence number or message id.
    pub item_identifier: String,
}

/// Every record of the batch must be delivered again: Lambda should count an error and back off.
#[derive(Debug, Error)]
#[error("all {records} records failed and will be delivered again; the first: {first}")]
pub struct BatchFailed {
    /// How many records there were.
    pub records: usize,
    /// Why the first failed.
    pub first: String,
}

/// Why an invocation fails as a whole. Lambda logs the text, so it quotes no value of a record.
#[derive(Debug, Error)]
pub enum InvocationError {
    /// Every record of the batch must be delivered again.
    #[error(transparent)]
    Batch(#[from] BatchFailed),
    /// The batch is from an unsupported source.
    #[error(transparent)]
    Foreign(#[from] UnsupportedBatch),
    /// The order of a direct invocation was not decided.
    #[error("the order was not decided: {0}")]
    Order(String),
}

/// The lowest sequence number of a stream's batch that must be delivered again.
pub(super) fn find_checkpoint<'a, T: 'a>(
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
    if is_injected(SequenceAsText) {
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
