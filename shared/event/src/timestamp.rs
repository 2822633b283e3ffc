//! An instant, and the text forms from which it is parsed. The whole repository parses timestamps here.

mod parse;

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::limits::TIMESTAMP_CHARACTERS;
use parse::{AcceptedForms, ParsedTimestamp};

/// An instant to the second, from 1970-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
///
/// It is printed in one form, the one every operation of the service accepts:
/// `yyyy-MM-ddTHH:mm:ssZ`. JSON holds that form too, and only that form is read from JSON.
///
/// Which forms are read depends on where the text comes from:
///
/// | written as | [`parse`] | [`parse_request`] | [`parse_prediction`] | [`parse_in`] |
/// |---|---|---|---|---|
/// | 1: `2019-11-30T13:01:01Z` | yes | yes | yes | yes |
/// | 2: `2019/11/30 13:01:01`, `2019-11-30` | UTC | UTC, 10 characters | UTC, 10 characters | in the zone |
/// | 3: `11/30/2019 1:01:01 PM`, `1/2/2019` | UTC | UTC, 10 characters | UTC, 10 characters | in the zone |
/// | 4: `11/30/19 13:01` | UTC | UTC, 10 characters | UTC, 10 characters | in the zone |
/// | `2019-11-30T13:01:01.5Z` | no | no | yes | yes |
/// | `2019-11-30T13:01:01.5+01:00` | no | no | no | yes |
/// | `2019-11-30 13:01:01.5`, `2019-11-30T13:01:01` | no | no | no | in the zone |
///
/// In forms 2 to 4 `/` and `-` may stand between the parts of the date, month and day may have one
/// digit, the clock time may be missing or lack its seconds, and ` AM` or ` PM` makes it a 12-hour
/// clock. Years 00 to 68 are 20xx, 69 to 99 are 19xx. A fraction of a second is cut off.
///
/// A CSV file ([`parse_file`]) may hold what a feed may, with UTC as its zone.
///
/// [`parse`]: Timestamp::parse
/// [`parse_request`]: Timestamp::parse_request
/// [`parse_prediction`]: Timestamp::parse_prediction
/// [`parse_in`]: Timestamp::parse_in
/// [`parse_file`]: Timestamp::parse_file
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    epoch_seconds: i64,
}

/// Why a text, or a number of seconds, is not a [`Timestamp`].
///
/// ```
/// let error = event::Timestamp::parse("2019/11/30 13:01 PM").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "timestamp `2019/11/30 13:01 PM` has hour 13; with AM or PM hours are 1 to 12",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("timestamp `{found}` {problem}")]
pub struct InvalidTimestamp {
    found: String,
    problem: TimestampProblem,
}

/// What is wrong with a timestamp, see [`InvalidTimestamp`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimestampProblem {
    /// It is shorter or longer than a request may hold.
    #[error(
        "has {0} characters; a request takes {shortest} to {longest}",
        shortest = TIMESTAMP_CHARACTERS.start(),
        longest = TIMESTAMP_CHARACTERS.end()
    )]
    Length(usize),
    /// It is in no form that is read here.
    #[error("is in no form that is accepted here; write it as `2019-11-30T13:01:01Z`")]
    Form,
    /// Something follows a complete timestamp.
    #[error("has `{0}` after its end; nothing may follow")]
    Trailing(String),
    /// It lies before 1970 or after 9999.
    #[error("is outside the years 1970 to 9999")]
    OutOfRange,
    /// No such month.
    #[error("has month {0}; months are 1 to 12")]
    Month(i8),
    /// No such day in this month.
    #[error("has day {day}, which month {month} of {year} lacks")]
    Day {
        /// The year, with its century.
        year: i16,
        /// The month, which exists.
        month: i8,
        /// The day, which does not.
        day: i8,
    },
    /// No such hour.
    #[error("has hour {0}; hours are 0 to 23")]
    Hour(i8),
    /// No such hour beside AM or PM.
    #[error("has hour {0}; with AM or PM hours are 1 to 12")]
    HalfDayHour(i8),
    /// No such minute.
    #[error("has minute {0}; minutes are 0 to 59")]
    Minute(i8),
    /// No such second; leap seconds are not known.
    #[error("has second {0}; seconds are 0 to 59")]
    Second(i8),
    /// An hour stands alone.
    #[error("has an hour without minutes; write `hh:mm`, `hh:mm:ss` or no clock time")]
    HourAlone,
    /// It has a fraction of a second where none is allowed.
    #[error("has a fraction of a second; write whole seconds")]
    Fraction,
    /// It has an offset where only UTC is allowed.
    #[error("has an offset; only UTC is accepted, written `Z`")]
    Offset,
    /// It has a `T` but no `Z`.
    #[error("does not end in `Z`; only UTC is accepted, written `Z`")]
    NoZone,
}

