//! Aggregates: what happened before with a card, as variables that rules use.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::types::DataType;
use end_to_end::sample;
use futures::future::join_all;
use local_aws::fault::Fault;
use local_aws::local_stack::{Pipeline, VELOCITY};
use serde_json::{Value, json};
use shared::failure::Failure;
use shared::mapping::{MappedOrder, Mapping};
use shared::profiles::{CountedOrder, ProfileTable};

use crate::world::{MAPPING, World, now, order, orders, sqs};

const AGGREGATES: &str = "aggregates:
  keys:
    card: /card
    email: {from: /customer/email, as: email}
  variables:
    card_orders_1d: {count: {by: card, within: 1d}}
    card_amount_7d: {sum: {of: order_price, by: card, within: 7d}}
    emails_per_card_30d: {distinct: {of: email, by: card, within: 30d}}
";

const VARIABLES: [(&str, DataType); 3] = [
    ("card_orders_1d", DataType::Integer),
    ("card_amount_7d", DataType::Float),
    ("emails_per_card_30d", DataType::Integer),
];

fn mapping_text() -> String {
    format!("{MAPPING}{AGGREGATES}")
}

fn mapping() -> Mapping {
    Mapping::parse("mapping.yaml", &mapping_text()).unwrap()
}

/// A detector that blocks the third order of a card within a day.
async fn world() -> World {
    let world = World::new().await;
    world.add_variables(&VARIABLES).await;
    let client = &world.clients.frauddetector;
    sample::create_rule(client, ("many_orders", "$card_orders_1d >= 2", "block")).await;
    sample::activate(client, "2", &[("many_orders", "1")]).await;
    world
}

/// An order with a card, a number of minutes after 10 o'clock.
fn card_order(id: &str, card: &str, minute: u32, total: &str) -> Value {
    let mut order = order(id, total);
    order["card"] = card.into();
    order["created_at"] = format!("2026-06-01T10:{minute:02}:00Z").into();
    order
}

async fn variables(world: &World, id: &str) -> Vec<String> {
    let decision = world.decisions(id).await.pop().unwrap();
    let value = |(name, _): &(&str, DataType)| decision.variables.get(*name).cloned();
    VARIABLES
        .iter()
        .map(|variable| value(variable).unwrap_or_default())
        .collect()
}

async fn outcome(world: &World, id: &str) -> String {
    let decision = world.decisions(id).await.pop().unwrap();
    decision.effective_outcome
}

#[tokio::test]
async fn rules_see_what_happened_before() {
    let world = world().await;
    let predict = world.predict_with(&mapping_text());
    for (id, minute, total) in [("a", 1, "10"), ("b", 2, "20.50"), ("c", 3, "30")] {
        let batch = orders(&[card_order(id, "f3a9", minute, total)]);
        predict.handle(batch.clone(), now()).await.unwrap();
        // Delivered again: nothing is counted twice.
        predict.handle(batch, now()).await.unwrap();
    }
    assert_eq!(variables(&world, "a").await, ["0", "0", "0"]);
    assert_eq!(variables(&world, "b").await, ["1", "10", "1"]);
    assert_eq!(variables(&world, "c").await, ["2", "30.5", "1"]);
    assert_eq!(outcome(&world, "b").await, "approve");
    assert_eq!(outcome(&world, "c").await, "block");
    // Another card has a past of its own, and an order without a card has none.
    let batch = [card_order("d", "other", 4, "5"), order("e", "5")];
    predict.handle(orders(&batch), now()).await.unwrap();
    assert_eq!(variables(&world, "d").await, ["0", "0", "0"]);
    assert_eq!(variables(&world, "e").await, ["", "", ""]);
    assert_eq!(outcome(&world, "e").await, "approve");
    let decision = world.decisions("d").await.pop().unwrap();
    assert_eq!(decision.velocity_keys["card"].len(), 1);
}

