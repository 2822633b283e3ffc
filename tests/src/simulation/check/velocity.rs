//! Whether the profiles of keys hold what happened, and whether decisions saw it.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::decisions::Decision;
use shared::mapping::MappedOrder;
use velocity::{Added, AggregateValue, Function, KeyEvent, Layout, Profile};

use super::{Checks, is_of};
use crate::simulation::day::EventPlan;
use crate::simulation::history::time_of_day;
use crate::simulation::report::Law;
use crate::simulation::store::ProfileWrite;

/// A time after everything that happened, in milliseconds of the day.
const NEXT_DAY: i64 = 36 * 3_600_000;
/// The clock of an environment may be fast or slow by less than this, in milliseconds.
const SKEW_MS: u64 = 1_000;

/// What the orders that were sent say about one key.
#[derive(Default)]
struct KeyTruth {
    /// The orders that must be counted once.
    certain: Vec<CountedEvent>,
    /// The orders that may be counted once.
    perhaps: Vec<CountedEvent>,
    /// Whether another content of a certain order may have been counted in its place.
    has_two_contents: bool,
}

/// An order as the profile of its key sees it.
struct CountedEvent {
    event: KeyEvent,
    is_fraud: bool,
}

impl KeyTruth {
    /// A profile to which the certain orders came once each, sorted by time.
    fn replay(&self, layout: &Layout) -> Profile {
        let mut events: Vec<&KeyEvent> = self.certain.iter().map(|it| &it.event).collect();
        events.sort_by_key(|event| (event.time, event.id));
        let mut profile = Profile::default();
        for event in events {
            profile.add(layout, event);
        }
        profile
    }

    /// Whether it is known in detail what the profile must hold.
    fn is_exact(&self, layout: &Layout) -> bool {
        let is_whole = self.certain.len() <= layout.whole_events();
        is_whole && self.perhaps.is_empty() && !self.has_two_contents
    }

    /// The time after all its orders, at which a window of a day still has all of them.
    fn end(&self) -> i64 {
        let all = self.certain.iter().chain(&self.perhaps);
        all.map(|it| it.event.time + 1).max().unwrap_or_default()
    }
}

/// The orders of an event that count.
struct CountedOrders<'a> {
    certain: Option<&'a Value>,
    perhaps: Vec<&'a Value>,
    has_two_contents: bool,
}

