//! The whole product in one process: engine, DynamoDB, S3 and the event bus on one folder.

mod forwarding;
mod pipeline;
mod tables;

use std::fs::File;
use std::sync::Arc;

use engine::{Engine, EngineOptions};
use forward::{ForwardFunction, REQUEST_BYTES};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clients::{self, ACCOUNT, Clients, Connectors, REGION};
use crate::dynamodb::{Durability, DynamoDb};
use crate::event_bus::EventBus;
use crate::home::Home;
use crate::s3::S3;
use crate::serve::Services;
use crate::service::Service;

pub use forwarding::read_forwarded_ids;
pub use pipeline::Pipeline;
pub use tables::create_pipeline_tables;

use forwarding::{FORWARD_QUEUE, forward_decisions, queue_missing_decisions};

/// The table of decisions.
pub const DECISIONS: &str = "Decisions";
/// The table of the profiles of keys with aggregates.
pub const VELOCITY: &str = "Velocity";
/// The bucket of rejected records.
pub const BUCKET: &str = "fraudstream";
/// The event bus.
pub const BUS: &str = "fraudstream";

/// The local product cannot start.
#[derive(Debug, Error)]
pub enum LocalStackError {
    /// The database's file.
    #[error(transparent)]
    Database(#[from] crate::dynamodb::OpenDatabaseError),
    /// The bucket's folder.
    #[error(transparent)]
    Bucket(#[from] crate::s3::OpenBucketError),
    /// The file of outcomes.
    #[error(transparent)]
    Bus(#[from] crate::event_bus::OpenBusError),
    /// A table cannot be made or read.
    #[error("{0}")]
    Table(String),
    /// Decisions are stored but were not forwarded.
    #[error(
        "{0} decisions are stored and could not be forwarded to {1}; the next start forwards them"
    )]
    Forward(usize, String),
    /// Another process uses the folder.
    #[error(
        "another process works in {0}; stop it, choose another --home, or ask it with --endpoint-url if it is `fraudstream serve`"
    )]
    Occupied(String),
    /// The folder itself.
    #[error("cannot use the state folder: {0}")]
    Folder(#[from] std::io::Error),
}

/// How a stack is opened.
#[derive(Clone, Debug, Default)]
pub struct LocalStackOptions {
    /// How safe writes are.
    pub durability: Durability,
    /// How many days the engine keeps what it stores; `None` keeps it forever.
    pub retention_days: Option<u32>,
    /// The client for the endpoints of external models; without one, they have no answer.
    pub sagemaker: Option<aws_sdk_sagemakerruntime::Client>,
}

/// Everything behind the clients, with its state in one folder.
pub struct LocalStack {
    /// The clients; the pipeline sees nothing else.
    pub clients: Clients,
    /// The engine that answers the Fraud Detector client.
    pub engine: Arc<Engine>,
    services: Services,
    home: Home,
    /// Locked as long as the process uses the folder.
    at_work: File,
    forwarder: JoinHandle<usize>,
}

impl LocalStack {
    /// Opens or creates everything in `home`, with the other options left out.
    pub async fn open(home: &Home, durability: Durability) -> Result<Self, LocalStackError> {
        let options = LocalStackOptions {
            durability,
            ..LocalStackOptions::default()
        };
        Self::open_with(home, options).await
    }

    /// Opens or creates everything in `home`.
    ///
    /// Decisions that an earlier process stored but did not forward, because it was killed, are
    /// forwarded now.
    pub async fn open_with(
        home: &Home,
        options: LocalStackOptions,
    ) -> Result<Self, LocalStackError> {
        let killed = home.at_work_file().exists();
        let at_work = File::create(home.at_work_file())?;
        if at_work.try_lock().is_err() {
            return Err(LocalStackError::Occupied(home.path().display().to_string()));
        }
        let (sender, receiver) = mpsc::channel(FORWARD_QUEUE);
        let queue = sender.clone();
        let database = DynamoDb::open(&home.database_file(), options.durability)?;
        // The thread of the put waits here if the bus is slow; it holds no lock of the database.
        let database =
            database.on_insert(DECISIONS, move |insert| drop(queue.blocking_send(insert)));
        let bucket = S3::open(&home.s3_folder())?;
        bucket.create_bucket(BUCKET)?;
        let file = EventBus::open(&home.outcomes_file())?;
        let announcing =
            clients::connect_eventbridge(file.clone().for_aws().service().http_client());
        let (dynamodb, s3, bus) = (database.service(), bucket.service(), file.service());
        let table_client = clients::connect_dynamodb(dynamodb.http_client());
        let mut engine = Engine::new(engine_options(options.retention_days), table_client.clone())
            .with_bucket(clients::connect_s3(s3.http_client()), BUCKET)
            .with_event_bridge(announcing, BUS);
        if let Some(sagemaker) = options.sagemaker {
            engine = engine.with_sagemaker(sagemaker);
        }
        let engine = Arc::new(engine);
        engine
            .create_tables()
            .await
            .map_err(|error| LocalStackError::Table(error.to_string()))?;
        create_pipeline_tables(&table_client, DECISIONS, VELOCITY).await?;
        let frauddetector = engine_service(Arc::clone(&engine));
        let clients = Clients::in_process(Connectors {
            frauddetector: frauddetector.http_client(),
            dynamodb: dynamodb.http_client(),
            s3: s3.http_client(),
            eventbridge: bus.http_client(),
        });
        let forward = ForwardFunction {
            event_bridge: clients.eventbridge.clone(),
            bus: BUS.to_owned(),
            request_bytes: REQUEST_BYTES,
        };
        let forwarder = tokio::spawn(forward_decisions(forward, receiver));
        if killed {
            queue_missing_decisions(home, &table_client, &sender).await?;
        }
        Ok(Self {
            clients,
            engine,
            services: Services {
                frauddetector,
                dynamodb,
                s3,
                eventbridge: bus,
            },
            home: home.clone(),
            at_work,
            forwarder,
        })
    }

    /// The functions of the pipeline, over the engine of this process.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::local(&self.clients).with_engine(&self.engine)
    }

    /// The services that `serve` puts on a port.
    pub fn services(&self) -> Services {
        self.services.clone()
    }

    /// Writes the engine's counters, forwards the remaining decisions, and ends.
    pub async fn close(self) -> Result<(), LocalStackError> {
        self.engine
            .flush()
            .await
            .map_err(|error| LocalStackError::Table(error.to_string()))?;
        let Self {
            clients,
            engine,
            services,
            home,
            at_work: _locked,
            forwarder,
        } = self;
        // The queue ends when the last handle of the database is dropped.
        drop((clients, engine, services));
        match forwarder.await {
            Ok(0) => Ok(std::fs::remove_file(home.at_work_file())?),
            // `at-work` stays, so the next start forwards what is missing.
            failed => Err(LocalStackError::Forward(
                failed.unwrap_or_default(),
                home.outcomes_file().display().to_string(),
            )),
        }
    }
}

/// The engine as the service that answers the Fraud Detector client.
fn engine_service(engine: Arc<Engine>) -> Service {
    Service::new(move |request| {
        let engine = Arc::clone(&engine);
        async move { engine.handle(request).await }
    })
}

fn engine_options(retention_days: Option<u32>) -> EngineOptions {
    let mut options = EngineOptions::new(REGION, ACCOUNT);
    options.retention_days = retention_days;
    "aws.frauddetector".clone_into(&mut options.event_source);
    options
}
