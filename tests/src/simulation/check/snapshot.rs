//! Whether predictions are stored as they were made.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_frauddetector::Client as FraudDetector;
use aws_sdk_frauddetector::operation::get_event_prediction_metadata::GetEventPredictionMetadataOutput;
use aws_sdk_frauddetector::types::Variable;
use rules::{Lists, Rule, Schema, Type, Value, Verdict};
use shared::decisions::Decision;

use super::Checks;
use crate::simulation::report::Law;

/// The variables of the service with their types and default values.
pub(super) async fn list_variables(operator: &FraudDetector) -> Vec<Variable> {
    let answer = operator.get_variables().send().await.unwrap();
    answer.variables.unwrap_or_default()
}

impl Checks<'_> {
    /// The prediction of a decision is stored, has the same results, and gives them again.
    pub(super) async fn check_snapshot(&mut self, decision: &Decision, variables: &[Variable]) {
        let prediction = &decision.verdict.prediction;
        let metadata = self
            .end
            .operator
            .get_event_prediction_metadata()
            .event_id(&decision.event_id)
            .event_type_name("order")
            .detector_id("orders")
            .set_detector_version_id(prediction.detector_version_id.clone())
            .set_prediction_timestamp(prediction.prediction_timestamp.clone());
        let metadata = match metadata.send().await {
            Ok(metadata) => metadata,
            Err(error) => {
                let text = format!("{}: {:?}", decision.decision_id, error.as_service_error());
                self.add(Law::Snapshot, text);
                return;
            }
        };
        let matched: Vec<&str> = metadata
            .rules()
            .iter()
            .filter(|rule| rule.matched() == Some(true))
            .filter_map(|rule| rule.rule_id())
            .collect();
        let decided = decision.verdict.matched_rules.iter();
        let decided: Vec<&str> = decided.map(|rule| rule.rule_id.as_str()).collect();
        let seen = seen_variables(&metadata);
        if matched != decided || seen != decision.variables {
            let text = format!(
                "{}: decided by {decided:?} over {:?}, its snapshot says {matched:?} over {seen:?}",
                decision.decision_id, decision.variables
            );
            self.add(Law::Snapshot, text);
        }
        if let Err(text) = judge_again(decision, &metadata, variables) {
            self.add(
                Law::JudgedAgain,
                format!("{}: {text}", decision.decision_id),
            );
        }
    }
}

fn seen_variables(metadata: &GetEventPredictionMetadataOutput) -> BTreeMap<String, String> {
    let seen = metadata.event_variables().iter();
    seen.filter_map(|it| Some((it.name()?.to_owned(), it.value()?.to_owned())))
        .collect()
}

/// Judges a stored prediction by its own rules and variables once more, without the engine: the same rules match, with the same
/// outcomes, as in the decision. What was on the list at that time is not stored, so the list has the order's address if the
/// decision says so. There are no scores, because the detector has no model.
fn judge_again(
    decision: &Decision,
    metadata: &GetEventPredictionMetadataOutput,
    variables: &[Variable],
) -> Result<(), String> {
    let seen = seen_variables(metadata);
    let (mut types, mut row) = (Vec::new(), Vec::new());
    for variable in variables {
        let name = variable.name().unwrap_or_default();
        let data_type = variable.data_type().map_or("", |it| it.as_str());
        let data_type: Type = data_type.parse().map_err(|_| format!("type of {name}"))?;
        let value = match seen.get(name) {
            Some(value) => Value::parse(data_type, value),
            None => Value::parse_default(data_type, variable.default_value().unwrap_or_default()),
        };
        types.push((name.to_owned(), data_type));
        row.push(value.map_err(|error| format!("{name}: {error}"))?);
    }
    let decided = &decision.verdict.matched_rules;
    let is_listed = decided.iter().any(|rule| rule.rule_id == "blocked_email");
    let address = seen.get("email_address").filter(|_| is_listed);
    let mut lists = Lists::default();
    lists.insert("blocked_emails", address);
    let schema = Schema::new(types, ["blocked_emails".to_owned()]);
    let mut again = Vec::new();
    for rule in metadata.rules() {
        let expression = rule.expression().unwrap_or_default();
        let compiled = Rule::new(expression, &schema).map_err(|errors| errors.to_string())?;
        if compiled.evaluate(&row, &lists, 0) == Verdict::Matched {
            again.push((rule.rule_id().unwrap_or_default(), rule.outcomes()));
        }
    }
    let decided = decided
        .iter()
        .map(|it| (it.rule_id.as_str(), it.outcomes.as_slice()));
    let decided: Vec<(&str, &[String])> = decided.collect();
    let outcomes: BTreeSet<&String> = again.iter().flat_map(|(_, outcomes)| *outcomes).collect();
    let stored: BTreeSet<&String> = metadata.outcomes().iter().collect();
    if again == decided && outcomes == stored {
        return Ok(());
    }
    Err(format!(
        "decided by {decided:?}, judged again by {again:?}, over {seen:?}; the stored outcomes are {stored:?}"
    ))
}
