//! The values that the past of a key gives to an event.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use rust_decimal::Decimal;

use crate::amount::Amount;
use crate::event::KeyEvent;
use crate::layout::{Aggregate, Function, KeyKind, Layout, Measure, Series, ValueSeries};
use crate::profile::{Bucket, Cell, Profile};
use crate::window::{DAY, HOUR, Window};
use crate::{MOST_DISTINCT, MOST_FRAUDS};

/// How many events must have a number before there is a usual one.
const LEAST_FOR_USUAL: usize = 3;
/// Decimal places of means and ratios.
const DECIMAL_PLACES: u32 = 4;

/// The value of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateValue {
    /// A number of events or of different values.
    Count(u64),
    /// A sum, a mean, a largest value or a ratio.
    Number(Decimal),
    /// A time span in milliseconds.
    Millis(i64),
}

impl fmt::Display for AggregateValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Number(number) => number.normalize().fmt(f),
            Self::Millis(millis) => millis.fmt(f),
        }
    }
}

impl Layout {
    /// The value of each aggregate for an event: what happened before it. `profiles` are those of all shards of the key,
    /// or of several keys that count as one. The event itself does not count, whether it was added or not.
    pub fn values_before(
        &self,
        profiles: &[&Profile],
        event: &KeyEvent,
    ) -> Vec<Option<AggregateValue>> {
        let past = Past::new(self, profiles, event);
        let aggregates = self.aggregates.iter();
        aggregates.map(|aggregate| past.value(aggregate)).collect()
    }
}

/// What happened before an event.
struct Past<'a> {
    layout: &'a Layout,
    profiles: &'a [&'a Profile],
    event: &'a KeyEvent,
    /// The earlier events that are kept whole, the oldest first.
    whole: Vec<&'a KeyEvent>,
}

