//! An order in a request over HTTP, its decision in the answer.

use std::time::Duration;

use local_aws::fault::Fault;
use predict::{OrderResult, PredictFunction};
use serde_json::{Value, json};
use shared::batch::InvocationContext;
use shared::records::Invocation;

use crate::world::{MAPPING, World, now, order};

/// What a function URL hands to the function.
fn request(body: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/decide", "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "abc.lambda-url.us-east-1.on.aws"},
        "requestContext": {"http": {"method": "POST", "path": "/decide", "sourceIp": "192.0.2.1"}},
        "body": body, "isBase64Encoded": false,
    })
}

/// The status, what decides about it, and the body.
async fn ask(
    predict: &PredictFunction,
    event: Value,
    context: InvocationContext,
) -> (String, Value) {
    let answer = predict.handle(event, context).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["headers"]["content-type"], "application/json");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let word = if body["skipped"] == true {
        "skipped"
    } else if let Some(when) = body["decided"].as_str() {
        when
    } else {
        assert_eq!(body["decided"], false, "{body}");
        body["reason"].as_str().unwrap()
    };
    (format!("{} {word}", answer["statusCode"]), body)
}

#[tokio::test]
async fn an_order_is_answered_with_its_decision() {
    let world = World::new().await;
    let mapping = MAPPING.replacen("decision:", "skip_when: '.heartbeat == true'\ndecision:", 1);
    let predict = world.predict_with(&mapping);
    let ours = order("ORD-1", "1500.00").to_string();
    let mut edited = order("ORD-1", "1.00");
    let changed = edited.to_string();
    edited["revision"] = json!(2);
    let cases = [
        (ours.as_str(), "200 now"),
        (ours.as_str(), "200 before"),
        (changed.as_str(), "409 order-changed"),
        (&edited.to_string(), "200 now"),
        (r#"{"heartbeat": true}"#, "200 skipped"),
        ("not json", "400 not-json"),
        ("", "400 empty"),
        ("7", "422 not-an-object"),
        (r#"{"customer": {"id": "c"}}"#, "422 missing-member"),
    ];
    for (body, want) in cases {
        let (got, answer) = ask(&predict, request(body), now()).await;
        assert_eq!(got, want, "{body}: {answer}");
        assert!(
            want.starts_with("200") || answer["message"].as_str().unwrap().len() > 10,
            "{answer}"
        );
    }
    let (_, answer) = ask(&predict, request(&ours), now()).await;
    let decisions = world.decisions("ORD-1").await;
    assert_eq!(decisions.len(), 2);
    assert_eq!(answer["decision_id"], decisions[0].decision_id.as_str());
    assert_eq!(answer["effective_outcome"], "review");
    assert_eq!(answer["rules"], json!(["high_amount"]));
    assert_eq!(answer["revision"], 1);
    // The record is that of the stream, apart from the place in it; and nothing is parked.
    assert_eq!(decisions[0].position, None);
    assert_eq!(world.rejected(), []);
    world.forward().handle(world.stream(), now()).await.unwrap();
    assert_eq!(world.outcomes().len(), 2);
    // The stream finds the decision.
    let batch = crate::world::orders(&[order("ORD-1", "1500.00")]);
    predict.handle(batch, now()).await.unwrap();
    assert_eq!(world.decisions("ORD-1").await.len(), 2);
}

#[tokio::test]
async fn whoever_gets_no_decision_gets_an_outcome() {
    let world = World::new().await;
    let predict = world.predict();
    let body = order("ORD-1", "10").to_string();
    let set_up = Fault::exception("ResourceNotFoundException");
    let cases = [
        ("GetEventPrediction", Fault::Throttle, "503 throttled", "1"),
        ("BatchGetItem", Fault::Internal, "503 other", "1"),
        ("PutItem", Fault::Drop, "503 network", "1"),
        ("GetEventPrediction", set_up, "503 set-up", "30"),
    ];
    for (number, (operation, fault, want, retry_after)) in cases.into_iter().enumerate() {
        world.faults.inject(operation, fault, 20);
        let body = order(&format!("ORD-{number}"), "10").to_string();
        let answer = predict.handle(request(&body), now()).await.unwrap();
        let answer = serde_json::to_value(answer).unwrap();
        assert_eq!(answer["headers"]["retry-after"], retry_after, "{operation}");
        let (got, answer) = ask(&predict, request(&body), now()).await;
        assert_eq!(got, want, "{operation}: {answer}");
        assert_eq!(answer["effective_outcome"], "review", "{operation}");
        world.faults.clear();
        // The caller asks again.
        let (got, answer) = ask(&predict, request(&body), now()).await;
        assert!(got.starts_with("200"), "{operation}: {answer}");
    }
    // There is no time left.
    let late = now().within(Duration::ZERO);
    world
        .faults
        .inject("BatchGetItem", Fault::Delay(Duration::from_secs(1)), 1);
    let body = body.replace("ORD-1", "ORD-late");
    let (got, answer) = ask(&predict, request(&body), late).await;
    assert_eq!(got, "202 time-out", "{answer}");
    assert_eq!(answer["effective_outcome"], "review");
    let (got, answer) = ask(&predict, request(&body), now()).await;
    assert_eq!(got, "200 now", "{answer}");
    assert_eq!(answer["effective_outcome"], "approve");
    assert_eq!(world.decisions("ORD-late").await.len(), 1);
}

#[tokio::test]
async fn orders_that_come_together_are_decided_together_and_the_same_order_once() {
    let world = World::new().await;
    let predict = world.predict();
    let bodies = (0..40).map(|number| order(&format!("ORD-{}", number % 4), "10").to_string());
    let records = bodies.map(|body| {
        Invocation::new(request(&body))
            .unwrap()
            .into_records()
            .remove(0)
    });
    let records: Vec<_> = records.collect();
    let results = predict.decide_direct(&records, now()).await;
    let decided = results
        .iter()
        .filter(|it| matches!(it, Ok(OrderResult::Decided(_))))
        .count();
    let before = results
        .iter()
        .filter(|it| matches!(it, Ok(OrderResult::Duplicate(_))))
        .count();
    assert_eq!((decided, before), (4, 36));
    for (number, result) in results.iter().enumerate() {
        let order_id = &result.as_ref().unwrap().decision().order_id;
        assert_eq!(*order_id, format!("ORD-{}", number % 4));
    }
}
