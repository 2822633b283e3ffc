//! Sends the current label of an event to the service, with `UpdateEventLabel`.

use event::EventId;

use super::{LabelApplier, MAX_CONFLICTS};
use crate::batch::Batcher;
use crate::failure::{CallError, Failure, FailureClass, ServiceCall};
use crate::known_faults::{KnownFault, is_injected};
use crate::label_history::{LabelEntry, LabelHistory, current_label};

/// What the service knows after the current label was sent.
pub(super) enum UpdateResult {
    /// It has the current label, or there is none.
    Knows,
    /// It has no such event.
    NoEvent,
}

impl LabelApplier {
    /// Sends the current label, and sends again as long as another label has become current meanwhile.
    pub(super) async fn send_current_label(
        &self,
        event_id: &EventId,
        mut history: LabelHistory,
        batcher: &Batcher,
    ) -> Result<UpdateResult, Failure> {
        let mut sent: Option<LabelEntry> = None;
        for _ in 0..MAX_CONFLICTS {
            let best = current_label(&history.labels);
            if best == sent.as_ref() {
                return Ok(UpdateResult::Knows);
            }
            if let Some(best) = best
                && !self.update_event_label(event_id, best, batcher).await?
            {
                return Ok(UpdateResult::NoEvent);
            }
            if is_injected(KnownFault::LabelRace) {
                return Ok(UpdateResult::Knows);
            }
            sent = best.cloned();
            history.add(&self.read_history(event_id).await?);
        }
        Err(Failure::retry("UpdateEventLabel: the label keeps changing"))
    }

    /// Calls `UpdateEventLabel`; `false` if the service has no such event.
    pub(super) async fn update_event_label(
        &self,
        event_id: &EventId,
        entry: &LabelEntry,
        batcher: &Batcher,
    ) -> Result<bool, Failure> {
        let call = self.fraud_detector.update_event_label();
        let call = call
            .event_id(event_id.as_str())
            .event_type_name(self.event_type().as_str());
        let call = call
            .set_assigned_label(entry.label.clone())
            .label_timestamp(&entry.label_timestamp);
        let kind = ServiceCall::UpdateEventLabel;
        let send = async {
            call.send()
                .await
                .map_err(|error| CallError::new(kind, &error))
        };
        let Err(error) = batcher.call_service(event_id.as_str(), send).await else {
            return Ok(true);
        };
        if error.class == FailureClass::NoEvent {
            Ok(false)
        } else {
            Err(error.into_failure(kind))
        }
    }
}
