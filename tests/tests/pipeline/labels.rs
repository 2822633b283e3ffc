//! Labels of orders, and their times.

use event::Timestamp;
use local_aws::fault::Fault;
use serde_json::{Value, json};
use shared::batch::InvocationContext;
use shared::decisions::Decision;

use crate::world::{MAPPING, World, now, order, orders, sqs};

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

/// The number of open reviews on the day of the test orders.
async fn open_reviews(world: &World) -> usize {
    let decisions = world.pipeline.decisions();
    let open = decisions
        .open_reviews(
            &"order".parse().unwrap(),
            &"review".parse().unwrap(),
            "2026-06-01",
            9,
        )
        .await;
    open.unwrap().len()
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
    assert_eq!(open_reviews(&world).await, 1);
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
    assert_eq!(open_reviews(&world).await, 0);
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
    // The order is decided after the label.
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
    // The event is sent as history after the label.
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
    // The service has the event, but the decision is not written yet, as in the middle of a prediction.
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

fn revision(id: &str, revision: u32) -> Value {
    let mut order = order(id, "10");
    order["revision"] = json!(revision);
    order
}

/// Applies label messages, each in a batch of its own.
async fn label_all(world: &World, messages: &[Value]) {
    for (n, message) in messages.iter().enumerate() {
        let mut batch = sqs(&[message]);
        batch["Records"][0]["messageId"] = json!(format!("label-{n}"));
        world.label().handle(batch, now()).await.unwrap();
    }
}

fn labels_of(decisions: &[Decision]) -> Vec<(u64, Option<String>)> {
    let label = |decision: &Decision| decision.label.clone().and_then(|entry| entry.label);
    decisions
        .iter()
        .map(|decision| (decision.revision, label(decision)))
        .collect()
}

/// A refund, or another message without a label, must not keep its event from being stored.
#[tokio::test]
async fn a_message_without_a_label_that_came_first_lets_history_in() {
    let refund = chargeback("o-1", "refund", "", "processor", "2026-06-20T00:00:00Z");
    let world = World::new().await;
    label_all(&world, std::slice::from_ref(&refund)).await;
    world
        .ingest()
        .handle(orders(&[order("o-1", "10")]), now())
        .await
        .unwrap();
    assert_eq!(label_now(&world, "o-1").await, (None, None));
    // A chargeback that waits with it counts.
    let world = World::new().await;
    let fraud = chargeback(
        "o-1",
        "chargeback",
        "10.4",
        "processor",
        "2026-06-10T00:00:00Z",
    );
    label_all(&world, &[fraud, refund]).await;
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

/// Events without a decision have the same label history: rank decides, then time, in any order of arrival.
#[tokio::test]
async fn rank_then_time_decides_the_label_of_an_event_without_a_decision() {
    let fraud = chargeback(
        "o-1",
        "chargeback",
        "10.4",
        "processor",
        "2026-06-20T00:00:00Z",
    );
    let reversal = chargeback("o-1", "reversal", "", "processor", "2026-06-25T00:00:00Z");
    let verdict = chargeback("o-1", "verdict", "legit", "analyst", "2026-06-05T00:00:00Z");
    let later = chargeback("o-1", "chargeback", "10.4", "shop", "2026-06-28T00:00:00Z");
    let cases: [(&[&Value], &str); 5] = [
        (&[&fraud], "fraud"),
        (&[&fraud, &reversal], "legit"),
        (&[&verdict, &later], "legit"),
        (&[&fraud, &reversal, &later], "legit"),
        (&[&fraud, &later], "fraud"),
    ];
    for (messages, want) in cases {
        for start in 0..messages.len() {
            for stored_after in 0..=messages.len() {
                let world = World::new().await;
                for n in 0..=messages.len() {
                    if n == stored_after {
                        let history = orders(&[order("o-1", "10")]);
                        world.ingest().handle(history, now()).await.unwrap();
                    }
                    if n < messages.len() {
                        label_all(
                            &world,
                            std::slice::from_ref(messages[(start + n) % messages.len()]),
                        )
                        .await;
                    }
                }
                assert_eq!(
                    label_now(&world, "o-1").await,
                    (None, Some(want.to_owned())),
                    "{} messages from {start}, stored after {stored_after}",
                    messages.len()
                );
            }
        }
    }
}

/// A history record that is delivered again does not replace a label that was learned since.
#[tokio::test]
async fn history_that_comes_again_keeps_the_label_that_counts() {
    let world = World::new().await;
    let mut known = order("o-1", "10");
    known["label"] = json!("legit");
    let history = orders(&[known]);
    world.ingest().handle(history.clone(), now()).await.unwrap();
    label_all(
        &world,
        &[chargeback(
            "o-1",
            "chargeback",
            "10.4",
            "processor",
            "2026-06-20T00:00:00Z",
        )],
    )
    .await;
    world.ingest().handle(history, now()).await.unwrap();
    assert_eq!(
        label_now(&world, "o-1").await,
        (None, Some("fraud".to_owned()))
    );
}

/// The labels of a revision are copied to later ones, even if the first attempt ended after the decision.
#[tokio::test]
async fn labels_are_carried_to_later_revisions() {
    for operation in ["BatchGetItem", "UpdateItem", "UpdateEventLabel"] {
        let world = World::new().await;
        world
            .predict()
            .handle(orders(&[revision("o-1", 1)]), now())
            .await
            .unwrap();
        let fraud = chargeback(
            "o-1",
            "chargeback",
            "10.4",
            "processor",
            "2026-06-20T00:00:00Z",
        );
        label_all(&world, &[fraud]).await;
        // The first `BatchGetItem` reads decisions, the second labels.
        let passes = usize::from(operation == "BatchGetItem");
        world.faults.inject(operation, Fault::Pass, passes);
        world.faults.inject(operation, Fault::Throttle, 1);
        let second = orders(&[revision("o-1", 2)]);
        world
            .predict()
            .handle(second.clone(), now())
            .await
            .unwrap_err();
        world.predict().handle(second, now()).await.unwrap();
        let fraud = || Some("fraud".to_owned());
        assert_eq!(
            labels_of(&world.decisions("o-1").await),
            [(1, fraud()), (2, fraud())],
            "{operation}"
        );
    }
}

/// A revision that arrives after a later one gets the labels of that one.
#[tokio::test]
async fn labels_are_carried_to_earlier_revisions() {
    let world = World::new().await;
    world
        .predict()
        .handle(orders(&[revision("o-1", 2)]), now())
        .await
        .unwrap();
    label_all(
        &world,
        &[chargeback(
            "o-1",
            "chargeback",
            "10.4",
            "processor",
            "2026-06-20T00:00:00Z",
        )],
    )
    .await;
    world
        .predict()
        .handle(orders(&[revision("o-1", 1)]), now())
        .await
        .unwrap();
    let fraud = || Some("fraud".to_owned());
    assert_eq!(
        labels_of(&world.decisions("o-1").await),
        [(1, fraud()), (2, fraud())]
    );
}

/// A label and a new revision at the same time, with every order of their calls that a delay can cause.
#[tokio::test]
async fn a_label_that_races_a_revision_reaches_it() {
    let operations = [
        "BatchGetItem",
        "Query",
        "PutItem",
        "UpdateItem",
        "UpdateEventLabel",
        "GetEventPrediction",
    ];
    for (n, slow) in operations.iter().enumerate() {
        for passes in 0..3 {
            let world = World::new().await;
            world
                .predict()
                .handle(orders(&[revision("o-1", 1)]), now())
                .await
                .unwrap();
            let delay = std::time::Duration::from_millis(20);
            world.faults.inject(slow, Fault::Pass, passes);
            world.faults.inject(slow, Fault::Delay(delay), 1);
            let fraud = chargeback(
                "o-1",
                "chargeback",
                "10.4",
                "processor",
                "2026-06-20T00:00:00Z",
            );
            let (predict, label) = (world.predict(), world.label());
            let (decided, labelled) = futures::join!(
                predict.handle(orders(&[revision("o-1", 2)]), now()),
                label.handle(sqs(&[&fraud]), now()),
            );
            decided.unwrap();
            labelled.unwrap();
            let fraud = || Some("fraud".to_owned());
            assert_eq!(
                labels_of(&world.decisions("o-1").await),
                [(1, fraud()), (2, fraud())],
                "{n} {slow} after {passes}"
            );
            assert_eq!(label_now(&world, "o-1").await, both("fraud"));
        }
    }
}

/// Two labels that are applied at the same time leave the better one in the service, because the sender of the other
/// one checks again.
#[tokio::test]
async fn two_labels_at_once_leave_the_better_one_at_the_service() {
    let fraud = chargeback(
        "o-1",
        "chargeback",
        "10.4",
        "processor",
        "2026-06-20T00:00:00Z",
    );
    let verdict = chargeback("o-1", "verdict", "legit", "analyst", "2026-06-05T00:00:00Z");
    for decided in [true, false] {
        for (passes, first) in [(0, true), (1, true), (0, false), (1, false)] {
            let world = World::new().await;
            let batch = orders(&[order("o-1", "10")]);
            if decided {
                world.predict().handle(batch, now()).await.unwrap();
            } else {
                world.ingest().handle(batch, now()).await.unwrap();
            }
            // One call of `UpdateEventLabel` is delayed until the other message is applied.
            world.faults.inject("UpdateEventLabel", Fault::Pass, passes);
            world.faults.inject(
                "UpdateEventLabel",
                Fault::Delay(std::time::Duration::from_millis(50)),
                1,
            );
            let label = world.label();
            let messages = if first {
                [&fraud, &verdict]
            } else {
                [&verdict, &fraud]
            };
            let (a, b) = futures::join!(
                label.handle(sqs(&[messages[0]]), now()),
                label.handle(sqs(&[messages[1]]), now()),
            );
            a.unwrap();
            b.unwrap();
            let at_service = world.event("o-1").await.unwrap().current_label;
            assert_eq!(
                at_service.as_deref(),
                Some("legit"),
                "decided {decided}, {passes}, {first}"
            );
        }
    }
}

/// A label with a time before its event is parked with the rejected records, whichever of the two came first.
#[tokio::test]
async fn a_label_from_before_its_event_is_parked_in_either_order() {
    let early = chargeback(
        "o-1",
        "chargeback",
        "10.4",
        "processor",
        "2026-05-01T00:00:00Z",
    );
    let good = chargeback(
        "o-1",
        "chargeback",
        "10.4",
        "processor",
        "2026-06-20T00:00:00Z",
    );
    for label_first in [true, false] {
        let world = World::new().await;
        if label_first {
            label_all(&world, &[early.clone(), good.clone()]).await;
        }
        // The order is delivered three times; the label is parked once.
        for _ in 0..3 {
            world
                .predict()
                .handle(orders(&[order("o-1", "10")]), now())
                .await
                .unwrap();
        }
        if !label_first {
            label_all(&world, &[early.clone(), good.clone()]).await;
        }
        assert_eq!(
            world.rejected(),
            [(
                "label/queue/label-0.json".to_owned(),
                "label-before-event".to_owned()
            )],
            "label first: {label_first}"
        );
        assert_eq!(label_now(&world, "o-1").await, both("fraud"));
        assert_eq!(world.decisions("o-1").await[0].label_history.len(), 1);
    }
}

/// A date without a time is a day in the time zone of the shop.
#[tokio::test]
async fn a_day_is_one_of_the_feeds_time_zone() {
    // The event is of 2026-06-01T10:15:30Z: in Auckland it is 22:15 of the same day, in Honolulu 00:15.
    for (zone, day, want) in [
        ("UTC", "2026-05-30", None),
        ("UTC", "2026-05-29", Some("label-before-event")),
        ("Pacific/Auckland", "2026-05-30", None),
        ("Pacific/Honolulu", "2026-05-30", None),
        ("Pacific/Honolulu", "2026-05-29", Some("label-before-event")),
    ] {
        let world = World::new().await;
        world
            .predict()
            .handle(orders(&[order("o-1", "10")]), now())
            .await
            .unwrap();
        let mapping = format!("timezone: {zone}{MAPPING}");
        let label = world.label_with(&mapping);
        let message = chargeback("o-1", "chargeback", "10.4", "processor", day);
        label.handle(sqs(&[&message]), now()).await.unwrap();
        let rejected = world.rejected().into_iter().next().map(|(_, class)| class);
        assert_eq!(rejected.as_deref(), want, "{zone} {day}");
    }
}

/// The result of a run for a label is what happened to it.
#[tokio::test]
async fn a_label_waits_only_where_its_event_is_not_there() {
    use shared::labels::AppliedLabel;

    let world = World::new().await;
    world
        .ingest()
        .handle(orders(&[order("o-1", "10")]), now())
        .await
        .unwrap();
    world
        .predict()
        .handle(orders(&[order("o-2", "10")]), now())
        .await
        .unwrap();
    for (id, kind, want) in [
        ("o-1", "chargeback", AppliedLabel::Applied { skewed: false }),
        ("o-1", "refund", AppliedLabel::Kept),
        ("o-2", "chargeback", AppliedLabel::Applied { skewed: false }),
        ("o-2", "refund", AppliedLabel::Kept),
        ("o-3", "chargeback", AppliedLabel::Waiting),
        ("o-3", "refund", AppliedLabel::Kept),
    ] {
        let message = chargeback(id, kind, "10.4", "processor", "2026-06-20T00:00:00Z");
        let records = shared::records::Invocation::new(sqs(&[&message]))
            .unwrap()
            .into_records();
        let handled = world.label().label_batch(records, now()).await;
        let receipts = handled.results[0].1.as_ref().unwrap();
        assert_eq!(receipts[0].applied, want, "{id} {kind}");
        // The service is asked for labels only, so of a refund it is not known whether the event is stored.
        let is_matched = id != "o-3" && (id, kind) != ("o-1", "refund");
        assert_eq!(receipts[0].matched, is_matched, "{id} {kind}");
        assert!(!receipts[0].known, "{id} {kind}");
        // The same row comes again next week.
        let records = shared::records::Invocation::new(sqs(&[&message]))
            .unwrap()
            .into_records();
        let handled = world.label().label_batch(records, now()).await;
        let receipts = handled.results[0].1.as_ref().unwrap();
        assert!(receipts[0].known, "{id} {kind}");
        assert_eq!(receipts[0].applied, want, "{id} {kind}");
    }
}

/// One message may be about several orders.
#[tokio::test]
async fn a_message_about_several_orders_labels_each() {
    let world = World::new().await;
    let both_orders = orders(&[order("o-1", "10"), order("o-2", "10")]);
    world.predict().handle(both_orders, now()).await.unwrap();
    let mapping = MAPPING.replace(
        "  event_id: /order_id\n  kind",
        "  event_id: '.orders[]'\n  kind",
    );
    let mut message = chargeback(
        "",
        "chargeback",
        "10.4",
        "processor",
        "2026-06-20T00:00:00Z",
    );
    message["orders"] = json!(["o-1", "o-2", "o-1"]);
    let label = world.label_with(&mapping);
    label.handle(sqs(&[&message]), now()).await.unwrap();
    for id in ["o-1", "o-2"] {
        assert_eq!(label_now(&world, id).await, both("fraud"), "{id}");
    }
    // A message without any order is parked with its reason.
    message["orders"] = json!([]);
    label.handle(sqs(&[&message]), now()).await.unwrap();
    assert_eq!(world.rejected()[0].1, "missing-member");
}

/// Labels that an earlier release stored as waiting, or only on a decision.
#[tokio::test]
async fn labels_of_an_earlier_release_are_found() {
    use aws_sdk_dynamodb::types::AttributeValue;

    let world = World::new().await;
    let entry = json!({"label": "fraud", "label_timestamp": "2026-06-20T00:00:00Z", "day_only": false, "rank": 2,
        "kind": "chargeback", "reason_code": "10.4", "source": "processor"});
    let entry: AttributeValue = serde_dynamo::to_attribute_value(&entry).unwrap();
    let put = world
        .clients
        .dynamodb
        .put_item()
        .table_name(local_aws::local_stack::DECISIONS);
    put.item(
        "pk",
        AttributeValue::S(format!("waiting#order#{}", event::EventId::slug("o-1"))),
    )
    .item("sk", AttributeValue::S("labels".into()))
    .item("kind", AttributeValue::S("waiting".into()))
    .item("label_0123456789abcdef", entry)
    .send()
    .await
    .unwrap();
    world
        .predict()
        .handle(orders(&[revision("o-1", 1)]), now())
        .await
        .unwrap();
    assert_eq!(label_now(&world, "o-1").await, both("fraud"));
    // The waiting item has expired, so the label is only on the decision.
    let delete = world
        .clients
        .dynamodb
        .delete_item()
        .table_name(local_aws::local_stack::DECISIONS);
    delete
        .key(
            "pk",
            AttributeValue::S(format!("waiting#order#{}", event::EventId::slug("o-1"))),
        )
        .key("sk", AttributeValue::S("labels".into()))
        .send()
        .await
        .unwrap();
    world
        .predict()
        .handle(orders(&[revision("o-1", 2)]), now())
        .await
        .unwrap();
    let fraud = || Some("fraud".to_owned());
    assert_eq!(
        labels_of(&world.decisions("o-1").await),
        [(1, fraud()), (2, fraud())]
    );
    // A new label is compared with those on the decisions.
    label_all(
        &world,
        &[chargeback(
            "o-1",
            "reversal",
            "",
            "shop",
            "2026-06-25T00:00:00Z",
        )],
    )
    .await;
    assert_eq!(label_now(&world, "o-1").await, both("fraud"));
}

/// A time the given number of minutes after that of most tests.
fn minutes_later(minutes: i64) -> InvocationContext {
    let seconds = now().now.epoch_seconds() + 60 * minutes;
    InvocationContext {
        now: Timestamp::from_epoch_seconds(seconds).unwrap(),
        ..now()
    }
}

fn verdict(time: &str) -> Value {
    chargeback("o-1", "verdict", "legit", "analyst", time)
}

async fn label_at(world: &World, message: &Value, moment: InvocationContext) {
    let answer = world.label().handle(sqs(&[message]), moment).await;
    assert!(answer.unwrap().batch_item_failures.is_empty());
}

/// A label known for an earlier revision does not close the review of a later one, which waits for its own.
#[tokio::test]
async fn a_label_of_before_does_not_close_the_review_of_a_new_revision() {
    let world = World::new().await;
    let first = orders(&[revision("o-1", 1)]);
    world.predict().handle(first, now()).await.unwrap();
    let of_before = verdict("2026-06-20T00:00:00Z");
    label_at(&world, &of_before, now()).await;
    let mut second = order("o-1", "1500");
    second["revision"] = json!(2);
    let second = orders(&[second]);
    for _ in 0..2 {
        let moment = minutes_later(1);
        world
            .predict()
            .handle(second.clone(), moment)
            .await
            .unwrap();
    }
    assert_eq!(open_reviews(&world).await, 1);
    // The old label is delivered again; and a refund does not close the review, although there is an older label.
    label_at(&world, &of_before, minutes_later(2)).await;
    let refund = chargeback("o-1", "refund", "", "processor", "2026-06-26T00:00:00Z");
    label_at(&world, &refund, minutes_later(2)).await;
    assert_eq!(open_reviews(&world).await, 1);
    // A label of its own closes it.
    label_at(&world, &verdict("2026-06-21T00:00:00Z"), minutes_later(3)).await;
    assert_eq!(open_reviews(&world).await, 0);
}

/// The label is received, but copying it to the decision fails; another message copies it before it is delivered again.
#[tokio::test]
async fn a_verdict_whose_first_attempt_fails_closes_the_review_all_the_same() {
    let order = orders(&[order("o-1", "1500")]);
    let refund = chargeback("o-1", "refund", "", "processor", "2026-06-26T00:00:00Z");
    for by_predict in [true, false] {
        let world = World::new().await;
        world.predict().handle(order.clone(), now()).await.unwrap();
        // The first UpdateItem is that of the history.
        world.faults.inject("UpdateItem", Fault::Pass, 1);
        world.faults.inject("UpdateItem", Fault::Throttle, 1);
        let verdict = verdict("2026-06-20T00:00:00Z");
        let failed = world
            .label()
            .handle(sqs(&[&verdict]), minutes_later(1))
            .await;
        failed.unwrap_err();
        if by_predict {
            let moment = minutes_later(2);
            world.predict().handle(order.clone(), moment).await.unwrap();
        } else {
            label_at(&world, &refund, minutes_later(2)).await;
        }
        label_at(&world, &verdict, minutes_later(3)).await;
        assert_eq!(open_reviews(&world).await, 0, "by predict: {by_predict}");
    }
}

/// A label is early only if its time is before the first revision, whichever revision is found.
#[tokio::test]
async fn a_revision_of_another_time_loses_no_label() {
    let world = World::new().await;
    world
        .predict()
        .handle(orders(&[revision("o-1", 1)]), now())
        .await
        .unwrap();
    label_all(
        &world,
        &[chargeback(
            "o-1",
            "chargeback",
            "10.4",
            "processor",
            "2026-06-10T00:00:00Z",
        )],
    )
    .await;
    let mut second = revision("o-1", 2);
    second["created_at"] = json!("2026-06-25T00:00:00Z");
    world
        .predict()
        .handle(orders(&[second]), now())
        .await
        .unwrap();
    let fraud = || Some("fraud".to_owned());
    assert_eq!(
        labels_of(&world.decisions("o-1").await),
        [(1, fraud()), (2, fraud())]
    );
    assert_eq!(world.rejected(), []);
}

/// A label that the event type lacks fails only its own message, and no later one.
#[tokio::test]
async fn a_refused_label_spoils_none_that_comes_later() {
    for decided in [true, false] {
        let world = World::new().await;
        let batch = orders(&[order("o-1", "10")]);
        if decided {
            world.predict().handle(batch, now()).await.unwrap();
        } else {
            world.ingest().handle(batch, now()).await.unwrap();
        }
        let mapping = MAPPING.replace(
            "code: legit, label: legit",
            "code: legit, label: unheard_of",
        );
        let verdict = chargeback("o-1", "verdict", "legit", "analyst", "2026-06-20T00:00:00Z");
        world
            .label_with(&mapping)
            .handle(sqs(&[&verdict]), now())
            .await
            .unwrap();
        assert_eq!(world.rejected()[0].1, "refused", "decided: {decided}");
        label_all(
            &world,
            &[chargeback(
                "o-1",
                "chargeback",
                "10.4",
                "processor",
                "2026-06-10T00:00:00Z",
            )],
        )
        .await;
        let at_service = world.event("o-1").await.unwrap().current_label;
        assert_eq!(at_service.as_deref(), Some("fraud"), "decided: {decided}");
        if decided {
            assert_eq!(label_now(&world, "o-1").await, both("fraud"));
        }
    }
}

/// A label history has a limit, so that it fits into an item; messages beyond it are parked with the reason.
#[tokio::test]
async fn an_event_has_a_hundred_labels_at_most() {
    let world = World::new().await;
    let message = |n: u32| {
        let mut message = chargeback(
            "o-1",
            "refund",
            &n.to_string(),
            "processor",
            "2026-06-20T00:00:00Z",
        );
        message["padding"] = json!("x".repeat(1500));
        message
    };
    let messages: Vec<Value> = (0..102).map(message).collect();
    label_all(&world, &messages).await;
    let rejected = world.rejected();
    assert_eq!(rejected.len(), 2);
    assert!(
        rejected.iter().all(|(_, class)| class == "too-many-labels"),
        "{rejected:?}"
    );
    world
        .predict()
        .handle(orders(&[order("o-1", "10")]), now())
        .await
        .unwrap();
    assert_eq!(world.decisions("o-1").await[0].label_history.len(), 100);
}
