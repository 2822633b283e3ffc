//! Times as text: ISO 8601 in UTC, the only form that the rule language documents.
//!
//! This is on purpose not the grammar of `event::Timestamp`. A rule's time has
//! milliseconds and may lie before 1970 (a date of birth); an event's timestamp has whole
//! seconds from 1970 on. Forms such as `11/30/2019`, which an event may use, are not times
//! in the rule language. And every text that is put into a list is parsed here, so the
//! common case of a text that is not a time has to be fast.

use jiff::{
    SignedDuration,
    civil::{DateTime, datetime},
};

/// Times are computed with the civil calendar and not with `jiff::Timestamp`, which ends a
/// day before the end of the year 9999: `9999-12-31T23:59:59Z` often means "never".
const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);

/// Parses `yyyy-MM-ddTHH:mm:ssZ`, or the same with a fraction of 1 to 9 digits after the
/// seconds, as milliseconds since 1970. Nothing else is accepted: no offset, no space.
pub(crate) fn parse_utc_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let (clock, rest) = bytes.split_at_checked(shape.len())?;
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'd' => byte.is_ascii_digit(),
        _ => byte == shape,
    };
    if !clock.iter().zip(shape).all(fits) {
        return None;
    }
    let seconds = parse_seconds(clock)?;
    seconds
        .checked_mul(1000)?
        .checked_add(parse_fraction(rest)?)
}

fn parse_seconds(clock: &[u8]) -> Option<i64> {
    let two = |at: usize| i8::try_from(parse_digits(clock.get(at..at + 2)?)).ok();
    let year = i16::try_from(parse_digits(clock.get(..4)?)).ok()?;
    let civil = DateTime::new(year, two(5)?, two(8)?, two(11)?, two(14)?, two(17)?, 0).ok()?;
    Some(civil.duration_since(EPOCH).as_secs())
}

/// Parses `Z` or `.5Z` as milliseconds. Digits after the third are cut off.
fn parse_fraction(rest: &[u8]) -> Option<i64> {
    let rest = rest.strip_suffix(b"Z")?;
    if rest.is_empty() {
        return Some(0);
    }
    let digits = rest.strip_prefix(b".")?;
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let kept = digits.get(..3).unwrap_or(digits);
    let scale = [0, 100, 10, 1].get(kept.len())?;
    Some(parse_digits(kept) * scale)
}

fn parse_digits(digits: &[u8]) -> i64 {
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

/// Formats milliseconds since 1970 in the form that this module parses.
///
/// A time outside the years that the calendar supports is formatted as the number itself.
pub(crate) fn format_utc_time(millis: i64) -> String {
    let moment = EPOCH.checked_add(SignedDuration::from_millis(millis));
    moment.map_or_else(|_| millis.to_string(), |moment| format!("{moment}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_parsed(text: &str, want: Option<i64>) {
        assert_eq!(parse_utc_time(text), want, "{text}");
    }

    #[test]
    fn times_are_parsed() {
        check_parsed("1970-01-01T00:00:00Z", Some(0));
        check_parsed("2019-11-30T01:01:01Z", Some(1_575_075_661_000));
        check_parsed("1969-12-31T23:59:59Z", Some(-1000));
        check_parsed("1969-12-31T23:59:59.250Z", Some(-750));
        check_parsed("2024-02-29T00:00:00.1Z", Some(1_709_164_800_100));
        check_parsed("2024-02-29T00:00:00.123456789Z", Some(1_709_164_800_123));
    }

    #[test]
    fn other_texts_are_not_times() {
        for text in [
            "",
            "2019-11-30",
            "2019-11-30T01:01:01",
            "2019-11-30T01:01:01z",
            "2019-11-30 01:01:01Z",
            "2019-11-30T01:01:01+00:00",
            "2019-11-30T01:01:01.Z",
            "2019-11-30T01:01:01.1234567890Z",
            "2019-13-30T01:01:01Z",
            "2019-02-29T01:01:01Z",
            "2019-11-30T24:00:00Z",
            "2019-11-30T01:01:60Z",
            "2019-11-30T01:01:0é",
            "+019-11-30T01:01:01Z",
        ] {
            check_parsed(text, None);
        }
    }

    #[test]
    fn print_and_parse_agree() {
        for millis in [
            0,
            -1,
            1_575_075_661_000,
            1_709_164_800_123,
            253_402_207_200_999,
        ] {
            assert_eq!(parse_utc_time(&format_utc_time(millis)), Some(millis));
        }
        assert_eq!(format_utc_time(i64::MAX), "9223372036854775807");
    }
}
