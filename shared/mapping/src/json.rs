//! Parses JSON from untrusted senders: the number of values is limited, numbers stay exact, and invalid text makes one
//! member unreadable instead of the whole record.
//!
//! One pass over the text, before `serde_json` builds anything, does three things:
//!
//! - **It counts values.** A value of one byte takes up to 100 bytes of memory, so limiting the bytes is not enough.
//! - **It keeps large numbers exact.** `serde_json` would round a whole number beyond 64 bits to a floating-point number,
//!   so that two ids could become one. Such a number becomes a string of the same digits, and so does a number beyond the
//!   range of a 64-bit floating-point number.
//! - **It marks invalid text.** Bytes that are not UTF-8, and halves of a surrogate pair, become [`BROKEN`]. Code that
//!   reads the member refuses it.

use std::borrow::Cow;

use memchr::memchr2;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use thiserror::Error;

/// The most JSON values in a record; the name of a member counts as one.
pub const MAX_VALUES: usize = 100_000;
/// How deeply JSON may be nested; the limit of `serde_json` is one level deeper.
pub const MAX_DEPTH: usize = 127;
/// Replaces invalid text. Unicode guarantees that this code point is never a character (Unicode 16.0, 23.7).
pub const BROKEN: char = '\u{FDD0}';
/// The byte order mark of UTF-8, which some senders put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Why a text was not read as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonError {
    /// It has too many values.
    #[error("the payload holds more than {MAX_VALUES} JSON values; at most {MAX_VALUES} are read")]
    TooManyValues,
    /// It is nested too deeply.
    #[error(
        "the payload is JSON nested more than {MAX_DEPTH} deep; at most {MAX_DEPTH} levels are read"
    )]
    TooDeep,
    /// It is not JSON.
    #[error("the payload is not JSON: {0}")]
    NotJson(String),
}

/// Parses a JSON text of at most [`MAX_VALUES`] values.
///
/// # Errors
/// [`JsonError`], which distinguishes text that is not JSON from JSON that is too large.
pub fn parse_json(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_at_most(bytes, MAX_VALUES)
}

/// Checks that [`parse_json`] would accept a text, without building a value.
///
/// # Errors
/// [`JsonError`].
pub fn check_json(bytes: &[u8]) -> Result<(), JsonError> {
    let text = mark_broken_bytes(bytes);
    let text = JsonScan::new(&text, MAX_VALUES).run()?;
    serde_json::from_str::<IgnoredAny>(&text)
        .map(drop)
        .map_err(|error| JsonError::NotJson(error.to_string()))
}

/// Parses the event of an invocation. A batch or a list may have any number of values, a single order at most
/// [`MAX_VALUES`].
///
/// # Errors
/// [`JsonError`].
pub fn parse_event(bytes: &[u8]) -> Result<Value, JsonError> {
    /// Finds out whether there is a member `Records`, without building it.
    #[derive(Deserialize)]
    struct BatchMarker {
        #[serde(rename = "Records", default)]
        records: Option<IgnoredAny>,
    }
    let is_batch = trim_text(bytes).starts_with(b"[")
        || serde_json::from_slice::<BatchMarker>(bytes)
            .is_ok_and(|marker| marker.records.is_some());
    parse_at_most(bytes, if is_batch { usize::MAX } else { MAX_VALUES })
}

/// Parses what was stored, such as the event of an invocation that failed, with any number of values.
///
/// # Errors
/// [`JsonError`].
pub fn parse_stored(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_at_most(bytes, usize::MAX)
}

fn parse_at_most(bytes: &[u8], max_values: usize) -> Result<Value, JsonError> {
    let text = mark_broken_bytes(bytes);
    let text = JsonScan::new(&text, max_values).run()?;
    serde_json::from_str(&text).map_err(|error| JsonError::NotJson(error.to_string()))
}

/// A text without a byte order mark and white space around it.
pub(crate) fn trim_text(bytes: &[u8]) -> &[u8] {
    let mut text = bytes.trim_ascii();
    // Files that were put together from others have several.
    while let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK) {
        text = rest.trim_ascii();
    }
    text
}

