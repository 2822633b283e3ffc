//! Dates and times as files write them.

use jiff::civil::{Date, Weekday};

/// Reads a date, with or without a time of day, as seconds since 1970 (negative before). It is UTC where it has no
/// offset.
///
/// It reads: year first (`2019-11-30`, `2019/11/30 13:01:01`, `2019-11-30T13:01:01.5+01:00`); day and month first with
/// `/`, `-` or `.` (`30/11/2019`, `11-30-19`), the day first if `day_first` or if the first number is over 12; months
/// as words (`30-Nov-2019`, `Nov 30, 2019`, `Sat Nov 30 13:01:01 +0000 2019`).
pub fn parse_date(text: &str, day_first: bool) -> Option<i64> {
    let parts = DateParts::read(text.trim())?;
    let (year, month, day) = parts.calendar_day(day_first)?;
    let seconds = sum_clock_seconds(parts.clock(), parts.afternoon)?;
    let date = Date::new(
        year.try_into().ok()?,
        month.try_into().ok()?,
        day.try_into().ok()?,
    )
    .ok()?;
    Some(days_since_1970(date) * 86_400 + seconds - parts.offset.unwrap_or(0))
}

/// The numbers and words of a date, before it is known which of them is the day.
#[derive(Default)]
struct DateParts {
    numbers: [i64; 8],
    /// How many digits each number has.
    widths: [usize; 8],
    count: usize,
    /// The month, if it is a word, and how many numbers come before it.
    month_word: Option<(i64, usize)>,
    /// Whether it says `pm` or `am`.
    afternoon: Option<bool>,
    /// The offset from UTC, in seconds.
    offset: Option<i64>,
    /// Which number is the hour.
    clock_at: Option<usize>,
}

impl DateParts {
    fn read(text: &str) -> Option<Self> {
        if text.len() < 6 || text.len() > 40 || !text.is_ascii() {
            return None;
        }
        let mut parts = Self::default();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            let run =
                |is_part: fn(&u8) -> bool| bytes[at..].iter().take_while(|b| is_part(b)).count();
            if byte.is_ascii_digit() {
                let end = at + run(u8::is_ascii_digit);
                // A fraction of a second is cut off.
                let is_fraction = at > 0 && bytes[at - 1] == b'.' && parts.clock_at.is_some();
                if !is_fraction {
                    parts.add_number(&text[at..end], bytes.get(end) == Some(&b':'))?;
                }
                at = end;
            } else if byte.is_ascii_alphabetic() {
                let end = at + run(u8::is_ascii_alphabetic);
                parts.add_word(&text[at..end])?;
                at = end;
            } else if (byte == b'+' || byte == b'-')
                && parts.clock_at.is_some()
                && parts.offset.is_none()
            {
                let (seconds, used) = parse_offset(&text[at..])?;
                parts.offset = Some(seconds);
                at += used;
            } else if b" /-.,:".contains(&byte) {
                at += 1;
            } else {
                return None;
            }
        }
        Some(parts)
    }

    fn add_number(&mut self, digits: &str, before_colon: bool) -> Option<()> {
        if digits.len() > 4 || self.count == self.numbers.len() {
            return None;
        }
        if self.clock_at.is_none() && before_colon {
            self.clock_at = Some(self.count);
        }
        self.numbers[self.count] = digits.parse().ok()?;
        self.widths[self.count] = digits.len();
        self.count += 1;
        Some(())
    }

    fn add_word(&mut self, word: &str) -> Option<()> {
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "t" | "z" | "utc" | "gmt" | "st" | "nd" | "rd" | "th" => {}
            "am" => self.afternoon = Some(false),
            "pm" => self.afternoon = Some(true),
            _ => match find_month(&word) {
                Some(month) if self.month_word.is_none() => {
                    self.month_word = Some((month, self.count));
                }
                _ if is_weekday(&word) => {}
                _ => return None,
            },
        }
        Some(())
    }

    /// The year, where it comes after the clock: `Sat Nov 30 13:01:01 +0000 2019`.
    fn late_year(&self) -> Option<i64> {
        let clock = self.clock_at.unwrap_or(self.count);
        (self.count > clock && self.widths[self.count - 1] == 4)
            .then(|| self.numbers[self.count - 1])
    }

    /// Hour, minute and second, as far as they are there.
    fn clock(&self) -> &[i64] {
        let from = self.clock_at.unwrap_or(self.count);
        let to = self.count - usize::from(self.late_year().is_some());
        &self.numbers[from..to.max(from)]
    }

    /// Year, month and day. What stands for what depends on where a word or a year of four digits is.
    fn calendar_day(&self, day_first: bool) -> Option<(i64, i64, i64)> {
        let (numbers, widths) = (&self.numbers, &self.widths);
        let clock = self.clock_at.unwrap_or(self.count);
        Some(match (self.month_word, clock, self.late_year()) {
            (Some((month, _)), 1, Some(year)) => (year, month, numbers[0]),
            (Some((month, before)), 2, None) => match (before, widths[0]) {
                (0 | 1, 1 | 2) => (expand_year(numbers[1], widths[1]), month, numbers[0]),
                (_, 4) => (numbers[0], month, numbers[1]),
                _ => return None,
            },
            (None, 3, None) if widths[0] == 4 => (numbers[0], numbers[1], numbers[2]),
            (None, 3, None) => {
                let year = expand_year(numbers[2], widths[2]);
                let day_first = (day_first || numbers[0] > 12) && numbers[1] <= 12;
                if day_first {
                    (year, numbers[1], numbers[0])
                } else {
                    (year, numbers[0], numbers[1])
                }
            }
            _ => return None,
        })
    }
}

/// Whether a date written with numbers certainly has its day before its month: `30/11/2019`, but not `03/11/2019`.
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

fn sum_clock_seconds(clock: &[i64], afternoon: Option<bool>) -> Option<i64> {
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

/// Reads `+01:00`, `+0100` or `-05` at the start of a text: the offset in seconds, and how many bytes it takes.
fn parse_offset(text: &str) -> Option<(i64, usize)> {
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

/// A year of two digits: 00 to 68 are 20xx, as in the third timestamp format of Amazon Fraud Detector.
fn expand_year(year: i64, width: usize) -> i64 {
    match (width, year) {
        (2, 0..=68) => 2000 + year,
        (2, _) => 1900 + year,
        _ => year,
    }
}

fn find_month(word: &str) -> Option<i64> {
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
            assert_eq!(parse_date(text, day_first), expected, "{text}");
        }
        assert!(
            has_day_first("30-11-84") && !has_day_first("11-30-84") && !has_day_first("2019-11-30")
        );
        assert!(
            (hour_of_day(noon) - 13.0169).abs() < 1e-3 && day_of_week(noon).total_cmp(&5.0).is_eq()
        );
    }
}
