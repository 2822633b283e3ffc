//! Links: accounts that share a card, a device or an address with an order.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::types::DataType;
use end_to_end::sample;
use local_aws::fault::Fault;
use local_aws::local_stack::VELOCITY;
use serde_json::{Value, json};
use simulator::{FraudPattern, SimulationOptions};

use crate::world::{MAPPING, World, now, order, orders, sqs};

const LINKS: &str = "aggregates:
  keys:
    account: /customer/id
    card: /card
    device: /device
links:
  account: account
  through: [card, device]
  variables:
    linked_accounts: {accounts: {steps: 1}}
    accounts_around: {accounts: {steps: 2}}
    linked_frauds: {fraud: {steps: 2}}
    youngest_linked_days: {youngest: {steps: 1, in: days}}
";

const VARIABLES: [(&str, DataType); 4] = [
    ("linked_accounts", DataType::Integer),
    ("accounts_around", DataType::Integer),
    ("linked_frauds", DataType::Integer),
    ("youngest_linked_days", DataType::Float),
];

fn mapping_text() -> String {
    format!("{MAPPING}{LINKS}")
}

/// A detector that reviews orders with a fraud around.
async fn world() -> World {
    let world = World::new().await;
    world.add_variables(&VARIABLES).await;
    let client = &world.clients.frauddetector;
    let rule = ("fraud_around", "$linked_frauds > 0", "review");
    sample::create_rule(client, rule).await;
    sample::activate(client, "2", &[("fraud_around", "1")]).await;
    world
}

fn of_account(id: &str, account: &str, card: &str, device: &str, day: u32) -> Value {
    let mut order = order(id, "10");
    order["customer"]["id"] = account.into();
    order["card"] = card.into();
    order["device"] = device.into();
    order["created_at"] = format!("2026-06-{day:02}T10:00:00Z").into();
    order
}

async fn decide(world: &World, all: &[Value]) {
    let predict = world.predict_with(&mapping_text());
    let answer = predict.handle(orders(all), now()).await.unwrap();
    let answer = serde_json::to_value(&answer).unwrap();
    assert_eq!(answer["batchItemFailures"], json!([]));
}

async fn variables(world: &World, id: &str) -> Vec<String> {
    let decision = world.decisions(id).await.pop().unwrap();
    let value = |(name, _): &(&str, DataType)| decision.variables.get(*name).cloned();
    let values = VARIABLES.iter().map(|it| value(it).unwrap_or_default());
    values.collect()
}

/// Three accounts in a chain: ann and bob share a device, bob and cyd a card.
async fn chain() -> World {
    let world = world().await;
    for order in [
        of_account("a", "ann", "card-1", "phone-1", 1),
        of_account("b", "bob", "card-2", "phone-1", 2),
        of_account("c", "cyd", "card-2", "phone-2", 3),
    ] {
        decide(&world, &[order]).await;
    }
    world
}

#[tokio::test]
async fn accounts_are_found_directly_and_over_one_more_step() {
    let world = chain().await;
    assert_eq!(variables(&world, "a").await, ["0", "0", "0", ""]);
    assert_eq!(variables(&world, "b").await, ["1", "1", "0", "1"]);
    assert_eq!(variables(&world, "c").await, ["1", "2", "0", "1"]);
    let links = world.decisions("c").await.pop().unwrap().links.unwrap();
    assert_eq!(
        serde_json::to_value(&links).unwrap(),
        json!({"accounts": 1, "accounts_within_two_steps": 2, "frauds": 0, "through": {"card": 1}})
    );
    assert_eq!(world.decisions("a").await[0].links, None);
    // The order itself, and other orders of its account, are no links.
    decide(&world, &[of_account("d", "ann", "card-1", "phone-9", 4)]).await;
    assert_eq!(variables(&world, "d").await, ["0", "0", "0", ""]);
}

#[tokio::test]
async fn a_fraud_of_a_linked_account_is_seen() {
    let world = chain().await;
    let label = world.label_with(&mapping_text());
    let chargeback = json!({"order_id": "a", "kind": "chargeback", "reason_code": "10.4", "source": "processor",
        "label_timestamp": "2026-06-05T00:00:00Z"});
    label.handle(sqs(&[&chargeback]), now()).await.unwrap();
    // Bob's new order has nothing of ann's; the phone that both used is one step away, and cyd's card two.
    decide(&world, &[of_account("d", "eve", "card-1", "phone-5", 6)]).await;
    assert_eq!(variables(&world, "d").await[..3], ["1", "2", "1"]);
    let decision = world.decisions("d").await.pop().unwrap();
    assert_eq!(decision.effective_outcome, "review");
    decide(&world, &[of_account("e", "fay", "card-2", "phone-6", 7)]).await;
    assert_eq!(variables(&world, "e").await[..3], ["2", "3", "1"]);
}

