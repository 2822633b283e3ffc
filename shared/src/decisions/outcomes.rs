//! Which outcomes an order gets: those of the rules, and those the mapping adds.

use event::OutcomeName;
use mapping::{MappedOrder, Mapping};

use super::verdict::ServiceVerdict;

/// The outcomes of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// All outcomes, the most important first, each once.
    pub all: Vec<OutcomeName>,
    /// Whether some value or rule could not be evaluated.
    pub undetermined: bool,
}

impl Outcomes {
    /// Combines the outcomes of the matched rules with those of the mapping.
    ///
    /// `on_undetermined` is added if a rule that was reached could not be evaluated, a value was invalid, or a rule gave
    /// an outcome that is not in `outcome_priority`. `on_no_match` is used only if there is no other outcome. So a
    /// failure never approves an order silently.
    pub fn new(mapping: &Mapping, order: &MappedOrder, verdict: &ServiceVerdict) -> Self {
        let priority = mapping.outcome_priority();
        let given = || verdict.matched_rules.iter().flat_map(|rule| &rule.outcomes);
        let unknown = given().any(|name| !priority.iter().any(|known| known.as_str() == name));
        let undetermined =
            unknown || order.is_undetermined() || !verdict.prediction.undetermined.is_empty();
        let mut all: Vec<_> = priority
            .iter()
            .filter(|known| given().any(|name| name == known.as_str()))
            .collect();
        if undetermined {
            all.extend(mapping.on_undetermined());
        }
        if all.is_empty() {
            all.extend(mapping.on_no_match());
        }
        let all = priority
            .iter()
            .filter(|known| all.contains(known))
            .cloned()
            .collect();
        Self { all, undetermined }
    }
}