const EPOCH: DateTime = jiff::civil::datetime(1970, 1, 1, 0, 0, 0, 0);

impl Timestamp {
    /// The earliest: 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self { epoch_seconds: 0 };

    /// The latest: 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self {
        epoch_seconds: 253_402_300_799,
    };

    /// Reads the four forms that `SendEvent` may use (user guide, "Storing events").
    /// Where a form has no zone, it is UTC.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        Self::parse_with(text, |text| {
            ParsedTimestamp::parse(text, AcceptedForms::Documented)?.in_utc()
        })
    }

    /// Reads what [`Timestamp::parse`] does, if it has 10 to 30 characters, as the API demands of
    /// `eventTimestamp` and `labelTimestamp` (service model, `utcTimestampISO8601`).
    pub fn parse_request(text: &str) -> Result<Self, InvalidTimestamp> {
        Self::parse_with(text, |text| {
            check_length(text)?;
            ParsedTimestamp::parse(text, AcceptedForms::Documented)?.in_utc()
        })
    }

    /// Reads what [`Timestamp::parse_request`] does, and form 1 with a fraction of a second, which
    /// is cut off. `GetEventPrediction` is documented to take "ISO 8601 in UTC".
    pub fn parse_prediction(text: &str) -> Result<Self, InvalidTimestamp> {
        Self::parse_with(text, |text| {
            check_length(text)?;
            ParsedTimestamp::parse(text, AcceptedForms::Prediction)?.in_utc()
        })
    }

    /// Reads what a feed may hold: the four forms and RFC 3339 with any offset and fraction, also
    /// without a zone or with a space for the `T`.
    ///
    /// What has no zone is read in `zone`. When clocks go back, an hour happens twice and the first
    /// is taken; when they go forward, an hour is skipped and counted on from before the gap.
    pub fn parse_in(text: &str, zone: &TimeZone) -> Result<Self, InvalidTimestamp> {
        Self::parse_with(text, |text| {
            ParsedTimestamp::parse(text, AcceptedForms::Feed)?.in_zone(zone)
        })
    }

    /// Reads a time of a CSV file, whatever the file is for: what a feed may hold, in UTC where it has no zone.
    ///
    /// The user guide names the four forms. Amazon's service also takes files as Spark and pandas write them
    /// (`2019-11-30 13:01:01.0`, `2019-11-30T13:01:01.000Z`), and so files with other forms of RFC 3339 are read here.
    pub fn parse_file(text: &str) -> Result<Self, InvalidTimestamp> {
        Self::parse_in(text, &TimeZone::UTC)
    }

    /// Whether a text that one of the parsers accepts holds a clock time, not a date alone.
    pub fn has_clock_time(text: &str) -> bool {
        // Every clock time that is accepted has minutes, and nothing else has a colon.
        text.contains(':')
    }

    /// The instant that many seconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`TimestampProblem::OutOfRange`] before 1970 and after 9999.
    pub fn from_epoch_seconds(seconds: i64) -> Result<Self, InvalidTimestamp> {
        Self::check_range(seconds).map_err(|problem| InvalidTimestamp {
            found: seconds.to_string(),
            problem,
        })
    }

    /// The second in which an instant lies.
    ///
    /// # Errors
    /// [`TimestampProblem::OutOfRange`] before 1970.
    pub fn from_jiff(instant: jiff::Timestamp) -> Result<Self, InvalidTimestamp> {
        // Towards the past: half a second before 1970 is not in 1970.
        let seconds = instant.as_nanosecond().div_euclid(1_000_000_000);
        i64::try_from(seconds)
            .map_err(|_| TimestampProblem::OutOfRange)
            .and_then(Self::check_range)
            .map_err(|problem| InvalidTimestamp {
                found: instant.to_string(),
                problem,
            })
    }

    /// Seconds since 1970-01-01T00:00:00Z; never negative.
    pub fn epoch_seconds(self) -> i64 {
        self.epoch_seconds
    }

    /// Milliseconds since 1970-01-01T00:00:00Z; never negative.
    pub fn epoch_millis(self) -> i64 {
        self.epoch_seconds * 1000
    }

    /// The same instant as a [`jiff::Timestamp`], whose range ends earlier: an instant in the last 26 hours of 9999
    /// becomes [`jiff::Timestamp::MAX`].
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.epoch_seconds).unwrap_or(jiff::Timestamp::MAX)
    }

    /// The day on which it lies in UTC.
    pub fn date(self) -> Date {
        self.civil().date()
    }

    fn civil(self) -> DateTime {
        EPOCH.saturating_add(SignedDuration::from_secs(self.epoch_seconds))
    }

    fn parse_with(
        text: &str,
        reader: impl FnOnce(&str) -> Result<Self, TimestampProblem>,
    ) -> Result<Self, InvalidTimestamp> {
        reader(text).map_err(|problem| InvalidTimestamp {
            found: quote_excerpt(text),
            problem,
        })
    }

    fn check_range(epoch_seconds: i64) -> Result<Self, TimestampProblem> {
        let range = Self::MIN.epoch_seconds..=Self::MAX.epoch_seconds;
        if !range.contains(&epoch_seconds) {
            return Err(TimestampProblem::OutOfRange);
        }
        Ok(Self { epoch_seconds })
    }

    fn from_civil(utc: DateTime) -> Result<Self, TimestampProblem> {
        Self::check_range(utc.duration_since(EPOCH).as_secs())
    }
}

