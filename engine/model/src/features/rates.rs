//! Fraud rates of keys: how often each key was seen, and how often it was fraud.

use rustc_hash::FxHashMap;

use super::plan::{LearningPlan, PlanStep};

/// A table keeps at most so many keys: those with most fraud, then the most frequent.
const MOST_KEYS: usize = 40_000;

/// As how many events the rate of the coarser key counts. Fixed, because choosing it by labels would let a row see
/// labels that were not known yet.
const STRENGTH: f64 = 10.0;

/// After this time, in seconds, an event counts half in rates: what was attacked half a year ago tells little of today.
const HALF_LIFE: f64 = 60.0 * 86_400.0;

/// What is known of one level of a variable's keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RateTable {
    pub entries: FxHashMap<u32, KeyRates>,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct KeyRates {
    /// How much its log-odds of fraud exceed those of all events.
    pub lift: f32,
    /// Its share of all events.
    pub frequency: f32,
}

impl RateTable {
    /// The lift and the frequency of a key. `parent` is the lift of its next coarser key, for a key that is not known.
    pub fn features(&self, key: u32, parent: f64) -> (f64, f64) {
        if key == 0 {
            return (f64::NAN, f64::NAN);
        }
        self.entries.get(&key).map_or((parent, 0.0), |known| {
            (f64::from(known.lift), f64::from(known.frequency))
        })
    }
}

/// The keys of one level, numbered.
pub(crate) struct KeyLevel {
    /// For each value, the number of its key.
    pub of_value: Vec<u32>,
    /// The keys.
    pub keys: Vec<u32>,
    /// For each key, the number of the coarser key that it belongs to.
    parents: Vec<u32>,
}

impl KeyLevel {
    /// Stands for a missing value or key.
    pub const NONE: u32 = u32::MAX;

    /// Numbers the keys of a level. `keys` has the key of each value; `coarser` is the level above.
    pub fn new(keys: impl Iterator<Item = u32>, coarser: Option<&Self>) -> Self {
        let mut numbers: FxHashMap<u32, u32> = FxHashMap::default();
        let mut level = Self {
            of_value: Vec::new(),
            keys: Vec::new(),
            parents: Vec::new(),
        };
        for (value, key) in keys.enumerate() {
            if key == 0 {
                level.of_value.push(Self::NONE);
                continue;
            }
            let next = u32::try_from(level.keys.len()).unwrap_or(Self::NONE);
            let number = *numbers.entry(key).or_insert(next);
            if number == next {
                level.keys.push(key);
                level
                    .parents
                    .push(coarser.map_or(Self::NONE, |coarser| coarser.of_value[value]));
            }
            level.of_value.push(number);
        }
        level
    }

    /// The number of a value's key; [`Level::NONE`] where the value or its key is missing.
    fn key_of(&self, value: u32) -> u32 {
        if value == Self::NONE {
            Self::NONE
        } else {
            self.of_value[value as usize]
        }
    }
}

/// What was learnt of one variable's keys, level by level.
pub(crate) struct FittedRates {
    pub tables: Vec<RateTable>,
    /// For each level the lifts and the frequencies.
    pub columns: Vec<Vec<f64>>,
}

#[derive(Clone, Copy, Default)]
struct KeyCounts {
    events: u32,
    labelled: u32,
    fraud: u32,
    /// The labelled and the fraudulent events, where older ones count less.
    weighted_labelled: f64,
    weighted_fraud: f64,
}

impl KeyCounts {
    /// Whether the key counts as known: a single event that was not fraud tells nothing and would only fill the tables.
    fn is_known(self) -> bool {
        self.events >= 2 || self.fraud > 0
    }

    /// Counts a label once more (1) or once less (-1).
    fn add_label(&mut self, fraud: bool, times: i8) {
        let change = |count: &mut u32| *count = count.saturating_add_signed(i32::from(times));
        change(&mut self.labelled);
        self.weighted_labelled += f64::from(times);
        if fraud {
            change(&mut self.fraud);
            self.weighted_fraud += f64::from(times);
        }
    }

    /// Makes older labels count less.
    fn fade(&mut self, factor: f64) {
        self.weighted_labelled *= factor;
        self.weighted_fraud *= factor;
    }

    /// The share of fraud, drawn towards that of the coarser key; the latter where the key does not count as known.
    fn rate_or(self, prior: f64) -> f64 {
        if self.is_known() {
            (self.weighted_fraud + STRENGTH * prior) / (self.weighted_labelled + STRENGTH)
        } else {
            prior
        }
    }

    /// The share of fraud, with one fraudulent and one legitimate event added, so that it is never 0 or 1.
    fn base_rate(self) -> f64 {
        (self.weighted_fraud + 1.0) / (self.weighted_labelled + 2.0)
    }
}

