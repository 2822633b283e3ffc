//! Runs the day: records are sent, delivered and answered until nothing is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_frauddetector::Client as FraudDetector;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use engine::{Engine, EngineOptions};
use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use http::Request;
use local_aws::clients;
use local_aws::local_stack::{self, DECISIONS};
use local_aws::service::Service;
use serde_json::{Value, json};

use super::check::{self, EndOfDay};
use super::day::{Changes, Day, Input, Sent, Source, VELOCITY_VARIABLES, mapping_of};
use super::delivery::queue::{Queue, QueueRules, VisibilityChange};
use super::delivery::stream::{Stream, StreamKind, StreamRecord, StreamRules};
use super::delivery::{Answer, EventSource};
use super::environment::{Ended, Environment, Function};
use super::history::{Clock, History};
use super::network::{Disturbances, PATIENCE_MS, World};
use super::report::{Law, Log, Report, Violation};
use super::scenario::Scenario;
use super::store::Store;
use crate::sample;

/// The possible time-outs of functions, in milliseconds. The template has the last one.
const TIME_OUTS_MS: [u64; 4] = [3_000, 6_000, 15_000, 60_000];
/// The most environments at the same time: the concurrency of the account.
const MOST_AT_ONCE: usize = 40;
/// The default of `MaximumRecordAgeInSeconds` in the template, in milliseconds.
const MAX_AGE_MS: u64 = 6 * 3_600_000;
/// `maxReceiveCount` in the template.
const MAX_RECEIVES: u32 = 250;

/// Runs the day of a scenario.
pub async fn live(scenario: &Scenario, log: &Log) -> Report {
    let day = Day::new(scenario);
    let mut lambda = Lambda::new(scenario, day).await;
    if scenario.is_undisturbed {
        lambda.run_undisturbed().await;
    } else {
        lambda.run().await;
    }
    lambda.report(scenario, log).await
}

/// The sources that Lambda polls, in the order in which they are polled.
const POLLED: [Source; 7] = [
    Source::Orders,
    Source::OrderQueue,
    Source::OrderFifo,
    Source::History,
    Source::HistoryQueue,
    Source::Chargebacks,
    Source::Decisions,
];

/// The function that gets the records of a source.
fn function_of(source: Source) -> Function {
    match source {
        Source::Orders | Source::OrderQueue | Source::OrderFifo | Source::Checkout => {
            Function::Predict
        }
        Source::History | Source::HistoryQueue => Function::Ingest,
        Source::Chargebacks => Function::Label,
        Source::Decisions => Function::Forward,
    }
}

/// All event sources.
struct Sources {
    orders: Stream,
    order_queue: Queue,
    order_fifo: Queue,
    history: Stream,
    history_queue: Queue,
    chargebacks: Queue,
    decisions: Stream,
}

