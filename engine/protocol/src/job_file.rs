//! The CSV files of import and batch prediction jobs: header, rows, and the request that a row stands for.
//!
//! A file has a header. Which columns there are is settled once; what a row says is the JSON that
//! a client would send, so that a row is checked exactly as a request is. Rows are read in steps of bounded size, from
//! any row on.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{ByteRecord, Reader, ReaderBuilder};
use event::Timestamp;
use serde_json::{Map, Value};

use crate::text;

/// Rows in one step, unless they are long.
const ROWS_PER_BATCH: usize = 500;
/// A longer row is taken for a quote that was never closed: reading on would fill the memory.
const LONGEST_ROW: u64 = 1024 * 1024;
/// A step ends early when its rows have so many bytes.
const LARGEST_BATCH: u64 = 4 * 1024 * 1024;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobFileColumn {
    /// `EVENT_ID`.
    EventId,
    /// `EVENT_TIMESTAMP`, in any form of [`Timestamp::parse_file`].
    EventTimestamp,
    /// `ENTITY_ID`.
    EntityId,
    /// `ENTITY_TYPE`.
    EntityType,
    /// `EVENT_LABEL`.
    EventLabel,
    /// `LABEL_TIMESTAMP`, in any form of [`Timestamp::parse_file`].
    LabelTimestamp,
    /// Any other header: the variable of that name.
    Variable(String),
}

impl JobFileColumn {
    /// The column that a header names.
    pub fn from_header(header: &str) -> Self {
        match header {
            "EVENT_ID" => Self::EventId,
            "EVENT_TIMESTAMP" => Self::EventTimestamp,
            "ENTITY_ID" => Self::EntityId,
            "ENTITY_TYPE" => Self::EntityType,
            "EVENT_LABEL" => Self::EventLabel,
            "LABEL_TIMESTAMP" => Self::LabelTimestamp,
            name => Self::Variable(name.to_owned()),
        }
    }
}

/// Which headers a file has to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredColumns {
    /// All variables of the event type and the four columns that every event needs.
    Import,
    /// The time; the rest has defaults.
    Prediction,
}

/// What a file has to know of the event type of its rows.
#[derive(Clone, Debug)]
pub struct ExpectedEvent<'a> {
    /// The event type's name.
    pub event_type: &'a str,
    /// The entity type of rows that name none.
    pub entity_type: &'a str,
    /// The names of the event type's variables.
    pub variables: Vec<&'a str>,
}

/// The header of a file, checked against an event type.
#[derive(Clone, Debug)]
pub struct JobFileHeader {
    /// The columns' names as the file has them.
    pub names: Vec<String>,
    columns: Vec<JobFileColumn>,
    entity_type: String,
}

