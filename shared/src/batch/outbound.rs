//! The calls of Amazon Fraud Detector: their rate, and the circuit breaker while the service does not answer.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pacing::{AdaptiveRate, CIRCUIT_OPEN, CircuitBreaker};
use tokio::time::Instant;

use super::{Batcher, Budget, run_until};
use crate::failure::{CallError, FailureClass};
use crate::records::Record;

/// What the next call depends on.
pub(super) struct OutboundCalls {
    /// The origin of the times.
    start: Instant,
    /// Absent without a budget.
    rate: Option<Mutex<AdaptiveRate>>,
    /// Absent if the service is in this process.
    breaker: Option<Mutex<CircuitBreaker>>,
    /// The event whose failed call the breaker counted last. A record that alone makes the service fail comes again and again,
    /// and says nothing about the others.
    last_failed: Mutex<Option<String>>,
}

impl OutboundCalls {
    pub(super) fn new(budget: &Budget) -> Self {
        // Each environment has a hasher of its own.
        let seed = RandomState::new().hash_one("jitter");
        let rate = budget.calls_per_second;
        Self {
            start: Instant::now(),
            rate: rate.map(|calls| Mutex::new(AdaptiveRate::new(calls, seed))),
            breaker: (budget.is_remote).then(|| Mutex::new(CircuitBreaker::new(seed))),
            last_failed: Mutex::default(),
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Whether the circuit is open; `None` without one.
    fn is_open(&self) -> Option<bool> {
        let breaker = self.breaker.as_ref()?;
        Some(lock(breaker).is_open())
    }

    /// Waits until the rate allows another call. Returns whether the breaker allows it, too; if it does not, no time is
    /// spent and no call of the budget used.
    async fn wait_for_turn(&self) -> bool {
        let breaker = self.breaker.as_ref();
        if breaker.is_some_and(|breaker| lock(breaker).is_pausing(self.now())) {
            return false;
        }
        if let Some(rate) = &self.rate {
            let at = lock(rate).reserve(self.now());
            tokio::time::sleep_until(self.start + at).await;
        }
        breaker.is_none_or(|breaker| lock(breaker).admit_call(self.now()))
    }

    /// Waits for the end of the breaker's pause, if there is one.
    async fn wait_for_pause(&self) {
        let breaker = self.breaker.as_ref();
        let end = breaker.and_then(|breaker| lock(breaker).end_of_pause(self.now()));
        if let Some(end) = end {
            tokio::time::sleep_until(self.start + end).await;
        }
    }

    /// Whether the failed call of the event counted last was of another event.
    fn is_new_failure(&self, event_id: &str) -> bool {
        let mut last = lock(&self.last_failed);
        let is_new = last.as_deref() != Some(event_id);
        *last = Some(event_id.to_owned());
        is_new
    }

    fn note_result(&self, event_id: &str, called: Duration, result: CallResult) {
        let now = self.now();
        if let Some(rate) = &self.rate {
            match result {
                CallResult::Throttled => lock(rate).note_throttle(called, now),
                CallResult::Answered => lock(rate).note_success(),
                CallResult::Failed => {}
            }
        }
        if let Some(breaker) = &self.breaker {
            match result {
                CallResult::Throttled | CallResult::Answered => lock(breaker).note_success(),
                CallResult::Failed if self.is_new_failure(event_id) => {
                    lock(breaker).note_failure(now);
                }
                CallResult::Failed => {}
            }
        }
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a call says about the service.
#[derive(Clone, Copy)]
enum CallResult {
    /// It works, whatever it thinks of the event or of the set-up.
    Answered,
    /// It works, and gets too many calls.
    Throttled,
    /// It does not work, or was not reached.
    Failed,
}

impl CallResult {
    fn new<T>(result: &Result<T, CallError>) -> Self {
        match result {
            Err(error) if error.code == "ThrottlingException" => Self::Throttled,
            Err(error)
                if error.class == FailureClass::Transient && error.code != "ConflictException" =>
            {
                Self::Failed
            }
            _ => Self::Answered,
        }
    }
}

impl Batcher {
    /// Makes a call of Amazon Fraud Detector about an event when the budget allows it.
    ///
    /// While the circuit is open, `make` is not polled: the call fails with the code `circuit open`, and its record is
    /// delivered again.
    ///
    /// # Errors
    /// That of `make`, or that the circuit is open.
    pub async fn call_service<T>(
        &self,
        event_id: &str,
        make: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let calls = &self.outbound;
        if !calls.wait_for_turn().await {
            return Err(CallError {
                class: FailureClass::Transient,
                code: CIRCUIT_OPEN.to_owned(),
                message: String::new(),
            });
        }
        let called = calls.now();
        let result = make.await;
        let told = CallResult::new(&result);
        calls.note_result(event_id, called, told);
        if matches!(told, CallResult::Throttled) {
            metrics::counter!("Throttled", "function" => self.function).increment(1);
        }
        result
    }

    /// Waits while the circuit is open, so that a stream does not deliver the same batch again and again at once. A queue
    /// needs no such wait: it delivers a message again when its visibility time-out is over.
    pub(super) async fn wait_for_circuit(&self, records: &[Record], end: Option<Instant>) {
        if records.iter().any(|record| record.position.is_stream()) {
            run_until(end, self.outbound.wait_for_pause()).await;
        }
    }

    /// Writes the state of the circuit breaker to the metrics.
    pub(super) fn report_circuit(&self) {
        if let Some(is_open) = self.outbound.is_open() {
            metrics::gauge!("CircuitOpen", "function" => self.function)
                .set(f64::from(u8::from(is_open)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::tests::{answer, records};
    use super::*;
    use crate::failure::ServiceCall;
    use crate::records::Origin;

    fn batcher(calls_per_second: Option<u32>, is_remote: bool) -> Batcher {
        let budget = Budget {
            calls_per_second: calls_per_second.and_then(NonZeroU32::new),
            is_remote,
            ..Budget::default()
        };
        Batcher::new("test", budget)
    }

    fn error(code: &str) -> CallError {
        CallError {
            class: FailureClass::of(ServiceCall::GetEventPrediction, code),
            code: code.to_owned(),
            message: String::new(),
        }
    }

    /// Makes a call about another event than the one before; see [`make_call_about`].
    async fn make_call(batcher: &Batcher, made: &AtomicU32, code: &str) -> String {
        let event_id = format!("event-{}", made.load(Ordering::Relaxed));
        make_call_about(&event_id, batcher, made, code).await
    }

    /// Makes a call that fails with `code`, or succeeds if that is empty. Returns the code that the caller sees.
    async fn make_call_about(
        event_id: &str,
        batcher: &Batcher,
        made: &AtomicU32,
        code: &str,
    ) -> String {
        let call = async {
            made.fetch_add(1, Ordering::Relaxed);
            if code.is_empty() {
                Ok(())
            } else {
                Err(error(code))
            }
        };
        let called = batcher.call_service(event_id, call);
        called.await.err().map_or_else(String::new, |it| it.code)
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_makes_no_call_and_closes_with_a_probe() {
        let (batcher, made) = (batcher(None, true), AtomicU32::new(0));
        for _ in 0..10 {
            assert_eq!(make_call(&batcher, &made, "timeout").await, "timeout");
        }
        for _ in 0..5 {
            assert_eq!(make_call(&batcher, &made, "").await, "circuit open");
        }
        assert_eq!(made.load(Ordering::Relaxed), 10);
        tokio::time::advance(Duration::from_secs(10)).await;
        for _ in 0..3 {
            assert_eq!(make_call(&batcher, &made, "").await, "");
        }
        assert_eq!(made.load(Ordering::Relaxed), 13);
    }

    #[tokio::test(start_paused = true)]
    async fn one_record_that_fails_again_and_again_opens_no_circuit() {
        let (batcher, made) = (batcher(None, true), AtomicU32::new(0));
        let code = "InternalServerException";
        for _ in 0..30 {
            assert_eq!(make_call_about("bad", &batcher, &made, code).await, code);
        }
        // Nine more events in a row are ten, with the bad one.
        for _ in 0..9 {
            assert_eq!(make_call(&batcher, &made, code).await, code);
        }
        assert_eq!(make_call(&batcher, &made, code).await, CIRCUIT_OPEN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_of_a_stream_waits_while_the_circuit_is_open() {
        let cases = [
            (Origin::Kinesis, None, 5..10),
            // Half of the time until the deadline is for settling.
            (Origin::Kinesis, Some(4), 2..3),
            (Origin::Sqs, None, 0..1),
        ];
        for (origin, limit, seconds) in cases {
            let (batcher, made) = (batcher(None, true), AtomicU32::new(0));
            let run = async |end| {
                let start = Instant::now();
                answer(
                    &batcher,
                    records(origin, &["a:order"]),
                    end,
                    &Mutex::default(),
                )
                .await;
                start.elapsed().as_secs()
            };
            assert_eq!(run(None).await, 0);
            for _ in 0..10 {
                make_call(&batcher, &made, "timeout").await;
            }
            let end = limit.map(|seconds| Instant::now() + Duration::from_secs(seconds));
            let waited = run(end).await;
            assert!(seconds.contains(&waited), "{origin:?} {limit:?}: {waited}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_the_service_opens_no_circuit() {
        let (batcher, made) = (batcher(None, true), AtomicU32::new(0));
        for code in [
            "ThrottlingException",
            "ValidationException",
            "AccessDeniedException",
            "ConflictException",
        ] {
            for _ in 0..30 {
                assert_eq!(make_call(&batcher, &made, code).await, code);
            }
        }
        // The engine in this process has no circuit: what fails then is DynamoDB, and the calls do not leave us.
        let engine = self::batcher(None, false);
        for _ in 0..30 {
            let code = "InternalServerException";
            assert_eq!(make_call(&engine, &made, code).await, code);
        }
        assert_eq!(made.load(Ordering::Relaxed), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_call_makes_the_next_ones_wait_longer() {
        let (batcher, made) = (batcher(Some(20), true), AtomicU32::new(0));
        let start = Instant::now();
        make_call(&batcher, &made, "").await;
        make_call(&batcher, &made, "").await;
        assert_eq!(start.elapsed().as_millis() / 10, 5);
        make_call(&batcher, &made, "ThrottlingException").await;
        let start = Instant::now();
        make_call(&batcher, &made, "").await;
        assert_eq!(start.elapsed().as_millis() / 10, 10);
    }
}
