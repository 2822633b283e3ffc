//! The rules of a template, compiled as the service will compile them, before anything is sent.

use std::fmt;

use rules::{Errors, Schema, Type};
use serde::Serialize;
use thiserror::Error;

use super::service_state::ServiceState;
use super::template::{DetectorResource, DetectorTemplate, RuleResource, VariableResource};
use crate::cloudformation::problem::LineColumn;

/// All the rules that the service would refuse.
///
/// `Display` gives each one its place in the file, and marks what is wrong in its text.
#[derive(Debug, Error)]
pub struct InvalidRules {
    file: String,
    rules: Vec<(String, LineColumn, Errors)>,
}

impl fmt::Display for InvalidRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, at, errors)) in self.rules.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(f, "{newline}{}:{at}: rule `{id}`\n{errors}", self.file)?;
        }
        Ok(())
    }
}

/// A valid rule that may not do what its author expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The detector of the rule.
    pub detector: String,
    /// The rule.
    pub rule: String,
    /// Which part of the rule, and what can happen.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "warning: rule {}: {}", self.rule, self.message)
    }
}

/// What is known of the rules of a template once they are compiled.
pub(super) struct CheckedRules<'t> {
    pub(super) warnings: Vec<Warning>,
    /// Each rule with its detector and the variables of the event that it reads.
    pub(super) reads: Vec<RuleReads<'t>>,
}

/// A rule with the variables of the event that it reads; scores of models are none.
pub(super) struct RuleReads<'t> {
    pub(super) detector: &'t str,
    pub(super) rule: &'t RuleResource,
    pub(super) variables: Vec<String>,
}

/// Compiles every rule of `template`, with the variables and lists that already exist.
pub(super) fn compile_rules<'t>(
    template: &'t DetectorTemplate,
    state: &ServiceState,
) -> Result<CheckedRules<'t>, InvalidRules> {
    let mut warnings = Vec::new();
    let mut reads = Vec::new();
    let mut invalid = Vec::new();
    for detector in &template.detectors {
        let schema = schema(template, state, detector);
        for rule in &detector.rules {
            match ::rules::Rule::new(&rule.expression, &schema) {
                Ok(compiled) => {
                    warnings.extend(cautions(detector, rule, &compiled));
                    reads.push(RuleReads {
                        detector: &detector.id,
                        rule,
                        variables: compiled
                            .variables()
                            .filter(|name| is_event_variable(template, state, name))
                            .map(str::to_owned)
                            .collect(),
                    });
                }
                Err(errors) => invalid.push((rule.id.clone(), rule.at, errors)),
            }
        }
    }
    if invalid.is_empty() {
        return Ok(CheckedRules { warnings, reads });
    }
    Err(InvalidRules {
        file: template.file.clone(),
        rules: invalid,
    })
}

fn cautions(
    detector: &DetectorResource,
    rule: &RuleResource,
    compiled: &::rules::Rule,
) -> Vec<Warning> {
    let warning = |caution: ::rules::LintWarning| {
        let part = rule
            .expression
            .get(caution.span.start..caution.span.end)
            .unwrap_or_default();
        Warning {
            detector: detector.id.clone(),
            rule: rule.id.clone(),
            message: format!("in `{part}`, {caution}"),
        }
    };
    compiled.lint_warnings().into_iter().map(warning).collect()
}

/// The variables of the detector's event type and the scores of models; all lists.
fn schema(
    template: &DetectorTemplate,
    state: &ServiceState,
    detector: &DetectorResource,
) -> Schema {
    let defined = template
        .event_types
        .iter()
        .find(|event_type| event_type.name == detector.event_type);
    let event_type = defined.or_else(|| state.event_types.get(&detector.event_type));
    let variables = event_type
        .map(|event_type| event_type.variables.as_slice())
        .unwrap_or_default();
    let of_events = variables
        .iter()
        .filter_map(|name| Some((name.clone(), data_type(template, state, name)?)));
    let known = template.variables.iter().chain(state.variables.values());
    let scores = known.filter(|variable| variable.source != "EVENT");
    let scores = scores.map(|variable| (variable.name.clone(), variable.ty));
    let lists = template
        .lists
        .iter()
        .map(|list| list.name.clone())
        .chain(state.lists.keys().cloned());
    Schema::new(of_events.chain(scores), lists)
}

fn data_type(template: &DetectorTemplate, state: &ServiceState, name: &str) -> Option<Type> {
    find_variable(template, state, name).map(|variable| variable.ty)
}

fn is_event_variable(template: &DetectorTemplate, state: &ServiceState, name: &str) -> bool {
    find_variable(template, state, name).is_some_and(|variable| variable.source == "EVENT")
}

/// The variable as the template defines it, or else the service.
fn find_variable<'v>(
    template: &'v DetectorTemplate,
    state: &'v ServiceState,
    name: &str,
) -> Option<&'v VariableResource> {
    let mut defined = template.variables.iter();
    let defined = defined.find(|variable| variable.name == *name);
    defined.or_else(|| state.variables.get(name))
}
