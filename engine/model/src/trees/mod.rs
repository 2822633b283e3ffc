//! Gradient-boosted decision trees over numeric columns: a [`BinnedMatrix`] is trained by
//! [`boost::train_forest`] into a [`Forest`], which scores and explains one row at a time.
//!
//! A missing value is `NaN`. Every split learns which side a missing value takes.

mod binned;
pub mod boost;
mod bytes;
mod error;
mod forest;
#[doc(hidden)]
pub mod fuzz;
mod grow;
mod histogram;
mod layout;
mod metric;
mod options;
#[cfg(test)]
mod properties;
mod shapley;

pub use binned::{BinnedMatrix, MAX_BINS};
pub use error::TreeError;
pub use forest::Forest;
pub(crate) use forest::NEAR_ZERO;
pub use layout::{Branch, SplitTest};
