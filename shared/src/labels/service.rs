//! Sends the current label of an event to the service, with `UpdateEventLabel`.

use event::EventId;

use super::{Labels, MEETINGS};
use crate::batch::Batcher;
use crate::failure::{Call, CallError, Class, Failure};
use crate::known_faults::{KnownFault, is_injected};
use crate::label_history::{LabelEntry, LabelHistory, current};

/// What the service knows after the current label was sent.
pub(super) enum Told {
    /// It has the current label, or there is none.
    Knows,
    /// It has no such event.
    NoEvent,
}

impl Labels {
    /// Sends the current label, and sends again as long as another label has become current meanwhile.
    pub(super) async fn tell_service(
        &self,
        event_id: &EventId,
        mut history: LabelHistory,
        batcher: &Batcher,
    ) -> Result<Told, Failure> {
        let mut sent: Option<LabelEntry> = None;
        for _ in 0..MEETINGS {
            let best = current(&history.labels);
            if best == sent.as_ref() {
                return Ok(Told::Knows);
            }
            if let Some(best) = best {
                batcher.call_permit().await;
                if !self.send(event_id, best).await? {
                    return Ok(Told::NoEvent);
                }
            }
            if is_injected(KnownFault::LabelRace) {
                return Ok(Told::Knows);
            }
            sent = best.cloned();
            history.add(&self.history(event_id).await?);
        }
        Err(Failure::retry("UpdateEventLabel: the label keeps changing"))
    }

    /// Calls `UpdateEventLabel`; `false` if the service has no such event.
    pub(super) async fn send(
        &self,
        event_id: &EventId,
        entry: &LabelEntry,
    ) -> Result<bool, Failure> {
        let call = self.fraud_detector.update_event_label();
        let call = call
            .event_id(event_id.as_str())
            .event_type_name(self.event_type.as_str());
        let Err(error) = call
            .set_assigned_label(entry.label.clone())
            .label_timestamp(&entry.label_timestamp)
            .send()
            .await
        else {
            return Ok(true);
        };
        let error = CallError::new(Call::UpdateEventLabel, &error);
        if error.class == Class::NoEvent {
            Ok(false)
        } else {
            Err(error.into_failure(Call::UpdateEventLabel))
        }
    }
}
