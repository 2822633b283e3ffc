//! Reading and writing items of one table.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use futures::future::join_all;
use protocol::{Error, ErrorCode, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::conflict_retry::pause_randomly;

/// The most answers in a row that processed nothing; after that the table counts as throttled.
const UNPROCESSED_ROUNDS: u32 = 6;
/// The pause before unprocessed keys or items are requested again: the first, and the longest.
const UNPROCESSED_PAUSE: [Duration; 2] = [Duration::from_millis(25), Duration::from_secs(1)];
/// The most items in one `BatchWriteItem`.
const BATCH_WRITE: usize = 25;

/// One item as the client sends and receives it.
pub type Item = HashMap<String, AttributeValue>;

/// The key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    /// The key with this partition key and this sort key.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self {
            pk: pk.into(),
            sk: sk.into(),
        }
    }

    /// Whether an item can have this key. DynamoDB rejects a key that is empty or too long, and the service model does
    /// not limit the length of all names.
    fn can_exist(&self) -> bool {
        (1..=2048).contains(&self.pk.len()) && (1..=1024).contains(&self.sk.len())
    }

    /// The two key attributes, as requests carry them.
    pub fn attributes(&self) -> Item {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        HashMap::from([
            ("pk".to_owned(), text(&self.pk)),
            ("sk".to_owned(), text(&self.sk)),
        ])
    }
}

/// A record with its own key.
pub trait StoredRecord: Serialize + DeserializeOwned {
    /// Its key.
    fn key(&self) -> Key;
}

/// The items of one partition to read, in order.
#[derive(Clone, Debug)]
pub struct KeyRange<'a> {
    /// The partition.
    pub pk: &'a str,
    /// The prefix of the sort keys.
    pub prefix: &'a str,
    /// Only items after this sort key.
    pub after: Option<&'a str>,
    /// The most items to read.
    pub limit: usize,
    /// Whether the order is descending.
    pub newest_first: bool,
}

impl<'a> KeyRange<'a> {
    /// The whole partition.
    pub fn all(pk: &'a str) -> Self {
        Self {
            pk,
            prefix: "",
            after: None,
            limit: usize::MAX,
            newest_first: false,
        }
    }

    /// Only sort keys with this prefix.
    #[must_use]
    pub fn prefix(self, prefix: &'a str) -> Self {
        Self { prefix, ..self }
    }

    /// Only sort keys after this one.
    #[must_use]
    pub fn after(self, after: Option<&'a str>) -> Self {
        Self { after, ..self }
    }

    /// At most this many items.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The items in descending order.
    #[must_use]
    pub fn newest_first(self) -> Self {
        Self {
            newest_first: true,
            ..self
        }
    }
}

/// One table behind the DynamoDB client.
#[derive(Clone, Debug)]
pub struct Table {
    /// The client of DynamoDB.
    pub client: Client,
    /// The name of the table.
    pub name: String,
}

impl Table {
    /// Reads one record with a consistent read.
    pub async fn get<R: DeserializeOwned>(&self, key: &Key) -> Result<Option<R>> {
        self.get_item(key).await?.map(decode_item).transpose()
    }

