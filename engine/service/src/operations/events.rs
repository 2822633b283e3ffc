//! Stored events and their labels.
//!
//! The partition of an event contains the item that `SendEvent` stored, one snapshot per prediction, and the label. The
//! current event is the newest of the stored item and the snapshots. The label is an item of its own, so that event and
//! label do not overwrite each other.

use std::collections::BTreeMap;

use crate::event_check::parse_event_time;
use crate::event_check::{check_entities, row};
use crate::operations::Empty;
use crate::services::Services;
use crate::services::statistics::Count;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use protocol::{Error, Result, text};
use serde::{Deserialize, Serialize};
use store::pinned::EventTypeBundle;
use store::records::event::{
    Entity, StoreOutcome, StoredEvent, StoredLabel, Variables, event_key, event_partition,
    label_key, put_event, put_label,
};
use store::records::event_type::{ingestion_disabled, missing_event_type};
use store::records::prediction::{Prediction, all_predictions, newest_stored_prediction};
use store::table::read;
use store::table::{Key, failed};

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

/// Stores an event. An earlier one with the same id is replaced; its label and predictions are kept.
pub(crate) async fn send(services: &Services, input: Send) -> Result<Empty> {
    let event_type = find_type(services, &input.event_type_name).await?;
    let checked = check(services, &event_type, input)?;
    let stored = put_event(&services.account, &checked.event, None).await?;
    if stored == StoreOutcome::New {
        services.statistics.count_stored(&checked.event).await;
    }
    put_beside(services, &event_type, &checked)
        .await
        .map(|()| Empty {})
}

/// Stores what belongs to an event: its label, and its part in its entity's history.
async fn put_beside(
    services: &Services,
    event_type: &EventTypeBundle,
    checked: &Checked,
) -> Result<()> {
    let Checked { event, label } = checked;
    if let Some(label) = label {
        put_label(&services.account, event, label).await?;
    }
    let seen = services.entity_histories.seen(event_type, event).await?;
    services
        .entity_histories
        .note(event_type, seen.as_ref(), label.as_ref())
        .await
}

/// An event that passed the checks, with its label.
pub(crate) struct Checked {
    pub(crate) event: StoredEvent,
    label: Option<StoredLabel>,
}

/// Checks an event against its type. Nothing is stored.
pub(crate) fn check(
    services: &Services,
    event_type: &EventTypeBundle,
    input: Send,
) -> Result<Checked> {
    if !event_type.ingestion {
        return Err(ingestion_disabled(&event_type.name));
    }
    check_entities(event_type, &input.entities)?;
    let event_timestamp = parse_event_time("eventTimestamp", &input.event_timestamp)?;
    let label = label(
        services,
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
        stored_time: text::milliseconds(services.account.now()),
        expires_at: services.account.expiry(),
        imported: None,
    };
    Ok(Checked { event, label })
}

/// Stores row `row` of the import `run`. If it is repeated after a crash, the result is the same; the first write then
/// counts as new, because its count was in memory and was lost.
pub(crate) async fn import(
    services: &Services,
    event_type: &EventTypeBundle,
    checked: &mut Checked,
    run: &str,
    row: u64,
) -> Result<StoreOutcome> {
    checked.event.imported = Some(format!("{run}#{row}"));
    let stored = put_event(&services.account, &checked.event, Some(run)).await?;
    if stored != StoreOutcome::Repeated {
        put_beside(services, event_type, checked).await?;
    }
    Ok(stored)
}

fn label(
    services: &Services,
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
        label_timestamp: parse_event_time("labelTimestamp", &timestamp)?.to_string(),
        stored_time: text::milliseconds(services.account.now()),
        expires_at: services.account.expiry(),
    }))
}

