//! `fraudstream replay`: runs records again that were rejected or given up.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use event::Timestamp;
use shared::aws_json::AwsJsonClient;

use super::CommandError;
use super::output::print_result;
use super::time_arg::parse_time;
use super::workspace::WorkspaceArgs;
use crate::file_run::PipelineFunction;
use crate::forget::ForgottenSubjects;
use crate::progress_bar::start_progress_bar;
use crate::replay::{Replay, ReplayFilter, ReplayQueue, ReplayedObject};
use local_aws::dynamodb::Durability;

/// The arguments of `replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A prefix of the bucket; a local file with a stored object, or with one in each line; or the URL of a queue with dead
    /// letters, or with what event source mappings of Kinesis gave up.
    #[arg(default_value = shared::rejected::REJECTED_PREFIX)]
    source: String,
    /// Only records of this function. Dead letters do not name theirs: they are for this one.
    #[arg(long, value_name = "NAME", value_parser = [predict::FUNCTION, ingest::FUNCTION, label::FUNCTION])]
    function: Option<String>,
    /// Only records with this text in their reason, or of this class, such as not-json.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only what was given up at this time or later: a day (yyyy-MM-dd) or a time (ISO 8601).
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Only what was given up before this time.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,
    /// The most records a second, on average. The records of one object, message or line run at once; after them there is a
    /// pause as long as this rate wants.
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Print what would come of each record, and change nothing. Orders are opened, mapped and compared with what is
    /// decided; the detector is not asked.
    #[arg(long)]
    dry_run: bool,
    /// Print what happened as JSON.
    #[arg(long)]
    json: bool,
}

impl ReplayArgs {
    /// Refuses to empty a queue at AWS into the local folder.
    fn check_target(&self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        if !self.dry_run && !workspace.is_remote() && is_aws_url(&self.source) {
            return Err(format!(
                "{} is a queue at AWS, and without --aws its messages would be decided in the local folder only and then deleted; \
                 add --aws, or --dry-run to change nothing",
                self.source
            )
            .into());
        }
        Ok(())
    }

    /// Replays the records, and prints what happened to each object.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        self.check_target(workspace)?;
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
        let config = workspace.load_sdk_config(find_origin(&self.source)).await;
        let kinesis = AwsJsonClient::kinesis(&config);
        let replay = Replay {
            s3: &pipeline.clients.s3,
            bucket: &pipeline.bucket,
            kinesis: &kinesis,
            function: &function,
            forgotten: &forgotten,
            filter: ReplayFilter {
                function: self.function.clone(),
                reason: self.reason.clone(),
                since: self.since,
                until: self.until,
            },
            rate: self.rate,
            dry_run: self.dry_run,
            progress: start_progress_bar(!self.json, 0),
        };
        let mut replayed = Vec::new();
        let ended = if is_url(&self.source) {
            let sqs = AwsJsonClient::sqs(&config);
            let mut queue = ReplayQueue::new(sqs, &self.source, workspace.region());
            Box::pin(replay.replay_queue(&mut queue, &mut replayed)).await
        } else if Path::new(&self.source).is_file() {
            Box::pin(replay.replay_file(&self.source, &mut replayed)).await
        } else {
            Box::pin(replay.replay_prefix(&self.source, &mut replayed)).await
        };
        replay.progress.finish_and_clear();
        drop(replay);
        drop((pipeline, forgotten));
        let closed = opened.close().await;
        // What was replayed before a failure is done, and in no other report.
        if ended.is_ok() || !replayed.is_empty() {
            let text = describe_replayed(&replayed, self.dry_run);
            print_result(self.json, &replayed, text)?;
        }
        ended?;
        closed
    }
}

fn is_url(source: &str) -> bool {
    source.starts_with("https://") || source.starts_with("http://")
}

/// Where the services are, if the source is the URL of a queue that is not at AWS.
fn find_origin(source: &str) -> Option<String> {
    let (scheme, rest) = source.split_once("://").filter(|_| is_url(source))?;
    let host = rest.split('/').next()?;
    (!is_aws_url(source)).then(|| format!("{scheme}://{host}"))
}

/// Whether the source is the URL of a queue at AWS.
fn is_aws_url(source: &str) -> bool {
    let rest = source.split_once("://").filter(|_| is_url(source));
    let host = rest.and_then(|(_, rest)| rest.split(['/', ':']).next());
    let host = host.unwrap_or_default().to_ascii_lowercase();
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_at_aws_is_told_from_one_elsewhere() {
        let cases = [
            (
                "https://sqs.eu-west-1.amazonaws.com/123456789012/dead",
                true,
                None,
            ),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn:443/1/dead",
                true,
                None,
            ),
            (
                "http://127.0.0.1:4566/000000000000/dead",
                false,
                Some("http://127.0.0.1:4566"),
            ),
            (
                "https://amazonaws.com.example/1/dead",
                false,
                Some("https://amazonaws.com.example"),
            ),
            ("rejected/", false, None),
        ];
        for (source, is_aws, origin) in cases {
            assert_eq!(is_aws_url(source), is_aws, "{source}");
            assert_eq!(find_origin(source).as_deref(), origin, "{source}");
        }
    }
}
