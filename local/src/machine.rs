//! The whole product in one process: engine, DynamoDB, S3 and the event bus on one folder.

use std::fs::File;
use std::sync::Arc;

use aws_sdk_dynamodb::Client as DynamoDbClient;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use engine::{Engine, Options};
use event::DetectorVersionId;
use forward::{Forward, REQUEST_BYTES};
use ingest::Ingest;
use label::Label;
use predict::Predict;
use serde_json::{Value, json};
use shared::batch::{Batcher, Budget, Moment};
use shared::decisions::Decisions;
use shared::labels::Labels;
use shared::mapping::Mapping;
use shared::rejected::Rejected;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::bus::Bus;
use crate::clients::{self, ACCOUNT, Clients, Connectors, REGION};
use crate::connector::Service;
use crate::dynamodb::{Durability, DynamoDb, Insert};
use crate::home::Home;
use crate::s3::S3;
use crate::serve::Services;

/// The table of decisions.
pub const DECISIONS: &str = "Decisions";
/// The bucket of rejected records.
pub const BUCKET: &str = "fraudstream";
/// The event bus.
pub const BUS: &str = "fraudstream";

/// How many decisions may wait to be forwarded; a put waits when there are more.
const FORWARD_QUEUE: usize = 1_000;
/// How many decisions go to `forward` at once, as from a stream.
const FORWARD_BATCH: usize = 100;

/// The local product cannot start.
#[derive(Debug, Error)]
pub enum MachineError {
    /// The database's file.
    #[error(transparent)]
    Database(#[from] crate::dynamodb::OpenError),
    /// The bucket's folder.
    #[error(transparent)]
    Bucket(#[from] crate::s3::OpenError),
    /// The file of outcomes.
    #[error(transparent)]
    Bus(#[from] crate::bus::OpenError),
    /// A table cannot be made or read.
    #[error("{0}")]
    Table(String),
    /// Decisions are stored and were not told.
    #[error(
        "{0} decisions are stored and could not be forwarded to {1}; the next start forwards them"
    )]
    Forward(usize, String),
    /// Another process works in the folder.
    #[error(
        "another process works in {0}; stop it, choose another --home, or ask it with --endpoint-url if it is `fraudstream serve`"
    )]
    Occupied(String),
    /// The folder itself.
    #[error("cannot use the state folder: {0}")]
    Folder(#[from] std::io::Error),
}

/// Everything behind the clients, on one folder.
pub struct Machine {
    /// The clients; the pipeline sees nothing else.
    pub clients: Clients,
    /// The engine that answers the Fraud Detector client.
    pub engine: Arc<Engine>,
    services: Services,
    home: Home,
    /// Locked as long as the process works here.
    at_work: File,
    forwarder: JoinHandle<usize>,
}

impl Machine {
    /// Opens or creates everything in `home`.
    ///
    /// Decisions that an earlier process wrote and did not forward, because it was killed, are
    /// forwarded now.
    ///
    /// What the engine stores is kept until it is deleted.
    pub async fn open(home: &Home, durability: Durability) -> Result<Self, MachineError> {
        Self::open_keeping(home, durability, None).await
    }

