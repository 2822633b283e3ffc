//! How well scores separate fraud from legitimate events, compared with a look-up on a single column.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;

use model::metrics::{ConfidenceRange, RankedEvent, Ranking, ThresholdFigures};
use model::{EventLabel, EventRow, Variable, VariableType};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use serde::Serialize;

/// A look-up adds this many events with the average fraud rate to its own, so that one fraud is no certainty.
const PRIOR: f64 = 2.0;
/// A column with fewer different values is no key.
const KEY_VALUES: usize = 100;
/// Numbers, dates and texts are no keys. Only this many of their values are kept, so that the tables do not become
/// larger than the data.
const MOST_VALUES: usize = 50_000;

/// An event of the test file with its score.
#[derive(Clone, Debug)]
pub struct ScoredEvent {
    /// Its place in the file, from 1.
    pub number: usize,
    /// The log-odds of fraud.
    pub log_odds: f64,
    /// The score, 0 to 1000.
    pub score: f64,
    /// Whether it was fraud.
    pub fraud: bool,
    /// A hash of its entity, if there is one.
    pub entity: Option<u64>,
    /// Its amount, if there is a column of type PRICE.
    pub amount: Option<f64>,
    /// Its month, `yyyy-mm`.
    pub month: Option<String>,
    /// The fraud rate that each column's look-up gives it.
    pub look_ups: Vec<f32>,
    /// For each column, whether training had seen its value; `None` if it has no value.
    pub seen: Vec<Option<bool>>,
    /// The most severe outcome of the rules of a detector file, by its place among the alarms.
    pub alarm: Option<usize>,
}

impl ScoredEvent {
    /// The event as it is ranked by `score`, with a weight of 1.
    pub(crate) fn ranked_by(&self, score: f64) -> RankedEvent {
        RankedEvent {
            entity: self.entity,
            ..RankedEvent::new(score, self.fraud)
        }
    }

    /// An event of which only the log-odds are known.
    #[cfg(test)]
    pub(crate) fn of_log_odds(log_odds: f64) -> Self {
        Self {
            number: 1,
            log_odds,
            score: log_odds,
            fraud: false,
            entity: None,
            amount: None,
            month: None,
            look_ups: Vec::new(),
            seen: Vec::new(),
            alarm: None,
        }
    }
}

/// The thresholds whose effect is shown: those of Amazon's published table of scores, and some around them.
pub const SHOWN_THRESHOLDS: [f64; 10] = [
    990.0, 975.0, 950.0, 900.0, 860.0, 775.0, 700.0, 600.0, 400.0, 200.0,
];

/// The share of legitimate events that a recommended threshold calls fraud at most.
const TOLERATED_FALSE_POSITIVES: f64 = 0.01;

/// For each column, how often each of its values was fraud in the training file.
#[derive(Debug)]
pub struct LookUps {
    columns: Vec<FxHashMap<u64, (u32, u32)>>,
    can_be_keys: Vec<bool>,
    fraud: u32,
    labelled: u32,
}

/// The figures of a test file.
#[derive(Clone, Debug, Serialize)]
pub struct Measures {
    /// Labelled events.
    pub events: usize,
    /// Fraud among them.
    pub fraud: usize,
    /// How many entities the fraud is of; `None` where events have no entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraud_entities: Option<usize>,
    /// Area under the ROC curve. This range and the others are of 95 %, and by entity where events have one.
    pub auc: ConfidenceRange,
    /// Average precision.
    pub average_precision: f64,
    /// The share of fraud found where 1 % of the legitimate events are called fraud.
    pub recall_at_1_percent_fpr: ConfidenceRange,
    /// The same, by amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_recall_at_1_percent_fpr: Option<ConfidenceRange>,
    /// The share of fraud among the events that a team can review.
    pub precision_at_capacity: ReviewCapacity,
    /// The effect of thresholds on the score.
    pub thresholds: Vec<ThresholdEffect>,
    /// The lowest of these thresholds that calls at most 1 % of the legitimate events fraud, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommended_threshold: Option<f64>,
    /// The amount of all fraud, if there is a column of type PRICE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraud_amount: Option<f64>,
    /// By month of the event.
    pub months: BTreeMap<String, SubsetMeasures>,
    /// Columns of keys: figures of events whose value training had seen, and of those with a new value.
    pub keys: Vec<KeyColumn>,
    /// The best look-up on one column, for comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_look_up: Option<LookUp>,
}

/// What a review team finds that reviews the events with the highest scores.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReviewCapacity {
    /// Events that it can review: 1 % of all.
    pub events: usize,
    /// The share of them that is fraud.
    pub precision: ConfidenceRange,
}

/// The effect of a threshold: events with at least this score are called fraud.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ThresholdEffect {
    /// The threshold.
    pub score: f64,
    /// How many legitimate events are called fraud.
    pub legit_called: usize,
    /// The share of legitimate events called fraud.
    pub fpr: ConfidenceRange,
    /// How many fraudulent events are called fraud.
    pub fraud_called: usize,
    /// The share of fraud found.
    pub recall: ConfidenceRange,
    /// The share of fraud among those called fraud; `None` where none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<ConfidenceRange>,
    /// The amount of the fraud found, if there is a column of type PRICE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_found: Option<f64>,
    /// Its share in the amount of all fraud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_recall: Option<ConfidenceRange>,
}

