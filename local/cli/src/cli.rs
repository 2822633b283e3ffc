//! The command line: what can be said, and what each command does.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::{Engine, ListEntry, Options};
use event::{DetectorVersionId, EntityTypeName, EventTypeName};
use serde_json::json;
use shared::batch::Budget;
use shared::locations::Locations;
use shared::mapping::Mapping;

use crate::apply;
use crate::clients::{self, Clients, Endpoints, Network};
use crate::demo;
use crate::dynamodb::Durability;
use crate::evaluate;
use crate::explain;
use crate::forget::{self, Forget, Forgotten};
use crate::home::Home;
use crate::import_model::ImportModel;
use crate::input::{CsvOptions, Input, is_csv};
use crate::jobs;
use crate::list;
use crate::machine::{self, Machine, Pipeline};
use crate::replay::Replay;
use crate::run::{Function, Run};
use crate::serve;
use crate::show;
use crate::signals;
use crate::signature::Keys;
use crate::simulate;
use crate::subject::{self, Finder, Kept, Whom};
use crate::train::{self, Train};

/// How often `serve` writes the counters of stored events, which a function writes after each batch.
const COUNTERS: std::time::Duration = std::time::Duration::from_secs(1);

/// Any error, as a sentence.
pub type Error = Box<dyn std::error::Error>;

/// Fraud decisions on a stream of orders, on this machine or on AWS.
#[derive(Debug, Parser)]
#[command(
    name = "fraudstream",
    version,
    about,
    after_help = "Example:\n  fraudstream demo\n  fraudstream run predict events/orders.jsonl\n  fraudstream show ORD-000123"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
}

/// Where the state is.
#[derive(Clone, Debug, Args)]
struct Place {
    /// Folder of local state.
    #[arg(
        long,
        global = true,
        default_value = ".fraudstream",
        value_name = "DIR"
    )]
    home: PathBuf,
    /// Use AWS (or an endpoint, see --endpoint-url) instead of the local folder.
    #[arg(long, global = true)]
    aws: bool,
    /// Address of all AWS services, such as `fraudstream serve`; implies --aws.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "AWS_ENDPOINT_URL",
        hide_env_values = true
    )]
    endpoint_url: Option<String>,
    /// Region.
    #[arg(long, global = true, env = "AWS_REGION", default_value = clients::REGION)]
    region: String,
    /// Who answers the Fraud Detector API on AWS: the engine over the tables, or Amazon's service.
    #[arg(
        long,
        global = true,
        env = "FRAUD_DETECTOR",
        value_enum,
        default_value = "engine"
    )]
    fraud_detector: Judge,
    /// Table of decisions.
    #[arg(long, global = true, env = "DECISIONS_TABLE", default_value = machine::DECISIONS)]
    decisions_table: String,
    /// Table of the engine's definitions.
    #[arg(
        long,
        global = true,
        env = "DEFINITIONS_TABLE",
        default_value = "Definitions"
    )]
    definitions_table: String,
    /// Table of the engine's events.
    #[arg(long, global = true, env = "EVENTS_TABLE", default_value = "Events")]
    events_table: String,
    /// Bucket of rejected records.
    #[arg(long, global = true, env = "BUCKET", default_value = machine::BUCKET)]
    bucket: String,
    /// Bus of predictions, for event types with `eventOrchestration`.
    #[arg(long, global = true, env = "EVENT_BUS", default_value = "default")]
    event_bus: String,
    /// Days after storing that `serve`, or the engine over AWS's tables, keeps events, labels and
    /// predictions; 0 keeps them for ever, as the other commands on the local folder do.
    #[arg(
        long,
        global = true,
        env = "RETENTION_DAYS",
        default_value_t = 548,
        value_name = "DAYS"
    )]
    retention_days: u32,
    /// Mapping file.
    #[arg(
        long,
        global = true,
        env = "MAPPING_FILE",
        default_value = "config/mapping.yaml",
        value_name = "FILE"
    )]
    mapping: PathBuf,
    /// Files in MaxMind's format (.mmdb) that know where IP addresses are, with commas between them;
    /// for variables with `locate`, see docs/mapping.md.
    #[arg(
        long,
        global = true,
        env = "IP_LOCATION_FILES",
        value_delimiter = ',',
        value_name = "FILE"
    )]
    ip_locations: Vec<PathBuf>,
}

