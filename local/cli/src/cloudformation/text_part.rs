//! Texts of which a part is known only to a deployment, such as the account in an ARN.

use std::fmt;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextPart {
    Known(String),
    Unknown(UnknownValue),
}

/// A value that cannot be read off the template. `Display` says so, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownValue {
    /// How the template names it.
    pub(crate) name: String,
    /// What would help, as an imperative.
    pub(crate) advice: String,
}

impl UnknownValue {
    pub(crate) fn new(name: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            advice: advice.into(),
        }
    }

    /// A pseudo parameter that neither the service nor the command line tells.
    pub(crate) fn pseudo_parameter(name: &str) -> Self {
        Self::new(name, format!("give `--parameter {name}=VALUE`"))
    }

    /// Whether it is one field of an ARN, so without `:` and `/`.
    pub(crate) fn is_arn_field(&self) -> bool {
        ["AWS::Partition", "AWS::Region", "AWS::AccountId"].contains(&self.name.as_str())
    }
}

impl fmt::Display for UnknownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, advice } = self;
        write!(f, "the value of `{name}` is not known here; {advice}")
    }
}

/// The first part that is not known.
pub(crate) fn find_unknown(parts: &[TextPart]) -> Option<&UnknownValue> {
    parts.iter().find_map(|part| match part {
        TextPart::Unknown(unknown) => Some(unknown),
        TextPart::Known(_) => None,
    })
}
