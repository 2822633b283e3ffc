//! Why a search for a subject's data ended.

use thiserror::Error;

/// Why a search ended.
#[derive(Debug, Error)]
pub enum Error {
    /// The entity that stands for all whose id is not known.
    #[error("entity `unknown` is everybody whose id is not known; name their orders one by one")]
    Unknown,
    /// The engine's tables.
    #[error("the engine: {0}")]
    Engine(#[from] engine::Error),
    /// A call failed.
    #[error("cannot {what}: {code}; run the command again to go on")]
    Call {
        /// What was being done.
        what: String,
        /// AWS's word for it.
        code: String,
    },
}

/// Makes the error of a call that failed; `what` was being done, as in "cannot read the rules".
pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(String) -> Error {
    let what = what.into();
    |code| Error::Call { what, code }
}
