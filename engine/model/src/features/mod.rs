//! From the strings of an event to the numbers that trees look at.
//!
//! An [`Encoder`] is learnt from training rows and then gives each event the same numbers, in service as in
//! training. What it learns from labels reaches a training row only as far as that row's [`plan::Plan`] lets it see.

#[cfg(test)]
mod laws;
pub(crate) mod linear;
pub(crate) mod looks;
pub(crate) mod plan;
pub(crate) mod rates;
pub(crate) mod reading;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::dataset::{Column, Dataset, Texts};
use crate::history::{FEATURES, Histories, Watched};
use crate::variable::{Variable, VariableType};
use crate::written;
use linear::{Corpus, CorpusVariable, Linear};
use plan::Plan;
use rates::{Level, Table, short};
use reading::{Read, Reading};

/// One number that trees look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Variable and aspect, such as `ip /24 lift`.
    pub name: String,
    /// The variables that it is made of, by their place; empty for the event time and for habits.
    pub variables: Vec<usize>,
    /// Of the entity's history: the variable that it is about, empty for the mere events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub habit: Option<String>,
}

/// Numbers made of two variables, or of one and the event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cross {
    /// Days from a date to the event.
    Age { date: usize },
    /// Days from one date to another.
    Between { from: usize, to: usize },
    /// Whether two variables of one kind have the same value.
    Same { one: usize, other: usize },
}

/// How one variable becomes features.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VariableEncoder {
    pub reading: Reading,
    /// One table for each of the reading's levels.
    pub tables: Vec<Table>,
    /// The frequent values of a category by rank, so that trees can tell them apart.
    pub codes: FxHashMap<u32, u8>,
}

/// Learnt from training rows: what makes numbers of an event's strings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Encoder {
    pub variables: Vec<Variable>,
    /// By variable; `None` where a variable is never a feature.
    pub encoders: Vec<Option<VariableEncoder>>,
    pub crosses: Vec<Cross>,
    pub linear: Option<Linear>,
    /// What is watched of the entity's events, if its history counts.
    pub watched: Option<Watched>,
    pub features: Vec<Feature>,
    /// Features that only tell the time, which in service goes on: always missing.
    pub muted: Vec<bool>,
}

/// What is handed over for each feature while fitting: its name and its column.
pub(crate) type Sink<'a, E> = dyn FnMut(&str, &[f64]) -> Result<(), E> + 'a;

/// The rows of a fit.
pub(crate) struct Examples<'a> {
    /// Their places in the data set.
    pub rows: &'a [u32],
    /// Whether each was fraud.
    pub labels: &'a [bool],
    pub plan: &'a Plan,
    pub seed: u64,
}

/// The most values that a category has codes for.
const MOST_CODES: usize = 64;

/// Most pairs of dates and of like variables that are compared.
const MOST_CROSSES: usize = 24;

impl Encoder {
    /// Learns from the training rows of the plan; gives `sink` every feature of every row.
    pub fn fit<E>(
        dataset: &Dataset,
        rows: &Examples<'_>,
        sink: &mut Sink<'_, E>,
    ) -> Result<Self, E> {
        let variables = dataset.variables().to_vec();
        let mut encoder = Self {
            encoders: vec![None; variables.len()],
            variables,
            crosses: Vec::new(),
            linear: None,
            watched: dataset
                .watched()
                .filter(|_| rows.plan.is_ordered())
                .cloned(),
            features: Vec::new(),
            muted: Vec::new(),
        };
        let times: Vec<Option<i64>> = rows
            .rows
            .iter()
            .map(|row| dataset.event_times()[*row as usize])
            .collect();
        encoder.event_time(&times, sink)?;

        let usable: Vec<usize> = (0..encoder.variables.len())
            .filter(|v| Dataset::is_usable(&encoder.variables[*v]))
            .collect();
        let mut days: FxHashMap<usize, Vec<f64>> = FxHashMap::default();
        for group in usable.chunks(rayon::current_num_threads().max(1) * 2) {
            let fitted: Vec<FittedVariable> = group
                .par_iter()
                .map(|variable| fit_variable(dataset, *variable, rows))
                .collect();
            for (variable, mut fitted) in group.iter().zip(fitted) {
                let name = encoder.variables[*variable].name.clone();
                for (aspect, column) in &mut fitted.columns {
                    let is_clock = rows.plan.is_ordered() && tells_the_time(aspect, column, &times);
                    encoder.add(
                        format!("{name} {aspect}"),
                        vec![*variable],
                        is_clock,
                        column,
                        sink,
                    )?;
                }
                if let Some(seconds) = fitted.days {
                    days.insert(*variable, seconds);
                }
                encoder.encoders[*variable] = Some(fitted.encoder);
            }
        }
        encoder.fit_texts(dataset, rows, sink)?;
        encoder.fit_crosses(dataset, rows, &times, &days, sink)?;
        encoder.fit_history(dataset, rows, sink)?;
        Ok(encoder)
    }

