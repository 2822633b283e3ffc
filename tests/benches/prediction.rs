//! `GetEventPrediction` with 20 rules through Amazon's client, in process.
//!
//! The store is excluded: its `PutItem` is answered with `{}`. The cost of such an empty call of the DynamoDB client is
//! still part of the result, so it is measured in the same run.

#![allow(clippy::unwrap_used, reason = "what cannot go on should stop")]
#![allow(missing_docs, reason = "criterion's macros make functions without")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_frauddetector::types::{
    DataSource, DataType, DetectorVersionStatus, Entity, Language, Rule, RuleExecutionMode,
};
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use engine::{Engine, EngineOptions};
use local_aws::clients;
use local_aws::dynamodb::DynamoDb;
use local_aws::service::Service;

struct World {
    fraud: aws_sdk_frauddetector::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    engine: Arc<Engine>,
}

async fn world() -> World {
    let nothing = Arc::new(AtomicBool::new(false));
    let (inner, stub) = (
        DynamoDb::in_memory().unwrap().service(),
        Arc::clone(&nothing),
    );
    let service = Service::new(move |request: http::Request<Bytes>| {
        let target = request
            .headers()
            .get("x-amz-target")
            .and_then(|t| t.to_str().ok())
            .unwrap_or_default();
        let excluded = stub.load(Ordering::Relaxed) && target.ends_with("PutItem");
        let call = (!excluded).then(|| inner.call(request));
        async move {
            match call {
                Some(call) => call.await,
                None => http::Response::new(Bytes::from_static(b"{}")),
            }
        }
    });
    let dynamodb = clients::connect_dynamodb(service.http_client());
    let engine = Arc::new(Engine::new(
        EngineOptions::new("us-east-1", "123456789012"),
        dynamodb.clone(),
    ));
    engine.create_tables().await.unwrap();
    let fraud = clients::connect_frauddetector(engine::http_client(Arc::clone(&engine)));
    define(&fraud).await;
    nothing.store(true, Ordering::Relaxed);
    World {
        fraud,
        dynamodb,
        engine,
    }
}

async fn define(client: &aws_sdk_frauddetector::Client) {
    client
        .put_entity_type()
        .name("customer")
        .send()
        .await
        .unwrap();
    client.put_outcome().name("review").send().await.unwrap();
    client.put_label().name("fraud").send().await.unwrap();
    client.put_label().name("legit").send().await.unwrap();
    let mut event_type = client
        .put_event_type()
        .name("order")
        .entity_types("customer")
        .labels("fraud")
        .labels("legit");
    for (name, data_type, default) in VARIABLES {
        let create = client
            .create_variable()
            .name(name)
            .data_type(data_type)
            .data_source(DataSource::Event);
        create.default_value(default).send().await.unwrap();
        event_type = event_type.event_variables(name);
    }
    event_type.send().await.unwrap();
    client
        .put_detector()
        .detector_id("orders")
        .event_type_name("order")
        .send()
        .await
        .unwrap();
    let mut version = client
        .create_detector_version()
        .detector_id("orders")
        .rule_execution_mode(RuleExecutionMode::AllMatched);
    for n in 0..20 {
        let expression = format!(
            "$price > {} and $country in [\"US\", \"CA\", \"GB\"] and $items < {} and $email != \"x{n}@example.com\"",
            n * 10,
            n + 2
        );
        let create = client
            .create_rule()
            .rule_id(format!("rule_{n}"))
            .detector_id("orders")
            .expression(expression);
        create
            .language(Language::Detectorpl)
            .outcomes("review")
            .send()
            .await
            .unwrap();
        version = version.rules(
            Rule::builder()
                .detector_id("orders")
                .rule_id(format!("rule_{n}"))
                .rule_version("1")
                .build()
                .unwrap(),
        );
    }
    version.send().await.unwrap();
    let activate = client
        .update_detector_version_status()
        .detector_id("orders")
        .detector_version_id("1");
    activate
        .status(DetectorVersionStatus::Active)
        .send()
        .await
        .unwrap();
}

const VARIABLES: [(&str, DataType, &str); 4] = [
    ("price", DataType::Float, "0.0"),
    ("country", DataType::String, ""),
    ("items", DataType::Integer, "1"),
    ("email", DataType::String, ""),
];

const BODY: &[u8] = br#"{"detectorId":"orders","eventId":"e-1","eventTypeName":"order","eventTimestamp":"2026-06-01T10:15:30Z","entities":[{"entityType":"customer","entityId":"c-1"}],"eventVariables":{"price":"129.99","country":"US","items":"1","email":"jo@example.com"}}"#;

fn prediction(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(world());
    let entity = Entity::builder()
        .entity_type("customer")
        .entity_id("c-1")
        .build()
        .unwrap();
    criterion.bench_function(
        "GetEventPrediction, 20 rules, client in process, store excluded",
        |b| {
            b.iter(|| {
                let call = world
                    .fraud
                    .get_event_prediction()
                    .detector_id("orders")
                    .event_id("e-1")
                    .event_type_name("order");
                let call = call
                    .event_timestamp("2026-06-01T10:15:30Z")
                    .entities(entity.clone());
                let call = call
                    .event_variables("price", "129.99")
                    .event_variables("country", "US");
                let call = call
                    .event_variables("items", "1")
                    .event_variables("email", "jo@example.com");
                runtime.block_on(call.send()).unwrap()
            });
        },
    );
    criterion.bench_function(
        "the same from the request's bytes to the response's, store excluded",
        |b| {
            b.iter(|| {
                let request =
                    http::Request::post("/").header("content-type", "application/x-amz-json-1.1");
                let request = request.header(
                    "x-amz-target",
                    "AWSHawksNestServiceFacade.GetEventPrediction",
                );
                let response = runtime.block_on(
                    world
                        .engine
                        .handle(request.body(Bytes::from_static(BODY)).unwrap()),
                );
                assert!(response.status().is_success());
                response
            });
        },
    );
    criterion.bench_function(
        "an empty PutItem of the DynamoDB client, contained in both",
        |b| {
            b.iter(|| {
                let put = world.dynamodb.put_item().table_name("Events");
                let item = [
                    ("pk", "order#e-1"),
                    ("sk", "p"),
                    ("event", std::str::from_utf8(BODY).unwrap()),
                ];
                let put = item.into_iter().fold(put, |put, (name, value)| {
                    put.item(
                        name,
                        aws_sdk_dynamodb::types::AttributeValue::S(value.to_owned()),
                    )
                });
                runtime.block_on(put.send()).unwrap()
            });
        },
    );
}

criterion_group!(benches, prediction);
criterion_main!(benches);
