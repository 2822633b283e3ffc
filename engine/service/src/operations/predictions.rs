//! Predictions: the hot path, and the history it leaves.
//!
//! A prediction is one write: an immutable snapshot of the event, of what every rule said, and of
//! the bundles that said it. What a person later asks about it is worked out from those.

use std::collections::{BTreeMap, HashMap};

use ::rules::{Rule, Value, Verdict};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use event::Timestamp;
use futures::future::{try_join, try_join_all};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Status;
use super::events::{self, Entity, StoredEvent, Variables};
use super::models::{ModelType, VersionReference};
use crate::bundle::{BundleReference, BundledRule, Compiled, Mode};
use crate::cache::Ready;
use crate::endpoints::{self, DataBlob};
use crate::engine::Engine;
use crate::habits::{self, Seen};
use crate::scorers;
use crate::statistics::Count;
use crate::store::{self, Item, Key, Range, failed};
use protocol::text;
use protocol::{Error, Result};

mod before;
mod explain;
mod history;
mod how;

pub(crate) use before::get_prediction;
pub use explain::{ExplainedPrediction, ExplainedScore, ExplainedVariable};
pub(crate) use history::{NotedDay, list, metadata};

/// The score of an account's first log-in, of which no habit tells anything, as at Amazon.
const FIRST_LOGIN: f64 = -1.0;
/// Two predictions of one event in one millisecond get different times; so many are tried.
const ATTEMPTS: usize = 50;
/// The shards of a day in the index of predictions.
pub(crate) const SHARDS: u8 = 8;

/// What the evaluation of a version's rules came to, a letter per rule.
mod verdicts {
    pub(super) const MATCHED: char = 'm';
    pub(super) const NOT_MATCHED: char = 'n';
    pub(super) const UNDETERMINED: char = 'u';
    /// `FIRST_MATCHED` had its match before.
    pub(super) const NOT_EVALUATED: char = '-';
}

/// A prediction as stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prediction {
    #[serde(flatten)]
    pub(crate) event: StoredEvent,
    pub(crate) prediction_timestamp: String,
    detector_id: String,
    detector_version_id: String,
    detector_version_status: Status,
    version_bundle: BundleReference,
    event_type_bundle: BundleReference,
    verdicts: String,
    /// What the version's models said.
    #[serde(default, flatten)]
    said: Said,
    /// Whether its event counts as stored: whether ingestion was ENABLED.
    pub(crate) stored: bool,
    /// Tells our own write, sent again by the SDK, from another's.
    attempt: String,
    /// The row of the job that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    gsi1pk: String,
    gsi1sk: String,
}

/// What the models of a version said of an event.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    /// The score of each model; one that could not be computed is not there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    model_scores: BTreeMap<String, f64>,
    /// The cells of each external model's answer, as they were, by variable; one that could not
    /// tell of the event is not there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    external_model_outputs: BTreeMap<String, BTreeMap<String, String>>,
    /// What the entity's history said of the event.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    history: String,
}

const PREFIX: &str = "prediction#";

impl Prediction {
    pub(crate) fn key(&self) -> Key {
        let StoredEvent {
            event_type_name,
            event_id,
            ..
        } = &self.event;
        key(event_type_name, event_id, &self.prediction_timestamp)
    }
}

fn key(event_type: &str, event_id: &str, timestamp: &str) -> Key {
    Key::new(
        events::partition(event_type, event_id),
        format!("{PREFIX}{timestamp}"),
    )
}

/// Every prediction of an event, oldest first.
pub(crate) async fn all(engine: &Engine, pk: &str) -> Result<Vec<Prediction>> {
    engine.events.query(Range::all(pk).prefix(PREFIX)).await
}

/// The newest prediction whose event counts as stored.
pub(crate) async fn newest_stored(engine: &Engine, pk: &str) -> Result<Option<Prediction>> {
    let newest = Range::all(pk).prefix(PREFIX).newest_first();
    let first: Vec<Prediction> = engine.events.query(newest.clone().limit(1)).await?;
    match first.into_iter().next() {
        None => Ok(None),
        Some(prediction) if prediction.stored => Ok(Some(prediction)),
        Some(_) => {
            let all: Vec<Prediction> = engine.events.query(newest).await?;
            Ok(all.into_iter().find(|prediction| prediction.stored))
        }
    }
}

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
    /// The row of the job that asks, if one does.
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

