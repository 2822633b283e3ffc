//! Predictions: immutable snapshots of an event and of the decision on it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use protocol::Result;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::bundle::BundleReference;
use crate::records::detector_version::DetectorVersionStatus;
use crate::records::event::{StoredEvent, event_partition};
use crate::table::{Item, Key, KeyRange, convert_sdk_error, encode_record_at};

/// A prediction as stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredPrediction {
    #[serde(flatten)]
    pub event: StoredEvent,
    pub prediction_timestamp: String,
    pub detector_id: String,
    pub detector_version_id: String,
    pub detector_version_status: DetectorVersionStatus,
    pub version_bundle: BundleReference,
    pub event_type_bundle: BundleReference,
    pub verdicts: String,
    /// The answers of the version's models.
    #[serde(default, flatten)]
    pub said: ModelAnswers,
    /// Whether its event counts as stored: whether ingestion was ENABLED.
    pub stored: bool,
    /// Tells our own write, sent again by the SDK, from a write of another process.
    pub attempt: String,
    /// The row of the batch prediction that requested it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    pub gsi1pk: String,
    pub gsi1sk: String,
}

/// The answers of a version's models for an event.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelAnswers {
    /// The score of each model; a score that could not be computed is missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub model_scores: BTreeMap<String, f64>,
    /// The raw cells of each external model's answer, by variable. An external model that could not score the event is
    /// missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub external_model_outputs: BTreeMap<String, BTreeMap<String, String>>,
    /// The features that the entity history gave for the event.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub history: String,
}

/// The prefix of the sort keys of predictions.
pub const PREDICTION_PREFIX: &str = "prediction#";

impl StoredPrediction {
    pub fn key(&self) -> Key {
        let StoredEvent {
            event_type_name,
            event_id,
            ..
        } = &self.event;
        prediction_key(event_type_name, event_id, &self.prediction_timestamp)
    }
}

pub fn prediction_key(event_type: &str, event_id: &str, timestamp: &str) -> Key {
    Key::new(
        event_partition(event_type, event_id),
        format!("{PREDICTION_PREFIX}{timestamp}"),
    )
}

/// Every prediction of an event, oldest first.
pub async fn list_predictions(account: &Account, pk: &str) -> Result<Vec<StoredPrediction>> {
    account
        .events
        .query(KeyRange::all(pk).prefix(PREDICTION_PREFIX))
        .await
}

/// The newest prediction whose event counts as stored.
pub async fn find_newest_stored_prediction(
    account: &Account,
    pk: &str,
) -> Result<Option<StoredPrediction>> {
    let newest = KeyRange::all(pk).prefix(PREDICTION_PREFIX).newest_first();
    let first: Vec<StoredPrediction> = account.events.query(newest.clone().limit(1)).await?;
    match first.into_iter().next() {
        None => Ok(None),
        Some(prediction) if prediction.stored => Ok(Some(prediction)),
        Some(_) => {
            let all: Vec<StoredPrediction> = account.events.query(newest).await?;
            Ok(all.into_iter().find(|prediction| prediction.stored))
        }
    }
}

/// Whether a sort key is that of a prediction.
pub fn is_prediction_key(sk: &str) -> bool {
    sk.starts_with(PREDICTION_PREFIX)
}

/// Writes a prediction. Returns false if there is another one with the same time.
pub async fn put_prediction(account: &Account, prediction: &StoredPrediction) -> Result<bool> {
    let item = encode_record_at(&prediction.key(), prediction)?;
    let request = account
        .events
        .client
        .put_item()
        .table_name(&account.events.name);
    let request = request
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let Err(error) = request.send().await else {
        return Ok(true);
    };
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(taken)) => Ok(taken
            .item()
            .is_some_and(|item| find_attempt(item) == Some(&prediction.attempt))),
        _ => Err(convert_sdk_error(error)),
    }
}

/// The id of the attempt that wrote an item.
pub fn find_attempt(item: &Item) -> Option<&String> {
    item.get("attempt")
        .and_then(|attempt: &AttributeValue| attempt.as_s().ok())
}

/// The number of shards per day in the index of predictions.
pub const PREDICTION_SHARDS: u8 = 8;
