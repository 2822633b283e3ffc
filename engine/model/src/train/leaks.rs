//! Columns that know the answer: what is only there after the event, or was written with the label beside it.
//!
//! Each check is a warning, never an error: a strong feature can look the same, and only a person knows when a value is
//! written.

use rustc_hash::FxHashMap;

use super::messages::{Findings, MISSING_VALUES, Severity, TrainingMessage};
use crate::dataset::{Dataset, ValueColumn};
use crate::metrics::Ranking;
use crate::parse;
use crate::texts::Texts;
use crate::variable::VariableType;

/// A value, or that there is one, must tell at least this share of a class apart to be worth a warning.
const MUCH: f64 = 0.3;
/// And must occur in so many events of that class.
const ENOUGH: usize = 30;
/// A single column whose order separates the classes this well knows the label.
const TOO_GOOD: f64 = 0.995;
/// The same for an id: almost all its values differ, so it cannot be a measurement of anything.
const TOO_GOOD_FOR_AN_ID: f64 = 0.8;
/// Days after its event from which a time counts as later.
const DAY: i64 = 86_400;

const ADVICE: &str = "If it is written after the event, or together with the label, leave the column out: in service \
    the model will not have it, and its figures here are too good.";

/// Warns of columns that may know the label. `labels` say for each event whether it counts as fraud; `None` if it is left
/// out.
pub(super) fn find_leaks(dataset: &Dataset, labels: &[Option<bool>], findings: &mut Findings) {
    let classes = count_classes(labels.iter().copied());
    if classes.iter().any(|count| *count < ENOUGH) {
        return;
    }
    for (variable, column) in dataset.variables().iter().zip(dataset.columns()) {
        if !Dataset::is_usable(variable) {
            continue;
        }
        let name = variable.name.as_str();
        let is_filled = |row: usize| match column {
            ValueColumn::Numbers { values, .. } => !values[row].is_nan(),
            ValueColumn::Texts(texts) => texts.codes[row] != Texts::MISSING,
        };
        let found =
            explain_one_sided_filling(labels, classes, &is_filled).or_else(|| match column {
                ValueColumn::Numbers { values, .. } => explain_telling_order(values, labels),
                ValueColumn::Texts(texts) => explain_telling_value(texts, labels, classes),
            });
        if let Some(why) = found {
            // Nobody should fill a column that knows the label.
            let advises_to_fill = |message: &TrainingMessage| {
                message.title == MISSING_VALUES && message.field.as_deref() == Some(name)
            };
            findings.0.retain(|message| !advises_to_fill(message));
            warn(findings, name, &format!("{why} {ADVICE}"));
        } else if let (VariableType::DateTime, ValueColumn::Texts(texts)) = (variable.kind, column)
        {
            check_later_times(dataset, texts, name, findings);
        }
    }
}

fn warn(findings: &mut Findings, name: &str, content: &str) {
    findings.add(Severity::Warning, Some(name), "May know the label", content);
}

/// How many labels are legitimate, and how many are fraud.
fn count_classes(labels: impl Iterator<Item = Option<bool>>) -> [usize; 2] {
    let mut classes = [0; 2];
    for fraud in labels.flatten() {
        classes[usize::from(fraud)] += 1;
    }
    classes
}

/// Filled for one class only.
fn explain_one_sided_filling(
    labels: &[Option<bool>],
    classes: [usize; 2],
    is_filled: &dyn Fn(usize) -> bool,
) -> Option<String> {
    let filled = labels.iter().enumerate();
    let filled = count_classes(filled.map(|(row, label)| label.filter(|_| is_filled(row))));
    one_sided(filled, classes).map(|(fraud, share)| {
        format!(
            "It is filled in {} % of the {} events and in none of the others.",
            percent(share),
            class_name(fraud)
        )
    })
}

