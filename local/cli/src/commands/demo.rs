//! `fraudstream demo`, which is `make run`: a simulated shop's new orders, judged by the rules alone, and by the rules that
//! also see what happened before. The report says what that changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::types::{DetectorVersionStatus, Rule, RuleDetail, RuleExecutionMode};
use clap::Args;
use predict::OrderResult;
use shared::failure::Failure;
use shared::mapping::Mapping;
use simulator::{Simulation, SimulationOptions};

use super::CommandError;
use super::model_versions::{describe_build_error, describe_refusal};
use super::output::{print_line, print_result};
use super::workspace::WorkspaceArgs;
use crate::apply;
use crate::demo_report::{self, ActiveRule, DemoReport, StateReport};
use crate::file_run::{FileRun, PipelineFunction};
use crate::input::RecordInput;
use crate::run_summary::{RecordEffect, RunSummary};
use local_aws::dynamodb::Durability;
use local_aws::home::Home;
use local_aws::local_stack::LocalStack;

/// Commands to try next.
const NEXT: &str = "next, with F standing for: fraudstream --home {home}
  F show {order}                one decision, and why
  F show --review {day}           the open reviews of a day
  F run label {shop}/chargebacks.jsonl     the chargebacks that came later
  F replay --dry-run                 the rejected records
  edit config/detector.yaml, and run the demo again";

/// The arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Seed of the simulated shop; the same seed gives the same orders.
    #[arg(long, default_value_t = SimulationOptions::default().seed)]
    seed: u64,
    /// How many new orders are decided.
    #[arg(long, default_value_t = SimulationOptions::default().new_orders, value_name = "NUMBER")]
    new_orders: u32,
    /// Detector file.
    #[arg(long, default_value = "config/detector.yaml", value_name = "FILE")]
    detector: PathBuf,
}

/// The files of the simulated shop, and what the demo knows of it.
struct Shop {
    folder: PathBuf,
    /// The first new order, ISO 8601: what became known later is not known yet.
    first_order: String,
}

