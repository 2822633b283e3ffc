//! `fraudstream replay`: runs rejected records again.

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::CommandError;
use super::output::print_result;
use super::workspace::WorkspaceArgs;
use crate::file_run::PipelineFunction;
use crate::forget::ForgottenSubjects;
use crate::replay::{Replay, ReplayedObject};
use local_aws::dynamodb::Durability;

/// The arguments of `replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A prefix of the bucket, or a local file.
    #[arg(default_value = shared::rejected::REJECTED_PREFIX)]
    source: String,
    /// Print what would come of each record, and change nothing. Orders are opened, mapped and compared with what is
    /// decided; the detector is not asked.
    #[arg(long)]
    dry_run: bool,
    /// Print what happened as JSON.
    #[arg(long)]
    json: bool,
}

impl ReplayArgs {
    /// Replays the records, and prints what happened to each object.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let mapping = workspace.read_mapping()?;
        let mapping = Arc::new(mapping.with_locations(workspace.read_locations()?));
        let opened = workspace
            .open(Durability::Kill, workspace.fraud_detector)
            .await?;
        let pipeline = opened.pipeline.clone();
        let function = |name: &str| {
            let mapping = Arc::clone(&mapping);
            match name {
                predict::FUNCTION => Some(PipelineFunction::Predict(Box::new(
                    pipeline.predict(mapping, None),
                ))),
                ingest::FUNCTION => {
                    Some(PipelineFunction::Ingest(Box::new(pipeline.ingest(mapping))))
                }
                label::FUNCTION => Some(PipelineFunction::Label(Box::new(pipeline.label(mapping)))),
                _ => None,
            }
        };
        let forgotten = ForgottenSubjects {
            pipeline: pipeline.clone(),
            mapping: Arc::clone(&mapping),
        };
        let replay = Replay {
            s3: &pipeline.clients.s3,
            bucket: &pipeline.bucket,
            function: &function,
            forgotten: &forgotten,
            dry_run: self.dry_run,
        };
        let replayed = if Path::new(&self.source).is_file() {
            replay.replay_file(&self.source).await
        } else {
            replay.replay_prefix(&self.source).await
        };
        drop((pipeline, forgotten));
        opened.close().await?;
        let replayed = replayed?;
        print_result(
            self.json,
            &replayed,
            describe_replayed(&replayed, self.dry_run),
        )
    }
}

fn describe_replayed(replayed: &[ReplayedObject], dry_run: bool) -> String {
    let objects = replayed.iter().map(|object| {
        let ReplayedObject {
            key, reason, now, ..
        } = object;
        format!("{key}\n  was: {reason}\n  now: {now}\n")
    });
    let total = if dry_run {
        describe_dry_run(replayed)
    } else {
        let done = replayed.iter().filter(|object| object.done).count();
        format!("{done} of {} replayed\n", replayed.len())
    };
    objects.chain([total]).collect()
}

fn describe_dry_run(replayed: &[ReplayedObject]) -> String {
    let count = |would: Option<bool>| {
        let alike = replayed.iter();
        alike.filter(|one| one.would_succeed == would).count()
    };
    format!(
        "dry run, nothing was changed: of {} rejected records {} would succeed, {} would be refused again, {} cannot be told without a call of the service\n",
        replayed.len(),
        count(Some(true)),
        count(Some(false)),
        count(None)
    )
}
