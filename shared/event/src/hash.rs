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

/// The bytes of hexadecimal digits, as [`to_hex`] writes them; `None` if the text is not of that form.
pub fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_become_the_bytes_that_they_were() {
        for (text, want) in [
            ("", Some(vec![])),
            ("00ff7a", Some(vec![0, 255, 122])),
            ("0", None),
            ("0g", None),
            ("é", None),
        ] {
            assert_eq!(parse_hex(text), want, "{text}");
            assert!(want.is_none_or(|bytes| to_hex(&bytes) == text));
        }
    }
}
