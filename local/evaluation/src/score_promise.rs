//! Whether scores mean on the test what they promise: the share of legitimate events that score at least as high.

use model::ScoreCurve;
use model::metrics::ConfidenceRange;
use serde::Serialize;

use crate::format::format_percent;
use crate::measures::ScoredEvent;

/// The scores that are checked: those that rules use most.
const CHECKED: [f64; 3] = [950.0, 900.0, 600.0];

/// A share that is larger by no more than this factor is no broken promise: the scale itself was measured on a part of the
/// events.
const TOLERATED: f64 = 1.5;

/// What a score promises, and what it was on the test.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ScorePromise {
    /// The score.
    pub score: f64,
    /// The share of legitimate events that should score at least as high.
    pub promised: f64,
    /// The share that did, with its 95 % range.
    pub measured: ConfidenceRange,
    /// Whether no more events score as high, but for a small difference or chance. Fewer harm nobody.
    pub kept: bool,
}

/// Compares the scores of the legitimate events with what they promise. Empty without legitimate events.
pub(crate) fn check_promises(scored: &[ScoredEvent]) -> Vec<ScorePromise> {
    let legit = || scored.iter().filter(|event| !event.fraud);
    let whole = legit().count();
    let check = |score: f64| {
        let above = legit().filter(|event| event.score >= score).count();
        let promised = ScoreCurve::Fraud.fpr_at(score);
        let measured = ConfidenceRange::of_share(above, whole)?;
        Some(ScorePromise {
            score,
            promised,
            measured,
            kept: measured.low <= promised || measured.value <= promised * TOLERATED,
        })
    };
    CHECKED.into_iter().filter_map(check).collect()
}

/// A sentence for promises that are not kept; `None` if all are.
pub(crate) fn describe_broken_promises(promises: &[ScorePromise]) -> Option<String> {
    let broken = promises.iter().filter(|promise| !promise.kept);
    let parts: Vec<String> = broken
        .map(|promise| {
            format!(
                "{:.0} promises {} and had {} ({} to {})",
                promise.score,
                format_percent(promise.promised),
                format_percent(promise.measured.value),
                format_percent(promise.measured.low),
                format_percent(promise.measured.high),
            )
        })
        .collect();
    (!parts.is_empty()).then(|| {
        format!(
            "more legitimate events score high than scores promise: {}. \
             These events differ from those that the model learnt from: train on newer ones, or choose thresholds by the \
             table above.",
            parts.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(score: f64) -> ScoredEvent {
        ScoredEvent::of_log_odds(score)
    }

    #[test]
    fn a_broken_promise_is_a_sentence() {
        let events = |high: usize| {
            let score = |at: usize| scored(if at < high { 970.0 } else { 10.0 });
            (0..1000).map(score).collect::<Vec<_>>()
        };
        // Of 1,000 events, 10 at 970 are as many as 950 promises, and fewer than 600 does.
        let kept = check_promises(&events(10));
        assert_eq!(
            kept.iter().map(|promise| promise.kept).collect::<Vec<_>>(),
            [true, true, true]
        );
        let text = describe_broken_promises(&check_promises(&events(110))).unwrap();
        assert!(
            text.contains("950 promises 1.0 % and had 11.0 % (9.2 % to 13.1 %)"),
            "{text}"
        );
        assert!(!text.contains("600 promises"), "{text}");
        assert_eq!(describe_broken_promises(&[]), None);
        assert!(check_promises(&[]).is_empty());
    }
}
