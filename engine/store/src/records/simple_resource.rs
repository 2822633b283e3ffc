//! Simple resources: labels, outcomes and entity types have a name and a description and nothing else.

use serde::{Deserialize, Serialize};

use crate::records::tags::Tags;
use crate::table::{Key, StoredRecord};

/// A simple resource as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimpleResource {
    pub kind: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub last_updated_time: String,
    pub created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

pub fn simple_resource_key(kind: &str, name: &str) -> Key {
    Key::new(kind, name)
}

impl StoredRecord for SimpleResource {
    fn key(&self) -> Key {
        simple_resource_key(&self.kind, &self.name)
    }
}
