//! The sample detector and mapping for the tests that run in one process.

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::operation::put_event_type::builders::PutEventTypeFluentBuilder;
use aws_sdk_frauddetector::types::{
    DataSource, DataType, DetectorVersionStatus, EventIngestion, Language, Rule, RuleExecutionMode,
};

/// A mapping of the sample order with a few variables.
pub const MAPPING: &str = "
event_type: order
detector: orders
event:
  id: /order_id
  revision: /revision
  timestamp: /created_at
  entity: {type: customer, id: [/customer/id, {hash: /customer/email, as: email}]}
  label: /label
  label_timestamp: /label_timestamp
variables:
  email_address: {from: /customer/email, as: email}
  order_price: {from: /total, type: FLOAT, required: true}
  item_count: '[.items[].quantity] | add'
decision:
  outcome_priority: [block, review, challenge, approve]
  on_undetermined: [review]
  on_no_match: [approve]
  reviewable: [review]
labels:
  event_id: /order_id
  kind: /kind
  timestamp: /label_timestamp
  reason_code: /reason_code
  source: /source
  source_ranks: {analyst: 3, processor: 2}
  table:
    - {kind: chargeback, code: '10.*', label: fraud}
    - {kind: chargeback, label: null}
    - {kind: reversal, label: legit}
    - {kind: refund, label: null}
    - {kind: verdict, code: legit, label: legit}
    - {kind: verdict, code: fraud, label: fraud}
";

/// Rules of the sample detector: id, expression, outcome.
pub const RULES: [(&str, &str, &str); 3] = [
    ("very_high_amount", "$order_price > 5000", "block"),
    ("high_amount", "$order_price > 1000", "review"),
    ("many_items", "$item_count > 20", "challenge"),
];

/// Defines entity type, labels, variables, outcomes, event type and detector, without a rule.
///
/// # Panics
/// If the service rejects a definition.
pub async fn define(client: &Client) {
    define_with(client, &[]).await;
}

/// Defines the same with more variables, of which the default value is 0.
///
/// # Panics
/// If the service rejects a definition.
pub async fn define_with(client: &Client, more: &[(&str, DataType)]) {
    client
        .put_entity_type()
        .name("customer")
        .send()
        .await
        .unwrap();
    for label in ["fraud", "legit"] {
        client.put_label().name(label).send().await.unwrap();
    }
    let more = more
        .iter()
        .map(|(name, data_type)| (*name, data_type.clone(), "0"));
    let variables = [
        ("email_address", DataType::String, "<none>"),
        ("order_price", DataType::Float, "0.0"),
        ("item_count", DataType::Integer, "0"),
    ];
    let variables: Vec<(&str, DataType, &str)> = variables.into_iter().chain(more).collect();
    for (name, data_type, default) in variables.clone() {
        let create = client
            .create_variable()
            .name(name)
            .data_type(data_type)
            .data_source(DataSource::Event);
        create.default_value(default).send().await.unwrap();
    }
    for outcome in ["block", "review", "challenge", "approve"] {
        client.put_outcome().name(outcome).send().await.unwrap();
    }
    let event_type = client
        .put_event_type()
        .name("order")
        .entity_types("customer")
        .event_ingestion(EventIngestion::Enabled);
    let event_type = variables
        .into_iter()
        .map(|(name, ..)| name)
        .fold(event_type, PutEventTypeFluentBuilder::event_variables);
    let event_type = event_type.labels("fraud").labels("legit");
    event_type.send().await.unwrap();
    let detector = client.put_detector().detector_id("orders");
    detector.event_type_name("order").send().await.unwrap();
}

/// Creates version 1 of a rule.
///
/// # Panics
/// If the service rejects it.
pub async fn create_rule(client: &Client, (rule_id, expression, outcome): (&str, &str, &str)) {
    let create = client
        .create_rule()
        .rule_id(rule_id)
        .detector_id("orders")
        .expression(expression)
        .language(Language::Detectorpl);
    create.outcomes(outcome).send().await.unwrap();
}

/// Creates a detector version with these versions of rules, and activates it. All rules that match count.
///
/// # Panics
/// If the service rejects it.
pub async fn activate(client: &Client, detector_version: &str, rules: &[(&str, &str)]) {
    let version = client
        .create_detector_version()
        .detector_id("orders")
        .rule_execution_mode(RuleExecutionMode::AllMatched);
    let rules = rules.iter().map(|(rule_id, version)| {
        let rule = Rule::builder().detector_id("orders").rule_id(*rule_id);
        rule.rule_version(*version).build().unwrap()
    });
    version
        .set_rules(Some(rules.collect()))
        .send()
        .await
        .unwrap();
    let activate = client
        .update_detector_version_status()
        .detector_id("orders")
        .detector_version_id(detector_version);
    activate
        .status(DetectorVersionStatus::Active)
        .send()
        .await
        .unwrap();
}
