//! The real SDK client, the engine and an embedded DynamoDB, in this process.

mod functions;
mod parameters;
mod plans;
mod templates;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_frauddetector::Client;
use bytes::Bytes;
use engine::Engine;
use http::{Request, Response, StatusCode};

use super::*;
use local_aws::clients;
use local_aws::dynamodb::DynamoDb;
use local_aws::service::{Service, operation_name};

const SMALL: &str = include_str!("small.yaml");
const SAMPLE: &str = include_str!("../../../../../config/detector.yaml");

async fn engine() -> Arc<Engine> {
    let dynamodb =
        clients::connect_dynamodb(DynamoDb::in_memory().unwrap().service().http_client());
    let engine = Engine::new(
        engine::EngineOptions::new(clients::REGION, clients::ACCOUNT),
        dynamodb,
    );
    engine.create_tables().await.unwrap();
    Arc::new(engine)
}

async fn client() -> Client {
    clients::connect_frauddetector(engine::http_client(engine().await))
}

fn parse(text: &str) -> DetectorTemplate {
    DetectorTemplate::parse("t.yaml", text, &TemplateInputs::default()).unwrap()
}

/// The resources that a template defines, in one line; or its problems, without the name of the file.
fn describe(text: &str, parameters: &[(&str, &str)]) -> String {
    let parameters = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let inputs = TemplateInputs::new(parameters.collect());
    let template = match DetectorTemplate::parse("t.yaml", text, &inputs) {
        Ok(template) => template,
        Err(error) => return error.to_string().replace("t.yaml:", ""),
    };
    let mut lines = Vec::new();
    let named = [
        ("label", &template.labels),
        ("outcome", &template.outcomes),
        ("entity type", &template.entity_types),
    ];
    for (kind, resources) in named {
        for resource in resources {
            let description = resource.description.as_ref();
            let description = description.map_or_else(String::new, |text| format!(" `{text}`"));
            lines.push(format!("{kind} {}{description}", resource.name));
        }
    }
    for event_type in &template.event_types {
        let parts = [
            &event_type.variables,
            &event_type.labels,
            &event_type.entity_types,
        ];
        let parts = parts.map(|names| names.join(" ")).join(", ");
        lines.push(format!("event type {} ({parts})", event_type.name));
    }
    for list in &template.lists {
        let elements = list.elements.clone().unwrap_or_default().join(" ");
        lines.push(format!("list {} [{elements}]", list.name));
    }
    lines.join("; ")
}

/// Applies a template and returns the lines that were done.
async fn apply(client: &Client, text: &str) -> Result<Vec<String>, ApplyError> {
    let plan = make_plan(client, &parse(text)).await?;
    let mut done = Vec::new();
    execute_plan(client, &plan, |step| done.push(step.to_string())).await?;
    Ok(done)
}

#[tokio::test]
async fn the_sample_is_applied_once() {
    let client = client().await;
    let template =
        DetectorTemplate::parse("config/detector.yaml", SAMPLE, &TemplateInputs::default())
            .unwrap();
    let first = make_plan(&client, &template).await.unwrap();
    assert_eq!(first.unchanged, 0, "{first}");
    assert_eq!(first.warnings, [], "{first}");
    execute_plan(&client, &first, |_| ()).await.unwrap();
    let second = make_plan(&client, &template).await.unwrap();
    assert!(second.is_empty(), "{second}");
    assert_eq!(second.unchanged, first.steps.len());
    assert_eq!(second.notes, [""; 0]);

    let event_types = client.get_event_types().name("order").send().await.unwrap();
    let event_type = &event_types.event_types()[0];
    assert_eq!(event_type.event_ingestion().unwrap().as_str(), "ENABLED");
    let variables = client
        .get_variables()
        .name("ordered_at")
        .send()
        .await
        .unwrap();
    assert_eq!(
        variables.variables()[0].data_type().unwrap().as_str(),
        "DATETIME"
    );
}

#[tokio::test]
async fn one_changed_rule_is_one_rule_and_one_version() {
    let client = client().await;
    apply(&client, SMALL).await.unwrap();
    let changed = SMALL.replace("$price > 1000", "$price > 500");
    let done = apply(&client, &changed).await.unwrap();
    let want = [
        "~ rule high_price: expression changed (version 2)",
        "+ detector version 2 (2 rules, ALL_MATCHED), then ACTIVE",
    ];
    assert_eq!(done, want);
    assert!(
        make_plan(&client, &parse(&changed))
            .await
            .unwrap()
            .is_empty()
    );

    let version = client
        .get_detector_version()
        .detector_id("orders")
        .detector_version_id("2");
    let version = version.send().await.unwrap();
    assert_eq!(version.status().unwrap().as_str(), "ACTIVE");
    let pinned: Vec<_> = version
        .rules()
        .iter()
        .map(|rule| (rule.rule_id(), rule.rule_version()))
        .collect();
    assert_eq!(pinned, [("high_price", "2"), ("blocked_email", "1")]);
}

