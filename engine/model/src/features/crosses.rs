//! Features of two variables, or of a date and the event's time.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::variable_encoder::VariableEncoder;
use crate::dataset::{Dataset, ValueColumn};
use crate::hash::shorten_key;
use crate::texts::Texts;
use crate::value_reader::ReadValue;
use crate::variable::{Variable, VariableType};

/// How many crosses there are, at most.
const MOST_CROSSES: usize = 24;

/// Only the first so many variables are compared with each other.
pub(super) const MOST_VARIABLES: usize = 512;

/// A feature of two variables, or of a date and the event's time. Variables are named by their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cross {
    /// Days from a date to the event.
    Age { date: usize },
    /// Days from one date to another.
    Between { from: usize, to: usize },
    /// Whether two variables of the same kind have the same value.
    Same { one: usize, other: usize },
}

impl Cross {
    /// The feature's name, and the variables that it is made of.
    pub fn name(self, variables: &[Variable]) -> (String, Vec<usize>) {
        let name = |variable: usize| &variables[variable].name;
        match self {
            Self::Age { date } => (format!("{} age", name(date)), vec![date]),
            Self::Between { from, to } => {
                (format!("{} to {}", name(from), name(to)), vec![from, to])
            }
            Self::Same { one, other } => (
                format!("{} is {}", name(one), name(other)),
                vec![one, other],
            ),
        }
    }

    /// Whether all its variables are among the first `compared`.
    pub fn is_within(self, compared: usize) -> bool {
        match self {
            Self::Age { date } => date < compared,
            Self::Between { from, to } => from < compared && to < compared,
            Self::Same { one, other } => one < compared && other < compared,
        }
    }

    /// The feature of one event. `days` are its dates in days since 1970, `last_keys` the finest keys, both by
    /// variable.
    pub fn encode(self, event_time: Option<i64>, days: &[f64], last_keys: &[u32]) -> f64 {
        match self {
            Self::Age { date } => compute_age(event_time, days[date]),
            Self::Between { from, to } => days[to] - days[from],
            Self::Same { one, other } => compare_keys(last_keys[one], last_keys[other]),
        }
    }
}

/// The variables to compare, while features are learnt.
pub(super) struct Comparison<'a> {
    pub dataset: &'a Dataset,
    /// The rows, by their places in the data set.
    pub rows: &'a [u32],
    /// The time of each row.
    pub times: &'a [Option<i64>],
    /// By variable; `None` where a variable is never a feature.
    pub encoders: &'a [Option<VariableEncoder>],
    /// Of each variable that is a date, the days since 1970 of each row.
    pub days: &'a FxHashMap<usize, Vec<f64>>,
}

impl Comparison<'_> {
    /// The crosses to make: ages of dates, days between two dates, variables of the same kind.
    pub fn find_crosses(&self) -> Vec<Cross> {
        let compared = self.encoders.len().min(MOST_VARIABLES);
        let mut dates: Vec<usize> = self
            .days
            .keys()
            .copied()
            .filter(|date| *date < compared)
            .collect();
        dates.sort_unstable();
        let mut crosses: Vec<Cross> = Vec::new();
        if self.times.iter().any(Option::is_some) {
            crosses.extend(dates.iter().map(|date| Cross::Age { date: *date }));
        }
        for (at, from) in dates.iter().enumerate() {
            crosses.extend(dates[at + 1..].iter().map(|to| Cross::Between {
                from: *from,
                to: *to,
            }));
        }
        for one in 0..compared {
            for other in one + 1..compared {
                if self.are_alike(one, other) {
                    crosses.push(Cross::Same { one, other });
                }
            }
        }
        crosses.truncate(MOST_CROSSES);
        crosses
    }

    /// The column of a cross: one number for each row.
    pub fn column(&self, cross: Cross) -> Vec<f64> {
        let (times, days) = (self.times, self.days);
        match cross {
            Cross::Age { date } => (0..times.len())
                .map(|row| compute_age(times[row], days[&date][row]))
                .collect(),
            Cross::Between { from, to } => (0..times.len())
                .map(|row| days[&to][row] - days[&from][row])
                .collect(),
            Cross::Same { one, other } => {
                let (one, other) = (self.last_keys(one), self.last_keys(other));
                self.rows
                    .iter()
                    .map(|row| compare_keys(one(*row as usize), other(*row as usize)))
                    .collect()
            }
        }
    }

    /// Whether two variables hold the same kind of thing, so that it matters whether they agree: their types say the
    /// same of the bill and of the parcel, or they are categories of mostly the same words.
    fn are_alike(&self, one: usize, other: usize) -> bool {
        let (Some(first), Some(second)) = (&self.encoders[one], &self.encoders[other]) else {
            return false;
        };
        let (ValueColumn::Texts(texts), ValueColumn::Texts(others)) =
            (&self.dataset.columns()[one], &self.dataset.columns()[other])
        else {
            return false;
        };
        if first.reading.level_names().is_empty()
            || std::mem::discriminant(&first.reading) != std::mem::discriminant(&second.reading)
        {
            return false;
        }
        let kind = |variable: usize| self.dataset.variables()[variable].kind;
        if let (Some(group), Some(same)) =
            (find_type_group(kind(one)), find_type_group(kind(other)))
        {
            return group == same;
        }
        let (fewer, more) = if texts.distinct_count() < others.distinct_count() {
            (texts, others)
        } else {
            (others, texts)
        };
        if fewer.distinct_count() < 3 || fewer.distinct_count() * 20 < more.distinct_count() {
            return false;
        }
        let known: FxHashSet<&str> = more.iter().collect();
        let step = fewer.distinct_count() / 500 + 1;
        let shared = fewer
            .iter()
            .step_by(step)
            .filter(|text| known.contains(text))
            .count();
        shared * 2 * step >= fewer.distinct_count()
    }

    /// Gives the finest key of each row's value.
    fn last_keys(&self, variable: usize) -> Box<dyn Fn(usize) -> u32 + '_> {
        let (Some(encoder), ValueColumn::Texts(texts)) =
            (&self.encoders[variable], &self.dataset.columns()[variable])
        else {
            return Box::new(|_| 0);
        };
        let mut read = ReadValue::default();
        let keys: Vec<u32> = texts
            .iter()
            .map(|text| {
                encoder.reading.read(text, &mut read);
                shorten_key(read.keys.last().copied().unwrap_or(0))
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
}

/// The days from a date to the event.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of dates, far below 2^52"
)]
fn compute_age(event_time: Option<i64>, day: f64) -> f64 {
    event_time.map_or(f64::NAN, |time| time as f64 / 86_400.0 - day)
}

/// 1 if two keys are the same, 0 if not, `NaN` if either is missing.
fn compare_keys(one: u32, other: u32) -> f64 {
    if one == 0 || other == 0 {
        f64::NAN
    } else {
        f64::from(u8::from(one == other))
    }
}

/// A number for each group of types that say the same of the bill and of the parcel.
fn find_type_group(kind: VariableType) -> Option<u8> {
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
