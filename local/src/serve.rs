//! All services on one loopback port, for the AWS CLI, for boto3, and for a pipeline that runs in
//! another process.
//!
//! The services are told apart by the header `X-Amz-Target`; S3 is the one that has none.
//! Signatures are checked if there are keys to check them with; without, only this machine may ask.

use std::future::Future;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::clients::is_loopback_host;
use crate::connector::{self, Service};
use crate::fault::{self, Fault, Faults};
use crate::s3;
use crate::signature::Keys;

/// Answers 200 once the server listens. S3 owns all other paths.
pub const HEALTH: &str = "/_fraudstream/health";

/// Where tests ask for faults, and take them back.
pub const FAULTS: &str = "/_fraudstream/faults";

/// What one request may send. S3's clients send larger objects in parts.
const MAX_BODY: usize = 256 * 1024 * 1024;

/// Who may ask, and what happens on a bad day.
#[derive(Debug, Default)]
pub struct Front {
    /// The keys that sign requests; without them every request of this machine is answered.
    pub keys: Option<Keys>,
    /// Faults that tests ask for at [`FAULTS`]; without them there is no such address.
    pub faults: Option<Faults>,
}

/// What answers on the port.
#[derive(Clone, Debug)]
pub struct Services {
    /// The engine.
    pub frauddetector: Service,
    /// See [`crate::dynamodb`].
    pub dynamodb: Service,
    /// See [`crate::s3`].
    pub s3: Service,
    /// See [`crate::bus`].
    pub eventbridge: Service,
}

impl Services {
    /// The service that a request is for, and its name in signatures.
    fn of<B>(&self, request: &http::Request<B>) -> Option<(&Service, &'static str)> {
        let Some(target) = request.headers().get("x-amz-target") else {
            return (!is_json(request)).then_some((&self.s3, "s3"));
        };
        match target.to_str().ok()?.rsplit_once('.')?.0 {
            "AWSHawksNestServiceFacade" => Some((&self.frauddetector, "frauddetector")),
            "DynamoDB_20120810" => Some((&self.dynamodb, "dynamodb")),
            "AWSEvents" => Some((&self.eventbridge, "events")),
            _ => None,
        }
    }
}

/// Whether a client of a JSON service sent it; S3 has other types at its addresses.
fn is_json<B>(request: &http::Request<B>) -> bool {
    let media_type = request.headers().get(http::header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let is_json = media_type.is_some_and(|text| text.starts_with("application/x-amz-json-"));
    is_json && request.uri().path() == "/"
}

/// Serves on an address, with port 0 on a free one, until the process is asked to stop. Says on
/// stdout where it listens.
///
/// # Errors
/// Also an address that others than this machine reach, without keys to know them by.
pub async fn run(host: IpAddr, port: u16, services: Services, front: Front) -> io::Result<()> {
    if !host.is_loopback() && front.keys.is_none() {
        return Err(io::Error::other(format!(
            "anyone who reaches {host} could read and write everything: say --credentials, or stay at 127.0.0.1"
        )));
    }
    let listener = TcpListener::bind(SocketAddr::new(host, port)).await?;
    let stop = interrupted()?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on http://{}", listener.local_addr()?)?;
    stdout.flush()?;
    serve(listener, services, front, stop).await
}

/// Answers requests until `stop` is there, and then those that have begun.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    front: Front,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let mut router = Router::new().route(HEALTH, get(|| async { "ok" }));
    if front.faults.is_some() {
        router = router.route(FAULTS, post(ask_for_fault).delete(forget_faults));
    }
    let router = router
        .fallback(answer)
        .with_state(Arc::new((services, front)));
    let listener = listener.tap_io(|stream| {
        // A small answer waits for nothing; an error says that the client has gone.
        stream.set_nodelay(true).ok();
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
}

/// The first request to stop: Ctrl-C, SIGTERM or SIGHUP. The second one ends the process at once.
pub fn interrupted() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut signals = signals.forever();
            signals.next();
            // An error says that nobody waits any more.
            sender.send(()).ok();
            if let Some(signal) = signals.next() {
                std::process::exit(128 + signal);
            }
        })?;
    Ok(async move {
        receiver.await.ok();
    })
}

type Shared = State<Arc<(Services, Front)>>;

async fn answer(State(state): Shared, request: Request) -> Response {
    let (services, front) = &*state;
    let mut response = route(services, front, request).await.map(Body::from);
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        let headers = response.headers_mut();
        headers.entry("x-amzn-requestid").or_insert(id);
    }
    response
}

async fn route(services: &Services, front: &Front, request: Request) -> http::Response<Bytes> {
    if front.keys.is_none() && !names_this_machine(&request) {
        let reason = "only requests to this machine by its own name are answered";
        return s3::refusal(StatusCode::FORBIDDEN, "AccessDenied", reason);
    }
    let Some((service, name)) = services.of(&request) else {
        return unknown_target();
    };
    let fault = front.faults.as_ref();
    if let Some(Fault::Answer(status, body)) = fault.map(|f| f.next(connector::operation(&request)))
    {
        return fault::json(status, body);
    }
    let (head, body) = request.into_parts();
    let keys = front.keys.as_ref();
    let claim = match keys.map(|keys| keys.claim(&head, name, Timestamp::now())) {
        Some(Err(refusal)) => return refusal.response(),
        Some(Ok(claim)) => Some(claim),
        None => None,
    };
    let Some(body) = whole(body).await else {
        return too_large(name);
    };
    if let Some(Err(refusal)) = claim.map(|claim| claim.verify(&head, &body)) {
        return refusal.response();
    }
    service.call(http::Request::from_parts(head, body)).await
}

