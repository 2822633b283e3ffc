//! Measures of how well scores separate fraud from legitimate events.

mod range;

use serde::{Deserialize, Serialize};

pub use range::ConfidenceRange;
use range::{ClusteredShare, Placement, compute_auc_range};

/// A scored event.
#[derive(Clone, Copy, Debug)]
pub struct RankedEvent {
    /// Its score; `NaN` counts as the lowest.
    pub score: f64,
    /// Whether it is fraud.
    pub fraud: bool,
    /// Its weight: an amount of money, or 1.
    pub weight: f64,
    /// A hash of its entity; `None`: an entity of its own.
    pub entity: Option<u64>,
}

impl RankedEvent {
    /// An event of weight 1, of an entity of its own.
    pub fn new(score: f64, fraud: bool) -> Self {
        Self {
            score,
            fraud,
            weight: 1.0,
            entity: None,
        }
    }
}

/// Scored events with their labels, from the highest score.
#[derive(Clone, Debug)]
pub struct Ranking {
    events: Vec<RankedEvent>,
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

/// What happens if every event with at least some score is called fraud. A figure is `None` where there is nothing that
/// it could be a share of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThresholdFigures {
    /// Legitimate events that are called fraud.
    pub legit_called: usize,
    /// Fraud that is called fraud.
    pub fraud_called: usize,
    /// The share of the legitimate events that is called fraud (false-positive rate).
    pub fpr: Option<ConfidenceRange>,
    /// The share of the fraud that is called fraud.
    pub recall: Option<ConfidenceRange>,
    /// The share of the events called fraud that is fraud.
    pub precision: Option<ConfidenceRange>,
    /// The share of the weight of the fraud, such as its money, that is called fraud.
    pub weight_recall: Option<ConfidenceRange>,
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
    /// Ranks events, each given by its score and whether it is fraud.
    pub fn new(events: impl IntoIterator<Item = (f64, bool)>) -> Self {
        let event = |(score, fraud)| RankedEvent::new(score, fraud);
        Self::of_events(events.into_iter().map(event))
    }

    /// Ranks events with weights and entities.
    pub fn of_events(events: impl IntoIterator<Item = RankedEvent>) -> Self {
        let mut events: Vec<RankedEvent> = events.into_iter().collect();
        for event in &mut events {
            if event.score.is_nan() {
                event.score = f64::NEG_INFINITY;
            }
        }
        events.sort_by(|a, b| b.score.total_cmp(&a.score));
        let fraud = events.iter().filter(|event| event.fraud).count();
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
    fn ties(&self) -> impl Iterator<Item = &[RankedEvent]> {
        self.events
            .chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq())
    }

