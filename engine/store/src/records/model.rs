//! Models: a type, an event type, and versions.

use protocol::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::records::tags::Tags;
use crate::table::{Key, KeyRange, StoredRecord};

pub const MODEL_PARTITION: &str = "model";

/// The end of the names of variables that hold a model's score.
const SCORE_SUFFIX: &str = "_insightscore";

/// The type of a model; it decides how the model is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ApiModelType {
    OnlineFraudInsights,
    TransactionFraudInsights,
    AccountTakeoverInsights,
}

impl ApiModelType {
    pub const ALL: [Self; 3] = [
        Self::OnlineFraudInsights,
        Self::TransactionFraudInsights,
        Self::AccountTakeoverInsights,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::OnlineFraudInsights => "ONLINE_FRAUD_INSIGHTS",
            Self::TransactionFraudInsights => "TRANSACTION_FRAUD_INSIGHTS",
            Self::AccountTakeoverInsights => "ACCOUNT_TAKEOVER_INSIGHTS",
        }
    }
}

/// A model as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredModel {
    pub model_id: String,
    pub model_type: ApiModelType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub event_type_name: String,
    /// The highest major version given out; a number is never given out twice.
    pub last_major_version: u32,
    pub created_time: String,
    pub last_updated_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

impl StoredRecord for StoredModel {
    fn key(&self) -> Key {
        model_key(self.model_type, &self.model_id)
    }
}

pub fn model_key(model_type: ApiModelType, model_id: &str) -> Key {
    Key::new(MODEL_PARTITION, format!("{}#{model_id}", model_type.name()))
}

/// The variable that holds a model's score.
pub fn name_score_variable(model_id: &str) -> String {
    format!("{model_id}{SCORE_SUFFIX}")
}

/// The id of the model whose score a variable of this name would hold: the inverse of [`name_score_variable`].
pub fn find_score_model_id(variable: &str) -> Option<&str> {
    variable
        .strip_suffix(SCORE_SUFFIX)
        .filter(|model_id| !model_id.is_empty())
}

/// Every model of the account.
pub async fn list_models(change: &Change<'_>) -> Result<Vec<StoredModel>> {
    change.query(KeyRange::all(MODEL_PARTITION)).await
}

/// Finds the model with this id. The id names the score variable, so it is unique over all model types.
pub async fn find_model(change: &Change<'_>, model_id: &str) -> Result<Option<StoredModel>> {
    let keys = ApiModelType::ALL.map(|model_type| model_key(model_type, model_id));
    Ok(change.get_many(&keys).await?.into_iter().next())
}

/// The error for a model that does not exist.
pub fn missing_model(model_id: &str) -> Error {
    Error::not_found(format!("Model '{model_id}' does not exist."))
}
