//! Explanations of a stored prediction's scores, computed again from the event as it was.

use event::Timestamp;
use model::{Attribution, EVENT_TIME, Explanation, HistoryImpact, Impact};
use protocol::{Error, Result};
use serde::Serialize;
use store::records::event::event_partition;
use store::records::model_version::BundledModel;
use store::records::prediction::{PREDICTION_PREFIX, StoredPrediction};
use store::table::KeyRange;

use crate::predict::verdicts::{NOT_MATCHED, list_matched_rules};
use crate::predict::{FIRST_LOGIN, fill_model_answers, fill_rule_row};
use crate::services::definition_cache::CompiledDetector;
use crate::services::model_cache::UnusableModel;
use crate::services::{EngineServices, entity_history, model_cache};

/// A stored prediction with explanations of its scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedPrediction {
    /// The event.
    pub event_id: String,
    /// Its type.
    pub event_type_name: String,
    /// When the prediction was made.
    pub prediction_timestamp: String,
    /// The detector that made it.
    pub detector_id: String,
    /// The version of that detector.
    pub detector_version_id: String,
    /// The models that gave scores.
    pub models: Vec<ExplainedScore>,
    /// The rules that matched, by id.
    pub matched_rules: Vec<String>,
    /// The rules that all but one of their conditions speak for, those with the most conditions first.
    pub near_rules: Vec<NearRule>,
}

/// A rule that did not match because of one condition. Lists are those of now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearRule {
    /// The rule.
    pub rule_id: String,
    /// What it would have given.
    pub outcomes: Vec<String>,
    /// How many conditions it has.
    pub conditions: usize,
    /// The condition that was not fulfilled: `$order_price > 200`.
    pub unmet: String,
    /// The same with the values of the event: `120.0 > 200`.
    pub unmet_with_values: String,
}

/// A score, divided among the variables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedScore {
    /// The model.
    pub model_id: String,
    /// Its version, e.g. `1.0`.
    pub model_version: String,
    /// The score in the prediction.
    pub score: f64,
    /// The log-odds of fraud for this score: the sum of `expected` and all impacts. `None` if the model no longer
    /// exists.
    pub log_odds: Option<f64>,
    /// The log-odds of the average training event.
    pub expected: Option<f64>,
    /// The variables, largest impact first.
    pub variables: Vec<ExplainedVariable>,
    /// Why there is no explanation, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The impact on a score of a variable or of the entity history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedVariable {
    /// The variable, `EVENT_TIMESTAMP`, or `history of` the entity's type and the variable that it is about.
    pub name: String,
    /// The value in the event.
    pub value: Option<String>,
    /// The amount that it added to the log-odds.
    pub log_odds_impact: f64,
    /// The same impact scaled from -5 to 5, where 5 is the largest impact of all variables.
    pub relative_impact: i8,
}

/// Divides a model's score for an event among its variables.
pub(crate) async fn explain_score(
    services: &EngineServices,
    model: &BundledModel,
    prediction: &StoredPrediction,
    attribution: Attribution,
) -> Result<Explanation, UnusableModel> {
    let answers = &prediction.model_answers;
    if answers.model_scores.get(&model.version.model_id) == Some(&FIRST_LOGIN) {
        return Err(UnusableModel::FirstLogin);
    }
    let artifact = model.artifact.as_ref().ok_or(UnusableModel::NoArtifact)?;
    let scorer = services.model_cache.get_model(artifact).await?;
    let values = model_cache::list_model_values(&scorer, &prediction.event.event_variables);
    let time = Timestamp::parse(&prediction.event.event_timestamp).ok();
    let time = time.map(Timestamp::epoch_seconds);
    let history = entity_history::parse_features(&answers.history);
    Ok(scorer.explain(&values, time, &history, attribution))
}

