//! Properties that hold for any bytes as a CSV file. Shared by the tests and the fuzz target.

use std::io::Cursor;

use crate::{CsvReader, CsvRow, RowFault};

/// What a fuzzer may unpack: a small file can be made to unpack to any size.
const MOST_ROWS: usize = 10_000;

fn read_rows(reader: &mut CsvReader) -> Vec<(CsvRow, u64)> {
    let mut rows = Vec::new();
    while rows.len() < MOST_ROWS
        && let Ok(Some(row)) = reader.read_row()
    {
        rows.push((row, reader.position()));
    }
    rows
}

/// Checks that reading any bytes never panics, that rows are numbered one by one, that a whole row has the header's fields,
/// that only the last row can have an open quote, and that reading on after any row gives the rows that follow it.
///
/// # Panics
/// If a property does not hold.
pub fn check_csv_bytes(data: &[u8]) {
    let Ok(mut reader) = CsvReader::open(Box::new(Cursor::new(data.to_vec()))) else {
        return;
    };
    let rows = read_rows(&mut reader);
    let (columns, count) = (reader.header().names.len(), rows.len() as u64);
    for (number, (row, _)) in (1..).zip(&rows) {
        assert_eq!(row.number, number);
        match &row.content {
            Ok(fields) => assert_eq!(fields.len(), columns),
            Err(broken) if broken.fault == RowFault::OpenQuote => assert_eq!(number, count),
            Err(broken) => assert_ne!(broken.fields.len(), columns),
        }
    }
    let Some((middle, byte)) = rows.get(rows.len() / 2) else {
        return;
    };
    if reader.is_plain() {
        let rest = data[usize::try_from(*byte).unwrap_or(data.len())..].to_vec();
        let rest = Box::new(Cursor::new(rest));
        let mut resumed = CsvReader::resume(rest, reader.header().clone(), middle.number, *byte);
        assert_eq!(read_rows(&mut resumed), rows[rows.len() / 2 + 1..]);
    }
}
