//! Several processes over one set of tables.

use aws_sdk_frauddetector::types::RuleExecutionMode::FirstMatched;
use aws_sdk_frauddetector::types::{DetectorVersionStatus, Language};
use std::collections::BTreeSet;

use crate::world::{World, matches};

#[tokio::test]
async fn writers_never_give_out_a_version_twice() {
    let world = World::with_detector().await;
    let rule = world.rule("r", "$price > 1", "block").await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (client, rule) = (world.another(), rule.clone());
        writers.spawn(async move {
            let create = client
                .create_detector_version()
                .detector_id("orders")
                .rules(rule);
            create.send().await.unwrap().detector_version_id.unwrap()
        });
    }
    let versions: BTreeSet<String> = writers.join_all().await.into_iter().collect();
    assert_eq!(
        versions.into_iter().collect::<Vec<_>>(),
        ["1", "2", "3", "4", "5", "6"]
    );
}

#[tokio::test]
async fn writers_never_lose_each_others_edits() {
    let world = World::new().await;
    world.client.create_list().name("l").send().await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..6 {
        let client = world.another();
        writers.spawn(async move {
            let update = client.update_list().name("l").elements(number.to_string());
            update.update_mode("APPEND".into()).send().await.unwrap();
        });
    }
    writers.join_all().await;
    let output = world
        .client
        .get_list_elements()
        .name("l")
        .send()
        .await
        .unwrap();
    assert_eq!(output.elements().join(" "), "0 1 2 3 4 5");
}

#[tokio::test]
async fn another_process_sees_changes_once_its_cache_is_old() {
    let world = World::deciding(&[("r", "$price > 100", "block")], FirstMatched).await;
    let another = world.another();
    let predict = async || {
        let request = another
            .get_event_prediction()
            .detector_id("orders")
            .event_id("1");
        let request = request
            .event_type_name("order")
            .event_timestamp("2026-06-01T10:15:30Z");
        let request = request
            .entities(crate::world::customer())
            .event_variables("price", "50");
        matches(&request.send().await.unwrap())
    };
    assert_eq!(predict().await, "");
    let create = world
        .client
        .create_rule()
        .detector_id("orders")
        .rule_id("low")
        .expression("$price > 10");
    let rule = create
        .language(Language::Detectorpl)
        .outcomes("review")
        .send()
        .await
        .unwrap()
        .rule
        .unwrap();
    let version = world.version(vec![rule], FirstMatched).await;
    world.status(&version, DetectorVersionStatus::Active).await;
    assert_eq!(predict().await, "low: review");
}
