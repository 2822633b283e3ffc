//! Why an event, or its variables, are refused.

use thiserror::Error;

use crate::limits::{PAYLOAD_BYTES, VARIABLES_PER_EVENT};

/// Why parts that are each valid do not make an event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidEvent {
    /// The service refuses an event without variables (service model, `EventVariableMap`).
    #[error("event has no variables; at least 1 is needed")]
    NoVariables,
    /// See [`VARIABLES_PER_EVENT`].
    #[error("event has {0} variables; at most {VARIABLES_PER_EVENT} are allowed")]
    TooManyVariables(usize),
    /// See [`PAYLOAD_BYTES`].
    #[error("event has {0} bytes of variables; at most {PAYLOAD_BYTES} are allowed")]
    TooLarge(usize),
}
