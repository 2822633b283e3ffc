//! What training says about the data.

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is trained.
    Error,
    /// The model will be worse for it.
    Warning,
    /// Good to know.
    Info,
}

/// A finding about the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// How bad it is.
    pub level: Level,
    /// The variable that it is about; `None`: the whole.
    pub field: Option<String>,
    /// In a few words.
    pub title: String,
    /// In a sentence.
    pub content: String,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings(pub Vec<Message>);

impl Findings {
    pub fn add(
        &mut self,
        level: Level,
        field: Option<&str>,
        title: &str,
        content: impl Into<String>,
    ) {
        self.0.push(Message {
            level,
            field: field.map(str::to_owned),
            title: title.to_owned(),
            content: content.into(),
        });
    }
}
