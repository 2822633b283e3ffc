//! The server as clients meet it: over sockets, with the SDK's clients and with bytes that no SDK sends.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use http::StatusCode;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::routes::unknown_target_response;
use super::*;
use crate::clients::{Clients, NetworkConfig};
use crate::dynamodb::DynamoDb;
use crate::event_bus::EventBus;
use crate::s3::S3;
use crate::service::{self, Service};

struct Server {
    folder: tempfile::TempDir,
    address: String,
    stop: oneshot::Sender<()>,
    done: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start() -> Self {
        Self::start_behind(ServeOptions::default()).await
    }

    /// A server with these limits, and with a key if `keys` says so.
    async fn limited(keys: bool, limits: ClientLimits) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let key = "[default]\naws_access_key_id=AKID\naws_secret_access_key=secret";
        std::fs::write(file.path(), key).unwrap();
        let keys = keys.then(|| SigningKeys::read(file.path()).unwrap());
        Self::start_behind(ServeOptions {
            keys,
            limits,
            ..ServeOptions::default()
        })
        .await
    }

    async fn start_behind(front: ServeOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let s3 = S3::open(&folder.path().join("s3")).unwrap();
        s3.create_bucket("orders").unwrap();
        let bus = EventBus::open(&folder.path().join("outcomes.jsonl")).unwrap();
        let services = Services {
            frauddetector: Service::new(|request| async move {
                let name = service::operation_name(&request);
                if name == "Never" {
                    std::future::pending::<()>().await;
                }
                let body = format!(r#"{{"labels":[{{"name":"{name}"}}]}}"#);
                service::json_response(StatusCode::OK, "application/x-amz-json-1.1", body)
            }),
            dynamodb: DynamoDb::in_memory().unwrap().service(),
            s3: s3.service(),
            eventbridge: bus.service(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let done = tokio::spawn(serve_connections(listener, services, front, stopped));
        Self {
            folder,
            address,
            stop,
            done,
        }
    }

    async fn clients(&self) -> Clients {
        Clients::over_network(&NetworkConfig::at(&format!("http://{}", self.address))).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// A connection over which this has been sent.
    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Sends the head of a request as it is and reads the response.
    async fn response(&self, head: &str) -> String {
        let head = format!("{head}\r\nConnection: close\r\n\r\n");
        rest(&mut self.send(&head).await).await
    }

    /// Sends the head of a request as it is and reads the first line of the response.
    async fn status(&self, head: &str) -> String {
        let response = self.response(head).await;
        response.lines().next().unwrap_or_default().to_owned()
    }
}

/// What the server sends until it closes the connection, which it has to do.
async fn rest(stream: &mut TcpStream) -> String {
    let mut response = Vec::new();
    let closed = timeout(LONG, stream.read_to_end(&mut response)).await;
    // A reset closes a connection as well: the server had not read all that was sent.
    drop(closed.expect("the server keeps the connection open"));
    String::from_utf8(response).unwrap()
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);
const HEALTHY: &str = "GET /_fraudstream/health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The head of a request that claims the key and has a signature that nobody made.
fn unproven(service: &str, line: &str, headers: &str) -> String {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nX-Amz-Date: {now}\r\nX-Amz-Content-Sha256: {}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKID/{}/us-east-1/{service}/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-target, Signature=00\r\n\
         {headers}\r\n\r\n",
        "0".repeat(64),
        &now[..8],
    )
}

#[tokio::test]
async fn each_client_reaches_its_service() {
    let server = Server::start().await;
    let clients = server.clients().await;

    let labels = clients.frauddetector.get_labels().send().await.unwrap();
    assert_eq!(labels.labels()[0].name(), Some("GetLabels"));

    let tables = clients.dynamodb.list_tables().send().await.unwrap();
    assert_eq!(tables.table_names(), [""; 0]);
    let missing = clients.dynamodb.describe_table().table_name("None").send();
    let missing = missing.await.unwrap_err().into_service_error();
    assert_eq!(missing.code(), Some("ResourceNotFoundException"));

    let event = PutEventsRequestEntry::builder()
        .source("fraudstream")
        .detail_type("decision")
        .detail("{}");
    let sent = clients.eventbridge.put_events().entries(event.build());
    assert_eq!(sent.send().await.unwrap().failed_entry_count(), 0);

    let buckets = clients.s3.list_buckets().send().await.unwrap();
    assert_eq!(buckets.buckets()[0].name(), Some("orders"));
}

/// Objects as clients send them: with and without a signature, whole and in chunks.
#[tokio::test]
async fn an_object_arrives_however_it_is_sent() {
    let server = Server::start().await;
    let unsigned = server.clients().await.s3;
    let credentials = aws_sdk_s3::config::Credentials::new("key", "secret", None, None, "test");
    let signed = unsigned
        .config()
        .to_builder()
        .credentials_provider(credentials)
        .request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
        .response_checksum_validation(ResponseChecksumValidation::WhenSupported);
    let signed = aws_sdk_s3::Client::from_conf(signed.build());
    let path = server.folder.path().join("object");
    std::fs::write(&path, vec![b'x'; 100_000]).unwrap();
    for (name, client) in [("unsigned", unsigned), ("signed", signed)] {
        let whole = ByteStream::from(vec![b'x'; 100_000]);
        let file = ByteStream::from_path(&path).await.unwrap();
        for (kind, body) in [("whole", whole), ("file", file)] {
            let put = client.put_object().bucket("orders").key(kind).body(body);
            put.send().await.unwrap();
            let read = client.get_object().bucket("orders").key(kind).send();
            let read = read.await.unwrap().body.collect().await.unwrap();
            assert_eq!(read.to_vec(), vec![b'x'; 100_000], "{name} {kind}");
        }
    }
}

#[tokio::test]
async fn an_object_arrives_in_parts() {
    let server = Server::start().await;
    let s3 = server.clients().await.s3;
    let upload = s3.create_multipart_upload().bucket("orders").key("parts");
    let upload = upload.send().await.unwrap();
    let upload = upload.upload_id().unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for (number, body) in [(1, vec![b'x'; 5 * 1024 * 1024]), (2, b"y".to_vec())] {
        let part = s3.upload_part().bucket("orders").key("parts");
        let part = part.upload_id(upload).part_number(number).body(body.into());
        let part = part.send().await.unwrap();
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag);
        parts = parts.parts(part.build());
    }
    let complete = s3.complete_multipart_upload().bucket("orders").key("parts");
    let complete = complete.upload_id(upload).multipart_upload(parts.build());
    complete.send().await.unwrap();
    let head = s3.head_object().bucket("orders").key("parts").send().await;
    assert_eq!(head.unwrap().content_length(), Some(5 * 1024 * 1024 + 1));
}

/// The head of a request and the status that answers it.
#[tokio::test]
async fn requests_that_no_sdk_sends() {
    let server = Server::start().await;
    let cases = [
        (
            "GET /_fraudstream/health HTTP/1.1\r\nHost: localhost",
            "200 OK",
        ),
        ("GET /orders HTTP/1.1\r\nHost: 127.0.0.1:80", "200 OK"),
        (
            "GET /orders HTTP/1.1\r\nHost: evil.example",
            "403 Forbidden",
        ),
        ("GET /orders HTTP/1.0", "403 Forbidden"),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSDance.Tango\r\nContent-Length: 0",
            "400 Bad Request",
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 0",
            "400 Bad Request",
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSEvents.PutEvents\r\nContent-Length: 999999999999",
            "413 Payload Too Large",
        ),
        (
            "PUT /orders/large HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999",
            "413 Payload Too Large",
        ),
    ];
    for (head, want) in cases {
        let got = server.status(head).await;
        assert_eq!(got.split_once(' ').unwrap_or_default().1, want, "{head}");
    }
}

