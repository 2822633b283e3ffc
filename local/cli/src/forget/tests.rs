//! On a folder with everything in it: the sample's detector, engine, database, bucket and outcomes.

use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::types::ListUpdateMode;
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use shared::failure::Rejection;
use shared::mapping::Mapping;
use shared::profiles::CountedOrder;
use shared::records::{Origin, Position, Record};
use shared::rejected::RejectedStore;
use tempfile::TempDir;

use super::*;
use crate::apply;
use crate::file_run::PipelineFunction;
use crate::hold::{self, HoldReason};
use crate::replay::{Replay, ReplayFilter, ReplayedObject};
use local_aws::dynamodb::Durability;
use local_aws::home::Home;
use local_aws::local_stack::{BUCKET, LocalStack, Pipeline};
use shared::aws_json::AwsJsonClient;

type Item = std::collections::HashMap<String, AttributeValue>;

/// Stands in every value of the person that is to be forgotten.
const MARK: &str = "sentinel-4711";

struct Shop {
    folder: TempDir,
    stack: LocalStack,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn mapping() -> Mapping {
    Mapping::read(&root().join("config/mapping.yaml")).unwrap()
}

/// The sample's mapping with `old` replaced.
fn mapping_with(old: &str, new: &str) -> Mapping {
    let text = std::fs::read_to_string(root().join("config/mapping.yaml")).unwrap();
    assert!(text.contains(old), "{old}");
    Mapping::parse("mapping.yaml", &text.replacen(old, new, 1)).unwrap()
}

/// What remains in the bucket.
fn left_objects(report: &ForgetReport) -> Vec<&str> {
    let lines = report.remains.iter().map(String::as_str);
    lines.filter(|line| line.contains("s3://")).collect()
}

fn now() -> Timestamp {
    Timestamp::from_jiff(jiff::Timestamp::now()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// An order of a person, all of whose values hold the person's name.
fn order(number: u32, person: &str) -> Value {
    let phone = if person == MARK {
        "+14155550187"
    } else {
        "+14155550100"
    };
    json!({
        "order_id": format!("FORGET-{number}"),
        "created_at": "2026-06-01T10:15:30Z",
        "customer": {"id": person, "email": format!("{person}@example.com"), "phone": phone},
        "client": {"ip": "203.0.113.7", "device_id": format!("device-{person}")},
        "billing": {"name": person, "address": format!("1 {person} St"), "country": "US"},
        "payment": {"currency": "USD"},
        "items": [{"sku": "A-1", "category": "home", "quantity": 1, "unit_price": "129.99"}],
        "total": "129.99",
    })
}

fn with(mut order: Value, pointer: &str, value: Value) -> Value {
    *order.pointer_mut(pointer).unwrap() = value;
    order
}

/// Where nobody is told by a date: the mapping cannot read the order.
fn broken(number: u32, person: &str) -> Value {
    with(order(number, person), "/created_at", json!("never"))
}

fn record(id: &str, payload: impl Into<Vec<u8>>) -> Record {
    Record {
        position: Position::new(Origin::Sqs, "arn:aws:sqs:us-east-1:123456789012:orders", id),
        key: None,
        payload: payload.into(),
    }
}

/// A payload in every envelope that the handlers open.
fn envelopes(payload: &str) -> Vec<(&'static str, Vec<u8>)> {
    let notify = |text: &str| {
        let sns = json!({"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": text});
        sns.to_string()
    };
    let sns = notify(payload);
    let detail: Value = serde_json::from_str(payload).unwrap();
    let event = json!({"detail-type": "Order", "source": "shop", "detail": detail}).to_string();
    vec![
        ("plain", payload.as_bytes().to_vec()),
        ("gzip", gzip(payload.as_bytes())),
        (
            "gzip in base64",
            BASE64.encode(gzip(payload.as_bytes())).into_bytes(),
        ),
        ("sns", sns.clone().into_bytes()),
        ("gzip of sns", gzip(sns.as_bytes())),
        ("event", event.clone().into_bytes()),
        (
            "gzip of event in base64",
            BASE64.encode(gzip(event.as_bytes())).into_bytes(),
        ),
        ("event in sns", notify(&event).into_bytes()),
        ("plain in base64", BASE64.encode(payload).into_bytes()),
        ("list", format!("[{payload}]").into_bytes()),
        ("byte order mark", format!("\u{feff}{payload}").into_bytes()),
    ]
}

impl Shop {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        let stack = LocalStack::open(&home, Durability::Kill).await.unwrap();
        let options = apply::ApplyOptions {
            file: root().join("config/detector.yaml"),
            parameters: Vec::new(),
            dry_run: false,
            to: apply::ApplyTarget::Engine,
            json: false,
            mapped: None,
            allow_unfilled: false,
            new_versions: apply::NewVersions::AsFile,
            log: None,
        };
        let client = &stack.clients.frauddetector;
        apply::apply_template(client, &options, &mut Vec::new())
            .await
            .unwrap();
        Self { folder, stack }
    }

    fn pipeline(&self) -> Pipeline {
        self.stack.pipeline()
    }

    fn function(&self, name: &str) -> Option<PipelineFunction> {
        let pipeline = self.pipeline();
        Some(match name {
            "predict" => PipelineFunction::Predict(Box::new(pipeline.predict(mapping(), None))),
            "ingest" => PipelineFunction::Ingest(Box::new(pipeline.ingest(mapping()))),
            "label" => PipelineFunction::Label(Box::new(pipeline.label(mapping()))),
            _ => return None,
        })
    }

    /// Puts records through a function; returns how many succeeded.
    async fn run(&self, function: &str, payloads: &[Value]) -> usize {
        let records = payloads.iter().enumerate();
        let records =
            records.map(|(n, payload)| record(&format!("{function}-{n}"), payload.to_string()));
        let handled = self
            .function(function)
            .unwrap()
            .handle_batch(records.collect())
            .await;
        handled
            .results
            .iter()
            .filter(|(_, result)| result.is_ok())
            .count()
    }

    async fn reject(&self, id: &str, payload: impl Into<Vec<u8>>) {
        let rejection = Rejection {
            class: "test",
            reason: "of the test".into(),
            refusal: None,
        };
        let rejected = RejectedStore::new(self.stack.clients.s3.clone(), BUCKET);
        rejected
            .write("predict", &record(id, payload), &rejection)
            .await
            .unwrap();
    }

    async fn put(&self, key: &str, body: &[u8]) {
        let put = self.stack.clients.s3.put_object().bucket(BUCKET).key(key);
        put.body(ByteStream::from(body.to_vec()))
            .send()
            .await
            .unwrap();
    }

    async fn object(&self, key: &str) -> Option<String> {
        let get = self.stack.clients.s3.get_object().bucket(BUCKET).key(key);
        let body = get.send().await.ok()?.body.collect().await.unwrap();
        Some(String::from_utf8(body.to_vec()).unwrap())
    }

    async fn list(&self, name: &str, ty: Option<&str>, elements: &[&str]) {
        let client = &self.stack.clients.frauddetector;
        let create = client
            .create_list()
            .name(name)
            .set_variable_type(ty.map(str::to_owned));
        let elements = elements
            .iter()
            .map(|element| (*element).to_owned())
            .collect();
        create.set_elements(Some(elements)).send().await.unwrap();
    }

    async fn elements(&self, name: &str) -> Vec<String> {
        let client = &self.stack.clients.frauddetector;
        let elements = client.get_list_elements().name(name).send().await.unwrap();
        elements.elements().to_vec()
    }

    async fn forget(&self, whom: SubjectQuery) -> (ForgetReport, Traces) {
        self.forget_or_not(whom, false).await
    }

    async fn forget_or_not(&self, whom: SubjectQuery, dry_run: bool) -> (ForgetReport, Traces) {
        self.forget_as(&mapping(), whom, dry_run, now()).await
    }

    async fn forget_as(
        &self,
        mapping: &Mapping,
        whom: SubjectQuery,
        dry_run: bool,
        now: Timestamp,
    ) -> (ForgetReport, Traces) {
        let pipeline = self.pipeline();
        let forget = Forget {
            finder: SubjectFinder {
                pipeline: &pipeline,
                engine: Some(&self.stack.engine),
                mapping,
            },
            is_remote: false,
            dry_run,
            now,
        };
        forget.forget_subject(whom).await.unwrap()
    }

    async fn find(&self, whom: SubjectQuery) -> FoundData {
        let (pipeline, mapping) = (self.pipeline(), mapping());
        let finder = SubjectFinder {
            pipeline: &pipeline,
            engine: Some(&self.stack.engine),
            mapping: &mapping,
        };
        finder.find(whom, now()).await.unwrap()
    }

    /// A list that blocks.
    async fn blocking_list(&self, name: &str, ty: &str, variable: &str, elements: &[&str]) {
        self.list(name, Some(ty), elements).await;
        self.rule_on_list(name, variable, "block").await;
    }

    /// A rule with the name of the list that it tests.
    async fn rule_on_list(&self, name: &str, variable: &str, outcome: &str) {
        let rule = self.stack.clients.frauddetector.create_rule();
        let rule = rule.rule_id(name).detector_id("orders").outcomes(outcome);
        let rule = rule.expression(format!("${variable} in @{name}"));
        let language = aws_sdk_frauddetector::types::Language::Detectorpl;
        rule.language(language).send().await.unwrap();
    }

    /// Brings a chargeback of today.
    async fn charge_back(&self, order_id: &str) {
        let chargeback = json!({
            "order_id": order_id, "kind": "chargeback", "label_timestamp": now().to_string(),
        });
        assert_eq!(self.run("label", &[chargeback]).await, 1);
    }

    async fn item(&self, pk: &str, sk: &str) -> Option<Item> {
        let get = self.stack.clients.dynamodb.get_item();
        let get = get
            .table_name(self.pipeline().decisions_table)
            .key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()));
        get.send().await.unwrap().item
    }

