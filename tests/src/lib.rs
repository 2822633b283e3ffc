//! Tests of the whole product: code that several tests share, and the [`simulation`].

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what cannot go on should stop"
)]

pub mod sample;
pub mod simulation;
