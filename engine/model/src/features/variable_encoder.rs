//! Features of one variable: the numbers that are read of its values, and what was learnt about its keys.

use rustc_hash::FxHashMap;

use super::nearness::{BadAddresses, fit_nearness, list_nearness_names};
use super::plan::{LearningPlan, TrainingRows};
use super::rates::{self, KeyLevel, RateTable};
use crate::dataset::{Dataset, ValueColumn};
use crate::hash::shorten_key;
use crate::value_reader::{ReadValue, ValueReader};
use crate::variable::VariableType;

/// How many values of a category have codes, at most.
const MOST_CODES: usize = 64;

/// Makes the features of one variable.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VariableEncoder {
    /// How its values are read.
    pub reading: ValueReader,
    /// What was learnt about its keys: one table for each level of the reading.
    pub tables: Vec<RateTable>,
    /// Numbers for the most frequent values of a category, so that trees can tell these apart.
    pub codes: FxHashMap<u32, u8>,
    /// Of IP addresses, those of known fraud; `None` for other readings, and in models of earlier releases.
    pub bad_addresses: Option<BadAddresses>,
}

impl VariableEncoder {
    /// Appends the features of a value's keys: the code of a category, and lift and frequency of each level.
    pub(super) fn encode_keys(&self, keys: &[u64], out: &mut Vec<f64>) {
        if let ValueReader::Category { wide: false } = self.reading {
            let key = keys.first().map_or(0, |key| shorten_key(*key));
            out.push(self.code_of_key(key));
        }
        let mut parent = 0.0;
        for (table, key) in self.tables.iter().zip(keys) {
            let (lift, frequency) = table.features(shorten_key(*key), parent);
            if !lift.is_nan() {
                parent = lift;
            }
            out.extend([lift, frequency]);
        }
    }

    /// Appends how near an IP address is to those of known fraud. `numbers` are those of its reading.
    pub(super) fn encode_nearness(&self, numbers: &[f64], out: &mut Vec<f64>) {
        if let Some(bad) = &self.bad_addresses {
            out.extend(bad.measure(read_ipv4_number(numbers.first().copied())));
        }
    }

    /// The code of a category's value; -1 for a value that is not frequent.
    fn code_of_key(&self, key: u32) -> f64 {
        if key == 0 {
            return f64::NAN;
        }
        self.codes.get(&key).map_or(-1.0, |code| f64::from(*code))
    }
}

/// A variable's encoder, and what it gives for the rows that it was learnt from.
pub(super) struct FittedVariable {
    pub encoder: VariableEncoder,
    /// The aspects of the variable: their names and their columns.
    pub columns: Vec<(String, Vec<f64>)>,
    /// Of a date, the days since 1970 of each row.
    pub days: Option<Vec<f64>>,
}

/// Learns from one variable's values in the training rows of the plan.
pub(super) fn fit_variable(
    dataset: &Dataset,
    variable: usize,
    rows: &TrainingRows<'_>,
) -> FittedVariable {
    let column = &dataset.columns()[variable];
    let reading = choose_reader(column, dataset.variables()[variable].kind, rows);
    let (numbers, keys) = read_values(column, reading, rows);
    let value_of = |row: usize| match column {
        ValueColumn::Numbers { .. } => u32::try_from(row).unwrap_or(KeyLevel::NONE),
        ValueColumn::Texts(texts) => texts.codes[rows.rows[row] as usize],
    };
    let by_row = |of_value: &[f64]| -> Vec<f64> {
        (0..rows.rows.len())
            .map(|row| {
                of_value
                    .get(value_of(row) as usize)
                    .copied()
                    .unwrap_or(f64::NAN)
            })
            .collect()
    };
    let mut columns: Vec<(String, Vec<f64>)> = reading
        .number_names()
        .iter()
        .zip(&numbers)
        .map(|(name, numbers)| ((*name).to_owned(), by_row(numbers)))
        .collect();
    let days = matches!(reading, ValueReader::Date { .. }).then(|| columns[0].1.clone());
    drop(numbers);
    let mut levels: Vec<KeyLevel> = Vec::new();
    for keys in &keys {
        let level = KeyLevel::new(keys.iter().copied(), levels.last());
        levels.push(level);
    }
    let mut encoder = VariableEncoder {
        reading,
        tables: Vec::new(),
        codes: FxHashMap::default(),
        bad_addresses: None,
    };
    if let ValueReader::Category { wide: false } = reading {
        encoder.codes = rank_frequent_values(&levels[0], &value_of, rows.plan);
        let codes: Vec<f64> = keys[0]
            .iter()
            .map(|key| encoder.code_of_key(*key))
            .collect();
        columns.push(("code".to_owned(), by_row(&codes)));
    }
    let fitted = rates::fit_rates(&levels, &value_of, rows.labels, rows.plan);
    encoder.tables = fitted.tables;
    let names = reading
        .level_names()
        .iter()
        .flat_map(|level| [format!("{level} lift"), format!("{level} frequency")]);
    columns.extend(names.zip(fitted.columns));
    if reading == ValueReader::Ip {
        encoder.bad_addresses = Some(add_nearness(&mut columns, rows));
    }
    FittedVariable {
        encoder,
        columns,
        days,
    }
}

