//! Stored events and their labels.
//!
//! An event's partition holds what `SendEvent` stored, one snapshot per prediction, and the
//! label. The event is the newest of the first two; the label is an item of its own, so that
//! neither overwrites the other.

use std::collections::BTreeMap;

use ::rules::Value;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use event::Timestamp;
use serde::{Deserialize, Serialize};

use super::predictions::Prediction;
use super::{Empty, event_types, predictions};
use crate::bundle::{BundledVariable, EventTypeBundle};
use crate::engine::Engine;
use crate::statistics::Count;
use crate::store::{self, Item, Key, failed};
use protocol::text;
use protocol::{Error, Result};

/// How often a write may meet a later one.
const MEETINGS: usize = 20;

/// The variables of an event: the value as sent, or an explicit null.
pub(crate) type Variables = BTreeMap<String, Option<String>>;

/// Who or what an event is about.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entity {
    pub(crate) entity_type: String,
    pub(crate) entity_id: String,
}

/// An event as stored, by itself or in the snapshot of a prediction.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredEvent {
    pub(crate) event_id: String,
    pub(crate) event_type_name: String,
    pub(crate) event_timestamp: String,
    pub(crate) event_variables: Variables,
    pub(crate) entities: Vec<Entity>,
    /// When it was stored, to tell which of several is the newest.
    pub(crate) stored_time: String,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<i64>,
    /// The row of the import that stored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) imported: Option<String>,
}

impl StoredEvent {
    /// What it counts in the statistics.
    pub(crate) fn bytes(&self) -> usize {
        bytes(&self.event_id, &self.event_variables)
    }
}

/// What an event weighs: its names and values.
pub(crate) fn bytes(event_id: &str, variables: &Variables) -> usize {
    let variable = |(name, value): (&String, &Option<String>)| {
        name.len() + value.as_ref().map_or(0, String::len)
    };
    variables.iter().map(variable).sum::<usize>() + event_id.len()
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredLabel {
    pub(crate) current_label: String,
    pub(crate) label_timestamp: String,
    stored_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

pub(crate) fn partition(event_type: &str, event_id: &str) -> String {
    format!("event#{event_type}#{event_id}")
}

fn event_key(event_type: &str, event_id: &str) -> Key {
    Key::new(partition(event_type, event_id), "event")
}

fn label_key(event_type: &str, event_id: &str) -> Key {
    Key::new(partition(event_type, event_id), "label")
}

/// Checks an event against its type and turns it into the row that rules read.
pub(crate) fn row(
    event_type: &EventTypeBundle,
    defaults: Vec<Value>,
    variables: &Variables,
    slot: impl Fn(&str) -> Option<usize>,
) -> Result<Vec<Value>> {
    let mut row = defaults;
    for (name, value) in variables {
        let found = slot(name).and_then(|slot| Some((slot, event_type.variables.get(slot)?)));
        let Some((slot, variable)) = found else {
            let message = format!(
                "Variable '{name}' is not included in event type '{}'.",
                event_type.name
            );
            return Err(Error::validation(message));
        };
        row[slot] = match value {
            Some(value) => parsed(variable, value)?,
            None => Value::Null,
        };
    }
    Ok(row)
}

fn parsed(variable: &BundledVariable, value: &str) -> Result<Value> {
    let ty = variable.ty();
    Value::parse(ty, value).map_err(|_| {
        Error::validation(format!(
            "Value of variable '{}' is not a valid {ty}.",
            variable.name
        ))
    })
}

pub(crate) fn check_entities(event_type: &EventTypeBundle, entities: &[Entity]) -> Result<()> {
    if entities.is_empty() {
        return Err(Error::validation("An event needs at least one entity."));
    }
    let known = |entity: &Entity| event_type.entity_types.contains(&entity.entity_type);
    match entities.iter().find(|entity| !known(entity)) {
        None => Ok(()),
        Some(Entity { entity_type, .. }) => Err(Error::validation(format!(
            "Entity type '{entity_type}' is not included in event type '{}'.",
            event_type.name
        ))),
    }
}

fn time(member: &str, text: &str) -> Result<Timestamp> {
    Timestamp::parse_request(text).map_err(|error| invalid_time(member, &error))
}

/// A time of a request as the engine writes its own.
pub(crate) fn moment(member: &str, text: &str) -> Result<String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(text::milliseconds(time));
    }
    let time = Timestamp::parse(text).map_err(|error| invalid_time(member, &error))?;
    Ok(text::milliseconds(time.to_jiff()))
}