/// Of the class that alone has something, whether it is fraud and the share that has it; `None` if both have it, or too
/// few.
fn one_sided(counts: [usize; 2], classes: [usize; 2]) -> Option<(bool, f64)> {
    let fraud = match counts {
        [0, _] => true,
        [_, 0] => false,
        _ => return None,
    };
    let (count, class) = (counts[usize::from(fraud)], classes[usize::from(fraud)]);
    #[expect(clippy::cast_precision_loss, reason = "counts of events")]
    let share = count as f64 / class as f64;
    (count >= ENOUGH && share >= MUCH).then_some((fraud, share))
}

fn class_name(fraud: bool) -> &'static str {
    if fraud { "fraudulent" } else { "legitimate" }
}

fn percent(share: f64) -> f64 {
    (share * 100.0).round()
}

/// A value that only one class has.
fn explain_telling_value(
    texts: &Texts,
    labels: &[Option<bool>],
    classes: [usize; 2],
) -> Option<String> {
    let mut by_value: FxHashMap<u32, [usize; 2]> = FxHashMap::default();
    for (code, label) in texts.codes.iter().zip(labels) {
        if let (false, Some(fraud)) = (*code == Texts::MISSING, label) {
            by_value.entry(*code).or_default()[usize::from(*fraud)] += 1;
        }
    }
    let telling = by_value.values().filter_map(|counts| {
        let (fraud, share) = one_sided(*counts, classes)?;
        // Where most events are legitimate, many values occur in legitimate events only.
        fraud.then_some(share)
    });
    // The value itself may be personal data: messages are stored and logged.
    telling.max_by(f64::total_cmp).map(|share| {
        format!(
            "One of its values is in {} % of the fraudulent events and in none of the legitimate ones.",
            percent(share)
        )
    })
}

/// Numbers whose order alone tells fraud.
fn explain_telling_order(values: &[f64], labels: &[Option<bool>]) -> Option<String> {
    let mut known: Vec<(f64, bool)> = values
        .iter()
        .zip(labels)
        .filter(|(value, _)| !value.is_nan())
        .filter_map(|(value, label)| Some((*value, (*label)?)))
        .collect();
    let classes = count_classes(known.iter().map(|(_, fraud)| Some(*fraud)));
    if classes.iter().any(|count| *count < ENOUGH) {
        return None;
    }
    let auc = Ranking::new(known.iter().copied()).auc();
    let auc = auc.max(1.0 - auc);
    let many = known.len();
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    known.dedup_by_key(|(value, _)| *value);
    let whole = known.iter().all(|(value, _)| value.fract() == 0.0);
    let is_id = whole && known.len() * 100 >= many * 95;
    if is_id && auc >= TOO_GOOD_FOR_AN_ID {
        return Some(format!(
            "Almost all its values differ, as of an id, and yet their order alone tells fraud from legitimate events (AUC {auc:.3})."
        ));
    }
    (auc >= TOO_GOOD).then(|| {
        format!("It alone tells fraud from legitimate events almost always (AUC {auc:.3}).")
    })
}

