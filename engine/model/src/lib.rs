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
pub mod history;
pub mod import;
mod infer;
mod logins;
mod maturity;
mod messages;
pub mod metrics;
mod model;
mod train;
pub mod trees;
mod variable;
mod written;

pub use artifact::ArtifactError;
pub use calibration::{Calibration, Curve};
pub use dataset::{Dataset, Label, Row, RowError};
pub use features::Feature;
pub use infer::{Inferred, infer};
pub use logins::Logins;
pub use maturity::{LabelsAre, Maturity, Unlabelled};
pub use messages::{Level, Message};
pub use model::{Attribution, EVENT_TIME, Explanation, Impact, Importance, Model, Score};
pub use train::{ModelType, Options, Progress, Report, Stage, ThresholdRow, TrainError, train};
pub use variable::{UnknownVariableType, Variable, VariableType};
pub use written::{date, has_day_first, number, present};
