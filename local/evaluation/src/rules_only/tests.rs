use std::collections::BTreeMap;
use std::path::Path;

use rules::{ListValues, Type};

use super::figures::OutcomeEffect;
use super::*;
use crate::measures::ScoredEvent;
use crate::table::{ColumnOptions, EventColumns, TableError};

const EVENTS: &str = "\
price,email,when,is_fraud
2000.00,ann@example.com,2026-01-01 10:00:00,1
2000.00,bob@example.com,2026-01-02 10:00:00,0
10.00,EVE@example.com,2026-01-03 10:00:00,1
10.00,,2026-01-04 10:00:00,0
much,cyd@example.com,2026-01-05 10:00:00,0
5000.00,vip@example.com,2026-01-06 10:00:00,0
";

const VARIABLES: [(&str, Type, &str); 3] = [
    ("price", Type::Float, "0.0"),
    ("signed_up_at", Type::String, ""),
    ("email", Type::String, ""),
];

/// A detector over `price`, `signed_up_at` and `email` with these rules, an expression and an outcome a line.
fn detector(mode: &str, rules: &str) -> Result<MeasuredDetector, String> {
    let variable = |(name, ty, default): (&str, Type, &str)| FileVariable {
        name: name.to_owned(),
        ty,
        default: default.to_owned(),
    };
    let rule = |(number, rule): (usize, &str)| {
        let (expression, outcome) = rule.split_once(" => ").unwrap();
        FileRule {
            id: format!("r{number}"),
            expression: expression.to_owned(),
            outcomes: vec![format!("{outcome}_{number}")],
        }
    };
    let blocked = ListValues::normalized(|text| text.to_lowercase().into(), ["eve@example.com"]);
    let file = DetectorFile {
        path: "t.yaml".to_owned(),
        id: "orders".to_owned(),
        mode: mode.to_owned(),
        variables: VARIABLES.map(variable).to_vec(),
        scores: Vec::new(),
        lists: BTreeMap::from([("blocked".to_owned(), Some(blocked))]),
        rules: rules.lines().enumerate().map(rule).collect(),
    };
    MeasuredDetector::new(file).map_err(|error| error.to_string())
}

/// The figures of the rules, where the model scores events in the order of the file, the last highest.
fn measured(detector: &MeasuredDetector) -> RulesOnly {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.csv");
    std::fs::write(&path, EVENTS).unwrap();
    let said = ColumnOptions {
        timestamp: Some("when".to_owned()),
        ..ColumnOptions::default()
    };
    let columns = EventColumns::find(&path, &said).unwrap();
    let table = columns.table(&path);
    let mut rules = detector
        .apply_to(&path, &table.read_headers().unwrap())
        .unwrap();
    let mut scored = Vec::new();
    table
        .for_each_event(|event| {
            let number = u32::try_from(event.number).unwrap();
            scored.push(ScoredEvent {
                number: event.number,
                log_odds: f64::from(number),
                score: 0.0,
                fraud: event.row.label == model::EventLabel::Fraud,
                entity: None,
                amount: None,
                month: None,
                look_ups: Vec::new(),
                seen: Vec::new(),
                alarm: rules.find_alarm(&event),
            });
            Ok::<(), TableError>(())
        })
        .unwrap();
    rules.measure(&scored)
}

/// A line for each row: outcomes, events, false positives, recall and precision in percent.
fn rows(rules: &RulesOnly) -> Vec<String> {
    let row = |row: &OutcomeEffect| {
        format!(
            "{}: {} events, {:.0} {:.0} {:.0}",
            row.outcomes.join("+"),
            row.events,
            row.fpr * 100.0,
            row.recall * 100.0,
            row.precision * 100.0
        )
    };
    rules.outcomes.iter().map(row).collect()
}

#[test]
fn outcomes_add_up_in_the_order_of_the_rules() {
    let rules = detector(
        "ALL_MATCHED",
        "$email in @blocked => block\n$price > 1000 => review\n$email == \"vip@example.com\" => approve",
    );
    let found = measured(&rules.unwrap());
    assert_eq!(
        rows(&found),
        [
            "block_0: 1 events, 0 50 100",
            "block_0+review_1: 4 events, 50 100 50",
        ]
    );
    assert_eq!(found.unreadable_values["price"], 1);
    // Above the highest legitimate score there is no fraud; half of the legitimate events are above both.
    let model: Vec<f64> = found.outcomes.iter().map(|row| row.model_recall).collect();
    assert!(model[0].abs() < 1e-9 && model[1].abs() < 1e-9, "{model:?}");
}

#[test]
fn the_first_match_ends_it_where_the_detector_says_so() {
    let rules =
        "$email == \"vip@example.com\" => approve\n$price > 1000 => review\n$price > 1500 => block";
    let found = measured(&detector("FIRST_MATCHED", rules).unwrap());
    assert_eq!(
        rows(&found),
        [
            "review_1: 2 events, 25 50 50",
            "review_1+block_2: 2 events, 25 50 50",
        ]
    );
    let found = measured(&detector("ALL_MATCHED", rules).unwrap());
    assert_eq!(rows(&found)[0], "review_1: 3 events, 50 50 33");
}

#[test]
fn what_is_not_measured_is_said() {
    let rules = "$price > 100 => block\n$signed_up_at == \"\" => review\n$hours > 1 => review";
    let found = measured(&detector("ALL_MATCHED", rules).unwrap());
    assert_eq!(
        found.notes(),
        [
            "rules of `orders` use variables for which there is no column, and had their defaults: signed_up_at.",
            "1 values of `price` are not of its type; rules had its default.",
            "rule `r2` was left out: it cannot be compiled with what the file defines: at 1:1: there is no variable `$hours`.",
        ]
    );
    assert_eq!(found.outcomes[1].events, 6);
}

#[test]
fn the_time_is_that_of_the_event() {
    let rules = "getepochmilliseconds(getcurrentdatetime()) == getepochmilliseconds(\"2026-01-03T10:00:00Z\") => block";
    let rules = format!("{rules}\n$price > 9999 => review");
    let found = measured(&detector("ALL_MATCHED", &rules).unwrap());
    assert_eq!(rows(&found)[0], "block_0: 1 events, 0 50 100");
}

#[test]
fn rules_that_cannot_be_measured_are_refused() {
    let refused = |rules| detector("ALL_MATCHED", rules).unwrap_err();
    assert_eq!(
        refused("$price > 1 => approve"),
        "t.yaml: no rule can be measured: none has an outcome that stops an event"
    );
    assert!(
        refused("$a_insightscore > 1 => block")
            .starts_with("t.yaml: no rule can be measured: `r0` cannot be compiled")
    );
    let rules = detector("ALL_MATCHED", "$price > 1 and $email == \"\" => block").unwrap();
    let error = rules.apply_to(Path::new("events.csv"), &["amount".to_owned()]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "events.csv has no column of the variables that the rules use: price, email. Columns are variables by their names"
    );
}
