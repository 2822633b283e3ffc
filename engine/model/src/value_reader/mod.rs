//! Reads one value of a variable: into numbers, and into keys that go from coarse to fine.
//!
//! A key stands for all values that have it: the keys of an IP address are its networks and the address itself.

mod digits;
mod email;
mod measure;
mod text;
mod url;
mod user_agent;

use serde::{Deserialize, Serialize};

use crate::hash::hash_bytes;
use crate::texts::Texts;
use crate::variable::VariableType;
use crate::{parse, text_shape};
use digits::{read_card_bin, read_ip, read_phone, read_postal_code};
use email::{EMAIL_NUMBERS, read_email};
pub(crate) use measure::ReadValue;
use measure::hash_ignoring_case;
use text::{TEXT_NUMBERS, TextMeasures, read_text_numbers};
use url::{URL_NUMBERS, read_url};
use user_agent::read_user_agent;

/// How the values of a variable are read. Chosen once, from the type and the training values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ValueReader {
    /// A number.
    Number {
        /// Whether the number is a key too, because the same numbers occur again.
        keyed: bool,
    },
    /// An amount of money.
    Price {
        /// As for a number.
        keyed: bool,
    },
    /// A date.
    Date {
        /// Whether the day comes before the month.
        day_first: bool,
    },
    /// One of several words.
    Category {
        /// Whether there are so many different words that their spelling may tell something.
        wide: bool,
    },
    /// Free text, a name or a postal address.
    Text {
        /// Whether runs of letters are read besides the words.
        short: bool,
    },
    /// A URL or a bare host.
    Url,
    /// An IPv4 or IPv6 address.
    Ip,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A postal code.
    Postal,
    /// The first digits of a card number.
    CardBin,
    /// The user agent of a browser.
    UserAgent,
}

/// Longer values are cut off here, in bytes.
pub(crate) const LONGEST_VALUE: usize = 4096;

