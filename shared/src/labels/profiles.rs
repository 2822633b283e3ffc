//! Brings what became known of an order to the profiles of its keys.

use event::{EventId, EventTypeName, Timestamp};

use super::{LabelApplier, MAX_CONFLICTS};
use crate::decisions::Decision;
use crate::failure::Failure;
use crate::label_history::LabelHistory;
use crate::mapping::HashedKeys;

impl LabelApplier {
    /// The keys under which the newest revision of an event is counted: those of its newest decision, or those that `ingest`
    /// stored. None if no aggregate and no link depends on labels.
    pub(super) async fn find_keys(
        &self,
        event_id: &EventId,
        decisions: &[Decision],
    ) -> Result<HashedKeys, Failure> {
        let mut keys = self.mapping.aggregate_keys().iter();
        if !keys.any(|key| key.layout().keeps_frauds()) {
            return Ok(HashedKeys::new());
        }
        let ingested = self.profiles.read_event_keys(&self.mapping, event_id);
        let ingested = ingested.await?.into_iter();
        let ingested = ingested.map(|event| (event.revision, event.keys));
        let decided = decisions.iter();
        let decided = decided.map(|decision| (decision.revision, decision.velocity_keys.clone()));
        let newest = ingested
            .chain(decided)
            .max_by_key(|(revision, _)| *revision);
        Ok(newest.map(|(_, keys)| keys).unwrap_or_default())
    }

    /// Notes at these keys whether the event is known as fraud and since when, and again as long as another label has become
    /// current meanwhile.
    pub(super) async fn mark_keys(
        &self,
        event_id: &EventId,
        keys: &HashedKeys,
        mut history: LabelHistory,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut marked = None;
        for _ in 0..MAX_CONFLICTS {
            let known = history.known_as_fraud(|label| self.mapping.is_fraud_label(label));
            if marked == Some(known) {
                return Ok(());
            }
            let event = (event_id, keys);
            self.profiles
                .set_fraud(&self.mapping, event, known, now)
                .await?;
            marked = Some(known);
            history.add(&self.read_history(event_id).await?);
        }
        Err(Failure::retry("the label of an order keeps changing"))
    }

    /// The event type whose labels are applied.
    pub(super) fn event_type(&self) -> &EventTypeName {
        self.mapping.event_type()
    }
}
