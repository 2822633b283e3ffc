//! The CSV files of import and batch prediction jobs: header, rows, and the request that a row stands for.
//!
//! A file has a header. Which columns there are is settled once; what a row says is the JSON that
//! a client would send, so that a row is checked exactly as a request is. Rows are read in steps of bounded size, from
//! any row on.

use std::collections::BTreeSet;
use std::io::{self, Read};

use csv_rows::{CsvError, CsvHeader, CsvReader, CsvRow, LONGEST_ROW};
use event::Timestamp;
use serde_json::{Map, Value};

use crate::text;

/// Rows in one step, unless they are long.
const ROWS_PER_BATCH: usize = 500;
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
    /// The columns' names.
    pub names: Vec<String>,
    columns: Vec<JobFileColumn>,
    entity_type: String,
}

impl JobFileHeader {
    /// Checks a file's header. An error names everything that is wrong at once.
    pub fn new(
        header: &CsvHeader,
        expected: &ExpectedEvent<'_>,
        required: RequiredColumns,
    ) -> Result<Self, String> {
        let names = header.names.clone();
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
        let problems = [
            ("is missing", missing),
            (
                "is neither a variable of the event type nor metadata",
                unknown.collect(),
            ),
            ("is there twice", header.find_repeated_names()),
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
        row: &CsvRow,
    ) -> Result<Map<String, Value>, String> {
        let fields = match &row.content {
            Ok(fields) => fields,
            Err(broken) => return Err(broken.fault.to_string()),
        };
        let (mut request, mut variables) = (Map::new(), Map::new());
        let mut entity_id = "unknown";
        let mut entity_type = self.entity_type.as_str();
        for ((column, value), name) in self.columns.iter().zip(fields).zip(&self.names) {
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

/// The rows of one step.
#[derive(Debug, Default)]
pub struct RowBatch {
    /// The rows; none at the end of the file.
    pub rows: Vec<CsvRow>,
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

impl From<CsvError> for JobFileError {
    fn from(error: CsvError) -> Self {
        Self::Invalid(match error {
            CsvError::Source(error) => return Self::Source(error),
            CsvError::Empty => "The input file is empty.".to_owned(),
            CsvError::NoText(what) => format!("The input file is {what}."),
            CsvError::RowTooLong(row) => {
                format!("Row {row} has more than {LONGEST_ROW} bytes: a quote may not be closed.")
            }
            error @ (CsvError::HeaderQuote | CsvError::Packing(_)) => {
                format!("The input file cannot be read: {error}.")
            }
        })
    }
}

/// Where reading goes on in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowPosition {
    /// How many rows are done.
    pub row: u64,
    /// The offset in bytes at which the next row begins; 0 at the beginning of the file.
    pub byte: u64,
}

/// Reads a file in steps.
pub struct RowReader {
    reader: CsvReader,
    largest: u64,
}

impl RowReader {
    /// Opens a file and reads its header. One that unpacks to more than `largest` bytes is refused where that is seen.
    pub fn open(from: Box<dyn Read>, largest: u64) -> Result<Self, JobFileError> {
        let reader = CsvReader::open(from)?;
        Ok(Self { reader, largest })
    }

    /// The header.
    pub fn header(&self) -> &CsvHeader {
        self.reader.header()
    }

    /// Goes on after the rows that are done; `from_byte` opens the file at an offset.
    pub fn skip_to(
        &mut self,
        position: RowPosition,
        from_byte: impl FnOnce(u64) -> Box<dyn Read>,
    ) -> Result<(), JobFileError> {
        let RowPosition { row, byte } = position;
        if byte > 0 && self.reader.is_plain() {
            let header = self.reader.header().clone();
            self.reader = CsvReader::resume(from_byte(byte), header, row, byte);
            return Ok(());
        }
        // A packed file can only be read from its beginning.
        for _ in 0..row {
            self.reader.read_row()?;
        }
        Ok(())
    }

    /// Reads the next rows: at most 500, or about 4 MB.
    pub fn read_batch(&mut self) -> Result<RowBatch, JobFileError> {
        let mut step = RowBatch::default();
        let begin = self.reader.position();
        while step.rows.len() < ROWS_PER_BATCH && self.reader.position() - begin < LARGEST_BATCH {
            let Some(row) = self.reader.read_row()? else {
                break;
            };
            step.rows.push(row);
        }
        step.byte = self.reader.position();
        if step.byte > self.largest {
            return Err(JobFileError::Invalid(format!(
                "The input unpacks to more than {} bytes, a job takes at most as many.",
                self.largest
            )));
        }
        if step.rows.is_empty()
            && let Some(decoded) = self.reader.decoded_rows()
        {
            let (rows, first) = (decoded.count, decoded.first);
            tracing::warn!(
                rows,
                first,
                "rows of a job's input are not UTF-8 and were read as Windows-1252"
            );
        }
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str, required: RequiredColumns) -> Result<JobFileHeader, String> {
        let file = Box::new(io::Cursor::new(line.to_owned()));
        let header = CsvReader::open(file).unwrap().header().clone();
        let expected = ExpectedEvent {
            event_type: "order",
            entity_type: "customer",
            variables: vec!["price", "country"],
        };
        JobFileHeader::new(&header, &expected, required)
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
        let names = "EVENT_ID,EVENT_TIMESTAMP,ENTITY_ID,ENTITY_TYPE,price,country";
        let header = self::header(names, RequiredColumns::Import).unwrap();
        let mut file = open(format!("{names}\n{line}").as_bytes(), u64::MAX);
        let rows = file.read_batch().unwrap().rows;
        match header.request_from_row("order", &rows[0]) {
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
        // What is not UTF-8 is read as in every other CSV file.
        assert!(request("e-1,1/12/2019,,,5,Köln").contains(r#""country":"Köln""#));
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

    fn open(file: &[u8], largest: u64) -> RowReader {
        RowReader::open(Box::new(io::Cursor::new(file.to_vec())), largest).unwrap()
    }

    fn pack(file: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        let mut encoder = flate2::read::GzEncoder::new(file, flate2::Compression::fast());
        encoder.read_to_end(&mut packed).unwrap();
        packed
    }

    /// A job goes on after the rows that are done, whether or not the file is packed.
    #[test]
    fn reading_goes_on_from_any_row() {
        let rows = "1,\"x\ny\"\n".repeat(1200);
        let plain = format!("a,b\n{rows}").into_bytes();
        for file in [plain.clone(), pack(&plain)] {
            let mut whole = open(&file, 1_000_000);
            let steps: Vec<RowBatch> = std::iter::from_fn(|| Some(whole.read_batch().unwrap()))
                .take_while(|step| !step.rows.is_empty())
                .collect();
            assert_eq!(steps.len(), 3);
            let mut position = RowPosition::default();
            for step in steps {
                let mut rest = open(&file, 1_000_000);
                let from_byte = |byte| -> Box<dyn Read> {
                    let byte = usize::try_from(byte).unwrap();
                    Box::new(io::Cursor::new(file[byte..].to_vec()))
                };
                rest.skip_to(position, from_byte).unwrap();
                assert_eq!(rest.read_batch().unwrap().rows, step.rows);
                position.row += step.rows.len() as u64;
                position.byte = step.byte;
            }
        }
    }

    #[test]
    fn a_small_file_does_not_unpack_to_a_large_one() {
        let file = format!("a\n{}", "1\n".repeat(1000));
        assert!(open(&pack(file.as_bytes()), 2002).read_batch().is_ok());
        let mut reader = open(&pack(file.as_bytes()), 999);
        let Err(JobFileError::Invalid(reason)) = reader.read_batch() else {
            panic!("it was read");
        };
        assert_eq!(
            reason,
            "The input unpacks to more than 999 bytes, a job takes at most as many."
        );
    }

    #[test]
    fn what_is_wrong_with_a_file_is_a_sentence() {
        #[track_caller]
        fn check(file: &[u8], want: &str) {
            let read = RowReader::open(Box::new(io::Cursor::new(file.to_vec())), u64::MAX);
            let Err(JobFileError::Invalid(reason)) = read.and_then(|mut it| it.read_batch()) else {
                panic!("it was read");
            };
            assert_eq!(reason, want);
        }
        check(b"", "The input file is empty.");
        check(
            b"PAR1",
            "The input file is a Parquet file; write it as CSV.",
        );
        check(
            b"a,\"b\n",
            "The input file cannot be read: a quotation mark in the header is not closed.",
        );
        let file = format!("a\n1\n\"2\n{}", "3\n".repeat(1_000_000));
        check(
            file.as_bytes(),
            "Row 2 has more than 1048576 bytes: a quote may not be closed.",
        );
    }
}
