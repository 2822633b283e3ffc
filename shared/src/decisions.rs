//! The decision on an order: one item, written once, with all that an auditor asks.
//!
//! Table layout (string keys `pk` and `sk`):
//!
//! | item | pk | sk |
//! |---|---|---|
//! | a decision | `<event type>#<event id>` | `decision#<key of the revision>` |
//! | the labels of an event | `labels#<event type>#<event id>` | `labels` |
//! | labels that wait for their event, of releases before label histories | `waiting#<event type>#<event id>` | `labels` |
//!
//! `gsi1` (`gsi1pk`, `gsi1sk`) lists an entity's decisions by event time; entity `unknown` is in no
//! index. `gsi2` lists open reviews by day of the event, spread over [`REVIEW_SHARDS`] keys, because
//! one hot index key throttles the whole table.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure,
};
use event::{EventId, EventTypeName, OutcomeName, Revision, Timestamp};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, dependency};
use crate::known_faults::{KnownFault, is_back};
use crate::labels::{LabelEntry, LabelHistory};
use crate::mapping::{Mapping, Order, Quality};
use crate::records::Position;
use event::hash::short_hash;

/// Over how many index keys the open reviews of one day are spread.
pub const REVIEW_SHARDS: u32 = 8;
/// What `BatchGetItem` takes at most.
const BATCH_GET: usize = 100;
/// How often keys that a throttled table left unread are asked for again.
const SLOW_ROUNDS: u32 = 4;
/// Pause before the first repetition; it grows.
const SLOW_PAUSE: Duration = Duration::from_millis(100);

type Item = HashMap<String, AttributeValue>;

/// What the service said of an order, as far as the pipeline reads it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Matched rules in the service's order.
    pub matched_rules: Vec<MatchedRule>,
    /// Model scores by variable name, such as `orders_model_insightscore`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// Versions of the models that gave the scores, as `TYPE/id/version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_versions: Vec<String>,
    /// What the engine adds in its response header; Amazon sends none of it.
    #[serde(default)]
    pub prediction: Prediction,
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedRule {
    /// The rule.
    pub rule_id: String,
    /// Its outcomes.
    pub outcomes: Vec<String>,
}

/// The response header `x-fraudstream-prediction`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Prediction {
    /// When the prediction was made; part of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction_timestamp: Option<String>,
    /// The detector version that judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector_version_id: Option<String>,
    /// Version of the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The matched rules with their versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleVersion>,
    /// Rules that were reached and could not be evaluated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undetermined: Vec<String>,
}

/// Which version of a rule matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleVersion {
    /// The rule.
    pub id: String,
    /// Its version.
    pub version: u32,
}

/// A decision as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// `decision`: tells the item from the labels of an event.
    pub kind: String,
    /// Deterministic: consumers deduplicate by it.
    pub decision_id: String,
    /// Tells a retry of our own write from a duplicate order.
    pub attempt_id: String,
    /// The order's id as the shop writes it.
    pub order_id: String,
    /// Event type.
    pub event_type: String,
    /// Event id.
    pub event_id: String,
    /// Which version of the order this is, see [`Revision::number`].
    pub revision: u64,
    /// When the order was made, ISO 8601 UTC.
    pub event_timestamp: String,
    /// Entity type.
    pub entity_type: String,
    /// Entity id.
    pub entity_id: String,
    /// Variables as they were sent.
    pub variables: BTreeMap<String, String>,
    /// The detector.
    pub detector_id: String,
    /// What the service said.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// All outcomes, the most important first.
    pub outcomes: Vec<String>,
    /// The first of them: what the shop does.
    pub effective_outcome: String,
    /// Whether something could not be judged.
    pub undetermined: bool,
    /// What was wrong with the order's values.
    pub data_quality: Vec<Quality>,
    /// Hash of the mapped event.
    pub event_hash: String,
    /// Hash of the mapping file.
    pub mapping_hash: String,
    /// Where the order came from; absent for a direct invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// When it was decided, ISO 8601 UTC.
    pub decided_at: String,
    /// When DynamoDB may delete it, in seconds since 1970.
    pub expires_at: i64,
    /// The current label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelEntry>,
    /// Every label message about the event, by its own hash: appending one twice keeps one.
    #[serde(default)]
    pub label_history: BTreeMap<String, LabelEntry>,
    /// Counts the changes of `label`.
    #[serde(default)]
    pub label_revision: u32,
    /// `<entity type>#<entity id>`; absent where the entity is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi1pk: Option<String>,
    /// `<event time>#<event id>#<revision>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi1sk: Option<String>,
    /// `<outcome>#<day>#<shard>`; present while a review is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi2pk: Option<String>,
    /// `<event time>#<event id>#<revision>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi2sk: Option<String>,
}