impl<'a> Past<'a> {
    fn new(layout: &'a Layout, profiles: &'a [&'a Profile], event: &'a KeyEvent) -> Self {
        let all = profiles.iter().flat_map(|profile| &profile.whole);
        let mut whole: Vec<&KeyEvent> = all
            .filter(|other| other.order() < event.order() && other.id != event.id)
            .collect();
        if profiles.len() > 1 {
            // An event that has several of the keys is in the profile of each.
            let mut ids = HashSet::new();
            whole.retain(|event| ids.insert(event.id));
            whole.sort_by_key(|event| event.order());
        }
        Self {
            layout,
            profiles,
            event,
            whole,
        }
    }

    fn value(&self, aggregate: &Aggregate) -> Option<AggregateValue> {
        let window = aggregate.window.map_or(i64::MAX, Window::millis);
        let from = self.event.time.saturating_sub(window);
        let condition = aggregate.condition;
        let total = |measure| self.total(Series { condition, measure }, from);
        let decimal = |cell: Cell| cell.amount.to_decimal();
        match aggregate.function {
            Function::Count => {
                let count = total(Measure::Events).count;
                Some(AggregateValue::Count(u64::from(count)))
            }
            Function::Sum(number) => {
                Some(AggregateValue::Number(decimal(total(Measure::Sum(number)))))
            }
            Function::Mean(number) => {
                let sum = total(Measure::Sum(number));
                let mean = decimal(sum).checked_div(Decimal::from(sum.count))?;
                Some(AggregateValue::Number(mean.round_dp(DECIMAL_PLACES)))
            }
            Function::Max(number) => {
                let largest = total(Measure::Largest(number));
                (largest.count > 0).then(|| AggregateValue::Number(decimal(largest)))
            }
            Function::Distinct(value) => {
                let distinct = self.distinct(ValueSeries { condition, value }, from);
                Some(AggregateValue::Count(distinct.min(MOST_DISTINCT) as u64))
            }
            Function::SinceFirst => Some(self.since(self.first_time(condition)?)),
            Function::SinceLast => Some(self.since(self.last_time(condition)?)),
            Function::Fraud => Some(AggregateValue::Count(self.frauds(from))),
            Function::FraudRate => {
                let frauds = self.frauds(from);
                // There are at least as many events as frauds: some of them happened before the window.
                let events = u64::from(total(Measure::Events).count).max(frauds);
                let rate = Decimal::from(frauds).checked_div(Decimal::from(events))?;
                Some(AggregateValue::Number(rate.round_dp(DECIMAL_PLACES)))
            }
            Function::RatioToUsual(number) => {
                let own = self.event.number(number)?.to_decimal();
                let usual = self.usual(condition, number, from)?;
                let ratio = own.checked_div(usual).filter(|_| usual > Decimal::ZERO)?;
                Some(AggregateValue::Number(ratio.round_dp(DECIMAL_PLACES)))
            }
        }
    }

    /// The earlier events since `from` that are kept whole and fulfil the condition.
    fn whole_since(&self, condition: Option<usize>, from: i64) -> impl Iterator<Item = &KeyEvent> {
        let whole = self.whole.iter().copied();
        whole.filter(move |event| event.time >= from && event.fulfils(condition))
    }

    /// All earlier events of a series since `from`.
    fn total(&self, series: Series, from: i64) -> Cell {
        let mut total = Cell::default();
        for event in self.whole_since(series.condition, from) {
            total.add(series.measure, event);
        }
        let kept = &self.layout.kept.series;
        if let Some(at) = kept.iter().position(|other| *other == series) {
            for profile in self.profiles {
                total.merge(series.measure, self.older(profile, at, from));
            }
        }
        total
    }

    /// The events of a profile since `from` that are no longer kept whole. Hours and days that are not wholly within
    /// the window are left out; that in which the event happened counts if all that is counted in it happened before.
    fn older(&self, profile: &Profile, series: usize, from: i64) -> Cell {
        let measure = self.layout.kept.series[series].measure;
        let condition = self.layout.kept.series[series].condition;
        let event = self.event;
        // A hub keeps no event whole: the event is in the bucket of its hour or day, with others before and after it.
        let is_hub = self.layout.kind == KeyKind::Hub;
        let newest = profile.newest_older;
        let all_are_earlier = is_hub || newest.is_none_or(|newest| newest < event.order());
        let mut holds_event = is_hub && profile.has_arrived(event.id);
        let mut total = Cell::default();
        let mut add = |buckets: &[Bucket], unit: i64| {
            for bucket in buckets {
                let start = bucket.index.saturating_mul(unit);
                let end = start.saturating_add(unit);
                let is_before = end <= event.time || (start <= event.time && all_are_earlier);
                if start < from || !is_before {
                    continue;
                }
                let mut cell = bucket.cells[series];
                if holds_event && (start..end).contains(&event.time) && event.fulfils(condition) {
                    cell.subtract(measure, event);
                    holds_event = false;
                }
                total.merge(measure, cell);
            }
        };
        add(&profile.hours, HOUR);
        add(&profile.days, DAY);
        total
    }

    /// How many different values there are since `from`.
    fn distinct(&self, series: ValueSeries, from: i64) -> usize {
        let whole = self.whole_since(series.condition, from);
        let mut values: BTreeSet<u32> = whole.filter_map(|it| it.value(series.value)).collect();
        let kept = &self.layout.kept.value_series;
        if let Some(at) = kept.iter().position(|other| *other == series) {
            let seen = self
                .profiles
                .iter()
                .filter_map(|profile| profile.seen.get(at))
                .flatten();
            let millis = |seconds: i64| seconds.saturating_mul(1_000);
            let in_window = seen
                .filter(|seen| millis(seen.last) >= from && millis(seen.last) <= self.event.time);
            values.extend(in_window.map(|seen| seen.value));
        }
        values.len()
    }

    /// How many other events became known as fraud since `from` and before the event.
    fn frauds(&self, from: i64) -> u64 {
        let frauds = self.profiles.iter().flat_map(|profile| &profile.frauds);
        let known = frauds.filter(|fraud| {
            let known = fraud.known.saturating_mul(1_000);
            fraud.id != self.event.id && known >= from && known < self.event.time
        });
        let ids: HashSet<u32> = known.map(|fraud| fraud.id).collect();
        ids.len().min(MOST_FRAUDS) as u64
    }

    fn since(&self, time: i64) -> AggregateValue {
        AggregateValue::Millis(self.event.time.saturating_sub(time))
    }

    /// The first and the last time of older events, for each profile.
    fn older_times(&self, condition: Option<usize>) -> impl Iterator<Item = (i64, i64)> {
        let at = self
            .layout
            .kept
            .times
            .iter()
            .position(|it| *it == condition);
        let times = self
            .profiles
            .iter()
            .filter_map(move |profile| *profile.times.get(at?)?);
        times.filter(|(first, _)| *first < self.event.time)
    }

    fn first_time(&self, condition: Option<usize>) -> Option<i64> {
        let whole = self.whole_since(condition, i64::MIN).next();
        let older = self.older_times(condition).map(|(first, _)| first);
        older.chain(whole.map(|event| event.time)).min()
    }

    /// The time of the last earlier event. If it is not kept whole, and others of the same time or later are neither,
    /// that of the first is all that is known.
    fn last_time(&self, condition: Option<usize>) -> Option<i64> {
        let whole = self.whole_since(condition, i64::MIN).last();
        let known = |(first, last)| if last < self.event.time { last } else { first };
        let older = self.older_times(condition).map(known);
        older.chain(whole.map(|event| event.time)).max()
    }

    /// The median of the numbers of the earlier events that are kept whole.
    fn usual(&self, condition: Option<usize>, number: usize, from: i64) -> Option<Decimal> {
        let whole = self.whole_since(condition, from);
        let mut numbers: Vec<Amount> = whole.filter_map(|it| it.number(number)).collect();
        if numbers.len() < LEAST_FOR_USUAL {
            return None;
        }
        numbers.sort_unstable();
        let (low, high) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
        Some((low.to_decimal() + high.to_decimal()) / Decimal::TWO)
    }
}