impl JobFileHeader {
    /// Checks a file's first record. An error names everything that is wrong at once.
    pub fn new(
        record: &ByteRecord,
        expected: &ExpectedEvent<'_>,
        required: RequiredColumns,
    ) -> Result<Self, String> {
        let mut names = Vec::with_capacity(record.len());
        for field in record {
            let name = std::str::from_utf8(field).map_err(|_| "The header is not UTF-8.")?;
            names.push(name.to_owned());
        }
        let has = |name: &str| names.iter().any(|header| header == name);
        let metadata: &[&str] = match required {
            RequiredColumns::Import => &["EVENT_ID", "EVENT_TIMESTAMP", "ENTITY_ID", "ENTITY_TYPE"],
            RequiredColumns::Prediction => &["EVENT_TIMESTAMP"],
        };
        let variables = expected.variables.iter().copied();
        let mut missing: Vec<&str> = metadata.iter().copied().filter(|name| !has(name)).collect();
        if required == RequiredColumns::Import {
            missing.extend(variables.clone().filter(|name| !has(name)));
            match (has("EVENT_LABEL"), has("LABEL_TIMESTAMP")) {
                (true, false) => missing.push("LABEL_TIMESTAMP"),
                (false, true) => missing.push("EVENT_LABEL"),
                _ => {}
            }
        }
        let columns: Vec<JobFileColumn> = names
            .iter()
            .map(|name| JobFileColumn::from_header(name))
            .collect();
        let known: BTreeSet<&str> = variables.collect();
        let unknown = columns.iter().filter_map(|column| match column {
            JobFileColumn::Variable(name) if !known.contains(name.as_str()) => Some(name.as_str()),
            _ => None,
        });
        let mut seen = BTreeSet::new();
        let twice = names.iter().filter(|name| !seen.insert(*name));
        let problems = [
            ("is missing", missing),
            (
                "is neither a variable of the event type nor metadata",
                unknown.collect(),
            ),
            ("is there twice", twice.map(String::as_str).collect()),
        ];
        let problems: Vec<String> = problems
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(problem, names)| format!("column {} {problem}", text::join_names(names)))
            .collect();
        if !problems.is_empty() {
            return Err(format!(
                "The header does not fit event type '{}': {}.",
                expected.event_type,
                problems.join("; ")
            ));
        }
        Ok(Self {
            names,
            columns,
            entity_type: expected.entity_type.to_owned(),
        })
    }

    /// The index of a column.
    pub fn column_index(&self, column: &JobFileColumn) -> Option<usize> {
        self.columns.iter().position(|c| c == column)
    }

    /// The row as the members of a request: `SendEvent` has all of them, `GetEventPrediction` has
    /// no label.
    pub fn request_from_row(
        &self,
        event_type: &str,
        row: &JobFileRow,
    ) -> Result<Map<String, Value>, String> {
        if row.fields.len() != self.columns.len() {
            return Err(format!(
                "The row has {} fields, the header has {}.",
                row.fields.len(),
                self.columns.len()
            ));
        }
        let (mut request, mut variables) = (Map::new(), Map::new());
        let mut entity_id = "unknown";
        let mut entity_type = self.entity_type.as_str();
        for ((column, field), name) in self.columns.iter().zip(&row.fields).zip(&self.names) {
            let value = std::str::from_utf8(field)
                .map_err(|_| format!("The value of column {name} is not UTF-8."))?;
            if value.is_empty() {
                continue;
            }
            let mut put = |member: &str, value: String| {
                request.insert(member.to_owned(), Value::String(value));
            };
            match column {
                JobFileColumn::EventId => put("eventId", value.to_owned()),
                JobFileColumn::EventTimestamp => put("eventTimestamp", parse_time(name, value)?),
                JobFileColumn::EventLabel => put("assignedLabel", value.to_owned()),
                JobFileColumn::LabelTimestamp => put("labelTimestamp", parse_time(name, value)?),
                JobFileColumn::EntityId => entity_id = value,
                JobFileColumn::EntityType => entity_type = value,
                JobFileColumn::Variable(name) => {
                    variables.insert(name.clone(), value.into());
                }
            }
        }
        request.insert("eventTypeName".to_owned(), event_type.into());
        request.insert("eventVariables".to_owned(), Value::Object(variables));
        let entity = serde_json::json!([{ "entityType": entity_type, "entityId": entity_id }]);
        request.insert("entities".to_owned(), entity);
        Ok(request)
    }
}

/// A time as requests write it: files may hold more forms than requests.
fn parse_time(column: &str, value: &str) -> Result<String, String> {
    Timestamp::parse_file(value)
        .map(|time| time.to_string())
        .map_err(|error| format!("{column}: {error}."))
}

/// One row; its number counts from 1, the header not included.
#[derive(Clone, Debug)]
pub struct JobFileRow {
    /// The row's number.
    pub number: u64,
    /// The values, which may be more or fewer than the header has.
    pub fields: ByteRecord,
}

/// The rows of one step.
#[derive(Debug, Default)]
pub struct RowBatch {
    /// The rows; none at the end of the file.
    pub rows: Vec<JobFileRow>,
    /// The offset in bytes at which the row after them begins.
    pub byte: u64,
}

