//! All services on one loopback port, for the AWS CLI, for boto3, and for a pipeline that runs in
//! another process.
//!
//! The services are told apart by the header `X-Amz-Target`; S3 is the one that has none.
//! Signatures are checked if there are keys to check them with; without, only this machine may ask.

use std::future::Future;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::{Listener as _, ListenerExt as _};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use uuid::Uuid;

use crate::clients::is_loopback_host;
use crate::connector::{self, Service};
use crate::fault::{self, Fault, Faults};
use crate::limits::{BodyError, Limits, Reader};
use crate::s3;
use crate::signals;
use crate::signature::{Claim, Keys};

/// Answers 200 once the server listens. S3 owns all other paths.
pub const HEALTH: &str = "/_fraudstream/health";

/// Where tests ask for faults, and take them back.
pub const FAULTS: &str = "/_fraudstream/faults";

/// What the head of one request may have; also how much of a connection is read ahead.
const LARGEST_HEAD: usize = 64 * 1024;

/// Who may ask, and what happens on a bad day.
#[derive(Debug, Default)]
pub struct Front {
    /// The keys that sign requests; without them every request of this machine is answered.
    pub keys: Option<Keys>,
    /// Faults that tests ask for at [`FAULTS`]; without them there is no such address.
    pub faults: Option<Faults>,
    /// What clients may take up.
    pub limits: Limits,
}

/// What every request meets.
struct Server {
    services: Services,
    front: Front,
    reader: Reader,
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
    let stop = signals::interrupted(front.limits.finish + signals::GRACE)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on http://{}", listener.local_addr()?)?;
    stdout.flush()?;
    serve(listener, services, front, stop).await
}

/// Answers requests until `stop` is there, and then those that have begun, as long as they may take.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    front: Front,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let limits = front.limits.clone();
    let service = TowerToHyperService::new(router(services, front));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(LARGEST_HEAD);
    let mut listener = listener.tap_io(|stream| {
        // A small answer waits for nothing; an error says that the client has gone.
        stream.set_nodelay(true).ok();
    });
    let ending = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            (stream, _) = listener.accept(), if connections.len() < limits.connections => {
                let mut stream = TimeoutStream::new(stream);
                stream.set_write_timeout(Some(limits.stall));
                let stream = TokioIo::new(Box::pin(stream));
                let connection = http.serve_connection(stream, service.clone());
                connections.spawn(ending.watch(connection));
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(limits.finish, ending.shutdown())
        .await
        .is_err()
    {
        tracing::error!("requests in progress did not end in time and are left unanswered");
    }
    connections.shutdown().await;
    Ok(())
}

type Shared = State<Arc<Server>>;

fn router(services: Services, front: Front) -> Router {
    let mut router = Router::new().route(HEALTH, get(|| async { "ok" }));
    if front.faults.is_some() {
        router = router.route(FAULTS, post(ask_for_fault).delete(forget_faults));
    }
    let reader = Reader::new(&front.limits);
    let server = Arc::new(Server {
        services,
        front,
        reader,
    });
    // Around every route, so that none can be without it.
    let admission = middleware::from_fn_with_state(Arc::clone(&server), admit);
    router.fallback(answer).layer(admission).with_state(server)
}

/// Turns away what a web page of another origin has a browser send.
async fn admit(State(server): Shared, request: Request, next: Next) -> Response {
    let is_open = server.front.keys.is_none();
    let refusal = if is_open && !names_this_machine(&request) {
        Some("only requests to this machine by its own name are answered")
    } else if is_from_elsewhere(request.headers()) {
        Some("a web page of another origin sent this request; only this server's own pages may")
    } else {
        None
    };
    let mut response = match refusal {
        Some(reason) => s3::refusal(StatusCode::FORBIDDEN, "AccessDenied", reason).map(Body::from),
        None => next.run(request).await,
    };
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        let headers = response.headers_mut();
        headers.entry("x-amzn-requestid").or_insert(id);
    }
    response
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

/// Whether a browser says that a page of another origin asks. A page may post a form to any address,
/// this one included; browsers say so in headers that no page can set and no SDK sends.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let host = headers.get(http::header::HOST);
    let host = host.map_or(&b""[..], HeaderValue::as_bytes);
    let is_own = |origin: &HeaderValue| {
        let authority = origin.as_bytes().strip_prefix(b"http://");
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    let is_safe = |site: &HeaderValue| site == "same-origin" || site == "none";
    let mut origins = headers.get_all(http::header::ORIGIN).iter();
    let mut sites = headers.get_all("sec-fetch-site").iter();
    !(origins.all(is_own) && sites.all(is_safe))
}