/// Who answers the Fraud Detector API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Judge {
    /// Our engine.
    Engine,
    /// Amazon Fraud Detector.
    #[value(alias = "amazon")]
    Aws,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Decide two thousand simulated orders and report to a fraud lead.
    #[command(after_help = "Example:\n  fraudstream demo --json")]
    Demo(Demo),
    /// Put a file through a function: orders, history or chargebacks.
    #[command(
        after_help = "Examples:\n  fraudstream run predict events/orders.jsonl\n  fraudstream run predict orders.jsonl --ip-locations GeoLite2-City.mmdb,GeoLite2-ASN.mmdb\n  fraudstream run ingest history.csv.gz --event-type registration --label 1.0=fraud --label 0.0=legit\n  fraudstream run label events/chargebacks.jsonl"
    )]
    Run(RunArgs),
    /// Show a decision and why, an entity's decisions, or a day's open reviews.
    #[command(
        after_help = "Examples:\n  fraudstream show ORD-000123\n  fraudstream show --entity cust-42\n  fraudstream show --review 2026-06-30"
    )]
    Show(Show),
    /// Explain the score of an order: what each variable did to it.
    #[command(
        after_help = "Examples:\n  fraudstream explain ORD-000123\n  fraudstream explain ORD-000123 --exact --json"
    )]
    Explain(Explain),
    /// Run rejected records again: a prefix of the bucket, or a file.
    #[command(
        after_help = "Examples:\n  fraudstream replay --dry-run\n  fraudstream replay rejected/predict/\n  fraudstream replay on-failure.json"
    )]
    Replay(ReplayArgs),
    /// Create or change detector, rules, variables and lists as a file says.
    #[command(
        after_help = "Examples:\n  fraudstream apply --dry-run\n  fraudstream apply config/detector.yaml --to amazon"
    )]
    Apply(Apply),
    /// Answer Fraud Detector, DynamoDB, S3 and EventBridge on one port.
    #[command(
        after_help = "Example:\n  fraudstream serve --port 4567\n  aws frauddetector get-detectors --endpoint-url http://127.0.0.1:4567"
    )]
    Serve(Serve),
    /// Train a model on a file of labelled events and measure it on another.
    #[command(
        after_help = "Examples:\n  fraudstream evaluate train.csv test.csv\n  fraudstream evaluate transactions.csv.gz --label is_fraud --legit 0 --type merchant=CATEGORICAL --report report/\n  fraudstream evaluate orders.csv --detector config/detector.yaml"
    )]
    Evaluate(Box<evaluation::Evaluate>),
    /// Train a model version on stored events or on a file.
    #[command(
        after_help = "Examples:\n  fraudstream train --model orders_model --activate\n  fraudstream train registrations.csv --model sign_ups --event-type registration"
    )]
    Train(Box<Train>),
    /// Import a model of XGBoost or LightGBM as a model version.
    #[command(
        after_help = "Examples:\n  fraudstream import-model booster.json --model bought_model --calibrate labelled.csv --activate\n  fraudstream import-model model.txt --model bought_model --feature Column_0=order_price --feature Column_1=item_count"
    )]
    ImportModel(Box<ImportModel>),
    /// Forget an order or an entity: events, predictions, decisions, labels, list entries, rejected records.
    #[command(
        after_help = "Examples:\n  fraudstream forget ORD-000123 --dry-run\n  fraudstream forget --entity customer/cust-42 --json\n\nReplay and imports refuse what was forgotten. A new order of a forgotten customer is a new order."
    )]
    Forget(ForgetArgs),
    /// Show all that is kept of an order or an entity: what a person may ask to see.
    #[command(
        after_help = "Examples:\n  fraudstream subject customer/cust-42 --json\n  fraudstream subject customer/jo@example.com\n  fraudstream subject --order ORD-000123\n\nIt shows what `forget` would delete."
    )]
    Subject(SubjectArgs),
    /// Show a list's entries, or add one that expires, with its reason and author.
    #[command(
        after_help = "Examples:\n  fraudstream list freight_forwarder_zips\n  fraudstream list freight_forwarder_zips --add 97201 --expires 30d --reason \"reshipping ring\" --author ana"
    )]
    List(ListArgs),
    /// Run batch imports, batch predictions, deletions of events and trainings that were asked for.
    #[command(
        after_help = "Examples:\n  fraudstream jobs\n  fraudstream jobs --aws --watch\n\n`fraudstream serve` runs the jobs of its own folder by itself."
    )]
    Jobs(JobsArgs),
    /// Simulate a shop: history, new orders, chargebacks, and the truth.
    #[command(after_help = "Example:\n  fraudstream simulate --out shop/ --seed 7")]
    Simulate(Simulate),
}