impl Sources {
    fn new(world: &World, time_out_ms: u64) -> Self {
        let dice = world.dice;
        let stream = |name: &'static str, kind| {
            let drawn =
                |what: &str, list: &[usize]| dice.one_of(format_args!("{what} of {name}"), list);
            let service = if kind == StreamKind::Kinesis {
                "kinesis"
            } else {
                "dynamodb"
            };
            let rules = StreamRules {
                arn: format!("arn:aws:{service}:us-east-1:123456789012:stream/{name}"),
                kind,
                shards: drawn("shards", &[1, 2, 3]),
                batch_size: drawn("batch size", &[10, 25, 100]),
                factor: drawn("factor", &[1, 1, 2, 4]),
                bisect: true,
                max_age_ms: MAX_AGE_MS,
            };
            Stream::new(rules, name, dice)
        };
        let queue = |name: &'static str, fifo| {
            let rules = QueueRules {
                arn: format!("arn:aws:sqs:us-east-1:123456789012:{name}"),
                fifo,
                batch_size: 10,
                // AWS recommends six times the time-out of the function
                // (docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).
                visibility_ms: 6 * time_out_ms,
                max_receives: MAX_RECEIVES,
                max_in_flight: 5,
            };
            Queue::new(rules, name, dice)
        };
        Self {
            orders: stream("orders", StreamKind::Kinesis),
            order_queue: queue("orders-queue", false),
            order_fifo: queue("orders.fifo", true),
            history: stream("history", StreamKind::Kinesis),
            history_queue: queue("history-queue", false),
            chargebacks: queue("chargebacks", false),
            decisions: stream("decisions", StreamKind::DynamoDb),
        }
    }

    /// The source; `None` for a checkout, which is not polled.
    fn polled(&mut self, source: Source) -> Option<&mut dyn EventSource> {
        Some(match source {
            Source::Orders => &mut self.orders,
            Source::OrderQueue => &mut self.order_queue,
            Source::OrderFifo => &mut self.order_fifo,
            Source::History => &mut self.history,
            Source::HistoryQueue => &mut self.history_queue,
            Source::Chargebacks => &mut self.chargebacks,
            Source::Decisions => &mut self.decisions,
            Source::Checkout => return None,
        })
    }

    fn change_visibility(&mut self, change: &VisibilityChange) {
        for queue in [
            &mut self.order_queue,
            &mut self.order_fifo,
            &mut self.history_queue,
            &mut self.chargebacks,
        ] {
            queue.change_visibility(change);
        }
    }

    fn all(&self) -> [(&'static str, &dyn EventSource); 7] {
        [
            ("orders", &self.orders),
            ("orders-queue", &self.order_queue),
            ("orders.fifo", &self.order_fifo),
            ("history", &self.history),
            ("history-queue", &self.history_queue),
            ("chargebacks", &self.chargebacks),
            ("decisions", &self.decisions),
        ]
    }

    fn next_time(&self, now: u64) -> Option<u64> {
        let times = self.all().into_iter();
        times.filter_map(|(_, source)| source.next_time(now)).min()
    }

    /// The sources that are not empty yet.
    fn undrained(&self) -> Vec<&'static str> {
        let undrained = self
            .all()
            .into_iter()
            .filter(|(_, source)| !source.is_drained());
        undrained.map(|(name, _)| name).collect()
    }

    /// How many records were given up. There should be none, because there is enough time for all.
    fn given_up(&self) -> usize {
        self.all()
            .into_iter()
            .map(|(_, source)| source.given_up())
            .sum()
    }
}

/// What was invoked: a batch or a checkout.
enum Invoked {
    Batch(Source, u64),
    /// The order of a checkout, which retries until it has its decision.
    Checkout(Input),
}

/// An invocation that has ended.
struct Done {
    invoked: Invoked,
    environment: Environment,
    ended: Ended,
    /// Whether it exceeded its time-out although its clock is right and it had all its time.
    is_overtime: bool,
    what: String,
}

struct Lambda {
    world: Arc<World>,
    day: Day,
    sources: Sources,
    /// The records to send; the next one is the last element.
    to_send: Vec<Sent>,
    /// Waiting checkouts, with the times of their next calls.
    checkouts: Vec<(u64, Input)>,
    changes: Vec<(u64, Change)>,
    idle: BTreeMap<Function, Vec<Environment>>,
    deployment: u32,
    started: u64,
    time_out_ms: u64,
    is_amazon: bool,
    /// When the last disturbance ends.
    calm: u64,
    /// The answers that checkouts got, by order id and revision.
    told: Vec<Value>,
    violations: Vec<Violation>,
    operator: FraudDetector,
    tables: aws_sdk_dynamodb::Client,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Version,
    List,
    Mapping,
    Shards,
}

impl Lambda {
    async fn new(scenario: &Scenario, day: Day) -> Self {
        let clock = Clock::new();
        let history = History::new(clock);
        let store = Store::new(clock).unwrap();
        let tables = undisturbed(&store);
        let mut options = EngineOptions::new("us-east-1", "123456789012");
        options.clock = Arc::new(move || clock.timestamp(clock.now(), 0));
        let amazon = Arc::new(Engine::new(options, tables.clone()));
        amazon.create_tables().await.unwrap();
        local_stack::create_pipeline_tables(&tables, DECISIONS, local_stack::VELOCITY)
            .await
            .unwrap();
        let operator = clients::connect_frauddetector(engine::http_client(Arc::clone(&amazon)));
        define(&operator).await;
        let last = day.records.last().map_or(0, |record| record.at);
        let calm = last + 10 * 60_000;
        let disturbances = Disturbances::new(scenario, &day, calm);
        let dice = scenario.dice();
        let world = Arc::new(World::new(disturbances, clock, history, store, amazon));
        let time_out_ms = dice.one_of("time-out", &TIME_OUTS_MS);
        let mut to_send = day.records.clone();
        to_send.reverse();
        let changes = day.changes.map(in_turn).unwrap_or_default();
        Self {
            sources: Sources::new(&world, time_out_ms),
            to_send,
            checkouts: Vec::new(),
            changes,
            idle: BTreeMap::new(),
            deployment: 0,
            started: 0,
            time_out_ms,
            is_amazon: dice.happens("Amazon's service", 300),
            calm,
            told: Vec::new(),
            violations: Vec::new(),
            operator,
            tables,
            world,
            day,
        }
    }

