//! Keeps the bytes of the row that is being read, as many as one row may have.

use std::fmt;
use std::io::{self, Read};

/// A longer row is taken for a quote that was never closed: reading on would fill the memory.
pub const LONGEST_ROW: usize = 1024 * 1024;

/// A reader that knows the bytes which it gave since the current row began.
pub(crate) struct KeptBytes {
    from: Box<dyn Read>,
    kept: Vec<u8>,
    /// How many bytes were given before `kept`.
    dropped: u64,
    /// Where the current row begins, in bytes that were given.
    row_start: u64,
}

#[derive(Debug)]
pub(crate) struct RowTooLong;

impl fmt::Display for RowTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row is too long")
    }
}

impl std::error::Error for RowTooLong {}

impl KeptBytes {
    pub(crate) fn new(from: Box<dyn Read>) -> Self {
        Self {
            from,
            kept: Vec::new(),
            dropped: 0,
            row_start: 0,
        }
    }

    /// Begins a row: what came before it is no longer needed.
    pub(crate) fn begin_row(&mut self, at: u64) {
        self.row_start = at;
    }

    /// The bytes of the current row, which ends before byte `end`.
    pub(crate) fn row_bytes(&self, end: u64) -> &[u8] {
        let place =
            |at: u64| usize::try_from(at.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        self.kept
            .get(place(self.row_start)..place(end))
            .unwrap_or_default()
    }
}

impl Read for KeptBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let before = self.row_start.saturating_sub(self.dropped);
        let before = usize::try_from(before).map_or(self.kept.len(), |n| n.min(self.kept.len()));
        self.kept.drain(..before);
        self.dropped += before as u64;
        if self.kept.len() >= LONGEST_ROW {
            return Err(io::Error::other(RowTooLong));
        }
        let read = self.from.read(buffer)?;
        self.kept.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}
