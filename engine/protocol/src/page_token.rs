//! `nextToken`: where the next page starts.
//!
//! A token is opaque, belongs to one operation with one set of filters, and is valid for 24 hours. Its checksum detects
//! tokens that were truncated, edited or taken from another request. It is no signature: a token gives access only to
//! what its owner can request anyway.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// How long a token is valid.
pub const LIFETIME_SECONDS: i64 = 24 * 60 * 60;
const CHECKSUM_BYTES: usize = 12;
const EXPIRY_BYTES: usize = 8;

/// What a token is bound to: an operation, and the members of the request that select rows.
#[derive(Clone, Debug)]
pub struct TokenScope(String);

impl TokenScope {
    /// The scope of an operation with these filters.
    pub fn new(operation: &str, filters: &impl Serialize) -> Self {
        let filters = serde_json::to_string(filters).unwrap_or_default();
        Self(format!("{operation}\n{filters}"))
    }
}

/// Writes a token for `cursor`.
///
/// # Errors
/// [`crate::ErrorCode::InternalServer`] if the cursor cannot be written as JSON.
pub fn encode_page_token(
    scope: &TokenScope,
    cursor: &impl Serialize,
    now: Timestamp,
) -> Result<String> {
    let cursor = serde_json::to_vec(cursor).map_err(Error::internal)?;
    let expiry = (now.as_second() + LIFETIME_SECONDS).to_be_bytes();
    let mut bytes = Vec::with_capacity(CHECKSUM_BYTES + EXPIRY_BYTES + cursor.len());
    bytes.extend_from_slice(&compute_checksum(scope, &expiry, &cursor));
    bytes.extend_from_slice(&expiry);
    bytes.extend_from_slice(&cursor);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Reads the cursor of a token, or `None` where the request has no token.
///
/// # Errors
/// A `ValidationException` if it does not belong to this request, or has expired.
pub fn decode_page_token<C: DeserializeOwned>(
    scope: &TokenScope,
    token: Option<&str>,
    now: Timestamp,
) -> Result<Option<C>> {
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return Ok(None);
    };
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| invalid_token_error())?;
    let (sum, rest) = bytes
        .split_at_checked(CHECKSUM_BYTES)
        .ok_or_else(invalid_token_error)?;
    let (expiry, cursor) = rest
        .split_first_chunk::<EXPIRY_BYTES>()
        .ok_or_else(invalid_token_error)?;
    if compute_checksum(scope, expiry, cursor) != sum {
        return Err(invalid_token_error());
    }
    if i64::from_be_bytes(*expiry) < now.as_second() {
        return Err(Error::validation(
            "Invalid nextToken: it has expired. Tokens live 24 hours.",
        ));
    }
    serde_json::from_slice(cursor)
        .map(Some)
        .map_err(|_| invalid_token_error())
}

fn invalid_token_error() -> Error {
    Error::validation("Invalid nextToken: it does not belong to this request.")
}

fn compute_checksum(scope: &TokenScope, expiry: &[u8], cursor: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hash = Sha256::new();
    hash.update(scope.0.as_bytes());
    hash.update(b"\n");
    hash.update(expiry);
    hash.update(cursor);
    let digest = hash.finalize();
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read(scope: &TokenScope, token: &str, now: i64) -> Result<Option<String>> {
        decode_page_token(scope, Some(token), at(now))
    }

    #[test]
    fn a_token_brings_back_its_cursor() {
        let scope = TokenScope::new("GetLabels", &("name", 7));
        let token = encode_page_token(&scope, &"fraud", at(0)).unwrap();
        assert_eq!(read(&scope, &token, 60).unwrap().as_deref(), Some("fraud"));
        assert_eq!(
            decode_page_token::<String>(&scope, None, at(0)).unwrap(),
            None
        );
    }

    #[test]
    fn foreign_forged_and_old_tokens_are_refused() {
        let scope = TokenScope::new("GetLabels", &"a");
        let token = encode_page_token(&scope, &"fraud", at(0)).unwrap();
        for other in [
            TokenScope::new("GetLabels", &"b"),
            TokenScope::new("GetRules", &"a"),
        ] {
            assert!(read(&other, &token, 0).is_err());
        }
        for forged in ["10", "x", &token[1..], &format!("{token}AA"), "ü"] {
            let error = read(&scope, forged, 0).unwrap_err();
            assert!(error.message().starts_with("Invalid nextToken"), "{forged}");
        }
        let late = read(&scope, &token, LIFETIME_SECONDS + 1).unwrap_err();
        assert!(late.message().contains("expired"));
    }
}