/// Why a file cannot be read to its end.
#[derive(Debug)]
pub enum JobFileError {
    /// Reading again gives the same: the reason, as a sentence.
    Invalid(String),
    /// The source of the bytes failed.
    Source(io::Error),
}

/// Reads a file in steps.
#[derive(Debug)]
pub struct RowReader<R> {
    reader: Reader<BoundedReader<R>>,
    budget: Arc<AtomicU64>,
    row: u64,
    start: u64,
}

impl<R: Read> RowReader<R> {
    /// Reads on after `row` rows; `from` begins at byte `start` of the file. At the beginning of a file, both are 0.
    pub fn new(from: R, row: u64, start: u64) -> Self {
        let budget = Arc::new(AtomicU64::new(LONGEST_ROW));
        let bounded = BoundedReader {
            from,
            budget: Arc::clone(&budget),
        };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bounded);
        Self {
            reader,
            budget,
            row,
            start,
        }
    }

    fn read_record(&mut self) -> Result<Option<ByteRecord>, JobFileError> {
        self.budget.store(LONGEST_ROW, Ordering::Relaxed);
        let mut fields = ByteRecord::new();
        match self.reader.read_byte_record(&mut fields) {
            Ok(true) => Ok(Some(fields)),
            Ok(false) => Ok(None),
            Err(error) => Err(self.explain_csv_error(error)),
        }
    }

    fn explain_csv_error(&self, error: csv::Error) -> JobFileError {
        let csv::ErrorKind::Io(error) = error.into_kind() else {
            return JobFileError::Invalid(format!(
                "The file cannot be read after row {}.",
                self.row
            ));
        };
        if error
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<TooLong>)
        {
            return JobFileError::Invalid(format!(
                "Row {} has more than {LONGEST_ROW} bytes: a quote may not be closed.",
                self.row + 1
            ));
        }
        JobFileError::Source(error)
    }

    /// Reads the header, which is the first record of a file.
    pub fn read_header(&mut self) -> Result<ByteRecord, JobFileError> {
        let empty = || JobFileError::Invalid("The input file is empty.".to_owned());
        self.read_record()?.ok_or_else(empty)
    }

    /// Reads the next rows: at most 500, or about 4 MB.
    pub fn read_batch(&mut self) -> Result<RowBatch, JobFileError> {
        let mut step = RowBatch::default();
        let begin = self.reader.position().byte();
        while step.rows.len() < ROWS_PER_BATCH
            && self.reader.position().byte() - begin < LARGEST_BATCH
        {
            let Some(fields) = self.read_record()? else {
                break;
            };
            self.row += 1;
            step.rows.push(JobFileRow {
                number: self.row,
                fields,
            });
        }
        step.byte = self.start + self.reader.position().byte();
        Ok(step)
    }
}

/// Fails where one row asks for more than its budget.
#[derive(Debug)]
struct BoundedReader<R> {
    from: R,
    budget: Arc<AtomicU64>,
}

#[derive(Debug)]
struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a row is too long")
    }
}

