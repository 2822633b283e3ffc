//! Decides orders that are posted to the server.
//!
//! Orders that come while others are being decided wait, and are decided together, as a batch: they share their reads and
//! writes, and an order that several callers send at the same time is decided once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use jiff::Timestamp;
use predict::{HttpAnswer, OrderResult, PredictFunction, read_order};
use shared::batch::{CHUNK, InvocationContext};
use shared::failure::Failure;
use shared::http_call::HttpCall;
use shared::records::Record;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The service's name in signatures: a function URL's.
pub(super) const SIGNED_AS: &str = "lambda";

/// How many orders may wait; further ones are told to come again.
const WAITING: usize = 256;

/// An order that waits for its decision.
struct WaitingOrder {
    record: Record,
    result: oneshot::Sender<Result<OrderResult, Failure>>,
}

/// Decides orders that are posted to the server.
#[derive(Clone)]
pub struct DecideService {
    predict: Arc<PredictFunction>,
    waiting: mpsc::Sender<WaitingOrder>,
    timeout: Duration,
}

impl std::fmt::Debug for DecideService {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DecideService")
    }
}

impl DecideService {
    /// A service that answers after `timeout`, decided or not. What is not decided by then is decided all the same.
    ///
    /// The task decides; it ends when the service and all its clones are dropped and nothing waits.
    pub fn start(predict: PredictFunction, timeout: Duration) -> (Self, JoinHandle<()>) {
        let predict = Arc::new(predict);
        let (waiting, queue) = mpsc::channel(WAITING);
        let (decider, runtime) = (Arc::clone(&predict), Handle::current());
        // A batch stays on one thread.
        let deciding =
            tokio::task::spawn_blocking(move || runtime.block_on(decide_waiting(&decider, queue)));
        let service = Self {
            predict,
            waiting,
            timeout,
        };
        (service, deciding)
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let media_type = request.headers().get(CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok());
        let call = HttpCall {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            media_type: media_type.map(str::to_owned),
            body: request.body().to_vec(),
        };
        let answer = match read_order(call) {
            Ok(record) => self.decide(record).await,
            Err(answer) => answer,
        };
        make_response(answer)
    }

    async fn decide(&self, record: Record) -> HttpAnswer {
        let (result, decided) = oneshot::channel();
        match self.waiting.try_send(WaitingOrder { record, result }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                let message =
                    format!("{WAITING} orders wait already: ask again with the same order");
                return HttpAnswer::unavailable("throttled", &message, "1");
            }
            Err(TrySendError::Closed(_)) => {
                let message = "the server decides no orders any more: start it again";
                return HttpAnswer::unavailable("set-up", message, "30");
            }
        }
        match tokio::time::timeout(self.timeout, decided).await {
            Ok(result) => {
                let ended = |_| Err(Failure::retry("not finished"));
                self.predict.make_answer(result.unwrap_or_else(ended))
            }
            Err(_) => self.predict.late_answer(),
        }
    }
}

/// Decides what waits, together, until nothing can come any more.
async fn decide_waiting(predict: &PredictFunction, mut queue: mpsc::Receiver<WaitingOrder>) {
    let mut orders = Vec::with_capacity(CHUNK);
    while queue.recv_many(&mut orders, CHUNK).await > 0 {
        let orders = orders.drain(..).map(|order| (order.record, order.result));
        let (records, senders): (Vec<_>, Vec<_>) = orders.unzip();
        let context = InvocationContext::new(Timestamp::now(), 0);
        let results = predict.decide_direct(&records, context).await;
        for (sender, result) in senders.into_iter().zip(results) {
            // A caller that waits no longer asks again.
            drop(sender.send(result));
        }
    }
}

/// The answer where the server has no mapping.
pub(super) fn no_mapping_response() -> Response<Bytes> {
    let message = "this server has no mapping, so it cannot read orders: start it with --mapping FILE, which \
                   `fraudstream init` drafts";
    make_response(HttpAnswer::unavailable("set-up", message, "30"))
}

/// The answer to a request whose body was not read.
pub(super) fn unread_body_response(status: u16, message: &str) -> Response<Bytes> {
    make_response(match status {
        413 => HttpAnswer::too_large(),
        503 => HttpAnswer::unavailable("throttled", message, "1"),
        status => HttpAnswer::refused(status, "incomplete", message),
    })
}

fn make_response(answer: HttpAnswer) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(answer.body.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        let headers = response.headers_mut();
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}
