//! How one stored prediction was made: its rules, models and values.

use std::collections::BTreeMap;

use ::rules::Value;
use model::{Attribution, HistoryImpact};
use protocol::{Error, Result};
use serde::{Deserialize, Serialize};
use store::pinned_bundles::BundledRule;
use store::records::detector_version::{DetectorVersionStatus, RuleExecutionMode};
use store::records::event::event_partition;
use store::records::model_version::BundledModel;
use store::records::prediction::{StoredPrediction, list_predictions_made_at};

use crate::event_check::parse_request_time;
use crate::predict;
use crate::predict::explain::explain_score;
use crate::predict::fill_model_answers;
use crate::predict::verdicts::{self as letters, list_matched_rules};
use crate::services::definition_cache::CompiledDetector;
use crate::services::{EngineServices, entity_history, external_models};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetEventPredictionMetadataInput {
    event_id: String,
    event_type_name: String,
    detector_id: String,
    detector_version_id: String,
    prediction_timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetEventPredictionMetadataOutput {
    event_id: String,
    event_type_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_type: Option<String>,
    event_timestamp: String,
    detector_id: String,
    detector_version_id: String,
    detector_version_status: DetectorVersionStatus,
    event_variables: Vec<EventVariableSummary>,
    rules: Vec<EvaluatedRule>,
    rule_execution_mode: RuleExecutionMode,
    outcomes: Vec<String>,
    evaluated_model_versions: Vec<EvaluatedModelVersion>,
    evaluated_external_models: Vec<EvaluatedExternalModel>,
    prediction_timestamp: String,
}

/// A model version that gave a score, with the score.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EvaluatedModelVersion {
    model_id: String,
    model_version: String,
    model_type: &'static str,
    evaluations: Vec<ModelVersionEvaluation>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelVersionEvaluation {
    output_variable_name: String,
    evaluation_score: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction_explanations: Option<PredictionExplanations>,
}

/// The impact of each variable on the score.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PredictionExplanations {
    variable_impact_explanations: Vec<VariableImpactExplanation>,
    /// The impact of the entity history: the entity type, and the variable that it is about.
    aggregated_variables_impact_explanations: Vec<AggregatedImpact>,
}

/// The combined impact of several variables on the score.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedImpact {
    event_variable_names: Vec<String>,
    relative_impact: String,
    log_odds_impact: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VariableImpactExplanation {
    event_variable_name: String,
    /// A whole number from -5 to 5.
    relative_impact: String,
    log_odds_impact: f64,
}

