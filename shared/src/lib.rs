//! What the functions of fraudstream share.
//!
//! An order arrives as a [`records::Record`], is mapped to a [`mapping::MappedOrder`], gets a prediction, and is stored as a
//! [`decisions::Decision`]. [`batch`] runs the records of an invocation, [`labels`] applies what becomes known of an
//! order later, and [`reviews`] is what people decide. All calls of AWS go through AWS's own clients; which backend is behind a client is decided where it is
//! built.
//!
//! What needs no client is in the crates `mapping` and `event`, and is re-exported here.

pub mod aws;
pub mod aws_json;
pub mod batch;
pub mod decisions;
mod dependency_latency;
pub mod failure;
pub mod held_predictions;
mod items;
pub mod known_faults;
mod label_history;
pub mod labels;
pub mod profiles;
pub mod queue_backoff;
pub mod rejected;
pub mod reviews;
pub mod settings;
pub mod telemetry;

pub use event::hash;
pub use mapping;
pub use mapping::{http_call, json, locations, records};