    /// [`Machine::open`] where the engine keeps what it stores for so many days.
    pub async fn open_keeping(
        home: &Home,
        durability: Durability,
        retention_days: Option<u32>,
    ) -> Result<Self, MachineError> {
        let killed = home.at_work().exists();
        let at_work = File::create(home.at_work())?;
        if at_work.try_lock().is_err() {
            return Err(MachineError::Occupied(home.path().display().to_string()));
        }
        let (sender, receiver) = mpsc::channel(FORWARD_QUEUE);
        let queue = sender.clone();
        let database = DynamoDb::open(&home.database(), durability)?;
        // The put's own thread waits here when the bus is slow; it holds no lock of the database.
        let database =
            database.on_insert(DECISIONS, move |insert| drop(queue.blocking_send(insert)));
        let bucket = S3::open(&home.s3())?;
        bucket.create_bucket(BUCKET)?;
        let file = Bus::open(&home.outcomes())?;
        let announcing = clients::eventbridge(file.clone().for_aws().service().http_client());
        let (dynamodb, s3, bus) = (database.service(), bucket.service(), file.service());
        let table_client = clients::dynamodb(dynamodb.http_client());
        let engine = Engine::new(engine_options(retention_days), table_client.clone())
            .with_bucket(clients::s3(s3.http_client()), BUCKET)
            .with_event_bridge(announcing, BUS);
        let engine = Arc::new(engine);
        engine
            .create_tables()
            .await
            .map_err(|error| MachineError::Table(error.to_string()))?;
        create_decisions(&table_client, DECISIONS).await?;
        let clients = Clients::in_process(Connectors {
            frauddetector: engine::http_client(Arc::clone(&engine)),
            dynamodb: dynamodb.http_client(),
            s3: s3.http_client(),
            eventbridge: bus.http_client(),
        });
        let forward = Forward {
            event_bridge: clients.eventbridge.clone(),
            bus: BUS.to_owned(),
            request_bytes: REQUEST_BYTES,
        };
        let forwarder = tokio::spawn(forward_all(forward, receiver));
        if killed {
            forward_missing(home, &table_client, &sender).await?;
        }
        let answering = Arc::clone(&engine);
        let frauddetector = Service::new(move |request| {
            let engine = Arc::clone(&answering);
            async move { engine.handle(request).await }
        });
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

    /// What `serve` answers with.
    pub fn services(&self) -> Services {
        self.services.clone()
    }

    /// Writes what is counted, forwards what is decided, and ends.
    pub async fn close(self) -> Result<(), MachineError> {
        self.engine
            .flush()
            .await
            .map_err(|error| MachineError::Table(error.to_string()))?;
        let Self {
            clients,
            engine,
            services,
            home,
            at_work: _locked,
            forwarder,
        } = self;
        // The queue ends when the last handle on the database is gone.
        drop((clients, engine, services));
        match forwarder.await {
            Ok(0) => Ok(std::fs::remove_file(home.at_work())?),
            // `at-work` stays, so the next start forwards what is missing.
            failed => Err(MachineError::Forward(
                failed.unwrap_or_default(),
                home.outcomes().display().to_string(),
            )),
        }
    }
}

fn engine_options(retention_days: Option<u32>) -> Options {
    let mut options = Options::new(REGION, ACCOUNT);
    options.retention_days = retention_days;
    "aws.frauddetector".clone_into(&mut options.event_source);
    options
}

/// The functions of the pipeline over some clients.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Where the functions go.
    pub clients: Clients,
    /// The table of decisions.
    pub decisions_table: String,
    /// The bucket of rejected records.
    pub bucket: String,
    /// How much at once.
    pub budget: Budget,
}

impl Pipeline {
    /// The functions over the local product.
    pub fn local(clients: &Clients) -> Self {
        Self {
            clients: clients.clone(),
            decisions_table: DECISIONS.to_owned(),
            bucket: BUCKET.to_owned(),
            budget: Budget::default(),
        }
    }

    /// The table of decisions.
    pub fn decisions(&self) -> Decisions {
        Decisions::new(self.clients.dynamodb.clone(), &self.decisions_table)
    }

    fn labels(&self, mapping: &Mapping) -> Labels {
        Labels::new(
            self.decisions(),
            self.clients.frauddetector.clone(),
            self.rejected(),
            mapping,
        )
    }

    fn rejected(&self) -> Rejected {
        Rejected::new(self.clients.s3.clone(), &self.bucket)
    }

    /// The function `predict`.
    pub fn predict(
        &self,
        mapping: Mapping,
        detector_version: Option<DetectorVersionId>,
    ) -> Predict {
        Predict {
            detector_version,
            fraud_detector: self.clients.frauddetector.clone(),
            decisions: self.decisions(),
            labels: self.labels(&mapping),
            batcher: Batcher::new(predict::FUNCTION, self.budget),
            rejected: self.rejected(),
            mapping,
        }
    }

    /// The function `ingest`.
    pub fn ingest(&self, mapping: Mapping) -> Ingest {
        Ingest {
            fraud_detector: self.clients.frauddetector.clone(),
            labels: self.labels(&mapping),
            batcher: Batcher::new(ingest::FUNCTION, self.budget),
            rejected: self.rejected(),
            mapping,
        }
    }

