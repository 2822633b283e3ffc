//! The answer of Amazon Fraud Detector on an order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer of Amazon Fraud Detector on an order, as far as the pipeline reads it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceVerdict {
    /// Rules that matched, in the order of the answer.
    pub matched_rules: Vec<MatchedRule>,
    /// Model scores by variable name, such as `orders_model_insightscore`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// Versions of the models behind the scores, as `TYPE/id/version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_versions: Vec<String>,
    /// What our engine adds in a response header; Amazon sends no such header.
    #[serde(default)]
    pub prediction: PredictionHeader,
}

impl ServiceVerdict {
    /// The matched rule with this id.
    pub(super) fn find_matched(&self, rule_id: &str) -> Option<&MatchedRule> {
        self.matched_rules
            .iter()
            .find(|rule| rule.rule_id == rule_id)
    }
}

/// A rule that matched, with its outcomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedRule {
    /// The rule.
    pub rule_id: String,
    /// Its outcomes.
    pub outcomes: Vec<String>,
}

/// The content of the response header [`PREDICTION_HEADER`](event::PREDICTION_HEADER).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PredictionHeader {
    /// When the prediction was made; part of its key at the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction_timestamp: Option<String>,
    /// The detector version that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector_version_id: Option<String>,
    /// Version of the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The matched rules with their versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<MatchedRuleVersion>,
    /// Rules that were reached but could not be evaluated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undetermined: Vec<String>,
    /// How many entries of `rules` and `undetermined` are missing here, because the header had no room for them or could
    /// not be read.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Which version of a rule matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedRuleVersion {
    /// The rule.
    pub id: String,
    /// Its version.
    pub version: u32,
}
