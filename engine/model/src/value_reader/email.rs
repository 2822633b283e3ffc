//! E-mail addresses.

use super::measure::{ReadValue, compute_entropy, compute_share, count_to_f64, flag_to_f64};
use crate::hash::hash_with_salt;

/// Domains of large providers of free mailboxes.
const FREE_MAIL: [&str; 24] = [
    "gmail.com",
    "yahoo.com",
    "hotmail.com",
    "outlook.com",
    "aol.com",
    "icloud.com",
    "mail.com",
    "live.com",
    "msn.com",
    "gmx.com",
    "gmx.de",
    "web.de",
    "protonmail.com",
    "proton.me",
    "yandex.ru",
    "yandex.com",
    "mail.ru",
    "qq.com",
    "163.com",
    "126.com",
    "googlemail.com",
    "me.com",
    "comcast.net",
    "ymail.com",
];

/// Words in the domains of providers of disposable mailboxes.
const DISPOSABLE: [&str; 17] = [
    "mailinator",
    "guerrilla",
    "10minute",
    "temp",
    "trash",
    "yopmail",
    "throwaway",
    "disposable",
    "fake",
    "sharklasers",
    "getnada",
    "maildrop",
    "dispostable",
    "mintemail",
    "spam",
    "burner",
    "minute",
];

/// The names of the numbers that [`email`] reads.
pub(super) const EMAIL_NUMBERS: &[&str] = &[
    "local length",
    "digits in local",
    "digits at the end",
    "dots",
    "plus",
    "underscores",
    "entropy",
    "vowels",
    "longest without vowel",
    "domain length",
    "free mail",
    "disposable",
    "dots in domain",
];

pub(super) fn read_email(text: &str, into: &mut ReadValue) {
    let text = text.to_ascii_lowercase();
    let (local, domain) = text.rsplit_once('@').unwrap_or((&text, ""));
    let digits = local.bytes().filter(u8::is_ascii_digit).count();
    let at_end = local.bytes().rev().take_while(u8::is_ascii_digit).count();
    let is_vowel = |b: u8| matches!(b, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let letters = local.bytes().filter(u8::is_ascii_alphabetic).count();
    let vowels = local.bytes().filter(|b| is_vowel(*b)).count();
    let (mut run, mut longest) = (0, 0);
    for byte in local.bytes() {
        run = if byte.is_ascii_alphabetic() && !is_vowel(byte) {
            run + 1
        } else {
            0
        };
        longest = longest.max(run);
    }
    let sign = |sign: u8| count_to_f64(local.bytes().filter(|b| *b == sign).count());
    into.numbers.extend([
        count_to_f64(local.len()),
        count_to_f64(digits),
        count_to_f64(at_end),
        sign(b'.'),
        sign(b'+'),
        sign(b'_') + sign(b'-'),
        compute_entropy(local),
        compute_share(vowels, letters),
        count_to_f64(longest),
        count_to_f64(domain.len()),
        flag_to_f64(FREE_MAIL.contains(&domain)),
        flag_to_f64(DISPOSABLE.iter().any(|word| domain.contains(word))),
        count_to_f64(domain.matches('.').count()),
    ]);
    let tld = domain.rsplit('.').next().unwrap_or_default();
    let key = |salt, text: &str| {
        if text.is_empty() {
            0
        } else {
            hash_with_salt(salt, text.as_bytes())
        }
    };
    into.keys
        .extend([key(7, tld), key(8, domain), key(9, &text)]);
}
