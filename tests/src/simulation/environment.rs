//! One environment of a function: the real handler with real SDK clients. It is started, frozen and killed.
//!
//! Rules: an environment processes one invocation at a time, and nothing runs in it between invocations; after a
//! time-out or a crash it starts again (docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use forward::{ForwardFunction, REQUEST_BYTES};
use ingest::IngestFunction;
use label::LabelFunction;
use predict::{PredictFunction, PredictResponse as PredictAnswer};
use serde_json::Value;
use shared::batch::InvocationContext;
use shared::mapping::Mapping;
use shared::settings::Settings;
use wiring::Wiring;

use super::delivery::Answer;
use super::network::{KillSwitch, Network, World};
use super::scenario::Disturbance;

/// The function of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// Decides orders.
    Predict,
    /// Stores history.
    Ingest,
    /// Applies labels.
    Label,
    /// Publishes decisions.
    Forward,
}

impl Function {
    /// The name of the function, as in rejected records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Predict => predict::FUNCTION,
            Self::Ingest => ingest::FUNCTION,
            Self::Label => label::FUNCTION,
            Self::Forward => forward::FUNCTION,
        }
    }
}

enum Handler {
    Predict(Box<PredictFunction>),
    Ingest(Box<IngestFunction>),
    Label(Box<LabelFunction>),
    Forward(ForwardFunction),
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// It answered; a direct invocation also with its decision.
    Answered(Answer, Option<Value>),
    /// It answered with an error.
    Error(String),
    /// It exceeded its time-out.
    TimedOut,
    /// It was killed.
    Killed,
}

impl Ended {
    /// The result, as its event source sees it.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Answered(answer, _) => answer.clone(),
            Self::Error(_) | Self::TimedOut | Self::Killed => Answer::Failed,
        }
    }
}

/// One environment.
pub struct Environment {
    /// A name such as `predict-3`.
    pub name: String,
    /// Its function.
    pub function: Function,
    /// The error of its clock, in milliseconds.
    pub skew_ms: i64,
    /// The number of its deployment.
    pub deployment: u32,
    /// When it is removed if it lives that long, in milliseconds of the day.
    pub retires_at: u64,
    world: Arc<World>,
    kill_switch: Arc<KillSwitch>,
    wiring: Wiring,
    handler: Handler,
}

/// The SDK keeps its retry budget per region in the process. Each environment has a number of its own, so that no two
/// share a budget.
static ENVIRONMENTS: AtomicU64 = AtomicU64::new(0);

