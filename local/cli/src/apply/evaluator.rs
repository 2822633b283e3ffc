//! Evaluates a template as CloudFormation does: parameters, conditions and functions are replaced by their values.
//!
//! What only a deployment knows, such as the account in an ARN, stays as [`NodeValue::Partial`]; it is a problem only
//! where the value is needed.

use std::collections::BTreeMap;

use super::inputs::TemplateInputs;
use super::node::{NodeEntry, NodeValue, YamlNode};
use super::problem::{LineColumn, TemplateProblem};
use super::resource_types::Kind;
use super::truth::Truth;

/// A resource as the template declares it.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeclaredResource<'a> {
    /// The name of its type in CloudFormation.
    pub(super) type_name: &'a str,
    /// `None` for resources of other services.
    pub(super) kind: Option<Kind>,
    /// The condition on which it exists.
    pub(super) condition: Option<&'a YamlNode>,
    pub(super) properties: Option<&'a YamlNode>,
}

/// A template and what is known of its values.
pub(super) struct TemplateEvaluator<'a> {
    pub(super) inputs: &'a TemplateInputs,
    pub(super) parameters: BTreeMap<&'a str, NodeValue>,
    pub(super) conditions: BTreeMap<&'a str, &'a YamlNode>,
    pub(super) mappings: Option<&'a YamlNode>,
    /// By logical id, in the order of the file.
    pub(super) resources: Vec<(&'a str, DeclaredResource<'a>)>,
    /// The conditions that have been decided; `None` while one is being decided.
    pub(super) truths: BTreeMap<String, Option<Truth>>,
    /// The resources whose names are being evaluated.
    pub(super) naming: Vec<String>,
    /// Where in the template the evaluation is.
    pub(super) path: Vec<String>,
    pub(super) problems: Vec<TemplateProblem>,
    /// What is left alone, and why.
    pub(super) notes: Vec<String>,
}

impl<'a> TemplateEvaluator<'a> {
    pub(super) fn new(inputs: &'a TemplateInputs) -> Self {
        Self {
            inputs,
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

    pub(super) fn report_problem(&mut self, at: LineColumn, message: impl Into<String>) {
        self.problems.push(TemplateProblem::new(at, message));
    }

    /// Reports a problem of a function; the message is followed by the path in the template.
    pub(super) fn refuse_call(&mut self, at: LineColumn, message: impl AsRef<str>) -> NodeValue {
        let path = self.path.join(".");
        self.report_problem(at, format!("{} (in {path})", message.as_ref()));
        NodeValue::Refused
    }

    /// The resource with the logical id.
    pub(super) fn find_resource(&self, id: &str) -> Option<DeclaredResource<'a>> {
        let mut resources = self.resources.iter();
        resources
            .find(|(known, _)| *known == id)
            .map(|(_, resource)| *resource)
    }

    /// The value of `node` at `step` of the path.
    pub(super) fn evaluate_at(&mut self, step: &str, node: &YamlNode) -> Option<YamlNode> {
        self.path.push(step.to_owned());
        let value = self.evaluate_node(node);
        self.path.pop();
        value
    }

    /// The value of a node; `None` for `AWS::NoValue`.
    pub(super) fn evaluate_node(&mut self, node: &YamlNode) -> Option<YamlNode> {
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
