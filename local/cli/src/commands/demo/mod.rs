//! `fraudstream demo`, which is `make run`: a simulated shop's new orders, judged by the rules alone, by the rules that also
//! see what happened before, and by those with a model. The report says what that changes.

mod shop;

use std::fmt;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::types::{DetectorVersionStatus, Rule, RuleDetail, RuleExecutionMode};
use clap::{Args, FromArgMatches as _};
use indicatif::{ProgressBar, ProgressStyle};
use shared::failure::Failure;
use shared::mapping::Mapping;
use simulator::SimulationOptions;

use self::shop::{Period, Shop};
use super::CommandError;
use super::model_versions::{describe_build_error, describe_refusal};
use super::output::{print_line, print_result};
use super::train::{TrainArgs, TrainedModel, TrainingTarget};
use super::workspace::WorkspaceArgs;
use crate::apply;
use crate::demo_report::{self, ActiveRule, DemoReport, StateReport};
use crate::file_run::{FileRun, PipelineFunction};
use crate::input::RecordInput;
use crate::run_summary::{RecordEffect, RunSummary};
use crate::runners::local_runners;
use local_aws::dynamodb::Durability;
use local_aws::home::Home;
use local_aws::local_stack::{BUCKET, LocalStack};

/// The model of the third state.
const MODEL: &str = "orders_model";
/// The parameter of the detector file that names the version of the model.
const MODEL_PARAMETER: &str = "OrdersModelArn";

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

impl DemoArgs {
    /// Runs the demo in a folder of its own under `--home`, fresh each time.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let folder = workspace.home.join("demo");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .map_err(|error| format!("cannot clear {}: {error}", folder.display()))?;
        }
        let mapping = workspace.read_mapping()?;
        let mapping = mapping.with_locations(workspace.read_locations()?);
        let demo = Demo {
            shop: self.simulate(&folder.join("shop"))?,
            mapping: Arc::new(mapping),
            args: self,
        };
        Box::pin(demo.run(&folder)).await
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
        Shop::write(&simulator::simulate_shop(&options), folder)
    }

    /// Prints what is being done, unless the output is one JSON document.
    fn print_progress(&self, line: impl fmt::Display) -> Result<(), CommandError> {
        if self.json {
            return Ok(());
        }
        print_line(line)
    }
}

/// What all states of the demo have in common.
struct Demo {
    args: DemoArgs,
    mapping: Arc<Mapping>,
    shop: Shop,
}

impl Demo {
    async fn run(&self, folder: &Path) -> Result<(), CommandError> {
        let [alone, with_past, with_model] =
            ["rules-alone", "with-velocity", "with-model"].map(|name| folder.join(name));
        let mut report = DemoReport::default();
        let prepare = async |stack: &LocalStack| self.prepare_rules_alone(stack).await;
        let state = self.judge(&alone, "rules alone", prepare);
        report.states.push(Box::pin(state).await?);
        Box::pin(self.store_past(&with_past)).await?;
        copy_folder(&with_past, &with_model)
            .map_err(|error| format!("cannot copy {}: {error}", with_past.display()))?;
        let prepare = async |stack: &LocalStack| self.read_active_rules(stack).await;
        let state = self.judge(&with_past, "with velocity and links", prepare);
        report.states.push(Box::pin(state).await?);
        let prepare = async |stack: &LocalStack| self.prepare_model(stack).await;
        let state = self.judge(&with_model, "and with a model", prepare);
        report.states.push(Box::pin(state).await?);
        let next = self.list_next_commands(&with_model, report.example());
        print_result(
            self.args.json,
            &report,
            format_args!("\n{report}\n{next}\n"),
        )
    }

    /// Judges the new orders on the state in a folder, after `prepare` has made it ready and told the rules that judge.
    async fn judge(
        &self,
        folder: &Path,
        name: &'static str,
        prepare: impl AsyncFnOnce(&LocalStack) -> Result<Vec<RuleDetail>, CommandError>,
    ) -> Result<StateReport, CommandError> {
        let home = Home::open(folder)?;
        let stack = LocalStack::open(&home, Durability::Kill).await?;
        let rules = prepare(&stack).await?;
        let state = Box::pin(self.decide(&stack, &home, name, &rules)).await?;
        stack.close().await?;
        Ok(state)
    }

