//! Entity history: what one entity (a customer, a card) did before. An [`EntityHistory`] of bounded size is updated event by
//! event, and gives features to the next event.
//!
//! Time is event time: events may arrive in any order, and an event's features tell only of what happened before its
//! own time. The latest events are kept whole; older ones are only counted, by day and in total. So features are exact
//! as long as an entity has no more than [`RECENT_EVENTS`] events in the longest window; beyond that, they are exact to the
//! day.
//!
//! An event is part of the history of its entity, and of those of up to [`MOST_KEYS`] more keys, such as its device and
//! its e-mail address ([`TrackedFields`]).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use places::{PLACE_FEATURES, compute_place_features};

mod key_names;
mod places;
mod tracked_fields;

pub(crate) use key_names::is_key_name;
pub use places::{PLACES, Place, PlaceVariables};
pub use tracked_fields::{HistoryFeature, HistoryKey, MOST_KEYS, TrackedEvent, TrackedFields};

/// How many events are kept whole.
pub const RECENT_EVENTS: usize = 40;
/// How many event ids are remembered. An event that is delivered again after more other events than these counts twice.
pub const REMEMBERED_IDS: usize = 128;
/// How many categorical values are kept of an event.
pub const CATEGORIES: usize = 5;
/// The windows of counts and sums: their names and seconds.
pub const WINDOWS: [(&str, i64); 5] = [
    ("1h", HOUR),
    ("1d", DAY),
    ("7d", 7 * DAY),
    ("30d", 30 * DAY),
    ("90d", 90 * DAY),
];

/// How many numbers [`EntityHistory::features`] gives.
pub const HISTORY_FEATURES: usize = BASE_FEATURES + FRAUD_FEATURES.len();
/// The first so many of them are all that models of releases without keys look at.
const BASE_FEATURES: usize = 2 * WINDOWS.len() + 8 + 2 * CATEGORIES;
/// The names of the others, which are about known fraud.
const FRAUD_FEATURES: [&str; 3] = ["bad 7d", "bad 30d", "share of bad"];

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
/// Events count as of the same time of day if their clock times are no further apart than this, in seconds.
const TIME_OF_DAY: i64 = 3 * HOUR;
/// For how many days counts are kept.
const DAYS: usize = 91;
/// The largest size of a history as JSON, in bytes. That of most entities has a few hundred bytes.
pub const LARGEST_HISTORY: usize = 10_240;
/// How many fraudulent events are remembered. Of an entity with more of them, the exact number does not matter.
const REMEMBERED_FRAUD: usize = 16;

/// One event of an entity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EntityEvent {
    /// When it happened, in seconds since 1970.
    pub time: i64,
    /// The [`hash_id`] of its id.
    pub id: u32,
    /// The amount of money. One that is not finite counts as missing.
    pub price: Option<f32>,
    /// The keys of values whose change may point to fraud: a device, a card, a network.
    pub categories: [Option<u32>; CATEGORIES],
    /// Where something of it is: the customer, the shop.
    pub places: [Option<Place>; PLACES],
}

/// Whether an entity id stands for the unknown entity, which has no history.
pub fn is_nobody(entity_id: &str) -> bool {
    entity_id.eq_ignore_ascii_case("unknown")
}

/// The key of an id: the first four bytes of its SHA-256, so that it is the same in every version.
pub fn hash_id(text: &str) -> u32 {
    let hash = Sha256::digest(text.as_bytes());
    let bytes = hash.first_chunk().copied().unwrap_or_default();
    u32::from_be_bytes(bytes)
}

/// The history of one entity. As JSON, it has at most [`LARGEST_HISTORY`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntityHistory {
    /// The last events by time: time, id, price, categories. Oldest first.
    #[serde(rename = "r")]
    recent: Vec<KeptEvent>,
    /// The ids of the last events by arrival. Oldest first.
    #[serde(rename = "i")]
    ids: Vec<u32>,
    /// Events that are no longer kept whole, by day since 1970: their number and the sum of their prices. Oldest first.
    #[serde(rename = "d")]
    days: Vec<(i64, u64, f32)>,
    /// All events that are no longer kept whole, together.
    #[serde(rename = "o")]
    old: Option<OlderEvents>,
    /// The fraudulent events: id, and the time from which that was known.
    #[serde(rename = "b")]
    bad: Vec<(u32, i64)>,
    /// The places of the events that are kept whole and have any: id, places. Apart from these events, so that releases
    /// that know no places can read the history.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    places: Vec<(u32, [Option<Place>; PLACES])>,
}

