//! What happened before around a key of an order: a card, a device, an address, a customer.
//!
//! A [`Profile`] holds the past of one key in at most [`LARGEST_PROFILE`] bytes. Events are added to it in any order and
//! any number of times; it gives the values of [`Aggregate`]s, such as the number of orders within a day, to an event.
//!
//! - Time is event time. An event sees only what happened before its own time, and never itself. Of two events of the
//!   same time, the one with the smaller id counts as the earlier.
//! - The latest events are kept whole. Older ones are counted by hour, and after one or two days by day. As long as a key has no
//!   more events than are kept whole, every value is exact; beyond that, counts and sums leave out what happened in the
//!   hour or day in which the window begins.
//! - An event counts once as long as its id is among the last [`ARRIVALS`] that arrived for the key.
//! - A new revision of an event replaces the one before, as long as that is kept whole.
//! - Whether an event was fraud becomes known later. What counts is when that became known, not when the event happened:
//!   a chargeback comes after weeks.
//!
//! The crate is pure: it knows no clock, no table, no mapping.
//!
//! ```
//! use velocity::{Aggregate, Function, KeyEvent, KeyKind, Layout, Profile, Window};
//!
//! let orders = Aggregate { function: Function::Count, condition: None, window: Some("1d".parse()?) };
//! let layout = Layout::new(KeyKind::Profile, vec![], vec![], vec![], vec![orders])?;
//! let event = |id, time| KeyEvent { id, time, ..KeyEvent::default() };
//! let mut profile = Profile::default();
//! profile.add(&layout, &event(1, 1_000));
//! profile.add(&layout, &event(2, 2_000));
//! let values = layout.values_before(&[&profile], &event(2, 2_000));
//! assert_eq!(values[0].as_ref().map(ToString::to_string).as_deref(), Some("1"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adapt;
mod amount;
mod bytes;
mod event;
mod fraud;
mod layout;
mod links;
mod past;
mod profile;
mod window;

pub use amount::Amount;
pub use bytes::{FORM, UnreadableProfile};
pub use event::{KEY_HASH, KeyEvent, KeyHash, PartnerKey, SlotId, hash_text, shorten_hash};
pub use layout::{Aggregate, Function, KeyKind, Layout, LayoutError};
pub use links::LinkWalk;
pub use past::AggregateValue;
pub use profile::{Added, Profile};
pub use window::{InvalidWindow, Window};

/// The largest size of a profile in bytes. Most have a few hundred.
pub const LARGEST_PROFILE: usize = 10_240;
/// How many ids of events a profile remembers, in the order in which they arrived.
pub const ARRIVALS: usize = 128;
/// How many distinct values are told apart; of more, the number is this one.
pub const MOST_DISTINCT: usize = 64;
/// Of how many events it is kept that they are known as fraud; of more, the number is this one.
pub const MOST_FRAUDS: usize = 64;
/// How many keys that came with a key are kept. A key with as many is shared by strangers.
pub const MOST_PARTNERS: usize = 32;
/// How many accounts, and how many keys, a walk along links visits.
pub const MOST_LINKED: usize = 64;
/// The most conditions of the aggregates on one key.
pub const MOST_CONDITIONS: usize = 32;
