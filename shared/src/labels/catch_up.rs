//! Applies labels that came before their event or its decision.

use event::{EventId, Revision, Timestamp};
use futures::{StreamExt as _, stream};

use super::service::UpdateResult;
use super::{FUNCTION, LabelApplier};
use crate::batch::Batcher;
use crate::decisions::{Decision, FoundItems, ItemKey};
use crate::failure::Failure;
use crate::label_history::{LabelEntry, LabelHistory, current_label};
use crate::mapping::HashedKeys;
use crate::records::{Origin, Position, Record};
use crate::rejected::RejectedRecord;

/// For how many events labels are applied at the same time.
const AT_ONCE: usize = 16;

/// An event that a function has just created, or found to exist.
#[derive(Clone, Debug)]
pub struct CreatedEvent<'a> {
    /// The event.
    pub event_id: EventId,
    /// The decision on it, if it is decided.
    pub decision: Option<&'a Decision>,
    /// The keys under which it is counted.
    pub keys: &'a HashedKeys,
}

impl LabelApplier {
    /// Applies the labels that came before these events, received at `now` at the latest, and calls `done` with the index and
    /// result of each event.
    ///
    /// A label whose time turns out to be impossible is written to the rejected records, with the record that brought it,
    /// and removed from the history.
    pub async fn catch_up(
        &self,
        created: &[CreatedEvent<'_>],
        now: Timestamp,
        batcher: &Batcher,
        done: impl Fn(usize, Result<(), Failure>),
    ) {
        let mut keys: Vec<ItemKey> = Vec::with_capacity(2 * created.len());
        for event_id in created.iter().map(|created| &created.event_id) {
            keys.extend(self.label_keys(event_id));
        }
        // BatchGetItem refuses a request that names a key twice.
        keys.sort_unstable();
        keys.dedup();
        let found = self.decisions.read(keys).await;
        stream::iter(created.iter().enumerate())
            .for_each_concurrent(AT_ONCE, async |(index, created)| {
                done(
                    index,
                    match &found {
                        Ok(found) => self.catch_up_one(created, found, now, batcher).await,
                        Err(failure) => Err(failure.clone()),
                    },
                );
            })
            .await;
    }

    async fn catch_up_one(
        &self,
        created: &CreatedEvent<'_>,
        found: &FoundItems,
        now: Timestamp,
        batcher: &Batcher,
    ) -> Result<(), Failure> {
        let CreatedEvent {
            event_id,
            decision,
            keys,
        } = created;
        let mut history = self.find_history(event_id, found);
        if let Some(decision) = decision {
            self.reject_impossible_labels(event_id, decision, &mut history)
                .await?;
            history.add_copies(&decision.label_history);
            // Releases before label histories kept labels on the decisions of other revisions only.
            if decision.revision != Revision::FIRST.number() {
                let decisions = self
                    .decisions
                    .revisions(self.event_type(), event_id)
                    .await?;
                history.add_copies(decisions.iter().flat_map(|it| &it.label_history));
            }
            self.copy_to_decision((*decision).clone(), &history).await?;
        }
        if current_label(&history.labels).is_none() {
            return Ok(());
        }
        let sent = self.send_current_label(event_id, history.clone(), batcher);
        match sent.await {
            Ok(UpdateResult::NoEvent) if decision.is_none() => Err(Failure::retry(
                "UpdateEventLabel: the event is not visible yet",
            )),
            Ok(_) => self.mark_keys(event_id, keys, history, now).await,
            Err(Failure::Rejected(rejection)) if rejection.refusal.is_some() => Err(
                Failure::set_up("UpdateEventLabel: a label that came before its event is refused"),
            ),
            Err(failure) => Err(failure),
        }
    }

    /// Rejects labels whose time lies too long before the event, and removes them from the history.
    async fn reject_impossible_labels(
        &self,
        event_id: &EventId,
        decision: &Decision,
        history: &mut LabelHistory,
    ) -> Result<(), Failure> {
        for (id, entry) in history.labels.clone() {
            let on_time = self
                .check_label_time(std::slice::from_ref(decision), &entry)
                .is_ok();
            if on_time || decision.label_history.contains_key(&id) {
                continue;
            }
            // As in `apply`, the time of the first revision counts. Labels that a decision carries were checked before.
            let decisions = self
                .decisions
                .revisions(self.event_type(), event_id)
                .await?;
            let mut others = decisions.iter();
            if others.any(|other| other.label_history.contains_key(&id)) {
                continue;
            }
            if let Err(failure) = self.check_label_time(&decisions, &entry) {
                self.reject_label(event_id, &id, &entry, history, failure)
                    .await?;
                history.remove(&id);
            }
        }
        Ok(())
    }

    /// Writes a label that is impossible to the rejected records, and removes it from the history.
    async fn reject_label(
        &self,
        event_id: &EventId,
        id: &str,
        entry: &LabelEntry,
        history: &LabelHistory,
        failure: Failure,
    ) -> Result<(), Failure> {
        let Failure::Rejected(rejection) = failure else {
            return Err(failure);
        };
        let record = history
            .records
            .get(id)
            .and_then(|text| serde_json::from_str::<RejectedRecord>(text).ok())
            .and_then(|stored| stored.into_record().ok());
        let record = match record {
            Some(record) => record,
            None => self.reconstruct_record(event_id, id, entry)?,
        };
        self.rejected.write(FUNCTION, &record, &rejection).await?;
        tracing::warn!(
            class = rejection.class,
            "a label that came before its event is rejected"
        );
        self.remove_from_history(event_id, id).await
    }

    /// A record with what is known about a label whose own record was not kept.
    fn reconstruct_record(
        &self,
        event_id: &EventId,
        id: &str,
        entry: &LabelEntry,
    ) -> Result<Record, Failure> {
        let known = serde_json::json!({
            "event_type": self.event_type().as_str(), "event_id": event_id.as_str(), "label": entry,
        });
        let payload =
            serde_json::to_vec(&known).map_err(|_| Failure::retry("a label does not serialize"))?;
        let position = Position::new(Origin::Other, "labels", format!("{event_id}-{id}"));
        Ok(Record {
            position,
            key: None,
            payload,
        })
    }
}