    /// Reads one item with its raw attributes.
    pub async fn get_item(&self, key: &Key) -> Result<Option<Item>> {
        if !key.can_exist() {
            return Ok(None);
        }
        let request = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()));
        Ok(request
            .consistent_read(true)
            .send()
            .await
            .map_err(convert_sdk_error)?
            .item)
    }

    /// Reads many items in any order, without duplicates; items that do not exist are left out.
    pub async fn get_items(&self, keys: &[Key]) -> Result<Vec<Item>> {
        let mut found = Vec::with_capacity(keys.len());
        let mut once = HashSet::with_capacity(keys.len());
        let keys = keys
            .iter()
            .filter(|key| key.can_exist() && once.insert(*key));
        let keys: Vec<&Key> = keys.collect();
        for hundred in keys.chunks(100) {
            self.get_batch(hundred, &mut found).await?;
        }
        Ok(found)
    }

    async fn get_batch(&self, keys: &[&Key], found: &mut Vec<Item>) -> Result<()> {
        let mut wanted: Vec<Item> = keys.iter().map(|key| key.attributes()).collect();
        let mut fruitless = 0;
        while !wanted.is_empty() {
            let before = wanted.len();
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true);
            let keys = keys.build().map_err(Error::internal)?;
            let request = self.client.batch_get_item().request_items(&self.name, keys);
            let output = request.send().await.map_err(convert_sdk_error)?;
            found.extend(
                output
                    .responses
                    .into_iter()
                    .flatten()
                    .flat_map(|(_, items)| items),
            );
            // The keys that were not read, because the answer exceeded 16 MB or the table was throttled.
            wanted = output
                .unprocessed_keys
                .into_iter()
                .flatten()
                .flat_map(|(_, k)| k.keys)
                .collect();
            if wanted.is_empty() {
                break;
            }
            fruitless = if wanted.len() < before {
                0
            } else {
                fruitless + 1
            };
            if fruitless >= UNPROCESSED_ROUNDS {
                tracing::error!(keys = wanted.len(), "BatchGetItem leaves keys unprocessed");
                return Err(throttling_error());
            }
            pause_randomly(fruitless, UNPROCESSED_PAUSE).await;
        }
        Ok(())
    }

    /// Reads many records in any order, without duplicates; records that do not exist are left out.
    pub async fn get_many<R: DeserializeOwned>(&self, keys: &[Key]) -> Result<Vec<R>> {
        self.get_items(keys)
            .await?
            .into_iter()
            .map(decode_item)
            .collect()
    }

    /// Reads the records of a range.
    pub async fn query<R: DeserializeOwned>(&self, range: KeyRange<'_>) -> Result<Vec<R>> {
        self.query_items(range)
            .await?
            .into_iter()
            .map(decode_item)
            .collect()
    }

    /// Reads the items of a range with their raw attributes.
    pub async fn query_items(&self, range: KeyRange<'_>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut start = range.after.map(|sk| Key::new(range.pk, sk).attributes());
        loop {
            let limit = i32::try_from(range.limit.saturating_sub(items.len())).ok();
            let mut request = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true);
            request =
                request.expression_attribute_values(":pk", AttributeValue::S(range.pk.to_owned()));
            request = if range.prefix.is_empty() {
                request.key_condition_expression("pk = :pk")
            } else {
                let prefix = AttributeValue::S(range.prefix.to_owned());
                let request = request.expression_attribute_values(":prefix", prefix);
                request.key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            };
            let request = request
                .scan_index_forward(!range.newest_first)
                .set_limit(limit);
            let output = request
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(convert_sdk_error)?;
            items.extend(output.items.unwrap_or_default());
            start = output.last_evaluated_key;
            if start.is_none() || items.len() >= range.limit {
                return Ok(items);
            }
        }
    }

    /// Writes one item and replaces any previous one.
    pub async fn put(&self, item: Item) -> Result<()> {
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item));
        request.send().await.map_err(convert_sdk_error).map(|_| ())
    }

    /// Writes items with different keys, 25 in one call, and replaces any previous ones. Returns the keys of the items
    /// that were not written, each with the reason.
    pub async fn put_items(&self, items: Vec<(Key, Item)>) -> HashMap<Key, Error> {
        let mut failed = HashMap::new();
        let mut items = items.into_iter();
        loop {
            let batch: HashMap<Key, Item> = items.by_ref().take(BATCH_WRITE).collect();
            match batch.len() {
                0 => return failed,
                1 => failed.extend(self.put_singly(batch).await),
                _ => failed.extend(self.put_batch(batch).await),
            }
        }
    }

    async fn put_batch(&self, mut left: HashMap<Key, Item>) -> HashMap<Key, Error> {
        let mut fruitless = 0;
        while !left.is_empty() {
            let before = left.len();
            let mut writes = Vec::with_capacity(before);
            for item in left.values() {
                match PutRequest::builder().set_item(Some(item.clone())).build() {
                    Ok(put) => writes.push(WriteRequest::builder().put_request(put).build()),
                    Err(error) => return fail_all(left, &Error::internal(error)),
                }
            }
            let call = self.client.batch_write_item();
            let output = match call.request_items(&self.name, writes).send().await {
                Ok(output) => output,
                // One item that DynamoDB refuses must not fail the others.
                Err(error) if error.code() == Some("ValidationException") => {
                    return self.put_singly(left).await;
                }
                Err(error) => return fail_all(left, &convert_sdk_error(error)),
            };
            let unprocessed = output.unprocessed_items.into_iter().flatten();
            let unprocessed: HashSet<Key> = unprocessed
                .flat_map(|(_, writes)| writes)
                .filter_map(|write| find_key(&write.put_request?.item))
                .collect();
            left.retain(|key, _| unprocessed.contains(key));
            if left.is_empty() {
                break;
            }
            fruitless = if left.len() < before {
                0
            } else {
                fruitless + 1
            };
            if fruitless >= UNPROCESSED_ROUNDS {
                tracing::error!(
                    items = left.len(),
                    "BatchWriteItem leaves items unprocessed"
                );
                return fail_all(left, &throttling_error());
            }
            pause_randomly(fruitless, UNPROCESSED_PAUSE).await;
        }
        HashMap::new()
    }

    async fn put_singly(&self, items: HashMap<Key, Item>) -> HashMap<Key, Error> {
        let puts = items
            .into_iter()
            .map(async |(key, item)| self.put(item).await.err().map(|error| (key, error)));
        join_all(puts).await.into_iter().flatten().collect()
    }

    /// Deletes one item, if it is there.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()));
        request.send().await.map_err(convert_sdk_error).map(|_| ())
    }
}

