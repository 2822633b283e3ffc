//! References of a template: names of resources behind ARNs, functions, or definitions in place.

use super::node::{NodeValue, YamlNode};
use super::problem::LineColumn;
use super::reader::{INLINE, TemplateReader};
use super::resource_types::{Kind, REFERENCE};

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
            let members = self.read_members(node, "a reference", &REFERENCE)?;
            return self.resolve_reference(kind, members.get("Arn")?);
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

    /// The name in a reference: of a resource in this template, or of one that exists already.
    pub(super) fn resolve_reference(&mut self, kind: Kind, node: &'a YamlNode) -> Option<String> {
        match &node.value {
            NodeValue::Text(arn) => self.parse_arn(kind, node.at, arn),
            NodeValue::Call(function, argument) => match (function.as_str(), &argument.value) {
                ("Ref", NodeValue::Text(id)) => self.resolve_logical_id(kind, node.at, id),
                ("GetAtt", NodeValue::Text(path)) => match path.split_once('.') {
                    Some((id, "Arn")) => self.resolve_logical_id(kind, node.at, id),
                    _ => self.report_missing_arn(node.at),
                },
                ("GetAtt", NodeValue::List(path)) => match path.as_slice() {
                    [id, attribute] if attribute.text() == Some("Arn") => {
                        self.resolve_logical_id(kind, node.at, id.text().unwrap_or_default())
                    }
                    _ => self.report_missing_arn(node.at),
                },
                ("Sub", NodeValue::Text(text)) => self.resolve_substitution(kind, node.at, text),
                _ => self.report_missing_arn(node.at),
            },
            _ => self.report_missing_arn(node.at),
        }
    }

    fn report_missing_arn(&mut self, at: LineColumn) -> Option<String> {
        self.report_problem(
            at,
            "expected the ARN of a resource, such as `!GetAtt X.Arn`",
        );
        None
    }

    fn resolve_substitution(&mut self, kind: Kind, at: LineColumn, text: &str) -> Option<String> {
        let whole = text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        match whole {
            Some(path) if !path.contains('$') => {
                self.resolve_logical_id(kind, at, path.strip_suffix(".Arn").unwrap_or(path))
            }
            _ => self.parse_arn(kind, at, text),
        }
    }

    /// The name in `arn:…:label/fraud`: the text after the last slash.
    fn parse_arn(&mut self, kind: Kind, at: LineColumn, arn: &str) -> Option<String> {
        let resource = arn
            .strip_prefix("arn:")
            .and_then(|rest| rest.rsplit_once(':'));
        let wanted = kind.word().replace(' ', "-");
        match resource.and_then(|(_, resource)| resource.rsplit_once('/')) {
            Some((found, name)) if found == wanted && !name.contains('$') => Some(name.to_owned()),
            _ => {
                self.report_problem(
                    at,
                    format!("this is not the ARN of {}; write `!GetAtt X.Arn`", kind.a()),
                );
                None
            }
        }
    }

    fn resolve_logical_id(&mut self, kind: Kind, at: LineColumn, id: &str) -> Option<String> {
        let Some((_, resource)) = self
            .resources
            .iter()
            .find(|(known, _)| *known == id)
            .copied()
        else {
            self.report_problem(at, format!("there is no resource `{id}` in this template"));
            return None;
        };
        if resource.kind != kind {
            let message = format!("`{id}` is {}, expected {}", resource.kind.a(), kind.a());
            self.report_problem(at, message);
            return None;
        }
        self.read_text(resource.properties.get(kind.key())?)
    }
}
