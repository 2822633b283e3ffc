//! What a prediction answers, and which requests it rejects.

use aws_sdk_frauddetector::types::RuleExecutionMode::{AllMatched, FirstMatched};
use aws_sdk_frauddetector::types::{DetectorVersionStatus, Entity};
use serde_json::json;

use crate::world::{EVENT_TIME, World, json, matches, refusal};

const RULES: &[(&str, &str, &str)] = &[
    ("large", "$price > 100", "block"),
    ("foreign", "$country != \"US\"", "review"),
    ("rest", "$price >= 0", "approve"),
];

#[tokio::test]
async fn the_first_match_ends_it_or_all_are_kept() {
    let first = World::deciding(RULES, FirstMatched).await;
    assert_eq!(
        matches(
            &first
                .predict("1", &[("price", "200"), ("country", "DE")])
                .await
        ),
        "large: block"
    );
    assert_eq!(
        matches(
            &first
                .predict("2", &[("price", "20"), ("country", "DE")])
                .await
        ),
        "foreign: review"
    );
    let all = World::deciding(RULES, AllMatched).await;
    let output = all
        .predict("1", &[("price", "200"), ("country", "DE")])
        .await;
    assert_eq!(
        matches(&output),
        "large: block, foreign: review, rest: approve"
    );
}

#[tokio::test]
async fn no_match_is_an_empty_list() {
    let world = World::deciding(&RULES[..1], FirstMatched).await;
    assert_eq!(matches(&world.predict("1", &[("price", "20")]).await), "");
}

#[tokio::test]
async fn a_missing_variable_has_its_default_and_an_explicit_null_has_none() {
    let rules = [
        ("none", "$items == null", "review"),
        ("one", "$items == 1", "approve"),
    ];
    let world = World::deciding(&rules, AllMatched).await;
    assert_eq!(
        matches(&world.predict("1", &[("price", "20")]).await),
        "one: approve"
    );
    let body = json!({
        "detectorId": "orders", "eventId": "2", "eventTypeName": "order", "eventTimestamp": EVENT_TIME,
        "entities": [{"entityType": "customer", "entityId": "unknown"}],
        "eventVariables": {"items": null},
    });
    let response = world.raw("GetEventPrediction", &body.to_string()).await;
    assert_eq!(
        json(&response)["ruleResults"],
        json!([{"ruleId": "none", "outcomes": ["review"]}])
    );
}

#[tokio::test]
async fn the_header_says_how_it_came_about() {
    let rules = [
        (
            "late",
            "isbefore($since, \"2020-01-01T00:00:00Z\")",
            "review",
        ),
        RULES[0],
    ];
    let world = World::deciding(&rules, AllMatched).await;
    let body = json!({
        "detectorId": "orders", "eventId": "1", "eventTypeName": "order", "eventTimestamp": EVENT_TIME,
        "entities": [{"entityType": "customer", "entityId": "unknown"}],
        "eventVariables": {"price": "500"},
    });
    let response = world.raw("GetEventPrediction", &body.to_string()).await;
    let header = response.headers()[engine::PREDICTION_HEADER]
        .to_str()
        .unwrap();
    let how: serde_json::Value = serde_json::from_str(header).unwrap();
    assert_eq!(how["predictionTimestamp"], "2026-06-01T10:15:30.000Z");
    assert_eq!(how["detectorId"], "orders");
    assert_eq!(how["detectorVersionId"], "1");
    assert_eq!(how["rules"], json!([{"id": "large", "version": 1}]));
    assert_eq!(how["undetermined"], json!(["late"]));
    assert!(header.len() <= 4096);
}

#[tokio::test]
async fn any_status_can_be_named_but_only_active_is_the_default() {
    let world = World::with_detector().await;
    let rule = world.rule("large", "$price > 100", "block").await;
    let draft = world.version(vec![rule], FirstMatched).await;
    let output = world
        .prediction("1", &[("price", "200")])
        .detector_version_id(&draft)
        .send()
        .await;
    assert_eq!(matches(&output.unwrap()), "large: block");
    let refused = world.prediction("1", &[("price", "200")]).send().await;
    assert_eq!(
        refusal(refused),
        "ResourceNotFoundException: Detector 'orders' has no version in status ACTIVE."
    );
}

