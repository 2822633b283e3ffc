//! A fraud-detection engine with the API of Amazon Fraud Detector.
//!
//! [`Engine`] answers the operations of the API: [`Engine::handle`] takes an HTTP request in
//! AWS JSON 1.1 and returns the response, so a web server needs one line around it, and
//! [`http_client`] puts it behind an AWS SDK client without any network: whoever speaks to the
//! engine could as well speak to Amazon. What Amazon's API has no operation for, such as importing
//! a model, is a method of [`Engine`].
//!
//! The state is in two DynamoDB tables ([`Engine::table_definitions`]) behind the client the
//! engine is built with. The engine keeps nothing that it could not read again.
//!
//! A tour, in the order in which a request passes. Each layer uses only those below it:
//! - `engine`: the public [`Engine`]; `in_process`: the same as an HTTP client without a network;
//! - `work`: batch imports, batch predictions, deletions and trainings, run beside the operations;
//! - `operations`: one file per resource, with its inputs, its outputs and what they do;
//! - `predict`: what `GetEventPrediction` decides and stores, and how it is explained;
//! - `event_check`: whether an event of a request fits its event type;
//! - `services`: caches of definitions and models, entity histories, counters, the event bus, external models.
//!
//! Below them are the crates `store` (records in DynamoDB), `protocol` (the API as data), `rules` and `model`.
//!
//! Values of event variables and elements of lists are personal data: no log line and no error
//! of this crate quotes one.

#![expect(
    clippy::struct_field_names,
    reason = "fields are named as the members of the API's shapes"
)]

mod engine;
mod event_check;
mod in_process;
mod operations;
mod predict;
mod services;
mod work;

pub use engine::Engine;
pub use in_process::{http_client, in_process_http_client, read_request};
pub use operations::lists::ListEntry;
pub use operations::model_import::ImportedVersion;
pub use predict::{ExplainedPrediction, ExplainedScore, ExplainedVariable};
pub use protocol::limits::Quotas;
pub use protocol::wire::{PREDICTION_HEADER, TARGET_PREFIX};
pub use protocol::{Code, Error, Result};
pub use services::event_bus::PREDICTION_DETAIL_TYPE;
pub use services::forgotten::FoundEvent;
pub use store::normal::{normal_of_type, normalized};
pub use store::records::forgotten::Subject;
pub use store::records::job::{JobKind, JobStatus};
pub use store::schema::{IndexDefinition, TableDefinition};
pub use store::{Clock, Options};
pub use work::training::{Trained, Trainings};
pub use work::{Ended, Jobs};