pub(crate) fn invalid_time(member: &str, error: &event::InvalidTimestamp) -> Error {
    Error::validation(format!("'{member}' is not a valid timestamp: {error}."))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Send {
    event_id: String,
    event_type_name: String,
    event_timestamp: String,
    event_variables: Variables,
    assigned_label: Option<String>,
    label_timestamp: Option<String>,
    entities: Vec<Entity>,
}

/// Stores an event. One that was stored before is replaced; its label and predictions stay.
pub(crate) async fn send(engine: &Engine, input: Send) -> Result<Empty> {
    let event_type = find_type(engine, &input.event_type_name).await?;
    let checked = check(engine, &event_type, input)?;
    let stored = put_event(engine, &checked.event, None).await?;
    if stored == Stored::New {
        engine.count_stored(&checked.event).await;
    }
    put_beside(engine, &event_type, &checked)
        .await
        .map(|()| Empty {})
}

/// Stores what an event brings beside itself: its label, and what it adds to its entity's history.
async fn put_beside(
    engine: &Engine,
    event_type: &EventTypeBundle,
    checked: &Checked,
) -> Result<()> {
    let Checked { event, label } = checked;
    if let Some(label) = label {
        put_label(engine, event, label).await?;
    }
    let seen = engine.seen(event_type, event).await?;
    engine.note(event_type, seen.as_ref(), label.as_ref()).await
}

/// An event that may be stored, with the label it brings.
pub(crate) struct Checked {
    pub(crate) event: StoredEvent,
    label: Option<StoredLabel>,
}

/// Checks an event against its type; nothing is stored.
pub(crate) fn check(engine: &Engine, event_type: &EventTypeBundle, input: Send) -> Result<Checked> {
    if !event_type.ingestion {
        return Err(event_types::not_stored(&event_type.name));
    }
    check_entities(event_type, &input.entities)?;
    let event_timestamp = time("eventTimestamp", &input.event_timestamp)?;
    let label = label(
        engine,
        event_type,
        input.assigned_label,
        input.label_timestamp,
    )?;
    let slot = |name: &str| {
        event_type
            .variables
            .iter()
            .position(|variable| variable.name == name)
    };
    row(
        event_type,
        event_type.defaults(),
        &input.event_variables,
        slot,
    )?;
    let event = StoredEvent {
        event_id: input.event_id,
        event_type_name: input.event_type_name,
        event_timestamp: event_timestamp.to_string(),
        event_variables: input.event_variables,
        entities: input.entities,
        stored_time: text::milliseconds(engine.now()),
        expires_at: engine.expiry(),
        imported: None,
    };
    Ok(Checked { event, label })
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// There was none of its id.
    New,
    /// It took the place of another.
    Replaced,
    /// Another row of the same import has its id, so it was not stored.
    Repeated,
}

/// Stores row `row` of the import `run`. Done again after a crash it comes out the same, but that
/// the first writing is taken for new: its count went down with the process.
pub(crate) async fn import(
    engine: &Engine,
    event_type: &EventTypeBundle,
    checked: &mut Checked,
    run: &str,
    row: u64,
) -> Result<Stored> {
    checked.event.imported = Some(format!("{run}#{row}"));
    let stored = put_event(engine, &checked.event, Some(run)).await?;
    if stored != Stored::Repeated {
        put_beside(engine, event_type, checked).await?;
    }
    Ok(stored)
}

/// What was under a key before a record was put there.
enum Before {
    /// Nothing.
    Nothing,
    /// Another one, which is replaced.
    Other(Item),
    /// The very same one: an earlier request was sent again.
    Itself,
    /// Another row of the same import, which stays.
    Kept,
}

/// A row of an import. Of two rows of one import with one event id the first counts; a row replaces what it wrote before
/// a crash.
struct Row<'a> {
    /// Names the import: the names of its rows begin with it.
    import: &'a str,
    /// Names the row.
    name: &'a str,
}

