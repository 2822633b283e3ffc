//! Trains models on good and bad data, and reads them from valid and from hostile bytes.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use std::ops::ControlFlow;

use model::EntityHistories;
use model::history::TrackedFields;
use model::{
    ArtifactError, Attribution, Dataset, EventLabel, EventRow, LabelsAre, Model, TrainingError,
    TrainingOptions, TrainingReport, UnlabelledTreatment, Variable, VariableType, train_model,
};
use proptest::prelude::*;

/// A number that looks like chance.
fn chance(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

const VARIABLES: [(&str, VariableType); 5] = [
    ("ip", VariableType::IpAddress),
    ("email", VariableType::EmailAddress),
    ("amount", VariableType::Price),
    ("note", VariableType::FreeFormText),
    ("kind", VariableType::Categorical),
];

fn variables() -> Vec<Variable> {
    VARIABLES
        .iter()
        .map(|(name, kind)| Variable::new(*name, *kind))
        .collect()
}

/// Event `n`: fraud comes from one network, with round sums and other words.
fn event(n: u64) -> ([String; 5], bool) {
    let r = chance(n);
    let fraud = r.is_multiple_of(10);
    let bad = fraud && !(r >> 20).is_multiple_of(4);
    let values = [
        format!(
            "{}.{}.{}.{}",
            if bad { 66 } else { 1 + (r >> 8) % 200 },
            (r >> 16) % 256,
            (r >> 24) % 256,
            (r >> 32) % 256
        ),
        format!(
            "u{}@{}.com",
            (r >> 9) % 1000,
            ["alpha", "beta", "gamma"][(r >> 12) as usize % 3]
        ),
        format!(
            "{}.{:02}",
            (r >> 14) % 300 + if bad { 200 } else { 0 },
            (r >> 40) % 100
        ),
        format!(
            "please send {} {}",
            if bad {
                "gift cards now"
            } else {
                "my usual things"
            },
            (r >> 44) % 50
        ),
        ["web", "app", "shop"][(r >> 50) as usize % 3].to_owned(),
    ];
    (values, fraud)
}

fn push(dataset: &mut Dataset, values: &[String], fraud: bool, time: Option<i64>) {
    let values: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
    let row = EventRow {
        values: &values,
        event_time: time,
        label: if fraud {
            EventLabel::Fraud
        } else {
            EventLabel::Legit
        },
        ..EventRow::default()
    };
    dataset.push(&row).unwrap();
}

fn dataset(rows: u64, timed: bool) -> Dataset {
    let mut dataset = Dataset::new(variables());
    for n in 0..rows {
        let (values, fraud) = event(n);
        push(
            &mut dataset,
            &values,
            fraud,
            timed.then(|| i64::try_from(n).unwrap() * 3600),
        );
    }
    dataset
}

fn options() -> TrainingOptions {
    TrainingOptions {
        labels_are: LabelsAre::Final,
        budget_trees: 400,
        ..TrainingOptions::default()
    }
}

fn trained(dataset: &Dataset) -> Result<(Model, TrainingReport), TrainingError> {
    train_model(dataset, &options(), &mut |_| ControlFlow::Continue(()))
}

#[test]
fn a_model_finds_fraud_explains_it_and_survives_as_bytes() {
    for timed in [true, false] {
        let (model, report) = trained(&dataset(3000, timed)).unwrap();
        assert!(
            report.auc.value > 0.8 && report.by_time == timed,
            "{report:?}"
        );
        assert!(report.thresholds.windows(2).all(|pair| {
            (pair[0].threshold + 5.0 - pair[1].threshold).abs() < 1e-3
                && pair[0].fpr >= pair[1].fpr
                && pair[0].tpr >= pair[1].tpr
        }));
        let first = &report.thresholds[0];
        assert_eq!((first.threshold, first.fpr, first.tpr), (0.0, 1.0, 1.0));
        assert_eq!(report.thresholds.len(), 201);
        let bytes = model.to_bytes();
        let again = Model::from_bytes(&bytes).unwrap();
        assert_eq!(again, model);
        let (mut of_fraud, mut of_legit) = ((0.0, 0.0), (0.0, 0.0));
        for n in 10_000..10_500 {
            let (values, fraud) = event(n);
            let values: Vec<Option<&str>> =
                values.iter().map(|value| Some(value.as_str())).collect();
            let time = timed.then(|| i64::try_from(n).unwrap() * 3600);
            let score = again.score(&values, time, &[]);
            assert_eq!(score, model.score(&values, time, &[]));
            assert!((0.0..=1000.0).contains(&score.score) && score.score.fract() == 0.0);
            let sum = if fraud { &mut of_fraud } else { &mut of_legit };
            *sum = (sum.0 + score.score, sum.1 + 1.0);
            for attribution in [Attribution::Path, Attribution::Shapley] {
                let explained = model.explain(&values, time, &[], attribution);
                let total: f64 = explained.impacts.iter().map(|impact| impact.log_odds).sum();
                assert!((explained.expected + total - score.log_odds).abs() < 1e-6);
                assert_eq!(explained.score, score);
                assert_eq!(explained.impacts.len(), 6);
                assert!(
                    explained
                        .impacts
                        .iter()
                        .any(|impact| impact.relative.abs() == 5)
                );
            }
        }
        assert!(of_fraud.0 / of_fraud.1 > of_legit.0 / of_legit.1 + 200.0);
    }
}

/// Sign-ups, each with a device. A third of the devices are used again and again within minutes, which is fraud. A
/// single sign-up does not show it.
fn devices(entities: u64) -> Dataset {
    let variables = vec![
        Variable::new("amount", VariableType::Price),
        Variable::new("ip", VariableType::IpAddress),
    ];
    let tracked = TrackedFields::new(&variables, &[]);
    let mut dataset = Dataset::new(variables).with_tracked_fields(tracked.clone());
    let mut id = 0_u64;
    for device in 0..entities {
        let is_farm = device % 3 == 0;
        for visit in 0..if is_farm { 6 } else { 2 } {
            id += 1;
            let gap = if is_farm { 300 } else { 40 * 86_400 };
            let time = i64::try_from(chance(device) % (365 * 86_400)).unwrap() + visit * gap;
            let amount = (chance(id) % 90).to_string();
            let ip = format!("10.{}.{}.7", chance(id) % 50, chance(id + 7) % 50);
            let values = [Some(amount.as_str()), Some(ip.as_str())];
            let value = |name: &str| if name == "ip" { values[1] } else { values[0] };
            let seen = tracked.build_event(&id.to_string(), time, &[device.to_string()], value);
            let row = EventRow {
                values: &values,
                event_time: Some(time),
                entity: Some(&device.to_string()),
                tracked: Some(&seen),
                label: if is_farm && visit > 0 {
                    EventLabel::Fraud
                } else {
                    EventLabel::Legit
                },
                ..EventRow::default()
            };
            dataset.push(&row).unwrap();
        }
    }
    dataset
}

#[test]
fn the_history_of_an_entity_tells() {
    let dataset = devices(1200);
    let (model, report) = trained(&dataset).unwrap();
    assert!(report.auc.value > 0.97, "{:?}", report.auc);
    assert!(
        report.importance[0].is_history && report.importance[0].name() == "the entity's history"
    );
    let again = Model::from_bytes(&model.to_bytes()).unwrap();
    assert_eq!(again.tracked_fields(), dataset.tracked_fields());

    // The same event of a new device, of a device that was used a minute ago, and without an entity.
    let tracked = dataset.tracked_fields().unwrap();
    let event = |entity: Option<&str>, id: &str, time: i64| {
        tracked.build_event(id, time, entity.map(str::to_owned).as_slice(), |name| {
            (name == "amount").then_some("20")
        })
    };
    let now = 400 * 86_400;
    let mut histories = EntityHistories::of_dataset(&dataset);
    for minute in 1..4 {
        let busy = event(Some("busy"), &format!("busy {minute}"), now - 60 * minute);
        histories.add(tracked, &busy);
    }
    let values = [Some("20"), Some("10.1.1.1")];
    let score = |entity: Option<&str>| {
        let history = histories.features(tracked, &event(entity, "x", now));
        let explained = model.explain(&values, Some(now), &history, Attribution::Path);
        let history_impacts = explained.history.iter().map(|part| &part.impact);
        let impacts = explained.impacts.iter().chain(history_impacts);
        let total: f64 = impacts.map(|impact| impact.log_odds).sum();
        assert!((explained.expected + total - explained.score.log_odds).abs() < 1e-6);
        assert_eq!(explained.score, again.score(&values, Some(now), &history));
        explained.score.log_odds
    };
    assert!(score(Some("busy")) > score(Some("new")) + 3.0);
    let nobody = model.score(&values, Some(now), &[]).log_odds;
    assert!((score(None) - nobody).abs() < 1e-12);
}

#[test]
fn the_same_data_and_seed_give_the_same_bytes() {
    let data = dataset(1500, true);
    let one = trained(&data).unwrap().0.to_bytes();
    let threads = TrainingOptions {
        threads: std::num::NonZeroUsize::new(1),
        ..options()
    };
    let other = train_model(&data, &threads, &mut |_| ControlFlow::Continue(()))
        .unwrap()
        .0
        .to_bytes();
    assert!(one == other);
}

#[test]
fn training_can_be_cancelled() {
    let mut calls = 0;
    let result = train_model(&dataset(1000, true), &options(), &mut |progress| {
        calls += 1;
        assert!((0.0..=1.0).contains(&progress.done));
        if calls > 5 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(result.unwrap_err(), TrainingError::Cancelled);
}

fn refusal(dataset: &Dataset, options: &TrainingOptions) -> String {
    train_model(dataset, options, &mut |_| ControlFlow::Continue(()))
        .unwrap_err()
        .to_string()
}

#[test]
fn data_that_cannot_be_trained_on_is_refused_in_amazons_words() {
    let too_few = "Less than 100 rows are in the dataset. Ensure there are more than 100 rows in the total dataset and at least 50 rows are labeled as fraudulent.";
    assert_eq!(refusal(&dataset(60, true), &options()), too_few);
    assert_eq!(refusal(&Dataset::new(variables()), &options()), too_few);
    let stored = TrainingOptions {
        unlabelled: Some(UnlabelledTreatment::Ignore),
        ..options()
    };
    assert!(
        refusal(&Dataset::new(variables()), &stored)
            .starts_with("No ingested events found for training")
    );

    let mut one_class = Dataset::new(variables());
    for n in 0..500 {
        push(&mut one_class, &event(n).0, false, None);
    }
    assert!(
        refusal(&one_class, &options())
            .starts_with("Fewer than 50 rows are labeled as fraudulent events.")
    );

    let mut constant = Dataset::new(variables());
    for n in 0..500 {
        push(
            &mut constant,
            &["1.2.3.4", "a@b.c", "1", "x", "y"].map(str::to_owned),
            n % 3 == 0,
            None,
        );
    }
    assert_eq!(
        refusal(&constant, &options()),
        "Dataset must contain at least 2 variables suitable for training."
    );

    let mut missing = Dataset::new(variables());
    for n in 0..500 {
        push(
            &mut missing,
            &["", "NaN", "null", "", "N/A"].map(str::to_owned),
            n % 3 == 0,
            None,
        );
    }
    assert_eq!(
        refusal(&missing, &options()),
        "Dataset must contain at least 2 variables suitable for training."
    );

    let mut unlabelled = dataset(500, true);
    for n in 0..20 {
        let (values, _) = event(n);
        let values: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
        let row = EventRow {
            values: &values,
            event_time: Some(0),
            label: EventLabel::Unknown,
            ..EventRow::default()
        };
        unlabelled.push(&row).unwrap();
    }
    assert!(
        refusal(&unlabelled, &options())
            .starts_with("Greater than 1% of your EVENT_LABEL column are null")
    );

    let mut half_timed = dataset(500, true);
    push(&mut half_timed, &event(1).0, true, None);
    assert!(refusal(&half_timed, &options()).contains("EVENT_TIMESTAMP with missing values"));

    let mut unstable = Dataset::new(variables());
    for n in 0..1000 {
        let (values, _) = event(n);
        push(
            &mut unstable,
            &values,
            n < 200,
            Some(i64::try_from(n).unwrap()),
        );
    }
    assert!(
        refusal(&unstable, &options())
            .starts_with("Fraud rate in the given data is too unstable through time.")
    );

    // 46 days of events, whose labels take 45 days.
    let young = TrainingOptions::default();
    assert!(
        refusal(&dataset(1100, true), &young)
            .contains("are old enough for their labels to be known (45 days")
    );
}

#[test]
fn nothing_to_learn_is_said() {
    let mut noise = Dataset::new(vec![
        Variable::new("a", VariableType::Categorical),
        Variable::new("b", VariableType::Categorical),
    ]);
    for n in 0..400_u64 {
        let values = [(n % 2).to_string(), (n / 2 % 2).to_string()];
        push(&mut noise, &values, (n / 4).is_multiple_of(2), None);
    }
    // Either training is refused, or events get different scores.
    match trained(&noise) {
        Err(error) => assert_eq!(error, TrainingError::NothingToLearn),
        Ok((model, report)) => assert!(report.auc.low < 0.6 && model.forest().trees() > 0),
    }
}

#[test]
fn few_rows_and_one_telling_column_are_enough() {
    // Some of the settings require more rows in a leaf than there are, and some trees draw only columns without
    // information.
    let mut few = Dataset::new(vec![
        Variable::new("amount", VariableType::Numeric),
        Variable::new("constant", VariableType::Numeric),
        Variable::new("missing", VariableType::Numeric),
    ]);
    for n in 0..140_u64 {
        let fraud = n.is_multiple_of(2);
        let amount = chance(n) % 100 + if fraud { 80 } else { 0 };
        let values = [amount.to_string(), "1".to_owned(), String::new()];
        push(&mut few, &values, fraud, None);
    }
    let options = TrainingOptions {
        min_variables: 1,
        labels_are: LabelsAre::Final,
        ..TrainingOptions::default()
    };
    let (model, _) = train_model(&few, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let odds = |amount| {
        model
            .score(&[Some(amount), Some("1"), None], None, &[])
            .log_odds
    };
    assert!(odds("170") > odds("10") + 1.0);
    assert!(model.forest().trees() > 10, "{model:?}");
}

#[test]
fn strange_values_are_no_trouble() {
    let mut strange = Dataset::new(variables());
    let long = "a%20é".repeat(2000);
    for n in 0..1200_u64 {
        let (mut values, fraud) = event(n);
        match n % 6 {
            0 => {
                values[2] = ["inf", "-inf", "NaN", "1e308", "-0", "1e-320"][(n / 6) as usize % 6]
                    .to_owned();
            }
            1 => values[3].clone_from(&long),
            2 => values[0] = "not an address".to_owned(),
            3 => values[4] = format!("category {n}"),
            _ => {}
        }
        // Times are not in order, and some occur twice.
        push(
            &mut strange,
            &values,
            fraud,
            Some(i64::try_from(chance(n) % 1_000_000).unwrap() / 7 * 7),
        );
    }
    let (model, _) = trained(&strange).unwrap();
    for values in [
        [None; 5],
        [Some(long.as_str()); 5],
        [Some("inf"); 5],
        [Some("\u{0}\u{ffff}"); 5],
        [Some("999.999.999.999"); 5],
    ] {
        let score = model.score(&values, None, &[]);
        assert!((0.0..=1000.0).contains(&score.score), "{score:?}");
    }
    assert!(
        (0.0..=1000.0).contains(&model.score(&[], Some(i64::MIN), &[]).score),
        "fewer values than variables are missing ones"
    );
}

#[test]
fn damaged_bytes_are_no_model() {
    let bytes = trained(&dataset(600, false)).unwrap().0.to_bytes();
    let mut damaged = bytes.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert_eq!(
        Model::from_bytes(&damaged).unwrap_err(),
        ArtifactError::Damaged
    );
    assert_eq!(
        Model::from_bytes(&bytes[..bytes.len() / 2]).unwrap_err(),
        ArtifactError::Damaged
    );
    assert_eq!(Model::from_bytes(b"{}").unwrap_err(), ArtifactError::Format);
    // With a checksum that fits, the parts are still checked.
    for at in (40..bytes.len()).step_by(bytes.len() / 400 + 1) {
        let mut forged = bytes[40..].to_vec();
        forged[at - 40] ^= 0x81;
        model::fuzz::read_artifact(&forged);
        model::fuzz::read_artifact(&forged[..at - 40]);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_sentence(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[0-9:/.,+\\- TZaepmJFNov\n]{0,80}") {
        model::fuzz::read_artifact(&bytes);
        model::fuzz::read_artifact(text.as_bytes());
    }
}
