//! One order, one decision.

use std::sync::{Arc, Mutex};

use local_aws::clients;
use local_aws::service::Service;
use predict::PredictResponse;
use serde_json::{Value, json};

use crate::world::{MAPPING, World, kinesis, now, order, orders, sqs};

#[track_caller]
fn failures(answer: Result<PredictResponse, shared::batch::InvocationError>) -> String {
    serde_json::to_string(&answer.unwrap()).unwrap()
}

const ALL_DONE: &str = r#"{"batchItemFailures":[]}"#;

#[tokio::test]
async fn an_order_goes_the_whole_way() {
    let world = World::new().await;
    let answer = world
        .predict()
        .handle(orders(&[order("ORD-1", "1500.00")]), now())
        .await;
    assert_eq!(failures(answer), ALL_DONE);
    let decisions = world.decisions("ORD-1").await;
    let decision = &decisions[0];
    assert_eq!(decision.effective_outcome, "review");
    assert_eq!(decision.verdict.matched_rules[0].rule_id, "high_amount");
    assert_eq!(decision.order_id, "ORD-1");
    assert_eq!(decision.variables["order_price"], "1500.00");
    assert_eq!(
        decision.verdict.prediction.detector_version_id.as_deref(),
        Some("1")
    );
    assert_eq!(decision.position.as_ref().unwrap().to_string(), "orders/1");
    assert_eq!(
        decision.expires_at,
        now().now.epoch_seconds() + 548 * 86_400
    );
    let event = world.event("ORD-1").await.unwrap();
    assert_eq!(
        event.event_timestamp.as_deref(),
        Some("2026-06-01T10:15:30Z")
    );
    world.forward().handle(world.stream(), now()).await.unwrap();
    let outcomes = world.outcomes();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(
        outcomes[0]["detail"]["decision_id"],
        decision.decision_id.as_str()
    );
    assert_eq!(outcomes[0]["detail"]["effective_outcome"], "review");
    assert!(!outcomes[0].to_string().contains("jo@example.com"));
}

#[tokio::test]
async fn outcomes_become_one_decision() {
    let world = World::new().await;
    let predict = world.predict();
    // total, items, e-mail -> effective outcome, all outcomes, undetermined
    let cases = [
        (
            "10",
            json!([{"quantity": 1}]),
            "approve",
            vec!["approve"],
            false,
        ),
        (
            "2000",
            json!([{"quantity": 30}]),
            "review",
            vec!["review", "challenge"],
            false,
        ),
        (
            "9000",
            json!([{"quantity": 30}]),
            "block",
            vec!["block", "review", "challenge"],
            false,
        ),
        // Required and missing, or with the wrong type: an order that could not be judged is never approved.
        ("", json!([{"quantity": 1}]), "review", vec!["review"], true),
        (
            "abc",
            json!([{"quantity": 1}]),
            "review",
            vec!["review"],
            true,
        ),
        (
            "9000",
            json!([{"quantity": "many"}]),
            "block",
            vec!["block", "review"],
            true,
        ),
    ];
    for (n, (total, items, effective, all, undetermined)) in cases.into_iter().enumerate() {
        let id = format!("o-{n}");
        let mut order = order(&id, total);
        order["items"] = items;
        let answer = predict.handle(sqs(&[&order]), now()).await;
        assert_eq!(failures(answer), ALL_DONE, "{order}");
        let decision = &world.decisions(&id).await[0];
        assert_eq!(
            (
                decision.effective_outcome.as_str(),
                &decision.outcomes,
                decision.undetermined
            ),
            (
                effective,
                &all.into_iter().map(str::to_owned).collect(),
                undetermined
            ),
            "{order}"
        );
    }
}

#[tokio::test]
async fn a_value_the_service_refuses_is_left_out_and_the_order_decided() {
    let world = World::new().await;
    // The mapping does not know that item_count is an INTEGER; the engine rejects 2.5 by name.
    let mut bad = order("o-1", "10");
    bad["items"] = json!([{"quantity": 2.5}]);
    assert_eq!(
        failures(world.predict().handle(sqs(&[&bad]), now()).await),
        ALL_DONE
    );
    let decision = &world.decisions("o-1").await[0];
    assert_eq!(decision.effective_outcome, "review");
    assert!(!decision.variables.contains_key("item_count"));
    assert_eq!(decision.data_quality[0].variable, "item_count");
}

