//! Evaluates a template as CloudFormation does: parameters, conditions and functions are replaced by their values.
//!
//! What only a deployment knows, such as the account in an ARN, stays as [`NodeValue::Partial`]; it is a problem only
//! where the value is needed.

use std::collections::BTreeMap;

use super::inputs::TemplateInputs;
use super::node::{NodeEntry, NodeValue, YamlNode, find_entry};
use super::problem::{LineColumn, TemplateProblem};
use super::truth::Truth;

/// How the ARN of a resource is written, where that can be said without a deployment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArnForm {
    /// The service in it.
    pub(crate) service: &'static str,
    /// The word before the resource's name.
    pub(crate) word: &'static str,
    /// The property that has the name.
    pub(crate) name_property: &'static str,
}

/// A resource as the template declares it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeclaredResource<'a> {
    /// Where its logical id is.
    pub(crate) at: LineColumn,
    /// The name of its type in CloudFormation.
    pub(crate) type_name: &'a str,
    /// `None` if only a deployment knows its ARN.
    pub(crate) arn: Option<ArnForm>,
    /// `Type`, `Properties`, `Condition` and the like, as they are written.
    pub(crate) attributes: &'a [NodeEntry],
}

impl<'a> DeclaredResource<'a> {
    /// An attribute as it is written.
    pub(crate) fn attribute(&self, key: &str) -> Option<&'a YamlNode> {
        find_entry(self.attributes, key)
    }
}

/// A template and what is known of its values.
pub(crate) struct TemplateEvaluator<'a> {
    pub(crate) inputs: &'a TemplateInputs,
    /// The ARNs of resources, by the name of their type.
    pub(crate) find_arn_form: fn(&str) -> Option<ArnForm>,
    pub(crate) parameters: BTreeMap<&'a str, NodeValue>,
    pub(crate) conditions: BTreeMap<&'a str, &'a YamlNode>,
    pub(crate) mappings: Option<&'a YamlNode>,
    /// By logical id, in the order of the file.
    pub(crate) resources: Vec<(&'a str, DeclaredResource<'a>)>,
    /// The conditions that have been decided; `None` while one is being decided.
    pub(crate) truths: BTreeMap<String, Option<Truth>>,
    /// The resources whose names are being evaluated.
    pub(crate) naming: Vec<String>,
    /// Where in the template the evaluation is.
    pub(crate) path: Vec<String>,
    pub(crate) problems: Vec<TemplateProblem>,
    /// What is left alone, and why.
    pub(crate) notes: Vec<String>,
}

impl<'a> TemplateEvaluator<'a> {
    /// `find_arn_form` gives the ARNs of a type's resources; the references to all others stay open.
    pub(crate) fn new(
        inputs: &'a TemplateInputs,
        find_arn_form: fn(&str) -> Option<ArnForm>,
    ) -> Self {
        Self {
            inputs,
            find_arn_form,
            parameters: BTreeMap::new(),
            conditions: BTreeMap::new(),
            mappings: None,
            resources: Vec::new(),
            truths: BTreeMap::new(),
            naming: Vec::new(),
            path: Vec::new(),
            problems: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn report_problem(&mut self, at: LineColumn, message: impl Into<String>) {
        self.problems.push(TemplateProblem::new(at, message));
    }

    /// Reports a problem of a function; the message is followed by the path in the template.
    pub(crate) fn refuse_call(&mut self, at: LineColumn, message: impl AsRef<str>) -> NodeValue {
        let path = self.path.join(".");
        self.report_problem(at, format!("{} (in {path})", message.as_ref()));
        NodeValue::Refused
    }

    /// The resource with the logical id.
    pub(crate) fn find_resource(&self, id: &str) -> Option<DeclaredResource<'a>> {
        let mut resources = self.resources.iter();
        resources
            .find(|(known, _)| *known == id)
            .map(|(_, resource)| *resource)
    }

    /// The value of `node` at `step` of the path.
    pub(crate) fn evaluate_at(&mut self, step: &str, node: &YamlNode) -> Option<YamlNode> {
        self.path.push(step.to_owned());
        let value = self.evaluate_node(node);
        self.path.pop();
        value
    }

    /// The value of a node; `None` for `AWS::NoValue`.
    pub(crate) fn evaluate_node(&mut self, node: &YamlNode) -> Option<YamlNode> {
        let value = match &node.value {
            NodeValue::List(items) => {
                let items = items.iter().enumerate();
                NodeValue::List(
                    items
                        .filter_map(|(index, item)| self.evaluate_at(&index.to_string(), item))
                        .collect(),
                )
            }
            NodeValue::Map(entries) => {
                let mut evaluated = Vec::with_capacity(entries.len());
                for NodeEntry { key, at, node } in entries {
                    let (key, at) = (key.clone(), *at);
                    if let Some(node) = self.evaluate_at(&key, node) {
                        evaluated.push(NodeEntry { key, at, node });
                    }
                }
                NodeValue::Map(evaluated)
            }
            NodeValue::Call(function, argument) => {
                return self.call_function(node.at, function, argument);
            }
            value => value.clone(),
        };
        Some(YamlNode { at: node.at, value })
    }
}
