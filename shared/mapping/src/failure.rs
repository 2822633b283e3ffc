//! Why a record was not processed. There are three kinds because there are three actions.

use thiserror::Error;

/// Why a record was not processed.
#[derive(Clone, Debug, Error)]
pub enum Failure {
    /// The same bytes would fail every time: the record is parked with its reason.
    #[error("rejected: {0}")]
    Rejected(Rejection),
    /// A dependency failed: the record is delivered again.
    #[error("retry: {0}")]
    Retry(Retry),
    /// The mapping says that the message is none to process: it is counted, and nothing else.
    #[error("skipped: the mapping skips this message")]
    Skipped,
}

/// A cause that lies in the record itself.
///
/// `reason` may quote the record, so it is written to the rejected record and never logged; `class`
/// and `refusal` hold no values and may be logged.
#[derive(Clone, Debug, Error)]
#[error("{reason}")]
pub struct Rejection {
    /// The class of the rejection, such as `not-json` or `order-changed`.
    pub class: &'static str,
    /// What was wrong, where, and what would be right, in a sentence.
    pub reason: String,
    /// Set if the service refused the record.
    pub refusal: Option<ServiceRefusal>,
}

/// How the service refused an event: the exception and the member it names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceRefusal {
    /// The exception, such as `ValidationException`.
    pub code: String,
    /// The member or variable that the message names; empty if it names none.
    pub member: String,
}

/// A cause that lies outside the record.
#[derive(Clone, Debug, Error)]
#[error("{cause}")]
pub struct Retry {
    /// What failed: operation and exception, never a value. It is logged.
    pub cause: String,
    /// Whether a person must fix the set-up, such as permissions, a missing table, or no active version.
    pub set_up: bool,
}

impl Failure {
    /// A rejection whose cause is in the record.
    pub fn rejected(class: &'static str, reason: impl Into<String>) -> Self {
        Self::Rejected(Rejection {
            class,
            reason: reason.into(),
            refusal: None,
        })
    }

    /// A dependency that failed.
    pub fn retry(cause: impl Into<String>) -> Self {
        Self::Retry(Retry {
            cause: cause.into(),
            set_up: false,
        })
    }

    /// A wrong set-up. It must never drain a stream, so the record is retried and an alarm is raised.
    pub fn set_up(cause: impl Into<String>) -> Self {
        Self::Retry(Retry {
            cause: cause.into(),
            set_up: true,
        })
    }
}
