//! Predictions that the engine, linked into the process, holds back so that many are stored in one call.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use event::{EventId, EventTypeName};
use futures::future::BoxFuture;

use crate::failure::Failure;

/// Why the predictions of some events could not be stored.
pub type UnstoredPredictions = HashMap<EventId, Failure>;

type StorePredictions =
    dyn Fn(EventTypeName, Vec<EventId>) -> BoxFuture<'static, UnstoredPredictions> + Send + Sync;

/// Stores the predictions that the service behind the client of Fraud Detector holds back.
///
/// Amazon, and the engine behind a port, store a prediction before they answer: they hold nothing.
#[derive(Clone, Default)]
pub struct HeldPredictions(Option<Arc<StorePredictions>>);

impl fmt::Debug for HeldPredictions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_held = self.0.is_some();
        formatter
            .debug_tuple("HeldPredictions")
            .field(&is_held)
            .finish()
    }
}

impl HeldPredictions {
    /// Predictions that `store` stores, by event type and event ids. `store` passes over an event without one, and
    /// returns those that it could not store.
    pub fn new(
        store: impl Fn(EventTypeName, Vec<EventId>) -> BoxFuture<'static, UnstoredPredictions>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Some(Arc::new(store)))
    }

    /// Stores the predictions of these events. Returns those that could not be stored.
    pub async fn store(
        &self,
        event_type: &EventTypeName,
        events: Vec<EventId>,
    ) -> UnstoredPredictions {
        match &self.0 {
            Some(store) if !events.is_empty() => store(event_type.clone(), events).await,
            _ => HashMap::new(),
        }
    }
}
