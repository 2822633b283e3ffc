//! A detector version that the service holds, as a template: what rules decided, or would decide.

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::types::DetectorVersionSummary;
use thiserror::Error;

use super::service_state::{self, ServiceError};
use super::template::{DetectorResource, DetectorTemplate, RuleResource};

/// Which version of a detector is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionChoice {
    /// The one with this number.
    Number(u32),
    /// The one that decides.
    Active,
}

/// Why a version cannot be read.
#[derive(Debug, Error)]
pub enum HeldVersionError {
    /// The service does not answer.
    #[error("cannot read what is there: {0}")]
    Service(#[from] ServiceError),
    /// There is no such detector.
    #[error("the service has no detector `{detector}`; it has {known}")]
    NoDetector {
        /// The detector.
        detector: String,
        /// Those that exist.
        known: String,
    },
    /// The detector has no such version.
    #[error("detector `{detector}` has no version {version}; it has {known}")]
    NoVersion {
        /// The detector.
        detector: String,
        /// The version.
        version: u32,
        /// Those that exist, each with its status.
        known: String,
    },
    /// No version of the detector decides.
    #[error("no version of detector `{detector}` is active; it has {known}")]
    NoneActive {
        /// The detector.
        detector: String,
        /// Those that exist, each with its status.
        known: String,
    },
}

/// A version of a detector with its number.
#[derive(Debug)]
pub(crate) struct HeldVersion {
    pub(crate) number: u32,
    /// `DRAFT` if it has never decided.
    pub(crate) status: String,
    pub(crate) template: DetectorTemplate,
}

/// Reads a version of a detector, with the variables of its event type and the names of all lists.
pub(crate) async fn read_held_version(
    client: &Client,
    detector: &str,
    choice: VersionChoice,
) -> Result<HeldVersion, HeldVersionError> {
    let detectors = service_state::read_all_detectors(client).await?;
    let found = detectors
        .iter()
        .find(|it| it.detector_id() == Some(detector));
    let Some(found) = found else {
        let names = detectors.iter().filter_map(|it| it.detector_id());
        return Err(HeldVersionError::NoDetector {
            detector: detector.to_owned(),
            known: join_or_none(names.map(|name| format!("`{name}`"))),
        });
    };
    let (number, status) = choose_version(client, detector, choice).await?;
    let version = service_state::read_detector_version(client, detector, number).await?;
    let rules = service_state::read_rule_versions(client, detector).await?;
    let find_rule = |(id, number): &(String, String)| -> Option<RuleResource> {
        let mut same = rules.iter();
        let found =
            same.find(|(version, rule)| rule.id == *id && version.to_string() == *number)?;
        Some(found.1.clone())
    };
    let variables = service_state::read_variables(client).await?.into_values();
    let resource = DetectorResource {
        id: detector.to_owned(),
        event_type: found.event_type_name().unwrap_or_default().to_owned(),
        rules: version.content.rules.iter().filter_map(find_rule).collect(),
        mode: version.content.mode,
        active: true,
        models: version.content.models,
        description: None,
        tags: Vec::new(),
    };
    let template = DetectorTemplate {
        file: format!("version {number} of detector `{detector}`"),
        // The scores of models are those of the version's own models.
        variables: variables
            .filter(|variable| variable.source != "MODEL_SCORE")
            .collect(),
        lists: service_state::read_lists(client)
            .await?
            .into_values()
            .collect(),
        event_types: service_state::read_event_types(client)
            .await?
            .into_values()
            .collect(),
        detectors: vec![resource],
        ..DetectorTemplate::default()
    };
    Ok(HeldVersion {
        number,
        status,
        template,
    })
}

/// The versions of a detector with their status, the oldest first.
pub(crate) async fn list_versions(
    client: &Client,
    detector: &str,
) -> Result<Vec<(u32, String)>, ServiceError> {
    let versions = service_state::read_version_summaries(client, detector).await?;
    let describe = |version: &DetectorVersionSummary| {
        let number = service_state::parse_version_number(version.detector_version_id());
        let status = version.status().map_or("", |status| status.as_str());
        (number, status.to_owned())
    };
    let mut known: Vec<(u32, String)> = versions.iter().map(describe).collect();
    known.sort_unstable();
    Ok(known)
}

/// The version that is meant, with its status, if the detector has it.
async fn choose_version(
    client: &Client,
    detector: &str,
    choice: VersionChoice,
) -> Result<(u32, String), HeldVersionError> {
    let known = list_versions(client, detector).await?;
    let wanted = |(number, status): &&(u32, String)| match choice {
        VersionChoice::Number(wanted) => *number == wanted,
        VersionChoice::Active => status == "ACTIVE",
    };
    if let Some(found) = known.iter().find(wanted) {
        return Ok(found.clone());
    }
    let detector = detector.to_owned();
    let known = describe_versions(&known);
    Err(match choice {
        VersionChoice::Number(version) => HeldVersionError::NoVersion {
            detector,
            version,
            known,
        },
        VersionChoice::Active => HeldVersionError::NoneActive { detector, known },
    })
}

/// Versions in one line: `1 (INACTIVE), 2 (ACTIVE)`.
pub(crate) fn describe_versions(versions: &[(u32, String)]) -> String {
    let versions = versions.iter();
    join_or_none(versions.map(|(number, status)| format!("{number} ({status})")))
}

fn join_or_none(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}
