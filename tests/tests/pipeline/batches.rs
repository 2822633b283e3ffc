//! Failures, redelivery and order: a driver delivers batches as Lambda does, depending on our answers.

use std::time::{Duration, Instant};

use local_aws::fault::Fault;
use serde_json::{Value, json};
use shared::decisions::DecisionWrites;

use crate::world::{World, now, order, orders, sqs};

/// Delivers as a Kinesis event source mapping does: everything from the lowest failure on is delivered again. Returns
/// the number of deliveries.
async fn deliver(world: &World, batch: &Value, most: usize) -> usize {
    let predict = world.predict();
    let mut records = batch["Records"].as_array().unwrap().clone();
    for round in 1..=most {
        let answer = predict.handle(json!({ "Records": records }), now()).await;
        let Ok(answer) = answer else { continue };
        let answer = serde_json::to_value(&answer).unwrap();
        let Some(first) = answer["batchItemFailures"][0]["itemIdentifier"].as_str() else {
            return round;
        };
        let first: u64 = first.parse().unwrap();
        records.retain(|record| {
            record["kinesis"]["sequenceNumber"]
                .as_str()
                .unwrap()
                .parse::<u64>()
                .unwrap()
                >= first
        });
    }
    most
}

#[tokio::test]
async fn a_stuck_head_predicts_every_other_order_once() {
    let world = World::new().await;
    let batch: Vec<Value> = (0..20).map(|n| order(&format!("o-{n}"), "10")).collect();
    // The first call in every delivery is for the first record; it is throttled 49 times.
    let predict = world.predict_at_once(1);
    for round in 0..50 {
        if round < 49 {
            world
                .faults
                .inject("GetEventPrediction", Fault::Throttle, 1);
        }
        let answer =
            serde_json::to_value(predict.handle(orders(&batch), now()).await.unwrap()).unwrap();
        let failures = answer["batchItemFailures"].as_array().unwrap();
        assert_eq!(failures.len(), usize::from(round < 49), "{round}");
    }
    // 49 throttled calls and one success for the first record, and one call for each of the others.
    assert_eq!(world.faults.count_calls("GetEventPrediction"), 50 + 19);
}

