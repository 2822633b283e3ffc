//! Values as files write them: missing values, numbers and dates.

mod date;

pub(crate) use date::{day_of_week, hour_of_day};
pub use date::{has_day_first, parse_date};

/// Texts that stand for a missing value in files, whatever their case.
const NOTHING: [&str; 9] = [
    "", "na", "n/a", "nan", "null", "none", "-nan", "#n/a", "nil",
];

/// The trimmed text, or `None` if it stands for a missing value, as `null` and `N/A` do.
pub fn trim_present_value(text: &str) -> Option<&str> {
    let text = text.trim();
    let nothing = text.len() <= 4 && NOTHING.iter().any(|word| word.eq_ignore_ascii_case(text));
    (!nothing).then_some(text)
}

/// Reads a finite number: `12`, `-1.5e3`, `1,234.50`, `$12.30`, `12 %`. `true` and `yes` are 1, `false` and `no` are 0.
pub fn parse_number(text: &str) -> Option<f64> {
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
    // Currency signs and thousands separators are allowed, letters are not: `1e5x` and `inf` are not numbers.
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
            assert_eq!(parse_number(text), expected, "{text}");
        }
    }
}
