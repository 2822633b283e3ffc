//! Rebuilding the profiles of keys while the pipeline goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::velocity::Profile;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::types::DataType;
use fraudstream::forget::Forget;
use fraudstream::rebuild::{Rebuild, RebuildError, RebuildReport, RebuildStatus};
use fraudstream::subject::{SubjectFinder, SubjectQuery};
use local_aws::fault::Fault;
use local_aws::local_stack::VELOCITY;
use serde_json::{Value, json};
use shared::mapping::Mapping;

use crate::world::{MAPPING, World, now, order, orders, sqs};

/// What is counted at first.
const BEFORE: &str = "aggregates:
  fraud_labels: [fraud]
  keys:
    card: /card
    email: {from: /customer/email, as: email}
  variables:
    card_orders_1d: {count: {by: card, within: 1d}}
    card_declines_7d: {count: {by: card, within: 7d, where: {/status: declined}}}
    emails_per_card_30d: {distinct: {of: email, by: card, within: 30d}}
";

/// What is counted in the end.
const AFTER: &str = "aggregates:
  fraud_labels: [fraud]
  keys:
    card: /card
    email: {from: /customer/email, as: email}
  variables:
    card_orders_1d: {count: {by: card, within: 1d}}
    card_declines_7d: {count: {by: card, within: 7d, where: {/status: declined}}}
    emails_per_card_30d: {distinct: {of: email, by: card, within: 30d}}
    card_amount_30d: {sum: {of: order_price, by: card, within: 30d}}
    prices_per_card_30d: {distinct: {of: order_price, by: card, within: 30d}}
    card_first_days: {since_first: {by: card, in: days}}
    fraud_per_card_30d: {fraud: {by: card, within: 30d}}
    email_orders_7d: {count: {by: email, within: 7d}}
links:
  account: email
  through: [card]
  variables:
    linked_accounts: {accounts: {steps: 1}}
";

/// Without what is counted by time: a key that was not there before.
const WITH_DEVICE: &str = "aggregates:
  keys:
    card: /card
    email: {from: /customer/email, as: email}
    device: /device
  variables:
    card_orders_1d: {count: {by: card, within: 1d}}
    device_orders_1d: {count: {by: device, within: 1d}}
    emails_per_card_30d: {distinct: {of: email, by: card, within: 30d}}
";

async fn world() -> World {
    let world = World::new().await;
    let integers = [
        "card_orders_1d",
        "card_declines_7d",
        "emails_per_card_30d",
        "prices_per_card_30d",
        "fraud_per_card_30d",
        "email_orders_7d",
        "linked_accounts",
        "device_orders_1d",
    ];
    let integers = integers.map(|name| (name, DataType::Integer));
    let floats = ["card_amount_30d", "card_first_days"].map(|name| (name, DataType::Float));
    world
        .add_variables(&[&integers[..], &floats[..]].concat())
        .await;
    world
}

fn mapping(aggregates: &str) -> Arc<Mapping> {
    Arc::new(Mapping::parse("mapping.yaml", &format!("{MAPPING}{aggregates}")).unwrap())
}

