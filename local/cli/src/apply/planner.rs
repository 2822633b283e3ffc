//! Compares a [`Template`] with the present state: the difference is a [`Plan`].

use std::fmt;

use rules::Type;

use super::plan::{ApplyPlan, PlanAction, PlanCall, PlanStep};
use super::resource_types::Kind;
use super::service_state::{
    DetectorState, DetectorVersionContent, DetectorVersionState, ServiceState,
};
use super::template::{
    DetectorResource, DetectorTemplate, EventTypeResource, ListResource, NamedResource,
    RuleResource, VariableResource,
};

/// Compares `template` with `state`.
///
/// # Errors
/// What the service cannot change: a sentence for each.
pub(super) fn compute_plan(
    template: &DetectorTemplate,
    state: &ServiceState,
) -> Result<ApplyPlan, Vec<String>> {
    let mut planner = Planner {
        state,
        plan: ApplyPlan::default(),
        impossible: Vec::new(),
    };
    let named = [
        (Kind::EntityType, &template.entity_types),
        (Kind::Label, &template.labels),
        (Kind::Outcome, &template.outcomes),
    ];
    for (kind, items) in named {
        for named in items {
            planner.plan_named(kind, named);
        }
    }
    for variable in &template.variables {
        planner.plan_variable(variable);
    }
    for list in &template.lists {
        planner.plan_list(list);
    }
    for event_type in &template.event_types {
        planner.plan_event_type(event_type);
    }
    for detector in &template.detectors {
        planner.plan_detector(detector);
    }
    if planner.impossible.is_empty() {
        Ok(planner.plan)
    } else {
        Err(planner.impossible)
    }
}

struct Planner<'a> {
    state: &'a ServiceState,
    plan: ApplyPlan,
    impossible: Vec<String>,
}

/// The differences of a resource, in words.
#[derive(Default)]
struct Changes(Vec<String>);

impl Changes {
    fn add(&mut self, differs: bool, what: impl Into<String>) {
        if differs {
            self.0.push(what.into());
        }
    }

    /// Compares an optional property; if the template leaves it out, it stays as it is.
    fn add_optional<T: Clone + PartialEq>(
        &mut self,
        wanted: &mut Option<T>,
        present: Option<&T>,
        what: &str,
    ) {
        match wanted {
            Some(wanted) => self.add(present != Some(wanted), format!("{what} changed")),
            None => *wanted = present.cloned(),
        }
    }
}

