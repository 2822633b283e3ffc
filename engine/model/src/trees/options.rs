//! The options of training a forest.

use std::num::NonZeroUsize;

use super::TreeError;
use super::metric::StopMetric;

/// How to train a forest. The defaults are those of LightGBM, but with more and smaller steps.
#[derive(Clone, Debug, PartialEq)]
pub struct BoostOptions {
    /// How many trees are grown at most.
    pub trees: usize,
    /// The factor of each tree's leaves, above 0 and at most 1.
    pub learning_rate: f64,
    /// How many leaves a tree has at most; at least 2.
    pub max_leaves: usize,
    /// How many splits there are at most between the root and a leaf; `None`: no limit.
    pub max_depth: Option<usize>,
    /// How many rows a leaf has at least. As in LightGBM, the rows are estimated from the hessians.
    pub min_rows: usize,
    /// The smallest sum of hessians that a leaf may have.
    pub min_child_hessian: f64,
    /// L1 regularisation: how much the gradient of a leaf is moved towards zero.
    pub lambda_l1: f64,
    /// L2 regularisation: what is added to the hessian of a leaf.
    pub lambda_l2: f64,
    /// How much a split must gain at least.
    pub min_gain: f64,
    /// The share of the columns that a tree may look at, above 0 and at most 1.
    pub feature_fraction: f64,
    /// The share of the training rows that a tree sees, above 0 and at most 1.
    pub row_fraction: f64,
    /// The measure on the stop rows.
    pub stop_metric: StopMetric,
    /// Training stops after so many trees without a better measure.
    pub patience: usize,
    /// The seed of the random columns and rows of each tree.
    pub seed: u64,
    /// The number of threads; `None`: all that `rayon` has.
    pub threads: Option<NonZeroUsize>,
}

impl Default for BoostOptions {
    fn default() -> Self {
        Self {
            trees: 300,
            learning_rate: 0.05,
            max_leaves: 31,
            max_depth: None,
            min_rows: 20,
            min_child_hessian: 1e-3,
            lambda_l1: 0.0,
            lambda_l2: 0.0,
            min_gain: 0.0,
            feature_fraction: 1.0,
            row_fraction: 1.0,
            stop_metric: StopMetric::default(),
            patience: 30,
            seed: 0,
            threads: None,
        }
    }
}

impl BoostOptions {
    /// Whether every option is within its range.
    pub(super) fn check(&self) -> Result<(), TreeError> {
        let share = |value: f64| value > 0.0 && value <= 1.0;
        let positive = |value: f64| value >= 0.0 && value.is_finite();
        let above = "above 0 and at most 1";
        let least = "a number of at least 0";
        #[expect(clippy::cast_precision_loss, reason = "for the error's text")]
        let rules = [
            ("trees", self.trees as f64, self.trees >= 1, "at least 1"),
            (
                "max_leaves",
                self.max_leaves as f64,
                self.max_leaves >= 2,
                "at least 2",
            ),
            (
                "patience",
                self.patience as f64,
                self.patience >= 1,
                "at least 1",
            ),
            (
                "learning_rate",
                self.learning_rate,
                share(self.learning_rate),
                above,
            ),
            (
                "feature_fraction",
                self.feature_fraction,
                share(self.feature_fraction),
                above,
            ),
            (
                "row_fraction",
                self.row_fraction,
                share(self.row_fraction),
                above,
            ),
            (
                "min_child_hessian",
                self.min_child_hessian,
                positive(self.min_child_hessian),
                least,
            ),
            ("lambda_l1", self.lambda_l1, positive(self.lambda_l1), least),
            ("lambda_l2", self.lambda_l2, positive(self.lambda_l2), least),
            ("min_gain", self.min_gain, positive(self.min_gain), least),
        ];
        match rules.into_iter().find(|(_, _, holds, _)| !holds) {
            Some((name, value, _, rule)) => Err(TreeError::Option { name, value, rule }),
            None => Ok(()),
        }
    }
}
