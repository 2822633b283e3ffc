//! A rate of calls that halves when a call is throttled and rises with calls that succeed.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::jitter::Jitter;

/// The rate never falls below so many calls a second, so that it can rise again.
const LEAST: f64 = 1.0;
/// The part of the budget by which a second of calls that succeed raises the rate.
const RISE: f64 = 0.05;

/// A rate of calls, at most the budget that it begins with.
///
/// Calls are spread evenly: within no second are there more than the budget allows.
#[derive(Clone, Debug)]
pub struct AdaptiveRate {
    most: f64,
    rate: f64,
    /// When the next call may be made.
    next: Duration,
    /// When the rate was halved last.
    halved: Option<Duration>,
    jitter: Jitter,
}

impl AdaptiveRate {
    /// A rate of at most `budget` calls a second. Different seeds let environments raise their rates at different paces.
    pub fn new(budget: NonZeroU32, seed: u64) -> Self {
        let most = f64::from(budget.get());
        Self {
            most,
            rate: most,
            next: Duration::ZERO,
            halved: None,
            jitter: Jitter::new(seed),
        }
    }

    /// The rate now, in calls a second.
    pub fn calls_per_second(&self) -> f64 {
        self.rate
    }

    /// Reserves the next call. Returns when it may be made, `now` or later.
    pub fn reserve(&mut self, now: Duration) -> Duration {
        let at = self.next.max(now);
        self.next = at + Duration::from_secs_f64(1.0 / self.rate);
        at
    }

    /// Raises the rate after a call that was not throttled.
    pub fn note_success(&mut self) {
        let step = self.most * RISE / self.rate * self.jitter.next_factor(0.5);
        self.rate = (self.rate + step).min(self.most);
    }

    /// Halves the rate after a call that was throttled; `called` is when it was made. Calls that were made before the rate
    /// was halved the last time say nothing about the new rate.
    pub fn note_throttle(&mut self, called: Duration, now: Duration) {
        if self.halved.is_some_and(|halved| called < halved) {
            return;
        }
        self.halved = Some(now);
        self.rate = (self.rate / 2.0).max(LEAST);
        // Calls that wait already have their times; those after them keep the new distance.
        self.next = self
            .next
            .max(now + Duration::from_secs_f64(1.0 / self.rate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(budget: u32) -> AdaptiveRate {
        AdaptiveRate::new(NonZeroU32::new(budget).unwrap(), 1)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn calls_are_spread_over_the_second() {
        let mut rate = rate(20);
        let at: Vec<u128> = (0..4).map(|_| rate.reserve(ms(7)).as_millis()).collect();
        assert_eq!(at, [7, 57, 107, 157]);
        // Time without calls saves nothing up.
        assert_eq!(rate.reserve(ms(10_000)), ms(10_000));
        assert_eq!(rate.reserve(ms(10_000)), ms(10_050));
    }

    #[test]
    fn a_throttle_halves_the_rate_once_for_the_calls_that_were_on_their_way() {
        let mut rate = rate(20);
        rate.note_throttle(ms(0), ms(100));
        assert!((rate.calls_per_second() - 10.0).abs() < 1e-9);
        // Made before the rate was halved.
        rate.note_throttle(ms(50), ms(120));
        assert!((rate.calls_per_second() - 10.0).abs() < 1e-9);
        rate.note_throttle(ms(150), ms(200));
        assert!((rate.calls_per_second() - 5.0).abs() < 1e-9);
        for n in 0..20 {
            rate.note_throttle(ms(300 + n), ms(300 + n));
        }
        assert!((rate.calls_per_second() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn success_brings_the_budget_back_in_some_seconds() {
        let mut rate = rate(200);
        rate.note_throttle(ms(0), ms(0));
        let mut now = ms(0);
        while rate.calls_per_second() < 200.0 {
            now = rate.reserve(now);
            rate.note_success();
        }
        // From half to the whole by a twentieth a second, half as fast or half as fast again.
        assert!((ms(6_000)..ms(21_000)).contains(&now), "{now:?}");
    }

    proptest! {
        #[test]
        fn no_second_is_above_the_budget_and_no_rate_outside_its_bounds(
            budget in 1_u32..300,
            seed: u64,
            steps in prop::collection::vec((0_u64..400, 0_u8..4), 1..400),
        ) {
            let mut rate = AdaptiveRate::new(NonZeroU32::new(budget).unwrap(), seed);
            let (mut now, mut calls) = (Duration::ZERO, Vec::new());
            for (wait, what) in steps {
                now += ms(wait);
                let at = rate.reserve(now);
                prop_assert!(at >= now);
                calls.push(at);
                match what {
                    0 => rate.note_throttle(at, at.max(now)),
                    1 => rate.note_throttle(ms(0), now),
                    _ => rate.note_success(),
                }
                prop_assert!(rate.calls_per_second() <= f64::from(budget));
                prop_assert!(rate.calls_per_second() >= 1.0);
            }
            prop_assert!(calls.is_sorted());
            // A nanosecond for each call may be lost to rounding.
            let second = Duration::from_nanos(1_000_000_000 - u64::from(budget));
            for (place, first) in calls.iter().enumerate() {
                let within = calls[place..].iter().take_while(|at| **at < *first + second);
                prop_assert!(within.count() <= usize::try_from(budget).unwrap());
            }
        }
    }
}
