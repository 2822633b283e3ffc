//! What one value says: numbers, keys from coarse to fine, and whether it is text.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{hash, hash_with, looks};
use crate::dataset::Texts;
use crate::variable::VariableType;
use crate::written;

/// How the values of a variable are read. Chosen once, from the type and the training values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reading {
    /// A number; as a key too where its values come back.
    Number {
        keyed: bool,
    },
    /// An amount of money.
    Price {
        keyed: bool,
    },
    /// A date.
    Date {
        /// Whether the day comes before the month.
        day_first: bool,
    },
    /// One of several words.
    Category {
        /// Whether there are so many that their spelling may say something.
        wide: bool,
    },
    /// Words, or a name, or an address.
    Text {
        /// Whether it is read letter by letter too.
        short: bool,
    },
    Url,
    Ip,
    Email,
    Phone,
    Postal,
    CardBin,
    UserAgent,
}

/// What [`Reading::read`] found. Keys that do not exist are 0.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub numbers: Vec<f64>,
    pub keys: Vec<u64>,
}

/// Longer values are cut here, in bytes.
pub(crate) const LONGEST: usize = 4096;

impl Reading {
    /// The reading that fits a variable of text.
    pub fn for_texts(kind: VariableType, texts: &Texts) -> Self {
        use VariableType as T;
        let sample = || {
            let step = texts.distinct() / 2000 + 1;
            texts.iter().step_by(step)
        };
        let total = sample().count().max(1);
        let mostly =
            |looks: fn(&str) -> bool| sample().filter(|text| looks(text)).count() * 10 > total * 7;
        let length = sample().map(str::len).sum::<usize>() / total;
        match kind {
            T::IpAddress => return Self::Ip,
            T::EmailAddress => return Self::Email,
            T::PhoneNumber | T::BillingPhone | T::ShippingPhone => return Self::Phone,
            T::BillingZip | T::ShippingZip => return Self::Postal,
            T::CardBin => return Self::CardBin,
            T::UserAgent => return Self::UserAgent,
            T::DateTime => {
                return Self::Date {
                    day_first: sample().any(written::has_day_first),
                };
            }
            _ => {}
        }
        // A category or a text that is more than that.
        if mostly(looks::is_ip) {
            Self::Ip
        } else if mostly(looks::is_email) {
            Self::Email
        } else if mostly(looks::is_user_agent) {
            Self::UserAgent
        } else if mostly(looks::is_date) {
            Self::Date {
                day_first: sample().any(written::has_day_first),
            }
        } else if mostly(looks::is_url) {
            Self::Url
        } else if is_free_text(kind) || (texts.distinct() > 200 && length > 24) {
            Self::Text {
                short: length <= 150,
            }
        } else {
            Self::Category {
                wide: texts.distinct() > 300,
            }
        }
    }

