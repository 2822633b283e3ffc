//! A CSV file of labelled events: its columns, and a sample of its rows.

use std::path::Path;

use csv_rows::{CsvError, CsvReader};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::error::TableError;
use crate::files::open_file;

/// Rows that types are guessed from.
const SAMPLE: usize = 5_000;

/// Opens a CSV file; each of its columns has a name of its own, or none.
pub(super) fn open_csv(path: &Path) -> Result<CsvReader, TableError> {
    if path.as_os_str() == "-" {
        return Err(TableError::StandardInput);
    }
    let file = open_file(&path.to_string_lossy())?;
    let reader = CsvReader::open(file).map_err(csv_error_in(path))?;
    let mut repeated = reader.header().find_repeated_names().into_iter();
    match repeated.find(|name| !name.is_empty()) {
        None => Ok(reader),
        Some(name) => Err(TableError::RepeatedColumn {
            path: path.display().to_string(),
            name: name.to_owned(),
        }),
    }
}

/// Adds the file's name to what is wrong with it.
pub(super) fn csv_error_in(path: &Path) -> impl Fn(CsvError) -> TableError {
    let path = path.display().to_string();
    move |source| TableError::Csv {
        path: path.clone(),
        source,
    }
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
    while let Some(row) = reader.read_row().map_err(csv_error_in(path))? {
        let Ok(fields) = row.content else { continue };
        seen += 1;
        let place = if sample.len() < SAMPLE {
            sample.len()
        } else {
            chance.random_range(0..seen)
        };
        if place >= SAMPLE {
            continue;
        }
        let cell = |cell| present_value(Some(cell)).map(str::to_owned);
        let cells = fields.iter().map(cell).collect();
        if place == sample.len() {
            sample.push(cells);
        } else {
            sample[place] = cells;
        }
    }
    Ok(sample)
}
