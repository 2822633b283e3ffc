//! Counting orders by their keys, before they are judged.
//!
//! The profile of a key is one item, which is written on the condition that nobody wrote it meanwhile; whoever loses
//! reads again. The aggregates of an order are computed from the profiles that hold it. So two environments never judge
//! one card on the same old state, and an order that has a decision is counted.
//!
//! Counting an order twice changes nothing, and profiles do not depend on the order of arrival. So the orders of a batch
//! are counted together, whatever keys they have, before the first of them is judged.

mod counted_profile;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use event::Timestamp;
use futures::future::join_all;
use tokio::time::Instant;
use velocity::{Layout, Profile};

use crate::batch::{not_reached_failure, run_until};
use crate::failure::Failure;
use crate::items::{Item, read_items};
use crate::mapping::{MappedOrder, Mapping};
use counted_profile::{Change, CountedProfile, State};
use writes::{BATCH_STATEMENTS, WriteResult, WrittenProfile};

/// How many orders are counted together: this bounds the memory that their profiles take.
const ORDERS: usize = 50;
/// How often a profile that others write too is read again.
const MOST_ROUNDS: u32 = 50;
/// The pause before a profile is read again: the first and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(40)];
/// How far in the future an order may be: a time that is far ahead would make the past of its keys look old.
const MOST_AHEAD_SECONDS: i64 = 24 * 3_600;
/// The revision of an order that must not be counted any more.
const LAST_REVISION: (u64, u32) = (u64::MAX, u32::MAX);
/// For how long a profile is kept after its last event: the longest window, and two days.
const KEPT_SECONDS: i64 = 92 * 86_400;

/// A key by its place among [`Mapping::aggregate_keys`], and the hash of a value of it.
pub type HashedKey = (usize, String);

/// An order that is counted.
pub struct CountedOrder<'a> {
    order: &'a mut Result<MappedOrder, Failure>,
    former_keys: Vec<HashedKey>,
}

impl<'a> CountedOrder<'a> {
    /// An order without earlier revisions. The variables of its aggregates are set in it; if it cannot be counted, it
    /// becomes a failure, because it would be judged on an incomplete past. A failure stays as it is.
    pub fn new(order: &'a mut Result<MappedOrder, Failure>) -> Self {
        Self {
            order,
            former_keys: Vec::new(),
        }
    }

    /// The same order, which is taken out of those keys of its earlier revisions that it no longer has.
    #[must_use]
    pub fn with_former_keys(self, former_keys: Vec<HashedKey>) -> Self {
        Self {
            former_keys,
            ..self
        }
    }
}

/// The table of profiles.
#[derive(Clone, Debug)]
pub struct ProfileTable {
    client: Client,
    table: String,
}

/// The key of a profile's item; the sort key is always `profile`.
fn profile_key(mapping: &Mapping, key: usize, hash: &str, shard: u32) -> String {
    let key = &mapping.aggregate_keys()[key];
    match key.layout().shards() {
        1 => format!("{}#{hash}", key.name()),
        _ => format!("{}#{hash}#{shard}", key.name()),
    }
}

impl ProfileTable {
    /// The table `table` behind `client`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Counts orders by their keys, and sets the variables of their aggregates. What is not counted by `end` becomes a
    /// retry.
    pub async fn count(
        &self,
        mapping: &Mapping,
        mut orders: Vec<CountedOrder<'_>>,
        now: Timestamp,
        end: Option<Instant>,
    ) {
        for some in orders.chunks_mut(ORDERS) {
            let counted = run_until(end, self.count_some(mapping, some, now)).await;
            if counted.is_none() {
                for late in some.iter_mut().filter(|late| late.order.is_ok()) {
                    *late.order = Err(not_reached_failure());
                }
            }
        }
    }

