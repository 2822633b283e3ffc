//! Measures of how well scores separate fraud from legitimate events.

use serde::{Deserialize, Serialize};

/// Scored events with their labels, from the highest score.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Score, fraud, weight (an amount of money, or 1).
    events: Vec<(f64, bool, f64)>,
    fraud: usize,
    legit: usize,
}

/// A point of the ROC curve: what happens if every event with at least this score is called fraud.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Events with at least this score are called fraud.
    pub threshold: f64,
    /// The share of the legitimate events that is called fraud (false-positive rate).
    pub fpr: f64,
    /// The share of the events called fraud that is fraud.
    pub precision: f64,
    /// The share of the fraud that is called fraud (recall).
    pub tpr: f64,
}

/// A figure with its 95 % confidence range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceRange {
    /// The figure.
    pub value: f64,
    /// Its lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

impl ConfidenceRange {
    /// The share of `part` in `whole`, with a range after Wilson, which holds for few cases, too; `None` of nothing.
    #[expect(clippy::cast_precision_loss, reason = "counts of events")]
    pub fn of_share(part: usize, whole: usize) -> Option<Self> {
        /// The standard normal deviate for 95 %.
        const Z: f64 = 1.959_964;
        if whole == 0 {
            return None;
        }
        let (part, n) = (part as f64, whole as f64);
        let value = part / n;
        let centre = (value + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half =
            Z / (1.0 + Z * Z / n) * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some(Self {
            value,
            low: (centre - half).max(0.0),
            high: (centre + half).min(1.0),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of events")]
fn compute_ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

impl Ranking {
    /// Ranks events, each given by its score and whether it is fraud. A score of `NaN` counts as the lowest.
    pub fn new(events: impl IntoIterator<Item = (f64, bool)>) -> Self {
        Self::weighted(events.into_iter().map(|(score, fraud)| (score, fraud, 1.0)))
    }

    /// Ranks events with a weight each, such as the amount of the order.
    pub fn weighted(events: impl IntoIterator<Item = (f64, bool, f64)>) -> Self {
        let lowest = |score: f64| {
            if score.is_nan() {
                f64::NEG_INFINITY
            } else {
                score
            }
        };
        let mut events: Vec<_> = events
            .into_iter()
            .map(|(score, fraud, weight)| (lowest(score), fraud, weight))
            .collect();
        events.sort_by(|a, b| b.0.total_cmp(&a.0));
        let fraud = events.iter().filter(|event| event.1).count();
        Self {
            legit: events.len() - fraud,
            fraud,
            events,
        }
    }

    /// How many events are fraud.
    pub fn fraud(&self) -> usize {
        self.fraud
    }

    /// How many events are legitimate.
    pub fn legit(&self) -> usize {
        self.legit
    }

    /// Groups of events with equal scores, from the highest.
    fn ties(&self) -> impl Iterator<Item = &[(f64, bool, f64)]> {
        self.events.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq())
    }

    /// The points of the ROC curve, from none called fraud to all.
    pub fn curve(&self) -> Vec<RocPoint> {
        let (mut hits, mut alarms) = (0, 0);
        let mut curve = Vec::new();
        for tie in self.ties() {
            let fraud = tie.iter().filter(|event| event.1).count();
            hits += fraud;
            alarms += tie.len() - fraud;
            curve.push(RocPoint {
                threshold: tie[0].0,
                fpr: compute_ratio(alarms, self.legit),
                precision: compute_ratio(hits, hits + alarms),
                tpr: compute_ratio(hits, self.fraud),
            });
        }
        curve
    }

    /// The area under the ROC curve: the probability that a fraudulent event scores higher than a legitimate one. 0.5
    /// if there are no events of either kind.
    pub fn auc(&self) -> f64 {
        if self.fraud == 0 || self.legit == 0 {
            return 0.5;
        }
        let (mut area, mut fpr, mut tpr) = (0.0, 0.0, 0.0);
        for point in self.curve() {
            area += (point.fpr - fpr) * f64::midpoint(point.tpr, tpr);
            (fpr, tpr) = (point.fpr, point.tpr);
        }
        area
    }

    /// [`Ranking::auc`] with its 95 % range (`DeLong`, `DeLong`, Clarke-Pearson 1988).
    pub fn auc_range(&self) -> ConfidenceRange {
        let value = self.auc();
        if self.fraud < 2 || self.legit < 2 {
            return ConfidenceRange {
                value,
                low: 0.0,
                high: 1.0,
            };
        }
        // For each event, the share of the other class on whose right side it ranks; ties count half.
        let (mut of_fraud, mut of_legit) = (Vec::new(), Vec::new());
        let (mut fraud_above, mut legit_above) = (0, 0);
        for tie in self.ties() {
            let fraud = tie.iter().filter(|event| event.1).count();
            let legit = tie.len() - fraud;
            let beaten = 1.0 - compute_ratio(2 * legit_above + legit, 2 * self.legit);
            of_fraud.extend(std::iter::repeat_n(beaten, fraud));
            let lost = compute_ratio(2 * fraud_above + fraud, 2 * self.fraud);
            of_legit.extend(std::iter::repeat_n(lost, legit));
            fraud_above += fraud;
            legit_above += legit;
        }
        let half = 1.96
            * (compute_variance_of_mean(&of_fraud, value)
                + compute_variance_of_mean(&of_legit, value))
            .sqrt();
        ConfidenceRange {
            value,
            low: (value - half).max(0.0),
            high: (value + half).min(1.0),
        }
    }

    /// The average precision: the mean, over the fraudulent events, of the precision at their scores.
    pub fn average_precision(&self) -> f64 {
        let mut last = 0.0;
        let mut sum = 0.0;
        for point in self.curve() {
            sum += (point.tpr - last) * point.precision;
            last = point.tpr;
        }
        sum
    }

    /// The share of the fraud that is found at a false-positive rate, interpolated linearly between the points of the
    /// ROC curve (as `np.interp(0.01, fpr, tpr)` does).
    pub fn recall_at(&self, fpr: f64) -> f64 {
        let (mut before, mut found) = (0.0, 0.0);
        for point in self.curve() {
            if point.fpr > fpr {
                return found + (point.tpr - found) * (fpr - before) / (point.fpr - before);
            }
            (before, found) = (point.fpr, point.tpr);
        }
        found
    }

    /// What happens if every event with a score of at least `threshold` is called fraud.
    pub fn point_at(&self, threshold: f64) -> RocPoint {
        let called = self.events.partition_point(|event| event.0 >= threshold);
        let hits = self.events[..called].iter().filter(|event| event.1).count();
        RocPoint {
            threshold,
            fpr: compute_ratio(called - hits, self.legit),
            precision: compute_ratio(hits, called),
            tpr: compute_ratio(hits, self.fraud),
        }
    }

    /// The share of fraud among so many events with the highest scores: those that a team can review.
    pub fn precision_at_capacity(&self, events: usize) -> f64 {
        let called = events.min(self.events.len());
        compute_ratio(
            self.events[..called].iter().filter(|event| event.1).count(),
            called,
        )
    }

    /// The share of the fraud's total weight, such as its amount of money, that is found at a false-positive rate.
    pub fn weight_recall_at(&self, fpr: f64) -> f64 {
        let weight_of = |tie: &[(f64, bool, f64)]| -> f64 {
            tie.iter()
                .filter(|event| event.1)
                .map(|event| event.2.max(0.0))
                .sum()
        };
        let total = weight_of(&self.events);
        let (mut alarms, mut found) = (0, 0.0);
        for tie in self.ties() {
            alarms += tie.iter().filter(|event| !event.1).count();
            if compute_ratio(alarms, self.legit) > fpr {
                break;
            }
            found += weight_of(tie);
        }
        if total > 0.0 { found / total } else { 0.0 }
    }
}

/// The variance of a mean.
#[expect(clippy::cast_precision_loss, reason = "counts of events")]
fn compute_variance_of_mean(values: &[f64], mean: f64) -> f64 {
    let n = values.len() as f64;
    values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum::<f64>()
        / (n - 1.0)
        / n
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn figures_by_hand() {
        let ranking = Ranking::weighted([
            (0.9, true, 10.0),
            (0.8, false, 1.0),
            (0.7, true, 90.0),
            (0.2, false, 1.0),
        ]);
        assert!(close(ranking.auc(), 0.75));
        assert!(close(ranking.average_precision(), 0.5 + 0.5 * 2.0 / 3.0));
        assert!(close(ranking.recall_at(0.25), 0.5));
        assert!(close(ranking.recall_at(0.75), 1.0));
        assert!(close(ranking.weight_recall_at(0.1), 0.1));
        assert!(close(ranking.precision_at_capacity(3), 2.0 / 3.0));
        let point = ranking.point_at(0.7);
        assert!(
            close(point.fpr, 0.5) && close(point.tpr, 1.0) && close(point.precision, 2.0 / 3.0)
        );
    }

    #[test]
    fn the_range_is_wide_where_there_is_little() {
        // pROC::ci.auc of these gives 0.5 to 1.
        let ranking = Ranking::new((0..20).map(|n| (f64::from(n), n % 3 == 0)));
        let range = ranking.auc_range();
        assert!(
            range.low < range.value && range.value < range.high && range.high - range.low > 0.3
        );
    }

    proptest! {
        #[test]
        fn auc_is_the_share_of_pairs_in_order(events in prop::collection::vec((0_i8..6, any::<bool>()), 2..40)) {
            let ranking = Ranking::new(events.iter().map(|(score, fraud)| (f64::from(*score), *fraud)));
            let (mut sum, mut pairs) = (0.0, 0.0);
            for (a, _) in events.iter().filter(|event| event.1) {
                for (b, _) in events.iter().filter(|event| !event.1) {
                    sum += match a.cmp(b) { std::cmp::Ordering::Greater => 1.0, std::cmp::Ordering::Equal => 0.5, std::cmp::Ordering::Less => 0.0 };
                    pairs += 1.0;
                }
            }
            let expected = if pairs > 0.0 { sum / pairs } else { 0.5 };
            prop_assert!((ranking.auc() - expected).abs() < 1e-9);
            let range = ranking.auc_range();
            prop_assert!(range.low <= range.value && range.value <= range.high);
        }
    }
}
