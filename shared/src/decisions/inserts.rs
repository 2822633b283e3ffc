//! Writing several decisions in one call, with `PartiQL`'s `INSERT`: it fails for a key that exists, like a conditional
//! `PutItem`, and costs the same write units.

use std::fmt::Write as _;

use aws_sdk_dynamodb::types::{
    BatchStatementErrorCodeEnum as ErrorCode, BatchStatementRequest, BatchStatementResponse,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use futures::future::join_all;
use tokio::time::Instant;

use super::decision::Decision;
use super::table::{DecisionWrites, Decisions, PutResult, decision_item, refused_decision};
use crate::batch::{not_reached_failure, run_until};
use crate::failure::{Failure, dependency_failure};
use crate::items::{Item, SLOW_PAUSE, SLOW_ROUNDS};
use crate::known_faults::{KnownFault, is_injected};

/// A decision that is being written, with its statement.
struct Insert {
    place: usize,
    decision: Decision,
    statement: BatchStatementRequest,
}

/// What the answer to a statement means.
enum Answer {
    Inserted,
    /// There is an item, or it is not known whether there is one: whose it is has to be read.
    Unknown,
    /// The table is busy: the statement is sent again.
    Busy(ErrorCode),
    /// The whole call was refused, perhaps because of one of its statements: the decision is written by itself.
    CallRefused,
    Failed(Failure),
}

impl Decisions {
    /// Writes decisions with different keys, at most 25, unless the orders already have one. The results have the
    /// order of the decisions; what is not written by `end` is a retry.
    pub async fn put_all(
        &self,
        decisions: Vec<Decision>,
        end: Option<Instant>,
    ) -> Vec<Result<PutResult, Failure>> {
        let late = || Err(not_reached_failure());
        if self.writes == DecisionWrites::Statements && decisions.len() > 1 {
            let count = decisions.len();
            let inserted = run_until(end, self.insert_all(decisions)).await;
            return inserted.unwrap_or_else(|| (0..count).map(|_| late()).collect());
        }
        let put = async |decision| {
            Box::pin(run_until(end, self.put(decision)))
                .await
                .unwrap_or_else(late)
        };
        join_all(decisions.into_iter().map(put)).await
    }

    /// Writes decisions with different keys, at most 25, with one call. The results have the order of the decisions.
    async fn insert_all(&self, decisions: Vec<Decision>) -> Vec<Result<PutResult, Failure>> {
        let mut results: Vec<Option<Result<PutResult, Failure>>> =
            decisions.iter().map(|_| None).collect();
        let mut unknown = Vec::new();
        let mut singly = Vec::new();
        let mut left = Vec::with_capacity(decisions.len());
        for (place, decision) in decisions.into_iter().enumerate() {
            match decision_item(&decision).and_then(|item| insert_statement(&self.table, item)) {
                Ok(statement) => left.push(Insert {
                    place,
                    decision,
                    statement,
                }),
                Err(failure) => results[place] = Some(Err(failure)),
            }
        }
        for round in 0..=SLOW_ROUNDS {
            if left.is_empty() {
                break;
            }
            tokio::time::sleep(SLOW_PAUSE * round).await;
            let answers = match self.execute(&left).await {
                Ok(answers) => answers,
                Err(failure) => {
                    for insert in left.drain(..) {
                        results[insert.place] = Some(Err(failure.clone()));
                    }
                    break;
                }
            };
            let mut busy = Vec::new();
            for (insert, answer) in left.into_iter().zip(answers) {
                let place = insert.place;
                match answer {
                    Answer::Inserted => {
                        results[place] = Some(Ok(PutResult::Decided(Box::new(insert.decision))));
                    }
                    Answer::Failed(failure) => results[place] = Some(Err(failure)),
                    Answer::Unknown => unknown.push(insert),
                    Answer::CallRefused => singly.push(insert),
                    Answer::Busy(code) => {
                        let cause = format!("BatchExecuteStatement: {code}");
                        results[place] = Some(Err(Failure::retry(cause)));
                        busy.push(insert);
                    }
                }
            }
            left = busy;
        }
        self.read_unknown(unknown, &mut results).await;
        for insert in singly {
            results[insert.place] = Some(Box::pin(self.put(insert.decision)).await);
        }
        results
            .into_iter()
            .map(|result| {
                result.unwrap_or_else(|| Err(Failure::retry("BatchExecuteStatement: no answer")))
            })
            .collect()
    }

    async fn execute(&self, inserts: &[Insert]) -> Result<Vec<Answer>, Failure> {
        let statements = inserts.iter().map(|insert| insert.statement.clone());
        let call = self
            .client
            .batch_execute_statement()
            .set_statements(Some(statements.collect()));
        let output = match call.send().await {
            Ok(output) => output,
            Err(error) if error.code() == Some("ValidationException") => {
                return Ok(inserts.iter().map(|_| Answer::CallRefused).collect());
            }
            Err(error) => return Err(dependency_failure("BatchExecuteStatement", &error)),
        };
        let responses = output.responses.unwrap_or_default();
        if responses.len() != inserts.len() {
            return Err(Failure::retry("BatchExecuteStatement: answers are missing"));
        }
        Ok(responses.into_iter().map(read_answer).collect())
    }

    /// Reads the items of statements whose effect is not known, and compares whose they are.
    async fn read_unknown(
        &self,
        unknown: Vec<Insert>,
        results: &mut [Option<Result<PutResult, Failure>>],
    ) {
        if unknown.is_empty() {
            return;
        }
        let found = self
            .read(unknown.iter().map(|insert| insert.decision.key()))
            .await;
        for insert in unknown {
            let result = match &found {
                Err(failure) => Err(failure.clone()),
                Ok(found) => match found.decision(&insert.decision.key()) {
                    None => Err(Failure::retry("BatchExecuteStatement: not inserted")),
                    Some(stored) => Ok(PutResult::of_stored(
                        Box::new(stored.clone()),
                        &insert.decision.attempt_id,
                    )),
                },
            };
            results[insert.place] = Some(result);
        }
    }
}

/// An `INSERT` of the item, with its attributes as parameters.
pub(super) fn insert_statement(table: &str, item: Item) -> Result<BatchStatementRequest, Failure> {
    let mut attributes: Vec<_> = item.into_iter().collect();
    attributes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut statement = format!("INSERT INTO \"{table}\" VALUE {{");
    let mut parameters = Vec::with_capacity(attributes.len());
    for (name, value) in attributes {
        let comma = if parameters.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(statement, "{comma}'{name}': ?");
        parameters.push(value);
    }
    statement.push('}');
    BatchStatementRequest::builder()
        .statement(statement)
        .set_parameters(Some(parameters))
        .build()
        .map_err(|_| Failure::retry("BatchExecuteStatement: request not built"))
}

/// The codes are of
/// `docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html`.
fn read_answer(response: BatchStatementResponse) -> Answer {
    let Some(error) = response.error else {
        return Answer::Inserted;
    };
    let code = error.code.unwrap_or(ErrorCode::InternalServerError);
    match code {
        ErrorCode::DuplicateItem | ErrorCode::InternalServerError => Answer::Unknown,
        ErrorCode::ThrottlingError
        | ErrorCode::ProvisionedThroughputExceeded
        | ErrorCode::RequestLimitExceeded
        | ErrorCode::TransactionConflict => {
            if is_injected(KnownFault::BusyTakenForInserted) {
                return Answer::Inserted;
            }
            Answer::Busy(code)
        }
        ErrorCode::AccessDenied | ErrorCode::ResourceNotFound => {
            Answer::Failed(Failure::set_up(format!("BatchExecuteStatement: {code}")))
        }
        ErrorCode::ValidationError | ErrorCode::ItemCollectionSizeLimitExceeded => Answer::Failed(
            refused_decision(code.as_str(), error.message.as_deref().unwrap_or_default()),
        ),
        _ => Answer::Failed(Failure::retry(format!("BatchExecuteStatement: {code}"))),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::BatchStatementError;

    use super::*;

    #[test]
    fn each_code_of_a_statement_has_its_action() {
        let cases = [
            (None, "inserted"),
            (Some("DuplicateItem"), "read"),
            (Some("InternalServerError"), "read"),
            (Some("ThrottlingError"), "again"),
            (Some("ProvisionedThroughputExceeded"), "again"),
            (Some("RequestLimitExceeded"), "again"),
            (Some("TransactionConflict"), "again"),
            (Some("AccessDenied"), "retry, set-up: true"),
            (Some("ResourceNotFound"), "retry, set-up: true"),
            (Some("ValidationError"), "rejected decision-refused"),
            (
                Some("ItemCollectionSizeLimitExceeded"),
                "rejected decision-refused",
            ),
            (Some("SomethingNew"), "retry, set-up: false"),
        ];
        for (code, want) in cases {
            let error = code.map(|code| {
                BatchStatementError::builder()
                    .code(ErrorCode::from(code))
                    .build()
            });
            let response = BatchStatementResponse::builder().set_error(error).build();
            let got = match read_answer(response) {
                Answer::Inserted => "inserted".to_owned(),
                Answer::Unknown => "read".to_owned(),
                Answer::Busy(_) => "again".to_owned(),
                Answer::CallRefused => "singly".to_owned(),
                Answer::Failed(Failure::Rejected(rejection)) => {
                    format!("rejected {}", rejection.class)
                }
                Answer::Failed(Failure::Retry(retry)) => format!("retry, set-up: {}", retry.set_up),
                Answer::Failed(Failure::Skipped) => "skipped".to_owned(),
            };
            assert_eq!(got, want, "{code:?}");
        }
    }
}
