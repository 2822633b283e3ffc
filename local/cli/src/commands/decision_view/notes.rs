//! What the engine knows of one decision beyond its item.

use std::collections::BTreeMap;

use engine::{Engine, ExplainedScore, ExplainedVariable};
use model::Attribution;
use serde_json::Value;
use shared::decisions::Decision;

use super::RuleBook;
use crate::commands::list::{format_entry, read_list_entries};
use crate::printable::printable_value;

/// The most variables that are named as reasons of a score.
const MOST_REASONS: usize = 5;

/// What is known of one decision beyond its item.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecisionNotes {
    /// For the rule of the override: which value of the order is in which list.
    pub(crate) listed: Vec<String>,
    /// What moved each score, by its variable: `order_price 450.00 (+4.75)`.
    pub(crate) score_reasons: BTreeMap<String, Vec<String>>,
    /// What the customer did before: see [`super::describe_customer_past`].
    pub(crate) customer_past: Vec<String>,
    /// Whether the decision is on the event bus, if that is known.
    pub(crate) forwarded: Option<bool>,
}

/// Reads what the engine knows of a decision; without an engine, only what follows from the rules.
pub(crate) async fn read_notes(
    engine: Option<&Engine>,
    rules: &RuleBook,
    decision: &Decision,
) -> DecisionNotes {
    DecisionNotes {
        listed: find_listed_values(engine, rules, decision).await,
        score_reasons: match engine {
            Some(engine) => find_score_reasons(engine, decision).await,
            None => BTreeMap::new(),
        },
        customer_past: Vec::new(),
        forwarded: None,
    }
}

/// Which values of the order the override looked up, in which lists, and what their entries say.
async fn find_listed_values(
    engine: Option<&Engine>,
    rules: &RuleBook,
    decision: &Decision,
) -> Vec<String> {
    let applied = decision.applied_override.iter();
    let rule = applied.filter_map(|applied| rules.rule(decision, &applied.rule));
    let Some(Ok(expression)) = rule
        .map(|rule| rules::parse_expression(&rule.expression))
        .next()
    else {
        return Vec::new();
    };
    let mut listed = Vec::new();
    let mut not_found = Vec::new();
    for test in expression.list_tests() {
        let Some(value) = decision.variables.get(test.variable) else {
            continue;
        };
        let looked_up = format!("{} {}", test.variable, printable_value(value));
        let list = test.list;
        let Some(entries) = read_entries(engine, list).await else {
            listed.push(format!("{looked_up} was looked up in list {list}"));
            continue;
        };
        let is_value = |element: &str| element.eq_ignore_ascii_case(value);
        let mut entries = entries.iter();
        match entries.find(|entry| entry["element"].as_str().is_some_and(is_value)) {
            Some(entry) => {
                let entry = format_entry(entry);
                listed.push(format!("{} is in list {list}: {entry}", test.variable));
            }
            None => not_found.push(format!("{looked_up} is no longer in list {list}")),
        }
    }
    if listed.is_empty() {
        return not_found;
    }
    listed
}

/// The entries of a list, if the engine can be asked.
async fn read_entries(engine: Option<&Engine>, list: &str) -> Option<Vec<Value>> {
    read_list_entries(engine?, list).await.ok()
}

/// What moved the scores of a decision. Only the newest prediction of an event is explained, so there is nothing for
/// earlier revisions.
async fn find_score_reasons(engine: &Engine, decision: &Decision) -> BTreeMap<String, Vec<String>> {
    if decision.verdict.scores.is_empty() {
        return BTreeMap::new();
    }
    let explained =
        engine.explain_prediction(&decision.event_type, &decision.event_id, Attribution::Path);
    let Ok(explained) = explained.await else {
        return BTreeMap::new();
    };
    let prediction = &decision.verdict.prediction;
    if prediction.prediction_timestamp.as_ref() != Some(&explained.prediction_timestamp) {
        return BTreeMap::new();
    }
    let models = explained.models.iter();
    let reasons = models.map(|model| {
        let score = format!("{}_insightscore", model.model_id);
        (score, list_reasons(model))
    });
    reasons.collect()
}

fn list_reasons(model: &ExplainedScore) -> Vec<String> {
    let moved = |variable: &&ExplainedVariable| variable.relative_impact != 0;
    let variables = model.variables.iter().filter(moved).take(MOST_REASONS);
    let describe = |variable: &ExplainedVariable| {
        let value = variable.value.as_deref().unwrap_or("absent");
        let value = printable_value(value);
        format!(
            "{} {value} ({:+.2})",
            variable.name, variable.log_odds_impact
        )
    };
    variables.map(describe).collect()
}
