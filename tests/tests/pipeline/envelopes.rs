//! Records with several orders and messages that are no orders: from delivery to decision, rejection and answer.

use local_aws::fault::Fault;
use serde_json::{Value, json};

use crate::world::{MAPPING, World, kinesis, now, order, sqs};

fn poison(id: &str) -> Value {
    let mut order = order(id, "10");
    order["created_at"] = json!("yesterday");
    order
}

/// Which records are to be delivered again.
async fn again(world: &World, batch: Value) -> Value {
    let answer = world.predict().handle(batch, now()).await.unwrap();
    serde_json::to_value(answer).unwrap()["batchItemFailures"].take()
}

fn rejected(world: &World) -> Vec<String> {
    let rejected = world.rejected().into_iter();
    rejected
        .map(|(key, class)| format!("{key} {class}"))
        .collect()
}

async fn is_decided(world: &World, ids: &[&str]) {
    for id in ids {
        assert_eq!(world.decisions(id).await.len(), 1, "{id}");
    }
}

#[tokio::test]
async fn each_order_of_a_message_is_decided_or_rejected_by_itself() {
    let world = World::new().await;
    let list = json!([order("o-1", "10"), poison("o-2"), order("o-3", "10")]);
    let notification = json!({
        "Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:t",
        "Message": json!([order("o-4", "10"), 7]).to_string(),
    });
    assert_eq!(again(&world, sqs(&[&list, &notification])).await, json!([]));
    is_decided(&world, &["o-1", "o-3", "o-4"]).await;
    assert_eq!(
        rejected(&world),
        [
            "predict/queue/m-1/2.json bad-timestamp",
            "predict/queue/m-2/2.json not-an-object"
        ]
    );
    let decision = world.decisions("o-3").await.remove(0);
    assert_eq!(decision.position.unwrap().to_string(), "queue/m-1/3");
}

#[tokio::test]
async fn json_lines_of_a_stream_are_orders() {
    let world = World::new().await;
    let lines = format!("{}\n{}\n", order("o-1", "10"), order("o-2", "10"));
    let batch = kinesis(&[("k", lines.as_bytes()), ("l", b"{\"order_id\":\n")]);
    assert_eq!(again(&world, batch).await, json!([]));
    is_decided(&world, &["o-1", "o-2"]).await;
    assert_eq!(rejected(&world), ["predict/orders/2.json not-json"]);
}

#[tokio::test]
async fn a_message_with_an_order_that_fails_is_named_once_and_decides_none_twice() {
    let world = World::new().await;
    let all: Vec<Value> = (0..4).map(|n| order(&format!("o-{n}"), "10")).collect();
    let batch = sqs(&[&json!(all), &order("o-9", "10")]);
    world
        .faults
        .inject("GetEventPrediction", Fault::Throttle, 2);
    let failed = json!([{"itemIdentifier": "m-1"}]);
    let predict = world.predict_at_once(1);
    let answer = predict.handle(batch.clone(), now()).await.unwrap();
    assert_eq!(
        serde_json::to_value(answer).unwrap()["batchItemFailures"],
        failed
    );
    assert_eq!(again(&world, batch).await, json!([]));
    is_decided(&world, &["o-0", "o-1", "o-2", "o-3", "o-9"]).await;
    // Five orders, and the two calls that failed.
    assert_eq!(world.faults.count_calls("GetEventPrediction"), 7);
}

#[tokio::test]
async fn a_direct_invocation_opens_what_a_queue_opens() {
    let world = World::new().await;
    let ask = async |event: Value| {
        let answer = world.predict().handle(event, now()).await.unwrap();
        serde_json::to_value(answer).unwrap()
    };
    let event = json!({"detail-type": "Order", "source": "shop", "detail": order("o-1", "10")});
    assert_eq!(ask(event).await["order_id"], "o-1");
    let several = ask(json!([
        order("o-2", "10"),
        poison("o-3"),
        order("o-4", "10")
    ]))
    .await;
    assert_eq!(several[0]["order_id"], "o-2");
    assert_eq!(several[1], json!({"error": "rejected: bad-timestamp"}));
    assert_eq!(several[2]["order_id"], "o-4");
    is_decided(&world, &["o-1", "o-2", "o-4"]).await;
}

#[tokio::test]
async fn what_the_mapping_skips_is_neither_decided_nor_rejected() {
    let world = World::new().await;
    let mapping = format!("skip_when: {{/topic: products/update}}\n{MAPPING}");
    let predict = world.predict_with(&mapping);
    let product = json!({"topic": "products/update", "id": 7});
    let batch = sqs(&[
        &product,
        &order("o-1", "10"),
        &json!([product, order("o-2", "10")]),
    ]);
    let handled = predict.handle(batch, now()).await.unwrap();
    assert_eq!(
        serde_json::to_value(handled).unwrap(),
        json!({"batchItemFailures": []})
    );
    is_decided(&world, &["o-1", "o-2"]).await;
    assert_eq!(rejected(&world), Vec::<String>::new());
    let answer = predict.handle(product, now()).await.unwrap();
    assert_eq!(
        serde_json::to_value(answer).unwrap(),
        json!({"skipped": true})
    );
}
