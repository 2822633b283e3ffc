//! What the evaluation of a version's rules came to: a text with a letter per rule.

use store::pinned::BundledRule;

use crate::services::definition_cache::Compiled;

pub(crate) const MATCHED: char = 'm';
pub(crate) const NOT_MATCHED: char = 'n';
pub(crate) const UNDETERMINED: char = 'u';
/// `FIRST_MATCHED` had its match before.
pub(crate) const NOT_EVALUATED: char = '-';

/// The rules with this letter, in their order.
pub(crate) fn with<'c>(
    compiled: &'c Compiled,
    verdicts: &str,
    letter: char,
) -> impl Iterator<Item = &'c BundledRule> {
    let pairs = compiled.version.rules.iter().zip(verdicts.chars());
    pairs
        .filter(move |(_, verdict)| *verdict == letter)
        .map(|(rule, _)| rule)
}

pub(crate) fn matched<'c>(
    compiled: &'c Compiled,
    verdicts: &str,
) -> impl Iterator<Item = &'c BundledRule> {
    with(compiled, verdicts, MATCHED)
}
