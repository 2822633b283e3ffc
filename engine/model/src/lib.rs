//! Fraud models: trained on labelled events, scored in microseconds, explained per variable.
//!
//! A pure library: no I/O, no clock, no AWS.
//!
//! A [`Dataset`] takes labelled events, one row of strings each. [`train_model()`] makes a [`Model`] and a [`TrainingReport`] of it.
//! The model scores and explains further events, and can be written as bytes and read again. [`infer_types()`] guesses the
//! types of a file's columns. [`history`] keeps what an entity did before, and [`import`] reads models of other
//! libraries.
//!
//! Modules, from the lowest: `hash`, `names`, `parse`, `text_shape` and `texts` know nothing of models; `value_reader` reads one
//! value; `history` keeps one entity's events; `dataset` holds labelled events and `histories` replays them; `features`
//! turns events into numbers; `trees` learns from numbers; `model` puts features, trees and calibration together;
//! `train` makes models.

mod artifact;
mod calibration;
mod categories;
mod dataset;
mod features;
#[doc(hidden)]
pub mod fuzz;
mod hash;
mod histories;
pub mod history;
pub mod import;
mod infer;
mod maturity;
pub mod metrics;
mod model;
pub mod names;
mod parse;
mod text_shape;
mod texts;
mod train;
pub mod trees;
mod value_reader;
mod variable;

pub use artifact::ArtifactError;
pub use calibration::{Calibration, ScoreCurve};
pub use categories::{Categories, Category};
pub use dataset::{Dataset, EventLabel, EventRow, RowError};
pub use features::Feature;
pub use histories::EntityHistories;
pub use history::is_nobody;
pub use infer::{InferredColumn, infer_types};
pub use maturity::{LabelsAre, Maturity, UnlabelledTreatment};
pub use model::{
    Attribution, EVENT_TIME, Explanation, HistoryImpact, Impact, Importance, Model, Score,
};
pub use parse::{has_day_first, parse_date, parse_number, trim_present_value};
pub use train::{
    ModelType, Severity, TakeoverFigures, ThresholdRow, TrainingError, TrainingMessage,
    TrainingOptions, TrainingProgress, TrainingReport, TrainingStage, train_model,
};
pub use variable::{UnknownVariableType, Variable, VariableType};
