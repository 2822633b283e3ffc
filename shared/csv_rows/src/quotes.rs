//! Finds a quotation mark that is never closed.

/// Whether the bytes of a row end within quotation marks, which only the end of the file can cause.
pub(crate) fn has_open_quote(row: &[u8], separator: u8) -> bool {
    let mut quoted = false;
    let mut field_begins = true;
    let mut bytes = row.iter().peekable();
    while let Some(byte) = bytes.next() {
        match (quoted, *byte) {
            // Two marks within a quoted field stand for one.
            (true, b'"') if bytes.peek() == Some(&&b'"') => {
                bytes.next();
            }
            (true, b'"') => quoted = false,
            (false, b'"') if field_begins => quoted = true,
            _ => {}
        }
        field_begins = !quoted && *byte == separator;
    }
    quoted
}
