//! Held predictions: a caller in this process gets them before they are stored, so that it can store many in one call.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::records::prediction::StoredPrediction;

/// A prediction that is not stored yet.
pub(crate) struct NewPrediction {
    /// What is to be stored.
    pub(crate) stored: StoredPrediction,
    /// The answer as the event bus gets it, if the event type publishes predictions.
    pub(crate) published_answer: Option<serde_json::Value>,
}

/// Predictions that are not stored yet, by event type and event id: at most one per event.
#[derive(Default)]
pub(crate) struct PredictionBuffer {
    by_event: Mutex<HashMap<(String, String), NewPrediction>>,
}

impl fmt::Debug for PredictionBuffer {
    /// Shows only how many there are: the variables of an event are personal data.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PredictionBuffer({})", self.lock().len())
    }
}

impl PredictionBuffer {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), NewPrediction>> {
        self.by_event.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a prediction. It replaces one of the same event that nobody stored: its caller gave up.
    pub(crate) fn hold(&self, prediction: NewPrediction) {
        let event = &prediction.stored.event;
        let key = (event.event_type_name.clone(), event.event_id.clone());
        self.lock().insert(key, prediction);
    }

    /// Takes the prediction of an event.
    pub(crate) fn take(&self, event_type: &str, event_id: &str) -> Option<NewPrediction> {
        let key = (event_type.to_owned(), event_id.to_owned());
        self.lock().remove(&key)
    }

    /// Drops all predictions.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }
}