impl Planner<'_> {
    fn add_step(
        &mut self,
        action: PlanAction,
        resource: &'static str,
        name: &str,
        detail: String,
        call: PlanCall,
    ) {
        self.plan.steps.push(PlanStep {
            action,
            resource,
            name: name.to_owned(),
            detail,
            detector: None,
            call,
        });
    }

    /// Adds a step for a part of a detector.
    fn add_detector_step(&mut self, detector: &DetectorResource, step: PlanStep) {
        self.plan.steps.push(PlanStep {
            detector: Some(detector.id.clone()),
            ..step
        });
    }

    /// Adds a step if anything changes.
    fn add_update(&mut self, kind: Kind, name: &str, changes: &Changes, call: PlanCall) {
        if changes.0.is_empty() {
            self.plan.unchanged += 1;
        } else {
            self.add_step(
                PlanAction::Update,
                kind.word(),
                name,
                changes.0.join(", "),
                call,
            );
        }
    }

    fn plan_named(&mut self, kind: Kind, named: &NamedResource) {
        let mut wanted = named.clone();
        let Some(present) = self.state.named.get(&(kind, named.name.clone())) else {
            let call = PlanCall::PutNamed(kind, wanted);
            return self.add_step(
                PlanAction::Create,
                kind.word(),
                &named.name,
                String::new(),
                call,
            );
        };
        let mut changes = Changes::default();
        changes.add_optional(&mut wanted.description, present.as_ref(), "description");
        self.add_update(
            kind,
            &named.name,
            &changes,
            PlanCall::PutNamed(kind, wanted),
        );
    }

    fn plan_variable(&mut self, variable: &VariableResource) {
        let mut wanted = variable.clone();
        let Some(present) = self.state.variables.get(&variable.name) else {
            let detail = format!("{} default {}", variable.ty, format_default(variable));
            return self.add_step(
                PlanAction::Create,
                "variable",
                &variable.name,
                detail,
                PlanCall::CreateVariable(wanted),
            );
        };
        self.check_unchangeable(
            "variable",
            &variable.name,
            "data type",
            (&present.ty, &variable.ty),
            "make a new variable",
        );
        self.check_unchangeable(
            "variable",
            &variable.name,
            "data source",
            (&present.source, &variable.source),
            "make a new variable",
        );
        let mut changes = Changes::default();
        changes.add(
            present.default != variable.default,
            format!("default {}", format_default(variable)),
        );
        changes.add_optional(
            &mut wanted.variable_type,
            present.variable_type.as_ref(),
            "variable type",
        );
        changes.add_optional(
            &mut wanted.description,
            present.description.as_ref(),
            "description",
        );
        self.add_update(
            Kind::Variable,
            &variable.name,
            &changes,
            PlanCall::UpdateVariable(wanted),
        );
    }

    /// Refuses another value of a property that the service cannot change.
    fn check_unchangeable<T: PartialEq + fmt::Display>(
        &mut self,
        kind: &str,
        name: &str,
        what: &str,
        values: (&T, &T),
        advice: &str,
    ) {
        let (present, wanted) = values;
        if present != wanted {
            let message = format!(
                "the {what} of {kind} `{name}` is {present} and cannot become {wanted}; {advice}"
            );
            self.impossible.push(message);
        }
    }

    fn plan_list(&mut self, list: &ListResource) {
        let mut wanted = list.clone();
        let Some(present) = self.state.lists.get(&list.name) else {
            let detail = format!(
                "({})",
                format_count(list.elements.iter().flatten().count(), "element")
            );
            return self.add_step(
                PlanAction::Create,
                "list",
                &list.name,
                detail,
                PlanCall::CreateList(wanted),
            );
        };
        if let (Some(before), Some(after)) = (&present.variable_type, &list.variable_type) {
            self.check_unchangeable(
                "list",
                &list.name,
                "variable type",
                (before, after),
                "make a new list",
            );
        }
        let mut changes = Changes::default();
        if let (Some(elements), Some(before)) = (&list.elements, &present.elements) {
            let added = items_not_in(elements, before);
            changes.add(
                !added.is_empty(),
                format!("{} added", format_count(added.len(), "element")),
            );
            let beside = items_not_in(before, elements).len();
            if beside > 0 {
                let elements = format_count(beside, "element");
                self.plan.notes.push(format!(
                    "list {} has {elements} that the file lacks; nothing is removed",
                    list.name
                ));
            }
            wanted.elements = Some(added);
        }
        changes.add_optional(
            &mut wanted.variable_type,
            present.variable_type.as_ref(),
            "variable type",
        );
        changes.add_optional(
            &mut wanted.description,
            present.description.as_ref(),
            "description",
        );
        self.add_update(
            Kind::List,
            &list.name,
            &changes,
            PlanCall::UpdateList(wanted),
        );
    }

    fn plan_event_type(&mut self, event_type: &EventTypeResource) {
        let mut wanted = event_type.clone();
        let name = &event_type.name;
        let Some(present) = self.state.event_types.get(name) else {
            let detail = format!("({})", format_count(event_type.variables.len(), "variable"));
            return self.add_step(
                PlanAction::Create,
                "event type",
                name,
                detail,
                PlanCall::PutEventType(wanted),
            );
        };
        let mut changes = Changes::default();
        self.merge_names(
            name,
            "variable",
            &mut wanted.variables,
            &present.variables,
            &mut changes,
        );
        self.merge_names(
            name,
            "label",
            &mut wanted.labels,
            &present.labels,
            &mut changes,
        );
        self.merge_names(
            name,
            "entity type",
            &mut wanted.entity_types,
            &present.entity_types,
            &mut changes,
        );
        changes.add_optional(
            &mut wanted.ingestion,
            present.ingestion.as_ref(),
            "ingestion",
        );
        changes.add_optional(
            &mut wanted.orchestration,
            present.orchestration.as_ref(),
            "orchestration",
        );
        changes.add_optional(
            &mut wanted.description,
            present.description.as_ref(),
            "description",
        );
        self.add_update(
            Kind::EventType,
            name,
            &changes,
            PlanCall::PutEventType(wanted),
        );
    }

    /// Adds the existing names to the wanted ones, because older rules may use them.
    fn merge_names(
        &mut self,
        name: &str,
        what: &str,
        wanted: &mut Vec<String>,
        present: &[String],
        changes: &mut Changes,
    ) {
        let added = items_not_in(wanted, present);
        changes.add(
            !added.is_empty(),
            format!("{what} {} added", added.join(", ")),
        );
        for beside in items_not_in(present, wanted) {
            self.plan.notes.push(format!(
                "{what} {beside} of event type {name} is not in the file; it stays"
            ));
            wanted.push(beside);
        }
    }

    fn plan_detector(&mut self, detector: &DetectorResource) {
        let new = DetectorState {
            event_type: detector.event_type.clone(),
            ..DetectorState::default()
        };
        let found = self.state.detectors.get(&detector.id);
        let present = found.unwrap_or(&new);
        let event_types = (&present.event_type, &detector.event_type);
        self.check_unchangeable(
            "detector",
            &detector.id,
            "event type",
            event_types,
            "make a new detector",
        );
        let mut wanted = detector.clone();
        if found.is_none() {
            let detail = format!("for event type {}", detector.event_type);
            self.add_step(
                PlanAction::Create,
                "detector",
                &detector.id,
                detail,
                PlanCall::PutDetector(wanted),
            );
        } else {
            let mut changes = Changes::default();
            changes.add_optional(
                &mut wanted.description,
                present.description.as_ref(),
                "description",
            );
            self.add_update(
                Kind::Detector,
                &detector.id,
                &changes,
                PlanCall::PutDetector(wanted),
            );
        }
        let rules = detector.rules.iter().map(|rule| {
            (
                rule.id.clone(),
                self.plan_rule(detector, rule, present).to_string(),
            )
        });
        let content = DetectorVersionContent {
            rules: rules.collect(),
            mode: detector.mode.clone(),
            models: detector.models.clone(),
        };
        self.plan_version(detector, content, present);
        let beside = present
            .rules
            .keys()
            .filter(|id| !detector.rules.iter().any(|rule| rule.id == **id));
        let note = |id| {
            format!(
                "rule {id} of detector {} is not in the file; it stays, and does not decide",
                detector.id
            )
        };
        self.plan.notes.extend(beside.map(note));
    }

    /// Plans a rule, and returns the version of it that the detector version refers to.
    fn plan_rule(
        &mut self,
        detector: &DetectorResource,
        rule: &RuleResource,
        present: &DetectorState,
    ) -> u32 {
        let mut wanted = rule.clone();
        let mut step = |action, detail, call| {
            self.add_detector_step(
                detector,
                PlanStep {
                    action,
                    resource: "rule",
                    name: rule.id.clone(),
                    detail,
                    detector: None,
                    call,
                },
            );
        };
        let Some((version, before)) = present.rules.get(&rule.id) else {
            step(
                PlanAction::Create,
                format!("-> {}", rule.outcomes.join(", ")),
                PlanCall::CreateRule(wanted),
            );
            return 1;
        };
        let mut changes = Changes::default();
        changes.add(rule.expression != before.expression, "expression changed");
        changes.add(
            rule.outcomes != before.outcomes,
            format!("outcomes {}", rule.outcomes.join(", ")),
        );
        changes.add_optional(
            &mut wanted.description,
            before.description.as_ref(),
            "description",
        );
        if changes.0.is_empty() {
            self.plan.unchanged += 1;
            return *version;
        }
        let detail = format!("{} (version {})", changes.0.join(", "), version + 1);
        step(
            PlanAction::Update,
            detail,
            PlanCall::UpdateRule(wanted, *version),
        );
        version + 1
    }

    /// Plans a detector version, unless an equal one is active.
    ///
    /// The newest version may be equal and not active, if an earlier run stopped before the activation.
    fn plan_version(
        &mut self,
        detector: &DetectorResource,
        content: DetectorVersionContent,
        present: &DetectorState,
    ) {
        let same = |version: &&DetectorVersionState| version.content == content;
        let newest = present.newest.as_ref();
        let decides = present.active.as_ref().filter(same);
        let waits = newest.filter(same).filter(|_| !detector.active);
        if decides.or(waits).is_some() {
            self.plan.unchanged += 1;
            return;
        }
        let (action, number, detail, call) = if let Some(version) = newest.filter(same) {
            (
                PlanAction::Update,
                version.number,
                "ACTIVE".to_owned(),
                PlanCall::Activate,
            )
        } else {
            let then = if detector.active { ", then ACTIVE" } else { "" };
            let detail = format!(
                "({}, {}){then}",
                format_count(content.rules.len(), "rule"),
                content.mode
            );
            let number = newest.map_or(0, |version| version.number) + 1;
            (
                PlanAction::Create,
                number,
                detail,
                PlanCall::CreateVersion {
                    content,
                    activate: detector.active,
                },
            )
        };
        let name = number.to_string();
        self.add_detector_step(
            detector,
            PlanStep {
                action,
                resource: "detector version",
                name,
                detail,
                detector: None,
                call,
            },
        );
    }
}

/// A default value for a line of the plan: a text in quotes, so that an empty one is visible.
pub(super) fn format_default(variable: &VariableResource) -> String {
    match variable.ty {
        Type::String | Type::DateTime => format!("{:?}", variable.default),
        _ => variable.default.clone(),
    }
}

/// The items of `wanted` that are not in `present`.
fn items_not_in(wanted: &[String], present: &[String]) -> Vec<String> {
    let present: std::collections::HashSet<&String> = present.iter().collect();
    wanted
        .iter()
        .filter(|item| !present.contains(item))
        .cloned()
        .collect()
}

fn format_count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
