//! Parses timestamps.
//!
//! One grammar reads all forms, so that an error can say what is wrong with a form that is known but
//! not accepted here. [`AcceptedForms`] then says which forms a caller accepts. A new form is added to the
//! grammar ([`Scanner`]) and to the checks of the styles that accept it.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::{Timestamp, TimestampProblem as Problem, quote_excerpt};

/// Which forms are accepted, see the table at [`Timestamp`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AcceptedForms {
    /// Form 1 alone.
    Exact,
    /// Forms 1 to 4.
    Documented,
    /// Forms 1 to 4, and 1 with a fraction.
    Prediction,
    /// Forms 1 to 4, and RFC 3339 and its relatives.
    Feed,
}

/// A timestamp with what its text holds: an existing date, an optional clock time, an optional zone.
pub(super) struct ParsedTimestamp {
    date: Date,
    /// Whether the date is `yyyy-MM-dd` to the letter.
    iso_date: bool,
    clock: Option<Clock>,
}

struct Clock {
    time: Time,
    /// What stands between date and time: `T`, `t` or a space.
    separator: char,
    /// One digit or two.
    hour_width: usize,
    half_day: Option<HalfDay>,
    has_seconds: bool,
    has_fraction: bool,
    zone: Zone,
}

#[derive(Clone, Copy)]
enum HalfDay {
    Morning,
    Afternoon,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Zone {
    Missing,
    /// A capital `Z`.
    Z,
    /// Seconds east of UTC; a small `z` is 0.
    Offset(i32),
}

impl ParsedTimestamp {
    /// Reads a text and checks that it is in a form `style` accepts.
    pub(super) fn parse(text: &str, style: AcceptedForms) -> Result<Self, Problem> {
        let mut scanner = Scanner { rest: text };
        let (date, iso_date) = scanner.date()?;
        let clock = scanner.clock()?;
        if !scanner.rest.is_empty() {
            return Err(Problem::Trailing(quote_excerpt(scanner.rest)));
        }
        let parsed = Self {
            date,
            iso_date,
            clock,
        };
        parsed.check(style)?;
        Ok(parsed)
    }

    fn check(&self, style: AcceptedForms) -> Result<(), Problem> {
        let Some(clock) = &self.clock else {
            return if style == AcceptedForms::Exact {
                Err(Problem::Form)
            } else {
                Ok(())
            };
        };
        match (style, clock.separator) {
            (AcceptedForms::Feed, _) => self.check_feed(clock),
            (_, 'T') => self.check_form_1(clock, style == AcceptedForms::Prediction),
            (AcceptedForms::Documented | AcceptedForms::Prediction, ' ') if clock.has_fraction => {
                Err(Problem::Fraction)
            }
            (AcceptedForms::Documented | AcceptedForms::Prediction, ' ')
                if clock.zone == Zone::Missing =>
            {
                Ok(())
            }
            _ => Err(Problem::Form),
        }
    }

    fn check_form_1(&self, clock: &Clock, fraction_allowed: bool) -> Result<(), Problem> {
        if !self.iso_date || clock.hour_width != 2 || !clock.has_seconds || clock.half_day.is_some()
        {
            return Err(Problem::Form);
        }
        if clock.has_fraction && !fraction_allowed {
            return Err(Problem::Fraction);
        }
        match clock.zone {
            Zone::Z => Ok(()),
            Zone::Offset(_) => Err(Problem::Offset),
            Zone::Missing => Err(Problem::NoZone),
        }
    }

    /// A feed may use RFC 3339's parts, but not mix them with those of forms 2 to 4.
    fn check_feed(&self, clock: &Clock) -> Result<(), Problem> {
        let modern = clock.separator != ' ' || clock.has_fraction || clock.zone != Zone::Missing;
        if modern && (!self.iso_date || clock.hour_width != 2 || clock.half_day.is_some()) {
            return Err(Problem::Form);
        }
        Ok(())
    }

    /// The instant; a time without a zone is in UTC.
    pub(super) fn in_utc(&self) -> Result<Timestamp, Problem> {
        Timestamp::from_civil(self.date.to_datetime(self.time()))
    }

    /// The instant; a time without a zone is in `zone`.
    pub(super) fn in_zone(&self, zone: &TimeZone) -> Result<Timestamp, Problem> {
        let local = self.date.to_datetime(self.time());
        let seconds = match self
            .clock
            .as_ref()
            .map_or(Zone::Missing, |clock| clock.zone)
        {
            Zone::Z => return self.in_utc(),
            Zone::Offset(east) => local
                .duration_since(super::EPOCH)
                .as_secs()
                .saturating_sub(i64::from(east)),
            // The range of jiff's instants ends before ours.
            Zone::Missing if *zone == TimeZone::UTC => return self.in_utc(),
            Zone::Missing => zone
                .to_ambiguous_timestamp(local)
                .compatible()
                .map_err(|_| Problem::OutOfRange)?
                .as_second(),
        };
        Timestamp::check_range(seconds)
    }

    fn time(&self) -> Time {
        self.clock
            .as_ref()
            .map_or(Time::midnight(), |clock| clock.time)
    }
}

/// Reads a text from left to right; `rest` is what has not been read yet.
struct Scanner<'t> {
    rest: &'t str,
}

