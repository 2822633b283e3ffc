//! Tags of a resource.

use std::collections::BTreeMap;

use protocol::{Error, Result};
use serde::{Deserialize, Serialize};

/// One tag on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

/// The tags of a resource, each key once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tags(pub BTreeMap<String, String>);

impl Tags {
    /// Reads the tags of a request.
    pub fn new(tags: Vec<Tag>) -> Result<Self> {
        let count = tags.len();
        let map: BTreeMap<_, _> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
        if map.len() < count {
            return Err(Error::validation("A tag key may be given only once."));
        }
        Ok(Self(map))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Copies a tag from others, unless these tags have its key already.
    pub fn copy_if_absent(&mut self, key: &str, others: &Self) {
        if let (None, Some(value)) = (self.get(key), others.get(key)) {
            self.0.insert(key.to_owned(), value.to_owned());
        }
    }
}