#[derive(Debug, Args)]
struct Demo {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FunctionName {
    /// Orders to decisions.
    Predict,
    /// History to events.
    Ingest,
    /// Chargebacks to labels.
    Label,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The function.
    #[arg(value_enum)]
    function: FunctionName,
    /// JSON lines or CSV with Amazon's headers, plain or .gz; `-` is standard input.
    file: String,
    /// Detector version to ask; default the active one.
    #[arg(long, value_name = "N")]
    detector_version: Option<String>,
    /// CSV: event type of the rows; default the mapping's.
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,
    /// CSV: detector that judges the rows; default the mapping's.
    #[arg(long, value_name = "NAME")]
    detector: Option<String>,
    /// CSV: entity type of rows without `ENTITY_TYPE`.
    #[arg(long, value_name = "NAME", default_value = "customer")]
    entity_type: String,
    /// CSV: a label and what it becomes, such as 1.0=fraud.
    #[arg(long = "label", value_name = "FROM=TO")]
    labels: Vec<String>,
    /// Begin at the first record although the file was run before.
    #[arg(long)]
    restart: bool,
    /// Records in progress at a time.
    #[arg(long, default_value_t = 16, value_name = "N")]
    concurrency: usize,
    /// Withstand a loss of power, too: about three times slower.
    #[arg(long)]
    durable: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    what: What,
    /// Print the decisions as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Order id as the shop writes it.
    order_id: Option<String>,
    /// Entity id, or type/id.
    #[arg(long, value_name = "ID")]
    entity: Option<String>,
    /// Day of the orders, yyyy-MM-dd.
    #[arg(long, value_name = "DAY")]
    review: Option<String>,
}

#[derive(Debug, Args)]
struct Explain {
    /// Order id as the shop writes it, or the id of its event.
    order_id: String,
    /// Event type; default the mapping's.
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,
    /// Divide the score by exact Shapley values: the same sum, some hundred times the work.
    #[arg(long)]
    exact: bool,
    /// Print the explanation as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// A prefix of the bucket, or a local file.
    #[arg(default_value = shared::rejected::PREFIX)]
    source: String,
    /// Say what would be replayed, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print what happened as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Apply {
    /// The detector file.
    #[arg(default_value = "config/detector.yaml")]
    file: PathBuf,
    /// Print what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Whose service it goes to; default as --fraud-detector.
    #[arg(long, value_enum)]
    to: Option<apply::Target>,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Serve {
    /// Address to listen on; one that other machines reach needs --credentials.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: std::net::IpAddr,
    /// Port; 0 takes a free one.
    #[arg(long, default_value_t = 4567)]
    port: u16,
    /// Answer only requests signed with a key of this file, in the form of ~/.aws/credentials.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Withstand a loss of power, too: about three times slower.
    #[arg(long, conflicts_with = "memory")]
    durable: bool,
    /// Keep the tables in memory: the fastest, and gone at the end.
    #[arg(long)]
    memory: bool,
    /// Let tests have calls fail, see docs/differences.md.
    #[arg(long, conflicts_with = "credentials")]
    faults: bool,
}

#[derive(Debug, Args)]
struct ForgetArgs {
    #[command(flatten)]
    whom: About,
    /// Say what would be forgotten, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct About {
    /// Order id as the shop writes it.
    order_id: Option<String>,
    /// Entity id, or type/id; or an address that the mapping hashes.
    #[arg(long, value_name = "ID")]
    entity: Option<String>,
}

#[derive(Debug, Args)]
struct SubjectArgs {
    #[command(flatten)]
    whom: Person,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Person {
    /// Entity id, or type/id; or an address that the mapping hashes.
    entity: Option<String>,
    /// Order id as the shop writes it.
    #[arg(long, value_name = "ID")]
    order: Option<String>,
}

impl From<Person> for About {
    fn from(person: Person) -> Self {
        Self {
            order_id: person.order,
            entity: person.entity,
        }
    }
}

impl About {
    fn named(&self, mapping: &Mapping) -> Result<Whom, subject::Error> {
        match (&self.order_id, &self.entity) {
            (Some(order_id), _) => Ok(Whom::order(mapping, order_id)),
            (None, entity) => Whom::entity(mapping, entity.as_deref().unwrap_or_default()),
        }
    }
}

#[derive(Debug, Args)]
struct ListArgs {
    /// The list.
    name: String,
    /// An element to add; one that is there gets this expiry, reason and author.
    #[arg(long, value_name = "ELEMENT")]
    add: Vec<String>,
    /// When it leaves the list: a day, a moment, or a duration such as 30d.
    #[arg(long, value_name = "WHEN", requires = "add")]
    expires: Option<String>,
    /// Why it is there.
    #[arg(long, requires = "add")]
    reason: Option<String>,
    /// Who put it there.
    #[arg(long, requires = "add")]
    author: Option<String>,
    /// Print the entries as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct JobsArgs {
    /// Go on until interrupted; otherwise the command ends when no job is left.
    #[arg(long)]
    watch: bool,
    /// Print each job that ends as a line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Simulate {
    /// Folder to write to.
    #[arg(long, default_value = "simulated", value_name = "DIR")]
    out: PathBuf,
    /// Seed: the same one gives the same files.
    #[arg(long)]
    seed: Option<u64>,
}

impl Cli {
    /// Does what was said.
    ///
    /// # Errors
    /// A sentence for the person at the terminal.
    pub async fn run(self) -> Result<(), Error> {
        let Self { command, place } = self;
        match command {
            Command::Demo(args) => {
                Box::pin(demo::run(
                    &place.home,
                    place.mapping()?.with_locations(place.locations()?),
                    &args.detector,
                    &args.events,
                    args.json,
                ))
                .await
            }
            Command::Run(args) => run(&place, args).await,
            Command::Show(args) => show_decisions(&place, args).await,
            Command::Explain(args) => explain_order(&place, args).await,
            Command::Replay(args) => replay(&place, args).await,
            Command::Apply(args) => apply_file(&place, args).await,
            Command::Serve(args) => serve_here(&place, args).await,
            Command::Evaluate(args) => evaluate::run(&args),
            Command::Train(args) => train_model(&place, &args).await,
            Command::ImportModel(args) => import_model(&place, &args).await,
            Command::Forget(args) => forget_subject(&place, args).await,
            Command::Subject(args) => show_subject(&place, args).await,
            Command::List(args) => list_entries(&place, args).await,
            Command::Jobs(args) => run_jobs(&place, args).await,
            Command::Simulate(args) => simulate_shop(&args),
        }
    }
}

/// What a command works on: the local product, or clients of AWS.
struct Work {
    pipeline: Pipeline,
    machine: Option<Machine>,
    home: Option<Home>,
}

impl Place {
    /// Tells targets apart, so that a rehearsal here does not count as done there.
    fn target(&self) -> String {
        if !self.is_remote() {
            return "local".to_owned();
        }
        let endpoint = self.endpoint_url.as_deref().unwrap_or("aws");
        format!(
            "{endpoint} {} {:?} {} {}",
            self.region, self.fraud_detector, self.decisions_table, self.events_table
        )
    }

