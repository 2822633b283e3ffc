//! Labelled events in a CSV file, whatever its headers: which column is what, and rows in the form that the model
//! takes.

mod columns;
mod csv_file;
mod decimal_commas;
mod describe;
mod error;
mod label_values;
mod row_notes;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use columns::parse_time_span;
pub use columns::{ColumnOptions, EventColumns};
pub(crate) use describe::write_left_out_notes;
pub use error::TableError;
pub use label_values::{LabelMeaning, LabelValue};
pub use row_notes::RowNotes;
pub use rows::{EventTable, TableEvent};
