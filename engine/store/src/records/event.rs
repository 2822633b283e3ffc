//! Events and their labels, and the only function that writes them.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use protocol::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::table::{
    FORM, Item, Key, check_form, convert_sdk_error, encode_record_at, text_attribute,
};

/// How often a write is retried when the item has a later turn.
pub const MAX_CONFLICTS: usize = 20;

/// The variables of an event: the value as sent, or an explicit null.
pub type EventVariables = BTreeMap<String, Option<String>>;

/// Who or what an event is about.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventEntity {
    pub entity_type: String,
    pub entity_id: String,
}

/// An event as stored, as an item or in the snapshot of a prediction.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredEvent {
    pub event_id: String,
    pub event_type_name: String,
    pub event_timestamp: String,
    pub event_variables: EventVariables,
    pub entities: Vec<EventEntity>,
    /// When it was stored; tells which of several snapshots is the newest.
    pub stored_time: String,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// The row of the import that stored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
}

impl StoredEvent {
    /// Its size in the statistics, in bytes.
    pub fn bytes(&self) -> usize {
        count_event_bytes(&self.event_id, &self.event_variables)
    }
}

/// The size of an event in bytes: its names and values.
pub fn count_event_bytes(event_id: &str, variables: &EventVariables) -> usize {
    let variable = |(name, value): (&String, &Option<String>)| {
        name.len() + value.as_ref().map_or(0, String::len)
    };
    variables.iter().map(variable).sum::<usize>() + event_id.len()
}

/// Whether an event type has stored events, sent or from predictions.
///
/// The table has no index by event type, so this is a scan, which ends at the first event that it finds. The counters of
/// the statistics could not answer: they are written in batches, and expired events stay counted.
pub async fn has_stored_events(account: &Account, event_type: &str) -> Result<bool> {
    let mut start = None;
    loop {
        let request = account.events.client.scan();
        let request = request
            .table_name(&account.events.name)
            .consistent_read(true)
            .projection_expression("pk")
            .filter_expression(
                "begins_with(pk, :events) AND (sk = :event OR #stored = :yes) \
                 AND (attribute_not_exists(expiresAt) OR expiresAt > :now)",
            )
            .expression_attribute_names("#stored", "stored")
            .expression_attribute_values(
                ":events",
                AttributeValue::S(event_partition(event_type, "")),
            )
            .expression_attribute_values(":event", AttributeValue::S(EVENT_SORT_KEY.to_owned()))
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(
                ":now",
                AttributeValue::N(account.now().as_second().to_string()),
            )
            .set_exclusive_start_key(start);
        let page = request.send().await.map_err(convert_sdk_error)?;
        if page.items.is_some_and(|items| !items.is_empty()) {
            return Ok(true);
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(false);
        }
    }
}

/// The label of an event, as stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredLabel {
    pub current_label: String,
    pub label_timestamp: String,
    pub stored_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

pub fn event_partition(event_type: &str, event_id: &str) -> String {
    format!("event#{event_type}#{event_id}")
}

/// The sort key of the event that `SendEvent` stored, in the event's partition.
const EVENT_SORT_KEY: &str = "event";

pub fn event_key(event_type: &str, event_id: &str) -> Key {
    Key::new(event_partition(event_type, event_id), EVENT_SORT_KEY)
}

pub fn label_key(event_type: &str, event_id: &str) -> Key {
    Key::new(event_partition(event_type, event_id), "label")
}

/// The result of storing an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreResult {
    /// There was no event with its id.
    New,
    /// It replaced another one.
    Replaced,
    /// Another row of the same import has its id, so it was not stored.
    Repeated,
}

/// The item that was under a key before a record was written there.
pub enum PreviousItem {
    /// There was no item.
    Nothing,
    /// Another item, which is replaced.
    Other(Item),
    /// The same item: the request was sent again.
    Itself,
    /// The item of another row of the same import, which is kept.
    Kept,
}

/// A row of an import. If several rows of one import have the same event id, the first counts. A row replaces what it
/// wrote itself before a crash.
pub struct ImportRow<'a> {
    /// The import; the names of its rows begin with it.
    pub import: &'a str,
    /// The name of the row.
    pub name: &'a str,
}