    async fn run(&mut self) {
        let world = Arc::clone(&self.world);
        let clock = world.clock;
        let mut running: FuturesUnordered<LocalBoxFuture<'static, Done>> = FuturesUnordered::new();
        loop {
            let now = clock.now();
            self.send_what_is_due(now);
            self.change_what_is_due(now).await;
            for change in world.take_visibility_changes() {
                self.sources.change_visibility(&change);
            }
            for change in world.store.take_changes() {
                let record = StreamRecord::DynamoDb {
                    event_name: change.event_name,
                    new_image: change.new_image,
                };
                self.sources.decisions.put(now, &change.key, record);
            }
            self.invoke_what_is_there(now, &running)
                .await
                .into_iter()
                .for_each(|it| running.push(it));
            if running.is_empty() && self.is_over() {
                return;
            }
            if now > self.calm + PATIENCE_MS {
                let left = self.sources.undrained().join(", ");
                let text = format!(
                    "{left} and {} checkouts are not done {} minutes after the last disturbance",
                    self.checkouts.len(),
                    PATIENCE_MS / 60_000
                );
                self.violations.push(Violation::new(Law::Progress, text));
                return;
            }
            let wake = self.next_time(now).unwrap_or(now + 60_000).max(now + 1);
            tokio::select! {
                biased;
                Some(done) = running.next(), if !running.is_empty() => self.ended(done),
                () = world.store.changed.notified() => {}
                () = tokio::time::sleep_until(clock.instant(wake)) => {}
            }
        }
    }

    /// Delivers each record once, alone, in the order of sending.
    async fn run_undisturbed(&mut self) {
        for (number, input) in self.day.inputs.clone().into_iter().enumerate() {
            let clock = self.world.clock;
            tokio::time::sleep_until(clock.instant(input.at)).await;
            let event = json!({"Records": [{
                "eventSource": "aws:kinesis", "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/all",
                "kinesis": {"sequenceNumber": number.to_string(), "partitionKey": input.key, "data": BASE64.encode(&input.payload)},
            }]});
            self.invoke_undisturbed(function_of(input.source), &event, &input.what)
                .await;
            let changes = self.world.store.take_changes().into_iter().map(|change| {
                json!({
                    "eventSource": "aws:dynamodb", "eventName": change.event_name,
                    "dynamodb": {"SequenceNumber": "1", "NewImage": change.new_image},
                })
            });
            let event = json!({"Records": changes.collect::<Vec<_>>()});
            self.invoke_undisturbed(Function::Forward, &event, &input.what)
                .await;
        }
    }

    async fn invoke_undisturbed(&mut self, function: Function, event: &Value, what: &str) {
        let environment = self.environment(function, self.world.clock.now()).await;
        let ended = environment.invoke(event, what, 60_000).await;
        if ended.answer() != Answer::Failures(Vec::new()) {
            let text = format!("{what} without a disturbance: {ended:?}");
            self.violations.push(Violation::new(Law::Progress, text));
        }
        self.idle.entry(function).or_default().push(environment);
    }

    fn is_over(&self) -> bool {
        self.to_send.is_empty()
            && self.checkouts.is_empty()
            && self.changes.is_empty()
            && self.sources.undrained().is_empty()
    }

    fn next_time(&self, now: u64) -> Option<u64> {
        let times = [
            self.to_send.last().map(|record| record.at),
            self.checkouts.iter().map(|(at, _)| *at).min(),
            self.changes.first().map(|(at, _)| *at),
            self.sources.next_time(now),
        ];
        times.into_iter().flatten().min()
    }

