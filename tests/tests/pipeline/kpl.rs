//! Aggregates of the Kinesis Producer Library: many orders with one sequence number, which Lambda delivers again
//! together.

use local_aws::fault::Fault;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use crate::world::{World, kinesis, now, order};

/// An aggregate of orders, each with its own partition key.
fn aggregate(orders: &[Value]) -> Vec<u8> {
    let mut message = Vec::new();
    for order in orders {
        message.extend(field(1, order["order_id"].as_str().unwrap().as_bytes()));
    }
    for (index, order) in (0..).zip(orders) {
        // Field 1 is the index of the key, field 3 the data.
        let mut record = vec![1 << 3, index];
        record.extend(field(3, order.to_string().as_bytes()));
        message.extend(field(3, &record));
    }
    let digest = Md5::digest(&message);
    [&[0xf3, 0x89, 0x9a, 0xc2], &message[..], digest.as_slice()].concat()
}

/// A protobuf field of bytes: fewer than 16384 of them.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    if bytes.len() >= 0x80 {
        field.push(u8::try_from(bytes.len() & 0x7f).unwrap() | 0x80);
        field.push(u8::try_from(bytes.len() >> 7).unwrap());
    } else {
        field.push(u8::try_from(bytes.len()).unwrap());
    }
    field.extend_from_slice(bytes);
    field
}

fn poison(id: &str) -> Value {
    let mut order = order(id, "10");
    order["created_at"] = json!("yesterday");
    order
}

/// The records of a batch from a sequence number on.
fn from(batch: &Value, first: usize) -> Value {
    json!({ "Records": batch["Records"].as_array().unwrap()[first - 1..] })
}

/// Predicts one order after the other. Returns which records are to be delivered again.
async fn deliver(world: &World, batch: &Value) -> Value {
    let answer = world.predict_at_once(1).handle(batch.clone(), now()).await;
    serde_json::to_value(answer.unwrap()).unwrap()["batchItemFailures"].take()
}

/// Makes the call of `GetEventPrediction` after `others` successful ones fail.
fn fail_after(world: &World, others: usize) {
    let faults = &world.faults;
    faults.inject("GetEventPrediction", Fault::Pass, others);
    faults.inject("GetEventPrediction", Fault::Throttle, 1);
}

async fn is_decided_once(world: &World, ids: &[&str]) {
    for id in ids {
        assert_eq!(world.decisions(id).await.len(), 1, "{id}");
    }
}

fn parked(world: &World) -> Vec<String> {
    world.rejected().into_iter().map(|(key, _)| key).collect()
}

#[tokio::test]
async fn one_order_of_an_aggregate_that_fails_brings_it_again_and_decides_none_twice() {
    let world = World::new().await;
    let data = [
        order("o-1", "10").to_string().into_bytes(),
        aggregate(&[
            order("a-0", "10"),
            poison("a-1"),
            order("a-2", "10"),
            order("a-3", "10"),
        ]),
        poison("o-3").to_string().into_bytes(),
        order("o-4", "10").to_string().into_bytes(),
    ];
    let keys = ["k-1", "k-2", "k-3", "k-4"];
    let records: Vec<(&str, &[u8])> = keys
        .into_iter()
        .zip(data.iter().map(Vec::as_slice))
        .collect();
    let batch = kinesis(&records);

    // o-1 and a-0 are decided, a-2 is not; later orders with other keys are decided.
    fail_after(&world, 2);
    let failures = deliver(&world, &batch).await;
    assert_eq!(failures, json!([{"itemIdentifier": "2"}]));
    is_decided_once(&world, &["o-1", "a-0", "a-3", "o-4"]).await;
    assert!(world.decisions("a-2").await.is_empty());
    assert_eq!(world.faults.count_calls("GetEventPrediction"), 5);
    // Both rejected orders are delivered again, so neither is parked.
    assert_eq!(parked(&world), [""; 0]);

    let failures = deliver(&world, &from(&batch, 2)).await;
    assert_eq!(failures, json!([]));
    is_decided_once(&world, &["o-1", "a-0", "a-2", "a-3", "o-4"]).await;
    // Only the order that failed was predicted again.
    assert_eq!(world.faults.count_calls("GetEventPrediction"), 6);
    let want = ["predict/orders/2.1.json", "predict/orders/3.json"];
    assert_eq!(parked(&world), want);
    assert_eq!(world.faults.count_calls("PutObject"), 2);
    world.forward().handle(world.stream(), now()).await.unwrap();
    assert_eq!(world.outcomes().len(), 5);
}

#[tokio::test]
async fn a_rejected_order_of_an_aggregate_is_parked_once_it_lies_below_the_checkpoint() {
    let world = World::new().await;
    let data = [
        aggregate(&[order("a-0", "10"), poison("a-1")]),
        aggregate(&[poison("b-0"), order("b-1", "10"), poison("b-2")]),
    ];
    let batch = kinesis(&[("k-1", &data[0]), ("k-2", &data[1])]);

    fail_after(&world, 1);
    let failures = deliver(&world, &batch).await;
    assert_eq!(failures, json!([{"itemIdentifier": "2"}]));
    assert_eq!(parked(&world), ["predict/orders/1.1.json"]);

    let failures = deliver(&world, &from(&batch, 2)).await;
    assert_eq!(failures, json!([]));
    let want = [
        "predict/orders/1.1.json",
        "predict/orders/2.2.json",
        "predict/orders/2.json",
    ];
    assert_eq!(parked(&world), want);
    assert_eq!(world.faults.count_calls("PutObject"), 3);
    is_decided_once(&world, &["a-0", "b-1"]).await;
}
