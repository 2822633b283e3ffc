//! Fraud models: trained on labelled events, scored in microseconds, explained per variable.
//!
//! Pure: no I/O, no clock, no AWS.

mod dataset;
mod features;
mod variable;
mod written;

pub use dataset::{Dataset, Label, Row, RowError};
pub use features::Feature;
pub use variable::{UnknownVariableType, Variable, VariableType};
