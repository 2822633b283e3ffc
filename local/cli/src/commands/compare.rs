//! `fraudstream compare`: what the shadow would have decided, as it was recorded, against what was decided.

use std::fmt;

use clap::Args;
use engine::{Engine, ShadowDecision};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use shared::decisions::Decision;
use shared::mapping::Mapping;

use super::CommandError;
use super::backtest::{check_has_orders, compile_with_present_lists};
use super::history::run_with_history;
use super::output::print_result;
use super::past_decisions::{PastDecision, PastDecisions, PastOrderArgs};
use super::workspace::{Workspace, WorkspaceArgs};
use crate::apply::{VersionChoice, read_held_version};
use crate::backtest::{Backtest, BacktestReport, BalanceVerdict, JudgedOrders, ReportOptions};

/// How many predictions are read at once.
const CONCURRENT_READS: usize = 16;

/// The arguments of `compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The version that judged as a shadow; default the one that does now.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    #[command(flatten)]
    orders: PastOrderArgs,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What a shadow would have changed.
#[derive(Debug, Serialize)]
struct ComparisonReport {
    /// The version that judged as a shadow.
    version: u32,
    /// Decisions of the range that it did not judge: they were made before or after it.
    not_judged: u64,
    #[serde(flatten)]
    report: BacktestReport,
}

impl fmt::Display for ComparisonReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version;
        let sentence = match self.report.balance.verdict {
            BalanceVerdict::Better => format!("version {version} is better"),
            BalanceVerdict::Worse => format!("version {version} is worse"),
            BalanceVerdict::Mixed => format!(
                "version {version} is better for the ones and worse for the others: a question of money"
            ),
            BalanceVerdict::NotKnownYet => format!(
                "which is better cannot be told yet: of the orders on which version {version} differs, too few have a known end"
            ),
        };
        let balance = &self.report.balance;
        writeln!(f, "{sentence}: {}\n{balance}", balance.describe_trade())?;
        if self.not_judged > 0 {
            let count = self.not_judged;
            writeln!(
                f,
                "{count} decisions of the range were not judged by it, and are left out"
            )?;
        }
        write!(f, "\n{}", self.report)
    }
}

impl CompareArgs {
    /// Compares what was recorded with what was decided.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let mapping = workspace.read_mapping()?;
        let report = run_with_history(workspace, "compare", async |opened, engine| {
            self.compare_shadow(opened, engine, &mapping).await
        })
        .await?;
        print_result(self.json, &report, &report)
    }

    async fn compare_shadow(
        &self,
        opened: &Workspace<'_>,
        engine: &Engine,
        mapping: &Mapping,
    ) -> Result<ComparisonReport, CommandError> {
        let detector = mapping.detector().as_str();
        let version = match self.version {
            Some(version) => version,
            None => engine
                .load_live_versions(detector)
                .await?
                .shadow
                .ok_or_else(|| {
                    format!(
                        "no version of detector `{detector}` is a shadow now: say which one was, with --version N, or begin with \
                         `fraudstream shadow --version N`"
                    )
                })?,
        };
        let client = &opened.pipeline.clients.frauddetector;
        let held = read_held_version(client, detector, VersionChoice::Number(version)).await?;
        let rules = compile_with_present_lists(client, held.template, mapping).await?;
        let backtest = Backtest {
            draft: &rules,
            against: None,
            mapping,
            maturity_seconds: self.orders.maturity_seconds(),
            examples: self.orders.examples,
        };
        let mut judged = JudgedOrders::new(&backtest);
        let (mut all, mut found) = (0_u64, 0_u64);
        let mut past = PastDecisions::new(opened, mapping, &self.orders, !self.json).await;
        while let Some(page) = past.read_page().await? {
            let shadows = stream::iter(page.iter().map(|past| find_shadow(engine, &past.decision)));
            let shadows: Vec<Option<ShadowDecision>> =
                shadows.buffered(CONCURRENT_READS).try_collect().await?;
            for (PastDecision { decision, money }, shadow) in page.iter().zip(shadows) {
                all += 1;
                let Some(shadow) = shadow.filter(|it| it.version == version.to_string()) else {
                    continue;
                };
                found += 1;
                judged.add_recorded(decision, *money, &shadow.matched, &shadow.undetermined);
            }
        }
        let report = judged.report(ReportOptions {
            draft: format!("version {version} as a shadow"),
            against: "what was decided".to_owned(),
            list_changes: false,
        });
        if all > 0 && found == 0 {
            return Err(format!(
                "version {version} of detector `{detector}` judged none of the {all} decisions of this range as a shadow; \
                 `fraudstream shadow --version {version}` lets it judge those to come"
            )
            .into());
        }
        check_has_orders(&report, mapping)?;
        Ok(ComparisonReport {
            version,
            not_judged: all - found,
            report,
        })
    }
}

/// What a shadow said when this decision was made.
async fn find_shadow(
    engine: &Engine,
    decision: &Decision,
) -> Result<Option<ShadowDecision>, engine::Error> {
    match &decision.verdict.prediction.prediction_timestamp {
        None => Ok(None),
        Some(made_at) => {
            let (event_type, event_id) = (&decision.event_type, &decision.event_id);
            engine
                .find_shadow_decision(event_type, event_id, made_at)
                .await
        }
    }
}
