//! What a check found.

use std::collections::BTreeMap;

use event::VariableName;
use serde::Serialize;
use shared::mapping::Mapping;

use super::FileCheck;
use super::order_tally::{OrderTally, RejectedClass, RuleTally};
use super::value_tally::ValueTally;
use crate::detector_rules::{DetectorRule, DetectorRules};
use crate::input::RecordInput;

/// What a file is for a mapping and for rules.
#[derive(Debug, Serialize)]
pub struct CheckReport {
    /// The file.
    pub file: String,
    /// Rows or lines that were read.
    pub records: u64,
    /// Orders that would be decided; a record may hold several.
    pub orders: u64,
    /// Messages that the mapping skips.
    pub skipped: u64,
    /// Rows that were read as Windows-1252, because they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows_1252_rows: Option<u64>,
    /// When the first and the last order was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<(String, String)>,
    /// Orders with the id of an earlier one.
    pub repeated_ids: RepeatedReport,
    /// What would be rejected, by class.
    pub rejected: Vec<RejectedReport>,
    /// The variables of the mapping.
    pub variables: Vec<VariableReport>,
    /// The keys of its aggregates.
    pub keys: Vec<KeyReport>,
    /// Problems with what is no variable.
    pub problems: BTreeMap<String, u64>,
    /// The rules of the detector.
    pub rules: Vec<CheckedRuleReport>,
    /// Variables of the mapping that the detector's event type lacks: the service would refuse the orders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_variables: Vec<String>,
    /// How many orders would get each outcome, by the rules that could be judged.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, u64>,
    /// Orders with a value that could not be read or a rule that could not be evaluated.
    pub undetermined: u64,
}

/// Orders that have the id of an earlier one.
#[derive(Debug, Serialize)]
pub struct RepeatedReport {
    /// With the same content.
    pub same_content: u64,
    /// With other content and the same revision.
    pub other_content: u64,
    /// Two records with the same id and different content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<(u64, u64)>,
}

/// The records that would be rejected for one reason.
#[derive(Debug, Serialize)]
pub struct RejectedReport {
    /// The class of the rejection.
    pub class: &'static str,
    /// How many.
    pub count: u64,
    /// The number of the first, from 1.
    pub record: u64,
    /// Why the first is rejected.
    pub reason: String,
    /// The beginning of the first.
    pub content: String,
}

/// What the orders have of one variable.
#[derive(Debug, Serialize)]
pub struct VariableReport {
    /// Its name.
    pub name: String,
    /// Orders with a value.
    pub filled: u64,
    /// Orders whose value cannot be read.
    pub invalid: u64,
    /// Why, with counts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub problems: BTreeMap<String, u64>,
    /// Different values, counted up to 10,000.
    pub distinct: u64,
    /// The first three different values.
    pub examples: Vec<String>,
}

/// How many orders have a key.
#[derive(Debug, Serialize)]
pub struct KeyReport {
    /// Its name.
    pub name: String,
    /// Orders with a value.
    pub filled: u64,
}

/// What one rule does on the orders.
#[derive(Debug, Serialize)]
pub struct CheckedRuleReport {
    /// The rule.
    pub id: String,
    /// Its outcomes.
    pub outcomes: Vec<String>,
    /// Its description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Orders that it matches.
    pub matched: u64,
    /// Orders that no other judged rule matches.
    pub matched_alone: u64,
    /// Orders for which it cannot be evaluated.
    pub undetermined: u64,
    /// The first order that it matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// Variables that it reads and no order fills.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub never_filled: Vec<String>,
    /// Variables of the past or of a model, and lists of the service, that it reads, so that it was not judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_judged_because_of: Vec<String>,
    /// Whether it cannot match on this file: it matched nothing, and reads what no order fills.
    pub cannot_fire: bool,
}

