//! Messages of a queue that failed are hidden for longer, by a call that AWS would accept.

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use local_aws::service::{Service, operation_name};
use local_aws::signature::SigningKeys;
use predict::PredictFunction;
use serde_json::{Value, json};
use shared::batch::InvocationContext;
use shared::settings::Settings;
use wiring::Wiring;

use crate::world::order;

const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:orders";
const KEYS: &str = "[default]\naws_access_key_id = AKID\naws_secret_access_key = secret\naws_session_token = token\n";

fn keys() -> SigningKeys {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    std::fs::write(&file, KEYS).unwrap();
    SigningKeys::read(&file).unwrap()
}

/// SQS, which keeps what it is asked for, and S3, which takes all objects. All else is throttled.
fn cloud(asked: &Arc<Mutex<Vec<Value>>>, sqs_works: bool) -> Service {
    let (asked, keys) = (Arc::clone(asked), Arc::new(keys()));
    Service::new(move |request: Request<Bytes>| {
        let operation = operation_name(&request).to_owned();
        let (mut head, body) = request.into_parts();
        let refused = || {
            let mut refused = Response::new(Bytes::from_static(
                br#"{"__type":"com.amazonaws#ThrottlingException","message":"Rate exceeded"}"#,
            ));
            *refused.status_mut() = StatusCode::BAD_REQUEST;
            refused
        };
        let answer = match operation.as_str() {
            "ChangeMessageVisibilityBatch" => {
                let host = head.uri.host().unwrap_or_default().to_owned();
                head.headers
                    .insert("host", HeaderValue::from_str(&host).unwrap());
                let claim = keys.claim(&head, "sqs", jiff::Timestamp::now());
                claim.unwrap().verify(&head, &body).unwrap();
                let mut input: Value = serde_json::from_slice(&body).unwrap();
                input["host"] = json!(host);
                asked.lock().unwrap().push(input);
                if sqs_works {
                    Response::new(Bytes::from_static(br#"{"Successful":[],"Failed":[]}"#))
                } else {
                    refused()
                }
            }
            "" => Response::new(Bytes::new()),
            _ => refused(),
        };
        async { answer }
    })
}

async fn wire_predict(cloud: &Service) -> (Wiring, PredictFunction) {
    let credentials = Credentials::new("AKID", "secret", Some("token".to_owned()), None, "test");
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .http_client(cloud.http_client())
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    let config = shared::aws::set_timeouts(loader).load().await;
    let settings = Settings::read(|name| match name {
        "BUCKET" => Some("bucket".to_owned()),
        "FRAUD_DETECTOR" => Some("aws".to_owned()),
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        _ => None,
    });
    let wiring = Wiring::with_config(settings.unwrap(), config, Arc::new(jiff::Timestamp::now));
    let mapping = wiring.mapping().unwrap();
    let predict = PredictFunction {
        detector_version: None,
        fraud_detector: wiring.fraud_detector.clone(),
        held_predictions: wiring.held_predictions(),
        decisions: wiring.decisions(),
        profiles: wiring.profiles(),
        labels: wiring.labels(&mapping),
        batcher: wiring.batcher(predict::FUNCTION),
        rejected: wiring.rejected(),
        mapping,
    };
    (wiring, predict)
}

fn message(id: &str, receives: u32, body: &str) -> Value {
    json!({
        "eventSource": "aws:sqs", "eventSourceARN": QUEUE, "messageId": id, "receiptHandle": format!("handle-{id}"),
        "body": body, "attributes": {"ApproximateReceiveCount": receives.to_string()},
    })
}

/// Runs a batch while everything that it depends on is throttled. Returns what failed, and what SQS was asked for.
async fn run_batch(sqs_works: bool, messages: &[Value]) -> (String, Vec<Value>) {
    let asked = Arc::default();
    let cloud = cloud(&asked, sqs_works);
    let (wiring, predict) = wire_predict(&cloud).await;
    let event = json!({ "Records": messages }).to_string();
    let now = jiff::Timestamp::now();
    let deadline = u64::try_from(now.as_millisecond()).unwrap() + 60_000;
    let context = InvocationContext::new(now, deadline);
    let handle = async |event, context| predict.handle(event, context).await;
    let answer = Box::pin(wiring.handle_invocation(&event, context, &handle)).await;
    let failed = match answer {
        Ok(answer) => serde_json::to_string(&answer).unwrap(),
        Err(error) => error.to_string(),
    };
    let asked = asked.lock().unwrap().clone();
    (failed, asked)
}

#[tokio::test]
async fn a_message_that_failed_is_hidden_for_longer_and_a_rejected_one_is_not() {
    let good = |id: &str| order(id, "10").to_string();
    let messages = [
        message("m-1", 1, &good("o-1")),
        message("m-2", 1, "not json"),
        message("m-3", 9, &good("o-3")),
    ];
    let (failed, asked) = run_batch(true, &messages).await;
    assert_eq!(
        failed,
        r#"{"batchItemFailures":[{"itemIdentifier":"m-1"},{"itemIdentifier":"m-3"}]}"#
    );
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["host"], "sqs.eu-west-1.amazonaws.com");
    assert_eq!(
        asked[0]["QueueUrl"],
        "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
    );
    let entry = |place: usize| {
        let entry = &asked[0]["Entries"][place];
        let delay = entry["VisibilityTimeout"].as_u64().unwrap();
        (entry["ReceiptHandle"].as_str().unwrap(), delay)
    };
    let (first, third) = (entry(0), entry(1));
    assert_eq!((first.0, third.0), ("handle-m-1", "handle-m-3"));
    assert!((15..=30).contains(&first.1), "{first:?}");
    assert!((360..=720).contains(&third.1), "{third:?}");
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_hidden_and_a_queue_that_refuses_changes_no_answer() {
    let messages = [message("m-1", 1, &order("o-1", "10").to_string())];
    for sqs_works in [true, false] {
        let (failed, asked) = run_batch(sqs_works, &messages).await;
        assert!(failed.starts_with("all 1 records failed"), "{failed}");
        assert_eq!(asked.len(), 1, "one attempt, whatever comes of it");
    }
    let (failed, asked) = run_batch(true, &[message("m-1", 1, "not json")]).await;
    assert_eq!(failed, r#"{"batchItemFailures":[]}"#);
    assert_eq!(asked, Vec::<Value>::new());
}
