//! Predictions: immutable snapshots of an event and of the decision on it.

use std::collections::{BTreeMap, HashMap};

use protocol::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::bundle::BundleReference;
use crate::records::detector_version::DetectorVersionStatus;
use crate::records::event::{StoredEvent, event_partition};
use crate::table::{Key, KeyRange, encode_record_at};

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
    pub model_answers: ModelAnswers,
    /// Whether its event counts as stored: whether ingestion was ENABLED.
    pub stored: bool,
    /// A random id, the end of its sort key: two predictions of one event in the same millisecond are two items.
    pub attempt: String,
    /// The row of the batch prediction that requested it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    pub gsi1pk: String,
    pub gsi1sk: String,
    /// What a version said that judged beside this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowVerdict>,
}

/// What a version said that judged beside the one that decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowVerdict {
    pub detector_version_id: String,
    pub version_bundle: BundleReference,
    pub verdicts: String,
    /// The scores of its models, if they are not those of the version that decided.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub model_scores: BTreeMap<String, f64>,
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
    /// Its key. What was stored before predictions were written in chunks has neither there nor in the index the id of
    /// its attempt.
    pub fn key(&self) -> Key {
        let StoredEvent {
            event_type_name,
            event_id,
            ..
        } = &self.event;
        Key::new(
            event_partition(event_type_name, event_id),
            if self.gsi1sk.ends_with(&self.attempt) {
                format!(
                    "{PREDICTION_PREFIX}{}#{}",
                    self.prediction_timestamp, self.attempt
                )
            } else {
                format!("{PREDICTION_PREFIX}{}", self.prediction_timestamp)
            },
        )
    }
}

/// Every prediction of an event, oldest first.
pub async fn list_predictions(account: &Account, pk: &str) -> Result<Vec<StoredPrediction>> {
    account
        .events
        .query(KeyRange::all(pk).prefix(PREDICTION_PREFIX))
        .await
}

/// The predictions of an event that were made at `timestamp`, in any order: usually one.
pub async fn list_predictions_made_at(
    account: &Account,
    pk: &str,
    timestamp: &str,
) -> Result<Vec<StoredPrediction>> {
    // All times have the same length, so the prefix fits no other time.
    let prefix = format!("{PREDICTION_PREFIX}{timestamp}");
    account
        .events
        .query(KeyRange::all(pk).prefix(&prefix))
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

/// Writes predictions. Returns the keys of those that were not written, each with the reason.
pub async fn put_predictions(
    account: &Account,
    predictions: &[StoredPrediction],
) -> HashMap<Key, Error> {
    let mut failed = HashMap::new();
    let mut items = Vec::with_capacity(predictions.len());
    for prediction in predictions {
        let key = prediction.key();
        match encode_record_at(&key, prediction) {
            Ok(item) => items.push((key, item)),
            Err(error) => {
                failed.insert(key, error);
            }
        }
    }
    failed.extend(account.events.put_items(items).await);
    failed
}

/// The number of shards per day in the index of predictions.
pub const PREDICTION_SHARDS: u8 = 8;
