//! `fraudstream doctor`: what would lose orders or money, in a template or in what is deployed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use event::Timestamp;

use super::CommandError;
use super::apply::ParameterArgs;
use super::output::print_result;
use super::workspace::{Backend, WorkspaceArgs};
use crate::cloudformation::inputs::TemplateInputs;
use crate::doctor::TemplateReport;
use crate::probe::TableProbe;
use crate::signals;
use local_aws::dynamodb::Durability;

/// How long a probe may take to delete its items after a signal: two calls after each other, with their time-outs.
const PROBE_GRACE: Duration = Duration::from_secs(12);

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The template of the deployment.
    #[arg(default_value = "template.yaml", conflicts_with = "probe")]
    template: PathBuf,
    #[command(flatten)]
    parameters: ParameterArgs,
    /// Try on the deployed table of decisions, with two items that are deleted again, whether DecisionWrites=statements may
    /// be used.
    #[arg(long)]
    probe: bool,
    /// With --probe: how many seconds to wait for the table's stream.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "probe")]
    wait: u64,
    /// Print the findings, or the steps of the probe, as JSON.
    #[arg(long)]
    json: bool,
}

impl DoctorArgs {
    /// Prints what is wrong; that is an error, too.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        if self.probe {
            return self.probe_table(workspace).await;
        }
        let inputs = TemplateInputs::new(self.parameters.parameters);
        let report = TemplateReport::read(&self.template, &inputs)?;
        print_result(self.json, &report, &report)?;
        match report.findings.len() {
            0 => Ok(()),
            1 => Err(format!("1 finding in {}", report.file).into()),
            count => Err(format!("{count} findings in {}", report.file).into()),
        }
    }

    async fn probe_table(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        if !workspace.is_remote() {
            return Err(
                "--probe tries the table of a deployment; give --aws or --endpoint-url. The local folder needs no probe: it hands \
                 to forward itself what statements insert"
                    .into(),
            );
        }
        // Nothing is predicted, so the backend does not matter, and Amazon's needs no preparation.
        let opened = workspace.open(Durability::Kill, Backend::Aws).await?;
        let decisions = opened.pipeline.decisions();
        let streams = opened.connect_streams().await;
        let is_quiet = self.json;
        let say = |line: String| {
            if !is_quiet {
                eprintln!("{line}");
            }
        };
        let probe = TableProbe {
            decisions: &decisions,
            streams: &streams,
            wait: Duration::from_secs(self.wait),
            now: Timestamp::from_jiff(jiff::Timestamp::now())?,
            say: &say,
        };
        let stop = signals::listen_for_interrupt(PROBE_GRACE)?;
        let report = Box::pin(probe.run(stop)).await;
        opened.close().await?;
        print_result(self.json, &report, &report)?;
        if report.statements_may_be_used {
            return Ok(());
        }
        Err("the probe did not pass".into())
    }
}