/// Something that happens to a shop.
#[derive(Clone)]
enum Step {
    Decide(Vec<Value>),
    Ingest(Value),
    Label(Value),
    Forget(&'static str),
}

impl Step {
    async fn happen(&self, world: &World, aggregates: &str) {
        let text = format!("{MAPPING}{aggregates}");
        match self {
            Self::Decide(all) => {
                let predict = world.predict_with(&text);
                let answer = predict.handle(orders(all), now()).await.unwrap();
                let answer = serde_json::to_value(&answer).unwrap();
                assert_eq!(answer["batchItemFailures"], json!([]));
            }
            Self::Ingest(order) => {
                let mapping = Mapping::parse("mapping.yaml", &text).unwrap();
                let ingest = world.pipeline.ingest(mapping);
                let answer = ingest.handle(sqs(&[order]), now()).await.unwrap();
                assert!(answer.batch_item_failures.is_empty());
            }
            Self::Label(message) => {
                let label = world.label_with(&text);
                let answer = label.handle(sqs(&[message]), now()).await.unwrap();
                assert!(answer.batch_item_failures.is_empty());
            }
            Self::Forget(order_id) => {
                let mapping = mapping(aggregates);
                let forget = Forget {
                    finder: SubjectFinder {
                        pipeline: &world.pipeline,
                        engine: None,
                        mapping: &mapping,
                    },
                    is_remote: false,
                    dry_run: false,
                    now: now().now,
                };
                let whom = SubjectQuery::order(&mapping, order_id);
                let (report, _) = forget.forget_subject(whom).await.unwrap();
                assert_eq!(report.decisions, 1, "{order_id}");
            }
        }
    }
}

async fn happen_all(world: &World, aggregates: &str, steps: &[Step]) {
    for step in steps {
        step.happen(world, aggregates).await;
    }
}

/// An order of June: its number says when it was made, and which card, person and status it has.
fn shop_order(id: &str, number: u32) -> Value {
    let mut order = order(id, &format!("{}.5", 10 + number % 7));
    let (day, hour, minute) = (1 + number % 20, number % 24, number % 60);
    order["created_at"] = format!("2026-06-{day:02}T{hour:02}:{minute:02}:00Z").into();
    // One card in ten orders has many of them.
    let card = if number.is_multiple_of(10) {
        0
    } else {
        number % 37
    };
    order["card"] = format!("card-{card}").into();
    order["device"] = format!("device-{}", number % 5).into();
    order["customer"]["email"] = format!("person-{}@example.com", number % 23).into();
    let status = if number.is_multiple_of(3) {
        "declined"
    } else {
        "paid"
    };
    order["status"] = status.into();
    order
}

fn with(mut order: Value, name: &str, value: &str) -> Value {
    order[name] = value.into();
    order
}

fn revised(id: &str, number: u32, card: &str) -> Value {
    let mut order = with(shop_order(id, number), "card", card);
    order["revision"] = 2.into();
    order
}

fn chargeback(id: &str, day: u32) -> Step {
    Step::Label(
        json!({"order_id": id, "kind": "chargeback", "reason_code": "10.4", "source": "processor",
        "label_timestamp": format!("2026-06-{day:02}T12:00:00Z")}),
    )
}

/// What happened before the aggregates were added: orders, history with labels, revisions, labels, and a person who is
/// forgotten.
fn past() -> Vec<Step> {
    let decided = |range: std::ops::Range<u32>| {
        let all = range.map(|n| shop_order(&format!("o-{n}"), n));
        Step::Decide(all.collect())
    };
    let known = with(shop_order("h-1", 5), "label", "fraud");
    let known = with(known, "label_timestamp", "2026-06-21T00:00:00Z");
    let reversal = json!({"order_id": "o-11", "kind": "reversal", "source": "processor",
        "label_timestamp": "2026-06-24T12:00:00Z"});
    vec![
        chargeback("o-3", 22),
        decided(0..90),
        Step::Ingest(known),
        Step::Ingest(shop_order("h-2", 6)),
        Step::Ingest(shop_order("h-3", 7)),
        Step::Ingest(revised("h-3", 8, "card-5")),
        decided(90..180),
        Step::Decide(vec![revised("o-21", 21, "card-9")]),
        chargeback("h-2", 22),
        chargeback("o-21", 23),
        chargeback("o-11", 23),
        Step::Label(reversal),
        Step::Forget("o-14"),
        decided(180..300),
    ]
}

/// What happens while profiles are rebuilt.
fn meanwhile() -> Vec<Step> {
    let mut steps = Vec::new();
    for n in 300..320 {
        steps.push(Step::Decide(vec![shop_order(&format!("o-{n}"), n)]));
    }
    steps.extend([
        Step::Forget("o-33"),
        chargeback("o-44", 23),
        Step::Ingest(shop_order("h-4", 9)),
        chargeback("h-4", 24),
        Step::Decide(vec![revised("o-301", 301, "card-0")]),
        chargeback("o-302", 24),
        Step::Forget("o-303"),
    ]);
    steps
}

fn rebuild<'a>(world: &'a World, mapping: &'a Arc<Mapping>) -> Rebuild<'a> {
    Rebuild {
        pipeline: &world.pipeline,
        mapping,
        settle: Duration::ZERO,
        accept_missing: false,
        clock: &|| now().now,
        say: &|_| {},
    }
}

async fn rebuild_all(world: &World, aggregates: &str) -> RebuildReport {
    let mapping = mapping(aggregates);
    rebuild(world, &mapping).run().await.unwrap()
}

async fn status(world: &World) -> RebuildStatus {
    let mapping = mapping(BEFORE);
    rebuild(world, &mapping).status(true).await.unwrap()
}

async fn scan(world: &World) -> Vec<std::collections::HashMap<String, AttributeValue>> {
    let scan = world.clients.dynamodb.scan().table_name(VELOCITY);
    let pages = scan.into_paginator().items().send();
    pages.collect::<Result<Vec<_>, _>>().await.unwrap()
}

/// The profiles of a generation, without the order of arrival, and without what remains of orders that were forgotten: of
/// one that was forgotten before, nothing comes into the new generation.
async fn profiles(world: &World, aggregates: &str, prefix: &str) -> BTreeMap<String, Value> {
    let mapping = mapping(aggregates);
    let mut profiles = BTreeMap::new();
    for item in scan(world).await {
        let pk = item["pk"].as_s().unwrap();
        let Some(bytes) = item.get("profile") else {
            continue;
        };
        assert!(pk.starts_with(prefix), "{pk}");
        let name = pk.strip_prefix(prefix).unwrap();
        let key = name.split('#').next().unwrap();
        let mut keys = mapping.aggregate_keys().iter();
        let layout = keys.find(|it| it.name() == key).unwrap().layout();
        let profile = Profile::from_bytes(layout, bytes.as_b().unwrap().as_ref()).unwrap();
        let mut profile = serde_json::to_value(&profile).unwrap();
        for unordered in ["arrivals", "partners"] {
            let list = profile[unordered].as_array_mut().unwrap();
            list.sort_by_key(Value::to_string);
        }
        let arrivals = profile["arrivals"].as_array_mut().unwrap();
        arrivals.retain(|arrival| arrival["revision"][0] != json!(u64::MAX));
        if arrivals.is_empty() {
            continue;
        }
        for seen in profile["seen"].as_array_mut().unwrap() {
            seen.as_array_mut().unwrap().sort_by_key(Value::to_string);
        }
        profiles.insert(name.to_owned(), profile);
    }
    profiles
}

/// The world in which all aggregates were there from the start.
async fn world_from_the_start(steps: &[Step]) -> BTreeMap<String, Value> {
    let world = world().await;
    happen_all(&world, AFTER, steps).await;
    profiles(&world, AFTER, "").await
}

#[track_caller]
fn check(got: &BTreeMap<String, Value>, want: &BTreeMap<String, Value>) {
    assert!(want.len() > 50, "{}", want.len());
    for (name, want) in want {
        let got = got.get(name).unwrap_or(&Value::Null);
        for (part, want) in want.as_object().unwrap() {
            assert_eq!(got.get(part), Some(want), "{name} {part}");
        }
    }
    assert_eq!(got.len(), want.len());
}

#[tokio::test]
async fn profiles_are_as_if_the_aggregates_had_been_there_from_the_start() {
    let want = world_from_the_start(&past()).await;
    let world = world().await;
    happen_all(&world, BEFORE, &past()).await;
    let report = rebuild_all(&world, AFTER).await;
    assert_eq!(report.missing, []);
    assert!(report.is_active);
    // A revision is a decision of its own, and one order was forgotten. Of an ingested event, the newest revision counts.
    assert_eq!(report.progress.decisions, 300);
    assert_eq!(report.progress.events, 3);
    check(&profiles(&world, AFTER, "g2/").await, &want);
    // The next order sees the past, and takes no more calls than before.
    let before = world.faults.count_calls("BatchGetItem");
    let probe = with(
        shop_order("probe", 400),
        "created_at",
        "2026-06-25T10:00:00Z",
    );
    Step::Decide(vec![with(probe, "card", "card-9")])
        .happen(&world, AFTER)
        .await;
    let variables = world.decisions("probe").await.pop().unwrap().variables;
    assert_eq!(variables["fraud_per_card_30d"], "1");
    assert!(variables["card_amount_30d"].parse::<f64>().unwrap() > 100.0);
    // The decisions, the profiles with the generations, an account that shares the card, its keys, and the labels.
    assert!(world.faults.count_calls("BatchGetItem") - before <= 6);
}

#[tokio::test]
async fn orders_labels_and_forgetting_go_on_meanwhile() {
    let want = world_from_the_start(&[past(), meanwhile()].concat()).await;
    let world = world().await;
    happen_all(&world, BEFORE, &past()).await;
    let mapping = mapping(AFTER);
    let rebuild = Rebuild {
        settle: Duration::from_millis(1),
        ..rebuild(&world, &mapping)
    };
    let steps = meanwhile();
    // Orders come at once, while the generation is filled, and when it has become the active one.
    let come = async {
        for some in steps.chunks(7) {
            tokio::time::sleep(Duration::from_millis(900)).await;
            happen_all(&world, AFTER, some).await;
        }
    };
    let (report, ()) = tokio::join!(rebuild.run(), come);
    let report = report.unwrap();
    assert!(report.is_active && report.missing.is_empty());
    assert_eq!(report.progress.other_mapping, 0);
    check(&profiles(&world, AFTER, "g2/").await, &want);
}

/// A later revision that comes before its first one is counted again takes the order out of the first card all the same. As
/// whenever a later revision comes first, the profile does not learn when the earlier one was.
#[tokio::test]
async fn a_revision_that_comes_meanwhile_replaces_the_one_before() {
    let steps = [
        Step::Decide(vec![revised("o-55", 55, "card-9")]),
        chargeback("o-55", 24),
    ];
    let parts = |mut profiles: BTreeMap<String, Value>| {
        for profile in profiles.values_mut() {
            for part in ["partners", "newest"] {
                profile.as_object_mut().unwrap().remove(part);
            }
        }
        profiles
    };
    let want = parts(world_from_the_start(&[&past()[..], &steps].concat()).await);
    let world = world().await;
    happen_all(&world, BEFORE, &past()).await;
    let mapping = mapping(AFTER);
    let rebuild = Rebuild {
        settle: Duration::from_millis(1),
        ..rebuild(&world, &mapping)
    };
    let come = async {
        // The first wait ends after a second.
        tokio::time::sleep(Duration::from_millis(300)).await;
        happen_all(&world, AFTER, &steps).await;
    };
    let (report, ()) = tokio::join!(rebuild.run(), come);
    assert_eq!(report.unwrap().progress.counted_meanwhile, 1);
    check(&parts(profiles(&world, AFTER, "g2/").await), &want);
}

/// A process that is killed at any point leaves what the next one continues.
#[tokio::test]
async fn a_kill_at_any_point_loses_and_doubles_nothing() {
    let want = world_from_the_start(&[past(), meanwhile()].concat()).await;
    let world = world().await;
    happen_all(&world, BEFORE, &past()).await;
    let mapping = mapping(AFTER);
    let mut steps = meanwhile().into_iter();
    let mut kills = 0;
    let report = loop {
        let longest = Duration::from_millis(8 + 3 * kills);
        let rebuild = rebuild(&world, &mapping);
        if let Ok(report) = tokio::time::timeout(longest, rebuild.run()).await {
            break report.unwrap();
        }
        kills += 1;
        if let Some(step) = steps.next() {
            step.happen(&world, AFTER).await;
        }
    };
    for step in steps {
        step.happen(&world, AFTER).await;
    }
    assert!(kills > 3, "{kills}");
    assert!(report.is_active && report.missing.is_empty());
    check(&profiles(&world, AFTER, "g2/").await, &want);
}

#[tokio::test]
async fn a_store_that_fails_ends_the_command_and_loses_nothing() {
    for (operation, fault) in [
        ("BatchGetItem", Fault::Internal),
        ("Scan", Fault::Internal),
        ("PutItem", Fault::TimeOut),
        ("UpdateItem", Fault::Internal),
        ("BatchExecuteStatement", Fault::Drop),
        ("BatchWriteItem", Fault::Internal),
    ] {
        let world = world().await;
        let some: Vec<Value> = (0..30).map(|n| shop_order(&format!("o-{n}"), n)).collect();
        happen_all(&world, AFTER, &[Step::Decide(some)]).await;
        let want = profiles(&world, AFTER, "").await;
        world.faults.inject(operation, fault.clone(), 5);
        let mapping = mapping(AFTER);
        let mut is_active = false;
        for _ in 0..20 {
            let report = rebuild(&world, &mapping).run().await;
            is_active = report.is_ok_and(|report| report.is_active);
            if is_active {
                break;
            }
        }
        assert!(is_active, "{operation} {fault:?}");
        world.faults.clear();
        let generation = status(&world).await.active;
        let got = profiles(&world, AFTER, &format!("g{generation}/")).await;
        assert_eq!(got, want, "{operation} {fault:?}");
    }
}

#[tokio::test]
async fn what_was_not_kept_is_named_and_not_guessed() {
    let world = world().await;
    happen_all(&world, BEFORE, &past()).await;
    let report = rebuild_all(&world, WITH_DEVICE).await;
    assert!(!report.is_active);
    let missing: Vec<String> = report.missing.iter().map(ToString::to_string).collect();
    assert_eq!(
        missing,
        ["cannot be rebuilt for 303 orders until 2026-06-20T23:59:00Z: key `device`"]
    );
    // Orders are judged as before, and counted in both.
    Step::Decide(vec![shop_order("new", 330)])
        .happen(&world, WITH_DEVICE)
        .await;
    assert_eq!(status(&world).await.active, 1);
    let mapping = mapping(WITH_DEVICE);
    let accepted = Rebuild {
        accept_missing: true,
        ..rebuild(&world, &mapping)
    };
    assert!(accepted.run().await.unwrap().is_active);
    let profiles = profiles(&world, WITH_DEVICE, "g2/").await;
    let devices: Vec<&Value> = profiles
        .iter()
        .filter(|(name, _)| name.starts_with("device#"))
        .map(|(_, profile)| &profile["whole"])
        .collect();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_rebuild_that_is_given_up_leaves_the_old_profiles() {
    let world = world().await;
    happen_all(&world, BEFORE, &past()).await;
    let want = profiles(&world, BEFORE, "").await;
    let mapping = mapping(WITH_DEVICE);
    let rebuild = rebuild(&world, &mapping);
    let nothing = rebuild.abandon().await;
    assert!(matches!(nothing, Err(RebuildError::NothingToAbandon)));
    assert!(!rebuild.run().await.unwrap().is_active);
    assert!(!rebuild.abandon().await.unwrap().is_active);
    assert_eq!(profiles(&world, BEFORE, "").await, want);
    // Its number is not used again: a function may have written it late.
    assert!(rebuild_all(&world, BEFORE).await.is_active);
    assert_eq!(profiles(&world, BEFORE, "g3/").await, want);
}

#[tokio::test]
async fn a_profile_that_cannot_be_read_is_named_and_made_anew() {
    let world = world().await;
    happen_all(&world, BEFORE, &past()).await;
    let want = profiles(&world, BEFORE, "").await;
    let items = scan(&world).await;
    let mut damaged = items
        .into_iter()
        .find(|item| item["pk"].as_s().unwrap().starts_with("card#"))
        .unwrap();
    let bytes = AttributeValue::B(Blob::new(vec![9, 9]));
    damaged.insert("profile".to_owned(), bytes);
    let put = world.clients.dynamodb.put_item().table_name(VELOCITY);
    put.set_item(Some(damaged)).send().await.unwrap();
    let seen = status(&world).await;
    assert_eq!(seen.profiles[&1].unreadable["card"], 1);
    assert_eq!(seen.profiles[&1].profiles, want.len() as u64);
    assert!(rebuild_all(&world, BEFORE).await.is_active);
    assert_eq!(profiles(&world, BEFORE, "g2/").await, want);
    let seen = status(&world).await;
    assert_eq!((seen.active, seen.also), (2, None));
    assert!(seen.profiles[&2].unreadable.is_empty());
    assert_eq!(seen.rebuild.unwrap().progress.deleted, want.len() as u64);
}

/// A profile forgets ids beyond the last 128. The mark in the decision says that an order is counted already.
#[tokio::test]
async fn an_order_that_came_meanwhile_counts_once_on_a_hot_card() {
    let hot = |range: std::ops::Range<u32>| {
        let hot = |n| with(shop_order(&format!("o-{n}"), n), "card", "hot");
        Step::Decide(range.map(hot).collect())
    };
    let counts = async |world: &World, prefix: &str| {
        let mut profiles = profiles(world, AFTER, prefix).await;
        profiles.retain(|name, _| name.starts_with("card#"));
        assert_eq!(profiles.len(), 1);
        let profile = profiles.pop_first().unwrap().1;
        ["whole", "hours", "days", "newest", "times"].map(|part| profile[part].clone())
    };
    let from_the_start = world().await;
    happen_all(&from_the_start, AFTER, &[hot(0..300), hot(300..340)]).await;
    let want = counts(&from_the_start, "").await;
    let world = world().await;
    hot(0..300).happen(&world, BEFORE).await;
    let mapping = mapping(AFTER);
    let rebuild = Rebuild {
        settle: Duration::from_millis(1),
        ..rebuild(&world, &mapping)
    };
    let come = async {
        // The first wait ends after a second.
        tokio::time::sleep(Duration::from_millis(300)).await;
        hot(300..340).happen(&world, AFTER).await;
    };
    let (report, ()) = tokio::join!(rebuild.run(), come);
    let progress = report.unwrap().progress;
    assert_eq!((progress.decisions, progress.counted_meanwhile), (300, 40));
    assert_eq!(counts(&world, "g2/").await, want);
}