impl Shop {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl DemoArgs {
    /// Runs the demo in a folder of its own under `--home`, fresh each time.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let folder = workspace.home.join("demo");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .map_err(|error| format!("cannot clear {}: {error}", folder.display()))?;
        }
        let shop = self.simulate(&folder.join("shop"))?;
        let alone = Home::open(folder.join("rules-alone"))?;
        let with_past = Home::open(folder.join("with-velocity"))?;
        let mut report = DemoReport::default();
        let state = Box::pin(self.judge_alone(workspace, &alone, &shop)).await?;
        report.states.push(state);
        let state = Box::pin(self.judge_with_past(workspace, &with_past, &shop)).await?;
        report.states.push(state);
        let next = NEXT
            .replace("{home}", &with_past.path().display().to_string())
            .replace("{order}", report.example().unwrap_or("ORDER_ID"))
            .replace("{day}", shop.first_order.get(..10).unwrap_or_default())
            .replace("{shop}", &shop.folder.display().to_string());
        print_result(self.json, &report, format_args!("\n{report}\n{next}\n"))
    }

    fn simulate(&self, folder: &Path) -> Result<Shop, CommandError> {
        let options = SimulationOptions {
            seed: self.seed,
            new_orders: self.new_orders,
            ..SimulationOptions::default()
        };
        let (days, orders) = (options.days, options.history_orders);
        self.print_progress(format_args!(
            "simulating a shop: {orders} orders of {days} days, then {} new ones",
            options.new_orders
        ))?;
        let mut simulation = simulator::simulate_shop(&options);
        let first_order = first_order(&simulation);
        // What becomes known while the new orders come, or after them, is not known yet.
        let begin: jiff::Timestamp = first_order
            .parse()
            .map_err(|error| format!("`{first_order}` is no time: {error}"))?;
        let begin = begin.as_second();
        simulation
            .history_labels
            .retain(|message| message.at.second < begin);
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot use {}: {error}", folder.display()))?;
        simulator::write_files(&simulation, folder)?;
        Ok(Shop {
            folder: folder.to_owned(),
            first_order,
        })
    }

    /// The rules that know the order only.
    async fn judge_alone(
        &self,
        workspace: &WorkspaceArgs,
        home: &Home,
        shop: &Shop,
    ) -> Result<StateReport, CommandError> {
        let stack = LocalStack::open(home, Durability::Kill).await?;
        let mapping = read_mapping(workspace)?;
        self.apply_detector(&stack).await?;
        let client = &stack.clients.frauddetector;
        let past: Vec<String> = mapping
            .variables_of_the_past()
            .map(ToString::to_string)
            .collect();
        let mut rules = read_rules(client, mapping.detector().as_str()).await?;
        rules.retain(|rule| !uses_any(rule, &past));
        activate_rules(client, mapping.detector().as_str(), &rules).await?;
        let state = StateReport::new("rules alone");
        let state = self.decide(&stack, (home, shop), mapping, &rules, state);
        let state = state.await?;
        stack.close().await?;
        Ok(state)
    }

    /// All rules, over the history with the labels that are known by now.
    async fn judge_with_past(
        &self,
        workspace: &WorkspaceArgs,
        home: &Home,
        shop: &Shop,
    ) -> Result<StateReport, CommandError> {
        let stack = LocalStack::open(home, Durability::Kill).await?;
        self.apply_detector(&stack).await?;
        let ingest = stack.pipeline().ingest(read_mapping(workspace)?);
        let ingest = PipelineFunction::Ingest(Box::new(ingest));
        self.print_progress("storing the history")?;
        self.run_file(home, shop, ("history.jsonl", ingest), |_, _| {})
            .await?;
        let label = stack.pipeline().label(read_mapping(workspace)?);
        let label = PipelineFunction::Label(Box::new(label));
        self.print_progress("applying the chargebacks that are known by now")?;
        self.run_file(home, shop, ("history-chargebacks.jsonl", label), |_, _| {})
            .await?;
        let mapping = read_mapping(workspace)?;
        let client = &stack.clients.frauddetector;
        let rules = read_rules(client, mapping.detector().as_str()).await?;
        let state = StateReport::new("with velocity and links");
        let state = self.decide(&stack, (home, shop), mapping, &rules, state);
        let state = state.await?;
        stack.close().await?;
        Ok(state)
    }

    async fn apply_detector(&self, stack: &LocalStack) -> Result<(), CommandError> {
        self.print_progress(format_args!("applying {}", self.detector.display()))?;
        let options = apply::ApplyOptions {
            file: self.detector.clone(),
            dry_run: false,
            to: apply::ApplyTarget::Engine,
            json: false,
            overrides: None,
        };
        let mut log = Vec::new();
        apply::apply_template(&stack.clients.frauddetector, &options, &mut log).await?;
        let log = String::from_utf8_lossy(&log);
        self.print_progress(log.lines().last().unwrap_or_default())
    }

    /// Decides the new orders, and completes the report of the state.
    async fn decide(
        &self,
        stack: &LocalStack,
        (home, shop): (&Home, &Shop),
        mapping: Mapping,
        rules: &[RuleDetail],
        mut state: StateReport,
    ) -> Result<StateReport, CommandError> {
        self.print_progress(format_args!("deciding the new orders, {}", state.name))?;
        let truth = demo_report::read_truth(&shop.folder.join("truth.jsonl"))?;
        let predict = stack.pipeline().predict(mapping, None);
        let predict = PipelineFunction::Predict(Box::new(predict));
        let mut answered = 0_u64;
        let run = self.run_file(home, shop, ("orders.jsonl", predict), |id, result| {
            answered += 1;
            match result {
                Ok(RecordEffect::Decision(OrderResult::Decided(decision))) => {
                    state.add(decision, truth.get(&decision.order_id));
                }
                Ok(_) => state.duplicates += 1,
                Err(Failure::Rejected(rejection)) => {
                    state
                        .rejected
                        .push((id.to_owned(), rejection.reason.clone()));
                }
                Err(Failure::Retry(_) | Failure::Skipped) => {}
            }
        });
        let summary = run.await?;
        state.undecided = summary.records - answered;
        state.records_per_second = summary.records_per_second();
        let rules: Vec<ActiveRule> = rules.iter().map(describe_rule).collect();
        state.finish(&rules);
        Ok(state)
    }

    /// Runs a file of the shop, and tells the time that it took.
    async fn run_file(
        &self,
        home: &Home,
        shop: &Shop,
        (name, function): (&str, PipelineFunction),
        mut on_result: impl FnMut(&str, &Result<RecordEffect, Failure>),
    ) -> Result<RunSummary, CommandError> {
        let path = shop.path(name);
        let begin = Instant::now();
        let run = FileRun {
            function,
            path: &path,
            input: RecordInput::open_lines(&path)?,
            home: Some(home),
            target: "demo",
            forgotten: None,
            restart: false,
            keep_going: true,
            progress: !self.json,
        };
        let summary = run.run_file(std::future::pending(), |position, result| {
            on_result(&position.id, result);
        });
        let summary = Box::pin(summary).await?;
        self.print_progress(format_args!(
            "  {} records in {:.1} s",
            summary.records,
            begin.elapsed().as_secs_f64()
        ))?;
        Ok(summary)
    }

    /// Prints what is being done, unless the output is one JSON document.
    fn print_progress(&self, line: impl fmt::Display) -> Result<(), CommandError> {
        if self.json {
            return Ok(());
        }
        print_line(line)
    }
}

