//! Makes a readable identifier from any text.
//!
//! The result is a key in stored data, so nothing here may ever change: only ASCII is lower-cased,
//! because Unicode's tables grow from release to release.

use sha2::{Digest as _, Sha256};

use crate::hash::to_hex;
use crate::limits::IDENTIFIER_CHARACTERS;

/// 80 bits: at a billion texts the odds of any collision are below one in a million.
const HASH_BYTES: usize = 10;

/// What is left for the readable part beside a dash and two hex digits a byte.
const READABLE_CHARACTERS: usize = IDENTIFIER_CHARACTERS - 1 - 2 * HASH_BYTES;

/// The readable part, a dash, and a hash of the original; the hash alone if nothing is readable.
pub(crate) fn make_slug(original: &str) -> String {
    let mut slug = make_readable_part(original);
    if !slug.is_empty() {
        slug.push('-');
    }
    slug.push_str(&to_hex(&Sha256::digest(original.as_bytes())[..HASH_BYTES]));
    slug
}

/// Lower-cased, every other character a dash, dashes neither doubled nor at an end, cut to length.
fn make_readable_part(original: &str) -> String {
    let mut text = String::with_capacity(IDENTIFIER_CHARACTERS);
    for c in original.chars().map(|c| c.to_ascii_lowercase()) {
        if text.len() == READABLE_CHARACTERS {
            break;
        }
        match c {
            '0'..='9' | 'a'..='z' | '_' => text.push(c),
            _ if text.is_empty() || text.ends_with('-') => {}
            _ => text.push('-'),
        }
    }
    text.truncate(text.trim_end_matches('-').len());
    text
}
