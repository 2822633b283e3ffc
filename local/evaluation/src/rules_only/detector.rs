//! The rules of a detector file, compiled so that they can be measured.

use std::collections::BTreeMap;

use rules::{ListValues, Lists, Rule, Schema, Type, Value};
use thiserror::Error;

use super::figures::UnmeasuredRule;

/// Words in names of outcomes that let an event pass. All other outcomes are alarms.
const PASSING: [&str; 8] = [
    "accept", "accepted", "allow", "allowed", "approve", "approved", "pass", "passed",
];

/// Rules that cannot be measured.
#[derive(Debug, Error)]
pub enum RulesError {
    /// The detector file cannot be read.
    #[error(transparent)]
    File(#[from] Box<dyn std::error::Error + Send + Sync>),
    /// The file does not have exactly one detector.
    #[error("{file} has {found} detectors; rules are measured of a file that has one")]
    Detectors {
        /// The detector file.
        file: String,
        /// How many it has.
        found: usize,
    },
    /// No rule can be measured.
    #[error("{file}: no rule can be measured: {why}")]
    NoRule {
        /// The detector file.
        file: String,
        /// Why not.
        why: String,
    },
    /// The events have no column that a rule uses.
    #[error(
        "{path} has no column of the variables that the rules use: {}. Columns are variables by their names",
        variables.join(", ")
    )]
    NoColumn {
        /// The file of events.
        path: String,
        /// What rules use.
        variables: Vec<String>,
    },
}

/// What a detector file defines, as far as its rules need it.
#[derive(Clone, Debug, Default)]
pub struct DetectorFile {
    /// The file's name, for messages.
    pub path: String,
    /// The detector's id.
    pub id: String,
    /// `FIRST_MATCHED` or `ALL_MATCHED`.
    pub mode: String,
    /// The variables of events.
    pub variables: Vec<FileVariable>,
    /// The names of the scores that rules may ask for.
    pub scores: Vec<String>,
    /// The lists; `None` for one whose elements the file does not give.
    pub lists: BTreeMap<String, Option<ListValues>>,
    /// The rules, in their order.
    pub rules: Vec<FileRule>,
}

/// A variable of a detector file.
#[derive(Clone, Debug)]
pub struct FileVariable {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Its default, as text.
    pub default: String,
}

/// A rule of a detector file.
#[derive(Clone, Debug)]
pub struct FileRule {
    /// Its id.
    pub id: String,
    /// Its expression.
    pub expression: String,
    /// Its outcomes.
    pub outcomes: Vec<String>,
}

/// The compiled rules of a detector file.
#[derive(Debug)]
pub struct MeasuredDetector {
    pub(super) id: String,
    pub(super) mode: String,
    pub(super) schema: Schema,
    pub(super) defaults: Vec<Value>,
    pub(super) lists: Lists,
    pub(super) rules: Vec<MeasuredRule>,
    pub(super) left_out: Vec<UnmeasuredRule>,
    /// The outcomes that are alarms, in the order of the rules.
    pub(super) alarms: Vec<String>,
}

/// A rule and the place of its most severe outcome among the alarms; `None` if it lets the event pass.
#[derive(Debug)]
pub(super) struct MeasuredRule {
    pub(super) rule: Rule,
    pub(super) alarm: Option<usize>,
}

impl MeasuredDetector {
    /// Compiles the rules of a detector file.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn new(file: DetectorFile) -> Result<Self, RulesError> {
        let typed = file
            .variables
            .iter()
            .map(|variable| (variable.name.clone(), variable.ty))
            .chain(file.scores.iter().map(|name| (name.clone(), Type::Float)));
        let schema = Schema::new(typed, file.lists.keys().cloned());
        let mut defaults: Vec<Value> = file
            .variables
            .iter()
            .map(|variable| Value::parse(variable.ty, &variable.default).unwrap_or(Value::Null))
            .collect();
        defaults.resize(schema.len(), Value::Null);

        let mut alarms: Vec<String> = Vec::new();
        let (mut measured, mut left_out) = (Vec::new(), Vec::new());
        for rule in &file.rules {
            match compile_rule(&rule.expression, &schema, &file) {
                Err(why) => left_out.push(UnmeasuredRule {
                    rule: rule.id.clone(),
                    why,
                }),
                Ok(compiled) => {
                    for outcome in rule.outcomes.iter().filter(|name| !lets_pass(name)) {
                        if !alarms.contains(outcome) {
                            alarms.push(outcome.clone());
                        }
                    }
                    measured.push((compiled, &rule.outcomes));
                }
            }
        }
        let rules: Vec<MeasuredRule> = measured
            .into_iter()
            .map(|(rule, outcomes)| MeasuredRule {
                rule,
                alarm: alarms.iter().position(|alarm| outcomes.contains(alarm)),
            })
            .collect();
        if alarms.is_empty() {
            let why = match left_out.first() {
                Some(UnmeasuredRule { rule, why }) if rules.is_empty() => format!("`{rule}` {why}"),
                _ => "none has an outcome that stops an event".to_owned(),
            };
            let file = file.path;
            return Err(RulesError::NoRule { file, why });
        }
        let mut lists = Lists::default();
        for (name, list) in file.lists {
            lists.insert_shared(name.as_str(), list.unwrap_or_default().into());
        }
        Ok(Self {
            id: file.id,
            mode: file.mode,
            schema,
            defaults,
            lists,
            rules,
            left_out,
            alarms,
        })
    }
}

/// Compiles a rule, or returns why it cannot be measured: what follows its name in a sentence.
fn compile_rule(expression: &str, schema: &Schema, file: &DetectorFile) -> Result<Rule, String> {
    let rule = Rule::new(expression, schema).map_err(|errors| {
        format!(
            "cannot be compiled with what the file defines: {}",
            errors.messages().join("; ")
        )
    })?;
    let is_used = |score: &&String| rule.variables().any(|name| name == **score);
    if let Some(score) = file.scores.iter().find(is_used) {
        return Err(format!("needs the score `${score}`"));
    }
    let is_unknown = |name: &&str| file.lists.get(*name).is_some_and(Option::is_none);
    if let Some(list) = rule.lists().find(is_unknown) {
        return Err(format!(
            "needs the list `{list}`, of which the file gives no Elements"
        ));
    }
    Ok(rule)
}

/// Whether an outcome lets an event pass.
fn lets_pass(outcome: &str) -> bool {
    let mut words = outcome.split(['_', '-']);
    words.any(|word| PASSING.contains(&word))
}
