//! The table of decisions: each is written once, and read by key, by entity, or as an open review.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure,
};
use event::{EventId, EventTypeName, OutcomeName, Revision};

use super::decision::{Decision, parse_decision};
use super::key::{Item, ItemKey, REVIEW_SHARDS, entity_key, review_key};
use crate::failure::{Failure, dependency_failure};
use crate::known_faults::{KnownFault, is_injected};
use crate::label_history::LabelHistory;

/// The most keys in one `BatchGetItem`.
const BATCH_GET: usize = 100;
/// How often keys that a throttled table left unprocessed are requested again.
const SLOW_ROUNDS: u32 = 4;
/// Pause before the first repetition; it grows by as much each time.
const SLOW_PAUSE: Duration = Duration::from_millis(100);

/// The result of writing a decision.
#[derive(Clone, Debug, PartialEq)]
pub enum PutResult {
    /// The decision is stored, by this call or by an earlier attempt of the same call.
    Decided(Box<Decision>),
    /// The order was decided before; this is the earlier decision.
    Duplicate(Box<Decision>),
}

/// The table of decisions.
#[derive(Clone, Debug)]
pub struct Decisions {
    client: Client,
    table: String,
}

impl Decisions {
    /// The table `table` behind `client`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Begins an `UpdateItem` of the item with this key.
    pub(crate) fn update(&self, key: &ItemKey) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
    }

    /// Writes the decision, unless the order already has one.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn put(&self, decision: Decision) -> Result<PutResult, Failure> {
        let item: Item = serde_dynamo::to_item(&decision)
            .map_err(|_| Failure::retry("a decision does not serialize"))?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let condition =
            (!is_injected(KnownFault::UnconditionalPut)).then_some("attribute_not_exists(pk)");
        let put = put
            .set_condition_expression(condition.map(str::to_owned))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else {
            return Ok(PutResult::Decided(Box::new(decision)));
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let earlier = parse_decision(failed.item().cloned().unwrap_or_default())?;
                // With the same attempt id it is our own write, which the SDK sent a second time.
                let ours = earlier.attempt_id == decision.attempt_id;
                Ok(if ours {
                    PutResult::Decided(earlier)
                } else {
                    PutResult::Duplicate(earlier)
                })
            }
            _ => Err(dependency_failure("PutItem", &error)),
        }
    }

    /// Reads decisions and label histories by their keys.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn read(
        &self,
        keys: impl IntoIterator<Item = ItemKey>,
    ) -> Result<FoundItems, Failure> {
        let mut keys: Vec<Item> = keys.into_iter().map(|key| key.attributes()).collect();
        let mut found = FoundItems::default();
        let mut slow_rounds = 0;
        while !keys.is_empty() {
            let now = keys.split_off(keys.len().saturating_sub(BATCH_GET));
            let request = KeysAndAttributes::builder()
                .set_keys(Some(now))
                .consistent_read(true)
                .build();
            let request = request.map_err(|_| Failure::retry("BatchGetItem: request not built"))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, request)
                .send()
                .await;
            let answer = answer.map_err(|error| dependency_failure("BatchGetItem", &error))?;
            for item in answer
                .responses
                .and_then(|mut tables| tables.remove(&self.table))
                .unwrap_or_default()
            {
                found.add(item)?;
            }
            let left = answer
                .unprocessed_keys
                .and_then(|mut tables| tables.remove(&self.table));
            let left = left.map(|left| left.keys).unwrap_or_default();
            if is_injected(KnownFault::UnprocessedTakenForAbsent) {
                continue;
            }
            if !left.is_empty() {
                slow_rounds += 1;
                if slow_rounds > SLOW_ROUNDS {
                    return Err(Failure::retry("BatchGetItem: the table is throttled"));
                }
                tokio::time::sleep(SLOW_PAUSE * slow_rounds).await;
            }
            keys.extend(left);
        }
        Ok(found)
    }

    /// The decisions on all revisions of an event, oldest revision first.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn revisions(
        &self,
        event_type: &EventTypeName,
        event_id: &EventId,
    ) -> Result<Vec<Decision>, Failure> {
        let pk = ItemKey::new(event_type, event_id, Revision::FIRST).pk;
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true);
        let query = query
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .expression_attribute_values(":sk", AttributeValue::S("decision#".to_owned()));
        let items = query
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await;
        items
            .map_err(|error| dependency_failure("Query", &error))?
            .into_iter()
            .map(|item| parse_decision(item).map(|decision| *decision))
            .collect()
    }

    /// The decisions of an entity, newest event first, at most `limit`.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn decisions_of_entity(
        &self,
        entity_type: &str,
        entity_id: &str,
        limit: usize,
    ) -> Result<Vec<Decision>, Failure> {
        self.query_index("gsi1", entity_key(entity_type, entity_id), limit)
            .await
    }

    /// The open reviews of a day (`yyyy-MM-dd`), newest event first, at most `limit`.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn open_reviews(
        &self,
        outcome: &OutcomeName,
        day: &str,
        limit: usize,
    ) -> Result<Vec<Decision>, Failure> {
        let mut reviews = Vec::new();
        for shard in 0..REVIEW_SHARDS {
            reviews.extend(
                self.query_index("gsi2", review_key(outcome.as_str(), day, shard), limit)
                    .await?,
            );
        }
        reviews.sort_by(|a, b| b.gsi2sk.cmp(&a.gsi2sk));
        reviews.truncate(limit);
        Ok(reviews)
    }

    async fn query_index(
        &self,
        index: &str,
        key: String,
        limit: usize,
    ) -> Result<Vec<Decision>, Failure> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .scan_index_forward(false);
        let query = query
            .key_condition_expression(format!("{index}pk = :pk"))
            .expression_attribute_values(":pk", AttributeValue::S(key));
        let mut pages = query.into_paginator().items().send();
        let mut decisions = Vec::new();
        while decisions.len() < limit {
            match pages.next().await {
                None => break,
                Some(item) => {
                    decisions.push(*parse_decision(
                        item.map_err(|error| dependency_failure("Query", &error))?,
                    )?);
                }
            }
        }
        Ok(decisions)
    }
}