    fn is_remote(&self) -> bool {
        self.aws || self.endpoint_url.is_some()
    }

    async fn open(&self, durability: Durability, judge: Judge) -> Result<Work, Error> {
        let home = Home::open(&self.home)?;
        if self.is_remote() {
            let pipeline = self.remote(judge).await;
            return Ok(Work {
                pipeline,
                machine: None,
                home: Some(home),
            });
        }
        let machine = Machine::open(&home, durability).await?;
        Ok(Work {
            pipeline: Pipeline::local(&machine.clients),
            machine: Some(machine),
            home: Some(home),
        })
    }

    /// Clients of AWS, and the engine over its tables where it judges.
    async fn remote(&self, judge: Judge) -> Pipeline {
        let endpoints = self
            .endpoint_url
            .as_deref()
            .map(Endpoints::all)
            .unwrap_or_default();
        let network = Network {
            region: self.region.clone(),
            endpoints,
        };
        let mut clients = Clients::network(&network).await;
        if judge == Judge::Engine {
            let engine = self.engine(&clients).await;
            clients.frauddetector = clients::frauddetector(engine::http_client(engine));
        }
        Pipeline {
            clients,
            decisions_table: self.decisions_table.clone(),
            bucket: self.bucket.clone(),
            budget: Budget::default(),
        }
    }

    fn retention(&self) -> Option<u32> {
        Some(self.retention_days).filter(|days| *days > 0)
    }