    /// The names of the numbers that it reads.
    pub fn numbers(self) -> &'static [&'static str] {
        match self {
            Self::Number { .. } => &["value"],
            Self::Price { .. } => &["value", "cents"],
            Self::Date { .. } => &["day", "hour", "weekday"],
            Self::Category { wide: false } => &["number"],
            Self::Category { wide: true } => &["number", "length", "digits", "entropy"],
            Self::Text { .. } => TEXT_NUMBERS,
            Self::Url => URL_NUMBERS,
            Self::Ip => &[
                "address", "octet 1", "octet 2", "octet 3", "octet 4", "private", "v6",
            ],
            Self::Email => EMAIL_NUMBERS,
            Self::Phone => &["digits", "plus", "same digits", "spelling"],
            Self::Postal => &["length", "number"],
            Self::CardBin => &["number", "first digit"],
            Self::UserAgent => &["length", "major version", "mobile", "bot"],
        }
    }

    /// The names of its keys, coarse to fine.
    pub fn levels(self) -> &'static [&'static str] {
        match self {
            Self::Number { keyed: false } | Self::Price { keyed: false } | Self::Date { .. } => &[],
            Self::Number { keyed: true }
            | Self::Price { keyed: true }
            | Self::Category { .. }
            | Self::Text { .. } => &["value"],
            Self::Url => &["top-level domain", "domain", "host"],
            Self::Ip => &["/8", "/16", "/24", "/32"],
            Self::Email => &["top-level domain", "domain", "address"],
            Self::Phone => &["3 digits", "6 digits", "whole"],
            Self::Postal => &["1 character", "3 characters", "whole"],
            Self::CardBin => &["4 digits", "6 digits", "whole"],
            Self::UserAgent => &["system", "browser", "browser version", "whole"],
        }
    }

    /// Whether its words and letters go into the linear model.
    pub fn is_text(self) -> bool {
        matches!(
            self,
            Self::Text { .. }
                | Self::Url
                | Self::Email
                | Self::UserAgent
                | Self::Category { wide: true }
        )
    }

    /// Whether letters are read in runs, not only words.
    pub fn is_spelled(self) -> bool {
        matches!(
            self,
            Self::Text { short: true } | Self::Url | Self::Email | Self::Category { wide: true }
        )
    }

    /// Reads a number that the data set holds as one.
    pub fn read_number(self, number: f64, into: &mut Read) {
        into.numbers.clear();
        into.keys.clear();
        into.numbers.push(number);
        match self {
            Self::Price { keyed } => {
                into.numbers.push(cents(number));
                if keyed {
                    into.keys.push(number_key(number));
                }
            }
            Self::Number { keyed: true } => into.keys.push(number_key(number)),
            _ => {}
        }
    }

    /// Reads a value that is there.
    pub fn read(self, text: &str, into: &mut Read) {
        into.numbers.clear();
        into.keys.clear();
        let text = shortened(text);
        match self {
            Self::Number { .. } | Self::Price { .. } => {
                self.read_number(written::number(text).unwrap_or(f64::NAN), into);
            }
            Self::Date { day_first } => match written::date(text, day_first) {
                #[expect(clippy::cast_precision_loss, reason = "days, far below 2^52")]
                Some(seconds) => into.numbers.extend([
                    seconds as f64 / 86_400.0,
                    written::hour_of_day(seconds),
                    written::day_of_week(seconds),
                ]),
                None => into.numbers.extend([f64::NAN; 3]),
            },
            Self::Category { wide } => {
                into.numbers.push(written::number(text).unwrap_or(f64::NAN));
                if wide {
                    let shape = Shape::of(text);
                    into.numbers
                        .extend([shape.length, shape.digits, shape.entropy]);
                }
                into.keys.push(folded(text));
            }
            Self::Text { .. } => {
                text_numbers(text, &mut into.numbers);
                into.keys.push(folded(text));
            }
            Self::Url => url(text, into),
            Self::Ip => ip(text, into),
            Self::Email => email(text, into),
            Self::Phone => phone(text, into),
            Self::Postal => postal(text, into),
            Self::CardBin => card_bin(text, into),
            Self::UserAgent => user_agent(text, into),
        }
    }

    /// What is read where there is no value.
    pub fn read_missing(self, into: &mut Read) {
        into.numbers.clear();
        into.keys.clear();
        into.numbers.resize(self.numbers().len(), f64::NAN);
        into.keys.resize(self.levels().len(), 0);
    }
}

fn is_free_text(kind: VariableType) -> bool {
    use VariableType as T;
    matches!(
        kind,
        T::FreeFormText
            | T::BillingName
            | T::ShippingName
            | T::BillingAddressL1
            | T::BillingAddressL2
            | T::ShippingAddressL1
            | T::ShippingAddressL2
    )
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim()
}

/// The key of a text, whatever its case.
fn folded(text: &str) -> u64 {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        hash(text.to_ascii_lowercase().as_bytes())
    } else {
        hash(text.as_bytes())
    }
}

fn number_key(number: f64) -> u64 {
    if number.is_nan() {
        return 0;
    }
    // -0.0 is 0.0.
    hash(&(number + 0.0).to_bits().to_le_bytes())
}

fn cents(number: f64) -> f64 {
    ((number.abs() * 100.0).round() % 100.0).round()
}

#[expect(clippy::cast_precision_loss, reason = "lengths of values")]
fn count(number: usize) -> f64 {
    number as f64
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        count(part) / count(whole)
    }
}

/// What a text looks like from afar.
struct Shape {
    length: f64,
    digits: f64,
    entropy: f64,
}

impl Shape {
    fn of(text: &str) -> Self {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        Self {
            length: count(text.len()),
            digits: share(digits, text.len()),
            entropy: entropy(text),
        }
    }
}

/// Shannon entropy of the bytes, in bits.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u16; 256];
    for byte in text.bytes().take(1024) {
        counts[usize::from(byte)] += 1;
    }
    let total = count(text.len().min(1024));
    counts
        .iter()
        .filter(|n| **n > 0)
        .map(|n| {
            let p = f64::from(*n) / total;
            -p * p.log2()
        })
        .sum()
}

