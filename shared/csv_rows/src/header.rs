//! The first line of a file: the separator and the names of the columns.

use csv::ByteRecord;

use crate::fields::decode_bytes;

/// Possible separators between fields.
const SEPARATORS: [u8; 4] = *b",;\t|";
/// The byte order mark of UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// The header of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvHeader {
    /// The names of the columns, without space around them.
    pub names: Vec<String>,
    pub(crate) separator: u8,
}

impl CsvHeader {
    /// Reads the names in the first record of a file.
    pub(crate) fn new(record: &ByteRecord, separator: u8) -> Self {
        let name = |field| {
            let name = decode_bytes(field);
            name.trim_start_matches('\u{feff}').trim().to_owned()
        };
        Self {
            names: record.iter().map(name).collect(),
            separator,
        }
    }

    /// The names that more than one column has. Which of them is meant cannot be told.
    pub fn find_repeated_names(&self) -> Vec<&str> {
        let mut repeated = Vec::new();
        for (place, name) in self.names.iter().enumerate() {
            if self.names[..place].contains(name) && !repeated.contains(&name.as_str()) {
                repeated.push(name.as_str());
            }
        }
        repeated
    }
}

/// The separator that is most frequent in the first line; the comma if there is none.
pub(crate) fn find_separator(head: &[u8]) -> u8 {
    let mut counts = [0_usize; SEPARATORS.len()];
    let mut quoted = false;
    let head = strip_mark(head);
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    for byte in head.iter().skip_while(|byte| is_end(byte)) {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            byte if is_end(byte) => break,
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

/// The beginning of a file without its byte order mark.
pub(crate) fn strip_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(MARK).unwrap_or(head)
}
