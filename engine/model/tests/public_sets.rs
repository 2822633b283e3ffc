//! Models of public fraud data sets, from raw columns and without manual work, must not become worse.
//!
//! Reads `../shared/data`, relative to the repository's root; where that is absent, the tests say so and pass.
//! Splits: by time where there is one, the first 80 % train; else by a hash of the row's number, 80 % or 90 %.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use model::metrics::Ranking;
use model::{
    Dataset, EventLabel, EventRow, LabelsAre, TrainingOptions, Variable, infer_types, parse_date,
    train_model,
};

struct Set {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn read(name: &str) -> Option<Set> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    let Ok(file) = std::fs::read(&path) else {
        println!("skipped: {} is absent", path.display());
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(&file[..])
        .read_to_string(&mut text)
        .unwrap();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let headers = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let rows = reader
        .records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect();
    Some(Set { headers, rows })
}

/// AUC and recall at 1 % false positives.
fn evaluate(
    mut set: Set,
    label: &str,
    fraud: &dyn Fn(&str) -> bool,
    time: Option<&str>,
    train_percent: usize,
) -> (f64, f64) {
    let place = |name: &str| {
        set.headers
            .iter()
            .position(|header| header == name)
            .unwrap()
    };
    let (label, time) = (place(label), time.map(place));
    if let Some(time) = time {
        set.rows.sort_by_key(|row| parse_date(&row[time], false));
    } else {
        let mut numbered: Vec<(u64, Vec<String>)> = (0_u64..).zip(set.rows).collect();
        numbered.sort_by_key(|(number, _)| {
            number
                .wrapping_add(1)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(29)
                .wrapping_mul(0xbf58_476d_1ce4_e5b9)
        });
        set.rows = numbered.into_iter().map(|(_, row)| row).collect();
    }
    let columns: Vec<usize> = (0..set.headers.len())
        .filter(|column| *column != label && Some(*column) != time)
        .collect();
    let values = |row: &'_ Vec<String>| -> Vec<Option<String>> {
        columns
            .iter()
            .map(|column| row.get(*column).cloned())
            .collect()
    };
    let (training, test) = set.rows.split_at(set.rows.len() * train_percent / 100);
    let sample: Vec<Vec<Option<&str>>> = training
        .iter()
        .step_by(training.len() / 5000 + 1)
        .map(|row| {
            columns
                .iter()
                .map(|column| row.get(*column).map(String::as_str))
                .collect()
        })
        .collect();
    let headers: Vec<&str> = columns
        .iter()
        .map(|column| set.headers[*column].as_str())
        .collect();
    let variables = infer_types(&headers, &sample)
        .into_iter()
        .map(|inferred| Variable::new(inferred.name, inferred.kind.unwrap()));
    let mut dataset = Dataset::new(variables.collect());
    for row in training {
        let values = values(row);
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let row = EventRow {
            values: &values,
            event_time: time.and_then(|time| parse_date(&row[time], false)),
            label: if fraud(&row[label]) {
                EventLabel::Fraud
            } else {
                EventLabel::Legit
            },
            ..EventRow::default()
        };
        dataset.push(&row).unwrap();
    }
    let options = TrainingOptions {
        labels_are: LabelsAre::Final,
        min_variables: 1,
        ..TrainingOptions::default()
    };
    let (model, _) = train_model(&dataset, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let ranking = Ranking::new(test.iter().map(|row| {
        let values = values(row);
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let score = model.score(
            &values,
            time.and_then(|time| parse_date(&row[time], false)),
            &[],
        );
        (score.log_odds, fraud(&row[label]))
    }));
    let found = (ranking.auc(), ranking.recall_at(0.01));
    println!("AUC {:.4}, recall at 1 % {:.3}", found.0, found.1);
    found
}

#[test]
fn registrations_by_ip_and_email() {
    let Some(set) = read("aws_registration_20k_min.csv.gz") else {
        return;
    };
    let (auc, recall) = evaluate(
        set,
        "EVENT_LABEL",
        &|label| label == "fraud",
        Some("EVENT_TIMESTAMP"),
        80,
    );
    assert!(auc >= 0.994 && recall >= 0.88, "{auc} {recall}");
}

#[test]
fn bare_addresses() {
    let Some(set) = read("ipblock_rebuilt.csv.gz") else {
        return;
    };
    let (auc, recall) = evaluate(set, "is_ip_malign", &|label| label == "1", None, 80);
    assert!(auc >= 0.930 && recall >= 0.66, "{auc} {recall}");
}

#[test]
fn bare_urls() {
    let Some(set) = read("malurl_40k.csv.gz") else {
        return;
    };
    let (auc, recall) = evaluate(
        set,
        "type",
        &|label| matches!(label, "phishing" | "malware" | "defacement"),
        None,
        90,
    );
    assert!(auc >= 0.998 && recall >= 0.976, "{auc} {recall}");
}