/// Outcomes of one order, put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// All outcomes, the most important first, each once.
    pub all: Vec<OutcomeName>,
    /// Whether something could not be judged.
    pub undetermined: bool,
}

impl Outcomes {
    /// Puts together what the rules said and what the mapping adds.
    ///
    /// `on_undetermined` is added where a rule that was reached could not be evaluated, a value was
    /// invalid, or a rule gave an outcome that `outcome_priority` lacks; `on_no_match` only where
    /// nothing else is there. Nothing fails open.
    pub fn new(mapping: &Mapping, order: &Order, verdict: &Verdict) -> Self {
        let priority = mapping.outcome_priority();
        let given = || verdict.matched_rules.iter().flat_map(|rule| &rule.outcomes);
        let unknown = given().any(|name| !priority.iter().any(|known| known.as_str() == name));
        let undetermined =
            unknown || order.is_undetermined() || !verdict.prediction.undetermined.is_empty();
        let mut all: Vec<_> = priority
            .iter()
            .filter(|known| given().any(|name| name == known.as_str()))
            .collect();
        if undetermined {
            all.extend(mapping.on_undetermined());
        }
        if all.is_empty() {
            all.extend(mapping.on_no_match());
        }
        let all = priority
            .iter()
            .filter(|known| all.contains(known))
            .cloned()
            .collect();
        Self { all, undetermined }
    }
}

impl Decision {
    /// Puts a decision together. `now` is the time of deciding.
    pub fn new(
        mapping: &Mapping,
        order: &Order,
        verdict: Verdict,
        position: Option<Position>,
        now: Timestamp,
    ) -> Self {
        let outcomes = Outcomes::new(mapping, order, &verdict);
        let effective = outcomes.all.first();
        let key = Key::new(mapping.event_type(), &order.event_id, order.revision);
        let by_time = format!("{}#{}#{}", order.timestamp, order.event_id, order.revision);
        let known_entity = !order.entity.entity_id.is_unknown();
        let review = effective.filter(|outcome| mapping.is_reviewable(outcome));
        let review = review.map(|outcome| {
            review_key(
                outcome.as_str(),
                &day_of(order.timestamp),
                shard(&order.event_id),
            )
        });
        Self {
            kind: "decision".to_owned(),
            decision_id: format!("{}#{}", key.pk, order.revision),
            attempt_id: uuid::Uuid::new_v4().simple().to_string(),
            order_id: order.order_id.clone(),
            event_type: mapping.event_type().to_string(),
            event_id: order.event_id.to_string(),
            revision: order.revision.number(),
            event_timestamp: order.timestamp.to_string(),
            entity_type: order.entity.entity_type.to_string(),
            entity_id: order.entity.entity_id.as_str().to_owned(),
            variables: order
                .variables
                .iter()
                .map(|(name, value)| (name.to_string(), value.expose().to_owned()))
                .collect(),
            detector_id: mapping.detector().to_string(),
            effective_outcome: effective.map(ToString::to_string).unwrap_or_default(),
            outcomes: outcomes.all.iter().map(ToString::to_string).collect(),
            undetermined: outcomes.undetermined,
            data_quality: order.data_quality.clone(),
            event_hash: order.event_hash.clone(),
            mapping_hash: mapping.hash().to_owned(),
            position,
            decided_at: now.to_string(),
            expires_at: now.epoch_seconds() + mapping.retention_seconds(),
            label: None,
            label_history: BTreeMap::new(),
            label_revision: 0,
            gsi1pk: known_entity.then(|| {
                entity_key(
                    order.entity.entity_type.as_str(),
                    order.entity.entity_id.as_str(),
                )
            }),
            gsi1sk: known_entity.then(|| by_time.clone()),
            gsi2sk: review.is_some().then_some(by_time),
            gsi2pk: review,
            verdict,
            pk: key.pk,
            sk: key.sk,
        }
    }

