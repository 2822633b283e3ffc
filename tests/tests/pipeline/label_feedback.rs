//! Labels at the keys of their orders: what became known of a card, as variables that rules use.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_frauddetector::types::DataType;
use end_to_end::sample;
use local_aws::fault::Fault;
use local_aws::local_stack::VELOCITY;
use serde_json::{Value, json};
use shared::mapping::Mapping;

use crate::world::{MAPPING, World, now, order, orders, sqs};

const AGGREGATES: &str = "aggregates:
  keys:
    card: /card
  variables:
    fraud_per_card_30d: {fraud: {by: card, within: 30d}}
    fraud_rate_per_card_30d: {fraud_rate: {by: card, within: 30d}}
";

fn mapping_text() -> String {
    format!("{MAPPING}{AGGREGATES}")
}

/// A detector that blocks cards with a known fraud.
async fn world() -> World {
    let world = World::new().await;
    let variables = [
        ("fraud_per_card_30d", DataType::Integer),
        ("fraud_rate_per_card_30d", DataType::Float),
    ];
    world.add_variables(&variables).await;
    let client = &world.clients.frauddetector;
    let rule = ("known_card", "$fraud_per_card_30d > 0", "block");
    sample::create_rule(client, rule).await;
    sample::activate(client, "2", &[("known_card", "1")]).await;
    world
}

/// An order of a card, on a day of June.
fn card_order(id: &str, card: &str, day: u32) -> Value {
    let mut order = order(id, "10");
    order["card"] = card.into();
    order["created_at"] = format!("2026-06-{day:02}T10:00:00Z").into();
    order
}

/// A message about an order, of noon on a day of June.
fn message(id: &str, kind: &str, code: &str, source: &str, day: u32) -> Value {
    let time = format!("2026-06-{day:02}T12:00:00Z");
    json!({"order_id": id, "kind": kind, "reason_code": code, "source": source, "label_timestamp": time})
}

fn chargeback(id: &str, day: u32) -> Value {
    message(id, "chargeback", "10.4", "processor", day)
}

async fn decide(world: &World, all: &[Value]) {
    let predict = world.predict_with(&mapping_text());
    let answer = predict.handle(orders(all), now()).await.unwrap();
    let answer = serde_json::to_value(&answer).unwrap();
    assert_eq!(answer["batchItemFailures"], json!([]));
}

async fn label(world: &World, message: &Value) {
    let label = world.label_with(&mapping_text());
    let answer = label.handle(sqs(&[message]), now()).await.unwrap();
    assert!(answer.batch_item_failures.is_empty());
}

async fn ingest(world: &World, order: &Value) {
    let mapping = Mapping::parse("mapping.yaml", &mapping_text()).unwrap();
    let ingest = world.pipeline.ingest(mapping);
    let answer = ingest.handle(sqs(&[order]), now()).await.unwrap();
    assert!(answer.batch_item_failures.is_empty());
}

/// What a new order of a card sees on a day of June: the number and the rate of frauds, and its outcome.
async fn seen(world: &World, card: &str, day: u32) -> (String, String, String) {
    static PROBES: AtomicU32 = AtomicU32::new(0);
    let id = format!("probe-{}", PROBES.fetch_add(1, Ordering::Relaxed));
    let mut probe = card_order(&id, card, day);
    probe["created_at"] = format!("2026-06-{day:02}T23:00:00Z").into();
    decide(world, &[probe]).await;
    let decision = world.decisions(&id).await.pop().unwrap();
    let value = |name: &str| decision.variables.get(name).cloned().unwrap_or_default();
    (
        value("fraud_per_card_30d"),
        value("fraud_rate_per_card_30d"),
        decision.effective_outcome.clone(),
    )
}

#[track_caller]
fn check(seen: &(String, String, String), frauds: &str, outcome: &str) {
    assert_eq!((seen.0.as_str(), seen.2.as_str()), (frauds, outcome));
}

#[tokio::test]
async fn a_rule_sees_a_label_with_the_next_order_of_the_card() {
    let world = world().await;
    decide(
        &world,
        &[card_order("a", "f3a9", 1), card_order("b", "77b1", 1)],
    )
    .await;
    label(&world, &chargeback("a", 10)).await;
    label(&world, &chargeback("a", 10)).await;
    check(&seen(&world, "f3a9", 9).await, "0", "approve");
    assert_eq!(
        seen(&world, "f3a9", 10).await,
        ("1".to_owned(), "0.5".to_owned(), "block".to_owned())
    );
    check(&seen(&world, "77b1", 10).await, "0", "approve");
}

#[tokio::test]
async fn a_label_that_is_reversed_or_outranked_is_taken_back() {
    let world = world().await;
    decide(&world, &[card_order("a", "f3a9", 1)]).await;
    label(&world, &chargeback("a", 5)).await;
    check(&seen(&world, "f3a9", 6).await, "1", "block");
    label(&world, &message("a", "reversal", "", "processor", 7)).await;
    check(&seen(&world, "f3a9", 8).await, "0", "approve");
    // An older message of the same rank changes nothing, one of a higher rank does.
    label(&world, &chargeback("a", 6)).await;
    check(&seen(&world, "f3a9", 8).await, "0", "approve");
    label(&world, &message("a", "verdict", "fraud", "analyst", 4)).await;
    check(&seen(&world, "f3a9", 9).await, "1", "block");
    label(&world, &message("a", "verdict", "legit", "analyst", 10)).await;
    check(&seen(&world, "f3a9", 11).await, "0", "approve");
}