impl std::error::Error for TooLong {}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.budget.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other(TooLong));
        }
        let read = self.from.read(buffer)?;
        self.budget
            .store(left.saturating_sub(read as u64), Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str, required: RequiredColumns) -> Result<JobFileHeader, String> {
        let record: ByteRecord = line.split(',').collect::<Vec<_>>().into();
        let expected = ExpectedEvent {
            event_type: "order",
            entity_type: "customer",
            variables: vec!["price", "country"],
        };
        JobFileHeader::new(&record, &expected, required)
    }

    #[test]
    fn headers() {
        let all = "EVENT_ID,EVENT_TIMESTAMP,ENTITY_ID,ENTITY_TYPE,price,country";
        assert!(header(all, RequiredColumns::Import).is_ok());
        assert!(
            header(
                &format!("{all},EVENT_LABEL,LABEL_TIMESTAMP"),
                RequiredColumns::Import
            )
            .is_ok()
        );
        assert!(header("price,EVENT_TIMESTAMP", RequiredColumns::Prediction).is_ok());
        let refused = |line: &str, rules| header(line, rules).unwrap_err();
        assert_eq!(
            refused(
                "EVENT_ID,ENTITY_ID,ENTITY_TYPE,price,price,color,EVENT_LABEL",
                RequiredColumns::Import
            ),
            "The header does not fit event type 'order': column [EVENT_TIMESTAMP, country, \
             LABEL_TIMESTAMP] is missing; column [color] is neither a variable of the event type \
             nor metadata; column [price] is there twice."
        );
        assert_eq!(
            refused("price", RequiredColumns::Prediction),
            "The header does not fit event type 'order': column [EVENT_TIMESTAMP] is missing."
        );
    }

    fn request(line: &str) -> String {
        let header = "EVENT_ID,EVENT_TIMESTAMP,ENTITY_ID,ENTITY_TYPE,price,country";
        let header = self::header(header, RequiredColumns::Import).unwrap();
        let fields: ByteRecord = line.split(',').collect::<Vec<_>>().into();
        match header.request_from_row("order", &JobFileRow { number: 1, fields }) {
            Ok(request) => Value::Object(request).to_string(),
            Err(error) => error,
        }
    }

    #[test]
    fn a_row_is_a_request() {
        assert_eq!(
            request("e-1,1/12/2019,cust-42,customer,5,"),
            r#"{"eventId":"e-1","eventTimestamp":"2019-01-12T00:00:00Z","eventTypeName":"order","eventVariables":{"price":"5"},"entities":[{"entityType":"customer","entityId":"cust-42"}]}"#
        );
        assert!(request("e-1,2019-11-30T13:01:01Z,,,5,US").contains(r#""entityId":"unknown""#));
        for time in ["2019-11-30 13:01:01.0", "2019-11-30T14:01:01.5+01:00"] {
            let row = request(&format!("e-1,{time},,,5,US"));
            assert!(
                row.contains(r#""eventTimestamp":"2019-11-30T13:01:01Z""#),
                "{row}"
            );
        }
        assert_eq!(request("e-1,x"), "The row has 2 fields, the header has 6.");
        assert_eq!(
            request("e-1,soon,,,5,US"),
            "EVENT_TIMESTAMP: timestamp `soon` is in no form that is accepted here; write it as \
             `2019-11-30T13:01:01Z`."
        );
    }

    /// All rows after each place of the file at which a step may end.
    #[test]
    fn reading_goes_on_from_any_row() {
        for file in [
            "a,b\n1,x\n2,\"y\ny\"\n3,z\n",
            "\u{feff}a,b\r\n1,x\r\n\r\n2,\"y\"\"y\"\r\n3,z",
        ] {
            let mut whole = RowReader::new(file.as_bytes(), 0, 0);
            assert_eq!(whole.read_header().unwrap(), vec!["a", "b"]);
            let rows = whole.read_batch().unwrap().rows;
            assert_eq!(rows.len(), 3);
            let mut one = RowReader::new(file.as_bytes(), 0, 0);
            one.read_header().unwrap();
            for after in 1..=3 {
                one.read_record().unwrap().unwrap();
                let byte = one.reader.position().byte();
                let rest = &file.as_bytes()[usize::try_from(byte).unwrap()..];
                let rest = RowReader::new(rest, after, byte).read_batch().unwrap().rows;
                let fields = |rows: &[JobFileRow]| {
                    let row = |row: &JobFileRow| (row.number, row.fields.clone());
                    rows.iter().map(row).collect::<Vec<_>>()
                };
                let after = usize::try_from(after).unwrap();
                assert_eq!(fields(&rest), fields(&rows[after..]));
            }
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_the_job_and_not_the_process() {
        let file = format!("a\n1\n\"2\n{}", "3\n".repeat(1_000_000));
        let mut steps = RowReader::new(file.as_bytes(), 0, 0);
        steps.read_header().unwrap();
        let Err(JobFileError::Invalid(reason)) = steps.read_batch() else {
            panic!("it was read");
        };
        assert_eq!(
            reason,
            "Row 2 has more than 1048576 bytes: a quote may not be closed."
        );
    }
}