async fn find_type(services: &Services, name: &str) -> Result<std::sync::Arc<EventTypeBundle>> {
    services
        .definition_cache
        .event_type(name)
        .await?
        .ok_or_else(|| missing_event_type(name))
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

/// An event in the answer.
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

pub(crate) async fn get(services: &Services, input: Get) -> Result<GetOutput> {
    let label_key = label_key(&input.event_type_name, &input.event_id);
    let (event, label) = tokio::try_join!(
        newest(services, &input),
        services.account.events.get::<StoredLabel>(&label_key)
    )?;
    let event = event.ok_or_else(|| missing(&input.event_type_name, &input.event_id))?;
    let label = label.filter(|label| services.account.is_kept(label.expires_at));
    let (current_label, label_timestamp) = label
        .map(|label| (label.current_label, label.label_timestamp))
        .unzip();
    let variables = event.event_variables.into_iter();
    Ok(GetOutput {
        event: Event {
            event_id: event.event_id,
            event_type_name: event.event_type_name,
            event_timestamp: event.event_timestamp,
            // The map in the API has no null values.
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

/// The newest of the stored event and the snapshots of predictions.
async fn newest(services: &Services, event: &Get) -> Result<Option<StoredEvent>> {
    let key = event_key(&event.event_type_name, &event.event_id);
    let (sent, predicted) = tokio::try_join!(
        services.account.events.get::<StoredEvent>(&key),
        newest_stored_prediction(&services.account, &key.pk)
    )?;
    let kept = |event: &StoredEvent| services.account.is_kept(event.expires_at);
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
pub(crate) async fn update_label(services: &Services, input: UpdateLabel) -> Result<Empty> {
    let UpdateLabel {
        event_id,
        event_type_name,
        assigned_label,
        label_timestamp,
    } = input;
    let event_type = find_type(services, &event_type_name).await?;
    let label = label(
        services,
        &event_type,
        Some(assigned_label),
        Some(label_timestamp),
    )?;
    let event = Get {
        event_id,
        event_type_name,
    };
    let Some(stored) = newest(services, &event).await? else {
        return Err(missing(&event.event_type_name, &event.event_id));
    };
    if let Some(label) = label {
        put_label(&services.account, &stored, &label).await?;
        services
            .entity_histories
            .note_label(&event_type, &stored, &label)
            .await?;
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

/// Deletes an event and its label, and its predictions if the request asks for that.
pub(crate) async fn delete(services: &Services, input: Delete) -> Result<Empty> {
    let Delete {
        event_id,
        event_type_name,
        delete_audit_history,
    } = input;
    let pk = event_partition(&event_type_name, &event_id);
    // The event is deleted last: if the deletion is interrupted, the event still shows whose label and predictions
    // remain.
    for sk in ["label", "event"] {
        delete_part(services, &event_type_name, &Key::new(&pk, sk)).await?;
    }
    for prediction in all_predictions(&services.account, &pk).await? {
        let key = prediction.key();
        if delete_audit_history == Some(true) {
            delete_part(services, &event_type_name, &key).await?;
        } else if prediction.stored {
            unstore(services, &prediction).await?;
        }
    }
    Ok(Empty {})
}

/// Deletes one item of an event's partition. If it was a stored event, the statistics are updated.
pub(crate) async fn delete_part(services: &Services, event_type: &str, key: &Key) -> Result<bool> {
    let request = services
        .account
        .events
        .client
        .delete_item()
        .table_name(&services.account.events.name)
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
        let event: StoredEvent = read(before)?;
        services
            .statistics
            .count(event_type, Count::deleted(event.bytes()))
            .await;
    }
    Ok(true)
}

/// Keeps the prediction, but its event no longer counts as stored.
pub(crate) async fn unstore(services: &Services, prediction: &Prediction) -> Result<()> {
    let request = services
        .account
        .events
        .client
        .update_item()
        .table_name(&services.account.events.name);
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
            services.statistics.count(event_type_name, count).await;
            Ok(())
        }
        Err(error) if is_gone(error.as_service_error()) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn is_gone(error: Option<&UpdateItemError>) -> bool {
    error.is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