/// Adds the nearness of IP addresses to those of fraud to the columns of a variable, and returns the latter.
fn add_nearness(columns: &mut Vec<(String, Vec<f64>)>, rows: &TrainingRows<'_>) -> BadAddresses {
    // The first of the numbers that are read of an address is the address.
    let addresses = columns[0].1.iter();
    let addresses: Vec<Option<u32>> = addresses
        .map(|number| read_ipv4_number(Some(*number)))
        .collect();
    let (bad, nearness) = fit_nearness(&addresses, rows.labels, rows.plan);
    columns.extend(list_nearness_names().into_iter().zip(nearness));
    bad
}

/// The address that is the first number of an IPv4 address's reading.
fn read_ipv4_number(number: Option<f64>) -> Option<u32> {
    let number = number.filter(|number| (0.0..=f64::from(u32::MAX)).contains(number))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    let address = number as u32;
    Some(address)
}

fn choose_reader(column: &ValueColumn, kind: VariableType, rows: &TrainingRows<'_>) -> ValueReader {
    match column {
        ValueColumn::Numbers { values, .. } => {
            let keyed = are_codes(rows.rows.iter().map(|row| values[*row as usize]));
            if kind == VariableType::Price {
                ValueReader::Price { keyed }
            } else {
                ValueReader::Number { keyed }
            }
        }
        ValueColumn::Texts(texts) => ValueReader::for_texts(kind, texts),
    }
}

/// The numbers and the keys of every value of a column. Each distinct text is read once; a number is a value of its own
/// in each row.
fn read_values(
    column: &ValueColumn,
    reading: ValueReader,
    rows: &TrainingRows<'_>,
) -> (Vec<Vec<f64>>, Vec<Vec<u32>>) {
    let values = match column {
        ValueColumn::Numbers { .. } => rows.rows.len(),
        ValueColumn::Texts(texts) => texts.distinct_count(),
    };
    let mut numbers: Vec<Vec<f64>> = vec![Vec::with_capacity(values); reading.number_names().len()];
    let mut keys: Vec<Vec<u32>> = vec![Vec::with_capacity(values); reading.level_names().len()];
    let mut read = ReadValue::default();
    for value in 0..values {
        match column {
            ValueColumn::Numbers { values, .. } => {
                reading.read_number(values[rows.rows[value] as usize], &mut read);
            }
            ValueColumn::Texts(texts) => reading.read(texts.get(value), &mut read),
        }
        for (column, number) in numbers.iter_mut().zip(&read.numbers) {
            column.push(*number);
        }
        for (column, key) in keys.iter_mut().zip(&read.keys) {
            column.push(shorten_key(*key));
        }
    }
    (numbers, keys)
}

/// The codes of the most frequent values of a category: their ranks.
fn rank_frequent_values(
    level: &KeyLevel,
    value_of: &dyn Fn(usize) -> u32,
    plan: &LearningPlan,
) -> FxHashMap<u32, u8> {
    let mut counts = vec![0_u32; level.keys.len()];
    for row in (0..plan.rows()).filter(|row| plan.is_training(*row)) {
        let key = level
            .of_value
            .get(value_of(row) as usize)
            .copied()
            .unwrap_or(KeyLevel::NONE);
        if let Some(count) = counts.get_mut(key as usize) {
            *count += 1;
        }
    }
    let mut order: Vec<usize> = (0..counts.len()).filter(|key| counts[*key] > 1).collect();
    order.sort_by_key(|key| std::cmp::Reverse((counts[*key], level.keys[*key])));
    order
        .into_iter()
        .take(MOST_CODES)
        .zip(0_u8..)
        .map(|(key, code)| (level.keys[key], code))
        .collect()
}

/// Whether numbers look like codes: few different ones, that occur again and again and have at most two decimals. Then
/// each has a fraud rate of its own.
fn are_codes(numbers: impl Iterator<Item = f64>) -> bool {
    let mut seen = rustc_hash::FxHashSet::default();
    let mut many = 0_usize;
    for number in numbers.filter(|number| !number.is_nan()) {
        if number.fract() != 0.0 && (number * 100.0).fract().abs() > 1e-6 {
            return false;
        }
        many += 1;
        seen.insert(number.to_bits());
    }
    seen.len() > 16 && seen.len() * 4 < many
}
