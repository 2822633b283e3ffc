//! Entries of lists outrank rules, and the decision says so wherever it goes.

use end_to_end::sample;
use serde_json::{Value, json};

use crate::world::{MAPPING, World, now, order};

#[tokio::test]
async fn an_entry_outranks_rules_and_is_named_wherever_the_decision_goes() {
    let world = World::new().await;
    let client = &world.clients.frauddetector;
    let allowed = "$email_address == \"jo@example.com\"";
    sample::create_rule(client, ("allowed_email", allowed, "approve")).await;
    // Undetermined if there is no item.
    sample::create_rule(client, ("blocked_share", "100 / $item_count > 50", "block")).await;
    let rules = sample::RULES.map(|(rule_id, ..)| rule_id);
    let rules = rules.into_iter().chain(["allowed_email", "blocked_share"]);
    let rules: Vec<(&str, &str)> = rules.map(|rule_id| (rule_id, "1")).collect();
    sample::activate(client, "2", &rules).await;
    let mapping = MAPPING.replace(
        "  reviewable: [review]\n",
        "  reviewable: [review]\n  overrides: {block: [blocked_share], allow: [allowed_email]}\n",
    );
    let predict = world.predict_with(&mapping);
    let allow = json!({"kind": "allow", "rule": "allowed_email"});
    let block = json!({"kind": "block", "rule": "blocked_share"});
    // total, items -> effective outcome, override, all outcomes
    for (n, (total, items, effective, by, outcomes)) in [
        (
            "9000",
            10,
            "approve",
            &allow,
            json!(["block", "review", "approve"]),
        ),
        ("10", 1, "block", &block, json!(["block", "approve"])),
        // Whether the block entry matches is not known: nothing fails open.
        (
            "10",
            0,
            "review",
            &Value::Null,
            json!(["review", "approve"]),
        ),
        // A value that is invalid does not hinder an entry.
        ("much", 10, "approve", &allow, json!(["review", "approve"])),
    ]
    .into_iter()
    .enumerate()
    {
        let mut order = order(&format!("o-{n}"), total);
        order["items"] = json!([{"quantity": items}]);
        let reply = predict.handle(order, now()).await.unwrap();
        let reply = serde_json::to_value(&reply).unwrap();
        let decision = &world.decisions(&format!("o-{n}")).await[0];
        let decision = serde_json::to_value(decision).unwrap();
        world.forward().handle(world.stream(), now()).await.unwrap();
        let detail = world.outcomes().pop().unwrap()["detail"].take();
        for told in [&reply, &decision, &detail] {
            assert_eq!(told["effective_outcome"], effective, "{told}");
            assert_eq!(&told["override"], by, "{told}");
            assert_eq!(told["outcomes"], outcomes, "{told}");
        }
        // What an entry allows waits for nobody.
        assert_eq!(decision["gsi2pk"].is_null(), effective != "review");
    }
}