/// The two rounds of reads, for all orders of a batch together.
#[tokio::test]
async fn a_batch_takes_two_rounds_of_reads_more() {
    let world = chain().await;
    let before = world.faults.count_calls("BatchGetItem");
    let batch: Vec<Value> = (0..10)
        .map(|n| {
            of_account(
                &format!("n-{n}"),
                &format!("new-{n}"),
                "card-2",
                "phone-1",
                8,
            )
        })
        .collect();
    decide(&world, &batch).await;
    // The decisions, the profiles of the keys, those of two rounds, and the labels that wait.
    assert_eq!(world.faults.count_calls("BatchGetItem") - before, 5);
}

#[tokio::test]
async fn an_address_that_everybody_shares_ends_the_walk() {
    let world = world().await;
    let batch: Vec<Value> = (0..40)
        .map(|n| {
            of_account(
                &format!("o-{n}"),
                &format!("c-{n}"),
                &format!("card-{n}"),
                "kiosk",
                1,
            )
        })
        .collect();
    for some in batch.chunks(20) {
        decide(&world, some).await;
    }
    decide(&world, &[of_account("a", "ann", "card-1", "kiosk", 2)]).await;
    assert_eq!(variables(&world, "a").await[..3], ["1", "1", "0"]);
    let links = world.decisions("a").await.pop().unwrap().links.unwrap();
    assert_eq!(links.hubs, ["device"]);
}

#[tokio::test]
async fn links_that_cannot_be_read_are_not_guessed() {
    let world = chain().await;
    // The profile of ann's account, one step from phone-1.
    let items = world.clients.dynamodb.scan().table_name(VELOCITY).send();
    let damaged = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(vec![1, 2, 3]));
    for mut item in items.await.unwrap().items.unwrap() {
        if item["pk"].as_s().unwrap().starts_with("account#") {
            item.insert("profile".to_owned(), damaged.clone());
            let put = world.clients.dynamodb.put_item().table_name(VELOCITY);
            put.set_item(Some(item)).send().await.unwrap();
        }
    }
    decide(&world, &[of_account("d", "dan", "card-9", "phone-1", 4)]).await;
    let decision = world.decisions("d").await.pop().unwrap();
    assert_eq!(decision.effective_outcome, "review");
    assert_eq!(decision.data_quality[0].variable, "links");
    assert_eq!(
        decision.data_quality[0].problem,
        "are not known: a profile is damaged"
    );
    // A table that fails makes the order come again.
    let world = chain().await;
    let predict = world.predict_with(&mapping_text());
    let batch = [
        of_account("d", "dan", "card-9", "phone-1", 4),
        order("n", "10"),
    ];
    world.faults.inject("BatchGetItem", Fault::Internal, 20);
    assert!(predict.handle(orders(&batch), now()).await.is_err());
    assert!(world.decisions("d").await.is_empty());
}

/// The links of the sample, over orders as the simulator writes them.
const SHOP_LINKS: &str = "aggregates:
  keys:
    account: /customer/id
    card: /payment/card_fingerprint
    device: /client/device_id
    address: {from: {joined: [/shipping/address, /shipping/postal_code]}, as: letters_and_digits}
links:
  account: account
  through: [card, device, address]
  variables:
    linked_accounts: {accounts: {steps: 1}}
";
/// How many honest orders are judged beside the ring.
const HONEST_ORDERS: usize = 3_000;

/// The accounts of the simulator's slow ring share devices and addresses in a chain. Of its orders at least 80 % are linked
/// to another account, and of honest orders at most 1 %. `make bench` measures the same over twenty whole shops.
#[tokio::test]
async fn a_ring_of_the_simulated_shop_is_found() {
    let shop = simulator::simulate_shop(&SimulationOptions::default());
    let (mut ring, mut honest) = (BTreeSet::new(), BTreeSet::new());
    for truth in &shop.history_truth {
        match truth.pattern {
            FraudPattern::SlowRing => ring.insert(truth.order_id.as_str()),
            FraudPattern::Honest if honest.len() < HONEST_ORDERS => {
                honest.insert(truth.order_id.as_str())
            }
            _ => false,
        };
    }
    let orders = shop.history.iter();
    let orders = orders.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_judged = |order: &Value| {
        let id = order["order_id"].as_str().unwrap_or_default();
        ring.contains(id) || honest.contains(id)
    };
    let orders: Vec<Value> = orders.filter(is_judged).collect();
    let world = World::new().await;
    world
        .add_variables(&[("linked_accounts", DataType::Integer)])
        .await;
    let predict = world.predict_with(&format!("{MAPPING}{SHOP_LINKS}"));
    for some in orders.chunks(100) {
        predict
            .handle(crate::world::orders(some), now())
            .await
            .unwrap();
    }
    let mut linked = BTreeSet::new();
    for id in ring.iter().chain(&honest) {
        for decision in world.decisions(id).await {
            if decision.links.is_some_and(|links| links.accounts > 0) {
                linked.insert(*id);
            }
        }
    }
    let found = ring.intersection(&linked).count();
    let touched = honest.intersection(&linked).count();
    assert!(ring.len() >= 30, "{} orders of the ring", ring.len());
    assert!(
        found * 100 >= ring.len() * 80,
        "{found} of {} orders of the ring",
        ring.len()
    );
    assert!(
        touched * 100 <= honest.len(),
        "{touched} of {} honest orders",
        honest.len()
    );
}
