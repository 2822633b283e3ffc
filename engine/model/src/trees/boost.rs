//! Gradient boosting with logistic loss on a [`BinnedMatrix`], with histograms and leaf-wise growth.
//!
//! The same matrix, options and seed give the same forest, whatever the number of threads.

use std::ops::ControlFlow;

use rayon::prelude::*;

use super::binned::BinnedMatrix;
use super::grow::{BinTree, TreeGrower};
use super::histogram::{self, GradientScale, GradientSums};
pub use super::metric::StopMetric;
pub use super::options::BoostOptions;
use super::{Forest, TreeError};
use crate::hash::next_split_mix;

/// How many rows one task processes. The sums of the tasks are added in a fixed order.
const ROWS_PER_TASK: usize = 8192;

/// The progress of a training, reported after each tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoostProgress {
    /// How many trees have been grown.
    pub trees: usize,
    /// How many trees will be grown at most.
    pub of: usize,
    /// The measure on the stop rows, if there are any.
    pub measure: Option<f64>,
    /// The best measure so far.
    pub best: Option<f64>,
}

/// A trained forest.
#[derive(Clone, Debug)]
pub struct TrainedForest {
    /// The forest, up to its best tree.
    pub forest: Forest,
    /// The measure on the stop rows after each tree, those after the best one included.
    pub measures: Vec<f64>,
}

/// Trains a forest on `train_rows` until the measure on `stop_rows` no longer improves; without stop rows, it grows all
/// trees.
///
/// A label is `true` for what the forest is to find. The base score is the log-odds of the share of such training rows.
/// Labels and weights have one value for each row of the matrix. `progress` is called after each tree and cancels the
/// training with [`ControlFlow::Break`].
///
/// # Errors
/// [`TreeError`], if inputs do not fit the matrix, an option is out of range, nothing can be learnt, or the caller cancels.
pub fn train_forest(
    matrix: &BinnedMatrix,
    labels: &[bool],
    weights: Option<&[f32]>,
    train_rows: &[u32],
    stop_rows: &[u32],
    options: &BoostOptions,
    progress: &mut dyn FnMut(BoostProgress) -> ControlFlow<()>,
) -> Result<TrainedForest, TreeError> {
    options.check()?;
    let pool = build_thread_pool(options)?;
    let mut training =
        ForestTraining::new(matrix, labels, weights, train_rows, stop_rows, options)?;
    let mut trees = Vec::new();
    let mut measures = Vec::new();
    let mut best: Option<(usize, f64)> = None;
    for number in 0..options.trees {
        let grown = match &pool {
            Some(pool) => pool.install(|| training.grow_tree(number)),
            None => training.grow_tree(number),
        };
        let Some((tree, measure)) = grown else {
            // With other random columns and rows, a split may be possible.
            let drawn = options.feature_fraction < 1.0 || options.row_fraction < 1.0;
            if drawn && number - trees.len() < options.patience {
                continue;
            }
            break;
        };
        trees.push(tree.branches(matrix));
        if let Some(measure) = measure {
            measures.push(measure);
            if best.is_none_or(|(_, best)| options.stop_metric.is_better(measure, best)) {
                best = Some((trees.len(), measure));
            }
        }
        let told = progress(BoostProgress {
            trees: trees.len(),
            of: options.trees,
            measure,
            best: best.map(|(_, measure)| measure),
        });
        if told.is_break() {
            return Err(TreeError::Cancelled);
        }
        if best.is_some_and(|(at, _)| trees.len() - at >= options.patience) {
            break;
        }
    }
    if trees.is_empty() {
        return Err(TreeError::NothingToLearn);
    }
    if let Some((at, _)) = best {
        trees.truncate(at);
    }
    let trees = trees.iter().map(Vec::as_slice);
    let forest = Forest::new(matrix.columns(), training.base, trees)?;
    Ok(TrainedForest { forest, measures })
}

/// The threads that the options ask for; `None`: all that `rayon` has.
fn build_thread_pool(options: &BoostOptions) -> Result<Option<rayon::ThreadPool>, TreeError> {
    let Some(threads) = options.threads else {
        return Ok(None);
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .build()
        .map(Some)
        .map_err(|error| TreeError::Threads(error.to_string()))
}

/// What a row of the matrix is for.
#[derive(Clone, Copy, PartialEq)]
enum RowRole {
    Unused,
    Train,
    Stop,
}

/// The state of a training.
struct ForestTraining<'a> {
    matrix: &'a BinnedMatrix,
    labels: &'a [bool],
    weights: Option<&'a [f32]>,
    train_rows: &'a [u32],
    stop_rows: &'a [u32],
    options: &'a BoostOptions,
    base: f64,
    roles: Vec<RowRole>,
    /// The log-odds of each row of the matrix.
    scores: Vec<f64>,
    grower: TreeGrower<'a>,
}

