//! Shares with what can be said of them from so few cases.

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
    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers of orders are far below 2^52"
    )]
    pub(super) fn new(part: u64, whole: u64) -> Option<Self> {
        /// The standard normal deviate for 95 %.
        const Z: f64 = 1.959_964;
        if whole == 0 {
            return None;
        }
        let (part, n) = (part as f64, whole as f64);
        let share = part / n;
        let centre = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half =
            Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some(Self {
            share,
            low: (centre - half).max(0.0),
            high: (centre + half).min(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