/// The figures of a part of the events.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SubsetMeasures {
    /// Events.
    pub events: usize,
    /// Fraud among them.
    pub fraud: usize,
    /// Area under the ROC curve; `None` if the events are not of both kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Recall at 1 % false positives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_at_1_percent_fpr: Option<f64>,
}

/// A column of keys.
#[derive(Clone, Debug, Serialize)]
pub struct KeyColumn {
    /// The column.
    pub column: String,
    /// Events whose value training had seen.
    pub known: SubsetMeasures,
    /// Events whose value it had not.
    pub new: SubsetMeasures,
}

/// A look-up on one column.
#[derive(Clone, Debug, Serialize)]
pub struct LookUp {
    /// The column.
    pub column: String,
    /// Area under the ROC curve.
    pub auc: f64,
    /// Recall at 1 % false positives.
    pub recall_at_1_percent_fpr: f64,
}

fn hash_value(text: &str) -> u64 {
    FxBuildHasher.hash_one(text)
}

impl LookUps {
    /// Empty tables of these columns.
    pub fn new(variables: &[Variable]) -> Self {
        Self {
            columns: vec![FxHashMap::default(); variables.len()],
            can_be_keys: variables
                .iter()
                .map(|variable| can_be_key(variable.kind))
                .collect(),
            fraud: 0,
            labelled: 0,
        }
    }

    /// Learns from an event of the training file.
    pub fn learn(&mut self, row: &EventRow<'_>) {
        let fraud = match row.label {
            EventLabel::Fraud => 1,
            EventLabel::Legit => 0,
            EventLabel::Unlabelled | EventLabel::Unknown => return,
        };
        self.labelled = self.labelled.saturating_add(1);
        self.fraud = self.fraud.saturating_add(fraud);
        let tables = self.columns.iter_mut().zip(&self.can_be_keys);
        for ((table, can_be_key), value) in tables.zip(row.values) {
            let value = hash_value(value.unwrap_or_default());
            if !can_be_key && table.len() >= MOST_VALUES && !table.contains_key(&value) {
                continue;
            }
            let counts = table.entry(value).or_default();
            counts.0 = counts.0.saturating_add(fraud);
            counts.1 = counts.1.saturating_add(1);
        }
    }

    /// For each column, the smoothed share of fraud among training events with the same value.
    pub fn fraud_rates(&self, row: &EventRow<'_>) -> Vec<f32> {
        let rate = f64::from(self.fraud) / f64::from(self.labelled.max(1));
        let say = |(table, value): (&FxHashMap<u64, (u32, u32)>, Option<&str>)| {
            let (fraud, all) = table
                .get(&hash_value(value.unwrap_or_default()))
                .copied()
                .unwrap_or_default();
            let share = (f64::from(fraud) + PRIOR * rate) / (f64::from(all) + PRIOR);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a share, compared with others of its kind"
            )]
            let share = share as f32;
            share
        };
        self.columns
            .iter()
            .zip(row.values.iter().copied())
            .map(say)
            .collect()
    }

    /// For each column, whether training has seen the event's value.
    pub fn known_values(&self, row: &EventRow<'_>) -> Vec<Option<bool>> {
        let seen = |(table, value): (&FxHashMap<u64, (u32, u32)>, Option<&str>)| {
            value.map(|value| table.contains_key(&hash_value(value)))
        };
        self.columns
            .iter()
            .zip(row.values.iter().copied())
            .map(seen)
            .collect()
    }

    fn is_key(&self, column: usize) -> bool {
        self.can_be_keys[column] && self.columns[column].len() > KEY_VALUES
    }
}

fn can_be_key(kind: VariableType) -> bool {
    let words = matches!(kind, VariableType::FreeFormText | VariableType::DateTime);
    !kind.is_number() && !words
}

impl Measures {
    /// Measures the scored events of a test file.
    pub fn new(scored: &[ScoredEvent], variables: &[Variable], look_ups: &LookUps) -> Self {
        let ranking =
            Ranking::of_events(scored.iter().map(|event| event.ranked_by(event.log_odds)));
        let capacity = (scored.len() / 100).max(1);
        let has_amounts = scored.iter().any(|event| event.amount.is_some());
        let nothing = ConfidenceRange {
            value: 0.0,
            low: 0.0,
            high: 1.0,
        };
        let by_amount = Ranking::of_events(scored.iter().map(|event| RankedEvent {
            weight: weigh_amount(event),
            ..event.ranked_by(event.log_odds)
        }));
        let amount_recall = by_amount.weight_recall_range_at(0.01);
        let thresholds = measure_thresholds(scored, has_amounts);
        Self {
            events: scored.len(),
            fraud: ranking.fraud(),
            fraud_entities: count_fraud_entities(scored),
            auc: ranking.auc_range(),
            average_precision: ranking.average_precision(),
            recall_at_1_percent_fpr: ranking.recall_range_at(0.01),
            amount_recall_at_1_percent_fpr: amount_recall.filter(|_| has_amounts),
            precision_at_capacity: ReviewCapacity {
                events: capacity,
                precision: ranking
                    .precision_range_at_capacity(capacity)
                    .unwrap_or(nothing),
            },
            recommended_threshold: thresholds
                .iter()
                .filter(|effect| effect.fpr.value <= TOLERATED_FALSE_POSITIVES)
                .map(|effect| effect.score)
                .next_back(),
            thresholds,
            fraud_amount: has_amounts.then(|| {
                let fraud = scored.iter().filter(|event| event.fraud);
                fraud.map(weigh_amount).sum()
            }),
            months: measure_months(scored),
            keys: measure_key_columns(scored, variables, look_ups),
            best_look_up: find_best_look_up(scored, variables),
        }
    }

