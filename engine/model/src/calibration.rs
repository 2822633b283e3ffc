//! From log-odds to scores of 0 to 1000: a score stands for the share of legitimate events that score at least as high.

use serde::{Deserialize, Serialize};

/// What scores mean: a fixed function of the share of legitimate events that score at least as high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreCurve {
    /// For events that may be fraud.
    #[default]
    Fraud,
    /// For log-ins that may be account takeovers: high scores are rarer.
    Logins,
}

/// Score and share of legitimate events, as Amazon publishes them (user guide, "Model scores"). Between the points,
/// the score is interpolated linearly; 1000 stands for no legitimate event, 0 for all.
const FRAUD: [(f64, f64); 9] = [
    (1000.0, 0.0),
    (975.0, 0.005),
    (950.0, 0.01),
    (900.0, 0.02),
    (860.0, 0.03),
    (775.0, 0.05),
    (700.0, 0.07),
    (600.0, 0.10),
    (0.0, 1.0),
];

/// The same for log-ins: the challenge rates that a model on Amazon's service reported, and the published rate of 900.
const LOGINS: [(f64, f64); 9] = [
    (1000.0, 0.0),
    (900.0, 0.001),
    (750.0, 0.01),
    (670.0, 0.02),
    (620.0, 0.03),
    (575.0, 0.04),
    (540.0, 0.05),
    (515.0, 0.06),
    (0.0, 1.0),
];

/// Between one threshold of a report and the next, as in the answers of Amazon's service.
const THRESHOLD_STEP: u16 = 5;

/// With fewer legitimate events than these above a score, its rate counts as extrapolated.
const ENOUGH: usize = 20;

/// The rate is extrapolated for scores above which there are fewer legitimate events than these.
const TAIL: usize = 50;

/// How many points are kept, at most.
const MOST_KNOTS: usize = 256;

impl ScoreCurve {
    fn points(self) -> [(f64, f64); 9] {
        match self {
            Self::Fraud => FRAUD,
            Self::Logins => LOGINS,
        }
    }

    /// The score at or above which this share of legitimate events lies.
    pub fn score_at(self, fpr: f64) -> f64 {
        interpolate_linearly(
            fpr,
            self.points().into_iter().map(|(score, fpr)| (fpr, score)),
        )
    }

    /// The share of legitimate events at or above a score: the inverse of [`ScoreCurve::score_at`].
    pub fn fpr_at(self, score: f64) -> f64 {
        interpolate_linearly(score, self.points().into_iter().rev())
    }
}

/// The thresholds of a report, ascending: 0, 5, and so on to 1000.
pub fn report_thresholds() -> impl Iterator<Item = f64> {
    (0..=1000 / THRESHOLD_STEP).map(|step| f64::from(step * THRESHOLD_STEP))
}

/// Interpolates linearly between points `(x, y)`, whose `x` ascend.
fn interpolate_linearly(x: f64, points: impl Iterator<Item = (f64, f64)>) -> f64 {
    let mut last: Option<(f64, f64)> = None;
    for (to, y) in points {
        if x <= to {
            return match last {
                Some((from, before)) if to > from => {
                    before + (y - before) * (x - from) / (to - from)
                }
                _ => y,
            };
        }
        last = Some((to, y));
    }
    last.map_or(0.0, |(_, y)| y)
}

/// The false-positive rate of each log-odds, measured on legitimate events that the trees did not grow from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Log-odds, ascending, each with the share of legitimate events at or above it, descending.
    knots: Vec<(f64, f64)>,
    /// Beyond the last knot, the rate falls by a factor of e each time the log-odds rise by this much.
    tail: f64,
    /// How many legitimate events were measured.
    legit: usize,
    /// How a rate becomes a score.
    #[serde(default)]
    curve: ScoreCurve,
}

impl Calibration {
    /// Measures the log-odds of legitimate events. `None` if there are none.
    pub fn fit(legit: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut log_odds: Vec<f64> = legit.into_iter().filter(|x| x.is_finite()).collect();
        log_odds.sort_by(f64::total_cmp);
        let legit = log_odds.len();
        let lowest = *log_odds.first()?;
        // The exponential tail begins where enough events are left to measure it (the peaks-over-threshold method).
        let left = TAIL.min(legit / 4).max(1);
        let threshold = log_odds[legit - left];
        #[expect(clippy::cast_precision_loss, reason = "counts of events")]
        let excess = log_odds[legit - left..]
            .iter()
            .map(|x| x - threshold)
            .sum::<f64>()
            / left as f64;
        #[expect(clippy::cast_precision_loss, reason = "counts of events")]
        let rate = |above: usize| above as f64 / legit as f64;
        let mut knots = vec![(lowest, 1.0)];
        let body = legit - left;
        // Knots are closer together towards the top, where small differences in rate matter.
        let mut at = body;
        let mut places = Vec::new();
        while at > 0 && places.len() < MOST_KNOTS {
            places.push(at);
            let above = legit - at;
            at = at.saturating_sub((above / 24).max(1));
        }
        for at in places.into_iter().rev() {
            let x = log_odds[at];
            // Events with equal log-odds are all at or above it.
            let first = log_odds.partition_point(|other| *other < x);
            if knots.last().is_some_and(|(last, _)| *last < x) {
                knots.push((x, rate(legit - first)));
            }
        }
        Some(Self {
            knots,
            tail: excess.max(1e-6),
            legit,
            curve: ScoreCurve::Fraud,
        })
    }