impl Environment {
    /// Starts an environment.
    ///
    /// # Panics
    /// If its settings or its mapping are invalid; both are the simulation's own.
    pub async fn start(
        world: &Arc<World>,
        function: Function,
        number: u64,
        deployment: u32,
        mapping: &str,
        is_amazon: bool,
    ) -> Self {
        let name = format!("{}-{number}", function.name());
        let dice = world.dice;
        let drawn =
            |what: &str, least, end| dice.between(format_args!("{what} of {name}"), least, end);
        let has_skew = world.disturbances.has(Disturbance::Skew);
        let skew = i64::try_from(drawn("skew", 0, 1_801)).unwrap_or(0) - 900;
        let skew_ms = match drawn("kind of skew", 0, 4) {
            0 if has_skew => skew,
            1 if has_skew => skew / 18,
            _ => 0,
        };
        let retires_at = world.clock.now() + drawn("life", 2 * 3_600_000, 8 * 3_600_000);
        let kill_switch: Arc<KillSwitch> = Arc::default();
        let network = Network::new(Arc::clone(world), Arc::clone(&kill_switch), name.clone());
        let region = format!(
            "simulated-{:010}",
            ENVIRONMENTS.fetch_add(1, Ordering::Relaxed)
        );
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .http_client(network.http_client())
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()));
        let config = shared::aws::set_timeouts(loader).load().await;
        let settings = Settings::read(|variable| {
            let value = match variable {
                "BUCKET" => "fraudstream",
                "FRAUD_DETECTOR" if is_amazon => "aws",
                "AWS_REGION" => &region,
                "MAX_CONCURRENCY" => "8",
                // One way of writing decisions for the whole day: a deployment has one setting.
                "DECISION_WRITES" if dice.happens("statements", 500) => "statements",
                _ => return None,
            };
            Some(value.to_owned())
        });
        let settings = settings.unwrap_or_else(|error| panic!("{error}"));
        let clock = world.clock;
        let wiring = Wiring::with_config(
            settings,
            config,
            Arc::new(move || clock.timestamp(clock.now(), skew_ms)),
        );
        let mapping =
            Mapping::parse("mapping.yaml", mapping).unwrap_or_else(|error| panic!("{error}"));
        let handler = handler(function, &wiring, mapping);
        world.count(|counts| counts.environments += 1);
        world
            .history
            .add(&name, format_args!("starts, its clock is {skew_ms} ms off"));
        Self {
            name,
            function,
            skew_ms,
            deployment,
            retires_at,
            world: Arc::clone(world),
            kill_switch,
            wiring,
            handler,
        }
    }

    /// Whether it can be invoked again.
    pub fn is_alive(&self) -> bool {
        !self.kill_switch.is_over()
    }

    /// Invokes it with an event. `what` describes the event in the history; `time_out_ms` is the time-out of the
    /// function.
    pub async fn invoke(&self, event: &Value, what: &str, time_out_ms: u64) -> Ended {
        let (world, clock) = (&self.world, self.world.clock);
        let start = clock.now();
        let end = start + time_out_ms;
        let name = world.numbered(&format!(
            "invocation of {} with {what}",
            self.function.name()
        ));
        world.count(|counts| counts.invocations += 1);
        world
            .history
            .add(&self.name, format_args!("begins: {what}"));
        let kill = Kill::draw(world, &name, start, time_out_ms);
        self.kill_switch
            .begin(kill.as_ref().and_then(|kill| kill.at_call));
        let killed_at = kill
            .and_then(|kill| kill.at_time)
            .unwrap_or(u64::MAX)
            .min(end);
        let deadline = u64::try_from(clock.timestamp(end, 0).as_millisecond()).unwrap_or(0);
        let moment = InvocationContext::new(clock.timestamp(start, self.skew_ms), deadline);
        let text = event.to_string();
        let ended = tokio::select! {
            biased;
            () = self.kill_switch.ended.notified() => Ended::Killed,
            ended = self.answer(&text, moment) => ended,
            () = tokio::time::sleep_until(clock.instant(killed_at)) => {
                if killed_at < end { Ended::Killed } else { Ended::TimedOut }
            }
        };
        if matches!(ended, Ended::Killed | Ended::TimedOut) {
            self.kill_switch.end();
        }
        if ended == Ended::Killed {
            world.count(|counts| *counts.faults.entry(Disturbance::Kill).or_default() += 1);
        }
        world
            .history
            .add(&self.name, format_args!("ends: {what}: {}", told(&ended)));
        ended
    }

    async fn answer(&self, text: &str, moment: InvocationContext) -> Ended {
        let batch = |response: &shared::batch::BatchResponse| {
            let failures = response.batch_item_failures.iter();
            Answer::Failures(
                failures
                    .map(|failure| failure.item_identifier.clone())
                    .collect(),
            )
        };
        let wiring = &self.wiring;
        let answered = match &self.handler {
            Handler::Predict(it) => {
                let handle = async |event, moment| it.handle(event, moment).await;
                let answer = Box::pin(wiring.handle_invocation(text, moment, &handle)).await;
                answer.map(|answer| match answer {
                    PredictAnswer::Batch(response) => (batch(&response), None),
                    reply => (
                        Answer::Failures(Vec::new()),
                        serde_json::to_value(reply).ok(),
                    ),
                })
            }
            Handler::Ingest(it) => {
                let handle = async |event, moment| it.handle(event, moment).await;
                let answer = Box::pin(wiring.handle_invocation(text, moment, &handle)).await;
                answer.map(|response| (batch(&response), None))
            }
            Handler::Label(it) => {
                let handle = async |event, moment| it.handle(event, moment).await;
                let answer = Box::pin(wiring.handle_invocation(text, moment, &handle)).await;
                answer.map(|response| (batch(&response), None))
            }
            Handler::Forward(it) => {
                let event = serde_json::from_str(text).unwrap_or_default();
                let answer = Box::pin(it.handle(event, moment)).await;
                answer
                    .map(|response| (batch(&response), None))
                    .map_err(Into::into)
            }
        };
        match answered {
            Ok((answer, reply)) => Ended::Answered(answer, reply),
            Err(error) => Ended::Error(error.to_string()),
        }
    }
}

