//! What a check found, for people.

use std::fmt;

use comfy_table::CellAlignment;
use evaluation::text_table::build_text_table;

use super::report::{CheckReport, CheckedRuleReport};
use super::value_tally::MOST_DISTINCT;
use crate::printable::{cut_value, group_thousands};

/// A share in per cent; what is not none is never shown as none.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn format_share(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => "-".to_owned(),
        _ => match part as f64 / whole as f64 * 100.0 {
            share if share < 0.1 => "<0.1 %".to_owned(),
            share if share < 99.95 || part == whole => format!("{share:.1} %"),
            _ => ">99.9 %".to_owned(),
        },
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_records(f)?;
        self.write_rejected(f)?;
        if self.orders == 0 {
            return writeln!(f, "\nthere is no order to judge");
        }
        self.write_variables(f)?;
        self.write_rules(f)?;
        self.write_outcomes(f)
    }
}

impl CheckReport {
    fn write_records(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejected = self.rejected.iter().map(|class| class.count).sum();
        write!(
            f,
            "{}: {} records, {} orders, {} would be rejected",
            self.file,
            group_thousands(self.records),
            group_thousands(self.orders),
            group_thousands(rejected)
        )?;
        if self.skipped > 0 {
            write!(
                f,
                ", {} are skipped by the mapping",
                group_thousands(self.skipped)
            )?;
        }
        writeln!(f)?;
        if let Some((first, last)) = &self.times {
            writeln!(f, "made between {first} and {last}")?;
        }
        if let Some(rows) = self.windows_1252_rows {
            writeln!(
                f,
                "{} rows are not UTF-8 and were read as Windows-1252",
                group_thousands(rows)
            )?;
        }
        let repeated = &self.repeated_ids;
        if repeated.same_content > 0 {
            let count = group_thousands(repeated.same_content);
            writeln!(
                f,
                "{count} orders come again with the same content: each is decided once"
            )?;
        }
        if let Some((first, second)) = repeated.example {
            let count = group_thousands(repeated.other_content);
            writeln!(
                f,
                "{count} orders have the id of another and other content, such as records {first} and {second}: all but the \
                 first would be rejected; `event.id` may be the wrong member, or `event.revision` is missing"
            )?;
        }
        Ok(())
    }

    fn write_rejected(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rejected.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nWould be rejected")?;
        for class in &self.rejected {
            let count = group_thousands(class.count);
            writeln!(
                f,
                "  {count} {}, first record {}: {}",
                class.class,
                class.record,
                cut_value(&class.reason, 300)
            )?;
            writeln!(f, "    {}", cut_value(&class.content, 160))?;
        }
        Ok(())
    }

    fn write_variables(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.variables.iter().map(|variable| {
            let distinct = group_thousands(variable.distinct);
            let is_cut = usize::try_from(variable.distinct).is_ok_and(|it| it >= MOST_DISTINCT);
            let examples: Vec<String> = variable
                .examples
                .iter()
                .map(|it| cut_value(it, 28))
                .collect();
            vec![
                variable.name.clone(),
                if variable.filled == 0 {
                    "never".to_owned()
                } else {
                    format_share(variable.filled, self.orders)
                },
                format_share(variable.invalid, self.orders),
                if is_cut {
                    format!("{distinct}+")
                } else {
                    distinct
                },
                examples.join(", "),
            ]
        });
        let mut table = build_text_table(
            &["variable", "filled", "invalid", "different", "examples"],
            rows,
        );
        if let Some(column) = table.column_mut(4) {
            column.set_cell_alignment(CellAlignment::Left);
        }
        writeln!(f, "\n{}", table.trim_fmt())?;
        for variable in &self.variables {
            for (problem, count) in &variable.problems {
                writeln!(
                    f,
                    "  {} {problem}: {} orders",
                    variable.name,
                    group_thousands(*count)
                )?;
            }
        }
        for (problem, count) in &self.problems {
            writeln!(f, "  {problem}: {} orders", group_thousands(*count))?;
        }
        if !self.keys.is_empty() {
            let keys = self.keys.iter().map(|key| {
                let filled = if key.filled == 0 {
                    "never".to_owned()
                } else {
                    format_share(key.filled, self.orders)
                };
                format!("{} {filled}", key.name)
            });
            let keys = keys.collect::<Vec<String>>().join(", ");
            writeln!(f, "\nKeys of what happened before: {keys}")?;
        }
        Ok(())
    }

    fn write_rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.unknown_variables.is_empty() {
            writeln!(
                f,
                "\nThe detector's event type lacks variables of the mapping, so the service would refuse every order that has \
                 them: {}",
                self.unknown_variables.join(", ")
            )?;
        }
        let rows = self.rules.iter().map(|rule| {
            vec![
                rule.id.clone(),
                if rule.not_judged_because_of.is_empty() {
                    group_thousands(rule.matched)
                } else {
                    String::new()
                },
                format_share(rule.matched, self.orders),
                if rule.matched_alone == 0 {
                    "-".to_owned()
                } else {
                    group_thousands(rule.matched_alone)
                },
                rule.outcomes.join(", "),
                rule.describe_remark(),
            ]
        });
        let mut table =
            build_text_table(&["rule", "hits", "of orders", "alone", "outcome", ""], rows);
        for column in [4, 5] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Left);
            }
        }
        writeln!(f, "\n{}", table.trim_fmt())
    }

    fn write_outcomes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes = self.outcomes.iter().map(|(name, count)| {
            let share = format_share(*count, self.orders);
            format!("{name} {} ({share})", group_thousands(*count))
        });
        let outcomes = outcomes.collect::<Vec<String>>().join(", ");
        let open = self
            .rules
            .iter()
            .filter(|rule| !rule.not_judged_because_of.is_empty());
        let open = open.count();
        write!(f, "\nDecisions")?;
        if open > 0 {
            write!(f, " without the {open} rules that were not judged")?;
        }
        writeln!(f, ": {outcomes}")?;
        if self.undetermined > 0 {
            let count = group_thousands(self.undetermined);
            writeln!(
                f,
                "{count} orders are undetermined: a value is invalid or a rule cannot be evaluated"
            )?;
        }
        let dead = self.rules_that_cannot_fire().count();
        if dead > 0 {
            writeln!(
                f,
                "{dead} of {} rules cannot fire on this data",
                self.rules.len()
            )?;
        }
        Ok(())
    }
}

impl CheckedRuleReport {
    fn describe_remark(&self) -> String {
        if self.cannot_fire {
            return format!(
                "cannot fire on this data: never filled: {}",
                self.never_filled.join(", ")
            );
        }
        if !self.not_judged_because_of.is_empty() {
            return format!("not judged here: {}", self.not_judged_because_of.join(", "));
        }
        if self.undetermined > 0 {
            return format!("{} undetermined", group_thousands(self.undetermined));
        }
        String::new()
    }
}
