//! Predictions as events on an event bus.

use std::sync::Arc;

use aws_sdk_frauddetector::types::RuleExecutionMode::FirstMatched;
use aws_sdk_frauddetector::types::{DataType, EventOrchestration};
use engine::Engine;
use local_aws::clients;
use local_aws::event_bus::EventBus;
use local_aws::fault::{Fault, Faults};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{World, matches};

/// A world whose engine publishes on a bus, and the faults in between.
async fn telling(enabled: bool, source: &str) -> (World, TempDir, Faults) {
    let mut world = World::deciding(&[("large", "$price > 100", "block")], FirstMatched).await;
    let put = world.client.put_event_type().name("order");
    let put = put.entity_types("customer").event_variables("price");
    let put = put
        .event_variables("country")
        .labels("fraud")
        .labels("legit");
    let bridge = EventOrchestration::builder().event_bridge_enabled(enabled);
    let put = put.event_orchestration(bridge.build().unwrap());
    put.send().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let bus = EventBus::open(&folder.path().join("outcomes.jsonl")).unwrap();
    let faults = Faults::new();
    let client = clients::connect_eventbridge(faults.wrap(bus.for_aws().service().http_client()));
    source.clone_into(&mut world.options.event_source);
    let engine = Engine::new(world.options.clone(), world.dynamodb.clone());
    world.engine = Arc::new(engine.with_event_bridge(client, "fraudstream"));
    world.client = clients::connect_frauddetector(engine::http_client(Arc::clone(&world.engine)));
    (world, folder, faults)
}

async fn events(world: &World, folder: &TempDir) -> Vec<Value> {
    world.engine.flush().await.unwrap();
    let text = std::fs::read_to_string(folder.path().join("outcomes.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_prediction_is_told() {
    let (world, folder, _) = telling(true, "aws.frauddetector").await;
    world.predict("e-1", &[("price", "250")]).await;
    let events = events(&world, &folder).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["source"], "aws.frauddetector");
    assert_eq!(events[0]["detail-type"], "Event Prediction Result Returned");
    let want = json!({
        "eventId": "e-1",
        "eventTypeName": "order",
        "eventTimestamp": "2026-06-01T10:15:30Z",
        "entities": [{"entityType": "customer", "entityId": "cust-42"}],
        "eventVariables": {"price": "250"},
        "detectorId": "orders",
        "detectorVersionId": "1",
        "predictionTimestamp": "2026-06-01T10:15:30.000Z",
        "modelScores": [],
        "ruleResults": [{"ruleId": "large", "outcomes": ["block"]}],
        "externalModelOutputs": [],
    });
    assert_eq!(events[0]["detail"], want);
}

#[tokio::test]
async fn many_predictions_go_in_tens() {
    let (world, folder, faults) = telling(true, "shop").await;
    for number in 0..25 {
        world
            .predict(&format!("e-{number}"), &[("price", "1")])
            .await;
    }
    assert_eq!(events(&world, &folder).await.len(), 25);
    assert_eq!(faults.count_calls("PutEvents"), 3);
}

#[tokio::test]
async fn large_predictions_do_not_share_a_request() {
    let (world, folder, faults) = telling(true, "shop").await;
    let put = world.client.put_event_type().name("order");
    let mut put = put.entity_types("customer").event_variables("price");
    let names: Vec<String> = (0..8).map(|number| format!("text_{number}")).collect();
    for name in &names {
        world.variable(name, DataType::String, "").await;
        put = put.event_variables(name);
    }
    put.send().await.unwrap();
    let long = "x".repeat(8192);
    let variables: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), &*long)).collect();
    for number in 0..8 {
        world.predict(&format!("e-{number}"), &variables).await;
    }
    // Four events of 64 KB are too large for one request.
    assert_eq!(events(&world, &folder).await.len(), 8);
    assert_eq!(faults.count_calls("PutEvents"), 3);
}

#[tokio::test]
async fn an_event_type_that_does_not_ask_is_not_told_of() {
    let (world, folder, faults) = telling(false, "shop").await;
    world.predict("e-1", &[("price", "250")]).await;
    assert!(events(&world, &folder).await.is_empty());
    assert_eq!(faults.count_calls("PutEvents"), 0);
}

#[tokio::test]
async fn a_bus_that_fails_fails_no_prediction() {
    let (world, folder, faults) = telling(true, "shop").await;
    faults.inject("PutEvents", Fault::Internal, 1);
    for number in 0..10 {
        let output = world
            .predict(&format!("e-{number}"), &[("price", "250")])
            .await;
        assert_eq!(matches(&output), "large: block");
    }
    world.predict("e-10", &[("price", "250")]).await;
    assert_eq!(events(&world, &folder).await.len(), 1);
}
