//! Deadlines: each handler answers in time for what it has done, and the rest is delivered again.

use std::time::{Duration, Instant};

use local_aws::fault::Fault;
use serde_json::{Value, json};
use shared::batch::InvocationContext;
use shared::decisions::DecisionWrites;

use crate::world::{World, now, order, orders, sqs};

/// An invocation context whose deadline is in `time`. Half of that time is for processing.
fn ends_in(time: Duration) -> InvocationContext {
    InvocationContext {
        deadline: Some(tokio::time::Instant::now() + time),
        ..now()
    }
}

const TIME: Duration = Duration::from_millis(1600);

fn failed(response: &Value) -> Vec<String> {
    let failures = response["batchItemFailures"].as_array().unwrap();
    let ids = failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// A batch of an SQS queue, in which each message has its own result.
fn bodies(bodies: &[Value]) -> Value {
    sqs(&bodies.iter().collect::<Vec<_>>())
}

fn some_orders() -> Vec<Value> {
    (0..20).map(|n| order(&format!("o-{n}"), "10")).collect()
}

/// Makes calls of one operation slow: the first `fast` calls pass, all others take longer than there is time.
fn slow_after(world: &World, operation: &str, fast: usize) {
    world.faults.inject(operation, Fault::Pass, fast);
    world
        .faults
        .inject(operation, Fault::Delay(Duration::from_mins(1)), 100);
}

#[tokio::test]
async fn predict_answers_for_what_it_has_decided() {
    for (operation, fast) in [("GetEventPrediction", 9), ("PutItem", 15)] {
        let mut world = World::new().await;
        world.pipeline.decision_writes = DecisionWrites::PutItem;
        slow_after(&world, operation, fast);
        let start = Instant::now();
        let answer = world
            .predict_at_once(1)
            .handle(bodies(&some_orders()), ends_in(TIME))
            .await
            .unwrap();
        assert!(start.elapsed() < TIME, "{operation}");
        let failed = failed(&serde_json::to_value(answer).unwrap());
        let mut decided = 0;
        for n in 0..20 {
            let is_decided = !world.decisions(&format!("o-{n}")).await.is_empty();
            decided += usize::from(is_decided);
            assert_eq!(
                !is_decided,
                failed.contains(&format!("m-{}", n + 1)),
                "{operation} o-{n}"
            );
        }
        assert!((1..20).contains(&decided), "{operation} {decided}");
        // The rest is delivered again, and nothing is decided twice.
        world.faults.clear();
        let answer = world
            .predict()
            .handle(bodies(&some_orders()), now())
            .await
            .unwrap();
        assert_eq!(failed_count(&answer), 0);
    }
}

fn failed_count(answer: &impl serde::Serialize) -> usize {
    failed(&serde_json::to_value(answer).unwrap()).len()
}

/// Copying labels to new decisions has its own part of the time, and the records whose labels were copied are done.
#[tokio::test]
async fn predict_answers_for_the_labels_it_has_carried() {
    let world = World::new().await;
    let labels: Vec<Value> = (0..20)
        .map(|n| {
            json!({"order_id": format!("o-{n}"), "kind": "chargeback", "reason_code": "10.4",
            "source": "processor", "label_timestamp": "2026-06-20T00:00:00Z"})
        })
        .collect();
    world.label().handle(bodies(&labels), now()).await.unwrap();
    slow_after(&world, "UpdateEventLabel", 5);
    let answer = world
        .predict()
        .handle(bodies(&some_orders()), ends_in(TIME))
        .await
        .unwrap();
    assert_eq!(failed_count(&answer), 15);
    world.faults.clear();
    let answer = world
        .predict()
        .handle(bodies(&some_orders()), now())
        .await
        .unwrap();
    assert_eq!(failed_count(&answer), 0);
    for n in 0..20 {
        let event = world.event(&format!("o-{n}")).await.unwrap();
        assert_eq!(event.current_label.as_deref(), Some("fraud"), "o-{n}");
    }
}

#[tokio::test]
async fn ingest_answers_for_what_it_has_stored() {
    let world = World::new().await;
    slow_after(&world, "SendEvent", 9);
    let start = Instant::now();
    let answer = world
        .ingest()
        .handle(bodies(&some_orders()), ends_in(TIME))
        .await
        .unwrap();
    assert!(start.elapsed() < TIME);
    assert_eq!(failed_count(&answer), 11);
}

#[tokio::test]
async fn label_answers_for_what_it_has_applied() {
    let world = World::new().await;
    world
        .predict()
        .handle(orders(&some_orders()), now())
        .await
        .unwrap();
    let labels: Vec<Value> = (0..20)
        .map(|n| {
            json!({"order_id": format!("o-{n}"), "kind": "chargeback", "reason_code": "10.4",
            "source": "processor", "label_timestamp": "2026-06-20T00:00:00Z"})
        })
        .collect();
    slow_after(&world, "UpdateEventLabel", 9);
    let start = Instant::now();
    let answer = world
        .label()
        .handle(bodies(&labels), ends_in(TIME))
        .await
        .unwrap();
    assert!(start.elapsed() < TIME);
    assert_eq!(failed_count(&answer), 11);
}

/// If the bucket answers too late, only the rejected records are delivered again.
#[tokio::test]
async fn what_cannot_be_parked_in_time_comes_again() {
    let world = World::new().await;
    let mut batch = bodies(&some_orders());
    for n in [3, 7] {
        batch["Records"][n]["body"] = json!("{not json");
    }
    slow_after(&world, "PutObject", 1);
    let start = Instant::now();
    let answer = world
        .predict()
        .handle(batch.clone(), ends_in(TIME))
        .await
        .unwrap();
    assert!(start.elapsed() < TIME);
    assert_eq!(failed_count(&answer), 1);
    world.faults.clear();
    world.predict().handle(batch, now()).await.unwrap();
    assert_eq!(world.rejected().len(), 2);
}

#[tokio::test]
async fn forward_answers_for_what_is_on_the_bus() {
    let world = World::new().await;
    world
        .predict()
        .handle(orders(&some_orders()), now())
        .await
        .unwrap();
    let stream = world.stream();
    // Two requests with ten entries each; the second is too slow.
    slow_after(&world, "PutEvents", 1);
    let start = Instant::now();
    let time = Duration::from_millis(2500);
    let answer = world
        .forward()
        .handle(stream.clone(), ends_in(time))
        .await
        .unwrap();
    assert!(start.elapsed() < time);
    let failed = failed(&serde_json::to_value(answer).unwrap());
    assert_eq!(failed, ["11"], "a stream names its lowest failure");
    world.faults.clear();
    world.forward().handle(stream, now()).await.unwrap();
    let ids: std::collections::BTreeSet<String> = world
        .outcomes()
        .iter()
        .map(|outcome| outcome["detail"]["decision_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 20);
}

/// The table does not answer when earlier decisions are read: nothing is decided, and rejected records are parked.
#[tokio::test]
async fn predict_answers_when_it_cannot_read_what_is_decided() {
    let world = World::new().await;
    let mut batch = bodies(&some_orders());
    batch["Records"][4]["body"] = json!("{not json");
    slow_after(&world, "BatchGetItem", 0);
    let start = Instant::now();
    let answer = world.predict().handle(batch, ends_in(TIME)).await.unwrap();
    assert!(start.elapsed() < TIME);
    assert_eq!(failed_count(&answer), 19);
    assert_eq!(world.rejected().len(), 1);
}

/// A checkout that waits for its decision is told in time that there is none yet.
#[tokio::test]
async fn a_direct_invocation_answers_before_its_deadline() {
    for operation in ["BatchGetItem", "GetEventPrediction", "PutItem"] {
        let world = World::new().await;
        slow_after(&world, operation, 0);
        let start = Instant::now();
        let predict = world.predict();
        let answer = predict.handle(order("o-1", "10"), ends_in(TIME)).await;
        let error = answer.unwrap_err();
        assert!(start.elapsed() < TIME, "{operation}");
        let told = "the order was not decided: retry: not reached";
        assert_eq!(error.to_string(), told, "{operation}");
    }
}