impl Checks<'_> {
    /// Every order that was decided or ingested is counted once in the profile of each of its keys, however often it was
    /// delivered, killed or tried again; and it is known there as fraud if its current label says so.
    ///
    /// Where a profile keeps all its orders whole, the values that it gives to each of them are those of a profile to which
    /// they came once, sorted. Where it does not, it gives the right number of orders and of frauds.
    ///
    /// Some orders may be counted or not, and then only the numbers are checked, between these limits: an order that was
    /// rejected after it was counted, because its id was decided with other content or because the service refused it;
    /// and an earlier revision with another key, which is taken out there unless both were processed at the same time.
    pub(super) fn check_profiles(&mut self) {
        let truths = self.collect_truths();
        let mut writes = self.end.world.store.profile_writes();
        for (name, truth) in &truths {
            let stored = writes.remove(name).unwrap_or_default();
            let checked = check_writes(&stored).and_then(|()| {
                let layout = self.layout_of(name);
                let profile = stored.last().map(|it| read_profile(layout, it));
                check_profile(layout, truth, &profile.unwrap_or_default())
            });
            if let Err(text) = checked {
                self.add(Law::CountedOnce, format!("{name}: {text}"));
            }
        }
        for name in writes.keys() {
            self.add(Law::CountedOnce, format!("{name} is a key of no order"));
        }
    }

    /// No two orders of a key are judged on the same stale state. The profile of a key has one history of states, of which
    /// each was made from the one before. The values that a decision saw are those of one state, in which its own order was
    /// counted already and which was stored before its prediction. So of the earlier orders of the key, it saw all that
    /// were counted before itself was; and of two orders, the one that is counted later sees a state with both.
    pub(super) fn check_seen_profiles(&mut self) {
        let writes = self.end.world.store.profile_writes();
        let states: BTreeMap<&str, Vec<(u64, Profile)>> = writes
            .iter()
            .map(|(name, writes)| {
                let layout = self.layout_of(name);
                let states = writes.iter().map(|it| (it.at, read_profile(layout, it)));
                (name.as_str(), states.collect())
            })
            .collect();
        for decision in self.decisions {
            if let Err(text) = self.check_seen(decision, &states) {
                let text = format!("{}: {text}", decision.decision_id);
                self.add(Law::FreshProfiles, text);
            }
        }
    }

    fn check_seen(
        &self,
        decision: &Decision,
        states: &BTreeMap<&str, Vec<(u64, Profile)>>,
    ) -> Result<(), String> {
        let Some((version, _)) = self.planned(decision) else {
            return Ok(());
        };
        let predicted = decision.verdict.prediction.prediction_timestamp.as_deref();
        let predicted = self.end.time_of(predicted.unwrap_or_default())?;
        let order = self.map_order(&version.order);
        for (name, key) in names_of(&self.mappings[0], &order) {
            let layout = self.layout_of(&name);
            let states = states.get(name.as_str()).map_or(&[][..], Vec::as_slice);
            let event = &order.keys[key].event;
            // Once an order is counted, it stays counted.
            let first = states.partition_point(|(_, state)| !has_counted(layout, state, event));
            let mut possible = states[first..]
                .iter()
                .take_while(|(at, _)| *at <= predicted + SKEW_MS);
            if !possible.any(|(_, state)| self.is_seen(decision, &order, key, state)) {
                return Err(format!(
                    "saw {:?}, which no state of {name} gives that was stored between its counting (state {first} of {}) and its prediction",
                    decision.variables,
                    states.len()
                ));
            }
        }
        Ok(())
    }

    /// Whether a decision saw what this state of the profile of a key gives.
    fn is_seen(
        &self,
        decision: &Decision,
        order: &MappedOrder,
        key: usize,
        state: &Profile,
    ) -> bool {
        let order_key = &order.keys[key];
        let layout = self.mappings[0].aggregate_keys()[order_key.key].layout();
        let values = layout.values_before(&[state], &order_key.event);
        let mut seen = order.clone();
        self.mappings[0].set_aggregates(&mut seen, order_key.key, values);
        let mut variables = seen.variables.iter();
        variables.all(|(name, value)| {
            decision.variables.get(name.as_str()).map(String::as_str) == Some(value.expose())
        })
    }

    fn collect_truths(&self) -> BTreeMap<String, KeyTruth> {
        let mut truths: BTreeMap<String, KeyTruth> = BTreeMap::new();
        for (event_id, plan) in &self.end.day.events {
            let orders = self.counted_orders(event_id, plan);
            let is_fraud = plan.label().or(plan.own_label) == Some("fraud");
            let mut own = Vec::new();
            for (place, value) in orders.certain.iter().chain(&orders.perhaps).enumerate() {
                let is_certain = place == 0 && orders.certain.is_some();
                let order = self.map_order(value);
                for (name, key) in names_of(&self.mappings[0], &order) {
                    let event = order.keys[key].event.clone();
                    let counted = CountedEvent { event, is_fraud };
                    if own.contains(&name) {
                        continue;
                    }
                    own.push(name.clone());
                    let truth = truths.entry(name).or_default();
                    if is_certain {
                        truth.certain.push(counted);
                        truth.has_two_contents |= orders.has_two_contents;
                    } else {
                        truth.perhaps.push(counted);
                    }
                }
            }
        }
        truths
    }

    /// Of the versions of an event, the latest that was decided is counted.
    fn counted_orders<'a>(&self, event_id: &str, plan: &'a EventPlan) -> CountedOrders<'a> {
        let is_decided = |revision: u64, place: usize| {
            let decision = self.decision(event_id, revision);
            decision.is_some_and(|it| is_of(it, &plan.versions[place]))
        };
        let versions = plan.versions.iter().enumerate();
        let decided = versions.filter(|(place, it)| is_decided(it.revision, *place));
        let latest = decided.max_by_key(|(_, version)| version.revision);
        let latest = latest.map(|(place, _)| place);
        let others = plan.versions.iter().enumerate();
        let others = others.filter(|(place, _)| Some(*place) != latest);
        let certain = latest.map(|place| &plan.versions[place]);
        let has_two_contents = certain.is_some_and(|certain| {
            let same = others
                .clone()
                .filter(|(_, it)| it.revision == certain.revision);
            same.count() > 0
        });
        CountedOrders {
            certain: certain.map(|it| &it.order).or(plan.history.as_ref()),
            perhaps: others
                .map(|(_, it)| &it.order)
                .chain(&plan.refused)
                .collect(),
            has_two_contents,
        }
    }

    fn map_order(&self, order: &Value) -> MappedOrder {
        self.mappings[0].map_order(order).unwrap()
    }

    fn layout_of(&self, name: &str) -> &Layout {
        let (key, _) = name.split_once('#').unwrap();
        let mut keys = self.mappings[0].aggregate_keys().iter();
        keys.find(|it| it.name() == key).unwrap().layout()
    }
}

