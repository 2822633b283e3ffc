//! The network between an environment and the services: it delays, refuses, loses and cuts off calls.
//!
//! What happens to a call is drawn from its name and the number of calls with that name, such as `PutItem Decisions
//! order#ord-000007 #2`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
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

use super::day::{Day, End, Input, Source};
use super::dice::Dice;
use super::history::{Clock, History};
use super::scenario::{DISTURBANCES, Disturbance, Scenario};
use super::store::{Store, exception, find_inserted_key, json_response};

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
}

/// The services that have outages. The bucket is listed twice, because most of its outages have no effect.
const SERVICES: [Service; 5] = [
    Service::DynamoDb,
    Service::S3,
    Service::S3,
    Service::EventBridge,
    Service::FraudDetector,
];

/// How a service fails during an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutageKind {
    AccessDenied,
    NotThere,
    Throttled,
    Slow,
}

/// A service that fails for some time.
#[derive(Debug)]
struct Outage {
    service: Service,
    times: Range<u64>,
    kind: OutageKind,
}

impl Outage {
    /// Draws an outage. It begins before something is sent that needs the service, because without calls it would have
    /// no effect.
    fn draw(dice: Dice, number: u64, day: &Day) -> Self {
        let name = |what: &str| format!("outage {number} {what}");
        let service = dice.one_of(name("service"), &SERVICES);
        // Only records that are parked need the bucket.
        let is_poison = |input: &Input| {
            matches!(input.end, End::Parked(_)) && input.source != Source::Chargebacks
        };
        let needs = |input: &&Input| service != Service::S3 || is_poison(input);
        let inputs: Vec<&Input> = day.inputs.iter().filter(needs).collect();
        let at = inputs
            .get(dice.place(name("input"), inputs.len()))
            .map_or(0, |input| input.at);
        let longest = if dice.happens(name("long"), 500) {
            60 * 60_000
        } else {
            120_000
        };
        let length = dice.between(name("length"), 1_000, longest);
        // Half of the outages begin while such a record is processed.
        let start = if dice.happens(name("in the middle"), 500) {
            at + dice.between(name("start"), 0, 2_000)
        } else {
            at.saturating_sub(dice.between(name("start"), 0, length / 2 + 1))
        };
        let kinds = [
            OutageKind::AccessDenied,
            OutageKind::NotThere,
            OutageKind::Throttled,
            OutageKind::Slow,
        ];
        Self {
            service,
            times: start..start + length,
            kind: dice.one_of(name("kind"), &kinds),
        }
    }
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

/// The disturbances of a day, with their rates.
#[derive(Debug)]
pub struct Disturbances {
    scenario: Scenario,
    dice: Dice,
    /// Per thousand calls.
    rates: Vec<(Disturbance, u64)>,
    outages: Vec<Outage>,
    /// When all services work again, in milliseconds of the day.
    ends: u64,
}

impl Disturbances {
    /// The disturbances of a day until `ends`.
    pub fn new(scenario: &Scenario, day: &Day, ends: u64) -> Self {
        let dice = scenario.dice();
        let rate = |disturbance: Disturbance| {
            let rates: &[u64] = match disturbance {
                Disturbance::Unprocessed | Disturbance::PartialFailure => &[0, 50, 200, 400],
                _ => &[0, 0, 3, 10, 30],
            };
            (
                disturbance,
                dice.one_of(format_args!("rate {disturbance:?}"), rates),
            )
        };
        let rates = DISTURBANCES
            .into_iter()
            .filter(|it| it.is_of_a_call() && scenario.has(*it));
        let outages = (0..dice.between("outages", 0, 5))
            .filter(|_| scenario.has(Disturbance::Outage))
            .map(|number| Outage::draw(dice, number, day))
            .collect();
        Self {
            rates: rates.map(rate).collect(),
            outages,
            scenario: scenario.clone(),
            dice,
            ends,
        }
    }

    fn outage(&self, service: Service, now: u64) -> Option<OutageKind> {
        let mut outages = self.outages.iter();
        let found = outages.find(|out| out.service == service && out.times.contains(&now));
        found.filter(|_| now < self.ends).map(|out| out.kind)
    }

    /// When all services work again that fail at this time or soon after.
    pub fn works_from(&self, time: u64) -> u64 {
        let mut works = time;
        // An outage that begins before the record is done may delay it, too.
        while let Some(out) = self
            .outages
            .iter()
            .find(|out| out.times.start <= works + PATIENCE_MS && out.times.end > works)
        {
            works = out.times.end;
        }
        works
    }

    fn disturbance(&self, name: &str, now: u64) -> Option<Disturbance> {
        if now >= self.ends {
            return None;
        }
        let happens = |(disturbance, rate): &&(Disturbance, u64)| {
            self.dice
                .happens(format_args!("{disturbance:?} of {name}"), *rate)
        };
        self.rates.iter().find(happens).map(|(found, _)| *found)
    }

