//! The difference between a [`Template`] and what is there, as steps.

use std::fmt;

use rules::Type;
use serde::Serialize;

use super::check::Warning;
use super::shapes::Kind;
use super::state::{Content, DetectorState, State, Version};
use super::template::{Detector, EventType, List, Named, Rule, Template, Variable};

/// What to do, in order, so that the service decides as the template says.
///
/// `Display` prints it as `fraudstream apply` does; `Serialize` gives the same for programs, and
/// neither holds a rule's text or a list's element.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// Where rules may not do what they seem to.
    pub warnings: Vec<Warning>,
    /// What to create or change.
    pub steps: Vec<Step>,
    /// How many things are as the template says.
    pub unchanged: usize,
    /// What exists beside the template and stays: nothing is ever deleted.
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.warnings
            .iter()
            .try_for_each(|warning| writeln!(f, "{warning}"))?;
        self.steps
            .iter()
            .try_for_each(|step| writeln!(f, "{step}"))?;
        writeln!(f, "= {} unchanged", self.unchanged)?;
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

/// Whether a step makes something or changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It does not exist.
    Create,
    /// It exists and differs.
    Update,
}

/// One thing to create or change. `Display` prints its line: `+ variable price FLOAT default 0.0`.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What happens to it.
    pub action: Action,
    /// What it is: `variable`, `rule`, `detector version`.
    pub resource: &'static str,
    /// Its name, or the number of a detector version.
    pub name: String,
    /// What it is like, or what changes.
    pub detail: String,
    /// The detector it belongs to, if it belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    #[serde(skip)]
    pub(super) call: Call,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resource,
            name,
            detail,
            ..
        } = self;
        match self.action {
            Action::Create => write!(
                f,
                "+ {resource} {name}{}{detail}",
                if detail.is_empty() { "" } else { " " }
            ),
            Action::Update => write!(f, "~ {resource} {name}: {detail}"),
        }
    }
}

/// The call of a step, with everything it sends.
#[derive(Clone, Debug)]
pub(super) enum Call {
    PutNamed(Kind, Named),
    CreateVariable(Variable),
    UpdateVariable(Variable),
    CreateList(List),
    /// The elements of the list are those to add.
    UpdateList(List),
    PutEventType(EventType),
    PutDetector(Detector),
    CreateRule(Rule),
    /// The rule, and the version that it replaces.
    UpdateRule(Rule, u32),
    CreateVersion {
        content: Content,
        activate: bool,
    },
    Activate,
}

/// Compares `template` with `state`, or says what cannot be changed.
pub(super) fn compute(template: &Template, state: &State) -> Result<Plan, Vec<String>> {
    let mut planner = Planner {
        state,
        plan: Plan::default(),
        impossible: Vec::new(),
    };
    let named = [
        (Kind::EntityType, &template.entity_types),
        (Kind::Label, &template.labels),
        (Kind::Outcome, &template.outcomes),
    ];
    for (kind, items) in named {
        for named in items {
            planner.named(kind, named);
        }
    }
    for variable in &template.variables {
        planner.variable(variable);
    }
    for list in &template.lists {
        planner.list(list);
    }
    for event_type in &template.event_types {
        planner.event_type(event_type);
    }
    for detector in &template.detectors {
        planner.detector(detector);
    }
    if planner.impossible.is_empty() {
        Ok(planner.plan)
    } else {
        Err(planner.impossible)
    }
}

struct Planner<'a> {
    state: &'a State,
    plan: Plan,
    impossible: Vec<String>,
}

/// The members of a thing that differ, in words.
#[derive(Default)]
struct Changes(Vec<String>);

impl Changes {
    fn add(&mut self, differs: bool, what: impl Into<String>) {
        if differs {
            self.0.push(what.into());
        }
    }