    fn add<E>(
        &mut self,
        name: String,
        variables: Vec<usize>,
        muted: bool,
        column: &mut [f64],
        sink: &mut Sink<'_, E>,
    ) -> Result<(), E> {
        if muted {
            column.fill(f64::NAN);
        }
        sink(&name, column)?;
        self.features.push(Feature {
            name,
            variables,
            habit: None,
        });
        self.muted.push(muted);
        Ok(())
    }

    /// What the entities had done before each of their events: by all events, and of labels by what the row may see.
    fn fit_history<E>(
        &mut self,
        dataset: &Dataset,
        rows: &Examples<'_>,
        sink: &mut Sink<'_, E>,
    ) -> Result<(), E> {
        let Some(watched) = &self.watched else {
            return Ok(());
        };
        let labels = rows.labels.iter().zip(rows.rows).enumerate();
        let labels = labels
            .filter(|(_, (bad, _))| **bad)
            .filter_map(|(at, (_, row))| Some((rows.plan.seen_from(at)?, *row as usize)));
        let mut places = vec![u32::MAX; dataset.len()];
        for (place, row) in (0_u32..).zip(rows.rows) {
            places[*row as usize] = place;
        }
        let mut columns = vec![vec![f32::NAN; rows.rows.len()]; FEATURES];
        Histories::default().replay(dataset, labels.collect(), |row, features| {
            let place = places[row] as usize;
            for (column, feature) in columns.iter_mut().zip(features) {
                if let Some(cell) = column.get_mut(place) {
                    *cell = feature;
                }
            }
        });
        for (feature, column) in watched.features().into_iter().zip(columns) {
            let column: Vec<f64> = column.into_iter().map(f64::from).collect();
            let name = format!("entity {}", feature.name);
            sink(&name, &column)?;
            self.features.push(Feature {
                name,
                variables: Vec::new(),
                habit: Some(feature.variable.unwrap_or_default()),
            });
            self.muted.push(false);
        }
        Ok(())
    }

    fn event_time<E>(&mut self, times: &[Option<i64>], sink: &mut Sink<'_, E>) -> Result<(), E> {
        for (at, name) in EVENT_TIME.iter().enumerate() {
            let mut column: Vec<f64> = times
                .iter()
                .map(|time| event_time_features(*time)[at])
                .collect();
            self.add((*name).to_owned(), Vec::new(), false, &mut column, sink)?;
        }
        Ok(())
    }

    fn fit_texts<E>(
        &mut self,
        dataset: &Dataset,
        rows: &Examples<'_>,
        sink: &mut Sink<'_, E>,
    ) -> Result<(), E> {
        let mut corpus = Corpus {
            variables: Vec::new(),
        };
        let texts = self.texts();
        for (variable, reading) in &texts {
            if let Column::Texts(column) = &dataset.columns()[*variable] {
                corpus.variables.push(CorpusVariable {
                    salt: salt(*variable),
                    spelled: reading.is_spelled(),
                    text: Box::new(|row| column.row(rows.rows[row] as usize)),
                });
            }
        }
        if corpus.variables.is_empty() {
            return Ok(());
        }
        let (linear, mut columns) = linear::fit(&corpus, rows.labels, rows.plan, rows.seed);
        self.linear = Some(linear);
        for ((variable, _), column) in texts.iter().zip(&mut columns) {
            let name = format!("{} wording", self.variables[*variable].name);
            self.add(name, vec![*variable], false, column, sink)?;
        }
        if columns.len() > 1 {
            let mut total: Vec<f64> = (0..rows.rows.len())
                .map(|row| {
                    columns
                        .iter()
                        .map(|column| column[row])
                        .filter(|score| !score.is_nan())
                        .sum()
                })
                .collect();
            let all = texts.iter().map(|(variable, _)| *variable).collect();
            self.add("wording".to_owned(), all, false, &mut total, sink)?;
        }
        Ok(())
    }