    /// The engine over the tables of `clients`.
    async fn engine(&self, clients: &Clients) -> Arc<Engine> {
        let mut options = Options::new(&self.region, clients::ACCOUNT);
        options
            .definitions_table
            .clone_from(&self.definitions_table);
        options.events_table.clone_from(&self.events_table);
        options.retention_days = self.retention();
        let sagemaker = clients::sagemaker(&self.region, self.endpoint_url.as_deref()).await;
        let engine = Engine::new(options, clients.dynamodb.clone())
            .with_bucket(clients.s3.clone(), &self.bucket)
            .with_sagemaker(sagemaker)
            .with_event_bridge(clients.eventbridge.clone(), &self.event_bus);
        Arc::new(engine)
    }

    /// The engine over the tables, where it judges.
    async fn judging_engine(&self, work: &Work) -> Option<Arc<Engine>> {
        match (&work.machine, self.fraud_detector) {
            (Some(machine), _) => Some(Arc::clone(&machine.engine)),
            (None, Judge::Engine) => Some(self.engine(&work.pipeline.clients).await),
            (None, Judge::Aws) => None,
        }
    }

    fn mapping(&self) -> Result<Mapping, Error> {
        Ok(Mapping::read(&self.mapping)?)
    }

    /// Where IP addresses are: read by the commands that map orders.
    fn locations(&self) -> Result<Arc<Locations>, Error> {
        Ok(Arc::new(Locations::read(&self.ip_locations)?))
    }
}

impl Work {
    async fn close(self) -> Result<(), Error> {
        drop(self.pipeline);
        match self.machine {
            Some(machine) => Ok(machine.close().await?),
            None => Ok(()),
        }
    }
}

fn durability(durable: bool) -> Durability {
    if durable {
        Durability::PowerLoss
    } else {
        Durability::Kill
    }
}

async fn run(place: &Place, args: RunArgs) -> Result<(), Error> {
    let (input, mapping) = open_input(place, &args)?;
    let mapping = mapping.with_locations(place.locations()?);
    let detector_version = args
        .detector_version
        .as_deref()
        .map(DetectorVersionId::try_from)
        .transpose()?;
    let mut work = place
        .open(durability(args.durable), place.fraud_detector)
        .await?;
    work.pipeline.budget.concurrency = args.concurrency;
    let forgotten = Forgotten {
        pipeline: work.pipeline.clone(),
        mapping: open_input(place, &args)?.1,
    };
    let function = match args.function {
        FunctionName::Predict => {
            Function::Predict(Box::new(work.pipeline.predict(mapping, detector_version)))
        }
        FunctionName::Ingest => Function::Ingest(Box::new(work.pipeline.ingest(mapping))),
        FunctionName::Label => Function::Label(Box::new(work.pipeline.label(mapping))),
    };
    // Standard input cannot be read again, so there is no place to go on from.
    let home = work.home.clone().filter(|_| args.file != "-");
    let run = Run {
        function,
        path: &args.file,
        input,
        home: home.as_ref(),
        target: &place.target(),
        forgotten: Some(forgotten),
        restart: args.restart,
        progress: !args.json,
    };
    let stop = signals::interrupted(signals::GRACE)?;
    let result = run.run(stop, |_, _| {}).await;
    // Also after an error: what was decided before it is forwarded and counted.
    let closed = work.close().await;
    let summary = result?;
    closed?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print!("{summary}");
        if !summary.rejected.is_empty() {
            println!(
                "rejected records are kept with their reasons: fraudstream replay --dry-run lists them"
            );
        }
    }
    Ok(())
}

fn open_input(place: &Place, args: &RunArgs) -> Result<(Input, Mapping), Error> {
    if !is_csv(&args.file) {
        return Ok((Input::lines(&args.file)?, place.mapping()?));
    }
    let mapping = place.mapping().ok();
    let default = |name: &Option<String>, known: Option<String>, flag: &str| {
        name.clone()
            .or(known)
            .ok_or_else(|| format!("say {flag}: there is no readable mapping to take it from"))
    };
    let event_type = default(
        &args.event_type,
        mapping.as_ref().map(|m| m.event_type().to_string()),
        "--event-type",
    )?;
    let detector = default(
        &args.detector,
        mapping.as_ref().map(|m| m.detector().to_string()),
        "--detector",
    )?;
    let options = CsvOptions {
        event_type: EventTypeName::try_from(event_type)?,
        detector,
        entity_type: EntityTypeName::try_from(args.entity_type.as_str())?,
        labels: renames(&args.labels)?,
    };
    Ok(Input::csv(&args.file, options)?)
}

fn renames(labels: &[String]) -> Result<BTreeMap<String, String>, Error> {
    labels
        .iter()
        .map(|rename| {
            let (from, to) = rename.split_once('=').ok_or_else(|| {
                format!("`--label {rename}` should be FROM=TO, such as 1.0=fraud")
            })?;
            Ok((from.to_owned(), to.to_owned()))
        })
        .collect()
}

async fn show_decisions(place: &Place, args: Show) -> Result<(), Error> {
    let mapping = place.mapping()?;
    let work = place.open(Durability::Kill, place.fraud_detector).await?;
    let decisions = work.pipeline.decisions();
    let found = if let Some(id) = &args.what.order_id {
        show::order(&decisions, &mapping, id).await
    } else if let Some(entity) = &args.what.entity {
        let (entity_type, id) = entity.split_once('/').unwrap_or(("customer", entity));
        show::entity(&decisions, entity_type, id).await
    } else {
        show::reviews(
            &decisions,
            &mapping,
            args.what.review.as_deref().unwrap_or_default(),
        )
        .await
    }?;
    let forwarded = work
        .home
        .as_ref()
        .filter(|_| !place.is_remote())
        .map(machine::forwarded_ids)
        .transpose()?;
    drop(decisions);
    work.close().await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else if args.what.order_id.is_some() {
        for decision in &found {
            print!(
                "{}",
                show::describe(
                    decision,
                    forwarded
                        .as_ref()
                        .map(|ids| ids.contains(&decision.decision_id))
                )
            );
        }
    } else {
        print!("{}", show::list(&found));
    }
    match (&args.what.order_id, found.is_empty()) {
        (Some(id), true) => Err(format!(
            "there is no decision on order `{id}` of event type `{}`",
            mapping.event_type()
        )
        .into()),
        _ => Ok(()),
    }
}

async fn explain_order(place: &Place, args: Explain) -> Result<(), Error> {
    let event_type = match args.event_type {
        Some(name) => name,
        None => place.mapping()?.event_type().to_string(),
    };
    let work = place.open(Durability::Kill, Judge::Engine).await?;
    let engine = match (&work.machine, place.fraud_detector) {
        (Some(machine), _) => Arc::clone(&machine.engine),
        (None, Judge::Engine) => place.engine(&work.pipeline.clients).await,
        (None, Judge::Aws) => {
            return Err(
                "only the engine's predictions are explained here; of Amazon's, `aws frauddetector \
                 get-event-prediction-metadata` tells"
                    .into(),
            );
        }
    };
    let explained = explain::order(&engine, &event_type, &args.order_id, args.exact).await;
    drop(engine);
    work.close().await?;
    let explained = match explained {
        Err(error) if error.code() == engine::Code::ResourceNotFound => {
            return Err(format!(
                "there is no prediction on order `{}` of event type `{event_type}`",
                args.order_id
            )
            .into());
        }
        explained => explained?,
    };
    if args.json {
        writeln!(
            io::stdout(),
            "{}",
            serde_json::to_string_pretty(&explained)?
        )?;
    } else {
        write!(io::stdout(), "{explained}")?;
    }
    Ok(())
}

async fn replay(place: &Place, args: ReplayArgs) -> Result<(), Error> {
    place.mapping()?;
    let locations = place.locations()?;
    let work = place.open(Durability::Kill, place.fraud_detector).await?;
    let pipeline = work.pipeline.clone();
    let function = |name: &str| {
        let mapping = place.mapping().ok()?.with_locations(Arc::clone(&locations));
        match name {
            predict::FUNCTION => Some(Function::Predict(Box::new(pipeline.predict(mapping, None)))),
            ingest::FUNCTION => Some(Function::Ingest(Box::new(pipeline.ingest(mapping)))),
            label::FUNCTION => Some(Function::Label(Box::new(pipeline.label(mapping)))),
            _ => None,
        }
    };
    let forgotten = Forgotten {
        pipeline: pipeline.clone(),
        mapping: place.mapping()?,
    };
    let replay = Replay {
        s3: &pipeline.clients.s3,
        bucket: &pipeline.bucket,
        function: &function,
        forgotten: &forgotten,
        dry_run: args.dry_run,
    };
    let replayed = if Path::new(&args.source).is_file() {
        replay.file(&args.source).await
    } else {
        replay.prefix(&args.source).await
    };
    drop((pipeline, forgotten));
    work.close().await?;
    let replayed = replayed?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&replayed)?);
        return Ok(());
    }
    for one in &replayed {
        println!("{}\n  was: {}\n  now: {}", one.key, one.reason, one.now);
    }
    let done = replayed.iter().filter(|one| one.done).count();
    println!("{} of {} replayed", done, replayed.len());
    Ok(())
}

