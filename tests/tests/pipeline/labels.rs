//! What became of an order, and when it was known.

use fraudstream::fault::Fault;
use serde_json::{Value, json};

use crate::world::{World, now, order, orders, sqs};

fn chargeback(id: &str, kind: &str, code: &str, source: &str, time: &str) -> Value {
    json!({"order_id": id, "kind": kind, "reason_code": code, "source": source, "label_timestamp": time})
}

async fn label_now(world: &World, id: &str) -> (Option<String>, Option<String>) {
    let on_decision = world
        .decisions(id)
        .await
        .first()
        .and_then(|decision| decision.label.clone())
        .and_then(|entry| entry.label);
    (
        on_decision,
        world.event(id).await.and_then(|event| event.current_label),
    )
}

fn both(label: &str) -> (Option<String>, Option<String>) {
    (Some(label.to_owned()), Some(label.to_owned()))
}

#[tokio::test]
async fn rank_then_time_decides_the_label_whatever_the_order_of_arrival() {
    let messages = [
        chargeback(
            "o-1",
            "chargeback",
            "10.4",
            "processor",
            "2026-06-20T00:00:00Z",
        ),
        chargeback("o-1", "reversal", "", "processor", "2026-06-25T00:00:00Z"),
        chargeback("o-1", "refund", "", "analyst", "2026-06-26T00:00:00Z"),
        chargeback("o-1", "verdict", "legit", "analyst", "2026-06-05T00:00:00Z"),
        chargeback("o-1", "chargeback", "10.4", "bank", "2026-06-28T00:00:00Z"),
    ];
    for start in 0..messages.len() {
        let world = World::new().await;
        world
            .predict()
            .handle(orders(&[order("o-1", "10")]), now())
            .await
            .unwrap();
        for n in 0..messages.len() {
            world
                .label()
                .handle(sqs(&[&messages[(start + n) % messages.len()]]), now())
                .await
                .unwrap();
        }
        assert_eq!(
            label_now(&world, "o-1").await,
            both("legit"),
            "from {start}"
        );
        assert_eq!(world.decisions("o-1").await[0].label_history.len(), 5);
        assert_eq!(
            world.event("o-1").await.unwrap().label_timestamp.as_deref(),
            Some("2026-06-05T00:00:00Z")
        );
    }
}

#[tokio::test]
async fn a_label_that_comes_twice_is_kept_once_and_closes_the_review() {
    let world = World::new().await;
    world
        .predict()
        .handle(orders(&[order("o-1", "1500")]), now())
        .await
        .unwrap();
    let open = || async {
        world
            .pipeline
            .decisions()
            .open_reviews(&"review".parse().unwrap(), "2026-06-01", 9)
            .await
            .unwrap()
            .len()
    };
    assert_eq!(open().await, 1);
    let message = chargeback(
        "o-1",
        "chargeback",
        "10.4",
        "processor",
        "2026-06-20T00:00:00Z",
    );
    for _ in 0..3 {
        world.label().handle(sqs(&[&message]), now()).await.unwrap();
    }
    assert_eq!(world.decisions("o-1").await[0].label_history.len(), 1);
    assert_eq!(label_now(&world, "o-1").await, both("fraud"));
    assert_eq!(open().await, 0);
}

#[tokio::test]
async fn a_label_waits_for_its_event() {
    let message = chargeback(
        "o-1",
        "chargeback",
        "10.4",
        "processor",
        "2026-06-20T00:00:00Z",
    );
    // Decided afterwards.
    let world = World::new().await;
    world.label().handle(sqs(&[&message]), now()).await.unwrap();
    assert!(world.event("o-1").await.is_none());
    assert!(
        world.decisions("o-1").await.is_empty(),
        "a stub would stop the order from being decided"
    );
    world
        .predict()
        .handle(orders(&[order("o-1", "10")]), now())
        .await
        .unwrap();
    assert_eq!(label_now(&world, "o-1").await, both("fraud"));
    // Sent as history afterwards.
    let world = World::new().await;
    world.label().handle(sqs(&[&message]), now()).await.unwrap();
    world
        .ingest()
        .handle(orders(&[order("o-1", "10")]), now())
        .await
        .unwrap();
    assert_eq!(
        label_now(&world, "o-1").await,
        (None, Some("fraud".to_owned()))
    );
}