#[tokio::test]
async fn everything_that_may_change_changes() {
    let client = client().await;
    apply(&client, SMALL).await.unwrap();
    let changed = SMALL
        .replace("A chargeback for fraud", "Not paid by its owner")
        .replace("DefaultValue: 0.0", "DefaultValue: 1.0")
        .replace("[eve@example.com]", "[mallory@example.com]")
        .replace(
            "      Name: order\n",
            "      Name: order\n      Description: An order\n",
        )
        .replace(
            "      DetectorId: orders\n      Det",
            "      DetectorId: orders\n      Description: All\n      Det",
        )
        .replace("Name: email,", "Name: address,")
        .replace("$email in", "$address in");
    let done = apply(&client, &changed).await.unwrap();
    let want = [
        "~ label fraud: description changed",
        "~ variable price: default 1.0",
        "+ variable address STRING default \"\"",
        "~ list blocked: 1 element added",
        "~ event type order: variable address added, description changed",
        "~ detector orders: description changed",
        "~ rule blocked_email: expression changed (version 2)",
        "+ detector version 2 (2 rules, ALL_MATCHED), then ACTIVE",
    ];
    assert_eq!(done, want);
    let rest = make_plan(&client, &parse(&changed)).await.unwrap();
    assert!(rest.is_empty(), "{rest}");
    let notes = [
        "list blocked has 1 element that the file lacks; nothing is removed",
        "variable email of event type order is not in the file; it stays",
    ];
    assert_eq!(rest.notes, notes);
}

#[tokio::test]
async fn a_data_type_cannot_change() {
    let client = client().await;
    apply(&client, SMALL).await.unwrap();
    let changed = SMALL.replace("price, DataType: FLOAT", "price, DataType: STRING");
    let changed = changed.replace("$price > 1000", "$price == \"1000\"");
    let error = apply(&client, &changed).await.unwrap_err();
    let want = "the data type of variable `price` is FLOAT and cannot become STRING; make a new variable\n\
                nothing was sent";
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn invalid_rules_are_shown_together_and_nothing_is_sent() {
    let client = client().await;
    let text = SMALL
        .replace("$price > 1000", "$prise > 1000")
        .replace("@blocked", "@blokked");
    let error = apply(&client, &text).await.unwrap_err().to_string();
    let want = "t.yaml:50:23: rule `high_price`\n\
                there is no variable `$prise`; did you mean `$price`?\n\
                1 | $prise > 1000\n  | ^^^^^^\n\
                t.yaml:55:23: rule `blocked_email`\n\
                there is no list `@blokked`; did you mean `@blocked`?\n\
                1 | $email in @blokked\n  |           ^^^^^^^^\n\
                nothing was sent";
    assert_eq!(error, want);
    assert!(
        client
            .get_labels()
            .send()
            .await
            .unwrap()
            .labels()
            .is_empty()
    );
}

#[tokio::test]
async fn a_rule_that_may_surprise_is_warned_of() {
    let client = client().await;
    let text = SMALL.replace("$price > 1000", "100 / $price != 1");
    let plan = make_plan(&client, &parse(&text)).await.unwrap();
    let want = "warning: rule high_price: in `100 / $price != 1`, `/` is null where its divisor is 0, \
                and then `!=` is unknown, not true";
    assert_eq!(plan.to_string().lines().next(), Some(want));
}

/// A client of `engine` that fails after so many changes.
fn failing(engine: Arc<Engine>, changes: usize) -> Client {
    let left = Arc::new(AtomicUsize::new(changes));
    let service = Service::new(move |request: Request<Bytes>| {
        let (engine, left) = (engine.clone(), left.clone());
        async move {
            let reads = operation_name(&request).starts_with("Get")
                || operation_name(&request).starts_with("Describe");
            let may = |left: usize| left.checked_sub(1);
            if reads
                || left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, may)
                    .is_ok()
            {
                return engine.handle(request).await;
            }
            let mut response = Response::new(Bytes::from_static(b"{\"message\":\"try later\"}"));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            let name = http::HeaderValue::from_static("ThrottlingException");
            response.headers_mut().insert("x-amzn-errortype", name);
            response
        }
    });
    clients::connect_frauddetector(service.http_client())
}

