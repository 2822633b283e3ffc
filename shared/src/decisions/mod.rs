//! Decisions on orders. A decision is one item, written once, with everything an audit needs.
//!
//! Table layout (string keys `pk` and `sk`):
//!
//! | item | pk | sk |
//! |---|---|---|
//! | a decision | `<event type>#<event id>` | `decision#<key of the revision>` |
//! | the labels of an event | `labels#<event type>#<event id>` | `labels` |
//! | labels waiting for their event, written by releases before label histories | `waiting#<event type>#<event id>` | `labels` |
//! | a probe of the table, for minutes | `probe#<random id>` | `probe` |
//!
//! Index `gsi1` (`gsi1pk`, `gsi1sk`) lists the decisions of an entity by event time; the entity `unknown` is not indexed.
//! Index `gsi2` lists open reviews by day of the event. A day is spread over [`REVIEW_SHARDS`] keys, because one hot index
//! key would throttle the whole table.

mod decision;
mod form;
mod inserts;
mod key;
mod outcomes;
mod probe;
mod table;
mod verdict;

pub use decision::{CountingNote, Decision, parse_decision};
pub use form::FORM;
pub(crate) use form::{check_form, form_attribute};
pub use key::{ItemKey, REVIEW_SHARDS, entity_key, review_key};
pub use outcomes::{AppliedOverride, Outcomes};
pub use probe::ProbeItem;
pub(crate) use table::update_if_condition_holds;
pub use table::{DecisionWrites, Decisions, EventLabels, FoundItems, PutResult, ScannedPage};
pub use verdict::{MatchedRule, MatchedRuleVersion, PredictionHeader, ServiceVerdict};
