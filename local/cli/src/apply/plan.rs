//! The steps that make the service decide as a template defines.

use std::fmt;

use serde::Serialize;

use super::resource_types::Kind;
use super::rule_check::Warning;
use super::service_state::DetectorVersionContent;
use super::template::{
    DetectorResource, EventTypeResource, ListResource, NamedResource, RuleResource,
    VariableResource,
};

/// The steps, in order, that make the service decide as the template defines.
///
/// `Display` prints it for people, `Serialize` for programs. Neither has a rule's text or a list's
/// elements.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ApplyPlan {
    /// Rules that may not do what their author expects.
    pub warnings: Vec<Warning>,
    /// What to create or change.
    pub steps: Vec<PlanStep>,
    /// How many resources are already as the template defines.
    pub unchanged: usize,
    /// What of the template is left alone; and what exists but is not in the template: it stays, because nothing is
    /// ever deleted.
    pub notes: Vec<String>,
}

impl ApplyPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Leaves all versions that it creates as drafts; `then` says what becomes of them.
    pub(super) fn leave_out_activations(&mut self, then: &str) {
        let activated = self
            .steps
            .extract_if(.., |step| matches!(step.call, PlanCall::Activate));
        let notes: Vec<String> = activated
            .map(|step| format!("version {} {then}", step.name))
            .collect();
        self.notes.extend(notes);
        for step in &mut self.steps {
            if let PlanCall::CreateVersion { activate, .. } = &mut step.call {
                *activate = false;
                step.detail = step.detail.replace("then ACTIVE", then);
            }
        }
    }
}

impl fmt::Display for ApplyPlan {
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

/// Whether a step creates or changes a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanAction {
    /// It does not exist.
    Create,
    /// It exists and differs.
    Update,
}

/// One thing to create or change. `Display` prints its line: `+ variable price FLOAT default 0.0`.
#[derive(Clone, Debug, Serialize)]
pub struct PlanStep {
    /// Whether the resource is created or changed.
    pub action: PlanAction,
    /// The kind of resource: `variable`, `rule`, `detector version`.
    pub resource: &'static str,
    /// Its name, or the number of a detector version.
    pub name: String,
    /// Its main properties, or what changes.
    pub detail: String,
    /// The detector it belongs to, if it belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    #[serde(skip)]
    pub(super) call: PlanCall,
}

impl PlanStep {
    /// Whether it makes a version, or makes one active.
    pub(super) fn is_version(&self) -> bool {
        matches!(
            self.call,
            PlanCall::CreateVersion { .. } | PlanCall::Activate
        )
    }

    /// Whether it makes a version active.
    pub(super) fn activates(&self) -> bool {
        matches!(
            self.call,
            PlanCall::CreateVersion { activate: true, .. } | PlanCall::Activate
        )
    }
}

impl fmt::Display for PlanStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resource,
            name,
            detail,
            ..
        } = self;
        match self.action {
            PlanAction::Create => write!(
                f,
                "+ {resource} {name}{}{detail}",
                if detail.is_empty() { "" } else { " " }
            ),
            PlanAction::Update => write!(f, "~ {resource} {name}: {detail}"),
        }
    }
}

/// The call of a step, with everything it sends.
#[derive(Clone, Debug)]
pub(super) enum PlanCall {
    PutNamed(Kind, NamedResource),
    CreateVariable(VariableResource),
    UpdateVariable(VariableResource),
    CreateList(ListResource),
    /// The elements of the list are those to add.
    UpdateList(ListResource),
    PutEventType(EventTypeResource),
    PutDetector(DetectorResource),
    CreateRule(RuleResource),
    /// The rule, and the version that it replaces.
    UpdateRule(RuleResource, u32),
    CreateVersion {
        content: DetectorVersionContent,
        activate: bool,
    },
    Activate,
}
