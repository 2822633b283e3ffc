//! The report as text, in the order in which a fraud lead reads it.

use std::collections::BTreeMap;
use std::fmt;

use evaluation::text_table::build_text_table;

use super::DemoReport;
use super::money::{Volume, format_dollars, format_share};
use super::state::{DecidedOrder, RuleReport, StateReport};

/// How many changed decisions are shown.
const SHOWN_CHANGES: usize = 5;

impl fmt::Display for DemoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(first), Some(last)) = (self.states.first(), self.states.last()) else {
            return Ok(());
        };
        writeln!(
            f,
            "{} orders, of which {} are fraud",
            last.orders.len(),
            count_frauds(last)
        )?;
        writeln!(f, "{}\n", self.comparison())?;
        writeln!(
            f,
            "rules of the state \"{}\", by the fraud money that only they held up",
            last.name
        )?;
        writeln!(f, "{}\n", rule_table(last))?;
        writeln!(f, "{}\n", pattern_table(last))?;
        if self.states.len() > 1 {
            write_changes(f, first, last)?;
        }
        write_miss(f, last)?;
        write_technical_lines(f, last)
    }
}

impl DemoReport {
    /// A row for each question, a column for each state.
    fn comparison(&self) -> String {
        let mut header = vec![""];
        header.extend(self.states.iter().map(|state| state.name));
        let of = |side: &BTreeMap<String, Volume>, outcome: &str| {
            side.get(outcome).copied().unwrap_or_default()
        };
        let stopped = |state: &StateReport| {
            let stopped = state
                .fraud
                .iter()
                .filter(|(outcome, _)| *outcome != "approve");
            stopped.map(|(_, volume)| *volume).sum::<Volume>()
        };
        let counted = |volume: Volume, share: Option<f64>| {
            let share = share.map(|share| format!(" ({})", format_share(share, 2)));
            format!("{}{}", volume.orders, share.unwrap_or_default())
        };
        let row = |name: &str, value: &dyn Fn(&StateReport) -> String| {
            let mut row = vec![name.to_owned()];
            row.extend(self.states.iter().map(value));
            row
        };
        let rows = vec![
            row("fraud money missed", &|state| {
                format_dollars(of(&state.fraud, "approve").cents)
            }),
            row("fraud money stopped", &|state| {
                let share = format_share(state.fraud_money_not_approved_share, 0);
                format!("{} ({share})", format_dollars(stopped(state).cents))
            }),
            row("good orders touched", &|state| {
                format_share(state.good_orders_touched_share, 2)
            }),
            row("  blocked", &|state| {
                counted(
                    of(&state.good, "block"),
                    Some(state.good_orders_blocked_share),
                )
            }),
            row("  reviewed", &|state| {
                counted(of(&state.good, "review"), None)
            }),
            row("  challenged", &|state| {
                let share = state.good_orders_challenged_share;
                counted(of(&state.good, "challenge"), Some(share))
            }),
            row("reviews a day", &|state| {
                format!("{:.1}", state.reviews_per_day)
            }),
            row("reviews that are fraud", &|state| {
                format_share(state.review_precision, 0)
            }),
        ];
        indent(&build_text_table(&header, rows).to_string())
    }
}

fn count_frauds(state: &StateReport) -> u64 {
    state.fraud.values().copied().sum::<Volume>().orders
}

fn indent(table: &str) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| format!("  {}", line.trim_end()))
        .collect();
    lines.join("\n")
}

fn rule_table(state: &StateReport) -> String {
    let row = |rule: &RuleReport| {
        let only = match rule {
            _ if rule.hits == 0 => "no order".to_owned(),
            _ if rule.approves_only => "approves".to_owned(),
            _ => format_dollars(rule.fraud_only_here.cents),
        };
        let counts = [rule.hits, rule.fraud, rule.good].map(|count| count.to_string());
        let mut row = vec![rule.rule_id.clone(), only];
        row.extend(counts);
        row
    };
    let header = ["rule", "only it", "orders", "fraud", "good"];
    indent(&build_text_table(&header, state.rules.iter().map(row)).to_string())
}

fn pattern_table(state: &StateReport) -> String {
    let row = |(pattern, (all, caught)): (&String, &(Volume, Volume))| {
        vec![
            pattern.replace('_', " "),
            all.orders.to_string(),
            caught.orders.to_string(),
            format_dollars(all.cents),
            format_dollars(caught.cents),
        ]
    };
    let header = [
        "pattern of fraud",
        "orders",
        "not approved",
        "money",
        "not approved",
    ];
    indent(&build_text_table(&header, state.patterns.iter().map(row)).to_string())
}

/// The dearest orders that the last state judges differently.
fn write_changes(
    f: &mut fmt::Formatter<'_>,
    first: &StateReport,
    last: &StateReport,
) -> fmt::Result {
    let version = |order: &DecidedOrder| (order.order_id.clone(), order.revision);
    let before: BTreeMap<(String, u64), &DecidedOrder> = first
        .orders
        .iter()
        .map(|order| (version(order), order))
        .collect();
    let mut changed: Vec<(&DecidedOrder, &DecidedOrder)> = last
        .orders
        .iter()
        .filter_map(|after| Some((*before.get(&version(after))?, after)))
        .filter(|(before, after)| before.outcome != after.outcome)
        .collect();
    changed.sort_by_key(|(_, after)| (!after.fraud, std::cmp::Reverse(after.cents)));
    writeln!(
        f,
        "{} orders are judged differently than by \"{}\"",
        changed.len(),
        first.name
    )?;
    for (before, after) in changed.iter().take(SHOWN_CHANGES) {
        writeln!(
            f,
            "  {}  {}  {} -> {}  ({})",
            after.order_id,
            format_dollars(after.cents),
            before.outcome,
            after.outcome,
            after.truth
        )?;
        for description in last.describe_rules(after) {
            writeln!(f, "      {description}")?;
        }
    }
    writeln!(f)
}

fn write_miss(f: &mut fmt::Formatter<'_>, last: &StateReport) -> fmt::Result {
    let Some(miss) = last.dearest_miss() else {
        return writeln!(f, "no fraud was approved\n");
    };
    let money = format_dollars(miss.cents);
    writeln!(
        f,
        "the dearest miss: order {} of {money} ({})",
        miss.order_id, miss.truth
    )?;
    let descriptions = last.describe_rules(miss);
    if descriptions.is_empty() {
        writeln!(f, "      no rule matched")?;
    }
    for description in descriptions {
        writeln!(f, "      {description}")?;
    }
    writeln!(f)
}

fn write_technical_lines(f: &mut fmt::Formatter<'_>, last: &StateReport) -> fmt::Result {
    writeln!(
        f,
        "{} records rejected; each is kept whole, with its reason, and can be replayed",
        last.rejected.len()
    )?;
    for (position, reason) in &last.rejected {
        writeln!(f, "  {position}: {reason}")?;
    }
    writeln!(
        f,
        "{} orders could not be judged wholly (a value was missing or invalid) and went to review as the mapping says",
        last.undetermined
    )?;
    writeln!(
        f,
        "{} records were deliveries of an order that was decided already; none was decided twice; undecided {}",
        last.duplicates, last.undecided
    )?;
    writeln!(
        f,
        "{:.0} orders a second, decisions on disk",
        last.records_per_second
    )
}
