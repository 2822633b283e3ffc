//! From the text of a CloudFormation template to a [`Template`].

use std::path::Path;

use super::ApplyError;
use super::node::{NodeEntry, YamlNode, find_entry};
use super::problem::{InvalidTemplate, TemplateProblem};
use super::reader::{TemplateReader, UnreadResource};
use super::resource_types::{Kind, types};
use super::template::DetectorTemplate;

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

impl DetectorTemplate {
    /// Reads a template from a file.
    pub fn read(path: &Path) -> Result<Self, ApplyError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&file, &text)?),
            Err(source) => Err(ApplyError::Unreadable { file, source }),
        }
    }

    /// Parses a template; `file` is its name in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, InvalidTemplate> {
        parse_template(file, text).map_err(|problems| InvalidTemplate::new(file, problems))
    }
}

/// Parses the template in `text`; `file` is its name.
fn parse_template(file: &str, text: &str) -> Result<DetectorTemplate, Vec<TemplateProblem>> {
    let root = YamlNode::parse(text).map_err(|problem| vec![problem])?;
    let mut reader = TemplateReader::default();
    file.clone_into(&mut reader.template.file);
    reader.read_sections(&root);
    for (_, resource) in reader.resources.clone() {
        reader.read_resource(resource.kind, resource.properties, false);
    }
    reader.read_metadata(
        root.get("Metadata")
            .and_then(|metadata| metadata.get("fraudstream")),
    );
    if reader.problems.is_empty() {
        Ok(reader.template)
    } else {
        Err(reader.problems)
    }
}

impl<'a> TemplateReader<'a> {
    fn read_sections(&mut self, root: &'a YamlNode) {
        let Some(entries) = root.entries() else {
            return self.report_problem(root.at, "a template is a map with the key `Resources`");
        };
        self.report_unknown_keys(
            entries,
            SECTIONS,
            "a section of a template that `apply` can read",
        );
        for entry in find_entry(entries, "Parameters")
            .and_then(YamlNode::entries)
            .unwrap_or_default()
        {
            self.parameters.insert(&entry.key, &entry.node);
        }
        match find_entry(entries, "Resources").and_then(YamlNode::entries) {
            Some(resources) => resources
                .iter()
                .for_each(|entry| self.declare_resource(entry)),
            None => self.report_problem(root.at, "the template has no map `Resources`"),
        }
    }

    /// Registers a resource by its logical id, so that others can refer to it.
    fn declare_resource(&mut self, entry: &'a NodeEntry) {
        let Some(attributes) = entry.node.entries() else {
            return self
                .report_problem(entry.at, "a resource is a map with `Type` and `Properties`");
        };
        self.report_unknown_keys(
            attributes,
            ATTRIBUTES,
            "an attribute of a resource that `apply` can read",
        );
        let Some(ty) = find_entry(attributes, "Type") else {
            return self
                .report_problem(entry.at, format!("resource `{}` has no `Type`", entry.key));
        };
        let Some(kind) = ty.text().and_then(Kind::of) else {
            let found = ty.text().unwrap_or_default();
            let message = format!(
                "`{found}` is not a resource type that `apply` knows; expected one of {}",
                types()
            );
            return self.report_problem(ty.at, message);
        };
        match find_entry(attributes, "Properties") {
            Some(properties) => self
                .resources
                .push((&entry.key, UnreadResource { kind, properties })),
            None => self.report_problem(
                entry.at,
                format!("resource `{}` has no `Properties`", entry.key),
            ),
        }
    }
}