/// The orders of a batch have different partition keys and come out of order: event time counts.
#[tokio::test]
async fn a_batch_is_counted_as_a_whole() {
    let world = world().await;
    let predict = world.predict_with(&mapping_text());
    let batch: Vec<Value> = [5, 3, 1, 4, 2]
        .into_iter()
        .map(|minute| card_order(&format!("o-{minute}"), "f3a9", minute, "10"))
        .collect();
    predict.handle(orders(&batch), now()).await.unwrap();
    for minute in 1..=5 {
        let before = (minute - 1).to_string();
        let amount = (10 * (minute - 1)).to_string();
        let emails = u8::from(minute > 1).to_string();
        let want = [before, amount, emails];
        assert_eq!(variables(&world, &format!("o-{minute}")).await, want);
    }
    // The decisions, the profiles, and the labels that wait.
    assert_eq!(world.faults.count_calls("BatchGetItem"), 3);
}

#[tokio::test]
async fn a_direct_invocation_counts_too() {
    let world = world().await;
    let predict = world.predict_with(&mapping_text());
    for (minute, id) in (1..).zip(["a", "b", "c"]) {
        let order = card_order(id, "f3a9", minute, "10");
        predict.handle(order, now()).await.unwrap();
    }
    assert_eq!(variables(&world, "a").await, ["0", "0", "0"]);
    assert_eq!(variables(&world, "c").await, ["2", "20", "1"]);
}