impl InvalidTimestamp {
    /// The beginning of what was read, on one line.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &TimestampProblem {
        &self.problem
    }
}

fn check_length(text: &str) -> Result<(), TimestampProblem> {
    let characters = text.chars().count();
    if !TIMESTAMP_CHARACTERS.contains(&characters) {
        return Err(TimestampProblem::Length(characters));
    }
    Ok(())
}

/// At most 40 characters of a text, fit for one line of an error.
fn quote_excerpt(text: &str) -> String {
    const CHARACTERS: usize = 40;
    let mut excerpt = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == CHARACTERS {
            excerpt.push('…');
            break;
        }
        if c.is_control() {
            excerpt.extend(c.escape_default());
        } else {
            excerpt.push(c);
        }
    }
    excerpt
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = self.civil();
        write!(f, "{:04}-{:02}-{:02}", utc.year(), utc.month(), utc.day())?;
        write!(
            f,
            "T{:02}:{:02}:{:02}Z",
            utc.hour(),
            utc.minute(),
            utc.second()
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// As [`Timestamp::parse`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form1;

        impl de::Visitor<'_> for Form1 {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a timestamp such as `2019-11-30T13:01:01Z`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Timestamp::parse_with(text, |text| {
                    ParsedTimestamp::parse(text, AcceptedForms::Exact)?.in_utc()
                })
                .map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Form1)
    }
}

#[cfg(test)]
mod tests;
