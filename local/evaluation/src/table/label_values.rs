//! Which values of a label are fraud, and which are legitimate.

use std::collections::BTreeMap;
use std::path::Path;

use model::EventLabel;
use serde::Serialize;

use super::csv_file::{csv_error_in, open_csv, present_value};
use super::decimal_commas::write_decimal_point;
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

/// How many values an error lists.
const LISTED: usize = 10;

/// Whether two values are one label, as `1` and `1.0` are.
fn is_same_label(a: &str, b: &str) -> bool {
    to_label_key(a) == to_label_key(b)
}

/// The same text for all spellings of a label.
fn to_label_key(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => value.to_ascii_lowercase(),
    }
}

/// In how many rows each value of a label is. Spellings of one value count together, under the first in the alphabet.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelCounts(BTreeMap<String, usize>);

impl LabelCounts {
    /// Counts the values in a column of a file, in the rows that have the header's columns.
    pub(super) fn count(
        path: &Path,
        column: &str,
        has_decimal_commas: bool,
    ) -> Result<Self, TableError> {
        let mut reader = open_csv(path)?;
        let headers = reader.header().names.clone();
        let place = headers.iter().position(|header| header == column);
        let place = place.ok_or_else(|| TableError::NoColumn {
            path: path.display().to_string(),
            name: column.to_owned(),
            what: "the label",
            columns: headers,
        })?;
        let mut spellings: BTreeMap<String, usize> = BTreeMap::new();
        while let Some(row) = reader.read_row().map_err(csv_error_in(path))? {
            let Ok(fields) = row.content else { continue };
            let Some(value) = present_value(fields.iter().nth(place)) else {
                continue;
            };
            match spellings.get_mut(value) {
                Some(rows) => *rows += 1,
                None => drop(spellings.insert(value.to_owned(), 1)),
            }
        }
        let write = |value: String| {
            if has_decimal_commas {
                write_decimal_point(&value)
            } else {
                value
            }
        };
        let spellings = spellings.into_iter();
        Ok(Self::join_spellings(
            spellings.map(|(value, rows)| (write(value), rows)),
        ))
    }

    fn join_spellings(spellings: impl Iterator<Item = (String, usize)>) -> Self {
        let mut labels: BTreeMap<String, (String, usize)> = BTreeMap::new();
        for (value, rows) in spellings {
            labels.entry(to_label_key(&value)).or_insert((value, 0)).1 += rows;
        }
        Self(labels.into_values().collect())
    }

    /// The counts of two files.
    pub(super) fn merge(self, other: Self) -> Self {
        Self::join_spellings(self.0.into_iter().chain(other.0))
    }

    fn has_any_of(&self, values: &[String]) -> bool {
        self.0.keys().any(|value| is_any_of(value, values))
    }

    /// The values that are none of `values`.
    fn others(&self, values: &[String]) -> Vec<String> {
        let others = self.0.keys().filter(|value| !is_any_of(value, values));
        others.cloned().collect()
    }

    /// The values as a list for a person, with their counts.
    pub(super) fn list_values(&self) -> String {
        let all = self.0.iter();
        let mut listed: Vec<String> = all
            .take(LISTED)
            .map(|(value, rows)| format!("`{value}` ({rows})"))
            .collect();
        if self.0.len() > LISTED {
            listed.push("...".to_owned());
        }
        listed.join(", ")
    }
}

fn is_any_of(value: &str, values: &[String]) -> bool {
    values.iter().any(|one| is_same_label(one, value))
}

/// What a value of the label is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelMeaning {
    /// The event is legitimate.
    Legit,
    /// The event is fraud.
    Fraud,
    /// Neither was said, so that the events are left out.
    LeftOut,
}

/// A value of the label, and in how many rows it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelValue {
    /// The value.
    pub value: String,
    /// How many rows have it.
    pub rows: usize,
    /// What it is taken for.
    pub taken_as: LabelMeaning,
}

/// Which values of a label are legitimate, and which are fraud.
#[derive(Clone, Debug)]
pub(super) struct LabelSides {
    legit: Vec<String>,
    fraud: Vec<String>,
}

impl LabelSides {
    /// What a value means.
    pub(super) fn read_label(&self, text: Option<&str>) -> EventLabel {
        match text {
            None => EventLabel::Unlabelled,
            Some(text) if is_any_of(text, &self.legit) => EventLabel::Legit,
            Some(text) if is_any_of(text, &self.fraud) => EventLabel::Fraud,
            Some(_) => EventLabel::Unknown,
        }
    }

