//! `fraudstream backtest`: what a draft of the rules would have decided on the orders of the past.

use std::path::{Path, PathBuf};

use clap::Args;
use event::Timestamp;
use local_aws::dynamodb::Durability;
use shared::decisions::{Decision, ItemKey};
use shared::mapping::Mapping;

use super::CommandError;
use super::apply::ParameterArgs;
use super::decision_view::MoneyVariables;
use super::output::print_result;
use super::time_arg::parse_time;
use super::workspace::{Workspace, WorkspaceArgs};
use crate::apply::{DetectorTemplate, TemplateInputs, read_present_elements};
use crate::backtest::{Backtest, BacktestReport, JudgedOrders, ReportOptions};
use crate::detector_rules::DetectorRules;
use crate::progress_bar::start_progress_bar;

const SECONDS_PER_DAY: i64 = 86_400;

/// The arguments of `backtest`.
#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    /// The draft: a detector file.
    #[arg(long, value_name = "FILE", default_value = "config/detector.yaml")]
    rules: PathBuf,
    /// Another detector file to compare it with; default what was decided.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    #[command(flatten)]
    parameters: ParameterArgs,
    /// Orders made at this time or later: a day (yyyy-MM-dd) or a time (ISO 8601).
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<Timestamp>,
    /// Orders made before this time.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<Timestamp>,
    /// After how many days an order without a label counts as good: by then most fraud is reported.
    #[arg(long, value_name = "DAYS", default_value_t = 45, value_parser = clap::value_parser!(u16).range(0..=730))]
    maturity: u16,
    /// Examples of each kind of difference.
    #[arg(long, value_name = "N", default_value_t = 20)]
    examples: usize,
    /// List every order that is decided differently (with --json).
    #[arg(long, requires = "json")]
    changes: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl BacktestArgs {
    /// Judges the decisions of the range, and prints what would have been different.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let mapping = workspace.read_mapping()?;
        let draft = self.read_template(&self.rules)?;
        let against = self.against.as_ref().map(|file| self.read_template(file));
        let against = against.transpose()?;
        let opened = workspace
            .open(Durability::Kill, workspace.fraud_detector)
            .await?;
        let report = self.compare(&opened, &mapping, draft, against).await;
        opened.close().await?;
        let report = report?;
        print_result(self.json, &report, &report)
    }

    fn read_template(&self, file: &Path) -> Result<DetectorTemplate, CommandError> {
        let inputs = TemplateInputs::new(self.parameters.parameters.clone());
        Ok(DetectorTemplate::read(file, &inputs)?)
    }

    async fn compare(
        &self,
        workspace: &Workspace<'_>,
        mapping: &Mapping,
        draft: DetectorTemplate,
        against: Option<DetectorTemplate>,
    ) -> Result<BacktestReport, CommandError> {
        let draft = compile_rules(workspace, draft, mapping).await?;
        let against = match against {
            None => None,
            Some(template) => Some(compile_rules(workspace, template, mapping).await?),
        };
        let backtest = Backtest {
            draft: &draft,
            against: against.as_ref(),
            mapping,
            maturity_seconds: i64::from(self.maturity) * SECONDS_PER_DAY,
            examples: self.examples,
        };
        self.judge_decisions(workspace, &backtest).await
    }

    async fn judge_decisions(
        &self,
        workspace: &Workspace<'_>,
        backtest: &Backtest<'_>,
    ) -> Result<BacktestReport, CommandError> {
        let mapping = backtest.mapping;
        let decisions = workspace.pipeline.decisions();
        let client = &workspace.pipeline.clients.frauddetector;
        let money = MoneyVariables::read(client, mapping).await;
        let bar = start_progress_bar(!self.json, 0);
        let mut judged = JudgedOrders::new(backtest);
        let mut judge = |decision: Decision| {
            if decision.detector_id == mapping.detector().as_str() && self.is_in_range(&decision) {
                let amount = money.money(&decision).map_or(0.0, |money| money.size());
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "an amount of money; a cast saturates"
                )]
                judged.add(&decision, (amount * 100.0).round() as i64);
            }
        };
        // The revisions of an order come one after the other, and only the newest says what it came to.
        let mut newest: Option<Decision> = None;
        let mut after: Option<ItemKey> = None;
        loop {
            let page = decisions
                .scan_page(mapping.event_type(), after.as_ref())
                .await?;
            for (_, decision) in page.items {
                bar.inc(1);
                match newest.replace(decision) {
                    Some(before) if newest.as_ref().is_some_and(|it| it.pk != before.pk) => {
                        judge(before);
                    }
                    _ => {}
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        newest.into_iter().for_each(&mut judge);
        bar.finish_and_clear();
        let name = |file: &PathBuf| file.display().to_string();
        let report = judged.report(ReportOptions {
            draft: name(&self.rules),
            against: self
                .against
                .as_ref()
                .map_or("what was decided".to_owned(), name),
            list_changes: self.changes,
        });
        if report.orders.orders() == 0 {
            return Err(format!(
                "no decision of detector `{}` is in this range; `fraudstream run predict` makes decisions, and --from and --to \
                 are times of orders",
                mapping.detector()
            )
            .into());
        }
        Ok(report)
    }

    fn is_in_range(&self, decision: &Decision) -> bool {
        let Ok(time) = Timestamp::parse(&decision.event_timestamp) else {
            return false;
        };
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }
}

/// The rules of the mapping's detector. Their lists have the elements of the file and those that were added since, as they
/// are now: `apply` takes none out, either.
async fn compile_rules(
    workspace: &Workspace<'_>,
    mut template: DetectorTemplate,
    mapping: &Mapping,
) -> Result<DetectorRules, CommandError> {
    let client = &workspace.pipeline.clients.frauddetector;
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
