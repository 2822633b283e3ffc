//! The engine's records in DynamoDB.
//!
//! Two tables with string keys `pk` and `sk`: `Definitions` holds what detectors are made of and is read-only for
//! functions; `Events` holds events, labels, predictions, entity histories, job states and counters. Nothing here knows
//! an operation of the API.
//!
//! - [`account`]: the tables of one account, its options, its clock, and its write lock; [`options`]: the options of an engine;
//! - [`table`]: reading and writing items; [`conditional_writes`]: writes that fail on a write conflict; [`chunks`]: values
//!   larger than an item; [`conflict_retry`]: pauses and retries; [`schema`]: the definitions of the tables;
//! - [`change`]: a change of the definitions, applied completely or not at all;
//! - [`bundle`]: immutable values named by their content; [`pinned_bundles`]: the bundles of detector versions and event types;
//! - [`listing`]: a page of the items of a partition;
//! - [`records`]: one file per resource: its item, its key, and the queries for it;
//! - [`value_normalization`]: how values of a variable type are compared in lists.
//!
//! Values of event variables and elements of lists are personal data: no log line and no error of this crate quotes one.

pub mod account;
pub mod bundle;
pub mod change;
pub mod chunks;
pub mod conditional_writes;
pub mod conflict_retry;
pub mod listing;
pub mod options;
pub mod pinned_bundles;
pub mod records;
pub mod schema;
pub mod table;
pub mod value_normalization;

pub use account::Account;
pub use options::{Clock, EngineOptions};
