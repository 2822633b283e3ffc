//! Counters of stored events per event type: counted in memory, then added to a shard.
//!
//! An addition must not be applied twice, so it is written with its own client request token. A writer that does not
//! know whether the write succeeded repeats it with the same token, and DynamoDB, which remembers tokens for ten
//! minutes, applies it once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use protocol::{Error, Result, text};
use serde::{Deserialize, Serialize};
use store::Account;
use store::conflict_retry::retry_on_write_conflict;
use store::records::event::StoredEvent;
use store::table::{Key, convert_sdk_error};
use uuid::Uuid;

/// The number of items that share the counts of one event type.
const SHARDS: u8 = 8;
/// Counts are written after this many events, even without a flush.
const AT_ONCE: u64 = 1000;

/// Counts of this process that are not written yet, and the shard that it writes to.
#[derive(Debug)]
pub(crate) struct EventStatistics {
    account: Arc<Account>,
    counts: Mutex<HashMap<String, EventCount>>,
    /// The addition of each event type that may or may not have been applied. The holder of the lock writes.
    unsettled: tokio::sync::Mutex<HashMap<String, PendingAddition>>,
    shard: u8,
}

/// An addition to a shard that is being written. It may have been applied, so every attempt sends the same bytes.
#[derive(Debug)]
struct PendingAddition {
    token: String,
    update: Update,
    count: EventCount,
}

/// Stored minus deleted events, and the time span of the stored events.
#[derive(Debug, Default, Clone)]
pub(crate) struct EventCount {
    changes: u64,
    events: i64,
    bytes: i64,
    earliest: Option<String>,
    latest: Option<String>,
}

impl EventCount {
    /// One event of `bytes` bytes was stored.
    pub(crate) fn of_stored_event(bytes: usize, time: &str) -> Self {
        Self {
            changes: 1,
            events: 1,
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            earliest: Some(time.to_owned()),
            latest: Some(time.to_owned()),
        }
    }

    /// One event of `bytes` bytes was deleted. The time span stays, because the first and last of the remaining times
    /// are not known.
    pub(crate) fn of_deleted_event(bytes: usize) -> Self {
        Self {
            changes: 1,
            events: -1,
            bytes: -i64::try_from(bytes).unwrap_or(i64::MAX),
            earliest: None,
            latest: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes == 0
    }

    pub(crate) fn merge(&mut self, more: Self) {
        self.changes += more.changes;
        self.events += more.events;
        self.bytes += more.bytes;
        self.earliest = choose_earlier(self.earliest.take(), more.earliest);
        self.latest = self.latest.take().max(more.latest);
    }
}

/// The counts of an event type on the wire.
#[derive(Debug, Default, Serialize, Deserialize)]
// A shard gets its span before its first count, see `extend_time_span`.
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EventTotals {
    number_of_events: i64,
    event_data_size_in_bytes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    least_recent_event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most_recent_event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_time: Option<String>,
}

impl EventStatistics {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        let shard = Uuid::new_v4().as_bytes()[0] % SHARDS;
        Self {
            account,
            counts: Mutex::default(),
            unsettled: tokio::sync::Mutex::default(),
            shard,
        }
    }

    /// Counts in memory. Returns whether the counts should be written now.
    fn count_in_memory(&self, event_type: &str, more: EventCount) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(event_type.to_owned()).or_default();
        count.merge(more);
        count.changes >= AT_ONCE
    }

    /// The event types with a count.
    fn counted_event_types(&self) -> Vec<String> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.keys().cloned().collect()
    }

    fn take_count(&self, event_type: &str) -> Option<EventCount> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.remove(event_type)
    }
}

fn make_shard_key(event_type: &str, shard: u8) -> Key {
    Key::new(format!("statistics#{event_type}#{shard}"), "statistics")
}

impl EventStatistics {
    /// Writes the counts. A count that fails is kept for the next time and does not delay other event types.
    pub(crate) async fn write_all_counts(&self) -> Result<()> {
        let mut unsettled = self.unsettled.lock().await;
        self.write_counts(&mut unsettled).await
    }

