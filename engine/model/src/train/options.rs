//! What training is asked for, and how it tells how far it is.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::error::TrainError;
use crate::maturity::{LabelsAre, Unlabelled};

/// Amazon's model types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ModelType {
    /// Each event by itself.
    #[default]
    OnlineFraudInsights,
    /// Events of entities with a history.
    TransactionFraudInsights,
    /// Log-ins.
    AccountTakeoverInsights,
}

/// How to train. Nothing here needs tuning.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the data must be good for.
    pub model_type: ModelType,
    /// Whether labels may still change.
    pub labels_are: LabelsAre,
    /// What events without a label stand for. `None`: as in Amazon's files, where up to 1 % may lack a label and count
    /// as legitimate, and more is an error.
    pub unlabelled: Option<Unlabelled>,
    /// The labels of the event type, for messages.
    pub label_values: String,
    /// The fewest variables that must vary: Amazon demands 2.
    pub min_variables: usize,
    /// When now is, in seconds since 1970; without it the latest time in the data.
    pub as_of: Option<i64>,
    /// How many trees all trials may grow together: the budget of the search. Not a time, so that the same data
    /// and seed give the same model on every machine.
    pub budget_trees: usize,
    /// Chooses rows and columns where chance does.
    pub seed: u64,
    /// How many threads grow trees; `None`: all.
    pub threads: Option<NonZeroUsize>,
}

impl Default for Options {
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
pub enum Stage {
    /// Making numbers of the training block.
    Features,
    /// Trying settings.
    Search,
    /// Making numbers of all events.
    AllFeatures,
    /// Growing the trees of the model.
    Growing,
}

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// How much of the whole is done, 0 to 1.
    pub done: f64,
}

/// Tells the caller how far it is, and hears when to stop.
pub(super) struct Teller<'a> {
    pub progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl Teller<'_> {
    pub fn at(&mut self, stage: Stage, done: f64) -> Result<(), TrainError> {
        match (self.progress)(Progress { stage, done }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TrainError::Cancelled),
        }
    }
}
