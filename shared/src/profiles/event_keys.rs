//! The keys of events that only `ingest` saw. Decided orders keep theirs in the decision.
//!
//! With them, a later label, a later revision and `forget` find the profiles in which the event is counted.

use aws_sdk_dynamodb::types::AttributeValue;
use event::{EventId, Revision, Timestamp};

use super::ProfileTable;
use crate::failure::{Failure, dependency_failure};
use crate::items::{Item, write_items};
use crate::mapping::{HashedKeys, Mapping};

/// Prefix of the sort key; the number of the revision follows, with leading zeros.
const SORT_KEY: &str = "keys#";

/// The keys of one revision of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventKeys {
    /// The number of the revision, see [`Revision::number`].
    pub revision: u64,
    /// The hashes of its keys.
    pub keys: HashedKeys,
}

impl ProfileTable {
    /// Stores the keys of events; writing them again changes nothing.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn write_event_keys<'a>(
        &self,
        mapping: &Mapping,
        events: impl Iterator<Item = (&'a EventId, Revision, &'a HashedKeys)>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let expires_at = now.epoch_seconds() + mapping.retention_seconds();
        let item = |(event_id, revision, keys): (&EventId, Revision, &HashedKeys)| {
            let sk = format!("{SORT_KEY}{:020}", revision.number());
            let keys = keys.iter().map(|(name, hashes)| {
                let hashes = hashes.iter().cloned().map(AttributeValue::S).collect();
                (name.clone(), AttributeValue::L(hashes))
            });
            Item::from([
                text("pk", event_partition(mapping, event_id)),
                text("sk", sk),
                ("keys".to_owned(), AttributeValue::M(keys.collect())),
                (
                    "expires_at".to_owned(),
                    AttributeValue::N(expires_at.to_string()),
                ),
            ])
        };
        let items: Vec<Item> = events
            .filter(|(_, _, keys)| !keys.is_empty())
            .map(item)
            .collect();
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
        let unreadable =
            || Failure::set_up("the keys of an event are not readable by this version");
        let keys = items
            .iter()
            .map(|item| read_event_keys(item).ok_or_else(unreadable));
        keys.collect()
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
    format!("event/{}#{event_id}", mapping.event_type())
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
    Some(EventKeys {
        revision: sk.strip_prefix(SORT_KEY)?.parse().ok()?,
        keys: keys.collect::<Option<HashedKeys>>()?,
    })
}