    async fn forget_person(&self, text: &str) -> (ForgetReport, Traces) {
        let who = SubjectQuery::entity(&mapping(), text).unwrap();
        Box::pin(self.forget(who)).await
    }

    async fn replay(&self, prefix: &str) -> Vec<ReplayedObject> {
        let forgotten = ForgottenSubjects {
            pipeline: self.pipeline(),
            mapping: mapping().into(),
        };
        let replay = Replay {
            s3: &self.stack.clients.s3,
            bucket: BUCKET,
            kinesis: &AwsJsonClient::kinesis(&aws_config::SdkConfig::builder().build()),
            function: &|name| self.function(name),
            forgotten: &forgotten,
            filter: ReplayFilter::default(),
            rate: None,
            dry_run: false,
            progress: indicatif::ProgressBar::hidden(),
        };
        let mut replayed = Vec::new();
        replay.replay_prefix(prefix, &mut replayed).await.unwrap();
        replayed
    }

    async fn is_decided(&self, order_id: &str) -> bool {
        let decisions = self.pipeline().decisions();
        let event_id = event::EventId::slug(order_id);
        let found = decisions.revisions(mapping().event_type(), &event_id).await;
        !found.unwrap().is_empty()
    }

    /// Ends the process's work, and then what `forget` does with the files.
    async fn close(self, traces: &Traces) -> (TempDir, usize) {
        self.stack.close().await.unwrap();
        let home = Home::open(self.folder.path()).unwrap();
        let lines = rewrite_local_files(&home, traces, false).unwrap();
        (self.folder, lines)
    }
}

/// The files under a folder that hold the mark in their bytes or in their name.
fn marked(folder: &Path) -> Vec<PathBuf> {
    let mut marked = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            marked.extend(self::marked(&path));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let is_marked = bytes
            .windows(MARK.len())
            .any(|part| part == MARK.as_bytes());
        if is_marked || path.to_string_lossy().contains(MARK) {
            marked.push(path);
        }
    }
    marked
}

