//! Counting past orders again, in a generation of profiles that is being filled.

use std::collections::BTreeMap;

use event::{EventId, Revision, Timestamp};

use super::{AddedOrder, ORDERS, ProfileTable, check_all, collect_order};
use crate::decisions::Decisions;
use crate::failure::Failure;
use crate::mapping::{HashedKeys, Mapping, OrderKey};

/// A past order as it is kept.
#[derive(Clone, Debug)]
pub struct PastOrder {
    /// Its event id.
    pub event_id: EventId,
    /// Which version of the order it is.
    pub revision: Revision,
    /// Its keys, see [`Mapping::restore_keys`].
    pub keys: Vec<OrderKey>,
    /// The hashes of its keys.
    pub hashes: HashedKeys,
    /// The hashes of the keys of its earlier revisions.
    pub former_keys: Vec<HashedKeys>,
}

impl ProfileTable {
    /// Counts past orders in one generation only, as they would have been counted when they came.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails, or if a profile of the generation cannot be read.
    pub async fn refill(
        &self,
        mapping: &Mapping,
        generation: u32,
        orders: &[PastOrder],
        now: Timestamp,
    ) -> Result<(), Failure> {
        for some in orders.chunks(ORDERS) {
            let mut keys = BTreeMap::new();
            for order in some {
                let added = AddedOrder {
                    event_id: &order.event_id,
                    revision: order.revision,
                    keys: &order.keys,
                    hashes: &order.hashes,
                    former_keys: &order.former_keys,
                };
                collect_order(mapping, &mut keys, &added);
            }
            self.make_changes_in(generation, &mut keys, now).await;
            check_all(keys)?;
        }
        Ok(())
    }

    /// The keys under which earlier revisions of an order were counted, as decisions and the items of ingested events
    /// keep them.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn find_former_keys(
        &self,
        mapping: &Mapping,
        decisions: &Decisions,
        (event_id, revision): (&EventId, Revision),
    ) -> Result<Vec<HashedKeys>, Failure> {
        let decided = decisions.revisions(mapping.event_type(), event_id).await?;
        let ingested = self.read_event_keys(mapping, event_id).await?;
        let ingested = ingested.into_iter().map(|it| (it.revision, it.keys));
        let decided = decided.into_iter();
        let decided = decided.map(|it| (it.revision, it.velocity_keys));
        let earlier = ingested.chain(decided);
        let earlier = earlier.filter(|(number, _)| *number < revision.number());
        Ok(earlier.map(|(_, keys)| keys).collect())
    }
}
