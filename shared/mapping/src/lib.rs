//! From bytes to an order to an event: records as Lambda delivers them, the JSON inside, and the mapping file that says
//! how an order becomes an event and how a chargeback becomes a label.
//!
//! The crate is pure: it knows neither AWS's clients nor tokio and reads no clock. It reads files only where it is given
//! their paths: the mapping file and the IP location files.

mod data_quality;
mod entity;
pub mod failure;
#[doc(hidden)]
pub mod fuzz;
mod jq;
pub mod json;
mod kpl;
mod label_message;
mod locate;
pub mod locations;
mod mapping;
mod mapping_file;
mod money;
mod normal_form;
mod order;
pub mod records;
mod required;
mod short_or_long;
mod source;

pub use data_quality::Quality;
pub use mapping::{Mapping, MappingError};
pub use normal_form::Form;
pub use order::{Blob, Order};