    async fn write_counts(&self, unsettled: &mut HashMap<String, PendingAddition>) -> Result<()> {
        let mut event_types = self.counted_event_types();
        event_types.extend(unsettled.keys().cloned());
        event_types.sort_unstable();
        event_types.dedup();
        let mut result = Ok(());
        for event_type in event_types {
            if let Err(error) = self.write_count(&event_type, unsettled).await {
                result = Err(error);
            }
        }
        result
    }

    /// Counts events that were stored or deleted. This cannot fail, because the events are already written: a count
    /// that cannot be written waits for the next time.
    pub(crate) async fn count_events(&self, event_type: &str, more: EventCount) {
        if !self.count_in_memory(event_type, more) {
            return;
        }
        // If another request is writing, this one does not wait for it.
        let Ok(mut unsettled) = self.unsettled.try_lock() else {
            return;
        };
        if self.write_counts(&mut unsettled).await.is_err() {
            tracing::warn!("the statistics of events could not be written");
        }
    }

    /// Counts an event that was stored.
    pub(crate) async fn count_stored(&self, event: &StoredEvent) {
        let StoredEvent {
            event_type_name,
            event_timestamp,
            ..
        } = event;
        let count = EventCount::of_stored_event(event.bytes(), event_timestamp);
        self.count_events(event_type_name, count).await;
    }

    /// Writes the count of an event type, after the previous addition if that may not have been applied.
    async fn write_count(
        &self,
        event_type: &str,
        unsettled: &mut HashMap<String, PendingAddition>,
    ) -> Result<()> {
        self.write_pending_addition(event_type, unsettled).await?;
        let Some(count) = self.take_count(event_type) else {
            return Ok(());
        };
        let addition = PendingAddition {
            token: Uuid::new_v4().to_string(),
            update: self.count_update(event_type, &count)?,
            count,
        };
        unsettled.insert(event_type.to_owned(), addition);
        self.write_pending_addition(event_type, unsettled).await
    }

    async fn write_pending_addition(
        &self,
        event_type: &str,
        unsettled: &mut HashMap<String, PendingAddition>,
    ) -> Result<()> {
        if let Some(addition) = unsettled.get(event_type) {
            self.extend_time_span(event_type, &addition.count).await?;
            retry_on_write_conflict(|| self.write_addition(addition)).await?;
            unsettled.remove(event_type);
        }
        Ok(())
    }