    fn send_what_is_due(&mut self, now: u64) {
        while let Some(record) = self.to_send.pop_if(|record| record.at <= now) {
            let history = &self.world.history;
            history.add(
                "shop",
                format_args!("sends to {:?}: {}", record.source, record.what()),
            );
            let text = || String::from_utf8_lossy(&record.payload()).into_owned();
            let sources = &mut self.sources;
            match record.source {
                Source::Orders => {
                    let data = StreamRecord::Kinesis(record.payload());
                    sources.orders.put(now, &record.key, data);
                }
                Source::History => {
                    let data = StreamRecord::Kinesis(record.payload());
                    sources.history.put(now, &record.key, data);
                }
                Source::OrderQueue => sources.order_queue.send(now, None, text()),
                Source::HistoryQueue => sources.history_queue.send(now, None, text()),
                Source::OrderFifo => sources.order_fifo.send(now, Some(&record.key), text()),
                Source::Chargebacks => sources.chargebacks.send(now, None, text()),
                // The functions themselves write these.
                Source::Decisions => {}
                Source::Checkout => {
                    let orders = record.inputs.into_iter().map(|input| (now, input));
                    self.checkouts.extend(orders);
                }
            }
        }
    }

    async fn change_what_is_due(&mut self, now: u64) {
        while self.changes.first().is_some_and(|(at, _)| *at <= now) {
            let (_, change) = self.changes.remove(0);
            self.world
                .history
                .add("operator", format_args!("changes the {change:?}"));
            match change {
                Change::Version => activate_second(&self.operator).await,
                Change::List => {
                    let email = self.day.listed.clone().unwrap_or_default();
                    let update = self.operator.update_list().name("blocked_emails");
                    update
                        .elements(email)
                        .update_mode(aws_sdk_frauddetector::types::ListUpdateMode::Append)
                        .send()
                        .await
                        .unwrap();
                }
                Change::Shards => {
                    self.sources.orders.reshard(now);
                    self.sources.decisions.reshard(now);
                }
                // Environments of the old deployment finish their invocation and are not invoked again.
                Change::Mapping => {
                    self.deployment += 1;
                    self.idle.clear();
                }
            }
        }
    }

    async fn invoke_what_is_there(
        &mut self,
        now: u64,
        running: &FuturesUnordered<LocalBoxFuture<'static, Done>>,
    ) -> Vec<LocalBoxFuture<'static, Done>> {
        let mut begun = Vec::new();
        for source in POLLED {
            while running.len() + begun.len() < MOST_AT_ONCE
                && let Some(batch) = self.sources.polled(source).and_then(|it| it.take(now))
            {
                let environment = self.environment(function_of(source), now).await;
                let invoked = Invoked::Batch(source, batch.ticket);
                begun.push(self.invoke(environment, invoked, batch.event, batch.what));
            }
        }
        let (due, later) = std::mem::take(&mut self.checkouts)
            .into_iter()
            .partition::<Vec<_>, _>(|(at, _)| *at <= now);
        self.checkouts = later;
        for (_, input) in due {
            let environment = self.environment(Function::Predict, now).await;
            let event = serde_json::from_slice(&input.payload).unwrap();
            let what = format!("a checkout of {}", input.what);
            begun.push(self.invoke(environment, Invoked::Checkout(input), event, what));
        }
        begun
    }

    /// An environment that is idle, or a new one.
    async fn environment(&mut self, function: Function, now: u64) -> Environment {
        let idle = self.idle.entry(function).or_default();
        idle.retain(|environment| environment.retires_at > now);
        if !idle.is_empty() {
            let name = format!("environment of {} at {now}", function.name());
            let place = self.world.dice.place(name, idle.len());
            return idle.remove(place);
        }
        self.started += 1;
        let mapping = mapping_of(self.deployment);
        let (world, number) = (&self.world, self.started);
        Environment::start(
            world,
            function,
            number,
            self.deployment,
            &mapping,
            self.is_amazon,
        )
        .await
    }

    fn invoke(
        &self,
        environment: Environment,
        invoked: Invoked,
        event: Value,
        what: String,
    ) -> LocalBoxFuture<'static, Done> {
        let time_out_ms = self.time_out_ms;
        Box::pin(async move {
            let ended = environment.invoke(&event, &what, time_out_ms).await;
            // With a clock that is late, a function believes that it has more time than there is; it keeps 100 ms for
            // its answer.
            let is_overtime = ended == Ended::TimedOut && environment.skew_ms >= -50;
            Done {
                invoked,
                environment,
                ended,
                is_overtime,
                what,
            }
        })
    }

    fn ended(&mut self, done: Done) {
        let now = self.world.clock.now();
        if done.is_overtime {
            let text = format!("{} with {}", done.environment.name, done.what);
            self.violations
                .push(Violation::new(Law::AnswersInTime, text));
        }
        match done.invoked {
            Invoked::Batch(source, ticket) => {
                if let Some(source) = self.sources.polled(source) {
                    source.answered(now, ticket, done.ended.answer());
                }
            }
            Invoked::Checkout(input) => {
                if let Ended::Answered(_, Some(reply)) = done.ended {
                    self.told.push(reply);
                } else {
                    let name = format!("checkout again {} at {now}", input.what);
                    let wait = self.world.dice.between(name, 200, 10_000);
                    self.checkouts.push((now + wait, input));
                }
            }
        }
        if done.environment.is_alive() && done.environment.deployment == self.deployment {
            let function = done.environment.function;
            self.idle
                .entry(function)
                .or_default()
                .push(done.environment);
        }
    }

    async fn report(self, scenario: &Scenario, log: &Log) -> Report {
        let world = &self.world;
        world.store.settle();
        world.amazon.flush().await.unwrap();
        let end = EndOfDay {
            day: &self.day,
            world,
            operator: &self.operator,
            tables: &self.tables,
            told: &self.told,
            given_up: self.sources.given_up(),
            time_out_ms: self.time_out_ms,
            log: log.text(),
        };
        let (mut violations, decisions) = check::all(&end).await;
        violations.extend(self.violations);
        let mut counts = world.counts.lock().unwrap().clone();
        counts.log_lines = log.text().lines().count();
        Report {
            scenario: scenario.clone(),
            violations,
            history: world.history.lines(),
            counts,
            decisions,
        }
    }
}

