//! The result of an evaluation, as JSON and as text.

use std::fmt;

use comfy_table::Table as Grid;
use model::{InferredColumn, TrainingReport};
use serde::Serialize;

use crate::format::{
    format_amount, format_auc, format_figure, format_percent, format_share, to_megabytes,
};
use crate::measures::{Measures, SubsetMeasures, ThresholdEffect};
use crate::rules_only::RulesOnly;
use crate::score_promise::{ScorePromise, describe_broken_promises};
use crate::table::{LabelValue, write_left_out_notes};
use crate::text_table::build_text_table;

/// The result of an evaluation.
#[derive(Debug, Serialize)]
pub struct EvaluationResult {
    /// What was measured and how good it is, in sentences.
    pub summary: Vec<String>,
    /// The training file.
    pub train: String,
    /// The test file; none: a part of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// How the events were divided where there is no test file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divided: Option<&'static str>,
    /// The column of the label.
    pub label: String,
    /// Its values, in how many rows each is, and what it is taken for.
    pub label_values: Vec<LabelValue>,
    /// The column of the event's time.
    pub timestamp: Option<String>,
    /// Columns and their inferred types.
    pub columns: Vec<InferredColumn>,
    /// Rows that were left out because they do not have the header's columns.
    pub broken_rows: usize,
    /// Which rows of the files were left out and why, and which are in another encoding: a sentence for each.
    pub row_notes: Vec<String>,
    /// What is wrong with the test as a test: events that trained, or that are older.
    pub test_notes: Vec<String>,
    /// Training rows whose `EVENT_ID` an earlier row has.
    pub repeated_ids: usize,
    /// The report of the training; with `--retrain-every`, of the last.
    pub training: TrainingReport,
    /// How many models were trained: one, or more with `--retrain-every`.
    pub models_trained: usize,
    /// The figures of the test events.
    pub measures: Measures,
    /// Whether scores mean on the test what they promise.
    pub score_promises: Vec<ScorePromise>,
    /// The figures of the rules of a detector file, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_only: Option<RulesOnly>,
    /// Seconds of training.
    pub training_seconds: f64,
    /// Median time to score an event, in microseconds: values to features to trees.
    pub score_microseconds: f64,
    /// Bytes of the model.
    pub model_bytes: usize,
    /// The page and the pictures that were written.
    pub files: Vec<String>,
}

impl EvaluationResult {
    /// The figures that come first, as name and value.
    pub(crate) fn headlines(&self) -> Vec<(&'static str, String)> {
        let Measures {
            auc,
            average_precision,
            recall_at_1_percent_fpr,
            amount_recall_at_1_percent_fpr,
            precision_at_capacity,
            best_look_up,
            ..
        } = &self.measures;
        let mut lines = vec![
            ("AUC", format_auc(auc)),
            (
                "recall at 1 % false positives",
                format_share(recall_at_1_percent_fpr),
            ),
            ("average precision", format!("{average_precision:.3}")),
        ];
        if let Some(recall) = amount_recall_at_1_percent_fpr {
            lines.push(("the same recall, by amount", format_share(recall)));
        }
        let capacity = format!(
            "{} of {} events",
            format_share(&precision_at_capacity.precision),
            precision_at_capacity.events
        );
        lines.push(("precision at a review of 1 %", capacity));
        if let Some(look_up) = best_look_up {
            let value = format!(
                "AUC {:.4}, recall {} (`{}`)",
                look_up.auc,
                format_percent(look_up.recall_at_1_percent_fpr),
                look_up.column
            );
            lines.push(("the best look-up on one column", value));
        }
        let models = match self.models_trained {
            1 => String::new(),
            models => format!("{models} models in "),
        };
        lines.push((
            "training",
            format!(
                "{models}{:.1} s, {} trees, {:.1} MB",
                self.training_seconds,
                self.training.trees,
                to_megabytes(self.model_bytes)
            ),
        ));
        lines.push((
            "scoring an event",
            format!("{:.0} µs", self.score_microseconds),
        ));
        lines
    }

