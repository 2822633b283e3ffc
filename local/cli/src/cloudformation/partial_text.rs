//! Joins and splits texts of which a part is known only to a deployment.

use super::node::NodeValue;
use super::text_part::TextPart;

/// The value of a text in parts: plain where all of it is known.
pub(crate) fn join_parts(parts: impl IntoIterator<Item = TextPart>) -> NodeValue {
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
pub(crate) fn split_parts(parts: &[TextPart], delimiter: &str) -> Option<Vec<NodeValue>> {
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

#[cfg(test)]
mod tests {
    use super::super::text_part::UnknownValue;
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