/// `{"operation": "GetLabels", "error": "ThrottlingException", "times": 1}`: the next calls of the
/// operation are answered with the error, and do nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedFault {
    operation: String,
    error: String,
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

/// The calls that one request may have fail.
const MOST_FAULTS: usize = 10_000;

async fn ask_for_fault(State(state): Shared, body: Bytes) -> (StatusCode, String) {
    let Some(faults) = &state.1.faults else {
        return (StatusCode::NOT_FOUND, String::new());
    };
    match serde_json::from_slice::<WantedFault>(&body) {
        Ok(wanted) if wanted.times <= MOST_FAULTS => {
            let fault = Fault::exception(&wanted.error);
            faults.inject(&wanted.operation, fault, wanted.times);
            (StatusCode::NO_CONTENT, String::new())
        }
        Ok(_) => {
            let message = format!("`times` must be at most {MOST_FAULTS}");
            (StatusCode::BAD_REQUEST, message)
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}

async fn forget_faults(State(state): Shared) -> StatusCode {
    if let Some(faults) = &state.1.faults {
        faults.clear();
    }
    StatusCode::NO_CONTENT
}

/// The body in memory, unless it is too large; one that says so itself is not read at all.
async fn whole(body: Body) -> Option<Bytes> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return None;
    }
    axum::body::to_bytes(body, MAX_BODY).await.ok()
}

fn too_large(service: &str) -> http::Response<Bytes> {
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    let reason = "The request is cut short, or larger than 256 MiB.";
    if service == "s3" {
        s3::refusal(status, "EntityTooLarge", reason)
    } else {
        connector::exception(status, "RequestEntityTooLargeException", reason)
    }
}

/// A web page can have its own name resolve to 127.0.0.1 and would then be free to read every
/// answer; its requests carry that name.
fn names_this_machine(request: &Request) -> bool {
    let header = request.headers().get(http::header::HOST);
    let header = header.and_then(|value| value.to_str().ok());
    let authority = header.and_then(|host| host.parse().ok());
    let authority = authority.or_else(|| request.uri().authority().cloned());
    authority.is_some_and(|authority: http::uri::Authority| is_loopback_host(authority.host()))
}

fn unknown_target() -> http::Response<Bytes> {
    let message = "The header X-Amz-Target names no operation that there is here.";
    connector::exception(
        StatusCode::BAD_REQUEST,
        "UnknownOperationException",
        message,
    )
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ProvideErrorMetadata;
    use aws_sdk_eventbridge::types::PutEventsRequestEntry;
    use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
    use aws_sdk_s3::primitives::ByteStream;
    use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::bus::Bus;
    use crate::clients::{Clients, Network};
    use crate::dynamodb::DynamoDb;
    use crate::s3::S3;

    struct Server {
        folder: tempfile::TempDir,
        address: String,
        stop: oneshot::Sender<()>,
        done: JoinHandle<io::Result<()>>,
    }

    impl Server {
        async fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let s3 = S3::open(&folder.path().join("s3")).unwrap();
            s3.create_bucket("orders").unwrap();
            let bus = Bus::open(&folder.path().join("outcomes.jsonl")).unwrap();
            let services = Services {
                frauddetector: Service::new(|request| async move {
                    let name = connector::operation(&request);
                    let body = format!(r#"{{"labels":[{{"name":"{name}"}}]}}"#);
                    connector::json(StatusCode::OK, "application/x-amz-json-1.1", body)
                }),
                dynamodb: DynamoDb::in_memory().unwrap().service(),
                s3: s3.service(),
                eventbridge: bus.service(),
            };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let (stop, stopped) = oneshot::channel();
            let stopped = async move { drop(stopped.await) };
            let done = tokio::spawn(serve(listener, services, Front::default(), stopped));
            Self {
                folder,
                address,
                stop,
                done,
            }
        }

        async fn clients(&self) -> Clients {
            Clients::network(&Network::at(&format!("http://{}", self.address))).await
        }

        /// Sends the head of a request as it is and reads the first line of the response.
        async fn status(&self, head: &str) -> String {
            let mut stream = TcpStream::connect(&self.address).await.unwrap();
            let head = format!("{head}\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
            response.lines().next().unwrap_or_default().to_owned()
        }
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
            frauddetector: Service::new(|_| async { too_large("s3") }),
            dynamodb: Service::new(|_| async { too_large("s3") }),
            s3: Service::new(|_| async { too_large("s3") }),
            eventbridge: Service::new(|_| async { too_large("s3") }),
        };
        let everywhere = "0.0.0.0".parse().unwrap();
        let refused = run(everywhere, 0, services, Front::default()).await;
        assert_eq!(
            refused.unwrap_err().to_string(),
            "anyone who reaches 0.0.0.0 could read and write everything: say --credentials, or stay at 127.0.0.1"
        );
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
}
