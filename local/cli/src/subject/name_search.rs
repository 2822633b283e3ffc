//! Searches for names in bytes that the mapping cannot read: plain, escaped as in JSON, compressed, in
//! base64, or nested in each other; also if the bytes are cut short.

use std::collections::BTreeSet;
use std::io::Read as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use shared::records::MAX_PAYLOAD_BYTES;

/// How deep one form may be nested in another.
const DEPTH: usize = 6;
/// Shorter text of base64's characters is taken as words.
const SHORTEST_BASE64: usize = 16;
/// A shorter name counts only between quotes, because any text may contain it.
const SHORTEST_NAME: usize = 6;

/// Whether `bytes` contain one of `names`, which are in lower case.
pub(crate) fn is_any_in(names: &BTreeSet<String>, bytes: &[u8]) -> bool {
    matches_decoded(bytes, DEPTH, &|text| {
        names.iter().any(|name| contains_whole(name, text))
    })
}

/// Whether JSON contains one of `names`: in its text, or as a whole value. A short number counts only
/// as a whole value.
pub(crate) fn is_any_in_json(names: &BTreeSet<String>, value: &Value) -> bool {
    is_any_in(names, value.to_string().as_bytes()) || is_any_value(names, value, DEPTH)
}

/// The fewest digits of a number that may be an id.
const SHORTEST_NUMBER: usize = 4;

/// Whether a value in JSON, also in JSON inside a text, is one of `names`.
fn is_any_value(names: &BTreeSet<String>, value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|v| is_any_value(names, v, depth)),
        Value::Object(members) => members.values().any(|v| is_any_value(names, v, depth)),
        // A short number is as likely a quantity or a price as an id.
        Value::Number(number) => {
            let text = number.to_string();
            text.len() >= SHORTEST_NUMBER && names.contains(&text)
        }
        Value::String(text) => {
            names.contains(&text.trim().to_lowercase())
                || (depth > 0
                    && text.trim_start().starts_with(['{', '['])
                    && serde_json::from_str(text)
                        .is_ok_and(|inner| is_any_value(names, &inner, depth - 1)))
        }
        Value::Null | Value::Bool(_) => false,
    }
}

/// Calls `is_it` with every text, in lower case, that `bytes` can be decoded to.
fn matches_decoded(bytes: &[u8], depth: usize, is_it: &dyn Fn(&str) -> bool) -> bool {
    if bytes.is_empty() || depth == 0 {
        return false;
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return matches_decoded(&gunzip(bytes), depth - 1, is_it);
    }
    let text = String::from_utf8_lossy(bytes);
    if is_it(&text.to_lowercase()) {
        return true;
    }
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
    let runs = text.split(|c: char| !is_base64(c));
    let mut decoded = runs.filter_map(unbase64);
    if decoded.any(|bytes| matches_decoded(&bytes, depth - 1, is_it)) {
        return true;
    }
    let plain = unescape(&text);
    plain != text && matches_decoded(plain.as_bytes(), depth - 1, is_it)
}

/// Decompresses as much as possible, also of a file that is cut short or damaged.
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let limit = MAX_PAYLOAD_BYTES as u64;
    // What was read before an error stays in `plain`.
    let _ = MultiGzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut plain);
    plain
}

/// Decodes base64, if the result is text or compressed. Incomplete characters at the end are left out.
fn unbase64(run: &str) -> Option<Vec<u8>> {
    if run.len() < SHORTEST_BASE64 {
        return None;
    }
    // One character of a group of four does not make a byte.
    let whole = run.get(..run.len() - usize::from(run.len() % 4 == 1))?;
    let alphabet = if whole.contains(['-', '_']) {
        &alphabet::URL_SAFE
    } else {
        &alphabet::STANDARD
    };
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(alphabet, config).decode(whole).ok()?;
    let is_text = match std::str::from_utf8(&bytes) {
        Ok(_) => true,
        // Only the last character is cut.
        Err(error) => error.error_len().is_none(),
    };
    (is_text || bytes.starts_with(&[0x1f, 0x8b])).then_some(bytes)
}