impl ValueReader {
    /// Chooses how to read a variable that is kept as text, by its type and a sample of its values.
    pub fn for_texts(kind: VariableType, texts: &Texts) -> Self {
        use VariableType as T;
        let sample = || {
            let step = texts.distinct_count() / 2000 + 1;
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
                    day_first: sample().any(parse::has_day_first),
                };
            }
            _ => {}
        }
        // The type says only that it is a category or a text: the values may show more.
        if mostly(text_shape::is_ip) {
            Self::Ip
        } else if mostly(text_shape::is_email) {
            Self::Email
        } else if mostly(text_shape::is_user_agent) {
            Self::UserAgent
        } else if mostly(text_shape::is_date) {
            Self::Date {
                day_first: sample().any(parse::has_day_first),
            }
        } else if mostly(text_shape::is_url) {
            Self::Url
        } else if is_free_text(kind) || (texts.distinct_count() > 200 && length > 24) {
            Self::Text {
                short: length <= 150,
            }
        } else {
            Self::Category {
                wide: texts.distinct_count() > 300,
            }
        }
    }

    /// The names of the numbers that it reads.
    pub fn number_names(self) -> &'static [&'static str] {
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

    /// The names of its keys, from coarse to fine.
    pub fn level_names(self) -> &'static [&'static str] {
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

    /// Whether its words go into the linear model of texts.
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

    /// Whether runs of letters go into the linear model too.
    pub fn is_spelled(self) -> bool {
        matches!(
            self,
            Self::Text { short: true } | Self::Url | Self::Email | Self::Category { wide: true }
        )
    }

    /// Reads a number that the data set holds as a number.
    pub fn read_number(self, number: f64, into: &mut ReadValue) {
        into.numbers.clear();
        into.keys.clear();
        into.numbers.push(number);
        match self {
            Self::Price { keyed } => {
                into.numbers.push(take_cents(number));
                if keyed {
                    into.keys.push(hash_number(number));
                }
            }
            Self::Number { keyed: true } => into.keys.push(hash_number(number)),
            _ => {}
        }
    }

    /// Reads a value that is not missing.
    pub fn read(self, text: &str, into: &mut ReadValue) {
        into.numbers.clear();
        into.keys.clear();
        let text = shorten_value(text);
        match self {
            Self::Number { .. } | Self::Price { .. } => {
                self.read_number(parse::parse_number(text).unwrap_or(f64::NAN), into);
            }
            Self::Date { day_first } => match parse::parse_date(text, day_first) {
                #[expect(clippy::cast_precision_loss, reason = "days, far below 2^52")]
                Some(seconds) => into.numbers.extend([
                    seconds as f64 / 86_400.0,
                    parse::hour_of_day(seconds),
                    parse::day_of_week(seconds),
                ]),
                None => into.numbers.extend([f64::NAN; 3]),
            },
            Self::Category { wide } => {
                into.numbers
                    .push(parse::parse_number(text).unwrap_or(f64::NAN));
                if wide {
                    let shape = TextMeasures::of(text);
                    into.numbers
                        .extend([shape.length, shape.digits, shape.entropy]);
                }
                into.keys.push(hash_ignoring_case(text));
            }
            Self::Text { .. } => {
                read_text_numbers(text, &mut into.numbers);
                into.keys.push(hash_ignoring_case(text));
            }
            Self::Url => read_url(text, into),
            Self::Ip => read_ip(text, into),
            Self::Email => read_email(text, into),
            Self::Phone => read_phone(text, into),
            Self::Postal => read_postal_code(text, into),
            Self::CardBin => read_card_bin(text, into),
            Self::UserAgent => read_user_agent(text, into),
        }
    }

    /// What is read where the value is missing.
    pub fn read_missing(self, into: &mut ReadValue) {
        into.numbers.clear();
        into.keys.clear();
        into.numbers.resize(self.number_names().len(), f64::NAN);
        into.keys.resize(self.level_names().len(), 0);
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

/// The value, cut off after [`LONGEST`] bytes and trimmed.
fn shorten_value(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_VALUE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim()
}

fn hash_number(number: f64) -> u64 {
    if number.is_nan() {
        return 0;
    }
    // -0.0 is 0.0.
    hash_bytes(&(number + 0.0).to_bits().to_le_bytes())
}

fn take_cents(number: f64) -> f64 {
    ((number.abs() * 100.0).round() % 100.0).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reading: ValueReader, text: &str) -> ReadValue {
        let mut read = ReadValue::default();
        reading.read(text, &mut read);
        assert_eq!(
            read.numbers.len(),
            reading.number_names().len(),
            "{reading:?} {text}"
        );
        assert_eq!(
            read.keys.len(),
            reading.level_names().len(),
            "{reading:?} {text}"
        );
        read
    }

    const ALL: [ValueReader; 14] = [
        ValueReader::Number { keyed: true },
        ValueReader::Price { keyed: true },
        ValueReader::Date { day_first: false },
        ValueReader::Category { wide: false },
        ValueReader::Category { wide: true },
        ValueReader::Text { short: true },
        ValueReader::Text { short: false },
        ValueReader::Url,
        ValueReader::Ip,
        ValueReader::Email,
        ValueReader::Phone,
        ValueReader::Postal,
        ValueReader::CardBin,
        ValueReader::UserAgent,
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
        let keys = |text| read(ValueReader::Ip, text).keys;
        assert_eq!(keys("10.1.2.3")[..3], keys("10.1.2.4")[..3]);
        assert_ne!(keys("10.1.2.3")[3], keys("10.1.2.4")[3]);
        assert_eq!(keys("2001:db8::1")[..3], keys("2001:db8::2")[..3]);
        let keys = |text| read(ValueReader::Url, text).keys;
        assert_eq!(
            keys("http://a.example.co.uk/x")[1],
            keys("example.co.uk")[1]
        );
        assert_ne!(keys("http://a.example.com/x")[2], keys("example.com")[2]);
        let keys = |text| read(ValueReader::Email, text).keys;
        assert_eq!(keys("jo@example.com")[1], keys("JIM@Example.com")[1]);
    }
}
