//! Exceptions: unknown names, bad labels, and tables that fail.

use aws_sdk_frauddetector::types::RuleExecutionMode::FirstMatched;
use bytes::Bytes;
use engine::{Engine, EngineOptions};
use local_aws::clients;
use local_aws::dynamodb::DynamoDb;
use local_aws::service::Service;
use std::sync::Arc;

use crate::world::{World, refusal};

#[tokio::test]
async fn unknown_names() {
    let world = World::with_detector().await;
    let client = &world.client;
    for refused in [
        refusal(client.get_labels().name("x").send().await),
        refusal(client.get_outcomes().name("x").send().await),
        refusal(client.get_entity_types().name("x").send().await),
        refusal(client.get_event_types().name("x").send().await),
        refusal(client.get_variables().name("x").send().await),
        refusal(client.update_variable().name("x").send().await),
        refusal(client.get_detectors().detector_id("x").send().await),
        refusal(client.describe_detector().detector_id("x").send().await),
        refusal(
            client
                .get_detector_version()
                .detector_id("x")
                .detector_version_id("1")
                .send()
                .await,
        ),
        refusal(
            world
                .prediction("1", &[("price", "1")])
                .detector_id("x")
                .send()
                .await,
        ),
        refusal(
            world
                .prediction("1", &[("price", "1")])
                .detector_version_id("9")
                .send()
                .await,
        ),
        refusal(
            world
                .event("1", &[("price", "1")])
                .event_type_name("x")
                .send()
                .await,
        ),
        refusal(
            client
                .get_event()
                .event_id("1")
                .event_type_name("x")
                .send()
                .await,
        ),
    ] {
        assert!(
            refused.starts_with("ResourceNotFoundException: "),
            "{refused}"
        );
    }
    let put = client
        .put_detector()
        .detector_id("d")
        .event_type_name("x")
        .send()
        .await;
    assert_eq!(
        refusal(put),
        "ValidationException: Event type 'x' does not exist."
    );
}

#[tokio::test]
async fn labels_that_do_not_fit() {
    let world = World::with_detector().await;
    let label = |event: &str, label: &str, time: &str| {
        let request = world
            .client
            .update_event_label()
            .event_id(event)
            .event_type_name("order");
        request.assigned_label(label).label_timestamp(time).send()
    };
    let time = "2026-06-29T08:00:00Z";
    assert_eq!(
        refusal(label("1", "fraud", time).await),
        "ResourceNotFoundException: Event '1' of event type 'order' does not exist."
    );
    world.event("1", &[("price", "1")]).send().await.unwrap();
    assert_eq!(
        refusal(label("1", "stolen", time).await),
        "ValidationException: Label 'stolen' is not included in event type 'order'."
    );
    assert!(refusal(label("1", "fraud", "some day soon").await).contains("'labelTimestamp'"));
    let alone = world
        .event("2", &[("price", "1")])
        .assigned_label("fraud")
        .send()
        .await;
    assert_eq!(
        refusal(alone),
        "ValidationException: An assignedLabel needs a labelTimestamp."
    );
    let alone = world
        .event("2", &[("price", "1")])
        .label_timestamp(time)
        .send()
        .await;
    assert_eq!(
        refusal(alone),
        "ValidationException: A labelTimestamp needs an assignedLabel."
    );
}

#[tokio::test]
async fn an_event_of_another_type_is_refused() {
    let world = World::deciding(&[("r", "$price > 1", "block")], FirstMatched).await;
    let refused = world
        .prediction("1", &[("price", "1")])
        .event_type_name("login")
        .send()
        .await;
    assert_eq!(
        refusal(refused),
        "ValidationException: Detector 'orders' decides on event type 'order', not on 'login'."
    );
}

#[tokio::test]
async fn tables_that_do_not_exist_are_our_fault() {
    let dynamodb =
        clients::connect_dynamodb(DynamoDb::in_memory().unwrap().service().http_client());
    let engine = Engine::new(EngineOptions::new("us-east-1", "123456789012"), dynamodb);
    let client = clients::connect_frauddetector(engine::http_client(Arc::new(engine)));
    let refused = refusal(client.get_labels().send().await);
    assert_eq!(
        refused,
        "InternalServerException: The engine's tables do not exist. Create them first."
    );
}

#[tokio::test]
async fn what_dynamodb_refuses_has_a_name() {
    for (code, want) in [
        (
            "ProvisionedThroughputExceededException",
            "ThrottlingException: Rate exceeded",
        ),
        ("ThrottlingException", "ThrottlingException: Rate exceeded"),
        (
            "AccessDeniedException",
            "AccessDeniedException: The engine may not use its tables.",
        ),
        (
            "InternalServerError",
            "InternalServerException: The engine could not complete",
        ),
    ] {
        let dynamodb = Service::new(move |_| async move {
            let body =
                format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"no"}}"#);
            let response = http::Response::builder()
                .status(400)
                .header("x-amzn-errortype", code);
            response.body(Bytes::from(body)).unwrap()
        });
        let dynamodb = clients::connect_dynamodb(dynamodb.http_client());
        let engine = Arc::new(Engine::new(
            EngineOptions::new("us-east-1", "123456789012"),
            dynamodb,
        ));
        let client = clients::connect_frauddetector(engine::http_client(engine));
        for refused in [
            refusal(client.get_labels().send().await),
            refusal(client.put_label().name("fraud").send().await),
            refusal(
                client
                    .get_event()
                    .event_id("1")
                    .event_type_name("order")
                    .send()
                    .await,
            ),
        ] {
            assert!(refused.starts_with(want), "{refused}");
        }
    }
}
