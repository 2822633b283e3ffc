//! The rules of a detector file, compiled without a service.

use std::sync::Arc;

use rules::{Errors, Lists, Rule, Schema, Value, Verdict};
use shared::decisions::{MatchedRule, Outcomes, PredictionHeader, ServiceVerdict};
use shared::mapping::Mapping;
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
    first_matched: bool,
}

/// What the rules say of one row: the places of those that matched, and of those that could not be evaluated.
#[derive(Debug, Default)]
pub(crate) struct RowVerdicts {
    pub(crate) matched: Vec<usize>,
    pub(crate) undetermined: Vec<usize>,
}

impl DetectorRules {
    /// Compiles the rules of `detector` in `template`. A list whose elements the template does not give is not known.
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
        let variables: Vec<&VariableResource> = template.event_variables(found).collect();
        let scores = template.score_variables(found);
        let typed = variables
            .iter()
            .map(|variable| (variable.name.clone(), variable.ty));
        let schema = Schema::new(
            typed.chain(scores.iter().cloned()),
            template.lists.iter().map(|list| list.name.clone()),
        );
        let defaults = variables
            .iter()
            .map(|variable| read_default(template, variable));
        let mut defaults = defaults.collect::<Result<Vec<Value>, _>>()?;
        // A score that is not known is null, whatever its default.
        defaults.resize(schema.len(), Value::Null);
        let mut lists = Lists::default();
        for list in &template.lists {
            if let Some(values) = list.values() {
                lists.insert_shared(list.name.as_str(), Arc::new(values));
            }
        }
        Ok(Self {
            rules: compile_rules(template, found, &schema)?,
            scores: scores.into_iter().map(|(name, _)| name).collect(),
            defaults,
            lists,
            first_matched: found.mode == "FIRST_MATCHED",
            schema,
        })
    }

    /// Whether the elements of a list are known.
    pub(crate) fn knows_list(&self, name: &str) -> bool {
        self.lists.get(name).is_some()
    }

    /// The places of the rules with these ids, in the order of the rules.
    pub(crate) fn find_places(&self, ids: &[String]) -> Vec<usize> {
        let places = self.rules.iter().enumerate();
        let places = places.filter(|(_, rule)| ids.contains(&rule.id));
        places.map(|(place, _)| place).collect()
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

    /// Evaluates the rules on a row, in their order, without those that `is_left_out` names by their place.
    pub(crate) fn judge_row(
        &self,
        row: &[Value],
        now_ms: i64,
        is_left_out: impl Fn(usize) -> bool,
    ) -> RowVerdicts {
        let mut verdicts = RowVerdicts::default();
        for (place, rule) in self.rules.iter().enumerate() {
            if is_left_out(place) {
                continue;
            }
            match rule.rule.evaluate(row, &self.lists, now_ms) {
                Verdict::Matched => {
                    verdicts.matched.push(place);
                    if self.first_matched {
                        break;
                    }
                }
                Verdict::NotMatched => {}
                Verdict::Undetermined => verdicts.undetermined.push(place),
            }
        }
        verdicts
    }

    /// The outcomes of an order, as the pipeline makes them of such an answer of the service.
    pub(crate) fn combine_outcomes(
        &self,
        mapping: &Mapping,
        has_invalid_value: bool,
        verdicts: &RowVerdicts,
    ) -> Outcomes {
        let rule = |place: &usize| &self.rules[*place];
        let matched = verdicts.matched.iter().map(rule);
        let undetermined = verdicts.undetermined.iter().map(rule);
        let verdict = ServiceVerdict {
            matched_rules: matched
                .map(|rule| MatchedRule {
                    rule_id: rule.id.clone(),
                    outcomes: rule.outcomes.clone(),
                })
                .collect(),
            prediction: PredictionHeader {
                undetermined: undetermined.map(|rule| rule.id.clone()).collect(),
                ..PredictionHeader::default()
            },
            ..ServiceVerdict::default()
        };
        Outcomes::combine(mapping, has_invalid_value, &verdict)
    }
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
