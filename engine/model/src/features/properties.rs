//! Properties of every encoder, whatever the data.

use std::convert::Infallible;

use super::Encoder;
use super::plan::{LearningPlan, TrainingRows};
use crate::hash::mix_bits;
use crate::histories::EntityHistories;
use crate::history::TrackedFields;
use crate::{Dataset, EventLabel, EventRow, Variable, VariableType};

const DAY: i64 = 86_400;

/// Events of all types, 0 to `rows` in time; every seventh is fraud.
fn dataset(rows: u32) -> Dataset {
    use VariableType as T;
    let kinds = [
        T::IpAddress,
        T::EmailAddress,
        T::PhoneNumber,
        T::BillingZip,
        T::ShippingZip,
        T::CardBin,
        T::UserAgent,
        T::Price,
        T::Numeric,
        T::Categorical,
        T::FreeFormText,
        T::FreeFormText,
        T::DateTime,
        T::Categorical,
    ];
    let variables = kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| Variable::new(format!("v{at}"), *kind));
    let mut dataset = Dataset::new(variables.collect());
    let tracked = TrackedFields::new(dataset.variables(), &[]);
    dataset = dataset.with_tracked_fields(tracked.clone());
    for n in 0..rows {
        let r = u32::try_from(mix_bits(u64::from(n)) >> 40).unwrap();
        let values = [
            Some(format!("10.{}.{}.{}", r % 5, r % 7, r % 11)),
            Some(format!("User{}@example{}.com", r % 50, r % 3)),
            (r % 4 > 0).then(|| format!("+1 415 555 {:04}", r % 40)),
            Some(format!("8{}501", r % 9)),
            Some(format!("8{}501", r % 4)),
            Some(format!("4111{}1", r % 10)),
            Some("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/115.0".to_owned()),
            Some(format!("{}.99", r % 90)),
            Some(if r.is_multiple_of(13) {
                "NaN".to_owned()
            } else {
                (r % 60).to_string()
            }),
            Some(["Red", "green", "blue", ""][r as usize % 4].to_owned()),
            Some(format!(
                "the order number {} is for {} persons",
                r % 70,
                r % 6
            )),
            Some(format!("http://shop{}.example.com/a/{}", r % 8, r % 33)),
            Some(format!("202{}-01-0{} 10:0{}", r % 3, r % 8 + 1, r % 10)),
            Some(["green", "Red", "blue"][r as usize % 3].to_owned()),
        ];
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let time = i64::from(n) * DAY / 24;
        let value = |name: &str| values[name[1..].parse::<usize>().unwrap()];
        let entity = (r % 40 > 0).then(|| format!("customer {}", r % 40));
        let seen = tracked.build_event(&n.to_string(), time, entity.as_slice(), value);
        let row = EventRow {
            values: &values,
            event_time: Some(time),
            entity: entity.as_deref(),
            tracked: Some(&seen),
            label_time: Some(time),
            label: if r.is_multiple_of(7) {
                EventLabel::Fraud
            } else {
                EventLabel::Legit
            },
            ..EventRow::default()
        };
        dataset.push(&row).unwrap();
    }
    dataset
}

fn fit(
    dataset: &Dataset,
    plan: &LearningPlan,
    known: &[i64],
) -> (Encoder, Vec<(String, Vec<f64>)>) {
    let rows: Vec<u32> = (0..u32::try_from(dataset.len()).unwrap()).collect();
    let labels: Vec<bool> = dataset
        .labels()
        .iter()
        .map(|label| *label == EventLabel::Fraud)
        .collect();
    let rows = TrainingRows {
        rows: &rows,
        labels: &labels,
        shown_from: &known.iter().copied().map(Some).collect::<Vec<_>>(),
        plan,
        seed: 1,
    };
    let mut columns = Vec::new();
    let encoder = Encoder::fit::<Infallible>(dataset, &rows, &mut |name, column| {
        columns.push((name.to_owned(), column.to_vec()));
        Ok(())
    });
    (encoder.unwrap(), columns)
}

fn encoded(encoder: &Encoder, dataset: &Dataset, row: usize) -> Vec<f64> {
    let values: Vec<_> = (0..dataset.variables().len())
        .map(|variable| dataset.value(row, variable))
        .collect();
    let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
    let mut out = Vec::new();
    let tracked = dataset.tracked_fields().unwrap();
    let event = dataset.tracked_event(row).unwrap();
    let history = EntityHistories::of_dataset(dataset).features(tracked, &event);
    encoder.encode(&values, dataset.event_times()[row], &history, &mut out);
    out
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn scoring_gives_the_numbers_that_training_saw() {
    let dataset = dataset(600);
    let times: Vec<i64> = dataset
        .event_times()
        .iter()
        .map(|time| time.unwrap())
        .collect();
    let ordered = LearningPlan::by_time(&times, &times, 450);
    let hashes: Vec<u64> = (0..600).map(mix_bits).collect();
    let held_out: Vec<bool> = (0..600).map(|row| row >= 450).collect();
    for plan in [ordered, LearningPlan::by_hash(&hashes, &held_out)] {
        let (encoder, columns) = fit(&dataset, &plan, &times);
        assert!(encoder.is_sound());
        assert_eq!(encoder.features.len(), columns.len());
        for row in 0..600 {
            for (number, (name, column)) in encoded(&encoder, &dataset, row).iter().zip(&columns) {
                // In training, a row does not see itself; in scoring, the encoder has learnt from all training rows.
                let learnt = ["lift", "frequency", "wording", "bad address"]
                    .iter()
                    .any(|word| name.ends_with(word) || name.contains(" bad address within"));
                if row >= 450 || !learnt {
                    assert!(
                        same(*number, column[row]),
                        "row {row}, {name}: {number} scored, {} trained",
                        column[row]
                    );
                }
            }
        }
    }
}

#[test]
fn labels_that_are_not_known_yet_change_nothing() {
    let mut dataset = dataset(500);
    let times: Vec<i64> = dataset
        .event_times()
        .iter()
        .map(|time| time.unwrap())
        .collect();
    let known: Vec<i64> = times
        .iter()
        .enumerate()
        .map(|(row, time)| time + DAY * i64::try_from(row % 9).unwrap())
        .collect();
    let plan = LearningPlan::by_time(&times, &known, 400);
    let (_, before) = fit(&dataset, &plan, &known);
    // Change every label that was not known when row 250 happened.
    let now = times[250];
    for (label, known) in dataset.labels_mut().iter_mut().zip(&known) {
        if *known > now {
            *label = if *label == EventLabel::Fraud {
                EventLabel::Legit
            } else {
                EventLabel::Fraud
            };
        }
    }
    let (_, after) = fit(&dataset, &plan, &known);
    let mut changed = 0;
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        for row in 0..=250 {
            assert!(
                same(before[row], after[row]),
                "{name} of row {row}: {} became {}",
                before[row],
                after[row]
            );
        }
        changed += usize::from((251..500).any(|row| !same(before[row], after[row])));
    }
    assert!(changed > 0, "the turned labels must reach later rows");
}
