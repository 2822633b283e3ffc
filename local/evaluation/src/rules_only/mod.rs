//! What the rules of a detector file alone say of the measured events: what a model has to beat.
//!
//! Columns are variables by their names, with values as they stand in the file: no mapping is applied. A variable
//! without a column has its default, as in an event that lacks it.

mod detector;
mod figures;
mod over_columns;
#[cfg(test)]
mod tests;

pub use detector::{Detector, DetectorFile, FileRule, FileVariable, RulesError};
pub use figures::RulesOnly;
pub use over_columns::OverColumns;
