//! Writing profiles, each on the condition that nobody wrote it meanwhile.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum as ErrorCode, BatchStatementRequest,
    BatchStatementResponse,
};

use super::{PROFILE, ProfileTable};
use crate::failure::{Failure, dependency_failure};
use crate::known_faults::{KnownFault, is_injected};

/// The most statements in one `BatchExecuteStatement`.
pub(super) const BATCH_STATEMENTS: usize = 25;

/// A profile that is written.
pub(super) struct WrittenProfile {
    pub(super) pk: String,
    pub(super) profile: Vec<u8>,
    /// How often it was written when it was read; 0 if there was no item.
    pub(super) revision: u64,
    /// When DynamoDB may delete it, in seconds since 1970.
    pub(super) expires_at: i64,
}

/// What became of a write.
pub(super) enum WriteResult {
    Written,
    /// Somebody else wrote it, or it is not known what happened: the profile is read again.
    Conflict,
    Failed(Failure),
}

impl ProfileTable {
    /// Writes at most 25 profiles with one call. The results have the order of the profiles.
    pub(super) async fn write_profiles(&self, profiles: &[WrittenProfile]) -> Vec<WriteResult> {
        let failed = |failure: &Failure| {
            let failures = profiles.iter();
            failures
                .map(|_| WriteResult::Failed(failure.clone()))
                .collect()
        };
        let statements: Result<Vec<_>, Failure> =
            profiles.iter().map(|it| self.write_statement(it)).collect();
        let statements = match statements {
            Ok(statements) => statements,
            Err(failure) => return failed(&failure),
        };
        let call = self.client.batch_execute_statement();
        let answer = match call.set_statements(Some(statements)).send().await {
            Ok(answer) => answer.responses.unwrap_or_default(),
            Err(error) => return failed(&dependency_failure("BatchExecuteStatement", &error)),
        };
        if answer.len() != profiles.len() {
            return failed(&Failure::retry(
                "BatchExecuteStatement: answers are missing",
            ));
        }
        answer.into_iter().map(read_answer).collect()
    }

    fn write_statement(&self, written: &WrittenProfile) -> Result<BatchStatementRequest, Failure> {
        let WrittenProfile { pk, revision, .. } = written;
        let table = &self.table;
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = |number: String| AttributeValue::N(number);
        let profile = AttributeValue::B(Blob::new(written.profile.clone()));
        let next = number((revision + 1).to_string());
        let expires_at = number(written.expires_at.to_string());
        let (pk, sk) = (text(pk), text(PROFILE));
        let (statement, parameters) = if *revision == 0 {
            (
                format!(
                    "INSERT INTO \"{table}\" VALUE {{'pk': ?, 'sk': ?, 'profile': ?, 'revision': ?, 'expires_at': ?}}"
                ),
                vec![pk, sk, profile, next, expires_at],
            )
        } else if is_injected(KnownFault::ProfileOverwritten) {
            (
                format!(
                    "UPDATE \"{table}\" SET \"profile\" = ? SET \"revision\" = ? SET \"expires_at\" = ? WHERE \"pk\" = ? AND \"sk\" = ?"
                ),
                vec![profile, next, expires_at, pk, sk],
            )
        } else {
            (
                format!(
                    "UPDATE \"{table}\" SET \"profile\" = ? SET \"revision\" = ? SET \"expires_at\" = ? WHERE \"pk\" = ? AND \"sk\" = ? AND \"revision\" = ?"
                ),
                vec![
                    profile,
                    next,
                    expires_at,
                    pk,
                    sk,
                    number(revision.to_string()),
                ],
            )
        };
        BatchStatementRequest::builder()
            .statement(statement)
            .set_parameters(Some(parameters))
            .build()
            .map_err(|_| Failure::retry("BatchExecuteStatement: request not built"))
    }
}

/// The codes are of
/// `docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html`.
fn read_answer(response: BatchStatementResponse) -> WriteResult {
    let Some(error) = response.error else {
        return WriteResult::Written;
    };
    let code = error.code.unwrap_or(ErrorCode::InternalServerError);
    match code {
        ErrorCode::ConditionalCheckFailed | ErrorCode::DuplicateItem
            if is_injected(KnownFault::ConflictTakenForWritten) =>
        {
            WriteResult::Written
        }
        ErrorCode::DuplicateItem
        | ErrorCode::ConditionalCheckFailed
        | ErrorCode::InternalServerError
        | ErrorCode::TransactionConflict => WriteResult::Conflict,
        ErrorCode::AccessDenied | ErrorCode::ResourceNotFound | ErrorCode::ValidationError => {
            WriteResult::Failed(Failure::set_up(format!("BatchExecuteStatement: {code}")))
        }
        // A table that is busy among them: the order is delivered again, later.
        _ => WriteResult::Failed(Failure::retry(format!("BatchExecuteStatement: {code}"))),
    }
}