type KeptEvent = (i64, u32, Option<f32>, [Option<u32>; CATEGORIES]);

/// A count and a sum of prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct CountAndSum(u64, f64);

impl CountAndSum {
    fn add(&mut self, other: Self) {
        self.0 += other.0;
        self.1 += other.1;
    }
}

/// Events that are no longer kept whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct OlderEvents {
    total: CountAndSum,
    /// How many of them have a price.
    priced: u64,
    first: i64,
    last: i64,
    highest: Option<f32>,
}

impl EntityHistory {
    /// Adds an event, and returns whether it was new. An event whose id is remembered changes nothing.
    pub fn add(&mut self, event: EntityEvent) -> bool {
        if self.ids.contains(&event.id) {
            return false;
        }
        if self.ids.len() >= REMEMBERED_IDS {
            self.ids.remove(0);
        }
        self.ids.push(event.id);
        let price = event.price.filter(|price| price.is_finite());
        let kept = (event.time, event.id, price, event.categories);
        let at = self
            .recent
            .partition_point(|other| (other.0, other.1) < (kept.0, kept.1));
        self.recent.insert(at, kept);
        if event.places.iter().any(Option::is_some) {
            self.places.push((event.id, event.places));
        }
        if self.recent.len() > RECENT_EVENTS {
            let oldest = self.recent.remove(0);
            self.places.retain(|(id, _)| *id != oldest.1);
            self.count_as_older(oldest);
        }
        true
    }

    /// Notes that an event of the entity is fraud, and from when on that is known; or that it is not fraud after all.
    /// Noting the same again changes nothing. Of more than sixteen fraudulent events, the one known first is dropped.
    pub fn note_label(&mut self, id: u32, bad: bool, known_at: i64) {
        self.bad.retain(|(other, _)| *other != id);
        if bad {
            let at = self
                .bad
                .partition_point(|(other, known)| (*known, *other) < (known_at, id));
            self.bad.insert(at, (id, known_at));
            if self.bad.len() > REMEMBERED_FRAUD {
                self.bad.remove(0);
            }
        }
    }

    /// Takes an event out, as far as it is kept whole; what is only counted stays. Its id is remembered, so that the
    /// event does not count again if it comes again.
    pub fn forget_event(&mut self, id: u32) {
        self.recent.retain(|kept| kept.1 != id);
        self.bad.retain(|(other, _)| *other != id);
        self.places.retain(|(other, _)| *other != id);
    }

    /// Whether no event is kept whole.
    pub fn keeps_none_whole(&self) -> bool {
        self.recent.is_empty()
    }

    /// This history, completed by the events that were stored before it began. Where the stored events cover only a
    /// short time, so that the result would have fewer events than this history has already, it stays as it is.
    #[must_use]
    pub fn completed_by(&self, stored: &Self) -> Self {
        let mut all = stored.clone();
        all.add_kept_events(self);
        if all.event_count() < self.event_count() {
            return self.clone();
        }
        all
    }

    /// Adds the events that another history of the same entity has kept whole, each once.
    fn add_kept_events(&mut self, other: &Self) {
        for (time, id, price, categories) in other.recent.iter().copied() {
            self.add(EntityEvent {
                time,
                id,
                price,
                categories,
                places: other.places_of(id),
            });
        }
        for (id, known_at) in &other.bad {
            self.note_label(*id, true, *known_at);
        }
    }

    /// The places of an event that is kept whole.
    fn places_of(&self, id: u32) -> [Option<Place>; PLACES] {
        let kept = self.places.iter().find(|(other, _)| *other == id);
        kept.map_or([None; PLACES], |(_, places)| *places)
    }

    /// The features of one of an event's places: how far it is from where the earlier events were, and how fast one must
    /// be to come from the last of them.
    fn place_features(&self, event: &EntityEvent, place: usize) -> [f32; PLACE_FEATURES.len()] {
        let mut before = Vec::with_capacity(self.places.len());
        for kept in &self.recent {
            if kept.0 < event.time
                && kept.1 != event.id
                && let Some(seen) = self.places_of(kept.1)[place]
            {
                before.push((kept.0, seen));
            }
        }
        let features = compute_place_features(event.time, event.places[place], &before);
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
        features.map(|feature| feature as f32)
    }