async fn apply_file(place: &Place, args: Apply) -> Result<(), Error> {
    let judge = match args.to {
        Some(apply::Target::Amazon) => Judge::Aws,
        Some(apply::Target::Engine) => Judge::Engine,
        None => place.fraud_detector,
    };
    let place = Place {
        aws: place.aws || judge == Judge::Aws,
        ..place.clone()
    };
    let work = place.open(Durability::PowerLoss, judge).await?;
    let to = if judge == Judge::Aws {
        apply::Target::Amazon
    } else {
        apply::Target::Engine
    };
    let options = apply::Options {
        file: args.file,
        dry_run: args.dry_run,
        to,
        json: args.json,
    };
    let result = apply::run(
        &work.pipeline.clients.frauddetector,
        &options,
        &mut io::stdout(),
    )
    .await;
    work.close().await?;
    result?;
    Ok(())
}

async fn serve_here(place: &Place, args: Serve) -> Result<(), Error> {
    let keys = args.credentials.as_deref().map(Keys::read).transpose()?;
    let faults = args.faults.then(local_aws::fault::Faults::new);
    let home = Home::open(&place.home)?;
    let durability = if args.memory {
        Durability::Nothing
    } else {
        durability(args.durable)
    };
    let machine = Machine::open_keeping(&home, durability, place.retention()).await?;
    let engine = Arc::clone(&machine.engine);
    let counting = tokio::spawn(async move {
        loop {
            tokio::time::sleep(COUNTERS).await;
            if engine.flush().await.is_err() {
                tracing::warn!("the counters could not be written");
            }
        }
    });
    let jobs = jobs::local(&machine);
    let working = tokio::spawn(async move { jobs.run().await });
    let front = serve::Front {
        keys,
        faults,
        ..serve::Front::default()
    };
    let stop = signals::interrupted(front.limits.finish + signals::GRACE)?;
    let served = serve::run(args.host, args.port, machine.services(), front, stop).await;
    // The tasks hold the engine until they have ended. A job goes on at the next start.
    for task in [counting, working] {
        task.abort();
        let _ = task.await;
    }
    machine.close().await?;
    Ok(served?)
}

