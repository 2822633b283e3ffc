//! The rules of a detector file, compiled without a service.

use std::collections::HashMap;
use std::sync::Arc;

use rules::{Errors, ListValues, Lists, Rule, Schema, Type, Value, Verdict};
use thiserror::Error;

use crate::apply::{DetectorResource, DetectorTemplate, RuleResource, VariableResource};

/// Why the rules of a detector file cannot be used.
#[derive(Debug, Error)]
pub enum DetectorRulesError {
    /// It has no such detector.
    #[error("{file} has no detector `{detector}`, which the mapping names; it has {known}")]
    NoDetector {
        /// The file.
        file: String,
        /// The detector of the mapping.
        detector: String,
        /// Those of the file.
        known: String,
    },
    /// A rule does not compile.
    #[error("{file}:{line}:{column}: rule `{rule}`\n{errors}")]
    InvalidRule {
        /// The file.
        file: String,
        /// Where the rule starts.
        line: u64,
        /// Where the rule starts.
        column: u64,
        /// The rule.
        rule: String,
        /// What is wrong in it.
        errors: Errors,
    },
    /// The default of a variable is not of its type.
    #[error("{file}: the default `{default}` of variable `{variable}` is {why}")]
    InvalidDefault {
        /// The file.
        file: String,
        /// The variable.
        variable: String,
        /// Its default value.
        default: String,
        /// Why it is none.
        why: rules::InvalidValue,
    },
}

/// One rule with what it decides.
#[derive(Debug)]
pub(crate) struct DetectorRule {
    pub(crate) id: String,
    pub(crate) outcomes: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) rule: Rule,
}

/// The compiled rules of one detector, with the variables and lists that they read.
#[derive(Debug)]
pub struct DetectorRules {
    schema: Schema,
    /// The values of a row before those of the event are set.
    defaults: Vec<Value>,
    lists: Lists,
    /// The variables that are scores or outputs of models, and no part of an event.
    pub(crate) scores: Vec<String>,
    pub(crate) rules: Vec<DetectorRule>,
    /// Whether no rule is evaluated after the first that matches.
    pub(crate) first_matched: bool,
}

impl DetectorRules {
    /// Compiles the rules of `detector` in `template`.
    ///
    /// # Errors
    /// [`DetectorRulesError`].
    pub fn compile(
        template: &DetectorTemplate,
        detector: &str,
    ) -> Result<Self, DetectorRulesError> {
        let found = template.detectors.iter().find(|it| it.id == detector);
        let Some(found) = found else {
            let known = template.detectors.iter().map(|it| format!("`{}`", it.id));
            let known = known.collect::<Vec<String>>().join(", ");
            return Err(DetectorRulesError::NoDetector {
                file: template.file.clone(),
                detector: detector.to_owned(),
                known: if known.is_empty() {
                    "none".to_owned()
                } else {
                    known
                },
            });
        };
        let variables = list_variables(template, found)?;
        let schema = Schema::new(
            variables
                .iter()
                .map(|variable| (variable.name.clone(), variable.ty)),
            template.lists.iter().map(|list| list.name.clone()),
        );
        let rules = compile_rules(template, found, &schema)?;
        let scores = variables.iter().filter(|variable| variable.is_score);
        Ok(Self {
            scores: scores.map(|variable| variable.name.clone()).collect(),
            defaults: variables.into_iter().map(|it| it.default).collect(),
            lists: read_lists(template),
            rules,
            first_matched: found.mode == "FIRST_MATCHED",
            schema,
        })
    }

    /// Whether the event type has this variable.
    pub(crate) fn has_variable(&self, name: &str) -> bool {
        self.schema.slot(name).is_some()
    }

    /// The row that the rules read of an event, and the variables whose values are not of their type.
    pub(crate) fn fill_row<'v>(
        &self,
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> (Vec<Value>, Vec<&'v str>) {
        let mut row = self.defaults.clone();
        let mut invalid = Vec::new();
        for (name, value) in variables {
            let Some(slot) = self.schema.slot(name) else {
                continue;
            };
            let (_, ty) = self.schema.variable(slot);
            match Value::parse(ty, value) {
                Ok(value) => row[slot] = value,
                Err(_) => invalid.push(name),
            }
        }
        (row, invalid)
    }

