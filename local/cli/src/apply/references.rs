//! References of a template: names of resources behind ARNs, functions, or definitions in place.

use super::node::{Node, Value};
use super::problem::Place;
use super::reader::{INLINE, Reader};
use super::shapes::{Kind, REFERENCE};

impl<'a> Reader<'a> {
    /// The names in a list of parts, each with `Arn` or defined inline.
    pub(super) fn names(&mut self, kind: Kind, node: &'a Node, least: usize) -> Vec<String> {
        let items = self.items(node);
        if items.len() < least {
            self.problem(
                node.at,
                format!("expected at least {least} of {}", kind.word()),
            );
        }
        let mut names: Vec<String> = Vec::with_capacity(items.len());
        for item in items {
            match self.member(kind, item) {
                Some(name) if names.contains(&name) => {
                    self.problem(
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
    pub(super) fn member(&mut self, kind: Kind, node: &'a Node) -> Option<String> {
        if node.get("Arn").is_some() {
            let members = self.members(node, "a reference", &REFERENCE)?;
            return self.reference(kind, members.get("Arn")?);
        }
        let inline = node.get(INLINE).and_then(Node::text);
        if inline.is_some_and(|word| word.eq_ignore_ascii_case("true")) {
            return self.resource(kind, node, true);
        }
        let message = format!(
            "expected `Arn: !GetAtt X.Arn`, or {} with `Inline: true`",
            kind.a()
        );
        self.problem(node.at, message);
        None
    }

    /// The name in a reference: of a resource in this template, or of one that exists already.
    pub(super) fn reference(&mut self, kind: Kind, node: &'a Node) -> Option<String> {
        match &node.value {
            Value::Text(arn) => self.arn(kind, node.at, arn),
            Value::Call(function, argument) => match (function.as_str(), &argument.value) {
                ("Ref", Value::Text(id)) => self.logical(kind, node.at, id),
                ("GetAtt", Value::Text(path)) => match path.split_once('.') {
                    Some((id, "Arn")) => self.logical(kind, node.at, id),
                    _ => self.no_attribute(node.at),
                },
                ("GetAtt", Value::List(path)) => match path.as_slice() {
                    [id, attribute] if attribute.text() == Some("Arn") => {
                        self.logical(kind, node.at, id.text().unwrap_or_default())
                    }
                    _ => self.no_attribute(node.at),
                },
                ("Sub", Value::Text(text)) => self.substitution(kind, node.at, text),
                _ => self.no_attribute(node.at),
            },
            _ => self.no_attribute(node.at),
        }
    }

    fn no_attribute(&mut self, at: Place) -> Option<String> {
        self.problem(
            at,
            "expected the ARN of a resource, such as `!GetAtt X.Arn`",
        );
        None
    }

    fn substitution(&mut self, kind: Kind, at: Place, text: &str) -> Option<String> {
        let whole = text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        match whole {
            Some(path) if !path.contains('$') => {
                self.logical(kind, at, path.strip_suffix(".Arn").unwrap_or(path))
            }
            _ => self.arn(kind, at, text),
        }
    }

    /// The name in `arn:…:label/fraud`: the text after the last slash.
    fn arn(&mut self, kind: Kind, at: Place, arn: &str) -> Option<String> {
        let resource = arn
            .strip_prefix("arn:")
            .and_then(|rest| rest.rsplit_once(':'));
        let wanted = kind.word().replace(' ', "-");
        match resource.and_then(|(_, resource)| resource.rsplit_once('/')) {
            Some((found, name)) if found == wanted && !name.contains('$') => Some(name.to_owned()),
            _ => {
                self.problem(
                    at,
                    format!("this is not the ARN of {}; write `!GetAtt X.Arn`", kind.a()),
                );
                None
            }
        }
    }

    fn logical(&mut self, kind: Kind, at: Place, id: &str) -> Option<String> {
        let Some((_, resource)) = self
            .resources
            .iter()
            .find(|(known, _)| *known == id)
            .copied()
        else {
            self.problem(at, format!("there is no resource `{id}` in this template"));
            return None;
        };
        if resource.kind != kind {
            let message = format!("`{id}` is {}, expected {}", resource.kind.a(), kind.a());
            self.problem(at, message);
            return None;
        }
        self.text(resource.properties.get(kind.key())?)
    }
}
