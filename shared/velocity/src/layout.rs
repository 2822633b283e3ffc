//! What the profiles of a kind of key keep, worked out from the aggregates that read it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::{KEY_HASH, SlotId};
use crate::window::{DAY, Window};
use crate::{
    ARRIVALS, LARGEST_PROFILE, MOST_CONDITIONS, MOST_DISTINCT, MOST_FRAUDS, MOST_PARTNERS,
};

/// What an aggregate computes from the events of a key. Numbers and values are slots of the [`Layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// The number of events.
    Count,
    /// The sum of a number.
    Sum(usize),
    /// The mean of a number; absent if no event has it.
    Mean(usize),
    /// The largest value of a number; absent if no event has it.
    Max(usize),
    /// How many different values there are; of more than [`MOST_DISTINCT`](crate::MOST_DISTINCT), that many.
    Distinct(usize),
    /// The time since the first event; absent if there is none.
    SinceFirst,
    /// The time since the last event; absent if there is none.
    SinceLast,
    /// The number of events that became known as fraud within the window, whenever they happened; of more than
    /// [`MOST_FRAUDS`](crate::MOST_FRAUDS), that many.
    Fraud,
    /// The number of events that became known as fraud within the window, divided by the number of events that happened in
    /// it; at most 1, and absent if there is neither.
    FraudRate,
    /// The number of the event itself, divided by the median of those before it that are kept whole; absent if fewer
    /// than three have it.
    RatioToUsual(usize),
}

/// One aggregate of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// What is computed.
    pub function: Function,
    /// The condition that an event must fulfil to count.
    pub condition: Option<usize>,
    /// How far it looks back. [`Function::SinceFirst`] and [`Function::SinceLast`] have no window, all others need one.
    pub window: Option<Window>,
}

/// How the past of a key is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// One profile, with its latest events whole.
    #[default]
    Profile,
    /// A key that many unrelated events share, such as a card's BIN. Its events are only counted, by hour and day, in
    /// several profiles, so that writers do not wait for each other.
    Hub,
}

/// Aggregates of which no layout can be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// An aggregate of a hub needs single events.
    #[error(
        "a hub is counted by hour and day, and has no `{0}`; use count, sum, mean, distinct, fraud or fraud_rate, or make it no hub"
    )]
    NotOfHub(&'static str),
    /// The profile could become too large.
    #[error(
        "the aggregates of one key need up to {0} bytes, and a profile has at most {LARGEST_PROFILE}; use fewer different values, conditions or numbers"
    )]
    TooLarge(usize),
    /// What is known as fraud is counted without conditions.
    #[error("`{0}` counts all orders that are known as fraud; leave the condition out")]
    FraudUnderCondition(&'static str),
    /// There are too many conditions.
    #[error("there are {0} conditions, and one key has at most {MOST_CONDITIONS}")]
    TooManyConditions(usize),
    /// An aggregate that needs a window has none.
    #[error("`{0}` needs a window, such as 7d")]
    NoWindow(&'static str),
    /// An aggregate that looks back without limit has a window.
    #[error("`{0}` looks back without limit; leave the window out")]
    UnusedWindow(&'static str),
}

impl Aggregate {
    /// Whether profiles of this kind can give it.
    ///
    /// # Errors
    /// [`LayoutError`] if a window is missing or not needed, or if a hub does not keep what it needs.
    pub fn check(&self, kind: KeyKind) -> Result<(), LayoutError> {
        let function = self.function;
        match (function.looks_back_without_limit(), self.window) {
            (true, Some(_)) => Err(LayoutError::UnusedWindow(function.name())),
            (false, None) => Err(LayoutError::NoWindow(function.name())),
            _ if kind == KeyKind::Hub && function.needs_single_events() => {
                Err(LayoutError::NotOfHub(function.name()))
            }
            _ if function.counts_frauds() && self.condition.is_some() => {
                Err(LayoutError::FraudUnderCondition(function.name()))
            }
            _ => Ok(()),
        }
    }
}

impl Function {
    /// Its name in the mapping file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum(_) => "sum",
            Self::Mean(_) => "mean",
            Self::Max(_) => "max",
            Self::Distinct(_) => "distinct",
            Self::SinceFirst => "since_first",
            Self::SinceLast => "since_last",
            Self::Fraud => "fraud",
            Self::FraudRate => "fraud_rate",
            Self::RatioToUsual(_) => "ratio_to_usual",
        }
    }

    fn counts_frauds(self) -> bool {
        matches!(self, Self::Fraud | Self::FraudRate)
    }

    fn needs_single_events(self) -> bool {
        matches!(
            self,
            Self::Max(_) | Self::SinceFirst | Self::SinceLast | Self::RatioToUsual(_)
        )
    }

    fn looks_back_without_limit(self) -> bool {
        matches!(self, Self::SinceFirst | Self::SinceLast)
    }
}