    /// Whether environments may be killed at this time.
    pub fn kills(&self, now: u64) -> bool {
        now < self.ends && self.has(Disturbance::Kill)
    }

    /// Whether only delivery is disturbed.
    pub fn is_calm(&self) -> bool {
        self.scenario.is_calm()
    }

    /// Whether this disturbance may happen on this day.
    pub fn has(&self, disturbance: Disturbance) -> bool {
        self.scenario.has(disturbance)
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
        }
    }

    /// Adds to the counts.
    pub fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
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
                    Service::DynamoDb | Service::EventBridge => "InternalServerError",
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

    /// Answers `BatchGetItem` for some of the keys; the others are unprocessed
    /// (`docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html`).
    fn get_some(&self, name: &str, mut asked: Value, request: Request<Bytes>) -> Response<Bytes> {
        let mut left = json!({});
        let tables = asked["RequestItems"].as_object_mut();
        for (table, wanted) in tables.into_iter().flatten() {
            let unread = self.leave_out_some(name, &mut wanted["Keys"], |key| key);
            if !unread.is_empty() {
                left[table] = wanted.clone();
                left[table]["Keys"] = Value::Array(unread);
            }
        }
        let is_empty = |wanted: &Value| wanted["Keys"].as_array().is_none_or(Vec::is_empty);
        if asked["RequestItems"]
            .as_object()
            .is_none_or(|tables| tables.values().all(is_empty))
        {
            return json_response(&json!({"Responses": {}, "UnprocessedKeys": left}));
        }
        let request = request.map(|_| Bytes::from(asked.to_string()));
        let response = self.world.store.dynamodb("BatchGetItem", &asked, &request);
        if !response.status().is_success() {
            return response;
        }
        let mut answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        answer["UnprocessedKeys"] = left;
        json_response(&answer)
    }

