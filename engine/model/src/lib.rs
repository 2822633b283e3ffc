//! Fraud models: trained on labelled events, scored in microseconds, explained per variable.
//!
//! Pure: no I/O, no clock, no AWS.

pub mod history;
pub mod import;
pub mod trees;
