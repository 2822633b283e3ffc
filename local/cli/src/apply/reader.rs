//! Reads nodes of a template: maps with known properties, texts, lists, references to parameters.

use std::collections::BTreeMap;

use super::node::{Entry, Node, Value, find};
use super::problem::{Place, Problem};
use super::shapes::{Kind, Shape, TAG};
use super::template::{Tag, Template};

/// The property of a resource that is defined in place.
pub(super) const INLINE: &str = "Inline";

/// A resource that has not been read yet.
#[derive(Clone, Copy)]
pub(super) struct Resource<'a> {
    pub(super) kind: Kind,
    pub(super) properties: &'a Node,
}

/// What has been read, and its problems.
#[derive(Default)]
pub(super) struct Reader<'a> {
    /// By logical id, in the order of the file.
    pub(super) resources: Vec<(&'a str, Resource<'a>)>,
    pub(super) parameters: BTreeMap<&'a str, &'a Node>,
    pub(super) defined: BTreeMap<(Kind, String), Place>,
    pub(super) template: Template,
    pub(super) problems: Vec<Problem>,
}

/// The properties of a resource or a part of one; all of them are known.
pub(super) struct Members<'a> {
    pub(super) at: Place,
    entries: &'a [Entry],
}

impl<'a> Members<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        find(self.entries, key)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn problem(&mut self, at: Place, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    /// Reports keys that are not in `known`; `what` is an article and a noun.
    pub(super) fn only<'e>(
        &mut self,
        entries: impl IntoIterator<Item = &'e Entry>,
        known: &[&str],
        what: &str,
    ) {
        let known_to = |entry: &&Entry| known.contains(&entry.key.as_str());
        for entry in entries.into_iter().filter(|entry| !known_to(entry)) {
            let message = format!(
                "`{}` is not {what}; expected {}",
                entry.key,
                known.join(", ")
            );
            self.problem(entry.at, message);
        }
    }

    /// The properties of `what`; all of them must be known, and none missing.
    pub(super) fn members(
        &mut self,
        node: &'a Node,
        what: &str,
        shape: &Shape,
    ) -> Option<Members<'a>> {
        self.members_and(node, what, shape, None)
    }

    /// The properties of a resource; an inline one also has `Inline`.
    pub(super) fn properties(
        &mut self,
        kind: Kind,
        node: &'a Node,
        inline: bool,
    ) -> Option<Members<'a>> {
        self.members_and(node, &kind.a(), kind.shape(), inline.then_some(INLINE))
    }

    /// The properties of `what`, which may also have the property `silent`, not listed in errors.
    fn members_and(
        &mut self,
        node: &'a Node,
        what: &str,
        shape: &Shape,
        silent: Option<&str>,
    ) -> Option<Members<'a>> {
        let Some(entries) = node.entries() else {
            let message = format!("{what} is a map with {}", shape.required.join(", "));
            self.problem(node.at, message);
            return None;
        };
        let known = [shape.required, shape.optional].concat();
        let listed = entries.iter().filter(|entry| silent != Some(&entry.key));
        self.only(listed, &known, &format!("a property of {what}"));
        let missing = shape
            .required
            .iter()
            .filter(|key| find(entries, key).is_none());
        let missing: Vec<&str> = missing.copied().collect();
        if missing.is_empty() {
            return Some(Members {
                at: node.at,
                entries,
            });
        }
        let message = format!("{what} needs `{}`", missing.join("`, `"));
        self.problem(node.at, message);
        None
    }

    /// A text, or a reference to a parameter that has a default.
    pub(super) fn text(&mut self, node: &'a Node) -> Option<String> {
        match &node.value {
            Value::Text(text) => return Some(text.clone()),
            Value::Call(function, argument) if function == "Ref" => {
                let name = argument.text().unwrap_or_default();
                match self
                    .parameters
                    .get(name)
                    .map(|parameter| parameter.get("Default"))
                {
                    Some(Some(default)) => return default.text().map(str::to_owned),
                    Some(None) => self.problem(
                        node.at,
                        format!("parameter `{name}` has no `Default`; write the value"),
                    ),
                    None => self.problem(
                        node.at,
                        format!("there is no parameter `{name}`; write the value"),
                    ),
                }
            }
            Value::Call(function, _) => {
                self.problem(
                    node.at,
                    format!("`!{function}` cannot be evaluated here; write the value"),
                );
            }
            _ => self.problem(node.at, "expected a text"),
        }
        None
    }

    /// The text of an optional property.
    pub(super) fn optional(&mut self, members: &Members<'a>, key: &str) -> Option<String> {
        members.get(key).and_then(|node| self.text(node))
    }

    /// One of the words in `known`.
    pub(super) fn word(&mut self, node: &'a Node, known: &[&str]) -> Option<String> {
        let word = self.text(node)?;
        if known.contains(&word.as_str()) {
            return Some(word);
        }
        self.problem(
            node.at,
            format!(
                "`{word}` is not allowed here; expected {}",
                known.join(" or ")
            ),
        );
        None
    }

    /// A description of at most `most` characters.
    pub(super) fn description(&mut self, members: &Members<'a>, most: usize) -> Option<String> {
        let node = members.get("Description")?;
        let text = self.text(node)?;
        let length = text.chars().count();
        if length == 0 || length > most {
            self.problem(
                node.at,
                format!("a description has 1 to {most} characters, this one has {length}"),
            );
        }
        Some(text)
    }

    pub(super) fn tags(&mut self, members: &Members<'a>) -> Vec<Tag> {
        let nodes = members
            .get("Tags")
            .map(|node| self.items(node))
            .unwrap_or_default();
        nodes.iter().filter_map(|node| self.tag(node)).collect()
    }

    fn tag(&mut self, node: &'a Node) -> Option<Tag> {
        let members = self.members(node, "a tag", &TAG)?;
        Some((
            self.optional(&members, "Key")?,
            self.optional(&members, "Value")?,
        ))
    }

    /// The items of a list.
    pub(super) fn items(&mut self, node: &'a Node) -> &'a [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        self.problem(node.at, "expected a list");
        &[]
    }

    /// The name of a resource, which must be unique for its type.
    pub(super) fn define(&mut self, kind: Kind, members: &Members<'a>) -> Option<String> {
        let node = members.get(kind.key())?;
        let name = self.text(node)?;
        if let Err(error) = kind.check(&name) {
            self.problem(node.at, error.to_string());
        }
        match self.defined.insert((kind, name.clone()), node.at) {
            Some(first) => {
                let message = format!(
                    "{} `{name}` is defined twice, first at {first}; refer to the first one",
                    kind.word()
                );
                self.problem(node.at, message);
                None
            }
            None => Some(name),
        }
    }
}
