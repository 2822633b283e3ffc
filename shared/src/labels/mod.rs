//! Labels and their timestamps: what a chargeback says of an order, and when it was known.
//!
//! An event has one label history, decided or not: an item of its own beside the decisions, which is only ever added to.
//! [`current`] says which of its labels counts. Decisions carry a copy of the history, the service gets the label that
//! counts.
//!
//! No label is missed, because both sides write before they look: [`Labels::apply`] adds to the history and then looks
//! for decisions and for the event at the service; `predict` and `ingest` write the decision or the event and then look
//! at the history ([`Labels::catch_up`]). Every step is safe to repeat.

mod catch_up;
mod copies;
mod history;
mod service;

use std::collections::BTreeMap;

use event::{EventId, EventTypeName, LabelMessage, LabelTime, Timestamp};
use jiff::tz::TimeZone;

use crate::batch::Batcher;
use crate::decisions::{Decision, Decisions};
use crate::failure::{Failure, Rejection};
use crate::known_faults::{KnownFault, is_back};
use crate::mapping::Mapping;
use crate::records::Record;
use crate::rejected::Rejected;
use service::Told;

pub use crate::label_history::{LabelEntry, current};
pub use catch_up::Created;

/// The function that labels are for, as rejected records name it.
pub const FUNCTION: &str = "label";
/// How far a label's time may lie before its event's: clocks and time zones differ.
const SKEW_SECONDS: i64 = 48 * 3600;
/// How far a label's time may lie in the future.
const FUTURE_SECONDS: i64 = 24 * 3600;

/// How often two writers of one event's labels may meet before the record is delivered again.
const MEETINGS: usize = 10;

/// What became of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It stands on the decision, or at the service, or both.
    Applied {
        /// Whether its time lay before the event's and was accepted all the same.
        skewed: bool,
    },
    /// It is a message that changes no label, and is kept in the history.
    Kept,
    /// Its event is not there yet.
    Waiting,
}

/// Applies labels to decisions and to the service.
#[derive(Clone, Debug)]
pub struct Labels {
    decisions: Decisions,
    fraud_detector: aws_sdk_frauddetector::Client,
    rejected: Rejected,
    event_type: EventTypeName,
    zone: TimeZone,
    retention_seconds: i64,
}

impl Labels {
    /// Labels of the event type of a mapping; `rejected` is where a label goes that turns out to be before its event.
    pub fn new(
        decisions: Decisions,
        fraud_detector: aws_sdk_frauddetector::Client,
        rejected: Rejected,
        mapping: &Mapping,
    ) -> Self {
        Self {
            decisions,
            fraud_detector,
            rejected,
            event_type: mapping.event_type().clone(),
            zone: mapping.timezone().clone(),
            retention_seconds: mapping.retention_seconds(),
        }
    }

    /// Applies a label that a record brought; `now` is the time of receiving it. Calls of the service keep to the
    /// budget of `batcher`.
    ///
    /// # Errors
    /// [`Failure::Rejected`] for a time that cannot be right, a label the event type lacks, or one label too many,
    /// [`Failure::Retry`] where a dependency fails.
    pub async fn apply(
        &self,
        label: &LabelMessage,
        record: &Record,
        now: Timestamp,
        batcher: &Batcher,
    ) -> Result<Applied, Failure> {
        if label.time.time.epoch_seconds() - now.epoch_seconds() > FUTURE_SECONDS {
            let reason = format!(
                "the label's time {} is more than 24 hours in the future",
                label.time.time
            );
            return Err(Failure::rejected("label-in-future", reason));
        }
        let entry = LabelEntry::from(label);
        let event_id = &label.event_id;
        let decisions = self.decisions.revisions(&self.event_type, event_id).await?;
        self.check_skew(&decisions, &entry)?;
        // The message is kept only where its time could not be checked yet.
        let kept = decisions.is_empty().then_some(record);
        self.add_to_history(event_id, &entry, kept, Some(now), now)
            .await?;

        // A decision that was written before this look gets the label here; who writes one later finds the label.
        let decisions = self.decisions.revisions(&self.event_type, event_id).await?;
        let mut history = self.history(event_id).await?;
        let checked = self.check_skew(&decisions, &entry);
        let checked = checked.and_then(|skewed| history.check_size().map(|()| skewed));
        let skewed = match checked {
            Ok(skewed) => skewed,
            Err(failure) => {
                self.remove_from_history(event_id, &entry.id()).await?;
                return Err(failure);
            }
        };
        // Releases before label histories kept labels on decisions alone.
        for (id, copy) in decisions.iter().flat_map(|it| &it.label_history) {
            if !history.labels.contains_key(id) {
                self.add_to_history(event_id, copy, None, None, now).await?;
                history.labels.insert(id.clone(), copy.clone());
            }
        }
        let known = history.clone();
        let told = if is_back(KnownFault::RankIgnored) && decisions.is_empty() {
            let is_there = self.send(event_id, &entry).await;
            is_there.map(|is_there| if is_there { Told::Knows } else { Told::NoEvent })
        } else {
            self.tell_service(event_id, history, batcher).await
        };
        let told = match told {
            Err(Failure::Rejected(rejection)) => {
                return Err(self
                    .refused(event_id, &entry, &known.labels, rejection)
                    .await?);
            }
            told => told?,
        };
        for decision in &decisions {
            self.copy_to(decision.clone(), &known).await?;
        }
        Ok(match told {
            _ if entry.label.is_none() => Applied::Kept,
            Told::NoEvent if decisions.is_empty() => Applied::Waiting,
            Told::NoEvent => {
                // Decided, and not stored at the service (ingestion is off): the decision has the label.
                metrics::counter!("LabelWithoutStoredEvent").increment(1);
                Applied::Applied { skewed }
            }
            Told::Knows => Applied::Applied { skewed },
        })
    }

    /// What it means that the service refuses the label that counts: the fault of this label, which leaves the history,
    /// or of one that the service took before.
    async fn refused(
        &self,
        event_id: &EventId,
        entry: &LabelEntry,
        labels: &BTreeMap<String, LabelEntry>,
        rejection: Rejection,
    ) -> Result<Failure, Failure> {
        if current(labels) != Some(entry) {
            return Ok(Failure::set_up(
                "UpdateEventLabel: a label of before is refused",
            ));
        }
        self.remove_from_history(event_id, &entry.id()).await?;
        Ok(Failure::Rejected(rejection))
    }

    /// Whether the label's time lies before its event's; `false` where there is no decision to tell the event's time.
    ///
    /// # Errors
    /// [`Failure::Rejected`] where it lies more than 48 hours before.
    fn check_skew(&self, decisions: &[Decision], entry: &LabelEntry) -> Result<bool, Failure> {
        let Some(decision) = decisions.first() else {
            return Ok(false);
        };
        let read = |text: &str| {
            Timestamp::parse(text)
                .map_err(|_| Failure::set_up("a stored time is not readable by this version"))
        };
        let time = LabelTime {
            time: read(&entry.label_timestamp)?,
            day_only: entry.day_only,
        };
        let before = time.seconds_before(read(&decision.event_timestamp)?, &self.zone);
        if before > SKEW_SECONDS {
            let reason = format!(
                "the label's time {} is more than 48 hours before its event's, {}",
                entry.label_timestamp, decision.event_timestamp
            );
            return Err(Failure::rejected("label-before-event", reason));
        }
        if before > 0 {
            metrics::counter!("LabelBeforeEvent").increment(1);
        }
        Ok(before > 0)
    }
}
