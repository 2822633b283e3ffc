//! The figures of the rules, as a table and as notes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::format::format_percent;
use crate::text_table::build_text_table;

/// A rule that was not measured.
#[derive(Clone, Debug, Serialize)]
pub struct UnmeasuredRule {
    /// The rule.
    pub rule: String,
    /// Why not.
    pub why: String,
}

/// The figures of the rules, beside those of the model.
#[derive(Clone, Debug, Serialize)]
pub struct RulesOnly {
    /// The detector.
    pub detector: String,
    /// `FIRST_MATCHED` or `ALL_MATCHED`.
    pub mode: String,
    /// How many rules were measured.
    pub rules: usize,
    /// Rules that were not.
    pub left_out: Vec<UnmeasuredRule>,
    /// Variables of rules without a column; they had their defaults.
    pub missing_columns: Vec<String>,
    /// By variable, how many values are not of its type; they counted as its default.
    pub unreadable_values: BTreeMap<String, usize>,
    /// Events of which a rule could not be evaluated, because a value that it needs is missing.
    pub undetermined_events: usize,
    /// The effect of each outcome together with those before it.
    pub outcomes: Vec<OutcomeEffect>,
}

/// The effect of calling all events with some outcomes fraud.
#[derive(Clone, Debug, Serialize)]
pub struct OutcomeEffect {
    /// The outcomes.
    pub outcomes: Vec<String>,
    /// How many events have one of the outcomes.
    pub events: usize,
    /// The share of legitimate events that are called fraud.
    pub fpr: f64,
    /// The share of fraud that is found.
    pub recall: f64,
    /// The share of fraud among the events.
    pub precision: f64,
    /// The share of fraud that the model finds at the same false-positive rate.
    pub model_recall: f64,
}

impl RulesOnly {
    /// The figures as a table.
    pub fn table(&self) -> comfy_table::Table {
        let row = |row: &OutcomeEffect| {
            vec![
                row.outcomes.join(", "),
                row.events.to_string(),
                format_percent(row.fpr),
                format_percent(row.recall),
                format_percent(row.precision),
                format_percent(row.model_recall),
            ]
        };
        let header = [
            "rules only",
            "events",
            "false positives",
            "recall",
            "precision",
            "the model's recall",
        ];
        build_text_table(&header, self.outcomes.iter().map(row))
    }

    /// Sentences that a reader of the figures needs to know.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.missing_columns.is_empty() {
            notes.push(format!(
                "rules of `{}` use variables for which there is no column, and had their defaults: {}.",
                self.detector,
                self.missing_columns.join(", ")
            ));
        }
        for (variable, values) in &self.unreadable_values {
            notes.push(format!(
                "{values} values of `{variable}` are not of its type; rules had its default."
            ));
        }
        for UnmeasuredRule { rule, why } in &self.left_out {
            notes.push(format!("rule `{rule}` was left out: it {why}."));
        }
        if self.undetermined_events > 0 {
            notes.push(format!(
                "of {} events a rule could not be evaluated, because a value that it needs is missing; it counts as not matched.",
                self.undetermined_events
            ));
        }
        notes
    }
}
