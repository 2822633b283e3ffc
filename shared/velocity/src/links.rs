//! Accounts that share a card, a device or an address with an event, directly and over one more step.
//!
//! The profile of a shared key keeps the accounts that came with it, and the profile of an account the shared keys that
//! came with it: both are its [partners](PartnerKey). A [`LinkWalk`] goes from the event's keys to their accounts, from
//! these to their other keys, and from those to further accounts; the caller reads the profiles of each round.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{PartnerKey, SlotId};
use crate::profile::{Partner, Profile};
use crate::{MOST_LINKED, MOST_PARTNERS};

impl Profile {
    /// Notes the keys that came with an event. Of more than [`MOST_PARTNERS`], those that came last are kept.
    pub(crate) fn note_partners(&mut self, keys: &[PartnerKey], time: i64, is_new: bool) {
        let time = time.div_euclid(1_000);
        for key in keys {
            if let Some(known) = self.partners.iter_mut().find(|it| it.key == *key) {
                known.first = known.first.min(time);
                known.last = known.last.max(time);
                known.events = known.events.saturating_add(u32::from(is_new));
                continue;
            }
            self.partners.push(Partner {
                key: *key,
                first: time,
                last: time,
                events: 1,
            });
        }
        let too_many = self.partners.len().saturating_sub(MOST_PARTNERS);
        if too_many > 0 {
            self.partners.sort_by_key(|it| (it.last, it.key));
            self.partners.drain(..too_many);
        }
    }

    /// Takes an event of these partners out; a partner without events goes. Returns whether there was one.
    pub(crate) fn take_out_partners(&mut self, keys: &[PartnerKey]) -> bool {
        let mut changed = false;
        for key in keys {
            if let Some(at) = self.partners.iter().position(|it| it.key == *key) {
                changed = true;
                let events = self.partners[at].events.saturating_sub(1);
                self.partners[at].events = events;
                if events == 0 {
                    self.partners.remove(at);
                }
            }
        }
        changed
    }

    /// Whether so many keys came with this one that sharing it says nothing: the walk ends here.
    pub fn is_shared_by_all(&self) -> bool {
        self.partners.len() >= MOST_PARTNERS
    }
}

/// An account that is linked to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LinkedAccount {
    steps: u8,
    /// When it was seen first, in seconds since 1970.
    since: i64,
    is_fraud: bool,
}

/// What is known of an event's links.
#[derive(Clone, Debug)]
pub struct LinkWalk {
    own: Option<PartnerKey>,
    time: i64,
    accounts: BTreeMap<PartnerKey, LinkedAccount>,
    /// The shared keys that were seen, with the step in which they count.
    keys: BTreeMap<PartnerKey, u8>,
    /// How many accounts each kind of key led to directly.
    through: BTreeMap<SlotId, usize>,
    hubs: BTreeSet<SlotId>,
}

impl LinkWalk {
    /// The walk of an event with this account, if it has one, and the shared keys `keys`. `time` in milliseconds since 1970.
    pub fn new(own: Option<PartnerKey>, keys: &[PartnerKey], time: i64) -> Self {
        Self {
            own,
            time,
            accounts: BTreeMap::new(),
            keys: keys.iter().map(|key| (*key, 1)).collect(),
            through: BTreeMap::new(),
            hubs: BTreeSet::new(),
        }
    }

    /// The shared keys of a step, 1 or 2.
    pub fn keys_of_step(&self, step: u8) -> impl Iterator<Item = PartnerKey> {
        let keys = self.keys.iter().filter(move |(_, of)| **of == step);
        keys.map(|(key, _)| *key)
    }

    /// The accounts that share a key with the event itself.
    pub fn direct_accounts(&self) -> impl Iterator<Item = PartnerKey> {
        let direct = self.accounts.iter().filter(|(_, it)| it.steps == 1);
        direct.map(|(key, _)| *key)
    }

    /// Adds the accounts that came with a shared key. A key that all share is noted as a hub, and adds none.
    pub fn add_shared_key(&mut self, key: PartnerKey, profile: &Profile) {
        let step = self.keys.get(&key).copied().unwrap_or(2);
        if profile.is_shared_by_all() {
            self.hubs.insert(key.kind);
            return;
        }
        for partner in &profile.partners {
            let account = partner.key;
            let is_later = partner.first.saturating_mul(1_000) > self.time;
            if Some(account) == self.own || is_later {
                continue;
            }
            if step == 1 {
                *self.through.entry(key.kind).or_default() += 1;
            }
            let is_full = self.accounts.len() >= MOST_LINKED;
            let mut frauds = profile.frauds.iter();
            let is_fraud = frauds.any(|fraud| {
                fraud.account == account.short() && fraud.known.saturating_mul(1_000) < self.time
            });
            if let Some(known) = self.accounts.get_mut(&account) {
                known.since = known.since.min(partner.first);
                known.is_fraud |= is_fraud;
            } else if !is_full {
                let found = LinkedAccount {
                    steps: step,
                    since: partner.first,
                    is_fraud,
                };
                self.accounts.insert(account, found);
            }
        }
    }

    /// Adds what the profile of a linked account knows: whether it is known as fraud, since when it exists, and the keys
    /// over which the walk goes on. An account with as many keys as a profile keeps ends it.
    pub fn add_account(&mut self, account: PartnerKey, profile: &Profile) {
        let time = self.time;
        let Some(known) = self.accounts.get_mut(&account) else {
            return;
        };
        known.is_fraud |= profile.known_as_fraud_before(time).is_some();
        let first = profile.partners.iter().map(|it| it.first).min();
        known.since = first.map_or(known.since, |first| first.min(known.since));
        if profile.is_shared_by_all() {
            self.hubs.insert(account.kind);
            return;
        }
        let earlier = profile.partners.iter();
        for partner in earlier.filter(|it| it.first.saturating_mul(1_000) <= time) {
            if self.keys.len() < MOST_LINKED {
                self.keys.entry(partner.key).or_insert(2);
            }
        }
    }

    /// How many accounts there are within this many steps; of more than [`MOST_LINKED`], that many.
    pub fn accounts(&self, steps: u8) -> usize {
        self.within(steps).count()
    }

    /// How many of them are known as fraud.
    pub fn frauds(&self, steps: u8) -> usize {
        self.within(steps).filter(|it| it.is_fraud).count()
    }

    /// For how long the youngest of them is known, in milliseconds; `None` if there is none.
    pub fn youngest(&self, steps: u8) -> Option<i64> {
        let latest = self.within(steps).map(|it| it.since).max()?;
        Some(
            self.time
                .saturating_sub(latest.saturating_mul(1_000))
                .max(0),
        )
    }

    /// How many accounts each kind of shared key led to directly.
    pub fn through(&self) -> impl Iterator<Item = (SlotId, usize)> {
        self.through.iter().map(|(kind, count)| (*kind, *count))
    }

    /// The kinds of keys at which the walk ended, because too many share them.
    pub fn hubs(&self) -> impl Iterator<Item = SlotId> {
        self.hubs.iter().copied()
    }

    fn within(&self, steps: u8) -> impl Iterator<Item = &LinkedAccount> {
        self.accounts.values().filter(move |it| it.steps <= steps)
    }
}
