//! Calls that leave the process: how many a second, and when none is made.
//!
//! Both are state machines without a clock: the time comes in as a [`Duration`](std::time::Duration) since any origin that stays the same.

mod adaptive_rate;
mod circuit_breaker;
mod jitter;

pub use adaptive_rate::AdaptiveRate;
pub use circuit_breaker::{CIRCUIT_OPEN, CircuitBreaker};
