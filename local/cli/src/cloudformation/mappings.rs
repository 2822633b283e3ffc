//! `Mappings` and `Fn::FindInMap`.

use super::evaluator::TemplateEvaluator;
use super::node::{NodeValue, YamlNode};
use super::problem::LineColumn;

const FIND_IN_MAP: &str =
    "`Fn::FindInMap` has the name of a mapping, two keys, and may have `DefaultValue`";

impl TemplateEvaluator<'_> {
    pub(crate) fn find_in_map(&mut self, at: LineColumn, argument: &YamlNode) -> NodeValue {
        let Some(NodeValue::List(items)) = self.evaluate_node(argument).map(|node| node.value)
        else {
            return self.refuse_call(at, FIND_IN_MAP);
        };
        let (keys, default) = match items.as_slice() {
            [keys @ .., options] if keys.len() == 3 => match options.get("DefaultValue") {
                Some(default) => (keys, Some(default)),
                None => return self.refuse_call(options.at, FIND_IN_MAP),
            },
            keys if keys.len() == 3 => (keys, None),
            _ => return self.refuse_call(at, FIND_IN_MAP),
        };
        let mut path = String::from("Mappings");
        let mut found = self.mappings;
        for key in keys {
            let key = match &key.value {
                NodeValue::Text(key) => key,
                value @ (NodeValue::Partial(_) | NodeValue::Refused) => return value.clone(),
                _ => return self.refuse_call(key.at, FIND_IN_MAP),
            };
            let Some(next) = found.and_then(|node| node.get(key)) else {
                return match default {
                    Some(default) => default.value.clone(),
                    None => self.refuse_missing_key(at, found, &path, key),
                };
            };
            path = format!("{path}.{key}");
            found = Some(next);
        }
        match found.map(|node| &node.value) {
            Some(value @ (NodeValue::Text(_) | NodeValue::List(_))) => value.clone(),
            _ => self.refuse_call(at, format!("`{path}` is not a text or a list")),
        }
    }

    fn refuse_missing_key(
        &mut self,
        at: LineColumn,
        found: Option<&YamlNode>,
        path: &str,
        key: &str,
    ) -> NodeValue {
        let keys: Vec<&str> = found
            .and_then(YamlNode::entries)
            .unwrap_or_default()
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        let expected = match keys.as_slice() {
            [] => "it is empty".to_owned(),
            keys => format!("expected {}", keys.join(", ")),
        };
        self.refuse_call(at, format!("`{path}` has no `{key}`; {expected}"))
    }
}
