//! `fraudstream rollout`: a version decides on a share of the entities, then on more, then on all.

use std::sync::Arc;

use aws_sdk_frauddetector::Client;
use clap::Args;
use engine::{ChangeKind, Engine, LiveVersions, VersionMove, VersionRollout};

use super::CommandError;
use super::history::run_with_history;
use super::live_versions::{format_percent, parse_share, print_live_versions};
use super::rollback::describe_difference;
use super::workspace::WorkspaceArgs;
use crate::apply::{VersionChoice, activate_version, read_held_version};
use crate::change_log::{ChangeLog, UrgentChangeArgs, describe_only_step};

/// The arguments of `rollout`.
#[derive(Debug, Args)]
pub(crate) struct RolloutArgs {
    /// The version that decides on the share.
    #[arg(long, value_name = "N", requires = "share")]
    version: Option<u32>,
    /// The share of the entities, such as 10%; an entity that is in it stays in it while the share grows. 100% makes the
    /// version the active one.
    #[arg(long, value_name = "PERCENT", requires = "version", value_parser = parse_share)]
    share: Option<u32>,
    /// The active version decides on all again.
    #[arg(long, conflicts_with = "version")]
    off: bool,
    #[command(flatten)]
    change: UrgentChangeArgs,
    /// Print the versions that judge as JSON.
    #[arg(long)]
    json: bool,
}

impl RolloutArgs {
    /// Changes the share, and prints which versions judge.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let detector = workspace.read_mapping()?.detector().to_string();
        let live = run_with_history(workspace, "rollout", async |opened, engine| {
            let client = &opened.pipeline.clients.frauddetector;
            self.change_rollout(client, engine, &detector).await
        })
        .await?;
        print_live_versions(self.json, &detector, &live)
    }

    async fn change_rollout(
        &self,
        client: &Client,
        engine: &Arc<Engine>,
        detector: &str,
    ) -> Result<LiveVersions, CommandError> {
        let before = engine.load_live_versions(detector).await?;
        let wanted = self.version.zip(self.share);
        let wanted = wanted.map(|(version, share)| VersionRollout { version, share });
        if (wanted.is_none() && !self.off) || wanted == before.rollout {
            return Ok(before);
        }
        let wanted = simplify_rollout(detector, &before, wanted)?;
        let log = ChangeLog::of_urgent(Arc::clone(engine), &self.change);
        let needs_approval = log.check_direct_change().await?;
        let Some(wanted) = wanted else {
            let step = "the active version decides on all again".to_owned();
            let write = Box::pin(async { Ok(engine.set_rollout(detector, None).await?) });
            log.record_step(
                ChangeKind::Rollout,
                describe_only_step(step),
                Vec::new(),
                write,
            )
            .await?;
            return Ok(engine.load_live_versions(detector).await?);
        };
        let choice = VersionChoice::Number(wanted.version);
        let held = read_held_version(client, detector, choice).await?;
        if needs_approval && held.status == "DRAFT" {
            return Err(format!(
                "version {} of detector `{detector}` has never decided, and an approval is required: `fraudstream apply` and then \
                 `fraudstream approve` make it decide; nothing was changed",
                wanted.version
            )
            .into());
        }
        let (step, moves) = describe_step(detector, &before, &wanted);
        let active = read_held_version(client, detector, VersionChoice::Active).await?;
        let details = describe_difference(Some(&active), &held, step);
        let write = Box::pin(async {
            if moves.is_empty() {
                engine.set_rollout(detector, Some(wanted.clone())).await?;
            } else {
                activate_version(client, detector, &wanted.version.to_string()).await?;
            }
            Ok(())
        });
        log.record_step(ChangeKind::Rollout, details, moves.clone(), write)
            .await?;
        Ok(engine.load_live_versions(detector).await?)
    }
}

/// All entities for the version that is active already is the end of a rollout.
fn simplify_rollout(
    detector: &str,
    before: &LiveVersions,
    wanted: Option<VersionRollout>,
) -> Result<Option<VersionRollout>, String> {
    let is_all = |it: &VersionRollout| {
        it.share == VersionRollout::BUCKETS && Some(it.version) == before.active
    };
    match (wanted, &before.rollout) {
        (Some(wanted), None) if is_all(&wanted) => Err(format!(
            "version {} of detector `{detector}` decides on all already; nothing was changed",
            wanted.version
        )),
        (wanted, _) => Ok(wanted.filter(|it| !is_all(it))),
    }
}

/// The step from what is to what is wanted, and which version becomes active by it.
fn describe_step(
    detector: &str,
    before: &LiveVersions,
    wanted: &VersionRollout,
) -> (String, Vec<VersionMove>) {
    let share = format_percent(wanted.share);
    let earlier = before.rollout.as_ref();
    let earlier = earlier.filter(|earlier| earlier.version == wanted.version);
    let earlier = earlier.map_or(String::new(), |earlier| {
        format!(" instead of {}", format_percent(earlier.share))
    });
    let step = format!(
        "version {} decides on {share} of the entities{earlier}",
        wanted.version
    );
    let mut moves = Vec::new();
    if wanted.share == VersionRollout::BUCKETS {
        moves.push(VersionMove {
            detector_id: detector.to_owned(),
            before: before.active,
            after: wanted.version,
        });
    }
    (step, moves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_for_the_active_version_ends_a_rollout() {
        let share = |version, share| Some(VersionRollout { version, share });
        let all = VersionRollout::BUCKETS;
        let is_all = Err(
            "version 4 of detector `orders` decides on all already; nothing was changed".to_owned(),
        );
        for (rollout, wanted, want) in [
            (None, share(4, all), is_all),
            (share(5, 100), share(4, all), Ok(None)),
            (share(5, 100), None, Ok(None)),
            (None, share(5, all), Ok(share(5, all))),
            (share(5, 100), share(5, 200), Ok(share(5, 200))),
        ] {
            let before = LiveVersions {
                active: Some(4),
                shadow: None,
                rollout,
            };
            let got = simplify_rollout("orders", &before, wanted.clone());
            assert_eq!(got, want, "{before:?} {wanted:?}");
        }
    }
}
