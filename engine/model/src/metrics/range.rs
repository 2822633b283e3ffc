//! 95 % ranges of shares and of areas under a ROC curve, also where the events of an entity belong together.
//!
//! Orders of one account, or log-ins of one customer, are alike: 500 frauds of one entity say less than 500 frauds of
//! 500 entities. Each range therefore counts events only as far as their entities differ. How far is measured by the
//! design effect, the variance by entity divided by the variance of as many independent events (Rao and Scott 1992, "A
//! simple method for the analysis of clustered binary data"); few entities widen it further, by Student's t (Korn and
//! Graubard 1998, "Confidence intervals for proportions with small expected number of positive counts estimated from
//! survey data"). It is never below 1: entities make no range narrower than independent events have. Where every
//! event was right, or every one was wrong, nothing shows how alike the events of an entity are; then they count as
//! one, weighted as by Kish (1965, "Survey Sampling"). With an entity for each event, all of this is the plain range.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// The standard normal deviate for 95 %.
const Z: f64 = 1.959_964;
/// How often an interval is halved to find a bound; 2⁻⁶⁰ is far below what a figure shows.
const HALVINGS: usize = 60;

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
        (whole > 0).then(|| Self::of_effective_share(part as f64 / whole as f64, whole as f64))
    }

    /// A share with the range after Wilson that it has as a share of so many independent events.
    pub(super) fn of_effective_share(value: f64, n: f64) -> Self {
        let centre = (value + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half =
            Z / (1.0 + Z * Z / n) * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self {
            value,
            low: (centre - half).clamp(0.0, value),
            high: (centre + half).clamp(value, 1.0),
        }
    }

    /// The same figure with bounds that are further out by an independent uncertainty: the differences to the bounds
    /// are added as squares (Zou and Donner 2008, "Construction of confidence limits about effect measures").
    pub(super) fn widened(self, low: f64, high: f64) -> Self {
        Self {
            value: self.value,
            low: (self.value - (self.value - self.low).hypot(self.value - low)).max(0.0),
            high: (self.value + (self.high - self.value).hypot(high - self.value)).min(1.0),
        }
    }

    /// A range that covers both; the figure is this one's.
    fn covering(self, other: Self) -> Self {
        Self {
            value: self.value,
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }
}

/// Sums of an entity: of what was found, and of all.
#[derive(Clone, Copy, Debug, Default)]
struct EntitySums {
    part: f64,
    whole: f64,
}

/// A share of events, or of their amounts, with the sums of each entity.
#[derive(Clone, Debug, Default)]
pub(super) struct ClusteredShare {
    entities: FxHashMap<u64, EntitySums>,
    events: usize,
    /// The sum of the squares of the events' weights.
    squares: f64,
}

impl ClusteredShare {
    /// Adds an event with its weight, and whether it was found.
    pub fn add(&mut self, entity: u64, weight: f64, found: bool) {
        if weight <= 0.0 {
            return;
        }
        let sums = self.entities.entry(entity).or_default();
        sums.whole += weight;
        sums.part += if found { weight } else { 0.0 };
        self.events += 1;
        self.squares += weight * weight;
    }

    /// The share, or `None` of nothing.
    pub fn share(&self) -> Option<f64> {
        let (part, whole) = self.sums();
        (whole > 0.0).then(|| part / whole)
    }

    /// The share with its range, or `None` of nothing.
    pub fn range(&self) -> Option<ConfidenceRange> {
        let value = self.share()?;
        Some(ConfidenceRange::of_effective_share(
            value,
            self.effective_events(),
        ))
    }

    /// Sums over the entities in the order of their keys, so that the same events give the same bits.
    fn sorted(&self) -> Vec<EntitySums> {
        let mut entities: Vec<_> = self.entities.iter().collect();
        entities.sort_unstable_by_key(|(entity, _)| **entity);
        entities.into_iter().map(|(_, sums)| *sums).collect()
    }

    fn sums(&self) -> (f64, f64) {
        self.sorted().iter().fold((0.0, 0.0), |sum, entity| {
            (sum.0 + entity.part, sum.1 + entity.whole)
        })
    }

    /// So many independent events would say as much of the share.
    pub fn effective_events(&self) -> f64 {
        let entities = self.sorted();
        let (part, whole) = self.sums();
        let share = part / whole;
        let squares: f64 = entities.iter().map(|sums| sums.whole * sums.whole).sum();
        let most = whole * whole / self.squares;
        let variance: f64 = entities
            .iter()
            .map(|sums| (sums.part - share * sums.whole).powi(2))
            .sum();
        // As of a sample: what Rao and Scott divide by one less, relative to the same of single events.
        let variance =
            variance * correct_for_sample(entities.len()) / correct_for_sample(self.events);
        let spread = share * (1.0 - share);
        let events = if spread > 0.0 {
            most.min(spread * whole * whole / variance)
        } else {
            whole * whole / squares
        };
        let few = student_factor(self.events, entities.len());
        (events / few).clamp(1.0, most.max(1.0))
    }
}

/// The place of an event among those of the other class, and its entity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    /// The event's entity.
    pub entity: u64,
    /// The share of the events of the other class on whose right side it ranks; ties count half.
    pub share: f64,
}

