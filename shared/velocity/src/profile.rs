//! The past of one key, in a form of bounded size.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::event::{KeyEvent, PartnerKey};
use crate::layout::{Layout, Measure};
use crate::window::{DAY, HOUR, MINUTE};
use crate::{ARRIVALS, MOST_DISTINCT};

/// The most events that a bucket counts; 21 bits, which are three bytes in the binary form.
const MOST_COUNTED: u32 = (1 << 21) - 1;

/// The revision of an event that must not be added any more.
const LAST_REVISION: (u64, u32) = (u64::MAX, u32::MAX);

/// Within how many milliseconds all events that are kept whole happen where a profile is busy.
const BUSY: i64 = 10 * MINUTE;

/// The past of one key. [`Profile::default`] is that of a key without events.
///
/// What it keeps depends only on which events were added, not on their order, except for the ids that it remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The time of the newest event.
    pub(crate) newest: Option<i64>,
    /// Whether ids were forgotten, because more than [`ARRIVALS`] arrived.
    pub(crate) has_forgotten_ids: bool,
    /// The events that arrived last, the oldest arrival first.
    pub(crate) arrivals: VecDeque<Arrival>,
    /// The newest events, whole, the oldest first.
    pub(crate) whole: Vec<KeyEvent>,
    /// What the newest of the events that are not kept whole is sorted by.
    pub(crate) newest_older: Option<(i64, u32)>,
    /// Older events of the last hours, by hour, the oldest first.
    pub(crate) hours: Vec<Bucket>,
    /// Still older events of the last days, by day, the oldest first.
    pub(crate) days: Vec<Bucket>,
    /// The values of older events, for each value series of the layout.
    pub(crate) seen: Vec<Vec<SeenValue>>,
    /// The first and the last time of older events, for each condition of `times` of the layout.
    pub(crate) times: Vec<Option<(i64, i64)>>,
    /// The events that are known as fraud, by the time at which that became known.
    pub(crate) frauds: Vec<KnownFraud>,
    /// The keys that came with this one.
    pub(crate) partners: Vec<Partner>,
}

/// An event that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrival {
    #[serde(with = "postcard::fixint::le")]
    pub(crate) id: u32,
    pub(crate) revision: (u64, u32),
    /// Whether the event is counted: kept whole, or part of a count. If not, a later revision of it has another key.
    pub(crate) counts: bool,
}

/// Events of one hour or day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// The number of the hour or day since 1970.
    pub(crate) index: i64,
    /// One for each series of the layout.
    pub(crate) cells: Vec<Cell>,
}

/// The events of a bucket that belong to a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) count: u32,
    /// The sum or the largest of their numbers; 0 if only the events are counted.
    pub(crate) amount: Amount,
}

/// A value of older events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenValue {
    #[serde(with = "postcard::fixint::le")]
    pub(crate) value: u32,
    /// When it was seen last, in seconds since 1970.
    pub(crate) last: i64,
}

/// An event that is known as fraud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct KnownFraud {
    /// Since when it is known, in seconds since 1970.
    pub(crate) known: i64,
    /// The [`hash_text`](crate::hash_text) of the event's id.
    #[serde(with = "postcard::fixint::le")]
    pub(crate) id: u32,
    /// Whose event it is, see [`PartnerKey::short`](crate::PartnerKey::short); 0 if that is not kept.
    pub(crate) account: u32,
}

/// A key that came with the key of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Partner {
    pub(crate) key: PartnerKey,
    /// When they came together first and last, in seconds since 1970.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// In how many events.
    pub(crate) events: u32,
}

/// What became of an event that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is counted now.
    New,
    /// It is counted now. If it arrived before, it counts twice: its id may be among those that were forgotten.
    NewOrForgotten,
    /// It, or a later revision of it, was counted before. The profile is as it was.
    Known,
}

