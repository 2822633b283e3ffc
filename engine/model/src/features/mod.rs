//! From the strings of an event to the numbers that trees look at.
//!
//! An [`Encoder`] is learnt from training rows and then gives each event the same numbers, in service as in
//! training. What it learns from labels reaches a training row only as far as that row's [`plan::Plan`] lets it see.

pub(crate) mod crosses;
mod encoder;
mod event_time;
mod fit;
pub(crate) mod linear;
pub(crate) mod plan;
#[cfg(test)]
mod properties;
pub(crate) mod rates;
pub(crate) mod variable_encoder;

pub(crate) use encoder::Encoder;
pub use encoder::Feature;