#[tokio::test]
async fn rejected_records_are_found_in_every_envelope() {
    let shop = Shop::new().await;
    let count = envelopes("{}").len();
    for (envelope, payload) in envelopes(&order(1, MARK).to_string()) {
        shop.reject(&format!("whole {envelope}"), payload).await;
    }
    for (envelope, payload) in envelopes(&broken(2, MARK).to_string()) {
        shop.reject(&format!("broken {envelope}"), payload).await;
    }
    for (envelope, payload) in envelopes(&order(3, "other").to_string()) {
        shop.reject(&format!("other {envelope}"), payload).await;
    }
    let (report, _) = shop.forget_person(MARK).await;
    assert_eq!(report.rejected_objects, 2 * count);
    assert_eq!(shop.replay("rejected/").await.len(), count);
}

#[tokio::test]
async fn what_was_forgotten_is_refused_in_every_envelope() {
    let shop = Shop::new().await;
    shop.run("predict", &[order(1, MARK)]).await;
    shop.forget_person(MARK).await;
    // The decided order, and one of before that was never seen.
    for number in [1, 2] {
        for (envelope, payload) in envelopes(&order(number, MARK).to_string()) {
            shop.reject(&format!("{number} {envelope}"), payload.clone())
                .await;
            let forgotten = ForgottenSubjects {
                pipeline: shop.pipeline(),
                mapping: mapping().into(),
            };
            assert!(
                forgotten.is_forgotten(&record("1", payload)).await.unwrap(),
                "{envelope}"
            );
        }
    }
    let replayed = shop.replay("rejected/").await;
    assert_eq!(replayed.len(), 2 * envelopes("{}").len());
    for one in replayed {
        assert_eq!(
            one.now, "not replayed: it is about something that was forgotten",
            "{}",
            one.key
        );
    }
    assert!(!shop.is_decided("FORGET-1").await);
    assert!(!shop.is_decided("FORGET-2").await);
}

#[tokio::test]
async fn a_label_of_a_forgotten_order_is_refused_and_a_new_order_is_not() {
    let shop = Shop::new().await;
    shop.run("predict", &[order(1, MARK)]).await;
    shop.forget_person(MARK).await;
    let forgotten = ForgottenSubjects {
        pipeline: shop.pipeline(),
        mapping: mapping().into(),
    };
    let label =
        json!({"order_id": "FORGET-1", "kind": "chargeback", "label_timestamp": "2026-06-29"});
    let new = with(order(9, MARK), "/created_at", json!("2099-01-01T00:00:00Z"));
    for (payload, want) in [
        (label, true),
        (order(8, MARK), true),
        (new, false),
        (order(7, "other"), false),
    ] {
        let record = record("1", payload.to_string());
        assert_eq!(
            forgotten.is_forgotten(&record).await.unwrap(),
            want,
            "{payload}"
        );
    }
}

#[tokio::test]
async fn a_guest_is_found_by_the_address_behind_the_hash() {
    let shop = Shop::new().await;
    let guest = with(order(1, MARK), "/customer/id", json!(""));
    assert_eq!(shop.run("predict", &[guest, order(2, "other")]).await, 2);
    let (report, _) = shop
        .forget_person(&format!(" {}@Example.com", MARK.to_uppercase()))
        .await;
    assert_eq!((report.decisions, report.events), (1, 1));
    assert!(!shop.is_decided("FORGET-1").await);
    assert!(shop.is_decided("FORGET-2").await);
}