    /// Activates the rules that know the order only.
    async fn prepare_rules_alone(
        &self,
        stack: &LocalStack,
    ) -> Result<Vec<RuleDetail>, CommandError> {
        self.apply_detector(stack, None).await?;
        let past: Vec<String> = self
            .mapping
            .variables_of_the_past()
            .map(ToString::to_string)
            .collect();
        let client = &stack.clients.frauddetector;
        let detector = self.mapping.detector().as_str();
        let mut rules = read_rules(client, detector).await?;
        rules.retain(|rule| !uses_any(rule, &past));
        activate_rules(client, detector, &rules).await?;
        Ok(rules)
    }

    /// Trains a model on the history, and activates the rules on its score.
    async fn prepare_model(&self, stack: &LocalStack) -> Result<Vec<RuleDetail>, CommandError> {
        let until = self.shop.learn_until();
        self.args.print_progress(format_args!(
            "training a model on the history up to {until}"
        ))?;
        let begin = Instant::now();
        let model = train_model(stack, self.mapping.event_type().as_str(), &until);
        let model = Box::pin(model).await?;
        self.args.print_progress(format_args!(
            "  AUC {:.3} in {:.1} s",
            model.auc.unwrap_or_default(),
            begin.elapsed().as_secs_f64()
        ))?;
        self.apply_detector(stack, Some(&model.arn)).await?;
        self.read_active_rules(stack).await
    }

    /// The rules of the detector's active version.
    async fn read_active_rules(&self, stack: &LocalStack) -> Result<Vec<RuleDetail>, CommandError> {
        let client = &stack.clients.frauddetector;
        read_active_rules(client, self.mapping.detector().as_str()).await
    }

