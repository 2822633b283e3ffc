//! Faults between a client and its service, for tests: throttling, time-outs, lost responses and
//! more, on demand.
//!
//! ```text
//! let faults = Faults::new();
//! let dynamodb = clients::dynamodb(faults.wrap(service.http_client()));
//! faults.inject("PutItem", Fault::TimeOut, 1);   // the next put is stored, and nobody is told
//! ```
//!
//! With `fraudstream serve --faults`, tests of other programs can ask for them.
//!
//! Nothing is random: the n-th call of an operation meets the n-th fault that was injected for
//! it, and a call that meets none passes.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Response, StatusCode};

use crate::{s3, service};

/// What happens to one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// None: the call passes. Put it in front of a fault that only a later call is to meet.
    Pass,
    /// The call is refused as one too many; nothing happened.
    Throttle,
    /// The service answers 500; nothing happened.
    Internal,
    /// The request is lost on its way; nothing happened.
    Drop,
    /// The request has its effect, and the response is lost: the client sees a timeout.
    TimeOut,
    /// The client sees a timeout, and the request has its effect after a while: when it may have been
    /// sent again, and others as well.
    Late(Duration),
    /// The call passes after a while.
    Delay(Duration),
    /// `BatchGetItem` or `BatchWriteItem` is answered, and has processed nothing of what it was
    /// asked for.
    Unprocessed,
    /// The call is answered with this; nothing happened. For everything else: a partial failure,
    /// an index that lags behind.
    Answer(StatusCode, String),
}

impl Fault {
    /// The exception `code`, such as `ThrottlingException`. Those of the server have status 500.
    pub fn exception(code: &str) -> Self {
        let status = if code.starts_with("InternalServer") {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::BAD_REQUEST
        };
        let message = "A fault that was asked for.";
        let body = serde_json::json!({ "__type": code, "message": message });
        Self::Answer(status, body.to_string())
    }

    /// A query of an index that has not seen the latest writes.
    pub fn stale_index() -> Self {
        let nothing = r#"{"Items":[],"Count":0,"ScannedCount":0}"#;
        Self::Answer(StatusCode::OK, nothing.to_owned())
    }
}

/// The faults to come and the calls made so far, of all clients that it wraps.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<FaultState>>);

#[derive(Debug, Default)]
struct FaultState {
    faults: HashMap<String, VecDeque<Fault>>,
    calls: Vec<String>,
}

impl Faults {
    /// No fault yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the faults between a client and `inner`.
    pub fn wrap(&self, inner: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(FaultClient {
            inner,
            faults: self.clone(),
        })
    }

    /// Has the next `times` calls of `operation` meet `fault`, after those injected before.
    pub fn inject(&self, operation: &str, fault: Fault, times: usize) {
        let mut state = self.lock_state();
        let queue = state.faults.entry(operation.to_owned()).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    /// Forgets the faults that no call has met.
    pub fn clear(&self) {
        self.lock_state().faults.clear();
    }

    /// The operations called so far, in order, each attempt of its own.
    pub fn calls(&self) -> Vec<String> {
        self.lock_state().calls.clone()
    }

    /// How often `operation` was called.
    pub fn count_calls(&self, operation: &str) -> usize {
        let state = self.lock_state();
        state.calls.iter().filter(|&name| name == operation).count()
    }

    /// Records a call and takes the fault that it meets.
    pub(crate) fn take_next(&self, operation: &str) -> Fault {
        let mut state = self.lock_state();
        state.calls.push(operation.to_owned());
        let queue = state.faults.get_mut(operation);
        queue.and_then(VecDeque::pop_front).unwrap_or(Fault::Pass)
    }

    fn lock_state(&self) -> MutexGuard<'_, FaultState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct FaultClient {
    inner: SharedHttpClient,
    faults: Faults,
}

impl HttpClient for FaultClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(FaultConnector {
            inner: self.inner.http_connector(settings, components),
            faults: self.faults.clone(),
        })
    }
}

#[derive(Debug)]
struct FaultConnector {
    inner: SharedHttpConnector,
    faults: Faults,
}

impl HttpConnector for FaultConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_json = request.headers().contains_key("x-amz-target");
        let operation = operation_name(&request);
        let fault = self.faults.take_next(&operation);
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            match fault {
                Fault::Pass => inner.call(request).await,
                Fault::Throttle => throttling_response(is_json),
                Fault::Internal => internal_error_response(is_json),
                Fault::Drop => Err(ConnectorError::io(
                    FaultReason("the request was lost").into(),
                )),
                Fault::TimeOut => {
                    inner.call(request).await?;
                    let lost = FaultReason("the response was lost");
                    Err(ConnectorError::timeout(lost.into()))
                }
                Fault::Late(wait) => {
                    tokio::spawn(async move {
                        tokio::time::sleep(wait).await;
                        inner.call(request).await
                    });
                    Err(ConnectorError::timeout(FaultReason("no response").into()))
                }
                Fault::Delay(wait) => {
                    tokio::time::sleep(wait).await;
                    inner.call(request).await
                }
                Fault::Unprocessed => to_sdk_response(unprocessed_response(&operation, &request)),
                Fault::Answer(status, body) => to_sdk_response(json_response(status, body)),
            }
        })
    }
}

