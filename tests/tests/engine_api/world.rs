//! An engine with empty tables, a client for it, and a small detector.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_frauddetector::operation::get_event_prediction::GetEventPredictionOutput;
use aws_sdk_frauddetector::operation::get_event_prediction::builders::GetEventPredictionFluentBuilder;
use aws_sdk_frauddetector::operation::send_event::builders::SendEventFluentBuilder;
use aws_sdk_frauddetector::types::{
    DataSource, DataType, DetectorVersionStatus, Entity, Language, Rule, RuleExecutionMode,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use engine::{Engine, EngineOptions};
use local_aws::{clients, dynamodb::DynamoDb, fault::Faults, s3::S3};
use serde_json::Value;
use tempfile::TempDir;

/// 2026-06-01T10:15:30Z, in milliseconds.
pub(crate) const START: i64 = 1_780_308_930_000;
pub(crate) const EVENT_TIME: &str = "2026-06-01T10:15:30Z";

pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) client: Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) options: EngineOptions,
    connector: SharedHttpClient,
    clock: Arc<AtomicI64>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut EngineOptions)) -> Self {
        Self::built(change, |engine| engine).await
    }

    /// An engine with more clients than that of its tables.
    pub(crate) async fn built(
        change: impl FnOnce(&mut EngineOptions),
        build: impl FnOnce(Engine) -> Engine,
    ) -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let time = Arc::clone(&clock);
        let mut options = EngineOptions::new("us-east-1", "123456789012");
        options.clock = Arc::new(move || {
            jiff::Timestamp::from_millisecond(time.load(Ordering::Relaxed)).unwrap()
        });
        change(&mut options);
        let connector = DynamoDb::in_memory().unwrap().service().http_client();
        let dynamodb = clients::connect_dynamodb(connector.clone());
        let engine = Arc::new(build(Engine::new(options.clone(), dynamodb.clone())));
        engine.create_tables().await.unwrap();
        let client = clients::connect_frauddetector(engine::http_client(Arc::clone(&engine)));
        Self {
            engine,
            client,
            dynamodb,
            options,
            connector,
            clock,
        }
    }

    /// A detector whose variables have these types, in a world where models can be trained: with a bucket `files`,
    /// which is a folder of that name in the returned folder.
    pub(crate) async fn training(types: [(&str, &str); 2]) -> (Self, aws_sdk_s3::Client, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let s3 = S3::open(folder.path()).unwrap();
        s3.create_bucket("files").unwrap();
        let s3 = clients::connect_s3(s3.service().http_client());
        let of_engine = s3.clone();
        let world = Self::built(|_| {}, |engine| engine.with_bucket(of_engine, "files")).await;
        world.detector().await;
        for (name, variable_type) in types {
            let update = world.client.update_variable().name(name);
            update.variable_type(variable_type).send().await.unwrap();
        }
        (world, s3, folder)
    }

    /// A client of another process on the same tables.
    pub(crate) fn another(&self) -> Client {
        self.another_with(|engine| engine)
    }

    pub(crate) fn another_with(&self, build: impl FnOnce(Engine) -> Engine) -> Client {
        self.another_over(self.dynamodb.clone(), build)
    }

    /// A client of another process, whose calls of the tables have these faults.
    pub(crate) fn another_through(&self, faults: &Faults) -> Client {
        clients::connect_frauddetector(engine::http_client(self.engine_through(faults)))
    }

    /// The engine of such a process.
    pub(crate) fn engine_through(&self, faults: &Faults) -> Arc<Engine> {
        let dynamodb = clients::connect_dynamodb(faults.wrap(self.connector.clone()));
        self.engine_over(dynamodb, |engine| engine)
    }

    fn another_over(
        &self,
        dynamodb: aws_sdk_dynamodb::Client,
        build: impl FnOnce(Engine) -> Engine,
    ) -> Client {
        clients::connect_frauddetector(engine::http_client(self.engine_over(dynamodb, build)))
    }

    fn engine_over(
        &self,
        dynamodb: aws_sdk_dynamodb::Client,
        build: impl FnOnce(Engine) -> Engine,
    ) -> Arc<Engine> {
        let mut options = self.options.clone();
        options.freshness = Duration::ZERO;
        Arc::new(build(Engine::new(options, dynamodb)))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock
            .fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub(crate) async fn variable(&self, name: &str, data_type: DataType, default: &str) {
        let request = self
            .client
            .create_variable()
            .name(name)
            .data_type(data_type);
        let request = request
            .data_source(DataSource::Event)
            .default_value(default);
        request.send().await.unwrap();
    }

    /// Event type `order` with its variables, entity type and labels; outcomes; detector `orders`.
    pub(crate) async fn with_detector() -> Self {
        let world = Self::new().await;
        world.detector().await;
        world
    }

    pub(crate) async fn detector(&self) {
        let client = &self.client;
        self.variable("price", DataType::Float, "0.0").await;
        self.variable("country", DataType::String, "").await;
        self.variable("items", DataType::Integer, "1").await;
        self.variable("member", DataType::Boolean, "false").await;
        self.variable("since", DataType::Datetime, "").await;
        client
            .put_entity_type()
            .name("customer")
            .send()
            .await
            .unwrap();
        for label in ["fraud", "legit"] {
            client.put_label().name(label).send().await.unwrap();
        }
        for outcome in ["block", "review", "approve"] {
            client.put_outcome().name(outcome).send().await.unwrap();
        }
        let mut request = client
            .put_event_type()
            .name("order")
            .entity_types("customer");
        for variable in ["price", "country", "items", "member", "since"] {
            request = request.event_variables(variable);
        }
        request
            .labels("fraud")
            .labels("legit")
            .send()
            .await
            .unwrap();
        client
            .put_detector()
            .detector_id("orders")
            .event_type_name("order")
            .send()
            .await
            .unwrap();
    }

    pub(crate) async fn rule(&self, id: &str, expression: &str, outcome: &str) -> Rule {
        let request = self.client.create_rule().detector_id("orders").rule_id(id);
        let request = request
            .expression(expression)
            .language(Language::Detectorpl)
            .outcomes(outcome);
        request.send().await.unwrap().rule.unwrap()
    }

    pub(crate) async fn version(&self, rules: Vec<Rule>, mode: RuleExecutionMode) -> String {
        let request = self.client.create_detector_version().detector_id("orders");
        let request = request.set_rules(Some(rules)).rule_execution_mode(mode);
        request.send().await.unwrap().detector_version_id.unwrap()
    }

    pub(crate) async fn status(&self, version: &str, status: DetectorVersionStatus) {
        let request = self
            .client
            .update_detector_version_status()
            .detector_id("orders");
        request
            .detector_version_id(version)
            .status(status)
            .send()
            .await
            .unwrap();
    }

    /// A world with a detector whose ACTIVE version has these rules.
    pub(crate) async fn deciding(rules: &[(&str, &str, &str)], mode: RuleExecutionMode) -> Self {
        let world = Self::with_detector().await;
        let mut references = Vec::new();
        for (id, expression, outcome) in rules {
            references.push(world.rule(id, expression, outcome).await);
        }
        let version = world.version(references, mode).await;
        world.status(&version, DetectorVersionStatus::Active).await;
        world
    }

    /// Deletes the detector of [`World::deciding`].
    pub(crate) async fn delete_detector(&self, rules: &[&str]) {
        self.status("1", DetectorVersionStatus::Inactive).await;
        let version = self.client.delete_detector_version().detector_id("orders");
        version.detector_version_id("1").send().await.unwrap();
        for rule in rules {
            let rule = Rule::builder().detector_id("orders").rule_id(*rule);
            let delete = self.client.delete_rule();
            let delete = delete.rule(rule.rule_version("1").build().unwrap());
            delete.send().await.unwrap();
        }
        let detector = self.client.delete_detector().detector_id("orders");
        detector.send().await.unwrap();
    }

    pub(crate) fn prediction(
        &self,
        event_id: &str,
        variables: &[(&str, &str)],
    ) -> GetEventPredictionFluentBuilder {
        let mut request = self.client.get_event_prediction().detector_id("orders");
        for (name, value) in variables {
            request = request.event_variables(*name, *value);
        }
        request
            .event_id(event_id)
            .event_type_name("order")
            .event_timestamp(EVENT_TIME)
            .entities(customer())
    }

    pub(crate) async fn predict(
        &self,
        event_id: &str,
        variables: &[(&str, &str)],
    ) -> GetEventPredictionOutput {
        self.prediction(event_id, variables).send().await.unwrap()
    }

    pub(crate) fn event(
        &self,
        event_id: &str,
        variables: &[(&str, &str)],
    ) -> SendEventFluentBuilder {
        let mut request = self
            .client
            .send_event()
            .event_id(event_id)
            .event_type_name("order");
        for (name, value) in variables {
            request = request.event_variables(*name, *value);
        }
        request.event_timestamp(EVENT_TIME).entities(customer())
    }

    /// Sends a raw body, for requests that no client would send.
    pub(crate) async fn raw(&self, operation: &str, body: &str) -> http::Response<Bytes> {
        let request = http::Request::post("/")
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "x-amz-target",
                format!("{}{operation}", engine::TARGET_PREFIX),
            )
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap();
        self.engine.handle(request).await
    }
}

pub(crate) fn customer() -> Entity {
    Entity::builder()
        .entity_type("customer")
        .entity_id("cust-42")
        .build()
        .unwrap()
}

/// The rules that matched, with their outcomes: `large: block, foreign: review`.
pub(crate) fn matches(output: &GetEventPredictionOutput) -> String {
    let results = output.rule_results().iter().map(|result| {
        format!(
            "{}: {}",
            result.rule_id().unwrap(),
            result.outcomes().join(" ")
        )
    });
    results.collect::<Vec<_>>().join(", ")
}

pub(crate) fn json(response: &http::Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// `Code: message` of a call that must fail.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> String {
    let error = result.expect_err("the call should have failed");
    format!(
        "{}: {}",
        error.code().unwrap_or("?"),
        error.message().unwrap_or("?")
    )
}