/// Where the object ends with which a text begins, if its brackets and quotation marks match. What is inside is not
/// checked.
pub(crate) fn end_of_object(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            b'"' => loop {
                at += memchr2(b'"', b'\\', text.get(at..)?)? + 1;
                if text[at - 1] == b'"' {
                    break;
                }
                // What is escaped does not end the string.
                at += 1;
            },
            _ => {}
        }
    }
    None
}

/// The text, with [`BROKEN`] in place of each sequence that is not UTF-8.
pub(crate) fn mark_broken_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(BROKEN);
        }
    }
    Cow::Owned(text)
}

/// One pass over a JSON text. It leaves invalid JSON unchanged, because the parser that follows reports it.
struct JsonScan<'a> {
    text: &'a str,
    max_values: usize,
    values: usize,
    depth: usize,
    /// The text up to `copied_to` with replacements; empty as long as nothing was replaced.
    copy: String,
    copied_to: usize,
}

impl<'a> JsonScan<'a> {
    fn new(text: &'a str, max_values: usize) -> Self {
        Self {
            text,
            max_values,
            values: 0,
            depth: 0,
            copy: String::new(),
            copied_to: 0,
        }
    }

    fn run(mut self) -> Result<Cow<'a, str>, JsonError> {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => at = self.scan_string(at + 1),
                b'-' | b'0'..=b'9' => at = self.scan_number(at),
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(JsonError::TooDeep);
                    }
                    self.count_value()?;
                    at += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    at += 1;
                }
                b',' | b':' => {
                    self.count_value()?;
                    at += 1;
                }
                _ => at += 1,
            }
        }
        if self.copied_to == 0 {
            return Ok(Cow::Borrowed(self.text));
        }
        self.copy.push_str(&self.text[self.copied_to..]);
        Ok(Cow::Owned(self.copy))
    }

    fn count_value(&mut self) -> Result<(), JsonError> {
        self.values += 1;
        if self.values > self.max_values {
            return Err(JsonError::TooManyValues);
        }
        Ok(())
    }

    /// Replaces a part of the text by `with`.
    fn replace(&mut self, from: usize, to: usize, with: &[&str]) {
        self.copy.push_str(&self.text[self.copied_to..from]);
        for part in with {
            self.copy.push_str(part);
        }
        self.copied_to = to;
    }

    /// Scans a string whose content begins at `at`; returns the index after it.
    fn scan_string(&mut self, mut at: usize) -> usize {
        let bytes = self.text.as_bytes();
        while let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) {
            at += found;
            if bytes[at] == b'"' {
                return at + 1;
            }
            at = match read_surrogate(&bytes[at..]) {
                Some(Surrogate::Pair) => at + 12,
                Some(Surrogate::Half) => {
                    self.replace(at, at + 6, &[BROKEN.encode_utf8(&mut [0; 4])]);
                    at + 6
                }
                None => (at + 2).min(bytes.len()),
            };
        }
        bytes.len()
    }

    /// Scans a number that begins at `at`; returns the index after it.
    fn scan_number(&mut self, at: usize) -> usize {
        let rest = &self.text[at..];
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let number = &rest[..length];
        if is_number(number) && !fits_64_bits(number) {
            self.replace(at, at + length, &["\"", number, "\""]);
        }
        at + length
    }
}

enum Surrogate {
    Pair,
    Half,
}

/// Whether an escape sequence is one half of a surrogate pair, and whether the other half follows.
fn read_surrogate(escape: &[u8]) -> Option<Surrogate> {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let digits = std::str::from_utf8(digits).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(0)? {
        0xD800..=0xDBFF if unit(6).is_some_and(|low| (0xDC00..=0xDFFF).contains(&low)) => {
            Some(Surrogate::Pair)
        }
        0xD800..=0xDFFF => Some(Surrogate::Half),
        _ => None,
    }
}

