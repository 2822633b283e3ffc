//! The predictions that an engine in this process holds back, as the pipeline stores them.

use std::collections::HashMap;
use std::sync::Arc;

use engine::{Engine, Error};
use event::{EventId, EventTypeName};
use shared::failure::{CallError, Failure, FailureClass, ServiceCall};
use shared::held_predictions::{HeldPredictions, UnstoredPredictions};

/// The predictions that `engine` holds back from clients with [`engine::holding_http_client`].
pub fn held_predictions(engine: &Arc<Engine>) -> HeldPredictions {
    let engine = Arc::clone(engine);
    HeldPredictions::new(move |event_type, events| {
        Box::pin(store_held_predictions(
            Arc::clone(&engine),
            event_type,
            events,
        ))
    })
}

async fn store_held_predictions(
    engine: Arc<Engine>,
    event_type: EventTypeName,
    events: Vec<EventId>,
) -> UnstoredPredictions {
    let ids: Vec<String> = events.iter().map(ToString::to_string).collect();
    let failed = engine.store_held_predictions(event_type.as_str(), &ids);
    let failed: HashMap<String, Error> = failed.await.into_iter().collect();
    let failure = |event: EventId| {
        let failure = convert_error(failed.get(event.as_str())?);
        Some((event, failure))
    };
    events.into_iter().filter_map(failure).collect()
}

/// To the pipeline, a prediction that could not be stored is a `GetEventPrediction` that failed.
fn convert_error(error: &Error) -> Failure {
    let code = error.code().name();
    let call = ServiceCall::GetEventPrediction;
    let failed = CallError {
        class: FailureClass::of(call, code),
        code: code.to_owned(),
        message: error.message().to_owned(),
    };
    failed.into_failure(call)
}
