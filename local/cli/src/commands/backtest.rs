//! `fraudstream backtest`: what a draft of the rules would have decided on the orders of the past.

use std::fmt;
use std::path::PathBuf;

use aws_sdk_frauddetector::Client;
use clap::Args;
use local_aws::dynamodb::Durability;
use shared::mapping::Mapping;

use super::CommandError;
use super::apply::ParameterArgs;
use super::output::print_result;
use super::past_decisions::{PastDecision, PastDecisions, PastOrderArgs};
use super::workspace::{Workspace, WorkspaceArgs};
use crate::apply::{
    DetectorTemplate, TemplateInputs, VersionChoice, read_held_version, read_present_elements,
};
use crate::backtest::{Backtest, BacktestReport, JudgedOrders, ReportOptions};
use crate::detector_rules::DetectorRules;

/// The arguments of `backtest`.
#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    /// The draft: a detector file.
    #[arg(long, value_name = "FILE", default_value = "config/detector.yaml")]
    rules: PathBuf,
    /// A version of the mapping's detector that the service holds, instead of a file.
    #[arg(long, value_name = "N", conflicts_with = "rules")]
    version: Option<u32>,
    /// What to compare it with: another detector file, the number of a version that the service holds, or `active`; default
    /// what was decided.
    #[arg(long, value_name = "FILE|N|active")]
    against: Option<RuleSource>,
    #[command(flatten)]
    parameters: ParameterArgs,
    #[command(flatten)]
    orders: PastOrderArgs,
    /// List every order that is decided differently (with --json).
    #[arg(long, requires = "json")]
    changes: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Where a set of rules is: in a detector file, or at the service.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RuleSource {
    File(PathBuf),
    Version(VersionChoice),
}

impl From<&str> for RuleSource {
    /// A number is a version; a file with such a name is given as `./3`.
    fn from(text: &str) -> Self {
        match text.parse() {
            Ok(number) => Self::Version(VersionChoice::Number(number)),
            Err(_) if text == "active" => Self::Version(VersionChoice::Active),
            Err(_) => Self::File(text.into()),
        }
    }
}

impl fmt::Display for RuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Version(VersionChoice::Number(number)) => write!(f, "version {number}"),
            Self::Version(VersionChoice::Active) => f.write_str("the active version"),
        }
    }
}

impl BacktestArgs {
    /// Judges the decisions of the range, and prints what would have been different.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let mapping = workspace.read_mapping()?;
        let opened = workspace
            .open(Durability::Kill, workspace.fraud_detector)
            .await?;
        let report = self.compare(&opened, &mapping).await;
        opened.close().await?;
        let report = report?;
        print_result(self.json, &report, &report)
    }

    /// What is judged by: the version, or else the file.
    fn draft(&self) -> RuleSource {
        match self.version {
            Some(number) => RuleSource::Version(VersionChoice::Number(number)),
            None => RuleSource::File(self.rules.clone()),
        }
    }

    async fn compile_rules(
        &self,
        workspace: &Workspace<'_>,
        mapping: &Mapping,
        source: &RuleSource,
    ) -> Result<DetectorRules, CommandError> {
        let client = &workspace.pipeline.clients.frauddetector;
        let template = match source {
            RuleSource::File(file) => {
                let inputs = TemplateInputs::new(self.parameters.parameters.clone());
                DetectorTemplate::read(file, &inputs)?
            }
            RuleSource::Version(choice) => {
                let detector = mapping.detector().as_str();
                read_held_version(client, detector, *choice).await?.template
            }
        };
        compile_with_present_lists(client, template, mapping).await
    }

    async fn compare(
        &self,
        workspace: &Workspace<'_>,
        mapping: &Mapping,
    ) -> Result<BacktestReport, CommandError> {
        let draft = self
            .compile_rules(workspace, mapping, &self.draft())
            .await?;
        let against = match &self.against {
            None => None,
            Some(source) => Some(self.compile_rules(workspace, mapping, source).await?),
        };
        let backtest = Backtest {
            draft: &draft,
            against: against.as_ref(),
            mapping,
            maturity_seconds: self.orders.maturity_seconds(),
            examples: self.orders.examples,
        };
        self.judge_decisions(workspace, &backtest).await
    }

    async fn judge_decisions(
        &self,
        workspace: &Workspace<'_>,
        backtest: &Backtest<'_>,
    ) -> Result<BacktestReport, CommandError> {
        let mapping = backtest.mapping;
        let mut past = PastDecisions::new(workspace, mapping, &self.orders, !self.json).await;
        let mut judged = JudgedOrders::new(backtest);
        while let Some(page) = past.read_page().await? {
            for PastDecision { decision, money } in page {
                judged.add(&decision, money);
            }
        }
        let report = judged.report(ReportOptions {
            draft: self.draft().to_string(),
            against: self
                .against
                .as_ref()
                .map_or("what was decided".to_owned(), ToString::to_string),
            list_changes: self.changes,
        });
        check_has_orders(&report, mapping)?;
        Ok(report)
    }
}

/// Checks that there was something to judge.
pub(super) fn check_has_orders(report: &BacktestReport, mapping: &Mapping) -> Result<(), String> {
    if report.orders.orders() > 0 {
        return Ok(());
    }
    Err(format!(
        "no decision of detector `{}` is in this range; `fraudstream run predict` makes decisions, and --from and --to \
         are times of orders",
        mapping.detector()
    ))
}

/// The rules of the mapping's detector. Their lists have the elements of the file and those that were added since, as they
/// are now: `apply` takes none out, either.
pub(crate) async fn compile_with_present_lists(
    client: &Client,
    mut template: DetectorTemplate,
    mapping: &Mapping,
) -> Result<DetectorRules, CommandError> {
    let mut present = read_present_elements(client, &template).await?;
    for list in &mut template.lists {
        let added = present.remove(&list.name).unwrap_or_default();
        list.elements.get_or_insert_default().extend(added);
    }
    Ok(DetectorRules::compile(
        &template,
        mapping.detector().as_str(),
    )?)
}
