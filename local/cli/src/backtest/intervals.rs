//! Shares with what can be said of them from so few cases.

use model::metrics::ConfidenceRange;
use serde::Serialize;

/// A share, and the interval in which it lies with a confidence of 95 %, after Wilson: it holds for few cases, too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ShareEstimate {
    /// From 0 to 1.
    pub share: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl ShareEstimate {
    /// The share of `part` in `whole`; `None` of nothing.
    pub(super) fn new(part: u64, whole: u64) -> Option<Self> {
        let (part, whole) = (usize::try_from(part).ok()?, usize::try_from(whole).ok()?);
        let ConfidenceRange { value, low, high } = ConfidenceRange::of_share(part, whole)?;
        Some(Self {
            share: value,
            low,
            high,
        })
    }
}

/// Whether two counts differ by more than chance: an exact sign test, two-sided, at 5 %.
#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of orders are far below 2^52"
)]
pub(super) fn is_no_chance(one: u64, other: u64) -> bool {
    let (fewer, all) = (one.min(other), one + other);
    // Terms of the binomial distribution as logarithms: of a thousand coins, all heads is below the smallest number.
    let mut term = all as f64 * 0.5_f64.ln();
    let mut tail = term.exp();
    for number in 0..fewer {
        term += ((all - number) as f64 / (number + 1) as f64).ln();
        tail += term.exp();
    }
    2.0 * tail <= 0.05
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_explains_small_differences() {
        for (one, other, want) in [
            (0, 0, false),
            (5, 0, false),
            // 2 / 64.
            (6, 0, true),
            (0, 6, true),
            // 2 * (1 + 12 + 66) / 4096 = 0.039, and 2 * (1 + 11 + 55) / 2048 = 0.065.
            (10, 2, true),
            (9, 2, false),
            (5_000, 5_000, false),
            (5_000, 5_300, true),
        ] {
            assert_eq!(is_no_chance(one, other), want, "{one} {other}");
        }
    }

    #[test]
    fn few_cases_say_little() {
        for (part, whole, want) in [
            // Computed by hand from Wilson's formula.
            (1, 1, "1.000 0.207 1.000"),
            (0, 10, "0.000 0.000 0.278"),
            (5, 10, "0.500 0.237 0.763"),
            (500, 1000, "0.500 0.469 0.531"),
        ] {
            let got = ShareEstimate::new(part, whole).unwrap();
            assert_eq!(
                format!("{:.3} {:.3} {:.3}", got.share, got.low, got.high),
                want,
                "{part}/{whole}"
            );
        }
        assert_eq!(ShareEstimate::new(0, 0), None);
    }
}
