//! Histories of keys beside the entity: a device that several customers use.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::types::AggregatedVariablesImpactExplanation;
use futures::future::join_all;
use local_aws::fault::{Fault, Faults};
use model::history::EntityHistory;

use crate::entity_history::{DAY, FIRST, MINUTE, Shop, entity, store_bursts, time};

/// A shop whose variable `country` holds the device.
async fn shop_with_devices() -> Shop {
    Shop::with_types([("price", "PRICE"), ("country", "FINGERPRINT")]).await
}

/// Stores orders, each of a new customer, of devices of which every second one is used for fraud.
async fn store_orders(shop: &Shop, devices: i64) {
    store_bursts(devices, async |device, order, at, label| {
        let id = format!("{device}-{order}");
        let price = format!("{}.00", 10 + (device * 7 + order * 13) % 20);
        let send = shop.world.client.send_event().event_type_name("order");
        let send = send
            .event_id(&id)
            .event_timestamp(time(at))
            .event_variables("price", price)
            .event_variables("country", format!("Device-{device}"))
            .entities(entity(&format!("c{id}")))
            .assigned_label(label)
            .label_timestamp(time(at + DAY));
        send.send().await.unwrap();
    })
    .await;
}

async fn score(shop: &Shop, device: &str, id: &str, at: i64) -> f32 {
    let predict = shop.world.client.get_event_prediction();
    let predict = predict
        .detector_id("orders")
        .event_type_name("order")
        .event_id(id)
        .event_timestamp(time(at))
        .event_variables("price", "20.00")
        .event_variables("country", device)
        .entities(entity(&format!("c{id}")));
    let output = predict.send().await.unwrap();
    output.model_scores()[0].scores().unwrap()["habits_insightscore"]
}

/// The histories of devices by the end of their key.
async fn device_histories(shop: &Shop) -> HashMap<String, EntityHistory> {
    let scan = shop.world.dynamodb.scan();
    let scan = scan
        .table_name(&shop.world.options.events_table)
        .filter_expression("begins_with(pk, :prefix)");
    let prefix = "habits#order#=country#";
    let scan = scan.expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()));
    let pages = scan.into_paginator().items().send();
    let items = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
    let history = |item: HashMap<String, AttributeValue>| {
        let (pk, text) = (item["pk"].as_s().unwrap(), item["profile"].as_s().unwrap());
        (
            pk[prefix.len()..].to_owned(),
            serde_json::from_str(text).unwrap(),
        )
    };
    items.into_iter().map(history).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_learns_what_devices_did_before() {
    let shop = shop_with_devices().await;
    store_orders(&shop, 160).await;
    shop.version().await;
    let version = shop.deciding().await;
    // Histories of customers and devices are filled in from stored events.
    let filled = device_histories(&shop).await;
    let mut counts: Vec<u64> = filled.values().map(EntityHistory::event_count).collect();
    counts.sort_unstable();
    assert_eq!((counts.len(), counts[0], counts[159]), (160, 2, 5));

    // Eight customers use one device at the same time; each event counts.
    let now = FIRST + 200 * DAY;
    let first = (0..8).map(|place| {
        let shop = &shop;
        async move { score(shop, "Shared", &format!("shared-{place}"), now + place).await }
    });
    join_all(first).await;
    let histories = device_histories(&shop).await;
    let shared = histories
        .iter()
        .filter(|(key, _)| !filled.contains_key(*key));
    let shared: Vec<u64> = shared.map(|(_, history)| history.event_count()).collect();
    assert_eq!(shared, [8]);

    // Another customer comes with it, however it is written; and one with a device that is new.
    let later = now + 5 * MINUTE;
    let busy = score(&shop, "SHARED", "busy", later).await;
    let new = score(&shop, "Fresh", "new", later).await;
    assert!(busy > new + 300.0, "{busy} is not much more than {new}");
    // The explanation names the device, not the customer.
    let metadata = shop.explained(&version, "busy").await;
    let evaluation = &metadata.evaluated_model_versions()[0].evaluations()[0];
    let explained = evaluation.prediction_explanations().unwrap();
    let parts = explained.aggregated_variables_impact_explanations().iter();
    let most = parts
        .max_by(|a, b| {
            let impact =
                |part: &AggregatedVariablesImpactExplanation| part.log_odds_impact().unwrap_or(0.0);
            impact(a).total_cmp(&impact(b))
        })
        .unwrap();
    assert_eq!(most.event_variable_names(), ["country"]);
    // Nobody stored the device itself in the name of an item.
    assert!(histories.keys().all(|key| key.len() == 32));

    // A forgotten event is taken out of the history of its device; one that is then empty is deleted.
    let engine = &shop.world.engine;
    engine.forget_in_histories("order", "busy").await.unwrap();
    engine.forget_in_histories("order", "new").await.unwrap();
    let left = device_histories(&shop).await;
    assert_eq!(left.len(), histories.len(), "the fresh device is gone");
    let shared = left.iter().filter(|(key, _)| !filled.contains_key(*key));
    let shared: Vec<u64> = shared.map(|(_, history)| history.event_count()).collect();
    assert_eq!(shared, [8]);
}

/// The history of a key that cannot be written, because others write it again and again, holds up no event.
#[tokio::test]
async fn an_event_goes_on_without_the_history_of_a_busy_key() {
    let shop = shop_with_devices().await;
    shop.version().await;
    let faults = Faults::new();
    let client = shop.world.another_through(&faults);
    let send = async |id: &str| {
        let send = client.send_event().event_type_name("order").event_id(id);
        let send = send
            .event_timestamp(time(FIRST))
            .event_variables("price", "20.00")
            .event_variables("country", "Busy")
            .entities(entity("unknown"));
        send.send().await
    };
    for (conflicts, count) in [(19, 1), (20, 1), (0, 2)] {
        let id = format!("after-{conflicts}");
        faults.inject("PutItem", Fault::Pass, 1);
        let conflict = Fault::exception("ConditionalCheckFailedException");
        faults.inject("PutItem", conflict, conflicts);
        send(&id).await.unwrap();
        let histories = device_histories(&shop).await;
        let counts: Vec<u64> = histories.values().map(EntityHistory::event_count).collect();
        assert_eq!(counts, [count], "{conflicts}");
    }
}
