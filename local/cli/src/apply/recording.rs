//! Records an apply in the history: before its first step what will change, after the last how it ended.

use aws_sdk_frauddetector::Client;
use engine::{ChangeDetails, ChangeKind, ChangeState, RecordedChange, VersionMove};

use super::ApplyError;
use super::difference::{compare_detectors, compare_variables_and_outcomes, record_rules};
use super::held_version::{HeldVersionError, VersionChoice, read_held_version};
use super::plan::{ApplyPlan, PlanStep};
use super::service_state::ServiceState;
use super::template::DetectorTemplate;
use crate::change_log::{ChangeLog, RefusedChange};

/// What an apply is going to change.
pub(super) struct PlannedChange<'a> {
    log: &'a ChangeLog,
    moves: Vec<VersionMove>,
    details: ChangeDetails,
    /// Whether everything but the activation is done, which waits for an approval.
    pub(super) waits: bool,
}

/// A change whose record is open.
pub(super) struct OpenChange<'a> {
    log: &'a ChangeLog,
    record: RecordedChange,
    waits: bool,
}

/// Finds what a plan changes, and whether that is allowed. If it has to wait for an approval, the plan activates nothing.
pub(super) async fn plan_change<'a>(
    client: &Client,
    template: &DetectorTemplate,
    state: &ServiceState,
    log: &'a ChangeLog,
    plan: &mut ApplyPlan,
) -> Result<PlannedChange<'a>, ApplyError> {
    let waits = log.check_policy().await?;
    let mut moves = Vec::new();
    let mut details = ChangeDetails {
        parts: compare_variables_and_outcomes(plan, state),
        ..ChangeDetails::default()
    };
    for step in plan.steps.iter().filter(|step| step.is_version()) {
        let id = step.detector.as_deref().unwrap_or_default();
        let Some(after) = template.detectors.iter().find(|it| it.id == id) else {
            continue;
        };
        let is_new = !state.detectors.contains_key(id);
        let before = match read_held_version(client, id, VersionChoice::Active).await {
            Ok(held) => Some(held),
            Err(HeldVersionError::NoneActive { .. }) => None,
            Err(HeldVersionError::NoDetector { .. }) if is_new => None,
            Err(error) => return Err(error.into()),
        };
        let decides = before
            .as_ref()
            .and_then(|held| held.template.detectors.first());
        details.parts.extend(compare_detectors(decides, after));
        details.rules.extend(record_rules(after));
        if step.activates() {
            moves.push(VersionMove {
                detector_id: id.to_owned(),
                before: before.map(|held| held.number),
                after: step.name.parse().unwrap_or_default(),
            });
        }
    }
    let waits = waits && !moves.is_empty();
    if waits {
        log.check_not_waiting(&moves).await?;
        plan.leave_out_activations("waits for an approval");
        plan.notes.push(
            "another person has to approve the version before it decides; everything else of the plan is live at once".to_owned(),
        );
    }
    details.steps = plan.steps.iter().map(ToString::to_string).collect();
    Ok(PlannedChange {
        log,
        moves,
        details,
        waits,
    })
}

impl<'a> PlannedChange<'a> {
    /// Records that the change begins.
    pub(super) async fn begin(self) -> Result<OpenChange<'a>, RefusedChange> {
        let Self {
            log,
            moves,
            details,
            waits,
        } = self;
        let record = log.begin(ChangeKind::Apply, moves, details).await?;
        Ok(OpenChange { log, record, waits })
    }
}

impl OpenChange<'_> {
    /// Notes a step that is done: a version may have got another number than was planned.
    pub(super) fn note_step(&mut self, step: &PlanStep) {
        let detector = step.detector.as_deref();
        if step.resource == "detector version"
            && let Ok(number) = step.name.parse()
        {
            let mut moves = self.record.moves.iter_mut();
            if let Some(moved) = moves.find(|it| Some(it.detector_id.as_str()) == detector) {
                moved.after = number;
            }
        }
    }

    /// Records how it ended, and returns the id of the change.
    pub(super) async fn end(self, is_done: bool) -> Result<RecordedChange, RefusedChange> {
        let state = match (is_done, self.waits) {
            (false, _) => ChangeState::Stopped,
            (true, true) => ChangeState::Waiting,
            (true, false) => ChangeState::Done,
        };
        self.log.end(self.record, state).await
    }
}
