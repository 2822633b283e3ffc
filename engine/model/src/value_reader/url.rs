//! URLs and bare hosts.

use super::measure::{ReadValue, compute_entropy, compute_share, count_to_f64, flag_to_f64};
use crate::hash::hash_with_salt;
use crate::text_shape;

/// The names of the numbers that [`url`] reads.
pub(super) const URL_NUMBERS: &[&str] = &[
    "length",
    "host length",
    "path length",
    "query length",
    "path depth",
    "dots in host",
    "hyphens in host",
    "digits in host",
    "digits",
    "letters in a row",
    "signs",
    "parameters",
    "scheme",
    "bare address",
    "at sign",
    "percent signs",
    "www",
    "capitals",
    "entropy",
    "host entropy",
    "longest path part",
    "extension length",
    "ends with a slash",
    "shouted",
    "port",
    "equals signs",
];

pub(super) fn read_url(text: &str, into: &mut ReadValue) {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = text_shape::find_url_host(text);
    let after_host = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]);
    let (path, query) = after_host.split_once('?').unwrap_or((after_host, ""));
    let of = |text: &str, wanted: fn(u8) -> bool| text.bytes().filter(|b| wanted(*b)).count();
    let digit: fn(u8) -> bool = |b| b.is_ascii_digit();
    let mut run = 0;
    let mut longest_run = 0;
    for byte in text.bytes() {
        run = if byte.is_ascii_alphabetic() {
            run + 1
        } else {
            0
        };
        longest_run = longest_run.max(run);
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    into.numbers.extend([
        count_to_f64(text.len()),
        count_to_f64(host.len()),
        count_to_f64(path.len()),
        count_to_f64(query.len()),
        count_to_f64(of(path, |b| b == b'/')),
        count_to_f64(of(host, |b| b == b'.')),
        count_to_f64(of(host, |b| b == b'-')),
        count_to_f64(of(host, digit)),
        compute_share(of(text, digit), text.len()),
        count_to_f64(longest_run),
        count_to_f64(of(text, |b| !b.is_ascii_alphanumeric())),
        count_to_f64(of(query, |b| b == b'&')),
        match text.split_once("://") {
            None => 0.0,
            Some(("http", _)) => 1.0,
            Some(("https", _)) => 2.0,
            Some(_) => 3.0,
        },
        flag_to_f64(text_shape::is_ip(host)),
        flag_to_f64(rest.contains('@')),
        count_to_f64(of(text, |b| b == b'%')),
        flag_to_f64(host.starts_with("www.")),
        compute_share(of(text, |b| b.is_ascii_uppercase()), text.len()),
        compute_entropy(text),
        compute_entropy(host),
        count_to_f64(path.split('/').map(str::len).max().unwrap_or(0)),
        last.rsplit_once('.')
            .map_or(0.0, |(_, extension)| count_to_f64(extension.len())),
        flag_to_f64(text.ends_with('/')),
        flag_to_f64(of(host, |b| b.is_ascii_uppercase()) > 0),
        flag_to_f64(
            rest.split('/')
                .next()
                .is_some_and(|host| host.contains(':')),
        ),
        count_to_f64(of(text, |b| b == b'=')),
    ]);
    let tld = host.rsplit('.').next().unwrap_or_default();
    into.keys.extend([
        hash_with_salt(1, &to_lowercase_bytes(tld)),
        hash_with_salt(2, &to_lowercase_bytes(find_registered_domain(host))),
        hash_with_salt(3, &to_lowercase_bytes(host)),
    ]);
}

fn to_lowercase_bytes(text: &str) -> Vec<u8> {
    text.to_ascii_lowercase().into_bytes()
}

/// The registered domain of a host: its last two labels, or three where the last two look like `co.uk`.
fn find_registered_domain(host: &str) -> &str {
    let mut dots = host.rmatch_indices('.').map(|(at, _)| at);
    let (Some(last), Some(second)) = (dots.next(), dots.next()) else {
        return host;
    };
    let cut = if last - second <= 4 && host.len() - last <= 3 {
        match dots.next() {
            Some(third) => third,
            None => return host,
        }
    } else {
        second
    };
    &host[cut + 1..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_domains() {
        for (host, expected) in [
            ("www.example.com", "example.com"),
            ("example.com", "example.com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("localhost", "localhost"),
            ("br-icloud.com.br", "br-icloud.com.br"),
        ] {
            assert_eq!(find_registered_domain(host), expected);
        }
    }
}
