//! Files that are read from start to end, or standard input.

use std::fs::File;
use std::io::{self, Read};

use thiserror::Error;

/// A file that cannot be opened or read.
#[derive(Debug, Error)]
#[error("{path}: {source}")]
pub struct FileError {
    /// The file.
    pub path: String,
    /// Why.
    pub source: io::Error,
}

/// Opens a file; `-` is standard input.
///
/// # Errors
/// The file cannot be opened.
pub fn open_file(path: &str) -> Result<Box<dyn Read>, FileError> {
    if path == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).map_err(|source| FileError {
        path: path.to_owned(),
        source,
    })?;
    Ok(Box::new(file))
}
