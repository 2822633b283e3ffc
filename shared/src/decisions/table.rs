//! The table of decisions: each is written once, and read by key, by entity, or as an open review.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use event::{EventId, EventTypeName, OutcomeName, Revision};

use super::decision::{Decision, parse_decision};
use super::key::{
    DECISION, ItemKey, REVIEW_SHARDS, entity_key, label_prefix, queue_key, review_day_key,
};
use crate::failure::{Failure, Rejection, ServiceRefusal, dependency_failure};
use crate::items::{Item, read_items};
use crate::known_faults::{KnownFault, is_injected};
use crate::label_history::{LabelEntry, LabelHistory};

/// How several decisions are written at once. One decision is always written with `PutItem`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecisionWrites {
    /// A conditional `PutItem` for each.
    #[default]
    PutItem,
    /// An `INSERT` for each, up to 25 in one `BatchExecuteStatement`.
    Statements,
}

/// The result of writing a decision.
#[derive(Clone, Debug, PartialEq)]
pub enum PutResult {
    /// The decision is stored, by this call or by an earlier attempt of the same call.
    Decided(Box<Decision>),
    /// The order was decided before; this is the earlier decision.
    Duplicate(Box<Decision>),
}

/// Reads a page; `read` gives `None` for an item that is not looked for.
async fn read_page<T>(
    scan: ScanFluentBuilder,
    read: impl Fn(Item) -> Option<Result<(ItemKey, T), Failure>>,
) -> Result<ScannedPage<T>, Failure> {
    let page = scan.send().await;
    let page = page.map_err(|error| dependency_failure("Scan", &error))?;
    let items = page.items.unwrap_or_default().into_iter();
    Ok(ScannedPage {
        items: items.filter_map(read).collect::<Result<_, Failure>>()?,
        next: page.last_evaluated_key.as_ref().and_then(ItemKey::read),
    })
}

impl PutResult {
    /// The result of an attempt that found `stored` under its key. With the same attempt id it is our own write, which
    /// the SDK sent a second time.
    pub(super) fn of_stored(stored: Box<Decision>, attempt_id: &str) -> Self {
        if stored.attempt_id == attempt_id {
            Self::Decided(stored)
        } else {
            Self::Duplicate(stored)
        }
    }
}

/// How many items of a table are read with one call.
const PAGE: i32 = 256;

/// A page of a table that is read from its first item to its last.
#[derive(Clone, Debug)]
pub struct ScannedPage<T> {
    /// What was looked for, each with its key.
    pub items: Vec<(ItemKey, T)>,
    /// The key after which the next page begins; `None` if this is the last one.
    pub next: Option<ItemKey>,
}

/// The labels of one event.
#[derive(Clone, Debug)]
pub struct EventLabels {
    /// The event.
    pub event_id: String,
    /// Its labels, by their ids.
    pub labels: BTreeMap<String, LabelEntry>,
}

/// The table of decisions.
#[derive(Clone, Debug)]
pub struct Decisions {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) writes: DecisionWrites,
}

