//! The network between an environment and the services: it delays, refuses, loses and cuts off calls.
//!
//! What happens to a call is drawn from its name and the number of calls with that name, such as `PutItem Decisions
//! order#ord-000007 #2`.

mod calls;
mod disturbances;
mod partial;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
use engine::Engine;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::delivery::queue::VisibilityChange;
use super::dice::Dice;
use super::history::{Clock, History};
use super::scenario::Disturbance;
use super::store::{Store, exception};
use calls::Call;
pub use disturbances::Disturbances;
use disturbances::OutageKind;

/// By when after the last disturbance everything must be done, in milliseconds: more time than a queue needs to deliver
/// a message again several times, and less than an environment lives. If only a new environment would help, that is a
/// fault.
pub const PATIENCE_MS: u64 = 45 * 60_000;

/// The service that a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// For decisions and the engine's state.
    DynamoDb,
    /// For rejected records.
    S3,
    /// For outcomes.
    EventBridge,
    /// Amazon's service, if the engine is not linked in.
    FraudDetector,
    /// For the visibility of messages that failed.
    Sqs,
}

/// Counts of what happened, for the printed report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of services; each attempt counts.
    pub calls: u64,
    /// Calls with a disturbance, by disturbance.
    pub faults: BTreeMap<Disturbance, u64>,
    /// Invocations of functions.
    pub invocations: u64,
    /// Environments that were started.
    pub environments: u64,
    /// Lines that functions logged.
    pub log_lines: usize,
}

impl Counts {
    /// Adds the counts of another day.
    pub fn add(&mut self, more: &Self) {
        self.calls += more.calls;
        self.invocations += more.invocations;
        self.environments += more.environments;
        self.log_lines += more.log_lines;
        for (disturbance, times) in &more.faults {
            *self.faults.entry(*disturbance).or_default() += times;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            calls,
            invocations,
            environments,
            log_lines,
            faults,
        } = self;
        write!(
            f,
            "{calls} calls, {invocations} invocations in {environments} environments, {log_lines} lines logged"
        )?;
        for (disturbance, times) in faults {
            write!(f, ", {times} {disturbance:?}")?;
        }
        Ok(())
    }
}

/// Everything that environments share: disturbances, services, clock and history.
pub struct World {
    /// The random choices.
    pub dice: Dice,
    /// The clock.
    pub clock: Clock,
    /// The history of the day.
    pub history: History,
    /// The services.
    pub store: Arc<Store>,
    /// The disturbances, with their rates.
    pub disturbances: Disturbances,
    /// The engine that answers as Amazon if it is not linked in.
    pub amazon: Arc<Engine>,
    /// The counts so far.
    pub counts: Mutex<Counts>,
    /// The number of calls with each name.
    names: Mutex<BTreeMap<String, u32>>,
    /// What was asked of the queues and they do not know yet.
    visibility: Mutex<Vec<VisibilityChange>>,
}

impl World {
    /// A world without any calls so far.
    pub fn new(
        disturbances: Disturbances,
        clock: Clock,
        history: History,
        store: Arc<Store>,
        amazon: Arc<Engine>,
    ) -> Self {
        Self {
            dice: disturbances.dice,
            clock,
            history,
            store,
            disturbances,
            amazon,
            counts: Mutex::default(),
            names: Mutex::default(),
            visibility: Mutex::default(),
        }
    }

    /// Adds to the counts.
    pub fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes what a `ChangeMessageVisibilityBatch` asks for.
    fn change_visibility(&self, body: &Value) -> Response<Bytes> {
        let entries = body["Entries"].as_array().into_iter().flatten();
        let (mut changes, mut successful) = (Vec::new(), Vec::new());
        for entry in entries {
            let seconds = entry["VisibilityTimeout"].as_u64().unwrap_or(0);
            changes.push(VisibilityChange {
                receipt_handle: entry["ReceiptHandle"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                at: self.clock.now(),
                hidden_ms: seconds * 1_000,
            });
            successful.push(json!({ "Id": entry["Id"] }));
        }
        let mut all = self
            .visibility
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.extend(changes);
        let answer = json!({"Successful": successful, "Failed": []});
        Response::new(Bytes::from(answer.to_string()))
    }

    /// Takes what was asked of the queues since the last time.
    pub fn take_visibility_changes(&self) -> Vec<VisibilityChange> {
        let mut all = self
            .visibility
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut all)
    }

    fn met(&self, disturbance: Disturbance) {
        self.count(|counts| *counts.faults.entry(disturbance).or_default() += 1);
    }

    /// The name with the number of calls so far.
    pub fn numbered(&self, name: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let times = names.entry(name.to_owned()).or_default();
        *times += 1;
        format!("{name} #{times}")
    }
}

/// Whether an environment is alive, and when it is killed.
#[derive(Debug, Default)]
pub struct KillSwitch {
    is_over: AtomicBool,
    /// The number of calls in this invocation.
    calls: AtomicU32,
    /// The number of the call at which it is killed, and whether that call has its effect; 0: none.
    last_call: AtomicU32,
    has_effect: AtomicBool,
    /// Notified when a call ends the environment.
    pub ended: Notify,
}

