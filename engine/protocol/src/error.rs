//! The errors of operations.
//!
//! An error has two readers. The client gets the code and the message; the log gets the code
//! and the cause. They are separate fields so that neither leaks into the other: a message may
//! quote what the client sent, a log line may not.

use std::error::Error as StdError;
use std::fmt;

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The exceptions of the service model, and those that are raised before an operation is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// A value is not allowed.
    Validation,
    /// A named resource does not exist.
    ResourceNotFound,
    /// The resource is used by another, or is being changed by another request.
    Conflict,
    /// An external model could not be called.
    ResourceUnavailable,
    /// The engine has no permission for its tables.
    AccessDenied,
    /// The tables are throttled.
    Throttling,
    /// The engine or its tables failed.
    InternalServer,
    /// The body is not JSON, or a member has the wrong JSON type.
    Serialization,
    /// The API has no such operation.
    UnknownOperation,
}

impl ErrorCode {
    /// The name on the wire, e.g. `ValidationException`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validation => "ValidationException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Conflict => "ConflictException",
            Self::ResourceUnavailable => "ResourceUnavailableException",
            Self::AccessDenied => "AccessDeniedException",
            Self::Throttling => "ThrottlingException",
            Self::InternalServer => "InternalServerException",
            Self::Serialization => "SerializationException",
            Self::UnknownOperation => "UnknownOperationException",
        }
    }

    /// The HTTP status: 400 for the client's errors, 500 for ours.
    pub fn status(self) -> http::StatusCode {
        match self {
            Self::InternalServer => http::StatusCode::INTERNAL_SERVER_ERROR,
            _ => http::StatusCode::BAD_REQUEST,
        }
    }
}

/// Why an operation failed: a code, a sentence for the client, a cause for the log.
#[derive(Debug)]
pub struct Error {
    code: ErrorCode,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    is_write_conflict: bool,
}

impl Error {
    /// An error with this code and this message for the client.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            source: None,
            is_write_conflict: false,
        }
    }

    /// A `ValidationException`: a value is not allowed.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Validation, message)
    }

    /// A `ConflictException`: the resource is used by another, or is being changed by another request.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }

    /// A `ThrottlingException`: too much was asked at once; the same request may succeed later.
    pub fn throttling(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Throttling, message)
    }

    /// A `ResourceNotFoundException`: a named resource does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ResourceNotFound, message)
    }

    /// An `InternalServerException`. The client learns only that the engine failed; the log gets the cause.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let mut error = Self::new(
            ErrorCode::InternalServer,
            "The engine could not complete the request.",
        );
        error.source = Some(source.into());
        error
    }

    /// A write conflict: another writer changed the definitions between the reads and the write of this operation. The
    /// operation is then retried from its start; a client sees this error only when the retries fail, too.
    pub fn write_conflict() -> Self {
        let message =
            "The definitions were changed by another request at the same time. Try again.";
        Self {
            is_write_conflict: true,
            ..Self::conflict(message)
        }
    }

    /// The same error with a cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether it is [`Error::write_conflict`].
    pub fn is_write_conflict(&self) -> bool {
        self.is_write_conflict
    }

    /// The exception.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message for the client. It may quote what the client sent, so it must not be logged.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Code and message, as a client prints them.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}
