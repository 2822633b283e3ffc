//! Files of orders as records: JSON lines, or CSV with Amazon's headers; plain or gzip.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use evaluation::{FileError, open_file};
use event::{EntityTypeName, EventTypeName};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use shared::hash::to_hex;
use shared::mapping::{Mapping, MappingError};
use thiserror::Error;

/// A file that cannot be read as input.
#[derive(Debug, Error)]
pub enum InputError {
    /// The file cannot be opened.
    #[error(transparent)]
    File(#[from] FileError),
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

/// How a CSV file with Amazon's headers is read.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// The event type of its rows.
    pub event_type: EventTypeName,
    /// The detector that decides on them.
    pub detector: String,
    /// The entity type of rows without `ENTITY_TYPE`.
    pub entity_type: EntityTypeName,
    /// Labels that are not valid names, and what they become: `1.0` → `fraud`.
    pub labels: BTreeMap<String, String>,
}

/// The records of a file, one at a time.
pub enum RecordInput {
    /// One JSON text per line.
    Lines(Box<dyn BufRead>),
    /// Rows under Amazon's headers.
    Rows(Box<CsvRows>),
}

/// Rows of a CSV file as JSON objects with Amazon's headers as members.
pub struct CsvRows {
    reader: csv::Reader<Box<dyn Read>>,
    headers: Vec<String>,
    options: CsvOptions,
    /// Rows with a label but without a label time, which got the event's time.
    pub assumed_label_times: u64,
}

const EVENT_ID: &str = "EVENT_ID";
const EVENT_TIMESTAMP: &str = "EVENT_TIMESTAMP";
const ENTITY_ID: &str = "ENTITY_ID";
const ENTITY_TYPE: &str = "ENTITY_TYPE";
const EVENT_LABEL: &str = "EVENT_LABEL";
const LABEL_TIMESTAMP: &str = "LABEL_TIMESTAMP";
const METADATA: [&str; 6] = [
    EVENT_ID,
    EVENT_TIMESTAMP,
    ENTITY_ID,
    ENTITY_TYPE,
    EVENT_LABEL,
    LABEL_TIMESTAMP,
];

/// Whether a file's name ends as that of a CSV file, plain or gzip.
pub fn is_csv(path: &str) -> bool {
    let path = path.strip_suffix(".gz").unwrap_or(path);
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

impl RecordInput {
    /// Opens JSON lines; `-` is standard input.
    pub fn open_lines(path: &str) -> Result<Self, InputError> {
        Ok(Self::Lines(Box::new(BufReader::new(open_file(path)?))))
    }

    /// Opens a CSV file, and makes a mapping of its header.
    pub fn open_csv(path: &str, options: CsvOptions) -> Result<(Self, Mapping), InputError> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(open_file(path)?);
        let wrong = |what: String| InputError::Header {
            path: path.to_owned(),
            what,
        };
        let headers: Vec<String> = match reader.headers() {
            Ok(headers) => headers
                .iter()
                .map(|header| header.trim_start_matches('\u{feff}').to_owned())
                .collect(),
            Err(error) => return Err(wrong(format!("the header cannot be read: {error}"))),
        };
        if !headers.iter().any(|header| header == EVENT_TIMESTAMP) {
            return Err(wrong(format!(
                "there is no column {EVENT_TIMESTAMP}; it has {}",
                headers.join(", ")
            )));
        }
        let mapping = Mapping::parse(
            &format!("{path} (header)"),
            &build_header_mapping(&headers, &options),
        )?;
        let rows = CsvRows {
            reader,
            headers,
            options,
            assumed_label_times: 0,
        };
        Ok((Self::Rows(Box::new(rows)), mapping))
    }

    /// Reads the next record's bytes; `None` at the end. Blank lines are skipped.
    pub fn read_record(&mut self) -> io::Result<Option<Vec<u8>>> {
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
                    return Ok(Some(line));
                }
            },
        }
    }
}

