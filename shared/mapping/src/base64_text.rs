//! Base64 as senders write it: standard or URL-safe, with or without padding, in one line or in several.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::failure::Failure;
use crate::json;

/// How gzip begins (RFC 1952, 2.3.1).
pub(crate) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// How gzip begins in base64: the first bytes, the method deflate, and no flags.
const GZIP_MAGIC_IN_BASE64: &[u8] = b"H4sI";
/// How often a text may be base64 of base64.
const MAX_REPEATS: usize = 5;

/// Decodes base64 whether it is padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes that a text without white space at its ends stands for; `None` if it is not base64 of something that can be
/// opened: gzip, a JSON object, list or text, or base64 of it. Without this condition, many a word would count as base64.
///
/// # Errors
/// [`Failure::Rejected`] if the text begins as gzip in base64 does and is no base64.
pub(crate) fn decode_openable_base64(text: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let decoded = decode_base64_text(text);
    if decoded.is_none() && text.starts_with(GZIP_MAGIC_IN_BASE64) {
        let reason = "the payload begins like gzip in base64 and is no base64";
        return Err(Failure::rejected("bad-gzip", reason));
    }
    Ok(decoded.filter(|decoded| can_be_opened(decoded)))
}

/// The bytes of a base64 text in any spelling.
pub(crate) fn decode_base64_text(text: &[u8]) -> Option<Vec<u8>> {
    let mut standard = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'-' => standard.push(b'+'),
            b'_' => standard.push(b'/'),
            byte if byte.is_ascii_whitespace() => {}
            byte => standard.push(*byte),
        }
    }
    BASE64.decode(standard).ok()
}

fn can_be_opened(decoded: &[u8]) -> bool {
    let mut decoded = decoded.to_vec();
    for _ in 0..MAX_REPEATS {
        if decoded.starts_with(&GZIP_MAGIC) {
            return true;
        }
        let text = json::trim_text(&decoded);
        let is_json_text = text.len() > 1 && text.starts_with(b"\"") && text.ends_with(b"\"");
        if text.starts_with(b"{") || text.starts_with(b"[") || is_json_text {
            return true;
        }
        match decode_base64_text(text) {
            Some(inner) if !inner.is_empty() => decoded = inner,
            _ => return false,
        }
    }
    false
}
