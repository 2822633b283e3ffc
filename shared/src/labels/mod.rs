//! Applies labels, such as those of chargebacks, to decisions and to Amazon Fraud Detector.
//!
//! Every event has one label history, whether it is decided or not: an item of its own in the table of decisions, to which
//! labels are added. [`current_label`] selects the current label. Decisions carry a copy of the history; the service gets the
//! current label, and so do the profiles of the order's keys.
//!
//! No label is missed, because both sides write first and read afterwards: [`LabelApplier::apply`] adds to the history and then
//! reads the decisions and updates the event at the service; `predict` and `ingest` write the decision or the event and
//! then read the history ([`LabelApplier::catch_up`]). Every step is safe to repeat.

mod catch_up;
mod copies;
mod history;
mod profiles;
mod service;

use std::collections::BTreeMap;
use std::sync::Arc;

use event::{EventId, LabelMessage, LabelTime, Timestamp};

use crate::batch::Batcher;
use crate::decisions::{Decision, Decisions};
use crate::failure::{Failure, Rejection};
use crate::known_faults::{KnownFault, is_injected};
use crate::mapping::Mapping;
use crate::profiles::ProfileTable;
use crate::records::Record;
use crate::rejected::RejectedStore;
use service::UpdateResult;

pub use crate::label_history::{LabelEntry, current_label};
pub use catch_up::CreatedEvent;
pub use profiles::PastEvent;

/// The name of the function `label` in rejected records and metrics.
pub const FUNCTION: &str = "label";
/// By how much the time of a label may lie before that of its event, because clocks and time zones differ.
const SKEW_SECONDS: i64 = 48 * 3600;
/// By how much the time of a label may lie in the future.
const FUTURE_SECONDS: i64 = 24 * 3600;

/// How often a write is repeated when another writer changed the labels of the same event meanwhile.
const MAX_CONFLICTS: usize = 10;

/// The result of applying a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppliedLabel {
    /// It is on the decision, at the service, or both.
    Applied {
        /// Whether its time lies before the event, by little enough to be accepted.
        skewed: bool,
    },
    /// The message changes no label and is kept in the history.
    Kept,
    /// Its event does not exist yet; the label is in the history.
    Waiting,
}

/// What became of a label message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelReceipt {
    /// What its label did.
    pub applied: AppliedLabel,
    /// Whether its order is known; without one, the message is kept and looked at when its order comes. Of a message that
    /// changes no label it is not noticed that its order is stored without a decision, if no aggregate counts labels.
    pub matched: bool,
    /// Whether the very message was received before.
    pub known: bool,
    /// What kind of message it is, such as `chargeback`.
    pub kind: String,
    /// The amount in dispute, a decimal number, and its currency.
    pub amount: Option<(String, String)>,
}

/// Applies labels to decisions and to the service.
#[derive(Clone, Debug)]
pub struct LabelApplier {
    decisions: Decisions,
    fraud_detector: aws_sdk_frauddetector::Client,
    rejected: RejectedStore,
    profiles: ProfileTable,
    mapping: Arc<Mapping>,
}

/// A label cannot be known before it is given; clocks may differ by a day.
///
/// # Errors
/// [`Failure::Rejected`] for a label that comes from more than a day ahead of `now`.
pub fn check_not_in_future(label: &LabelMessage, now: Timestamp) -> Result<(), Failure> {
    if label.time.time.epoch_seconds() - now.epoch_seconds() <= FUTURE_SECONDS {
        return Ok(());
    }
    let reason = format!(
        "the label's time {} is more than 24 hours in the future",
        label.time.time
    );
    Err(Failure::rejected("label-in-future", reason))
}

impl LabelApplier {
    /// Applies labels of the event type of `mapping`, also to the `profiles` of the keys of their orders. A label whose time
    /// turns out to be before its event is written to `rejected`.
    pub fn new(
        decisions: Decisions,
        fraud_detector: aws_sdk_frauddetector::Client,
        rejected: RejectedStore,
        profiles: ProfileTable,
        mapping: Arc<Mapping>,
    ) -> Self {
        Self {
            decisions,
            fraud_detector,
            rejected,
            profiles,
            mapping,
        }
    }