/// The first message that gave the label says when it became known: a second one does not make it news.
#[tokio::test]
async fn what_is_known_stays_known_since_the_first_message() {
    let world = world().await;
    decide(&world, &[card_order("a", "f3a9", 1)]).await;
    label(&world, &message("a", "verdict", "fraud", "analyst", 2)).await;
    label(&world, &chargeback("a", 20)).await;
    check(&seen(&world, "f3a9", 3).await, "1", "block");
}

#[tokio::test]
async fn a_label_that_comes_before_its_order_counts() {
    let world = world().await;
    label(&world, &chargeback("a", 2)).await;
    decide(&world, &[card_order("a", "f3a9", 1)]).await;
    check(&seen(&world, "f3a9", 3).await, "1", "block");
    label(&world, &chargeback("h", 2)).await;
    ingest(&world, &card_order("h", "77b1", 1)).await;
    check(&seen(&world, "77b1", 3).await, "1", "block");
}

#[tokio::test]
async fn history_brings_its_labels_and_gets_later_ones() {
    let world = world().await;
    let mut known = card_order("h-1", "f3a9", 1);
    known["label"] = "fraud".into();
    known["label_timestamp"] = "2026-06-08T00:00:00Z".into();
    ingest(&world, &known).await;
    check(&seen(&world, "f3a9", 7).await, "0", "approve");
    check(&seen(&world, "f3a9", 8).await, "1", "block");
    label(&world, &message("h-1", "verdict", "legit", "analyst", 9)).await;
    check(&seen(&world, "f3a9", 10).await, "0", "approve");
    // History that is sent again does not bring back what was taken back.
    ingest(&world, &known).await;
    check(&seen(&world, "f3a9", 10).await, "0", "approve");
    ingest(&world, &card_order("h-2", "77b1", 1)).await;
    check(&seen(&world, "77b1", 10).await, "0", "approve");
    label(&world, &chargeback("h-2", 11)).await;
    check(&seen(&world, "77b1", 12).await, "1", "block");
}

/// A refund says nothing about fraud: the service keeps the label of history, and so do the keys.
#[tokio::test]
async fn a_message_without_a_label_keeps_that_of_history() {
    let world = world().await;
    let mut history = card_order("h", "f3a9", 1);
    history["label"] = "fraud".into();
    history["label_timestamp"] = "2026-06-02T12:00:00Z".into();
    ingest(&world, &history).await;
    check(&seen(&world, "f3a9", 3).await, "1", "block");
    label(&world, &message("h", "refund", "", "shop", 4)).await;
    check(&seen(&world, "f3a9", 5).await, "1", "block");
    label(&world, &message("h", "verdict", "legit", "analyst", 6)).await;
    check(&seen(&world, "f3a9", 7).await, "0", "approve");
}

#[tokio::test]
async fn an_order_with_another_card_takes_its_label_along() {
    let world = world().await;
    let mut second = card_order("a", "77b1", 2);
    second["revision"] = 2.into();
    // The label first, then the new card; and the other way round; decided and as history.
    decide(&world, &[card_order("a", "f3a9", 1)]).await;
    label(&world, &chargeback("a", 3)).await;
    check(&seen(&world, "f3a9", 4).await, "1", "block");
    decide(&world, &[second]).await;
    check(&seen(&world, "f3a9", 4).await, "0", "approve");
    check(&seen(&world, "77b1", 4).await, "1", "block");
    let mut second = card_order("h", "second", 2);
    second["revision"] = 2.into();
    ingest(&world, &card_order("h", "first", 1)).await;
    ingest(&world, &second).await;
    label(&world, &chargeback("h", 3)).await;
    check(&seen(&world, "first", 4).await, "0", "approve");
    check(&seen(&world, "second", 4).await, "1", "block");
}

#[tokio::test]
async fn failures_lose_and_double_no_label() {
    for (operation, fault) in [
        ("BatchGetItem", Fault::Internal),
        ("Query", Fault::Internal),
        ("BatchExecuteStatement", Fault::Throttle),
        ("BatchExecuteStatement", Fault::Drop),
        ("BatchExecuteStatement", Fault::TimeOut),
    ] {
        let world = world().await;
        decide(&world, &[card_order("a", "f3a9", 1)]).await;
        world.faults.inject(operation, fault.clone(), 4);
        let function = world.label_with(&mapping_text());
        let mut is_done = false;
        for _ in 0..20 {
            let answer = function.handle(sqs(&[&chargeback("a", 2)]), now()).await;
            is_done = answer.is_ok_and(|answer| answer.batch_item_failures.is_empty());
            if is_done {
                break;
            }
        }
        assert!(is_done, "{operation} {fault:?}");
        // An answer that was lost had its effect: the next attempt writes nothing.
        world.faults.clear();
        check(&seen(&world, "f3a9", 3).await, "1", "block");
    }
}

/// The items of ingested events hold hashes, and go with the retention of decisions.
#[tokio::test]
async fn an_ingested_event_keeps_its_keys_and_no_value() {
    let world = world().await;
    ingest(&world, &card_order("h", "f3a9-card", 1)).await;
    let items = world.clients.dynamodb.scan().table_name(VELOCITY).send();
    let items = items.await.unwrap().items.unwrap();
    let keys: Vec<_> = items.iter().filter(|it| it.contains_key("keys")).collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["pk"].as_s().unwrap(), "event/order#h");
    assert!(keys[0].contains_key("expires_at"));
    assert!(!format!("{items:?}").contains("f3a9-card"));
}
