//! What the readers of all kinds of values share: the result that they fill, and small measures.

use crate::hash::hash_bytes;

/// What is read of one value. A key that the value does not have is 0.
#[derive(Debug, Default)]
pub(crate) struct ReadValue {
    /// The numbers, in the order of [`Reading::numbers`](super::Reading::numbers).
    pub numbers: Vec<f64>,
    /// The keys, in the order of [`Reading::levels`](super::Reading::levels).
    pub keys: Vec<u64>,
}

#[expect(clippy::cast_precision_loss, reason = "lengths of values")]
pub(super) fn count_to_f64(number: usize) -> f64 {
    number as f64
}

pub(super) fn flag_to_f64(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// The share of a part in the whole; 0 of nothing.
pub(super) fn compute_share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        count_to_f64(part) / count_to_f64(whole)
    }
}

/// Shannon entropy of the first 1,024 bytes, in bits a byte.
pub(super) fn compute_entropy(text: &str) -> f64 {
    let mut counts = [0_u16; 256];
    for byte in text.bytes().take(1024) {
        counts[usize::from(byte)] += 1;
    }
    let total = count_to_f64(text.len().min(1024));
    counts
        .iter()
        .filter(|n| **n > 0)
        .map(|n| {
            let p = f64::from(*n) / total;
            -p * p.log2()
        })
        .sum()
}

/// The key of a text: the same for upper and lower case.
pub(super) fn hash_ignoring_case(text: &str) -> u64 {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        hash_bytes(text.to_ascii_lowercase().as_bytes())
    } else {
        hash_bytes(text.as_bytes())
    }
}
