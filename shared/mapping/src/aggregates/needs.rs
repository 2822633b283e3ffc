//! What has to be known of an order to count it again without it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::read::name_condition;
use super::{Aggregates, DistinctValue, KeyFacts};

/// Something that the aggregates and links of a mapping read of every order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeededFact {
    /// The values of a key.
    Key(String),
    /// A variable that is added up, compared or told apart.
    Variable(String),
    /// Whether a condition holds.
    Condition {
        /// Its name among [`KeyFacts::conditions`].
        name: String,
        /// The aggregates with this condition.
        aggregates: Vec<String>,
    },
}

impl NeededFact {
    /// Whether it is among what is kept of an order.
    pub fn is_kept<'v>(&self, kept: &KeyFacts, variable: impl Fn(&str) -> Option<&'v str>) -> bool {
        match self {
            Self::Key(name) => kept.hashes.get(name).is_some_and(|it| !it.is_empty()),
            Self::Variable(name) => variable(name).is_some(),
            Self::Condition { name, .. } => kept.conditions.contains_key(name),
        }
    }
}

impl fmt::Display for NeededFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(f, "key `{name}`"),
            Self::Variable(name) => write!(f, "variable `{name}`"),
            Self::Condition { aggregates, .. } => {
                write!(f, "condition of `{}`", aggregates.join("`, `"))
            }
        }
    }
}

impl Aggregates {
    /// What the aggregates and links read of every order, each once.
    pub(crate) fn needed_facts(&self) -> BTreeSet<NeededFact> {
        let mut needed = BTreeSet::new();
        let mut conditions: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for key in &self.keys {
            needed.insert(NeededFact::Key(key.name().to_owned()));
            let values = key.values.iter().filter_map(|value| match value {
                DistinctValue::Variable(name) => Some(name),
                DistinctValue::Key(_) => None,
            });
            let variables = key.numbers.iter().chain(values);
            needed.extend(variables.map(|name| NeededFact::Variable(name.to_string())));
            for (aggregate, variable) in key.layout.aggregates().iter().zip(&key.variables) {
                if let Some(place) = aggregate.condition.and_then(|at| key.conditions.get(at)) {
                    let names = conditions.entry(*place).or_default();
                    names.push(variable.name.to_string());
                }
            }
        }
        let conditions = conditions
            .into_iter()
            .map(|(place, aggregates)| NeededFact::Condition {
                name: name_condition(&self.conditions[place]),
                aggregates,
            });
        needed.extend(conditions);
        needed
    }
}
