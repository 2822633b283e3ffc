//! Rules that outrank the others: those that test lists of customers, cards or addresses which are always allowed or
//! always blocked.

use std::collections::BTreeMap;
use std::fmt;

use event::RuleId;
use serde::{Deserialize, Deserializer, Serialize};
use serde_saphyr::Spanned;

use crate::located_error::LocatedError;

/// What the entries of a list do: `block` outranks `allow`, and both outrank all other rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrideKind {
    /// Its outcome is final.
    Block,
    /// Its outcome is final unless a block entry matches, or may match.
    Allow,
}

impl fmt::Display for OverrideKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Block => "block",
            Self::Allow => "allow",
        })
    }
}

/// `decision.overrides`: rules by kind.
pub(crate) type OverrideSection = BTreeMap<OverrideKind, Spanned<Vec<Spanned<RuleId>>>>;

/// Reads the section where its key is written. Without a value the key would otherwise count as absent, and the entries
/// of a list would be overlooked.
pub(crate) fn read_overrides<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Spanned<OverrideSection>>, D::Error> {
    Spanned::deserialize(deserializer).map(Some)
}

/// Checks that every kind names rules, and that no rule is named twice.
pub(crate) fn check_overrides(overrides: &Spanned<OverrideSection>) -> Result<(), LocatedError> {
    let place = |at: &serde_saphyr::Location| (at.line(), at.column());
    let fault = |(line, column), what| Err((line, column, what));
    if overrides.value.is_empty() {
        let what = "`overrides` is empty; name rules under `block` or `allow`, or leave it out";
        return fault(place(&overrides.referenced), what.to_owned());
    }
    let mut named: BTreeMap<&RuleId, OverrideKind> = BTreeMap::new();
    for (kind, rules) in &overrides.value {
        if rules.value.is_empty() {
            let what = format!("`{kind}` is empty; name at least one rule, or leave it out");
            return fault(place(&rules.referenced), what);
        }
        for rule in &rules.value {
            let what = match named.insert(&rule.value, *kind) {
                None => continue,
                Some(before) if before == *kind => {
                    format!("`{kind}` names rule `{}` twice", rule.value)
                }
                Some(before) => format!(
                    "rule `{}` is under `{before}` and `{kind}`; name it under one of them",
                    rule.value
                ),
            };
            return fault(place(&rule.referenced), what);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mapping;
    use crate::sample::FILE;

    fn parse(overrides: &str) -> Result<Mapping, String> {
        let text = format!("{FILE}  overrides: {overrides}\n");
        Mapping::parse("mapping.yaml", &text).map_err(|error| error.to_string())
    }

    #[test]
    fn rules_are_named_by_kind() {
        #[track_caller]
        fn check(overrides: &str, block: &[&str], allow: &[&str]) {
            let mapping = parse(overrides).unwrap();
            let names = |kind| -> Vec<String> {
                let rules = mapping.overrides(kind);
                rules.map(ToString::to_string).collect()
            };
            let got = (names(OverrideKind::Block), names(OverrideKind::Allow));
            assert_eq!(got, (own(block), own(allow)), "{overrides}");
        }
        fn own(names: &[&str]) -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        }
        check(
            "{block: [bad_customer, bad_card], allow: [good_customer]}",
            &["bad_customer", "bad_card"],
            &["good_customer"],
        );
        check("{allow: [good_customer]}", &[], &["good_customer"]);
        check("\n    block:\n      - bad_card", &["bad_card"], &[]);
    }

    #[test]
    fn a_mistake_says_where_and_what_would_be_right() {
        #[track_caller]
        fn check(overrides: &str, want: &str) {
            assert_eq!(parse(overrides).unwrap_err(), want, "{overrides}");
        }
        check(
            "{}",
            "mapping.yaml:16:14: `overrides` is empty; name rules under `block` or `allow`, or leave it out",
        );
        check(
            "{block: []}",
            "mapping.yaml:16:22: `block` is empty; name at least one rule, or leave it out",
        );
        check(
            "{deny: [a]}",
            "mapping.yaml:16:15: unknown variant `deny`, expected one of block, allow",
        );
        check(
            "{block: [a, b], allow: [c, a]}",
            "mapping.yaml:16:41: rule `a` is under `block` and `allow`; name it under one of them",
        );
        check(
            "{allow: [a, b, a]}",
            "mapping.yaml:16:29: `allow` names rule `a` twice",
        );
        check(
            "{block: [a], block: [b]}",
            "mapping.yaml:16:27: duplicate mapping key: block, set DuplicateKeyPolicy in Options if acceptable",
        );
        check(
            "{allow: [A]}",
            "mapping.yaml:16:23: rule id has `A` at character 1; only 0-9, a-z, `_` and `-` are allowed",
        );
        check("{allow: a}", "mapping.yaml:16:22: expected sequence start");
        check("{allow: }", "mapping.yaml:16:20: expected sequence start");
        check("[a]", "mapping.yaml:16:14: expected mapping start");
        check("", "mapping.yaml:16:12: expected mapping start");
    }
}
