//! How calls of AWS fail, and what that means for the record that made them: one table gives each exception of the three
//! calls of Amazon Fraud Detector its class.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use event::{VariableName, Variables};
use pacing::CIRCUIT_OPEN;

pub use mapping::failure::{Failure, Rejection, Retry, ServiceRefusal};

/// The three calls of Amazon Fraud Detector that the pipeline makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceCall {
    /// `GetEventPrediction`, by `predict`.
    GetEventPrediction,
    /// `SendEvent`, by `ingest`.
    SendEvent,
    /// `UpdateEventLabel`, by `label`, `predict` and `ingest`.
    UpdateEventLabel,
}

/// What an exception means for the record whose call it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The service refuses the event, and would refuse it every time.
    Refused,
    /// The service or the network failed: the call is repeated later.
    Transient,
    /// The set-up is wrong: the call is repeated later, and an alarm is raised.
    SetUp,
    /// The event is not stored, or not yet: its label waits.
    NoEvent,
}

use FailureClass::{NoEvent, Refused, SetUp, Transient};

/// Every modelled exception of the three calls, and the errors that AWS's front end may return.
///
/// Columns: exception, then its class for `GetEventPrediction`, `SendEvent`, `UpdateEventLabel`.
/// A `ResourceNotFoundException` names a detector, version or event type in the first two calls,
/// which only a change of the set-up can fix; in the third call it is the event that does not exist yet.
const CLASSES: &[(&str, FailureClass, FailureClass, FailureClass)] = &[
    ("ValidationException", Refused, Refused, Refused),
    ("ResourceNotFoundException", SetUp, SetUp, NoEvent),
    ("ConflictException", Transient, Transient, Transient),
    ("AccessDeniedException", SetUp, SetUp, SetUp),
    ("ThrottlingException", Transient, Transient, Transient),
    ("InternalServerException", Transient, Transient, Transient),
    (
        "ResourceUnavailableException",
        Transient,
        Transient,
        Transient,
    ),
    ("SerializationException", Refused, Refused, Refused),
    ("UnknownOperationException", SetUp, SetUp, SetUp),
    ("UnrecognizedClientException", SetUp, SetUp, SetUp),
    ("InvalidSignatureException", SetUp, SetUp, SetUp),
    ("MissingAuthenticationTokenException", SetUp, SetUp, SetUp),
    ("IncompleteSignatureException", SetUp, SetUp, SetUp),
    ("ExpiredTokenException", SetUp, SetUp, SetUp),
];

impl FailureClass {
    /// The class of exception `code` for `call`. An unknown code is transient: repeating the call loses nothing, and the
    /// age limit of the stream ends the repetition.
    pub fn of(call: ServiceCall, code: &str) -> Self {
        let row = CLASSES.iter().find(|row| row.0 == code);
        row.map_or(Transient, |row| match call {
            ServiceCall::GetEventPrediction => row.1,
            ServiceCall::SendEvent => row.2,
            ServiceCall::UpdateEventLabel => row.3,
        })
    }
}

/// A failed call of Amazon Fraud Detector.
#[derive(Clone, Debug)]
pub struct CallError {
    /// The class that decides what happens to the record.
    pub class: FailureClass,
    /// The exception, or how the call failed without one; see [`error_code`].
    pub code: String,
    /// The message of the service. It may quote values: never log it.
    pub message: String,
}

impl CallError {
    /// Classifies an error of the SDK.
    pub fn new<E: ProvideErrorMetadata, R>(call: ServiceCall, error: &SdkError<E, R>) -> Self {
        let code = error_code(error);
        let message = error
            .as_service_error()
            .and_then(|e| e.message())
            .unwrap_or_default();
        Self {
            class: FailureClass::of(call, &code),
            code,
            message: message.to_owned(),
        }
    }

    /// The variable that the service refuses, if it names one of those that were sent.
    pub fn refused_variable(&self, sent: &Variables) -> Option<VariableName> {
        let named = VariableName::try_from(find_refused_member(&self.message)).ok();
        named.filter(|name| self.class == Refused && sent.contains(name.as_str()))
    }

