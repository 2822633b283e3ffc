use super::*;
use crate::apply::{DetectorTemplate, TemplateInputs};

const MAPPING: &str = "
event_type: order
detector: shop
formats: {/Betrag: {number: '1.234,56'}, /Datum: {time: '%d.%m.%Y'}}
event: {id: /Nr, timestamp: /Datum, entity: {type: customer, id: [/Kunde]}}
variables:
  price: {from: /Betrag, type: FLOAT}
  country: /Land
  card: /Karte
aggregates:
  keys: {card: /Karte, account: /Kunde}
  variables:
    card_orders: {count: {by: card, within: 1d}}
    account_orders: {count: {by: account, within: 1d}}
decision: {outcome_priority: [block, review, approve], on_undetermined: [review], on_no_match: [approve]}
";

const DETECTOR: &str = r#"
Resources:
  Review: {Type: AWS::FraudDetector::Outcome, Properties: {Name: review}}
  Block: {Type: AWS::FraudDetector::Outcome, Properties: {Name: block}}
  Order:
    Type: AWS::FraudDetector::EventType
    Properties:
      Name: order
      EntityTypes: [{Name: customer, Inline: true}]
      Labels: [{Name: fraud, Inline: true}, {Name: legit, Inline: true}]
      EventVariables:
        - {Name: price, Inline: true, DataType: FLOAT, DataSource: EVENT, DefaultValue: "0"}
        - {Name: country, Inline: true, DataType: STRING, DataSource: EVENT, DefaultValue: ""}
        - {Name: card, Inline: true, DataType: STRING, DataSource: EVENT, DefaultValue: ""}
        - {Name: phone, Inline: true, DataType: STRING, DataSource: EVENT, DefaultValue: ""}
        - {Name: card_orders, Inline: true, DataType: INTEGER, DataSource: EVENT, DefaultValue: "0"}
        - {Name: account_orders, Inline: true, DataType: INTEGER, DataSource: EVENT, DefaultValue: "0"}
  Shop:
    Type: AWS::FraudDetector::Detector
    Properties:
      DetectorId: shop
      EventType: {Arn: !GetAtt Order.Arn}
      RuleExecutionMode: ALL_MATCHED
      Rules:
        - {RuleId: dear, DetectorId: shop, Language: DETECTORPL, Expression: "$price > 1000", Outcomes: [{Arn: !GetAtt Review.Arn}]}
        - {RuleId: dear_abroad, DetectorId: shop, Language: DETECTORPL, Expression: '$price > 1000 and $country == "FR"', Outcomes: [{Arn: !GetAtt Block.Arn}]}
        - {RuleId: by_phone, DetectorId: shop, Language: DETECTORPL, Expression: '$phone != ""', Outcomes: [{Arn: !GetAtt Review.Arn}]}
        - {RuleId: by_card, DetectorId: shop, Language: DETECTORPL, Expression: "$card_orders > 3", Outcomes: [{Arn: !GetAtt Block.Arn}]}
        - {RuleId: by_account, DetectorId: shop, Language: DETECTORPL, Expression: "$account_orders > 3", Outcomes: [{Arn: !GetAtt Block.Arn}]}
"#;

const ORDERS: &str = r#"{"Nr":"1","Datum":"01.06.2026","Kunde":"a","Betrag":"1.200,00","Land":"DE"}
{"Nr":"2","Datum":"02.06.2026","Kunde":"b","Betrag":"1.500,50","Land":"FR"}
{"Nr":"3","Datum":"2026-06-03","Kunde":"b","Betrag":"10","Land":"FR"}
{"Nr":"4","Datum":"04.06.2026","Kunde":"c","Betrag":"12.50","Land":"DE"}
{"Nr":"1","Datum":"01.06.2026","Kunde":"a","Betrag":"1.200,00","Land":"DE"}
{"Nr":"2","Datum":"02.06.2026","Kunde":"b","Betrag":"1,00","Land":"FR"}
"#;

fn check_orders(threads: usize) -> CheckReport {
    let mapping = Mapping::parse("m.yaml", MAPPING).unwrap();
    let inputs = TemplateInputs::new(Vec::new());
    let template = DetectorTemplate::parse("d.yaml", DETECTOR, &inputs).unwrap();
    let rules = DetectorRules::compile(&template, "shop").unwrap();
    let check = FileCheck {
        path: "orders.jsonl",
        mapping: &mapping,
        rules: &rules,
        threads,
    };
    let input = RecordInput::Lines(Box::new(std::io::Cursor::new(ORDERS)));
    check.run(input, |_| {}).unwrap()
}

#[test]
fn a_file_is_judged_without_writing() {
    let report = check_orders(1);
    assert_eq!((report.records, report.orders), (6, 5));
    let rejected = &report.rejected[0];
    assert_eq!(
        (rejected.class, rejected.count, rejected.record),
        ("missing-member", 1, 3)
    );
    let repeated = &report.repeated_ids;
    assert_eq!((repeated.same_content, repeated.other_content), (1, 1));
    assert_eq!(repeated.example, Some((2, 6)));
    let variables: Vec<String> = report
        .variables
        .iter()
        .map(|it| {
            format!(
                "{} {} {} {} {:?}",
                it.name, it.filled, it.invalid, it.distinct, it.examples
            )
        })
        .collect();
    assert_eq!(
        variables,
        [
            "card 0 0 0 []",
            r#"country 5 0 2 ["DE", "FR"]"#,
            r#"price 4 1 3 ["1200.00", "1500.50", "1.00"]"#,
        ]
    );
    let problem = "is not written as `formats` of the mapping says";
    assert_eq!(report.variables[2].problems.get(problem), Some(&1));
    let rules: Vec<String> = report
        .rules
        .iter()
        .map(|it| {
            let dead = if it.cannot_fire { " cannot fire" } else { "" };
            format!(
                "{} {} {}{dead} {:?} {:?}",
                it.id, it.matched, it.matched_alone, it.never_filled, it.not_judged_because_of
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            "dear 3 2 [] []",
            "dear_abroad 1 0 [] []",
            r#"by_phone 0 0 cannot fire ["phone"] []"#,
            r#"by_card 0 0 cannot fire ["card_orders"] ["$card_orders"]"#,
            r#"by_account 0 0 [] ["$account_orders"]"#,
        ]
    );
    let outcomes: Vec<String> = report
        .outcomes
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    assert_eq!(outcomes, ["approve 1", "block 1", "review 3"]);
    assert_eq!(report.undetermined, 1);
}

#[test]
fn threads_count_together_what_one_counts_alone() {
    let alone = serde_json::to_string(&check_orders(1)).unwrap();
    let together = serde_json::to_string(&check_orders(4)).unwrap();
    assert_eq!(alone, together);
}

#[test]
fn a_detector_that_the_file_lacks_is_named() {
    let inputs = TemplateInputs::new(Vec::new());
    let template = DetectorTemplate::parse("d.yaml", DETECTOR, &inputs).unwrap();
    let error = DetectorRules::compile(&template, "orders").unwrap_err();
    assert_eq!(
        error.to_string(),
        "d.yaml has no detector `orders`, which the mapping names; it has `shop`"
    );
}