fn handler(function: Function, wiring: &Wiring, mapping: Mapping) -> Handler {
    let mapping = Arc::new(mapping);
    let batcher = wiring.batcher(function.name());
    let labels = wiring.labels(&mapping);
    let rejected = wiring.rejected();
    match function {
        Function::Predict => Handler::Predict(Box::new(PredictFunction {
            detector_version: None,
            fraud_detector: wiring.fraud_detector.clone(),
            held_predictions: wiring.held_predictions(),
            decisions: wiring.decisions(),
            profiles: wiring.profiles(),
            labels,
            batcher,
            rejected,
            mapping,
        })),
        Function::Ingest => Handler::Ingest(Box::new(IngestFunction {
            profiles: wiring.profiles(),
            fraud_detector: wiring.fraud_detector.clone(),
            labels,
            batcher,
            rejected,
            mapping,
        })),
        Function::Label => Handler::Label(Box::new(LabelFunction {
            labels,
            batcher,
            rejected,
            mapping,
        })),
        Function::Forward => Handler::Forward(ForwardFunction {
            event_bridge: aws_sdk_eventbridge::Client::new(&wiring.config),
            bus: "default".to_owned(),
            request_bytes: REQUEST_BYTES,
        }),
    }
}

/// When an invocation is killed.
struct Kill {
    /// The call at which it is killed, and whether that call still has its effect.
    at_call: Option<(u32, bool)>,
    /// The time of the day at which it is killed, in milliseconds.
    at_time: Option<u64>,
}

impl Kill {
    fn draw(world: &World, name: &str, start: u64, time_out_ms: u64) -> Option<Self> {
        let dice = world.dice;
        if !world.disturbances.kills(start) || !dice.happens(format_args!("kill {name}"), 40) {
            return None;
        }
        let call = dice.between(format_args!("call to kill {name}"), 1, 40);
        let has_effect = dice.happens(format_args!("effect of the call to kill {name}"), 500);
        let after = dice.between(
            format_args!("time to kill {name}"),
            1,
            time_out_ms.min(2_000),
        );
        Some(if dice.happens(format_args!("kill {name} by time"), 300) {
            Self {
                at_call: None,
                at_time: Some(start + after),
            }
        } else {
            Self {
                at_call: u32::try_from(call).ok().map(|call| (call, has_effect)),
                at_time: None,
            }
        })
    }
}

fn told(ended: &Ended) -> String {
    match ended {
        Ended::Answered(_, Some(reply)) => format!("decided {}", reply["effective_outcome"]),
        Ended::Answered(Answer::Failures(failures), None) if failures.is_empty() => {
            "done".to_owned()
        }
        Ended::Answered(Answer::Failures(failures), None) => {
            format!("again: {}", failures.join(" "))
        }
        Ended::Answered(Answer::Failed, None) => "failed".to_owned(),
        Ended::Error(error) => format!("an error: {error}"),
        Ended::TimedOut => "its time is over".to_owned(),
        Ended::Killed => "killed".to_owned(),
    }
}