impl Row<'_> {
    /// Holds where no other row of the import is there. [`Row::is_after`] says the same of an item.
    const CONDITION: &'static str =
        "(attribute_not_exists(imported) OR imported = :row OR NOT begins_with(imported, :import))";

    /// Whether another row of the import is there.
    fn is_after(&self, there: &Item) -> bool {
        imported(there).is_some_and(|there| there.starts_with(self.import) && there != self.name)
    }
}

/// The row that stored an item.
fn imported(item: &Item) -> Option<&String> {
    item.get("imported").and_then(|row| row.as_s().ok())
}

/// Puts a record in the place of what was put before it, but not of another row of the same import.
///
/// A request whose client has given up may arrive after others have been written. It must not replace them, so each item
/// has a `turn`, a time in milliseconds since 1970, and replaces only an earlier one; whoever meets a later turn, because
/// clocks differ, takes the next one. What is left: a request of a clock that is ahead, late by less than that.
async fn put_latest(
    engine: &Engine,
    key: &Key,
    record: &impl Serialize,
    row: Option<&Row<'_>>,
) -> Result<Before> {
    const LATEST: &str = "(attribute_not_exists(turn) OR turn < :turn)";
    let mut item = store::write_at(key, record)?;
    let mut turn = engine.now().as_millisecond();
    for _ in 0..MEETINGS {
        let number = AttributeValue::N(turn.to_string());
        item.insert("turn".to_owned(), number.clone());
        let request = engine
            .events
            .client
            .put_item()
            .table_name(&engine.events.name)
            .set_item(Some(item.clone()))
            .expression_attribute_values(":turn", number)
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = match row {
            None => request.condition_expression(LATEST),
            Some(row) => request
                .condition_expression(format!("{LATEST} AND {}", Row::CONDITION))
                .expression_attribute_values(":row", AttributeValue::S(row.name.to_owned()))
                .expression_attribute_values(":import", AttributeValue::S(row.import.to_owned())),
        };
        let error = match request.send().await {
            Ok(output) => return Ok(output.attributes.map_or(Before::Nothing, Before::Other)),
            Err(error) => error,
        };
        let Some(PutItemError::ConditionalCheckFailedException(met)) = error.as_service_error()
        else {
            return Err(failed(error));
        };
        let there = met.item().cloned().unwrap_or_default();
        if there == item {
            return Ok(Before::Itself);
        }
        if row.is_some_and(|row| row.is_after(&there)) {
            return Ok(Before::Kept);
        }
        let met = there.get("turn").and_then(|turn| turn.as_n().ok());
        let met = met.and_then(|turn| turn.parse().ok());
        turn = met.unwrap_or(turn).saturating_add(1);
    }
    Err(Error::new(
        protocol::Code::Throttling,
        "Rate exceeded: too many writes of one event at once.",
    ))
}

async fn put_event(engine: &Engine, event: &StoredEvent, import: Option<&str>) -> Result<Stored> {
    let key = event_key(&event.event_type_name, &event.event_id);
    let row = import.zip(event.imported.as_deref());
    let row = row.map(|(import, name)| Row { import, name });
    // A row that was written before a crash is taken for new: its count went down with the process.
    let is_same_row = |there: &Item| {
        row.as_ref()
            .is_some_and(|row| imported(there).is_some_and(|there| there == row.name))
    };
    Ok(match put_latest(engine, &key, event, row.as_ref()).await? {
        Before::Nothing => Stored::New,
        Before::Other(there) if is_same_row(&there) => Stored::New,
        Before::Itself if row.is_some() => Stored::New,
        Before::Other(_) | Before::Itself => Stored::Replaced,
        Before::Kept => Stored::Repeated,
    })
}