#[tokio::test]
async fn a_label_goes_to_every_revision() {
    let world = World::new().await;
    let mut second = order("o-1", "1500");
    second["revision"] = json!(2);
    world
        .predict()
        .handle(orders(&[order("o-1", "10"), second]), now())
        .await
        .unwrap();
    world
        .label()
        .handle(
            sqs(&[&chargeback(
                "o-1",
                "chargeback",
                "10.1",
                "processor",
                "2026-06-20T00:00:00Z",
            )]),
            now(),
        )
        .await
        .unwrap();
    for decision in world.decisions("o-1").await {
        assert_eq!(
            decision.label.and_then(|entry| entry.label).as_deref(),
            Some("fraud"),
            "revision {}",
            decision.revision
        );
    }
}

#[tokio::test]
async fn times_that_cannot_be_right_are_rejected() {
    let world = World::new().await;
    world
        .predict()
        .handle(orders(&[order("o-1", "10")]), now())
        .await
        .unwrap();
    // The event is of 2026-06-01T10:15:30Z, now is 2026-07-01T00:00:00Z.
    let cases = [
        ("2026-05-31T10:15:30Z", None),
        ("2026-05-30", None),
        ("2026-05-29T10:15:30Z", Some("label-before-event")),
        ("2026-07-01T23:00:00Z", None),
        ("2026-07-02T01:00:00Z", Some("label-in-future")),
        ("soon", Some("bad-timestamp")),
    ];
    for (n, (time, class)) in cases.into_iter().enumerate() {
        let mut batch = sqs(&[&chargeback("o-1", "chargeback", "10.4", "processor", time)]);
        batch["Records"][0]["messageId"] = json!(format!("m-{n}"));
        world.label().handle(batch, now()).await.unwrap();
        let found = world
            .rejected()
            .into_iter()
            .find(|(key, _)| key.contains(&format!("m-{n}.")))
            .map(|(_, class)| class);
        assert_eq!(found.as_deref(), class, "{time}");
    }
}

#[tokio::test]
async fn every_step_of_a_label_can_fail_and_be_repeated() {
    for operation in ["Query", "UpdateItem", "UpdateEventLabel"] {
        for fault in [Fault::Internal, Fault::TimeOut, Fault::Drop] {
            let world = World::new().await;
            world
                .predict()
                .handle(orders(&[order("o-1", "10")]), now())
                .await
                .unwrap();
            world.faults.inject(operation, fault.clone(), 1);
            let message = chargeback(
                "o-1",
                "chargeback",
                "10.4",
                "processor",
                "2026-06-20T00:00:00Z",
            );
            assert!(
                world.label().handle(sqs(&[&message]), now()).await.is_err(),
                "{operation} {fault:?}"
            );
            world.label().handle(sqs(&[&message]), now()).await.unwrap();
            assert_eq!(
                label_now(&world, "o-1").await,
                both("fraud"),
                "{operation} {fault:?}"
            );
        }
    }
}

#[tokio::test]
async fn history_knows_its_label() {
    let world = World::new().await;
    let mut known = order("o-1", "10");
    known["label"] = json!("fraud");
    known["label_timestamp"] = json!("06/20/2026 1:00:00 PM");
    world
        .ingest()
        .handle(orders(&[known, order("o-2", "10")]), now())
        .await
        .unwrap();
    let event = world.event("o-1").await.unwrap();
    assert_eq!(event.current_label.as_deref(), Some("fraud"));
    assert_eq!(
        event.label_timestamp.as_deref(),
        Some("2026-06-20T13:00:00Z")
    );
    assert_eq!(world.event("o-2").await.unwrap().current_label, None);
}

#[tokio::test]
async fn a_label_between_event_and_decision_reaches_the_decision() {
    let world = World::new().await;
    // The service knows the event, and the decision is not written: as in the middle of a prediction.
    world
        .ingest()
        .handle(orders(&[order("o-1", "10")]), now())
        .await
        .unwrap();
    let message = chargeback(
        "o-1",
        "chargeback",
        "10.4",
        "processor",
        "2026-06-20T00:00:00Z",
    );
    world.label().handle(sqs(&[&message]), now()).await.unwrap();
    assert_eq!(
        label_now(&world, "o-1").await,
        (None, Some("fraud".to_owned()))
    );
    world
        .predict()
        .handle(orders(&[order("o-1", "10")]), now())
        .await
        .unwrap();
    assert_eq!(label_now(&world, "o-1").await, both("fraud"));
}