/// Explains the newest prediction of an event, from the path through each tree or with exact Shapley values.
///
/// # Errors
/// The event has no prediction, or the engine's tables fail.
pub(crate) async fn explain_newest_prediction(
    services: &EngineServices,
    event_type: &str,
    event_id: &str,
    attribution: Attribution,
) -> Result<ExplainedPrediction> {
    let pk = event_partition(event_type, event_id);
    let newest = KeyRange::all(&pk)
        .prefix(PREDICTION_PREFIX)
        .newest_first()
        .limit(1);
    let found: Vec<StoredPrediction> = services.account.events.query(newest).await?;
    let prediction = found.into_iter().next().ok_or_else(|| {
        Error::not_found(format!(
            "There is no prediction on event '{event_id}' of event type '{event_type}'."
        ))
    })?;
    let bundles = (&prediction.version_bundle, &prediction.event_type_bundle);
    let compiled = services
        .definition_cache
        .get_compiled_detector(bundles.0, bundles.1)
        .await?;
    let mut models = Vec::new();
    for model in &compiled.version.models {
        if let Some(score) = prediction
            .model_answers
            .model_scores
            .get(&model.version.model_id)
        {
            let explained = explain_score(services, model, &prediction, attribution).await;
            models.push(make_explained_score(model, *score, explained, &prediction));
        }
    }
    let matched = list_matched_rules(&compiled, &prediction.verdicts);
    Ok(ExplainedPrediction {
        models,
        matched_rules: matched.map(|rule| rule.rule_id.clone()).collect(),
        near_rules: find_near_rules(services, &compiled, &prediction).await?,
        event_id: prediction.event.event_id,
        event_type_name: prediction.event.event_type_name,
        prediction_timestamp: prediction.prediction_timestamp,
        detector_id: prediction.detector_id,
        detector_version_id: prediction.detector_version_id,
    })
}

/// The rules that one condition kept from matching. A rule of a single condition is never near.
async fn find_near_rules(
    services: &EngineServices,
    compiled: &CompiledDetector,
    prediction: &StoredPrediction,
) -> Result<Vec<NearRule>> {
    let mut row = fill_rule_row(compiled, &prediction.event.event_variables)?;
    fill_model_answers(&prediction.model_answers, compiled, &mut row);
    let lists = services.definition_cache.load_lists(compiled).await?;
    let now_ms = Timestamp::parse(&prediction.prediction_timestamp)
        .map_or(0, |time| time.epoch_seconds().saturating_mul(1000));
    let rules = compiled.version.rules.iter().zip(&compiled.rules);
    let rules = rules.zip(prediction.verdicts.chars());
    let mut near: Vec<NearRule> = rules
        .filter(|(_, verdict)| *verdict == NOT_MATCHED)
        .filter_map(|((bundled, rule), _)| {
            let mut found = rule.unmet_conditions(&compiled.schema, &row, &lists, now_ms);
            let only = found.unmet.pop().filter(|_| found.unmet.is_empty())?;
            (found.conditions > 1).then(|| NearRule {
                rule_id: bundled.rule_id.clone(),
                outcomes: bundled.outcomes.clone(),
                conditions: found.conditions,
                unmet: only.text,
                unmet_with_values: only.with_values,
            })
        })
        .collect();
    near.sort_by_key(|rule| std::cmp::Reverse(rule.conditions));
    Ok(near)
}

fn make_explained_score(
    model: &BundledModel,
    score: f64,
    explained: Result<Explanation, UnusableModel>,
    prediction: &StoredPrediction,
) -> ExplainedScore {
    let event = &prediction.event;
    let value = |name: &str| match event.event_variables.get(name) {
        Some(value) => value.clone(),
        None => (name == EVENT_TIME).then(|| event.event_timestamp.clone()),
    };
    let (explanation, problem) = match explained {
        Ok(explanation) => (Some(explanation), None),
        Err(why) => (None, Some(why.to_string())),
    };
    let told = |name: String, value: Option<String>, impact: &Impact| ExplainedVariable {
        name,
        value,
        log_odds_impact: impact.log_odds,
        relative_impact: impact.relative,
    };
    let impacts = explanation.iter().flat_map(|found| &found.impacts);
    let impacts =
        impacts.map(|impact| told(impact.variable.clone(), value(&impact.variable), impact));
    let entity_type = event
        .entities
        .first()
        .map(|entity| entity.entity_type.as_str());
    let history_impacts = explanation.iter().flat_map(|found| &found.history);
    let history_impacts = history_impacts.map(|HistoryImpact { key, impact }| {
        let name = entity_history::format_feature_title(&entity_history::list_feature_parts(
            entity_type,
            key.as_deref(),
            &impact.variable,
        ));
        told(name, None, impact)
    });
    let mut variables: Vec<ExplainedVariable> = impacts.chain(history_impacts).collect();
    variables.sort_by(|a, b| b.log_odds_impact.abs().total_cmp(&a.log_odds_impact.abs()));
    ExplainedScore {
        model_id: model.version.model_id.clone(),
        model_version: model.version.model_version_number.to_string(),
        score,
        log_odds: explanation.as_ref().map(|found| found.score.log_odds),
        expected: explanation.as_ref().map(|found| found.expected),
        variables,
        problem,
    }
}
