//! What differs between what decides and what a file defines, with the texts of both.

use engine::{ChangedPart, RecordedRule};

use super::plan::{ApplyPlan, PlanAction, PlanCall};
use super::planner::format_default;
use super::resource_types::Kind;
use super::service_state::ServiceState;
use super::template::{DetectorResource, RuleResource, VariableResource};

/// The rules, the models and the mode that differ between two versions of a detector.
pub(crate) fn compare_detectors(
    before: Option<&DetectorResource>,
    after: &DetectorResource,
) -> Vec<ChangedPart> {
    let old_rules = before.map_or(&[][..], |before| &before.rules);
    let find = |rules: &[RuleResource], id: &str| {
        let found = rules.iter().find(|rule| rule.id == id);
        found.map(format_rule)
    };
    let gone = old_rules
        .iter()
        .filter(|rule| !after.rules.iter().any(|it| it.id == rule.id));
    let mut parts: Vec<ChangedPart> = after
        .rules
        .iter()
        .chain(gone)
        .map(|rule| ChangedPart {
            resource: "rule".to_owned(),
            name: rule.id.clone(),
            before: find(old_rules, &rule.id),
            after: find(&after.rules, &rule.id),
        })
        .collect();
    let old = before.map(list_settings);
    let settings = list_settings(after).into_iter().enumerate();
    parts.extend(settings.map(|(place, (resource, text))| ChangedPart {
        resource: resource.to_owned(),
        name: after.id.clone(),
        before: old.as_ref().map(|old| old[place].1.clone()),
        after: Some(text),
    }));
    // A rule that is new or gone changes the order, too; only a new order of the same rules is worth a word.
    let is_reordered = before.is_some_and(|before| is_same_set(&before.rules, &after.rules));
    parts.retain(|part| part.before != part.after);
    parts.retain(|part| part.resource == "rule" || before.is_some());
    parts.retain(|part| part.resource != "order of rules" || is_reordered);
    parts
}

/// What a version has besides its rules, by what it is.
fn list_settings(detector: &DetectorResource) -> [(&'static str, String); 3] {
    [
        ("rule execution mode", detector.mode.clone()),
        ("models", format_models(detector)),
        ("order of rules", format_order(&detector.rules)),
    ]
}

fn is_same_set(one: &[RuleResource], other: &[RuleResource]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .all(|rule| other.iter().any(|it| it.id == rule.id))
}

fn format_order(rules: &[RuleResource]) -> String {
    let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    ids.join(", ")
}

fn format_rule(rule: &RuleResource) -> String {
    format!(
        "{}\n-> {}",
        rule.expression.trim(),
        rule.outcomes.join(", ")
    )
}

fn format_models(detector: &DetectorResource) -> String {
    let versions = detector.models.versions.iter();
    let versions = versions.map(|model| format!("{} {}", model.id, model.number));
    let external = detector.models.external.iter().cloned();
    versions.chain(external).collect::<Vec<String>>().join(", ")
}

/// The rules of a detector, as they are recorded.
pub(crate) fn record_rules(detector: &DetectorResource) -> impl Iterator<Item = RecordedRule> {
    detector.rules.iter().map(|rule| RecordedRule {
        detector_id: detector.id.clone(),
        rule_id: rule.id.clone(),
        expression: rule.expression.clone(),
        outcomes: rule.outcomes.clone(),
    })
}

/// The variables and outcomes that a plan creates or changes.
pub(super) fn compare_variables_and_outcomes(
    plan: &ApplyPlan,
    state: &ServiceState,
) -> Vec<ChangedPart> {
    let part = |resource: &str, name: &str, before, after| ChangedPart {
        resource: resource.to_owned(),
        name: name.to_owned(),
        before,
        after: Some(after),
    };
    let steps = plan.steps.iter();
    steps
        .filter_map(|step| match &step.call {
            PlanCall::CreateVariable(variable) | PlanCall::UpdateVariable(variable) => {
                let before = state.variables.get(&variable.name).map(format_variable);
                Some(part(
                    "variable",
                    &variable.name,
                    before,
                    format_variable(variable),
                ))
            }
            PlanCall::PutNamed(Kind::Outcome, outcome) => {
                let known = state.named.get(&(Kind::Outcome, outcome.name.clone()));
                let before = (step.action == PlanAction::Update)
                    .then(|| known.cloned().flatten().unwrap_or_default());
                let after = outcome.description.clone().unwrap_or_default();
                Some(part("outcome", &outcome.name, before, after))
            }
            _ => None,
        })
        .collect()
}

fn format_variable(variable: &VariableResource) -> String {
    let ty = variable.variable_type.iter().map(|ty| format!(" {ty}"));
    format!(
        "{}{} default {}",
        variable.ty,
        ty.collect::<String>(),
        format_default(variable)
    )
}

#[cfg(test)]
mod tests {
    use super::super::template::AssociatedModels;
    use super::*;
    use crate::cloudformation::problem::LineColumn;

    fn detector(mode: &str, rules: &[(&str, &str)]) -> DetectorResource {
        DetectorResource {
            id: "orders".to_owned(),
            event_type: "order".to_owned(),
            rules: rules
                .iter()
                .map(|(id, expression)| RuleResource {
                    id: (*id).to_owned(),
                    expression: (*expression).to_owned(),
                    at: LineColumn::default(),
                    outcomes: vec!["review".to_owned()],
                    description: None,
                    tags: Vec::new(),
                })
                .collect(),
            mode: mode.to_owned(),
            active: true,
            models: AssociatedModels::default(),
            description: None,
            tags: Vec::new(),
        }
    }

    #[test]
    fn differences_have_both_texts() {
        let before = detector("ALL_MATCHED", &[("a", "$x > 1"), ("b", "$x > 2")]);
        for (after, want) in [
            (
                detector("ALL_MATCHED", &[("a", "$x > 1"), ("b", "$x > 2")]),
                "",
            ),
            (
                detector("ALL_MATCHED", &[("a", "$x > 3"), ("c", "$y")]),
                "rule a: $x > 1\n-> review => $x > 3\n-> review; rule c: none => $y\n-> review; rule b: $x > 2\n-> review => none",
            ),
            (
                detector("FIRST_MATCHED", &[("b", "$x > 2"), ("a", "$x > 1")]),
                "rule execution mode orders: ALL_MATCHED => FIRST_MATCHED; order of rules orders: a, b => b, a",
            ),
        ] {
            let parts = compare_detectors(Some(&before), &after);
            let text = |side: &Option<String>| side.clone().unwrap_or("none".to_owned());
            let lines: Vec<String> = parts
                .iter()
                .map(|part| {
                    let (before, after) = (text(&part.before), text(&part.after));
                    format!("{} {}: {before} => {after}", part.resource, part.name)
                })
                .collect();
            assert_eq!(lines.join("; "), want);
        }
        assert_eq!(compare_detectors(None, &before).len(), 2);
    }
}