fn in_turn(changes: Changes) -> Vec<(u64, Change)> {
    let mut all = vec![
        (changes.version, Change::Version),
        (changes.list, Change::List),
        (changes.mapping, Change::Mapping),
        (changes.shards, Change::Shards),
    ];
    all.sort_by_key(|(at, _)| *at);
    all
}

/// A client of the tables without disturbances.
fn undisturbed(store: &Arc<Store>) -> aws_sdk_dynamodb::Client {
    let store = Arc::clone(store);
    let service = Service::new(move |request: Request<Bytes>| {
        let target = request.headers().get("x-amz-target");
        let target = target
            .and_then(|target| target.to_str().ok())
            .unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = serde_json::from_slice(request.body()).unwrap_or_default();
        let response = store.dynamodb(&operation, &body, &request);
        async { response }
    });
    clients::connect_dynamodb(service.http_client())
}

/// Defines the sample detector with a list, and what its second version needs.
async fn define(operator: &FraudDetector) {
    sample::define_with(operator, &VELOCITY_VARIABLES).await;
    let list = operator.create_list().name("blocked_emails");
    list.elements("nobody@example.com").send().await.unwrap();
    for rule in sample::RULES {
        sample::create_rule(operator, rule).await;
    }
    let listed = (
        "blocked_email",
        "$email_address in @blocked_emails",
        "block",
    );
    sample::create_rule(operator, listed).await;
    let busy = ("busy_card", "$card_orders_1d >= 3", "challenge");
    sample::create_rule(operator, busy).await;
    let rules = [
        "very_high_amount",
        "high_amount",
        "many_items",
        "blocked_email",
    ];
    sample::activate(operator, "1", &rules.map(|rule_id| (rule_id, "1"))).await;
}

/// Activates the second version, in which amounts are high from 500 on, and a card with three orders is challenged. The first
/// has no rule on velocity: on a calm day, which orders came before another must not change its outcome.
async fn activate_second(operator: &FraudDetector) {
    let rule = aws_sdk_frauddetector::types::Rule::builder()
        .detector_id("orders")
        .rule_id("high_amount")
        .rule_version("1");
    let update = operator.update_rule_version().rule(rule.build().unwrap());
    let update = update
        .expression("$order_price > 500")
        .language(aws_sdk_frauddetector::types::Language::Detectorpl);
    update.outcomes("review").send().await.unwrap();
    let rules = [
        ("very_high_amount", "1"),
        ("high_amount", "2"),
        ("many_items", "1"),
        ("blocked_email", "1"),
        ("busy_card", "1"),
    ];
    sample::activate(operator, "2", &rules).await;
}