/// The key in the attributes of an item.
fn find_key(item: &Item) -> Option<Key> {
    Some(Key::new(
        text_attribute(item, "pk")?,
        text_attribute(item, "sk")?,
    ))
}

/// Gives each item the same error, because one call was for all of them.
fn fail_all(items: HashMap<Key, Item>, error: &Error) -> HashMap<Key, Error> {
    let copy = || Error::new(error.code(), error.message());
    items.into_keys().map(|key| (key, copy())).collect()
}

/// The text in an attribute of an item; `None` if there is no such attribute, or it is no text.
pub fn text_attribute<'i>(item: &'i Item, name: &str) -> Option<&'i String> {
    item.get(name)?.as_s().ok()
}

/// The version of the form of all items in the engine's tables: what this release writes, and the newest that it reads.
/// Items without one are of form 1.
///
/// During a deployment, and after one that was taken back, functions of two releases read the same items. A field that is
/// added with a default needs no new form. Where the release before would misunderstand an item, the form is raised:
/// first in the reader, and one release later in the writer.
pub const FORM: u32 = 1;

/// Converts a record to an item with its key.
pub fn encode_record<R: StoredRecord>(record: &R) -> Result<Item> {
    encode_record_at(&record.key(), record)
}

/// Converts a record to an item with another key than its own.
pub fn encode_record_at(key: &Key, record: &impl Serialize) -> Result<Item> {
    let mut item: Item =
        serde_dynamo::aws_sdk_dynamodb_1::to_item(record).map_err(Error::internal)?;
    item.extend(key.attributes());
    item.insert("form".to_owned(), AttributeValue::N(FORM.to_string()));
    Ok(item)
}

/// Converts an item to a record.
///
/// # Errors
/// The item does not have the form that its key requires, or a newer form than [`FORM`].
pub fn decode_item<R: DeserializeOwned>(item: Item) -> Result<R> {
    check_form(&item)?;
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item).map_err(|error| {
        // The message of the error could quote a value.
        tracing::error!("an item of the engine's tables does not read as what its key says");
        Error::internal(format!("unreadable item: {}", error_type_name(&error)))
    })
}

/// Checks that this release knows the form of an item.
///
/// # Errors
/// A newer release wrote it. Nothing is guessed, and nothing is written over it.
pub fn check_form(item: &Item) -> Result<()> {
    let form = item.get("form").and_then(|form| form.as_n().ok());
    match form.and_then(|form| form.parse::<u32>().ok()) {
        Some(form) if form > FORM => {
            let message = format!(
                "An item of the engine's tables has form {form}, this release reads forms up to {FORM}: a newer release wrote it."
            );
            // The client of a function sees only the class of the error; its operator finds the cause in the log.
            tracing::error!("{message}");
            Err(Error::new(ErrorCode::InternalServer, message))
        }
        _ => Ok(()),
    }
}

fn error_type_name<E>(_: &E) -> &'static str {
    std::any::type_name::<E>()
}

fn throttling_error() -> Error {
    Error::throttling("Rate exceeded: the engine's tables are throttled. Try again.")
}

/// Converts an error of DynamoDB to one for the client.
pub fn convert_sdk_error<E>(error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.code().unwrap_or("no answer").to_owned();
    tracing::error!(code, "DynamoDB refused a call");
    let (code, message) = match code.as_str() {
        "ThrottlingException"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded" => return throttling_error().with_source(error),
        "AccessDeniedException" => (
            ErrorCode::AccessDenied,
            "The engine may not use its tables.".to_owned(),
        ),
        "ResourceNotFoundException" => (
            ErrorCode::InternalServer,
            "The engine's tables do not exist. Create them first.".to_owned(),
        ),
        _ => return Error::internal(error),
    };
    Error::new(code, message).with_source(error)
}
