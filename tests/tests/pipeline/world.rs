//! The whole pipeline in one process, with faults on demand.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aws_sdk_frauddetector::types::{DataSource, DataType, EventIngestion};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use end_to_end::sample;
pub use end_to_end::sample::MAPPING;
use engine::{Engine, EngineOptions};
use forward::{ForwardFunction, REQUEST_BYTES};
use local_aws::clients::{self, Clients, Connectors};
use local_aws::dynamodb::DynamoDb;
use local_aws::event_bus::EventBus;
use local_aws::fault::Faults;
use local_aws::local_stack::{self, BUCKET, DECISIONS, Pipeline};
use local_aws::s3::S3;
use serde_json::{Value, json};
use shared::batch::{Budget, InvocationContext};
use shared::decisions::Decision;
use shared::mapping::Mapping;
use tempfile::TempDir;

/// The product with a database in memory and a temporary folder.
pub struct World {
    /// Faults between every client of the pipeline and what answers it.
    pub faults: Faults,
    /// Faults of the calls that the engine makes.
    pub engine_faults: Faults,
    /// Clients without faults, to check the results.
    pub clients: Clients,
    /// The functions' clients.
    pub pipeline: Pipeline,
    inserts: Arc<Mutex<Vec<Value>>>,
    folder: TempDir,
}

