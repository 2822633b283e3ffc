//! Predictions: the hot path, and the snapshots that it stores.
//!
//! A prediction is one write: an immutable snapshot of the event, of the result of every rule, and of the names of the
//! bundles that were used. Later questions about it are answered from these.

use std::collections::{BTreeMap, HashMap};

use crate::services::Services;
use crate::services::definition_cache::{Compiled, Ready};
use crate::services::entity_history::Seen;
use crate::services::external_models::DataBlob;
use crate::services::statistics::Count;
use ::rules::{Rule, Value, Verdict};
use event::Timestamp;
use futures::future::{try_join, try_join_all};
use jiff::SignedDuration;
use protocol::wire::validate_and_read_input;
use protocol::{Error, Operation, Result, text};
use serde::{Deserialize, Serialize};
use store::pinned::BundledRule;
use store::records::detector_version::Mode;
use store::records::event::{Entity, StoredEvent, Variables, event_bytes, event_partition};
use store::records::model::ModelType;
use store::records::model_version::VersionReference;
use store::records::prediction::{
    ModelAnswers, PREDICTION_SHARDS, Prediction, all_predictions, put_prediction,
};
use uuid::Uuid;

pub(crate) mod explain;
mod response_header;
pub(crate) mod verdicts;

use crate::event_check::{check_entities, invalid_time, row as event_row};
use crate::predict::verdicts::matched;
use crate::services::prediction_index::{index_partition, index_sort_key};
use crate::services::{entity_history, external_models, model_cache};
pub(crate) use explain::explain;
pub use explain::{ExplainedPrediction, ExplainedScore, ExplainedVariable};

