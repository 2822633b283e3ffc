//! Stored predictions and statistics.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::types::RuleExecutionMode::FirstMatched;
use aws_sdk_frauddetector::types::{EventPredictionSummary, FilterCondition, PredictionTimeRange};

use engine::Engine;
use local_aws::clients;
use local_aws::fault::{Fault, Faults};

use crate::world::{EVENT_TIME, World, customer, refusal};

const RULES: &[(&str, &str, &str)] = &[
    (
        "none",
        "isbefore($since, \"2020-01-01T00:00:00Z\")",
        "review",
    ),
    ("large", "$price > 100", "block"),
    ("rest", "$price >= 0", "approve"),
];

fn is(value: &str) -> FilterCondition {
    FilterCondition::builder().value(value).build()
}

fn ids(summaries: &[EventPredictionSummary]) -> String {
    summaries
        .iter()
        .map(|s| s.event_id().unwrap())
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test]
async fn predictions_of_one_millisecond_are_all_kept() {
    let world = World::deciding(RULES, FirstMatched).await;
    for _ in 0..3 {
        world.predict("1", &[("price", "1")]).await;
    }
    let list = world
        .client
        .list_event_predictions()
        .event_id(is("1"))
        .send()
        .await
        .unwrap();
    let times: Vec<_> = list
        .event_prediction_summaries()
        .iter()
        .map(|s| s.prediction_timestamp().unwrap())
        .collect();
    assert_eq!(times, ["2026-06-01T10:15:30.000Z"; 3]);
}

