//! Makes the service decide as a detector file defines, such as `config/detector.yaml`.
//!
//! The file is a CloudFormation template, so Amazon's customers can deploy it without changes. Here it is
//! applied through the API of Fraud Detector, to Amazon or to the engine alike, in three stages: a
//! [`DetectorTemplate`] is the parsed and checked file, an [`ApplyPlan`] is the difference between it and the service,
//! and [`execute_plan`] carries out the plan.
//!
//! - A second run changes nothing, and the next run continues one that was interrupted.
//! - Nothing is deleted: what the file does not have stays, and the plan notes it. This is true for the
//!   elements of a list, too, because people add them while orders come in.
//! - Rules are compiled before anything is sent: if one is invalid, nothing is sent.
//! - New resources get their tags; tags of existing ones are not compared.

mod difference;
mod executor;
mod held_version;
mod parse;
mod plan;
mod planner;
mod reader;
mod recording;
mod references;
mod resource_types;
mod resources;
mod rule_check;
mod service_state;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use aws_sdk_frauddetector::Client;
use clap::ValueEnum;
use engine::ChangeState;
use event::{DetectorId, RuleId, VariableName};
use serde::Serialize;
use shared::mapping::{Mapping, OverrideKind};
use thiserror::Error;

pub use crate::cloudformation::inputs::TemplateInputs;
pub use crate::cloudformation::problem::{InvalidTemplate, LineColumn, TemplateProblem};
pub(crate) use difference::{compare_detectors, record_rules};
pub(crate) use executor::activate_version;
pub use executor::execute_plan;
pub use held_version::HeldVersionError;
pub(crate) use held_version::{
    HeldVersion, VersionChoice, describe_versions, list_versions, read_held_version,
};
pub use plan::{ApplyPlan, PlanAction, PlanStep};
use rule_check::{CheckedRules, RuleReads};
pub use rule_check::{InvalidRules, Warning};
pub use service_state::ServiceError;
pub(crate) use service_state::read_present_elements;
pub use template::DetectorTemplate;
pub(crate) use template::{DetectorResource, RuleResource, VariableResource};

use recording::{OpenChange, PlannedChange};
use service_state::ServiceState;

use crate::change_log::{ChangeLog, RefusedChange};

/// How a template is applied.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// The template.
    pub file: PathBuf,
    /// The values of the template's parameters.
    pub parameters: Vec<(String, String)>,
    /// Print what would be done, and change nothing.
    pub dry_run: bool,
    /// Whose service the client reaches, for the output.
    pub to: ApplyTarget,
    /// Print one JSON document, for programs.
    pub json: bool,
    /// What the mapping file says of its detector, if there is one.
    pub mapped: Option<MappedDetector>,
    /// Apply rules that read what the mapping never fills: for events that other programs send.
    pub allow_unfilled: bool,
    /// What becomes of the versions that it makes.
    pub new_versions: NewVersions,
    /// The history in which the change is recorded, if there is one.
    pub log: Option<ChangeLog>,
}

/// What becomes of the versions that an apply makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewVersions {
    /// They decide, as the file says.
    #[default]
    AsFile,
    /// They stay drafts, for a shadow or a rollout.
    StayDrafts,
}

/// What a mapping file says of its detector: rules that it relies on, and variables that it fills. What does not fit would
/// never decide, and nobody would see it.
#[derive(Clone, Debug)]
pub struct MappedDetector {
    /// The detector of the mapping.
    pub detector: DetectorId,
    /// The rules that `overrides` names.
    pub overrides: Vec<RuleId>,
    /// The variables of its events, those of what happened before among them.
    pub variables: BTreeSet<VariableName>,
}

/// A rule that reads what the mapping never fills.
pub(crate) struct UnfilledRule {
    pub(crate) id: String,
    /// Where its expression starts.
    pub(crate) at: LineColumn,
    /// The variables, as rules write them.
    pub(crate) variables: Vec<String>,
}

impl UnfilledRule {
    fn describe(&self, file: &str) -> String {
        let Self { id, at, variables } = self;
        let names = variables.join(", ");
        format!("{file}:{at}: rule `{id}` reads {names}, which the mapping never fills")
    }
}

