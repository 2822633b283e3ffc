//! Decisions posted to a receiver that fails in every way, and comes back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use local_aws::service::{Service, operation_name};
use serde_json::{Value, json};
use shared::batch::InvocationContext;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use webhook::{SecretStore, SigningSecrets, WebhookFunction, WebhookSender};

use crate::world::now;

/// Two secrets, as while one replaces the other.
const SECRETS: &str =
    "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\nwhsec_AgICAgICAgICAgICAgICAgICAgICAgIC";

/// What the receiver does with a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Behaviour {
    Take,
    Answer(u16),
    /// It takes the message, and its answer does not come.
    TakeAndHang,
    CloseAtOnce,
    /// It takes the message, and answers with more than anybody wants to read.
    TakeAndTalk,
}

use Behaviour::{Answer, CloseAtOnce, Take, TakeAndHang, TakeAndTalk};

/// A message as it arrived: the headers of its signature, and the body.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    id: String,
    timestamp: i64,
    signature: String,
    body: String,
}

#[derive(Default)]
struct Receiver {
    behaviours: Mutex<VecDeque<Behaviour>>,
    seen: Mutex<Vec<Received>>,
    taken: Mutex<Vec<String>>,
}

impl Receiver {
    /// A receiver, and its address.
    async fn start() -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let receiver = Arc::new(Self::default());
        let accepting = Arc::clone(&receiver);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let receiver = Arc::clone(&accepting);
                tokio::spawn(async move { receiver.answer(stream).await });
            }
        });
        (receiver, url)
    }

    fn plan(&self, behaviours: &[Behaviour]) {
        self.behaviours.lock().unwrap().extend(behaviours);
    }

    async fn answer(&self, mut stream: TcpStream) {
        let Some(received) = read_message(&mut stream).await else {
            return;
        };
        let id = received.id.clone();
        self.seen.lock().unwrap().push(received);
        let behaviour = self.behaviours.lock().unwrap().pop_front();
        let behaviour = behaviour.unwrap_or(Take);
        if matches!(behaviour, Take | TakeAndHang | TakeAndTalk) {
            self.taken.lock().unwrap().push(id);
        }
        let answer = match behaviour {
            Take => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            Answer(status) => format!(
                "HTTP/1.1 {status} Whatever\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
            ),
            TakeAndHang => return std::future::pending().await,
            CloseAtOnce => return,
            TakeAndTalk => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        };
        drop(stream.write_all(answer.as_bytes()).await);
        while behaviour == TakeAndTalk && stream.write_all(b"1\r\nx\r\n").await.is_ok() {}
        drop(stream.shutdown().await);
    }
}

async fn read_message(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.ok()?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                let (_, value) = lines.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
                Some(value.to_owned())
            };
            if body.len() >= header("content-length")?.parse::<usize>().ok()? {
                assert!(head.starts_with("POST /hooks HTTP/1.1"), "{head}");
                assert_eq!(header("content-type").as_deref(), Some("application/json"));
                return Some(Received {
                    id: header("webhook-id")?,
                    timestamp: header("webhook-timestamp")?.parse().ok()?,
                    signature: header("webhook-signature")?,
                    body: body.to_owned(),
                });
            }
        }
        if count == 0 {
            return None;
        }
    }
}

