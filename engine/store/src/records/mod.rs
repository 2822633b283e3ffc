//! The records of each resource: its stored item, its key, and the queries for it.
//!
//! A field that is a member of a shape of the API has the API's name and meaning, and no comment of its own.

#![allow(
    missing_docs,
    reason = "fields and constructors are those of the API's shapes"
)]

pub mod detector;
pub mod detector_version;
pub mod entity_history;
pub mod event;
pub mod event_type;
pub mod external_model;
pub mod forgotten;
pub mod job;
pub mod kms_key;
pub mod list;
pub mod model;
pub mod model_version;
pub mod prediction;
pub mod recorded_change;
pub mod rule;
pub mod simple_resource;
pub mod tags;
pub mod variable;