/// The score of an account's first login, for which there is no history, as at Amazon.
const FIRST_LOGIN: f64 = -1.0;
/// How many times are tried: two predictions of one event in the same millisecond need different times.
const ATTEMPTS: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Predict {
    detector_id: String,
    detector_version_id: Option<String>,
    event_id: String,
    event_type_name: String,
    entities: Vec<Entity>,
    event_timestamp: String,
    event_variables: Variables,
    #[serde(default)]
    external_model_endpoint_data_blobs: HashMap<String, DataBlob>,
    /// The row of the batch prediction that makes the request, if one does.
    #[serde(skip)]
    pub(crate) origin: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    model_scores: Vec<ModelScores>,
    rule_results: Vec<RuleResult>,
    external_model_outputs: Vec<ExternalModelOutputs>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelScores {
    model_version: VersionReference,
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

/// Decides on an event. Returns the output, and the value of the response header.
pub(crate) async fn predict(services: &Services, input: Predict) -> Result<(Output, String)> {
    // Validation has ensured that it is a number of at most five digits.
    let version = input
        .detector_version_id
        .as_deref()
        .and_then(|version| version.parse().ok());
    let ready = services
        .definition_cache
        .ready(&input.detector_id, version)
        .await?;
    let compiled = &ready.compiled;
    check(compiled, &input)?;
    let event_timestamp = Timestamp::parse_prediction(&input.event_timestamp)
        .map_err(|error| invalid_time("eventTimestamp", &error))?;
    let mut row = row(compiled, &input.event_variables)?;
    let blobs = input.external_model_endpoint_data_blobs;
    let event = StoredEvent {
        event_id: input.event_id,
        event_type_name: input.event_type_name,
        event_timestamp: event_timestamp.to_string(),
        event_variables: input.event_variables,
        entities: input.entities,
        stored_time: String::new(),
        expires_at: services.account.expiry(),
        imported: None,
    };
    let seen = services
        .entity_histories
        .seen(&compiled.event_type, &event)
        .await?;
    let said = ask(services, compiled, &event, seen.as_ref(), &blobs).await?;
    fill_model_answers(&said, compiled, &mut row);
    let verdicts = evaluate(&ready, &row, services.account.now().as_millisecond());
    let snapshot = snapshot(services, &ready, event, said, verdicts, input.origin);
    let note = services
        .entity_histories
        .note(&compiled.event_type, seen.as_ref(), None);
    let (prediction, ()) = try_join(snapshot, note).await?;
    // A batch prediction counts what it stores itself.
    if prediction.stored && prediction.origin.is_none() {
        services.statistics.count_stored(&prediction.event).await;
    }
    let output = Output {
        model_scores: model_scores(compiled, &prediction.said),
        rule_results: matched(compiled, &prediction.verdicts)
            .map(result)
            .collect(),
        external_model_outputs: external_model_outputs(compiled, &prediction.said),
    };
    if compiled.event_type.orchestration {
        let answer = serde_json::to_value(&output).map_err(Error::internal)?;
        if let Some(bus) = &services.event_bus {
            bus.announce(told(&prediction), answer);
        }
    }
    Ok((output, response_header::header(compiled, &prediction)))
}

/// Gets the answers of the version's models. If an external model fails, the prediction fails; an external model that
/// cannot score this event is left out.
async fn ask(
    services: &Services,
    compiled: &Compiled,
    event: &StoredEvent,
    seen: Option<&Seen>,
    blobs: &HashMap<String, DataBlob>,
) -> Result<ModelAnswers> {
    let external = compiled.version.external_models.iter().map(|model| async {
        let endpoint = &model.model_endpoint;
        let outputs = external_models::ask(
            services.sagemaker.as_ref(),
            model,
            &compiled.event_type,
            &event.event_variables,
            blobs.get(endpoint),
        );
        let outputs = outputs.await?;
        Ok::<_, Error>(outputs.map(|outputs| (endpoint.clone(), outputs)))
    });
    let history = seen.map_or(&[][..], |seen| &seen.features);
    Ok(ModelAnswers {
        model_scores: scores(services, compiled, event, seen).await,
        external_model_outputs: try_join_all(external)
            .await?
            .into_iter()
            .flatten()
            .collect(),
        history: entity_history::to_text(history),
    })
}

/// The scores of the version's own models that can be computed.
async fn scores(
    services: &Services,
    compiled: &Compiled,
    event: &StoredEvent,
    seen: Option<&Seen>,
) -> BTreeMap<String, f64> {
    let mut scores = BTreeMap::new();
    let time = Timestamp::parse(&event.event_timestamp).ok();
    let time = time.map(Timestamp::epoch_seconds);
    for model in &compiled.version.models {
        let Some(artifact) = &model.artifact else {
            continue;
        };
        // The reason why a model cannot score is in the log.
        if let Ok(scorer) = services.model_cache.model(artifact).await {
            let is_first = seen.is_none_or(|seen| seen.is_first);
            let of_logins = model.version.model_type == ModelType::AccountTakeoverInsights;
            let score = if of_logins && is_first {
                FIRST_LOGIN
            } else {
                let history = seen.map_or(&[][..], |seen| &seen.features);
                let values = model_cache::values(&scorer, &event.event_variables);
                scorer.score(&values, time, history).score
            };
            scores.insert(model.version.model_id.clone(), score);
        }
    }
    scores
}

/// Words in the names of outcomes that stop an order. Whether such an order would have been fraud is never known.
const STOPPED: &[&str] = &[
    "block", "blocked", "decline", "declined", "deny", "denied", "reject", "rejected",
];

/// Whether a prediction had an outcome whose name says that it stops an order, such as `block` or `auto_decline`.
pub(crate) async fn was_blocked(services: &Services, prediction: &Prediction) -> Result<bool> {
    let bundles = (&prediction.version_bundle, &prediction.event_type_bundle);
    let compiled = services
        .definition_cache
        .compiled(bundles.0, bundles.1)
        .await?;
    let stops = |outcome: &String| {
        let mut words = outcome.split(['_', '-']);
        words.any(|word| STOPPED.contains(&word))
    };
    let mut outcomes = matched(&compiled, &prediction.verdicts).flat_map(|rule| &rule.outcomes);
    Ok(outcomes.any(stops))
}

/// Puts the answers of models into the row that rules read.
pub(crate) fn fill_model_answers(answers: &ModelAnswers, compiled: &Compiled, row: &mut [Value]) {
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
            set(&variable.name, external_models::value(variable, cell));
        }
    }
}

fn model_scores(compiled: &Compiled, said: &ModelAnswers) -> Vec<ModelScores> {
    let models = compiled.version.models.iter();
    models
        .filter_map(|model| {
            let score = said.model_scores.get(&model.version.model_id)?;
            Some(ModelScores {
                model_version: model.version.clone(),
                scores: BTreeMap::from([(model.score.name.clone(), *score)]),
            })
        })
        .collect()
}

