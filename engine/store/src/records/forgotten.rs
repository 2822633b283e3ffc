//! Notes that an entity or an event was forgotten, so that an old file cannot bring it back. A note has only a hash of
//! the entity or event.

use event::hash::to_hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::table::Key;

/// What is forgotten.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An entity, with all its events.
    Entity {
        /// Its type, e.g. `customer`.
        entity_type: String,
        /// Its id.
        entity_id: String,
    },
    /// One event.
    Event {
        /// Its type.
        event_type: String,
        /// Its id.
        event_id: String,
    },
}

impl Subject {
    /// The hash that names it in the note, because an entity's id is personal data.
    pub fn hash(&self) -> String {
        let text = match self {
            Self::Entity {
                entity_type,
                entity_id,
            } => format!("entity\n{entity_type}\n{entity_id}"),
            Self::Event {
                event_type,
                event_id,
            } => format!("event\n{event_type}\n{event_id}"),
        };
        to_hex(&Sha256::digest(text.as_bytes()))
    }

    pub fn key(&self) -> Key {
        Key::new(format!("forgotten#{}", self.hash()), "forgotten")
    }
}

/// The note that something was forgotten, with the time.
#[derive(Serialize, Deserialize)]
pub struct ForgottenRecord {
    pub time: String,
}

/// The key of an item that exists once anything was forgotten. Without it no further read is needed.
pub fn anything_forgotten_key() -> Key {
    Key::new("forgotten", "any")
}