    /// How many events were added.
    pub fn event_count(&self) -> u64 {
        self.recent.len() as u64 + self.old.map_or(0, |old| old.total.0)
    }

    fn count_as_older(&mut self, (time, _, price, _): KeptEvent) {
        let total = CountAndSum(1, price.map_or(0.0, f64::from));
        let priced = u64::from(price.is_some());
        match &mut self.old {
            Some(old) => {
                old.total.add(total);
                old.priced += priced;
                old.first = old.first.min(time);
                old.last = old.last.max(time);
                old.highest = choose_higher(old.highest, price);
            }
            none => {
                *none = Some(OlderEvents {
                    total,
                    priced,
                    first: time,
                    last: time,
                    highest: price,
                });
            }
        }
        let day = time.div_euclid(DAY);
        let sum = price.unwrap_or(0.0);
        match self.days.binary_search_by_key(&day, |(day, ..)| *day) {
            Ok(at) => {
                self.days[at].1 += 1;
                // JSON has no infinity.
                self.days[at].2 = (self.days[at].2 + sum).clamp(f32::MIN, f32::MAX);
            }
            Err(at) => self.days.insert(at, (day, 1, sum)),
        }
        if self.days.len() > DAYS {
            self.days.remove(0);
        }
    }

    /// The features that this history gives to an event: one number for each of [`TrackedFields::features`], `NaN` where
    /// nothing is known.
    ///
    /// Only events before the event's time count, and labels that were known by then; never the event itself.
    pub fn features(&self, event: &EntityEvent) -> Vec<f32> {
        let before: Vec<&KeptEvent> = self
            .recent
            .iter()
            .filter(|kept| kept.0 < event.time && kept.1 != event.id)
            .collect();
        let old = self.old.filter(|old| old.first < event.time);
        let mut features = self.window_features(event, &before);
        features.extend(Self::gap_features(event, &before, old));
        features.extend(Self::price_features(event, &before, old));
        features.extend(self.label_features(event));
        features.push(compute_share_of_hour(event, &before));
        for (category, value) in event.categories.iter().enumerate() {
            features.extend(compute_category_features(&before, category, *value));
        }
        features.extend(self.recent_fraud_features(event, &before));
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
        features.into_iter().map(|feature| feature as f32).collect()
    }

    /// Whether nothing happened before an event.
    pub fn is_first_event(&self, event: &EntityEvent) -> bool {
        let earlier = |kept: &KeptEvent| kept.0 < event.time && kept.1 != event.id;
        !self.recent.iter().any(earlier) && self.old.is_none_or(|old| old.first >= event.time)
    }

    /// The count of events and the sum of prices in each window.
    fn window_features(&self, event: &EntityEvent, before: &[&KeptEvent]) -> Vec<f64> {
        let mut features = Vec::with_capacity(2 * WINDOWS.len());
        for (_, seconds) in WINDOWS {
            let from = event.time.saturating_sub(seconds);
            let mut total = CountAndSum::default();
            for kept in before.iter().filter(|kept| kept.0 >= from) {
                total.add(CountAndSum(1, kept.2.map_or(0.0, f64::from)));
            }
            // Whole days only: the day on which the window begins is left out.
            let (first, last) = (from.div_euclid(DAY) + 1, event.time.div_euclid(DAY));
            for (day, count, sum) in &self.days {
                if *day >= first && *day <= last {
                    total.add(CountAndSum(*count, f64::from(*sum)));
                }
            }
            features.extend([count_to_f64(total.0), total.1]);
        }
        features
    }

    /// The number of all events, and the seconds since the last and since the first of them.
    fn gap_features(
        event: &EntityEvent,
        before: &[&KeptEvent],
        old: Option<OlderEvents>,
    ) -> [f64; 3] {
        let count = before.len() as u64 + old.map_or(0, |old| old.total.0);
        let last = before.last().map(|kept| kept.0);
        let last = last.or(old.map(|old| old.last.min(event.time)));
        let first = old
            .map(|old| old.first)
            .or(before.first().map(|kept| kept.0));
        let since = |time: Option<i64>| {
            time.map_or(f64::NAN, |time| {
                seconds_to_f64(event.time.saturating_sub(time))
            })
        };
        // An event that arrived late may be older than all that were counted before it.
        let first = first.map(|first| before.first().map_or(first, |kept| first.min(kept.0)));
        [count_to_f64(count), since(last), since(first)]
    }