/// What is counted of the events that are no longer kept whole and fulfil a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) condition: Option<usize>,
    pub(crate) measure: Measure,
}

/// The measure of a [`Series`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Measure {
    /// How many there are.
    Events,
    /// How many have the number, and its sum.
    Sum(usize),
    /// How many have the number, and its largest value.
    Largest(usize),
}

/// Values of events that fulfil a condition, of which the different ones are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ValueSeries {
    pub(crate) condition: Option<usize>,
    pub(crate) value: usize,
}

/// What the profiles of a kind of key keep, and the aggregates that they give.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub(crate) kind: KeyKind,
    pub(crate) aggregates: Vec<Aggregate>,
    pub(crate) kept: Kept,
    pub(crate) limits: Limits,
}

/// How much a profile keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many events are kept whole.
    pub(crate) whole: usize,
    /// For how many hours older events are counted by hour.
    pub(crate) hours: usize,
    /// For how many days older events are counted by day.
    pub(crate) days: usize,
}

/// What a profile keeps. It is stored with the profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) numbers: Vec<SlotId>,
    pub(crate) values: Vec<SlotId>,
    pub(crate) conditions: Vec<SlotId>,
    pub(crate) series: Vec<Series>,
    pub(crate) value_series: Vec<ValueSeries>,
    /// The conditions, or none, whose first and last time are kept.
    pub(crate) times: Vec<Option<usize>>,
    /// Whether it is kept which events are known as fraud.
    pub(crate) frauds: bool,
    /// Whether the keys that came with this one are kept.
    pub(crate) partners: bool,
}

/// How many profiles a hub has.
const HUB_SHARDS: u32 = 8;
/// How many events are kept whole, and for how many hours older ones are counted by hour: the first of these for which
/// the profile stays small enough.
const CHOICES: [(usize, usize); 6] = [(48, 48), (48, 25), (32, 25), (24, 25), (16, 25), (8, 25)];

impl Layout {
    /// Works out what to keep for `aggregates`. Each slot is named by the hash of its definition.
    ///
    /// # Errors
    /// [`LayoutError`] if an aggregate cannot be kept, or if the profile could become too large.
    pub fn new(
        kind: KeyKind,
        numbers: Vec<SlotId>,
        values: Vec<SlotId>,
        conditions: Vec<SlotId>,
        aggregates: Vec<Aggregate>,
    ) -> Result<Self, LayoutError> {
        if conditions.len() > MOST_CONDITIONS {
            return Err(LayoutError::TooManyConditions(conditions.len()));
        }
        let mut series = BTreeSet::new();
        let mut value_series = BTreeSet::new();
        let mut times = BTreeSet::new();
        for aggregate in &aggregates {
            aggregate.check(kind)?;
            let function = aggregate.function;
            let condition = aggregate.condition;
            match function {
                Function::Count | Function::FraudRate => {
                    series.insert(Measure::Events.under(condition));
                }
                Function::Sum(number) | Function::Mean(number) => {
                    series.insert(Measure::Sum(number).under(condition));
                }
                Function::Distinct(value) => {
                    value_series.insert(ValueSeries { condition, value });
                }
                Function::Max(number) => {
                    series.insert(Measure::Largest(number).under(condition));
                }
                Function::SinceFirst | Function::SinceLast => {
                    times.insert(condition);
                }
                Function::RatioToUsual(_) | Function::Fraud => {}
            }
        }
        let mut functions = aggregates.iter().map(|it| it.function);
        let frauds = functions.any(Function::counts_frauds);
        let kept = Kept {
            numbers,
            values,
            conditions,
            series: series.into_iter().collect(),
            value_series: value_series.into_iter().collect(),
            times: times.into_iter().collect(),
            frauds,
            partners: false,
        };
        let longest = aggregates.iter().filter_map(|it| it.window).max();
        let days = longest.map_or(0, |window| (window.millis() + DAY - 1).div_euclid(DAY) + 1);
        let days = usize::try_from(days).unwrap_or_default();
        Ok(Self {
            limits: kept.choose_limits(kind, days)?,
            kind,
            aggregates,
            kept,
        })
    }

