//! Which values of a label stand for a legitimate event.

use std::collections::BTreeMap;

use super::error::TableError;

/// Values that stand for a legitimate event.
const LEGIT: [&str; 20] = [
    "0",
    "0.0",
    "false",
    "no",
    "n",
    "f",
    "legit",
    "legitimate",
    "genuine",
    "good",
    "benign",
    "normal",
    "not fraud",
    "non-fraud",
    "not_fraud",
    "no fraud",
    "valid",
    "safe",
    "ham",
    "human",
];

/// Whether two values are one label, as `1` and `1.0` are.
pub(super) fn is_same_label(a: &str, b: &str) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b).is_eq(),
        _ => false,
    }
}

/// The legitimate values of the label: those that were given, or those that are usual words for it.
pub(super) fn find_legitimate<'a>(
    path: &str,
    column: &str,
    given: &[String],
    values: impl Iterator<Item = Option<&'a str>>,
) -> Result<Vec<String>, TableError> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in values.flatten() {
        *counts.entry(value).or_default() += 1;
    }
    let legit: Vec<String> = counts
        .keys()
        .filter(|value| LEGIT.iter().any(|legit| is_same_label(legit, value)))
        .map(|value| (*value).to_owned())
        .collect();
    if counts.len() < 2 && legit.is_empty() {
        let only = counts.keys().next();
        return Err(TableError::OneKind {
            path: path.to_owned(),
            column: column.to_owned(),
            held: only.map_or("nothing".to_owned(), |value| {
                format!("nothing but `{value}`")
            }),
        });
    }
    // Fraud may be too rare for the sample.
    if legit.is_empty() || (legit.len() == counts.len() && legit.len() > 1) {
        let mut values: Vec<String> = counts
            .keys()
            .take(10)
            .map(|value| format!("`{value}`"))
            .collect();
        if counts.len() > values.len() {
            values.push("...".to_owned());
        }
        return Err(TableError::NoLegit {
            path: path.to_owned(),
            column: column.to_owned(),
            values,
        });
    }
    Ok(legit)
}