impl Profile {
    /// Adds an event. A revision replaces the one before as long as that is kept whole; after that, the event stays
    /// counted as it was.
    pub fn add(&mut self, layout: &Layout, event: &KeyEvent) -> Added {
        let Some(arrival) = self.note_arrival(event.id, event.revision, true) else {
            return Added::Known;
        };
        self.keep_room(layout);
        if layout.kept.partners {
            let is_new = matches!(arrival, NotedArrival::First);
            self.note_partners(&event.partners, event.time, is_new);
        }
        self.newest = Some(self.newest.map_or(event.time, |time| time.max(event.time)));
        self.let_buckets_age(layout);
        let at = self
            .whole
            .partition_point(|other| other.order() < event.order());
        // What is older than anything that is only counted is not kept whole either: whole events are the newest.
        let is_older = at == 0
            && (self.whole.len() >= layout.limits.whole
                || self.newest_older.is_some_and(|older| event.order() < older));
        if is_older {
            self.count_as_older(layout, event);
        } else {
            let whole = KeyEvent {
                partners: Vec::new(),
                ..event.clone()
            };
            self.whole.insert(at, whole);
            self.shorten_whole(layout);
        }
        match arrival {
            NotedArrival::First if self.has_forgotten_ids && is_older => Added::NewOrForgotten,
            NotedArrival::First | NotedArrival::Replaced => Added::New,
        }
    }

    /// Takes out an event because a later revision of it, `revision`, no longer has this key. It is taken out as long as
    /// it is kept whole; that it is known as fraud, and its share in the `partners` that came with it, are forgotten.
    /// Returns whether the profile has changed.
    pub fn take_out(
        &mut self,
        layout: &Layout,
        id: u32,
        revision: (u64, u32),
        partners: &[PartnerKey],
    ) -> bool {
        let had_fraud = self.set_fraud(layout, id, None, None);
        let is_taken_out = self.note_arrival(id, revision, false);
        if matches!(is_taken_out, Some(NotedArrival::Replaced)) {
            self.take_out_partners(partners);
        }
        is_taken_out.is_some() || had_fraud
    }

    /// Takes an event out for good, and the `partners` that came with it with all their events: nothing of it, and nobody
    /// whose it was, is found from here. Returns whether the profile has changed.
    pub fn forget(&mut self, layout: &Layout, id: u32, partners: &[PartnerKey]) -> bool {
        let is_taken_out = self.take_out(layout, id, LAST_REVISION, &[]);
        let partners_before = self.partners.len();
        self.partners.retain(|it| !partners.contains(&it.key));
        is_taken_out || self.partners.len() < partners_before
    }

    /// Whether so many events arrive that writers of this profile wait for each other: all events that are kept whole
    /// happened within ten minutes.
    pub fn is_busy(&self, layout: &Layout) -> bool {
        let (Some(first), Some(last)) = (self.whole.first(), self.whole.last()) else {
            return false;
        };
        self.whole.len() >= layout.limits.whole && last.time.saturating_sub(first.time) < BUSY
    }

    /// Makes the profile smaller: hours become days, then the oldest arrivals, events and days are forgotten. Only
    /// needed where revisions are huge numbers.
    pub(crate) fn shrink(&mut self, layout: &Layout) {
        if !self.hours.is_empty() {
            self.merge_hours_before(layout, i64::MAX);
        } else if !self.arrivals.is_empty() {
            self.has_forgotten_ids = true;
            self.arrivals.drain(..self.arrivals.len().div_ceil(2));
        } else if self.whole.is_empty() && self.days.is_empty() {
            *self = Self::default();
            self.keep_room(layout);
        } else {
            self.whole.drain(..self.whole.len().div_ceil(2));
            self.days.drain(..self.days.len().div_ceil(2));
        }
    }

    /// Counts the oldest of the events that are kept whole as older ones, where there are more than the layout keeps.
    pub(crate) fn shorten_whole(&mut self, layout: &Layout) {
        let too_many = self.whole.len().saturating_sub(layout.limits.whole);
        let oldest: Vec<KeyEvent> = self.whole.drain(..too_many).collect();
        for event in &oldest {
            self.count_as_older(layout, event);
        }
    }

