//! Orders that were made to be expensive, with the mapping in `config`: each is mapped or rejected with a message, and
//! none uses more than 100 MB. `cargo bench -p shared -- hostile` measures the time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what cannot go on should stop"
)]

use std::alloc::System;
use std::io::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cap::Cap;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::failure::Failure;
use shared::mapping::Mapping;
use shared::records::{Origin, Position, Record};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// The most memory that one record of up to 6 MB may use, in bytes.
const MOST_BYTES: usize = 100 * 1000 * 1000;
/// The largest record that Lambda delivers, in bytes.
const LARGEST: usize = 6 * 1000 * 1000;

/// The sample mapping as it was with jq filters, which an order can make do the most.
static MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    Mapping::parse(
        "with-jq.yaml",
        include_str!("../../../shared/mapping/testdata/with-jq.yaml"),
    )
    .unwrap()
});

/// The sample mapping.
static SAMPLE_MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    Mapping::parse(
        "config/mapping.yaml",
        include_str!("../../../config/mapping.yaml"),
    )
    .unwrap()
});

const SAMPLE: &str = r#"{"order_id":"ORD-1","created_at":"2026-06-01T10:15:30Z","customer":{"id":"c","email":"jo@example.com",
"phone":"+14155550100","signed_up_at":"2025-02-01T09:00:00Z","address_changed_at":"2026-02-01T09:00:00Z"},
"client":{"ip":"203.0.113.7","user_agent":"x"},"billing":{"name":"Jo","address":"1 Main St","country":"US"},
"shipping":{"name":"Jo","address":"1 Main St","country":"US"},"payment":{"method":"card","card_bin":"411111","currency":"USD"},
"items":[{"sku":"A-1","category":"gift_cards","quantity":1,"unit_price":"129.99"}],"total":"129.99"}"#;

