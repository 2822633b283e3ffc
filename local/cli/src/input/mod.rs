//! Files of orders, history or labels as records: JSON lines, or CSV; plain or gzip.

mod header_mapping;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use csv_rows::{CsvError, CsvHeader, CsvReader, open_text};
use evaluation::{FileError, open_file};
use serde_json::Value;
use shared::failure::Rejection;
use shared::mapping::{
    EVENT_ID_SOURCE, EVENT_TIMESTAMP_SOURCE, LABEL_EVENT_ID, Mapping, MappingError, MissingSource,
};
use thiserror::Error;

pub use header_mapping::CsvOptions;
use header_mapping::{
    EVENT_ID, EVENT_LABEL, EVENT_TIMESTAMP, LABEL_TIMESTAMP, build_header_mapping,
    build_label_section,
};
pub use rows::CsvRows;
use rows::RowKind;

/// The class of rows that cannot be read under the header of their file.
pub const ROW_FAULT: &str = "bad-row";
/// Rows in which the mapping has to find an event id, before a CSV file is processed.
const FIRST_ROWS: usize = 20;

/// A file that cannot be read as input.
#[derive(Debug, Error)]
pub enum InputError {
    /// The file cannot be opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no CSV.
    #[error("{path}: {source}")]
    Csv {
        /// The file.
        path: String,
        /// Why.
        source: CsvError,
    },
    /// The header of a CSV file does not fit.
    #[error("{path}: {what}")]
    Header {
        /// The file.
        path: String,
        /// What is wrong with the header.
        what: String,
    },
    /// The mapping made of the header is invalid.
    #[error(transparent)]
    Mapping(#[from] MappingError),
}

/// A record of a file.
#[derive(Debug)]
pub struct InputRecord {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Why it is refused, if it cannot be told what its values are.
    pub rejection: Option<Rejection>,
}

/// The records of a file, one at a time.
pub enum RecordInput {
    /// One JSON text per line.
    Lines(Box<dyn BufRead>),
    /// Rows of a CSV file.
    Rows(Box<CsvRows>),
}

/// Whether a file's name ends as that of a CSV file, plain or gzip.
pub fn is_csv(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let path = path.strip_suffix(".gz").unwrap_or(&path);
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "csv" || extension == "tsv")
}

/// Opens a CSV file whose columns have names of their own.
///
/// # Errors
/// [`InputError`]: it is no CSV, or two columns have the same name.
pub fn open_csv_file(path: &str) -> Result<CsvReader, InputError> {
    let reader = CsvReader::open(open_file(path)?).map_err(|source| InputError::Csv {
        path: path.to_owned(),
        source,
    })?;
    match reader.header().find_repeated_names().first() {
        None => Ok(reader),
        Some(name) => {
            let what = format!("two columns have the name `{name}`; rename one of them");
            Err(header_error(path, what))
        }
    }
}

fn header_error(path: &str, what: String) -> InputError {
    InputError::Header {
        path: path.to_owned(),
        what,
    }
}

impl RecordInput {
    /// Opens JSON lines; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open_lines(path: &str) -> Result<Self, InputError> {
        let text = open_text(open_file(path)?).map_err(|source| FileError {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::Lines(Box::new(BufReader::new(text))))
    }

    /// The rows of a CSV file of events with Amazon's headers, and a mapping that is made of the header. `path` is the
    /// file's name in errors.
    ///
    /// # Errors
    /// [`InputError::Mapping`]: a column's name cannot be a variable.
    pub fn from_event_rows(
        path: &str,
        reader: CsvReader,
        options: CsvOptions,
    ) -> Result<(Self, Mapping), InputError> {
        let mapping = Mapping::parse(
            &format!("{path} (header)"),
            &build_header_mapping(&reader.header().names, &options),
        )?;
        let rows = CsvRows::new(reader, RowKind::Events(options));
        Ok((Self::Rows(Box::new(rows)), mapping))
    }

    /// The rows of a CSV file of labels with Amazon's headers.
    pub fn from_label_rows(reader: CsvReader, renames: BTreeMap<String, String>) -> Self {
        Self::Rows(Box::new(CsvRows::new(reader, RowKind::Labels(renames))))
    }

    /// The rows of any CSV file, for the mapping of the workspace.
    pub fn from_message_rows(reader: CsvReader) -> Self {
        Self::Rows(Box::new(CsvRows::new(reader, RowKind::Messages)))
    }

    /// How many rows so far were read as Windows-1252, because they are not UTF-8; `None` if there is none.
    pub fn windows_1252_rows(&self) -> Option<u64> {
        match self {
            Self::Lines(_) => None,
            Self::Rows(rows) => rows.decoded_rows().map(|rows| rows.count),
        }
    }

