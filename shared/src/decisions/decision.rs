//! A decision as it is stored.

use std::collections::BTreeMap;

use event::{EventId, Revision, Timestamp};
use mapping::{DataQualityProblem, HashedKeys, MappedOrder, Mapping, ReviewSettings, SeenLinks};
use serde::{Deserialize, Serialize};

use super::case::{ReviewCase, Stake, parse_amount};
use super::form::{FORM, check_form, first_form};
use super::key::{
    APPEALS, ItemKey, entity_key, queue_key, queue_place, read_revision, review_shard,
};
use super::outcomes::{AppliedOverride, Outcomes};
use super::verdict::ServiceVerdict;
use crate::failure::Failure;
use crate::items::Item;
use crate::label_history::LabelEntry;
use crate::records::Position;

/// How an order was counted by its keys, for whoever counts it again: see [`KeyFacts`](mapping::KeyFacts).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountingNote {
    /// Whether it fulfils each condition of the aggregates, by the hash of the condition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, bool>,
    /// The second generation of profiles in which it is counted, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also_counted_in: Option<u32>,
}

impl CountingNote {
    /// The note of an order that was counted.
    pub fn new(order: &MappedOrder) -> Self {
        Self {
            conditions: order.key_facts.conditions.clone(),
            also_counted_in: order.also_counted_in,
        }
    }
}

/// A decision as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Always `decision`: distinguishes it from items with labels.
    pub kind: String,
    /// The version of its form, see [`FORM`].
    #[serde(default = "first_form")]
    pub form: u32,
    /// Deterministic id: consumers deduplicate by it.
    pub decision_id: String,
    /// Random id of this attempt: distinguishes a retry of our own write from a duplicate order.
    pub attempt_id: String,
    /// The id of the order as the shop wrote it.
    pub order_id: String,
    /// Event type.
    pub event_type: String,
    /// Event id.
    pub event_id: String,
    /// Which version of the order this is, see [`event::Revision::number`].
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
    /// The answer of the service.
    #[serde(flatten)]
    pub verdict: ServiceVerdict,
    /// All outcomes, the most important first.
    pub outcomes: Vec<String>,
    /// What the shop acts on: the outcome of the override, or else the first of `outcomes`.
    pub effective_outcome: String,
    /// The override that made its outcome the effective one.
    #[serde(rename = "override", default, skip_serializing_if = "Option::is_none")]
    pub applied_override: Option<AppliedOverride>,
    /// Whether some value or rule could not be evaluated.
    pub undetermined: bool,
    /// Problems with the values of the order.
    pub data_quality: Vec<DataQualityProblem>,
    /// The hashes of the order's keys, by the name of the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub velocity_keys: HashedKeys,
    /// How it was counted by them; absent without aggregates, and in decisions of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counting: Option<CountingNote>,
    /// The accounts that it shared keys with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<SeenLinks>,
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
    /// Every label message about the event, keyed by its hash, so that adding one twice keeps one.
    #[serde(default)]
    pub label_history: BTreeMap<String, LabelEntry>,
    /// Counts the changes of the labels; used to detect concurrent writes.
    #[serde(default)]
    pub label_revision: u32,
    /// `<entity type>#<entity id>`; absent where the entity is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi1pk: Option<String>,
    /// `<event time>#<event id>#<revision>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi1sk: Option<String>,
    /// The queue in which it waits for people, see [`queue_key`]; absent while its case is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi2pk: Option<String>,
    /// `<expected loss>#<event time>#<event id>#<revision>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsi2sk: Option<String>,
    /// What people did with it; absent as long as nobody has done anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewCase>,
}

