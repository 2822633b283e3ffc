//! Stored events and their labels.
//!
//! The partition of an event contains the item that `SendEvent` stored, one snapshot per prediction, and the label. The
//! current event is the newest of the stored item and the snapshots. The label is an item of its own, so that event and
//! label do not overwrite each other.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use protocol::{Error, Result, text};
use serde::{Deserialize, Serialize};
use store::conditional_writes::is_condition_failure;
use store::pinned_bundles::EventTypeBundle;
use store::records::event::{
    EventEntity, EventVariables, StoreResult, StoredEvent, StoredLabel, event_key, event_partition,
    label_key, put_stored_event, put_stored_label,
};
use store::records::event_type::{ingestion_disabled_error, missing_event_type};
use store::records::prediction::{
    StoredPrediction, find_newest_stored_prediction, list_predictions,
};
use store::table::{Key, convert_sdk_error, decode_item};

use crate::event_check::{check_entities, fill_event_row, parse_event_time};
use crate::operations::EmptyOutput;
use crate::services::EngineServices;
use crate::services::statistics::EventCount;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SendEventInput {
    event_id: String,
    event_type_name: String,
    event_timestamp: String,
    event_variables: EventVariables,
    assigned_label: Option<String>,
    label_timestamp: Option<String>,
    entities: Vec<EventEntity>,
}

/// Stores an event. An earlier one with the same id is replaced; its label and predictions are kept.
pub(crate) async fn send_event(
    services: &EngineServices,
    input: SendEventInput,
) -> Result<EmptyOutput> {
    let event_type = load_event_type(services, &input.event_type_name).await?;
    let checked = check_event(services, &event_type, input)?;
    let stored = put_stored_event(&services.account, &checked.event, None).await?;
    if stored == StoreResult::New {
        services.statistics.count_stored(&checked.event).await;
    }
    put_label_and_history(services, &event_type, &checked)
        .await
        .map(|()| EmptyOutput {})
}

/// Stores what belongs to an event: its label, and its part in its entity's history.
async fn put_label_and_history(
    services: &EngineServices,
    event_type: &EventTypeBundle,
    checked: &CheckedEvent,
) -> Result<()> {
    let CheckedEvent { event, label } = checked;
    if let Some(label) = label {
        put_stored_label(&services.account, event, label).await?;
    }
    let in_history = services
        .entity_histories
        .load_history_before(event_type, event)
        .await?;
    services
        .entity_histories
        .add_event(event_type, in_history.as_ref(), label.as_ref())
        .await
}

/// An event that passed the checks, with its label.
pub(crate) struct CheckedEvent {
    pub(crate) event: StoredEvent,
    label: Option<StoredLabel>,
}

/// Checks an event against its type. Nothing is stored.
pub(crate) fn check_event(
    services: &EngineServices,
    event_type: &EventTypeBundle,
    input: SendEventInput,
) -> Result<CheckedEvent> {
    if !event_type.ingestion {
        return Err(ingestion_disabled_error(&event_type.name));
    }
    check_entities(event_type, &input.entities)?;
    let event_timestamp = parse_event_time("eventTimestamp", &input.event_timestamp)?;
    let label = read_event_label(
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
    fill_event_row(
        event_type,
        event_type.default_row(),
        &input.event_variables,
        slot,
    )?;
    let event = StoredEvent {
        event_id: input.event_id,
        event_type_name: input.event_type_name,
        event_timestamp: event_timestamp.to_string(),
        event_variables: input.event_variables,
        entities: input.entities,
        stored_time: text::format_milliseconds(services.account.now()),
        expires_at: services.account.new_expiry(),
        imported: None,
    };
    Ok(CheckedEvent { event, label })
}

/// Stores row `row` of the import `run`. If it is repeated after a crash, the result is the same; the first write then
/// counts as new, because its count was in memory and was lost.
pub(crate) async fn import_event(
    services: &EngineServices,
    event_type: &EventTypeBundle,
    checked: &mut CheckedEvent,
    run: &str,
    row: u64,
) -> Result<StoreResult> {
    checked.event.imported = Some(format!("{run}#{row}"));
    let stored = put_stored_event(&services.account, &checked.event, Some(run)).await?;
    if stored != StoreResult::Repeated {
        put_label_and_history(services, event_type, checked).await?;
    }
    Ok(stored)
}

fn read_event_label(
    services: &EngineServices,
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
        stored_time: text::format_milliseconds(services.account.now()),
        expires_at: services.account.new_expiry(),
    }))
}

async fn load_event_type(
    services: &EngineServices,
    name: &str,
) -> Result<std::sync::Arc<EventTypeBundle>> {
    services
        .definition_cache
        .get_event_type(name)
        .await?
        .ok_or_else(|| missing_event_type(name))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetEventInput {
    event_id: String,
    event_type_name: String,
}

#[derive(Serialize)]
pub(crate) struct GetEventOutput {
    event: EventOutput,
}

/// An event in the answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventOutput {
    event_id: String,
    event_type_name: String,
    event_timestamp: String,
    event_variables: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_timestamp: Option<String>,
    entities: Vec<EventEntity>,
}