/// Whether a text is a valid JSON number (RFC 8259, section 6).
fn is_number(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent
            .is_none_or(|exponent| is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// Whether `serde_json` keeps a number: a whole number exactly, any other number within the range of an `f64`.
fn fits_64_bits(number: &str) -> bool {
    // The longest 64-bit integers have 19 and 20 digits.
    if number.len() < 19 {
        return !number.contains(['e', 'E']) || number.parse::<f64>().is_ok_and(f64::is_finite);
    }
    if number.contains(['.', 'e', 'E']) {
        return number.parse::<f64>().is_ok_and(f64::is_finite);
    }
    number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &[u8], want: &str) {
        let got = match parse_json(text) {
            Ok(value) => value.to_string().replace(BROKEN, "<broken>"),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, want);
    }

    #[test]
    fn numbers_beyond_64_bits_keep_their_digits() {
        check(
            b"[18446744073709551615,-9223372036854775808]",
            "[18446744073709551615,-9223372036854775808]",
        );
        check(b"[18446744073709551616]", r#"["18446744073709551616"]"#);
        check(b"[-9223372036854775809]", r#"["-9223372036854775809"]"#);
        check(
            b"{\"id\":4200000123202401011234567890}",
            r#"{"id":"4200000123202401011234567890"}"#,
        );
        check(b"[1e400,-1e400,1e4]", r#"["1e400","-1e400",10000.0]"#);
        check(b"[0.30000000000000004]", "[0.30000000000000004]");
        check(
            br#"["18446744073709551616"]"#,
            r#"["18446744073709551616"]"#,
        );
        check(
            b"[000000000000000000000000001]",
            "error: the payload is not JSON: invalid number at line 1 column 3",
        );
    }

    #[test]
    fn where_an_object_ends() {
        for (text, want) in [
            ("{}", Some(2)),
            (r#"{"a":{"b":"}"}} x"#, Some(15)),
            (r#"{"a":"\"}"}{}"#, Some(11)),
            (r#"{"a":"\\"}{}"#, Some(10)),
            ("{", None),
            (r#"{"a"#, None),
            (r#"{"a\"#, None),
            ("", None),
        ] {
            assert_eq!(end_of_object(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn broken_text_is_marked() {
        check(
            b"{\"a\":\"M\xfcller\",\"b\":1}",
            r#"{"a":"M<broken>ller","b":1}"#,
        );
        check(
            br#"["\ud83d\ude00","\ud83d","\ude00\ud83d","\\ud83d"]"#,
            "[\"\u{1F600}\",\"<broken>\",\"<broken><broken>\",\"\\\\ud83d\"]",
        );
        check(
            b"\xff",
            "error: the payload is not JSON: expected value at line 1 column 1",
        );
    }

    #[test]
    fn what_is_legal_json_is_not_called_otherwise() {
        let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_json(deep(MAX_DEPTH).as_bytes()).is_ok());
        check(
            deep(MAX_DEPTH + 1).as_bytes(),
            "error: the payload is JSON nested more than 127 deep; at most 127 levels are read",
        );
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        check(
            many.as_bytes(),
            "error: the payload holds more than 100000 JSON values; at most 100000 are read",
        );
        check(
            b"{\"a\":",
            "error: the payload is not JSON: EOF while parsing a value at line 1 column 5",
        );
        check(
            b"{\"a\":\"x\\",
            "error: the payload is not JSON: EOF while parsing a string at line 1 column 8",
        );
    }

    #[test]
    fn a_batch_may_hold_more_values_than_an_order() {
        let many = "0,".repeat(MAX_VALUES);
        let event = |name: &str| parse_event(format!("{{\"{name}\":[{many}0]}}").as_bytes());
        assert!(event("Records").is_ok());
        assert_eq!(event("items"), Err(JsonError::TooManyValues));
        assert!(parse_event(format!("[{many}0]").as_bytes()).is_ok());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..8).prop_map(|members| {
                    members
                        .into_iter()
                        .collect::<serde_json::Map<_, _>>()
                        .into()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn ordinary_json_is_read_as_serde_json_reads_it(value in any_json()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let want: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(parse_json(text.as_bytes()), Ok(want));
            }
        }

        #[test]
        fn whole_numbers_of_any_length_keep_their_digits(digits in "[1-9][0-9]{0,60}") {
            let value = parse_json(format!("[{digits}]").as_bytes()).unwrap();
            let text = value[0].as_str().map_or_else(|| value[0].to_string(), str::to_owned);
            prop_assert_eq!(text, digits);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_json(&bytes);
        }
    }
}
