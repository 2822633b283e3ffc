//! Finds stored data about an entity or an event, and notes that it was forgotten.
//!
//! `DeleteEvent` and `UpdateList` delete. This module has what the API lacks: finding an entity's events, and a note
//! that remains after them, so that an old file cannot bring them back.

use std::collections::{BTreeMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;
use protocol::{Error, Result, text};
use store::Account;
use store::records::event::{StoredEvent, StoredLabel, event_partition};
use store::records::forgotten::{ForgottenRecord, Subject, anything_forgotten_key};
use store::table::{
    self, Item, Key, KeyRange, convert_sdk_error, encode_record_at, text_attribute,
};

use crate::services::EngineServices;

/// An event of a subject, with what is stored beside it.
#[derive(Clone, Default)]
pub struct FoundEvent {
    /// Its type.
    pub event_type: String,
    /// Its id.
    pub event_id: String,
    /// Its label, and since when it is known.
    pub label: Option<(String, String)>,
    /// The number of its predictions.
    pub predictions: usize,
    /// Every value that each of its variables has had.
    pub values: BTreeMap<String, HashSet<String>>,
}

/// Finds the events of a subject. The events of an entity are found by a scan of the whole table: nothing else needs
/// this query, and an index would cost a write per prediction.
///
/// # Errors
/// The table fails.
pub(crate) async fn find_events(account: &Account, subject: &Subject) -> Result<Vec<FoundEvent>> {
    let partitions = match subject {
        Subject::Event {
            event_type,
            event_id,
        } => HashSet::from([event_partition(event_type, event_id)]),
        Subject::Entity {
            entity_type,
            entity_id,
        } => find_event_partitions(account, entity_type, entity_id).await?,
    };
    let mut events = Vec::with_capacity(partitions.len());
    for pk in partitions {
        let items = account.events.query_items(KeyRange::all(&pk)).await?;
        events.extend(assemble_found_event(items)?);
    }
    events.sort_by(|a, b| (&a.event_type, &a.event_id).cmp(&(&b.event_type, &b.event_id)));
    Ok(events)
}

async fn find_event_partitions(
    account: &Account,
    entity_type: &str,
    entity_id: &str,
) -> Result<HashSet<String>> {
    let mut partitions = HashSet::new();
    let table = &account.events;
    let mut pages = table
        .client
        .scan()
        .table_name(&table.name)
        .filter_expression("begins_with(pk, :event)")
        .projection_expression("pk, entities")
        .expression_attribute_values(":event", AttributeValue::S("event#".to_owned()))
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        for item in page.map_err(convert_sdk_error)?.items.unwrap_or_default() {
            if is_event_of(&item, entity_type, entity_id)
                && let Some(Ok(pk)) = item.get("pk").map(AttributeValue::as_s)
            {
                partitions.insert(pk.clone());
            }
        }
    }
    Ok(partitions)
}

/// Takes an event out of the histories of its keys, as it is stored and as each of its predictions saw it.
///
/// # Errors
/// The table fails.
pub(crate) async fn forget_in_histories(
    services: &EngineServices,
    event_type: &str,
    event_id: &str,
) -> Result<()> {
    let Some(event_type) = services.definition_cache.get_event_type(event_type).await? else {
        return Ok(());
    };
    let pk = event_partition(&event_type.name, event_id);
    for item in services
        .account
        .events
        .query_items(KeyRange::all(&pk))
        .await?
    {
        if text_attribute(&item, "sk").is_some_and(|sk| sk != "label") {
            let stored: StoredEvent = table::decode_item(item)?;
            services
                .entity_histories
                .forget_event(&event_type, &stored)
                .await?;
        }
    }
    Ok(())
}

/// Notes that a subject was forgotten: from now on imports reject it. If a client sends a new event of the subject or a
/// prediction for one, it is stored as usual.
///
/// # Errors
/// The table fails.
pub(crate) async fn note_forgotten(account: &Account, subject: &Subject) -> Result<()> {
    let note = ForgottenRecord {
        time: text::format_milliseconds(account.now()),
    };
    for key in [anything_forgotten_key(), subject.key()] {
        account.events.put(encode_record_at(&key, &note)?).await?;
    }
    Ok(())
}

/// Returns those of the subjects that were forgotten.
pub(crate) async fn find_forgotten(
    account: &Account,
    subjects: &[Subject],
) -> Result<HashSet<Subject>> {
    if account
        .events
        .get_item(&anything_forgotten_key())
        .await?
        .is_none()
    {
        return Ok(HashSet::new());
    }
    let unique: HashSet<&Subject> = subjects.iter().collect();
    let keys: Vec<Key> = unique.iter().map(|subject| subject.key()).collect();
    let found = account.events.get_items(&keys).await?;
    let noted: HashSet<&String> = found
        .iter()
        .filter_map(|item| text_attribute(item, "pk"))
        .collect();
    let is_noted = |subject: &&Subject| noted.contains(&subject.key().pk);
    Ok(unique.into_iter().filter(is_noted).cloned().collect())
}

fn is_event_of(item: &Item, entity_type: &str, entity_id: &str) -> bool {
    let Some(Ok(entities)) = item.get("entities").map(AttributeValue::as_l) else {
        return false;
    };
    let has = |entity: &AttributeValue, name: &str, value: &str| {
        let entity = entity.as_m().ok().and_then(|entity| entity.get(name));
        entity.is_some_and(|found| found.as_s().is_ok_and(|found| found == value))
    };
    entities
        .iter()
        .any(|e| has(e, "entityType", entity_type) && has(e, "entityId", entity_id))
}

/// Combines the items of one partition.
fn assemble_found_event(items: Vec<Item>) -> Result<Option<FoundEvent>> {
    let mut event = FoundEvent::default();
    let mut parts = 0;
    for item in items {
        let sk = text_attribute(&item, "sk").cloned();
        if sk.as_deref() == Some("label") {
            let label: StoredLabel = table::decode_item(item)?;
            event.label = Some((label.current_label, label.label_timestamp));
            continue;
        }
        parts += 1;
        event.predictions += usize::from(sk.as_deref() != Some("event"));
        let stored: StoredEvent = table::decode_item(item)?;
        event.event_type = stored.event_type_name;
        event.event_id = stored.event_id;
        for (name, value) in stored.event_variables {
            event.values.entry(name).or_default().extend(value);
        }
    }
    Ok((parts > 0).then_some(event))
}

/// The error for a forgotten subject in an import's output.
pub(crate) fn forgotten_error() -> Error {
    Error::validation("The event or its entity was forgotten and is not stored again.")
}