    /// Applies the label that `record` brought and that was received at `now`. Calls of the service are limited by the
    /// budget of `batcher`.
    ///
    /// # Errors
    /// [`Failure::Rejected`] if its time is impossible, the event type does not have the label, or the event has too
    /// many labels; [`Failure::Retry`] if a dependency fails.
    // Long, because the order of its steps is what keeps labels from being missed: they are read together.
    pub async fn apply(
        &self,
        label: &LabelMessage,
        record: &Record,
        now: Timestamp,
        batcher: &Batcher,
    ) -> Result<LabelReceipt, Failure> {
        check_not_in_future(label, now)?;
        let entry = LabelEntry::from(label);
        let event_id = &label.event_id;
        let decisions = self
            .decisions
            .revisions(self.event_type(), event_id)
            .await?;
        self.check_label_time(&decisions, &entry)?;
        // The record is kept only if the time of the label cannot be checked yet.
        let kept = decisions.is_empty().then_some(record);
        let was_known = self
            .add_to_history(event_id, &entry, kept, Some(now), now)
            .await?;

        // Decisions that exist by now get the label here; whoever writes one later finds the label in the history.
        let decisions = self
            .decisions
            .revisions(self.event_type(), event_id)
            .await?;
        let mut history = self.read_history(event_id).await?;
        let checked = self.check_label_time(&decisions, &entry);
        let checked = checked.and_then(|skewed| history.check_size().map(|()| skewed));
        let skewed = match checked {
            Ok(skewed) => skewed,
            Err(failure) => {
                self.remove_from_history(event_id, &entry.id()).await?;
                return Err(failure);
            }
        };
        // Releases before label histories kept labels on decisions only.
        for (id, copy) in decisions.iter().flat_map(|it| &it.label_history) {
            if !history.labels.contains_key(id) {
                self.add_to_history(event_id, copy, None, None, now).await?;
                history.labels.insert(id.clone(), copy.clone());
            }
        }
        let known = history.clone();
        let told = if is_injected(KnownFault::RankIgnored) && decisions.is_empty() {
            let is_there = self.update_event_label(event_id, &entry, batcher).await;
            is_there.map(|is_there| {
                if is_there {
                    UpdateResult::Knows
                } else {
                    UpdateResult::NoEvent
                }
            })
        } else {
            self.send_current_label(event_id, history, batcher).await
        };
        let told = match told {
            Err(Failure::Rejected(rejection)) => {
                return Err(self
                    .handle_refusal(event_id, &entry, &known.labels, rejection)
                    .await?);
            }
            told => told?,
        };
        let keys = self.find_keys(event_id, &decisions).await?;
        self.mark_keys(event_id, &keys, known.clone(), now).await?;
        for decision in &decisions {
            self.copy_to_decision(decision.clone(), &known).await?;
        }
        let is_decided = !decisions.is_empty();
        let applied = match told {
            // The service is asked only where there is a label.
            _ if entry.label.is_none() => AppliedLabel::Kept,
            UpdateResult::NoEvent if !is_decided => AppliedLabel::Waiting,
            UpdateResult::NoEvent => {
                // Decided but not stored at the service, because ingestion is off: the decision has the label.
                metrics::counter!("LabelWithoutStoredEvent").increment(1);
                AppliedLabel::Applied { skewed }
            }
            UpdateResult::Knows => AppliedLabel::Applied { skewed },
        };
        let is_applied = matches!(applied, AppliedLabel::Applied { .. });
        Ok(LabelReceipt {
            applied,
            matched: is_applied || is_decided || !keys.is_empty(),
            known: was_known,
            kind: entry.kind,
            amount: entry.amount.zip(entry.currency),
        })
    }

    /// The failure for a refusal of the current label by the service. If it is the label of this record, the label is
    /// removed from the history and rejected; if it is an earlier one, the set-up must have changed.
    async fn handle_refusal(
        &self,
        event_id: &EventId,
        entry: &LabelEntry,
        labels: &BTreeMap<String, LabelEntry>,
        rejection: Rejection,
    ) -> Result<Failure, Failure> {
        if current_label(labels) != Some(entry) {
            return Ok(Failure::set_up(
                "UpdateEventLabel: a label of before is refused",
            ));
        }
        self.remove_from_history(event_id, &entry.id()).await?;
        Ok(Failure::Rejected(rejection))
    }

    /// Whether the time of the label lies before its event; `false` if there is no decision that has the time of the event.
    ///
    /// # Errors
    /// [`Failure::Rejected`] if it lies more than 48 hours before.
    fn check_label_time(
        &self,
        decisions: &[Decision],
        entry: &LabelEntry,
    ) -> Result<bool, Failure> {
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
        let before = time.seconds_before(read(&decision.event_timestamp)?, self.mapping.timezone());
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
