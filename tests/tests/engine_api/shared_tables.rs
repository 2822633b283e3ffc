//! Several processes that use the same tables.

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::types::RuleExecutionMode::FirstMatched;
use aws_sdk_frauddetector::types::{DetectorVersionStatus, Language, Rule};
use local_aws::fault::{Fault, Faults};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::world::{START, World, customer, matches, refusal};

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

/// A process that has finished its reads and whose write is delayed, so that the write of another process comes first.
fn late(world: &World) -> Client {
    let faults = Faults::new();
    faults.inject(
        "TransactWriteItems",
        Fault::Delay(Duration::from_millis(300)),
        1,
    );
    world.another_through(&faults)
}

/// Waits until the delayed process has reached its write.
async fn read_by_now() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn new_rule_version(client: Client, rule: Rule, expression: &str) -> Result<String, String> {
    let update = client
        .update_rule_version()
        .rule(rule)
        .expression(expression);
    let update = update.language(Language::Detectorpl).outcomes("block");
    match update.send().await {
        Ok(made) => Ok(made.rule.unwrap().rule_version),
        Err(error) => Err(refusal::<(), _>(Err(error))),
    }
}

#[tokio::test]
async fn a_write_that_comes_late_is_done_again_on_what_is_there_now() {
    let world = World::with_detector().await;
    let rule = world.rule("r", "$price > 1", "block").await;
    let other = world.rule("other", "$price > 1", "block").await;
    let of_other = tokio::spawn(new_rule_version(late(&world), other, "$price > 2"));
    let of_same = tokio::spawn(new_rule_version(late(&world), rule.clone(), "$price > 2"));
    read_by_now().await;
    let in_time = new_rule_version(world.another(), rule, "$price > 3").await;
    assert_eq!(in_time.unwrap(), "2");
    assert_eq!(of_other.await.unwrap().unwrap(), "2");
    // What the late request was made for is not the most recent version any more.
    let refused = of_same.await.unwrap().unwrap_err();
    assert!(
        refused.contains("whereas the most recent version is 2."),
        "{refused}"
    );
    let rules = world.client.get_rules().detector_id("orders").send().await;
    let rules = rules.unwrap();
    let mut texts: Vec<_> = rules
        .rule_details()
        .iter()
        .map(|rule| {
            format!(
                "{}.{}: {}",
                rule.rule_id().unwrap(),
                rule.rule_version().unwrap(),
                rule.expression().unwrap()
            )
        })
        .collect();
    texts.sort();
    assert_eq!(
        texts,
        [
            "other.1: $price > 1",
            "other.2: $price > 2",
            "r.1: $price > 1",
            "r.2: $price > 3"
        ]
    );
}

#[tokio::test]
async fn what_is_about_to_be_used_is_not_deleted_and_what_is_deleted_is_not_used() {
    let create = async |client: Client, outcome: &str| {
        let create = client.create_rule().detector_id("orders").rule_id(outcome);
        let create = create
            .expression("$price > 1")
            .language(Language::Detectorpl);
        create.outcomes(outcome).send().await
    };
    let world = World::with_detector().await;
    let client = late(&world);
    let used = tokio::spawn(async move { create(client, "review").await });
    read_by_now().await;
    let delete = world.another().delete_outcome().name("review").send();
    delete.await.unwrap();
    assert_eq!(
        refusal(used.await.unwrap()),
        "ValidationException: Outcome: [review] do not exist."
    );

    let delete = late(&world).delete_outcome().name("block").send();
    let deleted = tokio::spawn(delete);
    read_by_now().await;
    create(world.another(), "block").await.unwrap();
    let refused = refusal(deleted.await.unwrap());
    assert!(refused.starts_with("ConflictException: "), "{refused}");
}

#[tokio::test]
async fn a_quota_holds_for_all_writers_together() {
    let world = World::with(|options| options.quotas.labels = 3).await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..6 {
        let client = world.another();
        writers.spawn(async move {
            let put = client.put_label().name(format!("l{number}"));
            put.send().await.is_ok()
        });
    }
    let made = writers.join_all().await;
    assert_eq!(made.into_iter().filter(|made| *made).count(), 3);
    let labels = world.client.get_labels().send().await.unwrap();
    assert_eq!(labels.labels().len(), 3);
}

/// The clocks of both processes stand still, and still no prediction replaces another.
#[tokio::test]
async fn predictions_of_one_event_by_two_processes_are_all_kept() {
    let world = World::deciding(&[("r", "$price > 1", "block")], FirstMatched).await;
    let mut calls = tokio::task::JoinSet::new();
    for client in [world.another(), world.another()] {
        for _ in 0..6 {
            let call = client
                .get_event_prediction()
                .detector_id("orders")
                .event_id("1");
            let call = call.event_type_name("order").event_variables("price", "5");
            let call = call
                .event_timestamp("2026-06-01T10:15:30Z")
                .entities(customer());
            calls.spawn(call.send());
        }
    }
    for output in calls.join_all().await {
        assert_eq!(matches(&output.unwrap()), "r: block");
    }
    let kept = world.client.list_event_predictions().max_results(50);
    let kept = kept.send().await.unwrap();
    let times: Vec<_> = kept
        .event_prediction_summaries()
        .iter()
        .map(|row| row.prediction_timestamp().unwrap())
        .collect();
    let first = jiff::Timestamp::from_millisecond(START).unwrap();
    assert_eq!(times, vec![format!("{first:.3}"); 12]);
}

/// How often the table leaves all keys unread, and the result for the client.
#[tokio::test]
async fn keys_that_a_throttled_table_leaves_unread_are_asked_for_again_but_not_for_ever() {
    let world = World::with_detector().await;
    for (times, want) in [
        (0, "ok"),
        (3, "ok"),
        (
            200,
            "ThrottlingException: Rate exceeded: the engine's tables are throttled. Try again.",
        ),
    ] {
        let faults = Faults::new();
        let client = world.another_through(&faults);
        faults.inject("BatchGetItem", Fault::Unprocessed, times);
        let sent = client.get_event_types().name("order").send().await;
        let got = match sent {
            Ok(_) => "ok".to_owned(),
            refused => refusal(refused),
        };
        assert_eq!(got, want, "{times}");
        assert!(faults.count_calls("BatchGetItem") < 50, "{times}");
    }
}
