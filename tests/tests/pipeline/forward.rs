//! From the stream of decisions to the event bus.

use http::StatusCode;
use local_aws::fault::Fault;
use serde_json::{Value, json};

use crate::world::{World, now, order, orders};

async fn decided(world: &World, count: usize) -> Value {
    let batch: Vec<Value> = (0..count).map(|n| order(&format!("o-{n}"), "10")).collect();
    world.predict().handle(orders(&batch), now()).await.unwrap();
    world.stream()
}

#[tokio::test]
async fn only_inserts_of_decisions_go_out() {
    let world = World::new().await;
    let mut stream = decided(&world, 3).await;
    stream["Records"][0]["eventName"] = json!("MODIFY");
    stream["Records"][1]["dynamodb"]["NewImage"]["kind"]["S"] = json!("waiting");
    let response = world.forward().handle(stream, now()).await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(world.outcomes().len(), 1);
}

#[tokio::test]
async fn decisions_go_out_in_tens_and_only_failed_entries_again() {
    let world = World::new().await;
    let stream = decided(&world, 25).await;
    // The first answer: entries 0 and 3 of ten failed. The fault answers without publishing any.
    let entries: Vec<Value> = (0..10)
        .map(|n| {
            if n == 0 || n == 3 {
                json!({"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"})
            } else {
                json!({"EventId": n.to_string()})
            }
        })
        .collect();
    let answer = json!({"FailedEntryCount": 2, "Entries": entries}).to_string();
    world
        .faults
        .inject("PutEvents", Fault::Answer(StatusCode::OK, answer), 1);
    let response = world.forward().handle(stream, now()).await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    // 10 entries (2 of them again), 2, 10, 5.
    assert_eq!(world.faults.count_calls("PutEvents"), 4);
    assert_eq!(
        world.outcomes().len(),
        17,
        "the eight that the fault swallowed were said to be out"
    );
}

#[tokio::test]
async fn a_bus_that_is_down_is_asked_again_from_the_lowest_failure() {
    let world = World::new().await;
    let stream = decided(&world, 12).await;
    world.faults.inject("PutEvents", Fault::Pass, 1);
    world.faults.inject("PutEvents", Fault::Internal, 1);
    let response = world.forward().handle(stream.clone(), now()).await.unwrap();
    let lowest: Vec<&str> = response
        .batch_item_failures
        .iter()
        .map(|item| item.item_identifier.as_str())
        .collect();
    assert_eq!(lowest, ["11"]);
    world.faults.inject("PutEvents", Fault::Drop, 2);
    assert!(world.forward().handle(stream, now()).await.is_err());
}