#[tokio::test]
async fn an_event_that_does_not_fit_is_refused_by_name_and_without_its_value() {
    let world = World::deciding(RULES, FirstMatched).await;
    let secret = "jo@example.com";
    let cases = [
        (
            "price",
            "ValidationException: Value of variable 'price' is not a valid FLOAT.",
        ),
        (
            "items",
            "ValidationException: Value of variable 'items' is not a valid INTEGER.",
        ),
        (
            "member",
            "ValidationException: Value of variable 'member' is not a valid BOOLEAN.",
        ),
        (
            "since",
            "ValidationException: Value of variable 'since' is not a valid DATETIME.",
        ),
        (
            "email",
            "ValidationException: Variable 'email' is not included in event type 'order'.",
        ),
    ];
    for (variable, want) in cases {
        let got = refusal(world.prediction("1", &[(variable, secret)]).send().await);
        assert_eq!(got, want);
        assert_eq!(
            refusal(world.event("1", &[(variable, secret)]).send().await),
            want
        );
    }
    let seller = Entity::builder()
        .entity_type("seller")
        .entity_id("1")
        .build()
        .unwrap();
    let request = world
        .prediction("1", &[("price", "1")])
        .set_entities(Some(vec![seller]));
    assert_eq!(
        refusal(request.send().await),
        "ValidationException: Entity type 'seller' is not included in event type 'order'."
    );
}

#[tokio::test]
async fn timestamps() {
    let world = World::deciding(RULES, FirstMatched).await;
    for text in [
        "2026-06-01T10:15:30Z",
        "2026-06-01T10:15:30.123Z",
        "06/01/2026 10:15:30",
        "2026/06/01 1:01 PM",
    ] {
        let request = world
            .prediction("1", &[("price", "1")])
            .event_timestamp(text);
        request.send().await.unwrap();
    }
    for text in [
        "2026-06-01T10:15:30+02:00",
        "yesterday at noon",
        "2026-13-01T10:15:30Z",
    ] {
        let request = world
            .prediction("1", &[("price", "1")])
            .event_timestamp(text);
        let got = refusal(request.send().await);
        assert!(
            got.starts_with("ValidationException: 'eventTimestamp' is not a valid timestamp"),
            "{got}"
        );
    }
    let sent = world
        .event("1", &[("price", "1")])
        .event_timestamp("2026-06-01T10:15:30.123Z");
    assert!(refusal(sent.send().await).contains("fraction"));
}

#[tokio::test]
async fn a_new_version_decides_at_once() {
    let world = World::deciding(&RULES[..1], FirstMatched).await;
    assert_eq!(matches(&world.predict("1", &[("price", "50")]).await), "");
    let reference = aws_sdk_frauddetector::types::Rule::builder()
        .detector_id("orders")
        .rule_id("large")
        .rule_version("1")
        .build()
        .unwrap();
    let update = world
        .client
        .update_rule_version()
        .rule(reference)
        .expression("$price > 10");
    let update = update
        .language(aws_sdk_frauddetector::types::Language::Detectorpl)
        .outcomes("block");
    let second = update.send().await.unwrap().rule.unwrap();
    assert_eq!(second.rule_version(), "2");
    let version = world.version(vec![second], FirstMatched).await;
    world.status(&version, DetectorVersionStatus::Active).await;
    assert_eq!(
        matches(&world.predict("1", &[("price", "50")]).await),
        "large: block"
    );
}