impl CheckReport {
    pub(super) fn new(
        check: &FileCheck<'_>,
        records: u64,
        input: &RecordInput,
        tally: OrderTally<'_>,
    ) -> Self {
        let names: Vec<&str> = check
            .mapping
            .variables()
            .map(VariableName::as_str)
            .collect();
        let unknown = names.iter();
        let unknown = unknown.filter(|name| !check.rules.has_variable(name));
        Self {
            file: check.path.to_owned(),
            records,
            orders: tally.orders,
            skipped: tally.skipped,
            windows_1252_rows: input.windows_1252_rows(),
            times: tally
                .times
                .map(|(first, last)| (first.to_string(), last.to_string())),
            repeated_ids: RepeatedReport {
                same_content: tally.repeated.same,
                other_content: tally.repeated.changed,
                example: tally.repeated.example,
            },
            unknown_variables: unknown.map(|name| (*name).to_owned()).collect(),
            keys: describe_keys(check.mapping, &tally),
            rules: describe_rules(check.mapping, check.rules, &tally),
            variables: names
                .iter()
                .zip(tally.values)
                .map(|(name, values)| describe_variable(name, values))
                .collect(),
            rejected: describe_rejected(tally.rejected),
            problems: tally.problems.0,
            outcomes: tally.outcomes,
            undetermined: tally.undetermined,
        }
    }

    /// The rules that cannot match on this file.
    pub fn rules_that_cannot_fire(&self) -> impl Iterator<Item = &str> {
        let rules = self.rules.iter();
        rules
            .filter(|rule| rule.cannot_fire)
            .map(|rule| rule.id.as_str())
    }
}

fn describe_variable(name: &str, values: ValueTally) -> VariableReport {
    VariableReport {
        name: name.to_owned(),
        filled: values.filled,
        invalid: values.invalid,
        problems: values.problems.0,
        distinct: u64::try_from(values.distinct.len()).unwrap_or(u64::MAX),
        examples: values
            .examples
            .into_iter()
            .map(|(_, value)| value)
            .collect(),
    }
}

fn describe_keys(mapping: &Mapping, tally: &OrderTally<'_>) -> Vec<KeyReport> {
    let keys = mapping.aggregate_keys().iter().zip(&tally.keys);
    keys.filter(|(key, _)| key.is_counted())
        .map(|(key, filled)| KeyReport {
            name: key.name().to_owned(),
            filled: *filled,
        })
        .collect()
}

fn describe_rejected(classes: BTreeMap<&'static str, RejectedClass>) -> Vec<RejectedReport> {
    let describe = |(class, rejected): (&'static str, RejectedClass)| {
        let (record, reason, content) = rejected.first?;
        Some(RejectedReport {
            class,
            count: rejected.count,
            record,
            reason,
            content,
        })
    };
    classes.into_iter().filter_map(describe).collect()
}

fn describe_rules(
    mapping: &Mapping,
    rules: &DetectorRules,
    tally: &OrderTally<'_>,
) -> Vec<CheckedRuleReport> {
    let filled = count_filled(mapping, tally);
    let describe = |(place, rule): (usize, &DetectorRule)| {
        let unknown = tally.unknown_names(place);
        // What the mapping does not know nothing fills, except for the scores of models.
        let is_never_filled = |name: &&str| match filled.get(name) {
            Some(filled) => *filled == 0,
            None => !unknown.iter().any(|it| it.strip_prefix('$') == Some(name)),
        };
        let never_filled = rule.rule.variables().filter(is_never_filled);
        let never_filled = never_filled.map(str::to_owned).collect();
        describe_rule(rule, &tally.hits[place], never_filled, unknown)
    };
    rules.rules.iter().enumerate().map(describe).collect()
}

/// How many orders fill each variable; an aggregate is filled where its key is.
fn count_filled<'m>(mapping: &'m Mapping, tally: &OrderTally<'_>) -> BTreeMap<&'m str, u64> {
    let own = mapping.variables().zip(&tally.values);
    let own = own.map(|(name, values)| (name.as_str(), values.filled));
    let keys = mapping.aggregate_keys().iter().zip(&tally.keys);
    let past = keys.flat_map(|(key, filled)| {
        let names = key.variables();
        names.map(move |name| (name.as_str(), *filled))
    });
    own.chain(past).collect()
}

fn describe_rule(
    rule: &DetectorRule,
    tally: &RuleTally,
    never_filled: Vec<String>,
    unknown: &[String],
) -> CheckedRuleReport {
    CheckedRuleReport {
        id: rule.id.clone(),
        outcomes: rule.outcomes.clone(),
        description: rule.description.clone(),
        matched: tally.matched,
        matched_alone: tally.alone,
        undetermined: tally.undetermined,
        first: tally.first.as_ref().map(|(_, order)| order.clone()),
        cannot_fire: tally.matched == 0 && !never_filled.is_empty(),
        never_filled,
        not_judged_because_of: unknown.to_vec(),
    }
}
