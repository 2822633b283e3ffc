//! The keys of events that only `ingest` saw. Decided orders keep theirs in the decision.
//!
//! With them, a later label, a later revision and `forget` find the profiles in which the event is counted.

use aws_sdk_dynamodb::types::AttributeValue;
use event::{EventId, Revision, Timestamp};

use super::ProfileTable;
use crate::decisions::{CountingNote, ItemKey, ScannedPage};
use crate::failure::{Failure, dependency_failure};
use crate::items::{Item, write_items};
use crate::mapping::{HashedKeys, Mapping};

/// Prefix of the partition key; the event type and the event id follow.
const PARTITION: &str = "event/";
/// Prefix of the sort key; the number of the revision follows, with leading zeros.
const SORT_KEY: &str = "keys#";

/// The keys of one revision of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventKeys {
    /// The number of the revision, see [`Revision::number`].
    pub revision: u64,
    /// The hashes of its keys.
    pub keys: HashedKeys,
    /// The revision; `None` in items of earlier releases, which kept only its number.
    pub order_revision: Option<Revision>,
    /// How it was counted; absent in items of earlier releases.
    pub counting: Option<CountingNote>,
    /// Hash of the mapping file; absent in items of earlier releases.
    pub mapping_hash: Option<String>,
}

/// An event that `ingest` sent, whose keys are stored.
#[derive(Clone, Debug)]
pub struct IngestedEvent<'a> {
    /// Its id.
    pub event_id: &'a EventId,
    /// Which version of the event it is.
    pub revision: Revision,
    /// The hashes of its keys.
    pub keys: &'a HashedKeys,
    /// How it was counted.
    pub counting: &'a CountingNote,
}

impl ProfileTable {
    /// Stores the keys of events; writing them again changes nothing.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn write_event_keys<'a>(
        &self,
        mapping: &Mapping,
        events: impl Iterator<Item = IngestedEvent<'a>>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let expires_at = now.epoch_seconds() + mapping.retention_seconds();
        let item = |event: IngestedEvent<'_>| {
            let sk = format!("{SORT_KEY}{:020}", event.revision.number());
            let keys = event.keys.iter().map(|(name, hashes)| {
                let hashes = hashes.iter().cloned().map(AttributeValue::S).collect();
                (name.clone(), AttributeValue::L(hashes))
            });
            let counting = serde_dynamo::to_attribute_value(event.counting)
                .map_err(|_| Failure::retry("how an event was counted does not serialize"))?;
            Ok(Item::from([
                text("pk", event_partition(mapping, event.event_id)),
                text("sk", sk),
                text("revision_key", event.revision.key()),
                text("mapping_hash", mapping.hash().to_owned()),
                ("keys".to_owned(), AttributeValue::M(keys.collect())),
                ("counting".to_owned(), counting),
                (
                    "expires_at".to_owned(),
                    AttributeValue::N(expires_at.to_string()),
                ),
            ]))
        };
        let items: Result<Vec<Item>, Failure> = events
            // A later revision without keys says that the event has left those of the first.
            .filter(|event| !event.keys.is_empty() || event.revision > Revision::FIRST)
            .map(item)
            .collect();
        let items = items?;
        write_items(&self.client, &self.table, items).await
    }

    /// The keys of all revisions of an event that `ingest` stored, the oldest revision first.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn read_event_keys(
        &self,
        mapping: &Mapping,
        event_id: &EventId,
    ) -> Result<Vec<EventKeys>, Failure> {
        let query = self.client.query().table_name(&self.table);
        let pk = AttributeValue::S(event_partition(mapping, event_id));
        let items = query
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", pk)
            .expression_attribute_values(":sk", AttributeValue::S(SORT_KEY.to_owned()))
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await;
        let items = items.map_err(|error| dependency_failure("Query", &error))?;
        let keys = items
            .iter()
            .map(|item| read_event_keys(item).ok_or_else(unreadable_keys));
        keys.collect()
    }

    /// The keys of ingested events in a page of the whole table, in the order of the table, after the item with key `after`.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn scan_event_keys(
        &self,
        mapping: &Mapping,
        after: Option<&ItemKey>,
    ) -> Result<ScannedPage<(EventId, EventKeys)>, Failure> {
        let prefix = format!("{PARTITION}{}#", mapping.event_type());
        let scan = self.client.scan().table_name(&self.table);
        let scan = scan
            .consistent_read(true)
            .set_exclusive_start_key(after.map(ItemKey::attributes))
            .filter_expression("begins_with(pk, :pk)")
            .expression_attribute_values(":pk", AttributeValue::S(prefix.clone()));
        let page = scan.send().await;
        let page = page.map_err(|error| dependency_failure("Scan", &error))?;
        let read = |item: &Item| {
            let key = ItemKey::read(item)?;
            let event_id = key.pk().strip_prefix(&prefix)?;
            let event_id = EventId::try_from(event_id).ok()?;
            let keys = read_event_keys(item)?;
            Some((key, (event_id, keys)))
        };
        let items = page.items.unwrap_or_default();
        let items = items
            .iter()
            .map(|item| read(item).ok_or_else(unreadable_keys));
        Ok(ScannedPage {
            items: items.collect::<Result<_, _>>()?,
            next: page.last_evaluated_key.as_ref().and_then(ItemKey::read),
        })
    }

    /// Deletes the keys of all revisions of an event.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn delete_event_keys(
        &self,
        mapping: &Mapping,
        event_id: &EventId,
    ) -> Result<(), Failure> {
        for keys in self.read_event_keys(mapping, event_id).await? {
            let sk = format!("{SORT_KEY}{:020}", keys.revision);
            let pk = AttributeValue::S(event_partition(mapping, event_id));
            let delete = self.client.delete_item().table_name(&self.table);
            let delete = delete.key("pk", pk).key("sk", AttributeValue::S(sk));
            let deleted = delete.send().await;
            deleted.map_err(|error| dependency_failure("DeleteItem", &error))?;
        }
        Ok(())
    }
}

/// The partition key of an event's keys. The names of keys have no `/`, so no profile has it.
fn event_partition(mapping: &Mapping, event_id: &EventId) -> String {
    format!("{PARTITION}{}#{event_id}", mapping.event_type())
}

fn unreadable_keys() -> Failure {
    Failure::set_up("the keys of an event are not readable by this version")
}

fn text(name: &str, value: String) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::S(value))
}

fn read_event_keys(item: &Item) -> Option<EventKeys> {
    let sk = item.get("sk")?.as_s().ok()?;
    let keys = item.get("keys")?.as_m().ok()?.iter();
    let keys = keys.map(|(name, hashes)| {
        let hashes = hashes.as_l().ok()?.iter();
        let hashes: Option<Vec<String>> = hashes.map(|hash| hash.as_s().ok().cloned()).collect();
        Some((name.clone(), hashes?))
    });
    let stored_text = |name: &str| item.get(name)?.as_s().ok();
    let counting = item.get("counting").cloned();
    let counting = counting.map(serde_dynamo::from_attribute_value);
    Some(EventKeys {
        order_revision: stored_text("revision_key").and_then(|key| Revision::from_key(key)),
        counting: counting.transpose().ok()?,
        mapping_hash: stored_text("mapping_hash").cloned(),
        revision: sk.strip_prefix(SORT_KEY)?.parse().ok()?,
        keys: keys.collect::<Option<HashedKeys>>()?,
    })
}