/// Replaces the label of an event.
async fn put_label(engine: &Engine, event: &StoredEvent, label: &StoredLabel) -> Result<()> {
    let key = label_key(&event.event_type_name, &event.event_id);
    put_latest(engine, &key, label, None).await.map(drop)
}

fn label(
    engine: &Engine,
    event_type: &EventTypeBundle,
    label: Option<String>,
    timestamp: Option<String>,
) -> Result<Option<StoredLabel>> {
    let (current_label, timestamp) = match (label, timestamp) {
        (None, None) => return Ok(None),
        (Some(label), Some(timestamp)) => (label, timestamp),
        (Some(_), None) => {
            return Err(Error::validation(
                "An assignedLabel needs a labelTimestamp.",
            ));
        }
        (None, Some(_)) => {
            return Err(Error::validation(
                "A labelTimestamp needs an assignedLabel.",
            ));
        }
    };
    if !event_type.labels.contains(&current_label) {
        let message = format!(
            "Label '{current_label}' is not included in event type '{}'.",
            event_type.name
        );
        return Err(Error::validation(message));
    }
    Ok(Some(StoredLabel {
        current_label,
        label_timestamp: time("labelTimestamp", &timestamp)?.to_string(),
        stored_time: text::milliseconds(engine.now()),
        expires_at: engine.expiry(),
    }))
}

async fn find_type(engine: &Engine, name: &str) -> Result<std::sync::Arc<EventTypeBundle>> {
    engine
        .event_type(name)
        .await?
        .ok_or_else(|| event_types::missing(name))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Get {
    event_id: String,
    event_type_name: String,
}

#[derive(Serialize)]
pub(crate) struct GetOutput {
    event: Event,
}

/// An event as answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event_id: String,
    event_type_name: String,
    event_timestamp: String,
    event_variables: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_timestamp: Option<String>,
    entities: Vec<Entity>,
}

pub(crate) async fn get(engine: &Engine, input: Get) -> Result<GetOutput> {
    let label_key = label_key(&input.event_type_name, &input.event_id);
    let (event, label) = tokio::try_join!(
        newest(engine, &input),
        engine.events.get::<StoredLabel>(&label_key)
    )?;
    let event = event.ok_or_else(|| missing(&input.event_type_name, &input.event_id))?;
    let label = label.filter(|label| engine.is_kept(label.expires_at));
    let (current_label, label_timestamp) = label
        .map(|label| (label.current_label, label.label_timestamp))
        .unzip();
    let variables = event.event_variables.into_iter();
    Ok(GetOutput {
        event: Event {
            event_id: event.event_id,
            event_type_name: event.event_type_name,
            event_timestamp: event.event_timestamp,
            // The API's map holds no nulls.
            event_variables: variables
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            current_label,
            label_timestamp,
            entities: event.entities,
        },
    })
}

fn missing(event_type: &str, event_id: &str) -> Error {
    Error::not_found(format!(
        "Event '{event_id}' of event type '{event_type}' does not exist."
    ))
}