async fn forget_subject(place: &Place, args: ForgetArgs) -> Result<(), Error> {
    let mapping = place.mapping()?;
    let whom = args.whom.named(&mapping)?;
    // What is deleted has to stay deleted when the power goes.
    let work = place
        .open(Durability::PowerLoss, place.fraud_detector)
        .await?;
    let engine = place.judging_engine(&work).await;
    let forget = Forget {
        finder: Finder {
            pipeline: &work.pipeline,
            engine: engine.as_deref(),
            mapping: &mapping,
        },
        is_remote: place.is_remote(),
        dry_run: args.dry_run,
        now: event::Timestamp::from_jiff(jiff::Timestamp::now())?,
    };
    let result = forget.run(whom).await;
    if let Some(engine) = &engine {
        engine.flush().await?;
    }
    drop(engine);
    let home = work.home.clone().filter(|_| !place.is_remote());
    work.close().await?;
    let (mut report, traces) = result?;
    if let Some(home) = home {
        report.outcomes = forget::local_files(&home, &traces, args.dry_run)?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

async fn show_subject(place: &Place, args: SubjectArgs) -> Result<(), Error> {
    let mapping = place.mapping()?;
    let whom = About::from(args.whom).named(&mapping)?;
    let work = place.open(Durability::Kill, place.fraud_detector).await?;
    let engine = place.judging_engine(&work).await;
    let finder = Finder {
        pipeline: &work.pipeline,
        engine: engine.as_deref(),
        mapping: &mapping,
    };
    let home = work.home.as_ref().filter(|_| !place.is_remote());
    let outcomes = home.map(|home| std::fs::read_to_string(home.outcomes()));
    let outcomes = outcomes.and_then(Result::ok).unwrap_or_default();
    let now = event::Timestamp::from_jiff(jiff::Timestamp::now())?;
    let kept = match finder.find(whom, now).await {
        Ok(found) => Kept::new(&finder, found, &outcomes).await,
        Err(error) => Err(error),
    };
    drop(engine);
    work.close().await?;
    let kept = kept?;
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&kept)?)?;
    } else {
        write!(io::stdout(), "{kept}")?;
    }
    Ok(())
}