impl MappedDetector {
    /// That of a mapping file.
    pub fn new(mapping: &Mapping) -> Self {
        let kinds = [OverrideKind::Block, OverrideKind::Allow];
        let overrides = kinds.into_iter().flat_map(|kind| mapping.overrides(kind));
        let variables = mapping.variables().chain(mapping.variables_of_the_past());
        Self {
            detector: mapping.detector().clone(),
            overrides: overrides.cloned().collect(),
            variables: variables.cloned().collect(),
        }
    }

    /// The rules of the detector that read variables of the event that the mapping does not fill, without asking the
    /// service what else it knows.
    ///
    /// # Errors
    /// Rules are invalid, or need what only the service knows.
    pub(crate) fn find_unfilled_rules(
        &self,
        template: &DetectorTemplate,
    ) -> Result<Vec<UnfilledRule>, InvalidRules> {
        let checked = rule_check::compile_rules(template, &ServiceState::default())?;
        Ok(self.find_unfilled(&checked.reads))
    }

    fn find_unfilled(&self, rules: &[RuleReads<'_>]) -> Vec<UnfilledRule> {
        let own = rules
            .iter()
            .filter(|reads| reads.detector == self.detector.as_str());
        let find = |reads: &RuleReads<'_>| {
            let names = reads
                .variables
                .iter()
                .filter(|name| !self.variables.contains(name.as_str()));
            let variables: Vec<String> = names.map(|name| format!("${name}")).collect();
            (!variables.is_empty()).then(|| UnfilledRule {
                id: reads.rule.id.clone(),
                at: reads.rule.at,
                variables,
            })
        };
        own.filter_map(find).collect()
    }

    /// A warning for each rule that the detector of the template lacks.
    pub(crate) fn find_missing(&self, template: &DetectorTemplate) -> Vec<Warning> {
        let id = self.detector.as_str();
        let mut detectors = template.detectors.iter();
        let Some(detector) = detectors.find(|detector| detector.id == id) else {
            return Vec::new();
        };
        let is_missing = |id: &&RuleId| !detector.rules.iter().any(|rule| rule.id == id.as_str());
        let missing = self.overrides.iter().filter(is_missing);
        let warning = |rule: &RuleId| Warning {
            detector: id.to_owned(),
            rule: rule.to_string(),
            message: format!(
                "`overrides` of the mapping names it, and detector `{id}` lacks it, so it never decides"
            ),
        };
        missing.map(warning).collect()
    }
}

/// Whose service a template is applied to. The steps are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ApplyTarget {
    /// Amazon Fraud Detector.
    Amazon,
    /// The engine of fraudstream.
    #[default]
    Engine,
}

impl fmt::Display for ApplyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amazon => "Amazon Fraud Detector",
            Self::Engine => "the engine",
        })
    }
}

