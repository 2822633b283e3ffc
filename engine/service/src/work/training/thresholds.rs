//! What a new version means for the rules over its score: the share of events above each rule's threshold, with the
//! version before and with the new one.
//!
//! The events are the newest of those that were read, labelled or not: a rule judges events before anyone labels them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::operations::detector_versions::rules_over;
use crate::services::Services;
use crate::work::training::message;
use model::EntityHistories;
use model::{Dataset, Severity, TrainingMessage, Model};
use protocol::Result;
use protocol::text;
use store::records::model::{ModelType, score_variable};
use store::records::model_version::{ModelVersion, trained_before};

/// Newest events that are scored, in percent of all, and at most.
const NEWEST_PERCENT: usize = 15;
const MOST: usize = 20_000;

/// A version that was trained before, and the rules over its score.
pub(super) struct Before {
    version: String,
    model: Arc<Model>,
    /// Scores that rules begin or end at, ascending, each with a rule's name.
    thresholds: Vec<(f64, String)>,
}

/// The version that a new one follows, with the rules that will judge by its score. `None` where there is no rule, or
/// no such version whose artifact can be read.
pub(super) async fn before(services: &Services, new: &ModelVersion) -> Result<Option<Before>> {
    // An account's first log-in has no score of its model.
    if new.model_type == ModelType::AccountTakeoverInsights {
        return Ok(None);
    }
    let score = score_variable(&new.model_id);
    let mut thresholds = Vec::new();
    for rule in rules_over(services, &score).await? {
        // It was checked when it was created.
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
    let Some((number, artifact)) = trained_before(&services.account, new).await? else {
        return Ok(None);
    };
    let model = services.model_cache.model(&artifact).await.ok();
    Ok(model.map(|model| Before {
        version: number.to_string(),
        model,
        thresholds,
    }))
}

impl Before {
    /// A message for each threshold of a rule.
    pub(super) fn messages(&self, dataset: &Dataset, new: &Model) -> Vec<TrainingMessage> {
        let version = &self.version;
        let told =
            |content: String| message(Severity::Info, "Events above a rule's threshold", content);
        let rows = newest(dataset);
        let histories = EntityHistories::features_before(dataset, &rows);
        let score = |model: &Model| scores(dataset, &rows, &histories, model);
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
                share(&old, *threshold),
                rows.len(),
                share(&new, *threshold)
            ))
        };
        self.thresholds.iter().map(line).collect()
    }
}

/// The rows of the newest events.
fn newest(dataset: &Dataset) -> Vec<usize> {
    let times = dataset.event_times();
    let mut rows: Vec<usize> = (0..dataset.len()).collect();
    rows.sort_by_key(|row| times[*row]);
    let count = (rows.len() * NEWEST_PERCENT).div_ceil(100).min(MOST);
    rows.split_off(rows.len() - count)
}

/// What a model says of some rows; otherwise the variables that it looks at and the data lacks.
fn scores(
    dataset: &Dataset,
    rows: &[usize],
    histories: &HashMap<usize, Vec<f32>>,
    model: &Model,
) -> Result<Vec<f64>, String> {
    let column = |name: &str| dataset.variables().iter().position(|v| v.name == name);
    let names = || model.variables().iter().map(|v| v.name.as_str());
    let missing: Vec<&str> = names().filter(|name| column(name).is_none()).collect();
    if !missing.is_empty() {
        return Err(text::names(missing));
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
fn share(scores: &[f64], threshold: f64) -> String {
    let above = scores.iter().filter(|score| **score >= threshold).count();
    #[expect(clippy::cast_precision_loss, reason = "counts of events")]
    let percent = 100.0 * above as f64 / scores.len().max(1) as f64;
    format!("{percent:.2} %")
}