/// Decides on an event. Returns the output, and how it came about for the response header.
pub(crate) async fn predict(engine: &Engine, input: Predict) -> Result<(Output, String)> {
    // The shape has checked that it is a number of at most five digits.
    let version = input
        .detector_version_id
        .as_deref()
        .and_then(|version| version.parse().ok());
    let ready = engine.ready(&input.detector_id, version).await?;
    let compiled = &ready.compiled;
    check(compiled, &input)?;
    let event_timestamp = Timestamp::parse_prediction(&input.event_timestamp)
        .map_err(|error| events::invalid_time("eventTimestamp", &error))?;
    let mut row = row(compiled, &input.event_variables)?;
    let blobs = input.external_model_endpoint_data_blobs;
    let event = StoredEvent {
        event_id: input.event_id,
        event_type_name: input.event_type_name,
        event_timestamp: event_timestamp.to_string(),
        event_variables: input.event_variables,
        entities: input.entities,
        stored_time: String::new(),
        expires_at: engine.expiry(),
        imported: None,
    };
    let seen = engine.seen(&compiled.event_type, &event).await?;
    let said = ask(engine, compiled, &event, seen.as_ref(), &blobs).await?;
    said.fill(compiled, &mut row);
    let verdicts = evaluate(&ready, &row, engine.now().as_millisecond());
    let snapshot = snapshot(engine, &ready, event, said, verdicts, input.origin);
    let note = engine.note(&compiled.event_type, seen.as_ref(), None);
    let (prediction, ()) = try_join(snapshot, note).await?;
    // What a job stores, the job counts.
    if prediction.stored && prediction.origin.is_none() {
        engine.count_stored(&prediction.event).await;
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
        engine.announce(told(&prediction), answer);
    }
    Ok((output, how::header(compiled, &prediction)))
}

/// Asks the version's models. An external model that fails fails the prediction; one that cannot
/// tell of this event is left out.
async fn ask(
    engine: &Engine,
    compiled: &Compiled,
    event: &StoredEvent,
    seen: Option<&Seen>,
    blobs: &HashMap<String, DataBlob>,
) -> Result<Said> {
    let external = compiled.version.external_models.iter().map(|model| async {
        let endpoint = &model.model_endpoint;
        let outputs = endpoints::ask(
            engine.sagemaker.as_ref(),
            model,
            &compiled.event_type,
            &event.event_variables,
            blobs.get(endpoint),
        );
        let outputs = outputs.await?;
        Ok::<_, Error>(outputs.map(|outputs| (endpoint.clone(), outputs)))
    });
    let history = seen.map_or(&[][..], |seen| &seen.features);
    Ok(Said {
        model_scores: scores(engine, compiled, event, seen).await,
        external_model_outputs: try_join_all(external)
            .await?
            .into_iter()
            .flatten()
            .collect(),
        history: habits::to_text(history),
    })
}

/// The score of each of the version's own models that can score.
async fn scores(
    engine: &Engine,
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
        // What is wrong with a model that cannot score is in the log.
        if let Ok(scorer) = engine.scorer(artifact).await {
            let is_first = seen.is_none_or(|seen| seen.is_first);
            let of_logins = model.version.model_type == ModelType::AccountTakeoverInsights;
            let score = if of_logins && is_first {
                FIRST_LOGIN
            } else {
                let history = seen.map_or(&[][..], |seen| &seen.features);
                let values = scorers::values(&scorer, &event.event_variables);
                scorer.score(&values, time, history).score
            };
            scores.insert(model.version.model_id.clone(), score);
        }
    }
    scores
}

/// Whether what is kept under this key is a prediction.
pub(crate) fn is_prediction(sk: &str) -> bool {
    sk.starts_with(PREFIX)
}

/// The words of outcomes that stop an order. What it would have come to was never seen.
const STOPPED: &[&str] = &[
    "block", "blocked", "decline", "declined", "deny", "denied", "reject", "rejected",
];

/// Whether a prediction had an outcome that stops an order, by its name: `block`, `auto_decline`.
pub(crate) async fn was_blocked(engine: &Engine, prediction: &Prediction) -> Result<bool> {
    let bundles = (&prediction.version_bundle, &prediction.event_type_bundle);
    let compiled = engine.compiled(bundles.0, bundles.1).await?;
    let stops = |outcome: &String| {
        let mut words = outcome.split(['_', '-']);
        words.any(|word| STOPPED.contains(&word))
    };
    let mut outcomes = matched(&compiled, &prediction.verdicts).flat_map(|rule| &rule.outcomes);
    Ok(outcomes.any(stops))
}

