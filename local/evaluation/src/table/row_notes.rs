//! What there is to say of the rows of a file after it was read.

use std::path::Path;

use csv_rows::{BrokenRow, DecodedRows};

use super::error::TableError;

/// Where a larger share of the rows is broken, the file is refused.
const MOST_BROKEN: f64 = 0.01;
/// How many broken rows are named.
const MOST_NAMED: usize = 5;

/// Rows of a file that were left out, and those that are in another encoding.
#[derive(Clone, Debug, Default)]
pub struct RowNotes {
    /// How many were left out because they do not have the header's columns.
    pub broken: usize,
    rows: usize,
    /// How many rows were left out because they have no time that can be read, though the file has a column of times.
    pub without_time: usize,
    /// The first of them: its number, from 1, and what it has instead.
    first_without_time: Option<(u64, String)>,
    /// The first broken rows: their numbers, from 1, and what is wrong with them.
    named: Vec<(u64, String)>,
    decoded: Option<DecodedRows>,
}

impl RowNotes {
    /// Counts a whole row.
    pub(super) fn add_whole(&mut self) {
        self.rows += 1;
    }

    /// Notes a row that is left out.
    pub(super) fn add_broken(&mut self, number: u64, row: &BrokenRow) {
        self.rows += 1;
        self.broken += 1;
        if self.named.len() < MOST_NAMED {
            self.named.push((number, row.fault.to_string()));
        }
    }

    /// Notes a row that is left out because `found` is no time.
    pub(super) fn add_without_time(&mut self, number: u64, found: Option<&str>) {
        self.without_time += 1;
        self.first_without_time
            .get_or_insert_with(|| (number, found.map(shorten_value).unwrap_or_default()));
    }

    /// Ends the file; it is refused if too many of its rows are broken, or if none is whole.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    pub(super) fn finish(
        mut self,
        path: &Path,
        columns: usize,
        decoded: Option<DecodedRows>,
    ) -> Result<Self, TableError> {
        let path = path.display().to_string();
        if self.broken as f64 > MOST_BROKEN * self.rows as f64 && self.broken > 1 {
            return Err(TableError::Broken {
                path,
                broken: self.broken,
                rows: self.rows,
                columns,
                first: self.named.first().map_or(0, |(number, _)| *number),
            });
        }
        if self.rows == self.broken {
            return Err(TableError::Empty { path });
        }
        if self.without_time as f64 > MOST_BROKEN * self.rows as f64
            && self.without_time > 1
            && let Some((first, found)) = self.first_without_time
        {
            return Err(TableError::Times {
                path,
                unread: self.without_time,
                rows: self.rows,
                first,
                found,
            });
        }
        self.decoded = decoded;
        Ok(self)
    }

    /// The notes as sentences.
    pub fn describe(&self, path: &Path) -> Vec<String> {
        let path = path.display();
        let mut notes: Vec<String> = self
            .named
            .iter()
            .map(|(number, fault)| format!("{path}: row {number} was left out. {fault}"))
            .collect();
        let more = self.broken - self.named.len();
        if more > 0 {
            notes.push(format!(
                "{path}: {more} more rows like these were left out."
            ));
        }
        if let Some((number, found)) = &self.first_without_time {
            #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
            let percent = 100.0 * self.without_time as f64 / self.rows as f64;
            notes.push(format!(
                "{path}: {} rows ({percent:.2} %) were left out because their time cannot be read; the first is row {number}, \
                 which has `{found}`.",
                self.without_time
            ));
        }
        if let Some(DecodedRows { count, first }) = self.decoded {
            notes.push(format!(
                "{path}: rows that are not UTF-8 were read as Windows-1252: {count}, the first is row {first}."
            ));
        }
        notes
    }
}

/// How many characters of a value a note shows.
const SHOWN: usize = 40;

fn shorten_value(value: &str) -> String {
    value.chars().take(SHOWN).collect()
}