impl ImportRow<'_> {
    /// True if there is no item of another row of the import. [`ImportRow::is_after_item`] tests the same for an item.
    const CONDITION: &'static str =
        "(attribute_not_exists(imported) OR imported = :row OR NOT begins_with(imported, :import))";

    /// Whether `there` is the item of another row of the import.
    pub fn is_after_item(&self, there: &Item) -> bool {
        find_importing_row(there)
            .is_some_and(|there| there.starts_with(self.import) && there != self.name)
    }
}

/// The row that stored an item.
pub fn find_importing_row(item: &Item) -> Option<&String> {
    text_attribute(item, "imported")
}

/// Replaces the item that was written before, but never the item of another row of the same import.
///
/// A request whose client has given up may arrive after later ones and must not replace them. So each item has a
/// `turn`, a time in milliseconds since 1970, and replaces only an item with an earlier turn. A writer that finds a
/// later turn, because clocks differ, retries with the next turn. One case is not covered: a delayed request from a
/// clock that is ahead by more than the delay.
pub async fn put_latest_record(
    account: &Account,
    key: &Key,
    record: &impl Serialize,
    row: Option<&ImportRow<'_>>,
) -> Result<PreviousItem> {
    const LATEST: &str = "(attribute_not_exists(turn) OR turn < :turn) \
         AND (attribute_not_exists(form) OR form <= :form)";
    let mut item = encode_record_at(key, record)?;
    let mut turn = account.now().as_millisecond();
    for _ in 0..MAX_CONFLICTS {
        let number = AttributeValue::N(turn.to_string());
        item.insert("turn".to_owned(), number.clone());
        let request = account
            .events
            .client
            .put_item()
            .table_name(&account.events.name)
            .set_item(Some(item.clone()))
            .expression_attribute_values(":turn", number)
            .expression_attribute_values(":form", AttributeValue::N(FORM.to_string()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = match row {
            None => request.condition_expression(LATEST),
            Some(row) => request
                .condition_expression(format!("{LATEST} AND {}", ImportRow::CONDITION))
                .expression_attribute_values(":row", AttributeValue::S(row.name.to_owned()))
                .expression_attribute_values(":import", AttributeValue::S(row.import.to_owned())),
        };
        let error = match request.send().await {
            Ok(output) => {
                return Ok(output
                    .attributes
                    .map_or(PreviousItem::Nothing, PreviousItem::Other));
            }
            Err(error) => error,
        };
        let Some(PutItemError::ConditionalCheckFailedException(met)) = error.as_service_error()
        else {
            return Err(convert_sdk_error(error));
        };
        let there = met.item().cloned().unwrap_or_default();
        check_form(&there)?;
        if there == item {
            return Ok(PreviousItem::Itself);
        }
        if row.is_some_and(|row| row.is_after_item(&there)) {
            return Ok(PreviousItem::Kept);
        }
        let met = there.get("turn").and_then(|turn| turn.as_n().ok());
        let met = met.and_then(|turn| turn.parse().ok());
        turn = met.unwrap_or(turn).saturating_add(1);
    }
    Err(Error::throttling(
        "Rate exceeded: too many writes of one event at once.",
    ))
}

/// Stores an event. For a row of an import, `import` names the import and [`StoredEvent::imported`] the row.
pub async fn put_stored_event(
    account: &Account,
    event: &StoredEvent,
    import: Option<&str>,
) -> Result<StoreResult> {
    let key = event_key(&event.event_type_name, &event.event_id);
    let row = import.zip(event.imported.as_deref());
    let row = row.map(|(import, name)| ImportRow { import, name });
    // A row that was written before a crash counts as new: its count was in memory and was lost.
    let is_same_row = |there: &Item| {
        row.as_ref()
            .is_some_and(|row| find_importing_row(there).is_some_and(|there| there == row.name))
    };
    Ok(
        match put_latest_record(account, &key, event, row.as_ref()).await? {
            PreviousItem::Nothing => StoreResult::New,
            PreviousItem::Other(there) if is_same_row(&there) => StoreResult::New,
            PreviousItem::Itself if row.is_some() => StoreResult::New,
            PreviousItem::Other(_) | PreviousItem::Itself => StoreResult::Replaced,
            PreviousItem::Kept => StoreResult::Repeated,
        },
    )
}

/// Replaces the label of an event.
pub async fn put_stored_label(
    account: &Account,
    event: &StoredEvent,
    label: &StoredLabel,
) -> Result<()> {
    let key = label_key(&event.event_type_name, &event.event_id);
    put_latest_record(account, &key, label, None)
        .await
        .map(drop)
}