#[tokio::test]
async fn a_dependency_that_fails_loses_nothing() {
    for (operation, fault) in [
        ("GetEventPrediction", Fault::Internal),
        ("GetEventPrediction", Fault::Drop),
        ("GetEventPrediction", Fault::TimeOut),
        // Predictions, then decisions.
        ("BatchWriteItem", Fault::Throttle),
        ("BatchWriteItem", Fault::Drop),
        ("BatchWriteItem", Fault::TimeOut),
        ("BatchExecuteStatement", Fault::Throttle),
        ("BatchExecuteStatement", Fault::Drop),
        ("BatchExecuteStatement", Fault::TimeOut),
        ("PutItem", Fault::Throttle),
        ("PutItem", Fault::Drop),
        ("BatchGetItem", Fault::Internal),
    ] {
        let mut world = World::new().await;
        if operation == "PutItem" {
            world.pipeline.decision_writes = DecisionWrites::PutItem;
        }
        match operation {
            "BatchWriteItem" => world.engine_faults.inject(operation, fault.clone(), 3),
            _ => world.faults.inject(operation, fault.clone(), 3),
        }
        let batch: Vec<Value> = (0..10).map(|n| order(&format!("o-{n}"), "1500")).collect();
        let rounds = deliver(&world, &orders(&batch), 10).await;
        assert!((2..10).contains(&rounds), "{operation} {fault:?}: {rounds}");
        for n in 0..10 {
            assert_eq!(
                world.decisions(&format!("o-{n}")).await.len(),
                1,
                "{operation} {fault:?}"
            );
        }
        assert!(world.rejected().is_empty());
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_one_decision() {
    for (writes, operation) in [
        (DecisionWrites::PutItem, "PutItem"),
        (DecisionWrites::Statements, "BatchExecuteStatement"),
    ] {
        let mut world = World::new().await;
        world.pipeline.decision_writes = writes;
        world.faults.inject(operation, Fault::TimeOut, 1);
        let batch = [order("o-1", "10"), order("o-2", "10")];
        let rounds = deliver(&world, &orders(&batch), 5).await;
        assert_eq!(rounds, 2, "{operation}");
        assert_eq!(world.decisions("o-1").await.len(), 1, "{operation}");
        world.forward().handle(world.stream(), now()).await.unwrap();
        assert_eq!(world.outcomes().len(), 2, "{operation}");
    }
}

/// DynamoDB refuses a whole call because of one item: the items are written one by one, in the same delivery.
#[tokio::test]
async fn a_call_that_is_refused_as_a_whole_is_made_for_each_order() {
    let world = World::new().await;
    let refused = Fault::exception("ValidationException");
    world
        .engine_faults
        .inject("BatchWriteItem", refused.clone(), 1);
    world.faults.inject("BatchExecuteStatement", refused, 1);
    let batch: Vec<Value> = (0..10).map(|n| order(&format!("o-{n}"), "10")).collect();
    assert_eq!(deliver(&world, &orders(&batch), 5).await, 1);
    for n in 0..10 {
        assert_eq!(world.decisions(&format!("o-{n}")).await.len(), 1);
    }
    assert_eq!(world.engine_faults.count_calls("BatchWriteItem"), 1);
    assert_eq!(world.faults.count_calls("PutItem"), 10);
}

#[tokio::test]
async fn a_bucket_that_is_down_holds_the_poison_record() {
    let world = World::new().await;
    world.faults.inject("PutObject", Fault::Internal, 1);
    let mut poison = order("o-1", "10");
    poison["created_at"] = json!("yesterday");
    let rounds = deliver(&world, &orders(&[poison, order("o-2", "10")]), 5).await;
    assert_eq!(rounds, 2);
    assert_eq!(
        world.rejected(),
        [(
            "predict/orders/1.json".to_owned(),
            "bad-timestamp".to_owned()
        )]
    );
}

#[tokio::test]
async fn wrong_set_up_never_drains_the_stream() {
    let world = World::new().await;
    let batch: Vec<Value> = (0..3).map(|n| order(&format!("o-{n}"), "10")).collect();
    // An unknown detector, an unknown event type, a missing table.
    let unknown_detector = crate::world::MAPPING.replace("detector: orders", "detector: nobody");
    let answer = world
        .predict_with(&unknown_detector)
        .handle(orders(&batch), now())
        .await;
    assert_eq!(
        answer.unwrap_err().to_string(),
        "all 3 records failed and will be delivered again; the first: GetEventPrediction: ResourceNotFoundException"
    );
    let unknown_type = crate::world::MAPPING.replace("event_type: order", "event_type: nothing");
    let ingest = world
        .pipeline
        .ingest(shared::mapping::Mapping::parse("m", &unknown_type).unwrap());
    assert!(
        ingest
            .handle(orders(&batch), now())
            .await
            .unwrap_err()
            .to_string()
            .contains("SendEvent: ResourceNotFoundException")
    );
    assert!(world.rejected().is_empty());
    // A variable that the event type lacks is rejected for every record.
    let unknown_variable = crate::world::MAPPING.replace("  item_count:", "  item_number:");
    let batch: Vec<Value> = (0..12).map(|n| order(&format!("p-{n}"), "10")).collect();
    let error = world
        .predict_with(&unknown_variable)
        .handle(orders(&batch), now())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("every record is refused with ValidationException"),
        "{error}"
    );
    assert!(world.rejected().is_empty());
}

#[tokio::test]
async fn a_hundred_keys_overlap_and_one_key_keeps_its_order() {
    let world = World::new().await;
    world.faults.inject(
        "GetEventPrediction",
        Fault::Delay(Duration::from_millis(10)),
        200,
    );
    let distinct: Vec<Value> = (0..100).map(|n| order(&format!("d-{n}"), "10")).collect();
    let start = Instant::now();
    world
        .predict_at_once(16)
        .handle(orders(&distinct), now())
        .await
        .unwrap();
    let overlapped = start.elapsed();
    let mut one_key = orders(
        &(0..100)
            .map(|n| order(&format!("k-{n:03}"), "10"))
            .collect::<Vec<_>>(),
    );
    for record in one_key["Records"].as_array_mut().unwrap() {
        record["kinesis"]["partitionKey"] = json!("one");
    }
    let start = Instant::now();
    world
        .predict_at_once(16)
        .handle(one_key, now())
        .await
        .unwrap();
    let in_order = start.elapsed();
    assert!(
        overlapped * 3 < in_order,
        "{overlapped:?} against {in_order:?}"
    );
    let decided: Vec<String> = world.stream()["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            record["dynamodb"]["NewImage"]["order_id"]["S"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .filter(|id| id.starts_with("k-"))
        .collect();
    assert_eq!(
        decided,
        (0..100).map(|n| format!("k-{n:03}")).collect::<Vec<_>>()
    );
}

/// Two records of one order with different content, in one batch and under different keys: one is decided, and the
/// other is not sent to the service.
#[tokio::test]
async fn one_event_in_one_batch_is_predicted_once() {
    let pairs: Vec<Value> = (0..10).map(|n| order(&format!("o-{n}"), "10")).collect();
    let changed = pairs.iter().map(|order| {
        let mut order = order.clone();
        order["total"] = json!("6000");
        order
    });
    let both: Vec<Value> = pairs
        .iter()
        .cloned()
        .zip(changed)
        .flat_map(|(a, b)| [a, b])
        .collect();
    let world = World::new().await;
    world
        .predict_at_once(32)
        .handle(sqs(&both.iter().collect::<Vec<_>>()), now())
        .await
        .unwrap();
    assert_eq!(world.faults.count_calls("GetEventPrediction"), 10);
    for n in 0..10 {
        let id = format!("o-{n}");
        assert_eq!(world.decisions(&id).await[0].variables["order_price"], "10");
        let event = world.event(&id).await.unwrap();
        assert_eq!(event.event_variables.unwrap()["order_price"], "10", "{id}");
    }
    let rejected = world.rejected();
    assert_eq!(rejected.len(), 10);
    assert!(
        rejected.iter().all(|(_, class)| class == "order-changed"),
        "{rejected:?}"
    );
}

/// A batch in an unsupported form is rejected by its name in every function, and is not read as one order.
#[tokio::test]
async fn a_batch_of_kafka_is_refused_by_name() {
    let event = json!({"eventSource": "aws:kafka", "eventSourceArn": "arn:aws:kafka:us-east-1:1:cluster/c/1",
        "records": {"orders-0": [{"topic": "orders", "partition": 0, "offset": 1, "value": "e30="}]}});
    let world = World::new().await;
    let refused = [
        world
            .predict()
            .handle(event.clone(), now())
            .await
            .err()
            .map(|error| error.to_string()),
        world
            .ingest()
            .handle(event.clone(), now())
            .await
            .err()
            .map(|error| error.to_string()),
        world
            .label()
            .handle(event, now())
            .await
            .err()
            .map(|error| error.to_string()),
    ];
    let want = "the event is a batch of `aws:kafka`, which is not read; connect the function to a Kinesis stream or an SQS queue";
    assert!(
        refused.iter().all(|error| error.as_deref() == Some(want)),
        "{refused:?}"
    );
    assert_eq!(world.rejected(), []);
}
