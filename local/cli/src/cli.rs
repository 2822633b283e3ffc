//! The command line: which commands there are, and their dispatch.

use clap::{Parser, Subcommand};

use crate::commands::CommandError;
use crate::commands::apply::ApplyArgs;
use crate::commands::approve::ApproveArgs;
use crate::commands::backtest::BacktestArgs;
use crate::commands::check::CheckArgs;
use crate::commands::compare::CompareArgs;
use crate::commands::demo::DemoArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::evaluate::EvaluateArgs;
use crate::commands::explain::ExplainArgs;
use crate::commands::forget::ForgetArgs;
use crate::commands::freeze::FreezeArgs;
use crate::commands::history::HistoryArgs;
use crate::commands::import_model::ImportModelArgs;
use crate::commands::init::InitArgs;
use crate::commands::jobs::JobsArgs;
use crate::commands::list::ListArgs;
use crate::commands::policy::PolicyArgs;
use crate::commands::replay::ReplayArgs;
use crate::commands::review::ReviewArgs;
use crate::commands::rollout::RolloutArgs;
use crate::commands::run::RunArgs;
use crate::commands::serve::ServeArgs;
use crate::commands::shadow::ShadowArgs;
use crate::commands::show::ShowArgs;
use crate::commands::simulate::SimulateArgs;
use crate::commands::subject::SubjectArgs;
use crate::commands::train::TrainArgs;
use crate::commands::velocity::VelocityArgs;
use crate::commands::webhooks::WebhooksArgs;
use crate::commands::workspace::WorkspaceArgs;
use crate::exit_status;

const EXAMPLES: &str = "Examples:
  fraudstream demo
  fraudstream run predict events/orders.jsonl
  fraudstream show ORD-000123";