    /// The failure of the record whose call this was.
    pub fn into_failure(self, call: ServiceCall) -> Failure {
        match self.class {
            Refused => {
                let refusal = ServiceRefusal {
                    member: find_refused_member(&self.message).to_owned(),
                    code: self.code.clone(),
                };
                Failure::Rejected(Rejection {
                    class: "refused",
                    reason: format!(
                        "{call:?} refused the event: {}: {}",
                        self.code, self.message
                    ),
                    refusal: Some(refusal),
                })
            }
            SetUp => Failure::set_up(format!("{call:?}: {}", self.code)),
            // The message of an engine whose own circuit to an endpoint is open; its text is not logged.
            Transient if self.message.contains(CIRCUIT_OPEN) => {
                Failure::retry(format!("{call:?}: {}: {CIRCUIT_OPEN}", self.code))
            }
            Transient | NoEvent => Failure::retry(format!("{call:?}: {}", self.code)),
        }
    }
}

/// The code of an SDK error of any service, for logs: an exception's name, or how the call failed.
pub fn error_code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::TimeoutError(_) => "timeout".to_owned(),
        SdkError::DispatchFailure(_) => "no connection".to_owned(),
        SdkError::ConstructionFailure(_) => "request not built".to_owned(),
        SdkError::ResponseError(_) => "response not readable".to_owned(),
        error => error
            .as_service_error()
            .and_then(|e| e.code())
            .unwrap_or("unknown error")
            .to_owned(),
    }
}

/// A failed call of DynamoDB, S3 or EventBridge as the failure of a record.
///
/// Missing tables, buckets and permissions are a wrong set-up; everything else is transient.
pub fn dependency_failure<E: ProvideErrorMetadata, R>(
    operation: &str,
    error: &SdkError<E, R>,
) -> Failure {
    let code = error_code(error);
    let set_up = matches!(
        code.as_str(),
        "ResourceNotFoundException"
            | "AccessDeniedException"
            | "AccessDenied"
            | "NoSuchBucket"
            | "ValidationException"
    ) || code.starts_with("UnrecognizedClient");
    Failure::Retry(Retry {
        cause: format!("{operation}: {code}"),
        set_up,
    })
}

/// Why a record is delivered again, as a dimension of metrics: one of a few words.
pub fn name_cause(retry: &Retry) -> &'static str {
    // Services differ in their spelling: S3 has `RequestTimeout`.
    let cause = retry.cause.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| cause.contains(part));
    if retry.set_up {
        "set-up"
    } else if has(&[CIRCUIT_OPEN]) {
        "circuit-open"
    } else if has(&["throttl", "throughputexceeded", "limitexceeded", "slowdown"]) {
        "throttled"
    } else if has(&["timeout", "no connection", "response not readable"]) {
        "network"
    } else if has(&["not reached", "not finished", "in time"]) {
        "no-time"
    } else if has(&["conflict", "keeps changing"]) {
        "conflict"
    } else {
        "other"
    }
}