async fn list_entries(place: &Place, args: ListArgs) -> Result<(), Error> {
    if place.fraud_detector == Judge::Aws {
        return Err(
            "Amazon's lists have no expiry, reason or author; use `aws frauddetector update-list`"
                .into(),
        );
    }
    let now = jiff::Timestamp::now();
    let expires = args.expires.as_deref();
    let expires = expires.map(|text| list::expiry(text, now)).transpose()?;
    let work = place.open(Durability::PowerLoss, Judge::Engine).await?;
    let engine = match &work.machine {
        Some(machine) => Arc::clone(&machine.engine),
        None => place.engine(&work.pipeline.clients).await,
    };
    let entry = |element: &String| ListEntry {
        element: element.clone(),
        expires,
        reason: args.reason.clone(),
        author: args.author.clone(),
    };
    let added: Vec<ListEntry> = args.add.iter().map(entry).collect();
    let result = async {
        if !added.is_empty() {
            engine.put_list_entries(&args.name, &added).await?;
        }
        list::entries(&engine, &args.name).await
    };
    let result = result.await;
    drop(engine);
    work.close().await?;
    let entries = result?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&entries)?);
    } else if added.is_empty() {
        for entry in &entries {
            println!("{}", list::line(entry));
        }
    } else {
        println!("{} added, {} in the list", added.len(), entries.len());
    }
    Ok(())
}

async fn train_model(place: &Place, args: &Train) -> Result<(), Error> {
    let work = place.open(Durability::Kill, place.fraud_detector).await?;
    let runners = match (&work.machine, place.fraud_detector) {
        (Some(machine), _) => Some(jobs::local(machine)),
        (None, Judge::Engine) => {
            let engine = place.engine(&work.pipeline.clients).await;
            Some(jobs::remote(engine, &work.pipeline.clients))
        }
        (None, Judge::Aws) => None,
    };
    let clients = &work.pipeline.clients;
    let mapping = place.mapping()?;
    let at = train::Place {
        client: &clients.frauddetector,
        s3: &clients.s3,
        bucket: &place.bucket,
        runners: runners.as_ref(),
    };
    let trained = Box::pin(args.run(&at, mapping.event_type().as_str())).await;
    drop(runners);
    work.close().await?;
    let trained = trained?;
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&trained)?)?;
    } else {
        writeln!(io::stdout(), "{trained}")?;
    }
    Ok(())
}

async fn import_model(place: &Place, args: &ImportModel) -> Result<(), Error> {
    if place.fraud_detector == Judge::Aws {
        return Err("Amazon's service takes no model files; put a SageMaker endpoint behind it with `aws frauddetector put-external-model`".into());
    }
    let mapping = place.mapping()?;
    let work = place.open(Durability::PowerLoss, Judge::Engine).await?;
    let engine = match &work.machine {
        Some(machine) => Arc::clone(&machine.engine),
        None => place.engine(&work.pipeline.clients).await,
    };
    let client = &work.pipeline.clients.frauddetector;
    let imported = args
        .run(client, &engine, mapping.event_type().as_str())
        .await;
    drop(engine);
    work.close().await?;
    let imported = imported?;
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&imported)?)?;
    } else {
        writeln!(io::stdout(), "{imported}")?;
    }
    Ok(())
}

async fn run_jobs(place: &Place, args: JobsArgs) -> Result<(), Error> {
    let work = place.open(Durability::Kill, Judge::Engine).await?;
    let jobs = if let Some(machine) = &work.machine {
        jobs::local(machine)
    } else {
        let engine = place.engine(&work.pipeline.clients).await;
        jobs::remote(engine, &work.pipeline.clients)
    };
    let stop = signals::interrupted(signals::GRACE)?;
    let done = jobs::run(&jobs, args.watch, args.json, stop).await;
    drop(jobs);
    work.close().await?;
    done
}

fn simulate_shop(args: &Simulate) -> Result<(), Error> {
    let mut options = simulate::Options::default();
    if let Some(seed) = args.seed {
        options.seed = seed;
    }
    std::fs::create_dir_all(&args.out)
        .map_err(|error| format!("cannot use {}: {error}", args.out.display()))?;
    simulate::write(&simulate::simulate(&options), &args.out)?;
    writeln!(
        io::stdout(),
        "{}",
        json!({"out": args.out, "seed": options.seed})
    )?;
    Ok(())
}
