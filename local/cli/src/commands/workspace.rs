//! What a command works on: the local stack in a folder, or clients of AWS. Both are opened here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_config::SdkConfig;
use clap::{Args, ValueEnum};
use engine::{Engine, EngineOptions};
use shared::decisions::DecisionWrites;
use shared::locations::Locations;
use shared::mapping::{Mapping, MappingError};

use super::CommandError;
use crate::runners::{self, Runners};
use local_aws::clients::{self, Clients, Endpoints, NetworkConfig};
use local_aws::dynamodb::Durability;
use local_aws::home::Home;
use local_aws::local_stack::{self, LocalStack, LocalStackOptions, Pipeline};

/// Where the state is. The help of every command has these options under a heading of their own; `-h` shows only those
/// that choose between this machine and AWS.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Where the state is")]
pub(crate) struct WorkspaceArgs {
    /// Folder of local state.
    #[arg(
        long,
        global = true,
        default_value = ".fraudstream",
        value_name = "DIR"
    )]
    pub(crate) home: PathBuf,
    /// Use AWS (or an endpoint, see --endpoint-url) instead of the local folder.
    #[arg(long, global = true)]
    pub(crate) aws: bool,
    /// Address of all AWS services, such as `fraudstream serve`; implies --aws.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "URL",
        env = "AWS_ENDPOINT_URL",
        hide_env_values = true
    )]
    endpoint_url: Option<String>,
    /// Region.
    #[arg(long, global = true, hide_short_help = true, env = "AWS_REGION", default_value = clients::REGION)]
    region: String,
    /// Who answers the Fraud Detector API on AWS: the engine over the tables, or Amazon's service.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "FRAUD_DETECTOR",
        value_enum,
        default_value = "engine"
    )]
    pub(crate) fraud_detector: Backend,
    /// Table of decisions.
    #[arg(long, global = true, hide_short_help = true, env = "DECISIONS_TABLE", default_value = local_stack::DECISIONS)]
    decisions_table: String,
    /// Table of the profiles of keys with aggregates.
    #[arg(long, global = true, hide_short_help = true, env = "VELOCITY_TABLE", default_value = local_stack::VELOCITY)]
    velocity_table: String,
    /// Table of the engine's definitions.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "DEFINITIONS_TABLE",
        default_value = "Definitions"
    )]
    definitions_table: String,
    /// Table of the engine's events.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "EVENTS_TABLE",
        default_value = "Events"
    )]
    events_table: String,
    /// Bucket of rejected records.
    #[arg(long, global = true, hide_short_help = true, env = "BUCKET", default_value = local_stack::BUCKET)]
    pub(crate) bucket: String,
    /// Bus of predictions, for event types with `eventOrchestration`.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "EVENT_BUS",
        default_value = "default"
    )]
    event_bus: String,
    /// Days after storing that `serve`, or the engine over AWS's tables, keeps events, labels and
    /// predictions; 0 keeps them forever, as the other commands on the local folder do.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "RETENTION_DAYS",
        default_value_t = 548,
        value_name = "DAYS"
    )]
    retention_days: u32,
    /// Where SageMaker endpoints are, for detectors with external models: `https://runtime.sagemaker.REGION.amazonaws.com`,
    /// or a server with the same API. Without it, an engine on the local folder asks none, and one over AWS's tables
    /// asks AWS.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
        value_name = "URL"
    )]
    sagemaker_endpoint_url: Option<String>,
    /// Mapping file.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "MAPPING_FILE",
        default_value = "config/mapping.yaml",
        value_name = "FILE"
    )]
    mapping: PathBuf,
    /// Files in MaxMind's format (.mmdb) with the locations of IP addresses, separated by commas; for
    /// variables with `locate`, see docs/mapping.md.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "IP_LOCATION_FILES",
        value_delimiter = ',',
        value_name = "FILE"
    )]
    ip_locations: Vec<PathBuf>,
}