fn compute_log_odds(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// Learns the tables. `value_of` gives each row's value ([`Level::NONE`]: missing); `labels` are by row.
pub(crate) fn fit_rates(
    levels: &[KeyLevel],
    value_of: &dyn Fn(usize) -> u32,
    labels: &[bool],
    plan: &LearningPlan,
) -> FittedRates {
    let mut fitted = FittedRates {
        tables: Vec::new(),
        columns: Vec::new(),
    };
    let rows = plan.rows();
    // Of each row, the rate of its key one level up; of all keys one level up, their final rates.
    let mut above: Option<Vec<f64>> = None;
    let mut final_above: Vec<f64> = Vec::new();
    for level in levels {
        let key_of = |row: usize| level.key_of(value_of(row));
        let counted = LevelCounts::new(level, &key_of, labels, plan);
        let prior = |row: usize| {
            above
                .as_ref()
                .map_or(counted.bases[row], |above| above[row])
        };
        let rates: Vec<f64> = (0..rows)
            .map(|row| counted.seen[row].rate_or(prior(row)))
            .collect();
        // Where a row has no such key, its rate is that of the level above; the feature is missing.
        let lifts = (0..rows).map(|row| {
            if key_of(row) == KeyLevel::NONE {
                f64::NAN
            } else {
                round_to_f32(compute_log_odds(rates[row]) - compute_log_odds(counted.bases[row]))
            }
        });
        fitted.columns.push(lifts.collect());
        fitted.columns.push(counted.frequencies);
        let base = counted.all.base_rate();
        let final_rates: Vec<f64> = counted
            .by_key
            .iter()
            .zip(&level.parents)
            .map(|(counts, parent)| {
                let prior = final_above.get(*parent as usize).copied().unwrap_or(base);
                counts.rate_or(prior)
            })
            .collect();
        fitted.tables.push(build_table(
            level,
            &counted.by_key,
            &final_rates,
            base,
            counted.all,
        ));
        above = Some(rates);
        final_above = final_rates;
    }
    fitted
}

/// What was counted of one level's keys.
struct LevelCounts {
    /// Of each key, from all training rows.
    by_key: Vec<KeyCounts>,
    /// Of all keys together.
    all: KeyCounts,
    /// Of each row's key, from the rows that this row may see.
    seen: Vec<KeyCounts>,
    /// The share of fraud in the rows that each row may see.
    bases: Vec<f64>,
    /// The share of each row's key in the rows that it may see.
    frequencies: Vec<f64>,
}

impl LevelCounts {
    fn new(
        level: &KeyLevel,
        key_of: &dyn Fn(usize) -> u32,
        labels: &[bool],
        plan: &LearningPlan,
    ) -> Self {
        let rows = plan.rows();
        let mut counted = Self {
            by_key: vec![KeyCounts::default(); level.keys.len()],
            all: KeyCounts::default(),
            seen: vec![KeyCounts::default(); rows],
            bases: vec![f64::NAN; rows],
            frequencies: vec![f64::NAN; rows],
        };
        plan.walk_rows(|step| {
            let key = |row: u32| key_of(row as usize);
            let fraud = |row: u32| labels[row as usize];
            match step {
                PlanStep::Encode(row) => counted.note_row(row as usize, key(row)),
                PlanStep::Add(row) => counted.change_counts(key(row), |c| c.events += 1),
                PlanStep::Remove(row) => counted.change_counts(key(row), |c| c.events -= 1),
                PlanStep::AddLabel(row) => {
                    counted.change_counts(key(row), |c| c.add_label(fraud(row), 1));
                }
                PlanStep::RemoveLabel(row) => {
                    counted.change_counts(key(row), |c| c.add_label(fraud(row), -1));
                }
                PlanStep::Wait(seconds) => counted.fade(seconds),
            }
        });
        counted
    }

    /// Keeps for a row what is counted now, which is what it may see.
    fn note_row(&mut self, row: usize, key: u32) {
        if self.all.events > 0 && self.all.labelled > 0 {
            self.bases[row] = self.all.base_rate();
        }
        if let Some(own) = self.by_key.get(key as usize) {
            self.seen[row] = *own;
            self.frequencies[row] = compute_frequency(*own, self.all);
        }
    }

    fn fade(&mut self, seconds: i64) {
        #[expect(clippy::cast_precision_loss, reason = "seconds of years")]
        let factor = (-(seconds as f64) / HALF_LIFE).exp2();
        self.all.fade(factor);
        for counts in &mut self.by_key {
            counts.fade(factor);
        }
    }

    fn change_counts(&mut self, key: u32, by: impl Fn(&mut KeyCounts)) {
        by(&mut self.all);
        if let Some(own) = self.by_key.get_mut(key as usize) {
            by(own);
        }
    }
}

/// A number as the tables hold it.
fn round_to_f32(lift: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "tables hold f32")]
    let narrow = lift as f32;
    f64::from(narrow)
}

fn compute_frequency(own: KeyCounts, all: KeyCounts) -> f64 {
    if all.events == 0 {
        f64::NAN
    } else if own.is_known() {
        round_to_f32(f64::from(own.events) / f64::from(all.events))
    } else {
        0.0
    }
}

fn build_table(
    level: &KeyLevel,
    counts: &[KeyCounts],
    rates: &[f64],
    base: f64,
    all: KeyCounts,
) -> RateTable {
    let mut known: Vec<usize> = (0..counts.len())
        .filter(|key| counts[*key].is_known())
        .collect();
    if known.len() > MOST_KEYS {
        known.sort_by_key(|key| {
            std::cmp::Reverse((counts[*key].fraud, counts[*key].events, level.keys[*key]))
        });
        known.truncate(MOST_KEYS);
    }
    #[expect(clippy::cast_possible_truncation, reason = "tables hold f32")]
    let entries = known
        .into_iter()
        .map(|key| {
            let known = KeyRates {
                lift: (compute_log_odds(rates[key]) - compute_log_odds(base)) as f32,
                frequency: compute_frequency(counts[key], all) as f32,
            };
            (level.keys[key], known)
        })
        .collect();
    RateTable { entries }
}
