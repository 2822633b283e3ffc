//! The fields of a row as text.

use std::borrow::Cow;

use csv::{ByteRecord, StringRecord};
use encoding_rs::WINDOWS_1252;

/// Bytes as text: UTF-8, or else Windows-1252, of which Latin-1 is a part.
pub(crate) fn decode_bytes(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// The fields as text, and whether all of them were UTF-8.
pub(crate) fn decode_fields(record: ByteRecord) -> (StringRecord, bool) {
    match StringRecord::from_byte_record(record) {
        Ok(fields) => (fields, true),
        Err(error) => {
            let record = error.into_byte_record();
            (record.iter().map(decode_bytes).collect(), false)
        }
    }
}