    async fn write_addition(&self, addition: &PendingAddition) -> Result<()> {
        let action = TransactWriteItem::builder().update(addition.update.clone());
        let request = self.account.events.client.transact_write_items();
        let request = request
            .client_request_token(&addition.token)
            .transact_items(action.build());
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_transaction_conflict(&error) => Err(Error::write_conflict()),
            Err(error) => Err(convert_sdk_error(error)),
        }
    }

    /// Extends the span to the times that were counted. Repeating this is harmless, but repeating a count is not, so
    /// the span is written before the counters.
    pub(crate) async fn extend_time_span(
        &self,
        event_type: &str,
        count: &EventCount,
    ) -> Result<()> {
        let key = make_shard_key(event_type, self.shard);
        retry_on_write_conflict(|| {
            self.extend_span_end(&key, "leastRecentEvent", ">", count.earliest.as_deref())
        })
        .await?;
        retry_on_write_conflict(|| {
            self.extend_span_end(&key, "mostRecentEvent", "<", count.latest.as_deref())
        })
        .await
    }

    /// The update of the counters for a transaction; call [`Self::extend_time_span`] before it.
    pub(crate) fn count_update(&self, event_type: &str, count: &EventCount) -> Result<Update> {
        let number = |number: i64| AttributeValue::N(number.to_string());
        let now = AttributeValue::S(text::format_milliseconds(self.account.now()));
        Update::builder()
            .table_name(&self.account.events.name)
            .set_key(Some(make_shard_key(event_type, self.shard).attributes()))
            .update_expression("ADD numberOfEvents :events, eventDataSizeInBytes :bytes SET lastUpdatedTime = :now")
            .expression_attribute_values(":events", number(count.events))
            .expression_attribute_values(":bytes", number(count.bytes))
            .expression_attribute_values(":now", now)
            .build()
            .map_err(Error::internal)
    }

    /// Deletes the span of an event type that has no events, so that the next event starts a new one.
    pub(crate) async fn delete_time_span(&self, event_type: &str) -> Result<()> {
        self.write_all_counts().await?;
        let totals = self.load_totals(event_type).await?;
        if totals.is_none_or(|totals| totals.number_of_events != 0) {
            return Ok(());
        }
        for shard in 0..SHARDS {
            let request = self.account.events.client.update_item();
            let request = request
                .table_name(&self.account.events.name)
                .set_key(Some(make_shard_key(event_type, shard).attributes()))
                .update_expression("REMOVE leastRecentEvent, mostRecentEvent")
                .condition_expression("attribute_exists(pk)");
            match request.send().await {
                Err(error) if !is_within_span(&error) => return Err(convert_sdk_error(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Moves one end of the span, if the new time is further out.
    async fn extend_span_end(
        &self,
        key: &Key,
        end: &str,
        than: &str,
        time: Option<&str>,
    ) -> Result<()> {
        let Some(time) = time else {
            return Ok(());
        };
        let request = self
            .account
            .events
            .client
            .update_item()
            .table_name(&self.account.events.name);
        let request = request
            .set_key(Some(key.attributes()))
            .update_expression(format!("SET {end} = :time"))
            .condition_expression(format!("attribute_not_exists({end}) OR {end} {than} :time"))
            .expression_attribute_values(":time", AttributeValue::S(time.to_owned()));
        match request.send().await {
            Err(error) if is_item_in_transaction(&error) => Err(Error::write_conflict()),
            Err(error) if !is_within_span(&error) => Err(convert_sdk_error(error)),
            _ => Ok(()),
        }
    }

    /// The counts of an event type over all shards; `None` if nothing was counted.
    pub(crate) async fn load_totals(&self, event_type: &str) -> Result<Option<EventTotals>> {
        let keys: Vec<Key> = (0..SHARDS)
            .map(|shard| make_shard_key(event_type, shard))
            .collect();
        let shards: Vec<EventTotals> = self.account.events.get_many(&keys).await?;
        let totals = shards.into_iter().reduce(|mut sum, shard| {
            sum.number_of_events += shard.number_of_events;
            sum.event_data_size_in_bytes += shard.event_data_size_in_bytes;
            sum.least_recent_event =
                choose_earlier(sum.least_recent_event, shard.least_recent_event);
            sum.most_recent_event = sum.most_recent_event.max(shard.most_recent_event);
            sum.last_updated_time = sum.last_updated_time.max(shard.last_updated_time);
            sum
        });
        // A deletion may be counted before the event that it deletes.
        Ok(totals.map(|totals| EventTotals {
            number_of_events: totals.number_of_events.max(0),
            event_data_size_in_bytes: totals.event_data_size_in_bytes.max(0),
            ..totals
        }))
    }
}

fn is_within_span(error: &SdkError<UpdateItemError>) -> bool {
    error
        .as_service_error()
        .is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}

/// Whether another process is writing to the same shard right now.
fn is_transaction_conflict(error: &SdkError<TransactWriteItemsError>) -> bool {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => canceled
            .cancellation_reasons()
            .iter()
            .any(|reason| reason.code() == Some("TransactionConflict")),
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => true,
        _ => false,
    }
}

fn is_item_in_transaction(error: &SdkError<UpdateItemError>) -> bool {
    error
        .as_service_error()
        .is_some_and(UpdateItemError::is_transaction_conflict_exception)
}

fn choose_earlier(a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