impl KillSwitch {
    /// Begins an invocation, which may be killed at a call.
    pub fn begin(&self, kill: Option<(u32, bool)>) {
        let (last, has_effect) = kill.unwrap_or_default();
        self.calls.store(0, Ordering::Relaxed);
        self.last_call.store(last, Ordering::Relaxed);
        self.has_effect.store(has_effect, Ordering::Relaxed);
    }

    /// Ends the environment: none of its calls continues.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.ended.notify_one();
    }

    /// Whether the environment has ended.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Counts a call. If it is the last one, returns whether it has its effect.
    fn is_last(&self) -> Option<bool> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let is_last = call == self.last_call.load(Ordering::Relaxed);
        is_last.then(|| self.has_effect.load(Ordering::Relaxed))
    }
}

/// The network of one environment, as the HTTP client of its SDK clients.
#[derive(Clone)]
pub struct Network {
    world: Arc<World>,
    kill_switch: Arc<KillSwitch>,
    /// The environment's name.
    who: String,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({})", self.who)
    }
}

impl Network {
    /// The network of an environment.
    pub fn new(world: Arc<World>, kill_switch: Arc<KillSwitch>, who: String) -> Self {
        Self {
            world,
            kill_switch,
            who,
        }
    }

    /// The network as the HTTP client of an SDK client.
    pub fn http_client(self) -> SharedHttpClient {
        SharedHttpClient::new(self)
    }

    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = engine::collect_request(request).await?;
        let call = Call::new(&request);
        let world = Arc::clone(&self.world);
        world.count(|counts| counts.calls += 1);
        let name = world.numbered(&call.to_string());
        if self.kill_switch.is_over() {
            return std::future::pending().await;
        }
        let last = self.kill_switch.is_last();
        if last == Some(false) {
            return self.kill(&name, "before").await;
        }
        let wait = |least, end| {
            let ms = world
                .dice
                .between(format_args!("wait {least} {name}"), least, end);
            tokio::time::sleep(Duration::from_millis(ms))
        };
        let now = world.clock.now();
        let answered = match self.fate(&call, &name, now) {
            Fate::Refused(response, why) => {
                wait(1, 20).await;
                self.told(&name, why);
                Ok(response)
            }
            Fate::Passes => {
                wait(1, 20).await;
                let response = self.reach(&call, &name, request).await;
                if last == Some(true) {
                    return self.kill(&name, "after").await;
                }
                wait(0, 5).await;
                Ok(response)
            }
            Fate::Slow => {
                wait(500, 6_000).await;
                let response = self.reach(&call, &name, request).await;
                Ok(response)
            }
            Fate::LostRequest => {
                wait(1, 20).await;
                self.told(&name, "lost on its way");
                Err(broken())
            }
            Fate::LostAnswer => {
                wait(1, 20).await;
                drop(self.reach(&call, &name, request).await);
                self.told(&name, "its answer is lost");
                Err(broken())
            }
            Fate::NoAnswer => {
                self.told(&name, "never arrives");
                return std::future::pending().await;
            }
            Fate::LateEffect => {
                // The caller gives up. The request arrives anyway, even after its environment has ended.
                self.told(&name, "is on its way for long");
                let (network, late) = (self.clone(), wait(2_100, 9_000));
                tokio::spawn(async move {
                    late.await;
                    drop(
                        network
                            .reach(&call, &format!("{name}, late"), request)
                            .await,
                    );
                });
                return std::future::pending().await;
            }
        };
        if last == Some(true) {
            return self.kill(&name, "after").await;
        }
        answered.and_then(|response| {
            HttpResponse::try_from(response.map(SdkBody::from))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }

    async fn kill(&self, name: &str, when: &str) -> Result<HttpResponse, ConnectorError> {
        self.told(name, format_args!("the environment is killed {when} it"));
        self.kill_switch.end();
        std::future::pending().await
    }

    fn told(&self, name: &str, what: impl fmt::Display) {
        self.world
            .history
            .add(&self.who, format_args!("{name}: {what}"));
    }

    fn fate(&self, call: &Call, name: &str, now: u64) -> Fate {
        let world = &self.world;
        let refused = |status, code: &str, why| {
            let response = if call.service == Service::S3 {
                s3_refusal(status, code)
            } else {
                exception(status, code)
            };
            Fate::Refused(response, why)
        };
        let bad = StatusCode::BAD_REQUEST;
        if let Some(outage) = world.disturbances.outage(call.service, now) {
            world.met(Disturbance::Outage);
            return match outage {
                OutageKind::AccessDenied if call.service == Service::S3 => {
                    refused(StatusCode::FORBIDDEN, "AccessDenied", "access denied")
                }
                OutageKind::AccessDenied => refused(bad, "AccessDeniedException", "access denied"),
                OutageKind::NotThere if call.service == Service::S3 => {
                    refused(StatusCode::NOT_FOUND, "NoSuchBucket", "no such bucket")
                }
                // For `UpdateEventLabel`, this exception would mean that the event does not exist.
                OutageKind::NotThere if call.operation != "UpdateEventLabel" => {
                    refused(bad, "ResourceNotFoundException", "not there")
                }
                OutageKind::NotThere | OutageKind::Throttled => throttled(call, refused),
                OutageKind::Slow => Fate::Slow,
            };
        }
        let Some(disturbance) = world.disturbances.disturbance(name, now) else {
            return Fate::Passes;
        };
        let fate = match disturbance {
            Disturbance::Throttle => throttled(call, refused),
            Disturbance::ServerError => {
                let code = match call.service {
                    Service::S3 => "InternalError",
                    Service::FraudDetector => "InternalServerException",
                    Service::DynamoDb | Service::EventBridge | Service::Sqs => {
                        "InternalServerError"
                    }
                };
                refused(StatusCode::INTERNAL_SERVER_ERROR, code, "500")
            }
            Disturbance::LostRequest if world.dice.happens(format_args!("silent {name}"), 500) => {
                Fate::NoAnswer
            }
            Disturbance::LostRequest => Fate::LostRequest,
            Disturbance::LostAnswer => Fate::LostAnswer,
            Disturbance::LateEffect => Fate::LateEffect,
            Disturbance::Slow => Fate::Slow,
            // Where the request is answered, it is drawn which part of it is left out.
            _ => return Fate::Passes,
        };
        world.met(disturbance);
        fate
    }

    /// Lets the request have its effect. Returns the answer.
    async fn reach(&self, call: &Call, name: &str, request: Request<Bytes>) -> Response<Bytes> {
        let world = &self.world;
        let now = world.clock.now();
        let is = |disturbance| world.disturbances.disturbance(name, now) == Some(disturbance);
        let response = match call.service {
            Service::DynamoDb
                if call.operation == "BatchGetItem" && is(Disturbance::Unprocessed) =>
            {
                world.met(Disturbance::Unprocessed);
                self.get_some(name, call.body.clone(), request)
            }
            Service::DynamoDb
                if call.operation == "BatchWriteItem" && is(Disturbance::Unprocessed) =>
            {
                world.met(Disturbance::Unprocessed);
                self.write_some(name, call.body.clone(), request)
            }
            Service::DynamoDb
                if call.operation == "BatchExecuteStatement" && is(Disturbance::PartialFailure) =>
            {
                world.met(Disturbance::PartialFailure);
                self.execute_some(name, call.body.clone(), request)
            }
            Service::DynamoDb => world.store.dynamodb(&call.operation, &call.body, &request),
            Service::S3 => world.store.put_object(&call.subject, request.into_body()),
            Service::EventBridge => {
                let is_partial = is(Disturbance::PartialFailure);
                let fails = |place: usize| {
                    is_partial
                        && world
                            .dice
                            .happens(format_args!("entry {place} of {name}"), 500)
                };
                if is_partial {
                    world.met(Disturbance::PartialFailure);
                }
                world.store.put_events(request.body(), fails)
            }
            Service::FraudDetector => world.amazon.handle(request).await,
            Service::Sqs => world.change_visibility(&call.body),
        };
        let status = response.status();
        if status.is_success() {
            self.told(name, "ok");
        } else {
            let code: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            let code = code["__type"].as_str().unwrap_or_default();
            let code = code.rsplit('#').next().unwrap_or_default();
            self.told(name, format_args!("{} {code}", status.as_u16()));
        }
        response
    }
}

fn throttled(call: &Call, refused: impl FnOnce(StatusCode, &str, &'static str) -> Fate) -> Fate {
    match call.service {
        Service::S3 => refused(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "throttled"),
        Service::DynamoDb => {
            let code = "ProvisionedThroughputExceededException";
            refused(StatusCode::BAD_REQUEST, code, "throttled")
        }
        Service::EventBridge | Service::FraudDetector | Service::Sqs => {
            refused(StatusCode::BAD_REQUEST, "ThrottlingException", "throttled")
        }
    }
}

/// What happens to a call.
enum Fate {
    Passes,
    Slow,
    Refused(Response<Bytes>, &'static str),
    /// The connection breaks before the request arrives.
    LostRequest,
    /// The connection breaks after the request has had its effect.
    LostAnswer,
    /// The request is lost, and there is no answer.
    NoAnswer,
    /// There is no answer, and the request arrives later.
    LateEffect,
}

impl HttpClient for Network {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().answer(request))
    }
}

fn s3_refusal(status: StatusCode, code: &str) -> Response<Bytes> {
    let body = format!("<Error><Code>{code}</Code><Message>simulated</Message></Error>");
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response
}

fn broken() -> ConnectorError {
    let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    ConnectorError::io(reset.into())
}
