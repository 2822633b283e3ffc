//! What an order's customer did before: the decisions on earlier orders, and what became of these.

use std::collections::{BTreeMap, BTreeSet};

use shared::decisions::Decision;

use crate::printable::printable_value;

/// Describes the earlier orders among `decisions`, which are those of the customer: a line for what was decided, and one
/// for what was reported. Empty if there is no earlier order.
pub(crate) fn describe_customer_past(decision: &Decision, decisions: &[Decision]) -> Vec<String> {
    let mut newest: BTreeMap<&str, &Decision> = BTreeMap::new();
    for other in decisions {
        let is_earlier = other.event_timestamp < decision.event_timestamp;
        if !is_earlier || other.event_id == decision.event_id {
            continue;
        }
        let known = newest.entry(&other.event_id).or_insert(other);
        if known.revision < other.revision {
            *known = other;
        }
    }
    let days: BTreeSet<&str> = newest
        .values()
        .filter_map(|other| other.event_timestamp.get(..10))
        .collect();
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return Vec::new();
    };
    let outcomes = count_texts(newest.values().map(|other| other.current_outcome()));
    let count = match newest.len() {
        1 => format!("1 earlier order, of {last}"),
        count => format!("{count} earlier orders from {first} to {last}"),
    };
    let mut lines = vec![format!("{count}: {outcomes}")];
    let kinds = newest.values().flat_map(|other| {
        let kinds: BTreeSet<&str> = other
            .label_history
            .values()
            .map(|it| it.kind.as_str())
            .collect();
        kinds
    });
    let kinds = count_texts(kinds);
    let labels = newest
        .values()
        .filter_map(|other| other.label.as_ref()?.label.as_deref());
    let labels = count_texts(labels);
    lines.push(match (kinds.as_str(), labels.as_str()) {
        ("", _) => "nothing was reported about them".to_owned(),
        (kinds, "") => format!("reported about them: {kinds}; no label"),
        (kinds, labels) => format!("reported about them: {kinds}; labels: {labels}"),
    });
    lines
}

/// How often each text occurs: `approve 5, block 1`.
fn count_texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
    }
    let counts = counts.into_iter();
    let counts: Vec<String> = counts
        .map(|(text, count)| format!("{} {count}", printable_value(text)))
        .collect();
    counts.join(", ")
}
