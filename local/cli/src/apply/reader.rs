//! Reads nodes of a template: maps with known properties, texts and lists.

use std::collections::BTreeMap;

use super::resource_types::{Kind, Shape, TAG};
use super::template::{DetectorTemplate, ResourceTag};
use crate::cloudformation::node::{NodeEntry, NodeValue, YamlNode, find_entry, find_unknown_keys};
use crate::cloudformation::problem::{LineColumn, TemplateProblem};
use crate::cloudformation::text_part::find_unknown;

/// The property of a resource that is defined in place.
pub(super) const INLINE: &str = "Inline";

/// A resource that exists, with the values of its properties.
#[derive(Debug)]
pub(super) struct EvaluatedResource {
    /// Its logical id.
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) properties: YamlNode,
}

/// What has been read, and its problems.
pub(super) struct TemplateReader<'a> {
    /// In the order of the file.
    pub(super) resources: &'a [EvaluatedResource],
    pub(super) defined: BTreeMap<(Kind, String), LineColumn>,
    pub(super) template: DetectorTemplate,
    pub(super) problems: Vec<TemplateProblem>,
}

/// The properties of a resource or a part of one; all of them are known.
pub(super) struct ReadProperties<'a> {
    pub(super) at: LineColumn,
    entries: &'a [NodeEntry],
}

impl<'a> ReadProperties<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a YamlNode> {
        find_entry(self.entries, key)
    }
}

impl<'a> TemplateReader<'a> {
    /// Reads `resources` of the template `file`, which has the `problems` already.
    pub(super) fn new(
        file: &str,
        resources: &'a [EvaluatedResource],
        problems: Vec<TemplateProblem>,
    ) -> Self {
        let template = DetectorTemplate {
            file: file.to_owned(),
            ..DetectorTemplate::default()
        };
        Self {
            resources,
            defined: BTreeMap::new(),
            template,
            problems,
        }
    }

    pub(super) fn report_problem(&mut self, at: LineColumn, message: impl Into<String>) {
        self.problems.push(TemplateProblem::new(at, message));
    }

    /// The properties of `what`; all of them must be known, and none missing.
    pub(super) fn read_members(
        &mut self,
        node: &'a YamlNode,
        what: &str,
        shape: &Shape,
    ) -> Option<ReadProperties<'a>> {
        self.read_members_with(node, what, shape, None)
    }

    /// The properties of a resource; an inline one also has `Inline`.
    pub(super) fn read_properties(
        &mut self,
        kind: Kind,
        node: &'a YamlNode,
        inline: bool,
    ) -> Option<ReadProperties<'a>> {
        self.read_members_with(node, &kind.a(), kind.shape(), inline.then_some(INLINE))
    }

    /// The properties of `what`, which may also have the property `silent`, not listed in errors.
    fn read_members_with(
        &mut self,
        node: &'a YamlNode,
        what: &str,
        shape: &Shape,
        silent: Option<&str>,
    ) -> Option<ReadProperties<'a>> {
        let Some(entries) = node.entries() else {
            if matches!(node.value, NodeValue::Refused) {
                return None;
            }
            let message = format!("{what} is a map with {}", shape.required.join(", "));
            self.report_problem(node.at, message);
            return None;
        };
        let known = [shape.required, shape.optional].concat();
        let listed = entries.iter().filter(|entry| silent != Some(&entry.key));
        self.problems.extend(find_unknown_keys(
            listed,
            &known,
            &format!("a property of {what}"),
        ));
        let missing = shape
            .required
            .iter()
            .filter(|key| find_entry(entries, key).is_none());
        let missing: Vec<&str> = missing.copied().collect();
        if missing.is_empty() {
            return Some(ReadProperties {
                at: node.at,
                entries,
            });
        }
        let message = format!("{what} needs `{}`", missing.join("`, `"));
        self.report_problem(node.at, message);
        None
    }

    /// A text that is known.
    pub(super) fn read_text(&mut self, node: &'a YamlNode) -> Option<String> {
        match &node.value {
            NodeValue::Text(text) => return Some(text.clone()),
            NodeValue::Refused => {}
            NodeValue::Partial(parts) => {
                if let Some(unknown) = find_unknown(parts) {
                    self.report_problem(node.at, unknown.to_string());
                }
            }
            NodeValue::ResourceArn(id) => {
                let message = format!("this is the ARN of `{id}`; expected a text");
                self.report_problem(node.at, message);
            }
            _ => self.report_problem(node.at, "expected a text"),
        }
        None
    }

    /// The text of an optional property.
    pub(super) fn read_optional_text(
        &mut self,
        members: &ReadProperties<'a>,
        key: &str,
    ) -> Option<String> {
        members.get(key).and_then(|node| self.read_text(node))
    }

    /// One of the words in `known`.
    pub(super) fn read_word(&mut self, node: &'a YamlNode, known: &[&str]) -> Option<String> {
        let word = self.read_text(node)?;
        if known.contains(&word.as_str()) {
            return Some(word);
        }
        self.report_problem(
            node.at,
            format!(
                "`{word}` is not allowed here; expected {}",
                known.join(" or ")
            ),
        );
        None
    }

    /// A description of at most `most` characters.
    pub(super) fn read_description(
        &mut self,
        members: &ReadProperties<'a>,
        most: usize,
    ) -> Option<String> {
        let node = members.get("Description")?;
        let text = self.read_text(node)?;
        let length = text.chars().count();
        if length == 0 || length > most {
            self.report_problem(
                node.at,
                format!("a description has 1 to {most} characters, this one has {length}"),
            );
        }
        Some(text)
    }

    pub(super) fn read_tags(&mut self, members: &ReadProperties<'a>) -> Vec<ResourceTag> {
        let nodes = members
            .get("Tags")
            .map(|node| self.read_items(node))
            .unwrap_or_default();
        nodes
            .iter()
            .filter_map(|node| self.read_tag(node))
            .collect()
    }

    fn read_tag(&mut self, node: &'a YamlNode) -> Option<ResourceTag> {
        let members = self.read_members(node, "a tag", &TAG)?;
        Some((
            self.read_optional_text(&members, "Key")?,
            self.read_optional_text(&members, "Value")?,
        ))
    }

    /// The items of a list.
    pub(super) fn read_items(&mut self, node: &'a YamlNode) -> &'a [YamlNode] {
        match &node.value {
            NodeValue::List(items) => return items,
            NodeValue::Refused => {}
            NodeValue::Partial(parts) => {
                let unknown = find_unknown(parts).map(ToString::to_string);
                self.report_problem(node.at, unknown.unwrap_or_default());
            }
            _ => self.report_problem(node.at, "expected a list"),
        }
        &[]
    }

    /// The name of a resource, which must be unique for its type.
    pub(super) fn define_name(
        &mut self,
        kind: Kind,
        members: &ReadProperties<'a>,
    ) -> Option<String> {
        let node = members.get(kind.key())?;
        let name = self.read_text(node)?;
        if let Err(error) = kind.check(&name) {
            self.report_problem(node.at, error.to_string());
        }
        match self.defined.insert((kind, name.clone()), node.at) {
            Some(first) => {
                let message = format!(
                    "{} `{name}` is defined twice, first at {first}; refer to the first one",
                    kind.word()
                );
                self.report_problem(node.at, message);
                None
            }
            None => Some(name),
        }
    }
}
