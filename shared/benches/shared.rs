//! What the pipeline adds to its clients: mapping an order, running a batch.

#![allow(clippy::unwrap_used, reason = "what cannot go on should stop")]
#![allow(missing_docs, reason = "criterion's macros make functions without")]

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use shared::batch::{Batcher, Budget, PhaseDeadlines, prepare_records};
use shared::failure::{Failure, Rejection};
use shared::json;
use shared::locations::Locations;
use shared::mapping::Mapping;
use shared::records::{Invocation, Record};

const ORDER: &str = r#"{"order_id":"ORD-000123","created_at":"2026-06-01T10:15:30Z",
 "customer":{"id":"cust-42","email":"jo@example.com","phone":"+14155550100","signed_up_at":"2025-02-01T09:00:00Z"},
 "client":{"ip":"203.0.113.7","user_agent":"Mozilla/5.0 (X11; Linux x86_64)"},
 "billing":{"name":"Jo Doe","address":"1 Main St","city":"Reno","state":"NV","postal_code":"89501","country":"US"},
 "shipping":{"name":"Jo Doe","address":"1 Main St","city":"Reno","state":"NV","postal_code":"89501","country":"US"},
 "payment":{"method":"card","card_bin":"411111","card_fingerprint":"f3a9c1","currency":"USD","avs":"Y"},
 "items":[{"sku":"A-1","category":"electronics","quantity":1,"unit_price":"129.99"}],"total":"129.99"}"#;

const WITH_JQ: &str = include_str!("../mapping/testdata/with-jq.yaml");

const POINTERS: &str = "
event_type: order
detector: orders
event: {id: /order_id, timestamp: /created_at, entity: {type: customer, id: [/customer/id]}}
variables:
  email_address: {from: /customer/email, as: email}
  ip_address: /client/ip
  user_agent: /client/user_agent
  order_price: {from: {amount: /total, currency: /payment/currency, base: USD, rates: {EUR: 1.08}}}
  item_count: /items/0/quantity
  billing_country: {from: /billing/country, as: upper}
  shipping_country: {from: /shipping/country, as: upper}
  billing_zip: /billing/postal_code
  shipping_zip: /shipping/postal_code
  card_bin: {from: /payment/card_bin, as: digits}
  currency_code: /payment/currency
  avs: /payment/avs
  signed_up_at: {from: /customer/signed_up_at, type: DATETIME}
decision: {outcome_priority: [review, approve], on_undetermined: [review], on_no_match: [approve]}
";

fn mapping(criterion: &mut Criterion) {
    let pointers = Mapping::parse("pointers", POINTERS).unwrap();
    let sample = Mapping::parse(
        "config/mapping.yaml",
        include_str!("../../config/mapping.yaml"),
    )
    .unwrap();
    let order: Value = serde_json::from_str(ORDER).unwrap();
    criterion.bench_function("parse the sample order", |b| {
        b.iter(|| serde_json::from_str::<Value>(black_box(ORDER)).unwrap());
    });
    criterion.bench_function("map it, 13 pointers", |b| {
        b.iter(|| pointers.map_order(black_box(&order)).unwrap());
    });
    criterion.bench_function("map it, config/mapping.yaml", |b| {
        b.iter(|| sample.map_order(black_box(&order)).unwrap());
    });
    let with_jq = Mapping::parse("with-jq.yaml", WITH_JQ).unwrap();
    criterion.bench_function("map it, the same with jq", |b| {
        b.iter(|| with_jq.map_order(black_box(&order)).unwrap());
    });
}

const LOCATED: &str = "
event_type: order
detector: orders
event: {id: /order_id, timestamp: /created_at, entity: {type: customer, id: [/customer/id]}}
variables:
  ip_country: {from: /client/ip, locate: country}
  ip_asn: {from: /client/ip, locate: asn}
  ip_to_london_km: {from: /client/ip, locate: {km_to: {latitude: '51.5', longitude: '-0.1'}}, type: FLOAT}
decision: {outcome_priority: [review, approve], on_undetermined: [review], on_no_match: [approve]}
";

