//! Trains a model on labelled events.
//!
//! `checks` and `logins` decide whether the data can be trained on, `fit` trains: it prepares the events as a matrix
//! (`prepared`), searches settings for the trees (`search`) and makes the report (`report`).

mod checks;
mod error;
mod fit;
mod leaks;
mod logins;
mod messages;
mod options;
mod prepared;
mod report;
mod search;

use std::ops::ControlFlow;

use crate::calibration::ScoreCurve;
use crate::dataset::Dataset;
use crate::maturity::{UnlabelledTreatment, treat_labels};
use crate::model::Model;
use checks::check_data;
pub use error::TrainingError;
pub use messages::{Severity, TrainingMessage};
pub use options::{ModelType, TrainingOptions, TrainingProgress, TrainingStage};
pub use report::{TakeoverFigures, ThresholdRow, TrainingReport};

/// Trains a model, and reports how good it is.
///
/// `progress` is called from time to time and cancels the training with [`ControlFlow::Break`].
///
/// # Errors
/// [`TrainingError`], if the data does not meet the requirements, nothing can be learnt, or the caller cancels.
pub fn train_model(
    dataset: &Dataset,
    options: &TrainingOptions,
    progress: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
) -> Result<(Model, TrainingReport), TrainingError> {
    if options.model_type == ModelType::AccountTakeoverInsights {
        return logins::train_on_logins(dataset, options, progress);
    }
    let treatment = options.unlabelled.unwrap_or(UnlabelledTreatment::Legit);
    let messages = check_data(dataset, &treat_labels(dataset, treatment), options);
    if messages
        .iter()
        .any(|message| message.level == Severity::Error)
    {
        let mut messages = messages;
        messages.sort_by_key(|message| message.level != Severity::Error);
        return Err(TrainingError::Data(messages));
    }
    fit::fit_model(dataset, options, messages, ScoreCurve::Fraud, progress)
}