impl Decisions {
    /// The table `table` behind `client`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
            writes: DecisionWrites::default(),
        }
    }

    /// The same table, with another way to write several decisions at once.
    #[must_use]
    pub fn with_writes(self, writes: DecisionWrites) -> Self {
        Self { writes, ..self }
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
    /// [`Failure::Retry`] if DynamoDB fails, [`Failure::Rejected`] if it refuses the item.
    pub async fn put(&self, decision: Decision) -> Result<PutResult, Failure> {
        let put = self.conditional_put(decision_item(&decision)?);
        let Err(error) = put.send().await else {
            return Ok(PutResult::Decided(Box::new(decision)));
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let stored = parse_decision(failed.item().cloned().unwrap_or_default())?;
                Ok(PutResult::of_stored(stored, &decision.attempt_id))
            }
            Some(refused) if refused.code() == Some("ValidationException") => Err(
                refused_decision("ValidationException", refused.message().unwrap_or_default()),
            ),
            _ => Err(dependency_failure("PutItem", &error)),
        }
    }

    /// Begins a `PutItem` that fails if there is an item with the same key, and then returns that item.
    pub(super) fn conditional_put(&self, item: Item) -> PutItemFluentBuilder {
        let condition =
            (!is_injected(KnownFault::UnconditionalPut)).then_some("attribute_not_exists(pk)");
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Reads decisions and label histories by their keys.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn read(
        &self,
        keys: impl IntoIterator<Item = ItemKey>,
    ) -> Result<FoundItems, Failure> {
        let keys: Vec<Item> = keys.into_iter().map(|key| key.attributes()).collect();
        let mut found = FoundItems::default();
        for item in read_items(&self.client, &self.table, &keys).await? {
            found.add(item)?;
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
            .expression_attribute_values(":sk", AttributeValue::S(DECISION.to_owned()));
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

    /// The decisions of an event type in a page of the whole table, in the order of the table, after the item with key `after`.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn scan_page(
        &self,
        event_type: &EventTypeName,
        after: Option<&ItemKey>,
    ) -> Result<ScannedPage<Decision>, Failure> {
        let scan = self
            .begin_scan(after)
            .filter_expression("begins_with(sk, :sk) AND event_type = :type")
            .expression_attribute_values(":sk", AttributeValue::S(DECISION.to_owned()))
            .expression_attribute_values(":type", AttributeValue::S(event_type.to_string()));
        read_page(scan, |item| {
            Some(parse_decision(item).map(|decision| (decision.key(), *decision)))
        })
        .await
    }

    /// The label histories of an event type in a page of the whole table, after the item with key `after`: each with its
    /// event's id and its labels by their ids.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails, or a label was written by an incompatible version.
    pub async fn scan_labels(
        &self,
        event_type: &EventTypeName,
        after: Option<&ItemKey>,
    ) -> Result<ScannedPage<EventLabels>, Failure> {
        let prefix = label_prefix(event_type);
        let scan = self
            .begin_scan(after)
            .filter_expression("begins_with(pk, :pk)")
            .expression_attribute_values(":pk", AttributeValue::S(prefix.clone()));
        read_page(scan, |item| {
            let key = ItemKey::read(&item)?;
            let event_id = key.pk().strip_prefix(&prefix)?.to_owned();
            let labels = LabelHistory::read(&item).map(|history| EventLabels {
                event_id,
                labels: history.labels,
            });
            Some(labels.map(|labels| (key, labels)))
        })
        .await
    }

    /// A page of the whole table, after the item with key `after`.
    fn begin_scan(&self, after: Option<&ItemKey>) -> ScanFluentBuilder {
        let scan = self.client.scan().table_name(&self.table);
        scan.consistent_read(true)
            .limit(PAGE)
            .set_exclusive_start_key(after.map(ItemKey::attributes))
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
        self.query_index("gsi1", entity_key(entity_type, entity_id), limit, |_| true)
            .await
    }

    /// The open reviews of a day (`yyyy-MM-dd`), newest event first, at most `limit`; also those that a release before
    /// queues opened.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn open_reviews(
        &self,
        event_type: &EventTypeName,
        outcome: &OutcomeName,
        day: &str,
        limit: usize,
    ) -> Result<Vec<Decision>, Failure> {
        let mut reviews = Vec::new();
        for shard in 0..REVIEW_SHARDS {
            let queue = queue_key(event_type.as_str(), outcome.as_str(), shard);
            let of_day = |decision: &Decision| decision.event_timestamp.starts_with(day);
            reviews.extend(self.query_index("gsi2", queue, limit, of_day).await?);
            let earlier = review_day_key(outcome.as_str(), day, shard);
            reviews.extend(self.query_index("gsi2", earlier, limit, |_| true).await?);
        }
        let by_time =
            |it: &Decision| (it.event_timestamp.clone(), it.event_id.clone(), it.revision);
        reviews.sort_by_key(|it| std::cmp::Reverse(by_time(it)));
        reviews.truncate(limit);
        Ok(reviews)
    }

    /// All decisions under one key of index `gsi2`.
    pub(crate) async fn in_queue(&self, key: &str) -> Result<Vec<Decision>, Failure> {
        self.query_index("gsi2", key.to_owned(), usize::MAX, |_| true)
            .await
    }

    async fn query_index(
        &self,
        index: &str,
        key: String,
        limit: usize,
        is_wanted: impl Fn(&Decision) -> bool,
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
                    let item = item.map_err(|error| dependency_failure("Query", &error))?;
                    let decision = *parse_decision(item)?;
                    if is_wanted(&decision) {
                        decisions.push(decision);
                    }
                }
            }
        }
        Ok(decisions)
    }
}

/// A decision as an item.
pub(super) fn decision_item(decision: &Decision) -> Result<Item, Failure> {
    serde_dynamo::to_item(decision).map_err(|_| Failure::retry("a decision does not serialize"))
}

/// The failure of an order whose decision DynamoDB refuses, such as one of more than 400 KB. If it refuses every
/// decision, the set-up is wrong: the batch finds that out from the refusal.
pub(super) fn refused_decision(code: &str, message: &str) -> Failure {
    Failure::Rejected(Rejection {
        class: "decision-refused",
        reason: format!("DynamoDB refused the decision: {code}: {message}"),
        refusal: Some(ServiceRefusal {
            code: code.to_owned(),
            member: "decision".to_owned(),
        }),
    })
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
