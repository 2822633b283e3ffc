//! URLs and bare hosts.

use super::measure::{Read, count, entropy, flag, share};
use crate::hash::hash_with;
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

pub(super) fn url(text: &str, into: &mut Read) {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = text_shape::host(text);
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
        count(text.len()),
        count(host.len()),
        count(path.len()),
        count(query.len()),
        count(of(path, |b| b == b'/')),
        count(of(host, |b| b == b'.')),
        count(of(host, |b| b == b'-')),
        count(of(host, digit)),
        share(of(text, digit), text.len()),
        count(longest_run),
        count(of(text, |b| !b.is_ascii_alphanumeric())),
        count(of(query, |b| b == b'&')),
        match text.split_once("://") {
            None => 0.0,
            Some(("http", _)) => 1.0,
            Some(("https", _)) => 2.0,
            Some(_) => 3.0,
        },
        flag(text_shape::is_ip(host)),
        flag(rest.contains('@')),
        count(of(text, |b| b == b'%')),
        flag(host.starts_with("www.")),
        share(of(text, |b| b.is_ascii_uppercase()), text.len()),
        entropy(text),
        entropy(host),
        count(path.split('/').map(str::len).max().unwrap_or(0)),
        last.rsplit_once('.')
            .map_or(0.0, |(_, extension)| count(extension.len())),
        flag(text.ends_with('/')),
        flag(of(host, |b| b.is_ascii_uppercase()) > 0),
        flag(
            rest.split('/')
                .next()
                .is_some_and(|host| host.contains(':')),
        ),
        count(of(text, |b| b == b'=')),
    ]);
    let tld = host.rsplit('.').next().unwrap_or_default();
    into.keys.extend([
        hash_with(1, &lower(tld)),
        hash_with(2, &lower(registered(host))),
        hash_with(3, &lower(host)),
    ]);
}

fn lower(text: &str) -> Vec<u8> {
    text.to_ascii_lowercase().into_bytes()
}

/// The registered domain of a host: its last two labels, or three where the last two look like `co.uk`.
fn registered(host: &str) -> &str {
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
            assert_eq!(registered(host), expected);
        }
    }
}
