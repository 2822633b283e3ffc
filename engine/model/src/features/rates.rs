//! How often each key was seen, and how often it was fraud.

use rustc_hash::FxHashMap;

use super::plan::{Plan, Step};

/// A key as the tables hold it: 32 bits of its hash; 0 is no key.
pub(crate) fn short(key: u64) -> u32 {
    let short = (key >> 32) as u32;
    if key == 0 { 0 } else { short.max(1) }
}

/// Tables of more keys keep those with most fraud, then the most frequent.
const MOST_KEYS: usize = 40_000;

/// How many events the rate of the coarser key weighs. Fixed, because choosing it by labels would let a row see labels
/// that were not known yet.
const STRENGTH: f64 = 10.0;

/// What is known of one level of a variable's keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub entries: FxHashMap<u32, Known>,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Known {
    /// How much the log-odds of fraud exceed those of all events.
    pub lift: f32,
    /// Its share of all events.
    pub frequency: f32,
}

impl Table {
    /// The two features of a key, `parent` being the lift of its next coarser key.
    pub fn features(&self, key: u32, parent: f64) -> (f64, f64) {
        if key == 0 {
            return (f64::NAN, f64::NAN);
        }
        self.entries.get(&key).map_or((parent, 0.0), |known| {
            (f64::from(known.lift), f64::from(known.frequency))
        })
    }
}

/// The keys of one level: for each value its key's number, for each key its hash and its parent's number.
pub(crate) struct Level {
    pub of_value: Vec<u32>,
    pub keys: Vec<u32>,
    parents: Vec<u32>,
}

impl Level {
    pub const NONE: u32 = u32::MAX;

    /// Numbers the keys of a level. `keys` are those of each value, `coarser` the level above.
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
}

/// The features of all rows from one variable's keys, level by level: lift and frequency.
pub(crate) struct Fitted {
    pub tables: Vec<Table>,
    pub columns: Vec<Vec<f64>>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    events: u32,
    labelled: u32,
    fraud: u32,
}

impl Counts {
    /// Whether the key counts as known: single events that were no fraud say nothing and would only fill
    /// the tables.
    fn is_known(self) -> bool {
        self.events >= 2 || self.fraud > 0
    }

    fn rate(self, prior: f64) -> f64 {
        (f64::from(self.fraud) + STRENGTH * prior) / (f64::from(self.labelled) + STRENGTH)
    }

    /// The share of fraud with one imagined fraud and one imagined harmless event.
    fn base(self) -> f64 {
        (f64::from(self.fraud) + 1.0) / (f64::from(self.labelled) + 2.0)
    }
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// Learns the tables. `value_of` gives each row's value ([`Level::NONE`]: missing); `labels` are by row.
pub(crate) fn fit(
    levels: &[Level],
    value_of: &dyn Fn(usize) -> u32,
    labels: &[bool],
    plan: &Plan,
) -> Fitted {
    let mut fitted = Fitted {
        tables: Vec::new(),
        columns: Vec::new(),
    };
    let rows = plan.rows();
    // Of each row, the rate of its key one level up; of all keys one level up, their final rates.
    let mut above: Option<Vec<f64>> = None;
    let mut final_above: Vec<f64> = Vec::new();
    for level in levels {
        let key_of = |row: u32| {
            let value = value_of(row as usize);
            if value == Level::NONE {
                Level::NONE
            } else {
                level.of_value[value as usize]
            }
        };
        let mut counts = vec![Counts::default(); level.keys.len()];
        let mut all = Counts::default();
        let mut seen = vec![Counts::default(); rows];
        let mut bases = vec![f64::NAN; rows];
        let mut frequencies = vec![f64::NAN; rows];
        plan.walk(|step| match step {
            Step::Encode(row) => {
                if all.events > 0 && all.labelled > 0 {
                    bases[row as usize] = all.base();
                }
                if let Some(own) = counts.get(key_of(row) as usize) {
                    seen[row as usize] = *own;
                    frequencies[row as usize] = frequency(*own, all);
                }
            }
            Step::Add(row) => change(&mut counts, &mut all, key_of(row), |c| c.events += 1),
            Step::Remove(row) => change(&mut counts, &mut all, key_of(row), |c| c.events -= 1),
            Step::AddLabel(row) => {
                let fraud = u32::from(labels[row as usize]);
                change(&mut counts, &mut all, key_of(row), |c| {
                    c.labelled += 1;
                    c.fraud += fraud;
                });
            }
            Step::RemoveLabel(row) => {
                let fraud = u32::from(labels[row as usize]);
                change(&mut counts, &mut all, key_of(row), |c| {
                    c.labelled -= 1;
                    c.fraud -= fraud;
                });
            }
        });
        let prior = |row: usize| above.as_ref().map_or(bases[row], |above| above[row]);
        let rates: Vec<f64> = (0..rows)
            .map(|row| {
                if seen[row].is_known() {
                    seen[row].rate(prior(row))
                } else {
                    prior(row)
                }
            })
            .collect();
        // Where a row has no such key, its rate is that of the level above; the feature is missing.
        fitted.columns.push(
            (0..rows)
                .map(|row| {
                    if key_of(u32::try_from(row).unwrap_or(0)) == Level::NONE {
                        f64::NAN
                    } else {
                        rounded(logit(rates[row]) - logit(bases[row]))
                    }
                })
                .collect(),
        );
        fitted.columns.push(frequencies);
        let base = all.base();
        let final_rates: Vec<f64> = counts
            .iter()
            .zip(&level.parents)
            .map(|(counts, parent)| {
                let prior = final_above.get(*parent as usize).copied().unwrap_or(base);
                if counts.is_known() {
                    counts.rate(prior)
                } else {
                    prior
                }
            })
            .collect();
        fitted
            .tables
            .push(table(level, &counts, &final_rates, base, all));
        above = Some(rates);
        final_above = final_rates;
    }
    fitted
}

fn change(counts: &mut [Counts], all: &mut Counts, key: u32, by: impl Fn(&mut Counts)) {
    by(all);
    if let Some(own) = counts.get_mut(key as usize) {
        by(own);
    }
}

/// As the table holds it.
fn rounded(lift: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "tables hold f32")]
    let narrow = lift as f32;
    f64::from(narrow)
}

fn frequency(own: Counts, all: Counts) -> f64 {
    if all.events == 0 {
        f64::NAN
    } else if own.is_known() {
        rounded(f64::from(own.events) / f64::from(all.events))
    } else {
        0.0
    }
}

fn table(level: &Level, counts: &[Counts], rates: &[f64], base: f64, all: Counts) -> Table {
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
            let known = Known {
                lift: (logit(rates[key]) - logit(base)) as f32,
                frequency: frequency(counts[key], all) as f32,
            };
            (level.keys[key], known)
        })
        .collect();
    Table { entries }
}