impl Said {
    /// Puts what was said where rules read it.
    fn fill(&self, compiled: &Compiled, row: &mut [Value]) {
        let mut set = |name: &str, value: Value| {
            if let Some(slot) = compiled.schema.slot(name) {
                row[slot] = value;
            }
        };
        for model in &compiled.version.models {
            if let Some(score) = self.model_scores.get(&model.version.model_id) {
                set(&model.score.name, Value::Float(*score));
            }
        }
        for model in &compiled.version.external_models {
            let cells = self.external_model_outputs.get(&model.model_endpoint);
            for variable in &model.variables {
                let cell = cells.and_then(|cells| cells.get(&variable.name));
                set(&variable.name, endpoints::value(variable, cell));
            }
        }
    }
}

fn model_scores(compiled: &Compiled, said: &Said) -> Vec<ModelScores> {
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

fn external_model_outputs(compiled: &Compiled, said: &Said) -> Vec<ExternalModelOutputs> {
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
    /// What its event counts in the statistics.
    pub(crate) fn count(&self) -> Count {
        let bytes = events::bytes(&self.event_id, &self.event_variables);
        Count::stored(bytes, &self.event_timestamp)
    }
}

/// Deletes the prediction that a job's row has, which nobody has counted, so that the row can be
/// judged again.
pub(crate) async fn take_back(engine: &Engine, input: &Predict, origin: &str) -> Result<()> {
    let pk = events::partition(&input.event_type_name, &input.event_id);
    for prediction in all(engine, &pk).await? {
        if prediction.origin.as_deref() == Some(origin) {
            engine.events.delete(&prediction.key()).await?;
        }
    }
    Ok(())
}

/// A prediction as the event bus is told of it.
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
    events::check_entities(event_type, &input.entities)
}

fn row(compiled: &Compiled, variables: &Variables) -> Result<Vec<Value>> {
    let slot = |name: &str| compiled.schema.slot(name);
    events::row(
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

/// The rules with this letter, in their order.
fn with<'c>(
    compiled: &'c Compiled,
    verdicts: &str,
    letter: char,
) -> impl Iterator<Item = &'c BundledRule> {
    let pairs = compiled.version.rules.iter().zip(verdicts.chars());
    pairs
        .filter(move |(_, verdict)| *verdict == letter)
        .map(|(rule, _)| rule)
}

fn matched<'c>(compiled: &'c Compiled, verdicts: &str) -> impl Iterator<Item = &'c BundledRule> {
    with(compiled, verdicts, verdicts::MATCHED)
}

fn result(rule: &BundledRule) -> RuleResult {
    RuleResult {
        rule_id: rule.rule_id.clone(),
        outcomes: rule.outcomes.clone(),
    }
}

/// Writes the prediction, under the first millisecond that this event has no prediction in.
async fn snapshot(
    engine: &Engine,
    ready: &Ready,
    event: StoredEvent,
    said: Said,
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
    let mut time = engine.now();
    for _ in 0..ATTEMPTS {
        history::note_day(engine, time).await?;
        stamp(&mut prediction, time);
        if put(engine, &prediction).await? {
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
    let shard = prediction.attempt.bytes().next().unwrap_or_default() % SHARDS;
    let StoredEvent {
        event_type_name,
        event_id,
        ..
    } = &prediction.event;
    prediction.gsi1pk = history::index_partition(&text::day(time), shard);
    prediction.gsi1sk = history::place(&timestamp, event_type_name, event_id);
    prediction.event.stored_time.clone_from(&timestamp);
    prediction.prediction_timestamp = timestamp;
}

/// Writes a prediction unless its time is taken; says whether it stands.
async fn put(engine: &Engine, prediction: &Prediction) -> Result<bool> {
    let item = store::write_at(&prediction.key(), prediction)?;
    let request = engine
        .events
        .client
        .put_item()
        .table_name(&engine.events.name);
    let request = request
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let Err(error) = request.send().await else {
        return Ok(true);
    };
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(taken)) => Ok(taken
            .item()
            .is_some_and(|item| attempt(item) == Some(&prediction.attempt))),
        _ => Err(failed(error)),
    }
}

fn attempt(item: &Item) -> Option<&String> {
    item.get("attempt")
        .and_then(|attempt: &AttributeValue| attempt.as_s().ok())
}