/// Orders that have the same time: one of each two sees the other.
#[tokio::test]
async fn orders_of_the_same_time_see_each_other_once() {
    let world = world().await;
    let predict = world.predict_with(&mapping_text());
    let ids = ["a", "b", "c", "d"];
    let batch = ids.map(|id| card_order(id, "f3a9", 1, "10"));
    predict.handle(orders(&batch), now()).await.unwrap();
    let mut counts = Vec::new();
    for id in ids {
        counts.push(variables(&world, id).await[0].clone());
    }
    counts.sort();
    assert_eq!(counts, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn history_counts_for_the_orders_after_it() {
    let world = world().await;
    let history: Vec<Value> = (0..3)
        .map(|n| card_order(&format!("h-{n}"), "f3a9", n, "10"))
        .collect();
    let history: Vec<&Value> = history.iter().collect();
    let ingest = world.pipeline.ingest(mapping());
    ingest.handle(sqs(&history), now()).await.unwrap();
    ingest.handle(sqs(&history), now()).await.unwrap();
    let predict = world.predict_with(&mapping_text());
    let batch = orders(&[card_order("a", "f3a9", 30, "10")]);
    predict.handle(batch, now()).await.unwrap();
    assert_eq!(variables(&world, "a").await, ["3", "30", "1"]);
    let event = world.event("h-2").await.unwrap();
    assert_eq!(event.event_variables.unwrap()["card_orders_1d"], "2");
}

#[tokio::test]
async fn a_revision_with_another_card_is_taken_out_of_the_first() {
    let world = world().await;
    let predict = world.predict_with(&mapping_text());
    let first = card_order("a", "f3a9", 1, "10");
    let mut second = card_order("a", "77b1", 2, "10");
    second["revision"] = 2.into();
    for order in [first.clone(), second.clone()] {
        predict.handle(orders(&[order]), now()).await.unwrap();
    }
    let batch = [
        card_order("b", "f3a9", 3, "10"),
        card_order("c", "77b1", 3, "10"),
    ];
    predict.handle(orders(&batch), now()).await.unwrap();
    assert_eq!(variables(&world, "b").await[0], "0");
    assert_eq!(variables(&world, "c").await[0], "1");
    // Both revisions in one batch.
    let (mut first, mut second) = (first, second);
    for order in [&mut first, &mut second] {
        order["order_id"] = "d".into();
    }
    first["card"] = "90c2".into();
    let batch = [first, second, card_order("e", "90c2", 4, "10")];
    predict.handle(orders(&batch), now()).await.unwrap();
    assert_eq!(variables(&world, "e").await[0], "0");
}

#[tokio::test]
async fn failures_lose_and_double_nothing() {
    for (operation, fault) in [
        ("BatchGetItem", Fault::Internal),
        ("BatchExecuteStatement", Fault::Throttle),
        ("BatchExecuteStatement", Fault::Drop),
        ("BatchExecuteStatement", Fault::TimeOut),
    ] {
        let world = world().await;
        let predict = world.predict_with(&mapping_text());
        let batch: Vec<Value> = (0..6)
            .map(|n| card_order(&format!("o-{n}"), "f3a9", n, "10"))
            .collect();
        world.faults.inject(operation, fault.clone(), 5);
        let mut is_done = false;
        for _ in 0..20 {
            let answer = predict.handle(orders(&batch), now()).await;
            is_done = answer.is_ok_and(|answer| {
                let answer = serde_json::to_value(&answer).unwrap();
                answer["batchItemFailures"] == json!([])
            });
            if is_done {
                break;
            }
        }
        assert!(is_done, "{operation} {fault:?}");
        for n in 0..6 {
            let id = format!("o-{n}");
            assert_eq!(world.decisions(&id).await.len(), 1);
            assert_eq!(variables(&world, &id).await[0], n.to_string());
        }
    }
}

#[tokio::test]
async fn a_missing_table_drains_nothing() {
    let world = world().await;
    let delete = world.clients.dynamodb.delete_table().table_name(VELOCITY);
    delete.send().await.unwrap();
    let predict = world.predict_with(&mapping_text());
    let batch = [card_order("a", "f3a9", 1, "10"), order("b", "10")];
    let answer = predict.handle(orders(&batch), now()).await.unwrap();
    let answer = serde_json::to_value(&answer).unwrap();
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 1);
    assert!(world.decisions("a").await.is_empty());
    assert!(world.rejected().is_empty());
}

#[tokio::test]
async fn a_damaged_profile_makes_orders_undetermined_and_stays() {
    let world = world().await;
    let predict = world.predict_with(&mapping_text());
    let batch = orders(&[card_order("a", "f3a9", 1, "10")]);
    predict.handle(batch, now()).await.unwrap();
    let items = world.clients.dynamodb.scan().table_name(VELOCITY).send();
    let mut item = items.await.unwrap().items.unwrap().pop().unwrap();
    let damaged = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(vec![1, 2, 3]));
    item.insert("profile".to_owned(), damaged.clone());
    let put = world.clients.dynamodb.put_item().table_name(VELOCITY);
    put.set_item(Some(item)).send().await.unwrap();
    let batch = orders(&[card_order("b", "f3a9", 2, "10")]);
    predict.handle(batch, now()).await.unwrap();
    let decision = world.decisions("b").await.pop().unwrap();
    assert_eq!(decision.effective_outcome, "review");
    assert_eq!(
        decision.data_quality[0].problem,
        "has no known aggregates: a profile is damaged"
    );
    let items = world.clients.dynamodb.scan().table_name(VELOCITY).send();
    assert_eq!(items.await.unwrap().items.unwrap()[0]["profile"], damaged);
}

#[tokio::test]
async fn an_order_from_the_future_is_not_counted() {
    let world = world().await;
    let predict = world.predict_with(&mapping_text());
    let mut order = card_order("a", "f3a9", 1, "10");
    order["created_at"] = "2099-01-01T00:00:00Z".into();
    let batch = [order, card_order("b", "f3a9", 2, "10")];
    predict.handle(orders(&batch), now()).await.unwrap();
    assert_eq!(outcome(&world, "a").await, "review");
    assert_eq!(variables(&world, "b").await[0], "0");
}

