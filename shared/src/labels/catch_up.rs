//! Labels that came before their event: applied when the event or its decision is there.

use event::{EventId, Revision};
use futures::{StreamExt as _, stream};

use super::service::Told;
use super::{FUNCTION, Labels};
use crate::batch::Batcher;
use crate::decisions::{Decision, Found, Key};
use crate::failure::Failure;
use crate::label_history::{LabelEntry, LabelHistory, current};
use crate::records::{Origin, Position, Record};
use crate::rejected::RejectedRecord;

/// Events whose labels are brought home at a time.
const AT_ONCE: usize = 16;

/// An event that its function has just created or found.
#[derive(Clone, Debug)]
pub struct Created<'a> {
    /// The event.
    pub event_id: EventId,
    /// The decision on it, where it has been decided.
    pub decision: Option<&'a Decision>,
}

impl Labels {
    /// Brings home the labels of events that were just created or found; `done` is told of each when it is done.
    ///
    /// A label whose time turns out to be impossible is written to the rejected records, with the message that brought
    /// it, and taken out of the history.
    pub async fn catch_up(
        &self,
        created: &[Created<'_>],
        batcher: &Batcher,
        done: impl Fn(usize, Result<(), Failure>),
    ) {
        let mut keys: Vec<Key> = Vec::with_capacity(2 * created.len());
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
                        Ok(found) => self.catch_up_one(created, found, batcher).await,
                        Err(failure) => Err(failure.clone()),
                    },
                );
            })
            .await;
    }

    async fn catch_up_one(
        &self,
        created: &Created<'_>,
        found: &Found,
        batcher: &Batcher,
    ) -> Result<(), Failure> {
        let Created { event_id, decision } = created;
        let mut history = self.history_in(event_id, found);
        if let Some(decision) = decision {
            self.park_impossible(event_id, decision, &mut history)
                .await?;
            history.add_copies(&decision.label_history);
            // Releases before label histories kept labels on the decisions of other revisions alone.
            if decision.revision != Revision::FIRST.number() {
                let decisions = self.decisions.revisions(&self.event_type, event_id).await?;
                history.add_copies(decisions.iter().flat_map(|it| &it.label_history));
            }
            self.copy_to((*decision).clone(), &history).await?;
        }
        if current(&history.labels).is_none() {
            return Ok(());
        }
        match self.tell_service(event_id, history, batcher).await {
            Ok(Told::NoEvent) if decision.is_none() => Err(Failure::retry(
                "UpdateEventLabel: the event is not visible yet",
            )),
            Ok(_) => Ok(()),
            Err(Failure::Rejected(rejection)) if rejection.refusal.is_some() => Err(
                Failure::set_up("UpdateEventLabel: a label that came before its event is refused"),
            ),
            Err(failure) => Err(failure),
        }
    }

    /// Takes labels out of a history that are from before the event, and keeps them with the rejected records.
    async fn park_impossible(
        &self,
        event_id: &EventId,
        decision: &Decision,
        history: &mut LabelHistory,
    ) -> Result<(), Failure> {
        for (id, entry) in history.labels.clone() {
            let on_time = self
                .check_skew(std::slice::from_ref(decision), &entry)
                .is_ok();
            if on_time || decision.label_history.contains_key(&id) {
                continue;
            }
            // As with a label that comes now, the first revision's time counts; what a decision has was checked.
            let decisions = self.decisions.revisions(&self.event_type, event_id).await?;
            let mut others = decisions.iter();
            if others.any(|other| other.label_history.contains_key(&id)) {
                continue;
            }
            if let Err(failure) = self.check_skew(&decisions, &entry) {
                self.park(event_id, &id, &entry, history, failure).await?;
                history.remove(&id);
            }
        }
        Ok(())
    }

    /// Keeps a label that cannot be right with the rejected records, and takes it out of the history.
    async fn park(
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
            None => self.record_of(event_id, id, entry)?,
        };
        self.rejected.write(FUNCTION, &record, &rejection).await?;
        tracing::warn!(
            class = rejection.class,
            "a label that came before its event is rejected"
        );
        self.remove_from_history(event_id, id).await
    }

    /// What is known of a label whose message was not kept.
    fn record_of(
        &self,
        event_id: &EventId,
        id: &str,
        entry: &LabelEntry,
    ) -> Result<Record, Failure> {
        let known = serde_json::json!({
            "event_type": self.event_type.as_str(), "event_id": event_id.as_str(), "label": entry,
        });
        let payload =
            serde_json::to_vec(&known).map_err(|_| Failure::retry("a label does not serialize"))?;
        let position = Position {
            origin: Origin::Other,
            arn: "labels".to_owned(),
            id: format!("{event_id}-{id}"),
            sub: 0,
        };
        Ok(Record {
            position,
            key: None,
            payload,
        })
    }
}