    /// The points of the ROC curve, from none called fraud to all.
    pub fn curve(&self) -> Vec<RocPoint> {
        let (mut hits, mut alarms) = (0, 0);
        let mut curve = Vec::new();
        for tie in self.ties() {
            let fraud = tie.iter().filter(|event| event.fraud).count();
            hits += fraud;
            alarms += tie.len() - fraud;
            curve.push(RocPoint {
                threshold: tie[0].score,
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

    /// [`Ranking::auc`] with its 95 % range, by entity where entities are known: see `range.rs` for the methods.
    pub fn auc_range(&self) -> ConfidenceRange {
        let (mut of_fraud, mut of_legit) = (Vec::new(), Vec::new());
        let (mut fraud_above, mut legit_above, mut place) = (0, 0, 0);
        for tie in self.ties() {
            let fraud = tie.iter().filter(|event| event.fraud).count();
            let legit = tie.len() - fraud;
            let beaten = 1.0 - compute_ratio(2 * legit_above + legit, 2 * self.legit);
            let lost = compute_ratio(2 * fraud_above + fraud, 2 * self.fraud);
            for event in tie {
                let entity = entity_key(event, place);
                place += 1;
                let (placements, share) = if event.fraud {
                    (&mut of_fraud, beaten)
                } else {
                    (&mut of_legit, lost)
                };
                placements.push(Placement { entity, share });
            }
            fraud_above += fraud;
            legit_above += legit;
        }
        compute_auc_range(self.auc(), &of_fraud, &of_legit)
    }

    /// A share of the events that `is_counted` takes, by weight: those among the first `called`.
    fn share_of_called(
        &self,
        called: usize,
        by_weight: bool,
        is_counted: impl Fn(&RankedEvent) -> bool,
    ) -> ClusteredShare {
        let mut share = ClusteredShare::default();
        for (place, event) in self.events.iter().enumerate() {
            if is_counted(event) {
                let weight = if by_weight { event.weight } else { 1.0 };
                share.add(entity_key(event, place), weight, place < called);
            }
        }
        share
    }

    /// The share of fraud among the first `called` events; `None` of none.
    fn precision_of_called(&self, called: usize) -> Option<ConfidenceRange> {
        let mut share = ClusteredShare::default();
        for (place, event) in self.events[..called].iter().enumerate() {
            share.add(entity_key(event, place), 1.0, event.fraud);
        }
        share.range()
    }

    /// How many events are called fraud at a false-positive rate of at most `fpr`, with whole ties.
    fn called_at(&self, fpr: f64) -> usize {
        let (mut called, mut alarms) = (0, 0);
        for tie in self.ties() {
            alarms += tie.iter().filter(|event| !event.fraud).count();
            if compute_ratio(alarms, self.legit) > fpr {
                break;
            }
            called += tie.len();
        }
        called
    }

    /// [`Ranking::recall_at`] with its 95 % range, by entity where entities are known. It counts that the fraud is a
    /// sample, and that the threshold is: it was set where `fpr` of these legitimate events score higher, and for
    /// others that may be more or fewer.
    pub fn recall_range_at(&self, fpr: f64) -> ConfidenceRange {
        let value = self.recall_at(fpr);
        let found = self.share_of_called(self.called_at(fpr), false, |event| event.fraud);
        let nothing = ConfidenceRange {
            value,
            low: 0.0,
            high: 1.0,
        };
        if self.fraud == 0 || self.legit == 0 {
            return nothing;
        }
        let sampled = ConfidenceRange::of_effective_share(value, found.effective_events());
        let threshold = self.threshold_range(fpr);
        sampled.widened(
            self.recall_at(threshold.low),
            self.recall_at(threshold.high),
        )
    }

    /// [`Ranking::weight_recall_at`] with its 95 % range, as [`Ranking::recall_range_at`] has it.
    pub fn weight_recall_range_at(&self, fpr: f64) -> Option<ConfidenceRange> {
        let found = self.share_of_called(self.called_at(fpr), true, |event| event.fraud);
        let sampled = found.range()?;
        let threshold = self.threshold_range(fpr);
        let (low, high) = (
            self.weight_recall_at(threshold.low),
            self.weight_recall_at(threshold.high),
        );
        Some(sampled.widened(low.min(sampled.value), high.max(sampled.value)))
    }

    /// What a false-positive rate of these legitimate events can be of others.
    fn threshold_range(&self, fpr: f64) -> ConfidenceRange {
        let alarms = self.share_of_called(self.called_at(fpr), false, |event| !event.fraud);
        ConfidenceRange::of_effective_share(fpr, alarms.effective_events())
    }

    /// [`Ranking::precision_at_capacity`] with its 95 % range, by entity where entities are known.
    pub fn precision_range_at_capacity(&self, events: usize) -> Option<ConfidenceRange> {
        self.precision_of_called(events.min(self.events.len()))
    }

    /// What happens if every event with a score of at least `threshold` is called fraud, with 95 % ranges, by entity
    /// where entities are known.
    pub fn effect_of(&self, threshold: f64) -> ThresholdFigures {
        let called = self
            .events
            .partition_point(|event| event.score >= threshold);
        let hits = self.events[..called].iter().filter(|event| event.fraud);
        let hits = hits.count();
        let share = |fraud: bool| self.share_of_called(called, false, |event| event.fraud == fraud);
        ThresholdFigures {
            legit_called: called - hits,
            fraud_called: hits,
            fpr: share(false).range(),
            recall: share(true).range(),
            precision: self.precision_of_called(called),
            weight_recall: self
                .share_of_called(called, true, |event| event.fraud)
                .range(),
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
        let called = self
            .events
            .partition_point(|event| event.score >= threshold);
        let hits = self.events[..called]
            .iter()
            .filter(|event| event.fraud)
            .count();
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
            self.events[..called]
                .iter()
                .filter(|event| event.fraud)
                .count(),
            called,
        )
    }

    /// The share of the fraud's total weight, such as its amount of money, that is found at a false-positive rate.
    pub fn weight_recall_at(&self, fpr: f64) -> f64 {
        let weight_of = |tie: &[RankedEvent]| -> f64 {
            tie.iter()
                .filter(|event| event.fraud)
                .map(|event| event.weight.max(0.0))
                .sum()
        };
        let total = weight_of(&self.events);
        let (mut alarms, mut found) = (0, 0.0);
        for tie in self.ties() {
            alarms += tie.iter().filter(|event| !event.fraud).count();
            if compute_ratio(alarms, self.legit) > fpr {
                break;
            }
            found += weight_of(tie);
        }
        if total > 0.0 { found / total } else { 0.0 }
    }
}

/// The entity of an event at a place of the ranking; an event without one is an entity of its own.
fn entity_key(event: &RankedEvent, place: usize) -> u64 {
    // A hash and a small number meet too seldom to matter.
    event
        .entity
        .unwrap_or_else(|| u64::try_from(place).unwrap_or(u64::MAX))
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
        let event = |(score, fraud, weight)| RankedEvent {
            weight,
            ..RankedEvent::new(score, fraud)
        };
        let ranking = Ranking::of_events(
            [
                (0.9, true, 10.0),
                (0.8, false, 1.0),
                (0.7, true, 90.0),
                (0.2, false, 1.0),
            ]
            .map(event),
        );
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

    /// Events in a line: `F` is fraud and `l` legitimate, from the highest score; a digit after it is the entity.
    fn ranking_of(line: &str) -> Ranking {
        let letters: Vec<char> = line.chars().filter(|letter| *letter != ' ').collect();
        let mut events: Vec<RankedEvent> = Vec::new();
        for letter in letters {
            if let Some(entity) = letter.to_digit(10) {
                events.last_mut().unwrap().entity = Some(u64::from(entity) << 40);
            } else {
                let above = u32::try_from(events.len()).unwrap();
                events.push(RankedEvent::new(-f64::from(above), letter == 'F'));
            }
        }
        Ranking::of_events(events)
    }

    fn shown(range: ConfidenceRange) -> String {
        format!("{:.3} ({:.3} to {:.3})", range.value, range.low, range.high)
    }

    #[test]
    fn ranges_of_auc() {
        let many = "l".repeat(200);
        for (line, expected) in [
            ("FlFFlFllFlll".to_owned(), "0.771 (0.397 to 0.945)"),
            // An AUC of 1 is never certain, and less so with few frauds, or with frauds of few entities.
            (
                format!("{} {many}", "F".repeat(50)),
                "1.000 (0.976 to 1.000)",
            ),
            (
                format!("{} {many}", "F".repeat(5)),
                "1.000 (0.806 to 1.000)",
            ),
            (
                format!("{} {many}", "F1F2F3F4F5".repeat(10)),
                "1.000 (0.806 to 1.000)",
            ),
            (
                format!("{} {many}", "F1".repeat(50)),
                "1.000 (0.437 to 1.000)",
            ),
            ("F l".to_owned(), "1.000 (0.000 to 1.000)"),
        ] {
            assert_eq!(shown(ranking_of(&line).auc_range()), expected, "{line}");
        }
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
            prop_assert!(0.0 <= range.low && range.low <= range.value && range.value <= range.high && range.high <= 1.0);
            prop_assert!(range.high - range.low > 1e-6);
        }

        #[test]
        fn entities_only_widen_ranges(
            events in prop::collection::vec((0_i8..9, any::<bool>(), 0_u64..12), 4..80),
            threshold in 0_i8..9,
        ) {
            let ranking = |entity: &dyn Fn(usize, u64) -> Option<u64>| {
                Ranking::of_events(events.iter().enumerate().map(|(place, (score, fraud, of))| RankedEvent {
                    entity: entity(place, *of),
                    ..RankedEvent::new(f64::from(*score), *fraud)
                }))
            };
            let ranges = |ranking: &Ranking| {
                let effect = ranking.effect_of(f64::from(threshold));
                [
                    Some(ranking.auc_range()),
                    Some(ranking.recall_range_at(0.2)),
                    ranking.weight_recall_range_at(0.2),
                    ranking.precision_range_at_capacity(10),
                    effect.fpr,
                    effect.recall,
                    effect.precision,
                    effect.weight_recall,
                ]
            };
            let plain = ranges(&ranking(&|_, _| None));
            let own = ranges(&ranking(&|place, _| Some((place as u64) << 32)));
            let clustered = ranges(&ranking(&|_, of| Some(of << 32)));
            for ((plain, own), clustered) in plain.iter().zip(own).zip(clustered) {
                let (Some(plain), Some(own), Some(clustered)) = (plain, own, clustered) else {
                    prop_assert!(plain.is_none() && own.is_none() && clustered.is_none());
                    continue;
                };
                for range in [*plain, own, clustered] {
                    prop_assert!(0.0 <= range.low && range.low <= range.value, "{range:?}");
                    prop_assert!(range.value <= range.high && range.high <= 1.0, "{range:?}");
                    prop_assert!(range.high - range.low > 1e-6, "{range:?}");
                }
                prop_assert!((plain.low - own.low).abs() < 1e-9 && (plain.high - own.high).abs() < 1e-9, "{plain:?} {own:?}");
                let inside = clustered.low <= plain.low + 1e-9 && plain.high <= clustered.high + 1e-9;
                prop_assert!(inside, "{plain:?} {clustered:?}");
            }
        }
    }
}
