//! Brings what became known of an order to the profiles of its keys.

use event::{EventId, EventTypeName, Timestamp};

use super::{LabelApplier, MAX_CONFLICTS};
use crate::decisions::{Decision, ItemKey};
use crate::failure::Failure;
use crate::label_history::LabelHistory;
use crate::mapping::HashedKeys;

/// A past event whose keys are told what is known of it.
#[derive(Clone, Debug)]
pub struct PastEvent<'a> {
    /// Its id.
    pub event_id: &'a EventId,
    /// A decision on it, if it is decided.
    pub decision: Option<&'a Decision>,
    /// The label that history brought with it, and since when it is known.
    pub own_label: Option<(String, Timestamp)>,
}

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
    /// current meanwhile. As long as no message gives a label, that which history brought with the event counts, also here.
    pub(super) async fn mark_keys(
        &self,
        event_id: &EventId,
        keys: &HashedKeys,
        mut history: LabelHistory,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if keys.is_empty() || !history.has_label() {
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

    /// Notes at the keys of past events which of them are known as fraud, as far as that is kept.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn mark_past_events(
        &self,
        events: &[PastEvent<'_>],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let mut keys: Vec<ItemKey> = Vec::with_capacity(2 * events.len());
        for event in events {
            keys.extend(self.label_keys(event.event_id));
        }
        // BatchGetItem refuses a request that names a key twice.
        keys.sort_unstable();
        keys.dedup();
        let found = self.decisions.read(keys).await?;
        for event in events {
            let mut history = self.find_history(event.event_id, &found);
            if let Some(decision) = event.decision {
                history.add_copies(&decision.label_history);
            }
            self.mark_past_event(event, history, now).await?;
        }
        Ok(())
    }

    async fn mark_past_event(
        &self,
        event: &PastEvent<'_>,
        mut history: LabelHistory,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let is_fraud = |label: &str| self.mapping.is_fraud_label(label);
        let own = event.own_label.as_ref();
        let own = own.filter(|(label, _)| is_fraud(label) && !history.has_label());
        if own.is_none() && history.known_as_fraud(is_fraud).is_none() {
            return Ok(());
        }
        let event_id = event.event_id;
        let decisions = self
            .decisions
            .revisions(self.event_type(), event_id)
            .await?;
        let keys = self.find_keys(event_id, &decisions).await?;
        if let Some((_, time)) = own {
            let known = Some(time.epoch_millis());
            let marked = self
                .profiles
                .set_fraud(&self.mapping, (event_id, &keys), known, now);
            marked.await?;
            // A label may have come meanwhile.
            history = self.read_history(event_id).await?;
            if !history.has_label() {
                return Ok(());
            }
        }
        self.mark_keys(event_id, &keys, history, now).await
    }

    /// The event type whose labels are applied.
    pub(super) fn event_type(&self) -> &EventTypeName {
        self.mapping.event_type()
    }
}