    /// The ratio of the price to the mean and to the highest of the earlier prices.
    fn price_features(
        event: &EntityEvent,
        before: &[&KeptEvent],
        old: Option<OlderEvents>,
    ) -> [f64; 2] {
        let mut sum = old.map_or(0.0, |old| old.total.1);
        let mut count = old.map_or(0, |old| old.priced);
        let mut highest = old.and_then(|old| old.highest);
        for price in before.iter().filter_map(|kept| kept.2) {
            sum += f64::from(price);
            count += 1;
            highest = choose_higher(highest, Some(price));
        }
        let price = event.price.map_or(f64::NAN, f64::from);
        let ratio = |to: f64| if to > 0.0 { price / to } else { f64::NAN };
        [
            ratio(sum / count_to_f64(count)),
            ratio(highest.map_or(f64::NAN, f64::from)),
        ]
    }

    /// The number of fraudulent events known by then, and the seconds since the last became known.
    fn label_features(&self, event: &EntityEvent) -> [f64; 2] {
        let known = self
            .bad
            .iter()
            .filter(|(id, known)| *known < event.time && *id != event.id);
        let last = known.clone().next_back();
        let since = |(_, known): &(u32, i64)| seconds_to_f64(event.time.saturating_sub(*known));
        [
            count_to_f64(known.count() as u64),
            last.map_or(f64::NAN, since),
        ]
    }

    /// The number of fraudulent events that became known in the last 7 and 30 days, and the share of known fraud among
    /// the events that are kept whole.
    fn recent_fraud_features(&self, event: &EntityEvent, before: &[&KeptEvent]) -> [f64; 3] {
        let known: Vec<&(u32, i64)> = self
            .bad
            .iter()
            .filter(|(id, known)| *known < event.time && *id != event.id)
            .collect();
        let since = |seconds: i64| {
            let from = event.time.saturating_sub(seconds);
            count_to_f64(known.iter().filter(|(_, known)| *known >= from).count() as u64)
        };
        let is_bad = |kept: &&&KeptEvent| known.iter().any(|(id, _)| *id == kept.1);
        let bad = before.iter().filter(is_bad).count();
        let share = if before.is_empty() {
            f64::NAN
        } else {
            count_to_f64(bad as u64) / count_to_f64(before.len() as u64)
        };
        [since(7 * DAY), since(30 * DAY), share]
    }
}

/// The number of distinct values of a category among the events that are kept whole, and the share of these events that
/// have this event's value.
fn compute_category_features(
    before: &[&KeptEvent],
    category: usize,
    value: Option<u32>,
) -> [f64; 2] {
    let mut seen: Vec<u32> = before.iter().filter_map(|kept| kept.3[category]).collect();
    let same = seen.iter().filter(|other| Some(**other) == value).count();
    let share = match value {
        Some(_) if !seen.is_empty() => count_to_f64(same as u64) / count_to_f64(seen.len() as u64),
        _ => f64::NAN,
    };
    seen.sort_unstable();
    seen.dedup();
    [count_to_f64(seen.len() as u64), share]
}

/// The share of the events kept whole that happened at about this event's time of day.
fn compute_share_of_hour(event: &EntityEvent, before: &[&KeptEvent]) -> f64 {
    if before.is_empty() {
        return f64::NAN;
    }
    let near = |kept: &&&KeptEvent| {
        let apart = (event.time.saturating_sub(kept.0)).rem_euclid(DAY);
        apart.min(DAY - apart) <= TIME_OF_DAY
    };
    let near = before.iter().filter(near).count();
    count_to_f64(near as u64) / count_to_f64(before.len() as u64)
}

/// The names of the features before those of the categories, each with whether it is about prices.
fn list_feature_names() -> impl Iterator<Item = (String, bool)> {
    let windows = WINDOWS.iter().flat_map(|(name, _)| {
        [
            (format!("count {name}"), false),
            (format!("sum {name}"), true),
        ]
    });
    let whole = [
        ("count", false),
        ("seconds since last", false),
        ("seconds since first", false),
        ("price to mean", true),
        ("price to highest", true),
        ("bad", false),
        ("seconds since bad", false),
        ("share of hour", false),
    ];
    windows.chain(whole.map(|(name, price)| (name.to_owned(), price)))
}

fn choose_higher(one: Option<f32>, other: Option<f32>) -> Option<f32> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn count_to_f64(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn seconds_to_f64(seconds: i64) -> f64 {
    seconds as f64
}

#[cfg(test)]
mod tests;