impl<'a> ForestTraining<'a> {
    fn new(
        matrix: &'a BinnedMatrix,
        labels: &'a [bool],
        weights: Option<&'a [f32]>,
        train_rows: &'a [u32],
        stop_rows: &'a [u32],
        options: &'a BoostOptions,
    ) -> Result<Self, TreeError> {
        let rows = matrix.rows();
        let length = |what: &str, found: usize| {
            (found == rows)
                .then_some(())
                .ok_or_else(|| TreeError::Length {
                    what: what.to_owned(),
                    expected: rows,
                    found,
                })
        };
        length("the list of labels", labels.len())?;
        weights.map_or(Ok(()), |weights| {
            length("the list of weights", weights.len())
        })?;
        if train_rows.len() > histogram::MAX_ROWS {
            return Err(TreeError::TooManyRows {
                rows: train_rows.len(),
                most: histogram::MAX_ROWS,
            });
        }
        let mut roles = vec![RowRole::Unused; rows];
        for (role, list) in [(RowRole::Train, train_rows), (RowRole::Stop, stop_rows)] {
            for row in list {
                match roles.get_mut(*row as usize) {
                    None => return Err(TreeError::Row { row: *row, rows }),
                    Some(unused @ RowRole::Unused) => *unused = role,
                    Some(_) => return Err(TreeError::RowTwice { row: *row }),
                }
                let weight = weights.map_or(1.0, |weights| weights[*row as usize]);
                if !(weight.is_finite() && weight >= 0.0) {
                    return Err(TreeError::Weight { row: *row, weight });
                }
            }
        }
        let base = compute_base_score(labels, weights, train_rows)?;
        Ok(Self {
            matrix,
            labels,
            weights,
            train_rows,
            stop_rows,
            options,
            base,
            roles,
            scores: vec![base; rows],
            grower: TreeGrower::new(matrix, options),
        })
    }

    /// Grows one tree and adds it to the scores. Returns the tree and the measure on the stop rows; `None` if no split
    /// is possible.
    fn grow_tree(&mut self, number: usize) -> Option<(BinTree, Option<f64>)> {
        let scale = self.pack_gradients()?;
        let chance = SeededDraws::new(self.options.seed, number);
        let share = self.options.row_fraction;
        let seen = |row: u32| share >= 1.0 || chance.draw(u64::from(row)) < share;
        let rows = self.train_rows.iter().copied();
        self.grower.rows.clear();
        self.grower.rows.extend(rows.filter(|row| seen(*row)));
        let share = self.options.feature_fraction;
        let allowed = draw_columns(self.matrix, share, chance);
        let tree = self.grower.grow(scale, &allowed)?;
        self.add_tree(&tree, seen);
        let measure = (!self.stop_rows.is_empty()).then(|| self.measure_stop_rows());
        Some((tree, measure))
    }

    /// Computes and packs the gradients of the training rows.
    fn pack_gradients(&mut self) -> Option<GradientScale> {
        let (labels, weights) = (self.labels, self.weights);
        let weight = |row: usize| weights.map_or(1.0, |weights| f64::from(weights[row]));
        // First as two 32-bit numbers, stored where the packed ones will be.
        let sums: Vec<GradientSums> = self
            .grower
            .packed
            .par_chunks_mut(ROWS_PER_TASK)
            .zip(self.scores.par_chunks(ROWS_PER_TASK))
            .zip(self.roles.par_chunks(ROWS_PER_TASK))
            .enumerate()
            .map(|(chunk, ((packed, scores), roles))| {
                let mut sums = GradientSums::default();
                let rows = packed.iter_mut().zip(scores).zip(roles);
                for (row, ((packed, score), role)) in (chunk * ROWS_PER_TASK..).zip(rows) {
                    if *role == RowRole::Train {
                        let p = compute_probability(*score);
                        let label = f64::from(u8::from(labels[row]));
                        let gradient = weight(row) * (p - label);
                        let hessian = weight(row) * p * (1.0 - p);
                        sums.gradient += gradient.abs();
                        sums.hessian += hessian;
                        *packed = join_halves(gradient, hessian);
                    }
                }
                sums
            })
            .collect();
        let total = sums
            .iter()
            .fold(GradientSums::default(), |total, sums| GradientSums {
                gradient: total.gradient + sums.gradient,
                hessian: total.hessian + sums.hessian,
            });
        // Each was rounded by at most 2^-24, so the sums may be a little larger.
        let room = 1.0 + 1e-6;
        let scale = GradientScale::new(
            self.train_rows.len(),
            GradientSums {
                gradient: total.gradient * room,
                hessian: total.hessian * room,
            },
        )?;
        let rows = self.grower.packed.par_iter_mut().zip(&self.roles);
        rows.with_min_len(ROWS_PER_TASK).for_each(|(packed, role)| {
            if *role == RowRole::Train {
                let (gradient, hessian) = split_halves(*packed);
                *packed = scale.pack(gradient, hessian);
            }
        });
        Some(scale)
    }

