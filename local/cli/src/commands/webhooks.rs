//! `fraudstream webhooks`: sends webhooks again.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use event::Timestamp;
use webhook::{ReceiverUrl, SigningSecrets, TIMEOUT_MS, WebhookSender};

use super::CommandError;
use super::output::print_result;
use super::time_arg::parse_time;
use super::workspace::WorkspaceArgs;
use crate::progress_bar::start_progress_bar;
use crate::webhook_replay::{Delivery, TimeRange, replay_webhooks};
use local_aws::dynamodb::Durability;

/// The arguments of `webhooks`.
#[derive(Debug, Args)]
pub(crate) struct WebhooksArgs {
    #[command(subcommand)]
    action: WebhooksAction,
}

#[derive(Debug, Subcommand)]
enum WebhooksAction {
    /// Send the webhooks of past decisions and verdicts again: the same ids, the same bodies.
    #[command(
        after_help = "The receiver acts once for each id, so sending again what arrived changes nothing.\n\nExamples:\n  fraudstream webhooks replay --since 2026-11-01 --dry-run\n  fraudstream webhooks replay --since 2026-11-28T10:00:00Z --until 2026-11-28T12:00:00Z --url https://shop.example/webhooks --secret-file secret.txt\n  fraudstream --aws webhooks replay --since 2026-11-28 --url https://shop.example/webhooks --secret-file - --rate 50"
    )]
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// Decisions made at this time or later: a day (yyyy-MM-dd) or a time (ISO 8601).
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Timestamp,
    /// Decisions made before this time.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,
    /// Where the receiver is: https, or http on this machine.
    #[arg(
        long,
        env = "WEBHOOK_URL",
        hide_env_values = true,
        required_unless_present = "dry_run"
    )]
    url: Option<ReceiverUrl>,
    /// A file with the secrets that sign, `-` for standard input: whsec_ and base64, several with line breaks between them.
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    secret_file: Option<PathBuf>,
    /// Milliseconds that an answer of the receiver may take.
    #[arg(long, value_name = "MS", default_value_t = TIMEOUT_MS, value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
    /// The most messages a second.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Count what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print what happened as JSON.
    #[arg(long)]
    json: bool,
}

impl WebhooksArgs {
    /// Runs the action, and prints what came of it.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        match self.action {
            WebhooksAction::Replay(args) => Box::pin(args.run(workspace)).await,
        }
    }
}

impl ReplayArgs {
    async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        if self.until.is_some_and(|until| until <= self.since) {
            return Err("--until should be after --since".into());
        }
        let delivery = self.prepare_delivery()?;
        let mapping = workspace.read_mapping()?;
        let opened = workspace
            .open(Durability::Kill, workspace.fraud_detector)
            .await?;
        let decisions = opened.pipeline.decisions();
        let range = TimeRange {
            since: self.since,
            until: self.until,
        };
        let progress = start_progress_bar(!self.json, 0);
        let event_type = mapping.event_type();
        let replayed =
            replay_webhooks(&decisions, event_type, range, delivery.as_ref(), &progress).await;
        progress.finish_and_clear();
        drop(decisions);
        let closed = opened.close().await;
        let report = replayed?;
        print_result(self.json, &report, &report)?;
        closed?;
        if report.failed > 0 {
            return Err(
                "some webhooks did not arrive; run the command again when the receiver works"
                    .into(),
            );
        }
        Ok(())
    }

    /// How messages are sent; `None` if none is.
    fn prepare_delivery(&self) -> Result<Option<Delivery>, CommandError> {
        let (Some(url), Some(file), false) = (&self.url, &self.secret_file, self.dry_run) else {
            return Ok(None);
        };
        let secrets = SigningSecrets::parse(&read_secrets(file)?)?;
        let timeout = Duration::from_millis(self.timeout.into());
        let sender = WebhookSender::new(url.clone(), timeout);
        Ok(Some(Delivery::new(sender, secrets, self.rate)))
    }
}

fn read_secrets(file: &Path) -> Result<String, CommandError> {
    let name = file.display();
    if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|error| format!("cannot read the secrets from standard input: {error}"))?;
        return Ok(text);
    }
    Ok(std::fs::read_to_string(file).map_err(|error| format!("cannot read {name}: {error}"))?)
}
