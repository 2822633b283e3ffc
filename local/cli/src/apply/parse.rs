//! From the text of a CloudFormation template to a [`DetectorTemplate`].

use std::path::Path;

use super::ApplyError;
use super::evaluator::{DeclaredResource, TemplateEvaluator};
use super::inputs::TemplateInputs;
use super::node::{NodeEntry, YamlNode, find_entry, find_unknown_keys};
use super::parameters::ReadParameters;
use super::problem::{InvalidTemplate, TemplateProblem};
use super::reader::{EvaluatedResource, TemplateReader};
use super::resource_types::{Kind, types};
use super::template::DetectorTemplate;
use super::truth::Truth;

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Transform",
    "Globals",
    "Hooks",
    "Resources",
    "Outputs",
];
const ATTRIBUTES: &[&str] = &[
    "Type",
    "Properties",
    "Condition",
    "DependsOn",
    "CreationPolicy",
    "UpdatePolicy",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
];

/// The sections that are not evaluated, and why.
const UNUSED_SECTIONS: &[(&str, &str)] = &[
    (
        "Transform",
        "macros run in CloudFormation, so what they would change is not seen here",
    ),
    ("Hooks", "they run in CloudFormation"),
];

impl DetectorTemplate {
    /// Reads a template from a file.
    pub fn read(path: &Path, inputs: &TemplateInputs) -> Result<Self, ApplyError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&file, &text, inputs)?),
            Err(source) => Err(ApplyError::Unreadable { file, source }),
        }
    }

    /// Parses a template; `file` is its name in errors.
    pub fn parse(file: &str, text: &str, inputs: &TemplateInputs) -> Result<Self, InvalidTemplate> {
        parse_template(file, text, inputs).map_err(|problems| InvalidTemplate::new(file, problems))
    }
}

/// Parses the template in `text`; `file` is its name.
fn parse_template(
    file: &str,
    text: &str,
    inputs: &TemplateInputs,
) -> Result<DetectorTemplate, Vec<TemplateProblem>> {
    let root = YamlNode::parse(text).map_err(|problem| vec![problem])?;
    let mut evaluator = TemplateEvaluator::new(inputs);
    evaluator.read_sections(&root);
    let resources = evaluator.evaluate_resources();
    let metadata = evaluator.evaluate_metadata(&root);
    let mut reader = TemplateReader::new(file, &resources, std::mem::take(&mut evaluator.problems));
    for resource in &resources {
        reader.read_resource(resource.kind, &resource.properties, false);
    }
    reader.read_metadata(metadata.as_ref());
    reader.template.notes.extend(evaluator.notes);
    if reader.problems.is_empty() {
        Ok(reader.template)
    } else {
        Err(reader.problems)
    }
}

impl<'a> TemplateEvaluator<'a> {
    fn read_sections(&mut self, root: &'a YamlNode) {
        let Some(entries) = root.entries() else {
            return self.report_problem(root.at, "a template is a map with the key `Resources`");
        };
        self.problems.extend(find_unknown_keys(
            entries,
            SECTIONS,
            "a section of a template that `apply` can read",
        ));
        let read = ReadParameters::read_section(find_entry(entries, "Parameters"), self.inputs);
        self.parameters = read.values;
        self.problems.extend(read.problems);
        self.mappings = find_entry(entries, "Mappings");
        for entry in self.read_map(entries, "Conditions") {
            self.conditions.insert(&entry.key, &entry.node);
        }
        match find_entry(entries, "Resources").and_then(YamlNode::entries) {
            Some(resources) => resources
                .iter()
                .for_each(|entry| self.declare_resource(entry)),
            None => self.report_problem(root.at, "the template has no map `Resources`"),
        }
        self.decide_conditions();
        for entry in self.read_map(entries, "Rules") {
            self.check_assertions(entry);
        }
        self.note_sections(entries);
        self.note_other_services();
    }

    /// Notes the sections that say nothing about the resources of Fraud Detector, or cannot be evaluated here.
    fn note_sections(&mut self, sections: &[NodeEntry]) {
        for (section, reason) in UNUSED_SECTIONS {
            if find_entry(sections, section).is_some() {
                self.notes
                    .push(format!("`{section}` is left alone: {reason}"));
            }
        }
    }

