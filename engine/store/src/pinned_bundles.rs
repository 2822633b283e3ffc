//! The content of the bundles of detector versions and event types.

#![allow(missing_docs, reason = "fields are those of the API's shapes")]

use rules::{Schema, Value};
use serde::{Deserialize, Serialize};

use crate::records::detector_version::RuleExecutionMode;
use crate::records::entity_history::HistorySettings;
use crate::records::external_model::{InputConfiguration, OutputConfiguration};
use crate::records::model_version::BundledModel;
use crate::records::variable::BundledVariable;

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
    /// The settings of the entity histories that its models need.
    #[serde(default, rename = "habits", skip_serializing_if = "Option::is_none")]
    pub history_settings: Option<HistorySettings>,
}

/// A detector version with its rules, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetectorVersionBundle {
    pub detector_id: String,
    pub detector_version_id: u32,
    pub event_type_name: String,
    pub mode: RuleExecutionMode,
    pub rules: Vec<BundledRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<BundledModel>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_models: Vec<BundledExternalModel>,
}

/// An external model, and the variables that get its answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledExternalModel {
    pub model_endpoint: String,
    pub model_source: String,
    pub input: InputConfiguration,
    pub output: OutputConfiguration,
    pub variables: Vec<BundledVariable>,
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

impl EventTypeBundle {
    /// The variables that rules over this event type may use: its own, then those of models.
    pub fn rule_schema<'s>(
        &'s self,
        scores: impl IntoIterator<Item = &'s BundledVariable>,
        lists: impl IntoIterator<Item = String>,
    ) -> Schema {
        let variables = self
            .variables
            .iter()
            .chain(scores)
            .map(|variable| (variable.name.clone(), variable.rule_type()));
        Schema::new(variables, lists)
    }

    /// The row of an event without any variable: the defaults.
    pub fn default_row(&self) -> Vec<Value> {
        self.variables
            .iter()
            .map(|variable| variable.default().unwrap_or(Value::Null))
            .collect()
    }
}

impl DetectorVersionBundle {
    /// The variables of its models, in the order of their slots, which follow the event's own.
    pub fn score_variables(&self) -> impl Iterator<Item = &BundledVariable> {
        let models = self.models.iter().map(|model| &model.score);
        models.chain(
            self.external_models
                .iter()
                .flat_map(|model| &model.variables),
        )
    }
}
