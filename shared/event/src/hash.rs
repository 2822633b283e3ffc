//! Hashes and bytes as hexadecimal text.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The bytes as lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The first 16 hexadecimal digits of the SHA-256 of `bytes`.
pub fn short_hash(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes)[..8])
}
