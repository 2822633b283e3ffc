//! A circuit breaker: no calls while they would fail.

use std::time::Duration;

use crate::jitter::Jitter;

/// How an error says that no call was made because a circuit is open.
pub const CIRCUIT_OPEN: &str = "circuit open";
/// So many failures in a row open the circuit.
const FAILURES: u32 = 10;
/// The least time without calls, in seconds. Up to as much again is drawn.
const PAUSE: f64 = 5.0;

/// Opens after consecutive failures, lets one call through after a pause, and closes when a call succeeds.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    failures: u32,
    /// Until when no call is made; `None` while the circuit is closed.
    until: Option<Duration>,
    jitter: Jitter,
}

impl CircuitBreaker {
    /// A closed circuit. Different seeds let environments try again at different times.
    pub fn new(seed: u64) -> Self {
        Self {
            failures: 0,
            until: None,
            jitter: Jitter::new(seed),
        }
    }

    /// Whether calls are held back.
    pub fn is_open(&self) -> bool {
        self.until.is_some()
    }

    /// Whether the pause is not over yet.
    pub fn is_pausing(&self, now: Duration) -> bool {
        self.end_of_pause(now).is_some()
    }

    /// When the pause ends, if it is not over yet.
    pub fn end_of_pause(&self, now: Duration) -> Option<Duration> {
        self.until.filter(|until| now < *until)
    }

    /// Whether a call may be made now. After the pause the first one is the probe; further ones wait for its result, or for
    /// another pause if it has none, because the caller ran out of time.
    pub fn admit_call(&mut self, now: Duration) -> bool {
        match self.until {
            None => true,
            Some(_) if self.is_pausing(now) => false,
            Some(_) => {
                self.until = Some(now + self.draw_pause());
                true
            }
        }
    }

    /// Closes the circuit: a call was answered.
    pub fn note_success(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    /// Counts a call that was not answered, or by an error of the service.
    pub fn note_failure(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            self.until = Some(now + self.draw_pause());
        }
    }

    fn draw_pause(&mut self) -> Duration {
        Duration::from_secs_f64(PAUSE * self.jitter.next_factor(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn open_at(now: Duration) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::new(1);
        for _ in 0..10 {
            assert!(breaker.admit_call(now));
            breaker.note_failure(now);
        }
        breaker
    }

    #[test]
    fn ten_failures_in_a_row_open_it_and_fewer_do_not() {
        let mut breaker = CircuitBreaker::new(1);
        for round in 0..100 {
            breaker.note_failure(seconds(round));
            if round % 10 == 8 {
                breaker.note_success();
            }
            assert!(!breaker.is_open(), "{round}");
        }
        assert!(open_at(seconds(3)).is_open());
    }

    #[test]
    fn one_probe_after_the_pause_closes_it_or_opens_it_again() {
        let mut breaker = open_at(seconds(0));
        assert!(!breaker.admit_call(seconds(4)));
        assert!(breaker.admit_call(seconds(10)));
        assert!(!breaker.admit_call(seconds(10)), "one probe, not two");
        breaker.note_failure(seconds(11));
        assert!(!breaker.admit_call(seconds(15)));
        assert!(breaker.admit_call(seconds(21)));
        breaker.note_success();
        assert!(!breaker.is_open() && breaker.admit_call(seconds(21)));
        // It takes as many failures as before to open it again.
        breaker.note_failure(seconds(22));
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_probe_without_a_result_is_followed_by_another() {
        let mut breaker = open_at(seconds(0));
        assert!(breaker.admit_call(seconds(10)));
        assert!(!breaker.admit_call(seconds(14)));
        assert!(breaker.admit_call(seconds(20)));
    }

    proptest! {
        #[test]
        fn while_it_is_open_at_most_one_call_in_five_seconds_is_made(
            seed: u64,
            waits in prop::collection::vec(0_u64..3_000, 1..300),
        ) {
            let mut breaker = CircuitBreaker::new(seed);
            for _ in 0..10 {
                breaker.note_failure(Duration::ZERO);
            }
            let (mut now, mut made) = (Duration::ZERO, vec![Duration::ZERO]);
            for wait in waits {
                now += Duration::from_millis(wait);
                if breaker.admit_call(now) {
                    made.push(now);
                    breaker.note_failure(now);
                }
                // Somebody is let through after ten seconds at the latest, so the circuit cannot stay open for ever.
                prop_assert!(now <= *made.last().unwrap() + Duration::from_millis(10_001));
            }
            prop_assert!(made.windows(2).all(|pair| pair[1] >= pair[0] + Duration::from_secs(5)));
        }
    }
}
