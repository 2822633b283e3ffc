//! What the calls of the probe were answered.

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::BatchStatementError;
use shared::failure::{Failure, error_code};

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// The operation.
    pub operation: &'static str,
    /// The exception or the code of the statement, or how the call failed without one.
    pub code: String,
    /// What the service says; may be empty.
    pub message: String,
}

impl FailedCall {
    /// Of an error of the SDK.
    pub(super) fn new<E: ProvideErrorMetadata, R>(
        operation: &'static str,
        error: &SdkError<E, R>,
    ) -> Self {
        let message = error
            .as_service_error()
            .and_then(ProvideErrorMetadata::message);
        Self {
            operation,
            code: error_code(error),
            message: message.unwrap_or_default().to_owned(),
        }
    }

    /// Of one statement of a call that was answered.
    pub(super) fn of_statement(operation: &'static str, error: &BatchStatementError) -> Self {
        let code = error.code.as_ref();
        Self {
            operation,
            code: code.map_or("no code", |code| code.as_str()).to_owned(),
            message: error.message.clone().unwrap_or_default(),
        }
    }

    pub(super) fn of_failure(operation: &'static str, failure: &Failure) -> Self {
        Self {
            operation,
            code: "request not built".to_owned(),
            message: failure.to_string(),
        }
    }
}

impl fmt::Display for FailedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.code)?;
        if self.message.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.message)
    }
}

/// What the table is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableState {
    /// `ACTIVE`, if it can be used.
    pub status: Option<String>,
    /// What the records of its stream have.
    pub view: Option<String>,
    /// Its stream, if that is enabled.
    pub stream_arn: Option<String>,
}

/// A record of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenRecord {
    /// The time since the item was written.
    pub after: Duration,
    /// Whether it has the item, as `forward` needs it.
    pub has_image: bool,
}

/// What was seen of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamOutcome {
    /// The table has none.
    NoStream,
    /// A call that reads it failed.
    Unreadable(FailedCall),
    /// It was read until both records were there, or for as long as was asked for.
    Read {
        /// The record of the item that `PutItem` put.
        put: Option<SeenRecord>,
        /// The record of the item that the statement inserted.
        inserted: Option<SeenRecord>,
        /// How long it was read.
        waited: Duration,
    },
}
