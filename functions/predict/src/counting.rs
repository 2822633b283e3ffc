//! Counting orders by their keys before they are judged.

use std::collections::HashMap;

use event::{EventId, Revision, Timestamp};
use shared::batch::{not_reached_failure, run_until};
use shared::failure::Failure;
use shared::mapping::{HashedKeys, MappedOrder};
use shared::profiles::CountedOrder;
use tokio::time::Instant;

use super::{KnownDecisions, PredictFunction};

/// The keys of each revision of an event.
type Revisions = HashMap<EventId, Vec<(Revision, HashedKeys)>>;

impl PredictFunction {
    /// Counts the orders that are not decided yet, and sets the variables of their aggregates. An order that cannot be
    /// counted by `end` becomes a failure.
    pub(super) async fn count(
        &self,
        orders: &mut [Result<MappedOrder, Failure>],
        known: &KnownDecisions,
        now: Timestamp,
        end: Option<Instant>,
    ) {
        if self.mapping.aggregate_keys().is_empty() {
            return;
        }
        let in_batch = collect_revisions(orders);
        let mut counted = Vec::new();
        for order in orders {
            let former_keys = match &order {
                Ok(open) if known.decision(&self.decision_key(open)).is_none() => {
                    run_until(end, self.find_former_keys(open, &in_batch)).await
                }
                _ => continue,
            };
            match former_keys.unwrap_or_else(|| Err(not_reached_failure())) {
                Ok(former_keys) => {
                    counted.push(CountedOrder::new(order).with_former_keys(former_keys));
                }
                Err(failure) => *order = Err(failure),
            }
        }
        self.profiles.count(&self.mapping, counted, now, end).await;
    }

    /// The keys under which earlier revisions of an order were counted, or are counted now.
    async fn find_former_keys(
        &self,
        order: &MappedOrder,
        in_batch: &Revisions,
    ) -> Result<Vec<HashedKeys>, Failure> {
        if order.revision <= Revision::FIRST {
            return Ok(Vec::new());
        }
        let now = in_batch.get(&order.event_id).into_iter().flatten();
        let now = now.filter(|(revision, _)| *revision < order.revision);
        let mut former_keys: Vec<HashedKeys> = now.map(|(_, keys)| keys.clone()).collect();
        let event = (&order.event_id, order.revision);
        let stored = self
            .profiles
            .find_former_keys(&self.mapping, &self.decisions, event);
        former_keys.extend(stored.await?);
        Ok(former_keys)
    }
}

/// The keys of those events of a batch that come in several revisions.
fn collect_revisions(orders: &[Result<MappedOrder, Failure>]) -> Revisions {
    let mut revisions = Revisions::new();
    for order in orders.iter().flatten() {
        let event = revisions.entry(order.event_id.clone()).or_default();
        event.push((order.revision, order.key_facts.hashes.clone()));
    }
    revisions.retain(|_, revisions| revisions.len() > 1);
    revisions
}
