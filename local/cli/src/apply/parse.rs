//! From the text of a CloudFormation template to a [`Template`].

use std::path::Path;

use super::Error;
use super::node::{Entry, Node, find};
use super::problem::{InvalidTemplate, Problem};
use super::reader::{Reader, Resource};
use super::shapes::{Kind, types};
use super::template::Template;

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Resources",
    "Outputs",
];
const ATTRIBUTES: &[&str] = &[
    "Type",
    "Properties",
    "DependsOn",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
];

impl Template {
    /// Reads a template from a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&file, &text)?),
            Err(source) => Err(Error::Unreadable { file, source }),
        }
    }

    /// Parses a template; `file` is its name in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, InvalidTemplate> {
        parse_template(file, text).map_err(|problems| InvalidTemplate::new(file, problems))
    }
}

/// Parses the template in `text`; `file` is its name.
fn parse_template(file: &str, text: &str) -> Result<Template, Vec<Problem>> {
    let root = Node::parse(text).map_err(|problem| vec![problem])?;
    let mut reader = Reader::default();
    file.clone_into(&mut reader.template.file);
    reader.sections(&root);
    for (_, resource) in reader.resources.clone() {
        reader.resource(resource.kind, resource.properties, false);
    }
    reader.metadata(
        root.get("Metadata")
            .and_then(|metadata| metadata.get("fraudstream")),
    );
    if reader.problems.is_empty() {
        Ok(reader.template)
    } else {
        Err(reader.problems)
    }
}

impl<'a> Reader<'a> {
    fn sections(&mut self, root: &'a Node) {
        let Some(entries) = root.entries() else {
            return self.problem(root.at, "a template is a map with the key `Resources`");
        };
        self.only(
            entries,
            SECTIONS,
            "a section of a template that `apply` can read",
        );
        for entry in find(entries, "Parameters")
            .and_then(Node::entries)
            .unwrap_or_default()
        {
            self.parameters.insert(&entry.key, &entry.node);
        }
        match find(entries, "Resources").and_then(Node::entries) {
            Some(resources) => resources.iter().for_each(|entry| self.declare(entry)),
            None => self.problem(root.at, "the template has no map `Resources`"),
        }
    }

    /// Registers a resource by its logical id, so that others can refer to it.
    fn declare(&mut self, entry: &'a Entry) {
        let Some(attributes) = entry.node.entries() else {
            return self.problem(entry.at, "a resource is a map with `Type` and `Properties`");
        };
        self.only(
            attributes,
            ATTRIBUTES,
            "an attribute of a resource that `apply` can read",
        );
        let Some(ty) = find(attributes, "Type") else {
            return self.problem(entry.at, format!("resource `{}` has no `Type`", entry.key));
        };
        let Some(kind) = ty.text().and_then(Kind::of) else {
            let found = ty.text().unwrap_or_default();
            let message = format!(
                "`{found}` is not a resource type that `apply` knows; expected one of {}",
                types()
            );
            return self.problem(ty.at, message);
        };
        match find(attributes, "Properties") {
            Some(properties) => self
                .resources
                .push((&entry.key, Resource { kind, properties })),
            None => self.problem(
                entry.at,
                format!("resource `{}` has no `Properties`", entry.key),
            ),
        }
    }
}
