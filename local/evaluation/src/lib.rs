//! A model trained on one file of labelled events and measured on another.
//!
//! Nothing has to be prepared by hand: columns are found by their names and types by their values, and both can be
//! given. [`EventColumns::find`] reads the header, [`Evaluate::run`] trains and measures, and [`EvaluationResult`] is the result.
//! The rules of a detector file can be measured beside the model: see [`MeasuredDetector`].

mod error;
mod evaluate;
mod files;
mod format;
mod measures;
mod output;
mod page;
mod pictures;
mod result;
mod retraining;
mod rules_only;
mod score_promise;
mod split;
mod summary;
mod table;
pub mod text_table;
mod training;

pub use error::EvaluateError;
pub use evaluate::{Evaluate, LabelMaturity};
pub use files::{FileError, open_file};
pub use format::{format_auc, format_percent};
pub use measures::{LookUps, Measures, SHOWN_THRESHOLDS, ScoredEvent};
pub use pictures::PictureError;
pub use result::EvaluationResult;
pub use rules_only::{
    AppliedDetector, DetectorFile, FileRule, FileVariable, MeasuredDetector, RulesError, RulesOnly,
};
pub use table::{
    ColumnOptions, EventColumns, LabelMeaning, LabelValue, RowNotes, TableError, TableEvent,
};
