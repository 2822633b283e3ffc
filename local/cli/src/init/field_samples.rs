//! What a file has under each name: a column of a CSV file, or a member of its JSON objects.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};

use evaluation::FileError;
use serde_json::Value;
use shared::records::{Origin, Position, Record};

use super::InitError;
use super::time_shape::TimeShape;
use crate::input::{InputError, RecordInput, is_csv, open_csv_file};

/// Records that are looked at; a draft needs no more.
const MOST_RECORDS: u64 = 50_000;
/// Fields that are looked at.
const MOST_FIELDS: usize = 2000;
/// Different values of a field that are looked at.
const MOST_VALUES: usize = 2000;
/// Levels of a JSON object that are looked at.
const MOST_LEVELS: usize = 6;

/// The values that stand under one name.
#[derive(Debug, Default)]
pub(crate) struct FieldSamples {
    /// The name as a JSON pointer: `/customer/email`.
    pub(crate) pointer: String,
    /// Records that have a value there.
    pub(crate) filled: u64,
    /// The first different values, in the order of the file.
    pub(crate) values: Vec<String>,
    /// How often each of them stands there.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Whether values were different from all of these.
    pub(crate) has_more: bool,
    /// Whether all are numbers of JSON.
    pub(crate) is_json_number: bool,
    /// How its times are written, once that was asked.
    pub(crate) time_shape: OnceCell<Option<TimeShape>>,
}

impl FieldSamples {
    fn add_value(&mut self, value: &str, is_number: bool) {
        self.is_json_number = is_number && (self.filled == 0 || self.is_json_number);
        self.filled += 1;
        if let Some(count) = self.counts.get_mut(value) {
            *count += 1;
        } else if self.values.len() < MOST_VALUES {
            self.counts.insert(value.to_owned(), 1);
            self.values.push(value.to_owned());
        } else {
            self.has_more = true;
        }
    }

    /// The share of the different values that fulfil a condition; 0 if there is none.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of at most some thousand values"
    )]
    pub(crate) fn share_of(&self, holds: impl Fn(&str) -> bool) -> f64 {
        if self.values.is_empty() {
            return 0.0;
        }
        let fitting = self.values.iter().filter(|value| holds(value)).count();
        fitting as f64 / self.values.len() as f64
    }

    /// Whether almost no value stands there twice.
    pub(crate) fn is_mostly_different(&self) -> bool {
        let repeated = self.counts.values().filter(|count| **count > 1).count();
        self.filled > 0 && repeated * 10 <= self.values.len()
    }
}

/// What the records of a file, or of several of one kind, have.
#[derive(Debug, Default)]
pub(crate) struct FileSamples {
    /// Records that were looked at.
    pub(crate) records: u64,
    /// Records that are no objects, or rows that do not have the header's fields.
    pub(crate) unreadable: u64,
    /// In the order in which they come.
    pub(crate) fields: Vec<FieldSamples>,
    /// Pointers to lists of objects, with the names of their members.
    pub(crate) lists: BTreeMap<String, HashSet<String>>,
    places: BTreeMap<String, usize>,
    /// The places of the fields that the present file has.
    of_file: HashSet<usize>,
}

impl FileSamples {
    /// The places of the fields of the file that was added last.
    pub(crate) fn take_fields_of_file(&mut self) -> HashSet<usize> {
        std::mem::take(&mut self.of_file)
    }

    /// Adds the records of a file.
    pub(crate) fn add_file(&mut self, path: &str) -> Result<(), InitError> {
        let mut input = if is_csv(path) {
            let reader = open_csv_file(path)?;
            let columns = reader.header().names.len();
            if columns > MOST_FIELDS {
                return Err(InitError::TooManyColumns {
                    path: path.to_owned(),
                    columns,
                    most: MOST_FIELDS,
                });
            }
            for name in &reader.header().names {
                self.find_field(&point_to("", name));
            }
            RecordInput::from_message_rows(reader)
        } else {
            RecordInput::open_lines(path)?
        };
        while self.records < MOST_RECORDS {
            let read = input.read_record().map_err(|source| {
                InputError::from(FileError {
                    path: path.to_owned(),
                    source,
                })
            })?;
            let Some(record) = read else { break };
            self.records += 1;
            if record.rejection.is_some() {
                self.unreadable += 1;
                continue;
            }
            self.add_record(record.bytes);
        }
        Ok(())
    }

    fn add_record(&mut self, payload: Vec<u8>) {
        let position = Position::new(Origin::Invoke, "file", self.records.to_string());
        let record = Record {
            position,
            key: None,
            payload,
        };
        for record in record.split() {
            match record.json() {
                Ok(value) if value.is_object() => self.add_members("", &value, 0),
                Ok(_) | Err(_) => self.unreadable += 1,
            }
        }
    }

    fn add_members(&mut self, pointer: &str, value: &Value, level: usize) {
        match value {
            Value::Object(members) if level < MOST_LEVELS => {
                for (name, value) in members {
                    self.add_members(&point_to(pointer, name), value, level + 1);
                }
            }
            Value::Array(items) => {
                let members = items.iter().filter_map(Value::as_object);
                let names = members.flat_map(|members| members.keys().cloned());
                self.lists
                    .entry(pointer.to_owned())
                    .or_default()
                    .extend(names.take(100));
            }
            Value::String(text) if !text.trim().is_empty() => {
                self.add_value(pointer, text.trim(), false);
            }
            Value::Number(number) => self.add_value(pointer, &number.to_string(), true),
            Value::Bool(flag) => self.add_value(pointer, &flag.to_string(), false),
            _ => {}
        }
    }

    fn add_value(&mut self, pointer: &str, value: &str, is_number: bool) {
        if let Some(field) = self.find_field(pointer) {
            field.add_value(value, is_number);
        }
    }

    fn find_field(&mut self, pointer: &str) -> Option<&mut FieldSamples> {
        if let Some(place) = self.places.get(pointer) {
            self.of_file.insert(*place);
            return self.fields.get_mut(*place);
        }
        if self.fields.len() >= MOST_FIELDS {
            return None;
        }
        self.of_file.insert(self.fields.len());
        self.places.insert(pointer.to_owned(), self.fields.len());
        self.fields.push(FieldSamples {
            pointer: pointer.to_owned(),
            ..FieldSamples::default()
        });
        self.fields.last_mut()
    }
}

/// The pointer to a member of what `pointer` points to.
fn point_to(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