/// Who answers the Fraud Detector API.
// The names of the variants are part of `target_name`, by which progress is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// Our engine.
    Engine,
    /// Amazon Fraud Detector.
    #[value(alias = "amazon")]
    Aws,
}

impl WorkspaceArgs {
    /// Tells targets apart, so that a rehearsal on this machine does not count as done on AWS.
    pub(crate) fn target_name(&self) -> String {
        if !self.is_remote() {
            return "local".to_owned();
        }
        let endpoint = self.endpoint_url.as_deref().unwrap_or("aws");
        format!(
            "{endpoint} {} {:?} {} {}",
            self.region, self.fraud_detector, self.decisions_table, self.events_table
        )
    }

    /// Whether the state is on AWS, or at an endpoint, and not in the local folder.
    pub(crate) fn is_remote(&self) -> bool {
        self.aws || self.endpoint_url.is_some()
    }

    /// Opens the local stack, or clients of AWS where `backend` answers the Fraud Detector API.
    pub(crate) async fn open(
        &self,
        durability: Durability,
        backend: Backend,
    ) -> Result<Workspace<'_>, CommandError> {
        let home = Home::open(&self.home)?;
        let (pipeline, stack) = if self.is_remote() {
            (self.connect(backend).await, None)
        } else {
            let options = self.local_stack_options(durability, None).await;
            let stack = LocalStack::open_with(&home, options).await?;
            (stack.pipeline(), Some(stack))
        };
        Ok(Workspace {
            args: self,
            pipeline,
            stack,
            home,
        })
    }

    /// Opens the local stack for `serve`, where stored events expire.
    pub(crate) async fn open_local_stack(
        &self,
        durability: Durability,
    ) -> Result<LocalStack, CommandError> {
        let home = Home::open(&self.home)?;
        let options = self
            .local_stack_options(durability, self.retention_days())
            .await;
        Ok(LocalStack::open_with(&home, options).await?)
    }

    async fn local_stack_options(
        &self,
        durability: Durability,
        retention_days: Option<u32>,
    ) -> LocalStackOptions {
        let sagemaker = match &self.sagemaker_endpoint_url {
            Some(url) => Some(clients::connect_sagemaker(&self.region, Some(url)).await),
            None => None,
        };
        LocalStackOptions {
            durability,
            retention_days,
            sagemaker,
        }
    }

    /// Clients of AWS, and the engine over its tables if that is the backend.
    async fn connect(&self, backend: Backend) -> Pipeline {
        let endpoints = self
            .endpoint_url
            .as_deref()
            .map(Endpoints::all)
            .unwrap_or_default();
        let network = NetworkConfig {
            region: self.region.clone(),
            endpoints,
        };
        let clients = Clients::over_network(&network).await;
        let pipeline = Pipeline {
            decisions_table: self.decisions_table.clone(),
            velocity_table: self.velocity_table.clone(),
            bucket: self.bucket.clone(),
            // Whether the stream of the table has what statements insert is not known here.
            decision_writes: DecisionWrites::PutItem,
            ..Pipeline::local(&clients)
        };
        match backend {
            Backend::Engine => pipeline.with_engine(&self.engine_over_tables(&clients).await),
            Backend::Aws => pipeline,
        }
    }

    /// The region.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// The configuration of clients of services that the state is not kept in. They are at the address that was given for
    /// all services, or else at `origin`, or else at AWS.
    pub(crate) async fn load_sdk_config(&self, origin: Option<String>) -> SdkConfig {
        let url = self.endpoint_url.clone().or(origin);
        clients::load_sdk_config(&self.region, url.as_deref()).await
    }

    fn retention_days(&self) -> Option<u32> {
        Some(self.retention_days).filter(|days| *days > 0)
    }

    /// The engine over the tables of `clients`.
    async fn engine_over_tables(&self, clients: &Clients) -> Arc<Engine> {
        let mut options = EngineOptions::new(&self.region, clients::ACCOUNT);
        options
            .definitions_table
            .clone_from(&self.definitions_table);
        options.events_table.clone_from(&self.events_table);
        options.retention_days = self.retention_days();
        let url = self.sagemaker_endpoint_url.as_deref();
        let url = url.or(self.endpoint_url.as_deref());
        let sagemaker = clients::connect_sagemaker(&self.region, url).await;
        let engine = Engine::new(options, clients.dynamodb.clone())
            .with_bucket(clients.s3.clone(), &self.bucket)
            .with_sagemaker(sagemaker)
            .with_event_bridge(clients.eventbridge.clone(), &self.event_bus);
        Arc::new(engine)
    }

    /// The mapping file.
    pub(crate) fn mapping_path(&self) -> &Path {
        &self.mapping
    }

    /// Reads the mapping file.
    pub(crate) fn read_mapping(&self) -> Result<Mapping, CommandError> {
        Ok(Mapping::read(&self.mapping)?)
    }

    /// Reads the mapping file, if there is one: for commands that need none, but check it.
    pub(crate) fn read_mapping_if_any(&self) -> Result<Option<Mapping>, CommandError> {
        match Mapping::read(&self.mapping) {
            Err(MappingError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            read => Ok(Some(read?)),
        }
    }

    /// Reads where IP addresses are, for the commands that map orders.
    pub(crate) fn read_locations(&self) -> Result<Arc<Locations>, CommandError> {
        Ok(Arc::new(Locations::read(&self.ip_locations)?))
    }
}

