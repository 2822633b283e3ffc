//! Models of other libraries as a [`Forest`]: XGBoost's JSON files and LightGBM's text files.
//!
//! A row takes the same way through every tree as in the library, down to how it rounds.

#[doc(hidden)]
pub mod fuzz;
mod lightgbm;
mod xgboost;

pub use lightgbm::lightgbm;
pub use xgboost::xgboost;

use crate::trees::{self, Forest};

/// A model that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The trees.
    pub forest: Forest,
    /// The features' names in the order of the row; `f0`, `f1`, ... if the file has none.
    pub features: Vec<String>,
    /// What the sum of the trees stands for.
    pub output: Output,
}

/// What the sum of a model's trees stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The log-odds of the positive label.
    LogOdds,
    /// The value itself: a regression, or a margin that the library does not transform.
    Value,
}

impl Imported {
    /// What the library would predict for a row: a probability, or the value.
    pub fn predict(&self, row: &[f64]) -> f64 {
        let sum = self.forest.log_odds(row);
        match self.output {
            Output::LogOdds => 1.0 / (1.0 + (-sum).exp()),
            Output::Value => sum,
        }
    }
}

/// Why a model file was not read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The file is not what its library writes.
    #[error("this is not {format}: {problem}")]
    Format {
        /// The file that was expected, and how to save it.
        format: &'static str,
        /// What is wrong, and where.
        problem: String,
    },
    /// The model is of a kind that is not read.
    #[error("{what} cannot be imported: {instead}")]
    Unsupported {
        /// The model's kind.
        what: String,
        /// What can be.
        instead: &'static str,
    },
    /// The trees are not trees.
    #[error("the model's trees are broken: {0}")]
    Trees(#[from] trees::Error),
}

/// The names of the features: the file's, or by position where it has none. `None` where the file
/// has another number of them.
fn named(names: Vec<String>, features: usize) -> Option<Vec<String>> {
    match names {
        names if names.is_empty() => {
            Some((0..features).map(|feature| format!("f{feature}")).collect())
        }
        names => (names.len() == features).then_some(names),
    }
}
