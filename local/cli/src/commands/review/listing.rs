//! `fraudstream review list` and `next`.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use event::Timestamp;
use serde_json::json;
use shared::reviews::{ReviewError, WaitingCase};

use super::PersonArgs;
use super::case::show_case;
use super::desk::Desk;
use crate::commands::CommandError;
use crate::commands::output::{print_line, print_result};
use crate::printable::printable_value;

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListOrder {
    /// What can still be stopped first, the largest expected loss before others.
    Loss,
    /// What is shipped, or closed without a verdict, first.
    Time,
    /// The highest risk first.
    Risk,
}

/// The arguments of `review list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only cases whose orders have this outcome meanwhile.
    #[arg(long)]
    outcome: Option<String>,
    /// How many are listed.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// What comes first.
    #[arg(long, value_enum, value_name = "ORDER", default_value = "loss")]
    by: ListOrder,
    /// Print the cases as JSON.
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    /// Lists the queue.
    pub(super) async fn run(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        if let Some(outcome) = &self.outcome {
            check_outcome(desk, outcome)?;
        }
        let queue = desk.read_queue(self.outcome.as_deref(), self.limit).await?;
        let mut cases = queue.cases;
        sort_cases(&mut cases, self.by);
        let more = cases.len().saturating_sub(self.limit);
        cases.truncate(self.limit);
        let mut text = cases_table(desk, &cases);
        if more > 0 {
            // Writing to a string does not fail.
            let _ = writeln!(text, "and {more} more; --limit N lists more");
        }
        if queue.is_over_capacity {
            text.push_str(
                "more wait than `reviews_per_day` allows; `fraudstream review settle` closes the others\n",
            );
        }
        let value = json!({
            "cases": cases,
            "more": more,
            "is_over_capacity": queue.is_over_capacity,
        });
        print_result(self.json, &value, text)
    }
}

/// Checks that the mapping has an outcome.
fn check_outcome(desk: &Desk<'_>, outcome: &str) -> Result<(), CommandError> {
    let known = desk.mapping.outcome_priority();
    if known.iter().any(|name| name.as_str() == outcome) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    Err(format!(
        "there is no outcome `{outcome}`; the mapping has {}",
        known.join(", ")
    )
    .into())
}

/// The arguments of `review next`.
#[derive(Debug, Args)]
pub(super) struct NextArgs {
    #[command(flatten)]
    person: PersonArgs,
    /// Print the decision with its case as JSON.
    #[arg(long)]
    json: bool,
}

impl NextArgs {
    /// Claims the most urgent case that nobody works on.
    pub(super) async fn run(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let who = &self.person.who;
        let mut cases = desk.read_queue(None, 0).await?.cases;
        sort_cases(&mut cases, ListOrder::Loss);
        let is_free = |case: &&WaitingCase| {
            case.claim.as_ref().is_none_or(|claim| who.is(&claim.by))
                && case.escalated_by.as_ref().is_none_or(|by| !who.is(by))
        };
        for case in cases.iter().filter(is_free) {
            let claimed = desk
                .reviews
                .change(&case.key, &desk.mapping, desk.now, |editor| {
                    editor.claim(who)
                })
                .await;
            match claimed {
                Ok(decision) => return Box::pin(show_case(desk, decision, self.json)).await,
                // Somebody else was faster.
                Err(ReviewError::Refused(_) | ReviewError::Gone(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.json {
            return print_line("null");
        }
        print_line("nothing waits that nobody works on")
    }
}

/// Sorts cases; what is equal is sorted by what a verdict can save, then by time, then by risk.
fn sort_cases(cases: &mut [WaitingCase], order: ListOrder) {
    let time = |case: &WaitingCase| {
        let open_until = case.stoppable_until.filter(|_| !case.is_shipped);
        let ends = [open_until, case.due].into_iter().flatten();
        ends.map(Timestamp::epoch_millis).min().unwrap_or(i64::MAX)
    };
    cases.sort_by(|a, b| {
        let loss = a.compare_savings(b);
        let soonest = time(a).cmp(&time(b));
        let risk = b.risk.total_cmp(&a.risk);
        match order {
            ListOrder::Loss => loss.then(soonest).then(risk),
            ListOrder::Time => soonest.then(loss).then(risk),
            ListOrder::Risk => risk.then(loss).then(soonest),
        }
    });
}

fn cases_table(desk: &Desk<'_>, cases: &[WaitingCase]) -> String {
    if cases.is_empty() {
        return "nothing waits\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        "order",
        "now",
        "expected loss",
        "amount",
        "risk",
        "can be stopped",
        "verdict due",
        "who",
    ]);
    for case in cases {
        table.add_row(table_row(case, desk.now));
    }
    for column in [2, 3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

fn table_row(case: &WaitingCase, now: Timestamp) -> [String; 8] {
    let revision = match case.revision {
        1 => String::new(),
        revision => format!(" (revision {revision})"),
    };
    let appeal = if case.is_appeal { ", appealed" } else { "" };
    let who = match (&case.claim, &case.escalated_by) {
        (Some(claim), _) => claim.by.clone(),
        (None, Some(by)) => format!("escalated by {by}"),
        (None, None) => "-".to_owned(),
    };
    let span = |time: Option<Timestamp>| time.map_or("-".to_owned(), |it| describe_span(it, now));
    [
        printable_value(&case.order_id) + &revision,
        format!("{}{appeal}", case.outcome),
        format!("{:.2}", case.expected_loss),
        format!("{:.2}", case.amount),
        format!("{:.2}", case.risk),
        if case.is_shipped {
            "no".to_owned()
        } else {
            span(case.stoppable_until)
        },
        span(case.due),
        printable_value(&who),
    ]
}

/// How long it is from `now` to a time: `3h 20m`, or `2d ago`.
pub(super) fn describe_span(time: Timestamp, now: Timestamp) -> String {
    let seconds = time.epoch_seconds() - now.epoch_seconds();
    let minutes = seconds.abs() / 60;
    let (days, hours) = (minutes / 1440, minutes % 1440 / 60);
    let text = match (days, hours) {
        (0, 0) => format!("{minutes}m"),
        (0, hours) => format!("{hours}h {}m", minutes % 60),
        (days, 0) => format!("{days}d"),
        (days, hours) => format!("{days}d {hours}h"),
    };
    if seconds < 0 {
        format!("{text} ago")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let now = Timestamp::from_epoch_seconds(1_000_000_000).unwrap();
        for (seconds, want) in [
            (0, "0m"),
            (59, "0m"),
            (12_000, "3h 20m"),
            (-172_800, "2d ago"),
            (90_000, "1d 1h"),
        ] {
            let time = Timestamp::from_epoch_seconds(1_000_000_000 + seconds).unwrap();
            assert_eq!(describe_span(time, now), want);
        }
    }
}
