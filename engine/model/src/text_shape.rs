//! Recognises what kind of thing a text is: an IP address, an e-mail address, a date. Used to guess types and to read
//! values.

use std::net::IpAddr;

use crate::parse;

/// Reads an IPv4 or IPv6 address. An IPv4 address may also be written as one number of at least 2²⁴.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    let whole = text.split_once('.').map_or(text, |(whole, fraction)| {
        if fraction.bytes().all(|b| b.is_ascii_digit()) {
            whole
        } else {
            ""
        }
    });
    let number: u32 = whole.parse().ok()?;
    (number >= 1 << 24).then(|| IpAddr::V4(number.into()))
}

/// Whether a text is an IP address as [`std::net`] reads it.
pub fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// Whether a text looks like an e-mail address: exactly one `@`, something before it, and a domain with a dot after it.
pub fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && !domain.contains('@')
            && !text.contains(char::is_whitespace)
    })
}

/// Whether a text looks like a URL: with a scheme, or a host with a top-level domain.
pub fn is_url(text: &str) -> bool {
    if text.contains("://") {
        return !text.starts_with(':');
    }
    if text.contains([' ', '@']) || parse::parse_number(text).is_some() {
        return false;
    }
    let host = find_url_host(text);
    if is_ip(host) {
        return text.contains('/');
    }
    host.rsplit_once('.').is_some_and(|(rest, tld)| {
        !rest.is_empty()
            && (2..=12).contains(&tld.len())
            && tld.bytes().all(|b| b.is_ascii_alphabetic())
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') || b >= 128)
    })
}

/// The host of a URL, without user and port. The URL may lack a scheme.
pub fn find_url_host(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    host.split_once(':').map_or(host, |(host, _)| host)
}

/// Whether a text looks like a user agent, such as `Mozilla/5.0 (X11; Linux x86_64)`.
pub fn is_user_agent(text: &str) -> bool {
    text.len() > 15
        && text.contains('/')
        && [
            "Mozilla/",
            "Opera/",
            "Dalvik/",
            "AppleWebKit",
            "okhttp/",
            "curl/",
            "Gecko",
        ]
        .iter()
        .any(|mark| text.contains(mark))
}

/// Whether a text looks like a telephone number: 7 to 18 digits and the signs that are usual between them.
pub fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (7..=18).contains(&digits)
        && text.bytes().all(|b| {
            b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'(' | b')' | b' ' | b'.' | b'x' | b'/')
        })
}

/// Whether a text looks like a generated id: at least eight hexadecimal digits or hyphens.
pub fn is_token(text: &str) -> bool {
    text.len() >= 8
        && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
        && text.bytes().any(|b| b.is_ascii_digit())
}

/// Whether a text is a number with a currency before or after it, such as `12.50 EUR` or `€ 1.200`.
pub fn is_amount_with_currency(text: &str) -> bool {
    let is_currency = |text: &str| {
        let text = text.trim();
        let is_code = text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
        is_code || ["€", "$", "£", "¥", "zł", "kr", "Fr.", "₹"].contains(&text)
    };
    let is_digit = |c: char| c.is_ascii_digit();
    let (Some(from), Some(to)) = (text.find(is_digit), text.rfind(is_digit)) else {
        return false;
    };
    let (before, number, after) = (&text[..from], &text[from..=to], &text[to + 1..]);
    let is_number = number
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b',' | b'\''));
    let before = before.trim_end_matches('-').trim();
    is_number
        && (is_currency(before) && after.trim().is_empty()
            || before.is_empty() && is_currency(after))
}

/// Whether a text is a date that can be read.
pub fn is_date(text: &str) -> bool {
    parse::parse_date(text, false).is_some() || parse::parse_date(text, true).is_some()
}