/// The names of the profiles of an order, each with the place of its key in the order.
fn names_of<'a>(
    mapping: &'a shared::mapping::Mapping,
    order: &'a MappedOrder,
) -> impl Iterator<Item = (String, usize)> + 'a {
    let keys = order.keys.iter().enumerate();
    keys.flat_map(|(place, key)| {
        let name = mapping.aggregate_keys()[key.key].name();
        let hashes = key.hashes.iter();
        hashes.map(move |hash| (format!("{name}#{hash}"), place))
    })
}

fn read_profile(layout: &Layout, write: &ProfileWrite) -> Profile {
    Profile::from_bytes(layout, &write.profile).unwrap()
}

fn has_counted(layout: &Layout, state: &Profile, event: &KeyEvent) -> bool {
    state.clone().add(layout, event) == Added::Known
}

/// Each state of a profile is made from the one before.
fn check_writes(writes: &[ProfileWrite]) -> Result<(), String> {
    let revisions: Vec<u64> = writes.iter().map(|it| it.revision).collect();
    if revisions.iter().copied().eq(1..=writes.len() as u64) {
        return Ok(());
    }
    Err(format!("its states have the revisions {revisions:?}"))
}

fn check_profile(layout: &Layout, truth: &KeyTruth, stored: &Profile) -> Result<(), String> {
    check_numbers(layout, truth, stored)?;
    if !truth.is_exact(layout) {
        return Ok(());
    }
    let replayed = truth.replay(layout);
    for CountedEvent { event, .. } in &truth.certain {
        let [got, want] =
            [stored, &replayed].map(|profile| values_without_frauds(layout, profile, event));
        if got != want {
            return Err(format!(
                "gives {got:?} to an order of {}, and a sorted replay {want:?}",
                event.time
            ));
        }
    }
    Ok(())
}

/// What a profile gives to an event, except when what was known as fraud.
fn values_without_frauds(
    layout: &Layout,
    profile: &Profile,
    event: &KeyEvent,
) -> Vec<Option<AggregateValue>> {
    let aggregates = layout.aggregates().iter();
    let values = aggregates.zip(layout.values_before(&[profile], event));
    values
        .filter(|(aggregate, _)| aggregate.function != Function::Fraud)
        .map(|(_, value)| value)
        .collect()
}

/// The number of all orders and of all frauds.
fn check_numbers(layout: &Layout, truth: &KeyTruth, stored: &Profile) -> Result<(), String> {
    let frauds = |events: &[CountedEvent]| events.iter().filter(|it| it.is_fraud).count() as u64;
    let of_orders = (truth.certain.len() as u64, truth.perhaps.len() as u64);
    let of_frauds = (frauds(&truth.certain), frauds(&truth.perhaps));
    let next_day = time_of_day(NEXT_DAY).as_millisecond();
    for (function, time, (least, more)) in [
        (Function::Count, truth.end(), of_orders),
        (Function::Fraud, next_day, of_frauds),
    ] {
        let end = KeyEvent {
            time,
            ..KeyEvent::default()
        };
        let values = layout.values_before(&[stored], &end);
        let found = layout.aggregates().iter().zip(values);
        // The longest window has all.
        let found = found.filter(|(aggregate, _)| aggregate.function == function);
        let found = found.max_by_key(|(aggregate, _)| aggregate.window);
        match found.and_then(|(_, value)| value) {
            Some(AggregateValue::Count(found)) if !(least..=least + more).contains(&found) => {
                return Err(format!(
                    "{function:?} is {found} instead of {least} to {}",
                    least + more
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