#[tokio::test]
async fn a_run_that_stops_anywhere_is_continued() {
    let whole = apply(&client().await, SMALL).await.unwrap();
    // 3 variables are one call; the detector version is two.
    let calls = whole.len() - 2 + 1;
    for changes in 0..calls {
        let engine = engine().await;
        let error = apply(&failing(engine.clone(), changes), SMALL)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("ThrottlingException: try later; run the command again"),
            "{error}"
        );
        let client = clients::connect_frauddetector(engine::http_client(engine));
        apply(&client, SMALL).await.unwrap();
        let rest = make_plan(&client, &parse(SMALL)).await.unwrap();
        assert!(rest.is_empty(), "{changes}: {rest}");
        assert_eq!(rest.unchanged, whole.len());
        let versions = client
            .describe_detector()
            .detector_id("orders")
            .send()
            .await
            .unwrap();
        assert_eq!(versions.detector_version_summaries().len(), 1, "{changes}");
    }
    apply(&failing(engine().await, calls), SMALL).await.unwrap();
}

async fn printed(client: &Client, options: &ApplyOptions) -> String {
    let mut out = Vec::new();
    apply_template(client, options, &mut out).await.unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn the_command_prints_the_plan_and_what_is_done() {
    let options = rehearse_small_template();
    let file = options.file.clone();
    let client = client().await;
    let text = printed(&client, &options).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("{} -> the engine", file.display()));
    assert_eq!(lines[1], "+ entity type customer");
    assert_eq!(lines.last(), Some(&"14 to do; nothing was sent"));

    let text = printed(
        &client,
        &ApplyOptions {
            dry_run: false,
            ..options.clone()
        },
    )
    .await;
    assert!(
        text.ends_with(
            "done + detector version 1 (2 rules, ALL_MATCHED), then ACTIVE\n14 of 14 done\n"
        ),
        "{text}"
    );
    let text = printed(
        &client,
        &ApplyOptions {
            dry_run: false,
            ..options.clone()
        },
    )
    .await;
    assert!(text.ends_with("= 14 unchanged\nnothing to do\n"), "{text}");

    let text = printed(
        &client,
        &ApplyOptions {
            json: true,
            ..options
        },
    )
    .await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&json["unchanged"], &json["to"]),
        (&14.into(), &"engine".into())
    );
}

/// Options that only print what would be done with `small.yaml`.
fn rehearse_small_template() -> ApplyOptions {
    ApplyOptions {
        file: Path::new(env!("CARGO_MANIFEST_DIR")).join("src/apply/tests/small.yaml"),
        parameters: Vec::new(),
        dry_run: true,
        to: ApplyTarget::Engine,
        json: false,
        mapped: None,
        allow_unfilled: false,
        new_versions: NewVersions::AsFile,
        log: None,
    }
}

/// An entry of a list never decides if the detector lacks its rule; the mapping file alone cannot tell.
#[tokio::test]
async fn overrides_that_the_detector_lacks_are_warned_about() {
    let options = |detector: &str, rules: [&str; 2]| ApplyOptions {
        mapped: Some(MappedDetector {
            detector: detector.parse().unwrap(),
            overrides: rules.map(|rule| rule.parse().unwrap()).to_vec(),
            variables: ["email_address", "order_price"]
                .map(|name| name.parse().unwrap())
                .into(),
        }),
        allow_unfilled: true,
        ..rehearse_small_template()
    };
    let client = client().await;
    let warning = "warning: rule vip: `overrides` of the mapping names it, and detector `orders` lacks it, so it never decides";
    for (detector, rules, want) in [
        ("orders", ["blocked_email", "vip"], vec![warning]),
        ("orders", ["blocked_email", "high_price"], vec![]),
        // The mapping is for another detector than the file.
        ("other", ["blocked_email", "vip"], vec![]),
    ] {
        let text = printed(&client, &options(detector, rules)).await;
        let warnings: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("overrides"))
            .collect();
        assert_eq!(warnings, want, "{detector} {rules:?}");
    }
}

#[tokio::test]
async fn rules_that_the_mapping_never_fills_are_refused_unless_told() {
    let options = |detector: &str, variables: &[&str], allow_unfilled| ApplyOptions {
        mapped: Some(MappedDetector {
            detector: detector.parse().unwrap(),
            overrides: Vec::new(),
            variables: variables.iter().map(|name| name.parse().unwrap()).collect(),
        }),
        allow_unfilled,
        ..rehearse_small_template()
    };
    let client = client().await;
    for (detector, variables, allow_unfilled, want) in [
        ("orders", &["email"][..], false, Some("$price")),
        ("orders", &["email"][..], true, None),
        ("orders", &["email", "price"][..], false, None),
        // The mapping is for another detector than the file.
        ("other", &[][..], false, None),
    ] {
        let options = options(detector, variables, allow_unfilled);
        let error = apply_template(&client, &options, &mut Vec::new())
            .await
            .err();
        let error = error.map(|error| error.to_string()).unwrap_or_default();
        match want {
            None => assert_eq!(error, ""),
            Some(name) => {
                assert!(
                    error.contains(&format!("reads {name}, which the mapping never fills")),
                    "{error}"
                );
                assert!(
                    error.ends_with("say --allow-unfilled if other programs send them"),
                    "{error}"
                );
            }
        }
    }
}