    /// The same rates, with scores by another curve.
    #[must_use]
    pub fn with_curve(self, curve: ScoreCurve) -> Self {
        Self { curve, ..self }
    }

    /// The share of legitimate events that have these log-odds or higher.
    pub fn fpr(&self, log_odds: f64) -> f64 {
        let (Some(first), Some(last)) = (self.knots.first(), self.knots.last()) else {
            return 1.0;
        };
        if log_odds.is_nan() || log_odds <= first.0 {
            return 1.0;
        }
        if log_odds >= last.0 {
            return last.1 * (-(log_odds - last.0) / self.tail).exp();
        }
        let next = self.knots.partition_point(|knot| knot.0 < log_odds);
        let ((from, high), (to, low)) = (self.knots[next - 1], self.knots[next]);
        high + (low - high) * (log_odds - from) / (to - from)
    }

    /// The score of log-odds, from 0 to 1000, with its fraction. It never falls where the log-odds rise.
    pub fn score(&self, log_odds: f64) -> f64 {
        self.curve.score_at(self.fpr(log_odds)).clamp(0.0, 1000.0)
    }

    /// Whether too few legitimate events scored this high for the rate to be more than an extrapolation.
    pub fn is_extrapolated(&self, score: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "counts of events")]
        let above = self.curve.fpr_at(score) * self.legit as f64;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let enough = ENOUGH as f64;
        above < enough
    }

    pub(crate) fn is_sound(&self) -> bool {
        let finite = self
            .knots
            .iter()
            .all(|(x, y)| x.is_finite() && (0.0..=1.0).contains(y));
        let sorted = self
            .knots
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 >= pair[1].1);
        !self.knots.is_empty()
            && self.knots.len() <= 2 * MOST_KNOTS
            && finite
            && sorted
            && self.tail.is_finite()
            && self.tail > 0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_published_points() {
        assert!((ScoreCurve::Logins.score_at(0.001) - 900.0).abs() < 1e-9);
        assert!((ScoreCurve::Logins.fpr_at(515.0) - 0.06).abs() < 1e-9);
        for (fpr, score) in [
            (0.005, 975.0),
            (0.01, 950.0),
            (0.02, 900.0),
            (0.03, 860.0),
            (0.05, 775.0),
            (0.07, 700.0),
            (0.10, 600.0),
            (0.0, 1000.0),
            (1.0, 0.0),
        ] {
            assert!(
                (ScoreCurve::Fraud.score_at(fpr) - score).abs() < 1e-9,
                "{fpr}"
            );
            assert!(
                (ScoreCurve::Fraud.fpr_at(score) - fpr).abs() < 1e-9,
                "{score}"
            );
        }
    }

    #[test]
    fn one_in_a_hundred_legitimate_events_scores_950() {
        let calibration = Calibration::fit((0..10_000).map(|n| f64::from(n) / 1000.0)).unwrap();
        for (share, score) in [(0.01, 950.0), (0.02, 900.0), (0.1, 600.0), (0.5, 333.3)] {
            let found = calibration.score(10.0 * (1.0 - share));
            assert!((found - score).abs() < 2.0, "{share}: {found}");
        }
        assert!(calibration.is_extrapolated(995.0) && !calibration.is_extrapolated(950.0));
        assert!(calibration.score(1e9) > 999.9 && calibration.score(-1e9) < 0.1);
    }

    #[test]
    fn no_events_no_scale() {
        assert_eq!(Calibration::fit([]), None);
        assert!(Calibration::fit([1.0]).unwrap().score(1.0) < 1.0);
        assert!(Calibration::fit([1.0; 100]).unwrap().score(1.0) < 1.0);
    }

    proptest! {
        #[test]
        fn scores_rise_with_log_odds(legit in prop::collection::vec(-8.0_f64..8.0, 1..300), mut at in prop::collection::vec(-20.0_f64..20.0, 2..20)) {
            let calibration = Calibration::fit(legit).unwrap();
            prop_assert!(calibration.is_sound());
            at.sort_by(f64::total_cmp);
            let scores: Vec<f64> = at.iter().map(|x| calibration.score(*x)).collect();
            prop_assert!(scores.windows(2).all(|pair| pair[0] <= pair[1]), "{scores:?}");
            prop_assert!(scores.iter().all(|score| (0.0..=1000.0).contains(score)));
        }
    }
}