    /// The variables that are text, in order.
    fn texts(&self) -> Vec<(usize, Reading)> {
        let encoders = self.encoders.iter().enumerate();
        encoders
            .filter_map(|(variable, encoder)| Some((variable, encoder.as_ref()?.reading)))
            .filter(|(_, reading)| reading.is_text())
            .collect()
    }

    fn fit_crosses<E>(
        &mut self,
        dataset: &Dataset,
        rows: &Examples<'_>,
        times: &[Option<i64>],
        days: &FxHashMap<usize, Vec<f64>>,
        sink: &mut Sink<'_, E>,
    ) -> Result<(), E> {
        let compared = self.variables.len().min(Self::MOST_VARIABLES);
        let mut dates: Vec<usize> = days
            .keys()
            .copied()
            .filter(|date| *date < compared)
            .collect();
        dates.sort_unstable();
        let has_times = times.iter().any(Option::is_some);
        let mut crosses: Vec<Cross> = Vec::new();
        if has_times {
            crosses.extend(dates.iter().map(|date| Cross::Age { date: *date }));
        }
        for (at, from) in dates.iter().enumerate() {
            crosses.extend(dates[at + 1..].iter().map(|to| Cross::Between {
                from: *from,
                to: *to,
            }));
        }
        let mut same = Vec::new();
        for one in 0..compared {
            for other in one + 1..compared {
                if self.are_alike(dataset, one, other) {
                    same.push(Cross::Same { one, other });
                }
            }
        }
        crosses.extend(same);
        crosses.truncate(MOST_CROSSES);
        for cross in &crosses {
            let mut column: Vec<f64> = match *cross {
                Cross::Age { date } => (0..times.len())
                    .map(|row| age(times[row], days[&date][row]))
                    .collect(),
                Cross::Between { from, to } => (0..times.len())
                    .map(|row| days[&to][row] - days[&from][row])
                    .collect(),
                Cross::Same { one, other } => {
                    let (one, other) =
                        (self.last_keys(dataset, one), self.last_keys(dataset, other));
                    rows.rows
                        .iter()
                        .map(|row| same_key(one(*row as usize), other(*row as usize)))
                        .collect()
                }
            };
            let (name, variables) = self.cross_name(*cross);
            self.add(name, variables, false, &mut column, sink)?;
        }
        self.crosses = crosses;
        Ok(())
    }

    fn cross_name(&self, cross: Cross) -> (String, Vec<usize>) {
        let name = |variable: usize| &self.variables[variable].name;
        match cross {
            Cross::Age { date } => (format!("{} age", name(date)), vec![date]),
            Cross::Between { from, to } => {
                (format!("{} to {}", name(from), name(to)), vec![from, to])
            }
            Cross::Same { one, other } => (
                format!("{} is {}", name(one), name(other)),
                vec![one, other],
            ),
        }
    }

    /// Whether two variables hold the same kind of thing, so that it matters if they agree: of like types, or
    /// categories whose words are mostly the same.
    fn are_alike(&self, dataset: &Dataset, one: usize, other: usize) -> bool {
        let (Some(first), Some(second)) = (&self.encoders[one], &self.encoders[other]) else {
            return false;
        };
        let (Column::Texts(texts), Column::Texts(others)) =
            (&dataset.columns()[one], &dataset.columns()[other])
        else {
            return false;
        };
        if first.reading.levels().is_empty()
            || std::mem::discriminant(&first.reading) != std::mem::discriminant(&second.reading)
        {
            return false;
        }
        if let (Some(group), Some(same)) = (
            group(self.variables[one].kind),
            group(self.variables[other].kind),
        ) {
            return group == same;
        }
        let (fewer, more) = if texts.distinct() < others.distinct() {
            (texts, others)
        } else {
            (others, texts)
        };
        if fewer.distinct() < 3 || fewer.distinct() * 20 < more.distinct() {
            return false;
        }
        let known: rustc_hash::FxHashSet<&str> = more.iter().collect();
        let step = fewer.distinct() / 500 + 1;
        let shared = fewer
            .iter()
            .step_by(step)
            .filter(|text| known.contains(text))
            .count();
        shared * 2 * step >= fewer.distinct()
    }

