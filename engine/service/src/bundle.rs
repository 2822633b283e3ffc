//! What a detector version and an event type resolve to: immutable, named by their content.
//!
//! A definition changes by writing a new bundle and then pointing at it. A prediction keeps the
//! names of the bundles it was made with, so its rules can be shown as they were for as long as
//! the prediction is kept.

use rules::{Rule, Schema, Type, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::endpoints::{InputConfiguration, OutputConfiguration};
use crate::habits::Habits;
use crate::operations;
use crate::operations::models::VersionReference;
use crate::scorers::Artifact;
use crate::store::Table;
use protocol::text;
use protocol::{Error, Result};

/// Where a bundle is: the hash of its content, and in how many chunks it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct BundleReference {
    pub(crate) hash: String,
    pub(crate) chunks: usize,
}

/// An event type with its variables.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventTypeBundle {
    pub(crate) name: String,
    pub(crate) ingestion: bool,
    pub(crate) orchestration: bool,
    pub(crate) entity_types: Vec<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) variables: Vec<BundledVariable>,
    /// What models want to know of what its entities did before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) habits: Option<Habits>,
}

/// A variable as events and rules need it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BundledVariable {
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) default_value: String,
}

/// A detector version with its rules, in their order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VersionBundle {
    pub(crate) detector_id: String,
    pub(crate) detector_version_id: u32,
    pub(crate) event_type_name: String,
    pub(crate) mode: Mode,
    pub(crate) rules: Vec<BundledRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) models: Vec<BundledModel>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) external_models: Vec<BundledExternalModel>,
}

/// A model version as it was when it was pinned.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BundledModel {
    #[serde(flatten)]
    pub(crate) version: VersionReference,
    /// The variable that its score is in.
    pub(crate) score: BundledVariable,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact: Option<Artifact>,
}

/// An external model, and the variables that its answer goes to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BundledExternalModel {
    pub(crate) model_endpoint: String,
    pub(crate) model_source: String,
    pub(crate) input: InputConfiguration,
    pub(crate) output: OutputConfiguration,
    pub(crate) variables: Vec<BundledVariable>,
}

/// Whether the first rule that matches ends the evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Mode {
    #[default]
    FirstMatched,
    AllMatched,
}

/// A rule version as it was when it was pinned.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BundledRule {
    pub(crate) rule_id: String,
    pub(crate) rule_version: u32,
    pub(crate) expression: String,
    pub(crate) outcomes: Vec<String>,
    pub(crate) lists: Vec<String>,
}

/// Writes a bundle. The same content is the same item, so writing it twice is no harm.
pub(crate) async fn save(table: &Table, bundle: &impl Serialize) -> Result<BundleReference> {
    let json = serde_json::to_vec(bundle).map_err(Error::internal)?;
    let hash = text::hex(&Sha256::digest(&json));
    let chunks = table.put_chunks(&name(&hash), bundle).await?;
    Ok(BundleReference { hash, chunks })
}

/// Reads a bundle.
pub(crate) async fn load<B: DeserializeOwned>(
    table: &Table,
    reference: &BundleReference,
) -> Result<B> {
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
    pub(crate) fn schema<'s>(
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
    pub(crate) fn defaults(&self) -> Vec<Value> {
        let default = |v: &BundledVariable| operations::default_value(v.ty(), &v.default_value);
        self.variables
            .iter()
            .map(|v| default(v).unwrap_or(Value::Null))
            .collect()
    }
}

impl BundledVariable {
    /// Types are checked when the variable is created.
    pub(crate) fn ty(&self) -> Type {
        self.data_type.parse().unwrap_or(Type::String)
    }
}

impl VersionBundle {
    /// The variables of its models, in the order of their slots after the event's own.
    pub(crate) fn scores(&self) -> impl Iterator<Item = &BundledVariable> {
        let models = self.models.iter().map(|model| &model.score);
        models.chain(
            self.external_models
                .iter()
                .flat_map(|model| &model.variables),
        )
    }
}

/// A version over its event type, ready to run.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) version: VersionBundle,
    pub(crate) event_type: EventTypeBundle,
    pub(crate) schema: Schema,
    pub(crate) rules: Vec<Rule>,
    pub(crate) defaults: Vec<Value>,
}

impl Compiled {
    pub(crate) fn new(version: VersionBundle, event_type: EventTypeBundle) -> Result<Self> {
        let lists = version
            .rules
            .iter()
            .flat_map(|rule| rule.lists.iter().cloned());
        let scores: Vec<BundledVariable> = version.scores().cloned().collect();
        let schema = event_type.schema(&scores, lists);
        let compile = |rule: &BundledRule| {
            Rule::new(&rule.expression, &schema).map_err(|_| {
                let BundledRule { rule_id, rule_version, .. } = rule;
                Error::validation(format!(
                    "Version {rule_version} of rule '{rule_id}' uses a variable that neither event type '{}' nor a \
                     model of the detector version has.",
                    event_type.name
                ))
            })
        };
        let rules = version.rules.iter().map(compile).collect::<Result<_>>()?;
        // A score that is not there is null: models have no default.
        let mut defaults = event_type.defaults();
        defaults.resize(schema.len(), Value::Null);
        Ok(Self {
            version,
            event_type,
            schema,
            rules,
            defaults,
        })
    }

    /// The lists its rules use, each once.
    pub(crate) fn lists(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.rules.iter().flat_map(Rule::lists).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
