//! Reads a file row by row.

use std::io::{Cursor, Read};

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};
use thiserror::Error;

use crate::error::CsvError;
use crate::fields::decode_fields;
use crate::header::{CsvHeader, find_separator, strip_mark};
use crate::kept_bytes::KeptBytes;
use crate::quotes::has_open_quote;
use crate::text::open_text;

/// Bytes that are read to find out how a file is written.
const HEAD: u64 = 64 * 1024;
/// The first bytes of files that are no text, and what to do about it.
const NO_TEXT: [(&[u8], &str); 7] = [
    (
        b"PK\x03\x04",
        "a ZIP or Excel file; unpack it, or save it as CSV",
    ),
    (b"PAR1", "a Parquet file; write it as CSV"),
    (b"\x1f\x8b", "compressed with gzip twice; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"\xff\xfe\x00\x00", "written in UTF-32; save it as UTF-8"),
    (b"\x00\x00\xfe\xff", "written in UTF-32; save it as UTF-8"),
];

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RowFault {
    /// It does not have the fields of the header.
    #[error("The row has {fields} fields, the header has {header}.")]
    FieldCount {
        /// How many it has.
        fields: usize,
        /// How many the header has.
        header: usize,
    },
    /// It goes on to the end of the file, because a quotation mark is not closed.
    #[error(
        "The row has a quotation mark that is not closed, so it goes on to the end of the file."
    )]
    OpenQuote,
}

/// A row that cannot be read under the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenRow {
    /// What is wrong with it.
    pub fault: RowFault,
    /// Its fields as they were read, which are not those of the header.
    pub fields: StringRecord,
    /// All its bytes, without the end of the line.
    pub bytes: Vec<u8>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvRow {
    /// Its number, from 1; the header is not counted.
    pub number: u64,
    /// Its fields, one for each column of the header.
    pub content: Result<StringRecord, BrokenRow>,
}

impl CsvRow {
    /// The fields as they were read; those of a broken row are not the header's.
    pub fn fields_as_read(&self) -> &StringRecord {
        match &self.content {
            Ok(fields) => fields,
            Err(broken) => &broken.fields,
        }
    }
}

/// Rows with text that is not UTF-8 and was read as Windows-1252.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodedRows {
    /// How many.
    pub count: u64,
    /// The number of the first one.
    pub first: u64,
}

/// Reads the rows of a file.
pub struct CsvReader {
    reader: Reader<KeptBytes>,
    header: CsvHeader,
    is_plain: bool,
    row: u64,
    start: u64,
    decoded: Option<DecodedRows>,
}