fn locate(criterion: &mut Criterion) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/locations");
    let files = ["city", "asn"].map(|name| format!("{folder}/{name}.mmdb"));
    let locations = Arc::new(Locations::read(&files).unwrap());
    let address: IpAddr = "203.0.113.7".parse().unwrap();
    criterion.bench_function("the country of an address", |b| {
        b.iter(|| locations.country(black_box(address)).unwrap());
    });
    criterion.bench_function("the coordinates of an address", |b| {
        b.iter(|| locations.coordinates(black_box(address)).unwrap());
    });
    let mapping = Mapping::parse("located", LOCATED).unwrap();
    let mapping = mapping.with_locations(Arc::clone(&locations));
    let order: Value = serde_json::from_str(ORDER).unwrap();
    criterion.bench_function("map it, country, network and distance only", |b| {
        b.iter(|| mapping.map_order(black_box(&order)).unwrap());
    });
}

fn batch(criterion: &mut Criterion) {
    let data = BASE64.encode(ORDER);
    let record = |n: usize| {
        json!({"eventSource": "aws:kinesis", "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/orders",
        "kinesis": {"sequenceNumber": n.to_string(), "partitionKey": n.to_string(), "data": data}})
    };
    let event = json!({"Records": (0..100).map(record).collect::<Vec<_>>()});
    let batcher = Batcher::new("bench", Budget::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    criterion.bench_function(
        "a batch of 100 records, clients and mapping excluded",
        |b| {
            b.iter(|| {
                runtime.block_on(async {
                    let records = Invocation::new(event.clone()).unwrap().into_records();
                    let prepared = prepare_records(&records, PhaseDeadlines::default(), |record| {
                        record.json().map(|value| value.is_object())
                    });
                    let process = async |index: usize, _: &Record| prepared[index].clone();
                    let park = async |_: &Record, _: &Rejection| Ok::<(), Failure>(());
                    batcher
                        .run(
                            records,
                            PhaseDeadlines::default(),
                            |_| Vec::new(),
                            process,
                            shared::batch::CHUNK,
                            shared::batch::keep_results,
                            park,
                        )
                        .await
                        .response()
                        .unwrap()
                })
            });
        },
    );
}

/// What an order can make a filter do at most, beside an ordinary order: both are read from bytes and mapped.
fn hostile(criterion: &mut Criterion) {
    let sample = Mapping::parse("with-jq.yaml", WITH_JQ).unwrap();
    let map =
        |payload: &[u8]| json::parse_json(payload).map(|value| sample.map_order(&value).is_ok());
    let repeated = ORDER
        .replace(
            "\"quantity\":1",
            &format!("\"quantity\":\"{}\"", "x".repeat(9_000)),
        )
        .replace("\"129.99\"}]", "\"150000\"}]");
    let items = |count: usize| {
        let item = r#"{"sku":"A-1","category":"gift_cards","quantity":1,"unit_price":"129.99"}"#;
        ORDER.replace(
            "\"items\":[",
            &format!("\"items\":[{}", format!("{item},").repeat(count)),
        )
    };
    let digits = ORDER.replace("\"129.99\"}]", &format!("{}}}]", "9".repeat(900_000)));
    let text = ORDER.replace("\"Jo Doe\"", &format!("\"{}\"", "x".repeat(2_900_000)));
    let mut group = criterion.benchmark_group("hostile");
    for (name, payload) in [
        ("an ordinary order", ORDER.to_owned()),
        ("a thousand items", items(1_000)),
        (
            "as many items as are read, more work than is done",
            items(9_000),
        ),
        ("a text that is multiplied", repeated),
        ("a price of 900,000 digits", digits),
        ("a text of 6 MB", text),
        (
            "as many lists as are read",
            format!("{{\"a\":[{}0]}}", "[0],".repeat(49_000)),
        ),
        (
            "6 MB of lists",
            format!("{{\"a\":[{}0]}}", "[0],".repeat(1_400_000)),
        ),
    ] {
        group.sample_size(10);
        group.bench_function(name, |b| b.iter(|| map(black_box(payload.as_bytes()))));
    }
}

criterion_group!(benches, mapping, locate, batch, hostile);
criterion_main!(benches);
