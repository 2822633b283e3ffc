//! How long do scoring and explaining one row take? `cargo bench -p model`.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop on an error")]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use model::trees::boost::{BoostOptions, train_forest};
use model::trees::{BinnedMatrix, Forest};

const FEATURES: usize = 30;
const ROWS: u32 = 20_000;

/// A number in [0, 1) that depends on its place only.
fn number(row: u32, feature: usize) -> f64 {
    let mixed = (u64::from(row) << 8 | feature as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    f64::from(u32::try_from(mixed >> 32).unwrap()) / 2_f64.powi(32)
}

fn row(row: u32) -> Vec<f64> {
    (0..FEATURES).map(|feature| number(row, feature)).collect()
}

/// Prints the median and the 99th percentile of single calls. Unlike means, they hardly depend on other load.
fn percentiles(name: &str, mut call: impl FnMut(usize)) {
    let time = |at| {
        let start = Instant::now();
        call(at);
        start.elapsed()
    };
    let mut times: Vec<_> = (0..20_000).map(time).collect();
    times.sort_unstable();
    println!("{name}: p50 {:?}, p99 {:?}", times[10_000], times[19_800]);
}

/// 300 trees, six splits deep, 64 leaves.
fn forest() -> Forest {
    let mut matrix = BinnedMatrix::new(ROWS as usize);
    for feature in 0..FEATURES {
        let column: Vec<f64> = (0..ROWS).map(|row| number(row, feature)).collect();
        matrix.push(feature.to_string(), &column).unwrap();
    }
    let label = |row| {
        let numbers: Vec<f64> = (0..FEATURES).map(|feature| number(row, feature)).collect();
        numbers.iter().sum::<f64>() + 9.0 * numbers[0] * numbers[1] > 18.0 + number(row, FEATURES)
    };
    let labels: Vec<bool> = (0..ROWS).map(label).collect();
    let options = BoostOptions {
        trees: 300,
        max_depth: Some(6),
        max_leaves: 64,
        ..BoostOptions::default()
    };
    let rows: Vec<u32> = (0..ROWS).collect();
    let quiet = &mut |_| ControlFlow::Continue(());
    train_forest(&matrix, &labels, None, &rows, &[], &options, quiet)
        .unwrap()
        .forest
}

fn trees(criterion: &mut Criterion) {
    let forest = forest();
    assert_eq!(forest.trees(), 300);
    println!("{} nodes", forest.nodes());
    let rows: Vec<Vec<f64>> = (0..1000).map(|at| row(ROWS + at)).collect();
    percentiles("log_odds/300x6", |at| {
        black_box(forest.log_odds(black_box(&rows[at % rows.len()])));
    });
    let mut contributions = vec![0.0; FEATURES];
    percentiles("contributions/300x6", |at| {
        contributions.fill(0.0);
        forest.contributions(black_box(&rows[at % rows.len()]), &mut contributions);
        black_box(&contributions);
    });
    let mut next = rows.iter().cycle();
    criterion.bench_function("log_odds/300x6", |bencher| {
        bencher.iter(|| next.next().map(|row| forest.log_odds(black_box(row))));
    });
    criterion.bench_function("contributions/300x6", |bencher| {
        bencher.iter(|| {
            contributions.fill(0.0);
            if let Some(row) = next.next() {
                forest.contributions(black_box(row), &mut contributions);
            }
            contributions[0]
        });
    });
    criterion.bench_function("shapley/300x6", |bencher| {
        bencher.iter(|| next.next().map(|row| forest.shapley(black_box(row))));
    });
    let bytes = forest.to_bytes();
    println!("{} bytes", bytes.len());
    criterion.bench_function("from_bytes/300x6", |bencher| {
        bencher.iter(|| Forest::from_bytes(black_box(&bytes)));
    });
}

criterion_group!(benches, trees);
criterion_main!(benches);