/// The name of the operation, as AWS calls it.
fn operation_name(request: &HttpRequest) -> String {
    match request.headers().get("x-amz-target") {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => s3_operation_name(request),
    }
}

/// S3 has no header that names the operation; its clients name most of them in the query.
fn s3_operation_name(request: &HttpRequest) -> String {
    let uri = request.uri();
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let named = query.split('&').find_map(|part| part.strip_prefix("x-id="));
    if let Some(name) = named {
        return name.to_owned();
    }
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let is_object = path.trim_end_matches('/').split('/').count() > 2;
    let name = match (request.method(), is_object) {
        ("GET", true) => "GetObject",
        ("GET", false) if query.contains("list-type=2") => "ListObjectsV2",
        ("GET", false) => "ListObjects",
        ("HEAD", true) => "HeadObject",
        ("HEAD", false) => "HeadBucket",
        ("PUT", true) if request.headers().contains_key("x-amz-copy-source") => "CopyObject",
        ("PUT", true) => "PutObject",
        ("PUT", false) => "CreateBucket",
        ("DELETE", true) => "DeleteObject",
        ("DELETE", false) => "DeleteBucket",
        ("POST", false) => "DeleteObjects",
        (method, _) => method,
    };
    name.to_owned()
}

fn throttling_response(is_json: bool) -> Result<HttpResponse, ConnectorError> {
    to_sdk_response(if is_json {
        let body = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
        json_response(StatusCode::BAD_REQUEST, body.to_owned())
    } else {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        s3::error_response(status, "SlowDown", "Please reduce your request rate.")
    })
}

fn internal_error_response(is_json: bool) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    to_sdk_response(if is_json {
        let body = r#"{"__type":"InternalServerError","message":"Internal server error"}"#;
        json_response(status, body.to_owned())
    } else {
        s3::error_response(status, "InternalError", "We encountered an internal error.")
    })
}

/// Answers that nothing of the request was processed.
fn unprocessed_response(operation: &str, request: &HttpRequest) -> Response<Bytes> {
    let request: serde_json::Value = request
        .body()
        .bytes()
        .and_then(|body| serde_json::from_slice(body).ok())
        .unwrap_or_default();
    let left = match operation {
        "BatchWriteItem" => "UnprocessedItems",
        _ => "UnprocessedKeys",
    };
    let answer = serde_json::json!({ left: request["RequestItems"] });
    json_response(StatusCode::OK, answer.to_string())
}

pub(crate) fn json_response(status: StatusCode, body: String) -> Response<Bytes> {
    service::json_response(status, "application/x-amz-json-1.1", body)
}

