//! The cases that wait, the largest expected loss first.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use event::Timestamp;
use futures::future::try_join_all;
use mapping::{HashedKeys, Mapping};
use serde::{Deserialize, Serialize};

use super::editor::is_valid;
use super::table::Reviews;
use super::verdict::is_appeal_queue;
use crate::decisions::{
    APPEALS, CaseClaim, ItemKey, MatchedRule, REVIEW_SHARDS, ReviewCase, Stake, parse_amount,
    queue_key, review_day_key,
};
use crate::failure::{Failure, dependency_failure};
use crate::items::Item;

/// A case that waits, as a list shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WaitingCase {
    /// Where its decision is.
    #[serde(skip)]
    pub key: ItemKey,
    /// Its place among all cases: the greatest comes first.
    #[serde(skip)]
    pub place: String,
    /// The id of the order as the shop wrote it.
    pub order_id: String,
    /// The revision that waits.
    pub revision: u64,
    /// When the order was made, ISO 8601 UTC.
    pub event_timestamp: String,
    /// What the shop acts on meanwhile.
    pub outcome: String,
    /// Whether somebody appealed against a decision.
    pub is_appeal: bool,
    /// Since when it waits, ISO 8601 UTC.
    pub waiting_since: String,
    /// The money of the order.
    pub amount: f64,
    /// Its risk, from 0 to 1.
    pub risk: f64,
    /// The loss that is expected without a verdict; nothing of it can be saved any more if the order is shipped.
    pub expected_loss: f64,
    /// Until when the order can be stopped; `None` if that is not known.
    pub stoppable_until: Option<Timestamp>,
    /// Whether that time is over.
    pub is_shipped: bool,
    /// When it is closed without a verdict; `None` if it may wait for ever.
    pub due: Option<Timestamp>,
    /// Who works on it now.
    pub claim: Option<CaseClaim>,
    /// Who has asked somebody else to decide it.
    pub escalated_by: Option<String>,
    /// The hashes of the order's keys, by the name of the key.
    #[serde(skip)]
    pub keys: HashedKeys,
}

impl WaitingCase {
    /// Orders cases by what a verdict can save: what can still be stopped first, then the larger expected loss.
    pub fn compare_savings(&self, other: &Self) -> Ordering {
        let shipped = self.is_shipped.cmp(&other.is_shipped);
        shipped.then(other.expected_loss.total_cmp(&self.expected_loss))
    }
}

/// What is read of the decision of a case: not all of it, because a list has many.
#[derive(Deserialize)]
struct Row {
    pk: String,
    sk: String,
    gsi2pk: String,
    gsi2sk: String,
    order_id: String,
    revision: u64,
    event_timestamp: String,
    decided_at: String,
    effective_outcome: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    scores: BTreeMap<String, f64>,
    #[serde(default)]
    matched_rules: Vec<MatchedRule>,
    #[serde(default)]
    velocity_keys: HashedKeys,
    #[serde(default)]
    review: Option<ReviewCase>,
}

/// The attributes of [`Row`], but for the variables.
const ATTRIBUTES: &str = "pk, sk, gsi2pk, gsi2sk, order_id, revision, event_timestamp, decided_at, \
effective_outcome, scores, matched_rules, velocity_keys, #review";

/// One shard of a queue while it is read.
struct Shard {
    key: String,
    found: Vec<WaitingCase>,
    next: Option<Item>,
    is_read: bool,
}

impl Shard {
    /// Whether it may have cases that come before `place`.
    fn may_have(&self, place: Option<&str>) -> bool {
        let last = self.found.last().map(|case| case.place.as_str());
        !self.is_read && place.is_none_or(|place| last.is_none_or(|last| last > place))
    }
}

impl Reviews {
    /// The cases that wait with the largest expected losses, at most `most`; `queues` are outcomes, or [`APPEALS`].
    ///
    /// It reads little more than it gives, however many wait: each shard in the order of losses, until no other can have
    /// a case that belongs here.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn waiting(
        &self,
        mapping: &Mapping,
        queues: &[&str],
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<WaitingCase>, Failure> {
        let event_type = mapping.event_type().as_str();
        let shards = queues
            .iter()
            .flat_map(|queue| (0..REVIEW_SHARDS).map(|shard| queue_key(event_type, queue, shard)));
        let mut shards: Vec<Shard> = shards
            .map(|key| Shard {
                key,
                found: Vec::new(),
                next: None,
                is_read: false,
            })
            .collect();
        let page = (most / shards.len().max(1)).saturating_mul(2).clamp(8, 500);
        loop {
            let places = shards.iter().flat_map(|shard| &shard.found);
            let mut places: Vec<&str> = places.map(|case| case.place.as_str()).collect();
            places.sort_unstable_by(|a, b| b.cmp(a));
            let last = most.checked_sub(1).and_then(|it| places.get(it).copied());
            let last = last.map(str::to_owned);
            let open = shards
                .iter_mut()
                .filter(|shard| shard.may_have(last.as_deref()));
            let reads: Vec<_> = open
                .map(|shard| self.read_shard(mapping, shard, page, now))
                .collect();
            if reads.is_empty() {
                break;
            }
            try_join_all(reads).await?;
        }
        let mut cases: Vec<WaitingCase> = shards.into_iter().flat_map(|it| it.found).collect();
        cases.sort_unstable_by(|a, b| b.place.cmp(&a.place));
        cases.truncate(most);
        Ok(cases)
    }

