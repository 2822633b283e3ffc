//! Lambda function `webhook`: posts what the bus tells to a receiver, signed.
//!
//! A rule of the bus puts events into a queue, and the queue calls the function. A message that is not answered with 2xx
//! comes back later, each time with the same id, for more than a day; then it is a dead letter. The signatures are those of
//! "Standard Webhooks" (www.standardwebhooks.com).

mod message;
mod secrets;
mod sender;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use pacing::{CIRCUIT_OPEN, CircuitBreaker};
use serde_json::Value;
use shared::batch::{
    BatchFailed, BatchResponse, BatchResults, InvocationContext, not_reached_failure, run_until,
};
use shared::failure::Failure;
use shared::records::{Origin, Position};
use tokio::time::Instant;

pub use message::{UnreadableEvent, WebhookMessage};
pub use secrets::{SecretStore, SecretsError, SigningSecrets};
pub use sender::{ReceiverUrl, ReceiverUrlError, Undelivered, WebhookSender};

/// The function's name, as metrics carry it.
pub const FUNCTION: &str = "webhook";
/// How long an answer of the receiver may take, in milliseconds, where `WEBHOOK_TIMEOUT_MS` does not say otherwise.
pub const TIMEOUT_MS: u32 = 10_000;

/// How many messages of a batch are sent at the same time: a batch has no more.
const CALLS: usize = 10;
/// Time before the deadline of an invocation for hiding failed messages and for the response.
const TO_FINISH: Duration = Duration::from_secs(2);

/// The handler of the function.
pub struct WebhookFunction {
    sender: WebhookSender,
    secrets: SecretStore,
    breaker: Mutex<CircuitBreaker>,
    /// The origin of the breaker's times.
    start: Instant,
}

impl WebhookFunction {
    /// A function that posts to the receiver of `sender`.
    pub fn new(sender: WebhookSender, secrets: SecretStore) -> Self {
        let seed = RandomState::new().hash_one("webhook");
        Self {
            sender,
            secrets,
            breaker: Mutex::new(CircuitBreaker::new(seed)),
            start: Instant::now(),
        }
    }

    /// Handles one invocation.
    ///
    /// # Errors
    /// [`BatchFailed`] if no message was delivered.
    pub async fn handle(
        &self,
        event: &Value,
        context: InvocationContext,
    ) -> Result<BatchResponse, BatchFailed> {
        self.send_batch(event, context).await.response()
    }

    /// Sends the messages of a batch.
    pub async fn send_batch(&self, event: &Value, context: InvocationContext) -> BatchResults<()> {
        let records = event["Records"].as_array().map(Vec::as_slice);
        let end = context.deadline.and_then(|end| end.checked_sub(TO_FINISH));
        let secrets = run_until(end, self.secrets.read()).await;
        let secrets = secrets.unwrap_or_else(|| Err(not_reached_failure()));
        let send = async |record: &Value| {
            let sent = async {
                self.send_record(record, secrets.as_ref().map_err(Clone::clone)?)
                    .await
            };
            let sent = run_until(end, sent).await;
            (
                read_position(record),
                sent.unwrap_or_else(|| Err(not_reached_failure())),
            )
        };
        let results = stream::iter(records.unwrap_or_default())
            .map(send)
            .buffered(CALLS)
            .collect()
            .await;
        let handled = BatchResults { results };
        handled.report(FUNCTION);
        handled
    }

    /// Sends the event in the body of a message, unless the receiver has failed too often by now.
    async fn send_record(&self, record: &Value, secrets: &SigningSecrets) -> Result<(), Failure> {
        let body = record["body"].as_str().unwrap_or_default();
        // It ends as a dead letter, where a person can look at it.
        let message =
            WebhookMessage::from_event(body).map_err(|error| Failure::set_up(error.to_string()))?;
        if !self.lock_breaker().admit_call(self.start.elapsed()) {
            return Err(Failure::retry(format!("webhook: {CIRCUIT_OPEN}")));
        }
        let sent = self.sender.send(&message, secrets, Timestamp::now()).await;
        let mut breaker = self.lock_breaker();
        match sent {
            Ok(()) => breaker.note_success(),
            Err(_) => breaker.note_failure(self.start.elapsed()),
        }
        sent.map_err(|undelivered| Failure::retry(format!("webhook: {undelivered}")))
    }

    fn lock_breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_position(record: &Value) -> Position {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    Position::new(Origin::Sqs, text("eventSourceARN"), text("messageId"))
}
