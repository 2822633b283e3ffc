//! Trains a model on labelled events.
//!
//! `checks` and `logins` decide whether the data can be trained on, `fit` trains: it prepares the events as a matrix
//! (`prepared`), searches settings for the trees (`search`) and makes the report (`report`).

mod checks;
mod error;
mod fit;
mod logins;
mod messages;
mod options;
mod prepared;
mod report;
mod search;

use std::ops::ControlFlow;

use crate::calibration::Curve;
use crate::dataset::Dataset;
use crate::maturity::{Unlabelled, treated};
use crate::model::Model;
use checks::check;
pub use error::TrainError;
pub use messages::{Level, Message};
pub use options::{ModelType, Options, Progress, Stage};
pub use report::{Logins, Report, ThresholdRow};

/// Trains a model, and reports how good it is.
///
/// `progress` is called from time to time and cancels the training with [`ControlFlow::Break`].
///
/// # Errors
/// [`TrainError`], if the data does not meet the requirements, nothing can be learnt, or the caller cancels.
pub fn train(
    dataset: &Dataset,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Model, Report), TrainError> {
    if options.model_type == ModelType::AccountTakeoverInsights {
        return logins::train(dataset, options, progress);
    }
    let treatment = options.unlabelled.unwrap_or(Unlabelled::Legit);
    let messages = check(dataset, &treated(dataset, treatment), options);
    if messages.iter().any(|message| message.level == Level::Error) {
        let mut messages = messages;
        messages.sort_by_key(|message| message.level != Level::Error);
        return Err(TrainError::Data(messages));
    }
    fit::fit(dataset, options, messages, Curve::Fraud, progress)
}