    /// Reads the next record; `None` at the end. Blank lines are skipped.
    ///
    /// # Errors
    /// The file cannot be read to its end.
    pub fn read_record(&mut self) -> io::Result<Option<InputRecord>> {
        match self {
            Self::Rows(rows) => rows.read_row(),
            Self::Lines(reader) => loop {
                let mut line = Vec::new();
                if reader.read_until(b'\n', &mut line)? == 0 {
                    return Ok(None);
                }
                while line
                    .last()
                    .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
                {
                    line.pop();
                }
                if !line.iter().all(u8::is_ascii_whitespace) {
                    return Ok(Some(InputRecord {
                        bytes: line,
                        rejection: None,
                    }));
                }
            },
        }
    }
}

/// Whether a file of events has Amazon's headers.
pub fn has_event_headers(header: &CsvHeader) -> bool {
    header.names.iter().any(|name| name == EVENT_TIMESTAMP)
}

/// Whether a file of labels has Amazon's headers.
pub fn has_label_headers(header: &CsvHeader) -> bool {
    let has = |name: &str| header.names.iter().any(|header| header == name);
    has(EVENT_ID) && has(EVENT_LABEL) && (has(LABEL_TIMESTAMP) || has(EVENT_TIMESTAMP))
}

/// The mapping for labels with Amazon's headers. `base` is that of the workspace, whose aggregates learn of the labels;
/// without it, one of the options does.
///
/// # Errors
/// [`InputError::Mapping`].
pub fn make_label_mapping(
    base: Option<Mapping>,
    options: &CsvOptions,
) -> Result<Mapping, InputError> {
    let base = match base {
        Some(base) => base,
        // A mapping has a variable; labels need none.
        None => Mapping::parse(
            "labels (header)",
            &build_header_mapping(&["variable".to_owned()], options),
        )?,
    };
    Ok(base.with_label_section("labels (header)", &build_label_section())?)
}

/// What the rows of a file are for a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Orders, for `event` and `variables`.
    Order,
    /// What became known of orders, for `labels`.
    Label,
}

impl MessageKind {
    /// The section of the mapping without which no row can be read, and a key in it.
    fn section(self) -> (&'static str, &'static str) {
        match self {
            Self::Order => ("event", "id"),
            Self::Label => ("labels", "event_id"),
        }
    }

    /// The sources without which a row is rejected and that find nothing in it; `None` if the mapping lacks the section.
    fn find_missing_sources(self, mapping: &Mapping, row: &Value) -> Option<Vec<MissingSource>> {
        let (needed, missing): (&[&str], _) = match self {
            Self::Order => (
                &[EVENT_ID_SOURCE, EVENT_TIMESTAMP_SOURCE],
                mapping.missing_order_sources(row),
            ),
            Self::Label => (&[LABEL_EVENT_ID], mapping.missing_label_sources(row)?),
        };
        let is_lost = missing
            .iter()
            .any(|it| needed.contains(&it.member.as_str()));
        // Variables may be absent.
        let (section, _) = self.section();
        let of_section = |it: &MissingSource| it.member.starts_with(section);
        Some(if is_lost {
            missing.into_iter().filter(of_section).collect()
        } else {
            Vec::new()
        })
    }
}

/// Checks that the mapping in `mapping_path` finds an event id (and an order's time) in one of the first rows of a file:
/// otherwise it was written for other messages, and every row would be rejected.
///
/// # Errors
/// [`InputError::Header`]: which sources find nothing, and which columns there are.
pub fn check_row_sources(
    path: &str,
    mapping_path: &Path,
    mapping: &Mapping,
    kind: MessageKind,
) -> Result<(), InputError> {
    let reader = open_csv_file(path)?;
    let columns = reader.header().names.clone();
    let mut input = RecordInput::from_message_rows(reader);
    let mut first_missing = None;
    let (section, key) = kind.section();
    for _ in 0..FIRST_ROWS {
        let record = input.read_record().map_err(|source| FileError {
            path: path.to_owned(),
            source,
        })?;
        let Some(record) = record else { break };
        if record.rejection.is_some() {
            continue;
        }
        let row: Value = serde_json::from_slice(&record.bytes).unwrap_or_default();
        let Some(missing) = kind.find_missing_sources(mapping, &row) else {
            let what = format!(
                "{} has no section `{section}`, which says what the columns mean; Amazon's headers need none; the columns are {}",
                mapping_path.display(),
                columns.join(", ")
            );
            return Err(header_error(path, what));
        };
        if missing.is_empty() {
            return Ok(());
        }
        first_missing.get_or_insert(missing);
    }
    let Some(missing) = first_missing else {
        return Ok(());
    };
    let missing: Vec<String> = missing
        .into_iter()
        .map(|it| {
            let name = it.member.split_once('.').map_or("", |(_, name)| name);
            format!("{name} (`{}`)", it.source.unwrap_or_default())
        })
        .collect();
    let drafted = match kind {
        MessageKind::Order => "let `fraudstream init` draft a mapping of the file, ",
        MessageKind::Label => "",
    };
    let what = format!(
        "`{section}` in {} finds no {} in the first rows; name columns there, such as `{key}: \"/{}\"`, {drafted}or use \
         Amazon's headers; the columns are {}",
        mapping_path.display(),
        missing.join(", no "),
        columns.first().map_or("", String::as_str),
        columns.join(", ")
    );
    Err(header_error(path, what))
}
