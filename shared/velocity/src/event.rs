//! An event as the profiles of its keys see it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::amount::Amount;

/// The hash of a text of which only equality matters, such as the id of an event or a value that is counted once: the
/// first four bytes of its SHA-256, so that it is the same in every version.
pub fn hash_text(text: &str) -> u32 {
    let hash = Sha256::digest(text.as_bytes());
    u32::from_be_bytes(hash.first_chunk().copied().unwrap_or_default())
}

/// Which number, value or condition of an event a slot holds: the [`hash_text`] of its definition. With it, a profile that
/// was written before an aggregate was added stays readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotId(#[serde(with = "postcard::fixint::le")] u32);

impl SlotId {
    /// The id of the slot with this definition.
    pub fn of(definition: &str) -> Self {
        Self(hash_text(definition))
    }
}

/// The length of the hash of a key's value.
pub const KEY_HASH: usize = 16;

/// The hash of a key's value, under which its profile is stored.
pub type KeyHash = [u8; KEY_HASH];

/// The [`hash_text`] of the value of a key: both hashes begin its SHA-256.
pub fn shorten_hash(hash: &KeyHash) -> u32 {
    u32::from_be_bytes(hash.first_chunk().copied().unwrap_or_default())
}

/// A key that came with another one in the same event: which kind of key, and the hash of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartnerKey {
    /// The kind of key.
    pub kind: SlotId,
    /// The hash of its value.
    pub hash: KeyHash,
}

impl PartnerKey {
    /// The first four bytes of the hash, by which an account is known among frauds: see
    /// [`Profile::set_fraud`](crate::Profile::set_fraud).
    pub fn short(&self) -> u32 {
        shorten_hash(&self.hash)
    }
}

/// An event as the profiles of its keys see it. Numbers, values and conditions have the order of the slots of the layout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEvent {
    /// When it happened, in milliseconds since 1970.
    pub time: i64,
    /// The [`hash_text`] of its id.
    #[serde(with = "postcard::fixint::le")]
    pub id: u32,
    /// Which version of the event this is: the greater replaces the smaller.
    pub revision: (u64, u32),
    /// Its numbers; `None` where it has none.
    pub numbers: Vec<Option<Amount>>,
    /// The [`hash_text`] of its values; `None` where it has none.
    pub values: Vec<Option<u32>>,
    /// The conditions that it fulfils: bit n is condition n.
    pub conditions: u32,
    /// The keys that came with this one, if the layout keeps them. Not kept with the event, but for all events together.
    #[serde(skip)]
    pub partners: Vec<PartnerKey>,
}

impl KeyEvent {
    /// What events are sorted by.
    pub(crate) fn order(&self) -> (i64, u32) {
        (self.time, self.id)
    }

    pub(crate) fn fulfils(&self, condition: Option<usize>) -> bool {
        condition.is_none_or(|condition| {
            let bit = u32::try_from(condition)
                .ok()
                .and_then(|bit| 1_u32.checked_shl(bit));
            bit.is_some_and(|bit| self.conditions & bit != 0)
        })
    }

    pub(crate) fn number(&self, slot: usize) -> Option<Amount> {
        self.numbers.get(slot).copied().flatten()
    }

    pub(crate) fn value(&self, slot: usize) -> Option<u32> {
        self.values.get(slot).copied().flatten()
    }
}
