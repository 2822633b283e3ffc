//! Features: from the strings of an event to the numbers that trees look at.
//!
//! An [`Encoder`] is learnt from training rows. It then gives each event the same features in service as in training.
//! What is learnt from labels is used for a training row only as far as the [`plan::Plan`] allows it.

pub(crate) mod crosses;
mod encoder;
mod event_time;
mod fit;
pub(crate) mod linear;
pub(crate) mod nearness;
pub(crate) mod plan;
#[cfg(test)]
mod properties;
pub(crate) mod rates;
pub(crate) mod variable_encoder;

pub(crate) use encoder::Encoder;
pub use encoder::Feature;