/// Replaces the escapes of JSON strings, once.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        plain.push_str(before);
        let (character, length) = escaped(escape);
        plain.push(character);
        rest = escape.get(length..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// The character that an escape stands for, and the length of the escape.
fn escaped(escape: &str) -> (char, usize) {
    let unit = |from: usize| {
        let digits = escape.get(from..from + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    if let Some(first) = unit(0) {
        let single = [first];
        if let Some(Ok(character)) = char::decode_utf16(single).next() {
            return (character, 6);
        }
        let pair = [first, unit(6).unwrap_or_default()];
        return match char::decode_utf16(pair).next() {
            Some(Ok(character)) => (character, 12),
            _ => (char::REPLACEMENT_CHARACTER, 6),
        };
    }
    match escape.chars().nth(1) {
        Some('n' | 'r' | 't' | 'b' | 'f') => (' ', 2),
        Some(character) => (character, 1 + character.len_utf8()),
        None => ('\\', 1),
    }
}

/// Whether `text` contains `name` as a whole, and not as a part of a longer name.
fn contains_whole(name: &str, text: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    let is_short = name.len() < SHORTEST_NAME;
    let is_part = |c: char| c.is_alphanumeric() || "-_".contains(c);
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default().chars().next_back();
        let mut after = text.get(at + name.len()..).unwrap_or_default().chars();
        let (after, next) = (after.next(), after.next());
        if is_short {
            // If the text is cut short, the closing quote may be missing.
            return before == Some('"') && after.is_none_or(|c| c == '"' || c == '\\');
        }
        let goes_on = after == Some('.') && next.is_some_and(is_part);
        let is_begun = before.is_some_and(|c| is_part(c) || c == '.');
        !is_begun && !goes_on && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn is_in(name: &str, bytes: &[u8]) -> bool {
        is_any_in(&BTreeSet::from([name.to_owned()]), bytes)
    }

    #[test]
    fn names_in_plain_text() {
        for (name, text, want) in [
            ("forget-1", r#"{"order_id":"FORGET-1","cut"#, true),
            ("forget-1", r#"{"order_id":"FORGET-10"}"#, false),
            ("forget-1", "xforget-1", false),
            ("jo@example.com", r#""JO\u0040example.com""#, true),
            (
                "jo@example.com",
                r#"{"body":"{\"email\":\"jo\\u0040example.com\"#,
                true,
            ),
            ("jo@example.com", "mary.jo@example.com", false),
            ("jo@example.com", "jo@example.com.au", false),
            ("jo@example.com", "Mail to jo@example.com.", true),
            ("zoë@example.com", r"ZO\u00cb@example.com", true),
            ("7", "17 of 7", false),
            ("7", r#"{"id":"7","x"#, true),
            ("7", r#"{"body":"{\"id\":\"7\"}"}"#, true),
            ("a/b/c/d", r#""a\/b\/c\/d""#, true),
            ("", "anything", false),
        ] {
            assert_eq!(is_in(name, text.as_bytes()), want, "{name} in {text}");
        }
    }

    #[test]
    fn short_numbers_are_names_where_they_are_a_value_of_json() {
        for (name, text, want) in [
            ("12345", r#"{"order_id":12345,"total":"no"}"#, true),
            ("12345", r#"{"body":"{\"order_id\": 12345}"}"#, true),
            ("12345", r#"[{"id":" 12345 "}]"#, true),
            ("12345", r#"{"order_id":123456}"#, false),
            ("7", r#"{"quantity":7}"#, false),
            ("7", r#"{"id":"7"}"#, true),
            ("12345", r#"{"note":"12345 Main St"}"#, false),
            ("forget-1", r#"{"note":"about FORGET-1"}"#, true),
        ] {
            let names = BTreeSet::from([name.to_owned()]);
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(is_any_in_json(&names, &value), want, "{name} in {text}");
        }
    }

    #[test]
    fn names_in_other_forms() {
        let text = format!("{}{}", "some order of FORGET-1 and ", "x".repeat(100));
        let plain = text.as_bytes();
        let in_text = STANDARD.encode(plain);
        let zipped = gzip(plain);
        let both = STANDARD.encode(&zipped);
        let envelope = format!(r#"{{"kinesis":{{"data":"{both}"}}"#);
        for (form, bytes) in [
            ("base64", in_text.clone().into_bytes()),
            ("base64 cut short", in_text.as_bytes()[..61].to_vec()),
            ("gzip", zipped.clone()),
            ("gzip cut short", zipped[..zipped.len() - 9].to_vec()),
            ("gzip in base64", both.clone().into_bytes()),
            ("inside an envelope", envelope.into_bytes()),
            ("gzip in gzip", gzip(&zipped)),
        ] {
            assert!(is_in("forget-1", &bytes), "{form}");
            assert!(!is_in("forget-2", &bytes), "{form}");
        }
    }
}
