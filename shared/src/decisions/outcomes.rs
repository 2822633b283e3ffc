//! Which outcomes an order gets: those of the rules, and those the mapping adds; and which of them counts.

use event::OutcomeName;
use mapping::{MappedOrder, Mapping, OverrideKind};
use serde::{Deserialize, Serialize};

use super::verdict::ServiceVerdict;

/// The outcomes of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// All outcomes, the most important first, each once.
    pub all: Vec<OutcomeName>,
    /// The one that counts: that of the override, or else the most important. `None` only if there is no outcome.
    pub effective: Option<OutcomeName>,
    /// The override that made it count.
    pub applied_override: Option<AppliedOverride>,
    /// Whether some value or rule could not be evaluated.
    pub undetermined: bool,
}

/// A rule of the mapping's `overrides` that matched, so that its outcome counts whatever other rules gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedOverride {
    /// The rule.
    pub rule: String,
    /// Whether it blocks or allows.
    pub kind: OverrideKind,
}

impl Outcomes {
    /// Combines the outcomes of the matched rules with those of the mapping.
    ///
    /// `on_undetermined` is added if a rule that was reached could not be evaluated, a value was invalid, or a rule gave
    /// an outcome that is not in `outcome_priority`. `on_no_match` is used only if there is no other outcome. So a
    /// failure never approves an order silently.
    ///
    /// The most important outcome counts, unless a rule of `overrides` matched: then its outcome does. Block entries
    /// come before allow entries, and an allow entry counts only if it is known that no block entry matches.
    pub fn new(mapping: &Mapping, order: &MappedOrder, verdict: &ServiceVerdict) -> Self {
        Self::combine(mapping, order.is_undetermined(), verdict)
    }

    /// As [`Self::new`], where of the order it is known only whether a value was invalid.
    pub fn combine(mapping: &Mapping, has_invalid_value: bool, verdict: &ServiceVerdict) -> Self {
        let priority = mapping.outcome_priority();
        let given = || verdict.matched_rules.iter().flat_map(|rule| &rule.outcomes);
        let unknown = given().any(|name| !priority.iter().any(|known| known.as_str() == name));
        let undetermined =
            unknown || has_invalid_value || !verdict.prediction.undetermined.is_empty();
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
        let all: Vec<OutcomeName> = priority
            .iter()
            .filter(|known| all.contains(known))
            .cloned()
            .collect();
        let (effective, applied_override) = match find_override(mapping, verdict) {
            Some((outcome, applied)) => (Some(outcome.clone()), Some(applied)),
            None => (all.first().cloned(), None),
        };
        Self {
            all,
            effective,
            applied_override,
            undetermined,
        }
    }
}

/// The override that decides, with its outcome.
fn find_override<'a>(
    mapping: &'a Mapping,
    verdict: &ServiceVerdict,
) -> Option<(&'a OutcomeName, AppliedOverride)> {
    let block = find_matched_override(mapping, verdict, OverrideKind::Block);
    if block.is_some() || may_hide_block(mapping, verdict) {
        return block;
    }
    find_matched_override(mapping, verdict, OverrideKind::Allow)
}

/// Of the matched overrides of this kind the one with the most important outcome; among equals the first of the file.
fn find_matched_override<'a>(
    mapping: &'a Mapping,
    verdict: &ServiceVerdict,
    kind: OverrideKind,
) -> Option<(&'a OutcomeName, AppliedOverride)> {
    let matched = mapping.overrides(kind).filter_map(|rule| {
        let given = &verdict.find_matched(rule.as_str())?.outcomes;
        let mut by_priority = mapping.outcome_priority().iter().enumerate();
        let (place, outcome) = by_priority.find(|(_, known)| {
            let mut given = given.iter();
            given.any(|name| name == known.as_str())
        })?;
        Some((place, outcome, rule))
    });
    let (_, outcome, rule) = matched.min_by_key(|(place, ..)| *place)?;
    let rule = rule.to_string();
    Some((outcome, AppliedOverride { rule, kind }))
}

/// Whether a block entry may match although none has decided: its rule could not be evaluated, it gave only outcomes
/// that `outcome_priority` lacks, or it is not known which rules could not be evaluated.
fn may_hide_block(mapping: &Mapping, verdict: &ServiceVerdict) -> bool {
    let prediction = &verdict.prediction;
    mapping.overrides(OverrideKind::Block).any(|rule| {
        prediction.left_out > 0
            || verdict.find_matched(rule.as_str()).is_some()
            || prediction.undetermined.iter().any(|id| id == rule.as_str())
    })
}

#[cfg(test)]
mod tests;