    /// The function `label`.
    pub fn label(&self, mapping: Mapping) -> Label {
        Label {
            labels: self.labels(&mapping),
            batcher: Batcher::new(label::FUNCTION, self.budget),
            rejected: self.rejected(),
            mapping,
        }
    }
}

/// Creates the table of decisions as template.yaml does; one that exists is left as it is.
pub async fn create_decisions(client: &DynamoDbClient, table: &str) -> Result<(), MachineError> {
    let failed = |what: &dyn std::fmt::Display| {
        MachineError::Table(format!("cannot create table `{table}`: {what}"))
    };
    let key = |name: &str, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
    };
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest);
    for name in ["pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk"] {
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build();
        request = request.attribute_definitions(attribute.map_err(|error| failed(&error))?);
    }
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        request = request.key_schema(key(name, kind).map_err(|error| failed(&error))?);
    }
    for index in ["gsi1", "gsi2"] {
        let all = Projection::builder()
            .projection_type(ProjectionType::All)
            .build();
        let secondary = GlobalSecondaryIndex::builder()
            .index_name(index)
            .projection(all)
            .key_schema(key(&format!("{index}pk"), KeyType::Hash).map_err(|error| failed(&error))?)
            .key_schema(key(&format!("{index}sk"), KeyType::Range).map_err(|error| failed(&error))?)
            .build();
        request = request.global_secondary_indexes(secondary.map_err(|error| failed(&error))?);
    }
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(CreateTableError::is_resource_in_use_exception) =>
        {
            Ok(())
        }
        Err(error) => Err(failed(&shared::failure::code_of(&error))),
    }
}

/// Forwards decisions in batches, as the mapping of a stream would; returns how many failed.
async fn forward_all(forward: Forward, mut queue: mpsc::Receiver<Insert>) -> usize {
    let (mut sequence, mut failed) = (0_u64, 0);
    let mut inserts = Vec::with_capacity(FORWARD_BATCH);
    while queue.recv_many(&mut inserts, FORWARD_BATCH).await > 0 {
        let mut records: Vec<Value> = Vec::with_capacity(inserts.len());
        for insert in inserts.drain(..) {
            sequence += 1;
            records.push(stream_record(sequence, &insert.image));
        }
        let moment = Moment::new(jiff::Timestamp::now(), 0);
        let handled = forward.batch(json!({ "Records": records }), moment).await;
        failed += handled
            .results
            .iter()
            .filter(|(_, result)| result.is_err())
            .count();
    }
    failed
}

fn stream_record(sequence: u64, image: &Value) -> Value {
    json!({
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{DECISIONS}/stream/local"),
        "dynamodb": { "SequenceNumber": sequence.to_string(), "NewImage": image },
    })
}

/// Queues every decision that `outcomes.jsonl` lacks.
async fn forward_missing(
    home: &Home,
    client: &DynamoDbClient,
    queue: &mpsc::Sender<Insert>,
) -> Result<(), MachineError> {
    let told = forwarded_ids(home)?;
    let mut items = client
        .scan()
        .table_name(DECISIONS)
        .into_paginator()
        .items()
        .send();
    while let Some(item) = items.next().await {
        let item = item.map_err(|error| {
            MachineError::Table(format!(
                "cannot read `{DECISIONS}`: {}",
                shared::failure::code_of(&error)
            ))
        })?;
        let id = item.get("decision_id").and_then(|id| id.as_s().ok());
        if id.is_none_or(|id| told.contains(id)) {
            continue;
        }
        let image = serde_dynamo::Item::from(item);
        let image = serde_json::to_value(image).unwrap_or_default();
        drop(
            queue
                .send(Insert {
                    table: DECISIONS.to_owned(),
                    image,
                })
                .await,
        );
    }
    Ok(())
}

/// The ids of the decisions that were forwarded.
pub fn forwarded_ids(home: &Home) -> std::io::Result<std::collections::HashSet<String>> {
    use std::io::BufRead as _;
    let mut ids = std::collections::HashSet::new();
    let Ok(file) = std::fs::File::open(home.outcomes()) else {
        return Ok(ids);
    };
    for line in std::io::BufReader::new(file).lines() {
        let event: Value = serde_json::from_str(&line?).unwrap_or_default();
        ids.extend(event["detail"]["decision_id"].as_str().map(str::to_owned));
    }
    Ok(ids)
}
