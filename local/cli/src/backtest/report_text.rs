//! What a backtest found, for people: first what a lead reads.

use std::collections::BTreeSet;
use std::fmt;

use comfy_table::CellAlignment;
use evaluation::text_table::build_text_table;

use super::balance::Balance;
use super::intervals::ShareEstimate;
use super::report::{BacktestReport, DraftRuleReport, ExampleList, SideReport};
use super::sums::{OrderSum, TruthSums};
use crate::printable::{group_thousands, printable_value};

/// An amount of hundredths with thousands apart.
fn format_money(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let hundredths = hundredths.unsigned_abs();
    format!(
        "{sign}{}.{:02}",
        group_thousands(hundredths / 100),
        hundredths % 100
    )
}

fn format_estimate(estimate: Option<&ShareEstimate>) -> String {
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    estimate.map_or_else(
        || "-".to_owned(),
        |it| {
            format!(
                "{} % ({} to {})",
                percent(it.share),
                percent(it.low),
                percent(it.high)
            )
        },
    )
}

fn format_difference(before: i64, after: i64, show: impl Fn(i64) -> String) -> String {
    match after - before {
        0 => "=".to_owned(),
        more if more > 0 => format!("+{}", show(more)),
        less => show(less),
    }
}

fn format_count(count: u64) -> String {
    if count == 0 {
        "-".to_owned()
    } else {
        count.to_string()
    }
}

impl Balance {
    /// What it costs and gives, in one phrase: fraud money against good orders.
    pub fn describe_trade(&self) -> String {
        let (held_up, let_through) = (&self.held_up_by_draft, &self.let_through_by_draft);
        let money = held_up.fraud.money - let_through.fraud.money;
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let good = signed(held_up.good.orders) - signed(let_through.good.orders);
        let sign = |number: i64| if number > 0 { "+" } else { "" };
        let mut phrase = format!(
            "fraud money held up {}{}, good orders held up {}{good}",
            sign(money),
            format_money(money),
            sign(good)
        );
        for (what, sums) in [("held up", held_up), ("let through", let_through)] {
            let open = sums.not_known_yet.orders;
            if open > 0 {
                phrase.extend([", ", &open.to_string(), " more ", what, ", end not known"]);
            }
        }
        phrase
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (held_up, let_through) = (&self.held_up_by_draft, &self.let_through_by_draft);
        let show = |sum: OrderSum| format!("{} ({})", sum.orders, format_money(sum.money));
        writeln!(
            f,
            "fraud:       only it holds up {}, only it lets through {}; share held up {}",
            show(held_up.fraud),
            show(let_through.fraud),
            format_estimate(self.frauds_held_up.as_ref())
        )?;
        write!(
            f,
            "good orders: only it holds up {}, only it lets through {}; share let through {}",
            show(held_up.good),
            show(let_through.good),
            format_estimate(self.good_let_through.as_ref())
        )
    }
}

impl fmt::Display for BacktestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        self.write_sides(f)?;
        self.write_rules(f)?;
        self.write_changes(f)?;
        self.examples
            .iter()
            .try_for_each(|list| write_examples(f, list))
    }
}

