//! What cannot be rebuilt, because it was not kept of past orders.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use shared::mapping::{KeyFacts, NeededFact};

/// Which orders were kept in the same way: under one mapping file, by a release that keeps all keys or one before.
pub(super) type Group = String;

/// How often something that is needed was kept, in each group of orders.
///
/// An order of which a key was not kept may have had none. But if no order of its group has the key, the mapping did not
/// have it then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Evidence(BTreeMap<String, BTreeMap<Group, Kept>>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    orders: u64,
    lacking: u64,
    /// The time of the newest order that lacks it, ISO 8601 UTC.
    newest: String,
}

/// Something that past orders lack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingFact {
    /// What it is, such as "key `device`".
    pub what: String,
    /// How many orders or events lack it.
    pub orders: u64,
    /// The time of the newest of them, ISO 8601 UTC; empty if it is not known.
    pub until: String,
}

impl fmt::Display for MissingFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            orders,
            until,
        } = self;
        write!(f, "cannot be rebuilt for {orders} ")?;
        let noun = if *orders == 1 { "order" } else { "orders" };
        if until.is_empty() {
            write!(f, "{noun}: {what}")
        } else {
            write!(f, "{noun} until {until}: {what}")
        }
    }
}

impl Evidence {
    /// Notes which facts are kept of an order of this group and time.
    pub(super) fn note_order<'v>(
        &mut self,
        needed: &BTreeSet<NeededFact>,
        (group, time): (&str, &str),
        (facts, variable): (&KeyFacts, impl Fn(&str) -> Option<&'v str>),
    ) {
        for fact in needed {
            let is_kept = fact.is_kept(facts, &variable);
            self.note(&fact.to_string(), (group, time), is_kept);
        }
    }

    /// Notes an event that is not stored any more.
    pub(super) fn note_lost_event(&mut self) {
        self.note(
            "the event itself, which is no longer stored",
            ("", ""),
            false,
        );
    }

    fn note(&mut self, fact: &str, (group, time): (&str, &str), is_kept: bool) {
        let groups = self.0.entry(fact.to_owned()).or_default();
        let kept = groups.entry(group.to_owned()).or_default();
        kept.orders += 1;
        if !is_kept {
            kept.lacking += 1;
            if kept.newest.as_str() < time {
                time.clone_into(&mut kept.newest);
            }
        }
    }

    /// What was never kept in some group of orders.
    pub(super) fn find_missing(&self) -> Vec<MissingFact> {
        let facts = self.0.iter().filter_map(|(what, groups)| {
            let never = groups.values().filter(|kept| kept.lacking == kept.orders);
            let (mut orders, mut until) = (0, "");
            for kept in never {
                orders += kept.lacking;
                until = until.max(&kept.newest);
            }
            (orders > 0).then(|| MissingFact {
                what: what.clone(),
                orders,
                until: until.to_owned(),
            })
        });
        facts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_order_of_a_mapping_has_was_not_known_then() {
        let needed = BTreeSet::from([
            NeededFact::Key("device".to_owned()),
            NeededFact::Variable("order_price".to_owned()),
        ]);
        let mut evidence = Evidence::default();
        let mut note = |group: &str, day: u32, device: bool, price: bool| {
            let mut facts = KeyFacts::default();
            if device {
                let hashes = vec!["00ff".to_owned()];
                facts.hashes.insert("device".to_owned(), hashes);
            }
            let time = format!("2026-06-{day:02}T00:00:00Z");
            let price = price.then_some("5");
            evidence.note_order(&needed, (group, &time), (&facts, |_: &str| price));
        };
        note("old", 1, false, true);
        note("old", 3, false, false);
        note("new", 4, true, true);
        note("new", 5, false, true);
        evidence.note_lost_event();
        let missing = evidence.find_missing();
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(
            missing,
            [
                "cannot be rebuilt for 2 orders until 2026-06-03T00:00:00Z: key `device`",
                "cannot be rebuilt for 1 order: the event itself, which is no longer stored",
            ]
        );
    }
}