#[tokio::test]
async fn a_default_may_stand_for_no_value() {
    let rules = [
        ("absent", "$card_bin == null", "review"),
        ("low", "$card_bin < 400000", "block"),
    ];
    let world = World::with_detector().await;
    let create = world.client.create_variable().name("card_bin");
    let create = create
        .data_type(aws_sdk_frauddetector::types::DataType::Integer)
        .data_source(aws_sdk_frauddetector::types::DataSource::Event)
        .variable_type("CARD_BIN");
    create.default_value("<null>").send().await.unwrap();
    let event_type = world.client.put_event_type().name("order");
    let event_type = event_type
        .event_variables("card_bin")
        .event_variables("price");
    event_type.entity_types("customer").send().await.unwrap();
    let mut references = Vec::new();
    for (id, expression, outcome) in rules {
        references.push(world.rule(id, expression, outcome).await);
    }
    let version = world.version(references, FirstMatched).await;
    world.status(&version, DetectorVersionStatus::Active).await;
    for (variables, want) in [
        (&[("price", "1")][..], "absent: review"),
        (&[("card_bin", "312345")], "low: block"),
        (&[("card_bin", "412345")], ""),
    ] {
        assert_eq!(matches(&world.predict("1", variables).await), want);
    }
}

#[tokio::test]
async fn a_default_that_changes_changes_the_decision() {
    let world = World::deciding(&RULES[..1], FirstMatched).await;
    assert_eq!(matches(&world.predict("1", &[("country", "US")]).await), "");
    world
        .client
        .update_variable()
        .name("price")
        .default_value("1000")
        .send()
        .await
        .unwrap();
    assert_eq!(
        matches(&world.predict("1", &[("country", "US")]).await),
        "large: block"
    );
}

#[tokio::test]
async fn ingestion_that_is_off_stores_predictions_but_no_events() {
    let world = World::deciding(RULES, FirstMatched).await;
    let mut put = world
        .client
        .put_event_type()
        .name("order")
        .entity_types("customer");
    for variable in ["price", "country", "items", "member", "since"] {
        put = put.event_variables(variable);
    }
    put.event_ingestion("DISABLED".into()).send().await.unwrap();
    world.predict("1", &[("price", "1")]).await;
    let get = world
        .client
        .get_event()
        .event_id("1")
        .event_type_name("order")
        .send()
        .await;
    assert_eq!(
        refusal(get),
        "ResourceNotFoundException: Event '1' of event type 'order' does not exist."
    );
    assert!(refusal(world.event("1", &[("price", "1")]).send().await).contains("DISABLED"));
    let list = world.client.list_event_predictions().send().await.unwrap();
    assert_eq!(list.event_prediction_summaries().len(), 1);
}

/// `GetPrediction`, for clients of 2020: a smaller request and a smaller answer.
#[tokio::test]
async fn the_prediction_of_before() {
    let rules = [
        ("large", "$price > 100", "block"),
        ("any", "$price > 1", "block"),
        ("rest", "$price > 0", "review"),
    ];
    let world = World::deciding(&rules, AllMatched).await;
    let ask = async |body: &str| {
        let answer = world.raw("GetPrediction", body).await;
        format!("{} {}", answer.status().as_u16(), json(&answer))
    };
    assert_eq!(
        ask(r#"{"detectorId":"orders","detectorVersionId":"1","eventId":"e-1","eventAttributes":{"price":"250"}}"#).await,
        r#"200 {"outcomes":["block","review"],"modelScores":[]}"#
    );
    let get = world
        .client
        .get_event()
        .event_id("e-1")
        .event_type_name("order");
    let event = get.send().await.unwrap().event.unwrap();
    assert_eq!(event.event_timestamp(), Some("2026-06-01T10:15:30Z"));
    assert_eq!(event.entities()[0].entity_id(), "unknown");
    let refused =
        ask(r#"{"detectorId":"none","eventId":"e-1","eventAttributes":{"price":"1"}}"#).await;
    assert!(
        refused.starts_with(r#"400 {"__type":"ResourceNotFoundException""#),
        "{refused}"
    );
    let refused = ask(r#"{"detectorId":"orders"}"#).await;
    assert!(refused.contains("'eventId'"), "{refused}");
}