/// Sixteen writers count orders at the same time.
async fn count_all(table: &ProfileTable, mapping: &Mapping, orders: Vec<MappedOrder>) {
    let writers = 16;
    let mut shares: Vec<Vec<MappedOrder>> = vec![Vec::new(); writers];
    for (n, order) in orders.into_iter().enumerate() {
        shares[n % writers].push(order);
    }
    let writers = shares.into_iter().map(async |share| {
        let mut left = share;
        let mut batch = 0;
        // Twenty orders at a time. One batch in ten is cut off, and delivered again.
        while !left.is_empty() {
            let sent = left.split_off(left.len().saturating_sub(20));
            let mut counted: Vec<_> = sent.iter().cloned().map(Ok).collect();
            let orders = counted.iter_mut().map(CountedOrder::new).collect();
            let count = table.count(mapping, orders, now().now, None);
            batch += 1;
            if batch % 10 == 0 {
                drop(tokio::time::timeout(Duration::from_micros(800), count).await);
                left.extend(sent);
                continue;
            }
            count.await;
            let failed = sent.into_iter().zip(&counted);
            left.extend(failed.filter(|(_, it)| it.is_err()).map(|(order, _)| order));
        }
    });
    join_all(writers).await;
}

/// How many orders a later order of each card sees.
async fn counts(table: &ProfileTable, mapping: &Mapping, cards: &[String]) -> HashMap<String, u64> {
    let probe = |card: &String| {
        let mut order = card_order(&format!("probe-{card}"), card, 0, "1");
        order["created_at"] = "2026-06-01T23:00:00Z".into();
        mapping.map_order(&order)
    };
    let mut probes: Vec<_> = cards.iter().map(probe).collect();
    let orders = probes.iter_mut().map(CountedOrder::new).collect();
    table.count(mapping, orders, now().now, None).await;
    let count = |order: Result<MappedOrder, Failure>| {
        let order = order.unwrap();
        let count = order.variables.get("card_orders_1d").unwrap();
        count.expose().parse().unwrap()
    };
    let counts = probes.into_iter().map(count);
    cards.iter().cloned().zip(counts).collect()
}

/// Orders of a share of the cards, one in ten twice.
fn many_orders(
    mapping: &Mapping,
    orders: u32,
    cards: u32,
) -> (Vec<MappedOrder>, HashMap<String, u64>) {
    let mut all = Vec::new();
    let mut expected = HashMap::new();
    for n in 0..orders {
        let card = format!("card-{}", n.wrapping_mul(2_654_435_761) % cards);
        let order = card_order(&format!("o-{n}"), &card, n % 60, "10");
        let order = mapping.map_order(&order).unwrap();
        *expected.entry(card).or_default() += 1;
        if n % 10 == 0 {
            all.push(order.clone());
        }
        all.push(order);
    }
    (all, expected)
}

#[tokio::test]
async fn sixteen_writers_count_each_order_once() {
    let world = world().await;
    let mapping = mapping();
    let table = Pipeline::local(&world.clients).profiles();
    let (all, expected) = many_orders(&mapping, 20_000, 2_000);
    count_all(&table, &mapping, all).await;
    let cards: Vec<String> = expected.keys().cloned().collect();
    assert_eq!(counts(&table, &mapping, &cards).await, expected);
}

/// On one hot card every writer waits for the others. An order that is delivered again within its last 128 counts once.
#[tokio::test]
async fn writers_of_one_card_lose_nothing() {
    let world = world().await;
    let mapping = mapping();
    let table = Pipeline::local(&world.clients).profiles();
    let (all, expected) = many_orders(&mapping, 400, 1);
    count_all(&table, &mapping, all).await;
    let cards: Vec<String> = expected.keys().cloned().collect();
    let counted = counts(&table, &mapping, &cards).await;
    let (counted, expected) = (counted["card-0"], expected["card-0"]);
    // Cut off batches come again after at most 20 orders of each of the sixteen writers.
    assert!(
        (expected..=expected + expected / 2).contains(&counted),
        "{counted} of {expected}"
    );
}
