//! Why training gives no model.

use thiserror::Error;

use super::messages::TrainingMessage;
use crate::trees;

/// Why training gave no model.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The data does not meet the requirements. Holds all messages, errors first.
    #[error("{}", .0.first().map_or("the data cannot be trained on", |message| message.content.as_str()))]
    Data(Vec<TrainingMessage>),
    /// Too few labels are old enough to count.
    #[error(
        "only {fraud} fraudulent and {legit} legitimate events are old enough for their labels to be known ({wait_days:.0} days; {why}); 50 of each are needed. Wait, give more history, or say that labels are final"
    )]
    Immature {
        /// How many fraudulent events are old enough.
        fraud: usize,
        /// How many legitimate events are old enough.
        legit: usize,
        /// How long labels are waited for, in days.
        wait_days: f64,
        /// Why that long.
        why: String,
    },
    /// No variable separates fraud from legitimate events.
    #[error(
        "no variable tells fraudulent events from legitimate ones: all events would get the same score"
    )]
    NothingToLearn,
    /// The data set made for training would have too many rows.
    #[error("there are too many rows")]
    TooManyRows,
    /// The caller cancelled the training.
    #[error("training was cancelled")]
    Cancelled,
    /// Trees could not be grown.
    #[error(transparent)]
    Trees(trees::TreeError),
}

impl From<trees::TreeError> for TrainingError {
    fn from(error: trees::TreeError) -> Self {
        match error {
            trees::TreeError::Cancelled => Self::Cancelled,
            trees::TreeError::NothingToLearn => Self::NothingToLearn,
            other => Self::Trees(other),
        }
    }
}
