//! The results of a version's rules as text: one letter per rule.

use store::pinned_bundles::BundledRule;

use crate::services::definition_cache::CompiledDetector;

pub(crate) const MATCHED: char = 'm';
pub(crate) const NOT_MATCHED: char = 'n';
pub(crate) const UNDETERMINED: char = 'u';
/// With `FIRST_MATCHED`, an earlier rule matched.
pub(crate) const NOT_EVALUATED: char = '-';

/// The rules with this letter, in order.
pub(crate) fn list_rules_with_verdict<'c>(
    compiled: &'c CompiledDetector,
    verdicts: &str,
    letter: char,
) -> impl Iterator<Item = &'c BundledRule> {
    let pairs = compiled.version.rules.iter().zip(verdicts.chars());
    pairs
        .filter(move |(_, verdict)| *verdict == letter)
        .map(|(rule, _)| rule)
}

pub(crate) fn list_matched_rules<'c>(
    compiled: &'c CompiledDetector,
    verdicts: &str,
) -> impl Iterator<Item = &'c BundledRule> {
    list_rules_with_verdict(compiled, verdicts, MATCHED)
}
