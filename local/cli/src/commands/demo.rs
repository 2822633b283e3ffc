//! `fraudstream demo`, which is `make run`: apply the detector, decide the sample orders, report.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use predict::OrderResult;
use shared::failure::Failure;
use shared::mapping::Mapping;

use super::CommandError;
use super::output::{print_line, print_result};
use super::workspace::WorkspaceArgs;
use crate::apply;
use crate::demo_report::{self, DemoReport};
use crate::file_run::{FileRun, PipelineFunction, RecordEffect};
use crate::input::RecordInput;
use local_aws::dynamodb::Durability;
use local_aws::home::Home;
use local_aws::local_stack::LocalStack;

/// Commands to try next.
const NEXT: &str = "next, with F standing for: fraudstream --home {home}
  F show {order}                       one decision, and why
  F show --review 2026-06-30              the open reviews of a day
  F run label {events}/chargebacks.jsonl     the chargebacks that came later
  F replay --dry-run                      the rejected records
  edit config/detector.yaml, and run the demo again";

/// The arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Folder of orders.jsonl, chargebacks.jsonl and truth.jsonl.
    #[arg(long, default_value = "events", value_name = "DIR")]
    events: PathBuf,
    /// Detector file.
    #[arg(long, default_value = "config/detector.yaml", value_name = "FILE")]
    detector: PathBuf,
}

impl DemoArgs {
    /// Runs the demo in a folder of its own under `--home`, fresh each time.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let mapping = workspace.read_mapping()?;
        let mapping = mapping.with_locations(workspace.read_locations()?);
        let folder = workspace.home.join("demo");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .map_err(|error| format!("cannot clear {}: {error}", folder.display()))?;
        }
        let home = Home::open(&folder)?;
        let stack = LocalStack::open(&home, Durability::Kill).await?;
        self.apply_detector(&stack).await?;
        let report = self.decide_orders(&stack, &home, mapping).await?;
        stack.close().await?;
        let order = report.caught_order().unwrap_or("ORDER_ID");
        let next = NEXT
            .replace("{home}", &folder.display().to_string())
            .replace("{order}", order)
            .replace("{events}", &self.events.display().to_string());
        print_result(self.json, &report, format_args!("{report}\n{next}\n"))
    }

    async fn apply_detector(&self, stack: &LocalStack) -> Result<(), CommandError> {
        self.print_progress(format_args!("applying {}", self.detector.display()))?;
        let options = apply::ApplyOptions {
            file: self.detector.clone(),
            dry_run: false,
            to: apply::ApplyTarget::Engine,
            json: false,
        };
        let mut log = Vec::new();
        apply::apply_template(&stack.clients.frauddetector, &options, &mut log).await?;
        let log = String::from_utf8_lossy(&log);
        self.print_progress(log.lines().last().unwrap_or_default())
    }

    async fn decide_orders(
        &self,
        stack: &LocalStack,
        home: &Home,
        mapping: Mapping,
    ) -> Result<DemoReport, CommandError> {
        let path = self.events.join("orders.jsonl").display().to_string();
        self.print_progress(format_args!("deciding {path}\n"))?;
        let truth = demo_report::read_truth(&self.events.join("truth.jsonl"))?;
        let predict = stack.pipeline().predict(mapping, None);
        let run = FileRun {
            function: PipelineFunction::Predict(Box::new(predict)),
            path: &path,
            input: RecordInput::open_lines(&path)?,
            home: Some(home),
            target: "demo",
            forgotten: None,
            restart: false,
            progress: !self.json,
        };
        let mut report = DemoReport::default();
        let mut answered = 0_u64;
        let summary = run.run_file(std::future::pending(), |position, result| {
            answered += 1;
            match result {
                Ok(RecordEffect::Decision(OrderResult::Decided(decision))) => {
                    report.add(decision, truth.get(&decision.order_id));
                }
                Ok(_) => report.duplicates += 1,
                Err(Failure::Rejected(rejection)) => report
                    .rejected
                    .push((position.id.clone(), rejection.reason.clone())),
                Err(Failure::Retry(_) | Failure::Skipped) => {}
            }
        });
        let summary = summary.await?;
        report.undecided = summary.records - answered;
        report.records_per_second = summary.records_per_second();
        Ok(report)
    }

    /// Prints what is being done, unless the output is one JSON document.
    fn print_progress(&self, line: impl fmt::Display) -> Result<(), CommandError> {
        if self.json {
            return Ok(());
        }
        print_line(line)
    }
}
