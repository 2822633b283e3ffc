//! Free text, names and postal addresses; categories of very many words.

use super::measure::{compute_entropy, compute_share, count_to_f64};
use crate::parse;

/// What can be measured of any text.
pub(super) struct TextMeasures {
    pub length: f64,
    pub digits: f64,
    pub entropy: f64,
}

impl TextMeasures {
    pub fn of(text: &str) -> Self {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        Self {
            length: count_to_f64(text.len()),
            digits: compute_share(digits, text.len()),
            entropy: compute_entropy(text),
        }
    }
}

/// The names of what [`read_text_numbers`] gives.
pub(super) const TEXT_NUMBERS: &[&str] = &[
    "length",
    "words",
    "digits",
    "capitals",
    "signs",
    "entropy",
    "longest word",
    "links",
    "lines",
    "number",
];

pub(super) fn read_text_numbers(text: &str, numbers: &mut Vec<f64>) {
    let (mut digits, mut capitals, mut signs, mut lines) = (0, 0, 0, 0);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'A'..=b'Z' => capitals += 1,
            b'\n' => lines += 1,
            b'!'..=b'/' | b':'..=b'@' | b'['..=b'`' | b'{'..=b'~' => signs += 1,
            _ => {}
        }
    }
    let words = text.split_ascii_whitespace();
    let (mut many, mut longest) = (0, 0);
    for word in words {
        many += 1;
        longest = longest.max(word.len());
    }
    let addresses =
        text.matches("http").count() + text.matches("www.").count() + text.matches('@').count();
    numbers.extend([
        count_to_f64(text.len()),
        count_to_f64(many),
        compute_share(digits, text.len()),
        compute_share(capitals, text.len()),
        compute_share(signs, text.len()),
        compute_entropy(text),
        count_to_f64(longest),
        count_to_f64(addresses),
        count_to_f64(lines),
        if many == 1 {
            parse::parse_number(text).unwrap_or(f64::NAN)
        } else {
            f64::NAN
        },
    ]);
}
