//! `fraudstream apply --rollback`: makes a version that decided before active again, and does nothing else.

use std::fmt;
use std::time::Instant;

use aws_sdk_frauddetector::Client;
use engine::{ChangeDetails, ChangeKind, VersionMove};
use serde::Serialize;

use super::CommandError;
use super::live_versions::format_percent;
use crate::apply::{
    HeldVersion, HeldVersionError, VersionChoice, activate_version, compare_detectors,
    describe_versions, list_versions, read_held_version, record_rules,
};
use crate::change_log::{ChangeLog, describe_only_step};

/// Which version a rollback makes active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RollbackTarget {
    /// The one that decided before the present one.
    Before,
    /// The one with this number.
    Version(u32),
}

impl RollbackTarget {
    /// How the command line names the version that decided before.
    pub(super) const BEFORE: &'static str = "before";

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == Self::BEFORE {
            return Ok(Self::Before);
        }
        let number = text.parse().map_err(|_| {
            format!("`{text}` is no version: write its number, or nothing for the version that decided before")
        })?;
        Ok(Self::Version(number))
    }
}

/// What a rollback did.
#[derive(Debug, Serialize)]
pub(super) struct RollbackSummary {
    detector: String,
    /// The version that was active.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<u32>,
    /// The version that is active now.
    after: u32,
    /// The id of the change in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<String>,
    seconds: f64,
}

impl fmt::Display for RollbackSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            detector,
            after,
            seconds,
            ..
        } = self;
        let before = self.before.map_or("none".to_owned(), |it| it.to_string());
        write!(
            f,
            "version {after} of detector {detector} is active, before it was {before} ({seconds:.1} s)"
        )?;
        match &self.change {
            Some(id) => write!(f, "; change {id}"),
            None => f.write_str("; Amazon Fraud Detector keeps no history, so it is not recorded"),
        }
    }
}

/// Makes version `to` active, or the one that the history says was active before. Nothing is created and nothing deleted.
pub(super) async fn roll_back(
    client: &Client,
    detector: &str,
    to: RollbackTarget,
    log: Option<&ChangeLog>,
) -> Result<RollbackSummary, CommandError> {
    let started = Instant::now();
    if let Some(log) = log {
        // A version that decided before needs no second approval.
        log.check_direct_change().await?;
    }
    let active = match read_held_version(client, detector, VersionChoice::Active).await {
        Ok(active) => Some(active),
        Err(HeldVersionError::NoneActive { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let before = active.as_ref().map(|active| active.number);
    check_no_rollout(detector, to, before, log).await?;
    let to = match to {
        RollbackTarget::Version(to) => to,
        RollbackTarget::Before => find_version_before(client, detector, before, log).await?,
    };
    let target = read_held_version(client, detector, VersionChoice::Number(to)).await?;
    match target.status.as_str() {
        "ACTIVE" => {
            return Err(format!("version {to} of detector `{detector}` is active already").into());
        }
        "DRAFT" => {
            return Err(format!(
                "version {to} of detector `{detector}` has never decided, so it is nothing to go back to; nothing was changed"
            )
            .into());
        }
        _ => {}
    }
    let moved = VersionMove {
        detector_id: detector.to_owned(),
        before,
        after: to,
    };
    let step = format!("version {to} becomes active again");
    let details = describe_difference(active.as_ref(), &target, step);
    let number = to.to_string();
    let activate = Box::pin(async { Ok(activate_version(client, detector, &number).await?) });
    let change = match log {
        None => {
            activate.await?;
            None
        }
        Some(log) => {
            let recorded = log.record_step(ChangeKind::Rollback, details, vec![moved], activate);
            Some(recorded.await?.id)
        }
    };
    Ok(RollbackSummary {
        detector: detector.to_owned(),
        before,
        after: to,
        change,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Checks that it is not a rollout that is to be taken back: the version to go back to is the active one then.
async fn check_no_rollout(
    detector: &str,
    to: RollbackTarget,
    active: Option<u32>,
    log: Option<&ChangeLog>,
) -> Result<(), CommandError> {
    let rollout = match log {
        None => None,
        Some(log) => log.find_rollout(detector).await?,
    };
    let (Some(rollout), Some(active)) = (rollout, active) else {
        return Ok(());
    };
    if to != RollbackTarget::Before && to != RollbackTarget::Version(active) {
        return Ok(());
    }
    Err(format!(
        "version {} of detector `{detector}` decides on {} of the entities, and version {active} is active already: \
         `fraudstream rollout --off` lets it decide on all; nothing was changed",
        rollout.version,
        format_percent(rollout.share)
    )
    .into())
}

/// What differs between the version that is active and another, and the step from one to the other.
pub(super) fn describe_difference(
    active: Option<&HeldVersion>,
    target: &HeldVersion,
    step: String,
) -> ChangeDetails {
    let mut details = describe_only_step(step);
    let decides = active.and_then(|active| active.template.detectors.first());
    for after in &target.template.detectors {
        details.parts.extend(compare_detectors(decides, after));
        details.rules.extend(record_rules(after));
    }
    details
}

/// The version that was active before the present one, by the newest change that made the present one active.
async fn find_version_before(
    client: &Client,
    detector: &str,
    active: Option<u32>,
    log: Option<&ChangeLog>,
) -> Result<u32, CommandError> {
    let known = match log {
        None => None,
        Some(log) => log.find_version_before(detector, active).await?,
    };
    if let Some(before) = known {
        return Ok(before);
    }
    let versions = describe_versions(&list_versions(client, detector).await?);
    let why = if log.is_some() {
        "the history does not say which version"
    } else {
        "Amazon Fraud Detector keeps no history that says which version"
    };
    Err(format!(
        "{why} of detector `{detector}` decided before: name it with --rollback N; it has {versions}"
    )
    .into())
}