    /// The finest key of a row's value.
    fn last_keys<'a>(
        &self,
        dataset: &'a Dataset,
        variable: usize,
    ) -> Box<dyn Fn(usize) -> u32 + 'a> {
        let (Some(encoder), Column::Texts(texts)) =
            (&self.encoders[variable], &dataset.columns()[variable])
        else {
            return Box::new(|_| 0);
        };
        let mut read = Read::default();
        let keys: Vec<u32> = texts
            .iter()
            .map(|text| {
                encoder.reading.read(text, &mut read);
                short(read.keys.last().copied().unwrap_or(0))
            })
            .collect();
        Box::new(move |row| {
            let code = texts.codes[row];
            if code == Texts::MISSING {
                0
            } else {
                keys[code as usize]
            }
        })
    }

    /// The features of an event, in order. `values` are in the order of the variables; `history` is what the entity's
    /// history gives, or nothing.
    pub fn encode(
        &self,
        values: &[Option<&str>],
        event_time: Option<i64>,
        history: &[f32],
        out: &mut Vec<f64>,
    ) {
        out.clear();
        out.extend(event_time_features(event_time));
        let mut read = Read::default();
        let mut days = [f64::NAN; Self::MOST_VARIABLES];
        let mut last_keys = [0_u32; Self::MOST_VARIABLES];
        let value = |variable: usize| {
            values
                .get(variable)
                .copied()
                .flatten()
                .and_then(written::present)
        };
        for (variable, encoder) in self.encoders.iter().enumerate() {
            let Some(encoder) = encoder else { continue };
            match value(variable) {
                Some(text) => encoder.reading.read(text, &mut read),
                None => encoder.reading.read_missing(&mut read),
            }
            if let Some(place) = days.get_mut(variable) {
                *place = read.numbers[0];
                last_keys[variable] = read.keys.last().copied().map_or(0, short);
            }
            out.extend_from_slice(&read.numbers);
            encoder.encode_keys(&read.keys, out);
        }
        if let Some(linear) = &self.linear {
            self.encode_texts(linear, &value, out);
        }
        for cross in &self.crosses {
            out.push(match *cross {
                Cross::Age { date } => age(event_time, days[date]),
                Cross::Between { from, to } => days[to] - days[from],
                Cross::Same { one, other } => same_key(last_keys[one], last_keys[other]),
            });
        }
        if self.watched.is_some() {
            let known = |at: usize| history.get(at).copied().map_or(f64::NAN, f64::from);
            out.extend((0..FEATURES).map(known));
        }
        for (number, muted) in out.iter_mut().zip(&self.muted) {
            if *muted {
                *number = f64::NAN;
            }
        }
    }

    /// Whether the parts fit each other, so that encoding finds what it looks for.
    pub fn is_sound(&self) -> bool {
        let own = |encoder: &VariableEncoder| {
            let code = usize::from(encoder.reading == Reading::Category { wide: false });
            encoder.reading.numbers().len() + code + 2 * encoder.reading.levels().len()
        };
        let texts = match (self.texts().len(), &self.linear) {
            (_, None) => 0,
            (1, _) => 1,
            (texts, _) => texts + 1,
        };
        let many = EVENT_TIME.len()
            + self.encoders.iter().flatten().map(own).sum::<usize>()
            + texts
            + self.crosses.len()
            + if self.watched.is_some() { FEATURES } else { 0 };
        let compared = self.variables.len().min(Self::MOST_VARIABLES);
        let crosses_fit = self.crosses.iter().all(|cross| match *cross {
            Cross::Age { date } => date < compared,
            Cross::Between { from, to } => from < compared && to < compared,
            Cross::Same { one, other } => one < compared && other < compared,
        });
        let mut named = self.features.iter().flat_map(|feature| &feature.variables);
        self.features.len() == many
            && self.muted.len() == many
            && crosses_fit
            && named.all(|variable| *variable < self.variables.len())
            && self
                .linear
                .as_ref()
                .is_none_or(|linear| linear.buckets.len() == 1 << linear.bits)
    }

    /// Beyond these, variables are not compared with each other.
    const MOST_VARIABLES: usize = 512;

    fn encode_texts<'a>(
        &self,
        linear: &Linear,
        value: &dyn Fn(usize) -> Option<&'a str>,
        out: &mut Vec<f64>,
    ) {
        let mut tokens = Vec::new();
        let (mut total, mut many) = (0.0, 0);
        for (variable, encoder) in self.encoders.iter().enumerate() {
            let Some(reading) = encoder
                .as_ref()
                .map(|encoder| encoder.reading)
                .filter(|reading| reading.is_text())
            else {
                continue;
            };
            tokens.clear();
            if let Some(text) = value(variable) {
                linear::tokens(salt(variable), text, reading.is_spelled(), &mut tokens);
            }
            let score = if tokens.is_empty() {
                f64::NAN
            } else {
                linear.score(&tokens)
            };
            if !score.is_nan() {
                total += score;
            }
            many += 1;
            out.push(score);
        }
        if many > 1 {
            out.push(total);
        }
    }
}