fn read_mapping(workspace: &WorkspaceArgs) -> Result<Mapping, CommandError> {
    let mapping = workspace.read_mapping()?;
    Ok(mapping.with_locations(workspace.read_locations()?))
}

/// When the first of the new orders was placed.
fn first_order(simulation: &Simulation) -> String {
    let times = simulation.orders.iter().filter_map(|line| {
        let order: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(order.get("created_at")?.as_str()?.to_owned())
    });
    times
        .filter(|time| time.starts_with("20"))
        .min()
        .unwrap_or_default()
}

/// The newest version of each rule of the detector.
async fn read_rules(client: &Client, detector: &str) -> Result<Vec<RuleDetail>, CommandError> {
    let pages = client.get_rules().detector_id(detector).into_paginator();
    let mut rules: Vec<RuleDetail> = Vec::new();
    let mut pages = pages.send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(describe_refusal("GetRules"))?;
        rules.extend(page.rule_details.unwrap_or_default());
    }
    Ok(rules)
}

/// Whether the rule's expression names one of these variables.
fn uses_any(rule: &RuleDetail, variables: &[String]) -> bool {
    let expression = rule.expression.as_deref().unwrap_or_default();
    let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let mut words = expression.split(|c| !is_part_of_name(c));
    words.any(|word| {
        let name = word.strip_prefix('$');
        name.is_some_and(|name| variables.iter().any(|variable| variable == name))
    })
}

/// Creates and activates a detector version with these rules; all that match count.
async fn activate_rules(
    client: &Client,
    detector: &str,
    rules: &[RuleDetail],
) -> Result<(), CommandError> {
    let version = |rule: &RuleDetail| {
        Rule::builder()
            .detector_id(detector)
            .set_rule_id(rule.rule_id.clone())
            .set_rule_version(rule.rule_version.clone())
            .build()
            .map_err(|error| describe_build_error(&error))
    };
    let rules: Vec<Rule> = rules.iter().map(version).collect::<Result<_, _>>()?;
    let created = client
        .create_detector_version()
        .detector_id(detector)
        .set_rules(Some(rules))
        .rule_execution_mode(RuleExecutionMode::AllMatched)
        .send()
        .await
        .map_err(describe_refusal("CreateDetectorVersion"))?;
    client
        .update_detector_version_status()
        .detector_id(detector)
        .detector_version_id(created.detector_version_id.unwrap_or_default())
        .status(DetectorVersionStatus::Active)
        .send()
        .await
        .map_err(describe_refusal("UpdateDetectorVersionStatus"))?;
    Ok(())
}

fn describe_rule(rule: &RuleDetail) -> ActiveRule {
    ActiveRule {
        rule_id: rule.rule_id.clone().unwrap_or_default(),
        description: rule.description.clone().unwrap_or_default(),
        outcomes: rule.outcomes.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_names_a_variable_of_the_past_is_told_from_one_that_does_not() {
        let past = ["card_orders_1d".to_owned(), "linked_frauds".to_owned()];
        for (expression, want) in [
            ("$linked_frauds > 0", true),
            ("$order_price>5 and ($card_orders_1d>=2)", true),
            ("$card_orders_1day > 2", false),
            ("$order_price > 5", false),
        ] {
            let rule = RuleDetail::builder().expression(expression).build();
            assert_eq!(uses_any(&rule, &past), want, "{expression}");
        }
    }
}