/// The items that [`Decisions::read`] found.
#[derive(Clone, Debug, Default)]
pub struct FoundItems {
    decisions: HashMap<ItemKey, Box<Decision>>,
    labels: HashMap<ItemKey, LabelHistory>,
}

impl FoundItems {
    fn add(&mut self, item: Item) -> Result<(), Failure> {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let (Some(pk), Some(sk)) = (text("pk"), text("sk")) else {
            return Err(Failure::set_up("an item has no key `pk` and `sk`"));
        };
        let key = ItemKey { pk, sk };
        if text("kind").is_some_and(|kind| kind == "decision") {
            self.decisions.insert(key, parse_decision(item)?);
        } else {
            self.labels.insert(key, LabelHistory::read(&item)?);
        }
        Ok(())
    }

    /// The decision with this key.
    pub fn decision(&self, key: &ItemKey) -> Option<&Decision> {
        self.decisions.get(key).map(AsRef::as_ref)
    }

    /// The label history with this key.
    pub(crate) fn labels(&self, key: &ItemKey) -> Option<&LabelHistory> {
        self.labels.get(key)
    }
}

/// Sends an `UpdateItem` that has a condition; `false` if the condition does not hold.
///
/// # Errors
/// [`Failure::Retry`] if DynamoDB fails.
pub(crate) async fn update_if_condition_holds(
    update: UpdateItemFluentBuilder,
) -> Result<bool, Failure> {
    let Err(error) = update.send().await else {
        return Ok(true);
    };
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
        _ => Err(dependency_failure("UpdateItem", &error)),
    }
}