impl CsvReader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`CsvError`]: it is empty, no text, or cannot be read.
    pub fn open(from: Box<dyn Read>) -> Result<Self, CsvError> {
        let failed = |error| CsvError::from_io(error, 0);
        let mut text = open_text(from).map_err(failed)?;
        let is_plain = text.is_plain();
        let mut head = Vec::new();
        text.by_ref()
            .take(HEAD)
            .read_to_end(&mut head)
            .map_err(failed)?;
        if let Some((_, what)) = NO_TEXT.iter().find(|(begin, _)| head.starts_with(begin)) {
            return Err(CsvError::NoText(what));
        }
        // Text of Western languages in UTF-16 has a zero in every second byte.
        if head.iter().take(2).any(|byte| *byte == 0) {
            return Err(CsvError::NoText(
                "written in UTF-16 without a byte order mark; save it as UTF-8",
            ));
        }
        let separator = find_separator(&head);
        let whole = Box::new(Cursor::new(head).chain(text));
        let mut reader = build_reader(whole, separator);
        let mut record = ByteRecord::new();
        let read = reader.read_byte_record(&mut record);
        if !read.map_err(|error| convert_csv_error(error, 0))? {
            return Err(CsvError::Empty);
        }
        let bytes = reader.get_ref().row_bytes(reader.position().byte());
        if has_open_quote(trim_start(strip_mark(bytes)), separator) {
            return Err(CsvError::HeaderQuote);
        }
        // Names of columns may hold line breaks, and none of the characters that control a device.
        let controls = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
        if record.as_slice().iter().any(controls) {
            return Err(CsvError::NoText(
                "no text: its header has control characters; save the table as CSV",
            ));
        }
        Ok(Self {
            reader,
            header: CsvHeader::new(&record, separator),
            is_plain,
            row: 0,
            start: 0,
            decoded: None,
        })
    }

    /// Reads on in a file after `row` rows; `from` begins at byte `start`, which [`Self::position`] told.
    pub fn resume(from: Box<dyn Read>, header: CsvHeader, row: u64, start: u64) -> Self {
        // A blank line first: the mark that a file may begin with is a part of the value here.
        let from = Box::new(Cursor::new(b"\n").chain(from));
        Self {
            reader: build_reader(from, header.separator),
            header,
            is_plain: true,
            row,
            start: start.saturating_sub(1),
            decoded: None,
        }
    }

    /// The header.
    pub fn header(&self) -> &CsvHeader {
        &self.header
    }

    /// Whether the file can be read on from any [`Self::position`]: it is neither packed nor converted.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The offset in bytes, of the text, at which the next row begins.
    pub fn position(&self) -> u64 {
        self.start + self.reader.position().byte()
    }

    /// The rows that were read as Windows-1252 until now.
    pub fn decoded_rows(&self) -> Option<DecodedRows> {
        self.decoded
    }

    /// Reads the next row; `None` at the end.
    ///
    /// # Errors
    /// [`CsvError`]; a row that can be told from the others is no error, but a [`BrokenRow`].
    pub fn read_row(&mut self) -> Result<Option<CsvRow>, CsvError> {
        let begin = self.reader.position().byte();
        self.reader.get_mut().begin_row(begin);
        let mut record = ByteRecord::new();
        let read = self.reader.read_byte_record(&mut record);
        if !read.map_err(|error| convert_csv_error(error, self.row + 1))? {
            return Ok(None);
        }
        self.row += 1;
        let (fields, is_utf_8) = decode_fields(record);
        if !is_utf_8 {
            let first = self.row;
            let decoded = self.decoded.get_or_insert(DecodedRows { count: 0, first });
            decoded.count += 1;
        }
        Ok(Some(CsvRow {
            number: self.row,
            content: self.check_fields(fields),
        }))
    }

    /// Whether the row that was just read has the header's fields.
    fn check_fields(&self, fields: StringRecord) -> Result<StringRecord, BrokenRow> {
        let bytes = self
            .reader
            .get_ref()
            .row_bytes(self.reader.position().byte());
        let header = self.header.names.len();
        let fault = if memchr::memchr(b'"', bytes).is_some()
            && has_open_quote(trim_start(bytes), self.header.separator)
        {
            RowFault::OpenQuote
        } else if fields.len() == header {
            return Ok(fields);
        } else {
            let fields = fields.len();
            RowFault::FieldCount { fields, header }
        };
        let end = bytes.iter().rposition(|byte| !is_line_end(*byte));
        let bytes = &bytes[..end.map_or(0, |end| end + 1)];
        Err(BrokenRow {
            fault,
            fields,
            bytes: trim_start(bytes).to_vec(),
        })
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The bytes of a row without the ends of lines before it: those of blank lines, and what is left of `\r\n`.
fn trim_start(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().position(|byte| !is_line_end(*byte));
    &bytes[begin.unwrap_or(bytes.len())..]
}

fn build_reader(from: Box<dyn Read>, separator: u8) -> Reader<KeptBytes> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(KeptBytes::new(from))
}

/// Bytes are read with any number of fields, so that only their source can fail.
fn convert_csv_error(error: csv::Error, row: u64) -> CsvError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => CsvError::from_io(error, row),
        kind => CsvError::Source(std::io::Error::other(format!("{kind:?}"))),
    }
}
