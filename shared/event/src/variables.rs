//! The variables of an event.

use std::collections::{BTreeMap, btree_map};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::VARIABLES_PER_EVENT;
use crate::{InvalidEvent, VariableName, VariableValue};

/// The variables of an event: at most 5000, ordered by name, each name once.
///
/// `Debug` shows the names and hides the values.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<VariableName, VariableValue>")]
pub struct Variables(BTreeMap<VariableName, VariableValue>);

impl Variables {
    /// No variables yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Collects variables; a name that comes twice keeps its last value.
    ///
    /// # Errors
    /// [`InvalidEvent::TooManyVariables`] beyond 5000 names.
    pub fn from_pairs(
        pairs: impl IntoIterator<Item = (VariableName, VariableValue)>,
    ) -> Result<Self, InvalidEvent> {
        pairs.into_iter().collect::<BTreeMap<_, _>>().try_into()
    }

    /// Sets a variable and returns the value it had.
    ///
    /// # Errors
    /// [`InvalidEvent::TooManyVariables`] if it would be the 5001st; nothing is changed then.
    pub fn insert(
        &mut self,
        name: VariableName,
        value: VariableValue,
    ) -> Result<Option<VariableValue>, InvalidEvent> {
        if self.0.len() >= VARIABLES_PER_EVENT && !self.0.contains_key(&name) {
            return Err(InvalidEvent::TooManyVariables(self.0.len() + 1));
        }
        Ok(self.0.insert(name, value))
    }

    /// Takes a variable out.
    pub fn remove(&mut self, name: &str) -> Option<VariableValue> {
        self.0.remove(name)
    }

    /// The value of a variable, if it is set.
    pub fn get(&self, name: &str) -> Option<&VariableValue> {
        self.0.get(name)
    }

    /// Whether a variable is set.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// How many variables are set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no variable is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The variables in the order of their names.
    pub fn iter(&self) -> btree_map::Iter<'_, VariableName, VariableValue> {
        self.0.iter()
    }

    /// The size of the variables as the JSON object a request carries, in bytes, to be held against
    /// [`limits::PAYLOAD_BYTES`](crate::limits::PAYLOAD_BYTES).
    ///
    /// What the service counts is not documented. Compact JSON in UTF-8 is what this project sends,
    /// and it is more than names and values alone.
    pub fn payload_bytes(&self) -> usize {
        let members = self.0.iter().map(|(name, value)| {
            // A colon, and a comma or, after the last, half of the braces.
            json_bytes(name.as_str()) + json_bytes(value.expose()) + 2
        });
        members.sum::<usize>() + 1 + usize::from(self.is_empty())
    }
}

/// The size of a text as a JSON string, with its quotes and escapes.
fn json_bytes(text: &str) -> usize {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\x08' | b'\x0c' | b'\n' | b'\r' | b'\t' => 2,
        0..=0x1f => 6,
        _ => 1,
    });
    escaped.sum::<usize>() + 2
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value's own `Debug` hides it.
        f.debug_map().entries(&self.0).finish()
    }
}

impl TryFrom<BTreeMap<VariableName, VariableValue>> for Variables {
    type Error = InvalidEvent;

    fn try_from(map: BTreeMap<VariableName, VariableValue>) -> Result<Self, Self::Error> {
        if map.len() > VARIABLES_PER_EVENT {
            return Err(InvalidEvent::TooManyVariables(map.len()));
        }
        Ok(Self(map))
    }
}

impl From<Variables> for BTreeMap<VariableName, VariableValue> {
    fn from(variables: Variables) -> Self {
        variables.0
    }
}

impl IntoIterator for Variables {
    type Item = (VariableName, VariableValue);
    type IntoIter = btree_map::IntoIter<VariableName, VariableValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'v> IntoIterator for &'v Variables {
    type Item = (&'v VariableName, &'v VariableValue);
    type IntoIter = btree_map::Iter<'v, VariableName, VariableValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
