//! Values made of digits: IP addresses, telephone numbers, postal codes, BINs of cards.

use std::net::IpAddr;

use super::measure::{ReadValue, compute_share, count_to_f64, flag_to_f64, hash_ignoring_case};
use crate::hash::hash_with_salt;
use crate::{parse, text_shape};

pub(super) fn read_ip(text: &str, into: &mut ReadValue) {
    match text_shape::parse_ip(text) {
        Some(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            let private = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified();
            into.numbers.push(f64::from(u32::from(address)));
            into.numbers.extend([a, b, c, d].map(f64::from));
            into.numbers.extend([flag_to_f64(private), 0.0]);
            into.keys.extend([
                hash_with_salt(4, &[a]),
                hash_with_salt(4, &[a, b]),
                hash_with_salt(4, &[a, b, c]),
                hash_with_salt(4, &[a, b, c, d]),
            ]);
        }
        Some(IpAddr::V6(address)) => {
            let octets = address.octets();
            let private =
                address.is_loopback() || address.is_unspecified() || octets[0] & 0xfe == 0xfc;
            into.numbers.extend([f64::NAN; 5]);
            into.numbers.extend([flag_to_f64(private), 1.0]);
            into.keys
                .extend([4, 6, 8, 16].map(|bytes| hash_with_salt(6, &octets[..bytes])));
        }
        None => {
            into.numbers.extend([f64::NAN; 7]);
            into.keys.extend([0, 0, 0, hash_ignoring_case(text)]);
        }
    }
}

pub(super) fn read_phone(text: &str, into: &mut ReadValue) {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    let same = digits.windows(2).filter(|pair| pair[0] == pair[1]).count();
    // How many signs stand between the digits: programs write all numbers alike, people do not.
    let spelling = text.bytes().filter(|b| !b.is_ascii_digit()).count();
    into.numbers.extend([
        count_to_f64(digits.len()),
        flag_to_f64(text.starts_with('+')),
        compute_share(same, digits.len()),
        count_to_f64(spelling),
    ]);
    into.keys
        .extend([3, 6, usize::MAX].map(|length| hash_prefix(10, &digits, length)));
}

/// The key of the first `length` bytes; 0 of an empty text.
fn hash_prefix(salt: u64, text: &[u8], length: usize) -> u64 {
    let start = &text[..length.min(text.len())];
    if start.is_empty() {
        0
    } else {
        hash_with_salt(salt, start)
    }
}

pub(super) fn read_postal_code(text: &str, into: &mut ReadValue) {
    let plain: Vec<u8> = text
        .strip_suffix(".0")
        .unwrap_or(text)
        .bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|b| b.to_ascii_uppercase())
        .collect();
    into.numbers.extend([
        count_to_f64(plain.len()),
        parse::parse_number(text).unwrap_or(f64::NAN),
    ]);
    into.keys
        .extend([1, 3, usize::MAX].map(|length| hash_prefix(11, &plain, length)));
}

pub(super) fn read_card_bin(text: &str, into: &mut ReadValue) {
    let digits: Vec<u8> = text
        .split('.')
        .next()
        .unwrap_or_default()
        .bytes()
        .filter(u8::is_ascii_digit)
        .collect();
    let first = digits
        .first()
        .map_or(f64::NAN, |digit| f64::from(digit - b'0'));
    into.numbers
        .extend([parse::parse_number(text).unwrap_or(f64::NAN), first]);
    into.keys
        .extend([4, 6, usize::MAX].map(|length| hash_prefix(12, &digits, length)));
}