/// The member that a message of the service names in quotes; of a path, the last part.
///
/// AWS writes `Value 'x' at 'eventVariables.price' failed …` and quotes the value first, so the last
/// ` at '` precedes the member; the engine writes `variable 'price' …` and quotes no value. Text that does not look like
/// the name of a member gives an empty string, because the result is logged.
pub fn find_refused_member(message: &str) -> &str {
    let after = match message.rsplit_once("' at '") {
        Some((_, rest)) => rest,
        None => message
            .split_once("variable '")
            .map_or("", |(_, rest)| rest),
    };
    let quoted = after.split('\'').next().unwrap_or_default();
    let path = quoted.strip_suffix(".member").unwrap_or(quoted);
    let member = path.rsplit('.').next().unwrap_or_default();
    let is_name = member
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name { member } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_modelled_exception_has_its_class() {
        let cases = [
            (
                ServiceCall::GetEventPrediction,
                "ValidationException",
                Refused,
            ),
            (
                ServiceCall::GetEventPrediction,
                "ResourceNotFoundException",
                SetUp,
            ),
            (
                ServiceCall::GetEventPrediction,
                "ConflictException",
                Transient,
            ),
            (
                ServiceCall::GetEventPrediction,
                "AccessDeniedException",
                SetUp,
            ),
            (
                ServiceCall::GetEventPrediction,
                "ThrottlingException",
                Transient,
            ),
            (
                ServiceCall::GetEventPrediction,
                "InternalServerException",
                Transient,
            ),
            (
                ServiceCall::GetEventPrediction,
                "ResourceUnavailableException",
                Transient,
            ),
            (ServiceCall::SendEvent, "ValidationException", Refused),
            (ServiceCall::SendEvent, "ResourceNotFoundException", SetUp),
            (ServiceCall::SendEvent, "ConflictException", Transient),
            (ServiceCall::SendEvent, "AccessDeniedException", SetUp),
            (ServiceCall::SendEvent, "ThrottlingException", Transient),
            (ServiceCall::SendEvent, "InternalServerException", Transient),
            (
                ServiceCall::UpdateEventLabel,
                "ValidationException",
                Refused,
            ),
            (
                ServiceCall::UpdateEventLabel,
                "ResourceNotFoundException",
                NoEvent,
            ),
            (
                ServiceCall::UpdateEventLabel,
                "ConflictException",
                Transient,
            ),
            (
                ServiceCall::UpdateEventLabel,
                "AccessDeniedException",
                SetUp,
            ),
            (
                ServiceCall::UpdateEventLabel,
                "ThrottlingException",
                Transient,
            ),
            (
                ServiceCall::UpdateEventLabel,
                "InternalServerException",
                Transient,
            ),
            (ServiceCall::SendEvent, "SomethingNew", Transient),
        ];
        for (call, code, class) in cases {
            assert_eq!(FailureClass::of(call, code), class, "{call:?} {code}");
        }
    }

    #[test]
    fn causes_have_few_names() {
        let cases = [
            ("GetEventPrediction: ThrottlingException", "throttled"),
            (
                "PutItem: ProvisionedThroughputExceededException",
                "throttled",
            ),
            ("GetEventPrediction: circuit open", "circuit-open"),
            (
                "GetEventPrediction: ResourceUnavailableException: circuit open",
                "circuit-open",
            ),
            ("BatchGetItem: timeout", "network"),
            ("PutObject: RequestTimeout", "network"),
            ("PutObject: SlowDown", "throttled"),
            ("PutItem: TransactionConflictException", "conflict"),
            ("not reached", "no-time"),
            ("not parked in time", "no-time"),
            ("UpdateEventLabel: the label keeps changing", "conflict"),
            ("SendEvent: InternalServerException", "other"),
        ];
        for (cause, want) in cases {
            let Failure::Retry(retry) = Failure::retry(cause) else {
                panic!("a retry")
            };
            assert_eq!(name_cause(&retry), want, "{cause}");
        }
        let Failure::Retry(retry) = Failure::set_up("SendEvent: timeout") else {
            panic!("a retry")
        };
        assert_eq!(name_cause(&retry), "set-up");
    }

    #[test]
    fn an_open_circuit_of_an_endpoint_is_told_and_no_other_message() {
        let cases = [
            (
                "External model 'x' could not be asked: circuit open",
                "circuit-open",
            ),
            ("External model 'x' could not be asked", "other"),
        ];
        for (message, want) in cases {
            let error = CallError {
                class: Transient,
                code: "ResourceUnavailableException".into(),
                message: message.into(),
            };
            let Failure::Retry(retry) = error.into_failure(ServiceCall::GetEventPrediction) else {
                panic!("a retry")
            };
            assert_eq!(name_cause(&retry), want, "{message}");
            assert!(!retry.cause.contains("External"), "{}", retry.cause);
        }
    }

    #[test]
    fn the_member_is_read_from_either_wording() {
        let cases = [
            (
                "1 validation error detected: Value 'x' at 'eventVariables.price.member' failed",
                "price",
            ),
            (
                "1 validation error detected: Value '' at 'eventId' failed to satisfy constraint",
                "eventId",
            ),
            (
                "Value of variable 'order_price' is not a valid FLOAT.",
                "order_price",
            ),
            (
                "Value 'Flat at 'Rose Cottage'' at 'eventVariables.address' failed",
                "address",
            ),
            ("Value 'x' at 'Rose Cottage' failed", ""),
            ("something else", ""),
        ];
        for (message, member) in cases {
            assert_eq!(find_refused_member(message), member, "{message}");
        }
    }
}