    /// Whether the event was added, as far as its id is remembered.
    pub(crate) fn has_arrived(&self, id: u32) -> bool {
        self.arrivals.iter().any(|arrival| arrival.id == id)
    }

    /// Whether the event was taken out, as far as its id is remembered.
    pub(crate) fn was_taken_out(&self, id: u32) -> bool {
        let mut arrivals = self.arrivals.iter();
        arrivals.any(|arrival| arrival.id == id && !arrival.counts)
    }

    /// Notes that a revision of an event arrived, and whether it has this key (`counts`). Takes out the revision before.
    /// `None` if this revision or a later one is known, or if the one before is only part of a count.
    fn note_arrival(
        &mut self,
        id: u32,
        revision: (u64, u32),
        counts: bool,
    ) -> Option<NotedArrival> {
        let whole = self.whole.iter().position(|other| other.id == id);
        let known = self.arrivals.iter().position(|arrival| arrival.id == id);
        let before = match (known, whole) {
            (Some(at), _) => Some(self.arrivals[at].revision),
            (None, Some(at)) => Some(self.whole[at].revision),
            (None, None) => None,
        };
        if before.is_some_and(|before| before >= revision) {
            return None;
        }
        let is_part_of_a_count =
            whole.is_none() && known.is_some_and(|at| self.arrivals[at].counts);
        let arrival = Arrival {
            id,
            revision,
            counts: counts || is_part_of_a_count,
        };
        if let Some(at) = known {
            self.arrivals[at] = arrival;
        } else {
            if self.arrivals.len() >= ARRIVALS {
                self.arrivals.pop_front();
                self.has_forgotten_ids = true;
            }
            self.arrivals.push_back(arrival);
        }
        if is_part_of_a_count {
            return None;
        }
        whole.map(|at| self.whole.remove(at));
        Some(match before {
            None => NotedArrival::First,
            Some(_) => NotedArrival::Replaced,
        })
    }

    /// Makes room for what the layout keeps, in a profile that is new.
    pub(crate) fn keep_room(&mut self, layout: &Layout) {
        self.seen
            .resize_with(layout.kept.value_series.len(), Vec::default);
        self.times.resize(layout.kept.times.len(), None);
    }

    /// Merges hours into days and drops days, by the time of the newest event.
    fn let_buckets_age(&mut self, layout: &Layout) {
        let Some(newest) = self.newest else { return };
        self.merge_hours_before(layout, first_kept(newest, HOUR, layout.limits.hours));
        let first_day = first_kept(newest, DAY, layout.limits.days);
        self.days.retain(|bucket| bucket.index >= first_day);
        for seen in &mut self.seen {
            seen.retain(|seen| seen.last.saturating_mul(1_000).div_euclid(DAY) >= first_day);
        }
    }

    /// Merges the hours before `first` into days.
    fn merge_hours_before(&mut self, layout: &Layout, first: i64) {
        let old = self.hours.partition_point(|bucket| bucket.index < first);
        let old: Vec<Bucket> = self.hours.drain(..old).collect();
        for hour in old {
            let day = hour.index.div_euclid(DAY / HOUR);
            let to = find_bucket(&mut self.days, day, hour.cells.len());
            for ((to, from), series) in to.cells.iter_mut().zip(hour.cells).zip(&layout.kept.series)
            {
                to.merge(series.measure, from);
            }
        }
    }

