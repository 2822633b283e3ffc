//! The decision on an order: one item, written once, with all that an auditor asks.
//!
//! Table layout (string keys `pk` and `sk`):
//!
//! | item | pk | sk |
//! |---|---|---|
//! | a decision | `<event type>#<event id>` | `decision#<key of the revision>` |
//! | the labels of an event | `labels#<event type>#<event id>` | `labels` |
//! | labels that wait for their event, of releases before label histories | `waiting#<event type>#<event id>` | `labels` |
//!
//! `gsi1` (`gsi1pk`, `gsi1sk`) lists an entity's decisions by event time; entity `unknown` is in no
//! index. `gsi2` lists open reviews by day of the event, spread over [`REVIEW_SHARDS`] keys, because
//! one hot index key throttles the whole table.

mod decision;
mod key;
mod outcomes;
mod table;
mod verdict;

pub use decision::{Decision, parse};
pub use key::{Key, REVIEW_SHARDS, entity_key, review_key};
pub use outcomes::Outcomes;
pub use table::{Decisions, Found, Written};
pub use verdict::{MatchedRule, Prediction, RuleVersion, Verdict};
