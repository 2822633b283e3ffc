//! CSV files, however they are written: the one reader under every command and job.
//!
//! A file may be packed with gzip, be in UTF-8, UTF-16 with a byte order mark or Windows-1252, and be separated by commas,
//! semicolons, tabs or `|`. A row that does not have the header's fields is given with its bytes and what is wrong with it,
//! so that no caller can take one column's value for another's.

mod error;
mod fields;
pub mod fuzz;
mod header;
mod kept_bytes;
mod quotes;
mod reader;
#[cfg(test)]
mod tests;
mod text;

pub use csv::StringRecord;
pub use error::CsvError;
pub use header::CsvHeader;
pub use kept_bytes::LONGEST_ROW;
pub use reader::{BrokenRow, CsvReader, CsvRow, DecodedRows, RowFault};
pub use text::{TextReader, open_text};
