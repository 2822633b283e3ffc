//! Counting orders by their keys, before they are judged.
//!
//! The profile of a key is one item, which is written on the condition that nobody wrote it meanwhile; whoever loses
//! reads again. The aggregates of an order are computed from the profiles that hold it. So two environments never judge
//! one card on the same old state, and an order that has a decision is counted.
//!
//! Counting an order twice changes nothing, and profiles do not depend on the order of arrival. So the orders of a batch
//! are counted together, whatever keys they have, before the first of them is judged.

mod counted_profile;
mod event_keys;
mod generations;
mod links;
mod listing;
mod refill;
mod rounds;
mod writes;

pub use event_keys::{EventKeys, IngestedEvent};
pub use generations::{Generations, StoredGenerations};
pub use listing::ListedProfile;
pub use refill::PastOrder;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use event::{EventId, Revision, Timestamp};
use tokio::time::Instant;
use velocity::{Layout, PartnerKey, Profile};

use crate::batch::{not_reached_failure, run_until};
use crate::failure::Failure;
use crate::items::Item;
use crate::mapping::{HashedKeys, MappedOrder, Mapping, OrderKey};
use counted_profile::{Change, CountedProfile, State};
use generations::KnownGenerations;

/// The sort key of a profile.
const PROFILE: &str = "profile";
/// How many orders are counted together: this bounds the memory that their profiles take.
const ORDERS: usize = 50;
/// How far in the future an order may be: a time that is far ahead would make the past of its keys look old.
const MOST_AHEAD_SECONDS: i64 = 24 * 3_600;
/// An order that is counted.
pub struct CountedOrder<'a> {
    order: &'a mut Result<MappedOrder, Failure>,
    former_keys: Vec<HashedKeys>,
    has_known_label: bool,
}

impl<'a> CountedOrder<'a> {
    /// An order without earlier revisions. The variables of its aggregates and links are set in it; if it cannot be counted,
    /// it becomes a failure, because it would be judged on an incomplete past. A failure stays as it is.
    pub fn new(order: &'a mut Result<MappedOrder, Failure>) -> Self {
        Self {
            order,
            former_keys: Vec::new(),
            has_known_label: false,
        }
    }

    /// The same order, which is taken out of those keys of its earlier revisions that it no longer has.
    #[must_use]
    pub fn with_former_keys(self, former_keys: Vec<HashedKeys>) -> Self {
        Self {
            former_keys,
            ..self
        }
    }

    /// The same order, whose own label, if it has one, counts at its keys: history comes with what is known of it.
    #[must_use]
    pub fn with_known_label(self) -> Self {
        Self {
            has_known_label: true,
            ..self
        }
    }
}

/// The table of profiles.
#[derive(Clone, Debug)]
pub struct ProfileTable {
    client: Client,
    table: String,
    generations: KnownGenerations,
}

/// The name of a profile, which with its generation is the partition key of its item; the sort key is always [`PROFILE`].
fn profile_name(mapping: &Mapping, key: usize, hash: &str, shard: u32) -> String {
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
            generations: KnownGenerations::default(),
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
        let generations = self.make_changes(&mut keys, now).await;
        for CountedOrder { order, .. } in orders.iter_mut() {
            if let Ok(order) = order.as_mut() {
                order.also_counted_in = generations.also;
            }
            let set = order
                .as_mut()
                .map(|order| set_aggregates(mapping, &keys, order));
            if let Ok(Err(failure)) = set {
                **order = Err(failure);
            }
        }
        let counted = orders.iter_mut().map(|it| &mut *it.order);
        let read = (&keys, generations.active);
        self.set_links(mapping, read, counted).await;
    }

    /// Takes orders out of the profiles of the keys under which they were counted, for good: their ids and those keys. An
    /// order is taken out as long as a profile keeps it whole; after that it is only part of a count. Whatever arrives of it
    /// later is not counted.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn forget(
        &self,
        mapping: &Mapping,
        orders: &[(&str, &HashedKeys)],
        now: Timestamp,
    ) -> Result<(), Failure> {
        for some in orders.chunks(ORDERS) {
            let mut keys = BTreeMap::new();
            for (event_id, hashed) in some {
                let id = velocity::hash_text(event_id);
                let change = |place| Change::Forget {
                    id,
                    partners: find_partners(mapping, place, hashed),
                };
                collect_hashed_keys(mapping, &mut keys, hashed, change);
            }
            self.change_all(keys, now).await?;
        }
        Ok(())
    }

    /// Notes at the keys of an order since when it is known as fraud, in milliseconds since 1970; `None` if it is not, or no
    /// longer.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn set_fraud(
        &self,
        mapping: &Mapping,
        (event_id, hashed): (&EventId, &HashedKeys),
        known: Option<i64>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let mut keys = BTreeMap::new();
        let id = velocity::hash_text(event_id.as_str());
        let account = mapping
            .linked_keys()
            .and_then(|linked| linked.account(hashed));
        collect_hashed_keys(mapping, &mut keys, hashed, |_| Change::SetFraud {
            id,
            known,
            account,
        });
        keys.retain(|_, counted| counted.keeps_frauds());
        self.change_all(keys, now).await
    }

    async fn change_all(
        &self,
        mut keys: BTreeMap<String, CountedProfile<'_>>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.make_changes(&mut keys, now).await;
        check_all(keys)
    }
}

