//! Plans for templates that are new, applied, or changed.

use rules::Type;

use super::super::planner::compute_plan;
use super::super::resource_types::Kind;
use super::super::service_state::{
    DetectorState, DetectorVersionContent, DetectorVersionState, ServiceState,
};
use super::super::template::{DetectorTemplate, NamedResource};
use crate::cloudformation::inputs::TemplateInputs;

fn template() -> DetectorTemplate {
    DetectorTemplate::parse(
        "t.yaml",
        include_str!("small.yaml"),
        &TemplateInputs::default(),
    )
    .unwrap()
}

/// The state after `template` has been applied.
fn applied(template: &DetectorTemplate) -> ServiceState {
    let named = |kind, items: &[NamedResource]| -> Vec<_> {
        items
            .iter()
            .map(|item| ((kind, item.name.clone()), item.description.clone()))
            .collect()
    };
    let mut state = ServiceState::default();
    state
        .named
        .extend(named(Kind::EntityType, &template.entity_types));
    state.named.extend(named(Kind::Label, &template.labels));
    state.named.extend(named(Kind::Outcome, &template.outcomes));
    state.variables = template
        .variables
        .iter()
        .map(|v| (v.name.clone(), v.clone()))
        .collect();
    state.lists = template
        .lists
        .iter()
        .map(|list| (list.name.clone(), list.clone()))
        .collect();
    state.event_types = template
        .event_types
        .iter()
        .map(|e| (e.name.clone(), e.clone()))
        .collect();
    for detector in &template.detectors {
        let rules = detector
            .rules
            .iter()
            .map(|rule| (rule.id.clone(), "1".to_owned()))
            .collect();
        let content = DetectorVersionContent {
            rules,
            mode: detector.mode.clone(),
            models: detector.models.clone(),
        };
        let version = DetectorVersionState { number: 1, content };
        let present = DetectorState {
            event_type: detector.event_type.clone(),
            description: detector.description.clone(),
            rules: detector
                .rules
                .iter()
                .map(|rule| (rule.id.clone(), (1, rule.clone())))
                .collect(),
            active: Some(version.clone()),
            newest: Some(version),
        };
        state.detectors.insert(detector.id.clone(), present);
    }
    state
}

#[track_caller]
fn check(template: &DetectorTemplate, state: &ServiceState, want: &[&str]) {
    let got = match compute_plan(template, state) {
        Ok(plan) => plan.to_string(),
        Err(impossible) => impossible.join("\n"),
    };
    assert_eq!(got.lines().collect::<Vec<_>>(), want);
}

#[test]
fn everything_is_new() {
    check(
        &template(),
        &ServiceState::default(),
        &[
            "+ entity type customer",
            "+ label legit",
            "+ label fraud",
            "+ outcome block",
            "+ outcome review",
            "+ variable price FLOAT default 0.0",
            "+ variable signed_up_at STRING default \"\"",
            "+ variable email STRING default \"\"",
            "+ list blocked (1 element)",
            "+ event type order (3 variables)",
            "+ detector orders for event type order",
            "+ rule high_price -> review",
            "+ rule blocked_email -> block",
            "+ detector version 1 (2 rules, ALL_MATCHED), then ACTIVE",
            "= 0 unchanged",
        ],
    );
}

#[test]
fn nothing_is_new() {
    check(&template(), &applied(&template()), &["= 14 unchanged"]);
}

#[test]
fn a_rule_that_changes_makes_a_version() {
    let mut changed = template();
    changed.detectors[0].rules[0].expression = "$price > 500".to_owned();
    check(
        &changed,
        &applied(&template()),
        &[
            "~ rule high_price: expression changed (version 2)",
            "+ detector version 2 (2 rules, ALL_MATCHED), then ACTIVE",
            "= 12 unchanged",
        ],
    );
}

#[test]
fn the_order_of_rules_and_the_mode_count() {
    let mut changed = template();
    changed.detectors[0].rules.swap(0, 1);
    changed.detectors[0].mode = "FIRST_MATCHED".to_owned();
    check(
        &changed,
        &applied(&template()),
        &[
            "+ detector version 2 (2 rules, FIRST_MATCHED), then ACTIVE",
            "= 13 unchanged",
        ],
    );
}

#[test]
fn a_draft_that_is_the_same_is_activated() {
    let mut state = applied(&template());
    state.detectors.get_mut("orders").unwrap().active = None;
    check(
        &template(),
        &state,
        &["~ detector version 1: ACTIVE", "= 13 unchanged"],
    );
    let mut draft = template();
    draft.detectors[0].active = false;
    check(&draft, &state, &["= 14 unchanged"]);
}

#[test]
fn members_change() {
    let mut changed = template();
    changed.labels[1].description = Some("Not paid by its owner".to_owned());
    changed.labels[0].description = None;
    changed.variables[0].default = "1.0".to_owned();
    changed.lists[0].elements = Some(vec!["mallory@example.com".to_owned()]);
    changed.event_types[0].ingestion = Some(true);
    changed.event_types[0].variables.remove(1);
    changed.detectors[0].rules.pop();
    let mut state = applied(&template());
    state.event_types.get_mut("order").unwrap().ingestion = Some(false);
    check(
        &changed,
        &state,
        &[
            "~ label fraud: description changed",
            "~ variable price: default 1.0",
            "~ list blocked: 1 element added",
            "~ event type order: ingestion changed",
            "+ detector version 2 (1 rule, ALL_MATCHED), then ACTIVE",
            "= 8 unchanged",
            "note: list blocked has 1 element that the file lacks; nothing is removed",
            "note: variable signed_up_at of event type order is not in the file; it stays",
            "note: rule blocked_email of detector orders is not in the file; it stays, and does not decide",
        ],
    );
}

#[test]
fn what_cannot_change_is_said_at_once() {
    let mut changed = template();
    changed.variables[0].ty = Type::Integer;
    changed.lists[0].variable_type = Some("IP_ADDRESS".to_owned());
    changed.detectors[0].event_type = "payment".to_owned();
    check(
        &changed,
        &applied(&template()),
        &[
            "the data type of variable `price` is FLOAT and cannot become INTEGER; make a new variable",
            "the variable type of list `blocked` is EMAIL_ADDRESS and cannot become IP_ADDRESS; make a new list",
            "the event type of detector `orders` is order and cannot become payment; make a new detector",
        ],
    );
}

#[test]
fn json_says_the_same() {
    let mut changed = template();
    changed.detectors[0].rules[0].expression = "$price > 500".to_owned();
    let plan = compute_plan(&changed, &applied(&template())).unwrap();
    let json = serde_json::to_value(&plan).unwrap();
    let want = serde_json::json!({
        "action": "update", "resource": "rule", "name": "high_price",
        "detail": "expression changed (version 2)", "detector": "orders",
    });
    assert_eq!(json["steps"][0], want);
    assert_eq!(json["unchanged"], 12);
}
