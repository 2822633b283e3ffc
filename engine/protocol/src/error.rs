//! What an operation answers when it cannot do its work.
//!
//! An error has two readers. The client gets the code and the message; the log gets the code
//! and the cause. They are separate fields so that neither leaks into the other: a message may
//! quote what the client sent, a log line may not.

use std::error::Error as StdError;
use std::fmt;

/// The result of what an operation does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The exceptions of the service model, and those of the front end before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// A value is not allowed.
    Validation,
    /// A named resource does not exist.
    ResourceNotFound,
    /// The resource is used by another, or is being changed by another request.
    Conflict,
    /// An external model could not be asked.
    ResourceUnavailable,
    /// The engine may not use its tables.
    AccessDenied,
    /// The tables refuse more requests for now.
    Throttling,
    /// The engine or its tables failed.
    InternalServer,
    /// The body is not JSON, or a member has another JSON type.
    Serialization,
    /// The API has no such operation.
    UnknownOperation,
}

impl Code {
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
    code: Code,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    is_write_conflict: bool,
}

impl Error {
    /// An error with this code and this sentence for the client.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            source: None,
            is_write_conflict: false,
        }
    }

    /// A `ValidationException`: a value is not allowed.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::Validation, message)
    }

    /// A `ConflictException`: the resource is used by another, or is being changed.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, message)
    }

    /// A `ResourceNotFoundException`: a named resource does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::ResourceNotFound, message)
    }

    /// An `InternalServerException`. The client learns only that the engine failed; the log gets the cause.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let mut error = Self::new(
            Code::InternalServer,
            "The engine could not complete the request.",
        );
        error.source = Some(source.into());
        error
    }

    /// Another writer changed the definitions between the reads and the write of this operation, which is then run
    /// again from its start. A client sees this only when that keeps happening.
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
    pub fn code(&self) -> Code {
        self.code
    }

    /// The sentence for the client. It may quote what the client sent: not for logs.
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
