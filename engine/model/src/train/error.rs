//! Why training gives no model.

use thiserror::Error;

use super::messages::Message;
use crate::trees;

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data does not allow it: all that was found, errors first.
    #[error("{}", .0.first().map_or("the data cannot be trained on", |message| message.content.as_str()))]
    Data(Vec<Message>),
    /// Too many labels are younger than the time that labels take.
    #[error(
        "only {fraud} fraudulent and {legit} legitimate events are old enough for their labels to be known ({wait_days:.0} days; {why}); 50 of each are needed. Wait, give more history, or say that labels are final"
    )]
    Immature {
        /// Fraud that is left.
        fraud: usize,
        /// Legitimate events that are left.
        legit: usize,
        /// The wait, in days.
        wait_days: f64,
        /// Why that long.
        why: String,
    },
    /// Nothing tells fraud from the rest.
    #[error(
        "no variable tells fraudulent events from legitimate ones: all events would get the same score"
    )]
    NothingToLearn,
    /// A data set cannot hold them.
    #[error("there are too many rows")]
    TooManyRows,
    /// The caller stopped it.
    #[error("training was cancelled")]
    Cancelled,
    /// Trees could not be grown.
    #[error(transparent)]
    Trees(trees::Error),
}

impl From<trees::Error> for TrainError {
    fn from(error: trees::Error) -> Self {
        match error {
            trees::Error::Cancelled => Self::Cancelled,
            trees::Error::NothingToLearn => Self::NothingToLearn,
            other => Self::Trees(other),
        }
    }
}