    /// A member that the template may leave out: then it stays as it is.
    fn optional<T: Clone + PartialEq>(
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
    fn step(
        &mut self,
        action: Action,
        resource: &'static str,
        name: &str,
        detail: String,
        call: Call,
    ) {
        self.plan.steps.push(Step {
            action,
            resource,
            name: name.to_owned(),
            detail,
            detector: None,
            call,
        });
    }

    /// A step of a part of a detector.
    fn part(&mut self, detector: &Detector, step: Step) {
        self.plan.steps.push(Step {
            detector: Some(detector.id.clone()),
            ..step
        });
    }

    /// A step, if anything changes.
    fn update(&mut self, kind: Kind, name: &str, changes: &Changes, call: Call) {
        if changes.0.is_empty() {
            self.plan.unchanged += 1;
        } else {
            self.step(
                Action::Update,
                kind.word(),
                name,
                changes.0.join(", "),
                call,
            );
        }
    }

    fn named(&mut self, kind: Kind, named: &Named) {
        let mut wanted = named.clone();
        let Some(present) = self.state.named.get(&(kind, named.name.clone())) else {
            let call = Call::PutNamed(kind, wanted);
            return self.step(
                Action::Create,
                kind.word(),
                &named.name,
                String::new(),
                call,
            );
        };
        let mut changes = Changes::default();
        changes.optional(&mut wanted.description, present.as_ref(), "description");
        self.update(kind, &named.name, &changes, Call::PutNamed(kind, wanted));
    }

    fn variable(&mut self, variable: &Variable) {
        let mut wanted = variable.clone();
        let Some(present) = self.state.variables.get(&variable.name) else {
            let detail = format!("{} default {}", variable.ty, default(variable));
            return self.step(
                Action::Create,
                "variable",
                &variable.name,
                detail,
                Call::CreateVariable(wanted),
            );
        };
        self.fixed(
            "variable",
            &variable.name,
            "data type",
            (&present.ty, &variable.ty),
            "make a new variable",
        );
        self.fixed(
            "variable",
            &variable.name,
            "data source",
            (&present.source, &variable.source),
            "make a new variable",
        );
        let mut changes = Changes::default();
        changes.add(
            present.default != variable.default,
            format!("default {}", default(variable)),
        );
        changes.optional(
            &mut wanted.variable_type,
            present.variable_type.as_ref(),
            "variable type",
        );
        changes.optional(
            &mut wanted.description,
            present.description.as_ref(),
            "description",
        );
        self.update(
            Kind::Variable,
            &variable.name,
            &changes,
            Call::UpdateVariable(wanted),
        );
    }

    /// Refuses another value of a member that the service never changes.
    fn fixed<T: PartialEq + fmt::Display>(
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

    fn list(&mut self, list: &List) {
        let mut wanted = list.clone();
        let Some(present) = self.state.lists.get(&list.name) else {
            let detail = format!(
                "({})",
                count(list.elements.iter().flatten().count(), "element")
            );
            return self.step(
                Action::Create,
                "list",
                &list.name,
                detail,
                Call::CreateList(wanted),
            );
        };
        if let (Some(before), Some(after)) = (&present.variable_type, &list.variable_type) {
            self.fixed(
                "list",
                &list.name,
                "variable type",
                (before, after),
                "make a new list",
            );
        }
        let mut changes = Changes::default();
        if let (Some(elements), Some(before)) = (&list.elements, &present.elements) {
            let added = missing(elements, before);
            changes.add(
                !added.is_empty(),
                format!("{} added", count(added.len(), "element")),
            );
            let beside = missing(before, elements).len();
            if beside > 0 {
                let elements = count(beside, "element");
                self.plan.notes.push(format!(
                    "list {} has {elements} that the file lacks; nothing is removed",
                    list.name
                ));
            }
            wanted.elements = Some(added);
        }
        changes.optional(
            &mut wanted.variable_type,
            present.variable_type.as_ref(),
            "variable type",
        );
        changes.optional(
            &mut wanted.description,
            present.description.as_ref(),
            "description",
        );
        self.update(Kind::List, &list.name, &changes, Call::UpdateList(wanted));
    }

    fn event_type(&mut self, event_type: &EventType) {
        let mut wanted = event_type.clone();
        let name = &event_type.name;
        let Some(present) = self.state.event_types.get(name) else {
            let detail = format!("({})", count(event_type.variables.len(), "variable"));
            return self.step(
                Action::Create,
                "event type",
                name,
                detail,
                Call::PutEventType(wanted),
            );
        };
        let mut changes = Changes::default();
        self.union(
            name,
            "variable",
            &mut wanted.variables,
            &present.variables,
            &mut changes,
        );
        self.union(
            name,
            "label",
            &mut wanted.labels,
            &present.labels,
            &mut changes,
        );
        self.union(
            name,
            "entity type",
            &mut wanted.entity_types,
            &present.entity_types,
            &mut changes,
        );
        changes.optional(
            &mut wanted.ingestion,
            present.ingestion.as_ref(),
            "ingestion",
        );
        changes.optional(
            &mut wanted.orchestration,
            present.orchestration.as_ref(),
            "orchestration",
        );
        changes.optional(
            &mut wanted.description,
            present.description.as_ref(),
            "description",
        );
        self.update(Kind::EventType, name, &changes, Call::PutEventType(wanted));
    }

    /// Adds to the members wanted those that are there: older rules may use them.
    fn union(
        &mut self,
        name: &str,
        what: &str,
        wanted: &mut Vec<String>,
        present: &[String],
        changes: &mut Changes,
    ) {
        let added = missing(wanted, present);
        changes.add(
            !added.is_empty(),
            format!("{what} {} added", added.join(", ")),
        );
        for beside in missing(present, wanted) {
            self.plan.notes.push(format!(
                "{what} {beside} of event type {name} is not in the file; it stays"
            ));
            wanted.push(beside);
        }
    }

    fn detector(&mut self, detector: &Detector) {
        let new = DetectorState {
            event_type: detector.event_type.clone(),
            ..DetectorState::default()
        };
        let found = self.state.detectors.get(&detector.id);
        let present = found.unwrap_or(&new);
        let event_types = (&present.event_type, &detector.event_type);
        self.fixed(
            "detector",
            &detector.id,
            "event type",
            event_types,
            "make a new detector",
        );
        let mut wanted = detector.clone();
        if found.is_none() {
            let detail = format!("for event type {}", detector.event_type);
            self.step(
                Action::Create,
                "detector",
                &detector.id,
                detail,
                Call::PutDetector(wanted),
            );
        } else {
            let mut changes = Changes::default();
            changes.optional(
                &mut wanted.description,
                present.description.as_ref(),
                "description",
            );
            self.update(
                Kind::Detector,
                &detector.id,
                &changes,
                Call::PutDetector(wanted),
            );
        }
        let rules = detector.rules.iter().map(|rule| {
            (
                rule.id.clone(),
                self.rule(detector, rule, present).to_string(),
            )
        });
        let content = Content {
            rules: rules.collect(),
            mode: detector.mode.clone(),
            models: detector.models.clone(),
        };
        self.version(detector, content, present);
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

    /// Plans a rule and returns the version that the detector version is to pin.
    fn rule(&mut self, detector: &Detector, rule: &Rule, present: &DetectorState) -> u32 {
        let mut wanted = rule.clone();
        let mut step = |action, detail, call| {
            self.part(
                detector,
                Step {
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
                Action::Create,
                format!("-> {}", rule.outcomes.join(", ")),
                Call::CreateRule(wanted),
            );
            return 1;
        };
        let mut changes = Changes::default();
        changes.add(rule.expression != before.expression, "expression changed");
        changes.add(
            rule.outcomes != before.outcomes,
            format!("outcomes {}", rule.outcomes.join(", ")),
        );
        changes.optional(
            &mut wanted.description,
            before.description.as_ref(),
            "description",
        );
        if changes.0.is_empty() {
            self.plan.unchanged += 1;
            return *version;
        }
        let detail = format!("{} (version {})", changes.0.join(", "), version + 1);
        step(Action::Update, detail, Call::UpdateRule(wanted, *version));
        version + 1
    }

    /// Plans a detector version, unless there is one that decides by the same.
    ///
    /// The newest one may be the same and not decide yet: a run before this one has stopped there.
    fn version(&mut self, detector: &Detector, content: Content, present: &DetectorState) {
        let same = |version: &&Version| version.content == content;
        let newest = present.newest.as_ref();
        let decides = present.active.as_ref().filter(same);
        let waits = newest.filter(same).filter(|_| !detector.active);
        if decides.or(waits).is_some() {
            self.plan.unchanged += 1;
            return;
        }
        let (action, number, detail, call) = if let Some(version) = newest.filter(same) {
            (
                Action::Update,
                version.number,
                "ACTIVE".to_owned(),
                Call::Activate,
            )
        } else {
            let then = if detector.active { ", then ACTIVE" } else { "" };
            let detail = format!(
                "({}, {}){then}",
                count(content.rules.len(), "rule"),
                content.mode
            );
            let number = newest.map_or(0, |version| version.number) + 1;
            (
                Action::Create,
                number,
                detail,
                Call::CreateVersion {
                    content,
                    activate: detector.active,
                },
            )
        };
        let name = number.to_string();
        self.part(
            detector,
            Step {
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

/// A default as a line shows it: a text in quotes, so that an empty one can be seen.
fn default(variable: &Variable) -> String {
    match variable.ty {
        Type::String | Type::DateTime => format!("{:?}", variable.default),
        _ => variable.default.clone(),
    }
}

/// What of `wanted` is not in `present`.
fn missing(wanted: &[String], present: &[String]) -> Vec<String> {
    let present: std::collections::HashSet<&String> = present.iter().collect();
    wanted
        .iter()
        .filter(|item| !present.contains(item))
        .cloned()
        .collect()
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        Template::parse("t.yaml", include_str!("tests/small.yaml")).unwrap()
    }

    /// The state after `template` has been applied.
    fn applied(template: &Template) -> State {
        let named = |kind, items: &[Named]| -> Vec<_> {
            items
                .iter()
                .map(|item| ((kind, item.name.clone()), item.description.clone()))
                .collect()
        };
        let mut state = State::default();
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
            let content = Content {
                rules,
                mode: detector.mode.clone(),
                models: detector.models.clone(),
            };
            let version = Version { number: 1, content };
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
    fn check(template: &Template, state: &State, want: &[&str]) {
        let got = match compute(template, state) {
            Ok(plan) => plan.to_string(),
            Err(impossible) => impossible.join("\n"),
        };
        assert_eq!(got.lines().collect::<Vec<_>>(), want);
    }

    #[test]
    fn everything_is_new() {
        check(
            &template(),
            &State::default(),
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
        let plan = compute(&changed, &applied(&template())).unwrap();
        let json = serde_json::to_value(&plan).unwrap();
        let want = serde_json::json!({
            "action": "update", "resource": "rule", "name": "high_price",
            "detail": "expression changed (version 2)", "detector": "orders",
        });
        assert_eq!(json["steps"][0], want);
        assert_eq!(json["unchanged"], 12);
    }
}
