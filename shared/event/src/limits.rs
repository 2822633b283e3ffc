//! The service's limits, each with its source.
//!
//! "Service model" is the machine-readable description of the API (version 2019-11-15) that AWS's
//! own clients are generated from; the shape's name follows. Characters are Unicode characters,
//! not bytes.

use std::ops::RangeInclusive;

/// Longest event id and longest name of an event type, detector, rule, label, outcome, entity
/// type or list. Service model, `identifier` and `noDashIdentifier`.
pub const IDENTIFIER_CHARACTERS: usize = 64;

/// Longest detector version, in digits. Service model, `wholeNumberVersionString`.
pub const VERSION_CHARACTERS: usize = 5;

/// Longest entity id. Service model, `entityRestrictedString`.
pub const ENTITY_ID_CHARACTERS: usize = 256;

/// Longest variable name in a request. Service model, `variableName`.
pub const VARIABLE_NAME_CHARACTERS: usize = 64;

/// Longest variable name in a definition. CloudFormation, `AWS::FraudDetector::Variable`: the
/// pattern `^[a-z_][a-z0-9_]{0,99}$`. Longer than a request may use.
pub const VARIABLE_DEFINITION_CHARACTERS: usize = 100;

/// Longest variable value. Service model, `variableValue`.
pub const VARIABLE_VALUE_CHARACTERS: usize = 8192;

/// Most variables in one event. Service quota, "inputs per `GetEventPrediction`".
pub const VARIABLES_PER_EVENT: usize = 5000;

/// Largest payload of one event. Service quota, "256 KB per `GetEventPrediction`". What counts as
/// payload is not documented; see [`Variables::payload_bytes`](crate::Variables::payload_bytes).
pub const PAYLOAD_BYTES: usize = 256 * 1024;

/// Length of a timestamp in a request. Service model, `utcTimestampISO8601`.
pub const TIMESTAMP_CHARACTERS: RangeInclusive<usize> = 10..=30;
