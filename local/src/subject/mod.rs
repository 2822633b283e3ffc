//! Whom `fraudstream forget` and `fraudstream subject` are about, and every place that keeps something
//! of them: `forget` deletes what is found here, `subject` shows it.
//!
//! A [`Whom`] is what the command names. The [`Finder`] collects everything that is kept, and learns
//! on the way by which [`Traces`] the subject is known.

mod error;
mod finder;
mod holds;
mod labels;
mod objects;
mod ownership;
mod query;
mod record;
mod spelling;
mod traces;
mod variable_types;

pub use error::Error;
pub use finder::{Finder, Found};
pub use labels::FoundLabels;
pub use objects::{FoundObject, Remedy};
pub use query::Whom;
pub use traces::Traces;

pub(crate) use error::failed;
pub(crate) use labels::LABELS;
pub(crate) use record::Told;
pub(crate) use variable_types::Types;