impl Decision {
    /// Makes the decision from the answer of the service; `now` becomes `decided_at`.
    pub fn new(
        mapping: &Mapping,
        order: &MappedOrder,
        verdict: ServiceVerdict,
        position: Option<Position>,
        now: Timestamp,
    ) -> Self {
        let outcomes = Outcomes::new(mapping, order, &verdict);
        let effective = outcomes.effective.as_ref();
        let key = ItemKey::new(mapping.event_type(), &order.event_id, order.revision);
        let by_time = format!("{}#{}#{}", order.timestamp, order.event_id, order.revision);
        let known_entity = !order.entity.entity_id.is_unknown();
        let has_keys = !mapping.aggregate_keys().is_empty();
        let mut decision = Self {
            kind: "decision".to_owned(),
            form: FORM,
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
            applied_override: outcomes.applied_override,
            outcomes: outcomes.all.iter().map(ToString::to_string).collect(),
            undetermined: outcomes.undetermined,
            data_quality: order.data_quality.clone(),
            velocity_keys: order.key_facts.hashes.clone(),
            counting: has_keys.then(|| CountingNote::new(order)),
            links: order.links.clone(),
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
            gsi2pk: None,
            gsi2sk: None,
            review: None,
            verdict,
            pk: key.pk,
            sk: key.sk,
        };
        if let Some(outcome) = effective.filter(|outcome| mapping.is_reviewable(outcome)) {
            let (queue, place) = decision.queue_entry(mapping, outcome.as_str());
            (decision.gsi2pk, decision.gsi2sk) = (Some(queue), Some(place));
        }
        decision
    }

    /// Where it waits in a queue: an outcome, or [`APPEALS`](super::APPEALS).
    pub fn queue_entry(&self, mapping: &Mapping, queue: &str) -> (String, String) {
        let key = queue_key(&self.event_type, queue, review_shard(&self.event_id));
        let (time, id, revision) = (&self.event_timestamp, &self.event_id, self.revision);
        let loss = self.stake(mapping.review()).loss(queue == APPEALS);
        (key, queue_place(loss, &format!("{time}#{id}#{revision}")))
    }

    /// What is at stake with its order.
    fn stake(&self, settings: &ReviewSettings) -> Stake {
        let variable = settings.amount.as_ref();
        let amount = variable.and_then(|name| self.variables.get(name.as_str()));
        let rules = self.verdict.matched_rules.iter();
        Stake {
            amount: amount.map_or(0.0, |amount| parse_amount(amount)),
            risk: settings.risk(
                self.verdict.scores.values().copied(),
                rules.map(|rule| rule.rule_id.as_str()),
            ),
        }
    }

    /// Whether its case waits for people.
    pub fn is_waiting(&self) -> bool {
        self.gsi2pk.is_some()
    }

    /// What the shop acts on by now: the outcome of the last verdict, or else its own.
    pub fn current_outcome(&self) -> &str {
        let verdict = self
            .review
            .as_ref()
            .and_then(|case| case.outcome.as_deref());
        verdict.unwrap_or(&self.effective_outcome)
    }

    /// Since when its case waits: since the last appeal, or else since the decision.
    pub fn waiting_since(&self) -> &str {
        let appeal = self
            .review
            .as_ref()
            .and_then(|case| case.appealed_at.as_deref());
        appeal.unwrap_or(&self.decided_at)
    }

    /// The id of the event it decides.
    ///
    /// # Errors
    /// [`Failure::Retry`], as a wrong set-up, if the item was written by something else and the id is invalid.
    pub fn event_id(&self) -> Result<EventId, Failure> {
        EventId::try_from(self.event_id.as_str())
            .map_err(|_| Failure::set_up("a decision item has no event id"))
    }

    /// The revision of the order, which its key holds.
    ///
    /// # Errors
    /// [`Failure::Retry`], as a wrong set-up, if the item was written by something else.
    pub fn order_revision(&self) -> Result<Revision, Failure> {
        let revision = read_revision(&self.sk);
        revision.ok_or_else(|| Failure::set_up("a decision item has no revision in its key"))
    }

    /// Whether `order`, mapped with `mapping`, has other content than the order of this decision.
    ///
    /// `false` if the mapping has changed since: hashes are comparable only under the same mapping.
    pub fn contradicts(&self, order: &MappedOrder, mapping: &Mapping) -> bool {
        self.mapping_hash == mapping.hash() && self.event_hash != order.event_hash
    }

    /// Its primary key.
    pub fn key(&self) -> ItemKey {
        ItemKey {
            pk: self.pk.clone(),
            sk: self.sk.clone(),
        }
    }
}

/// Parses a decision from an item of the table.
///
/// # Errors
/// [`Failure::Retry`], as a wrong set-up, if the item was written by an incompatible version.
pub fn parse_decision(item: Item) -> Result<Box<Decision>, Failure> {
    check_form(&item)?;
    serde_dynamo::from_item(item)
        .map(Box::new)
        .map_err(|_| Failure::set_up("a decision item is not readable by this version"))
}
