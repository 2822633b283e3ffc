use serde_json::{Value, json};
use shared::decisions::Decision;

use super::*;

fn mapping() -> Mapping {
    let text = "
event_type: order
detector: orders
event: {id: /id, timestamp: /at, entity: {type: customer, id: [/customer]}}
variables:
  email: /email
  price: {from: {amount: /total, currency: /currency, base: USD, rates: {}}}
  tax: {from: {amount: /tax, currency: /currency, base: USD, rates: {}}}
aggregates:
  keys: {card: /card, email_key: /email}
  variables:
    card_orders_1d: {count: {by: card, within: 1d}}
    card_orders_30d: {count: {by: card, within: 30d}}
    email_orders_1d: {count: {by: email_key, within: 1d}}
decision:
  outcome_priority: [block, review, approve]
  on_undetermined: [review]
  on_no_match: [approve]
";
    Mapping::parse("mapping.yaml", text).unwrap()
}

/// A decision with these members in place of the usual ones.
fn decision(members: Value) -> Decision {
    let mut item = json!({
        "pk": "order#o-1", "sk": "decision#1", "kind": "decision", "decision_id": "order#o-1#1", "attempt_id": "a",
        "order_id": "O-1", "event_type": "order", "event_id": "o-1", "revision": 1,
        "event_timestamp": "2026-06-01T10:15:30Z", "entity_type": "customer", "entity_id": "cust-42",
        "variables": {"email": "jo@example.com", "price": "129.99", "tax": "9.99"}, "detector_id": "orders",
        "matched_rules": [], "outcomes": ["approve"], "effective_outcome": "approve", "undetermined": false,
        "data_quality": [], "event_hash": "e", "mapping_hash": "m", "decided_at": "2026-06-01T10:15:31Z",
        "expires_at": 0,
    });
    let Value::Object(members) = members else {
        panic!("not members: {members}");
    };
    item.as_object_mut().unwrap().extend(members);
    serde_json::from_value(item).unwrap()
}

fn reader(mapping: &Mapping) -> DecisionReader<'_> {
    DecisionReader {
        mapping,
        money: MoneyVariables::of_mapping(mapping),
        rules: RuleBook::default(),
    }
}

#[track_caller]
fn check(members: Value, notes: &DecisionNotes, want: &[&str]) {
    let mapping = mapping();
    let text = describe_decision(&reader(&mapping), &decision(members), notes);
    let (head, _) = text.split_once("\n\n  variables").unwrap();
    assert_eq!(head.lines().collect::<Vec<_>>(), want);
}

#[test]
fn the_most_important_comes_first() {
    let order = "order O-1, 129.99 USD, of customer cust-42, 2026-06-01T10:15:30Z";
    let quiet = DecisionNotes::default();
    let nothing = [
        order,
        "  decision    approve",
        "  because     no rule matched",
        "",
        "  label now   none",
    ];
    check(json!({}), &quiet, &nothing);
    let problem =
        json!({"variable": "price", "problem": "is not a\u{1b}number", "undetermined": true});
    check(
        json!({
            "revision": 2, "variables": {"card_orders_1d": "0", "card_orders_30d": "3", "email_orders_1d": "0"},
            "matched_rules": [
                {"rule_id": "usual", "outcomes": ["approve"]}, {"rule_id": "stolen", "outcomes": ["block"]},
            ],
            "prediction": {"undetermined": ["old", "model:xgb"]}, "data_quality": [problem], "undetermined": true,
            "outcomes": ["block", "review", "approve"], "effective_outcome": "block",
        }),
        &quiet,
        &[
            "order O-1, revision 2, of customer cust-42, 2026-06-01T10:15:30Z",
            "  decision    block (also review, approve)",
            "  because     block: stolen",
            "              review: not everything could be evaluated, see below",
            "              approve: usual",
            "",
            "  unknown     rule old could not be evaluated",
            "              model xgb gave no score",
            "  data        price is not a number",
            "  before      card: card_orders_30d 3",
            "",
            "  label now   none",
        ],
    );
    let notes = DecisionNotes {
        customer_past: vec!["2 earlier orders from 2026-04-01 to 2026-05-02: approve 2".to_owned()],
        listed: vec!["email is in list friends: jo@example.com".to_owned()],
        score_reasons: [(
            "m_insightscore".to_owned(),
            vec!["price 129.99 (+1.50)".to_owned()],
        )]
        .into(),
        forwarded: None,
    };
    check(
        json!({
            "matched_rules": [
                {"rule_id": "friend", "outcomes": ["approve"]}, {"rule_id": "stolen", "outcomes": ["block"]},
            ],
            "override": {"rule": "friend", "kind": "allow"}, "outcomes": ["block", "approve"],
            "scores": {"m_insightscore": 912.0},
        }),
        &notes,
        &[
            order,
            "  decision    approve (also block)",
            "  override    allow entry, by rule friend",
            "              email is in list friends: jo@example.com",
            "  overruled   block: stolen",
            "",
            "  score       m_insightscore 912",
            "              price 129.99 (+1.50)",
            "  customer    2 earlier orders from 2026-04-01 to 2026-05-02: approve 2",
            "",
            "  label now   none",
        ],
    );
}

