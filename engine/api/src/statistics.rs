//! Counters of stored events, per event type: in memory first, then added to a shard.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Update};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::store::{Key, failed};
use crate::text;

/// So many items share the counting of one event type.
const SHARDS: u8 = 8;
/// Counts are written when so many events have come together, also without a flush.
const AT_ONCE: u64 = 1000;

/// What this process has counted and not written, and the shard it writes to.
#[derive(Debug)]
pub(crate) struct Statistics {
    counts: Mutex<HashMap<String, Count>>,
    shard: u8,
}

impl Default for Statistics {
    fn default() -> Self {
        let shard = Uuid::new_v4().as_bytes()[0] % SHARDS;
        Self {
            counts: Mutex::default(),
            shard,
        }
    }
}

/// What was stored less what was deleted, and the times that the stored events span.
#[derive(Debug, Default, Clone)]
pub(crate) struct Count {
    changes: u64,
    events: i64,
    bytes: i64,
    least: Option<String>,
    most: Option<String>,
}

impl Count {
    /// One event of so many bytes was stored.
    pub(crate) fn stored(bytes: usize, time: &str) -> Self {
        Self {
            changes: 1,
            events: 1,
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            least: Some(time.to_owned()),
            most: Some(time.to_owned()),
        }
    }

    /// One event of so many bytes was deleted. The span stays: what is at its ends now is not known.
    pub(crate) fn deleted(bytes: usize) -> Self {
        Self {
            changes: 1,
            events: -1,
            bytes: -i64::try_from(bytes).unwrap_or(i64::MAX),
            least: None,
            most: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes == 0
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.changes += more.changes;
        self.events += more.events;
        self.bytes += more.bytes;
        self.least = earlier(self.least.take(), more.least);
        self.most = self.most.take().max(more.most);
    }
}

/// The counts of an event type on the wire.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Totals {
    number_of_events: i64,
    event_data_size_in_bytes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    least_recent_event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most_recent_event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_time: Option<String>,
}

impl Statistics {
    /// Counts; says whether it is time to write.
    fn count(&self, event_type: &str, more: Count) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(event_type.to_owned()).or_default();
        count.add(more);
        count.changes >= AT_ONCE
    }

    /// Keeps what could not be written for the next time.
    fn put_back(&self, event_type: String, count: Count) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(event_type).or_default().add(count);
    }

    fn take(&self) -> HashMap<String, Count> {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn key(event_type: &str, shard: u8) -> Key {
    Key::new(format!("statistics#{event_type}#{shard}"), "statistics")
}

impl Engine {
    pub(crate) async fn write_statistics(&self) -> Result<()> {
        let mut result = Ok(());
        for (event_type, count) in self.statistics.take() {
            if let Err(error) = self.add(&event_type, &count).await {
                self.statistics.put_back(event_type, count);
                result = Err(error);
            }
        }
        result
    }

    /// Counts events that were stored or deleted. They are by now, so a count that cannot be
    /// written waits for the next time and fails nothing.
    pub(crate) async fn count(&self, event_type: &str, more: Count) {
        let full = self.statistics.count(event_type, more);
        if full && self.write_statistics().await.is_err() {
            tracing::warn!("the statistics of events could not be written");
        }
    }

    async fn add(&self, event_type: &str, count: &Count) -> Result<()> {
        let Update {
            key,
            update_expression,
            table_name,
            expression_attribute_values: values,
            ..
        } = self.count_update(event_type, count)?;
        let request = self.events.client.update_item().table_name(table_name);
        let request = request
            .set_key(Some(key))
            .update_expression(update_expression)
            .set_expression_attribute_values(values);
        request.send().await.map_err(failed)?;
        self.stretch_to(event_type, count).await
    }

    /// The change of the counters alone, for a transaction; [`Self::stretch_to`] follows it.
    pub(crate) fn count_update(&self, event_type: &str, count: &Count) -> Result<Update> {
        let number = |number: i64| AttributeValue::N(number.to_string());
        let now = AttributeValue::S(text::milliseconds(self.now()));
        Update::builder()
            .table_name(&self.events.name)
            .set_key(Some(key(event_type, self.statistics.shard).attributes()))
            .update_expression("ADD numberOfEvents :events, eventDataSizeInBytes :bytes SET lastUpdatedTime = :now")
            .expression_attribute_values(":events", number(count.events))
            .expression_attribute_values(":bytes", number(count.bytes))
            .expression_attribute_values(":now", now)
            .build()
            .map_err(Error::internal)
    }

    /// Makes the span hold the times that were counted; doing it twice is no harm.
    pub(crate) async fn stretch_to(&self, event_type: &str, count: &Count) -> Result<()> {
        let key = key(event_type, self.statistics.shard);
        self.stretch(&key, "leastRecentEvent", ">", count.least.as_deref())
            .await?;
        self.stretch(&key, "mostRecentEvent", "<", count.most.as_deref())
            .await
    }

    /// Forgets the span of an event type without events: the next event begins another.
    pub(crate) async fn forget_span(&self, event_type: &str) -> Result<()> {
        self.write_statistics().await?;
        let totals = self.totals(event_type).await?;
        if totals.is_none_or(|totals| totals.number_of_events != 0) {
            return Ok(());
        }
        for shard in 0..SHARDS {
            let request = self.events.client.update_item();
            let request = request
                .table_name(&self.events.name)
                .set_key(Some(key(event_type, shard).attributes()))
                .update_expression("REMOVE leastRecentEvent, mostRecentEvent")
                .condition_expression("attribute_exists(pk)");
            match request.send().await {
                Err(error) if !lies_within(&error) => return Err(failed(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Moves one end of the time the events span, if the new one lies further out.
    async fn stretch(&self, key: &Key, end: &str, than: &str, time: Option<&str>) -> Result<()> {
        let Some(time) = time else {
            return Ok(());
        };
        let request = self
            .events
            .client
            .update_item()
            .table_name(&self.events.name);
        let request = request
            .set_key(Some(key.attributes()))
            .update_expression(format!("SET {end} = :time"))
            .condition_expression(format!("attribute_not_exists({end}) OR {end} {than} :time"))
            .expression_attribute_values(":time", AttributeValue::S(time.to_owned()));
        match request.send().await {
            Err(error) if !lies_within(&error) => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// The counts of an event type over all shards; `None` where nothing was counted.
    pub(crate) async fn totals(&self, event_type: &str) -> Result<Option<Totals>> {
        let keys: Vec<Key> = (0..SHARDS).map(|shard| key(event_type, shard)).collect();
        let shards: Vec<Totals> = self.events.many(&keys).await?;
        let totals = shards.into_iter().reduce(|mut sum, shard| {
            sum.number_of_events += shard.number_of_events;
            sum.event_data_size_in_bytes += shard.event_data_size_in_bytes;
            sum.least_recent_event = earlier(sum.least_recent_event, shard.least_recent_event);
            sum.most_recent_event = sum.most_recent_event.max(shard.most_recent_event);
            sum.last_updated_time = sum.last_updated_time.max(shard.last_updated_time);
            sum
        });
        // A deletion may be written before the count of what it deletes.
        Ok(totals.map(|totals| Totals {
            number_of_events: totals.number_of_events.max(0),
            event_data_size_in_bytes: totals.event_data_size_in_bytes.max(0),
            ..totals
        }))
    }
}

fn lies_within(error: &SdkError<UpdateItemError>) -> bool {
    error
        .as_service_error()
        .is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}

fn earlier(a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
