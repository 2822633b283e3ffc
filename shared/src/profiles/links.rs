//! Walks along the accounts that share keys with an order.
//!
//! The profiles of the order's own keys were read to count it. Two more rounds read, for all orders of a chunk together, the
//! profiles of the accounts that share a key with them, and those of these accounts' other keys.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use velocity::{LinkWalk, PartnerKey, Profile, UnreadableProfile};

use super::counted_profile::{CountedProfile, State, read_item};
use super::generations::partition_in;
use super::{ProfileTable, item_key, profile_name};
use crate::failure::Failure;
use crate::items::{Item, read_items};
use crate::mapping::{LinkedKeys, MappedOrder, Mapping};

/// An order while its links are walked.
struct Walker<'a> {
    order: &'a mut Result<MappedOrder, Failure>,
    walk: LinkWalk,
    /// A profile on the way that cannot be read.
    problem: Option<UnreadableProfile>,
}

/// Profiles that were read on the way, by their keys; a key without one has no entry.
type FoundProfiles = BTreeMap<PartnerKey, Result<Profile, UnreadableProfile>>;

impl ProfileTable {
    /// Sets the variables of the links of orders that were counted in `keys`, of this generation. An order whose links cannot be read becomes a
    /// failure.
    pub(super) async fn set_links<'a>(
        &self,
        mapping: &Mapping,
        (keys, generation): (&BTreeMap<String, CountedProfile<'_>>, u32),
        orders: impl Iterator<Item = &'a mut Result<MappedOrder, Failure>>,
    ) {
        let Some(linked) = mapping.linked_keys() else {
            return;
        };
        let mut walkers: Vec<Walker<'a>> = orders
            .filter_map(|order| {
                let walk = linked.start_walk(order.as_ref().ok()?);
                let problem = None;
                Some(Walker {
                    order,
                    walk,
                    problem,
                })
            })
            .collect();
        for walker in &mut walkers {
            for key in walker.walk.keys_of_step(1).collect::<Vec<_>>() {
                let Some((place, hash)) = linked.find(&key) else {
                    continue;
                };
                let name = profile_name(mapping, place, &hash, 0);
                // What cannot be read was noted with the aggregates of the key.
                if let Some(State::Known(profile)) = keys.get(&name).map(|counted| &counted.state) {
                    walker.walk.add_shared_key(key, profile);
                }
            }
        }
        let walked = self
            .walk_on((mapping, generation), linked, &mut walkers)
            .await;
        for walker in walkers {
            let Ok(order) = walker.order else { continue };
            match (&walked, walker.problem) {
                (Err(failure), _) => *walker.order = Err(failure.clone()),
                (Ok(()), Some(why)) => order.note_unknown_links(why),
                (Ok(()), None) => mapping.set_links(order, &walker.walk),
            }
        }
    }

    /// The two rounds of reads beyond the orders' own keys.
    async fn walk_on(
        &self,
        source: (&Mapping, u32),
        linked: LinkedKeys<'_>,
        walkers: &mut [Walker<'_>],
    ) -> Result<(), Failure> {
        let accounts = walkers.iter().flat_map(|it| it.walk.direct_accounts());
        let accounts = self.read_profiles(source, linked, accounts.collect());
        let accounts = accounts.await?;
        for walker in &mut *walkers {
            for account in walker.walk.direct_accounts().collect::<Vec<_>>() {
                match accounts.get(&account) {
                    Some(Ok(profile)) => walker.walk.add_account(account, profile),
                    Some(Err(why)) => walker.problem = Some(*why),
                    None => {}
                }
            }
        }
        let keys = walkers.iter().flat_map(|it| it.walk.keys_of_step(2));
        let keys = self.read_profiles(source, linked, keys.collect()).await?;
        for walker in walkers {
            for key in walker.walk.keys_of_step(2).collect::<Vec<_>>() {
                match keys.get(&key) {
                    Some(Ok(profile)) => walker.walk.add_shared_key(key, profile),
                    Some(Err(why)) => walker.problem = Some(*why),
                    None => {}
                }
            }
        }
        Ok(())
    }

    async fn read_profiles(
        &self,
        (mapping, generation): (&Mapping, u32),
        linked: LinkedKeys<'_>,
        keys: BTreeSet<PartnerKey>,
    ) -> Result<FoundProfiles, Failure> {
        let mut places = BTreeMap::new();
        for key in keys {
            if let Some((place, hash)) = linked.find(&key) {
                let name = profile_name(mapping, place, &hash, 0);
                places.insert(partition_in(generation, &name), (key, place));
            }
        }
        let items: Vec<Item> = places.keys().map(|pk| item_key(pk)).collect();
        let mut found = FoundProfiles::new();
        for item in read_items(&self.client, &self.table, &items).await? {
            let pk = item
                .get("pk")
                .and_then(|pk: &AttributeValue| pk.as_s().ok());
            if let Some((key, place)) = pk.and_then(|pk| places.get(pk)) {
                let layout = mapping.aggregate_keys()[*place].layout();
                let profile = read_item(layout, &item).map(|(profile, _)| profile);
                found.insert(*key, profile);
            }
        }
        Ok(found)
    }
}