/// The first failure among changed profiles; one that cannot be read is a failure.
fn check_all(keys: BTreeMap<String, CountedProfile<'_>>) -> Result<(), Failure> {
    for counted in keys.into_values() {
        match counted.state {
            State::Failed(failure) => return Err(failure),
            State::Unreadable(why) => return Err(Failure::retry(why.to_string())),
            State::NotRead | State::Known(_) => {}
        }
    }
    Ok(())
}

fn item_key(pk: &str) -> Item {
    Item::from([
        ("pk".to_owned(), AttributeValue::S(pk.to_owned())),
        ("sk".to_owned(), AttributeValue::S(PROFILE.to_owned())),
    ])
}

/// Adds the profiles of a key, and notes the change in that of the order.
fn collect_key<'a>(
    mapping: &'a Mapping,
    keys: &mut BTreeMap<String, CountedProfile<'a>>,
    (key, hash): (usize, &str),
    change: Change,
) {
    let layout: &'a Layout = mapping.aggregate_keys()[key].layout();
    let own_shard = layout.shard_of(change.id());
    let mut change = Some(change);
    for shard in 0..layout.shards() {
        let name = profile_name(mapping, key, hash, shard);
        let counted = keys
            .entry(name)
            .or_insert_with(|| CountedProfile::new(layout));
        if shard == own_shard {
            counted.changes.extend(change.take());
        }
    }
}

/// Adds the profiles of an order's keys, each with a change that depends on the place of the key.
fn collect_hashed_keys<'a>(
    mapping: &'a Mapping,
    keys: &mut BTreeMap<String, CountedProfile<'a>>,
    hashed: &HashedKeys,
    change: impl Fn(usize) -> Change,
) {
    let keys_of_mapping = mapping.aggregate_keys().iter().enumerate();
    for (place, key) in keys_of_mapping.filter(|(_, key)| key.is_counted()) {
        for hash in hashed.get(key.name()).into_iter().flatten() {
            collect_key(mapping, keys, (place, hash), change(place));
        }
    }
}

/// The keys that came with the key at this place in the same order, as far as links keep them.
fn find_partners(mapping: &Mapping, place: usize, hashed: &HashedKeys) -> Vec<PartnerKey> {
    let linked = mapping.linked_keys();
    linked.map_or_else(Vec::new, |linked| linked.partners_of(place, hashed))
}

/// The profiles that the orders need, and what is to be changed in each.
fn collect_keys<'a>(
    mapping: &'a Mapping,
    orders: &[CountedOrder<'_>],
) -> BTreeMap<String, CountedProfile<'a>> {
    let mut keys: BTreeMap<String, CountedProfile<'a>> = BTreeMap::new();
    for counted in orders {
        let Ok(order) = &counted.order else { continue };
        let own = &order.key_facts.hashes;
        let added = AddedOrder {
            event_id: &order.event_id,
            revision: order.revision,
            keys: &order.keys,
            hashes: own,
            former_keys: &counted.former_keys,
        };
        collect_order(mapping, &mut keys, &added);
        if let Some((label, time)) = order.label.as_ref().filter(|_| counted.has_known_label) {
            let is_fraud = mapping.is_fraud_label(label.as_str());
            let linked = mapping.linked_keys();
            let change = |_| Change::SetFraud {
                id: velocity::hash_text(order.event_id.as_str()),
                known: is_fraud.then(|| time.epoch_millis()),
                account: linked.and_then(|linked| linked.account(own)),
            };
            collect_hashed_keys(mapping, &mut keys, own, change);
        }
    }
    keys
}

/// What is added to the profiles of an order's keys.
struct AddedOrder<'o> {
    event_id: &'o EventId,
    revision: Revision,
    keys: &'o [OrderKey],
    /// The hashes of its keys.
    hashes: &'o HashedKeys,
    /// The hashes of the keys of its earlier revisions.
    former_keys: &'o [HashedKeys],
}

/// Adds an order to the profiles of its keys, and takes it out of those keys of its earlier revisions that it no longer has.
fn collect_order<'a>(
    mapping: &'a Mapping,
    keys: &mut BTreeMap<String, CountedProfile<'a>>,
    order: &AddedOrder<'_>,
) {
    for key in order.keys {
        for hash in &key.hashes {
            let change = Change::Add(key.event.clone());
            collect_key(mapping, keys, (key.key, hash), change);
        }
    }
    for former in order.former_keys {
        let is_kept = |name: &str, hash: &String| {
            let kept = order.hashes.get(name);
            kept.is_some_and(|hashes| hashes.contains(hash))
        };
        let lost = former.iter().map(|(name, hashes)| {
            let lost = hashes.iter().filter(|hash| !is_kept(name, hash));
            (name.clone(), lost.cloned().collect())
        });
        let lost: HashedKeys = lost.collect();
        let change = |place| Change::TakeOut {
            id: velocity::hash_text(order.event_id.as_str()),
            revision: order.revision.parts(),
            partners: find_partners(mapping, place, former),
        };
        collect_hashed_keys(mapping, keys, &lost, change);
    }
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
                let name = profile_name(mapping, order_key.key, hash, shard);
                match keys.get(&name).map(|counted| &counted.state) {
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