impl Scanner<'_> {
    /// `yyyy/mm/dd`, `mm/dd/yyyy` or `mm/dd/yy`, and whether it is `yyyy-MM-dd`.
    fn date(&mut self) -> Result<(Date, bool), Problem> {
        let (first, first_width) = self.number()?;
        let separator = self.any_of(&['/', '-']).ok_or(Problem::Form)?;
        let (second, second_width) = self.number()?;
        self.any_of(&[separator]).ok_or(Problem::Form)?;
        let (third, third_width) = self.number()?;
        let (year, month, day) = match (first_width, second_width, third_width) {
            (4, 1..=2, 1..=2) => (first, second, third),
            (1..=2, 1..=2, 4) => (third, first, second),
            (1..=2, 1..=2, 2) => (add_century(third), first, second),
            _ => return Err(Problem::Form),
        };
        let iso = (first_width, separator, second_width, third_width) == (4, '-', 2, 2);
        Ok((check_date(year, month, day)?, iso))
    }

    /// A separator, `hh:mm` or `hh:mm:ss`, and what may follow; nothing if there is no separator.
    fn clock(&mut self) -> Result<Option<Clock>, Problem> {
        let before = self.rest;
        let Some(separator) = self.any_of(&['T', 't', ' ']) else {
            return Ok(None);
        };
        if !self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Problem::Trailing(quote_excerpt(before)));
        }
        let (hour, hour_width) = self.number()?;
        if hour_width > 2 {
            return Err(Problem::Form);
        }
        let Some(minute) = self.colon_and_two_digits()? else {
            return Err(Problem::HourAlone);
        };
        let second = self.colon_and_two_digits()?;
        let has_fraction = second.is_some() && self.fraction();
        let half_day = self.half_day();
        let zone = self.zone();
        Ok(Some(Clock {
            time: check_time(hour, half_day, minute, second.unwrap_or(0))?,
            separator,
            hour_width,
            half_day,
            has_seconds: second.is_some(),
            has_fraction,
            zone,
        }))
    }

    fn colon_and_two_digits(&mut self) -> Result<Option<i16>, Problem> {
        if self.any_of(&[':']).is_none() {
            return Ok(None);
        }
        match self.number()? {
            (number, 2) => Ok(Some(number)),
            _ => Err(Problem::Form),
        }
    }

    /// Skips a point and digits.
    fn fraction(&mut self) -> bool {
        let Some(after) = self.rest.strip_prefix('.') else {
            return false;
        };
        let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let found = rest.len() < after.len();
        if found {
            self.rest = rest;
        }
        found
    }

    fn half_day(&mut self) -> Option<HalfDay> {
        let half = match self.rest.as_bytes() {
            [b' ', b'A', b'M', ..] => HalfDay::Morning,
            [b' ', b'P', b'M', ..] => HalfDay::Afternoon,
            _ => return None,
        };
        self.rest = &self.rest[" AM".len()..];
        Some(half)
    }

    /// `Z`, `z`, or `+hh:mm` with the colon and the minutes optional.
    fn zone(&mut self) -> Zone {
        match self.any_of(&['Z', 'z']) {
            Some('Z') => return Zone::Z,
            Some(_) => return Zone::Offset(0),
            None => {}
        }
        let Some((seconds, width)) = parse_offset(self.rest.as_bytes()) else {
            return Zone::Missing;
        };
        self.rest = &self.rest[width..];
        Zone::Offset(seconds)
    }

    /// A run of one to four digits, and how many they are.
    fn number(&mut self) -> Result<(i16, usize), Problem> {
        let width = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(width);
        if !(1..=4).contains(&width) {
            return Err(Problem::Form);
        }
        self.rest = rest;
        Ok((
            digits
                .bytes()
                .fold(0, |number, digit| number * 10 + i16::from(digit - b'0')),
            width,
        ))
    }

    fn any_of(&mut self, allowed: &[char]) -> Option<char> {
        let c = self.rest.chars().next().filter(|c| allowed.contains(c))?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }
}

/// Two digits of a year name the century that POSIX gives them; the service does not say.
fn add_century(year: i16) -> i16 {
    if year <= 68 { 2000 + year } else { 1900 + year }
}

fn check_date(year: i16, month: i16, day: i16) -> Result<Date, Problem> {
    // Both have at most two digits.
    let (month, day) = (to_i8(month), to_i8(day));
    if !(1..=12).contains(&month) {
        return Err(Problem::Month(month));
    }
    Date::new(year, month, day).map_err(|_| Problem::Day { year, month, day })
}

fn check_time(hour: i16, half: Option<HalfDay>, minute: i16, second: i16) -> Result<Time, Problem> {
    let (hour, minute, second) = (to_i8(hour), to_i8(minute), to_i8(second));
    let hour = match half {
        None if hour > 23 => return Err(Problem::Hour(hour)),
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return Err(Problem::HalfDayHour(hour)),
        Some(HalfDay::Morning) => hour % 12,
        Some(HalfDay::Afternoon) => hour % 12 + 12,
    };
    if minute > 59 {
        return Err(Problem::Minute(minute));
    }
    Time::new(hour, minute, second, 0).map_err(|_| Problem::Second(second))
}

/// A number of at most two digits as jiff takes it.
fn to_i8(number: i16) -> i8 {
    i8::try_from(number).unwrap_or(i8::MAX)
}

/// An offset at the start of a text, in seconds, and its width; `None` if there is none.
fn parse_offset(text: &[u8]) -> Option<(i32, usize)> {
    let (sign, digits) = match text {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let hours = parse_two_digits(digits).filter(|hours| *hours < 24)?;
    let (minutes, width) = match &digits[2..] {
        [b':', minutes @ ..] => (parse_two_digits(minutes)?, 6),
        minutes => parse_two_digits(minutes).map_or((0, 3), |minutes| (minutes, 5)),
    };
    (minutes < 60).then_some((sign * (hours * 3600 + minutes * 60), width))
}

fn parse_two_digits(text: &[u8]) -> Option<i32> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => {
            Some(i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
        }
        _ => None,
    }
}
