//! The text of a file: unpacked from gzip, and in UTF-8 where a byte order mark says UTF-16.

use std::fmt;
use std::io::{self, Cursor, Read};

use encoding_rs_io::DecodeReaderBytes;
use flate2::read::MultiGzDecoder;

const GZIP: &[u8] = b"\x1f\x8b";
/// The byte order marks of UTF-16.
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// The text of a file.
pub struct TextReader {
    from: Box<dyn Read>,
    is_plain: bool,
}

impl TextReader {
    /// Whether the text is the file's bytes as they are.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }
}

impl Read for TextReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from.read(buffer)
    }
}

/// Unpacks gzip and converts UTF-16, both known by a file's first bytes. Everything else stays as it is, also a byte order
/// mark of UTF-8.
///
/// # Errors
/// The first bytes cannot be read.
pub fn open_text(from: Box<dyn Read>) -> io::Result<TextReader> {
    let (begin, from) = peek_begin(from)?;
    let is_packed = begin.starts_with(GZIP);
    let (begin, from) = if is_packed {
        peek_begin(Box::new(Unpacked(MultiGzDecoder::new(from))))?
    } else {
        (begin, from)
    };
    // Four bytes like these are the mark of UTF-32.
    let is_wide = begin.starts_with(UTF_16[0]) && begin.ends_with(&[0, 0]);
    let is_utf_16 = UTF_16.iter().any(|mark| begin.starts_with(mark)) && !is_wide;
    let from: Box<dyn Read> = if is_utf_16 {
        Box::new(DecodeReaderBytes::new(from))
    } else {
        from
    };
    Ok(TextReader {
        from,
        is_plain: !is_packed && !is_utf_16,
    })
}

/// The first four bytes, and a reader that gives them again.
fn peek_begin(mut from: Box<dyn Read>) -> io::Result<(Vec<u8>, Box<dyn Read>)> {
    let mut begin = Vec::new();
    from.by_ref().take(4).read_to_end(&mut begin)?;
    let again = Box::new(Cursor::new(begin.clone()).chain(from));
    Ok((begin, again))
}

/// Tells what is wrong with packed bytes from what is wrong with their source.
struct Unpacked<R>(R);

#[derive(Debug)]
pub(crate) struct BrokenPacking(pub(crate) io::Error);

impl fmt::Display for BrokenPacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what gzip packed cannot be unpacked: {}", self.0)
    }
}

impl std::error::Error for BrokenPacking {}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof => io::Error::other(BrokenPacking(error)),
            _ => error,
        })
    }
}
