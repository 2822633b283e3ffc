//! Why a file cannot be read.

use std::io;

use thiserror::Error;

use crate::kept_bytes::{LONGEST_ROW, RowTooLong};
use crate::text::BrokenPacking;

/// Why a file cannot be read, or not to its end.
#[derive(Debug, Error)]
pub enum CsvError {
    /// There is not even a header.
    #[error("the file is empty")]
    Empty,
    /// The header goes on to the end of the file.
    #[error("a quotation mark in the header is not closed")]
    HeaderQuote,
    /// It is something else than text.
    #[error("the file is {0}")]
    NoText(&'static str),
    /// What gzip packed cannot be unpacked.
    #[error("the file cannot be unpacked from gzip: {0}; it may be cut")]
    Packing(String),
    /// A row is so long that it is taken for a quotation mark that was never closed.
    #[error("row {0} has more than {LONGEST_ROW} bytes: a quote may not be closed")]
    RowTooLong(u64),
    /// The source of the bytes failed.
    #[error(transparent)]
    Source(io::Error),
}

impl CsvError {
    /// What an error of the bytes means, when `row` was to be read.
    pub(crate) fn from_io(error: io::Error, row: u64) -> Self {
        let inner = error.get_ref();
        if inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<RowTooLong>) {
            return Self::RowTooLong(row);
        }
        if let Some(packing) = inner.and_then(|inner| inner.downcast_ref::<BrokenPacking>()) {
            return Self::Packing(packing.0.to_string());
        }
        Self::Source(error)
    }
}