/// Why a template was not applied, or only a part of it.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The file cannot be read.
    #[error("cannot read `{file}`: {source}")]
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The template is invalid: each problem with its place.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
    /// Rules are invalid: each problem marked in the rule's text.
    #[error("{0}\nnothing was sent")]
    Rules(#[from] InvalidRules),
    /// Rules read what the mapping never fills, so that they cannot fire: a sentence for each.
    #[error(
        "{}\nnothing was sent; fill the variables in the mapping, or say --allow-unfilled if other programs send them", .0.join("\n")
    )]
    Unfilled(Vec<String>),
    /// The service cannot make a change: a sentence for each.
    #[error("{}\nnothing was sent", .0.join("\n"))]
    Impossible(Vec<String>),
    /// The present state cannot be read.
    #[error("cannot read what is there: {0}")]
    State(#[from] ServiceError),
    /// The version that decides cannot be read.
    #[error(transparent)]
    Held(#[from] HeldVersionError),
    /// The change is not allowed now, or the history cannot be written.
    #[error(transparent)]
    Refused(#[from] RefusedChange),
    /// A step failed; those before it are done.
    #[error("stopped at `{step}`: {source}; run the command again to continue")]
    Step {
        /// The line of the step.
        step: String,
        /// The service's answer.
        source: ServiceError,
    },
    /// The output cannot be written.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct ApplySummary {
    /// Where the template went.
    pub to: ApplyTarget,
    /// Whether the plan was only printed.
    pub dry_run: bool,
    /// How many steps were done.
    pub done: usize,
    /// The id of the change in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Whether the change waits for an approval.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// The plan.
    #[serde(flatten)]
    pub plan: ApplyPlan,
}

/// Compares `template` with the service. Changes nothing.
pub async fn make_plan(
    client: &Client,
    template: &DetectorTemplate,
) -> Result<ApplyPlan, ApplyError> {
    Ok(compare_with_service(client, template).await?.0)
}

async fn compare_with_service<'t>(
    client: &Client,
    template: &'t DetectorTemplate,
) -> Result<(ApplyPlan, Vec<RuleReads<'t>>, ServiceState), ApplyError> {
    let state = ServiceState::read(client, template).await?;
    let CheckedRules { warnings, reads } = rule_check::compile_rules(template, &state)?;
    let plan = planner::compute_plan(template, &state).map_err(ApplyError::Impossible)?;
    let notes = [template.notes.clone(), plan.notes].concat();
    let plan = ApplyPlan {
        warnings,
        notes,
        ..plan
    };
    Ok((plan, reads, state))
}

/// Prints the plan to `out`, carries it out, and prints each step that is done.
///
/// With [`ApplyOptions::json`] it prints the [`ApplySummary`] instead, also when a step fails.
pub async fn apply_template(
    client: &Client,
    options: &ApplyOptions,
    out: &mut impl Write,
) -> Result<ApplySummary, ApplyError> {
    let inputs = TemplateInputs {
        region: client.config().region().map(ToString::to_string),
        ..TemplateInputs::new(options.parameters.clone())
    };
    let template = DetectorTemplate::read(&options.file, &inputs)?;
    let (mut plan, reads, state) = compare_with_service(client, &template).await?;
    let mapped = options.mapped.iter();
    plan.warnings.extend(
        mapped
            .clone()
            .flat_map(|mapped| mapped.find_missing(&template)),
    );
    let unfilled: Vec<String> = mapped
        .flat_map(|mapped| mapped.find_unfilled(&reads))
        .map(|rule| rule.describe(&template.file))
        .collect();
    if !unfilled.is_empty() && !options.allow_unfilled {
        return Err(ApplyError::Unfilled(unfilled));
    }
    if options.new_versions == NewVersions::StayDrafts {
        plan.leave_out_activations("stays a draft");
    }
    let mut summary = ApplySummary {
        to: options.to,
        dry_run: options.dry_run,
        done: 0,
        change: None,
        waits: false,
        plan,
    };
    let log = options
        .log
        .as_ref()
        .filter(|_| !options.dry_run && !summary.plan.is_empty());
    let planned = match log {
        None => None,
        Some(log) => {
            Some(recording::plan_change(client, &template, &state, log, &mut summary.plan).await?)
        }
    };
    if !options.json {
        writeln!(out, "{} -> {}", options.file.display(), options.to)?;
        write!(out, "{}", summary.plan)?;
    }
    let result = if options.dry_run {
        Ok(())
    } else {
        carry_out_plan(client, options, planned, &mut summary, out).await
    };
    if options.json {
        serde_json::to_writer_pretty(&mut *out, &summary).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", format_last_line(&summary))?;
    }
    result.map(|()| summary)
}

async fn carry_out_plan(
    client: &Client,
    options: &ApplyOptions,
    planned: Option<PlannedChange<'_>>,
    summary: &mut ApplySummary,
    out: &mut impl Write,
) -> Result<(), ApplyError> {
    let mut open: Option<OpenChange<'_>> = match planned {
        None => None,
        Some(planned) => Some(planned.begin().await?),
    };
    let mut printed = Ok(());
    let mut done = 0;
    let result = execute_plan(client, &summary.plan, |step| {
        done += 1;
        if let Some(open) = &mut open {
            open.note_step(step);
        }
        if !options.json && printed.is_ok() {
            printed = writeln!(out, "done {step}");
        }
    });
    let result = result.await;
    summary.done = done;
    if let Some(open) = open {
        let change = open.end(result.is_ok()).await?;
        summary.waits = change.state == ChangeState::Waiting;
        summary.change = Some(change.id);
    }
    printed?;
    result
}

fn format_last_line(summary: &ApplySummary) -> String {
    let steps = summary.plan.steps.len();
    match summary {
        ApplySummary {
            waits: true,
            change: Some(id),
            ..
        } => format!("waits for an approval: `fraudstream approve {id}`"),
        _ if steps == 0 => "nothing to do".to_owned(),
        ApplySummary { dry_run: true, .. } => format!("{steps} to do; nothing was sent"),
        ApplySummary { done, .. } => format!("{done} of {steps} done"),
    }
}