impl World {
    /// A detector with three rules, active.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inserts: Arc<Mutex<Vec<Value>>> = Arc::default();
        let seen = Arc::clone(&inserts);
        let database = DynamoDb::in_memory()
            .unwrap()
            .on_insert(DECISIONS, move |insert| {
                seen.lock().unwrap().push(insert.image);
            });
        let dynamodb = database.service();
        let s3 = S3::open(&folder.path().join("s3")).unwrap();
        s3.create_bucket(BUCKET).unwrap();
        let (objects, bus) = (
            s3.service(),
            EventBus::open(&folder.path().join("outcomes.jsonl"))
                .unwrap()
                .service(),
        );
        let tables = clients::connect_dynamodb(dynamodb.http_client());
        let engine_faults = Faults::new();
        let engine = Arc::new(Engine::new(
            EngineOptions::new("us-east-1", "123456789012"),
            clients::connect_dynamodb(engine_faults.wrap(dynamodb.http_client())),
        ));
        engine.create_tables().await.unwrap();
        local_stack::create_pipeline_tables(&tables, DECISIONS, local_stack::VELOCITY)
            .await
            .unwrap();
        let connectors = Connectors {
            frauddetector: engine::http_client(Arc::clone(&engine)),
            dynamodb: dynamodb.http_client(),
            s3: objects.http_client(),
            eventbridge: bus.http_client(),
        };
        let faults = Faults::new();
        let disturbed = Connectors {
            frauddetector: faults.wrap(engine::holding_http_client(Arc::clone(&engine))),
            dynamodb: faults.wrap(connectors.dynamodb.clone()),
            s3: faults.wrap(connectors.s3.clone()),
            eventbridge: faults.wrap(connectors.eventbridge.clone()),
        };
        let clients = Clients::in_process(connectors);
        define(&clients.frauddetector).await;
        let pipeline = Pipeline {
            held_predictions: wiring::held_predictions(&engine),
            ..Pipeline::local(&Clients::in_process(disturbed))
        };
        Self {
            faults,
            engine_faults,
            clients,
            pipeline,
            inserts,
            folder,
        }
    }

    /// Adds variables to the event type.
    pub async fn add_variables(&self, variables: &[(&str, DataType)]) {
        let client = &self.clients.frauddetector;
        let mut event_type = client
            .put_event_type()
            .name("order")
            .entity_types("customer")
            .event_ingestion(EventIngestion::Enabled)
            .labels("fraud")
            .labels("legit");
        for name in ["email_address", "order_price", "item_count"] {
            event_type = event_type.event_variables(name);
        }
        for (name, data_type) in variables {
            let create = client.create_variable().name(*name);
            let create = create.data_type(data_type.clone());
            let create = create.data_source(DataSource::Event).default_value("0");
            create.send().await.unwrap();
            event_type = event_type.event_variables(*name);
        }
        event_type.send().await.unwrap();
    }

    /// `predict` with a mapping.
    pub fn predict_with(&self, mapping: &str) -> predict::PredictFunction {
        self.pipeline
            .predict(Mapping::parse("mapping.yaml", mapping).unwrap(), None)
    }

    /// `predict` with this number of keys at the same time.
    pub fn predict_at_once(&self, concurrency: usize) -> predict::PredictFunction {
        let pipeline = Pipeline {
            budget: Budget {
                concurrency,
                ..Budget::default()
            },
            ..self.pipeline.clone()
        };
        pipeline.predict(Mapping::parse("mapping.yaml", MAPPING).unwrap(), None)
    }

    /// `predict`.
    pub fn predict(&self) -> predict::PredictFunction {
        self.predict_with(MAPPING)
    }

    /// `ingest`.
    pub fn ingest(&self) -> ingest::IngestFunction {
        self.pipeline
            .ingest(Mapping::parse("mapping.yaml", MAPPING).unwrap())
    }

    /// `label`.
    pub fn label(&self) -> label::LabelFunction {
        self.label_with(MAPPING)
    }

    /// `label` with a mapping.
    pub fn label_with(&self, mapping: &str) -> label::LabelFunction {
        self.pipeline
            .label(Mapping::parse("mapping.yaml", mapping).unwrap())
    }

    /// `forward`.
    pub fn forward(&self) -> ForwardFunction {
        ForwardFunction {
            event_bridge: self.pipeline.clients.eventbridge.clone(),
            bus: "fraudstream".into(),
            request_bytes: REQUEST_BYTES,
        }
    }

    /// The decisions on an order.
    pub async fn decisions(&self, order_id: &str) -> Vec<Decision> {
        let decisions = Pipeline::local(&self.clients).decisions();
        decisions
            .revisions(&"order".parse().unwrap(), &event::EventId::slug(order_id))
            .await
            .unwrap()
    }

    /// The event as the service stores it.
    pub async fn event(&self, order_id: &str) -> Option<aws_sdk_frauddetector::types::Event> {
        let get = self
            .clients
            .frauddetector
            .get_event()
            .event_id(event::EventId::slug(order_id).as_str());
        get.event_type_name("order")
            .send()
            .await
            .ok()
            .and_then(|answer| answer.event)
    }

    /// The keys under `rejected/`, each with its reason.
    pub fn rejected(&self) -> Vec<(String, String)> {
        let root = self.folder.path().join("s3").join(BUCKET).join("rejected");
        let mut found = Vec::new();
        walk(&root, &mut found);
        found.sort();
        found
            .into_iter()
            .map(|path| {
                let value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                let key = path.strip_prefix(&root).unwrap().display().to_string();
                (key, value["class"].as_str().unwrap().to_owned())
            })
            .collect()
    }

    /// The events on the bus.
    pub fn outcomes(&self) -> Vec<Value> {
        let text =
            std::fs::read_to_string(self.folder.path().join("outcomes.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The changes in the stream of the decisions table since the last call, as Lambda delivers them.
    pub fn stream(&self) -> Value {
        let images: Vec<Value> = self.inserts.lock().unwrap().drain(..).collect();
        let records: Vec<Value> = (1..).zip(images).map(|(n, image): (u32, _)| json!({
            "eventName": "INSERT", "eventSource": "aws:dynamodb", "eventSourceARN": "arn:aws:dynamodb:us-east-1:1:table/Decisions/stream/x",
            "dynamodb": {"SequenceNumber": n.to_string(), "NewImage": image},
        })).collect();
        json!({ "Records": records })
    }
}

fn walk(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
    }
}

/// Defines the sample detector with its rules.
async fn define(client: &aws_sdk_frauddetector::Client) {
    sample::define(client).await;
    for rule in sample::RULES {
        sample::create_rule(client, rule).await;
    }
    let rules = sample::RULES.map(|(rule_id, ..)| (rule_id, "1"));
    sample::activate(client, "1", &rules).await;
}

/// An order.
pub fn order(id: &str, total: &str) -> Value {
    json!({
        "order_id": id, "created_at": "2026-06-01T10:15:30Z", "total": total,
        "customer": {"id": "cust-42", "email": "jo@example.com"}, "items": [{"quantity": 1}],
    })
}

/// A Kinesis batch of payloads with partition keys; sequence numbers start at 1.
pub fn kinesis(records: &[(&str, &[u8])]) -> Value {
    let records: Vec<Value> = (1..).zip(records).map(|(n, (key, data)): (u64, _)| json!({
        "eventSource": "aws:kinesis", "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/orders",
        "kinesis": {"sequenceNumber": n.to_string(), "partitionKey": key, "data": BASE64.encode(data)},
    })).collect();
    json!({ "Records": records })
}

/// A Kinesis batch of orders, each with its own key.
pub fn orders(orders: &[Value]) -> Value {
    let payloads: Vec<(String, Vec<u8>)> = orders
        .iter()
        .map(|order| {
            (
                order["order_id"].to_string(),
                order.to_string().into_bytes(),
            )
        })
        .collect();
    let records: Vec<(&str, &[u8])> = payloads
        .iter()
        .map(|(key, data)| (key.as_str(), data.as_slice()))
        .collect();
    kinesis(&records)
}

/// An SQS batch with message ids from `m-1` on.
pub fn sqs(bodies: &[&Value]) -> Value {
    let records: Vec<Value> = (1..).zip(bodies).map(|(n, body): (u64, _)| json!({
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:1:queue", "messageId": format!("m-{n}"),
        "body": body.to_string(), "attributes": {},
    })).collect();
    json!({ "Records": records })
}

/// The time of every test.
pub fn now() -> InvocationContext {
    InvocationContext {
        now: event::Timestamp::parse("2026-07-01T00:00:00Z").unwrap(),
        deadline: None,
    }
}
