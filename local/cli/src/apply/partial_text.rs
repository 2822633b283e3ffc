//! Texts of which a part is known only to a deployment, such as the account in an ARN.

use std::fmt;

use super::node::NodeValue;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TextPart {
    Known(String),
    Unknown(UnknownValue),
}

/// A value that cannot be read off the template. `Display` says so, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnknownValue {
    /// How the template names it.
    pub(super) name: String,
    /// What would help, as an imperative.
    pub(super) advice: String,
}

impl UnknownValue {
    pub(super) fn new(name: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            advice: advice.into(),
        }
    }

    /// A pseudo parameter that neither the service nor the command line tells.
    pub(super) fn pseudo_parameter(name: &str) -> Self {
        Self::new(name, format!("give `--parameter {name}=VALUE`"))
    }

    /// Whether it is one field of an ARN, so without `:` and `/`.
    fn is_arn_field(&self) -> bool {
        ["AWS::Partition", "AWS::Region", "AWS::AccountId"].contains(&self.name.as_str())
    }
}

impl fmt::Display for UnknownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, advice } = self;
        write!(f, "the value of `{name}` is not known here; {advice}")
    }
}

/// The value of a text in parts: plain where all of it is known.
pub(super) fn join_parts(parts: impl IntoIterator<Item = TextPart>) -> NodeValue {
    let mut joined: Vec<TextPart> = Vec::new();
    for part in parts {
        match (joined.last_mut(), part) {
            (Some(TextPart::Known(text)), TextPart::Known(more)) => text.push_str(&more),
            (_, part) => joined.push(part),
        }
    }
    match joined.as_slice() {
        [] => NodeValue::Text(String::new()),
        [TextPart::Known(text)] => NodeValue::Text(text.clone()),
        _ => NodeValue::Partial(joined),
    }
}

/// Splits a text; `None` if the delimiter could be in a part that is not known.
pub(super) fn split_parts(parts: &[TextPart], delimiter: &str) -> Option<Vec<NodeValue>> {
    let mut items: Vec<Vec<TextPart>> = vec![Vec::new()];
    for part in parts {
        let mut pieces = match part {
            TextPart::Known(text) => text
                .split(delimiter)
                .map(|piece| TextPart::Known(piece.to_owned()))
                .collect(),
            TextPart::Unknown(unknown) => {
                let separable = unknown.is_arn_field() && [":", "/"].contains(&delimiter);
                vec![separable.then(|| part.clone())?]
            }
        }
        .into_iter();
        if let Some(last) = items.last_mut() {
            last.extend(pieces.next());
        }
        items.extend(pieces.map(|piece| vec![piece]));
    }
    Some(items.into_iter().map(join_parts).collect())
}

/// The first part that is not known.
pub(super) fn find_unknown(parts: &[TextPart]) -> Option<&UnknownValue> {
    parts.iter().find_map(|part| match part {
        TextPart::Unknown(unknown) => Some(unknown),
        TextPart::Known(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> TextPart {
        TextPart::Known(text.to_owned())
    }

    fn show(value: &NodeValue) -> String {
        match value {
            NodeValue::Text(text) => text.clone(),
            NodeValue::Partial(parts) => parts
                .iter()
                .map(|part| match part {
                    TextPart::Known(text) => text.clone(),
                    TextPart::Unknown(unknown) => format!("<{}>", unknown.name),
                })
                .collect(),
            _ => panic!("{value:?}"),
        }
    }

    #[test]
    fn an_arn_is_split_around_the_fields_that_are_not_known() {
        let account = || TextPart::Unknown(UnknownValue::pseudo_parameter("AWS::AccountId"));
        let arn = [known("arn:"), account(), known(":label/x")];
        let split = |delimiter| {
            split_parts(&arn, delimiter).map(|items| items.iter().map(show).collect::<Vec<_>>())
        };
        assert_eq!(split(":").unwrap(), ["arn", "<AWS::AccountId>", "label/x"]);
        assert_eq!(split("/").unwrap(), ["arn:<AWS::AccountId>:label", "x"]);
        // An account has digits.
        assert_eq!(split("1"), None);
        assert_eq!(show(&join_parts([known("a"), known("b")])), "ab");
    }

    #[test]
    fn a_stack_id_may_hold_any_delimiter() {
        let stack = TextPart::Unknown(UnknownValue::pseudo_parameter("AWS::StackId"));
        assert!(split_parts(&[stack], "/").is_none());
    }
}
