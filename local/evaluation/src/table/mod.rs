//! Labelled events in a CSV file, whatever its headers: which column is what, and rows in the form that the model
//! takes.

mod columns;
mod csv_file;
mod decimal_commas;
mod describe;
mod error;
mod legitimate;
mod row_notes;
mod rows;
#[cfg(test)]
mod tests;

pub use columns::{ColumnOptions, EventColumns};
pub use error::TableError;
pub use row_notes::RowNotes;
pub use rows::{EventTable, TableEvent};
