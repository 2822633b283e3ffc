//! A fraud-detection engine with the API of Amazon Fraud Detector.
//!
//! [`Engine`] answers the operations of the API: [`Engine::handle`] takes an HTTP request in AWS JSON 1.1 and returns
//! the response, so a web server needs one line around it. [`http_client`] puts it behind an AWS SDK client without a
//! network, so the same code can call the engine or Amazon. What the API has no operation for, such as importing a
//! model, is a method of [`Engine`].
//!
//! The state is in two DynamoDB tables ([`Engine::table_definitions`]), which the engine reaches through the client
//! that it is built with. Everything that it keeps in memory can be read again, except counts until [`Engine::flush`].
//!
//! The layers, in the order in which a request passes through them. Each layer uses only those below it:
//! - `engine`: the public [`Engine`]; `change_history`: its methods for the history of changes; `in_process`: the engine as an HTTP client without a network;
//! - `work`: batch imports, batch predictions, deletions and trainings, which run outside the operations;
//! - `operations`: one file per resource, with the inputs, outputs and handlers of its operations;
//! - `predict`: what `GetEventPrediction` decides and stores, and how a prediction is explained;
//! - `event_check`: validation of a request's event against its event type;
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

mod change_history;
mod engine;
mod event_check;
mod in_process;
mod operations;
mod predict;
mod services;
mod work;

pub use change_history::NewChange;
pub use engine::Engine;
pub use in_process::{collect_request, holding_http_client, http_client, in_process_http_client};
pub use operations::lists::ListEntry;
pub use operations::live_versions::LiveVersions;
pub use operations::model_import::ImportedModelVersion;
pub use predict::{
    ExplainedPrediction, ExplainedScore, ExplainedVariable, NearRule, ShadowDecision,
};
pub use protocol::limits::Quotas;
pub use protocol::wire::{PREDICTION_HEADER, TARGET_PREFIX};
pub use protocol::{Error, ErrorCode, Result};
pub use services::event_bus::PREDICTION_DETAIL_TYPE;
pub use services::forgotten::FoundEvent;
pub use store::records::detector::VersionRollout;
pub use store::records::forgotten::Subject;
pub use store::records::job::{JobKind, JobStatus};
pub use store::records::recorded_change::{
    ChangeApproval, ChangeDetails, ChangeFreeze, ChangeKind, ChangePolicy, ChangeState,
    ChangedPart, RecordedChange, RecordedRule, VersionMove,
};
pub use store::schema::{IndexDefinition, TableDefinition};
pub use store::value_normalization::{find_normalizer, normalize_value};
pub use store::{Clock, EngineOptions};
pub use work::training::{EndedTraining, TrainingRunner};
pub use work::{EndedJob, JobRunner};
