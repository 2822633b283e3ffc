//! From nothing to a decision, a stored event and its label.

use std::time::Duration;

use aws_sdk_frauddetector::types::RuleExecutionMode;

use crate::world::{EVENT_TIME, World, matches};

#[tokio::test]
async fn from_nothing_to_a_labelled_decision() {
    let rules = [
        ("large", "$price > 100", "block"),
        ("rest", "$price <= 100", "approve"),
    ];
    let world = World::deciding(&rules, RuleExecutionMode::FirstMatched).await;

    let output = world
        .predict("ord-1", &[("price", "250.5"), ("country", "US")])
        .await;
    assert_eq!(matches(&output), "large: block");
    assert!(output.model_scores().is_empty() && output.external_model_outputs().is_empty());
    assert_eq!(
        matches(&world.predict("ord-2", &[("price", "9")]).await),
        "rest: approve"
    );

    // The prediction stored the event.
    let label = world
        .client
        .update_event_label()
        .event_id("ord-1")
        .event_type_name("order");
    label
        .assigned_label("fraud")
        .label_timestamp("2026-06-29T08:00:00Z")
        .send()
        .await
        .unwrap();
    let get = world
        .client
        .get_event()
        .event_id("ord-1")
        .event_type_name("order");
    let event = get.send().await.unwrap().event.unwrap();
    assert_eq!(event.event_timestamp(), Some(EVENT_TIME));
    assert_eq!(event.current_label(), Some("fraud"));
    assert_eq!(event.label_timestamp(), Some("2026-06-29T08:00:00Z"));
    assert_eq!(event.event_variables().unwrap()["price"], "250.5");
    assert_eq!(event.entities()[0].entity_id(), "cust-42");
}

#[tokio::test]
async fn an_event_that_was_sent() {
    let world = World::with_detector().await;
    let send = world.event("ord-1", &[("price", "10")]);
    send.assigned_label("legit")
        .label_timestamp("06/02/2026 8:00:00 PM")
        .send()
        .await
        .unwrap();
    // After a second `SendEvent` the event is replaced, and the label stays.
    world
        .event("ord-1", &[("price", "20")])
        .send()
        .await
        .unwrap();
    let get = world
        .client
        .get_event()
        .event_id("ord-1")
        .event_type_name("order");
    let event = get.send().await.unwrap().event.unwrap();
    assert_eq!(event.event_variables().unwrap()["price"], "20");
    assert_eq!(event.current_label(), Some("legit"));
    assert_eq!(event.label_timestamp(), Some("2026-06-02T20:00:00Z"));
}

/// Retention in days, and what remains of an event after some time.
#[tokio::test]
async fn an_event_is_kept_for_its_time() {
    for (days, kept) in [
        (Some(548), [true, false]),
        (Some(7), [false, false]),
        (None, [true, true]),
    ] {
        let world = World::with(|options| options.retention_days = days).await;
        world.detector().await;
        let send = world
            .event("ord-1", &[("price", "10")])
            .assigned_label("legit");
        let send = send.label_timestamp(EVENT_TIME).send();
        send.await.unwrap();
        let mut found = Vec::new();
        for wait in [30, 600] {
            world.pass(Duration::from_hours(24 * wait));
            let get = world
                .client
                .get_event()
                .event_id("ord-1")
                .event_type_name("order");
            found.push(get.send().await.is_ok());
        }
        assert_eq!(found, kept, "{days:?}");
        let item = world.dynamodb.get_item().table_name("Events");
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let item = item
            .key("pk", text("event#order#ord-1"))
            .key("sk", text("event"));
        let item = item.send().await.unwrap().item.unwrap();
        // DynamoDB deletes items by this attribute.
        assert_eq!(item.contains_key("expiresAt"), days.is_some(), "{days:?}");
    }
}