    /// Takes about half of a list out of it, as drawn for their keys. Returns what was taken.
    fn leave_out_some(
        &self,
        name: &str,
        list: &mut Value,
        key: impl Fn(&Value) -> &Value,
    ) -> Vec<Value> {
        let is_left = |value: &Value| {
            let key = key(value);
            self.world
                .dice
                .happens(format_args!("unprocessed {key} of {name}"), 500)
        };
        let all = list.as_array().cloned().unwrap_or_default();
        let (left, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(is_left);
        *list = Value::Array(kept);
        left
    }

    /// Answers `BatchWriteItem` for some of the items; the others are unprocessed
    /// (`docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html`).
    fn write_some(&self, name: &str, mut asked: Value, request: Request<Bytes>) -> Response<Bytes> {
        let mut left = json!({});
        let tables = asked["RequestItems"].as_object_mut();
        let tables = tables.into_iter().flatten();
        for (table, writes) in tables {
            let unwritten =
                self.leave_out_some(name, writes, |write| &write["PutRequest"]["Item"]["pk"]);
            if !unwritten.is_empty() {
                left[table] = Value::Array(unwritten);
            }
        }
        let is_empty = |writes: &Value| writes.as_array().is_none_or(Vec::is_empty);
        if asked["RequestItems"]
            .as_object()
            .is_none_or(|tables| tables.values().all(is_empty))
        {
            return json_response(&json!({ "UnprocessedItems": left }));
        }
        let request = request.map(|_| Bytes::from(asked.to_string()));
        let response = self
            .world
            .store
            .dynamodb("BatchWriteItem", &asked, &request);
        if !response.status().is_success() {
            return response;
        }
        json_response(&json!({ "UnprocessedItems": left }))
    }

    /// Answers `BatchExecuteStatement`, of which some statements fail.
    fn execute_some(
        &self,
        name: &str,
        mut asked: Value,
        request: Request<Bytes>,
    ) -> Response<Bytes> {
        let statements = asked["Statements"].as_array().cloned().unwrap_or_default();
        let fate = |place: usize| {
            let dice = self.world.dice;
            let fails = dice.happens(format_args!("statement {place} of {name}"), 500);
            let how = format_args!("how statement {place} of {name} fails").to_string();
            fails.then(|| dice.one_of(how, &STATEMENT_FAILURES))
        };
        let fates: Vec<Option<(&str, bool)>> = (0..statements.len()).map(fate).collect();
        let has_effect = |place: usize| fates[place].is_none_or(|(_, has_effect)| has_effect);
        let executed: Vec<Value> = statements
            .into_iter()
            .enumerate()
            .filter(|(place, _)| has_effect(*place))
            .map(|(_, statement)| statement)
            .collect();
        let mut answers = Vec::new();
        if !executed.is_empty() {
            asked["Statements"] = Value::Array(executed);
            let request = request.map(|_| Bytes::from(asked.to_string()));
            let response = self
                .world
                .store
                .dynamodb("BatchExecuteStatement", &asked, &request);
            if !response.status().is_success() {
                return response;
            }
            let mut answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            answers = answer["Responses"]
                .as_array_mut()
                .map(std::mem::take)
                .unwrap_or_default();
        }
        let mut answers = answers.into_iter();
        let responses = fates.iter().map(|fate| {
            let failure = |code| json!({"Error": {"Code": code, "Message": "simulated"}});
            match fate {
                None => answers.next().unwrap_or_default(),
                Some((code, true)) => {
                    answers.next();
                    failure(*code)
                }
                Some((code, false)) => failure(*code),
            }
        });
        let responses: Vec<Value> = responses.collect();
        json_response(&json!({ "Responses": responses }))
    }
}

/// How a statement of a `BatchExecuteStatement` fails, and whether it has its effect all the same
/// (`docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html`).
const STATEMENT_FAILURES: [(&str, bool); 5] = [
    ("ThrottlingError", false),
    ("ProvisionedThroughputExceeded", false),
    ("TransactionConflict", false),
    ("InternalServerError", false),
    ("InternalServerError", true),
];

fn throttled(call: &Call, refused: impl FnOnce(StatusCode, &str, &'static str) -> Fate) -> Fate {
    match call.service {
        Service::S3 => refused(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "throttled"),
        Service::DynamoDb => {
            let code = "ProvisionedThroughputExceededException";
            refused(StatusCode::BAD_REQUEST, code, "throttled")
        }
        Service::EventBridge | Service::FraudDetector => {
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

/// A call, with its name for the history and the dice.
#[derive(Clone, Debug)]
struct Call {
    service: Service,
    operation: String,
    /// The subject of the call: table and key, object or event.
    subject: String,
    /// The JSON body; null for S3.
    body: Value,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.subject)
    }
}

impl Call {
    fn new(request: &Request<Bytes>) -> Self {
        let target = request.headers().get("x-amz-target");
        let target = target.and_then(|target| target.to_str().ok());
        let Some((service, operation)) = target.and_then(|target| target.split_once('.')) else {
            return Self {
                service: Service::S3,
                operation: "PutObject".to_owned(),
                subject: request.uri().path().trim_start_matches('/').to_owned(),
                body: Value::Null,
            };
        };
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let service = match service {
            "AWSEvents" => Service::EventBridge,
            "AWSHawksNestServiceFacade" => Service::FraudDetector,
            _ => Service::DynamoDb,
        };
        let subject = match service {
            Service::DynamoDb => subject_in_tables(operation, &body),
            Service::EventBridge => decisions_in(&body),
            _ => body["eventId"].as_str().unwrap_or_default().to_owned(),
        };
        Self {
            service,
            operation: operation.to_owned(),
            subject,
            body,
        }
    }
}

/// The table and the partition keys in a request of DynamoDB.
fn subject_in_tables(operation: &str, body: &Value) -> String {
    fn pk(item: &Value) -> &str {
        item["pk"]["S"].as_str().unwrap_or_default()
    }
    let table = body["TableName"].as_str().unwrap_or_default();
    match operation {
        "PutItem" => format!("{table} {}", pk(&body["Item"])),
        "Query" => {
            let key = &body["ExpressionAttributeValues"][":pk"]["S"];
            format!("{table} {}", key.as_str().unwrap_or_default())
        }
        "BatchGetItem" => {
            let mut keys: Vec<&str> = Vec::new();
            for table in body["RequestItems"]
                .as_object()
                .into_iter()
                .flat_map(|it| it.values())
            {
                keys.extend(table["Keys"].as_array().into_iter().flatten().map(pk));
            }
            keys.sort_unstable();
            keys.dedup();
            keys.join(" ")
        }
        "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            let keys = tables.flat_map(|(table, writes)| {
                let writes = writes.as_array().into_iter().flatten();
                writes.map(move |write| format!("{table} {}", pk(&write["PutRequest"]["Item"])))
            });
            let mut keys: Vec<String> = keys.collect();
            keys.sort_unstable();
            keys.join(" ")
        }
        "BatchExecuteStatement" => {
            let statements = body["Statements"].as_array().into_iter().flatten();
            let keys = statements.filter_map(find_inserted_key);
            let mut keys: Vec<String> = keys.map(|key| pk(&key).to_owned()).collect();
            keys.sort_unstable();
            keys.join(" ")
        }
        "TransactWriteItems" => {
            let items = body["TransactItems"].as_array().into_iter().flatten();
            let actions = items
                .filter_map(Value::as_object)
                .flat_map(|item| item.values());
            let keys = actions.map(|action| {
                let item = if action["Item"].is_object() {
                    &action["Item"]
                } else {
                    &action["Key"]
                };
                pk(item)
            });
            keys.collect::<Vec<_>>().join(" ")
        }
        _ => format!("{table} {}", pk(&body["Key"])),
    }
}

fn decisions_in(body: &Value) -> String {
    let entries = body["Entries"].as_array().into_iter().flatten();
    let ids = entries.filter_map(|entry| {
        let detail: Value = serde_json::from_str(entry["Detail"].as_str()?).ok()?;
        Some(detail["decision_id"].as_str()?.to_owned())
    });
    ids.collect::<Vec<_>>().join(" ")
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