    /// Notes the resources of other services that exist.
    fn note_other_services(&mut self) {
        let mut names = Vec::new();
        for (id, resource) in self.resources.clone() {
            if resource.kind.is_none() && self.decide_existence(resource) != Truth::False {
                names.push(format!("{} `{id}`", resource.type_name));
            }
        }
        if !names.is_empty() {
            let (count, names) = (names.len(), names.join(", "));
            let noun = if count == 1 { "resource" } else { "resources" };
            let note = format!("left alone: {count} {noun} of other services: {names}");
            self.notes.push(note);
        }
    }

    /// The entries of an optional section.
    fn read_map(&mut self, sections: &'a [NodeEntry], key: &str) -> &'a [NodeEntry] {
        let Some(section) = find_entry(sections, key) else {
            return &[];
        };
        section.entries().unwrap_or_else(|| {
            self.report_problem(section.at, format!("`{key}` is not a map"));
            &[]
        })
    }

    /// Registers a resource by its logical id, so that others can refer to it.
    fn declare_resource(&mut self, entry: &'a NodeEntry) {
        let Some(attributes) = entry.node.entries() else {
            return self
                .report_problem(entry.at, "a resource is a map with `Type` and `Properties`");
        };
        let Some(ty) = find_entry(attributes, "Type") else {
            return self
                .report_problem(entry.at, format!("resource `{}` has no `Type`", entry.key));
        };
        let type_name = ty.text().unwrap_or_default();
        let kind = Kind::of(type_name);
        if kind.is_none() && type_name.starts_with("AWS::FraudDetector::") {
            let message = format!(
                "`{type_name}` is not a resource type that `apply` knows; expected one of {}",
                types()
            );
            return self.report_problem(ty.at, message);
        }
        // What resources of other services may say is not known here.
        if kind.is_some() {
            self.problems.extend(find_unknown_keys(
                attributes,
                ATTRIBUTES,
                "an attribute of a resource that `apply` can read",
            ));
        }
        let properties = find_entry(attributes, "Properties");
        if kind.is_some() && properties.is_none() {
            self.report_problem(
                entry.at,
                format!("resource `{}` has no `Properties`", entry.key),
            );
        }
        self.resources.push((
            &entry.key,
            DeclaredResource {
                type_name,
                kind,
                condition: find_entry(attributes, "Condition"),
                properties,
            },
        ));
    }

    /// Whether a resource exists.
    pub(super) fn decide_existence(&mut self, resource: DeclaredResource<'a>) -> Truth {
        match resource.condition {
            None => Truth::True,
            Some(node) => match node.text() {
                Some(name) => self.decide_condition(node.at, name),
                None => self.refuse_operands(node.at, "`Condition` has the name of a condition"),
            },
        }
    }

    /// The resources of Fraud Detector that exist, with the values of their properties.
    fn evaluate_resources(&mut self) -> Vec<EvaluatedResource> {
        let mut evaluated = Vec::new();
        for (id, resource) in self.resources.clone() {
            let (Some(kind), Some(properties)) = (resource.kind, resource.properties) else {
                continue;
            };
            self.path = vec!["Resources".to_owned(), id.to_owned()];
            match self.decide_existence(resource) {
                Truth::True => {
                    let id = id.to_owned();
                    let properties = self.evaluate_at("Properties", properties);
                    evaluated.extend(properties.map(|properties| EvaluatedResource {
                        id,
                        kind,
                        properties,
                    }));
                }
                Truth::Unknown(unknown) => {
                    let at = resource.condition.map_or(properties.at, |node| node.at);
                    let message = format!("whether `{id}` exists cannot be decided: {unknown}");
                    self.report_problem(at, message);
                }
                Truth::False | Truth::Refused => {}
            }
        }
        evaluated
    }

    /// The settings without a CloudFormation property.
    fn evaluate_metadata(&mut self, root: &YamlNode) -> Option<YamlNode> {
        let settings = root.get("Metadata")?.get("fraudstream")?;
        self.path = vec!["Metadata".to_owned()];
        self.evaluate_at("fraudstream", settings)
    }
}