/// The newest of what was sent and what was predicted on.
async fn newest(engine: &Engine, event: &Get) -> Result<Option<StoredEvent>> {
    let key = event_key(&event.event_type_name, &event.event_id);
    let (sent, predicted) = tokio::try_join!(
        engine.events.get::<StoredEvent>(&key),
        predictions::newest_stored(engine, &key.pk)
    )?;
    let kept = |event: &StoredEvent| engine.is_kept(event.expires_at);
    let sent = sent.filter(kept);
    let predicted = predicted.map(|prediction| prediction.event).filter(kept);
    Ok(match (sent, predicted) {
        (Some(sent), Some(predicted)) if sent.stored_time >= predicted.stored_time => Some(sent),
        (sent, predicted) => predicted.or(sent),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdateLabel {
    event_id: String,
    event_type_name: String,
    assigned_label: String,
    label_timestamp: String,
}

/// Replaces the label of a stored event.
pub(crate) async fn update_label(engine: &Engine, input: UpdateLabel) -> Result<Empty> {
    let UpdateLabel {
        event_id,
        event_type_name,
        assigned_label,
        label_timestamp,
    } = input;
    let event_type = find_type(engine, &event_type_name).await?;
    let label = label(
        engine,
        &event_type,
        Some(assigned_label),
        Some(label_timestamp),
    )?;
    let event = Get {
        event_id,
        event_type_name,
    };
    let Some(stored) = newest(engine, &event).await? else {
        return Err(missing(&event.event_type_name, &event.event_id));
    };
    if let Some(label) = label {
        put_label(engine, &stored, &label).await?;
        engine.note_label(&event_type, &stored, &label).await?;
    }
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delete {
    event_id: String,
    event_type_name: String,
    #[serde(default)]
    delete_audit_history: Option<bool>,
}

/// Deletes an event and its label, and its predictions where the request says so.
pub(crate) async fn delete(engine: &Engine, input: Delete) -> Result<Empty> {
    let Delete {
        event_id,
        event_type_name,
        delete_audit_history,
    } = input;
    let pk = partition(&event_type_name, &event_id);
    // The event last: it tells whose the label is, to who looks for the rest of a deletion that was cut off.
    for sk in ["label", "event"] {
        delete_part(engine, &event_type_name, &Key::new(&pk, sk)).await?;
    }
    for prediction in predictions::all(engine, &pk).await? {
        let key = prediction.key();
        if delete_audit_history == Some(true) {
            delete_part(engine, &event_type_name, &key).await?;
        } else if prediction.stored {
            unstore(engine, &prediction).await?;
        }
    }
    Ok(Empty {})
}

/// Deletes one item of an event's partition. What counted as a stored event no longer does.
pub(crate) async fn delete_part(engine: &Engine, event_type: &str, key: &Key) -> Result<bool> {
    let request = engine
        .events
        .client
        .delete_item()
        .table_name(&engine.events.name)
        .set_key(Some(key.attributes()))
        .return_values(ReturnValue::AllOld);
    let before = request.send().await.map_err(failed)?.attributes;
    let Some(before) = before.filter(|before| !before.is_empty()) else {
        return Ok(false);
    };
    let was_stored = match key.sk.as_str() {
        "event" => true,
        "label" => false,
        _ => before.get("stored") == Some(&AttributeValue::Bool(true)),
    };
    if was_stored {
        let event: StoredEvent = store::read(before)?;
        engine
            .count(event_type, Count::deleted(event.bytes()))
            .await;
    }
    Ok(true)
}

/// The prediction stays; the event in it no longer counts as stored.
pub(crate) async fn unstore(engine: &Engine, prediction: &Prediction) -> Result<()> {
    let request = engine
        .events
        .client
        .update_item()
        .table_name(&engine.events.name);
    let request = request
        .set_key(Some(prediction.key().attributes()))
        .update_expression("SET #stored = :no")
        .expression_attribute_names("#stored", "stored")
        .condition_expression("#stored = :yes")
        .expression_attribute_values(":no", AttributeValue::Bool(false))
        .expression_attribute_values(":yes", AttributeValue::Bool(true));
    match request.send().await {
        Ok(_) => {
            let StoredEvent {
                event_type_name, ..
            } = &prediction.event;
            let count = Count::deleted(prediction.event.bytes());
            engine.count(event_type_name, count).await;
            Ok(())
        }
        Err(error) if is_gone(error.as_service_error()) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn is_gone(error: Option<&UpdateItemError>) -> bool {
    error.is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}

impl Engine {
    /// When what is stored now may go.
    pub(crate) fn expiry(&self) -> Option<i64> {
        let days = self.options.retention_days?;
        Some(self.now().as_second() + i64::from(days) * 86_400)
    }

    /// Whether the time of something is not over. DynamoDB takes up to two days to delete it.
    fn is_kept(&self, expires_at: Option<i64>) -> bool {
        expires_at.is_none_or(|time| time > self.now().as_second())
    }

    pub(crate) async fn count_stored(&self, event: &StoredEvent) {
        let StoredEvent {
            event_type_name,
            event_timestamp,
            ..
        } = event;
        let count = Count::stored(event.bytes(), event_timestamp);
        self.count(event_type_name, count).await;
    }
}
