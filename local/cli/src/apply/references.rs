//! References of a template: names of resources behind ARNs, functions, or definitions in place.

use super::reader::{INLINE, TemplateReader};
use super::resource_types::{Kind, REFERENCE};
use crate::cloudformation::node::{NodeValue, YamlNode};
use crate::cloudformation::problem::LineColumn;
use crate::cloudformation::text_part::TextPart;

impl<'a> TemplateReader<'a> {
    /// The names in a list of parts, each with `Arn` or defined inline.
    pub(super) fn read_names(
        &mut self,
        kind: Kind,
        node: &'a YamlNode,
        least: usize,
    ) -> Vec<String> {
        let items = self.read_items(node);
        if items.len() < least {
            self.report_problem(
                node.at,
                format!("expected at least {least} of {}", kind.word()),
            );
        }
        let mut names: Vec<String> = Vec::with_capacity(items.len());
        for item in items {
            match self.read_part_name(kind, item) {
                Some(name) if names.contains(&name) => {
                    self.report_problem(
                        item.at,
                        format!("{} `{name}` is in the list twice", kind.word()),
                    );
                }
                name => names.extend(name),
            }
        }
        names
    }

    /// The name of a part: a reference, or a resource that is defined inline.
    pub(super) fn read_part_name(&mut self, kind: Kind, node: &'a YamlNode) -> Option<String> {
        if node.get("Arn").is_some() {
            return self.read_reference(kind, node);
        }
        let inline = node.get(INLINE).and_then(YamlNode::text);
        if inline.is_some_and(|word| word.eq_ignore_ascii_case("true")) {
            return self.read_resource(kind, node, true);
        }
        let message = format!(
            "expected `Arn: !GetAtt X.Arn`, or {} with `Inline: true`",
            kind.a()
        );
        self.report_problem(node.at, message);
        None
    }

    /// The name in a map with `Arn`, which may have `Name` beside it.
    fn read_reference(&mut self, kind: Kind, node: &'a YamlNode) -> Option<String> {
        let members = self.read_members(node, "a reference", &REFERENCE)?;
        let arn = members.get("Arn")?;
        let Some(name_node) = members.get("Name") else {
            return self.resolve_reference(kind, arn);
        };
        let name = self.read_text(name_node)?;
        if ends_unknown(arn) {
            return Some(name);
        }
        let referred = self.resolve_reference(kind, arn)?;
        if referred != name {
            let message =
                format!("`Name` is `{name}`, but `Arn` is of `{referred}`; make them the same");
            self.report_problem(name_node.at, message);
        }
        Some(name)
    }

    /// The name in a reference: of a resource in this template, or of one that exists already.
    pub(super) fn resolve_reference(&mut self, kind: Kind, node: &'a YamlNode) -> Option<String> {
        if let NodeValue::ResourceArn(id) = &node.value {
            return self.resolve_logical_id(kind, node.at, id);
        }
        let path = self.read_arn_path(node)?;
        match path.rsplit_once('/') {
            Some((found, name)) if found == kind.arn_word() => Some(name.to_owned()),
            _ => {
                let message = format!("this is not the ARN of {}; write `!GetAtt X.Arn`", kind.a());
                self.report_problem(node.at, message);
                None
            }
        }
    }

    /// The last field of an ARN: `label/fraud` in `arn:…:label/fraud`. The other fields need not be known.
    pub(super) fn read_arn_path(&mut self, node: &'a YamlNode) -> Option<&'a str> {
        let last = match &node.value {
            NodeValue::Text(text) if text.starts_with("arn:") => Some(text.as_str()),
            NodeValue::Partial(parts) => match parts.last() {
                Some(TextPart::Known(text)) => Some(text.as_str()),
                Some(TextPart::Unknown(unknown)) => {
                    self.report_problem(node.at, unknown.to_string());
                    return None;
                }
                None => None,
            },
            NodeValue::Refused => return None,
            _ => None,
        };
        let path = last.and_then(|text| text.rsplit_once(':'));
        if path.is_none() {
            let message = "expected the ARN of a resource, such as `!GetAtt X.Arn`";
            self.report_problem(node.at, message);
        }
        path.map(|(_, path)| path)
    }

    fn resolve_logical_id(&mut self, kind: Kind, at: LineColumn, id: &str) -> Option<String> {
        let resource = self.resources.iter().find(|resource| resource.id == id)?;
        if resource.kind != kind {
            let message = format!("`{id}` is {}, expected {}", resource.kind.a(), kind.a());
            self.report_problem(at, message);
            return None;
        }
        self.read_text(resource.properties.get(kind.key())?)
    }
}

/// Whether the name at the end of an ARN is not known, such as that of an import.
fn ends_unknown(arn: &YamlNode) -> bool {
    match &arn.value {
        NodeValue::Partial(parts) => matches!(parts.last(), Some(TextPart::Unknown(_))),
        _ => false,
    }
}