#[tokio::test]
async fn without_keys_only_this_machine_is_served() {
    let services = Services {
        frauddetector: Service::new(|_| async { unknown_target_response() }),
        dynamodb: Service::new(|_| async { unknown_target_response() }),
        s3: Service::new(|_| async { unknown_target_response() }),
        eventbridge: Service::new(|_| async { unknown_target_response() }),
    };
    let everywhere = "0.0.0.0".parse().unwrap();
    let refused = listen_and_serve(
        everywhere,
        0,
        services,
        ServeOptions::default(),
        std::future::pending(),
    )
    .await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "anyone who reaches 0.0.0.0 could read and write everything: say --credentials, or stay at 127.0.0.1"
    );
}

/// A route, headers, and the status that answers it.
#[tokio::test]
async fn a_page_of_another_origin_is_turned_away_at_every_route() {
    let server = Server::start_behind(ServeOptions {
        faults: Some(Faults::new()),
        ..ServeOptions::default()
    })
    .await;
    let here = &server.address;
    let port = here.rsplit_once(':').unwrap().1;
    let routes = [
        "PUT /orders/rejected/1.json HTTP/1.1",
        "POST /orders HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x",
        "GET /orders HTTP/1.1",
        "OPTIONS /orders HTTP/1.1",
        "POST / HTTP/1.1\r\nX-Amz-Target: AWSHawksNestServiceFacade.GetLabels",
        "POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.ListTables",
        "POST / HTTP/1.1\r\nX-Amz-Target: AWSEvents.PutEvents",
        "POST / HTTP/1.1\r\nX-Amz-Target: AWSDance.Tango",
        "GET /_fraudstream/health HTTP/1.1",
        "POST /_fraudstream/faults HTTP/1.1",
        "DELETE /_fraudstream/faults HTTP/1.1",
        "GET /_fraudstream/faults HTTP/1.1",
    ];
    let foreign = [
        format!("Host: {here}\r\nOrigin: http://evil.example"),
        format!("Host: {here}\r\nOrigin: null"),
        format!("Host: {here}\r\nOrigin: https://{here}"),
        format!("Host: {here}\r\nOrigin: http://127.0.0.1:1"),
        format!("Host: {here}\r\nOrigin: http://{here}\r\nOrigin: null"),
        format!("Host: {here}\r\nSec-Fetch-Site: cross-site"),
        format!("Host: {here}\r\nSec-Fetch-Site: same-site"),
        format!("Host: {here}\r\nOrigin: http://{here}\r\nSec-Fetch-Site: cross-site"),
        format!("Host: evil.example:{port}\r\nOrigin: http://evil.example:{port}"),
        format!("Host: evil.example:{port}"),
    ];
    for route in routes {
        for headers in &foreign {
            let head = format!("{route}\r\n{headers}\r\nContent-Length: 0");
            let got = server.response(&head).await;
            assert!(got.starts_with("HTTP/1.1 403 "), "{head}: {got}");
            assert!(got.contains("x-amzn-requestid: "), "{head}: {got}");
            let sentence = if headers.starts_with("Host: evil") {
                "only requests to this machine by its own name are answered"
            } else {
                "a web page of another origin sent this request"
            };
            assert!(got.contains(sentence), "{head}: {got}");
        }
    }
    let own = [
        format!("Host: {here}\r\nOrigin: http://{here}\r\nSec-Fetch-Site: same-origin"),
        format!("Host: localhost:{port}\r\nOrigin: http://LOCALHOST:{port}"),
        format!("Host: {here}\r\nSec-Fetch-Site: none"),
        format!("Host: {here}"),
    ];
    for route in [
        "GET /orders",
        "PUT /orders/rejected/1.json",
        "GET /_fraudstream/health",
    ] {
        for headers in &own {
            let head = format!("{route} HTTP/1.1\r\n{headers}\r\nContent-Length: 0");
            assert_eq!(server.status(&head).await, "HTTP/1.1 200 OK", "{head}");
        }
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_turned_away_where_requests_are_signed() {
    let server = Server::limited(true, ClientLimits::default()).await;
    let cases = [
        ("Origin: http://evil.example", "403 Forbidden"),
        ("Sec-Fetch-Site: cross-site", "403 Forbidden"),
        ("Origin: http://shop.example", "200 OK"),
    ];
    for (header, want) in cases {
        let head = format!("GET {HEALTH} HTTP/1.1\r\nHost: shop.example\r\n{header}");
        let got = server.status(&head).await;
        assert_eq!(got, format!("HTTP/1.1 {want}"), "{header}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_is_not_waited_for() {
    let server = Server::limited(
        false,
        ClientLimits {
            head: SHORT,
            ..ClientLimits::default()
        },
    )
    .await;
    for text in ["", "G", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A"] {
        assert_eq!(rest(&mut server.send(text).await).await, "", "{text}");
    }
    // One that is sent byte by byte has no more time.
    let mut slow = server.connect().await;
    let trickle = async {
        for _ in 0..1000 {
            if slow.write_all(b"G").await.is_err() {
                return;
            }
            tokio::time::sleep(SHORT / 6).await;
        }
        panic!("the server still reads");
    };
    timeout(LONG, trickle).await.unwrap();
    let idle = rest(&mut server.send(HEALTHY).await).await;
    assert!(idle.ends_with("\r\n\r\nok"), "{idle}");
}

/// The limits, and what is sent after the head, with pauses between.
#[tokio::test]
async fn a_body_that_stops_or_trickles_is_not_waited_for() {
    let stopping = ClientLimits {
        stall: SHORT,
        ..ClientLimits::default()
    };
    let trickling = ClientLimits {
        stall: SHORT * 2,
        rate: 1_000_000,
        ..ClientLimits::default()
    };
    for (limits, pieces) in [(stopping, 1), (trickling, 1000)] {
        let server = Server::limited(false, limits).await;
        for head in [
            "PUT /orders/slow",
            "POST /_fraudstream/none",
            "POST / HTTP/1.1\r\nX-Amz-Target: AWSEvents.PutEvents",
        ] {
            let version = if head.contains("HTTP") {
                ""
            } else {
                " HTTP/1.1"
            };
            let head =
                format!("{head}{version}\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n");
            let (mut reading, mut writing) = server.send(&head).await.into_split();
            let sending = tokio::spawn(async move {
                for _ in 0..pieces {
                    if writing.write_all(b"x").await.is_err() {
                        break;
                    }
                    tokio::time::sleep(SHORT / 6).await;
                }
                writing
            });
            let mut response = Vec::new();
            let closed = timeout(LONG, reading.read_to_end(&mut response)).await;
            closed.expect("the server waits").ok();
            let response = String::from_utf8(response).unwrap();
            assert!(
                response.starts_with("HTTP/1.1 408 "),
                "{head}{pieces}: {response}"
            );
            assert!(response.contains("RequestTimeout"), "{head}: {response}");
            sending.abort();
        }
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let server = Server::limited(
        false,
        ClientLimits {
            connections: 2,
            ..ClientLimits::default()
        },
    )
    .await;
    let (first, mut second) = (server.connect().await, server.send(HEALTHY).await);
    let mut answer = [0; 15];
    second.read_exact(&mut answer).await.unwrap();
    let mut third = server.send(HEALTHY).await;
    let early = timeout(SHORT, third.read_exact(&mut answer)).await;
    assert!(early.is_err(), "{early:?}");
    drop(first);
    let later = timeout(LONG, third.read_exact(&mut answer)).await;
    later.unwrap().unwrap();
    assert_eq!(answer, *b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_client_that_takes_no_response_makes_room_for_others() {
    let server = Server::limited(
        false,
        ClientLimits {
            connections: 1,
            stall: SHORT,
            ..ClientLimits::default()
        },
    )
    .await;
    // More than the buffers of two sockets.
    let large = vec![b'x'; 64 * 1024 * 1024];
    std::fs::write(server.folder.path().join("s3/orders/large"), large).unwrap();
    let get = "GET /orders/large HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let _not_reading = server.send(get).await;
    let other = server.status("GET /orders HTTP/1.1\r\nHost: localhost");
    assert_eq!(timeout(LONG, other).await.unwrap(), "HTTP/1.1 200 OK");
}

/// At S3 the head alone tells that the signature is wrong, so nothing more is waited for.
#[tokio::test]
async fn an_upload_with_a_wrong_signature_is_refused_before_its_body_comes() {
    let server = Server::limited(true, ClientLimits::default()).await;
    let head = unproven("s3", "PUT /orders/forged", "Content-Length: 60000000");
    let mut stream = server.send(&head).await;
    stream.write_all(b"the beginning").await.unwrap();
    let response = rest(&mut stream).await;
    assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
    assert!(response.contains("SignatureDoesNotMatch"), "{response}");
}

#[tokio::test]
async fn memory_for_bodies_without_a_checked_signature_is_bounded() {
    let server = Server::limited(
        true,
        ClientLimits {
            unverified: 1_500_000,
            ..ClientLimits::default()
        },
    )
    .await;
    let headers = "X-Amz-Target: DynamoDB_20120810.ListTables\r\nContent-Length: 1000000\r\nConnection: close";
    let head = unproven("dynamodb", "POST /", headers);
    let body = vec![b' '; 1_000_000];
    let mut first = server.send(&head).await;
    first.write_all(&body[1..]).await.unwrap();
    let refused = async {
        loop {
            let mut second = server.send(&head).await;
            // The server may close before it has all.
            second.write_all(&body).await.ok();
            let response = rest(&mut second).await;
            // The first one may still be on its way.
            if !response.contains("InvalidSignatureException") {
                return response;
            }
        }
    };
    let refused = timeout(LONG, refused).await.unwrap();
    if !refused.is_empty() {
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
        assert!(refused.contains("ThrottlingException"), "{refused}");
    }
    first.write_all(&body[..1]).await.unwrap();
    let first = rest(&mut first).await;
    assert!(first.contains("InvalidSignatureException"), "{first}");
    let mut third = server.send(&head).await;
    third.write_all(&body).await.unwrap();
    let third = rest(&mut third).await;
    assert!(third.contains("InvalidSignatureException"), "{third}");
    let too_large = head.replace("1000000", "70000000");
    let too_large = rest(&mut server.send(&too_large).await).await;
    assert!(too_large.starts_with("HTTP/1.1 413 "), "{too_large}");
    assert!(too_large.contains("at most 64 MiB"), "{too_large}");
}

#[tokio::test]
async fn what_does_not_end_is_left_when_the_server_stops() {
    let server = Server::limited(
        false,
        ClientLimits {
            finish: SHORT,
            ..ClientLimits::default()
        },
    )
    .await;
    let target = "X-Amz-Target: AWSHawksNestServiceFacade";
    let never = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\n{target}.Never\r\nContent-Length: 0\r\n\r\n"
    );
    let mut never = server.send(&never).await;
    let _half = server.send("GET / HT").await;
    assert_eq!(
        server
            .status("GET /orders HTTP/1.1\r\nHost: localhost")
            .await,
        "HTTP/1.1 200 OK"
    );
    server.stop.send(()).unwrap();
    let done = timeout(LONG, server.done).await;
    done.expect("it waits").unwrap().unwrap();
    assert_eq!(rest(&mut never).await, "");
}

#[tokio::test]
async fn it_stops_when_it_is_told() {
    let server = Server::start().await;
    let clients = server.clients().await;
    clients.dynamodb.list_tables().send().await.unwrap();
    server.stop.send(()).unwrap();
    server.done.await.unwrap().unwrap();
    assert!(TcpStream::connect(&server.address).await.is_err());
}
