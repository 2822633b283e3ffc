//! A template with the values of its parameters: which resources exist, and what they are like.

use super::values::{find_path, read_reference};
use crate::cloudformation::evaluator::TemplateEvaluator;
use crate::cloudformation::inputs::TemplateInputs;
use crate::cloudformation::node::{NodeValue, YamlNode};
use crate::cloudformation::problem::{LineColumn, TemplateProblem};
use crate::cloudformation::truth::Truth;

pub(super) const EVENT_SOURCE_MAPPING: &str = "AWS::Lambda::EventSourceMapping";
pub(super) const SAM_FUNCTION: &str = "AWS::Serverless::Function";
pub(super) const FUNCTION: &str = "AWS::Lambda::Function";
pub(super) const QUEUE: &str = "AWS::SQS::Queue";
pub(super) const STREAM: &str = "AWS::Kinesis::Stream";
pub(super) const TABLE: &str = "AWS::DynamoDB::Table";
pub(super) const BUCKET: &str = "AWS::S3::Bucket";
pub(super) const ROLE: &str = "AWS::IAM::Role";
pub(super) const POLICIES: [&str; 2] = ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"];

/// The types whose properties are checked; only these are evaluated.
const CHECKED_TYPES: [&str; 9] = [
    EVENT_SOURCE_MAPPING,
    SAM_FUNCTION,
    FUNCTION,
    QUEUE,
    STREAM,
    TABLE,
    ROLE,
    POLICIES[0],
    POLICIES[1],
];

/// A resource that exists.
#[derive(Debug)]
pub(super) struct StackResource {
    /// Its logical id.
    pub(super) id: String,
    pub(super) type_name: String,
    pub(super) at: LineColumn,
    /// Their values; empty for types that are not checked.
    pub(super) properties: YamlNode,
    /// What becomes of it with the stack, and if it is replaced.
    pub(super) policies: [Option<String>; 2],
}

/// The resources of a template.
#[derive(Debug)]
pub(super) struct StackTemplate {
    /// In the order of the file.
    pub(super) resources: Vec<StackResource>,
    /// What SAM adds to each of its functions.
    globals: Option<YamlNode>,
}

impl StackTemplate {
    /// Parses and evaluates a template.
    pub(super) fn parse(text: &str, inputs: &TemplateInputs) -> Result<Self, Vec<TemplateProblem>> {
        let root = YamlNode::parse(text).map_err(|problem| vec![problem])?;
        // The references stay as they are: they tell which resource is meant.
        let mut evaluator = TemplateEvaluator::new(inputs, |_| None);
        evaluator.read_sections(&root);
        let mut resources = Vec::new();
        for (id, declared) in evaluator.resources.clone() {
            let is_checked = CHECKED_TYPES.contains(&declared.type_name);
            if !is_checked && evaluator.decide_existence(declared) == Truth::False {
                continue;
            }
            let none = YamlNode {
                at: declared.at,
                value: NodeValue::Map(Vec::new()),
            };
            let has_none = declared.attribute("Properties").is_none();
            let properties = if is_checked && !has_none {
                evaluator.evaluate_properties(id, declared)
            } else {
                Some(none)
            };
            let policy = |key| declared.attribute(key)?.text().map(str::to_owned);
            resources.extend(properties.map(|properties| StackResource {
                id: id.to_owned(),
                type_name: declared.type_name.to_owned(),
                at: declared.at,
                properties,
                policies: ["DeletionPolicy", "UpdateReplacePolicy"].map(policy),
            }));
        }
        evaluator.path = vec!["Globals".to_owned()];
        let globals = find_path(&root, &["Globals", "Function"]);
        let globals = globals.and_then(|node| evaluator.evaluate_at("Function", node));
        if evaluator.problems.is_empty() {
            Ok(Self { resources, globals })
        } else {
            Err(evaluator.problems)
        }
    }

    /// The resources of a type.
    pub(super) fn of_type(&self, type_name: &str) -> impl Iterator<Item = &StackResource> {
        self.resources
            .iter()
            .filter(move |resource| resource.type_name == type_name)
    }

    /// The functions.
    pub(super) fn functions(&self) -> impl Iterator<Item = &StackResource> {
        self.of_type(SAM_FUNCTION).chain(self.of_type(FUNCTION))
    }

    /// The resource of this template that a value refers to.
    pub(super) fn find_referred(&self, node: Option<&YamlNode>) -> Option<&StackResource> {
        let (id, _) = read_reference(node?)?;
        self.resources.iter().find(|resource| resource.id == id)
    }

    /// A property of a function, its own or that of all functions.
    pub(super) fn function_property<'a>(
        &'a self,
        function: &'a StackResource,
        path: &[&str],
    ) -> Option<&'a YamlNode> {
        let of_all = self.globals.as_ref();
        let of_all = of_all.filter(|_| function.type_name == SAM_FUNCTION);
        let own = find_path(&function.properties, path);
        own.or_else(|| find_path(of_all?, path))
    }
}
