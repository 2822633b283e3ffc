//! Which version of an order a record is.

use std::fmt;

use jiff::tz::TimeZone;
use thiserror::Error;

use crate::timestamp::Timestamp;

/// Which version of an order a record is: a whole number that grows, or the time of the change.
///
/// A time counts as its seconds since 1970, so a time and the same number of seconds are the same revision. A fraction
/// of a second is kept to the microsecond. Revisions are ordered by these numbers, and their [keys](Self::key) sort in
/// the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision {
    whole: u64,
    micros: u32,
}

/// Why a text is no [`Revision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidRevision {
    /// It is a whole number of more than 64 bits, which cannot be kept exactly: two revisions could become one.
    #[error(
        "is a whole number above {}; send a smaller one, or the time of the change",
        u64::MAX
    )]
    TooLarge,
    /// It is something else.
    #[error("is neither a whole number from 0 nor a time such as 2026-06-01T10:15:30Z")]
    Form,
}

/// The largest number whose key has five digits. Earlier releases had no larger revisions, so these keys must stay.
const FIVE_DIGITS: u64 = 99_999;

impl Revision {
    /// The revision of an order that names none.
    pub const FIRST: Self = Self {
        whole: 1,
        micros: 0,
    };

    /// Reads a whole number, or a time in one of the forms of [`Timestamp::parse_in`].
    ///
    /// # Errors
    /// [`InvalidRevision`].
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, InvalidRevision> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let whole = text.parse().map_err(|_| InvalidRevision::TooLarge)?;
            return Ok(Self { whole, micros: 0 });
        }
        let time = Timestamp::parse_in(text, zone).map_err(|_| InvalidRevision::Form)?;
        let whole = u64::try_from(time.epoch_seconds()).map_err(|_| InvalidRevision::Form)?;
        Ok(Self {
            whole,
            micros: parse_micros(text),
        })
    }

    /// As a number: the whole number, or where there is a fraction of a second the microseconds since 1970.
    pub fn number(self) -> u64 {
        match self.micros {
            0 => self.whole,
            micros => self
                .whole
                .saturating_mul(1_000_000)
                .saturating_add(micros.into()),
        }
    }

    /// The revision that is this whole number.
    pub fn from_number(whole: u64) -> Self {
        Self { whole, micros: 0 }
    }

    /// The whole number and the microseconds, which are ordered as revisions are.
    pub fn parts(self) -> (u64, u32) {
        (self.whole, self.micros)
    }

    /// The revision with this [key](Self::key); `None` if it is not the key of one.
    pub fn from_key(key: &str) -> Option<Self> {
        let text = key.strip_prefix('x').unwrap_or(key);
        let (whole, micros) = text.split_once('.').unwrap_or((text, "0"));
        let revision = Self {
            whole: whole.parse().ok()?,
            micros: micros.parse().ok()?,
        };
        (revision.key() == key).then_some(revision)
    }

    /// A text that sorts in the order of revisions. Numbers up to 99999 have five digits, as in earlier releases; larger
    /// ones begin with `x`, which sorts after every digit.
    pub fn key(self) -> String {
        match self {
            Self { whole, micros: 0 } if whole <= FIVE_DIGITS => format!("{whole:05}"),
            Self { whole, micros: 0 } => format!("x{whole:020}"),
            Self { whole, micros } => format!("x{whole:020}.{micros:06}"),
        }
    }
}

impl From<u32> for Revision {
    fn from(number: u32) -> Self {
        Self {
            whole: number.into(),
            micros: 0,
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { whole, micros: 0 } => whole.fmt(f),
            Self { whole, micros } => write!(f, "{whole}.{micros:06}"),
        }
    }
}

/// The fraction of a second of a time that was read: what follows its only full stop.
fn parse_micros(text: &str) -> u32 {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits: String = fraction
        .chars()
        .take_while(char::is_ascii_digit)
        .take(6)
        .collect();
    format!("{digits:0<6}").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let got = match Revision::parse(text, &TimeZone::UTC) {
            Ok(revision) => {
                assert_eq!(Revision::from_key(&revision.key()), Some(revision));
                format!("{} {}", revision.number(), revision.key())
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn a_text_that_is_no_key_is_no_revision() {
        for text in [
            "",
            "2",
            "x",
            "100000",
            "x1",
            "x00000000000000000002",
            "00002.5",
        ] {
            assert_eq!(Revision::from_key(text), None, "{text}");
        }
    }

    #[test]
    fn revisions() {
        check("0", "0 00000");
        check("2", "2 00002");
        check("99999", "99999 99999");
        check("100000", "100000 x00000000000000100000");
        check(
            "18446744073709551615",
            "18446744073709551615 x18446744073709551615",
        );
        check("2026-11-01T00:00:00Z", "1793491200 x00000000001793491200");
        check(
            "2026-11-01T01:00:00+01:00",
            "1793491200 x00000000001793491200",
        );
        check(
            "2026-11-01T00:00:00.000Z",
            "1793491200 x00000000001793491200",
        );
        check(
            "2026-11-01T00:00:00.5Z",
            "1793491200500000 x00000000001793491200.500000",
        );
        check(
            "2026-11-01T00:00:00.123456789Z",
            "1793491200123456 x00000000001793491200.123456",
        );
        check(
            "18446744073709551616",
            "is a whole number above 18446744073709551615; send a smaller one, or the time of the change",
        );
        for text in ["", "-1", "1.5", "two", "2026-13-01"] {
            check(
                text,
                "is neither a whole number from 0 nor a time such as 2026-06-01T10:15:30Z",
            );
        }
    }

    #[test]
    fn a_time_and_the_number_of_its_microseconds_are_two_revisions() {
        let text = |text| Revision::parse(text, &TimeZone::UTC).unwrap().to_string();
        assert_eq!(text("2026-11-01T00:00:00.5Z"), "1793491200.500000");
        assert_eq!(text("1793491200500000"), "1793491200500000");
        assert_eq!(text("2026-11-01T00:00:00Z"), "1793491200");
    }

    proptest! {
        #[test]
        fn keys_sort_as_revisions_do(a in (any::<u64>(), 0_u32..1_000_000, 0_u32..64), b in (any::<u64>(), 0_u32..1_000_000, 0_u32..64)) {
            let revision = |(whole, micros, shift): (u64, u32, u32)| Revision { whole: whole >> shift, micros };
            let (a, b) = (revision(a), revision(b));
            // A time of a small number of seconds is a second of 1970; no order has it.
            prop_assume!((a.whole > FIVE_DIGITS || a.micros == 0) && (b.whole > FIVE_DIGITS || b.micros == 0));
            prop_assert_eq!(a.key().cmp(&b.key()), a.cmp(&b));
        }
    }
}
