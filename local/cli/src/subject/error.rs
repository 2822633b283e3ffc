//! Why a search for a subject's data failed.

use thiserror::Error;

/// Why a search failed.
#[derive(Debug, Error)]
pub enum SubjectError {
    /// The entity `unknown`, which stands for all entities without a known id.
    #[error("entity `unknown` stands for all whose id is not known; name their orders one by one")]
    Unknown,
    /// The engine failed, or its tables.
    #[error("the engine: {0}")]
    Engine(#[from] engine::Error),
    /// A call failed.
    #[error("cannot {what}: {code}; run the command again to continue")]
    Call {
        /// What was being done.
        what: String,
        /// AWS's error code.
        code: String,
    },
}

/// Makes the error of a call that failed; `what` was being done, as in "cannot read the rules".
pub(crate) fn describe_failed_call(what: impl Into<String>) -> impl FnOnce(String) -> SubjectError {
    let what = what.into();
    |code| SubjectError::Call { what, code }
}
