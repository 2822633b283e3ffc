//! The options of training, and its progress.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::error::TrainingError;
use crate::maturity::{LabelsAre, UnlabelledTreatment};

/// Amazon's model types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ModelType {
    /// Judges each event by its own values.
    #[default]
    OnlineFraudInsights,
    /// Judges events also by the history of their entities.
    TransactionFraudInsights,
    /// Judges log-ins by the history of their accounts.
    AccountTakeoverInsights,
}

/// How to train. The defaults need no tuning.
#[derive(Clone, Debug)]
pub struct TrainingOptions {
    /// The type of model to train.
    pub model_type: ModelType,
    /// Whether labels may still change.
    pub labels_are: LabelsAre,
    /// How events without a label are treated. `None`: as Amazon does with files, where such events count as
    /// legitimate, and more than 1 % of them are an error.
    pub unlabelled: Option<UnlabelledTreatment>,
    /// The labels of the event type, as messages show them.
    pub label_values: String,
    /// At least so many variables must have different values: Amazon requires 2.
    pub min_variables: usize,
    /// The time at which labels are judged, in seconds since 1970; `None`: the latest time in the data.
    pub as_of: Option<i64>,
    /// The budget of the search for settings: how many trees all trials together may grow. It is not a time, so that
    /// the same data and seed give the same model on every machine.
    pub budget_trees: usize,
    /// The seed of all random choices.
    pub seed: u64,
    /// How many threads grow trees; `None`: as many as there are.
    pub threads: Option<NonZeroUsize>,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self {
            model_type: ModelType::default(),
            labels_are: LabelsAre::default(),
            unlabelled: None,
            label_values: "[]".to_owned(),
            min_variables: 2,
            as_of: None,
            budget_trees: 2400,
            seed: 1,
            threads: None,
        }
    }
}

/// What training is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingStage {
    /// Computing the features of the training block.
    Features,
    /// Trying settings for the trees.
    Search,
    /// Computing the features of all events.
    AllFeatures,
    /// Growing the trees of the model.
    Growing,
}

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingProgress {
    /// What it is doing.
    pub stage: TrainingStage,
    /// How much of the whole training is done, from 0 to 1.
    pub done: f64,
}

/// Reports progress to the caller, who may cancel.
pub(super) struct ProgressReporter<'a> {
    pub progress: &'a mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
}

impl ProgressReporter<'_> {
    pub fn report(&mut self, stage: TrainingStage, done: f64) -> Result<(), TrainingError> {
        match (self.progress)(TrainingProgress { stage, done }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TrainingError::Cancelled),
        }
    }
}