    /// Counts an event that is not kept whole.
    fn count_as_older(&mut self, layout: &Layout, event: &KeyEvent) {
        self.newest_older = self.newest_older.max(Some(event.order()));
        for (times, condition) in self.times.iter_mut().zip(&layout.kept.times) {
            if event.fulfils(*condition) {
                let (first, last) = times.unwrap_or((event.time, event.time));
                *times = Some((first.min(event.time), last.max(event.time)));
            }
        }
        if let Some(bucket) = self.bucket_of(layout, event.time) {
            for (series, cell) in layout.kept.series.iter().zip(&mut bucket.cells) {
                if event.fulfils(series.condition) {
                    cell.add(series.measure, event);
                }
            }
        }
        let newest = self.newest.unwrap_or(event.time);
        if event.time.div_euclid(DAY) < first_kept(newest, DAY, layout.limits.days) {
            return;
        }
        for (series, seen) in layout.kept.value_series.iter().zip(&mut self.seen) {
            if let Some(value) = event.value(series.value)
                && event.fulfils(series.condition)
            {
                note_value(seen, value, event.time.div_euclid(1_000));
            }
        }
    }

    /// The bucket of a time; `None` if it is too old.
    fn bucket_of(&mut self, layout: &Layout, time: i64) -> Option<&mut Bucket> {
        let newest = self.newest.unwrap_or(time);
        let (hour, day) = (time.div_euclid(HOUR), time.div_euclid(DAY));
        let cells = layout.kept.series.len();
        if hour >= first_kept(newest, HOUR, layout.limits.hours) {
            Some(find_bucket(&mut self.hours, hour, cells))
        } else if day >= first_kept(newest, DAY, layout.limits.days) {
            Some(find_bucket(&mut self.days, day, cells))
        } else {
            None
        }
    }
}

/// How an arrival was noted.
enum NotedArrival {
    First,
    Replaced,
}

/// The first hour or day that is kept.
fn first_kept(newest: i64, unit: i64, kept: usize) -> i64 {
    newest.div_euclid(unit) + 1 - i64::try_from(kept).unwrap_or(i64::MAX)
}

/// The bucket with this index, which is added if there is none.
fn find_bucket(buckets: &mut Vec<Bucket>, index: i64, cells: usize) -> &mut Bucket {
    let at = match buckets.binary_search_by_key(&index, |bucket| bucket.index) {
        Ok(at) => at,
        Err(at) => {
            let cells = vec![Cell::default(); cells];
            buckets.insert(at, Bucket { index, cells });
            at
        }
    };
    &mut buckets[at]
}

/// Notes that a value was seen. Of more than [`MOST_DISTINCT`] values, those that were seen last are kept.
fn note_value(seen: &mut Vec<SeenValue>, value: u32, last: i64) {
    if let Some(known) = seen.iter_mut().find(|seen| seen.value == value) {
        known.last = known.last.max(last);
        return;
    }
    seen.push(SeenValue { value, last });
    if seen.len() > MOST_DISTINCT {
        let oldest = (0..seen.len()).min_by_key(|at| (seen[*at].last, seen[*at].value));
        oldest.map(|at| seen.swap_remove(at));
    }
}

impl Cell {
    pub(crate) fn add(&mut self, measure: Measure, event: &KeyEvent) {
        let amount = match measure {
            Measure::Events => Some(Amount::default()),
            Measure::Sum(number) | Measure::Largest(number) => event.number(number),
        };
        if let Some(amount) = amount {
            self.merge(measure, Self { count: 1, amount });
        }
    }

    /// Adds the events of another cell of the same series.
    pub(crate) fn merge(&mut self, measure: Measure, other: Self) {
        self.amount = match measure {
            _ if self.count == 0 => other.amount,
            _ if other.count == 0 => self.amount,
            Measure::Events => Amount::default(),
            Measure::Sum(_) => self.amount.add(other.amount),
            Measure::Largest(_) => self.amount.max(other.amount),
        };
        self.count = self.count.saturating_add(other.count).min(MOST_COUNTED);
    }

    pub(crate) fn subtract(&mut self, measure: Measure, event: &KeyEvent) {
        match measure {
            Measure::Events => self.count = self.count.saturating_sub(1),
            Measure::Sum(number) => {
                if let Some(amount) = event.number(number)
                    && self.count > 0
                {
                    self.count -= 1;
                    self.amount = self.amount.subtract(amount);
                }
            }
            Measure::Largest(_) => {}
        }
    }
}