#[tokio::test]
async fn how_a_prediction_came_about() {
    let world = World::deciding(RULES, FirstMatched).await;
    world
        .predict("1", &[("price", "250"), ("country", "US")])
        .await;
    let request = world
        .client
        .get_event_prediction_metadata()
        .event_id("1")
        .event_type_name("order");
    let request = request.detector_id("orders").detector_version_id("1");
    let output = request
        .prediction_timestamp("2026-06-01T10:15:30.000Z")
        .send()
        .await
        .unwrap();
    let rules: Vec<_> = output
        .rules()
        .iter()
        .map(|rule| {
            let letter = |flag: Option<bool>| if flag.unwrap() { "yes" } else { "no" };
            let values = rule.expression_with_values().unwrap();
            format!(
                "{} {} {} {values}",
                rule.rule_id().unwrap(),
                letter(rule.evaluated()),
                letter(rule.matched())
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            "none yes no isbefore(null, \"2020-01-01T00:00:00Z\")",
            "large yes yes 250.0 > 100",
            "rest no no 250.0 >= 0"
        ]
    );
    assert_eq!(output.outcomes(), ["block"]);
    assert_eq!(output.entity_id(), Some("cust-42"));
    assert_eq!(output.detector_version_status(), Some("ACTIVE"));
    assert_eq!(output.rule_execution_mode(), Some(&FirstMatched));
    let variables: Vec<_> = output
        .event_variables()
        .iter()
        .map(|v| v.name().unwrap())
        .collect();
    assert_eq!(variables, ["country", "price"]);

    let request = world
        .client
        .get_event_prediction_metadata()
        .event_id("1")
        .event_type_name("order");
    let request = request.detector_id("orders").detector_version_id("2");
    let other = request
        .prediction_timestamp("2026-06-01T10:15:30.000Z")
        .send()
        .await;
    assert!(
        refusal(other)
            .starts_with("ResourceNotFoundException: Version 2 of detector 'orders' made no")
    );
}

#[tokio::test]
async fn a_list_is_newest_first_and_pages_through_days_and_shards() {
    let world = World::deciding(RULES, FirstMatched).await;
    let mut want = Vec::new();
    for number in 0..130 {
        let id = format!("e{number:03}");
        world.predict(&id, &[("price", "1")]).await;
        world.pass(Duration::from_mins(30));
        want.insert(0, id);
    }
    let mut got = Vec::new();
    let mut token = None;
    let mut pages = 0;
    loop {
        let request = world
            .client
            .list_event_predictions()
            .max_results(50)
            .set_next_token(token);
        let page = request.send().await.unwrap();
        got.extend(
            page.event_prediction_summaries()
                .iter()
                .map(|s| s.event_id().unwrap().to_owned()),
        );
        pages += 1;
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(got, want);
    assert_eq!(pages, 3);
    // The default page has ten rows.
    let usual = world.client.list_event_predictions().send().await.unwrap();
    assert_eq!(usual.event_prediction_summaries().len(), 10);
}

#[tokio::test]
async fn filters() {
    let world = World::deciding(RULES, FirstMatched).await;
    for id in ["a", "b", "c"] {
        world.predict(id, &[("price", "1")]).await;
        world.pass(Duration::from_mins(1));
    }
    let list = || world.client.list_event_predictions();
    let ids = async |request: aws_sdk_frauddetector::operation::list_event_predictions::builders::ListEventPredictionsFluentBuilder| {
        ids(request.send().await.unwrap().event_prediction_summaries())
    };
    assert_eq!(ids(list()).await, "c b a");
    assert_eq!(ids(list().event_id(is("b"))).await, "b");
    assert_eq!(
        ids(list().event_id(is("b")).event_type(is("order"))).await,
        "b"
    );
    assert_eq!(ids(list().event_type(is("login"))).await, "");
    assert_eq!(
        ids(list()
            .detector_id(is("orders"))
            .detector_version_id(is("1")))
        .await,
        "c b a"
    );
    assert_eq!(ids(list().detector_version_id(is("2"))).await, "");
    let range = |start: &str, end: &str| {
        PredictionTimeRange::builder()
            .start_time(start)
            .end_time(end)
            .build()
            .unwrap()
    };
    let first_two = range("2026-06-01T10:15:30Z", "2026-06-01T10:16:30Z");
    assert_eq!(ids(list().prediction_time_range(first_two)).await, "b a");
    let refused =
        list().prediction_time_range(range("2026-06-02T00:00:00Z", "2026-06-01T00:00:00Z"));
    assert!(refusal(refused.send().await).contains("startTime"));
}

#[tokio::test]
async fn a_deleted_event_keeps_its_predictions_unless_told_otherwise() {
    let world = World::deciding(RULES, FirstMatched).await;
    for (id, audit) in [("a", false), ("b", true)] {
        world.predict(id, &[("price", "1")]).await;
        let delete = world
            .client
            .delete_event()
            .event_id(id)
            .event_type_name("order");
        delete.delete_audit_history(audit).send().await.unwrap();
        let get = world
            .client
            .get_event()
            .event_id(id)
            .event_type_name("order")
            .send()
            .await;
        assert!(refusal(get).starts_with("ResourceNotFoundException"));
    }
    let list = world.client.list_event_predictions().send().await.unwrap();
    assert_eq!(ids(list.event_prediction_summaries()), "a");
    world
        .client
        .delete_event()
        .event_id("never")
        .event_type_name("order")
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn statistics_of_an_event_type() {
    let world = World::deciding(RULES, FirstMatched).await;
    world.predict("a", &[("price", "1")]).await;
    world
        .event("b", &[("price", "10")])
        .event_timestamp("2026-05-01T00:00:00Z")
        .send()
        .await
        .unwrap();
    world
        .event("b", &[("price", "11")])
        .event_timestamp("2026-05-01T00:00:00Z")
        .send()
        .await
        .unwrap();
    world.engine.flush().await.unwrap();
    world.engine.flush().await.unwrap();
    let types = world
        .client
        .get_event_types()
        .name("order")
        .send()
        .await
        .unwrap();
    let statistics = types.event_types()[0].ingested_event_statistics().unwrap();
    assert_eq!(statistics.number_of_events(), Some(2));
    assert_eq!(
        statistics.least_recent_event(),
        Some("2026-05-01T00:00:00Z")
    );
    assert_eq!(statistics.most_recent_event(), Some("2026-06-01T10:15:30Z"));
    assert!(statistics.event_data_size_in_bytes() > Some(0));
}

/// Faults while the count of one event is written. The next flush completes the count, and adds nothing twice.
#[tokio::test]
async fn a_count_is_added_once_whatever_fails_while_it_is_written() {
    let refused = Fault::exception("ValidationException");
    for (operation, passes, fault, times) in [
        ("UpdateItem", 0, refused.clone(), 1),
        ("UpdateItem", 1, refused.clone(), 1),
        ("UpdateItem", 2, refused.clone(), 1),
        ("UpdateItem", 0, Fault::TimeOut, 9),
        ("TransactWriteItems", 0, refused.clone(), 1),
        ("TransactWriteItems", 0, Fault::Drop, 9),
        ("TransactWriteItems", 0, Fault::TimeOut, 1),
        ("TransactWriteItems", 0, Fault::TimeOut, 9),
    ] {
        let case = format!("{operation}, after {passes}: {times} times {fault:?}");
        let world = World::deciding(RULES, FirstMatched).await;
        let faults = Faults::new();
        let engine = world.engine_through(&faults);
        let client = clients::connect_frauddetector(engine::http_client(Arc::clone(&engine)));
        let event = world.event("a", &[("price", "1")]).as_input().clone();
        event.send_with(&client).await.unwrap();
        faults.inject(operation, Fault::Pass, passes);
        faults.inject(operation, fault, times);
        // Some of these are errors, and for some the client retries successfully.
        let _ = engine.flush().await;
        faults.clear();
        let event = world.event("b", &[("price", "1")]).as_input().clone();
        event.send_with(&client).await.unwrap();
        engine.flush().await.unwrap();
        engine.flush().await.unwrap();
        let types = client.get_event_types().name("order").send().await.unwrap();
        let statistics = types.event_types()[0].ingested_event_statistics().unwrap();
        assert_eq!(statistics.number_of_events(), Some(2), "{case}");
        assert_eq!(statistics.least_recent_event(), Some(EVENT_TIME), "{case}");
    }
}

/// Processes that write at the same time add to the same few items.
#[tokio::test]
async fn processes_that_count_at_once_lose_nothing() {
    let world = World::deciding(RULES, FirstMatched).await;
    let mut writers = tokio::task::JoinSet::new();
    for process in 0..20 {
        let engine = world.engine_through(&Faults::new());
        let client = clients::connect_frauddetector(engine::http_client(Arc::clone(&engine)));
        let event = world.event(&process.to_string(), &[("price", "1")]);
        let event = event.as_input().clone();
        writers.spawn(async move {
            event.send_with(&client).await.unwrap();
            engine.flush().await.unwrap();
        });
    }
    writers.join_all().await;
    let types = world.client.get_event_types().name("order");
    let types = types.send().await.unwrap();
    let statistics = types.event_types()[0].ingested_event_statistics().unwrap();
    assert_eq!(statistics.number_of_events(), Some(20));
}

/// A write whose client has given up arrives after the next one: the next one counts.
#[tokio::test]
async fn a_write_that_arrives_late_replaces_nothing_newer() {
    let world = World::deciding(RULES, FirstMatched).await;
    let faults = Faults::new();
    let client = world.another_through(&faults);
    let send = |price: &str, label: &str| {
        let send = client.send_event().event_type_name("order").event_id("1");
        let send = send.event_timestamp(EVENT_TIME).entities(customer());
        let send = send.event_variables("price", price);
        send.assigned_label(label)
            .label_timestamp(EVENT_TIME)
            .send()
    };
    send("1", "legit").await.unwrap();
    // First for the event, then for its label.
    for skipped in 0..2 {
        faults.inject("PutItem", Fault::Pass, skipped);
        let late = Duration::from_millis(50);
        faults.inject("PutItem", Fault::Late(late), 1);
        send("2", "fraud").await.unwrap_err();
        world.pass(Duration::from_secs(1));
        send("3", "legit").await.unwrap();
        tokio::time::sleep(2 * late).await;
        let event = client.get_event().event_type_name("order").event_id("1");
        let event = event.send().await.unwrap().event.unwrap();
        assert_eq!(event.event_variables.unwrap()["price"], "3");
        assert_eq!(event.current_label.unwrap(), "legit");
    }
}

/// Two processes have clocks that differ by an hour: the last write counts.
#[tokio::test]
async fn the_last_write_counts_whatever_its_clock_says() {
    let world = World::deciding(RULES, FirstMatched).await;
    world.pass(Duration::from_hours(1));
    world.predict("1", &[("price", "1")]).await;
    let label = |client: &Client, label: &str| {
        let update = client.update_event_label().event_type_name("order");
        let update = update.event_id("1").assigned_label(label);
        update.label_timestamp(EVENT_TIME).send()
    };
    label(&world.client, "fraud").await.unwrap();
    let mut options = world.options.clone();
    options.clock = Arc::new(|| EVENT_TIME.parse().unwrap());
    let late = Engine::new(options, world.dynamodb.clone());
    let late = clients::connect_frauddetector(engine::http_client(Arc::new(late)));
    for want in ["legit", "fraud", "legit"] {
        label(&late, want).await.unwrap();
        let event = world
            .client
            .get_event()
            .event_type_name("order")
            .event_id("1");
        let event = event.send().await.unwrap().event.unwrap();
        assert_eq!(event.current_label.unwrap(), want);
    }
}
