//! How far an aggregate looks back.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How far an aggregate looks back: from a minute to 90 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window(i64);

/// A text that is no window.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not a window; write a whole number of minutes, hours or days from 1m to 90d, such as 15m, 6h or 30d"
)]
pub struct InvalidWindow(String);

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
const LONGEST: i64 = 90 * DAY;

impl Window {
    /// The window in milliseconds.
    pub fn millis(self) -> i64 {
        self.0
    }
}

impl FromStr for Window {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidWindow(text.to_owned());
        let (number, unit) = match text.strip_suffix('m') {
            Some(number) => (number, MINUTE),
            None => match text.strip_suffix('h') {
                Some(number) => (number, HOUR),
                None => (text.strip_suffix('d').ok_or_else(invalid)?, DAY),
            },
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = number.parse().ok().filter(|_| digits).ok_or_else(invalid)?;
        let millis = number.checked_mul(unit).ok_or_else(invalid)?;
        if (MINUTE..=LONGEST).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(invalid())
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, letter) = [(DAY, 'd'), (HOUR, 'h')]
            .into_iter()
            .find(|(unit, _)| self.0 % unit == 0)
            .unwrap_or((MINUTE, 'm'));
        write!(f, "{}{letter}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        #[track_caller]
        fn check(text: &str, want: Option<&str>) {
            let got = text.parse::<Window>().ok().map(|window| window.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        }
        check("1m", Some("1m"));
        check("90m", Some("90m"));
        check("24h", Some("1d"));
        check("90d", Some("90d"));
        for text in [
            "",
            "0m",
            "91d",
            "1",
            "d",
            "-1d",
            "+1d",
            "1.5h",
            "1w",
            "2161h",
            "9223372036854775807d",
        ] {
            check(text, None);
        }
    }
}
