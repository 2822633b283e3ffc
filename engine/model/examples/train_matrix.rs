//! Trains a forest on a matrix from a file and scores its last rows. `tests/python/bench_model.py` compares it with
//! LightGBM.
//!
//!     train_matrix MATRIX SCORES TREES LEAVES LEARNING_RATE THREADS
//!
//! The file holds, little-endian: the numbers of rows, of rows to train on (the first) and of columns
//! as `u64`; a label a row as one byte; the columns one after the other as `f32`. The log-odds of the
//! rest of the rows go to SCORES as `f64`. Prints the seconds taken as one line of JSON.

use std::error::Error;
use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Instant;

use model::trees::BinnedMatrix;
use model::trees::boost::{BoostOptions, train_forest};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [matrix, scores, trees, leaves, rate, threads] = arguments.as_slice() else {
        return Err("usage: train_matrix MATRIX SCORES TREES LEAVES LEARNING_RATE THREADS".into());
    };
    let options = BoostOptions {
        trees: trees.parse()?,
        max_leaves: leaves.parse()?,
        learning_rate: rate.parse()?,
        threads: Some(threads.parse::<NonZeroUsize>()?),
        ..BoostOptions::default()
    };
    let matrix = Matrix::read(&std::fs::read(matrix)?).ok_or("the matrix file is cut short")?;

    let start = Instant::now();
    let mut binned = BinnedMatrix::new(matrix.train);
    for (number, column) in matrix.columns.iter().enumerate() {
        binned.push(number.to_string(), &column[..matrix.train])?;
    }
    let bin = start.elapsed();
    let start = Instant::now();
    let rows: Vec<u32> = (0..u32::try_from(matrix.train)?).collect();
    let labels = &matrix.labels[..matrix.train];
    let trained = train_forest(&binned, labels, None, &rows, &[], &options, &mut |_| {
        ControlFlow::Continue(())
    })?;
    let train = start.elapsed();

    let row = |row: usize| -> Vec<f64> {
        matrix
            .columns
            .iter()
            .map(|column| f64::from(column[row]))
            .collect()
    };
    let rest: Vec<Vec<f64>> = (matrix.train..matrix.labels.len()).map(row).collect();
    let start = Instant::now();
    let odds: Vec<f64> = rest
        .iter()
        .map(|row| trained.forest.log_odds(row))
        .collect();
    let score = start.elapsed();
    std::fs::write(
        scores,
        odds.iter()
            .flat_map(|odds| odds.to_le_bytes())
            .collect::<Vec<_>>(),
    )?;
    writeln!(
        std::io::stdout(),
        r#"{{"bin_s":{:.3},"train_s":{:.3},"score_us_a_row":{:.2},"trees":{},"nodes":{}}}"#,
        bin.as_secs_f64(),
        train.as_secs_f64(),
        score.as_secs_f64() * 1e6 / f64::from(u32::try_from(rest.len().max(1))?),
        trained.forest.trees(),
        trained.forest.nodes(),
    )?;
    Ok(())
}

struct Matrix {
    train: usize,
    labels: Vec<bool>,
    columns: Vec<Vec<f32>>,
}

impl Matrix {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (counts, bytes) = bytes.split_at_checked(24)?;
        let (counts, _) = counts.as_chunks::<8>();
        let [rows, train, columns] = [counts[0], counts[1], counts[2]].map(u64::from_le_bytes);
        let (rows, train) = (usize::try_from(rows).ok()?, usize::try_from(train).ok()?);
        let (labels, bytes) = bytes.split_at_checked(rows)?;
        let (numbers, _) = bytes.as_chunks::<4>();
        let numbers: Vec<f32> = numbers
            .iter()
            .map(|number| f32::from_le_bytes(*number))
            .collect();
        let columns: Vec<_> = numbers
            .chunks_exact(rows.max(1))
            .take(usize::try_from(columns).ok()?)
            .map(<[f32]>::to_vec)
            .collect();
        Some(Self {
            train: train.min(rows),
            labels: labels.iter().map(|label| *label != 0).collect(),
            columns,
        })
    }
}
