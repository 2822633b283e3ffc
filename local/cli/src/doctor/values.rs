//! Values of evaluated properties.

use crate::cloudformation::node::{NodeValue, YamlNode};
use crate::cloudformation::text_part::TextPart;

/// The value at a path of keys.
pub(super) fn find_path<'a>(node: &'a YamlNode, path: &[&str]) -> Option<&'a YamlNode> {
    path.iter().try_fold(node, |node, key| node.get(key))
}

/// A whole number.
pub(super) fn read_number(node: &YamlNode) -> Option<i64> {
    node.text()?.parse().ok()
}

/// Whether a value is `true`, as YAML spells it.
pub(super) fn is_true(node: Option<&YamlNode>) -> bool {
    let text = node.and_then(YamlNode::text);
    text.is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// A text, in which `${name}` stands for what only a deployment knows.
pub(super) fn read_text(node: &YamlNode) -> Option<String> {
    match &node.value {
        NodeValue::Text(text) => Some(text.clone()),
        NodeValue::Partial(parts) => Some(
            parts
                .iter()
                .map(|part| match part {
                    TextPart::Known(text) => text.clone(),
                    TextPart::Unknown(unknown) => format!("${{{}}}", unknown.name),
                })
                .collect(),
        ),
        _ => None,
    }
}

/// The items of a list, or the only value.
pub(super) fn list_items(node: Option<&YamlNode>) -> &[YamlNode] {
    match node {
        None => &[],
        Some(YamlNode {
            value: NodeValue::List(items),
            ..
        }) => items,
        Some(only) => std::slice::from_ref(only),
    }
}

/// The texts of a list, or the only one.
pub(super) fn read_texts(node: Option<&YamlNode>) -> Vec<String> {
    list_items(node).iter().filter_map(read_text).collect()
}

/// The resource that a value refers to, with the attribute if it names one: `Orders` and `Arn` of `!GetAtt Orders.Arn`.
pub(super) fn read_reference(node: &YamlNode) -> Option<(&str, Option<&str>)> {
    let NodeValue::Partial(parts) = &node.value else {
        return None;
    };
    let [TextPart::Unknown(unknown)] = parts.as_slice() else {
        return None;
    };
    Some(match unknown.name.split_once('.') {
        Some((id, attribute)) => (id, Some(attribute)),
        None => (&unknown.name, None),
    })
}
