//! From the text of a CloudFormation template to a [`DetectorTemplate`].

use std::path::Path;

use super::ApplyError;
use super::reader::{EvaluatedResource, TemplateReader};
use super::resource_types::{Kind, types};
use super::template::DetectorTemplate;
use crate::cloudformation::evaluator::TemplateEvaluator;
use crate::cloudformation::inputs::TemplateInputs;
use crate::cloudformation::node::{NodeEntry, YamlNode, find_entry, find_unknown_keys};
use crate::cloudformation::problem::{InvalidTemplate, TemplateProblem};
use crate::cloudformation::truth::Truth;

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
    let mut evaluator = TemplateEvaluator::new(inputs, Kind::find_arn_form);
    let sections = evaluator.read_sections(&root);
    evaluator.check_attributes();
    evaluator.note_sections(sections);
    evaluator.note_other_services();
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

impl TemplateEvaluator<'_> {
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
            if Kind::of(resource.type_name).is_none()
                && self.decide_existence(resource) != Truth::False
            {
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

    /// Checks what the resources of Fraud Detector say beside their properties. What those of other services may say is not
    /// known here.
    fn check_attributes(&mut self) {
        for (id, resource) in self.resources.clone() {
            if Kind::of(resource.type_name).is_some() {
                self.problems.extend(find_unknown_keys(
                    resource.attributes,
                    ATTRIBUTES,
                    "an attribute of a resource that `apply` can read",
                ));
                if resource.attribute("Properties").is_none() {
                    self.report_problem(
                        resource.at,
                        format!("resource `{id}` has no `Properties`"),
                    );
                }
            } else if resource.type_name.starts_with("AWS::FraudDetector::") {
                let at = resource.attribute("Type").map_or(resource.at, |ty| ty.at);
                let message = format!(
                    "`{}` is not a resource type that `apply` knows; expected one of {}",
                    resource.type_name,
                    types()
                );
                self.report_problem(at, message);
                self.resources.retain(|(known, _)| *known != id);
            }
        }
    }

    /// The resources of Fraud Detector that exist, with the values of their properties.
    fn evaluate_resources(&mut self) -> Vec<EvaluatedResource> {
        let mut evaluated = Vec::new();
        for (id, resource) in self.resources.clone() {
            let Some(kind) = Kind::of(resource.type_name) else {
                continue;
            };
            let properties = self.evaluate_properties(id, resource);
            evaluated.extend(properties.map(|properties| EvaluatedResource {
                id: id.to_owned(),
                kind,
                properties,
            }));
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