impl BacktestReport {
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} against {}", self.draft, self.against)?;
        let orders = &self.orders;
        write!(
            f,
            "{} orders: {} fraud, {} good, {} not known yet",
            orders.orders(),
            orders.fraud.orders,
            orders.good.orders,
            orders.not_known_yet.orders
        )?;
        if let Some((first, last)) = &self.times {
            write!(f, "; made between {first} and {last}")?;
        }
        writeln!(f)?;
        let days = self.maturity_days;
        writeln!(
            f,
            "an order without a label counts as good once it is {days} days older than the last one"
        )?;
        let sums = [
            self.orders.fraud,
            self.orders.good,
            self.orders.not_known_yet,
        ];
        if sums.iter().all(|sum| sum.money == 0) {
            writeln!(f, "no amount of an order is known, so no money is counted")?;
        }
        if self.invalid_values > 0 {
            writeln!(
                f,
                "{} values are not of the type that the draft gives their variables",
                self.invalid_values
            )?;
        }
        Ok(())
    }

    fn write_sides(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = self.list_money_rows();
        rows.extend(self.list_outcome_rows());
        let (before, after) = (&self.before, &self.after);
        let row = |name: &str, before: String, after: String| {
            vec![name.to_owned(), before, after, String::new()]
        };
        rows.push(row(
            "reviews a day",
            format!("{:.1}", before.reviews_a_day),
            format!("{:.1}", after.reviews_a_day),
        ));
        rows.push(row(
            "held up that are fraud",
            format_estimate(before.precision.as_ref()),
            format_estimate(after.precision.as_ref()),
        ));
        rows.push(row(
            "frauds that are held up",
            format_estimate(before.recall.as_ref()),
            format_estimate(after.recall.as_ref()),
        ));
        let currency = self.currency.as_deref().unwrap_or_default();
        let table = build_text_table(&[currency, "before", "draft", "difference"], rows);
        writeln!(f, "\n{}", table.trim_fmt())
    }

    /// What of the fraud is missed and what is held up, by both sides.
    fn list_money_rows(&self) -> Vec<Vec<String>> {
        let missed = |side: &SideReport| OrderSum {
            orders: self.orders.fraud.orders - side.held_up.fraud.orders,
            money: self.orders.fraud.money - side.held_up.fraud.money,
        };
        let row = |name: &str, before: OrderSum, after: OrderSum| {
            let show = |sum: OrderSum| format!("{} ({})", format_money(sum.money), sum.orders);
            let count = |sum: OrderSum| i64::try_from(sum.orders).unwrap_or(i64::MAX);
            let orders = format_difference(count(before), count(after), |count| count.to_string());
            let money = format_difference(before.money, after.money, format_money);
            let is_equal = before == after;
            let difference = if is_equal {
                money
            } else {
                format!("{money} ({orders})")
            };
            vec![name.to_owned(), show(before), show(after), difference]
        };
        let (before, after) = (&self.before, &self.after);
        vec![
            row("fraud money missed (orders)", missed(before), missed(after)),
            row(
                "fraud money held up (orders)",
                before.held_up.fraud,
                after.held_up.fraud,
            ),
        ]
    }

    /// How many good orders are held up, and how many orders get each outcome, by both sides.
    fn list_outcome_rows(&self) -> Vec<Vec<String>> {
        let row = |name: String, before: u64, after: u64| {
            let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let difference =
                format_difference(signed(before), signed(after), |count| count.to_string());
            vec![name, before.to_string(), after.to_string(), difference]
        };
        let (before, after) = (&self.before, &self.after);
        let mut rows = vec![row(
            "good orders held up".to_owned(),
            before.held_up.good.orders,
            after.held_up.good.orders,
        )];
        let names = before.outcomes.keys().chain(after.outcomes.keys());
        let names: BTreeSet<&String> = names.collect();
        rows.extend(names.into_iter().map(|name| {
            let of = |side: &SideReport| side.outcomes.get(name).map_or(0, TruthSums::orders);
            row(format!("  {name}"), of(before), of(after))
        }));
        rows
    }

    fn write_rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rules.iter().map(|rule| {
            vec![
                rule.id.clone(),
                format_count(rule.matched.orders()),
                format_count(rule.matched_alone.orders()),
                format_count(rule.matched.fraud.orders),
                format_count(rule.matched.good.orders),
                format_money(rule.matched_alone.fraud.money),
                format_estimate(rule.precision.as_ref()),
                rule.describe_remark(),
            ]
        });
        let header = [
            "rule of the draft",
            "orders",
            "alone",
            "fraud",
            "good",
            "fraud money alone",
            "are fraud",
            "",
        ];
        let mut table = build_text_table(&header, rows);
        if let Some(column) = table.column_mut(7) {
            column.set_cell_alignment(CellAlignment::Left);
        }
        writeln!(f, "\n{}", table.trim_fmt())
    }

    fn write_changes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return writeln!(f, "\nno order is decided differently");
        }
        let rows = self.changes.iter().map(|change| {
            let sums = &change.orders;
            vec![
                format!("{} -> {}", change.before, change.after),
                sums.orders().to_string(),
                format_count(sums.fraud.orders),
                format_money(sums.fraud.money),
                format_count(sums.good.orders),
                format_money(sums.good.money),
                format_count(sums.not_known_yet.orders),
            ]
        });
        let header = [
            "decided differently",
            "orders",
            "fraud",
            "money",
            "good",
            "money",
            "not known yet",
        ];
        writeln!(f, "\n{}", build_text_table(&header, rows).trim_fmt())
    }
}

fn write_examples(f: &mut fmt::Formatter<'_>, list: &ExampleList) -> fmt::Result {
    writeln!(f, "\n{}", list.what)?;
    for order in &list.orders {
        let money = format_money(order.money);
        let id = printable_value(&order.order_id);
        writeln!(f, "  {id}  {money}  {} -> {}", order.before, order.after)?;
    }
    Ok(())
}

impl DraftRuleReport {
    fn describe_remark(&self) -> String {
        if !self.not_computable_because_of.is_empty() {
            let names = self.not_computable_because_of.join(", ");
            return format!("cannot be told: no decision has {names}");
        }
        match self.undetermined {
            0 => String::new(),
            count => format!("{count} undetermined"),
        }
    }
}
