//! What every function of fraudstream knows.
//!
//! An order arrives as a [`records::Record`], becomes an [`mapping::Order`], is judged, and ends as a
//! [`decisions::Decision`]; [`batch`] keeps the order of records and answers for each of them;
//! [`labels`] brings home what became of it. Everything talks to AWS through AWS's own clients; what
//! stands behind a client is decided where it is built.

pub mod aws;
pub mod batch;
pub mod decisions;
pub mod failure;
pub mod known_faults;
mod label_history;
pub mod labels;
pub mod rejected;
pub mod settings;
pub mod telemetry;

pub use event::hash;
pub use mapping;
pub use mapping::{json, locations, records};
