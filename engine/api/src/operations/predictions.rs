//! Predictions: the hot path, and the history it leaves.
//!
//! A prediction is one write: an immutable snapshot of the event, of what every rule said, and of
//! the bundles that said it. What a person later asks about it is worked out from those.

use ::rules::{Rule, Value, Verdict};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use event::Timestamp;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Status;
use super::events::{self, Entity, StoredEvent, Variables};
use crate::bundle::{BundleReference, BundledRule, Compiled, Mode};
use crate::cache::Ready;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::statistics::Count;
use crate::store::{self, Item, Key, Range, failed};
use crate::text;

mod before;
mod history;
mod how;

pub(crate) use before::get_prediction;
pub(crate) use history::{NotedDay, list, metadata};

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
    /// The row of the job that asks, if one does.
    #[serde(skip)]
    pub(crate) origin: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    model_scores: [(); 0],
    rule_results: Vec<RuleResult>,
    external_model_outputs: [(); 0],
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
    let row = row(compiled, &input.event_variables)?;
    let now = engine.now();
    let verdicts = evaluate(&ready, &row, now.as_millisecond());
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
    let prediction = snapshot(engine, &ready, event, verdicts, input.origin).await?;
    // What a job stores, the job counts.
    if prediction.stored && prediction.origin.is_none() {
        engine.count_stored(&prediction.event).await;
    }
    let output = Output {
        model_scores: [],
        rule_results: matched(compiled, &prediction.verdicts)
            .map(result)
            .collect(),
        external_model_outputs: [],
    };
    if compiled.event_type.orchestration {
        let answer = serde_json::to_value(&output).map_err(Error::internal)?;
        engine.announce(told(&prediction), answer);
    }
    Ok((output, how::header(compiled, &prediction)))
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
        crate::Code::Throttling,
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
