//! The command line: which commands there are, and their dispatch.

use clap::{Parser, Subcommand};

use crate::commands::CommandError;
use crate::commands::apply::ApplyArgs;
use crate::commands::demo::DemoArgs;
use crate::commands::evaluate::EvaluateArgs;
use crate::commands::explain::ExplainArgs;
use crate::commands::forget::ForgetArgs;
use crate::commands::import_model::ImportModelArgs;
use crate::commands::jobs::JobsArgs;
use crate::commands::list::ListArgs;
use crate::commands::replay::ReplayArgs;
use crate::commands::run::RunArgs;
use crate::commands::serve::ServeArgs;
use crate::commands::show::ShowArgs;
use crate::commands::simulate::SimulateArgs;
use crate::commands::subject::SubjectArgs;
use crate::commands::train::TrainArgs;
use crate::commands::velocity::VelocityArgs;
use crate::commands::workspace::WorkspaceArgs;
use crate::exit_status;

/// The end of the help.
const EXAMPLE: &str = "Example:
  fraudstream demo
  fraudstream run predict events/orders.jsonl
  fraudstream show ORD-000123";

/// Fraud decisions on a stream of orders, on this machine or on AWS.
#[derive(Debug, Parser)]
#[command(
    name = "fraudstream",
    version,
    about,
    after_help = EXAMPLE,
    after_long_help = format!("{EXAMPLE}\n\n{}", exit_status::HELP)
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
    /// Send a file to a function: orders, history or chargebacks.
    #[command(
        after_help = "Examples:\n  fraudstream run predict events/orders.jsonl\n  fraudstream run predict orders.jsonl --ip-locations GeoLite2-City.mmdb,GeoLite2-ASN.mmdb\n  fraudstream run ingest history.csv.gz --event-type registration --label 1.0=fraud --label 0.0=legit\n  fraudstream run label events/chargebacks.jsonl"
    )]
    Run(RunArgs),
    /// Show a decision and why, an entity's decisions, or a day's open reviews.
    #[command(
        after_help = "Examples:\n  fraudstream show ORD-000123\n  fraudstream show --entity cust-42\n  fraudstream show --review 2026-06-30"
    )]
    Show(ShowArgs),
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
        after_help = "Examples:\n  fraudstream apply --dry-run\n  fraudstream apply config/detector.yaml --to amazon\n  fraudstream apply cdk.out/Fraud.template.json --parameter Stage=prod --parameter Limit=500"
    )]
    Apply(ApplyArgs),
    /// Answer Fraud Detector, DynamoDB, S3 and EventBridge on one port.
    #[command(
        after_help = "Example:\n  fraudstream serve --port 4567\n  aws frauddetector get-detectors --endpoint-url http://127.0.0.1:4567"
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
        after_help = "Examples:\n  fraudstream forget ORD-000123 --dry-run\n  fraudstream forget --entity customer/cust-42 --json\n\nReplay and imports refuse what was forgotten. A new order of a forgotten customer is a new order."
    )]
    Forget(ForgetArgs),
    /// Show all that is stored about an order or an entity: what a person may ask to see.
    #[command(
        after_help = "Examples:\n  fraudstream subject customer/cust-42 --json\n  fraudstream subject customer/jo@example.com\n  fraudstream subject --order ORD-000123\n\nIt shows what `forget` would delete."
    )]
    Subject(SubjectArgs),
    /// Show a list's entries, or add some: each says why, by whom and until when.
    #[command(
        after_help = "Examples:\n  fraudstream list freight_forwarder_zips\n  fraudstream list freight_forwarder_zips --add 97201 --expires 30d --reason \"reshipping ring\" --author ana\n  fraudstream list freight_forwarder_zips --add-from zips.txt --expires 30d --reason \"reshipping ring\" --author ana"
    )]
    List(ListArgs),
    /// Run the batch imports, batch predictions, deletions of events and trainings that are waiting.
    #[command(
        after_help = "Examples:\n  fraudstream jobs\n  fraudstream jobs --aws --watch\n\n`fraudstream serve` runs the jobs of its own folder by itself."
    )]
    Jobs(JobsArgs),
    /// Rebuild the profiles of keys from past orders, or show their generations.
    #[command(
        after_help = "Examples:\n  fraudstream velocity status\n  fraudstream velocity rebuild --dry-run"
    )]
    Velocity(VelocityArgs),
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
            // The futures of the demo, of `run` and of `replay` are large.
            Command::Demo(args) => Box::pin(args.run(&workspace)).await,
            Command::Run(args) => Box::pin(args.run(&workspace)).await,
            Command::Show(args) => args.run(&workspace).await,
            Command::Explain(args) => args.run(&workspace).await,
            Command::Replay(args) => Box::pin(args.run(&workspace)).await,
            Command::Apply(args) => args.run(&workspace).await,
            Command::Serve(args) => args.run(&workspace).await,
            Command::Evaluate(args) => args.run(),
            Command::Train(args) => args.run(&workspace).await,
            Command::ImportModel(args) => args.run(&workspace).await,
            Command::Forget(args) => args.run(&workspace).await,
            Command::Subject(args) => args.run(&workspace).await,
            Command::List(args) => args.run(&workspace).await,
            Command::Jobs(args) => args.run(&workspace).await,
            Command::Velocity(args) => Box::pin(args.run(&workspace)).await,
            Command::Simulate(args) => args.run(),
        }
    }
}
