//! The names that a rule may use: the variables of an event type, and the lists.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::value::Type;

/// The variables of an event type, each with its slot, and the names of all lists.
///
/// A row given to [`Rule::evaluate`](crate::Rule::evaluate) holds the value of each
/// variable at its slot. A model's score is a variable too:
/// `<model id>_insightscore`, a `FLOAT`.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    variables: Vec<(Box<str>, Type)>,
    slots: FxHashMap<Box<str>, usize>,
    lists: FxHashSet<Box<str>>,
}

impl Schema {
    /// Numbers the variables in the given order. Names are given without `$` and `@`.
    /// A name that is given twice keeps its first slot.
    pub fn new(
        variables: impl IntoIterator<Item = (String, Type)>,
        lists: impl IntoIterator<Item = String>,
    ) -> Self {
        let variables: Vec<(Box<str>, Type)> = variables
            .into_iter()
            .map(|(name, ty)| (name.into(), ty))
            .collect();
        let mut slots = FxHashMap::default();
        for (slot, (name, _)) in variables.iter().enumerate() {
            slots.entry(name.clone()).or_insert(slot);
        }
        Self {
            variables,
            slots,
            lists: lists.into_iter().map(String::into).collect(),
        }
    }

    /// The slot of a variable: its position in the order given to [`Schema::new`].
    pub fn slot(&self, name: &str) -> Option<usize> {
        self.slots.get(name).copied()
    }

    /// The number of slots of a row.
    pub fn len(&self) -> usize {
        self.variables.len()
    }

    /// Whether there is no variable.
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// The name and type of the variable at `slot`.
    ///
    /// # Panics
    /// If `slot` is not less than [`Schema::len`].
    pub fn variable(&self, slot: usize) -> (&str, Type) {
        let (name, ty) = &self.variables[slot];
        (name, *ty)
    }

    /// All variables with their types, by slot.
    pub fn variables(&self) -> impl Iterator<Item = (&str, Type)> {
        self.variables.iter().map(|(name, ty)| (&**name, *ty))
    }

    /// The names of all lists, in no particular order.
    pub fn lists(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().map(|name| &**name)
    }

    /// Whether a list with this name exists.
    pub fn has_list(&self, name: &str) -> bool {
        self.lists.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_a_position() {
        let variables = [
            ("b", Type::Float),
            ("a", Type::String),
            ("b", Type::Integer),
        ];
        let schema = Schema::new(
            variables.map(|(name, ty)| (name.to_owned(), ty)),
            ["blocked".to_owned()],
        );
        assert_eq!(schema.slot("a"), Some(1));
        assert_eq!(schema.slot("b"), Some(0));
        assert_eq!(schema.slot("c"), None);
        assert_eq!(schema.variable(1), ("a", Type::String));
        assert_eq!(schema.len(), 3);
        assert!(schema.has_list("blocked"));
    }
}