/// An external model that answered: its input and its answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EvaluatedExternalModel {
    model_endpoint: String,
    use_event_variables: bool,
    input_variables: BTreeMap<String, String>,
    output_variables: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct EventVariableSummary {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    source: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EvaluatedRule {
    rule_id: String,
    rule_version: String,
    expression: String,
    expression_with_values: String,
    outcomes: Vec<String>,
    evaluated: bool,
    matched: bool,
}

/// Shows a prediction with its rules as they were, and the result of each.
pub(crate) async fn get_event_prediction_metadata(
    services: &EngineServices,
    input: GetEventPredictionMetadataInput,
) -> Result<GetEventPredictionMetadataOutput> {
    let timestamp = parse_request_time("predictionTimestamp", &input.prediction_timestamp)?;
    let pk = event_partition(&input.event_type_name, &input.event_id);
    let found = list_predictions_made_at(&services.account, &pk, &timestamp).await?;
    let found = found.into_iter().find(|prediction| {
        prediction.detector_id == input.detector_id
            && prediction.detector_version_id == input.detector_version_id
    });
    let prediction = found.ok_or_else(|| {
        Error::not_found(format!(
            "Version {} of detector '{}' made no prediction on event '{}' of event type '{}' at {timestamp}.",
            input.detector_version_id, input.detector_id, input.event_id, input.event_type_name
        ))
    })?;
    let bundles = (&prediction.version_bundle, &prediction.event_type_bundle);
    let compiled = services
        .definition_cache
        .get_compiled_detector(bundles.0, bundles.1)
        .await?;
    let evaluated = evaluate_model_versions(services, &compiled, &prediction).await;
    render_metadata(&compiled, prediction, evaluated)
}

fn render_metadata(
    compiled: &CompiledDetector,
    prediction: StoredPrediction,
    evaluated_model_versions: Vec<EvaluatedModelVersion>,
) -> Result<GetEventPredictionMetadataOutput> {
    let mut row = predict::fill_rule_row(compiled, &prediction.event.event_variables)?;
    fill_model_answers(&prediction.model_answers, compiled, &mut row);
    let evaluated_external_models = list_evaluated_external_models(compiled, &prediction);
    let rules = list_evaluated_rules(compiled, &prediction.verdicts, &row);
    let outcomes = list_matched_outcomes(compiled, &prediction.verdicts);
    let entity = prediction.event.entities.into_iter().next();
    let (entity_id, entity_type) = entity
        .map(|entity| (entity.entity_id, entity.entity_type))
        .unzip();
    let variables = prediction.event.event_variables.into_iter();
    Ok(GetEventPredictionMetadataOutput {
        event_id: prediction.event.event_id,
        event_type_name: prediction.event.event_type_name,
        entity_id,
        entity_type,
        event_timestamp: prediction.event.event_timestamp,
        detector_id: prediction.detector_id,
        detector_version_id: prediction.detector_version_id,
        detector_version_status: prediction.detector_version_status,
        event_variables: variables
            .map(|(name, value)| EventVariableSummary {
                name,
                value,
                source: "EVENT",
            })
            .collect(),
        rules,
        rule_execution_mode: compiled.version.mode,
        outcomes,
        evaluated_model_versions,
        evaluated_external_models,
        prediction_timestamp: prediction.prediction_timestamp,
    })
}

async fn evaluate_model_versions(
    services: &EngineServices,
    compiled: &CompiledDetector,
    prediction: &StoredPrediction,
) -> Vec<EvaluatedModelVersion> {
    let mut evaluated = Vec::new();
    for model in &compiled.version.models {
        let Some(score) = prediction
            .model_answers
            .model_scores
            .get(&model.version.model_id)
        else {
            continue;
        };
        evaluated.push(EvaluatedModelVersion {
            model_id: model.version.model_id.clone(),
            model_version: model.version.model_version_number.to_string(),
            model_type: model.version.model_type.name(),
            evaluations: vec![ModelVersionEvaluation {
                output_variable_name: model.score.name.clone(),
                evaluation_score: format!("{score:?}"),
                prediction_explanations: explain_model_score(services, model, prediction).await,
            }],
        });
    }
    evaluated
}

/// Explains a score. A model that is deleted or had no input gives no explanation.
async fn explain_model_score(
    services: &EngineServices,
    model: &BundledModel,
    prediction: &StoredPrediction,
) -> Option<PredictionExplanations> {
    let explanation = explain_score(services, model, prediction, Attribution::default())
        .await
        .ok()?;
    let impacts = explanation.impacts.into_iter();
    let entity_type = prediction.event.entities.first();
    let entity_type = entity_type.map(|entity| entity.entity_type.as_str());
    let of_entity = explanation.history.into_iter();
    Some(PredictionExplanations {
        variable_impact_explanations: impacts
            .map(|impact| VariableImpactExplanation {
                event_variable_name: impact.variable,
                relative_impact: impact.relative.to_string(),
                log_odds_impact: impact.log_odds,
            })
            .collect(),
        aggregated_variables_impact_explanations: of_entity
            .map(|HistoryImpact { key, impact }| AggregatedImpact {
                event_variable_names: entity_history::list_feature_parts(
                    entity_type,
                    key.as_deref(),
                    &impact.variable,
                ),
                relative_impact: impact.relative.to_string(),
                log_odds_impact: impact.log_odds,
            })
            .collect(),
    })
}

fn list_evaluated_external_models(
    compiled: &CompiledDetector,
    prediction: &StoredPrediction,
) -> Vec<EvaluatedExternalModel> {
    let models = compiled.version.external_models.iter();
    models
        .filter_map(|model| {
            let outputs = &prediction.model_answers.external_model_outputs;
            let variables = &prediction.event.event_variables;
            Some(EvaluatedExternalModel {
                output_variables: outputs.get(&model.model_endpoint)?.clone(),
                model_endpoint: model.model_endpoint.clone(),
                use_event_variables: model.input.use_event_variables,
                input_variables: external_models::list_endpoint_inputs(
                    model,
                    &compiled.event_type,
                    variables,
                ),
            })
        })
        .collect()
}

fn list_evaluated_rules(
    compiled: &CompiledDetector,
    verdicts: &str,
    row: &[Value],
) -> Vec<EvaluatedRule> {
    let bundled = compiled
        .version
        .rules
        .iter()
        .zip(&compiled.rules)
        .zip(verdicts.chars());
    bundled
        .map(|((bundled, rule), verdict)| {
            let BundledRule {
                rule_id,
                rule_version,
                expression,
                outcomes,
                ..
            } = bundled.clone();
            EvaluatedRule {
                rule_id,
                rule_version: rule_version.to_string(),
                expression,
                expression_with_values: rule.with_values(row),
                outcomes,
                evaluated: verdict != letters::NOT_EVALUATED,
                matched: verdict == letters::MATCHED,
            }
        })
        .collect()
}

/// The outcomes of the rules that matched, in order and without duplicates.
fn list_matched_outcomes(compiled: &CompiledDetector, verdicts: &str) -> Vec<String> {
    let mut outcomes: Vec<String> = Vec::new();
    for outcome in list_matched_rules(compiled, verdicts).flat_map(|rule| &rule.outcomes) {
        if !outcomes.contains(outcome) {
            outcomes.push(outcome.clone());
        }
    }
    outcomes
}
