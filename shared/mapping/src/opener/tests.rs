use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// What is in a payload: each order, or why it cannot be read.
fn open(payload: impl AsRef<[u8]>) -> Vec<String> {
    let mut all = Vec::new();
    open_payload(payload.as_ref(), &mut |opened| {
        all.push(match opened.value {
            Ok(value) => value.to_string(),
            Err(Failure::Rejected(it)) => format!("{}: {}", it.class, it.reason),
            Err(failure) => failure.to_string(),
        });
        ControlFlow::Continue(())
    });
    all
}

#[track_caller]
fn check(payload: impl AsRef<[u8]>, want: &str) {
    let payload = payload.as_ref();
    let shown = String::from_utf8_lossy(&payload[..payload.len().min(300)]).into_owned();
    assert_eq!(open(payload).join("\n"), want, "{shown}");
}

fn sns(message: &str) -> String {
    json!({"Type":"Notification","TopicArn":"t","Message":message}).to_string()
}

fn event(detail: &str) -> String {
    format!(r#"{{"version":"0","detail-type":"Order","source":"shop","detail":{detail}}}"#)
}

fn sqs(body: &str) -> String {
    json!({"messageId":"m","body":body,"eventSource":"aws:sqs"}).to_string()
}

const ORDER: &str = r#"{"a":"??>>~~"}"#;

#[test]
fn single_layers() {
    check(ORDER, ORDER);
    check(gzip(ORDER), ORDER);
    check(format!("\u{feff}{ORDER}"), ORDER);
    check(format!("\n {ORDER}\n"), ORDER);
    check(sns(ORDER), ORDER);
    check(event(ORDER), ORDER);
    check(sqs(ORDER), ORDER);
    check(json!(ORDER).to_string(), ORDER);
    check(format!("[{ORDER}]"), ORDER);
    let data = STANDARD.encode(ORDER);
    let kinesis = json!({"sequenceNumber":"7","data":data});
    check(
        json!({"eventSource":"aws:kinesis","kinesis":kinesis}).to_string(),
        ORDER,
    );
    check(
        json!({"eventSource":"aws:kinesis","sequenceNumber":"7","data":data}).to_string(),
        ORDER,
    );
}

#[test]
fn base64_in_every_spelling() {
    for bytes in [
        ORDER.as_bytes().to_vec(),
        gzip(ORDER),
        format!("\u{feff}[{ORDER}]").into(),
    ] {
        for text in [
            STANDARD.encode(&bytes),
            STANDARD_NO_PAD.encode(&bytes),
            URL_SAFE.encode(&bytes),
            URL_SAFE_NO_PAD.encode(&bytes),
        ] {
            check(&text, ORDER);
            check(format!("{text}\n"), ORDER);
            check(format!("\u{feff}{text}"), ORDER);
            check(json!(text).to_string(), ORDER);
            check(STANDARD.encode(&text), ORDER);
            let lines: Vec<_> = text
                .as_bytes()
                .chunks(7)
                .map(String::from_utf8_lossy)
                .collect();
            check(lines.join("\n"), ORDER);
            check(lines.join("\r\n"), ORDER);
        }
    }
}

#[test]
fn layers_in_any_order() {
    let packed = |text: &str| STANDARD.encode(gzip(text));
    check(sns(&event(ORDER)), ORDER);
    check(event(&sns(ORDER)), ORDER);
    check(sns(&packed(ORDER)), ORDER);
    check(packed(&sns(&event(ORDER))), ORDER);
    check(sns(&packed(&event(ORDER))), ORDER);
    check(sqs(&sns(&URL_SAFE_NO_PAD.encode(event(ORDER)))), ORDER);
    check(gzip(gzip(gzip(ORDER))), ORDER);
    check(
        gzip(format!("\u{feff}{}", sns(&format!("\u{feff}{ORDER}")))),
        ORDER,
    );
}

#[test]
fn several_orders() {
    let two = "{\"a\":1}\n{\"a\":2}";
    check("[{\"a\":1},{\"a\":2}]", two);
    check("{\"a\":1}\n{\"a\":2}\n", two);
    check("\u{feff}{\"a\":1}{\"a\":2}", two);
    check("[[{\"a\":1}],[{\"a\":2}]]", two);
    check(sns("[{\"a\":1},{\"a\":2}]"), two);
    check(STANDARD.encode(gzip("{\"a\":1}\n{\"a\":2}")), two);
    check(
        format!("[{},{}]", event("{\"a\":1}"), sns("{\"a\":2}")),
        two,
    );
    check(
        format!("{}\n{}", event("{\"a\":1}"), event("{\"a\":2}")),
        two,
    );
    check(
        json!([STANDARD.encode("{\"a\":1}"), "{\"a\":2}"]).to_string(),
        two,
    );
    check(
        json!([STANDARD.encode(gzip("{\"a\":1}")), "{\"a\":2}"]).to_string(),
        two,
    );
}

#[test]
fn an_order_with_members_of_an_envelope_is_an_order() {
    for order in [
        r#"{"Type":"Notification","Message":"{}"}"#,
        r#"{"Type":"Order","TopicArn":"t","Message":"{}"}"#,
        r#"{"Type":"Notification","TopicArn":"t","Message":{"a":1}}"#,
        r#"{"source":"web","detail":{"a":1}}"#,
        r#"{"detail-type":"x","source":"web","detail":"text"}"#,
        r#"{"order_id":"1","detail-type":"gift","source":"web","detail":{"a":1}}"#,
        r#"{"eventSource":"web","messageId":"m","body":"{}"}"#,
        r#"{"eventSource":"aws:sqs","body":"{}"}"#,
        r#"{"eventSource":"aws:kinesis","data":"e30="}"#,
        r#"{"body":"H4sI","data":"e30=","orders":[{"a":1}]}"#,
    ] {
        check(order, order);
    }
    // A member that is new does not make an event another thing.
    let all = r#"{"version":"0","id":"1","detail-type":"x","source":"s","account":"1","time":"t","region":"r","resources":[],"detail":{"a":1},"new":1}"#;
    check(all, r#"{"a":1}"#);
}

#[test]
fn bad_payloads() {
    check(
        "",
        "empty: the payload is empty; it should be one JSON object",
    );
    check(
        "\u{feff} \n",
        "empty: the payload is empty; it should be one JSON object",
    );
    check(
        "[1]",
        "not-an-object: in element 1 of the list: the payload is JSON and not an object",
    );
    check("17", "not-an-object: the payload is JSON and not an object");
    check(
        "hello",
        "not-json: the payload is not JSON: expected value at line 1 column 1",
    );
    check(
        "{\"a\":",
        "not-json: the payload is not JSON: EOF while parsing a value at line 1 column 5",
    );
    check(
        "{\"a\":1} and more",
        "not-json: the payload is not JSON: trailing characters at line 1 column 9",
    );
    check(
        [0x1f, 0x8b, 1, 2],
        "bad-gzip: the payload begins like gzip and cannot be decompressed",
    );
    check(
        "H4sI!",
        "bad-gzip: the payload begins like gzip in base64 and is no base64",
    );
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    check(
        deep,
        "too-deep: the payload is JSON nested more than 127 deep; at most 127 levels are read",
    );
}

#[test]
fn a_reason_names_the_layer() {
    check(
        sns("hello"),
        "not-json: in the SNS message: the payload is not JSON: expected value at line 1 column 1",
    );
    check(
        sns(""),
        "empty: in the SNS message: the payload is empty; it should be one JSON object",
    );
    let cut = gzip(ORDER);
    let cut = STANDARD.encode(&cut[..cut.len() - 9]);
    check(
        sns(&cut),
        "bad-gzip: in the SNS message, in the base64: the payload begins like gzip and cannot be decompressed",
    );
    check(
        sns(&STANDARD.encode(gzip("{\"a\":"))),
        "not-json: in the SNS message, in the base64, in the gzip: the payload is not JSON: EOF while parsing a value at line 1 column 5",
    );
    check(
        event(&sns("x,y")),
        "not-json: in the detail of the EventBridge event, in the SNS message: the payload is not JSON: expected value at line 1 column 1",
    );
    check(
        sqs(&json!("null").to_string()),
        "not-an-object: in the SQS message, in the JSON text: the payload is JSON and not an object",
    );
    check(
        r#"{"eventSource":"aws:kinesis","sequenceNumber":"7","data":"?"}"#,
        "bad-base64: the data of the Kinesis record is not base64",
    );
    check(
        "[]",
        "empty: the payload is a list without an element; it should have at least one order",
    );
    // One bad element costs only itself.
    check(
        "[{\"a\":1},\"?\",[]]",
        "{\"a\":1}\nnot-json: in element 2 of the list, in the JSON text: the payload is not JSON: expected value at line 1 column 1\nempty: in element 3 of the list: the payload is a list without an element; it should have at least one order",
    );
    check(
        "{\"a\":1}\n{\"a\":\n{\"a\":3}",
        "{\"a\":1}\nnot-json: in JSON value 2: the payload is not JSON: EOF while parsing a value at line 1 column 5\n{\"a\":3}",
    );
}

#[test]
fn the_number_of_layers_is_limited() {
    let wrap = |times| (0..times).fold(ORDER.to_owned(), |text, _| sns(&text));
    check(wrap(5), ORDER);
    let layers = ["in the SNS message"; 5].join(", ");
    check(
        wrap(6),
        &format!(
            "too-many-layers: {layers}: the payload has more than 5 layers, such as envelopes, gzip or lists; at most 5 are opened"
        ),
    );
    let lists = format!("{}{ORDER}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(open(lists)[0].starts_with("too-many-layers: in element 1 of the list, in"));
}

#[test]
fn a_bomb_is_refused() {
    let bomb = gzip(" ".repeat(MAX_PAYLOAD_BYTES + 10));
    check(
        &bomb,
        "too-large: the payload is over 16777216 bytes decompressed",
    );
    let bomb = gzip(" ".repeat(MAX_PAYLOAD_BYTES - 10));
    check(
        &bomb,
        "empty: in the gzip: the payload is empty; it should be one JSON object",
    );
    // All gzip of a record counts.
    let half = STANDARD.encode(gzip(" ".repeat(MAX_PAYLOAD_BYTES / 3 * 2)));
    check(
        json!([half, half, half]).to_string(),
        "empty: in element 1 of the list, in the JSON text, in the base64, in the gzip: the payload is empty; it should be one JSON object\n\
         too-large: in element 2 of the list, in the JSON text, in the base64: the payload is over 16777216 bytes decompressed\n\
         too-large: in element 3 of the list, in the JSON text, in the base64: the payload is over 16777216 bytes decompressed",
    );
}

#[test]
fn the_number_of_orders_is_limited() {
    let list = |count: usize| format!("[{}{{}}]", "{},".repeat(count - 1));
    assert_eq!(open(list(MAX_ORDERS)).len(), MAX_ORDERS);
    let many = "too-large: the payload holds more than 10000 orders; at most 10000 are read";
    check(list(MAX_ORDERS + 1), many);
    check("{}".repeat(MAX_ORDERS + 1), many);
    let halves = format!("[{0},{0}]", list(MAX_ORDERS / 2 + 1));
    assert_eq!(open(halves).len(), MAX_ORDERS / 2 + 2);
}

#[test]
fn broken_text_does_not_cost_the_record() {
    check(
        b"{\"a\":1,\"note\":\"M\xfcller\"}",
        "{\"a\":1,\"note\":\"M\u{FDD0}ller\"}",
    );
    check(
        br#"{"a":1,"note":"\ud83d"}"#,
        "{\"a\":1,\"note\":\"\u{FDD0}\"}",
    );
    check(
        b"[{\"note\":\"M\xfcller\"}]",
        "{\"note\":\"M\u{FDD0}ller\"}",
    );
    check(sns(r#"{"note":"\ud83d"}"#), "{\"note\":\"\u{FDD0}\"}");
}

#[test]
fn numbers_beyond_64_bits_keep_their_digits_in_every_layer() {
    let order = r#"{"a":4200000123202401011234567890}"#;
    let want = r#"{"a":"4200000123202401011234567890"}"#;
    check(order, want);
    check(format!("[{order}]"), want);
    check(format!("{order}\n{order}"), &format!("{want}\n{want}"));
    check(event(order), want);
    check(sns(order), want);
}

#[test]
fn many_values_in_few_bytes_are_refused() {
    let many = "the payload holds more than 100000 JSON values; at most 100000 are read";
    check(
        gzip(format!(
            "{{\"a\":[{}0]}}",
            "[0],".repeat(4 * 1024 * 1024 - 10)
        )),
        &format!("too-large: in the gzip: {many}"),
    );
    check(
        sns(&format!("{{\"a\":[{}0]}}", "0,".repeat(200_000))),
        &format!("too-large: in the SNS message: {many}"),
    );
    // The limit is that of one order.
    let order = format!("{{\"a\":[{}0]}}", "0,".repeat(60_000));
    assert_eq!(open(format!("[{order},{order}]")).len(), 2);
    assert_eq!(open(format!("{order}\n{order}"))[1], order);
}

fn wrapped(text: Vec<u8>, layer: u8) -> Vec<u8> {
    let as_text = || String::from_utf8_lossy(&text).into_owned();
    match layer {
        0 => gzip(text),
        1 => STANDARD.encode(&text).into_bytes(),
        2 => URL_SAFE_NO_PAD.encode(&text).into_bytes(),
        3 => sns(&as_text()).into_bytes(),
        4 if text.starts_with(b"{") => event(&as_text()).into_bytes(),
        5 if text.starts_with(b"{") => format!("[{}]", as_text()).into_bytes(),
        6 => sqs(&as_text()).into_bytes(),
        7 => [b"\xEF\xBB\xBF", &text[..]].concat(),
        _ => json!(as_text()).to_string().into_bytes(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Layers of text around an order, in any order, come off again.
    #[test]
    fn what_was_wrapped_is_opened(layers in prop::collection::vec(0_u8..9, 0..5)) {
        let mut payload = ORDER.as_bytes().to_vec();
        for layer in layers {
            // Only base64 makes text of bytes.
            let is_binary = payload.starts_with(&GZIP_MAGIC);
            let layer = if is_binary && layer != 0 { 1 } else { layer };
            payload = wrapped(payload, layer);
        }
        prop_assert_eq!(open(&payload), vec![ORDER.to_owned()]);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(!open(bytes).is_empty());
    }
}