    /// The event it decides on.
    ///
    /// # Errors
    /// [`Failure::Retry`]: the item was written by something else, so it is set-up.
    pub fn event_id(&self) -> Result<EventId, Failure> {
        EventId::try_from(self.event_id.as_str())
            .map_err(|_| Failure::set_up("a decision item has no event id"))
    }

    /// Whether `order`, mapped with `mapping`, is not the order that was decided here.
    ///
    /// Another hash under another mapping says nothing: the mapping may read more or less.
    pub fn contradicts(&self, order: &Order, mapping: &Mapping) -> bool {
        self.mapping_hash == mapping.hash() && self.event_hash != order.event_hash
    }
}

/// The primary key of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pk: String,
    sk: String,
}

impl Key {
    /// Of one revision of an event.
    pub fn new(event_type: &EventTypeName, event_id: &EventId, revision: Revision) -> Self {
        Self {
            pk: format!("{event_type}#{event_id}"),
            sk: format!("decision#{}", revision.key()),
        }
    }

    /// Of the labels of an event.
    pub fn labels(event_type: &EventTypeName, event_id: &EventId) -> Self {
        Self {
            pk: format!("labels#{event_type}#{event_id}"),
            sk: "labels".to_owned(),
        }
    }

    /// Of the labels that wait for an event, as releases before label histories wrote them.
    pub fn waiting(event_type: &EventTypeName, event_id: &EventId) -> Self {
        Self {
            pk: format!("waiting#{event_type}#{event_id}"),
            sk: "labels".to_owned(),
        }
    }

    /// Of a decision that is there.
    pub fn of(decision: &Decision) -> Self {
        Self {
            pk: decision.pk.clone(),
            sk: decision.sk.clone(),
        }
    }

    /// The partition key.
    pub fn pk(&self) -> &str {
        &self.pk
    }

    /// The sort key.
    pub fn sk(&self) -> &str {
        &self.sk
    }

