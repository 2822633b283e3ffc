//! Amazon's own sample data: sent as history with its labels, then predicted with rules.
//!
//! The data is next to the checkout (`../shared/data`), not in it; without it the test prints that and passes.

#![allow(clippy::unwrap_used, reason = "what cannot go on should stop")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::types::{
    DataSource, DataType, DetectorVersionStatus, EventIngestion, Language, Rule, RuleExecutionMode,
};
use fraudstream::file_run::{FileRun, PipelineFunction};
use fraudstream::input::{CsvOptions, RecordInput, open_csv_file};
use fraudstream::run_summary::RunSummary;
use local_aws::dynamodb::Durability;
use local_aws::home::Home;
use local_aws::local_stack::LocalStack;

fn data(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
    let found = path.exists().then(|| path.display().to_string());
    if found.is_none() {
        eprintln!("SKIPPED: {} is not there", path.display());
    }
    found
}

/// Defines an event type with the columns of the file as text variables, and a detector with rules.
async fn define(client: &Client, path: &str, event_type: &str, rules: &[(&str, &str, &str)]) {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let header = text.lines().next().unwrap();
    client
        .put_entity_type()
        .name("customer")
        .send()
        .await
        .unwrap();
    let mut put = client
        .put_event_type()
        .name(event_type)
        .entity_types("customer")
        .event_ingestion(EventIngestion::Enabled);
    for label in ["fraud", "legit"] {
        client.put_label().name(label).send().await.unwrap();
        put = put.labels(label);
    }
    for column in header
        .split(',')
        .filter(|column| *column != column.to_uppercase())
    {
        let (data_type, default) = if column == "order_price" {
            (DataType::Float, "0.0")
        } else {
            (DataType::String, "none")
        };
        let create = client
            .create_variable()
            .name(column)
            .data_type(data_type)
            .data_source(DataSource::Event);
        create.default_value(default).send().await.unwrap();
        put = put.event_variables(column);
    }
    put.send().await.unwrap();
    client
        .put_detector()
        .detector_id(event_type)
        .event_type_name(event_type)
        .send()
        .await
        .unwrap();
    let mut version = client
        .create_detector_version()
        .detector_id(event_type)
        .rule_execution_mode(RuleExecutionMode::AllMatched);
    for (rule_id, expression, outcome) in rules {
        client.put_outcome().name(*outcome).send().await.unwrap();
        let create = client
            .create_rule()
            .rule_id(*rule_id)
            .detector_id(event_type)
            .expression(*expression);
        create
            .language(Language::Detectorpl)
            .outcomes(*outcome)
            .send()
            .await
            .unwrap();
        version = version.rules(
            Rule::builder()
                .detector_id(event_type)
                .rule_id(*rule_id)
                .rule_version("1")
                .build()
                .unwrap(),
        );
    }
    version.send().await.unwrap();
    let activate = client
        .update_detector_version_status()
        .detector_id(event_type)
        .detector_version_id("1");
    activate
        .status(DetectorVersionStatus::Active)
        .send()
        .await
        .unwrap();
}

/// Sends the file as history, then predicts it.
async fn through(
    path: &str,
    event_type: &str,
    rules: &[(&str, &str, &str)],
) -> (RunSummary, RunSummary) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path()).unwrap();
    let machine = LocalStack::open(&home, Durability::Kill).await.unwrap();
    define(&machine.clients.frauddetector, path, event_type, rules).await;
    let pipeline = machine.pipeline();
    let options = CsvOptions {
        event_type: event_type.try_into().unwrap(),
        detector: event_type.to_owned(),
        entity_type: "customer".try_into().unwrap(),
        labels: BTreeMap::from([
            ("1.0".to_owned(), "fraud".to_owned()),
            ("0.0".to_owned(), "legit".to_owned()),
        ]),
    };
    let mut summaries = Vec::new();
    for predict in [false, true] {
        let (input, mapping) =
            RecordInput::from_event_rows(path, open_csv_file(path).unwrap(), options.clone())
                .unwrap();
        let function = if predict {
            PipelineFunction::Predict(Box::new(pipeline.predict(mapping, None)))
        } else {
            PipelineFunction::Ingest(Box::new(pipeline.ingest(mapping)))
        };
        let run = FileRun {
            function,
            path,
            input,
            home: Some(&home),
            target: "test",
            forgotten: None,
            restart: false,
            keep_going: false,
            progress: false,
        };
        summaries.push(
            Box::pin(run.run_file(std::future::pending(), |_, _| {}))
                .await
                .unwrap(),
        );
    }
    drop(pipeline);
    machine.close().await.unwrap();
    let predicted = summaries.pop().unwrap();
    (summaries.pop().unwrap(), predicted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registrations() {
    let Some(path) = data("aws_registration_20k_min.csv.gz") else {
        return;
    };
    let rules = [(
        "example_org",
        r#"regex_match(".*@example\.org", lowercase($email_address))"#,
        "review",
    )];
    let (history, predicted) = through(&path, "registration", &rules).await;
    assert_eq!(
        (history.records, history.events, history.labelled_events),
        (20_000, 20_000, 20_000)
    );
    assert_eq!(
        history.assumed_label_times, 20_000,
        "the file has no LABEL_TIMESTAMP"
    );
    assert!(history.rejected.is_empty(), "{:?}", history.rejected);
    assert_eq!(
        predicted.decided.values().sum::<u64>() + predicted.duplicates,
        20_000
    );
    assert!(
        predicted.decided["review"] > 5_000 && predicted.decided["approve"] > 10_000,
        "{:?}",
        predicted.decided
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions() {
    let Some(path) = data("aws_transaction_2k.csv.gz") else {
        return;
    };
    let rules = [
        ("dear", "$order_price > 500", "review"),
        (
            "shopping",
            r#"$product_category == "shopping_net""#,
            "challenge",
        ),
    ];
    let (history, predicted) = through(&path, "transaction", &rules).await;
    // The last row of the file is cut off.
    assert!(history.events >= 1_600, "{history:?}");
    assert!((700..900).contains(&history.labelled_events), "{history:?}");
    assert!(
        predicted.decided["review"] > 50 && predicted.decided["challenge"] > 50,
        "{:?}",
        predicted.decided
    );
}
