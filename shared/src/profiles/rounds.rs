//! Rounds of reading profiles, changing them and writing them, until nobody else wrote them meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use event::Timestamp;
use futures::future::join_all;

use super::counted_profile::{CountedProfile, State};
use super::generations::{
    Generations, generations_key, is_generations, partition_in, read_generations,
};
use super::writes::{BATCH_STATEMENTS, WriteResult, WrittenProfile};
use super::{ProfileTable, item_key};
use crate::failure::Failure;
use crate::items::{Item, read_items};

/// How often a profile that others write too is read again.
const MOST_ROUNDS: u32 = 50;
/// The pause before a profile is read again: the first and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(40)];
/// For how long a profile is kept after its last event: the longest window, and two days.
const KEPT_SECONDS: i64 = 92 * 86_400;

/// Profiles that are changed, by their names.
type Changed<'a> = BTreeMap<String, CountedProfile<'a>>;

/// A profile of a generation, by its name.
type Place = (u32, String);

impl ProfileTable {
    /// Changes the profiles in all generations that are written, and returns these. The first round reads which there are
    /// together with the profiles; if there are others than before, it begins again.
    pub(super) async fn make_changes(&self, keys: &mut Changed<'_>, now: Timestamp) -> Generations {
        let mut generations = self.generations.get();
        while let Some(others) = self.change_profiles(keys, (generations, true), now).await {
            self.generations.set(others);
            generations = others;
        }
        generations
    }

    /// Changes the profiles in one generation, whichever there are.
    pub(super) async fn make_changes_in(
        &self,
        generation: u32,
        keys: &mut Changed<'_>,
        now: Timestamp,
    ) {
        let only = Generations {
            active: generation,
            also: None,
        };
        self.change_profiles(keys, (only, false), now).await;
    }

    /// Changes the profiles in these generations. If they are `checked` and there are others by now, nothing was changed,
    /// and the others are returned.
    async fn change_profiles(
        &self,
        keys: &mut Changed<'_>,
        (generations, checked): (Generations, bool),
        now: Timestamp,
    ) -> Option<Generations> {
        let places = |generation: u32| keys.keys().map(move |name| (generation, name.clone()));
        let mut left: BTreeSet<Place> = generations.written().flat_map(places).collect();
        let mut round = 0;
        while !left.is_empty() {
            if round > 0 {
                metrics::counter!("ProfileConflicts").increment(left.len() as u64);
                pause(round).await;
            }
            let checked = (checked && round == 0).then_some(generations);
            let found = match self.read_round(&left, checked).await {
                Ok(Found::Profiles(found)) => found,
                Ok(Found::OtherGenerations(others)) => return Some(others),
                Err(failure) => {
                    fail_all(keys, generations.active, &left, &failure);
                    break;
                }
            };
            left = self
                .write_round(keys, generations.active, (left, &found), now)
                .await;
            round += 1;
            if round > MOST_ROUNDS {
                let failure = Failure::retry("others write a profile as well");
                fail_all(keys, generations.active, &left, &failure);
                break;
            }
        }
        for counted in keys.values_mut() {
            counted.fail_with_other_generation();
        }
        None
    }

    /// Reads profiles, and which generations there are if they are to be checked.
    async fn read_round(
        &self,
        round: &BTreeSet<Place>,
        checked: Option<Generations>,
    ) -> Result<Found, Failure> {
        let places = round.iter();
        let mut read: Vec<Item> = places
            .map(|(generation, name)| item_key(&partition_in(*generation, name)))
            .collect();
        read.extend(checked.map(|_| generations_key()));
        let mut found = BTreeMap::new();
        let mut generations = None;
        for item in read_items(&self.client, &self.table, &read).await? {
            if let Some(Ok(pk)) = item.get("pk").map(AttributeValue::as_s) {
                if is_generations(pk) {
                    generations = Some(item);
                } else {
                    found.insert(pk.clone(), item);
                }
            }
        }
        if let Some(expected) = checked {
            let there = read_generations(generations.as_ref())?.generations;
            if there != expected {
                return Ok(Found::OtherGenerations(there));
            }
        }
        Ok(Found::Profiles(found))
    }

    /// Changes profiles that were read, and writes those that have changed. Returns the places of those that others wrote
    /// meanwhile.
    async fn write_round(
        &self,
        keys: &mut Changed<'_>,
        active: u32,
        (round, found): (BTreeSet<Place>, &BTreeMap<String, Item>),
        now: Timestamp,
    ) -> BTreeSet<Place> {
        let mut written = Vec::new();
        let mut writes = Vec::new();
        for (generation, name) in round {
            let pk = partition_in(generation, &name);
            if let Some(key) = keys.get_mut(&name)
                && let Some((profile, revision)) = key.change(generation == active, found.get(&pk))
            {
                written.push((generation, name));
                writes.push(WrittenProfile {
                    pk,
                    profile,
                    revision,
                    expires_at: now.epoch_seconds() + KEPT_SECONDS,
                });
            }
        }
        let calls = writes
            .chunks(BATCH_STATEMENTS)
            .map(|some| self.write_profiles(some));
        let results = join_all(calls).await.into_iter().flatten();
        let mut conflicts = BTreeSet::new();
        for (place, result) in written.into_iter().zip(results) {
            match result {
                WriteResult::Written => {}
                WriteResult::Conflict => drop(conflicts.insert(place)),
                WriteResult::Failed(failure) => {
                    fail_all(keys, active, &BTreeSet::from([place]), &failure);
                }
            }
        }
        conflicts
    }
}

/// What a round read.
enum Found {
    /// The items of the profiles, by partition key.
    Profiles(BTreeMap<String, Item>),
    /// There are other generations than those whose profiles were read.
    OtherGenerations(Generations),
}

fn fail_all(keys: &mut Changed<'_>, active: u32, places: &BTreeSet<Place>, failure: &Failure) {
    for (generation, name) in places {
        if let Some(key) = keys.get_mut(name) {
            *key.state_in(*generation == active) = State::Failed(failure.clone());
        }
    }
}

/// Waits for a random time, so that writers that failed together do not try together again.
async fn pause(round: u32) {
    let [first, longest] = PAUSES;
    let most = first.saturating_mul(1 << round.min(10)).min(longest);
    let chance = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(most * (1 + chance) / 256).await;
}
