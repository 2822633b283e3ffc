use serde_json::json;
use shared::decisions::{MatchedRule, ServiceVerdict};
use shared::labels::LabelEntry;

use super::*;
use crate::apply::{DetectorTemplate, TemplateInputs};

const MAPPING: &str = "
event_type: order
detector: shop
event: {id: /id, timestamp: /at, entity: {type: customer, id: [/customer]}}
variables:
  price: {from: {amount: /price, currency: /currency, base: EUR, rates: {}}}
  country: /country
decision: {outcome_priority: [block, review, approve], on_undetermined: [review], on_no_match: [approve], reviewable: [review]}
labels: {event_id: /id, kind: /kind, timestamp: /at, table: [{kind: chargeback, label: fraud}]}
";

/// Rules with these ids, expressions and outcomes, over the variables of the mapping and `phone`, which no order has.
fn rules(rules: &[(&str, &str, &str)]) -> DetectorRules {
    let rules: Vec<String> = rules
        .iter()
        .map(|(id, expression, outcome)| {
            format!(
                "        - {{RuleId: {id}, DetectorId: shop, Language: DETECTORPL, Expression: '{expression}', \
                 Outcomes: [{{Arn: !GetAtt {outcome}.Arn}}]}}"
            )
        })
        .collect();
    let text = format!(
        r#"
Resources:
  review: {{Type: AWS::FraudDetector::Outcome, Properties: {{Name: review}}}}
  block: {{Type: AWS::FraudDetector::Outcome, Properties: {{Name: block}}}}
  Order:
    Type: AWS::FraudDetector::EventType
    Properties:
      Name: order
      EntityTypes: [{{Name: customer, Inline: true}}]
      Labels: [{{Name: fraud, Inline: true}}, {{Name: legit, Inline: true}}]
      EventVariables:
        - {{Name: price, Inline: true, DataType: FLOAT, DataSource: EVENT, DefaultValue: "0"}}
        - {{Name: country, Inline: true, DataType: STRING, DataSource: EVENT, DefaultValue: ""}}
        - {{Name: phone, Inline: true, DataType: STRING, DataSource: EVENT, DefaultValue: ""}}
  Shop:
    Type: AWS::FraudDetector::Detector
    Properties:
      DetectorId: shop
      EventType: {{Arn: !GetAtt Order.Arn}}
      RuleExecutionMode: ALL_MATCHED
      Rules:
{}
"#,
        rules.join("\n")
    );
    let inputs = TemplateInputs::new(Vec::new());
    let template = DetectorTemplate::parse("d.yaml", &text, &inputs).unwrap();
    DetectorRules::compile(&template, "shop").unwrap()
}

/// A decision on an order of this day, price and country, which the rule `dear` reviewed from 1000 on.
fn decision(
    mapping: &Mapping,
    id: &str,
    day: &str,
    price: u32,
    country: &str,
    label: Option<&str>,
) -> Decision {
    let order = json!({
        "id": id, "at": format!("{day}T10:00:00Z"), "customer": "c", "price": price, "currency": "EUR", "country": country,
    });
    let order = mapping.map_order(&order).unwrap();
    let matched_rules = if price >= 1000 {
        vec![MatchedRule {
            rule_id: "dear".to_owned(),
            outcomes: vec!["review".to_owned()],
        }]
    } else {
        Vec::new()
    };
    let verdict = ServiceVerdict {
        matched_rules,
        ..ServiceVerdict::default()
    };
    let mut decision = Decision::new(mapping, &order, verdict, None, order.timestamp);
    decision.label = label.map(|label| LabelEntry {
        label: Some(label.to_owned()),
        label_timestamp: "2026-06-20T00:00:00Z".to_owned(),
        day_only: false,
        rank: 0,
        kind: "chargeback".to_owned(),
        reason_code: None,
        amount: None,
        currency: None,
        source: String::new(),
    });
    decision
}

fn backtest(draft: &DetectorRules, against: Option<&DetectorRules>) -> BacktestReport {
    let mapping = Mapping::parse("m.yaml", MAPPING).unwrap();
    let backtest = Backtest {
        draft,
        against,
        mapping: &mapping,
        maturity_seconds: 45 * 86_400,
        examples: 20,
    };
    let mut judged = JudgedOrders::new(&backtest);
    for (id, day, price, country, label) in [
        ("dear-fraud", "2026-04-01", 1200, "DE", Some("fraud")),
        ("cheap-fraud", "2026-04-02", 300, "FR", Some("fraud")),
        ("cheap-good", "2026-04-03", 200, "FR", Some("legit")),
        // Nobody has complained for two months.
        ("old", "2026-04-04", 1500, "DE", None),
        ("new", "2026-06-10", 400, "FR", None),
        ("usual", "2026-06-11", 50, "DE", None),
    ] {
        judged.add(
            &decision(&mapping, id, day, price, country, label),
            i64::from(price) * 100,
        );
    }
    judged.report(ReportOptions {
        draft: "draft.yaml".to_owned(),
        against: "what was decided".to_owned(),
        list_changes: true,
    })
}