    /// Stores the history, week by week, each with what became known in it.
    async fn store_past(&self, folder: &Path) -> Result<(), CommandError> {
        let home = Home::open(folder)?;
        let stack = LocalStack::open(&home, Durability::Kill).await?;
        self.apply_detector(&stack, None).await?;
        self.args
            .print_progress("storing the history, with the chargebacks as they came")?;
        let begin = Instant::now();
        let bar = self.start_bar(self.shop.past.len());
        let mut records = 0;
        for period in &self.shop.past {
            let ingest = stack.pipeline().ingest(Arc::clone(&self.mapping));
            let ingest = PipelineFunction::Ingest(Box::new(ingest));
            let summary = run_file(&home, &period.orders, ingest, |_, _| {}).await?;
            records += summary.records;
            records += self.label_period(&stack, &home, period).await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.args.print_progress(format_args!(
            "  {records} records in {:.1} s",
            begin.elapsed().as_secs_f64()
        ))?;
        Ok(stack.close().await?)
    }

    async fn apply_detector(
        &self,
        stack: &LocalStack,
        model: Option<&str>,
    ) -> Result<(), CommandError> {
        let file = &self.args.detector;
        self.args
            .print_progress(format_args!("applying {}", file.display()))?;
        let options = apply::ApplyOptions {
            file: file.clone(),
            parameters: model
                .map(|arn| (MODEL_PARAMETER.to_owned(), arn.to_owned()))
                .into_iter()
                .collect(),
            dry_run: false,
            to: apply::ApplyTarget::Engine,
            json: false,
            mapped: None,
            allow_unfilled: false,
            new_versions: apply::NewVersions::AsFile,
            log: None,
        };
        let mut log = Vec::new();
        apply::apply_template(&stack.clients.frauddetector, &options, &mut log).await?;
        let log = String::from_utf8_lossy(&log);
        self.args
            .print_progress(log.lines().last().unwrap_or_default())
    }

    /// Decides the new orders day by day, each day followed by what became known in it, and reports what came of them.
    async fn decide(
        &self,
        stack: &LocalStack,
        home: &Home,
        name: &'static str,
        rules: &[RuleDetail],
    ) -> Result<StateReport, CommandError> {
        self.args
            .print_progress(format_args!("deciding the new orders, {name}"))?;
        let mut state = StateReport::new(name);
        let truth = demo_report::read_truth(&self.shop.folder.join("truth.jsonl"))?;
        let bar = self.start_bar(self.shop.present.len());
        let (mut records, mut answered, mut seconds) = (0, 0_u64, 0.0);
        for period in &self.shop.present {
            let predict = stack.pipeline().predict(Arc::clone(&self.mapping), None);
            let predict = PipelineFunction::Predict(Box::new(predict));
            let begin = Instant::now();
            let run = run_file(home, &period.orders, predict, |id, result| {
                answered += 1;
                state.add_result(id, result, &truth);
            });
            records += run.await?.records;
            seconds += begin.elapsed().as_secs_f64();
            self.label_period(stack, home, period).await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.args
            .print_progress(format_args!("  {records} records in {seconds:.1} s"))?;
        state.undecided = records - answered;
        state.records_per_second = per_second(records, seconds);
        let rules: Vec<ActiveRule> = rules.iter().map(describe_rule).collect();
        state.finish(&rules);
        Ok(state)
    }

    /// Applies the messages of a period, and returns how many there are.
    async fn label_period(
        &self,
        stack: &LocalStack,
        home: &Home,
        period: &Period,
    ) -> Result<u64, CommandError> {
        let label = stack.pipeline().label(Arc::clone(&self.mapping));
        let label = PipelineFunction::Label(Box::new(label));
        let summary = run_file(home, &period.messages, label, |_, _| {}).await?;
        Ok(summary.records)
    }

    fn start_bar(&self, periods: usize) -> ProgressBar {
        if self.args.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(periods as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent} %  {eta} left") {
            bar.set_style(style);
        }
        bar
    }

    /// Commands to try next, on the state in `home`.
    fn list_next_commands(&self, home: &Path, order: Option<&str>) -> String {
        let order = order.unwrap_or("ORDER_ID");
        let day = self.shop.first_day();
        let commands = [
            (format!("show {order}"), "one decision, and why"),
            (
                format!("explain {order}"),
                "its score, and the rules that were near",
            ),
            (format!("show --review {day}"), "the open reviews of a day"),
            ("replay --dry-run".to_owned(), "the rejected records"),
        ];
        let commands = commands.map(|(command, what)| format!("  F {command:<26}{what}"));
        format!(
            "next, with F standing for: fraudstream --home {}\n{}\n  edit config/detector.yaml, and run the demo again",
            home.display(),
            commands.join("\n")
        )
    }
}

/// Runs one file of the shop through a function.
async fn run_file(
    home: &Home,
    path: &str,
    function: PipelineFunction,
    mut on_result: impl FnMut(&str, &Result<RecordEffect, Failure>),
) -> Result<RunSummary, CommandError> {
    let run = FileRun {
        function,
        path,
        input: RecordInput::open_lines(path)?,
        home: Some(home),
        target: "demo",
        forgotten: None,
        restart: false,
        keep_going: true,
        progress: false,
    };
    let summary = run.run_file(std::future::pending(), |position, result| {
        on_result(&position.id, result);
    });
    Ok(summary.await?)
}

/// Trains and activates a model on the stored events, as `fraudstream train` with these arguments does.
async fn train_model(
    stack: &LocalStack,
    event_type: &str,
    until: &str,
) -> Result<TrainedModel, CommandError> {
    let arguments = ["train", "--model", MODEL, "--to", until];
    let arguments = arguments
        .into_iter()
        .chain(["--unlabeled", "LEGIT", "--activate", "--json"]);
    let matches = TrainArgs::augment_args(clap::Command::new("train"))
        .try_get_matches_from(arguments)
        .map_err(|error| error.to_string())?;
    let train = TrainArgs::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    let runners = local_runners(stack);
    let target = TrainingTarget {
        client: &stack.clients.frauddetector,
        s3: &stack.clients.s3,
        bucket: BUCKET,
        runners: Some(&runners),
    };
    Ok(train.train(&target, event_type).await?)
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more")]
fn per_second(records: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        records as f64 / seconds
    } else {
        0.0
    }
}

/// Copies a folder and all in it.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
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

/// The rules of the detector's active version.
async fn read_active_rules(
    client: &Client,
    detector: &str,
) -> Result<Vec<RuleDetail>, CommandError> {
    let versions = client.describe_detector().detector_id(detector).send();
    let versions = versions
        .await
        .map_err(describe_refusal("DescribeDetector"))?;
    let mut versions = versions.detector_version_summaries().iter();
    let active = versions
        .find(|version| version.status == Some(DetectorVersionStatus::Active))
        .and_then(|version| version.detector_version_id.clone())
        .ok_or("the detector has no active version")?;
    let version = client
        .get_detector_version()
        .detector_id(detector)
        .detector_version_id(active)
        .send()
        .await
        .map_err(describe_refusal("GetDetectorVersion"))?;
    let is_active = |rule: &RuleDetail| {
        let mut used = version.rules().iter();
        used.any(|used| rule.rule_id() == Some(used.rule_id()))
    };
    let mut rules = read_rules(client, detector).await?;
    rules.retain(is_active);
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
