//! Predictions: the hot path, and the snapshots that it stores.
//!
//! A prediction is one item: an immutable snapshot of the event, of the result of every rule, and of the names of the
//! bundles that were used. Later questions about it are answered from these. It is stored before the client gets its
//! answer, or held back for a caller in the same process that stores many at once.

use std::collections::{BTreeMap, HashMap};

use ::rules::{Rule, Value, Verdict};
use event::Timestamp;
use futures::future::try_join_all;
use protocol::wire::validate_and_read_input;
use protocol::{Error, Operation, Result, text};
use serde::{Deserialize, Serialize};
use store::pinned_bundles::BundledRule;
use store::records::detector_version::RuleExecutionMode;
use store::records::entity_history::is_nobody;
use store::records::event::{
    EventEntity, EventVariables, StoredEvent, count_event_bytes, event_partition,
};
use store::records::model::ApiModelType;
use store::records::model_version::ModelVersionReference;
use store::records::prediction::{
    ModelAnswers, PREDICTION_SHARDS, StoredPrediction, list_predictions, put_predictions,
};
use uuid::Uuid;

use crate::event_check::{check_entities, fill_event_row, invalid_time_error};
use crate::predict::shadow::{SeenEvent, judge_beside};
use crate::predict::verdicts::list_matched_rules;
use crate::services::definition_cache::{CompiledDetector, ReadyDetector};
use crate::services::entity_history::EventInHistory;
use crate::services::external_models::DataBlob;
use crate::services::prediction_buffer::NewPrediction;
use crate::services::prediction_index::{make_index_sort_key, name_index_partition};
use crate::services::statistics::EventCount;
use crate::services::{EngineServices, entity_history, external_models, model_cache};

pub(crate) mod explain;
mod response_header;
mod shadow;
pub(crate) mod verdicts;

pub(crate) use explain::explain_newest_prediction;
pub use explain::{ExplainedPrediction, ExplainedScore, ExplainedVariable, NearRule};
pub use shadow::ShadowDecision;
pub(crate) use shadow::find_shadow_decision;

