//! Events as a matrix, ready for trees.

use std::num::NonZeroUsize;

use super::error::TrainingError;
use super::options::{ProgressReporter, TrainingOptions, TrainingProgress, TrainingStage};
use crate::dataset::Dataset;
use crate::features::Encoder;
use crate::features::plan::{LearningPlan, TrainingRows};
use crate::hash::mix_bits;
use crate::maturity::LabelledEvent;
use crate::trees::{BinnedMatrix, Forest, boost};

/// Events as a matrix of features, with the rows of each block.
pub(super) struct PreparedEvents {
    pub encoder: Encoder,
    pub matrix: BinnedMatrix,
    labels: Vec<bool>,
    pub train: Vec<u32>,
    stop: Vec<u32>,
    /// The features of the validation block, column by column.
    validation: Vec<Vec<f64>>,
    /// Where the validation block begins.
    validation_from: usize,
    /// The features of the legitimate events that are held back from growing the trees, column by column.
    held_back: Vec<Vec<f64>>,
    threads: Option<NonZeroUsize>,
}

impl PreparedEvents {
    /// Computes the features. Events before `train_to` are for training, those before `stop_to` for stopping, the rest
    /// for validation.
    pub fn new(
        dataset: &Dataset,
        events: &[LabelledEvent],
        train_to: usize,
        stop_to: usize,
        options: &TrainingOptions,
    ) -> Result<Self, TrainingError> {
        let rows: Vec<u32> = events.iter().map(|event| event.row).collect();
        let labels: Vec<bool> = events.iter().map(|event| event.fraud).collect();
        let plan = if events.first().is_some_and(|event| event.time.is_some()) {
            let times: Vec<i64> = events
                .iter()
                .map(|event| event.time.unwrap_or_default())
                .collect();
            let known: Vec<i64> = events.iter().map(|event| event.known).collect();
            LearningPlan::by_time(&times, &known, train_to)
        } else {
            // The events are in the order of their hashes, so their places are as good as random.
            let folds: Vec<u64> = (0..events.len() as u64)
                .map(|at| mix_bits(at ^ options.seed))
                .collect();
            let held_out: Vec<bool> = (0..events.len()).map(|at| at >= train_to).collect();
            LearningPlan::by_hash(&folds, &held_out)
        };
        let held_back_rows = choose_held_back(&events[..train_to], options.seed);
        let mut matrix = BinnedMatrix::new(events.len());
        let mut validation = Vec::new();
        let mut held_back = Vec::new();
        let shown_from: Vec<Option<i64>> = events.iter().map(|event| event.shown_from).collect();
        let fit = TrainingRows {
            rows: &rows,
            labels: &labels,
            shown_from: &shown_from,
            plan: &plan,
            seed: options.seed,
        };
        let encoder = Encoder::fit(dataset, &fit, &mut |name, column| {
            validation.push(column[stop_to..].to_vec());
            held_back.push(held_back_rows.iter().map(|row| column[*row]).collect());
            matrix.push(name, column)
        })?;
        let is_held_back = |row: &u32| held_back_rows.binary_search(&(*row as usize)).is_ok();
        let index = |range: std::ops::Range<usize>| -> Vec<u32> {
            (0_u32..)
                .take(range.end)
                .skip(range.start)
                .filter(|row| !is_held_back(row))
                .collect()
        };
        Ok(Self {
            encoder,
            matrix,
            labels,
            train: index(0..train_to),
            stop: index(train_to..stop_to),
            validation,
            validation_from: stop_to,
            held_back,
            threads: options.threads,
        })
    }

    /// Grows a forest. `span` is the part of the whole training that this takes.
    pub fn grow_forest(
        &self,
        settings: &boost::BoostOptions,
        stage: TrainingStage,
        span: std::ops::Range<f64>,
        tell: &mut ProgressReporter<'_>,
    ) -> Result<Forest, TrainingError> {
        Ok(self.boost_forest(settings, stage, span, tell)?.forest)
    }

    /// Grows a forest and measures it on the stop block after each tree.
    pub fn boost_forest(
        &self,
        settings: &boost::BoostOptions,
        stage: TrainingStage,
        span: std::ops::Range<f64>,
        tell: &mut ProgressReporter<'_>,
    ) -> Result<boost::TrainedForest, TrainingError> {
        let settings = boost::BoostOptions {
            threads: self.threads,
            ..settings.clone()
        };
        let mut each = |progress: boost::BoostProgress| {
            #[expect(clippy::cast_precision_loss, reason = "numbers of trees")]
            let share = progress.trees as f64 / progress.of.max(1) as f64;
            let done = span.start + (span.end - span.start) * share;
            (tell.progress)(TrainingProgress { stage, done })
        };
        Ok(boost::train_forest(
            &self.matrix,
            &self.labels,
            None,
            &self.train,
            &self.stop,
            &settings,
            &mut each,
        )?)
    }

    /// The log-odds and the label of each validation event.
    pub fn validation_scores(&self, forest: &Forest) -> Vec<(f64, bool)> {
        compute_log_odds(forest, &self.validation)
            .into_iter()
            .zip(self.labels[self.validation_from..].iter().copied())
            .collect()
    }

    /// The log-odds of the legitimate events that are held back.
    pub fn held_back_scores(&self, forest: &Forest) -> Vec<f64> {
        compute_log_odds(forest, &self.held_back)
    }
}

/// The log-odds of each row of a matrix that is given column by column.
fn compute_log_odds(forest: &Forest, columns: &[Vec<f64>]) -> Vec<f64> {
    let rows = columns.first().map_or(0, Vec::len);
    let mut row = vec![0.0; columns.len()];
    let mut log_odds = Vec::with_capacity(rows);
    for at in 0..rows {
        for (value, column) in row.iter_mut().zip(columns) {
            *value = column[at];
        }
        log_odds.push(forest.log_odds(&row));
    }
    log_odds
}

/// Of so many legitimate events or more, 10 % are held back, of fewer 20 %.
const MANY_LEGIT: usize = 20_000;

/// Chooses by chance the legitimate events from which no tree learns, so that scores can be measured on them: a tree
/// knows the events that it has grown from too well. Their places ascend.
fn choose_held_back(events: &[LabelledEvent], seed: u64) -> Vec<usize> {
    let legit = events.iter().filter(|event| !event.fraud).count();
    let percent = if legit >= MANY_LEGIT { 10 } else { 20 };
    let is_chosen =
        |event: &LabelledEvent| mix_bits(u64::from(event.row) ^ mix_bits(seed)) % 100 < percent;
    let legit = events.iter().enumerate().filter(|(_, event)| !event.fraud);
    legit
        .filter(|(_, event)| is_chosen(event))
        .map(|(at, _)| at)
        .collect()
}