fn show_share(estimate: Option<intervals::ShareEstimate>) -> String {
    format!("{:.2}", estimate.unwrap().share)
}

const DEAR: (&str, &str, &str) = ("dear", "$price >= 1000", "review");

#[test]
fn a_draft_that_decides_as_before_changes_nothing() {
    let same = rules(&[DEAR]);
    for against in [None, Some(&same)] {
        let report = backtest(&same, against);
        assert!(report.changes.is_empty());
        assert!(report.examples.is_empty());
        assert_eq!(report.before.held_up, report.after.held_up);
        assert_eq!(report.before.outcomes, report.after.outcomes);
    }
}

#[test]
fn a_new_rule_is_counted_with_its_money_and_its_young_orders_apart() {
    let report = backtest(
        &rules(&[DEAR, ("french", "$country == \"FR\"", "block")]),
        None,
    );
    let all = &report.orders;
    assert_eq!(
        (all.fraud.orders, all.good.orders, all.not_known_yet.orders),
        (2, 2, 2)
    );
    let french = report
        .rules
        .iter()
        .find(|rule| rule.id == "french")
        .unwrap();
    assert_eq!(
        (
            french.matched.fraud.orders,
            french.matched.good.orders,
            french.matched.not_known_yet.orders
        ),
        (1, 1, 1)
    );
    assert_eq!(french.matched_alone.fraud.money, 30_000);
    assert_eq!(show_share(french.precision), "0.50");
    // The rule that holds up the most fraud money by itself comes first.
    let order: Vec<&str> = report.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(order, ["dear", "french"]);
    let changes: Vec<String> = report
        .changes
        .iter()
        .map(|it| format!("{} -> {}: {}", it.before, it.after, it.orders.orders()))
        .collect();
    assert_eq!(changes, ["approve -> block: 3"]);
    let examples: Vec<String> = report
        .examples
        .iter()
        .map(|list| {
            let ids: Vec<&str> = list
                .orders
                .iter()
                .map(|order| order.order_id.as_str())
                .collect();
            format!("{}: {}", list.what, ids.join(" "))
        })
        .collect();
    assert_eq!(
        examples,
        [
            "fraud that the draft holds up and the other side lets through: cheap-fraud",
            "good orders that the draft holds up and the other side lets through: cheap-good",
        ]
    );
    let listed: Vec<String> = report
        .changed_orders
        .iter()
        .flatten()
        .map(|it| format!("{} {}", it.order_id, it.truth))
        .collect();
    assert_eq!(
        listed,
        ["new not known yet", "cheap-fraud fraud", "cheap-good good"]
    );
    assert_eq!(show_share(report.after.recall), "1.00");
    assert_eq!(show_share(report.before.recall), "0.50");
}

#[test]
fn a_rule_that_is_taken_out_lets_its_orders_through() {
    let report = backtest(
        &rules(&[("french", "$country == \"FR\" and $price > 10000", "block")]),
        None,
    );
    let examples: Vec<&str> = report.examples.iter().map(|list| list.what).collect();
    assert_eq!(
        examples,
        [
            "fraud that the draft lets through and the other side holds up",
            "good orders that the draft lets through and the other side holds up",
        ]
    );
    assert_eq!(report.after.held_up.orders(), 0);
    // Two of them in 71 days.
    assert_eq!(format!("{:.4}", report.before.reviews_a_day), "0.0282");
}

#[test]
fn an_outcome_that_the_mapping_no_longer_has_is_no_approval() {
    let mapping = Mapping::parse("m.yaml", MAPPING).unwrap();
    let draft = rules(&[DEAR]);
    let backtest = Backtest {
        draft: &draft,
        against: None,
        mapping: &mapping,
        maturity_seconds: 0,
        examples: 1,
    };
    let mut judged = JudgedOrders::new(&backtest);
    let mut denied = decision(&mapping, "a", "2026-04-01", 50, "DE", Some("fraud"));
    denied.effective_outcome = "deny".to_owned();
    judged.add(&denied, 5000);
    let report = judged.report(ReportOptions {
        draft: "draft.yaml".to_owned(),
        against: "what was decided".to_owned(),
        list_changes: false,
    });
    assert_eq!(report.before.held_up.fraud.orders, 1);
    assert_eq!(report.after.held_up.fraud.orders, 0);
    assert_eq!(report.changes[0].before, "deny");
}

#[test]
fn what_no_decision_has_is_named() {
    let report = backtest(&rules(&[DEAR, ("phone", "$phone != \"\"", "review")]), None);
    let phone = report.rules.iter().find(|rule| rule.id == "phone").unwrap();
    assert_eq!(phone.not_computable_because_of, ["phone"]);
    assert!(
        report
            .to_string()
            .contains("cannot be told: no decision has phone")
    );
}