    /// Whether the meaning of at least one of these values is known. Of no values, nothing is unknown.
    pub(super) fn knows_any_of(&self, counts: &LabelCounts) -> bool {
        counts.0.is_empty() || counts.has_any_of(&self.legit) || counts.has_any_of(&self.fraud)
    }

    /// The values with their meanings: legitimate ones first, then fraud, then those that are left out.
    pub(super) fn describe(&self, counts: &LabelCounts) -> Vec<LabelValue> {
        let describe = |(value, rows): (&String, &usize)| LabelValue {
            value: value.clone(),
            rows: *rows,
            taken_as: match self.read_label(Some(value)) {
                EventLabel::Legit => LabelMeaning::Legit,
                EventLabel::Fraud => LabelMeaning::Fraud,
                EventLabel::Unlabelled | EventLabel::Unknown => LabelMeaning::LeftOut,
            },
        };
        let mut values: Vec<LabelValue> = counts.0.iter().map(describe).collect();
        values.sort_by_key(|value| value.taken_as);
        values
    }

    /// Finds what the values in a file mean. If only one side is given (or, where none is, guessed), the one value
    /// that is left is the other side; several are refused, because nobody said what they are.
    pub(super) fn find(
        path: &str,
        column: &str,
        legit: &[String],
        fraud: &[String],
        counts: &LabelCounts,
    ) -> Result<Self, TableError> {
        check_given(path, column, legit, fraud, counts)?;
        let sides = |legit: &[String], fraud: &[String]| Self {
            legit: legit.to_vec(),
            fraud: fraud.to_vec(),
        };
        let (known, option) = match (legit, fraud) {
            ([_, ..], [_, ..]) => return Ok(sides(legit, fraud)),
            ([], [_, ..]) => (fraud.to_vec(), "--legit"),
            ([_, ..], []) => (legit.to_vec(), "--fraud"),
            ([], []) => (guess_legitimate(path, column, counts)?, "--fraud"),
        };
        let others = counts.others(&known);
        if others.len() > 1 {
            return Err(TableError::ManyLabels {
                path: path.to_owned(),
                column: column.to_owned(),
                values: counts.list_values(),
                option,
                all: write_options(&known, &others, option),
            });
        }
        Ok(match option {
            "--legit" => sides(&others, &known),
            _ => sides(&known, &others),
        })
    }
}

/// The options that take every value for one of the two.
fn write_options(known: &[String], others: &[String], option: &str) -> String {
    let opposite = match option {
        "--legit" => "--fraud",
        _ => "--legit",
    };
    let quote = |value: &String| {
        if value.contains(|c: char| !c.is_ascii_alphanumeric()) {
            format!("'{value}'")
        } else {
            value.clone()
        }
    };
    let known = known.iter().map(|value| (opposite, value));
    let others = others.iter().take(LISTED).map(|value| (option, value));
    let options = known
        .chain(others)
        .map(|(option, value)| format!("{option} {}", quote(value)));
    options.collect::<Vec<String>>().join(" ")
}

/// Refuses a value on both sides, and a side of which the file has no value.
fn check_given(
    path: &str,
    column: &str,
    legit: &[String],
    fraud: &[String],
    counts: &LabelCounts,
) -> Result<(), TableError> {
    if let Some(value) = fraud.iter().find(|value| is_any_of(value, legit)) {
        return Err(TableError::BothSides {
            value: value.clone(),
        });
    }
    for (option, values) in [("--legit", legit), ("--fraud", fraud)] {
        let Some(value) = values.first() else {
            continue;
        };
        if !counts.has_any_of(values) {
            return Err(TableError::NoSuchLabel {
                path: path.to_owned(),
                column: column.to_owned(),
                option,
                value: value.clone(),
                values: counts.list_values(),
            });
        }
    }
    Ok(())
}

/// The values that are usual words for legitimate events.
fn guess_legitimate(
    path: &str,
    column: &str,
    counts: &LabelCounts,
) -> Result<Vec<String>, TableError> {
    let usual = |value: &&String| LEGIT.iter().any(|legit| is_same_label(legit, value));
    let legit: Vec<String> = counts.0.keys().filter(usual).cloned().collect();
    if counts.0.len() < 2 && legit.is_empty() {
        let only = counts.0.keys().next();
        return Err(TableError::OneKind {
            path: path.to_owned(),
            column: column.to_owned(),
            held: only.map_or("nothing".to_owned(), |value| {
                format!("nothing but `{value}`")
            }),
        });
    }
    if legit.is_empty() || (legit.len() == counts.0.len() && legit.len() > 1) {
        return Err(TableError::NoLegit {
            path: path.to_owned(),
            column: column.to_owned(),
            values: counts.list_values(),
        });
    }
    Ok(legit)
}
