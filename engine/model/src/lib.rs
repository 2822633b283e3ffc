//! Fraud models: trained on labelled events, scored in microseconds, explained per variable.
//!
//! Pure: no I/O, no clock, no AWS.
//!
//! A [`Dataset`] takes events as strings, row by row; [`train`] gives a [`Model`] and a [`Report`]; the model scores
//! and explains events as strings again, and goes to and from bytes. [`infer`] guesses the types of a file's columns.

mod artifact;
mod calibration;
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
mod parse;
mod text_shape;
mod texts;
mod train;
pub mod trees;
mod value_reader;
mod variable;

pub use artifact::ArtifactError;
pub use calibration::{Calibration, Curve};
pub use dataset::{Dataset, Label, Row, RowError};
pub use features::Feature;
pub use histories::Histories;
pub use infer::{Inferred, infer};
pub use maturity::{LabelsAre, Maturity, Unlabelled};
pub use model::{Attribution, EVENT_TIME, Explanation, Impact, Importance, Model, Score};
pub use parse::{date, has_day_first, number, present};
pub use train::{
    Level, Logins, Message, ModelType, Options, Progress, Report, Stage, ThresholdRow, TrainError,
    train,
};
pub use variable::{UnknownVariableType, Variable, VariableType};