/// Fraud decisions on a stream of orders, on this machine or on AWS.
#[derive(Debug, Parser)]
#[command(
    name = "fraudstream",
    version,
    about,
    after_help = EXAMPLES,
    after_long_help = format!("{}\n\n{EXAMPLES}", exit_status::HELP)
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    workspace: WorkspaceArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Decide two thousand simulated orders, and print a report for a fraud lead.
    #[command(after_help = "Example:\n  fraudstream demo --json")]
    Demo(DemoArgs),
    /// Draft a mapping and a detector file from your own orders, with what was guessed and what is open.
    #[command(
        after_help = "Examples:\n  fraudstream init orders.csv\n  fraudstream init exports/ --out drafts/"
    )]
    Init(InitArgs),
    /// Run a file through mapping and rules without writing: what decodes, what each variable holds, what each rule matches.
    #[command(
        after_help = "Examples:\n  fraudstream check events/orders.jsonl\n  fraudstream check orders.csv --mapping config/mappings/shop.yaml --rules draft.yaml --json"
    )]
    Check(CheckArgs),
    /// Send a file to a function: orders, history or chargebacks.
    #[command(
        after_help = "Examples:\n  fraudstream run predict events/orders.jsonl\n  fraudstream run predict orders.jsonl --keep-going\n  fraudstream run predict orders.jsonl --ip-locations GeoLite2-City.mmdb,GeoLite2-ASN.mmdb\n  fraudstream run ingest history.csv.gz --event-type registration --label 1.0=fraud --label 0.0=legit\n  fraudstream run label events/chargebacks.jsonl"
    )]
    Run(RunArgs),
    /// Show a decision and why, an entity's decisions, or a day's open reviews.
    #[command(
        after_help = "Examples:\n  fraudstream show ORD-000123\n  fraudstream show --entity cust-42\n  fraudstream show --review 2026-06-30\n  fraudstream show --unmatched"
    )]
    Show(ShowArgs),
    /// Review orders: list and claim what waits, decide, appeal; verdicts become labels and are forwarded.
    #[command(
        after_help = "Examples:\n  fraudstream review list\n  fraudstream review next --as ana\n  fraudstream review approve ORD-000123 --as ana --reason \"known customer\"\n  fraudstream review settle"
    )]
    Review(ReviewArgs),
    /// Judge past decisions again by a draft of the rules or by a version, and count what would have been different. Writes nothing.
    #[command(
        after_help = "Examples:\n  fraudstream backtest --rules draft.yaml\n  fraudstream backtest --version 3 --against active\n  fraudstream backtest --rules draft.yaml --from 2026-05-01 --to 2026-06-01 --json --changes"
    )]
    Backtest(BacktestArgs),
    /// Explain the score of an order: what each variable did to it.
    #[command(
        after_help = "Examples:\n  fraudstream explain ORD-000123\n  fraudstream explain ORD-000123 --exact --json"
    )]
    Explain(ExplainArgs),
    /// Run rejected records again: a prefix of the bucket, or a file.
    #[command(
        after_help = "Examples:\n  fraudstream replay --dry-run\n  fraudstream replay rejected/predict/\n  fraudstream replay on-failure.json"
    )]
    Replay(ReplayArgs),
    /// Create or change detector, rules, variables and lists as a file defines them.
    #[command(
        after_help = "Examples:\n  fraudstream apply --dry-run\n  fraudstream apply draft.yaml --reason \"gift cards from 40 USD\" --backtest backtest.json\n  fraudstream apply draft.yaml --no-activate\n  fraudstream apply --rollback\n  fraudstream apply config/detector.yaml --to amazon\n  fraudstream apply cdk.out/Fraud.template.json --parameter Stage=prod --parameter Limit=500"
    )]
    Apply(ApplyArgs),
    /// List the changes of what decides: who, when, why, and the texts before and after.
    #[command(after_help = "Examples:\n  fraudstream history\n  fraudstream history 50 --json")]
    History(HistoryArgs),
    /// Approve a change that another person made, so that its version decides.
    #[command(after_help = "Example:\n  fraudstream approve 20261128-184501123-3f2a --author bo")]
    Approve(ApproveArgs),
    /// Refuse changes until a time, such as the end of the peak season; or say whether they are refused.
    #[command(
        after_help = "Examples:\n  fraudstream freeze --until 2026-12-02 --reason \"peak season\"\n  fraudstream freeze --lift\n  fraudstream freeze"
    )]
    Freeze(FreezeArgs),
    /// Say, or show, what a change needs: a reason, an approval by another person.
    #[command(
        after_help = "Examples:\n  fraudstream policy\n  fraudstream policy --require-reason on --require-approval on"
    )]
    Policy(PolicyArgs),
    /// Let a version judge each live order beside the one that decides: recorded, never forwarded, never counted.
    #[command(
        after_help = "Examples:\n  fraudstream shadow --version 4 --reason \"a lower limit for gift cards\"\n  fraudstream shadow --off"
    )]
    Shadow(ShadowArgs),
    /// Say with the labels known by now whether the shadow is better than what decided.
    #[command(
        after_help = "Examples:\n  fraudstream compare\n  fraudstream compare --version 4 --from 2026-10-01 --maturity 45 --json"
    )]
    Compare(CompareArgs),
    /// Let a version decide on a share of the entities, on more, on all; or on none again.
    #[command(
        after_help = "Examples:\n  fraudstream rollout --version 4 --share 10%\n  fraudstream rollout --version 4 --share 100%\n  fraudstream rollout --off"
    )]
    Rollout(RolloutArgs),
    /// Answer Fraud Detector, DynamoDB, S3 and EventBridge on one port, and decide orders that are posted to /decide.
    #[command(
        after_help = "The AWS CLI asks it with `aws frauddetector get-detectors --endpoint-url http://127.0.0.1:4567`.\n\nExamples:\n  fraudstream serve --port 4567\n  fraudstream serve --decide-timeout 300"
    )]
    Serve(ServeArgs),
    /// Train a model on a file of labelled events and measure it on another.
    #[command(
        after_help = "Examples:\n  fraudstream evaluate train.csv test.csv\n  fraudstream evaluate transactions.csv.gz --label is_fraud --legit 0 --type merchant=CATEGORICAL --report report/\n  fraudstream evaluate orders.csv --label status --legit paid --fraud charged_back\n  fraudstream evaluate orders.csv --detector config/detector.yaml"
    )]
    Evaluate(Box<EvaluateArgs>),
    /// Train a model version on stored events or on a file.
    #[command(
        after_help = "Examples:\n  fraudstream train --model orders_model --activate\n  fraudstream train registrations.csv --model sign_ups --event-type registration"
    )]
    Train(Box<TrainArgs>),
    /// Import a model of XGBoost or LightGBM as a model version.
    #[command(
        after_help = "Examples:\n  fraudstream import-model booster.json --model bought_model --calibrate labelled.csv --activate\n  fraudstream import-model model.txt --model bought_model --feature Column_0=order_price --feature Column_1=item_count"
    )]
    ImportModel(Box<ImportModelArgs>),
    /// Forget an order or an entity: events, predictions, decisions, labels, list entries, rejected records.
    #[command(
        after_help = "Replay and imports refuse what was forgotten. A new order of a forgotten customer is a new order.\n\nExamples:\n  fraudstream forget ORD-000123 --dry-run\n  fraudstream forget --entity customer/cust-42 --json"
    )]
    Forget(ForgetArgs),
    /// Show all that is stored about an order or an entity: what a person may ask to see.
    #[command(
        after_help = "It shows what `forget` would delete.\n\nExamples:\n  fraudstream subject customer/cust-42 --json\n  fraudstream subject customer/jo@example.com\n  fraudstream subject --order ORD-000123"
    )]
    Subject(SubjectArgs),
    /// Show a list's entries, or add some: each says why, by whom and until when.
    #[command(
        after_help = "Examples:\n  fraudstream list freight_forwarder_zips\n  fraudstream list freight_forwarder_zips --add 97201 --expires 30d --reason \"reshipping ring\" --author ana\n  fraudstream list freight_forwarder_zips --add-from zips.txt --expires 30d --reason \"reshipping ring\" --author ana"
    )]
    List(ListArgs),
    /// Say what in a template would lose orders or money, or try on AWS whether decisions may be written with statements.
    #[command(
        after_help = "Examples:\n  fraudstream doctor\n  fraudstream doctor template.yaml --parameter MaximumRecordAge=604800 --json\n  fraudstream doctor --aws --probe"
    )]
    Doctor(DoctorArgs),
    /// Run the batch imports, batch predictions, deletions of events and trainings that are waiting.
    #[command(
        after_help = "`fraudstream serve` runs the jobs of its own folder by itself.\n\nExamples:\n  fraudstream jobs\n  fraudstream jobs --aws --watch"
    )]
    Jobs(JobsArgs),
    /// Rebuild the profiles of keys from past orders, or show their generations.
    #[command(
        after_help = "Examples:\n  fraudstream velocity status\n  fraudstream velocity rebuild --dry-run"
    )]
    Velocity(VelocityArgs),
    /// Send the webhooks of past decisions again.
    #[command(
        after_help = "Example:\n  fraudstream webhooks replay --since 2026-11-28T10:00:00Z --url https://shop.example/webhooks --secret-file secret.txt"
    )]
    Webhooks(WebhooksArgs),
    /// Simulate a shop: history, new orders, chargebacks, and the truth.
    #[command(after_help = "Example:\n  fraudstream simulate --out shop/ --seed 7")]
    Simulate(SimulateArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// A sentence for the person at the terminal.
    pub async fn run(self) -> Result<(), CommandError> {
        let Self { command, workspace } = self;
        match command {
            // Futures of more than 16 KB are boxed.
            Command::Demo(args) => Box::pin(args.run(&workspace)).await,
            Command::Backtest(args) => Box::pin(args.run(&workspace)).await,
            Command::Init(args) => args.run(),
            Command::Check(args) => args.run(&workspace),
            Command::Run(args) => Box::pin(args.run(&workspace)).await,
            Command::Show(args) => Box::pin(args.run(&workspace)).await,
            Command::Review(args) => Box::pin(args.run(&workspace)).await,
            Command::Explain(args) => args.run(&workspace).await,
            Command::Replay(args) => Box::pin(args.run(&workspace)).await,
            Command::Apply(args) => Box::pin(args.run(&workspace)).await,
            Command::History(args) => args.run(&workspace).await,
            Command::Approve(args) => Box::pin(args.run(&workspace)).await,
            Command::Freeze(args) => Box::pin(args.run(&workspace)).await,
            Command::Policy(args) => Box::pin(args.run(&workspace)).await,
            Command::Shadow(args) => Box::pin(args.run(&workspace)).await,
            Command::Compare(args) => Box::pin(args.run(&workspace)).await,
            Command::Rollout(args) => Box::pin(args.run(&workspace)).await,
            Command::Serve(args) => args.run(&workspace).await,
            Command::Evaluate(args) => args.run(),
            Command::Train(args) => args.run(&workspace).await,
            Command::ImportModel(args) => args.run(&workspace).await,
            Command::Forget(args) => Box::pin(args.run(&workspace)).await,
            Command::Subject(args) => Box::pin(args.run(&workspace)).await,
            Command::List(args) => args.run(&workspace).await,
            Command::Doctor(args) => args.run(&workspace).await,
            Command::Jobs(args) => args.run(&workspace).await,
            Command::Velocity(args) => Box::pin(args.run(&workspace)).await,
            Command::Webhooks(args) => Box::pin(args.run(&workspace)).await,
            Command::Simulate(args) => args.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// The words of a command line; quotation marks hold words together.
    fn split_words(line: &str) -> Vec<String> {
        let parts = line.split('"').enumerate();
        let words = parts.flat_map(|(place, part)| -> Vec<String> {
            if place % 2 == 1 {
                return vec![part.to_owned()];
            }
            part.split_whitespace().map(str::to_owned).collect()
        });
        words.collect()
    }

    #[test]
    fn help_of_every_command_ends_with_examples_that_can_be_run() {
        let mut cli = Cli::command();
        cli.build();
        let names: Vec<String> = cli
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .filter(|name| name != "help")
            .collect();
        assert_eq!(names.len(), 29);
        for name in names {
            let command = cli.find_subcommand_mut(&name).unwrap();
            let long = command.render_long_help().to_string();
            let (_, examples) = long
                .split_once("\nExample")
                .unwrap_or_else(|| panic!("{name} has no example"));
            let mut lines = examples.lines();
            assert!(["s:", ":"].contains(&lines.next().unwrap()), "{name}");
            for line in lines.filter(|line| !line.is_empty()) {
                let words = split_words(line);
                assert_eq!(words[..2], ["fraudstream", &name], "{line}");
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn where_the_state_is_has_a_heading_and_is_short_in_the_short_help() {
        let mut cli = Cli::command();
        cli.build();
        let command = cli.find_subcommand_mut("show").unwrap();
        let options = |help: String| {
            let (_, under) = help.split_once("Where the state is:").unwrap();
            let (under, _) = under.split_once("\nExample").unwrap();
            let names = under.split_whitespace();
            let is_name = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            let names = names.filter(|word| word.starts_with("--") && is_name(word));
            names.map(str::to_owned).collect::<Vec<String>>()
        };
        assert_eq!(
            options(command.render_help().to_string()),
            ["--home", "--aws"]
        );
        let long = options(command.render_long_help().to_string());
        assert!(long.contains(&"--events-table".to_owned()), "{long:?}");
    }

    #[test]
    fn help_lists_the_exit_status() {
        let long = Cli::command().render_long_help().to_string();
        assert!(long.contains("\n  3      `run` stopped"), "{long}");
    }
}
