//! What a detector version and an event type resolve to: immutable, named by their content.
//!
//! A definition changes by writing a new bundle and then pointing at it. A prediction keeps the
//! names of the bundles it was made with, so its rules can be shown as they were for as long as
//! the prediction is kept.

#![allow(missing_docs, reason = "fields are those of the API's shapes")]

use rules::{Schema, Type, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::records::entity_history::HistorySettings;
use crate::records::external_model::{InputConfiguration, OutputConfiguration};
use crate::records::model_version::{Artifact, VersionReference};
use crate::records::variable::default_value;
use crate::table::Table;
use protocol::text;
use protocol::{Error, Result};

/// Where a bundle is: the hash of its content, and in how many chunks it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BundleReference {
    pub hash: String,
    pub chunks: usize,
}

/// An event type with its variables.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeBundle {
    pub name: String,
    pub ingestion: bool,
    pub orchestration: bool,
    pub entity_types: Vec<String>,
    pub labels: Vec<String>,
    pub variables: Vec<BundledVariable>,
    /// What models want to know of what its entities did before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub habits: Option<HistorySettings>,
}

/// A variable as events and rules need it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledVariable {
    pub name: String,
    pub data_type: String,
    pub default_value: String,
}

/// A detector version with its rules, in their order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionBundle {
    pub detector_id: String,
    pub detector_version_id: u32,
    pub event_type_name: String,
    pub mode: Mode,
    pub rules: Vec<BundledRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<BundledModel>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_models: Vec<BundledExternalModel>,
}

/// A model version as it was when it was pinned.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledModel {
    #[serde(flatten)]
    pub version: VersionReference,
    /// The variable that its score is in.
    pub score: BundledVariable,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
}

/// An external model, and the variables that its answer goes to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledExternalModel {
    pub model_endpoint: String,
    pub model_source: String,
    pub input: InputConfiguration,
    pub output: OutputConfiguration,
    pub variables: Vec<BundledVariable>,
}

/// Whether the first rule that matches ends the evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    #[default]
    FirstMatched,
    AllMatched,
}

/// A rule version as it was when it was pinned.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledRule {
    pub rule_id: String,
    pub rule_version: u32,
    pub expression: String,
    pub outcomes: Vec<String>,
    pub lists: Vec<String>,
}

/// Writes a bundle. The same content is the same item, so writing it twice is no harm.
pub async fn save(table: &Table, bundle: &impl Serialize) -> Result<BundleReference> {
    let json = serde_json::to_vec(bundle).map_err(Error::internal)?;
    let hash = text::hex(&Sha256::digest(&json));
    let chunks = table.put_chunks(&name(&hash), bundle).await?;
    Ok(BundleReference { hash, chunks })
}

/// Reads a bundle.
pub async fn load<B: DeserializeOwned>(table: &Table, reference: &BundleReference) -> Result<B> {
    let bundle = table
        .chunks(&name(&reference.hash), reference.chunks)
        .await?;
    bundle.ok_or_else(|| Error::internal("a bundle is gone"))
}

fn name(hash: &str) -> String {
    format!("bundle#{hash}")
}

impl EventTypeBundle {
    /// What rules over this event type may speak of: its variables, then those of models.
    pub fn schema<'s>(
        &'s self,
        scores: impl IntoIterator<Item = &'s BundledVariable>,
        lists: impl IntoIterator<Item = String>,
    ) -> Schema {
        let variables = self
            .variables
            .iter()
            .chain(scores)
            .map(|variable| (variable.name.clone(), variable.ty()));
        Schema::new(variables, lists)
    }

    /// The row of an event that says nothing: the defaults.
    pub fn defaults(&self) -> Vec<Value> {
        let default = |v: &BundledVariable| default_value(v.ty(), &v.default_value);
        self.variables
            .iter()
            .map(|v| default(v).unwrap_or(Value::Null))
            .collect()
    }
}

impl BundledVariable {
    /// Types are checked when the variable is created.
    pub fn ty(&self) -> Type {
        self.data_type.parse().unwrap_or(Type::String)
    }
}

impl VersionBundle {
    /// The variables of its models, in the order of their slots after the event's own.
    pub fn scores(&self) -> impl Iterator<Item = &BundledVariable> {
        let models = self.models.iter().map(|model| &model.score);
        models.chain(
            self.external_models
                .iter()
                .flat_map(|model| &model.variables),
        )
    }
}
