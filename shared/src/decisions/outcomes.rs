//! Which outcomes an order gets.

use event::OutcomeName;
use mapping::{Mapping, Order};

use super::verdict::Verdict;

/// Outcomes of one order, put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// All outcomes, the most important first, each once.
    pub all: Vec<OutcomeName>,
    /// Whether something could not be judged.
    pub undetermined: bool,
}

impl Outcomes {
    /// Puts together what the rules said and what the mapping adds.
    ///
    /// `on_undetermined` is added where a rule that was reached could not be evaluated, a value was
    /// invalid, or a rule gave an outcome that `outcome_priority` lacks; `on_no_match` only where
    /// nothing else is there. Nothing fails open.
    pub fn new(mapping: &Mapping, order: &Order, verdict: &Verdict) -> Self {
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
