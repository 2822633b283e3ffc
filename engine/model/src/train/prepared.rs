//! Events as a matrix, ready for trees.

use std::num::NonZeroUsize;

use super::error::TrainError;
use super::options::{Options, Progress, Stage, Teller};
use crate::dataset::Dataset;
use crate::features::Encoder;
use crate::features::plan::{Examples, Plan};
use crate::hash::mix;
use crate::maturity::Labelled;
use crate::trees::{Binned, Forest, boost};

/// Events as a matrix of features, with the rows of each block.
pub(super) struct Prepared {
    pub encoder: Encoder,
    pub matrix: Binned,
    labels: Vec<bool>,
    pub train: Vec<u32>,
    stop: Vec<u32>,
    /// The features of the validation block, column by column.
    validation: Vec<Vec<f64>>,
    /// Where the validation block begins.
    validation_from: usize,
    threads: Option<NonZeroUsize>,
}

impl Prepared {
    /// Computes the features. Events before `train_to` are for training, those before `stop_to` for stopping, the rest
    /// for validation.
    pub fn new(
        dataset: &Dataset,
        events: &[Labelled],
        train_to: usize,
        stop_to: usize,
        options: &Options,
    ) -> Result<Self, TrainError> {
        let rows: Vec<u32> = events.iter().map(|event| event.row).collect();
        let labels: Vec<bool> = events.iter().map(|event| event.fraud).collect();
        let plan = if events.first().is_some_and(|event| event.time.is_some()) {
            let times: Vec<i64> = events
                .iter()
                .map(|event| event.time.unwrap_or_default())
                .collect();
            let known: Vec<i64> = events.iter().map(|event| event.known).collect();
            Plan::blocks(&times, &known, train_to)
        } else {
            // The events are in the order of their hashes, so their places are as good as random.
            let folds: Vec<u64> = (0..events.len() as u64)
                .map(|at| mix(at ^ options.seed))
                .collect();
            let held_out: Vec<bool> = (0..events.len()).map(|at| at >= train_to).collect();
            Plan::folds(&folds, &held_out)
        };
        let mut matrix = Binned::new(events.len());
        let mut validation = Vec::new();
        let fit = Examples {
            rows: &rows,
            labels: &labels,
            plan: &plan,
            seed: options.seed,
        };
        let encoder = Encoder::fit(dataset, &fit, &mut |name, column| {
            validation.push(column[stop_to..].to_vec());
            matrix.push(name, column)
        })?;
        let index = |range: std::ops::Range<usize>| -> Vec<u32> {
            (0_u32..).take(range.end).skip(range.start).collect()
        };
        Ok(Self {
            encoder,
            matrix,
            labels,
            train: index(0..train_to),
            stop: index(train_to..stop_to),
            validation,
            validation_from: stop_to,
            threads: options.threads,
        })
    }

    /// Grows a forest. `span` is the part of the whole training that this takes.
    pub fn grow(
        &self,
        settings: &boost::Options,
        stage: Stage,
        span: std::ops::Range<f64>,
        tell: &mut Teller<'_>,
    ) -> Result<Forest, TrainError> {
        Ok(self.boost(settings, stage, span, tell)?.forest)
    }

    /// Grows a forest and measures it on the stop block after each tree.
    pub fn boost(
        &self,
        settings: &boost::Options,
        stage: Stage,
        span: std::ops::Range<f64>,
        tell: &mut Teller<'_>,
    ) -> Result<boost::Trained, TrainError> {
        let settings = boost::Options {
            threads: self.threads,
            ..settings.clone()
        };
        let mut each = |progress: boost::Progress| {
            #[expect(clippy::cast_precision_loss, reason = "numbers of trees")]
            let share = progress.trees as f64 / progress.of.max(1) as f64;
            let done = span.start + (span.end - span.start) * share;
            (tell.progress)(Progress { stage, done })
        };
        Ok(boost::train(
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
    pub fn scores(&self, forest: &Forest) -> Vec<(f64, bool)> {
        let mut row = vec![0.0; self.validation.len()];
        self.labels[self.validation_from..]
            .iter()
            .enumerate()
            .map(|(at, label)| {
                for (value, column) in row.iter_mut().zip(&self.validation) {
                    *value = column[at];
                }
                (forest.log_odds(&row), *label)
            })
            .collect()
    }
}