    /// Adds a tree to the scores. For the rows that it was grown on, the leaves are known; the others go through the
    /// tree.
    fn add_tree(&mut self, tree: &BinTree, seen: impl Fn(u32) -> bool + Sync) {
        for (range, value) in &tree.leaves {
            for row in &self.grower.rows[range.clone()] {
                self.scores[*row as usize] += value;
            }
        }
        let matrix = self.matrix;
        let last = u32::try_from(self.scores.len()).unwrap_or(u32::MAX);
        let rows = self.scores.par_iter_mut().zip(&self.roles).zip(0..last);
        let walk = |((score, role), row): ((&mut f64, &RowRole), u32)| {
            if *role == RowRole::Stop || *role == RowRole::Train && !seen(row) {
                *score += tree.value(matrix, row);
            }
        };
        rows.with_min_len(ROWS_PER_TASK).for_each(walk);
    }

    fn measure_stop_rows(&self) -> f64 {
        let row = |row: &u32| {
            let row = *row as usize;
            let weight = self.weights.map_or(1.0, |weights| weights[row]);
            (self.scores[row], self.labels[row], weight)
        };
        let mut rows: Vec<_> = self.stop_rows.iter().map(row).collect();
        self.options.stop_metric.measure(&mut rows)
    }
}

/// Stores two 32-bit floats in one 64-bit number. 24 bits of a gradient are enough.
#[expect(clippy::cast_possible_truncation, reason = "24 bits are enough")]
fn join_halves(gradient: f64, hessian: f64) -> i64 {
    let [gradient, hessian] =
        [gradient, hessian].map(|number| u64::from((number as f32).to_bits()));
    (gradient << 32 | hessian).cast_signed()
}

#[expect(clippy::cast_possible_truncation, reason = "undoes `pair`")]
fn split_halves(pair: i64) -> (f64, f64) {
    let pair = pair.cast_unsigned();
    let [gradient, hessian] = [pair >> 32, pair].map(|bits| f64::from(f32::from_bits(bits as u32)));
    (gradient, hessian)
}

/// The log-odds of the share of positive training rows.
fn compute_base_score(
    labels: &[bool],
    weights: Option<&[f32]>,
    rows: &[u32],
) -> Result<f64, TreeError> {
    let (mut positive, mut negative) = (0.0, 0.0);
    for row in rows {
        let row = *row as usize;
        let weight = weights.map_or(1.0, |weights| f64::from(weights[row]));
        *(if labels[row] {
            &mut positive
        } else {
            &mut negative
        }) += weight;
    }
    if positive > 0.0 && negative > 0.0 {
        Ok((positive / negative).ln())
    } else {
        Err(TreeError::OneClass {
            label: positive > 0.0,
        })
    }
}

fn compute_probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Which columns a tree may look at: a random share of those that vary, at least one.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the columns"
)]
fn draw_columns(matrix: &BinnedMatrix, share: f64, chance: SeededDraws) -> Vec<bool> {
    let mut order: Vec<usize> = (0..matrix.columns())
        .filter(|column| matrix.columns[*column].varies)
        .collect();
    let keep = ((order.len() as f64 * share).round() as usize).max(1);
    // The highest bit keeps the draws of columns and rows independent.
    order.sort_by(|a, b| {
        let draw = |column: usize| chance.draw(column as u64 | 1 << 63);
        draw(*a).total_cmp(&draw(*b))
    });
    let mut allowed = vec![false; matrix.columns()];
    for column in order.into_iter().take(keep) {
        allowed[column] = true;
    }
    allowed
}

/// Random draws that depend only on the seed, the tree and what is drawn for, not on earlier draws.
#[derive(Clone, Copy)]
struct SeededDraws(u64);

impl SeededDraws {
    fn new(seed: u64, tree: usize) -> Self {
        Self(next_split_mix(next_split_mix(seed) ^ tree as u64))
    }

    /// A number in `[0, 1)`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    fn draw(self, what: u64) -> f64 {
        (next_split_mix(self.0 ^ what) >> 11) as f64 / 2_f64.powi(53)
    }
}