    pub(crate) fn thresholds_table(&self) -> Grid {
        let has_amounts = self.measures.fraud_amount.is_some();
        let row = |threshold: &ThresholdEffect| {
            let mut cells = vec![
                format!("{:.0}", threshold.score),
                format_share(&threshold.fpr),
                threshold.fraud_called.to_string(),
                format_share(&threshold.recall),
                threshold
                    .precision
                    .as_ref()
                    .map_or("-".to_owned(), format_share),
            ];
            if has_amounts {
                let (found, recall) = (threshold.amount_found, threshold.amount_recall);
                cells.push(found.map_or("-".to_owned(), format_amount));
                cells.push(recall.as_ref().map_or("-".to_owned(), format_share));
            }
            cells
        };
        let mut header = vec![
            "score from",
            "false positives",
            "fraud found",
            "recall",
            "precision",
        ];
        if has_amounts {
            header.extend(["money found", "recall, by amount"]);
        }
        build_text_table(&header, self.measures.thresholds.iter().map(row))
    }

    pub(crate) fn months_table(&self) -> Grid {
        let row = |(month, part): (&String, &SubsetMeasures)| build_subset_row(month.clone(), part);
        build_text_table(
            &["month", "events", "fraud", "AUC", "recall at 1 %"],
            self.measures.months.iter().map(row),
        )
    }

    pub(crate) fn keys_table(&self) -> Grid {
        let rows = self.measures.keys.iter().flat_map(|keys| {
            [
                build_subset_row(format!("{}: seen", keys.column), &keys.known),
                build_subset_row(format!("{}: new", keys.column), &keys.new),
            ]
        });
        build_text_table(&["keys", "events", "fraud", "AUC", "recall at 1 %"], rows)
    }

    pub(crate) fn importance_table(&self) -> Grid {
        let row = |importance: &model::Importance| {
            vec![importance.name(), format_percent(importance.share)]
        };
        build_text_table(
            &["variable", "importance"],
            self.training.importance.iter().take(15).map(row),
        )
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self
            .training
            .messages
            .iter()
            .map(|message| match &message.field {
                Some(field) => format!("{field}: {}", message.content),
                None => message.content.clone(),
            })
            .collect();
        if self.training.maturity.immature > 0 {
            notes.push(format!(
                "{} of the newest events were not trained on: labels take {:.0} days ({}). --labels final trains on all.",
                self.training.maturity.immature, self.training.maturity.wait_days, self.training.maturity.why
            ));
        }
        notes.extend(write_left_out_notes(&self.label, &self.label_values));
        notes.extend(self.row_notes.iter().cloned());
        notes.extend(self.rules_only.iter().flat_map(RulesOnly::notes));
        if self.repeated_ids > 0 {
            notes.push(format!(
                "{} rows to train on have an EVENT_ID that another row has; all were kept. Is an event in the file twice?",
                self.repeated_ids
            ));
        }
        notes.extend(describe_broken_promises(&self.score_promises));
        notes.extend(self.test_notes.iter().cloned());
        if self.measures.auc.low <= 0.5 {
            notes.push(
                "on these events the model may be no better than chance: the range of its AUC reaches 0.5.".to_owned(),
            );
        }
        notes
    }
}

fn build_subset_row(name: String, part: &SubsetMeasures) -> Vec<String> {
    vec![
        name,
        part.events.to_string(),
        part.fraud.to_string(),
        format_figure(part.auc),
        part.recall_at_1_percent_fpr
            .map_or("-".to_owned(), format_percent),
    ]
}

impl fmt::Display for EvaluationResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.summary.join("\n"))?;
        for (name, value) in self.headlines() {
            writeln!(f, "  {name:<32} {value}")?;
        }
        writeln!(f, "\n{}", self.thresholds_table())?;
        if let Some(rules) = &self.rules_only {
            writeln!(f, "\n{}", rules.table())?;
        }
        if self.measures.months.len() > 1 {
            writeln!(f, "\n{}", self.months_table())?;
        }
        if !self.measures.keys.is_empty() {
            writeln!(f, "\n{}", self.keys_table())?;
        }
        writeln!(f, "\n{}", self.importance_table())?;
        let notes = self.notes();
        if !notes.is_empty() {
            writeln!(f)?;
        }
        for note in notes {
            writeln!(f, "note: {note}")?;
        }
        for file in &self.files {
            writeln!(f, "written: {file}")?;
        }
        Ok(())
    }
}