/// The range of an area under a ROC curve. It covers two: `DeLong`'s variance (1988) by entity, after Obuchowski (1997,
/// "Nonparametric analysis of clustered ROC curve data"), on the logit scale, which keeps it within 0 and 1; and
/// Newcombe's score range (2006, "Confidence intervals for an effect size measure based on the Mann-Whitney
/// statistic", method 5) for as many independent events. The second is not of width zero where the first is, at an
/// area of 1, and not too narrow near it with few frauds.
pub(super) fn compute_auc_range(
    value: f64,
    fraud: &[Placement],
    legit: &[Placement],
) -> ConfidenceRange {
    let everything = ConfidenceRange {
        value,
        low: 0.0,
        high: 1.0,
    };
    if fraud.len() < 2 || legit.len() < 2 {
        return everything;
    }
    let plain = compute_variance_of_mean(fraud, value) + compute_variance_of_mean(legit, value);
    let (variance, [of_fraud, of_legit]) = compute_clustered_variance(value, fraud, legit);
    let scored = |fraud: f64, legit: f64| find_score_range(value, fraud.max(1.0), legit.max(1.0));
    let few = student_factor(fraud.len(), of_fraud.entities);
    // Of one entity of legitimate events, nothing is known of how entities differ.
    let few_legit = student_factor(legit.len(), of_legit.entities);
    let few = if few_legit.is_finite() {
        few.max(few_legit)
    } else {
        few
    };
    let unknown = few.is_infinite() || variance <= 0.0 || plain <= 0.0;
    if unknown || value <= 0.0 || value >= 1.0 {
        return scored(of_fraud.effective, of_legit.effective);
    }
    let effect = (variance / plain).max(1.0) * few;
    let log_odds = (value / (1.0 - value)).ln();
    let half = Z * (plain * effect).sqrt() / (value * (1.0 - value));
    let inverse = |log_odds: f64| 1.0 / (1.0 + (-log_odds).exp());
    let delong = ConfidenceRange {
        value,
        low: inverse(log_odds - half).min(value),
        high: inverse(log_odds + half).max(value),
    };
    #[expect(clippy::cast_precision_loss, reason = "counts of events")]
    let count = |events: usize| events as f64 / effect;
    delong.covering(scored(count(fraud.len()), count(legit.len())))
}

/// `n / (n - 1)`: how much larger the variance of a population is than that of a sample of `n`.
#[expect(clippy::cast_precision_loss, reason = "counts of events")]
fn correct_for_sample(n: usize) -> f64 {
    n as f64 / n.saturating_sub(1).max(1) as f64
}

/// How many entities the events of a class have, and how many equal ones would say as much.
#[derive(Clone, Copy, Debug)]
struct EntityCount {
    entities: usize,
    effective: f64,
}

/// Obuchowski's variance of the area, and the entities of fraud and of legitimate events.
#[expect(clippy::cast_precision_loss, reason = "counts of events")]
fn compute_clustered_variance(
    value: f64,
    fraud: &[Placement],
    legit: &[Placement],
) -> (f64, [EntityCount; 2]) {
    let classes = [fraud, legit];
    // For each entity and class: the sum of differences from the area, as a share of the class, and the events.
    let mut entities: FxHashMap<u64, [(f64, f64); 2]> = FxHashMap::default();
    for (class, events) in classes.iter().enumerate() {
        for event in *events {
            let sums = entities.entry(event.entity).or_default();
            sums[class].0 += (event.share - value) / events.len() as f64;
            sums[class].1 += 1.0;
        }
    }
    let mut entities: Vec<_> = entities.into_iter().collect();
    // In the order of their keys, so that the same events give the same bits.
    entities.sort_unstable_by_key(|(entity, _)| *entity);
    let mut variance = 2.0
        * correct_for_sample(entities.len())
        * entities
            .iter()
            .map(|(_, sums)| sums[0].0 * sums[1].0)
            .sum::<f64>();
    let counts = [0, 1].map(|class| {
        let of_class = || {
            entities
                .iter()
                .map(move |(_, sums)| sums[class])
                .filter(|sums| sums.1 > 0.0)
        };
        let found = of_class().count();
        variance += correct_for_sample(found) * of_class().map(|sums| sums.0 * sums.0).sum::<f64>();
        let events = classes[class].len() as f64;
        EntityCount {
            entities: found,
            effective: events * events / of_class().map(|sums| sums.1 * sums.1).sum::<f64>(),
        }
    });
    (variance, counts)
}

