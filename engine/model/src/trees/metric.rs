//! Measures for stopping a training early.

/// The measure on the stop rows by which training stops early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopMetric {
    /// The weighted mean of the logistic loss.
    LogLoss,
    /// The area under the ROC curve. Weights are not used.
    #[default]
    Auc,
    /// The average precision: the area under the precision-recall curve. Weights are not used.
    AveragePrecision,
}

impl StopMetric {
    /// Whether a larger value is better.
    pub fn larger_is_better(self) -> bool {
        self != Self::LogLoss
    }

    /// Whether one measure is better than another.
    pub(super) fn is_better(self, measure: f64, than: f64) -> bool {
        if self.larger_is_better() {
            measure > than
        } else {
            measure < than
        }
    }

    /// The measure over rows of (log-odds, label, weight).
    pub(super) fn measure(self, rows: &mut [(f64, bool, f32)]) -> f64 {
        match self {
            Self::LogLoss => compute_log_loss(rows),
            Self::Auc => compute_auc(rows),
            Self::AveragePrecision => compute_average_precision(rows),
        }
    }
}

fn compute_log_loss(rows: &[(f64, bool, f32)]) -> f64 {
    let (mut loss, mut weights) = (0.0, 0.0);
    for (score, label, weight) in rows {
        // -ln(sigmoid(x)) is ln(1 + e^-x), written so that e^x cannot overflow.
        let against = if *label { -score } else { *score };
        let weight = f64::from(*weight);
        loss += weight * (against.max(0.0) + (-against.abs()).exp().ln_1p());
        weights += weight;
    }
    if weights > 0.0 { loss / weights } else { 0.0 }
}

/// For each distinct score from the top, how many rows of each label have it.
fn count_by_score(rows: &mut [(f64, bool, f32)]) -> impl Iterator<Item = (f64, f64)> + '_ {
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    rows.chunk_by(|a, b| a.0 <= b.0).map(|tied| {
        tied.iter().fold((0.0, 0.0), |(positive, negative), row| {
            if row.1 {
                (positive + 1.0, negative)
            } else {
                (positive, negative + 1.0)
            }
        })
    })
}

fn compute_auc(rows: &mut [(f64, bool, f32)]) -> f64 {
    let (mut area, mut positives, mut negatives) = (0.0, 0.0, 0.0);
    for (positive, negative) in count_by_score(rows) {
        area += negative * (positives + positive / 2.0);
        positives += positive;
        negatives += negative;
    }
    let pairs = positives * negatives;
    if pairs > 0.0 { area / pairs } else { 0.5 }
}

fn compute_average_precision(rows: &mut [(f64, bool, f32)]) -> f64 {
    let (mut sum, mut positives, mut negatives) = (0.0, 0.0, 0.0);
    for (positive, negative) in count_by_score(rows) {
        positives += positive;
        negatives += negative;
        sum += positive * positives / (positives + negatives);
    }
    if positives > 0.0 {
        sum / positives
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rows: &[(f64, bool)], auc: f64, precision: f64) {
        let mut rows: Vec<_> = rows
            .iter()
            .map(|(score, label)| (*score, *label, 1.0))
            .collect();
        assert!((StopMetric::Auc.measure(&mut rows) - auc).abs() < 1e-12);
        assert!((StopMetric::AveragePrecision.measure(&mut rows) - precision).abs() < 1e-12);
    }

    #[test]
    fn ranks() {
        check(&[(2.0, true), (1.0, false)], 1.0, 1.0);
        check(&[(2.0, false), (1.0, true)], 0.0, 0.5);
        check(&[(1.0, false), (1.0, true)], 0.5, 0.5);
        check(
            &[(3.0, true), (2.0, false), (1.0, true), (0.0, false)],
            0.75,
            5.0 / 6.0,
        );
        check(&[(1.0, true)], 0.5, 1.0);
        check(&[], 0.5, 0.0);
    }

    #[test]
    fn losses() {
        let mut rows = [(0.0, true, 1.0), (0.0, false, 3.0)];
        let loss = StopMetric::LogLoss.measure(&mut rows);
        assert!((loss - 2_f64.ln()).abs() < 1e-12);
        let loss = StopMetric::LogLoss.measure(&mut [(-1000.0, true, 1.0)]);
        assert!((loss - 1000.0).abs() < 1e-9);
    }
}