/// What a command works on: the local stack, or clients of AWS.
pub(crate) struct Workspace<'a> {
    args: &'a WorkspaceArgs,
    /// The functions over the clients.
    pub(crate) pipeline: Pipeline,
    stack: Option<LocalStack>,
    /// The folder of local state: where the stack is, and where progress is kept in any case.
    pub(crate) home: Home,
}

impl Workspace<'_> {
    /// The folder, if the state is in it.
    pub(crate) fn local_home(&self) -> Option<&Home> {
        self.stack.is_some().then_some(&self.home)
    }

    /// A client for the streams of the tables, which the local stack does not have.
    pub(crate) async fn connect_streams(&self) -> aws_sdk_dynamodbstreams::Client {
        let url = self.args.endpoint_url.as_deref();
        clients::connect_streams(&self.args.region, url).await
    }

    /// The engine, of the local stack or over AWS's tables.
    pub(crate) async fn open_engine(&self) -> Arc<Engine> {
        match &self.stack {
            Some(stack) => Arc::clone(&stack.engine),
            None => self.args.engine_over_tables(&self.pipeline.clients).await,
        }
    }

    /// Whether the engine answers the Fraud Detector API, and not Amazon's service.
    pub(crate) fn is_engine_backend(&self) -> bool {
        self.stack.is_some() || self.args.fraud_detector == Backend::Engine
    }

    /// The engine, if it is what answers the Fraud Detector API.
    pub(crate) async fn backend_engine(&self) -> Option<Arc<Engine>> {
        if self.is_engine_backend() {
            Some(self.open_engine().await)
        } else {
            None
        }
    }

    /// The runners of the engine's jobs and trainings.
    pub(crate) async fn open_runners(&self) -> Runners {
        match &self.stack {
            Some(stack) => runners::local_runners(stack),
            None => runners::remote_runners(self.open_engine().await, &self.pipeline.clients),
        }
    }

    /// Ends the local stack: forwards what is decided, and writes what is counted.
    ///
    /// Everything else that holds the engine or a client has to be dropped before.
    pub(crate) async fn close(self) -> Result<(), CommandError> {
        drop(self.pipeline);
        match self.stack {
            Some(stack) => Ok(stack.close().await?),
            None => Ok(()),
        }
    }
}

/// How safe writes are; `durable` is the flag of `run` and `serve`.
pub(crate) fn durability_for(durable: bool) -> Durability {
    if durable {
        Durability::PowerLoss
    } else {
        Durability::Kill
    }
}
