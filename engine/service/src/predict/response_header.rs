//! The response header of a prediction: how it was made, as far as the API's answer does not say it.

use std::borrow::Cow;

use serde::Serialize;
use store::records::prediction::StoredPrediction;

use crate::predict::verdicts::{self, list_matched_rules, list_rules_with_verdict};
use crate::services::definition_cache::CompiledDetector;

/// The largest header, in bytes. Entries that do not fit are left out and counted.
const MAX_HEADER_BYTES: usize = 4096;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PredictionHeaderContent<'a> {
    prediction_timestamp: &'a str,
    detector_id: &'a str,
    detector_version_id: &'a str,
    engine: &'static str,
    rules: Vec<MatchedRuleContent<'a>>,
    /// Rules that were reached and could not be evaluated, and before them, as `model:<endpoint>`, the external models
    /// that could not score the event. Those are listed here whether a rule uses them or not, because a reader that
    /// does not know `unscored` must see them, too.
    undetermined: Vec<Cow<'a, str>>,
    /// Models of the version that could not score.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unscored: Vec<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
}

#[derive(Serialize)]
struct MatchedRuleContent<'a> {
    id: &'a str,
    version: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

pub(super) fn write_prediction_header(
    compiled: &CompiledDetector,
    prediction: &StoredPrediction,
) -> String {
    let answers = &prediction.model_answers;
    let version = &compiled.version;
    let external = version.external_models.iter();
    let silent: Vec<&str> = external
        .map(|model| model.model_endpoint.as_str())
        .filter(|endpoint| !answers.external_model_outputs.contains_key(*endpoint))
        .collect();
    let models = silent.iter().map(|model| format!("model:{model}").into());
    let rules = list_rules_with_verdict(compiled, &prediction.verdicts, verdicts::UNDETERMINED);
    let rules = rules.map(|rule| rule.rule_id.as_str().into());
    let mut content = PredictionHeaderContent {
        prediction_timestamp: &prediction.prediction_timestamp,
        detector_id: &prediction.detector_id,
        detector_version_id: &prediction.detector_version_id,
        engine: env!("CARGO_PKG_VERSION"),
        rules: list_matched_rules(compiled, &prediction.verdicts)
            .map(|matched| MatchedRuleContent {
                id: &matched.rule_id,
                version: matched.rule_version,
            })
            .collect(),
        undetermined: models.chain(rules).collect(),
        unscored: version
            .models
            .iter()
            .map(|model| model.version.model_id.as_str())
            .filter(|id| !answers.model_scores.contains_key(*id))
            .chain(silent.iter().copied())
            .collect(),
        left_out: 0,
    };
    loop {
        let json = serde_json::to_string(&content).unwrap_or_default();
        let fits = json.len() <= MAX_HEADER_BYTES;
        if fits || (content.rules.pop().is_none() && content.undetermined.pop().is_none()) {
            return json;
        }
        content.left_out += 1;
    }
}
