//! Checks of the data before training, with the messages that Amazon's `DescribeModelVersions` shows.

use rustc_hash::FxHashSet;

use super::leaks::find_leaks;
use super::messages::{Findings, MISSING_VALUES, Severity, TrainingMessage};
use super::options::{ModelType, TrainingOptions};
use crate::dataset::{Dataset, EventLabel, ValueColumn};
use crate::text_shape;
use crate::texts::Texts;
use crate::variable::VariableType;

/// A variable gets a message if more than this share of its values is missing. Amazon does not publish its threshold.
const MANY: f64 = 0.5;

/// Checks a data set. `labels` say for each event whether it counts as fraud in training; `None` if it is left out.
pub(super) fn check_data(
    dataset: &Dataset,
    labels: &[Option<bool>],
    options: &TrainingOptions,
) -> Vec<TrainingMessage> {
    let mut findings = Findings(Vec::new());
    let file = &mut findings;
    let rows = dataset.len();
    let of = |wanted: bool| {
        labels
            .iter()
            .filter(|label| **label == Some(wanted))
            .count()
    };
    if rows == 0 && options.unlabelled.is_some() {
        file.add(
            Severity::Error,
            None,
            "No events",
            "No ingested events found for training, please check your training configuration.",
        );
    } else if rows < 100 {
        file.add(
            Severity::Error,
            None,
            "Too few rows",
            "Less than 100 rows are in the dataset. Ensure there are more than 100 rows in the total dataset and at least 50 rows are labeled as fraudulent.",
        );
    }
    for (fraud, name) in [(true, "fraudulent"), (false, "legitimate")] {
        if rows > 0 && of(fraud) < 50 {
            file.add(
                Severity::Error,
                None,
                "Too few labels",
                format!("Fewer than 50 rows are labeled as {name} events. Ensure that both fraudulent and legitimate events exceed the minimum count of 50 and re-train the model."),
            );
        }
    }
    check_times(dataset, file);
    check_unknown_labels(dataset, options, file);
    check_entities(dataset, labels, options, file);
    check_variables(dataset, options, file);
    find_leaks(dataset, labels, file);
    findings.0
}

fn check_times(dataset: &Dataset, findings: &mut Findings) {
    let missing = dataset
        .event_times()
        .iter()
        .filter(|time| time.is_none())
        .count();
    if missing > 0 && missing < dataset.len() {
        findings.add(
            Severity::Error,
            None,
            "Missing timestamps",
            "Your training data set contains EVENT_TIMESTAMP with missing values. Ensure you have no missing values.",
        );
    }
}

fn check_unknown_labels(dataset: &Dataset, options: &TrainingOptions, findings: &mut Findings) {
    if options.unlabelled.is_some() {
        return;
    }
    let unknown = dataset
        .labels()
        .iter()
        .filter(|label| matches!(label, EventLabel::Unknown | EventLabel::Unlabelled))
        .count();
    let values = &options.label_values;
    if unknown * 100 > dataset.len() {
        findings.add(
            Severity::Error,
            None,
            "Missing labels",
            format!(
                "Greater than 1% of your EVENT_LABEL column are null or are values other than those defined in the model configuration {values}. Ensure you have less than 1% of missing values in your EVENT_LABEL column and the values are those defined in the model configuration {values}."
            ),
        );
    } else if unknown > 0 {
        findings.add(
            Severity::Info,
            None,
            "Missing labels",
            format!(
                "Your EVENT_LABEL column contains null values or label values other than those defined in the model configuration {values}. These inconsistent values were converted to 'not fraud' prior to training."
            ),
        );
    }
}

fn check_entities(
    dataset: &Dataset,
    labels: &[Option<bool>],
    options: &TrainingOptions,
    findings: &mut Findings,
) {
    if options.model_type != ModelType::TransactionFraudInsights {
        return;
    }
    let codes = &dataset.entities().codes;
    for (fraud, name, examples) in [
        (true, "fraud", "fraudulent"),
        (false, "legit", "legitimate"),
    ] {
        let unique: FxHashSet<u32> = codes
            .iter()
            .zip(labels)
            .filter(|(code, label)| **code != Texts::MISSING && **label == Some(fraud))
            .map(|(code, _)| *code)
            .collect();
        if unique.len() < 100 {
            findings.add(
                Severity::Error,
                None,
                "Too few entities",
                format!("The number of unique entities associated with {name} is less than 100. Consider including more examples of {examples} entities to improve performance."),
            );
        }
    }
    if dataset.entities().distinct_count() < 1500 {
        findings.add(
            Severity::Info,
            None,
            "Few entities",
            "The number of unique entities is less than 1500. Consider including more data to improve performance.",
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn check_variables(dataset: &Dataset, options: &TrainingOptions, findings: &mut Findings) {
    let rows = dataset.len().max(1) as f64;
    let mut suitable = 0;
    for (variable, column) in dataset.variables().iter().zip(dataset.columns()) {
        if !Dataset::is_usable(variable) {
            continue;
        }
        let name = variable.name.as_str();
        let (missing, distinct) = match column {
            ValueColumn::Numbers { values, unreadable } => {
                if *unreadable as f64 > 0.1 * rows {
                    findings.add(
                        Severity::Warning,
                        Some(name),
                        "Unexpected data type",
                        format!("The expected data type for {name} is NUMERIC. Review and update {name} in your dataset and re-train the model."),
                    );
                }
                let present = || values.iter().filter(|value| !value.is_nan());
                let first = present().next();
                let varies = present().any(|value| Some(value) != first);
                (values.len() - present().count(), 1 + usize::from(varies))
            }
            ValueColumn::Texts(texts) => (
                texts
                    .codes
                    .iter()
                    .filter(|code| **code == Texts::MISSING)
                    .count(),
                texts.distinct_count(),
            ),
        };
        if missing < dataset.len() && distinct > 1 {
            suitable += 1;
        }
        if missing as f64 > MANY * rows {
            findings.add(
                Severity::Warning,
                Some(name),
                MISSING_VALUES,
                format!("Greater than 50% values for {name} are missing from your training dataset. Consider modifying {name} in your dataset and re-training to improve performance."),
            );
        }
        if let ValueColumn::Texts(texts) = column {
            check_shapes(name, variable.kind, texts, findings);
        }
    }
    if suitable < options.min_variables {
        findings.add(
            Severity::Error,
            None,
            "Too few variables",
            format!(
                "Dataset must contain at least {} variables suitable for training.",
                options.min_variables
            ),
        );
    }
}

fn check_shapes(name: &str, kind: VariableType, texts: &Texts, findings: &mut Findings) {
    use VariableType as T;
    let (looks, what): (fn(&str) -> bool, _) = match kind {
        T::EmailAddress => (text_shape::is_email, "http://emailregex.com"),
        T::IpAddress => (
            |text| text_shape::parse_ip(text).is_some(),
            "for IPv4 or IPv6 addresses",
        ),
        T::PhoneNumber | T::BillingPhone | T::ShippingPhone => {
            (text_shape::is_phone, "for telephone numbers")
        }
        _ => return,
    };
    if texts.distinct_count() < 100 {
        findings.add(
            Severity::Warning,
            Some(name),
            "Few unique values",
            format!("The count of unique values of {name} is lower than 100. Review and update {name} in your dataset and re-train the model."),
        );
    }
    let bad = texts.iter().filter(|text| !looks(text)).count();
    if bad * 2 > texts.distinct_count() {
        findings.add(
            Severity::Info,
            Some(name),
            "Unexpected format",
            format!("Greater than 50% of {name} values do not match the expected regular expression {what}."),
        );
    }
}
