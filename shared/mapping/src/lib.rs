//! From bytes to an order to an event: records as Lambda delivers them, the JSON inside, and the mapping file that says
//! how an order becomes an event and how a chargeback becomes a label.
//!
//! The crate is pure: it knows neither AWS's clients nor tokio and reads no clock. It reads files only where it is given
//! their paths: the mapping file and the IP location files.
//!
//! ```
//! use mapping::Mapping;
//!
//! let text = "
//! event_type: order
//! detector: orders
//! event: {id: /order_id, timestamp: /created_at, entity: {type: customer, id: [/customer]}}
//! variables: {price: /total, items: '[.items[].quantity] | add'}
//! decision: {outcome_priority: [review, approve], on_undetermined: [review], on_no_match: [approve]}
//! ";
//! let mapping = Mapping::parse("mapping.yaml", text)?;
//! let order = br#"{"order_id": "A-1", "created_at": "2026-06-01T10:15:30Z", "customer": "jo", "total": 12.5,
//!     "items": [{"quantity": 2}, {"quantity": 1}]}"#;
//! let order = mapping.map_order(&mapping::json::parse_json(order)?)?;
//! assert_eq!(order.variables.get("items").map(|value| value.expose()), Some("3"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aggregates;
mod base64_text;
mod computed_source;
mod condition;
mod data_quality;
mod entity;
mod envelopes;
pub mod failure;
mod formats;
#[doc(hidden)]
pub mod fuzz;
pub mod http_call;
mod jq;
pub mod json;
mod json_lists;
mod kpl;
mod label_message;
mod layer;
mod locate;
mod located_error;
pub mod locations;
mod long_source;
mod mapping;
mod mapping_file;
mod missing_sources;
mod money;
mod no_value;
mod normal_form;
mod on_invalid;
mod opener;
mod order;
mod overrides;
mod reason_codes;
pub mod records;
mod required;
mod review;
#[cfg(test)]
mod sample;
mod short_or_long;
mod value_source;

pub use aggregates::{
    AggregateKey, HashedKeys, KeyFacts, LinkedKeys, NeededFact, OrderFacts, OrderKey, SeenLinks,
};
pub use data_quality::DataQualityProblem;
pub use formats::{TimeFormat, is_currency_code, number_forms, read_number_in};
pub use mapping::{Mapping, MappingError};
pub use missing_sources::{EVENT_ID_SOURCE, EVENT_TIMESTAMP_SOURCE, LABEL_EVENT_ID, MissingSource};
pub use normal_form::NormalForm;
pub use order::{MappedOrder, ModelBlob};
pub use overrides::OverrideKind;
pub use review::{ReviewCapacity, ReviewSettings, Sla, VerdictEffect};
