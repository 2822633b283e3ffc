//! Rows of a CSV file as JSON objects, the columns as members.

use std::collections::BTreeMap;
use std::io;

use csv_rows::{CsvReader, CsvRow, DecodedRows, StringRecord};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use shared::failure::Rejection;
use shared::hash::to_hex;

use super::header_mapping::{
    CsvOptions, ENTITY_TYPE, EVENT_ID, EVENT_LABEL, EVENT_TIMESTAMP, LABEL_TIMESTAMP,
};
use super::{InputRecord, ROW_FAULT};

/// What the rows of a file are.
pub(super) enum RowKind {
    /// Events under Amazon's headers.
    Events(CsvOptions),
    /// Labels under Amazon's headers; which labels become which others.
    Labels(BTreeMap<String, String>),
    /// Messages for the mapping of the workspace, under any headers.
    Messages,
}

/// The rows of a CSV file.
pub struct CsvRows {
    reader: CsvReader,
    kind: RowKind,
    /// Rows with a label but without a label time, which got the event's time.
    pub assumed_label_times: u64,
}

impl CsvRows {
    pub(super) fn new(reader: CsvReader, kind: RowKind) -> Self {
        Self {
            reader,
            kind,
            assumed_label_times: 0,
        }
    }

    /// The rows that were read as Windows-1252.
    pub fn decoded_rows(&self) -> Option<DecodedRows> {
        self.reader.decoded_rows()
    }

    pub(super) fn read_row(&mut self) -> io::Result<Option<InputRecord>> {
        let row = self.reader.read_row().map_err(io::Error::other)?;
        Ok(row.map(|row| self.convert_row(row)))
    }

    /// The record of a row; one that cannot be read under the header keeps its bytes.
    fn convert_row(&mut self, row: CsvRow) -> InputRecord {
        match row.content {
            Ok(fields) => InputRecord {
                bytes: self.row_to_object(&fields).to_string().into_bytes(),
                rejection: None,
            },
            Err(broken) => InputRecord {
                bytes: broken.bytes,
                rejection: Some(Rejection {
                    class: ROW_FAULT,
                    reason: format!("row {}: {}", row.number, broken.fault),
                    refusal: None,
                }),
            },
        }
    }

    fn row_to_object(&mut self, row: &StringRecord) -> Value {
        let names = self.reader.header().names.iter().cloned();
        let mut object: Map<String, Value> = names.zip(row.iter().map(Value::from)).collect();
        match &self.kind {
            RowKind::Events(options) => {
                let options = options.clone();
                self.complete_event(&mut object, row, &options);
            }
            RowKind::Labels(renames) => {
                rename_label(&mut object, renames);
                if is_absent(&object, LABEL_TIMESTAMP)
                    && let Some(time) = object.get(EVENT_TIMESTAMP).cloned()
                {
                    object.insert(LABEL_TIMESTAMP.to_owned(), time);
                    self.assumed_label_times += 1;
                }
            }
            RowKind::Messages => object.retain(|_, value| value != ""),
        }
        Value::Object(object)
    }

    /// Adds what an event needs and the row lacks.
    fn complete_event(
        &mut self,
        object: &mut Map<String, Value>,
        row: &StringRecord,
        options: &CsvOptions,
    ) {
        if is_absent(object, EVENT_ID) {
            let mut hasher = Sha256::new();
            row.iter()
                .for_each(|field| hasher.update([field.as_bytes(), b"\x1f"].concat()));
            object.insert(EVENT_ID.to_owned(), to_hex(&hasher.finalize()[..16]).into());
        }
        if is_absent(object, ENTITY_TYPE) {
            object.insert(ENTITY_TYPE.to_owned(), options.entity_type.as_str().into());
        }
        if !is_absent(object, EVENT_LABEL) {
            rename_label(object, &options.labels);
            if is_absent(object, LABEL_TIMESTAMP) {
                self.assumed_label_times += 1;
            }
        }
    }
}

fn is_absent(object: &Map<String, Value>, name: &str) -> bool {
    object.get(name).is_none_or(|value| value == "")
}

fn rename_label(object: &mut Map<String, Value>, renames: &BTreeMap<String, String>) {
    let label = object.get(EVENT_LABEL).and_then(Value::as_str);
    if let Some(label) = label.and_then(|label| renames.get(label)) {
        object.insert(EVENT_LABEL.to_owned(), label.as_str().into());
    }
}
