//! Features of the event's time, and the recognition of features that only repeat it.

use crate::parse::{day_of_week, hour_of_day};

/// The names of what [`compute_event_time_features`] gives.
pub(super) const EVENT_TIME: [&str; 2] = ["event time hour", "event time weekday"];

pub(super) fn compute_event_time_features(time: Option<i64>) -> [f64; 2] {
    time.map_or([f64::NAN; 2], |time| [hour_of_day(time), day_of_week(time)])
}

/// Whether a number only grows with time, as order numbers and clocks do: later values lie beyond all that trees have
/// learnt from. Dates are suspected sooner, because what matters of them is their age, which is a feature of its own.
pub(super) fn repeats_the_time(aspect: &str, column: &[f64], times: &[Option<i64>]) -> bool {
    let limit = match aspect {
        "day" => 0.5,
        "value" | "number" => 0.97,
        _ => return false,
    };
    let step = column.len() / 2000 + 1;
    let pairs: Vec<(f64, i64)> = column
        .iter()
        .zip(times)
        .step_by(step)
        .filter(|(number, _)| !number.is_nan())
        .filter_map(|(number, time)| Some((*number, (*time)?)))
        .collect();
    pairs.len() >= 50 && compute_rank_correlation(&pairs).abs() > limit
}

/// Spearman's rank correlation; equal values share a rank.
#[expect(clippy::cast_precision_loss, reason = "at most 2,000 pairs")]
fn compute_rank_correlation(pairs: &[(f64, i64)]) -> f64 {
    let ranks = |smaller: &dyn Fn(usize, usize) -> std::cmp::Ordering| {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by(|a, b| smaller(*a, *b));
        let mut ranks = vec![0.0; order.len()];
        let mut before = 0;
        for equal in order.chunk_by(|a, b| smaller(*a, *b).is_eq()) {
            for at in equal {
                ranks[*at] = before as f64 + (equal.len() - 1) as f64 / 2.0;
            }
            before += equal.len();
        }
        ranks
    };
    let one = ranks(&|a, b| pairs[a].0.total_cmp(&pairs[b].0));
    let other = ranks(&|a, b| pairs[a].1.cmp(&pairs[b].1));
    let mean = (pairs.len() - 1) as f64 / 2.0;
    let sum = |of: &dyn Fn(usize) -> f64| (0..pairs.len()).map(of).sum::<f64>();
    let together = sum(&|at| (one[at] - mean) * (other[at] - mean));
    let (own, others) = (
        sum(&|at| (one[at] - mean).powi(2)),
        sum(&|at| (other[at] - mean).powi(2)),
    );
    if own > 0.0 && others > 0.0 {
        together / (own * others).sqrt()
    } else {
        0.0
    }
}