    /// As DynamoDB wants it.
    pub fn item(&self) -> Item {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

/// The index key of an entity.
pub fn entity_key(entity_type: &str, entity_id: &str) -> String {
    format!("{entity_type}#{entity_id}")
}

/// The index key of one shard of a day's reviews; `day` is `yyyy-MM-dd`.
pub fn review_key(outcome: &str, day: &str, shard: u32) -> String {
    format!("{outcome}#{day}#{shard}")
}

fn day_of(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

fn shard(event_id: &EventId) -> u32 {
    let hash = short_hash(event_id.as_str().as_bytes());
    hash.bytes().next_back().map_or(0, u32::from) % REVIEW_SHARDS
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// The decision is stored, now or by an earlier attempt of this very write.
    Decided(Box<Decision>),
    /// The order had been decided before; this is that decision.
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

    /// The client, for what only one function does with the table.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Writes a decision if the order has none.
    ///
    /// # Errors
    /// [`Failure::Retry`] where DynamoDB fails.
    pub async fn put(&self, decision: Decision) -> Result<Written, Failure> {
        let item: Item = serde_dynamo::to_item(&decision)
            .map_err(|_| Failure::retry("a decision does not serialize"))?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let condition =
            (!is_back(KnownFault::UnconditionalPut)).then_some("attribute_not_exists(pk)");
        let put = put
            .set_condition_expression(condition.map(str::to_owned))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else {
            return Ok(Written::Decided(Box::new(decision)));
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let earlier = parse(failed.item().cloned().unwrap_or_default())?;
                // The SDK sent our write twice, and the first had reached the table.
                let ours = earlier.attempt_id == decision.attempt_id;
                Ok(if ours {
                    Written::Decided(earlier)
                } else {
                    Written::Duplicate(earlier)
                })
            }
            _ => Err(dependency("PutItem", &error)),
        }
    }

    /// Reads many items at once.
    ///
    /// # Errors
    /// [`Failure::Retry`] where DynamoDB fails.
    pub async fn read(&self, keys: impl IntoIterator<Item = Key>) -> Result<Found, Failure> {
        let mut keys: Vec<Item> = keys.into_iter().map(|key| key.item()).collect();
        let mut found = Found::default();
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
            let answer = answer.map_err(|error| dependency("BatchGetItem", &error))?;
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
            if is_back(KnownFault::UnprocessedTakenForAbsent) {
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

    /// The decisions on all revisions of an event, the oldest revision first.
    ///
    /// # Errors
    /// [`Failure::Retry`] where DynamoDB fails.
    pub async fn revisions(
        &self,
        event_type: &EventTypeName,
        event_id: &EventId,
    ) -> Result<Vec<Decision>, Failure> {
        let pk = Key::new(event_type, event_id, Revision::FIRST).pk;
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
            .map_err(|error| dependency("Query", &error))?
            .into_iter()
            .map(|item| parse(item).map(|decision| *decision))
            .collect()
    }

    /// An entity's decisions, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`Failure::Retry`] where DynamoDB fails.
    pub async fn of_entity(
        &self,
        entity_type: &str,
        entity_id: &str,
        limit: usize,
    ) -> Result<Vec<Decision>, Failure> {
        self.index("gsi1", entity_key(entity_type, entity_id), limit)
            .await
    }

    /// Open reviews of a day (`yyyy-MM-dd`), newest first.
    ///
    /// # Errors
    /// [`Failure::Retry`] where DynamoDB fails.
    pub async fn open_reviews(
        &self,
        outcome: &OutcomeName,
        day: &str,
        limit: usize,
    ) -> Result<Vec<Decision>, Failure> {
        let mut reviews = Vec::new();
        for shard in 0..REVIEW_SHARDS {
            reviews.extend(
                self.index("gsi2", review_key(outcome.as_str(), day, shard), limit)
                    .await?,
            );
        }
        reviews.sort_by(|a, b| b.gsi2sk.cmp(&a.gsi2sk));
        reviews.truncate(limit);
        Ok(reviews)
    }

    async fn index(
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
                    decisions.push(*parse(item.map_err(|error| dependency("Query", &error))?)?);
                }
            }
        }
        Ok(decisions)
    }
}

/// What [`Decisions::read`] found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    decisions: HashMap<Key, Box<Decision>>,
    labels: HashMap<Key, LabelHistory>,
}

impl Found {
    fn add(&mut self, item: Item) -> Result<(), Failure> {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let (Some(pk), Some(sk)) = (text("pk"), text("sk")) else {
            return Err(Failure::set_up("an item has no key `pk` and `sk`"));
        };
        let key = Key { pk, sk };
        if text("kind").is_some_and(|kind| kind == "decision") {
            self.decisions.insert(key, parse(item)?);
        } else {
            self.labels.insert(key, LabelHistory::read(&item)?);
        }
        Ok(())
    }

    /// The decision under a key.
    pub fn decision(&self, key: &Key) -> Option<&Decision> {
        self.decisions.get(key).map(AsRef::as_ref)
    }

    /// The labels under a key.
    pub(crate) fn labels(&self, key: &Key) -> Option<&LabelHistory> {
        self.labels.get(key)
    }
}

/// Reads a decision from an item.
///
/// # Errors
/// [`Failure::Retry`]: the item was written by another version of the product, so it is set-up.
pub fn parse(item: Item) -> Result<Box<Decision>, Failure> {
    serde_dynamo::from_item(item)
        .map(Box::new)
        .map_err(|_| Failure::set_up("a decision item is not readable by this version"))
}
