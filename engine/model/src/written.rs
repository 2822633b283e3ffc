//! Numbers and dates as files write them.

use jiff::civil::{Date, Weekday};

/// What stands for "no value" in files. Compared without case.
const NOTHING: [&str; 9] = [
    "", "na", "n/a", "nan", "null", "none", "-nan", "#n/a", "nil",
];

/// The value, trimmed, or `None` where the text stands for no value.
pub fn present(text: &str) -> Option<&str> {
    let text = text.trim();
    let nothing = text.len() <= 4 && NOTHING.iter().any(|word| word.eq_ignore_ascii_case(text));
    (!nothing).then_some(text)
}

/// A finite number: `12`, `-1.5e3`, `1,234.50`, `$12.30`, `12 %`, `true`.
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some(number);
    }
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("yes") {
        return Some(1.0);
    }
    if text.eq_ignore_ascii_case("false") || text.eq_ignore_ascii_case("no") {
        return Some(0.0);
    }
    // Signs of money and thousands separators, but no letters: `1e5x` and `inf` are no numbers.
    if text.len() > 32 || !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let plain = text
        .trim_start_matches(['$', '€', '£', '+'])
        .trim_end_matches(['%', '$', '€', '£'])
        .trim()
        .replace(',', "");
    let fits = plain
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    fits.then(|| plain.parse::<f64>().ok()).flatten()
}

/// A date or an instant, as seconds since 1970 (negative before), read as UTC where it has no offset.
///
/// Read are: year first (`2019-11-30`, `2019/11/30 13:01:01`, `2019-11-30T13:01:01.5+01:00`); day and month
/// first with `/`, `-` or `.` (`30/11/2019`, `11-30-19`), the day first if `day_first` or if it is over 12;
/// months as words (`30-Nov-2019`, `Nov 30, 2019`, `Sat Nov 30 13:01:01 +0000 2019`).
pub fn date(text: &str, day_first: bool) -> Option<i64> {
    let text = text.trim();
    if text.len() < 6 || text.len() > 40 || !text.is_ascii() {
        return None;
    }
    let mut numbers = [0_i64; 8];
    let mut widths = [0_usize; 8];
    let mut count = 0;
    let mut month_word = None;
    let mut afternoon = None;
    let mut offset = None;
    let mut clock_at = None;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii_digit() {
            let start = at;
            while at < bytes.len() && bytes[at].is_ascii_digit() {
                at += 1;
            }
            // A fraction of a second is cut off.
            if start > 0 && bytes[start - 1] == b'.' && clock_at.is_some() {
                continue;
            }
            let digits = &text[start..at];
            if digits.len() > 4 || count == numbers.len() {
                return None;
            }
            if clock_at.is_none() && bytes.get(at) == Some(&b':') {
                clock_at = Some(count);
            }
            numbers[count] = digits.parse().ok()?;
            widths[count] = digits.len();
            count += 1;
        } else if byte.is_ascii_alphabetic() {
            let start = at;
            while at < bytes.len() && bytes[at].is_ascii_alphabetic() {
                at += 1;
            }
            let word = text[start..at].to_ascii_lowercase();
            match word.as_str() {
                "t" | "z" | "utc" | "gmt" | "st" | "nd" | "rd" | "th" => {}
                "am" => afternoon = Some(false),
                "pm" => afternoon = Some(true),
                _ => match month_named(&word) {
                    Some(month) if month_word.is_none() => month_word = Some((month, count)),
                    _ if is_weekday(&word) => {}
                    _ => return None,
                },
            }
        } else if (byte == b'+' || byte == b'-') && clock_at.is_some() && offset.is_none() {
            let (seconds, used) = read_offset(&text[at..])?;
            offset = Some(seconds);
            at += used;
        } else if b" /-.,:".contains(&byte) {
            at += 1;
        } else {
            return None;
        }
    }
    let clock = clock_at.unwrap_or(count);
    // `Sat Nov 30 13:01:01 +0000 2019`: the year comes after the clock.
    let late_year = (count > clock && widths[count - 1] == 4).then(|| numbers[count - 1]);
    let clock_end = if late_year.is_some() {
        count - 1
    } else {
        count
    };
    let (year, month, day) = match (month_word, clock, late_year) {
        (Some((month, _)), 1, Some(year)) => (year, month, numbers[0]),
        (Some((month, before)), 2, None) => match (before, widths[0]) {
            (0 | 1, 1 | 2) => (century(numbers[1], widths[1]), month, numbers[0]),
            (_, 4) => (numbers[0], month, numbers[1]),
            _ => return None,
        },
        (None, 3, None) if widths[0] == 4 => (numbers[0], numbers[1], numbers[2]),
        (None, 3, None) => {
            let year = century(numbers[2], widths[2]);
            let day_first = (day_first || numbers[0] > 12) && numbers[1] <= 12;
            if day_first {
                (year, numbers[1], numbers[0])
            } else {
                (year, numbers[0], numbers[1])
            }
        }
        _ => return None,
    };
    let seconds = clock_seconds(&numbers[clock..clock_end.max(clock)], afternoon)?;
    let date = Date::new(
        year.try_into().ok()?,
        month.try_into().ok()?,
        day.try_into().ok()?,
    )
    .ok()?;
    Some(days_since_1970(date) * 86_400 + seconds - offset.unwrap_or(0))
}

