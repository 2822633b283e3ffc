//! Imports models of other libraries as a [`Forest`]: JSON files of XGBoost and text files of LightGBM.
//!
//! A row ends in the same leaf of every tree as in the library, rounding included.

mod format;
#[doc(hidden)]
pub mod fuzz;
mod lightgbm;
mod xgboost;

pub use lightgbm::read_lightgbm;
pub use xgboost::read_xgboost;

use crate::categories::Categories;
use crate::trees::{self, Forest};

/// An imported model.
#[derive(Clone, Debug, PartialEq)]
pub struct LibraryModel {
    /// The trees.
    pub forest: Forest,
    /// The features' names in the order of the row; `f0`, `f1`, ... if the file has none.
    pub features: Vec<String>,
    /// The values of the categorical features, in the order of the features; empty if the file names none, so that
    /// categories are numbers.
    pub categories: Vec<Option<Categories>>,
    /// What the sum of the trees stands for.
    pub output: ModelOutput,
    /// What the file says that makes no difference here, though it may elsewhere.
    pub notes: Vec<String>,
}

/// What the sum of a model's trees stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelOutput {
    /// The log-odds of the positive label.
    LogOdds,
    /// The value itself: a regression, or a margin that the library does not transform.
    Value,
}

impl LibraryModel {
    /// What the library would predict for a row: a probability, or the value.
    pub fn predict(&self, row: &[f64]) -> f64 {
        let sum = self.forest.log_odds(row);
        match self.output {
            ModelOutput::LogOdds => 1.0 / (1.0 + (-sum).exp()),
            ModelOutput::Value => sum,
        }
    }
}

/// Why a model file cannot be imported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LibraryModelError {
    /// The file is not in the format of its library.
    #[error("this is not {format}: {problem}")]
    Format {
        /// The file that was expected, and how to save it.
        format: &'static str,
        /// What is wrong, and where.
        problem: String,
    },
    /// The model is of a kind that cannot be imported.
    #[error("{what} cannot be imported: {instead}")]
    Unsupported {
        /// The model's kind.
        what: String,
        /// What can be imported instead.
        instead: &'static str,
    },
    /// There is nothing in the file.
    #[error("the file is empty")]
    Empty,
    /// The format is not known.
    #[error(
        "this is neither an XGBoost model in JSON (`booster.save_model(\"model.json\")`) nor a LightGBM model in text \
         (`booster.save_model(\"model.txt\")`)"
    )]
    Unknown,
    /// The trees are damaged.
    #[error("the model's trees are broken: {0}")]
    Trees(#[from] trees::TreeError),
}

/// Reads a model file of either library, and names the library.
///
/// # Errors
/// [`LibraryModelError`], in a sentence. A file in another format that is known is refused by its name.
pub fn read_model(bytes: &[u8]) -> Result<(&'static str, LibraryModel), LibraryModelError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match format::identify_format(bytes)? {
        format::ModelFormat::XgboostJson => Ok(("XGBoost", read_xgboost(bytes)?)),
        format::ModelFormat::LightgbmText => Ok(("LightGBM", read_lightgbm(bytes)?)),
    }
}

/// The names of the features: those of the file, or `f0`, `f1`, ... if it has none. `None` if the file has a different
/// number of names.
fn name_features(names: Vec<String>, features: usize) -> Option<Vec<String>> {
    match names {
        names if names.is_empty() => {
            Some((0..features).map(|feature| format!("f{feature}")).collect())
        }
        names => (names.len() == features).then_some(names),
    }
}
