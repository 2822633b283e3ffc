//! How a prediction came about, for the response header: what the API's answer lacks.

use serde::Serialize;

use super::{Prediction, matched, verdicts, with};
use crate::bundle::{BundledRule, Compiled};

/// A header is at most 4 KB; what does not fit is counted.
const LARGEST: usize = 4096;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct How<'a> {
    prediction_timestamp: &'a str,
    detector_id: &'a str,
    detector_version_id: &'a str,
    engine: &'static str,
    rules: Vec<Matched<'a>>,
    undetermined: Vec<&'a str>,
    /// Models of the version that could not score.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unscored: Vec<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
}

#[derive(Serialize)]
struct Matched<'a> {
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

pub(super) fn header(compiled: &Compiled, prediction: &Prediction) -> String {
    let rule = |rule: &'_ BundledRule| rule.rule_version;
    let mut how = How {
        prediction_timestamp: &prediction.prediction_timestamp,
        detector_id: &prediction.detector_id,
        detector_version_id: &prediction.detector_version_id,
        engine: env!("CARGO_PKG_VERSION"),
        rules: matched(compiled, &prediction.verdicts)
            .map(|matched| Matched {
                id: &matched.rule_id,
                version: rule(matched),
            })
            .collect(),
        undetermined: with(compiled, &prediction.verdicts, verdicts::UNDETERMINED)
            .map(|rule| rule.rule_id.as_str())
            .collect(),
        unscored: compiled
            .version
            .models
            .iter()
            .map(|model| model.version.model_id.as_str())
            .filter(|id| !prediction.said.model_scores.contains_key(*id))
            .collect(),
        left_out: 0,
    };
    loop {
        let json = serde_json::to_string(&how).unwrap_or_default();
        let fits = json.len() <= LARGEST;
        if fits || (how.rules.pop().is_none() && how.undetermined.pop().is_none()) {
            return json;
        }
        how.left_out += 1;
    }
}