/// The score of an account's first login, for which there is no history, as at Amazon.
const FIRST_LOGIN: f64 = -1.0;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetEventPredictionInput {
    detector_id: String,
    detector_version_id: Option<String>,
    event_id: String,
    event_type_name: String,
    entities: Vec<EventEntity>,
    event_timestamp: String,
    event_variables: EventVariables,
    #[serde(default)]
    external_model_endpoint_data_blobs: HashMap<String, DataBlob>,
    /// The row of the batch prediction that makes the request, if one does.
    #[serde(skip)]
    pub(crate) origin: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetEventPredictionOutput {
    model_scores: Vec<ModelScores>,
    rule_results: Vec<RuleResult>,
    external_model_outputs: Vec<ExternalModelOutputs>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelScores {
    model_version: ModelVersionReference,
    scores: BTreeMap<String, f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalModelOutputs {
    external_model: ExternalModelSummary,
    outputs: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalModelSummary {
    model_endpoint: String,
    model_source: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleResult {
    rule_id: String,
    outcomes: Vec<String>,
}

/// Decides on an event, and stores the prediction. Returns the output, and the value of the response header.
pub(crate) async fn predict_event(
    services: &EngineServices,
    input: GetEventPredictionInput,
) -> Result<(GetEventPredictionOutput, String)> {
    let made = make_prediction(services, input).await?;
    let stored = store_predictions(services, vec![made.prediction]).await;
    match stored.into_iter().next() {
        None => Ok((made.output, made.header)),
        Some((_, error)) => Err(error),
    }
}

/// Decides on an event, and holds the prediction back until it is taken for its event.
pub(crate) async fn predict_and_hold(
    services: &EngineServices,
    input: GetEventPredictionInput,
) -> Result<(GetEventPredictionOutput, String)> {
    let made = make_prediction(services, input).await?;
    services.prediction_buffer.hold(made.prediction);
    Ok((made.output, made.header))
}

/// A prediction with what its client gets.
struct MadePrediction {
    prediction: NewPrediction,
    output: GetEventPredictionOutput,
    header: String,
}

async fn make_prediction(
    services: &EngineServices,
    input: GetEventPredictionInput,
) -> Result<MadePrediction> {
    // Validation has ensured that it is a number of at most five digits.
    let version = input
        .detector_version_id
        .as_deref()
        .and_then(|version| version.parse().ok());
    let live = services
        .definition_cache
        .get_ready_detector(&input.detector_id, version)
        .await?;
    let ready = live.choose_for_entity(input.entity_of_rollout());
    let compiled = &ready.compiled;
    check_prediction_input(compiled, &input)?;
    let event_timestamp = parse_prediction_time(&input.event_timestamp)?;
    let mut row = fill_rule_row(compiled, &input.event_variables)?;
    let blobs = &input.external_model_endpoint_data_blobs;
    let event = StoredEvent {
        event_id: input.event_id,
        event_type_name: input.event_type_name,
        event_timestamp: event_timestamp.to_string(),
        event_variables: input.event_variables,
        entities: input.entities,
        stored_time: String::new(),
        expires_at: services.account.new_expiry(),
        imported: None,
    };
    let in_history = services
        .entity_histories
        .load_history_before(&compiled.event_type, &event)
        .await?;
    let answers = ask_models(services, compiled, &event, in_history.as_ref(), blobs).await?;
    fill_model_answers(&answers, compiled, &mut row);
    let time = services.account.now();
    let verdicts = evaluate_rules(ready, &row, time.as_millisecond());
    let seen = SeenEvent {
        event: &event,
        in_history: in_history.as_ref(),
        answers: &answers,
        now_ms: time.as_millisecond(),
        is_live: input.origin.is_none(),
    };
    let shadow = judge_beside(services, &live, compiled, &seen).await?;
    services.prediction_index.note_day(time).await?;
    services
        .entity_histories
        .add_event(&compiled.event_type, in_history.as_ref(), None)
        .await?;
    let mut stored = make_stored_prediction(ready, event, answers, verdicts, input.origin, time);
    stored.shadow = shadow;
    let output = GetEventPredictionOutput {
        model_scores: list_model_scores(compiled, &stored.model_answers),
        rule_results: list_matched_rules(compiled, &stored.verdicts)
            .map(make_rule_result)
            .collect(),
        external_model_outputs: list_external_model_outputs(compiled, &stored.model_answers),
    };
    let is_published = compiled.event_type.orchestration && services.event_bus.is_some();
    let published_answer = is_published.then(|| serde_json::to_value(&output));
    Ok(MadePrediction {
        header: response_header::write_prediction_header(compiled, &stored),
        output,
        prediction: NewPrediction {
            stored,
            published_answer: published_answer.transpose().map_err(Error::internal)?,
        },
    })
}

fn parse_prediction_time(text: &str) -> Result<Timestamp> {
    Timestamp::parse_prediction(text).map_err(|error| invalid_time_error("eventTimestamp", &error))
}

/// Stores predictions of different events, then counts and publishes those that were stored. Returns the others, by
/// their place in `predictions`, each with the reason.
pub(crate) async fn store_predictions(
    services: &EngineServices,
    predictions: Vec<NewPrediction>,
) -> Vec<(usize, Error)> {
    let (records, answers): (Vec<StoredPrediction>, Vec<_>) = predictions
        .into_iter()
        .map(|prediction| (prediction.stored, prediction.published_answer))
        .unzip();
    let mut unwritten = put_predictions(&services.account, &records).await;
    let mut failed = Vec::new();
    for (place, (record, answer)) in records.iter().zip(answers).enumerate() {
        if let Some(error) = unwritten.remove(&record.key()) {
            failed.push((place, error));
            continue;
        }
        // A batch prediction counts what it stores itself.
        if record.stored && record.origin.is_none() {
            services.statistics.count_stored(&record.event).await;
        }
        if let (Some(bus), Some(answer)) = (&services.event_bus, answer) {
            bus.publish_prediction(make_bus_event(record), answer);
        }
    }
    failed
}

/// Gets the answers of the version's models. If an external model fails, the prediction fails; an external model that
/// cannot score this event is left out.
async fn ask_models(
    services: &EngineServices,
    compiled: &CompiledDetector,
    event: &StoredEvent,
    in_history: Option<&EventInHistory>,
    blobs: &HashMap<String, DataBlob>,
) -> Result<ModelAnswers> {
    let external = compiled.version.external_models.iter().map(|model| async {
        let endpoint = &model.model_endpoint;
        let outputs = external_models::ask_endpoint(
            services.sagemaker.as_ref(),
            model,
            &compiled.event_type,
            &event.event_variables,
            blobs.get(endpoint),
        );
        let outputs = outputs.await?;
        Ok::<_, Error>(outputs.map(|outputs| (endpoint.clone(), outputs)))
    });
    let history = in_history.map_or(&[][..], |in_history| &in_history.features);
    Ok(ModelAnswers {
        model_scores: score_models(services, compiled, event, in_history).await,
        external_model_outputs: try_join_all(external)
            .await?
            .into_iter()
            .flatten()
            .collect(),
        history: entity_history::format_features(history),
    })
}

/// The scores of the version's own models that can be computed.
async fn score_models(
    services: &EngineServices,
    compiled: &CompiledDetector,
    event: &StoredEvent,
    in_history: Option<&EventInHistory>,
) -> BTreeMap<String, f64> {
    let mut scores = BTreeMap::new();
    let time = Timestamp::parse(&event.event_timestamp).ok();
    let time = time.map(Timestamp::epoch_seconds);
    for model in &compiled.version.models {
        let Some(artifact) = &model.artifact else {
            continue;
        };
        // The reason why a model cannot score is in the log.
        if let Ok(scorer) = services.model_cache.get_model(artifact).await {
            let is_first = in_history.is_none_or(|in_history| in_history.is_first);
            let of_logins = model.version.model_type == ApiModelType::AccountTakeoverInsights;
            let score = if of_logins && is_first {
                FIRST_LOGIN
            } else {
                let history = in_history.map_or(&[][..], |in_history| &in_history.features);
                let values = model_cache::list_model_values(&scorer, &event.event_variables);
                scorer.score(&values, time, history).score
            };
            scores.insert(model.version.model_id.clone(), score);
        }
    }
    scores
}

/// Words in the names of outcomes that stop an order. Whether such an order would have been fraud is never known.
const STOPPING_WORDS: &[&str] = &[
    "block", "blocked", "decline", "declined", "deny", "denied", "reject", "rejected",
];

/// Whether a prediction had an outcome whose name says that it stops an order, such as `block` or `auto_decline`.
pub(crate) async fn was_blocked(
    services: &EngineServices,
    prediction: &StoredPrediction,
) -> Result<bool> {
    let bundles = (&prediction.version_bundle, &prediction.event_type_bundle);
    let compiled = services
        .definition_cache
        .get_compiled_detector(bundles.0, bundles.1)
        .await?;
    let stops = |outcome: &String| {
        let mut words = outcome.split(['_', '-']);
        words.any(|word| STOPPING_WORDS.contains(&word))
    };
    let mut outcomes =
        list_matched_rules(&compiled, &prediction.verdicts).flat_map(|rule| &rule.outcomes);
    Ok(outcomes.any(stops))
}

/// Puts the answers of models into the row that rules read.
pub(crate) fn fill_model_answers(
    answers: &ModelAnswers,
    compiled: &CompiledDetector,
    row: &mut [Value],
) {
    let mut set = |name: &str, value: Value| {
        if let Some(slot) = compiled.schema.slot(name) {
            row[slot] = value;
        }
    };
    for model in &compiled.version.models {
        if let Some(score) = answers.model_scores.get(&model.version.model_id) {
            set(&model.score.name, Value::Float(*score));
        }
    }
    for model in &compiled.version.external_models {
        let cells = answers.external_model_outputs.get(&model.model_endpoint);
        for variable in &model.variables {
            let cell = cells.and_then(|cells| cells.get(&variable.name));
            set(&variable.name, external_models::parse_cell(variable, cell));
        }
    }
}

fn list_model_scores(compiled: &CompiledDetector, answers: &ModelAnswers) -> Vec<ModelScores> {
    let models = compiled.version.models.iter();
    models
        .filter_map(|model| {
            let score = answers.model_scores.get(&model.version.model_id)?;
            Some(ModelScores {
                model_version: model.version.clone(),
                scores: BTreeMap::from([(model.score.name.clone(), *score)]),
            })
        })
        .collect()
}

fn list_external_model_outputs(
    compiled: &CompiledDetector,
    answers: &ModelAnswers,
) -> Vec<ExternalModelOutputs> {
    let models = compiled.version.external_models.iter();
    models
        .filter_map(|model| {
            let outputs = answers.external_model_outputs.get(&model.model_endpoint)?;
            Some(ExternalModelOutputs {
                external_model: ExternalModelSummary {
                    model_endpoint: model.model_endpoint.clone(),
                    model_source: model.model_source.clone(),
                },
                outputs: outputs.clone(),
            })
        })
        .collect()
}

impl GetEventPredictionInput {
    /// Whose bucket decides whether a version with a share judges: the first entity that is known, or else the event.
    fn entity_of_rollout(&self) -> &str {
        let mut ids = self.entities.iter().map(|entity| entity.entity_id.as_str());
        ids.find(|id| !is_nobody(id)).unwrap_or(&self.event_id)
    }

    /// The count of its event for the statistics.
    pub(crate) fn event_count(&self) -> EventCount {
        let bytes = count_event_bytes(&self.event_id, &self.event_variables);
        EventCount::of_stored_event(bytes, &self.event_timestamp)
    }
}

/// Deletes the prediction of a job's row, which was not counted yet, so that the row can be predicted again.
pub(crate) async fn delete_uncounted_prediction(
    services: &EngineServices,
    input: &GetEventPredictionInput,
    origin: &str,
) -> Result<()> {
    let pk = event_partition(&input.event_type_name, &input.event_id);
    for prediction in list_predictions(&services.account, &pk).await? {
        if prediction.origin.as_deref() == Some(origin) {
            services.account.events.delete(&prediction.key()).await?;
        }
    }
    Ok(())
}

/// A prediction as it is published on the event bus.
fn make_bus_event(prediction: &StoredPrediction) -> serde_json::Value {
    let StoredEvent {
        event_id,
        event_type_name,
        event_timestamp,
        event_variables,
        entities,
        ..
    } = &prediction.event;
    serde_json::json!({
        "eventId": event_id,
        "eventTypeName": event_type_name,
        "eventTimestamp": event_timestamp,
        "entities": entities,
        "eventVariables": event_variables,
        "detectorId": prediction.detector_id,
        "detectorVersionId": prediction.detector_version_id,
        "predictionTimestamp": prediction.prediction_timestamp,
    })
}

fn check_prediction_input(
    compiled: &CompiledDetector,
    input: &GetEventPredictionInput,
) -> Result<()> {
    let event_type = &compiled.event_type;
    if input.event_type_name != event_type.name {
        return Err(Error::validation(format!(
            "Detector '{}' decides on event type '{}', not on '{}'.",
            input.detector_id, event_type.name, input.event_type_name
        )));
    }
    check_entities(event_type, &input.entities)
}

pub(crate) fn fill_rule_row(
    compiled: &CompiledDetector,
    variables: &EventVariables,
) -> Result<Vec<Value>> {
    let slot = |name: &str| compiled.schema.slot(name);
    fill_event_row(
        &compiled.event_type,
        compiled.defaults.clone(),
        variables,
        slot,
    )
}

fn evaluate_rules(ready: &ReadyDetector, row: &[Value], now_ms: i64) -> String {
    let first = ready.compiled.version.mode == RuleExecutionMode::FirstMatched;
    let mut done = false;
    let letter = |rule: &Rule| {
        if done {
            return verdicts::NOT_EVALUATED;
        }
        match rule.evaluate(row, &ready.lists, now_ms) {
            Verdict::Matched => {
                done = first;
                verdicts::MATCHED
            }
            Verdict::NotMatched => verdicts::NOT_MATCHED,
            Verdict::Undetermined => verdicts::UNDETERMINED,
        }
    };
    ready.compiled.rules.iter().map(letter).collect()
}

fn make_rule_result(rule: &BundledRule) -> RuleResult {
    RuleResult {
        rule_id: rule.rule_id.clone(),
        outcomes: rule.outcomes.clone(),
    }
}

fn make_stored_prediction(
    ready: &ReadyDetector,
    mut event: StoredEvent,
    answers: ModelAnswers,
    verdicts: String,
    origin: Option<String>,
    time: jiff::Timestamp,
) -> StoredPrediction {
    let version = &ready.compiled.version;
    let attempt = Uuid::new_v4();
    let shard = attempt.as_bytes()[0] % PREDICTION_SHARDS;
    let attempt = attempt.simple().to_string();
    let timestamp = text::format_milliseconds(time);
    event.stored_time.clone_from(&timestamp);
    StoredPrediction {
        detector_id: version.detector_id.clone(),
        detector_version_id: version.detector_version_id.to_string(),
        detector_version_status: ready.status,
        version_bundle: ready.version_bundle.clone(),
        event_type_bundle: ready.event_type_bundle.clone(),
        verdicts,
        model_answers: answers,
        stored: ready.compiled.event_type.ingestion,
        origin,
        gsi1pk: name_index_partition(&text::format_day(time), shard),
        gsi1sk: make_index_sort_key(
            &timestamp,
            &event.event_type_name,
            &event.event_id,
            &attempt,
        ),
        event,
        attempt,
        prediction_timestamp: timestamp,
        shadow: None,
    }
}

/// Makes the prediction for one row of a batch prediction, named by `origin`, and returns what it stores, which the job
/// counts. If the row may have been predicted before (`again`), the earlier prediction is deleted first.
pub(crate) async fn predict_for_job(
    services: &EngineServices,
    input: &serde_json::Value,
    origin: String,
    again: bool,
) -> Result<(serde_json::Value, EventCount)> {
    let mut input: GetEventPredictionInput =
        validate_and_read_input(Operation::GetEventPrediction, input)?;
    if again {
        delete_uncounted_prediction(services, &input, &origin).await?;
    }
    input.origin = Some(origin);
    let count = input.event_count();
    let (output, _) = predict_event(services, input).await?;
    let output = serde_json::to_value(&output).map_err(Error::internal)?;
    Ok((output, count))
}