    async fn count_some(&self, mapping: &Mapping, orders: &mut [CountedOrder<'_>], now: Timestamp) {
        let latest = now.epoch_seconds() + MOST_AHEAD_SECONDS;
        for order in orders.iter_mut().flat_map(|it| it.order.as_mut()) {
            if order.timestamp.epoch_seconds() > latest {
                order.leave_uncounted("is more than 24 hours in the future");
            }
        }
        let mut keys = collect_keys(mapping, orders);
        self.make_changes(&mut keys, now).await;
        for CountedOrder { order, .. } in orders {
            let set = order
                .as_mut()
                .map(|order| set_aggregates(mapping, &keys, order));
            if let Ok(Err(failure)) = set {
                **order = Err(failure);
            }
        }
    }

    /// Takes orders out of the profiles of the keys under which they were counted: their ids and those keys' hashes, by
    /// the name of the key. An order is taken out as long as the profile keeps it whole; after that it is only part of a
    /// count. Whatever arrives of it later is not counted.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn take_out(
        &self,
        mapping: &Mapping,
        orders: &[(&str, &BTreeMap<String, Vec<String>>)],
        now: Timestamp,
    ) -> Result<(), Failure> {
        for some in orders.chunks(ORDERS) {
            let mut keys = BTreeMap::new();
            for (event_id, hashes) in some {
                let id = velocity::hash_text(event_id);
                let known = mapping.aggregate_keys().iter().enumerate();
                for (place, key) in known {
                    for hash in hashes.get(key.name()).into_iter().flatten() {
                        let revision = LAST_REVISION;
                        let change = Change::TakeOut { id, revision };
                        collect_key(mapping, &mut keys, (place, hash), (id, change));
                    }
                }
            }
            self.make_changes(&mut keys, now).await;
            for counted in keys.into_values() {
                match counted.state {
                    State::Failed(failure) => return Err(failure),
                    State::Unreadable(why) => return Err(Failure::retry(why.to_string())),
                    State::NotRead | State::Known(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Reads the profiles, changes them and writes them, until nobody else wrote them meanwhile.
    async fn make_changes(&self, keys: &mut BTreeMap<String, CountedProfile<'_>>, now: Timestamp) {
        let mut left: BTreeSet<String> = keys.keys().cloned().collect();
        let mut round = 0;
        while !left.is_empty() {
            if round > 0 {
                metrics::counter!("ProfileConflicts").increment(left.len() as u64);
                pause(round).await;
            }
            left = self.count_round(keys, left, now).await;
            round += 1;
            if round > MOST_ROUNDS {
                for pk in std::mem::take(&mut left) {
                    if let Some(key) = keys.get_mut(&pk) {
                        key.state = State::Failed(Failure::retry("others write a profile as well"));
                    }
                }
            }
        }
    }

    /// Reads the profiles with these keys, changes them, and writes those that have changed. Returns the keys of those
    /// that others wrote meanwhile.
    async fn count_round(
        &self,
        keys: &mut BTreeMap<String, CountedProfile<'_>>,
        round: BTreeSet<String>,
        now: Timestamp,
    ) -> BTreeSet<String> {
        let read: Vec<Item> = round.iter().map(|pk| item_key(pk)).collect();
        let items = match read_items(&self.client, &self.table, &read).await {
            Ok(items) => items,
            Err(failure) => {
                for pk in &round {
                    if let Some(key) = keys.get_mut(pk) {
                        key.state = State::Failed(failure.clone());
                    }
                }
                return BTreeSet::new();
            }
        };
        let mut found: BTreeMap<String, Item> = BTreeMap::new();
        for item in items {
            if let Some(Ok(pk)) = item.get("pk").map(AttributeValue::as_s) {
                found.insert(pk.clone(), item);
            }
        }
        let mut writes = Vec::new();
        for pk in &round {
            if let Some(key) = keys.get_mut(pk)
                && let Some((profile, revision)) = key.change(found.get(pk))
            {
                writes.push(WrittenProfile {
                    pk: pk.clone(),
                    profile,
                    revision,
                    expires_at: now.epoch_seconds() + KEPT_SECONDS,
                });
            }
        }
        let calls = writes
            .chunks(BATCH_STATEMENTS)
            .map(|some| self.write_profiles(some));
        let mut conflicts = BTreeSet::new();
        let results = join_all(calls).await.into_iter().flatten();
        for (write, result) in writes.iter().zip(results) {
            match result {
                WriteResult::Written => {}
                WriteResult::Conflict => {
                    conflicts.insert(write.pk.clone());
                }
                WriteResult::Failed(failure) => {
                    if let Some(key) = keys.get_mut(&write.pk) {
                        key.state = State::Failed(failure);
                    }
                }
            }
        }
        conflicts
    }
}

fn item_key(pk: &str) -> Item {
    Item::from([
        ("pk".to_owned(), AttributeValue::S(pk.to_owned())),
        ("sk".to_owned(), AttributeValue::S("profile".to_owned())),
    ])
}

/// Waits for a random time, so that writers that failed together do not try together again.
async fn pause(round: u32) {
    let [first, longest] = PAUSES;
    let most = first.saturating_mul(1 << round.min(10)).min(longest);
    let chance = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(most * (1 + chance) / 256).await;
}

/// Adds the profiles of a key, and notes the change in that of the event.
fn collect_key<'a>(
    mapping: &'a Mapping,
    keys: &mut BTreeMap<String, CountedProfile<'a>>,
    (key, hash): (usize, &str),
    (id, change): (u32, Change),
) {
    let layout: &'a Layout = mapping.aggregate_keys()[key].layout();
    let mut change = Some(change);
    for shard in 0..layout.shards() {
        let pk = profile_key(mapping, key, hash, shard);
        let counted = keys
            .entry(pk)
            .or_insert_with(|| CountedProfile::new(layout));
        if shard == layout.shard_of(id) {
            counted.changes.extend(change.take());
        }
    }
}

/// The profiles that the orders need, and what is to be changed in each.
fn collect_keys<'a>(
    mapping: &'a Mapping,
    orders: &[CountedOrder<'_>],
) -> BTreeMap<String, CountedProfile<'a>> {
    let mut keys: BTreeMap<String, CountedProfile<'a>> = BTreeMap::new();
    for CountedOrder { order, former_keys } in orders {
        let Ok(order) = order else { continue };
        for key in &order.keys {
            for hash in &key.hashes {
                let change = (key.event.id, Change::Add(key.event.clone()));
                collect_key(mapping, &mut keys, (key.key, hash), change);
            }
        }
        let id = velocity::hash_text(order.event_id.as_str());
        for (key, hash) in former_keys {
            let mut now = order.keys.iter();
            if !now.any(|now| now.key == *key && now.hashes.contains(hash)) {
                let revision = order.revision.parts();
                let change = (id, Change::TakeOut { id, revision });
                collect_key(mapping, &mut keys, (*key, hash), change);
            }
        }
    }
    keys
}

/// Sets the variables of an order's aggregates.
fn set_aggregates(
    mapping: &Mapping,
    keys: &BTreeMap<String, CountedProfile<'_>>,
    order: &mut MappedOrder,
) -> Result<(), Failure> {
    for place in 0..order.keys.len() {
        let order_key = &order.keys[place];
        let key = &mapping.aggregate_keys()[order_key.key];
        let layout = key.layout();
        let mut profiles: Vec<&Profile> = Vec::new();
        let mut problem = None;
        for hash in &order_key.hashes {
            for shard in 0..layout.shards() {
                let pk = profile_key(mapping, order_key.key, hash, shard);
                match keys.get(&pk).map(|counted| &counted.state) {
                    Some(State::Known(profile)) => profiles.push(profile),
                    Some(State::Unreadable(why)) => problem = Some(*why),
                    Some(State::Failed(failure)) => return Err(failure.clone()),
                    None | Some(State::NotRead) => {
                        return Err(Failure::retry("a profile was not read"));
                    }
                }
            }
        }
        if let Some(why) = problem {
            order.note_unknown_aggregates(key.name(), why);
            continue;
        }
        if profiles.iter().any(|profile| profile.is_busy(layout)) {
            order.note_busy_key(key.name());
        }
        let order_key = &order.keys[place];
        let values = layout.values_before(&profiles, &order_key.event);
        let key = order_key.key;
        mapping.set_aggregates(order, key, values);
    }
    Ok(())
}