impl CsvRows {
    fn read_row(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut row = csv::StringRecord::new();
        match self.reader.read_record(&mut row) {
            Ok(false) => Ok(None),
            Ok(true) => Ok(Some(self.row_to_object(&row).to_string().into_bytes())),
            // A row that is not UTF-8 is a record, too: the function rejects it with its reason.
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                Ok(Some(vec![0xff]))
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn row_to_object(&mut self, row: &csv::StringRecord) -> Value {
        let mut object: Map<String, Value> = self
            .headers
            .iter()
            .cloned()
            .zip(row.iter().map(Value::from))
            .collect();
        let absent = |object: &Map<String, Value>, name: &str| {
            object.get(name).is_none_or(|value| value == "")
        };
        if absent(&object, EVENT_ID) {
            let mut hasher = Sha256::new();
            row.iter()
                .for_each(|field| hasher.update([field.as_bytes(), b"\x1f"].concat()));
            object.insert(EVENT_ID.to_owned(), to_hex(&hasher.finalize()[..16]).into());
        }
        if absent(&object, ENTITY_TYPE) {
            object.insert(
                ENTITY_TYPE.to_owned(),
                self.options.entity_type.as_str().into(),
            );
        }
        if !absent(&object, EVENT_LABEL) {
            if let Some(label) = object
                .get(EVENT_LABEL)
                .and_then(Value::as_str)
                .and_then(|label| self.options.labels.get(label))
            {
                object.insert(EVENT_LABEL.to_owned(), label.as_str().into());
            }
            if absent(&object, LABEL_TIMESTAMP) {
                self.assumed_label_times += 1;
            }
        }
        Value::Object(object)
    }
}

/// The mapping of Amazon's headers: metadata by name, all other columns as variables.
fn build_header_mapping(headers: &[String], options: &CsvOptions) -> String {
    let variables: Map<String, Value> = headers
        .iter()
        .filter(|header| !METADATA.contains(&header.as_str()))
        .map(|header| {
            (
                header.clone(),
                Value::from(format!("/{}", header.replace('~', "~0").replace('/', "~1"))),
            )
        })
        .collect();
    // JSON is YAML.
    serde_json::json!({
        "event_type": options.event_type.as_str(),
        "detector": options.detector,
        "event": {
            "id": format!("/{EVENT_ID}"),
            "timestamp": format!("/{EVENT_TIMESTAMP}"),
            "entity": { "type": format!("/{ENTITY_TYPE}"), "id": [format!("/{ENTITY_ID}")] },
            "label": format!("/{EVENT_LABEL}"),
            "label_timestamp": format!("/{LABEL_TIMESTAMP}"),
        },
        "variables": variables,
        "decision": {
            "outcome_priority": ["block", "review", "challenge", "approve"],
            "on_undetermined": ["review"],
            "on_no_match": ["approve"],
            "reviewable": ["review"],
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> CsvOptions {
        CsvOptions {
            event_type: "registration".try_into().unwrap(),
            detector: "registrations".to_owned(),
            entity_type: "customer".try_into().unwrap(),
            labels: BTreeMap::from([("1.0".to_owned(), "fraud".to_owned())]),
        }
    }

    #[track_caller]
    fn check(csv: &str, want: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, csv).unwrap();
        let got = match RecordInput::open_csv(path.to_str().unwrap(), options()) {
            Err(error) => vec![error.to_string().replace(path.to_str().unwrap(), "a.csv")],
            Ok((mut input, _)) => std::iter::from_fn(|| input.read_record().unwrap())
                .map(|row| String::from_utf8(row).unwrap())
                .collect(),
        };
        assert_eq!(got, want);
    }

    #[test]
    fn rows_become_objects() {
        check(
            "ip,EVENT_TIMESTAMP,EVENT_LABEL\n1.2.3.4,2022-05-30T00:00:18Z,1.0\n",
            &[
                r#"{"ip":"1.2.3.4","EVENT_TIMESTAMP":"2022-05-30T00:00:18Z","EVENT_LABEL":"fraud","EVENT_ID":"844adaf0fca9d37d5f8d841e8c96dbbf","ENTITY_TYPE":"customer"}"#,
            ],
        );
        check(
            "ip,EVENT_LABEL\n1.2.3.4,fraud\n",
            &["a.csv: there is no column EVENT_TIMESTAMP; it has ip, EVENT_LABEL"],
        );
    }

    #[test]
    fn blank_lines_are_no_records() {
        let mut input = RecordInput::Lines(Box::new(io::Cursor::new("{}\n\n  \r\n{\"a\":1}")));
        assert_eq!(input.read_record().unwrap().unwrap(), b"{}");
        assert_eq!(input.read_record().unwrap().unwrap(), b"{\"a\":1}");
        assert_eq!(input.read_record().unwrap(), None);
    }
}
