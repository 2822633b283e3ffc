//! `GetPrediction`, the operation that the API had until 2020, for old clients.
//!
//! It has no event type, no entity and no event time in the request. The event type is the detector's, the entity is
//! unknown, and the time is now; everything else is as in `GetEventPrediction`.

use protocol::wire::validate_and_read_input;
use protocol::{Error, Operation, Result, text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::predict::predict_event;
use crate::services::EngineServices;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetPredictionInput {
    detector_id: String,
    detector_version_id: Option<String>,
    event_id: String,
    #[serde(default)]
    event_attributes: Map<String, Value>,
    #[serde(rename = "externalModelEndpointDataBlobs")]
    blobs: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetPredictionOutput {
    outcomes: Vec<Value>,
    model_scores: Value,
}

pub(crate) async fn get_prediction(
    services: &EngineServices,
    input: GetPredictionInput,
) -> Result<GetPredictionOutput> {
    // Validation has ensured that it is a number of at most five digits.
    let version = input.detector_version_id.as_ref();
    let version = version.and_then(|version| version.parse().ok());
    let ready = services
        .definition_cache
        .get_ready_detector(&input.detector_id, version)
        .await?;
    let event_type = &ready.compiled.event_type;
    let entity_type = event_type.entity_types.first();
    let mut request = json!({
        "detectorId": input.detector_id,
        "eventId": input.event_id,
        "eventTypeName": event_type.name,
        "eventTimestamp": text::format_seconds(services.account.now()),
        "entities": [{ "entityType": entity_type, "entityId": "unknown" }],
        "eventVariables": input.event_attributes,
    });
    if let Some(version) = input.detector_version_id {
        request["detectorVersionId"] = version.into();
    }
    if let Some(blobs) = input.blobs {
        request["externalModelEndpointDataBlobs"] = blobs;
    }
    let (output, _) = predict_event(
        services,
        validate_and_read_input(Operation::GetEventPrediction, &request)?,
    )
    .await?;
    let mut output = serde_json::to_value(&output).map_err(Error::internal)?;
    let mut outcomes: Vec<Value> = Vec::new();
    for rule in output["ruleResults"].as_array().into_iter().flatten() {
        for outcome in rule["outcomes"].as_array().into_iter().flatten() {
            if !outcomes.contains(outcome) {
                outcomes.push(outcome.clone());
            }
        }
    }
    Ok(GetPredictionOutput {
        outcomes,
        model_scores: output["modelScores"].take(),
    })
}
