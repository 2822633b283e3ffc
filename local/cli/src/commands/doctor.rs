//! `fraudstream doctor`: what would lose orders or money, in a template or in what is deployed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use event::Timestamp;
use serde::Serialize;

use super::CommandError;
use super::apply::ParameterArgs;
use super::output::print_result;
use super::workspace::{Backend, WorkspaceArgs};
use crate::apply::DetectorTemplate;
use crate::cloudformation::inputs::TemplateInputs;
use crate::doctor::{Finding, FindingSeverity, QUOTA, TemplateReport, check_pair};
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
    /// The detector file, which is compared with the mapping if both are there.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "config/detector.yaml",
        conflicts_with = "probe"
    )]
    detector: PathBuf,
    /// How many calls a second of Amazon Fraud Detector the account has, if its quota was raised.
    #[arg(long, value_name = "CALLS", default_value_t = QUOTA, conflicts_with = "probe")]
    quota: u32,
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

/// What is wrong with the template, and between mapping and detector.
#[derive(Debug, Serialize)]
struct DoctorReport {
    #[serde(flatten)]
    template: TemplateReport,
    /// Absent if nothing is wrong there.
    #[serde(skip_serializing_if = "Option::is_none")]
    detector: Option<TemplateReport>,
}

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.template.fmt(f)?;
        self.detector.iter().try_for_each(|report| report.fmt(f))
    }
}

impl DoctorArgs {
    /// Prints what is wrong; that is an error, too.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        if self.probe {
            return self.probe_table(workspace).await;
        }
        let inputs = TemplateInputs::new(self.parameters.parameters.clone());
        let template = TemplateReport::read(&self.template, &inputs, self.quota)?;
        let detector = self
            .compare_detector(workspace)
            .unwrap_or_else(|error| Some(self.report_unread_detector(error.as_ref())));
        let report = DoctorReport { template, detector };
        print_result(self.json, &report, &report)?;
        let of_detector = report.detector.iter();
        let reports = std::iter::once(&report.template).chain(of_detector);
        let found = reports.filter(|report| !report.findings.is_empty());
        let counts: Vec<String> = found
            .map(|report| match report.findings.len() {
                1 => format!("1 finding in {}", report.file),
                count => format!("{count} findings in {}", report.file),
            })
            .collect();
        if counts.is_empty() {
            return Ok(());
        }
        Err(counts.join(", ").into())
    }

    /// Compares the detector file with the mapping; `None` if one of them is not there, or if nothing is wrong.
    fn compare_detector(
        &self,
        workspace: &WorkspaceArgs,
    ) -> Result<Option<TemplateReport>, CommandError> {
        let mapping = workspace.read_mapping_if_any()?;
        let Some(mapping) = mapping.filter(|_| self.detector.is_file()) else {
            return Ok(None);
        };
        let detector = DetectorTemplate::read(&self.detector, &TemplateInputs::default())?;
        let report = check_pair(&mapping, &detector);
        let is_silent = report.findings.is_empty() && report.notes.is_empty();
        Ok((!is_silent).then_some(report))
    }

    /// What a mapping or a detector file that cannot be read is in the report: the findings in the template stand without it.
    fn report_unread_detector(&self, error: &dyn std::error::Error) -> TemplateReport {
        TemplateReport {
            file: self.detector.display().to_string(),
            findings: vec![Finding {
                severity: FindingSeverity::Error,
                resource: "detector".to_owned(),
                line: 1,
                problem: format!("cannot be compared with the mapping: {error}"),
                advice: "correct the file, or name another one with --detector or --mapping"
                    .to_owned(),
            }],
            notes: Vec::new(),
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