    /// The names of all queues: the outcomes that wait for people, and appeals.
    pub fn queues(mapping: &Mapping) -> Vec<&str> {
        let outcomes = mapping.reviewable().iter();
        outcomes
            .map(event::OutcomeName::as_str)
            .chain([APPEALS])
            .collect()
    }

    /// Reads one page of a shard.
    async fn read_shard(
        &self,
        mapping: &Mapping,
        shard: &mut Shard,
        page: usize,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let settings = mapping.review();
        let mut names = HashMap::from([("#review".to_owned(), "review".to_owned())]);
        let mut attributes = ATTRIBUTES.to_owned();
        let variables = [&settings.amount, &settings.stoppable_until];
        for (number, name) in variables.into_iter().flatten().enumerate() {
            names.insert("#variables".to_owned(), "variables".to_owned());
            names.insert(format!("#v{number}"), name.to_string());
            // Writing to a string does not fail.
            let _ = write!(attributes, ", #variables.#v{number}");
        }
        let query = self
            .query()
            .index_name("gsi2")
            .scan_index_forward(false)
            .limit(i32::try_from(page).unwrap_or(i32::MAX))
            .key_condition_expression("gsi2pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(shard.key.clone()))
            .projection_expression(attributes)
            .set_expression_attribute_names(Some(names))
            .set_exclusive_start_key(shard.next.take());
        let answer = query.send().await;
        let answer = answer.map_err(|error| dependency_failure("Query", &error))?;
        for item in answer.items.unwrap_or_default() {
            shard.found.push(read_case(mapping, item, now)?);
        }
        shard.next = answer.last_evaluated_key;
        shard.is_read = shard.next.is_none();
        Ok(())
    }

    /// Moves the open reviews of a day (`yyyy-MM-dd`), which a release before queues opened, into the queues; gives how many.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn adopt_day(&self, mapping: &Mapping, day: &str) -> Result<usize, Failure> {
        let mut adopted = 0;
        for outcome in mapping.reviewable() {
            for shard in 0..REVIEW_SHARDS {
                let key = review_day_key(outcome.as_str(), day, shard);
                let found = self.decisions.in_queue(&key).await?;
                for decision in found {
                    let (queue, place) = decision.queue_entry(mapping, outcome.as_str());
                    let update = self
                        .decisions
                        .update(&decision.key())
                        .update_expression("SET gsi2pk = :queue, gsi2sk = :place")
                        .condition_expression("gsi2pk = :before")
                        .expression_attribute_values(":queue", AttributeValue::S(queue))
                        .expression_attribute_values(":place", AttributeValue::S(place))
                        .expression_attribute_values(":before", AttributeValue::S(key.clone()));
                    let moved = crate::decisions::update_if_condition_holds(update).await?;
                    adopted += usize::from(moved);
                }
            }
        }
        Ok(adopted)
    }
}

fn read_case(mapping: &Mapping, item: Item, now: Timestamp) -> Result<WaitingCase, Failure> {
    let row: Row = serde_dynamo::from_item(item)
        .map_err(|_| Failure::set_up("a decision in a queue is not readable by this version"))?;
    let settings = mapping.review();
    let case = row.review.unwrap_or_default();
    let is_appeal = is_appeal_queue(&row.gsi2pk);
    let variable = |name: &Option<event::VariableName>| {
        let name = name.as_ref()?;
        row.variables.get(name.as_str())
    };
    let rules = row.matched_rules.iter().map(|rule| rule.rule_id.as_str());
    let stake = Stake {
        amount: variable(&settings.amount).map_or(0.0, |amount| parse_amount(amount)),
        risk: settings.risk(row.scores.values().copied(), rules),
    };
    let after = |start: &str, seconds: i64| {
        let start = Timestamp::parse(start).ok()?;
        Timestamp::from_epoch_seconds(start.epoch_seconds() + seconds).ok()
    };
    let stoppable_until = variable(&settings.stoppable_until)
        .and_then(|time| Timestamp::parse(time).ok())
        .or_else(|| {
            after(
                &row.event_timestamp,
                settings.stoppable_for?.millis() / 1000,
            )
        });
    let is_shipped = stoppable_until.is_some_and(|until| until <= now);
    let waiting_since = case.appealed_at.unwrap_or(row.decided_at);
    let outcome = case.outcome.unwrap_or(row.effective_outcome);
    let sla = settings.sla(&outcome);
    Ok(WaitingCase {
        key: ItemKey::from_parts(row.pk, row.sk),
        place: row.gsi2sk,
        order_id: row.order_id,
        revision: row.revision,
        event_timestamp: row.event_timestamp,
        is_appeal,
        amount: stake.amount,
        risk: stake.risk,
        expected_loss: stake.loss(is_appeal),
        stoppable_until,
        is_shipped,
        due: sla.and_then(|sla| after(&waiting_since, sla.within.millis() / 1000)),
        waiting_since,
        outcome,
        claim: case.claim.filter(|claim| is_valid(claim, now)),
        escalated_by: case.escalated_by,
        keys: row.velocity_keys,
    })
}
