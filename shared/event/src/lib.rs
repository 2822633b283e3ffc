//! What Amazon Fraud Detector accepts as an event, as types that can only hold what is valid.
//!
//! A value is checked once, where it enters: by its constructor, which `Deserialize` also goes
//! through. Code that takes an [`EventId`] or an [`Event`] never checks it again.
//!
//! The crate does no I/O, reads no clock and knows neither AWS's client nor the engine; the
//! functions and the engine both build on it.
//! Label messages, hashes as text and the limits of the service live here as well, for the same reason.
//!
//! Variable values and entity ids may be personal data: their `Debug` hides them, they have no
//! `Display`, and no error of this crate quotes them. (A deserializer's own error may: `serde_json`
//! shows the number it found where a text was due.)
//!
//! ```
//! use event::{Entity, EntityId, Event, EventId, Timestamp, Variables};
//!
//! let mut variables = Variables::new();
//! variables.insert("email".parse()?, "jo@example.com".parse()?)?;
//! let event = Event::new(
//!     EventId::slug("ORD-000123"),
//!     "order".parse()?,
//!     Timestamp::parse("2026-06-01T10:15:30Z")?,
//!     Entity { entity_type: "customer".parse()?, entity_id: EntityId::unknown() },
//!     variables,
//! )?;
//! assert_eq!(event.id().as_str(), "ord-000123-e9ba46f3eb6ea52a0348");
//! assert!(!format!("{event:?}").contains("jo@example.com"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod event;
mod invalid_event;
mod label;
mod name;
mod revision;
mod slug;
mod timestamp;
mod variables;

pub mod hash;
pub mod limits;

/// The response header of `GetEventPrediction` in which our engine says, in JSON, what Amazon's response has no member for.
pub const PREDICTION_HEADER: &str = "x-fraudstream-prediction";

pub use event::{Entity, Event};
pub use invalid_event::InvalidEvent;
pub use label::{LabelMessage, LabelTime};
pub use name::{
    DetectorId, DetectorVersionId, EntityId, EntityTypeName, EventId, EventTypeName, InvalidName,
    LabelName, ListName, NameProblem, OutcomeName, RuleId, VariableName, VariableValue,
};
pub use revision::{InvalidRevision, Revision};
pub use timestamp::{InvalidTimestamp, Timestamp, TimestampProblem};
pub use variables::Variables;