impl VariableEncoder {
    fn encode_keys(&self, keys: &[u64], out: &mut Vec<f64>) {
        if let Reading::Category { wide: false } = self.reading {
            let key = keys.first().map_or(0, |key| short(*key));
            out.push(self.code(key));
        }
        let mut parent = 0.0;
        for (table, key) in self.tables.iter().zip(keys) {
            let (lift, frequency) = table.features(short(*key), parent);
            if !lift.is_nan() {
                parent = lift;
            }
            out.extend([lift, frequency]);
        }
    }

    fn code(&self, key: u32) -> f64 {
        if key == 0 {
            return f64::NAN;
        }
        self.codes.get(&key).map_or(-1.0, |code| f64::from(*code))
    }
}

const EVENT_TIME: [&str; 2] = ["event time hour", "event time weekday"];

fn event_time_features(time: Option<i64>) -> [f64; 2] {
    time.map_or([f64::NAN; 2], |time| {
        [written::hour_of_day(time), written::day_of_week(time)]
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of dates, far below 2^52"
)]
fn age(event_time: Option<i64>, day: f64) -> f64 {
    event_time.map_or(f64::NAN, |time| time as f64 / 86_400.0 - day)
}

fn same_key(one: u32, other: u32) -> f64 {
    if one == 0 || other == 0 {
        f64::NAN
    } else {
        f64::from(u8::from(one == other))
    }
}

/// Types that say the same of the bill and of the parcel.
fn group(kind: VariableType) -> Option<u8> {
    use VariableType as T;
    Some(match kind {
        T::BillingName | T::ShippingName => 0,
        T::BillingPhone | T::ShippingPhone | T::PhoneNumber => 1,
        T::BillingAddressL1 | T::ShippingAddressL1 => 2,
        T::BillingAddressL2 | T::ShippingAddressL2 => 3,
        T::BillingCity | T::ShippingCity => 4,
        T::BillingState | T::ShippingState => 5,
        T::BillingCountry | T::ShippingCountry => 6,
        T::BillingZip | T::ShippingZip => 7,
        _ => return None,
    })
}

fn salt(variable: usize) -> u64 {
    mix(variable as u64 + 1)
}

struct FittedVariable {
    encoder: VariableEncoder,
    columns: Vec<(String, Vec<f64>)>,
    /// Of a date, the days since 1970 of each row.
    days: Option<Vec<f64>>,
}

fn fit_variable(dataset: &Dataset, variable: usize, rows: &Examples<'_>) -> FittedVariable {
    let kind = dataset.variables()[variable].kind;
    let mut read = Read::default();
    // Every distinct value is read once. A number is a value of its own in each row.
    let (reading, values): (Reading, usize) = match &dataset.columns()[variable] {
        Column::Numbers { values, .. } => {
            let keyed = comes_back(rows.rows.iter().map(|row| values[*row as usize]));
            let reading = if kind == VariableType::Price {
                Reading::Price { keyed }
            } else {
                Reading::Number { keyed }
            };
            (reading, rows.rows.len())
        }
        Column::Texts(texts) => (Reading::for_texts(kind, texts), texts.distinct()),
    };
    let column = &dataset.columns()[variable];
    let mut numbers: Vec<Vec<f64>> = vec![Vec::with_capacity(values); reading.numbers().len()];
    let mut keys: Vec<Vec<u32>> = vec![Vec::with_capacity(values); reading.levels().len()];
    for value in 0..values {
        match column {
            Column::Numbers { values, .. } => {
                reading.read_number(values[rows.rows[value] as usize], &mut read);
            }
            Column::Texts(texts) => reading.read(texts.get(value), &mut read),
        }
        for (column, number) in numbers.iter_mut().zip(&read.numbers) {
            column.push(*number);
        }
        for (column, key) in keys.iter_mut().zip(&read.keys) {
            column.push(short(*key));
        }
    }
    let value_of = |row: usize| match column {
        Column::Numbers { .. } => u32::try_from(row).unwrap_or(Level::NONE),
        Column::Texts(texts) => texts.codes[rows.rows[row] as usize],
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
        .numbers()
        .iter()
        .zip(&numbers)
        .map(|(name, numbers)| ((*name).to_owned(), by_row(numbers)))
        .collect();
    let days = matches!(reading, Reading::Date { .. }).then(|| columns[0].1.clone());
    drop(numbers);
    let mut levels: Vec<Level> = Vec::new();
    for keys in &keys {
        let level = Level::new(keys.iter().copied(), levels.last());
        levels.push(level);
    }
    let mut encoder = VariableEncoder {
        reading,
        tables: Vec::new(),
        codes: FxHashMap::default(),
    };
    if let Reading::Category { wide: false } = reading {
        encoder.codes = codes(&levels[0], &value_of, rows.plan);
        let codes: Vec<f64> = keys[0].iter().map(|key| encoder.code(*key)).collect();
        columns.push(("code".to_owned(), by_row(&codes)));
    }
    let fitted = rates::fit(&levels, &value_of, rows.labels, rows.plan);
    encoder.tables = fitted.tables;
    let names = reading
        .levels()
        .iter()
        .flat_map(|level| [format!("{level} lift"), format!("{level} frequency")]);
    columns.extend(names.zip(fitted.columns));
    FittedVariable {
        encoder,
        columns,
        days,
    }
}

/// The most frequent values by rank.
fn codes(level: &Level, value_of: &dyn Fn(usize) -> u32, plan: &Plan) -> FxHashMap<u32, u8> {
    let mut counts = vec![0_u32; level.keys.len()];
    for row in (0..plan.rows()).filter(|row| plan.is_training(*row)) {
        let key = level
            .of_value
            .get(value_of(row) as usize)
            .copied()
            .unwrap_or(Level::NONE);
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

/// Whether numbers are whole and come back, as codes do, so that each may have a history of its own.
fn comes_back(numbers: impl Iterator<Item = f64>) -> bool {
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

/// Whether a number does nothing but grow with time, as order numbers and clocks do: what trees learn of it is
/// of no use later. Dates too, sooner: what matters of them is the age.
fn tells_the_time(aspect: &str, column: &[f64], times: &[Option<i64>]) -> bool {
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
    pairs.len() >= 50 && rank_correlation(&pairs).abs() > limit
}

/// Spearman's: the correlation of the ranks, equal values sharing theirs.
#[expect(clippy::cast_precision_loss, reason = "at most 2,000 pairs")]
fn rank_correlation(pairs: &[(f64, i64)]) -> f64 {
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

/// A hash that stays the same for ever: artifacts depend on it.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    hash_with(0, bytes)
}

/// The hash of bytes that mean something else under another salt. Never 0.
pub(crate) fn hash_with(salt: u64, bytes: &[u8]) -> u64 {
    let mut state = mix(salt ^ 0x9E37_79B9_7F4A_7C15 ^ ((bytes.len() as u64) << 32));
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = mix(state ^ u64::from_le_bytes(word));
    }
    let mut word = [0; 8];
    word[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    mix(state ^ u64::from_le_bytes(word)).max(1)
}

/// One byte more. Faster and weaker than [`hash_with`].
pub(crate) fn hash_step(state: u64, byte: u8) -> u64 {
    (state ^ u64::from(byte))
        .wrapping_mul(0xff51_afd7_ed55_8ccd)
        .rotate_left(23)
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