/// The variance of a mean of independent events.
#[expect(clippy::cast_precision_loss, reason = "counts of events")]
fn compute_variance_of_mean(events: &[Placement], mean: f64) -> f64 {
    let n = events.len() as f64;
    let squares = events.iter().map(|event| (event.share - mean).powi(2));
    squares.sum::<f64>() / (n - 1.0) / n
}

/// Newcombe's range: all areas that differ from the one found by no more than chance would, if they were the true one.
fn find_score_range(value: f64, fraud: f64, legit: f64) -> ConfidenceRange {
    let more = f64::midpoint(fraud, legit) - 1.0;
    let is_within = |area: f64| {
        let shape = (1.0 - area) / (2.0 - area) + area / (1.0 + area);
        let variance = area * (1.0 - area) * (1.0 + more * shape) / (fraud * legit);
        (value - area).powi(2) <= Z * Z * variance
    };
    let bound = |outside: f64| {
        let (mut within, mut outside) = (value, outside);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(within, outside);
            *(if is_within(middle) {
                &mut within
            } else {
                &mut outside
            }) = middle;
        }
        outside
    };
    ConfidenceRange {
        value,
        low: bound(0.0),
        high: bound(1.0),
    }
}

/// By how much a range is wider, as a factor of the variance, because its variance is known from few entities: the
/// square of Student's t for the entities, divided by that for the events. Infinite for a single entity of several events.
fn student_factor(events: usize, entities: usize) -> f64 {
    if entities >= events {
        return 1.0;
    }
    if entities < 2 {
        return f64::INFINITY;
    }
    (student_t(entities - 1) / student_t(events - 1)).powi(2)
}

/// Student's t for 95 %, two-sided; from 4 degrees of freedom by Cornish and Fisher's expansion, to 0.5 %.
#[expect(clippy::cast_precision_loss, reason = "counts of entities")]
fn student_t(freedom: usize) -> f64 {
    match freedom {
        0 | 1 => 12.706,
        2 => 4.303,
        3 => 3.182,
        _ => {
            let n = freedom as f64;
            let z = [1, 3, 5, 7].map(|power| Z.powi(power));
            z[0] + (z[1] + z[0]) / (4.0 * n)
                + (5.0 * z[2] + 16.0 * z[1] + 3.0 * z[0]) / (96.0 * n * n)
                + (3.0 * z[3] + 19.0 * z[2] + 17.0 * z[1] - 15.0 * z[0]) / (384.0 * n.powi(3))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_t_by_the_table() {
        for (freedom, t) in [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (5, 2.571),
            (10, 2.228),
            (30, 2.042),
            (1000, 1.962),
        ] {
            let found = student_t(freedom);
            assert!((found / t - 1.0).abs() < 0.005, "{freedom}: {found}");
        }
    }

    /// Newcombe's method 5 for an area of 1 with m = n = 10 keeps away from 1; with more events it comes nearer.
    #[test]
    fn an_area_of_one_has_a_range() {
        let low = [5.0, 10.0, 50.0, 500.0].map(|n| find_score_range(1.0, n, 100.0 * n).low);
        assert!(low.is_sorted(), "{low:?}");
        assert!(low[0] > 0.6 && low[0] < 0.9, "{low:?}");
        assert!(low[2] > 0.95 && low[3] < 1.0, "{low:?}");
    }

    #[test]
    fn an_entity_of_many_events_counts_little() {
        // Entities with their events and how many of these were found; the effective number of events.
        for (entities, expected) in [
            (&[(1, 1), (1, 0), (1, 1), (1, 0)][..], 4.0..=4.0),
            // All or none of each entity: entities count, and as they are few, less than that.
            (&[(10, 10), (10, 0), (10, 10), (10, 0)], 1.0..=3.0),
            // Half of each entity: events count as far as four entities can show it.
            (&[(10, 5), (10, 5), (10, 5), (10, 5)], 15.0..=40.0),
            // Everything was found, mostly of one entity.
            (&[(100, 100), (1, 1), (1, 1)], 1.0..=1.1),
            (&[(100, 50)], 1.0..=1.0),
        ] {
            let mut share = ClusteredShare::default();
            for (entity, (events, found)) in (0..).zip(entities) {
                for event in 0..*events {
                    share.add(entity, 1.0, event < *found);
                }
            }
            let effective = share.effective_events();
            assert!(expected.contains(&effective), "{entities:?}: {effective}");
        }
    }
}
