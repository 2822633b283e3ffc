//! Many decisions: a table, and their order for who reviews them.

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use shared::decisions::Decision;

use super::DecisionReader;
use crate::printable::printable_value;

/// The most decisions that a table shows.
const ROWS: usize = 100;

/// Sorts decisions by what is at stake: the most important outcome first, then the largest amount, then the highest
/// score. What is equal stays in its order.
pub(crate) fn sort_by_risk(reader: &DecisionReader<'_>, decisions: &mut [Decision]) {
    let priority = reader.mapping.outcome_priority();
    decisions.sort_by_cached_key(|decision| {
        let mut known = priority.iter();
        let place = known.position(|name| name.as_str() == decision.effective_outcome);
        let money = reader.money.money(decision);
        (
            place.unwrap_or(usize::MAX),
            Descending(money.map_or(0.0, |money| money.size())),
            Descending(highest_score(decision).unwrap_or(0.0)),
        )
    });
}

/// A number whose largest values come first.
#[derive(Clone, Copy, Debug)]
struct Descending(f64);

impl Ord for Descending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.total_cmp(&self.0)
    }
}

impl PartialOrd for Descending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Descending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Descending {}

fn highest_score(decision: &Decision) -> Option<f64> {
    let scores = decision.verdict.scores.values().copied();
    scores.max_by(f64::total_cmp)
}

/// Decisions as a table; of very many, the first.
pub(crate) fn decisions_table(reader: &DecisionReader<'_>, decisions: &[Decision]) -> String {
    if decisions.is_empty() {
        return "none\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        "order", "revision", "time", "amount", "decision", "score", "rules", "label",
    ]);
    for decision in decisions.iter().take(ROWS) {
        table.add_row(table_row(reader, decision));
    }
    for column in [3, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let more = match decisions.len().saturating_sub(ROWS) {
        0 => String::new(),
        more => format!("and {more} more; --json prints all\n"),
    };
    format!("{table}\n{more}")
}

fn table_row(reader: &DecisionReader<'_>, decision: &Decision) -> [String; 8] {
    let rules = decision.verdict.matched_rules.iter();
    let rules: Vec<&str> = rules.map(|rule| rule.rule_id.as_str()).collect();
    let label = decision.label.as_ref();
    let label = label.and_then(|entry| entry.label.clone());
    let money = reader.money.money(decision);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        printable_value(&decision.order_id),
        decision.revision.to_string(),
        decision.event_timestamp.clone(),
        or_dash(money.map(|money| money.to_string())),
        decision.current_outcome().to_owned(),
        or_dash(highest_score(decision).map(|score| score.to_string())),
        rules.join(", "),
        or_dash(label),
    ]
}
