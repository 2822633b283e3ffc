//! Decisions on orders. A decision is one item, written once, with everything an audit needs.
//!
//! Table layout (string keys `pk` and `sk`):
//!
//! | item | pk | sk |
//! |---|---|---|
//! | a decision | `<event type>#<event id>` | `decision#<key of the revision>` |
//! | the labels of an event | `labels#<event type>#<event id>` | `labels` |
//! | labels waiting for their event, written by releases before label histories | `waiting#<event type>#<event id>` | `labels` |
//! | a verdict on a decision, see [`crate::reviews`] | that of the decision | `verdict#<key of the revision>#<round>` |
//! | a probe of the table, for minutes | `probe#<random id>` | `probe` |
//!
//! Index `gsi1` (`gsi1pk`, `gsi1sk`) lists the decisions of an entity by event time; the entity `unknown` is not indexed.
//! Index `gsi2` lists what waits for people: open reviews by their expected loss, and appeals. A queue is spread over
//! [`REVIEW_SHARDS`] keys, because one hot index key would throttle the whole table. Releases before queues listed open
//! reviews by day of the event.
//!
//! What people do with a decision is beside it: the attribute `review` of its item, see [`ReviewCase`].

mod case;
mod decision;
mod form;
mod inserts;
mod key;
mod outcomes;
mod probe;
mod table;
mod verdict;

pub(crate) use case::parse_amount;
pub use case::{CaseAction, CaseClaim, CaseEntry, ReviewCase, Stake};
pub use decision::{CountingNote, Decision, parse_decision};
pub use form::FORM;
pub(crate) use form::{check_form, form_attribute};
pub(crate) use key::VERDICT;
pub use key::{APPEALS, ItemKey, REVIEW_SHARDS, entity_key, queue_key, review_day_key};
pub use outcomes::{AppliedOverride, Outcomes};
pub use probe::ProbeItem;
pub(crate) use table::update_if_condition_holds;
pub use table::{DecisionWrites, Decisions, EventLabels, FoundItems, PutResult, ScannedPage};
pub use verdict::{MatchedRule, MatchedRuleVersion, PredictionHeader, ServiceVerdict};
