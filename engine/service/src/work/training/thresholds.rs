//! The effect of a new version on the rules over its score: the share of events above each rule's threshold, with the
//! previous version and with the new one.
//!
//! The newest of the events that were read are used, with or without a label, because rules judge events before they
//! are labelled.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use model::{Dataset, EntityHistories, Model, Severity, TrainingMessage};
use protocol::{Result, text};
use store::records::model::{ApiModelType, name_score_variable};
use store::records::model_version::{ModelVersion, find_previous_version};

use crate::operations::detector_versions::list_rules_over_score;
use crate::services::EngineServices;
use crate::work::training::new_message;

/// The newest events that are scored: a share of all in percent, and a maximum.
const NEWEST_PERCENT: usize = 15;
const MAX_NEWEST_EVENTS: usize = 20_000;

/// A version that was trained before, and the rules over its score.
pub(super) struct PreviousVersion {
    version: String,
    model: Arc<Model>,
    /// The thresholds in rules over the score, ascending, each with the name of a rule.
    thresholds: Vec<(f64, String)>,
}

/// The previous version and the rules over its score. `None` if there is no such rule, no previous version, or its
/// artifact cannot be read.
pub(super) async fn find_previous_with_rules(
    services: &EngineServices,
    new: &ModelVersion,
) -> Result<Option<PreviousVersion>> {
    // An account's first login has no score of its model.
    if new.model_type == ApiModelType::AccountTakeoverInsights {
        return Ok(None);
    }
    let score = name_score_variable(&new.model_id);
    let mut thresholds = Vec::new();
    for rule in list_rules_over_score(services, &score).await? {
        // The expression was checked when the rule was created.
        let Ok(expression) = rules::parse_expression(&rule.expression) else {
            continue;
        };
        let name = format!("rule '{}' of detector '{}'", rule.rule_id, rule.detector_id);
        for threshold in expression.thresholds(&score) {
            thresholds.push((threshold, name.clone()));
        }
    }
    thresholds.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    thresholds.dedup();
    if thresholds.is_empty() {
        return Ok(None);
    }
    let Some((number, artifact)) = find_previous_version(&services.account, new).await? else {
        return Ok(None);
    };
    let model = services.model_cache.get_model(&artifact).await.ok();
    Ok(model.map(|model| PreviousVersion {
        version: number.to_string(),
        model,
        thresholds,
    }))
}

impl PreviousVersion {
    /// A message for each threshold of a rule.
    pub(super) fn threshold_messages(
        &self,
        dataset: &Dataset,
        new: &Model,
    ) -> Vec<TrainingMessage> {
        let version = &self.version;
        let told = |content: String| {
            new_message(Severity::Info, "Events above a rule's threshold", content)
        };
        let rows = list_newest_rows(dataset);
        let histories = EntityHistories::features_before(dataset, &rows);
        let score = |model: &Model| score_rows(dataset, &rows, &histories, model);
        let old = match score(&self.model) {
            Ok(scores) => scores,
            Err(missing) => {
                return vec![told(format!(
                    "Version {version} looks at {missing}, which this version was not trained on: what it would have \
                     scored is not known."
                ))];
            }
        };
        let Ok(new) = score(new) else {
            return Vec::new();
        };
        let line = |(threshold, rule): &(f64, String)| {
            told(format!(
                "Score {threshold} of {rule}: {} of the newest {} events are at or above it with version {version}, {} with \
                 this version.",
                format_share(&old, *threshold),
                rows.len(),
                format_share(&new, *threshold)
            ))
        };
        self.thresholds.iter().map(line).collect()
    }
}

/// The newest events, as rows of the data set.
fn list_newest_rows(dataset: &Dataset) -> Vec<usize> {
    let times = dataset.event_times();
    let mut rows: Vec<usize> = (0..dataset.len()).collect();
    rows.sort_by_key(|row| times[*row]);
    let count = (rows.len() * NEWEST_PERCENT)
        .div_ceil(100)
        .min(MAX_NEWEST_EVENTS);
    rows.split_off(rows.len() - count)
}

/// The model's scores of some rows, or as error the variables that it needs and the data lacks.
fn score_rows(
    dataset: &Dataset,
    rows: &[usize],
    histories: &HashMap<usize, Vec<f32>>,
    model: &Model,
) -> Result<Vec<f64>, String> {
    let column = |name: &str| dataset.variables().iter().position(|v| v.name == name);
    let names = || model.variables().iter().map(|v| v.name.as_str());
    let missing: Vec<&str> = names().filter(|name| column(name).is_none()).collect();
    if !missing.is_empty() {
        return Err(text::join_names(missing));
    }
    let columns: Vec<usize> = names().filter_map(column).collect();
    let score = |row: &usize| {
        let values: Vec<Option<Cow<'_, str>>> = columns
            .iter()
            .map(|column| dataset.value(*row, *column))
            .collect();
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let history = histories.get(row).map_or(&[][..], Vec::as_slice);
        model
            .score(&values, dataset.event_times()[*row], history)
            .score
    };
    Ok(rows.iter().map(score).collect())
}

/// `1.25 %`
fn format_share(scores: &[f64], threshold: f64) -> String {
    let above = scores.iter().filter(|score| **score >= threshold).count();
    #[expect(clippy::cast_precision_loss, reason = "counts of events")]
    let percent = 100.0 * above as f64 / scores.len().max(1) as f64;
    format!("{percent:.2} %")
}