    /// The effect of the recommended threshold.
    pub fn recommended_effect(&self) -> Option<&ThresholdEffect> {
        let score = self.recommended_threshold?;
        self.thresholds
            .iter()
            .find(|effect| effect.score.total_cmp(&score).is_eq())
    }
}

/// The amount of an event as a weight: what is missing, or was paid back, weighs nothing.
fn weigh_amount(event: &ScoredEvent) -> f64 {
    event.amount.unwrap_or(0.0).max(0.0)
}

/// How many entities the fraud is of; an event without an entity counts as one.
fn count_fraud_entities(scored: &[ScoredEvent]) -> Option<usize> {
    let fraud = || scored.iter().filter(|event| event.fraud);
    let known: FxHashSet<u64> = fraud().filter_map(|event| event.entity).collect();
    let without = fraud().filter(|event| event.entity.is_none()).count();
    (!known.is_empty()).then_some(known.len() + without)
}

fn measure_thresholds(scored: &[ScoredEvent], has_amounts: bool) -> Vec<ThresholdEffect> {
    let by_score = Ranking::of_events(scored.iter().map(|event| RankedEvent {
        weight: weigh_amount(event),
        ..event.ranked_by(event.score)
    }));
    let amount_from = |score: f64| {
        let found = scored
            .iter()
            .filter(|event| event.fraud && event.score >= score);
        found.map(weigh_amount).sum()
    };
    let measure = |score: f64| {
        let ThresholdFigures {
            legit_called,
            fraud_called,
            fpr,
            recall,
            precision,
            weight_recall,
        } = by_score.effect_of(score);
        Some(ThresholdEffect {
            score,
            legit_called,
            fpr: fpr?,
            fraud_called,
            recall: recall?,
            precision,
            amount_found: has_amounts.then(|| amount_from(score)),
            amount_recall: weight_recall.filter(|_| has_amounts),
        })
    };
    SHOWN_THRESHOLDS.into_iter().filter_map(measure).collect()
}

impl SubsetMeasures {
    fn measure<'a>(events: impl IntoIterator<Item = &'a ScoredEvent>) -> Self {
        let ranking = Ranking::new(
            events
                .into_iter()
                .map(|event| (event.log_odds, event.fraud)),
        );
        let both = ranking.fraud() > 0 && ranking.legit() > 0;
        Self {
            events: ranking.fraud() + ranking.legit(),
            fraud: ranking.fraud(),
            auc: both.then(|| ranking.auc()),
            recall_at_1_percent_fpr: both.then(|| ranking.recall_at(0.01)),
        }
    }
}

fn measure_months(scored: &[ScoredEvent]) -> BTreeMap<String, SubsetMeasures> {
    let mut months: BTreeMap<&str, Vec<&ScoredEvent>> = BTreeMap::new();
    for event in scored {
        if let Some(month) = &event.month {
            months.entry(month).or_default().push(event);
        }
    }
    months
        .into_iter()
        .map(|(month, events)| (month.to_owned(), SubsetMeasures::measure(events)))
        .collect()
}

fn measure_key_columns(
    scored: &[ScoredEvent],
    variables: &[Variable],
    look_ups: &LookUps,
) -> Vec<KeyColumn> {
    let with = |column: usize, wanted: bool| {
        SubsetMeasures::measure(
            scored
                .iter()
                .filter(|event| event.seen[column] == Some(wanted)),
        )
    };
    variables
        .iter()
        .enumerate()
        .filter(|(column, _)| look_ups.is_key(*column))
        .map(|(column, variable)| KeyColumn {
            column: variable.name.clone(),
            known: with(column, true),
            new: with(column, false),
        })
        .collect()
}

fn find_best_look_up(scored: &[ScoredEvent], variables: &[Variable]) -> Option<LookUp> {
    let measure = |(column, variable): (usize, &Variable)| {
        let said = |event: &ScoredEvent| (f64::from(event.look_ups[column]), event.fraud);
        let ranking = Ranking::new(scored.iter().map(said));
        LookUp {
            column: variable.name.clone(),
            auc: ranking.auc(),
            recall_at_1_percent_fpr: ranking.recall_at(0.01),
        }
    };
    variables
        .iter()
        .enumerate()
        .map(measure)
        .max_by(|a, b| a.auc.total_cmp(&b.auc))
}