    /// The same layout, which also keeps the keys that came with this one, and which of its events are known as fraud.
    ///
    /// # Errors
    /// [`LayoutError`] if the profile could become too large, or if the key is a hub.
    pub fn with_partners(mut self) -> Result<Self, LayoutError> {
        if self.kind == KeyKind::Hub {
            return Err(LayoutError::NotOfHub("links"));
        }
        self.kept.partners = true;
        self.kept.frauds = true;
        self.limits = self.kept.choose_limits(self.kind, self.limits.days)?;
        Ok(self)
    }

    /// The aggregates, in the order of the values that they give.
    pub fn aggregates(&self) -> &[Aggregate] {
        &self.aggregates
    }

    /// Whether it is kept which events are known as fraud.
    pub fn keeps_frauds(&self) -> bool {
        self.kept.frauds
    }

    /// How many events are kept whole: as long as a key has no more, every value is exact.
    pub fn whole_events(&self) -> usize {
        self.limits.whole
    }

    /// How many profiles the past of one key is divided into.
    pub fn shards(&self) -> u32 {
        match self.kind {
            KeyKind::Profile => 1,
            KeyKind::Hub => HUB_SHARDS,
        }
    }

    /// The profile of the key to which the event with this hashed id belongs, from 0. An event that is delivered again
    /// belongs to the same one.
    pub fn shard_of(&self, id: u32) -> u32 {
        id % self.shards()
    }
}

impl Kept {
    /// The first of [`CHOICES`] for which the profile stays small enough.
    fn choose_limits(&self, kind: KeyKind, days: usize) -> Result<Limits, LayoutError> {
        let choices = CHOICES.map(|(whole, hours)| Limits {
            whole: if kind == KeyKind::Hub { 0 } else { whole },
            hours,
            days,
        });
        let fits = |limits: &&Limits| self.largest_size(**limits) <= LARGEST_PROFILE;
        let least = self.largest_size(choices[choices.len() - 1]);
        let fitting = choices.iter().find(fits).copied();
        fitting.ok_or(LayoutError::TooLarge(least))
    }

    /// How many bytes a profile has in the binary form at most, as long as revisions are times or smaller numbers.
    fn largest_size(&self, limits: Limits) -> usize {
        // The longest forms of the integers, as variable-length integers with seven bits a byte.
        const TIME: usize = 7; // milliseconds up to the year 9999
        const COARSE_TIME: usize = 6; // seconds, hours or days
        const HASH: usize = 4; // of fixed length
        const REVISION: usize = 6 + 3; // seconds up to the year 9999, and microseconds
        const AMOUNT: usize = 7;
        const CONDITIONS: usize = 5;
        const ACCOUNT: usize = 5;
        const LENGTHS: usize = 64;
        let slots = self.numbers.len() + self.values.len() + self.conditions.len();
        let series = self.series.len() + self.value_series.len() + self.times.len();
        let event = TIME
            + HASH
            + REVISION
            + CONDITIONS
            + 2
            + self.numbers.len() * (1 + AMOUNT)
            + self.values.len() * (1 + HASH + 1);
        let cell = |series: &Series| match series.measure {
            Measure::Events => 3 + 1,
            Measure::Sum(_) => 3 + 9,
            Measure::Largest(_) => 3 + AMOUNT,
        };
        let bucket = COARSE_TIME + 1 + self.series.iter().map(cell).sum::<usize>();
        LENGTHS
            + (slots + series) * HASH
            + ARRIVALS * (HASH + REVISION + 1)
            + limits.whole * event
            + (limits.hours + limits.days) * bucket
            + self.value_series.len() * MOST_DISTINCT * (HASH + COARSE_TIME)
            + self.times.len() * (TIME + 1) * 2
            + usize::from(self.frauds) * MOST_FRAUDS * (HASH + COARSE_TIME + ACCOUNT)
            + usize::from(self.partners) * MOST_PARTNERS * (HASH + KEY_HASH + 2 * COARSE_TIME + 5)
    }
}

impl Measure {
    fn under(self, condition: Option<usize>) -> Series {
        Series {
            condition,
            measure: self,
        }
    }
}