async fn answer(State(server): Shared, request: Request) -> Response {
    route(&server, request).await.map(Body::from)
}

async fn route(server: &Server, request: Request) -> http::Response<Bytes> {
    let Server {
        services,
        front,
        reader,
    } = server;
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
    let read = if claim.as_ref().is_some_and(Claim::needs_body) {
        reader.read_unverified(body).await
    } else {
        reader.read(body).await.map(|body| (body, None))
    };
    let (body, taken) = match read {
        Ok(read) => read,
        Err(error) => return unread(name, error),
    };
    if let Some(Err(refusal)) = claim.map(|claim| claim.verify(&head, &body)) {
        return refusal.response();
    }
    drop(taken);
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

async fn ask_for_fault(State(server): Shared, request: Request) -> (StatusCode, String) {
    let Some(faults) = &server.front.faults else {
        return (StatusCode::NOT_FOUND, String::new());
    };
    let body = match server.reader.read(request.into_body()).await {
        Ok(body) => body,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()),
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

async fn forget_faults(State(server): Shared) -> StatusCode {
    if let Some(faults) = &server.front.faults {
        faults.clear();
    }
    StatusCode::NO_CONTENT
}

/// The answer to a request whose body was not read, in codes that clients know: they send a slow
/// one, and one that there was no room for, again.
fn unread(service: &str, error: BodyError) -> http::Response<Bytes> {
    let (status, s3, json) = match error {
        BodyError::TooLarge(_) => (413, "EntityTooLarge", "RequestEntityTooLargeException"),
        BodyError::Slow => (408, "RequestTimeout", "RequestTimeoutException"),
        BodyError::NoRoom => (503, "SlowDown", "ThrottlingException"),
        BodyError::CutShort => (400, "IncompleteBody", "SerializationException"),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    if service == "s3" {
        s3::refusal(status, s3, &error.to_string())
    } else {
        connector::exception(status, json, &error.to_string())
    }
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
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use std::time::Duration;

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
            Self::start_behind(Front::default()).await
        }

        /// A server with these limits, and with a key if `keys` says so.
        async fn limited(keys: bool, limits: Limits) -> Self {
            let file = tempfile::NamedTempFile::new().unwrap();
            let key = "[default]\naws_access_key_id=AKID\naws_secret_access_key=secret";
            std::fs::write(file.path(), key).unwrap();
            let keys = keys.then(|| Keys::read(file.path()).unwrap());
            Self::start_behind(Front {
                keys,
                limits,
                ..Front::default()
            })
            .await
        }

        async fn start_behind(front: Front) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let s3 = S3::open(&folder.path().join("s3")).unwrap();
            s3.create_bucket("orders").unwrap();
            let bus = Bus::open(&folder.path().join("outcomes.jsonl")).unwrap();
            let services = Services {
                frauddetector: Service::new(|request| async move {
                    let name = connector::operation(&request);
                    if name == "Never" {
                        std::future::pending::<()>().await;
                    }
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
            let done = tokio::spawn(serve(listener, services, front, stopped));
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
            frauddetector: Service::new(|_| async { unknown_target() }),
            dynamodb: Service::new(|_| async { unknown_target() }),
            s3: Service::new(|_| async { unknown_target() }),
            eventbridge: Service::new(|_| async { unknown_target() }),
        };
        let everywhere = "0.0.0.0".parse().unwrap();
        let refused = run(everywhere, 0, services, Front::default()).await;
        assert_eq!(
            refused.unwrap_err().to_string(),
            "anyone who reaches 0.0.0.0 could read and write everything: say --credentials, or stay at 127.0.0.1"
        );
    }

    /// A route, headers, and the status that answers it.
    #[tokio::test]
    async fn a_page_of_another_origin_is_turned_away_at_every_route() {
        let server = Server::start_behind(Front {
            faults: Some(Faults::new()),
            ..Front::default()
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
        let server = Server::limited(true, Limits::default()).await;
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
            Limits {
                head: SHORT,
                ..Limits::default()
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
        let stopping = Limits {
            stall: SHORT,
            ..Limits::default()
        };
        let trickling = Limits {
            stall: SHORT * 2,
            rate: 1_000_000,
            ..Limits::default()
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
            Limits {
                connections: 2,
                ..Limits::default()
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
            Limits {
                connections: 1,
                stall: SHORT,
                ..Limits::default()
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
        let server = Server::limited(true, Limits::default()).await;
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
            Limits {
                unverified: 1_500_000,
                ..Limits::default()
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
            Limits {
                finish: SHORT,
                ..Limits::default()
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
}