#[tokio::test]
async fn an_unreadable_record_is_found_by_any_name() {
    for (name, text) in [
        ("its order id", "{\"order_id\":\"FORGET-1\",\"cut"),
        ("its order id in lower case", "forget-1;2026-06-01"),
        ("the id of its event", "{\"event\":\"EVENT\""),
        ("its entity", "{\"customer\":{\"id\":\"SENTINEL-4711\""),
        (
            "an address, escaped",
            "{\"email\":\"sentinel-4711\\u0040example.com",
        ),
        ("a device", "device-sentinel-4711"),
        ("a telephone number", "{\"phone\":\"14155550187"),
        ("an address of the network", "<203.0.113.7>"),
    ] {
        let shop = Shop::new().await;
        shop.run("predict", &[order(1, MARK)]).await;
        let event_id = event::EventId::slug("FORGET-1");
        let text = text.replace("EVENT", event_id.as_str());
        let zipped = gzip(text.as_bytes());
        shop.reject("plain", text.clone()).await;
        shop.reject("base64", BASE64.encode(&zipped)).await;
        shop.reject("cut", zipped[..zipped.len() - 4].to_vec())
            .await;
        shop.reject("other", "{\"order_id\":\"FORGET-10\",\"cut")
            .await;
        let (report, _) = shop.forget_person(MARK).await;
        assert_eq!(report.rejected_objects, 3, "{name}");
        let unread: Vec<_> = report
            .remains
            .iter()
            .filter(|line| line.contains("s3://"))
            .collect();
        assert_eq!(
            unread,
            [
                "cannot be read: s3://fraudstream/rejected/predict/orders/other.json, record other: the payload is not JSON: EOF while parsing a string at line 1 column 28"
            ],
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_order_is_found_as_the_shop_or_its_event_names_it() {
    for name in ["FORGET-1", event::EventId::slug("FORGET-1").as_str()] {
        let shop = Shop::new().await;
        shop.run("predict", &[order(1, MARK), order(2, MARK)]).await;
        shop.reject("1", "{\"order_id\":\"FORGET-1\",\"cut").await;
        let (report, _) = shop.forget(SubjectQuery::order(&mapping(), name)).await;
        assert_eq!(
            (report.decisions, report.events, report.rejected_objects),
            (1, 1, 1),
            "{name}"
        );
        assert!(shop.is_decided("FORGET-2").await);
    }
}

#[tokio::test]
async fn values_leave_all_lists_that_hold_persons_values() {
    let shop = Shop::new().await;
    shop.run("predict", &[order(1, MARK)]).await;
    let address = format!("{}@Example.com", MARK.to_uppercase());
    let device = format!("device-{MARK}");
    for (name, ty, elements, left) in [
        (
            "untyped",
            None,
            vec![
                &*address,
                &device,
                "+1 (415) 555-0187",
                "203.0.113.7",
                "97201",
            ],
            vec!["97201"],
        ),
        (
            "anything",
            Some("FREE_FORM_TEXT"),
            vec![&*address, "97201"],
            vec!["97201"],
        ),
        (
            "addresses",
            Some("EMAIL_ADDRESS"),
            vec![&*address, "a@example.com"],
            vec!["a@example.com"],
        ),
        ("ids", None, vec![MARK, "cust-1"], vec!["cust-1"]),
        // A list of postal codes holds no addresses: it is nobody's.
        (
            "zips",
            Some("SHIPPING_ZIP"),
            vec![&*address, "97201"],
            vec!["97201", &*address],
        ),
    ] {
        shop.list(name, ty, &elements).await;
        let gone = elements.len() - left.len();
        let (report, _) = shop
            .forget_or_not(SubjectQuery::entity(&mapping(), MARK).unwrap(), true)
            .await;
        assert_eq!(
            (report.list_entries, shop.elements(name).await.len()),
            (gone, elements.len()),
            "{name}"
        );
        // The order has to be there for the next list.
        let engine = &shop.stack.engine;
        let pipeline = shop.pipeline();
        let mapping = mapping();
        let finder = SubjectFinder {
            pipeline: &pipeline,
            engine: Some(engine),
            mapping: &mapping,
        };
        let found = finder
            .find(SubjectQuery::entity(&mapping, MARK).unwrap(), now())
            .await
            .unwrap();
        for (list, elements) in found.list_elements {
            engine.erase_list_elements(&list, &elements).await.unwrap();
        }
        assert_eq!(shop.elements(name).await, left, "{name}");
    }
}

/// A customer with everything that can be kept of one, and another customer with an order.
async fn full_shop() -> Shop {
    let shop = Shop::new().await;
    let guest = with(order(5, MARK), "/customer/id", json!(""));
    shop.run(
        "predict",
        &[order(1, MARK), order(2, MARK), order(3, "other"), guest],
    )
    .await;
    shop.run("ingest", &[order(4, MARK)]).await;
    let refund = json!({"order_id": "FORGET-2", "kind": "refund", "label_timestamp": "2026-06-29"});
    let waiting = with(refund.clone(), "/order_id", json!("FORGET-9"));
    assert_eq!(shop.run("label", &[refund, waiting.clone()]).await, 2);
    shop.reject(
        "broken",
        BASE64.encode(gzip(broken(9, MARK).to_string().as_bytes())),
    )
    .await;
    shop.reject("whole", gzip(order(9, MARK).to_string().as_bytes()))
        .await;
    shop.reject("label", waiting.to_string()).await;
    shop.reject("other", broken(3, "other").to_string()).await;
    let address = format!("{MARK}@example.com");
    shop.list("untyped", None, &[&address, "97201"]).await;
    let update = shop
        .stack
        .clients
        .frauddetector
        .update_list()
        .name("untyped");
    for mode in [
        ListUpdateMode::Remove,
        ListUpdateMode::Append,
        ListUpdateMode::Remove,
    ] {
        let update = update.clone().update_mode(mode).elements(&address);
        update.send().await.unwrap();
    }
    let entry = engine::ListEntry {
        element: format!("device-{MARK}"),
        expires: None,
        reason: Some("a reason".into()),
        author: Some("somebody".into()),
    };
    shop.stack
        .engine
        .put_list_entries("untyped", &[entry])
        .await
        .unwrap();
    shop
}

#[tokio::test]
async fn nothing_on_the_disk_tells_of_who_was_forgotten() {
    let shop = full_shop().await;
    let (report, _) = shop
        .forget_or_not(SubjectQuery::entity(&mapping(), MARK).unwrap(), true)
        .await;
    let counts = |report: &ForgetReport| {
        (
            report.events,
            report.decisions,
            report.labels,
            report.list_entries,
            report.rejected_objects,
        )
    };
    assert_eq!(counts(&report), (3, 2, 2, 2, 3));
    assert!(
        !marked(shop.folder.path()).is_empty(),
        "a dry run deletes nothing"
    );
    let (report, traces) = shop.forget_person(MARK).await;
    assert_eq!(counts(&report), (3, 2, 2, 2, 3));
    assert!(report.held.is_empty());
    let (report, of_guest) = shop.forget_person(&format!("{MARK}@example.com")).await;
    assert_eq!(counts(&report), (1, 1, 0, 0, 0));
    assert!(shop.is_decided("FORGET-3").await);
    let (folder, lines) = shop.close(&traces).await;
    assert_eq!(lines, 2);
    let home = Home::open(folder.path()).unwrap();
    assert_eq!(rewrite_local_files(&home, &of_guest, false).unwrap(), 1);
    assert_eq!(marked(folder.path()), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn a_batch_goes_on_without_the_subjects_records() {
    let shop = Shop::new().await;
    shop.run("predict", &[order(1, MARK)]).await;
    let sqs = |n: u32, body: String| {
        json!({"messageId": format!("m-{n}"), "body": body, "eventSource": "aws:sqs",
               "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders"})
    };
    let kinesis = |n: u32, data: &[u8]| {
        json!({"eventSource": "aws:kinesis", "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/orders",
               "kinesis": {"sequenceNumber": n.to_string(), "partitionKey": "k", "data": BASE64.encode(data)}})
    };
    let context = json!({"functionArn": "arn:aws:lambda:us-east-1:1:function:predict", "condition": "RetriesExhausted"});
    let object = |records: &[Value], as_text: bool| {
        let payload = json!({ "Records": records });
        let payload = if as_text {
            json!(payload.to_string())
        } else {
            payload
        };
        json!({"requestContext": context, "payload": payload}).to_string()
    };
    let (his, other) = (order(1, MARK).to_string(), order(3, "other").to_string());
    let zipped = gzip(broken(2, MARK).to_string().as_bytes());
    let queued = [sqs(1, his.clone()), sqs(2, other.clone())];
    let streamed = [
        kinesis(1, &zipped),
        kinesis(2, other.as_bytes()),
        kinesis(3, b"{cut"),
    ];
    let cases = [
        (
            "queued",
            object(&queued, true),
            Some(object(&queued[1..], true)),
        ),
        (
            "streamed",
            object(&streamed, false),
            Some(object(&streamed[1..], false)),
        ),
        ("alone", object(&queued[..1], true), None),
        (
            "foreign",
            object(&queued[1..], true),
            Some(object(&queued[1..], true)),
        ),
        (
            "cut",
            format!("{{\"requestContext\":{{}},\"payload\":{his:?}"),
            None,
        ),
    ];
    for (name, body, _) in &cases {
        shop.put(&format!("aws/lambda/{name}"), body.as_bytes())
            .await;
    }
    let (report, _) = shop.forget_person(MARK).await;
    assert_eq!((report.rejected_objects, report.rewritten_objects), (1, 2));
    for (name, _, want) in &cases[..4] {
        let found = shop.object(&format!("aws/lambda/{name}")).await;
        let json = |text: &String| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(found.as_ref().map(json), want.as_ref().map(json), "{name}");
    }
    let named: Vec<_> = report
        .remains
        .iter()
        .filter(|line| line.contains("s3://"))
        .collect();
    assert_eq!(
        named,
        [
            "cannot be read: s3://fraudstream/aws/lambda/streamed, record 3: the payload is not JSON: key must be a string at line 1 column 2",
            "s3://fraudstream/aws/lambda/cut: it names the subject and is not a batch: the payload is not JSON: EOF while parsing an object at line 1 column 526",
        ]
    );
}

#[tokio::test]
async fn a_fraud_is_held_without_the_persons_values() {
    let shop = Shop::new().await;
    shop.run("predict", &[order(1, MARK), order(2, MARK)]).await;
    let today = now().to_string();
    let chargeback = json!({
        "order_id": "FORGET-1", "kind": "chargeback", "reason_code": "10.4", "label_timestamp": today,
    });
    assert_eq!(
        shop.run("label", std::slice::from_ref(&chargeback)).await,
        1
    );
    let address = format!("{MARK}@example.com");
    shop.list("bad_addresses", Some("EMAIL_ADDRESS"), &[&address])
        .await;
    shop.list("friends", Some("EMAIL_ADDRESS"), &[&address])
        .await;
    let rule = shop.stack.clients.frauddetector.create_rule();
    let rule = rule
        .rule_id("bad_address")
        .detector_id("orders")
        .outcomes("block");
    let rule =
        rule.expression("$email_address in @bad_addresses and $email_address not in @friends");
    let language = aws_sdk_frauddetector::types::Language::Detectorpl;
    rule.language(language).send().await.unwrap();

    for _ in 0..2 {
        let (report, _) = shop.forget_person(MARK).await;
        let held: Vec<_> = report
            .held
            .iter()
            .map(|held| (&*held.event_id, held.reason))
            .collect();
        let event_id = event::EventId::slug("FORGET-1");
        assert_eq!(held, [(event_id.as_str(), HoldReason::OpenDispute)]);
        assert_eq!(shop.elements("bad_addresses").await, [&*address]);
        assert!(shop.elements("friends").await.is_empty());
        let event_type = mapping().event_type().clone();
        let decisions = shop.pipeline().decisions();
        let decision = decisions
            .revisions(&event_type, &event_id)
            .await
            .unwrap()
            .remove(0);
        assert_eq!(decision.entity_id, hold::hash_value(MARK));
        assert_eq!(
            decision.variables.get("currency_code").map(String::as_str),
            Some("USD")
        );
        assert_eq!(decision.label.unwrap().kind, "chargeback");
        assert!(
            !serde_json::to_string(&decision.variables)
                .unwrap()
                .contains(MARK)
        );
        assert!(!shop.is_decided("FORGET-2").await);
    }
    let pipeline = shop.pipeline();
    let mapping = mapping();
    let finder = SubjectFinder {
        pipeline: &pipeline,
        engine: Some(&shop.stack.engine),
        mapping: &mapping,
    };
    let found = finder
        .find(SubjectQuery::entity(&mapping, MARK).unwrap(), now())
        .await
        .unwrap();
    assert_eq!(found.holds[0]["reason"], "its dispute is open");

    // Once the dispute is won, nothing holds.
    let later = Timestamp::from_epoch_seconds(now().epoch_seconds() + 3600)
        .unwrap()
        .to_string();
    let reversal = json!({"order_id": "FORGET-1", "kind": "reversal", "label_timestamp": later});
    assert_eq!(shop.run("label", &[reversal]).await, 1);
    let (report, _) = shop.forget_person(MARK).await;
    assert_eq!((report.held.len(), report.decisions), (0, 1));
    let found = finder
        .find(SubjectQuery::entity(&mapping, MARK).unwrap(), now())
        .await
        .unwrap();
    assert!(found.holds.is_empty());
    assert!(shop.elements("bad_addresses").await.is_empty());
}

#[tokio::test]
async fn a_person_sees_what_forgetting_would_delete() {
    let shop = full_shop().await;
    let pipeline = shop.pipeline();
    let mapping = mapping();
    let finder = SubjectFinder {
        pipeline: &pipeline,
        engine: Some(&shop.stack.engine),
        mapping: &mapping,
    };
    let kept = async |whom: SubjectQuery| {
        let found = finder.find(whom, now()).await.unwrap();
        let line = json!({"detail": {"entity_type": "customer", "entity_id": MARK}}).to_string();
        let outcomes = format!("{line}\n{{\"detail\":{{}}}}\n");
        let kept = crate::commands::subject::SubjectReport::new(&finder, found, &outcomes).await;
        kept.unwrap()
    };
    let of_person = kept(SubjectQuery::entity(&mapping, MARK).unwrap()).await;
    assert_eq!(
        (
            of_person.events.len(),
            of_person.decisions.len(),
            of_person.labels.len(),
            of_person.outcomes.len()
        ),
        // A label history for the order that is decided, and one for the order that is not.
        (3, 2, 2, 1)
    );
    assert_eq!(of_person.rejected.len(), 3);
    let address = format!("{MARK}@example.com");
    assert_eq!(of_person.decisions[0].variables["email_address"], address);
    assert_eq!(
        of_person.rejected["rejected/predict/orders/whole.json"][0]["customer"]["email"],
        address
    );
    assert_eq!(
        json!(of_person.list_entries),
        json!({"untyped": [
            {"element": format!("device-{MARK}"), "expires": null, "reason": "a reason", "author": "somebody"},
            {"element": address, "removed": true},
        ]})
    );
    let text = of_person.to_string();
    assert!(
        text.contains("email_address = sentinel-4711@example.com"),
        "{text}"
    );
    let of_order = kept(SubjectQuery::order(&mapping, "FORGET-2")).await;
    assert_eq!((of_order.events.len(), of_order.decisions.len()), (1, 1));
}

#[tokio::test]
async fn a_label_of_several_orders_makes_none_of_them_the_subjects() {
    let shop = Shop::new().await;
    let several = mapping_with(
        "labels:\n  event_id: /order_id",
        "labels:\n  event_id: '.order_ids[]'",
    );
    shop.run("predict", &[order(1, MARK), order(2, "other")])
        .await;
    for (id, orders) in [
        ("both", json!(["FORGET-1", "FORGET-2"])),
        ("his", json!(["FORGET-1"])),
        ("other", json!(["FORGET-2"])),
    ] {
        let label = json!({"order_ids": orders, "kind": "refund", "label_timestamp": "2026-06-29"});
        shop.reject(id, label.to_string()).await;
    }
    let whom = SubjectQuery::entity(&several, MARK).unwrap();
    let (report, _) = shop.forget_as(&several, whom, false, now()).await;
    assert_eq!((report.decisions, report.rejected_objects), (1, 1));
    assert_eq!(
        left_objects(&report),
        [
            "s3://fraudstream/rejected/predict/orders/both.json: it has orders or labels of others, too"
        ]
    );
    assert!(!shop.is_decided("FORGET-1").await);
    assert!(shop.is_decided("FORGET-2").await);
}

#[tokio::test]
async fn an_order_that_can_be_read_is_whose_it_says() {
    let shop = Shop::new().await;
    let device = json!(format!("device-{MARK}"));
    let hashed = "      - {hash: /customer/email, as: email} # a guest is known by the hash of the address\n";
    let by_id = mapping_with(hashed, "");
    let shared = |number: u32| {
        let order = with(order(number, "other"), "/client/device_id", device.clone());
        with(order, "/customer/phone", json!("+14155550187"))
    };
    let guest = |order: Value| with(order, "/customer/id", json!(""));
    let pipeline = shop.pipeline();
    let predict =
        PipelineFunction::Predict(Box::new(pipeline.predict(mapping_with(hashed, ""), None)));
    let orders = [
        order(1, MARK),
        shared(2),
        guest(shared(3)),
        guest(order(4, MARK)),
    ];
    for (number, order) in (1..).zip(&orders) {
        let id = number.to_string();
        let handled = predict
            .handle_batch(vec![record(&id, order.to_string())])
            .await;
        assert!(handled.results[0].1.is_ok(), "{order}");
        shop.reject(&id, order.to_string()).await;
    }
    let whom = SubjectQuery::entity(&by_id, MARK).unwrap();
    let (report, traces) = shop.forget_as(&by_id, whom, false, now()).await;
    assert_eq!(
        (report.rejected_objects, report.decisions, report.events),
        (2, 2, 2)
    );
    assert_eq!(traces.events.len(), 2);
    for (order_id, want) in [
        ("FORGET-1", false),
        ("FORGET-2", true),
        ("FORGET-3", true),
        // Nothing but the rejected record tells whose it is.
        ("FORGET-4", false),
    ] {
        assert_eq!(shop.is_decided(order_id).await, want, "{order_id}");
    }
}

#[tokio::test]
async fn who_shares_a_value_lifts_no_hold() {
    let shop = Shop::new().await;
    shop.run(
        "predict",
        &[order(1, MARK), order(2, "other"), order(3, "third")],
    )
    .await;
    shop.blocking_list("bad_ips", "IP_ADDRESS", "ip_address", &["203.0.113.7"])
        .await;
    let address = format!("{MARK}@example.com");
    shop.blocking_list("bad_emails", "EMAIL_ADDRESS", "email_address", &[&address])
        .await;
    shop.charge_back("FORGET-1").await;
    shop.charge_back("FORGET-3").await;
    assert_eq!(shop.forget_person(MARK).await.0.held.len(), 1);
    assert_eq!(shop.forget_person("third").await.0.held.len(), 1);

    // Another person in the same network, another order of the same person, and one who is not
    // held any more.
    let found = shop
        .find(SubjectQuery::entity(&mapping(), "other").unwrap())
        .await;
    assert!(found.holds.is_empty() && found.held_items.is_empty());
    let pipeline = shop.pipeline();
    let mapping = mapping();
    let finder = SubjectFinder {
        pipeline: &pipeline,
        engine: Some(&shop.stack.engine),
        mapping: &mapping,
    };
    let kept = crate::commands::subject::SubjectReport::new(&finder, found, "")
        .await
        .unwrap();
    assert!(!serde_json::to_string(&kept).unwrap().contains("sha256-"));
    shop.run("predict", &[order(4, MARK)]).await;
    let later = Timestamp::from_epoch_seconds(now().epoch_seconds() + 3600).unwrap();
    let reversal = json!({
        "order_id": "FORGET-3", "kind": "reversal", "label_timestamp": later.to_string(),
    });
    assert_eq!(shop.run("label", &[reversal]).await, 1);
    for whom in [
        SubjectQuery::entity(&mapping, "other").unwrap(),
        SubjectQuery::order(&mapping, "FORGET-4"),
        SubjectQuery::entity(&mapping, "third").unwrap(),
    ] {
        let (report, _) = shop.forget(whom).await;
        assert_eq!((report.held.len(), report.decisions), (0, 1));
        assert_eq!(shop.elements("bad_ips").await, ["203.0.113.7"]);
        assert_eq!(shop.elements("bad_emails").await, [&*address]);
    }
    let of_third = shop
        .find(SubjectQuery::entity(&mapping, "third").unwrap())
        .await;
    assert!(of_third.held_items.is_empty());
    let found = shop
        .find(SubjectQuery::entity(&mapping, MARK).unwrap())
        .await;
    assert_eq!(found.holds.len(), 1);
    assert_eq!(found.holds[0]["reason"], "its dispute is open");
}

#[tokio::test]
async fn an_entity_that_is_not_known_is_not_hashed() {
    let shop = Shop::new().await;
    let guest = with(order(1, MARK), "/customer/id", json!(""));
    let guest = with(guest, "/customer/email", json!(""));
    assert_eq!(shop.run("predict", &[guest]).await, 1);
    shop.charge_back("FORGET-1").await;
    for _ in 0..2 {
        let (report, traces) = shop
            .forget(SubjectQuery::order(&mapping(), "FORGET-1"))
            .await;
        assert_eq!(report.held.len(), 1);
        assert!(!traces.all_hashes().contains(&hold::hash_value("unknown")));
        let event_id = event::EventId::slug("FORGET-1");
        let decisions = shop.pipeline().decisions();
        let decisions = decisions.revisions(mapping().event_type(), &event_id).await;
        let decision = decisions.unwrap().remove(0);
        assert_eq!((&*decision.entity_id, decision.gsi1pk), ("unknown", None));
    }
}

/// A block entry of `overrides` blocks whatever its outcome is; an allow entry does not.
#[tokio::test]
async fn lists_of_block_entries_are_lists_that_block() {
    let address = format!("{MARK}@example.com");
    for (kind, removed) in [("block", 0), ("allow", 1)] {
        let shop = Shop::new().await;
        let known = if kind == "block" {
            "block: [blocked_customer, blocked_card, blocked_address]"
        } else {
            "allow: [allowed_customer]"
        };
        let mapping = mapping_with(known, &format!("{kind}: [seen_before]"));
        shop.run("predict", &[order(1, MARK)]).await;
        shop.list("seen_before", Some("EMAIL_ADDRESS"), &[&address])
            .await;
        shop.rule_on_list("seen_before", "email_address", "review")
            .await;
        shop.charge_back("FORGET-1").await;
        let whom = SubjectQuery::entity(&mapping, MARK).unwrap();
        let (report, _) = shop.forget_as(&mapping, whom, true, now()).await;
        assert_eq!(
            (report.held.len(), report.list_entries),
            (1, removed),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn what_was_held_is_found_after_the_hold() {
    let shop = Shop::new().await;
    shop.run("predict", &[order(1, MARK)]).await;
    let address = format!("{MARK}@example.com");
    shop.blocking_list("bad_emails", "EMAIL_ADDRESS", "email_address", &[&address])
        .await;
    shop.charge_back("FORGET-1").await;
    let (report, _) = shop.forget_person(MARK).await;
    let until: Timestamp = report.held[0].until.parse().unwrap();
    let owner = hold::hash_value(MARK);
    let item = shop
        .item(
            &hold::format_hold_key(&owner),
            &hold::format_hold_sort_key(&owner),
        )
        .await;
    let item = item.unwrap();
    assert_eq!(
        item[hold::UNTIL],
        AttributeValue::S(report.held[0].until.clone())
    );
    let expires_at = until.epoch_seconds() + hold::HASHES_KEPT_SECONDS;
    assert_eq!(
        item["expires_at"],
        AttributeValue::N(expires_at.to_string())
    );
    // The decision and its labels have expired, too.
    let found = shop
        .find(SubjectQuery::entity(&mapping(), MARK).unwrap())
        .await;
    let decisions = found.decisions.iter().map(|d| (&*d.pk, &*d.sk));
    let labels = found.labels.iter().map(|l| (&*l.pk, subject::LABELS));
    for (pk, sk) in decisions.chain(labels) {
        let delete = shop.stack.clients.dynamodb.delete_item();
        let delete = delete
            .table_name(shop.pipeline().decisions_table)
            .key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()));
        delete.send().await.unwrap();
    }
    let whom = SubjectQuery::entity(&mapping(), MARK).unwrap();
    let later = Timestamp::from_epoch_seconds(until.epoch_seconds() + 86_400).unwrap();
    let (report, _) = shop.forget_as(&mapping(), whom, false, later).await;
    assert_eq!((report.held.len(), report.list_entries), (0, 1));
    assert!(shop.elements("bad_emails").await.is_empty());
    assert_eq!(
        shop.item(
            &hold::format_hold_key(&owner),
            &hold::format_hold_sort_key(&owner)
        )
        .await,
        None
    );
}

#[tokio::test]
async fn labels_of_a_held_order_go_on_without_their_messages() {
    let shop = Shop::new().await;
    shop.run("predict", &[order(1, MARK)]).await;
    shop.charge_back("FORGET-1").await;
    let event_id = event::EventId::slug("FORGET-1");
    let key = shared::decisions::ItemKey::labels(mapping().event_type(), &event_id);
    let update = shop.stack.clients.dynamodb.update_item();
    let update = update
        .table_name(shop.pipeline().decisions_table)
        .key("pk", AttributeValue::S(key.pk().to_owned()))
        .key("sk", AttributeValue::S(subject::LABELS.to_owned()))
        .update_expression("SET record_a = :message, record_b = :message")
        .expression_attribute_values(":message", AttributeValue::S(MARK.to_owned()));
    update.send().await.unwrap();
    let whom = || SubjectQuery::entity(&mapping(), MARK).unwrap();
    let pipeline = shop.pipeline();
    let mapping = mapping();
    let finder = SubjectFinder {
        pipeline: &pipeline,
        engine: Some(&shop.stack.engine),
        mapping: &mapping,
    };
    let found = shop.find(whom()).await;
    let kept = crate::commands::subject::SubjectReport::new(&finder, found, "")
        .await
        .unwrap();
    let records = &kept.labels[0].records;
    assert!(records.iter().any(|name| name == "record_b"), "{records:?}");
    assert!(kept.to_string().contains("  message kept: record_b\n"));
    assert_eq!(shop.forget(whom()).await.0.held.len(), 1);
    let item = shop.item(key.pk(), subject::LABELS).await.unwrap();
    let names: Vec<_> = item.keys().collect();
    assert!(names.iter().any(|name| name.starts_with("label_")));
    assert!(
        !names.iter().any(|name| name.starts_with("record_")),
        "{names:?}"
    );
}

#[tokio::test]
async fn without_the_engine_the_decisions_go_last() {
    let shop = Shop::new().await;
    shop.run("predict", &[order(1, MARK), order(2, MARK)]).await;
    let faults = local_aws::fault::Faults::new();
    let mut pipeline = shop.pipeline();
    let service = shop.stack.services().frauddetector;
    pipeline.clients.frauddetector =
        local_aws::clients::connect_frauddetector(faults.wrap(service.http_client()));
    let mapping = mapping();
    let forget = Forget {
        finder: SubjectFinder {
            pipeline: &pipeline,
            engine: None,
            mapping: &mapping,
        },
        is_remote: true,
        dry_run: false,
        now: now(),
    };
    let whom = SubjectQuery::entity(&mapping, MARK).unwrap();
    faults.inject("DeleteEvent", local_aws::fault::Fault::Pass, 1);
    faults.inject("DeleteEvent", local_aws::fault::Fault::Internal, 1);
    assert!(forget.forget_subject(whom.clone()).await.is_err());
    assert!(shop.is_decided("FORGET-1").await && shop.is_decided("FORGET-2").await);
    faults.clear();
    let (report, _) = forget.forget_subject(whom.clone()).await.unwrap();
    assert_eq!((report.decisions, report.events), (2, 2));
    let found = shop.find(whom).await;
    assert!(found.events.is_empty() && found.decisions.is_empty());
}

#[tokio::test]
async fn a_batch_is_replayed_without_what_was_forgotten() {
    let shop = Shop::new().await;
    shop.run("predict", &[order(1, MARK)]).await;
    shop.forget_person(MARK).await;
    let sqs = |n: u32, order: &Value| {
        json!({"messageId": format!("m-{n}"), "body": order.to_string(), "eventSource": "aws:sqs",
               "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders"})
    };
    let context = json!({"functionArn": "arn:aws:lambda:us-east-1:1:function:predict", "condition": "RetriesExhausted"});
    let (his, other) = (sqs(1, &order(1, MARK)), sqs(2, &order(2, "other")));
    for (name, records) in [("a-both", json!([his, other])), ("b-his", json!([his]))] {
        let object = json!({"requestContext": context, "payload": {"Records": records}});
        let key = format!("aws/lambda/{name}");
        shop.put(&key, object.to_string().as_bytes()).await;
    }
    let replayed = shop.replay("aws/lambda/").await;
    let now: Vec<_> = replayed.iter().map(|one| &*one.now).collect();
    assert_eq!(
        now,
        [
            "replayed; left out, because it was forgotten: 1",
            "not replayed: it is about something that was forgotten",
        ]
    );
    assert!(shop.is_decided("FORGET-2").await);
    assert!(!shop.is_decided("FORGET-1").await);
}

#[tokio::test]
async fn a_dry_run_writes_no_file() {
    let shop = Shop::new().await;
    shop.run("predict", &[order(1, MARK), order(2, "other")])
        .await;
    let whom = SubjectQuery::entity(&mapping(), MARK).unwrap();
    let (_, traces) = shop.forget_or_not(whom, true).await;
    shop.stack.close().await.unwrap();
    let home = Home::open(shop.folder.path()).unwrap();
    // Somebody else is at work, which a dry run does not disturb.
    std::fs::write(home.at_work_file(), "somebody").unwrap();
    let files = || {
        let entries = std::fs::read_dir(shop.folder.path()).unwrap();
        let entries = entries.map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            (entry.path(), metadata.len(), metadata.modified().unwrap())
        });
        let mut files: Vec<_> = entries.collect();
        files.sort();
        files
    };
    let before = files();
    // A file of this name could not be made.
    std::fs::create_dir(home.outcomes_file().with_extension("new")).unwrap();
    assert_eq!(rewrite_local_files(&home, &traces, true).unwrap(), 1);
    std::fs::remove_dir(home.outcomes_file().with_extension("new")).unwrap();
    assert_eq!(files(), before);
}

/// What others did with the same address stays counted, and what the subject did does not.
#[tokio::test]
async fn a_forgotten_order_leaves_the_profiles_of_its_keys() {
    let shop = Shop::new().await;
    let predict = shop.pipeline().predict(mapping(), None);
    let mapping = mapping();
    let context = shared::batch::InvocationContext {
        now: now(),
        deadline: None,
    };
    for (number, person) in [(1, MARK), (2, "somebody")] {
        predict
            .handle(order(number, person), context)
            .await
            .unwrap();
    }
    let count = async |number: u32| {
        let time = json!(format!("2026-06-01T10:{number}:30Z"));
        let next = with(order(number, "else"), "/created_at", time);
        let mut next = [mapping.map_order(&next)];
        let counted = next.iter_mut().map(CountedOrder::new).collect();
        let profiles = shop.pipeline().profiles();
        profiles.count(&mapping, counted, now(), None).await;
        let [next] = next.map(Result::unwrap);
        let count = next.variables.get("ip_orders_1h").unwrap().expose();
        count.parse::<u32>().unwrap()
    };
    let before = count(20).await;
    let person = SubjectQuery::entity(&mapping, MARK).unwrap();
    shop.forget_as(&mapping, person, false, now()).await;
    // Each question counts itself for the next one.
    assert_eq!((before, count(21).await), (2, 2));
    // A late copy of the order is not counted again.
    let mut late = [mapping.map_order(&order(1, MARK))];
    let counted = late.iter_mut().map(CountedOrder::new).collect();
    let profiles = shop.pipeline().profiles();
    profiles.count(&mapping, counted, now(), None).await;
    assert_eq!(count(22).await, 3);
}
