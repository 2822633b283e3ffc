//! Why an evaluation failed.

use std::path::Path;

use thiserror::Error;

use crate::pictures::PictureError;
use crate::rules_only::RulesError;
use crate::table::TableError;

/// Why nothing was measured, or a result was not written.
#[derive(Debug, Error)]
pub enum EvaluateError {
    /// A file.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Training.
    #[error("{0}")]
    Train(String),
    /// The test file has events of one kind only.
    #[error(
        "{path}: {fraud} fraudulent and {legit} legitimate events; without one of each there is nothing to measure"
    )]
    OneKind {
        /// The file.
        path: String,
        /// How many are fraud.
        fraud: usize,
        /// How many are not.
        legit: usize,
    },
    /// `--gap` or `--retrain-every` without times.
    #[error(
        "{option} needs the time of each event, and the events of the test have none; name their column with --timestamp"
    )]
    NoTimes {
        /// The option.
        option: &'static str,
    },
    /// `--retrain-every` with a time that is too short.
    #[error(
        "the test covers {days} days, and --retrain-every would train {most} models or more; give a longer time"
    )]
    ManyModels {
        /// How long the test is.
        days: i64,
        /// How many models are trained at most.
        most: usize,
    },
    /// A file that cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The rules of the detector file.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// A picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The scores cannot be written.
    #[error("{path}: {source}")]
    Csv {
        /// The file.
        path: String,
        /// Why.
        source: csv::Error,
    },
}

/// Adds the file's name to what is wrong with it.
pub(crate) fn io_error_in(path: &Path) -> impl Fn(std::io::Error) -> EvaluateError {
    let path = path.display().to_string();
    move |source| EvaluateError::Io {
        path: path.clone(),
        source,
    }
}
