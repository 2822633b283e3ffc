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
//! A tour, in the order in which a request passes:
//! - `wire`: HTTP to an operation and its JSON, and back; `connector`: the same in process;
//! - `shapes`: what the service model says of every input, as a table; `shape`: the one walk
//!   that checks it; `error`: the exceptions;
//! - `operations`: one file per resource, with its inputs, its outputs and what they do;
//!   `token`: pagination;
//! - `bundle`: what a detector version resolves to, immutable, named by its content;
//!   `lists`: allow and deny lists and their edits;
//! - `cache`: what a prediction needs, ready to run, checked against the tables every 2 s;
//! - `endpoints`: SageMaker endpoints that a version asks;
//! - `jobs`: batch imports, batch predictions and deletions, run beside the operations;
//! - `announce`: predictions as events on a bus;
//! - `forget`: where an entity's data is, and the note that it was forgotten;
//! - `habits`: what each entity did before, for models that learn from it;
//! - `scorers`: trained models in memory; `training`: how they are trained, beside the operations;
//! - `statistics`: counters of stored events;
//! - [`fuzz`]: what must hold for any request and any token;
//! - `store`: items, chunks, and changes that land whole or not at all.
//!
//! Values of event variables and elements of lists are personal data: no log line and no error
//! of this crate quotes one.

#![expect(
    clippy::struct_field_names,
    reason = "fields are named as the members of the API's shapes"
)]

mod announce;
mod bundle;
mod cache;
mod connector;
mod endpoints;
mod engine;
mod error;
mod forget;
pub mod fuzz;
mod habits;
mod jobs;
mod lists;
mod normal;
mod operations;
mod options;
mod pause;
mod scorers;
mod shape;
mod shapes;
mod statistics;
mod store;
mod text;
mod token;
mod training;
mod wire;

pub use announce::PREDICTION_DETAIL_TYPE;
pub use connector::{http_client, in_process_http_client, read_request};
pub use engine::Engine;
pub use error::{Code, Error, Result};
pub use forget::{FoundEvent, Subject};
pub use jobs::{Ended, JobKind, JobStatus, Jobs};
pub use normal::{normal_of_type, normalized};
pub use operations::{
    ExplainedPrediction, ExplainedScore, ExplainedVariable, ImportedVersion, ListEntry,
};
pub use options::{Clock, Limits, Options};
pub use store::{IndexDefinition, TableDefinition};
pub use training::{Trained, Trainings};
pub use wire::{PREDICTION_HEADER, TARGET_PREFIX};