/// Whether a date written with numbers has its day before its month for certain.
pub fn has_day_first(text: &str) -> bool {
    let mut parts = text.trim().splitn(3, ['/', '-', '.']);
    let mut part = || {
        parts
            .next()
            .filter(|part| part.len() <= 2)?
            .parse::<u8>()
            .ok()
    };
    matches!((part(), part()), (Some(13..=31), Some(1..=12)))
}

fn clock_seconds(clock: &[i64], afternoon: Option<bool>) -> Option<i64> {
    let (hour, minute, second) = match *clock {
        [] => (0, 0, 0),
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let hour = match afternoon {
        None => hour,
        Some(after) if (1..=12).contains(&hour) => hour % 12 + if after { 12 } else { 0 },
        Some(_) => return None,
    };
    ((0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second))
        .then_some(hour * 3600 + minute * 60 + second)
}

/// `+01:00`, `+0100` or `-05` at the start: seconds and bytes used.
fn read_offset(text: &str) -> Option<(i64, usize)> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: Vec<i64> = text[1..]
        .chars()
        .take(5)
        .take_while(|c| c.is_ascii_digit() || *c == ':')
        .filter_map(|c| c.to_digit(10).map(i64::from))
        .collect();
    let used = 1 + text[1..]
        .chars()
        .take(5)
        .take_while(|c| c.is_ascii_digit() || *c == ':')
        .count();
    match digits[..] {
        [a, b] => Some((sign * (a * 10 + b) * 3600, used)),
        [a, b, c, d] => Some((
            sign * ((a * 10 + b) * 3600 + (c * 10 + d) * 60),
            used.min(
                if text.contains(':') && text.as_bytes().get(3) == Some(&b':') {
                    6
                } else {
                    5
                },
            ),
        )),
        _ => None,
    }
}

/// Two digits: 00 to 68 are 20xx, as the service's third form has it.
fn century(year: i64, width: usize) -> i64 {
    match (width, year) {
        (2, 0..=68) => 2000 + year,
        (2, _) => 1900 + year,
        _ => year,
    }
}

fn month_named(word: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let at = MONTHS
        .iter()
        .position(|month| word.len() >= 3 && month.starts_with(word))?;
    i64::try_from(at + 1).ok()
}

fn is_weekday(word: &str) -> bool {
    const DAYS: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    word.len() >= 3 && DAYS.iter().any(|day| day.starts_with(word))
}

fn days_since_1970(date: Date) -> i64 {
    i64::from(
        date.since(Date::constant(1970, 1, 1))
            .map_or(0, |span| span.get_days()),
    )
}

/// Hour of the day with its fraction, 0 to 24.
pub fn hour_of_day(seconds: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "below 86,400")]
    let second = seconds.rem_euclid(86_400) as f64;
    second / 3600.0
}

/// Monday 0 to Sunday 6.
pub fn day_of_week(seconds: i64) -> f64 {
    // 1970-01-01 was a Thursday.
    #[expect(clippy::cast_precision_loss, reason = "below seven")]
    let day = (seconds.div_euclid(86_400) + i64::from(Weekday::Thursday.to_monday_zero_offset()))
        .rem_euclid(7) as f64;
    day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, expected) in [
            ("12", Some(12.0)),
            (" -1.5e3 ", Some(-1500.0)),
            ("1,234.50", Some(1234.5)),
            ("$12.30", Some(12.3)),
            ("true", Some(1.0)),
            ("inf", None),
            ("NaN", None),
            ("1e999", None),
            ("12 apples", None),
            ("1.2.3.4", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn dates() {
        let noon = 1_575_118_861; // 2019-11-30T13:01:01Z
        for (text, day_first, expected) in [
            ("2019-11-30T13:01:01Z", false, Some(noon)),
            ("2019-11-30 13:01:01.250", false, Some(noon)),
            ("2019-11-30T14:01:01+01:00", false, Some(noon)),
            ("2019-11-30T13:01:01.000+00:00", false, Some(noon)),
            ("2019/11/30 1:01:01 PM", false, Some(noon)),
            ("11/30/2019 13:01:01", false, Some(noon)),
            ("30/11/2019 13:01:01", false, Some(noon)),
            ("Sat Nov 30 13:01:01 +0000 2019", false, Some(noon)),
            ("30-Nov-2019 13:01:01", false, Some(noon)),
            ("Nov 30, 2019 13:01:01", false, Some(noon)),
            ("01-02-1970", true, Some(31 * 86_400)),
            ("01-02-70", false, Some(86_400)),
            ("1969-12-31", false, Some(-86_400)),
            ("2019-13-30", false, None),
            ("2019-02-30", false, None),
            ("20191130", false, None),
            ("1234-56", false, None),
            ("12:30", false, None),
            ("some day", false, None),
        ] {
            assert_eq!(date(text, day_first), expected, "{text}");
        }
        assert!(
            has_day_first("30-11-84") && !has_day_first("11-30-84") && !has_day_first("2019-11-30")
        );
        assert!(
            (hour_of_day(noon) - 13.0169).abs() < 1e-3 && day_of_week(noon).total_cmp(&5.0).is_eq()
        );
    }
}