#[tokio::test]
async fn the_same_order_is_decided_once() {
    let world = World::new().await;
    let predict = world.predict();
    for _ in 0..3 {
        assert_eq!(
            failures(predict.handle(orders(&[order("o-1", "10")]), now()).await),
            ALL_DONE
        );
    }
    assert_eq!(world.decisions("o-1").await.len(), 1);
    assert_eq!(world.faults.count_calls("GetEventPrediction"), 1);
    // Another order under the same id is not a duplicate.
    assert_eq!(
        failures(predict.handle(orders(&[order("o-1", "20")]), now()).await),
        ALL_DONE
    );
    assert_eq!(
        world.rejected(),
        [(
            "predict/orders/1.json".to_owned(),
            "order-changed".to_owned()
        )]
    );
    // A new revision is a new decision.
    let mut edited = order("o-1", "2000");
    edited["revision"] = json!(2);
    assert_eq!(
        failures(predict.handle(orders(&[edited]), now()).await),
        ALL_DONE
    );
    let outcomes: Vec<String> = world
        .decisions("o-1")
        .await
        .into_iter()
        .map(|decision| decision.effective_outcome)
        .collect();
    assert_eq!(outcomes, ["approve", "review"]);
    // With another mapping, a different hash proves nothing.
    let other = MAPPING.replace("  item_count: '[.items[].quantity] | add'\n", "");
    assert_eq!(
        failures(
            world
                .predict_with(&other)
                .handle(orders(&[order("o-1", "10")]), now())
                .await
        ),
        ALL_DONE
    );
    assert_eq!(world.rejected().len(), 1);
}

#[tokio::test]
async fn a_bare_order_is_answered_with_its_decision() {
    let world = World::new().await;
    let answer = world
        .predict()
        .handle(order("o-1", "9000"), now())
        .await
        .unwrap();
    let reply: Value = serde_json::to_value(&answer).unwrap();
    assert_eq!(reply["effective_outcome"], "block");
    assert_eq!(reply["rules"], json!(["very_high_amount", "high_amount"]));
    let error = world
        .predict()
        .handle(json!({"customer": "secret@example.com"}), now())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the order was not decided: rejected: missing-member"
    );
}