pub(crate) async fn get_event(
    services: &EngineServices,
    input: GetEventInput,
) -> Result<GetEventOutput> {
    let label_key = label_key(&input.event_type_name, &input.event_id);
    let (event, label) = tokio::try_join!(
        find_newest_event(services, &input),
        services.account.events.get::<StoredLabel>(&label_key)
    )?;
    let event = event.ok_or_else(|| missing_event(&input.event_type_name, &input.event_id))?;
    let label = label.filter(|label| services.account.is_unexpired(label.expires_at));
    let (current_label, label_timestamp) = label
        .map(|label| (label.current_label, label.label_timestamp))
        .unzip();
    let variables = event.event_variables.into_iter();
    Ok(GetEventOutput {
        event: EventOutput {
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

fn missing_event(event_type: &str, event_id: &str) -> Error {
    Error::not_found(format!(
        "Event '{event_id}' of event type '{event_type}' does not exist."
    ))
}

/// The newest of the stored event and the snapshots of predictions.
async fn find_newest_event(
    services: &EngineServices,
    event: &GetEventInput,
) -> Result<Option<StoredEvent>> {
    let key = event_key(&event.event_type_name, &event.event_id);
    let (sent, predicted) = tokio::try_join!(
        services.account.events.get::<StoredEvent>(&key),
        find_newest_stored_prediction(&services.account, &key.pk)
    )?;
    let kept = |event: &StoredEvent| services.account.is_unexpired(event.expires_at);
    let sent = sent.filter(kept);
    let predicted = predicted.map(|prediction| prediction.event).filter(kept);
    Ok(match (sent, predicted) {
        (Some(sent), Some(predicted)) if sent.stored_time >= predicted.stored_time => Some(sent),
        (sent, predicted) => predicted.or(sent),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdateEventLabelInput {
    event_id: String,
    event_type_name: String,
    assigned_label: String,
    label_timestamp: String,
}

/// Replaces the label of a stored event.
pub(crate) async fn update_event_label(
    services: &EngineServices,
    input: UpdateEventLabelInput,
) -> Result<EmptyOutput> {
    let UpdateEventLabelInput {
        event_id,
        event_type_name,
        assigned_label,
        label_timestamp,
    } = input;
    let event_type = load_event_type(services, &event_type_name).await?;
    let label = read_event_label(
        services,
        &event_type,
        Some(assigned_label),
        Some(label_timestamp),
    )?;
    let event = GetEventInput {
        event_id,
        event_type_name,
    };
    let Some(stored) = find_newest_event(services, &event).await? else {
        return Err(missing_event(&event.event_type_name, &event.event_id));
    };
    if let Some(label) = label {
        put_stored_label(&services.account, &stored, &label).await?;
        services
            .entity_histories
            .add_label(&event_type, &stored, &label)
            .await?;
    }
    Ok(EmptyOutput {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeleteEventInput {
    event_id: String,
    event_type_name: String,
    #[serde(default)]
    delete_audit_history: Option<bool>,
}

/// Deletes an event and its label, and its predictions if the request asks for that.
pub(crate) async fn delete_event(
    services: &EngineServices,
    input: DeleteEventInput,
) -> Result<EmptyOutput> {
    let DeleteEventInput {
        event_id,
        event_type_name,
        delete_audit_history,
    } = input;
    let pk = event_partition(&event_type_name, &event_id);
    // The event is deleted last: if the deletion is interrupted, the event still shows whose label and predictions
    // remain.
    for sk in ["label", "event"] {
        delete_event_item(services, &event_type_name, &Key::new(&pk, sk)).await?;
    }
    for prediction in list_predictions(&services.account, &pk).await? {
        let key = prediction.key();
        if delete_audit_history == Some(true) {
            delete_event_item(services, &event_type_name, &key).await?;
        } else if prediction.stored {
            mark_as_not_stored(services, &prediction).await?;
        }
    }
    Ok(EmptyOutput {})
}

/// Deletes one item of an event's partition. If it was a stored event, the statistics are updated.
pub(crate) async fn delete_event_item(
    services: &EngineServices,
    event_type: &str,
    key: &Key,
) -> Result<bool> {
    let request = services
        .account
        .events
        .client
        .delete_item()
        .table_name(&services.account.events.name)
        .set_key(Some(key.attributes()))
        .return_values(ReturnValue::AllOld);
    let before = request.send().await.map_err(convert_sdk_error)?.attributes;
    let Some(before) = before.filter(|before| !before.is_empty()) else {
        return Ok(false);
    };
    let was_stored = match key.sk.as_str() {
        "event" => true,
        "label" => false,
        _ => before.get("stored") == Some(&AttributeValue::Bool(true)),
    };
    if was_stored {
        let event: StoredEvent = decode_item(before)?;
        services
            .statistics
            .count_events(event_type, EventCount::of_deleted_event(event.bytes()))
            .await;
    }
    Ok(true)
}

/// Keeps the prediction, but its event no longer counts as stored.
pub(crate) async fn mark_as_not_stored(
    services: &EngineServices,
    prediction: &StoredPrediction,
) -> Result<()> {
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
            let count = EventCount::of_deleted_event(prediction.event.bytes());
            services
                .statistics
                .count_events(event_type_name, count)
                .await;
            Ok(())
        }
        Err(error) if is_condition_failure(error.as_service_error()) => Ok(()),
        Err(error) => Err(convert_sdk_error(error)),
    }
}
