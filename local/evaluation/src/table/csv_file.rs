//! A CSV file as it is written: separator, encoding, headers, and a sample of its rows.

use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::path::Path;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::error::TableError;
use crate::files::{FileError, open_file};

/// Rows that types are guessed from.
const SAMPLE: usize = 5_000;

/// Bytes that are read to find out how a file is written.
const HEAD: u64 = 64 * 1024;
/// Possible separators between cells.
const SEPARATORS: [u8; 4] = *b",;\t|";
/// The first bytes of files that are no text, and what to do about it.
const NO_TEXT: [(&[u8], &str); 7] = [
    (
        b"PK\x03\x04",
        "a ZIP or Excel file; unpack it, or save it as CSV",
    ),
    (b"PAR1", "a Parquet file; write it as CSV"),
    (b"\x1f\x8b", "compressed with gzip; let its name end in .gz"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"\xff\xfe", "written in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "written in UTF-16; save it as UTF-8"),
];

pub(super) type CsvReader = csv::Reader<Box<dyn Read>>;

/// Opens a CSV file whose separator is found by its first line.
pub(super) fn open_csv(path: &Path) -> Result<CsvReader, TableError> {
    if path.as_os_str() == "-" {
        return Err(TableError::StandardInput);
    }
    let shown = path.display().to_string();
    let mut file = open_file(&path.to_string_lossy())?;
    let mut head = Vec::new();
    if let Err(source) = file.by_ref().take(HEAD).read_to_end(&mut head) {
        return Err(FileError {
            path: shown,
            source,
        }
        .into());
    }
    if let Some((_, what)) = NO_TEXT.iter().find(|(begin, _)| head.starts_with(begin)) {
        return Err(TableError::NoText { path: shown, what });
    }
    let separator = find_separator(&head);
    let file: Box<dyn Read> = Box::new(Cursor::new(head).chain(file));
    Ok(csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(separator)
        .from_reader(file))
}

/// The separator that is most frequent in the first line; the comma if there is none.
fn find_separator(head: &[u8]) -> u8 {
    let mut counts = [0_usize; SEPARATORS.len()];
    let mut quoted = false;
    for byte in head {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'\n' | b'\r' => break,
            _ => {
                for (count, separator) in counts.iter_mut().zip(SEPARATORS) {
                    *count += usize::from(*byte == separator);
                }
            }
        }
    }
    let most = counts.iter().max();
    let place = counts.iter().position(|count| Some(count) == most);
    SEPARATORS[place.unwrap_or_default()]
}

/// A cell as text: UTF-8, or else Latin-1.
pub(super) fn decode_cell(cell: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(cell) {
        Ok(text) => text.into(),
        Err(_) => cell.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Adds the file's name to what is wrong with it.
pub(super) fn csv_error_in(path: &Path) -> impl Fn(csv::Error) -> TableError {
    let path = path.display().to_string();
    move |source| TableError::Csv {
        path: path.clone(),
        source,
    }
}

/// The headers, without the byte order mark and without space around them.
pub(super) fn read_headers(path: &Path, reader: &mut CsvReader) -> Result<Vec<String>, TableError> {
    let headers = reader.byte_headers().map_err(csv_error_in(path))?;
    let name = |header| {
        decode_cell(header)
            .trim_start_matches('\u{feff}')
            .trim()
            .to_owned()
    };
    Ok(headers.iter().map(name).collect())
}

/// The value of a cell; `None` for an empty one, `NaN` and `null`.
pub(super) fn present_value(text: Option<&str>) -> Option<&str> {
    text.and_then(model::trim_present_value)
}

/// The cells of a row; an empty one holds nothing.
pub(super) type RowCells = Vec<Option<String>>;

/// Rows from all over the file: the first ones may all be of one day, or of one kind.
pub(super) fn sample_rows(
    path: &Path,
    reader: &mut CsvReader,
) -> Result<Vec<RowCells>, TableError> {
    let mut chance = ChaCha8Rng::seed_from_u64(1);
    let mut sample: Vec<RowCells> = Vec::new();
    let mut seen = 0_usize;
    let mut record = csv::ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(csv_error_in(path))?
    {
        seen += 1;
        let place = if sample.len() < SAMPLE {
            sample.len()
        } else {
            chance.random_range(0..seen)
        };
        if place >= SAMPLE {
            continue;
        }
        let cell = |cell| present_value(Some(&decode_cell(cell))).map(str::to_owned);
        let cells = record.iter().map(cell).collect();
        if place == sample.len() {
            sample.push(cells);
        } else {
            sample[place] = cells;
        }
    }
    Ok(sample)
}
