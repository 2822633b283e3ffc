//! Figures as people read them.

use model::metrics::ConfidenceRange;

/// A share in percent, with one digit.
pub fn format_percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// An area under a ROC curve with its range.
pub fn format_auc(auc: &ConfidenceRange) -> String {
    format!("{:.4} ({:.4} to {:.4})", auc.value, auc.low, auc.high)
}

/// A share with its range.
pub(crate) fn format_share(share: &ConfidenceRange) -> String {
    format!(
        "{} ({:.1} to {:.1})",
        format_percent(share.value),
        share.low * 100.0,
        share.high * 100.0
    )
}

/// An amount of money or another large number, with a space between thousands at which no line breaks.
pub(crate) fn format_amount(amount: f64) -> String {
    let digits = format!("{:.0}", amount.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn format_figure(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

/// A time in seconds since 1970.
pub(crate) fn describe_time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// The month of a time, `yyyy-mm`.
pub(crate) fn month_of(seconds: i64) -> Option<String> {
    let time = jiff::Timestamp::from_second(seconds).ok()?;
    Some(time.to_string().chars().take(7).collect())
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
pub(crate) fn to_megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_at_once() {
        for (amount, text) in [
            (0.0, "0"),
            (999.6, "1\u{a0}000"),
            (1_234_567.0, "1\u{a0}234\u{a0}567"),
            (12.0, "12"),
        ] {
            assert_eq!(format_amount(amount), text);
        }
        let range = ConfidenceRange {
            value: 0.9444,
            low: 0.9,
            high: 1.0,
        };
        assert_eq!(format_share(&range), "94.4 % (90.0 to 100.0)");
        assert_eq!(format_auc(&range), "0.9444 (0.9000 to 1.0000)");
    }
}
