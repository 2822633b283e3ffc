//! Finds everything that is stored about a subject, an order or an entity: `fraudstream forget` deletes
//! it, `fraudstream subject` shows it.
//!
//! A [`SubjectQuery`] is what the command line names. The [`SubjectFinder`] searches every place, and collects the ids
//! and values by which the subject is known, its [`Traces`].

mod error;
mod finder;
mod holds;
mod labels;
mod name_search;
mod objects;
mod ownership;
mod query;
mod record;
mod traces;
mod variable_types;

pub use error::SubjectError;
pub use finder::{FoundData, SubjectFinder};
pub use labels::FoundLabels;
pub use objects::{FoundObject, ObjectRemedy};
pub use query::SubjectQuery;
pub use traces::Traces;

pub(crate) use error::describe_failed_call;
pub(crate) use labels::LABELS;
pub(crate) use record::MappedRecord;
pub(crate) use variable_types::VariableTypes;
