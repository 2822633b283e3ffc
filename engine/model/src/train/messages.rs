//! Messages about the training data.

use serde::{Deserialize, Serialize};

/// How severe a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No model can be trained.
    Error,
    /// The model will be less good.
    Warning,
    /// For information.
    Info,
}

/// A message about the training data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingMessage {
    /// How severe it is.
    pub level: Severity,
    /// The variable that it is about; `None`: the whole data set.
    pub field: Option<String>,
    /// A short title.
    pub title: String,
    /// The message, in full sentences.
    pub content: String,
}

/// The title of the message about a column that is mostly empty.
pub(super) const MISSING_VALUES: &str = "Missing values";

/// The messages found so far.
#[derive(Default)]
pub(super) struct Findings(pub Vec<TrainingMessage>);

impl Findings {
    pub fn add(
        &mut self,
        level: Severity,
        field: Option<&str>,
        title: &str,
        content: impl Into<String>,
    ) {
        self.0.push(TrainingMessage {
            level,
            field: field.map(str::to_owned),
            title: title.to_owned(),
            content: content.into(),
        });
    }
}
