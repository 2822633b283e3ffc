//! An event as a whole.

use serde::{Deserialize, Serialize};

use crate::limits::PAYLOAD_BYTES;
use crate::{EntityId, EntityTypeName, EventId, EventTypeName, InvalidEvent, Timestamp, Variables};

/// One event as the service takes it: at least one variable, at most 256 KB of them.
///
/// What a call adds to it (a detector, a label) is not part of the event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "UncheckedEvent")]
#[expect(
    clippy::struct_field_names,
    reason = "an event's type is called `event_type` everywhere"
)]
pub struct Event {
    id: EventId,
    event_type: EventTypeName,
    timestamp: Timestamp,
    entity: Entity,
    variables: Variables,
}

/// Who or what an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entity {
    /// Its kind, such as `customer`.
    pub entity_type: EntityTypeName,
    /// Its id within the kind, or the reserved `unknown`.
    pub entity_id: EntityId,
}

impl Event {
    /// Puts an event together.
    ///
    /// # Errors
    /// [`InvalidEvent::NoVariables`] and [`InvalidEvent::TooLarge`].
    pub fn new(
        id: EventId,
        event_type: EventTypeName,
        timestamp: Timestamp,
        entity: Entity,
        variables: Variables,
    ) -> Result<Self, InvalidEvent> {
        if variables.is_empty() {
            return Err(InvalidEvent::NoVariables);
        }
        let bytes = variables.payload_bytes();
        if bytes > PAYLOAD_BYTES {
            return Err(InvalidEvent::TooLarge(bytes));
        }
        Ok(Self {
            id,
            event_type,
            timestamp,
            entity,
            variables,
        })
    }

    /// Its id, unique within its type.
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// Its type.
    pub fn event_type(&self) -> &EventTypeName {
        &self.event_type
    }

    /// When it happened.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Who or what it is about.
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// What is known about it; never empty.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The same event without one variable, for a second call after the service has refused it.
    ///
    /// # Errors
    /// [`InvalidEvent::NoVariables`] if it was the only one.
    pub fn without(mut self, variable: &str) -> Result<Self, InvalidEvent> {
        self.variables.remove(variable);
        if self.variables.is_empty() {
            return Err(InvalidEvent::NoVariables);
        }
        Ok(self)
    }
}

/// What an event is read as, before it is known to be one.
#[derive(Deserialize)]
struct UncheckedEvent {
    id: EventId,
    event_type: EventTypeName,
    timestamp: Timestamp,
    entity: Entity,
    variables: Variables,
}

impl TryFrom<UncheckedEvent> for Event {
    type Error = InvalidEvent;

    fn try_from(parts: UncheckedEvent) -> Result<Self, Self::Error> {
        let UncheckedEvent {
            id,
            event_type,
            timestamp,
            entity,
            variables,
        } = parts;
        Self::new(id, event_type, timestamp, entity, variables)
    }
}

#[cfg(test)]
mod tests;
