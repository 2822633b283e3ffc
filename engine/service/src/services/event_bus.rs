//! Publishes predictions on EventBridge, for event types that ask for it (`eventOrchestration`).
//!
//! Delivery is best effort, as at Amazon: events are collected and sent in tens in the background. Predictions never
//! wait for this and never fail because of it. [`PredictionBus::flush`] sends the rest.
//!
//! Amazon publishes no schema of the detail. Ours has the members of the request and of the answer: `eventId`,
//! `eventTypeName`, `eventTimestamp`, `entities`, `eventVariables`, `detectorId`, `detectorVersionId`,
//! `predictionTimestamp`, and the members of `GetEventPrediction`'s output.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::Value;
use tokio::task::JoinSet;

/// The `detail-type` of every event, as at Amazon.
pub const PREDICTION_DETAIL_TYPE: &str = "Event Prediction Result Returned";

/// The most entries that `PutEvents` accepts.
const MAX_ENTRIES: usize = 10;
const MAX_REQUEST_BYTES: usize = 256 * 1024;
/// The bytes that EventBridge counts per entry besides its texts.
const ENTRY_OVERHEAD_BYTES: usize = 14;
/// How long a flush waits for requests that are being sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// The most requests being sent at the same time; further events are dropped, so that a slow bus does not fill the
/// memory.
const MAX_REQUESTS_IN_FLIGHT: usize = 100;

/// The event bus on which predictions are published.
#[derive(Debug)]
pub(crate) struct PredictionBus {
    client: Client,
    name: String,
    source: String,
    waiting: Mutex<WaitingEvents>,
    sending: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct WaitingEvents {
    details: Vec<String>,
    bytes: usize,
}

impl PredictionBus {
    pub(crate) fn new(client: Client, name: String, source: String) -> Arc<Self> {
        Arc::new(Self {
            client,
            name,
            source,
            waiting: Mutex::default(),
            sending: Mutex::default(),
        })
    }

    fn lock_waiting(&self) -> MutexGuard<'_, WaitingEvents> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_sending(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event; a request that becomes full is sent.
    fn enqueue(self: &Arc<Self>, detail: String) {
        let bytes =
            detail.len() + ENTRY_OVERHEAD_BYTES + self.source.len() + PREDICTION_DETAIL_TYPE.len();
        if bytes > MAX_REQUEST_BYTES {
            tracing::warn!("a prediction is too large for an event");
            return;
        }
        let mut full = Vec::new();
        {
            let mut waiting = self.lock_waiting();
            if waiting.bytes + bytes > MAX_REQUEST_BYTES {
                full.push(std::mem::take(&mut *waiting).details);
            }
            waiting.details.push(detail);
            waiting.bytes += bytes;
            if waiting.details.len() == MAX_ENTRIES {
                full.push(std::mem::take(&mut *waiting).details);
            }
        }
        for details in full {
            self.spawn_send(details);
        }
    }

    fn spawn_send(self: &Arc<Self>, details: Vec<String>) {
        let mut sending = self.lock_sending();
        while sending.try_join_next().is_some() {}
        if sending.len() >= MAX_REQUESTS_IN_FLIGHT {
            tracing::warn!(events = details.len(), "the event bus is too slow");
            return;
        }
        let bus = Arc::clone(self);
        sending.spawn(async move { bus.send(details).await });
    }

    async fn send(&self, details: Vec<String>) {
        let entry = |detail: String| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.name)
                .source(&self.source)
                .detail_type(PREDICTION_DETAIL_TYPE)
                .detail(detail)
                .build()
        };
        let entries = details.into_iter().map(entry).collect();
        let request = self.client.put_events().set_entries(Some(entries));
        let failed = request
            .send()
            .await
            .map_or(-1, |output| output.failed_entry_count);
        if failed != 0 {
            tracing::warn!(failed, "predictions could not be told to the event bus");
        }
    }

    /// Sends waiting events, and waits for requests that are being sent, but only for a limited time.
    pub(crate) async fn flush(self: &Arc<Self>) {
        let rest = std::mem::take(&mut *self.lock_waiting()).details;
        if !rest.is_empty() {
            self.spawn_send(rest);
        }
        let mut sending = std::mem::take(&mut *self.lock_sending());
        let all = async { while sending.join_next().await.is_some() {} };
        if tokio::time::timeout(FLUSH_TIMEOUT, all).await.is_err() {
            tracing::warn!("the event bus does not answer");
        }
    }

    /// Publishes a prediction: `event` with the members of the answer.
    pub(crate) fn publish_prediction(self: &Arc<Self>, mut detail: Value, answer: Value) {
        if let (Value::Object(detail), Value::Object(answer)) = (&mut detail, answer) {
            detail.extend(answer);
        }
        self.enqueue(detail.to_string());
    }
}
