//! A profile that was written for other aggregates.

use crate::event::{KeyEvent, SlotId};
use crate::layout::{Kept, Layout, Measure, Series, ValueSeries};
use crate::profile::{Bucket, Cell, Profile};

/// The slots of the old layout, by those of the new one.
struct SlotMap {
    numbers: Vec<Option<usize>>,
    values: Vec<Option<usize>>,
    conditions: Vec<Option<usize>>,
}

/// The old layout does not have a condition.
struct UnknownCondition;

impl SlotMap {
    fn new(old: &Kept, new: &Kept) -> Self {
        let map = |new: &[SlotId], old: &[SlotId]| {
            let find = |slot: &SlotId| old.iter().position(|other| other == slot);
            new.iter().map(find).collect()
        };
        Self {
            numbers: map(&new.numbers, &old.numbers),
            values: map(&new.values, &old.values),
            conditions: map(&new.conditions, &old.conditions),
        }
    }

    /// The old place of a condition.
    fn condition(&self, new: Option<usize>) -> Result<Option<usize>, UnknownCondition> {
        let Some(new) = new else { return Ok(None) };
        let old = self.conditions.get(new).copied().flatten();
        old.map(Some).ok_or(UnknownCondition)
    }

    fn series(&self, new: Series) -> Option<Series> {
        let number = |number: usize| self.numbers.get(number).copied().flatten();
        Some(Series {
            condition: self.condition(new.condition).ok()?,
            measure: match new.measure {
                Measure::Events => Measure::Events,
                Measure::Sum(new) => Measure::Sum(number(new)?),
                Measure::Largest(new) => Measure::Largest(number(new)?),
            },
        })
    }

    fn value_series(&self, new: ValueSeries) -> Option<ValueSeries> {
        Some(ValueSeries {
            condition: self.condition(new.condition).ok()?,
            value: self.values.get(new.value).copied().flatten()?,
        })
    }

    fn event(&self, old: &KeyEvent) -> KeyEvent {
        let conditions = self.conditions.iter().enumerate();
        let conditions = conditions
            .filter(|(_, slot)| slot.is_some() && old.fulfils(**slot))
            .filter_map(|(new, _)| 1_u32.checked_shl(u32::try_from(new).ok()?));
        KeyEvent {
            numbers: self
                .numbers
                .iter()
                .map(|slot| slot.and_then(|slot| old.number(slot)))
                .collect(),
            values: self
                .values
                .iter()
                .map(|slot| slot.and_then(|slot| old.value(slot)))
                .collect(),
            conditions: conditions.fold(0, |all, bit| all | bit),
            time: old.time,
            id: old.id,
            revision: old.revision,
            partners: Vec::new(),
        }
    }
}

/// The profile as the new layout keeps it.
pub(crate) fn adapt(profile: &Profile, old: &Kept, layout: &Layout) -> Profile {
    let new = &layout.kept;
    let slots = SlotMap::new(old, new);
    let series: Vec<Option<usize>> = new
        .series
        .iter()
        .map(|new| {
            let was = slots.series(*new)?;
            old.series.iter().position(|old| *old == was)
        })
        .collect();
    let buckets = |buckets: &[Bucket]| {
        let bucket = |bucket: &Bucket| Bucket {
            index: bucket.index,
            cells: series
                .iter()
                .map(|at| at.map_or_else(Cell::default, |at| bucket.cells[at]))
                .collect(),
        };
        buckets.iter().map(bucket).collect()
    };
    let mut adapted = Profile {
        newest: profile.newest,
        has_forgotten_ids: profile.has_forgotten_ids,
        arrivals: profile.arrivals.clone(),
        newest_older: profile.newest_older,
        whole: profile
            .whole
            .iter()
            .map(|event| slots.event(event))
            .collect(),
        hours: buckets(&profile.hours),
        days: buckets(&profile.days),
        seen: new
            .value_series
            .iter()
            .map(|new| {
                let was = slots.value_series(*new)?;
                let at = old.value_series.iter().position(|old| *old == was)?;
                Some(profile.seen[at].clone())
            })
            .map(Option::unwrap_or_default)
            .collect(),
        times: new
            .times
            .iter()
            .map(|new| {
                let was = slots.condition(*new).ok()?;
                let at = old.times.iter().position(|old| *old == was)?;
                profile.times[at]
            })
            .collect(),
        frauds: if new.frauds {
            profile.frauds.clone()
        } else {
            Vec::new()
        },
        partners: if new.partners {
            profile.partners.clone()
        } else {
            Vec::new()
        },
    };
    adapted.shorten_whole(layout);
    adapted
}