#[tokio::test]
async fn what_can_never_be_decided_is_parked_with_its_reason() {
    let world = World::new().await;
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    let big = format!(
        r#"{{"order_id":"o-6","created_at":"2026-06-01T10:15:30Z","total":"10","note":"{}"}}"#,
        "x".repeat(6 * 1024 * 1024)
    );
    let bodies: Vec<(&str, &[u8])> = vec![
        ("1", b"not json"),
        ("2", b"\xff\xfe"),
        ("3", b""),
        ("4", deep.as_bytes()),
        (
            "5",
            br#"{"order_id":"o-5","created_at":"2026-06-01T10:15:30.5+25:00"}"#,
        ),
        ("6", big.as_bytes()),
        ("7", br#"{"created_at":"2026-06-01T10:15:30Z"}"#),
        (
            "8",
            br#"{"order_id":["x"],"created_at":"2026-06-01T10:15:30Z"}"#,
        ),
        (
            "9",
            br#"{"order_id":"o-9","created_at":"2026-06-01T10:15:30Z","total":"10"}"#,
        ),
    ];
    assert_eq!(
        failures(world.predict().handle(kinesis(&bodies), now()).await),
        ALL_DONE
    );
    let classes: Vec<String> = world
        .rejected()
        .into_iter()
        .map(|(key, class)| format!("{key} {class}"))
        .collect();
    assert_eq!(
        classes,
        [
            "predict/orders/1.json not-json",
            "predict/orders/2.json not-json",
            "predict/orders/3.json empty",
            "predict/orders/4.json too-deep",
            "predict/orders/5.json bad-timestamp",
            "predict/orders/7.json missing-member",
            "predict/orders/8.json missing-member",
        ]
    );
    // An order of six megabytes, of which the mapping reads ten bytes, is decided like any other.
    assert_eq!(world.decisions("o-6").await.len(), 1);
    assert_eq!(world.decisions("o-9").await.len(), 1);
}

#[tokio::test]
async fn an_entity_and_a_day_can_be_listed() {
    let world = World::new().await;
    let mut guest = order("o-3", "1500");
    guest["customer"] = json!({});
    world
        .predict()
        .handle(
            orders(&[order("o-1", "10"), order("o-2", "1500"), guest]),
            now(),
        )
        .await
        .unwrap();
    let decisions = world.pipeline.decisions();
    let ids = |found: Vec<shared::decisions::Decision>| {
        found.into_iter().map(|d| d.order_id).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(decisions
            .decisions_of_entity("customer", "cust-42", 9)
            .await
            .unwrap()),
        ["o-2", "o-1"]
    );
    assert_eq!(
        ids(decisions
            .decisions_of_entity("customer", "unknown", 9)
            .await
            .unwrap()),
        [""; 0]
    );
    let mut reviews = ids(decisions
        .open_reviews(
            &"order".parse().unwrap(),
            &"review".parse().unwrap(),
            "2026-06-01",
            9,
        )
        .await
        .unwrap());
    reviews.sort();
    assert_eq!(reviews, ["o-2", "o-3"]);
}

#[tokio::test]
async fn a_model_elsewhere_is_asked_what_the_mapping_says() {
    let world = World::new().await;
    let mapping = MAPPING.replacen(
        "decision:",
        "external_models:\n  xgb-v1: {body: '[.total, .customer.id] | join(\",\")'}\n  nlp: {content_type: application/json, body: '{note} | tojson'}\n  lost: {body: /absent}\ndecision:",
        1,
    );
    let asked = Arc::new(Mutex::new(Value::Null));
    let service = {
        let asked = Arc::clone(&asked);
        Service::new(move |request: http::Request<bytes::Bytes>| {
            *asked.lock().unwrap() = serde_json::from_slice(request.body()).unwrap();
            async { http::Response::new(bytes::Bytes::from_static(b"{\"ruleResults\":[]}")) }
        })
    };
    let mut predict = world.predict_with(&mapping);
    predict.fraud_detector = clients::connect_frauddetector(service.http_client());
    let mut order = order("ORD-1", "15.00");
    order["note"] = json!("gift");
    let answer = predict.handle(orders(&[order]), now()).await;
    assert_eq!(failures(answer), ALL_DONE);
    let blobs = asked.lock().unwrap()["externalModelEndpointDataBlobs"].clone();
    // The bodies in Base64 are 15.00,cust-42 and {"note":"gift"}.
    let want = json!({
        "xgb-v1": {"byteBuffer": "MTUuMDAsY3VzdC00Mg==", "contentType": "text/csv"},
        "nlp": {"byteBuffer": "eyJub3RlIjoiZ2lmdCJ9", "contentType": "application/json"},
    });
    assert_eq!(blobs, want);
    // A missing body is noted in the decision, and the order is not approved because of it.
    let decision = &world.decisions("ORD-1").await[0];
    assert_eq!(decision.effective_outcome, "review");
    let noted = &decision.data_quality[0];
    assert_eq!(
        (noted.variable.as_str(), noted.problem.as_str()),
        ("lost", "has no body")
    );
}

/// Revisions of an order in the different ways a feed may number them; each revision has its own decision.
#[tokio::test]
async fn any_growing_number_or_time_is_a_revision() {
    for (revisions, want) in [
        (vec![json!(0), json!(1), json!(2)], vec![0, 1, 2]),
        (
            vec![json!(99_999), json!(100_000), json!(1_793_491_200)],
            vec![99_999, 100_000, 1_793_491_200],
        ),
        (
            vec![json!("2026-11-01T00:00:00Z"), json!("2026-11-01T00:05:00Z")],
            vec![1_793_491_200, 1_793_491_500],
        ),
        (
            vec![
                json!("2026-11-01T00:00:00Z"),
                json!("2026-11-01T00:00:00.25Z"),
                json!("2026-11-01T00:00:01Z"),
            ],
            vec![1_793_491_200, 1_793_491_200_250_000, 1_793_491_201],
        ),
        // Written by a release that used five digits; a missing revision is 1.
        (
            vec![Value::Null, json!(7), json!(u64::MAX)],
            vec![1, 7, u64::MAX],
        ),
    ] {
        let world = World::new().await;
        // In any order of arrival.
        for revision in revisions.iter().rev() {
            let mut order = order("o-1", "10");
            order["revision"] = revision.clone();
            let answer = world.predict().handle(orders(&[order]), now()).await;
            assert_eq!(failures(answer), ALL_DONE, "{revision}");
        }
        let decisions = world.decisions("o-1").await;
        let got: Vec<u64> = decisions.iter().map(|decision| decision.revision).collect();
        assert_eq!(got, want);
        let undetermined = decisions
            .iter()
            .filter(|decision| decision.undetermined)
            .count();
        assert_eq!(undetermined, 0, "{want:?}");
        let ids: std::collections::BTreeSet<&str> = decisions
            .iter()
            .map(|decision| decision.decision_id.as_str())
            .collect();
        assert_eq!(ids.len(), want.len());
    }
}

/// Numbers beyond 64 bits as ids, as revisions and in labels: two different numbers are never taken for the same.
#[tokio::test]
async fn numbers_beyond_64_bits_are_exact_or_rejected() {
    let world = World::new().await;
    let order = |id: &str, revision: &str| {
        format!(
            r#"{{"order_id":{id},"revision":{revision},"created_at":"2026-06-01T10:15:30Z","total":"10","customer":{{"id":"c"}}}}"#
        )
        .into_bytes()
    };
    let ids = [
        "4200000123202401011234567890",
        "4200000123202401011234567891",
    ];
    let records = [
        order(ids[0], "1"),
        order(ids[1], "1"),
        order("\"o-1\"", "18446744073709551616"),
        order("\"o-1\"", "18446744073709551617"),
    ];
    let records: Vec<(&str, &[u8])> = ["1", "2", "3", "4"]
        .into_iter()
        .zip(records.iter().map(Vec::as_slice))
        .collect();
    world
        .predict()
        .handle(kinesis(&records), now())
        .await
        .unwrap();
    for id in ids {
        let decisions = world.decisions(id).await;
        assert_eq!((decisions.len(), decisions[0].order_id.as_str()), (1, id));
    }
    assert_eq!(world.decisions("o-1").await.len(), 0);
    let rejected: Vec<String> = world
        .rejected()
        .into_iter()
        .map(|(_, class)| class)
        .collect();
    assert_eq!(rejected, ["bad-revision", "bad-revision"]);
    // A label finds exactly its event.
    let label = format!(
        r#"{{"order_id":{},"kind":"chargeback","reason_code":"10.4","source":"processor","label_timestamp":"2026-06-20T00:00:00Z"}}"#,
        ids[1]
    );
    world
        .label()
        .handle(kinesis(&[("1", label.as_bytes())]), now())
        .await
        .unwrap();
    let labelled = async |id: &str| world.decisions(id).await[0].label.is_some();
    assert_eq!(
        (labelled(ids[0]).await, labelled(ids[1]).await),
        (false, true)
    );
}

/// Broken text affects only the member with it: nothing if that is not read, its variable if it is.
#[tokio::test]
async fn broken_text_costs_its_member() {
    let world = World::new().await;
    let order = |id: &str, note: &[u8], email: &[u8]| {
        let head = format!(
            r#"{{"order_id":"{id}","created_at":"2026-06-01T10:15:30Z","total":"10","items":[],"note":""#
        );
        let middle = br#"","customer":{"id":"c","email":""#;
        [head.as_bytes(), note, middle, email, br#""}}"#].concat()
    };
    let cases: [(&str, &[u8], &[u8], bool); 5] = [
        ("o-1", b"fine", b"jo@example.com", false),
        ("o-2", b"M\xfcller", b"jo@example.com", false),
        ("o-3", br"\ud83d", b"jo@example.com", false),
        ("o-4", b"fine", b"j\xf6@example.com", true),
        ("o-5", b"fine", br"j\udc00@example.com", true),
    ];
    for (id, note, email, undetermined) in cases {
        let payload = order(id, note, email);
        world
            .predict()
            .handle(kinesis(&[("k", &payload)]), now())
            .await
            .unwrap();
        let decision = &world.decisions(id).await[0];
        assert_eq!(decision.undetermined, undetermined, "{id}");
        assert_eq!(
            decision.variables.contains_key("email_address"),
            !undetermined,
            "{id}"
        );
    }
    assert_eq!(world.rejected(), []);
}

/// An order that exceeds the work limit of the filters is undetermined, even if only quiet variables and ids are
/// affected.
#[tokio::test]
async fn too_much_work_never_fails_open() {
    let world = World::new().await;
    let mapping = MAPPING
        .replace("[/customer/id, ", "['.customer.id | tostring', ")
        .replace(
            "  item_count:",
            "  attempts: {from: '[.notes[] | test(\"x\")] | length', on_invalid: omit}\n  item_count:",
        );
    let predict = world.predict_with(&mapping);
    let mut costly = order("o-1", "10");
    costly["notes"] = json!(vec!["x"; 20_000]);
    predict
        .handle(orders(&[costly, order("o-2", "10")]), now())
        .await
        .unwrap();
    let outcome = async |id: &str| {
        let decision = world.decisions(id).await.swap_remove(0);
        (decision.effective_outcome, decision.undetermined)
    };
    assert_eq!(outcome("o-1").await, ("review".to_owned(), true));
    assert!(!outcome("o-2").await.1);
}
