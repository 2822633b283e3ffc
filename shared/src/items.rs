//! Items of DynamoDB, and reading and writing many of them.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use futures::future::try_join_all;

use crate::failure::{Failure, dependency_failure};
use crate::known_faults::{KnownFault, is_injected};

/// An item as the SDK represents it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The most keys in one `BatchGetItem`.
const BATCH_GET: usize = 100;
/// The most items in one `BatchWriteItem`.
pub(crate) const BATCH_WRITE: usize = 25;
/// How often what a throttled table left undone is requested again.
pub(crate) const SLOW_ROUNDS: u32 = 4;
/// Pause before the first repetition; it grows by as much each time.
pub(crate) const SLOW_PAUSE: Duration = Duration::from_millis(100);

/// Reads the items with different keys, consistently, in any order; a hundred with each call, at the same time. Keys
/// without an item give none.
///
/// # Errors
/// [`Failure::Retry`] if DynamoDB fails.
pub(crate) async fn read_items(
    client: &Client,
    table: &str,
    keys: &[Item],
) -> Result<Vec<Item>, Failure> {
    let calls = keys.chunks(BATCH_GET);
    let found = try_join_all(calls.map(|keys| read_some(client, table, keys.to_vec()))).await?;
    Ok(found.into_iter().flatten().collect())
}

/// Puts items with different keys, in any order, 25 with each call.
///
/// # Errors
/// [`Failure::Retry`] if DynamoDB fails.
pub(crate) async fn write_items(
    client: &Client,
    table: &str,
    items: Vec<Item>,
) -> Result<(), Failure> {
    let not_built = |_| Failure::retry("BatchWriteItem: request not built");
    let put = |item| {
        let put = PutRequest::builder().set_item(Some(item)).build();
        let put = put.map_err(not_built)?;
        Ok(WriteRequest::builder().put_request(put).build())
    };
    let requests: Vec<WriteRequest> = items.into_iter().map(put).collect::<Result<_, Failure>>()?;
    for some in requests.chunks(BATCH_WRITE) {
        send_writes(client, table, some.to_vec()).await?;
    }
    Ok(())
}

/// Sends at most 25 writes with one call, and again what a throttled table left undone.
///
/// # Errors
/// [`Failure::Retry`] if DynamoDB fails.
pub(crate) async fn send_writes(
    client: &Client,
    table: &str,
    writes: Vec<WriteRequest>,
) -> Result<(), Failure> {
    let mut left = writes;
    let mut slow_rounds = 0;
    while !left.is_empty() {
        let call = client.batch_write_item().request_items(table, left);
        let answer = call.send().await;
        let answer = answer.map_err(|error| dependency_failure("BatchWriteItem", &error))?;
        let unprocessed = answer.unprocessed_items;
        left = unprocessed
            .and_then(|mut tables| tables.remove(table))
            .unwrap_or_default();
        if left.is_empty() {
            break;
        }
        slow_rounds += 1;
        if slow_rounds > SLOW_ROUNDS {
            return Err(Failure::retry("BatchWriteItem: the table is throttled"));
        }
        tokio::time::sleep(SLOW_PAUSE * slow_rounds).await;
    }
    Ok(())
}

/// Reads the items of at most a hundred keys.
async fn read_some(
    client: &Client,
    table: &str,
    mut keys: Vec<Item>,
) -> Result<Vec<Item>, Failure> {
    let mut found = Vec::with_capacity(keys.len());
    let mut slow_rounds = 0;
    while !keys.is_empty() {
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .build();
        let request = request.map_err(|_| Failure::retry("BatchGetItem: request not built"))?;
        let answer = client
            .batch_get_item()
            .request_items(table, request)
            .send()
            .await;
        let answer = answer.map_err(|error| dependency_failure("BatchGetItem", &error))?;
        let items = answer
            .responses
            .and_then(|mut tables| tables.remove(table))
            .unwrap_or_default();
        found.extend(items);
        let left = answer
            .unprocessed_keys
            .and_then(|mut tables| tables.remove(table));
        keys = left.map(|left| left.keys).unwrap_or_default();
        if keys.is_empty() || is_injected(KnownFault::UnprocessedTakenForAbsent) {
            break;
        }
        slow_rounds += 1;
        if slow_rounds > SLOW_ROUNDS {
            return Err(Failure::retry("BatchGetItem: the table is throttled"));
        }
        tokio::time::sleep(SLOW_PAUSE * slow_rounds).await;
    }
    Ok(found)
}