/// A configuration with a Secrets Manager that has these secrets.
fn config(secrets: Option<&'static str>) -> SdkConfig {
    let service = Service::new(move |request: Request<Bytes>| {
        assert_eq!(operation_name(&request), "GetSecretValue");
        let mut answer = Response::new(Bytes::from_static(
            br#"{"__type":"ResourceNotFoundException"}"#,
        ));
        if let Some(secrets) = secrets {
            *answer.body_mut() = json!({ "SecretString": secrets }).to_string().into();
        } else {
            *answer.status_mut() = StatusCode::BAD_REQUEST;
        }
        async { answer }
    });
    let credentials = Credentials::new("AKID", "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(service.http_client())
        .build()
}

fn function(url: &str, secrets: Option<&'static str>) -> WebhookFunction {
    let sender = WebhookSender::new(url.parse().unwrap(), Duration::from_millis(500));
    WebhookFunction::new(sender, SecretStore::new(&config(secrets), "webhooks"))
}

/// What the queue delivers: events of the bus with decisions, by the ids of the messages.
fn queue(messages: &BTreeMap<String, Value>) -> Value {
    let records = messages.iter().map(|(id, event)| {
        json!({"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:1:webhooks", "messageId": id,
            "receiptHandle": "r", "body": event.to_string(), "attributes": {"ApproximateReceiveCount": "1"}})
    });
    json!({"Records": records.collect::<Vec<_>>()})
}

fn decisions(count: usize) -> BTreeMap<String, Value> {
    let event = |number: usize| {
        json!({"version": "0", "id": "e", "detail-type": "Fraud Decision", "source": "fraudstream", "time": "2026-06-01T10:15:31Z",
            "detail": {"decision_id": format!("order#ord-{number}#1"), "order_id": format!("ORD-{number}"),
                "decided_at": "2026-06-01T10:15:31.204Z", "effective_outcome": "approve"}})
    };
    (0..count)
        .map(|number| (format!("m-{number}"), event(number)))
        .collect()
}

/// Delivers what has failed again, as the queue does, until nothing has. Returns how often it did.
async fn deliver(webhook: &WebhookFunction, mut messages: BTreeMap<String, Value>) -> usize {
    let mut rounds = 0;
    while !messages.is_empty() {
        rounds += 1;
        assert!(rounds <= 20, "never delivered: {messages:?}");
        let handled = webhook.send_batch(&queue(&messages), now()).await;
        for (position, result) in handled.results {
            if result.is_ok() {
                messages.remove(&position.id);
            }
        }
    }
    rounds
}

#[tokio::test]
async fn nothing_is_lost_and_each_message_keeps_its_id() {
    let (receiver, url) = Receiver::start().await;
    let webhook = function(&url, Some(SECRETS));
    let plan = [
        Answer(500),
        TakeAndHang,
        CloseAtOnce,
        Answer(302),
        Answer(410),
        Answer(429),
        Take,
        TakeAndTalk,
        Answer(401),
        Answer(404),
    ];
    receiver.plan(&plan);
    let rounds = deliver(&webhook, decisions(10)).await;
    assert!(rounds > 1);
    let secrets = SigningSecrets::parse(SECRETS).unwrap();
    let mut bodies: BTreeMap<String, String> = BTreeMap::new();
    for one in receiver.seen.lock().unwrap().iter() {
        assert_eq!(
            one.signature,
            secrets.sign(&one.id, one.timestamp, &one.body)
        );
        assert_eq!(one.signature.split(' ').count(), 2);
        let body = bodies
            .entry(one.id.clone())
            .or_insert_with(|| one.body.clone());
        assert_eq!(*body, one.body, "the same body at each attempt");
        let body: Value = serde_json::from_str(&one.body).unwrap();
        assert_eq!(
            (&body["type"], &body["data"]["decision_id"]),
            (&json!("fraud.decision"), &json!(one.id))
        );
    }
    let mut taken = receiver.taken.lock().unwrap().clone();
    taken.sort();
    // The one whose answer did not come was taken twice, under one id.
    assert_eq!(taken.len(), 11);
    taken.dedup();
    assert_eq!(
        taken,
        (0..10)
            .map(|number| format!("order#ord-{number}#1"))
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_receiver_that_is_down_is_not_flooded() {
    let (receiver, url) = Receiver::start().await;
    let webhook = function(&url, Some(SECRETS));
    receiver.plan(&[Answer(503); 1000]);
    let messages = decisions(10);
    for _ in 0..5 {
        let failed = webhook.handle(&queue(&messages), now()).await.unwrap_err();
        assert_eq!(failed.records, 10);
    }
    // The circuit is open after the first batch: the others are not tried, and stay in the queue.
    assert_eq!(receiver.seen.lock().unwrap().len(), 10);
}

#[tokio::test]
async fn what_cannot_be_sent_stays_in_the_queue() {
    let (receiver, url) = Receiver::start().await;
    let one = |event: Value| BTreeMap::from([("m-1".to_owned(), event)]);
    let late = InvocationContext { ..now() }.within(Duration::ZERO);
    let unreadable = json!({"order_id": "1"});
    let cases = [
        (
            Some(SECRETS),
            unreadable,
            now(),
            "retry: the message is no event of the bus: `detail-type` is missing",
        ),
        (
            Some("hunter2"),
            decisions(1)["m-0"].clone(),
            now(),
            "retry: secret 1 should be whsec_ and 24 to 64 bytes in base64",
        ),
        (
            None,
            decisions(1)["m-0"].clone(),
            now(),
            "retry: GetSecretValue: ResourceNotFoundException",
        ),
        (
            Some(SECRETS),
            decisions(1)["m-0"].clone(),
            late,
            "retry: not reached",
        ),
    ];
    for (secrets, event, context, want) in cases {
        let handled = function(&url, secrets)
            .send_batch(&queue(&one(event)), context)
            .await;
        let failure = handled.results[0].1.as_ref().unwrap_err().to_string();
        assert_eq!(failure, want);
    }
    assert_eq!(*receiver.seen.lock().unwrap(), []);
}