const TEXT_NUMBERS: &[&str] = &[
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

fn text_numbers(text: &str, numbers: &mut Vec<f64>) {
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
        count(text.len()),
        count(many),
        share(digits, text.len()),
        share(capitals, text.len()),
        share(signs, text.len()),
        entropy(text),
        count(longest),
        count(addresses),
        count(lines),
        if many == 1 {
            written::number(text).unwrap_or(f64::NAN)
        } else {
            f64::NAN
        },
    ]);
}

const URL_NUMBERS: &[&str] = &[
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

fn url(text: &str, into: &mut Read) {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = looks::host(text);
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
        flag(looks::is_ip(host)),
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

/// The last two labels of a host, or three where the last but one is as short as in `co.uk`.
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

fn ip(text: &str, into: &mut Read) {
    match looks::ip(text) {
        Some(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            let private = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified();
            into.numbers.push(f64::from(u32::from(address)));
            into.numbers.extend([a, b, c, d].map(f64::from));
            into.numbers.extend([flag(private), 0.0]);
            into.keys.extend([
                hash_with(4, &[a]),
                hash_with(4, &[a, b]),
                hash_with(4, &[a, b, c]),
                hash_with(4, &[a, b, c, d]),
            ]);
        }
        Some(IpAddr::V6(address)) => {
            let octets = address.octets();
            let private =
                address.is_loopback() || address.is_unspecified() || octets[0] & 0xfe == 0xfc;
            into.numbers.extend([f64::NAN; 5]);
            into.numbers.extend([flag(private), 1.0]);
            into.keys
                .extend([4, 6, 8, 16].map(|bytes| hash_with(6, &octets[..bytes])));
        }
        None => {
            into.numbers.extend([f64::NAN; 7]);
            into.keys.extend([0, 0, 0, folded(text)]);
        }
    }
}

/// Large providers of free mailboxes.
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

/// Words in the names of providers of mailboxes for a few minutes.
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

const EMAIL_NUMBERS: &[&str] = &[
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

fn email(text: &str, into: &mut Read) {
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
    let sign = |sign: u8| count(local.bytes().filter(|b| *b == sign).count());
    into.numbers.extend([
        count(local.len()),
        count(digits),
        count(at_end),
        sign(b'.'),
        sign(b'+'),
        sign(b'_') + sign(b'-'),
        entropy(local),
        share(vowels, letters),
        count(longest),
        count(domain.len()),
        flag(FREE_MAIL.contains(&domain)),
        flag(DISPOSABLE.iter().any(|word| domain.contains(word))),
        count(domain.matches('.').count()),
    ]);
    let tld = domain.rsplit('.').next().unwrap_or_default();
    let key = |salt, text: &str| {
        if text.is_empty() {
            0
        } else {
            hash_with(salt, text.as_bytes())
        }
    };
    into.keys
        .extend([key(7, tld), key(8, domain), key(9, &text)]);
}

fn phone(text: &str, into: &mut Read) {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    let same = digits.windows(2).filter(|pair| pair[0] == pair[1]).count();
    // Which signs stand between the digits: machines write all numbers alike.
    let spelling = text.bytes().filter(|b| !b.is_ascii_digit()).count();
    into.numbers.extend([
        count(digits.len()),
        flag(text.starts_with('+')),
        share(same, digits.len()),
        count(spelling),
    ]);
    into.keys
        .extend([3, 6, usize::MAX].map(|length| prefix(10, &digits, length)));
}

/// The key of the first so many bytes, 0 of none.
fn prefix(salt: u64, text: &[u8], length: usize) -> u64 {
    let start = &text[..length.min(text.len())];
    if start.is_empty() {
        0
    } else {
        hash_with(salt, start)
    }
}

fn postal(text: &str, into: &mut Read) {
    let plain: Vec<u8> = text
        .strip_suffix(".0")
        .unwrap_or(text)
        .bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|b| b.to_ascii_uppercase())
        .collect();
    into.numbers.extend([
        count(plain.len()),
        written::number(text).unwrap_or(f64::NAN),
    ]);
    into.keys
        .extend([1, 3, usize::MAX].map(|length| prefix(11, &plain, length)));
}

fn card_bin(text: &str, into: &mut Read) {
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
        .extend([written::number(text).unwrap_or(f64::NAN), first]);
    into.keys
        .extend([4, 6, usize::MAX].map(|length| prefix(12, &digits, length)));
}

fn user_agent(text: &str, into: &mut Read) {
    // The first that fits: specific before general.
    const SYSTEMS: [&str; 14] = [
        "Windows Phone",
        "Windows NT 10",
        "Windows",
        "Android",
        "iPhone",
        "iPad",
        "iPod",
        "CrOS",
        "Mac OS X",
        "Macintosh",
        "Linux",
        "X11",
        "Darwin",
        "Java",
    ];
    const BROWSERS: [&str; 16] = [
        "Edg",
        "OPR/",
        "Opera",
        "SamsungBrowser",
        "CriOS",
        "FxiOS",
        "Chrome/",
        "Firefox/",
        "Trident",
        "MSIE",
        "Safari/",
        "Dalvik",
        "okhttp",
        "curl",
        "python",
        "AppleWebKit",
    ];
    let first = |marks: &[&str]| marks.iter().position(|mark| text.contains(mark));
    let system = first(&SYSTEMS);
    let browser = first(&BROWSERS);
    let version = browser.and_then(|at| {
        let mark = BROWSERS[at];
        // Safari tells its version elsewhere.
        let mark = if mark == "Safari/" { "Version/" } else { mark };
        let rest = &text[text.find(mark)? + mark.len()..];
        let start = rest.find(|c: char| c.is_ascii_digit())?;
        let digits: String = rest[start..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse::<f64>().ok().filter(|_| start < 8)
    });
    let mobile = ["Mobile", "Android", "iPhone", "iPad", "iPod"]
        .iter()
        .any(|mark| text.contains(mark));
    let bot = [
        "bot", "spider", "crawl", "Headless", "python", "curl", "Bot",
    ]
    .iter()
    .any(|mark| text.contains(mark));
    into.numbers.extend([
        count(text.len()),
        version.unwrap_or(f64::NAN),
        flag(mobile),
        flag(bot),
    ]);
    let code = |place: Option<usize>| {
        u8::try_from(place.map_or(255, |place| place.min(254))).unwrap_or(255)
    };
    let (system, browser) = (code(system), code(browser));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a version; saturates"
    )]
    let version = version.unwrap_or(0.0) as u32;
    let mut whole = vec![system, browser];
    whole.extend(version.to_le_bytes());
    into.keys.extend([
        hash_with(13, &[system]),
        hash_with(14, &[system, browser]),
        hash_with(15, &whole),
        hash_with(16, text.as_bytes()),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reading: Reading, text: &str) -> Read {
        let mut read = Read::default();
        reading.read(text, &mut read);
        assert_eq!(
            read.numbers.len(),
            reading.numbers().len(),
            "{reading:?} {text}"
        );
        assert_eq!(
            read.keys.len(),
            reading.levels().len(),
            "{reading:?} {text}"
        );
        read
    }

    const ALL: [Reading; 14] = [
        Reading::Number { keyed: true },
        Reading::Price { keyed: true },
        Reading::Date { day_first: false },
        Reading::Category { wide: false },
        Reading::Category { wide: true },
        Reading::Text { short: true },
        Reading::Text { short: false },
        Reading::Url,
        Reading::Ip,
        Reading::Email,
        Reading::Phone,
        Reading::Postal,
        Reading::CardBin,
        Reading::UserAgent,
    ];

    #[test]
    fn every_reading_gives_as_much_as_it_names() {
        let long = "é".repeat(8192);
        for text in [
            "",
            "a",
            "12.5",
            "1.2.3.4",
            "::1",
            "jo@x.org",
            "http://u@h:1/p?q#f",
            "@",
            "..",
            "://",
            &long,
        ] {
            for reading in ALL {
                read(reading, text);
            }
        }
    }

    #[test]
    fn neighbours_share_the_coarse_keys() {
        let keys = |text| read(Reading::Ip, text).keys;
        assert_eq!(keys("10.1.2.3")[..3], keys("10.1.2.4")[..3]);
        assert_ne!(keys("10.1.2.3")[3], keys("10.1.2.4")[3]);
        assert_eq!(keys("2001:db8::1")[..3], keys("2001:db8::2")[..3]);
        let keys = |text| read(Reading::Url, text).keys;
        assert_eq!(
            keys("http://a.example.co.uk/x")[1],
            keys("example.co.uk")[1]
        );
        assert_ne!(keys("http://a.example.com/x")[2], keys("example.com")[2]);
        let keys = |text| read(Reading::Email, text).keys;
        assert_eq!(keys("jo@example.com")[1], keys("JIM@Example.com")[1]);
    }

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