fn external_model_outputs(compiled: &Compiled, said: &ModelAnswers) -> Vec<ExternalModelOutputs> {
    let models = compiled.version.external_models.iter();
    models
        .filter_map(|model| {
            let outputs = said.external_model_outputs.get(&model.model_endpoint)?;
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

impl Predict {
    /// The count of its event for the statistics.
    pub(crate) fn count(&self) -> Count {
        let bytes = event_bytes(&self.event_id, &self.event_variables);
        Count::stored(bytes, &self.event_timestamp)
    }
}

/// Deletes the prediction of a job's row, which was not counted yet, so that the row can be predicted again.
pub(crate) async fn take_back(services: &Services, input: &Predict, origin: &str) -> Result<()> {
    let pk = event_partition(&input.event_type_name, &input.event_id);
    for prediction in all_predictions(&services.account, &pk).await? {
        if prediction.origin.as_deref() == Some(origin) {
            services.account.events.delete(&prediction.key()).await?;
        }
    }
    Ok(())
}

/// A prediction as it is published on the event bus.
fn told(prediction: &Prediction) -> serde_json::Value {
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

fn check(compiled: &Compiled, input: &Predict) -> Result<()> {
    let event_type = &compiled.event_type;
    if input.event_type_name != event_type.name {
        return Err(Error::validation(format!(
            "Detector '{}' decides on event type '{}', not on '{}'.",
            input.detector_id, event_type.name, input.event_type_name
        )));
    }
    check_entities(event_type, &input.entities)
}

pub(crate) fn row(compiled: &Compiled, variables: &Variables) -> Result<Vec<Value>> {
    let slot = |name: &str| compiled.schema.slot(name);
    event_row(
        &compiled.event_type,
        compiled.defaults.clone(),
        variables,
        slot,
    )
}

fn evaluate(ready: &Ready, row: &[Value], now_ms: i64) -> String {
    let first = ready.compiled.version.mode == Mode::FirstMatched;
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

fn result(rule: &BundledRule) -> RuleResult {
    RuleResult {
        rule_id: rule.rule_id.clone(),
        outcomes: rule.outcomes.clone(),
    }
}

/// Writes the prediction at the first millisecond at which this event has no other prediction.
async fn snapshot(
    services: &Services,
    ready: &Ready,
    event: StoredEvent,
    said: ModelAnswers,
    verdicts: String,
    origin: Option<String>,
) -> Result<Prediction> {
    let version = &ready.compiled.version;
    let mut prediction = Prediction {
        event,
        prediction_timestamp: String::new(),
        detector_id: version.detector_id.clone(),
        detector_version_id: version.detector_version_id.to_string(),
        detector_version_status: ready.status,
        version_bundle: ready.version_bundle.clone(),
        event_type_bundle: ready.event_type_bundle.clone(),
        verdicts,
        said,
        stored: ready.compiled.event_type.ingestion,
        attempt: Uuid::new_v4().simple().to_string(),
        origin,
        gsi1pk: String::new(),
        gsi1sk: String::new(),
    };
    let mut time = services.account.now();
    for _ in 0..ATTEMPTS {
        services.prediction_index.note_day(time).await?;
        stamp(&mut prediction, time);
        if put_prediction(&services.account, &prediction).await? {
            return Ok(prediction);
        }
        time = time
            .saturating_add(SignedDuration::from_millis(1))
            .unwrap_or(time);
    }
    Err(Error::new(
        protocol::Code::Throttling,
        "Rate exceeded: too many predictions of one event at once.",
    ))
}

fn stamp(prediction: &mut Prediction, time: jiff::Timestamp) {
    let timestamp = text::milliseconds(time);
    let shard = prediction.attempt.bytes().next().unwrap_or_default() % PREDICTION_SHARDS;
    let StoredEvent {
        event_type_name,
        event_id,
        ..
    } = &prediction.event;
    prediction.gsi1pk = index_partition(&text::day(time), shard);
    prediction.gsi1sk = index_sort_key(&timestamp, event_type_name, event_id);
    prediction.event.stored_time.clone_from(&timestamp);
    prediction.prediction_timestamp = timestamp;
}

/// Makes the prediction for one row of a batch prediction, named by `origin`, and returns what it stores, which the job
/// counts. If the row may have been predicted before (`again`), the earlier prediction is deleted first.
pub(crate) async fn predict_for_job(
    services: &Services,
    input: &serde_json::Value,
    origin: String,
    again: bool,
) -> Result<(serde_json::Value, Count)> {
    let mut input: Predict = validate_and_read_input(Operation::GetEventPrediction, input)?;
    if again {
        take_back(services, &input, &origin).await?;
    }
    input.origin = Some(origin);
    let count = input.count();
    let (output, _) = predict(services, input).await?;
    let output = serde_json::to_value(&output).map_err(Error::internal)?;
    Ok((output, count))
}