/// Times that are later than their event.
fn check_later_times(dataset: &Dataset, texts: &Texts, name: &str, findings: &mut Findings) {
    let day_first = texts.iter().any(parse::has_day_first);
    let times: Vec<Option<i64>> = texts
        .iter()
        .map(|text| parse::parse_date(text, day_first))
        .collect();
    let (mut filled, mut later) = (0_usize, 0_usize);
    for (code, event) in texts.codes.iter().zip(dataset.event_times()) {
        let time = times.get(*code as usize).copied().flatten();
        if let (Some(time), Some(event)) = (time, event) {
            filled += 1;
            later += usize::from(time > event.saturating_add(DAY));
        }
    }
    if later >= ENOUGH && later * 10 >= filled {
        warn(
            findings,
            name,
            &format!(
                "It is more than a day later than the event in {later} of {filled} events. Is it known at the time of the \
                 event, as the date of a journey or the expiry of a card is? {ADVICE}"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventLabel, EventRow, Variable};

    /// The warnings about the only column of 400 events, of which every fourth is fraud.
    fn warnings(kind: VariableType, value: impl Fn(usize, bool) -> Option<String>) -> Vec<String> {
        let mut dataset = Dataset::new(vec![Variable::new("x", kind)]);
        let mut labels = Vec::new();
        for row in 0..400 {
            let fraud = row % 4 == 0;
            let value = value(row, fraud);
            let event = EventRow {
                values: &[value.as_deref()],
                event_time: Some(1_780_000_000 + i64::try_from(row).unwrap() * 3600),
                label: EventLabel::Legit,
                ..EventRow::default()
            };
            dataset.push(&event).unwrap();
            labels.push(Some(fraud));
        }
        let mut findings = Findings::default();
        find_leaks(&dataset, &labels, &mut findings);
        findings
            .0
            .into_iter()
            .map(|message| message.content)
            .collect()
    }

    #[track_caller]
    fn check(kind: VariableType, value: impl Fn(usize, bool) -> Option<String>, expected: &[&str]) {
        let found = warnings(kind, value);
        let fits = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(found, expected)| found.contains(expected));
        assert!(fits, "{found:#?}, not {expected:#?}");
    }

    #[test]
    fn columns_that_know_the_label() {
        use VariableType as T;
        check(
            T::DateTime,
            |row, fraud| (fraud && row % 8 == 0).then(|| "2026-05-29".to_owned()),
            &["filled in 50 % of the fraudulent events and in none of the others"],
        );
        check(
            T::Categorical,
            |row, fraud| {
                Some(
                    if fraud && row % 8 == 0 {
                        "lost"
                    } else {
                        "open"
                    }
                    .to_owned(),
                )
            },
            &["One of its values is in 50 % of the fraudulent events"],
        );
        check(
            T::Numeric,
            |row, fraud| Some((row + if fraud { 100_000 } else { 0 }).to_string()),
            &["Almost all its values differ"],
        );
        check(
            T::Numeric,
            |row, fraud| {
                Some(
                    if fraud {
                        1.5
                    } else {
                        0.25 * f64::from(u8::from(row % 2 == 0))
                    }
                    .to_string(),
                )
            },
            &["It alone tells fraud"],
        );
        check(
            T::DateTime,
            |row, _| Some(format!("2026-12-{:02}", row % 28 + 1)),
            &["more than a day later than the event in 400 of 400"],
        );
    }

    #[test]
    fn nobody_is_advised_to_fill_a_leak() {
        let mut dataset = Dataset::new(vec![Variable::new("x", VariableType::DateTime)]);
        let labels: Vec<Option<bool>> = (0..400).map(|row| Some(row % 4 == 0)).collect();
        for fraud in labels.iter().flatten() {
            let event = EventRow {
                values: &[fraud.then_some("2026-05-29")],
                ..EventRow::default()
            };
            dataset.push(&event).unwrap();
        }
        let mut findings = Findings::default();
        findings.add(Severity::Warning, Some("x"), MISSING_VALUES, "Fill it.");
        find_leaks(&dataset, &labels, &mut findings);
        let titles: Vec<&str> = findings
            .0
            .iter()
            .map(|message| message.title.as_str())
            .collect();
        assert_eq!(titles, ["May know the label"]);
    }

    #[test]
    fn columns_that_are_known_at_the_time_of_the_event() {
        use VariableType as T;
        check(T::Numeric, |row, _| Some(row.to_string()), &[]);
        check(
            T::Categorical,
            |row, _| (row % 3 > 0).then(|| (row % 7).to_string()),
            &[],
        );
        check(T::DateTime, |_, _| Some("2020-01-01".to_owned()), &[]);
        // A strong feature that has exceptions.
        check(
            T::Categorical,
            |row, fraud| {
                Some(
                    if fraud || row % 9 == 1 {
                        "proxy"
                    } else {
                        "direct"
                    }
                    .to_owned(),
                )
            },
            &[],
        );
    }
}
