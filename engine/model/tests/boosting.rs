//! Trains forests on data for which the right answer is known.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use model::trees::boost::{BoostOptions, BoostProgress, StopMetric, TrainedForest, train_forest};
use model::trees::{BinnedMatrix, Forest, TreeError};
use proptest::prelude::*;

/// A number in [0, 1) that depends on its place only.
fn number(row: u32, column: u32) -> f64 {
    let mixed = (u64::from(row) << 8 | u64::from(column)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    f64::from(u32::try_from(mixed >> 32).unwrap()) / 2_f64.powi(32)
}

fn matrix(rows: u32, columns: &[&dyn Fn(u32) -> f64]) -> BinnedMatrix {
    let mut matrix = BinnedMatrix::new(rows as usize);
    for (name, column) in columns.iter().enumerate() {
        let values: Vec<f64> = (0..rows).map(column).collect();
        matrix.push(name.to_string(), &values).unwrap();
    }
    matrix
}

fn noise(rows: u32, columns: u32) -> BinnedMatrix {
    let mut matrix = BinnedMatrix::new(rows as usize);
    for column in 0..columns {
        let values: Vec<f64> = (0..rows).map(|row| number(row, column)).collect();
        matrix.push(column.to_string(), &values).unwrap();
    }
    matrix
}

fn quiet(_: BoostProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn fit(matrix: &BinnedMatrix, labels: &[bool], options: &BoostOptions) -> Forest {
    let rows: Vec<u32> = (0..u32::try_from(labels.len()).unwrap()).collect();
    train_forest(matrix, labels, None, &rows, &[], options, &mut quiet)
        .unwrap()
        .forest
}

fn probability(forest: &Forest, row: &[f64]) -> f64 {
    1.0 / (1.0 + (-forest.log_odds(row)).exp())
}

fn auc(
    forest: &Forest,
    labels: impl Fn(u32) -> bool,
    rows: std::ops::Range<u32>,
    columns: u32,
) -> f64 {
    let score = |row| {
        let values: Vec<f64> = (0..columns).map(|column| number(row, column)).collect();
        (forest.log_odds(&values), labels(row))
    };
    let scored: Vec<(f64, bool)> = rows.map(score).collect();
    let (mut won, mut pairs) = (0.0, 0.0);
    for (high, _) in scored.iter().filter(|row| row.1) {
        for (low, _) in scored.iter().filter(|row| !row.1) {
            pairs += 1.0;
            won += if high > low {
                1.0
            } else if high >= low {
                0.5
            } else {
                0.0
            };
        }
    }
    won / pairs
}

#[test]
fn one_leaf_wise_split_gives_the_rates() {
    // Fraud: 10 % below 5, 60 % from 5 on.
    let label = |row: u32| {
        if row % 10 < 5 {
            (row / 10).is_multiple_of(10)
        } else {
            row / 10 % 10 < 6
        }
    };
    let matrix = matrix(10_000, &[&|row| f64::from(row % 10)]);
    let labels: Vec<bool> = (0..10_000).map(label).collect();
    let options = BoostOptions {
        learning_rate: 0.3,
        trees: 60,
        ..BoostOptions::default()
    };
    let forest = fit(&matrix, &labels, &options);
    for (value, rate) in [(0.0, 0.1), (4.4, 0.1), (4.6, 0.6), (1e9, 0.6)] {
        assert!(
            (probability(&forest, &[value]) - rate).abs() < 1e-3,
            "{value}"
        );
    }
    // None was missing in training: a missing value goes where most rows go.
    assert!(forest.log_odds(&[f64::NAN]).is_finite());
}

#[test]
fn missing_values_have_a_side_of_their_own() {
    // 90 % of the missing are fraud, 10 % of both the low and the high values.
    let missing = |row: u32| row.is_multiple_of(3);
    let matrix = matrix(
        9000,
        &[&|row| {
            if missing(row) {
                f64::NAN
            } else {
                number(row, 0)
            }
        }],
    );
    let labels: Vec<bool> = (0..9000)
        .map(|row| missing(row) == (number(row, 1) < 0.9))
        .collect();
    let forest = fit(
        &matrix,
        &labels,
        &BoostOptions {
            trees: 20,
            max_leaves: 2,
            learning_rate: 0.5,
            ..BoostOptions::default()
        },
    );
    assert!((probability(&forest, &[f64::NAN]) - 0.9).abs() < 0.02);
    for value in [f64::NEG_INFINITY, 0.0, 0.5, 1.0, f64::INFINITY] {
        assert!(
            (probability(&forest, &[value]) - 0.1).abs() < 0.03,
            "{value}"
        );
    }
}

#[test]
fn a_column_may_fill_all_bins_and_miss_values_too() {
    let missing = |row: u32| row.is_multiple_of(4);
    let matrix = matrix(
        5000,
        &[&|row| {
            if missing(row) {
                f64::NAN
            } else {
                number(row, 0)
            }
        }],
    );
    let labels: Vec<bool> = (0..5000)
        .map(|row| missing(row) || number(row, 0) > 0.999)
        .collect();
    let forest = fit(&matrix, &labels, &BoostOptions::default());
    assert!(forest.log_odds(&[f64::NAN]) > forest.log_odds(&[0.5]));
}

#[test]
fn interactions_are_found() {
    let label = |row| (number(row, 0) > 0.5) != (number(row, 1) > 0.5);
    let labels: Vec<bool> = (0..4000).map(label).collect();
    let forest = fit(&noise(4000, 5), &labels, &BoostOptions::default());
    assert!(auc(&forest, label, 4000..5000, 5) > 0.99);
    let importance = forest.importance();
    assert!(importance[0] + importance[1] > 10.0 * importance[2..].iter().sum::<f64>());
}

#[test]
fn rare_fraud_is_found() {
    let label = |row| number(row, 3) > 0.9 && number(row, 4) > 0.93 && number(row, 9) < 0.9;
    let labels: Vec<bool> = (0..20_000).map(label).collect();
    let forest = fit(&noise(20_000, 8), &labels, &BoostOptions::default());
    assert!(auc(&forest, label, 20_000..24_000, 8) > 0.98);
}

#[test]
fn weights_count_like_copies() {
    let labels: Vec<bool> = (0..2000)
        .map(|row| number(row, 0) + number(row, 2) > 1.2)
        .collect();
    let matrix = noise(2000, 2);
    let rows: Vec<u32> = (0..2000).collect();
    let weights: Vec<f32> = rows
        .iter()
        .map(|row| if row % 2 == 0 { 3.0 } else { 0.0 })
        .collect();
    // Three times the weight is three times the hessian.
    let options = |min_child_hessian| BoostOptions {
        min_rows: 0,
        trees: 20,
        min_child_hessian,
        ..BoostOptions::default()
    };
    let weighted = train_forest(
        &matrix,
        &labels,
        Some(&weights),
        &rows,
        &[],
        &options(15.0),
        &mut quiet,
    )
    .unwrap();
    let even: Vec<u32> = rows.iter().copied().filter(|row| row % 2 == 0).collect();
    let alone = train_forest(
        &matrix,
        &labels,
        None,
        &even,
        &[],
        &options(5.0),
        &mut quiet,
    )
    .unwrap();
    for row in 0..2000 {
        let row = [number(row, 0), number(row, 1)];
        let [one, other] = [&weighted, &alone].map(|trained| trained.forest.log_odds(&row));
        assert!((one - other).abs() < 1e-3, "{one} {other}");
    }
}

fn bagged(threads: usize, seed: u64) -> TrainedForest {
    let labels: Vec<bool> = (0..20_000)
        .map(|row| number(row, 0) * number(row, 1) > number(row, 20))
        .collect();
    let rows: Vec<u32> = (0..18_000).collect();
    let stop: Vec<u32> = (18_000..20_000).collect();
    let options = BoostOptions {
        trees: 5,
        row_fraction: 0.7,
        feature_fraction: 0.6,
        threads: NonZeroUsize::new(threads),
        seed,
        ..BoostOptions::default()
    };
    train_forest(
        &noise(20_000, 70),
        &labels,
        None,
        &rows,
        &stop,
        &options,
        &mut quiet,
    )
    .unwrap()
}

#[test]
fn threads_change_nothing_and_the_seed_does() {
    let one = bagged(1, 7);
    for threads in [2, 5] {
        let many = bagged(threads, 7);
        assert_eq!(one.forest.to_bytes(), many.forest.to_bytes());
        assert_eq!(one.measures, many.measures);
    }
    assert_ne!(one.forest.to_bytes(), bagged(1, 8).forest.to_bytes());
}

#[test]
fn training_stops_where_the_stop_rows_gain_nothing() {
    let labels: Vec<bool> = (0..3000)
        .map(|row| number(row, 0) + number(row, 9) > 1.0)
        .collect();
    let rows: Vec<u32> = (0..2000).collect();
    let stop: Vec<u32> = (2000..3000).collect();
    for stop_metric in [
        StopMetric::LogLoss,
        StopMetric::Auc,
        StopMetric::AveragePrecision,
    ] {
        let options = BoostOptions {
            trees: 1000,
            patience: 10,
            stop_metric,
            ..BoostOptions::default()
        };
        let mut told = Vec::new();
        let mut listen = |progress: BoostProgress| {
            told.push(progress);
            ControlFlow::Continue(())
        };
        let trained = train_forest(
            &noise(3000, 6),
            &labels,
            None,
            &rows,
            &stop,
            &options,
            &mut listen,
        )
        .unwrap();
        let grown = trained.measures.len();
        assert!(grown < 1000);
        assert_eq!(grown, trained.forest.trees() + 10);
        let last = told.last().unwrap();
        assert_eq!((last.trees, last.of), (grown, 1000));
        assert_eq!(
            last.best,
            Some(trained.measures[trained.forest.trees() - 1])
        );
        let all = trained.measures.iter().copied();
        let best = if stop_metric.larger_is_better() {
            all.fold(f64::MIN, f64::max)
        } else {
            all.fold(f64::MAX, f64::min)
        };
        assert_eq!(last.best, Some(best));
    }
}

#[test]
fn the_caller_can_cancel() {
    let labels: Vec<bool> = (0..1000).map(|row| row % 3 == 0).collect();
    let rows: Vec<u32> = (0..1000).collect();
    let mut until_third = |progress: BoostProgress| {
        if progress.trees < 3 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let result = train_forest(
        &noise(1000, 2),
        &labels,
        None,
        &rows,
        &[],
        &BoostOptions::default(),
        &mut until_third,
    );
    assert_eq!(result.unwrap_err(), TreeError::Cancelled);
}

#[track_caller]
fn refused(
    matrix: &BinnedMatrix,
    labels: &[bool],
    weights: Option<&[f32]>,
    rows: &[u32],
    options: &BoostOptions,
    message: &str,
) {
    let error = train_forest(matrix, labels, weights, rows, &[], options, &mut quiet).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn what_cannot_be_trained_is_said() {
    let matrix = noise(4, 1);
    let labels = [true, false, true, false];
    let rows = [0, 1, 2, 3];
    let options = BoostOptions::default();
    refused(
        &matrix,
        &labels[..3],
        None,
        &rows,
        &options,
        "the list of labels has 3 values, but the matrix has 4 rows",
    );
    refused(
        &matrix,
        &labels,
        Some(&[1.0]),
        &rows,
        &options,
        "the list of weights has 1 values, but the matrix has 4 rows",
    );
    refused(
        &matrix,
        &labels,
        None,
        &[0, 9],
        &options,
        "row 9 does not exist: the matrix has 4 rows, counted from 0",
    );
    refused(
        &matrix,
        &labels,
        None,
        &[0, 1, 0],
        &options,
        "row 0 is named twice among the training and stop rows",
    );
    refused(
        &matrix,
        &labels,
        Some(&[1.0, -1.0, 1.0, 1.0]),
        &rows,
        &options,
        "the weight of row 1 is -1: it must be a number of at least 0",
    );
    refused(
        &matrix,
        &labels,
        None,
        &[0, 2],
        &options,
        "every training row has the label true: a model needs rows of both labels",
    );
    let nothing =
        "no column separates the labels: each is constant, or too few rows stand on either side";
    refused(&matrix, &labels, None, &rows, &options, nothing);
    refused(
        &BinnedMatrix::new(4),
        &labels,
        None,
        &rows,
        &options,
        nothing,
    );
    let options = BoostOptions {
        learning_rate: f64::NAN,
        ..options
    };
    refused(
        &matrix,
        &labels,
        None,
        &rows,
        &options,
        "option learning_rate is NaN: it must be above 0 and at most 1",
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any columns, constant and missing ones among them: a finite score for every row, or an error.
    #[test]
    fn any_matrix_trains_or_says_why(
        columns in prop::collection::vec(prop::collection::vec(prop_oneof![
            any::<f64>(), Just(f64::NAN), Just(1.0), -1.0..1.0
        ], 60), 0..11),
        labels in prop::collection::vec(any::<bool>(), 60),
        min_rows in 0..5usize,
        max_depth in prop::option::of(0..4usize),
        max_leaves in 2..9usize,
        lambda_l1 in 0.0..2.0,
    ) {
        let mut matrix = BinnedMatrix::new(60);
        for column in &columns {
            matrix.push("x", column).unwrap();
        }
        let options = BoostOptions { trees: 5, min_rows, max_depth, max_leaves, lambda_l1, ..BoostOptions::default() };
        let rows: Vec<u32> = (0..40).collect();
        let stop: Vec<u32> = (40..60).collect();
        if let Ok(trained) = train_forest(&matrix, &labels, None, &rows, &stop, &options, &mut quiet) {
            prop_assert!(trained.forest.trees() >= 1);
            for row in 0..60 {
                let row: Vec<f64> = columns.iter().map(|column| column[row]).collect();
                prop_assert!(trained.forest.log_odds(&row).is_finite());
            }
        }
    }
}