#[test]
fn reviews_are_sorted_by_what_is_at_stake() {
    let mapping = mapping();
    let reader = reader(&mapping);
    let of = |id: &str, outcome: &str, price: &str, score: f64| {
        decision(json!({
            "order_id": id, "effective_outcome": outcome, "variables": {"price": price},
            "scores": {"m_insightscore": score},
        }))
    };
    let mut decisions = vec![
        of("1", "approve", "5000.00", 1000.0),
        of("2", "review", "9.00", 990.0),
        of("3", "review", "1000.00", 10.0),
        of("4", "review", "1000.00", 20.0),
        of("5", "block", "1.00", 0.0),
        of("6", "unheard_of", "7000.00", 0.0),
    ];
    sort_by_risk(&reader, &mut decisions);
    let ids: Vec<&str> = decisions.iter().map(|it| it.order_id.as_str()).collect();
    assert_eq!(ids, ["5", "4", "3", "2", "1", "6"]);
    let table = decisions_table(&reader, &decisions);
    let words: Vec<&str> = table.lines().nth(2).unwrap().split_whitespace().collect();
    let want = [
        "4",
        "1",
        "2026-06-01T10:15:30Z",
        "1000.00",
        "USD",
        "review",
        "20",
        "-",
    ];
    assert_eq!(words, want);
    assert_eq!(decisions_table(&reader, &[]), "none\n");
}

#[test]
fn the_past_of_a_customer_is_what_was_decided_and_what_was_reported() {
    let other = |id: &str, day: &str, outcome: &str, more: Value| {
        let mut members = json!({
            "event_id": id, "event_timestamp": format!("{day}T08:00:00Z"), "effective_outcome": outcome,
        });
        members
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        decision(members)
    };
    let entry = |kind: &str, label: Option<&str>| {
        json!({
            "kind": kind, "label": label, "label_timestamp": "2026-05-20T00:00:00Z", "source": "scheme",
            "rank": 2,
        })
    };
    let disputed = json!({
        "label_history": {"1": entry("chargeback", Some("fraud"))}, "label": entry("chargeback", Some("fraud")),
    });
    let others = [
        other("o-1", "2026-06-01", "approve", json!({})),
        other("later", "2026-07-01", "block", json!({})),
        other("a", "2026-04-01", "approve", disputed),
        other("b", "2026-05-02", "review", json!({})),
        other(
            "b",
            "2026-05-02",
            "approve",
            json!({"revision": 2, "label_history": {"1": entry("refund", None)}}),
        ),
    ];
    let now = decision(json!({}));
    assert_eq!(
        describe_customer_past(&now, &others),
        [
            "2 earlier orders from 2026-04-01 to 2026-05-02: approve 2",
            "reported about them: chargeback 1, refund 1; labels: fraud 1"
        ]
    );
    assert_eq!(
        describe_customer_past(&now, &others[3..4]),
        [
            "1 earlier order, of 2026-05-02: review 1",
            "nothing was reported about them"
        ]
    );
    assert!(describe_customer_past(&now, &others[..2]).is_empty());
}
