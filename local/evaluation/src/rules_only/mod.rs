//! What the rules of a detector file alone say of the measured events: what a model has to beat.
//!
//! Columns are variables by their names, with values as they stand in the file: no mapping is applied. A variable
//! without a column has its default, as in an event that lacks it.

mod applied_detector;
mod detector;
mod figures;
#[cfg(test)]
mod tests;

pub use applied_detector::AppliedDetector;
pub use detector::{DetectorFile, FileRule, FileVariable, MeasuredDetector, RulesError};
pub use figures::RulesOnly;