fn record(payload: Vec<u8>) -> Record {
    let position = Position::new(Origin::Sqs, "arn:aws:sqs:us-east-1:1:orders", "m-1");
    Record {
        position,
        key: None,
        payload,
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Maps a payload as the functions do. Returns the result and the memory that it used.
fn map(mapping: &Mapping, payload: Vec<u8>) -> (String, usize) {
    let record = record(payload);
    let before = MEMORY.allocated();
    let highest = MEMORY.max_allocated();
    let order = record.json().and_then(|value| mapping.map_order(&value));
    let result = match order {
        Ok(order) if order.is_undetermined() => "undetermined".to_owned(),
        Ok(_) => "mapped".to_owned(),
        Err(Failure::Rejected(rejection)) => {
            assert!(
                rejection.reason.contains(' '),
                "no sentence: {}",
                rejection.reason
            );
            rejection.class.to_owned()
        }
        Err(failure) => panic!("not the record's fault: {failure}"),
    };
    let peak = MEMORY.max_allocated();
    // The peak is that of all records so far: if this record has not raised it, it used no more than the others.
    (result, if peak > highest { peak - before } else { 0 })
}

/// The sample order with one member replaced.
fn with(pointer: &str, value: &str) -> Vec<u8> {
    let mut order: serde_json::Value = serde_json::from_str(SAMPLE).unwrap();
    *order.pointer_mut(pointer).unwrap() = "@@".into();
    order.to_string().replace("\"@@\"", value).into_bytes()
}

/// Payloads that were expensive at some time.
#[expect(clippy::too_many_lines, reason = "a table")]
fn known() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let text = |length: usize| format!("\"{}\"", "x".repeat(length));
    let items = |count: usize| {
        let item = r#"{"sku":"A","category":"gift_cards","quantity":1,"unit_price":"1.5"}"#;
        format!("[{}]", vec![item; count].join(","))
    };
    let repeated = SAMPLE
        .replace(r#""quantity":1"#, &format!(r#""quantity":{}"#, text(9_000)))
        .replace("\"129.99\"}]", "\"150000\"}]");
    vec![
        ("the sample", SAMPLE.into(), "mapped"),
        (
            "a text that is multiplied",
            repeated.into_bytes(),
            "undetermined",
        ),
        (
            "a gzip of many lists",
            gzip(format!("{{\"a\":[{}1]}}", "[0],".repeat(4_000_000)).as_bytes()),
            "too-large",
        ),
        (
            "many lists",
            with("/client", &format!("[{}1]", "[0],".repeat(1_400_000))),
            "too-large",
        ),
        (
            "many empty objects",
            with("/client", &format!("[{}1]", "{},".repeat(1_900_000))),
            "too-large",
        ),
        (
            "many members",
            with(
                "/client",
                &format!("{{{}\"z\":1}}", "\"a\":1,".repeat(400_000)),
            ),
            "too-large",
        ),
        (
            "as many values as are read",
            with("/client", &format!("[{}1]", "[0],".repeat(49_000))),
            "mapped",
        ),
        (
            "a price of 900,000 digits",
            with("/items/0/unit_price", &"9".repeat(900_000)),
            "undetermined",
        ),
        (
            "a price of 900,000 digits as text",
            with(
                "/items/0/unit_price",
                &format!("\"{}\"", "9".repeat(900_000)),
            ),
            "undetermined",
        ),
        (
            "a quantity of 900,000 digits",
            with("/items/0/quantity", &"9".repeat(900_000)),
            "undetermined",
        ),
        (
            "a total of 900,000 digits",
            with("/total", &"9".repeat(900_000)),
            "undetermined",
        ),
        (
            "a fraction of 900,000 digits",
            with("/items/0/quantity", &format!("0.{}", "9".repeat(900_000))),
            "mapped",
        ),
        (
            "an exponent",
            with("/items/0/quantity", "1e999999999"),
            "undetermined",
        ),
        (
            "a long text",
            with("/billing/name", &text(5_900_000)),
            "undetermined",
        ),
        (
            "a long address",
            with("/customer/email", &text(5_900_000)),
            "undetermined",
        ),
        ("a long id", with("/order_id", &text(5_900_000)), "too-long"),
        (
            "a long time",
            with("/created_at", &text(5_900_000)),
            "too-long",
        ),
        (
            "a long text of escapes",
            with(
                "/billing/name",
                &format!("\"{}\"", "\\u0041".repeat(900_000)),
            ),
            "undetermined",
        ),
        (
            "a long text of half surrogates",
            with(
                "/billing/name",
                &format!("\"{}\"", "\\ud800".repeat(900_000)),
            ),
            "undetermined",
        ),
        ("a thousand items", with("/items", &items(1_000)), "mapped"),
        (
            "very many items",
            with("/items", &items(10_000)),
            "undetermined",
        ),
        (
            "deep",
            with(
                "/client",
                &format!("{}1{}", "[".repeat(3_000_000), "]".repeat(2_900_000)),
            ),
            "too-deep",
        ),
        (
            "a gzip of blanks",
            gzip(&vec![b' '; 17 * 1024 * 1024]),
            "too-large",
        ),
        (
            "a gzip of one text",
            gzip(format!("{{\"a\":{}}}", text(16_000_000)).as_bytes()),
            "missing-member",
        ),
    ]
}

/// Any JSON value that a sender may put anywhere.
fn hostile_value() -> impl Strategy<Value = String> {
    let length = prop_oneof![0..100_usize, 1_000..20_000_usize, 100_000..1_000_000_usize];
    let digits = (length.clone(), "[1-9]").prop_map(|(length, digit)| digit.repeat(length.max(1)));
    prop_oneof![
        Just("null".to_owned()),
        Just("150000".to_owned()),
        Just("\"1e308\"".to_owned()),
        Just("-1e308".to_owned()),
        digits.clone(),
        digits.clone().prop_map(|digits| format!("\"{digits}\"")),
        digits.prop_map(|digits| format!("\"{digits}e{digits}\"")),
        (length.clone(), "[a-z@. ]")
            .prop_map(|(length, part)| format!("\"{}\"", part.repeat(length))),
        (
            length.clone(),
            prop_oneof![
                Just("[0]"),
                Just("{}"),
                Just("\"\""),
                Just("1"),
                Just("{\"quantity\":1}")
            ]
        )
            .prop_map(|(count, part)| format!("[{}{part}]", format!("{part},").repeat(count))),
        (
            length,
            prop_oneof![Just(("[", "]")), Just(("{\"a\":", "}"))]
        )
            .prop_map(|(depth, (open, close))| format!(
                "{}1{}",
                open.repeat(depth),
                close.repeat(depth)
            )),
        Just("\"\\ud800\"".to_owned()),
    ]
}

fn hostile_payload() -> impl Strategy<Value = Vec<u8>> {
    let place = prop::sample::select(vec![
        "/order_id",
        "/created_at",
        "/customer",
        "/customer/id",
        "/customer/email",
        "/customer/signed_up_at",
        "/client",
        "/client/ip",
        "/billing",
        "/billing/address",
        "/shipping/address",
        "/payment/currency",
        "/payment/card_bin",
        "/items",
        "/items/0",
        "/items/0/quantity",
        "/items/0/unit_price",
        "/items/0/category",
        "/total",
    ]);
    let changes = prop::collection::vec((place, hostile_value()), 1..4);
    let many = prop_oneof![Just(1_usize), 2..5_000_usize];
    (changes, many, 0..4_u8).prop_map(|(changes, items, envelope)| {
        let mut order: serde_json::Value = serde_json::from_str(SAMPLE).unwrap();
        let item = order["items"][0].clone();
        let mut values = Vec::new();
        for (n, (place, value)) in changes.into_iter().enumerate() {
            if let Some(member) = order.pointer_mut(place) {
                *member = format!("@@{n}@@").into();
                values.push((format!("\"@@{n}@@\""), value));
            }
        }
        if let Some(all) = order["items"].as_array_mut() {
            all.extend(std::iter::repeat_n(item, items - 1));
        }
        let mut text = order.to_string();
        for (place, value) in values {
            text = text.replace(&place, &value);
        }
        let bytes = text.into_bytes();
        match envelope {
            0 => gzip(&bytes),
            1 => BASE64.encode(gzip(&bytes)).into_bytes(),
            2 => serde_json::json!({"Type": "Notification", "TopicArn": "t", "Message": String::from_utf8_lossy(&bytes)})
                .to_string()
                .into_bytes(),
            _ => bytes,
        }
    })
}

// A single test, because the peak of memory is that of the whole process.
#[test]
fn no_order_takes_over_100_mb() {
    for (what, payload, want) in known() {
        assert!(
            payload.len() <= LARGEST,
            "{what} has {} bytes",
            payload.len()
        );
        let (_, bytes) = map(&SAMPLE_MAPPING, payload.clone());
        assert!(bytes <= MOST_BYTES, "{what} took {bytes} bytes without jq");
        let (got, bytes) = map(&MAPPING, payload);
        assert_eq!(got, want, "{what}");
        assert!(bytes <= MOST_BYTES, "{what} took {bytes} bytes");
    }
    let mut runner = TestRunner::new(Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&hostile_payload(), |payload| {
            prop_assume!(payload.len() <= LARGEST);
            for mapping in [&*MAPPING, &*SAMPLE_MAPPING] {
                let (_, bytes) = map(mapping, payload.clone());
                prop_assert!(bytes <= MOST_BYTES, "{} bytes", bytes);
            }
            Ok(())
        })
        .unwrap();
}
