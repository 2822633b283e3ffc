//! The versions of a detector that judge live events besides the active one: a shadow, and one with a share of the events.
//! The API has no operations for these.

use protocol::{Error, Result};
use store::change::Change;
use store::conflict_retry::retry_on_write_conflict;
use store::records::detector::{Detector, VersionRollout, detector_key, missing_detector};
use store::records::detector_version::{DetectorVersion, detector_version_key};

use crate::operations::detector_versions::check_has_rules;
use crate::operations::version_bundle::find_model_versions;
use crate::services::EngineServices;

/// Which versions of a detector judge live events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveVersions {
    /// The version that decides.
    pub active: Option<u32>,
    /// The version that judges beside it, and decides nothing.
    pub shadow: Option<u32>,
    /// The version that decides on a share of the events instead.
    pub rollout: Option<VersionRollout>,
}

pub(crate) async fn load_live_versions(
    services: &EngineServices,
    detector_id: &str,
) -> Result<LiveVersions> {
    let key = detector_key(detector_id);
    let detector: Option<Detector> = services.account.definitions.get(&key).await?;
    let detector = detector.ok_or_else(|| missing_detector(detector_id))?;
    Ok(LiveVersions {
        active: detector.active_version,
        shadow: detector.shadow_version,
        rollout: detector.rollout,
    })
}

/// Lets a version judge beside the active one, or none.
pub(crate) async fn set_shadow(
    services: &EngineServices,
    detector_id: &str,
    version: Option<u32>,
) -> Result<()> {
    retry_on_write_conflict(|| {
        change_detector(services, detector_id, version, |detector| {
            detector.shadow_version = version;
        })
    })
    .await
}

/// Gives a version a share of the events, or lets the active one decide on all.
pub(crate) async fn set_rollout(
    services: &EngineServices,
    detector_id: &str,
    rollout: Option<VersionRollout>,
) -> Result<()> {
    let version = rollout.as_ref().map(|rollout| rollout.version);
    retry_on_write_conflict(|| {
        change_detector(services, detector_id, version, |detector| {
            detector.rollout.clone_from(&rollout);
        })
    })
    .await
}

async fn change_detector(
    services: &EngineServices,
    detector_id: &str,
    version: Option<u32>,
    set: impl Fn(&mut Detector),
) -> Result<()> {
    let mut change = services.account.begin_change().await?;
    let detector: Option<Detector> = change.get(&detector_key(detector_id)).await?;
    let mut detector = detector.ok_or_else(|| missing_detector(detector_id))?;
    if let Some(version) = version {
        check_can_judge(&change, &detector, version).await?;
    }
    set(&mut detector);
    change.put(&detector)?;
    services.account.commit_change(change).await
}

/// Checks that a version can judge live events beside the active one.
async fn check_can_judge(change: &Change<'_>, detector: &Detector, number: u32) -> Result<()> {
    let id = &detector.detector_id;
    let version: Option<DetectorVersion> = change.get(&detector_version_key(id, number)).await?;
    let version = version.ok_or_else(|| {
        Error::not_found(format!(
            "Version {number} of detector '{id}' does not exist."
        ))
    })?;
    match detector.active_version {
        None => {
            let message = format!("Detector '{id}' has no version in status ACTIVE.");
            return Err(Error::validation(message));
        }
        Some(active) if active == number => {
            let message = format!("Version {number} of detector '{id}' is ACTIVE: it judges all.");
            return Err(Error::validation(message));
        }
        Some(_) => {}
    }
    check_has_rules(&version)?;
    find_model_versions(change, &detector.event_type_name, &version.model_versions).await?;
    Ok(())
}