fn to_sdk_response(response: Response<Bytes>) -> Result<HttpResponse, ConnectorError> {
    HttpResponse::try_from(response.map(SdkBody::from))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

#[derive(Debug)]
struct FaultReason(&'static str);

impl fmt::Display for FaultReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for FaultReason {}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
    use aws_sdk_eventbridge::error::{ProvideErrorMetadata, SdkError};
    use aws_sdk_eventbridge::operation::put_events::PutEventsError;
    use aws_sdk_eventbridge::types::PutEventsRequestEntry;

    use super::*;
    use crate::clients;
    use crate::event_bus::EventBus;

    struct Rig {
        folder: tempfile::TempDir,
        faults: Faults,
        client: aws_sdk_eventbridge::Client,
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let bus = EventBus::open(&folder.path().join("outcomes.jsonl")).unwrap();
            let faults = Faults::new();
            let client = clients::connect_eventbridge(faults.wrap(bus.service().http_client()));
            Self {
                folder,
                faults,
                client,
            }
        }

        /// Sends one event and says how that went.
        async fn send(&self) -> String {
            let entry = PutEventsRequestEntry::builder()
                .source("fraudstream")
                .detail_type("decision")
                .detail("{}")
                .build();
            let sent = self.client.put_events().entries(entry).send().await;
            sent.map_or_else(|error| class(&error), |_| "ok".to_owned())
        }

        fn lines(&self) -> usize {
            let text = std::fs::read_to_string(self.folder.path().join("outcomes.jsonl"));
            text.unwrap().lines().count()
        }
    }

    fn class(error: &SdkError<PutEventsError>) -> String {
        match error {
            SdkError::DispatchFailure(failure) if failure.is_timeout() => "timeout".to_owned(),
            SdkError::DispatchFailure(failure) if failure.is_io() => "io".to_owned(),
            error => error.code().unwrap_or("no code").to_owned(),
        }
    }

    /// A fault, what the client sees, and whether the event arrived.
    #[tokio::test]
    async fn each_fault_is_seen_and_has_its_effect() {
        let refused = r#"{"__type":"AccessDeniedException"}"#.to_owned();
        let cases = [
            (Fault::Pass, "ok", 1),
            (Fault::Throttle, "ThrottlingException", 0),
            (Fault::Internal, "InternalServerError", 0),
            (Fault::Drop, "io", 0),
            (Fault::TimeOut, "timeout", 1),
            (Fault::Delay(Duration::from_millis(1)), "ok", 1),
            (
                Fault::Answer(StatusCode::BAD_REQUEST, refused),
                "AccessDeniedException",
                0,
            ),
        ];
        for (fault, want, lines) in cases {
            let rig = Rig::new();
            rig.faults.inject("PutEvents", fault.clone(), 1);
            assert_eq!(rig.send().await, want, "{fault:?}");
            assert_eq!(rig.lines(), lines, "{fault:?}");
            assert_eq!(rig.send().await, "ok", "after {fault:?}");
        }
    }

    #[tokio::test]
    async fn faults_are_met_in_order_and_calls_are_counted() {
        let rig = Rig::new();
        rig.faults.inject("PutEvents", Fault::Pass, 1);
        rig.faults.inject("PutEvents", Fault::Throttle, 2);
        rig.faults.inject("PutItem", Fault::Drop, 1);
        for want in ["ok", "ThrottlingException", "ThrottlingException", "ok"] {
            assert_eq!(rig.send().await, want);
        }
        assert_eq!(rig.faults.calls(), ["PutEvents"; 4]);
        assert_eq!(rig.faults.count_calls("PutItem"), 0);
        rig.faults.inject("PutEvents", Fault::Throttle, 9);
        rig.faults.clear();
        assert_eq!(rig.send().await, "ok");
    }

    #[tokio::test]
    async fn a_delay_delays() {
        let rig = Rig::new();
        let wait = Duration::from_millis(30);
        rig.faults.inject("PutEvents", Fault::Delay(wait), 1);
        let start = Instant::now();
        assert_eq!(rig.send().await, "ok");
        assert!(start.elapsed() >= wait);
    }

    #[tokio::test]
    async fn operations_of_s3_have_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let service = s3::S3::open(folder.path()).unwrap().service();
        let faults = Faults::new();
        let client = clients::connect_s3(faults.wrap(service.http_client()));
        faults.inject("PutObject", Fault::Throttle, 1);
        client.create_bucket().bucket("b-1").send().await.unwrap();
        let put = client.put_object().bucket("b-1").key("a/b").send().await;
        assert_eq!(put.unwrap_err().code(), Some("SlowDown"));
        client
            .put_object()
            .bucket("b-1")
            .key("a/b")
            .send()
            .await
            .unwrap();
        client
            .head_object()
            .bucket("b-1")
            .key("a/b")
            .send()
            .await
            .unwrap();
        client
            .get_object()
            .bucket("b-1")
            .key("a/b")
            .send()
            .await
            .unwrap();
        client.list_objects_v2().bucket("b-1").send().await.unwrap();
        client
            .delete_object()
            .bucket("b-1")
            .key("a/b")
            .send()
            .await
            .unwrap();
        assert_eq!(
            faults.calls(),
            [
                "CreateBucket",
                "PutObject",
                "PutObject",
                "HeadObject",
                "GetObject",
                "ListObjectsV2",
                "DeleteObject"
            ],
        );
    }

    #[tokio::test]
    async fn an_index_can_lag() {
        let faults = Faults::new();
        let service = crate::dynamodb::DynamoDb::in_memory().unwrap().service();
        let client = clients::connect_dynamodb(faults.wrap(service.http_client()));
        faults.inject("Query", Fault::stale_index(), 1);
        let page = client
            .query()
            .table_name("None")
            .index_name("queue")
            .send()
            .await
            .unwrap();
        assert_eq!(page.count(), 0);
    }

    #[tokio::test]
    async fn a_batch_can_be_left_unprocessed() {
        let faults = Faults::new();
        let service = crate::dynamodb::DynamoDb::in_memory().unwrap().service();
        let client = clients::connect_dynamodb(faults.wrap(service.http_client()));
        let pk = AttributeValue::S("a".to_owned());
        let keys = KeysAndAttributes::builder().keys([("pk".to_owned(), pk.clone())].into());
        faults.inject("BatchGetItem", Fault::Unprocessed, 1);
        let get = client.batch_get_item();
        let get = get.request_items("None", keys.build().unwrap());
        let left = get.send().await.unwrap().unprocessed_keys.unwrap();
        assert_eq!(left["None"].keys[0]["pk"], pk);
        let put = PutRequest::builder().item("pk", pk.clone()).build();
        let put = WriteRequest::builder().put_request(put.unwrap()).build();
        faults.inject("BatchWriteItem", Fault::Unprocessed, 1);
        let write = client.batch_write_item().request_items("None", vec![put]);
        let left = write.send().await.unwrap().unprocessed_items.unwrap();
        assert_eq!(left["None"][0].put_request().unwrap().item["pk"], pk);
    }
}