    /// Sets the score of a model, or an output, in a row.
    pub(crate) fn set_score(&self, row: &mut [Value], name: &str, score: f64) {
        if let Some(slot) = self.schema.slot(name)
            && let Some(value) = row.get_mut(slot)
        {
            *value = Value::Float(score);
        }
    }

    /// The verdict of one rule.
    pub(crate) fn judge_row(&self, rule: &DetectorRule, row: &[Value], now_ms: i64) -> Verdict {
        rule.rule.evaluate(row, &self.lists, now_ms)
    }
}

/// A variable that rules can read.
struct RuleVariable {
    name: String,
    ty: Type,
    default: Value,
    /// Whether it is the score or an output of a model, and no part of an event.
    is_score: bool,
}

/// The variables of the detector's event type, and the scores of models.
fn list_variables(
    template: &DetectorTemplate,
    detector: &DetectorResource,
) -> Result<Vec<RuleVariable>, DetectorRulesError> {
    let by_name: HashMap<&str, &VariableResource> = template
        .variables
        .iter()
        .map(|variable| (variable.name.as_str(), variable))
        .collect();
    let mut event_types = template.event_types.iter();
    let event_type = event_types.find(|event_type| event_type.name == detector.event_type);
    let names = event_type.map_or(&[][..], |event_type| &event_type.variables);
    let of_events = names
        .iter()
        .filter_map(|name| by_name.get(name.as_str()).copied());
    let outputs = template.variables.iter().filter(|it| it.source != "EVENT");
    let mut variables = of_events
        .chain(outputs)
        .map(|variable| {
            let is_score = variable.source != "EVENT";
            // A score that is not known is null, whatever its default.
            let default = if is_score {
                Value::Null
            } else {
                read_default(template, variable)?
            };
            Ok(RuleVariable {
                name: variable.name.clone(),
                ty: variable.ty,
                default,
                is_score,
            })
        })
        .collect::<Result<Vec<RuleVariable>, DetectorRulesError>>()?;
    // The service makes this variable when a model is created.
    variables.extend(detector.models.versions.iter().map(|model| RuleVariable {
        name: format!("{}_insightscore", model.id),
        ty: Type::Float,
        default: Value::Null,
        is_score: true,
    }));
    Ok(variables)
}

fn read_default(
    template: &DetectorTemplate,
    variable: &VariableResource,
) -> Result<Value, DetectorRulesError> {
    Value::parse_default(variable.ty, &variable.default).map_err(|why| {
        DetectorRulesError::InvalidDefault {
            file: template.file.clone(),
            variable: variable.name.clone(),
            default: variable.default.clone(),
            why,
        }
    })
}

fn read_lists(template: &DetectorTemplate) -> Lists {
    let mut lists = Lists::default();
    for list in &template.lists {
        let elements = list.elements.as_deref().unwrap_or_default();
        let normal = list
            .variable_type
            .as_deref()
            .and_then(engine::find_normalizer);
        let values = match normal {
            Some(normal) => ListValues::normalized(normal, elements),
            None => elements.iter().collect(),
        };
        lists.insert_shared(list.name.as_str(), Arc::new(values));
    }
    lists
}

fn compile_rules(
    template: &DetectorTemplate,
    detector: &DetectorResource,
    schema: &Schema,
) -> Result<Vec<DetectorRule>, DetectorRulesError> {
    let compile = |rule: &RuleResource| {
        let compiled = Rule::new(&rule.expression, schema).map_err(|errors| {
            DetectorRulesError::InvalidRule {
                file: template.file.clone(),
                line: rule.at.line,
                column: rule.at.column,
                rule: rule.id.clone(),
                errors,
            }
        })?;
        Ok(DetectorRule {
            id: rule.id.clone(),
            outcomes: rule.outcomes.clone(),
            description: rule.description.clone(),
            rule: compiled,
        })
    };
    detector.rules.iter().map(compile).collect()
}
