//! What the `main.rs` of the functions share: settings, clients, the engine, and the loop that serves Lambda.
//!
//! Here the backend behind the client of Amazon Fraud Detector is chosen. The handlers do not know which it is.

mod held_predictions;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use engine::{Clock, Engine, EngineOptions};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::aws;
use shared::batch::{Batcher, InvocationContext, run_until};
use shared::decisions::Decisions;
use shared::held_predictions::HeldPredictions;
use shared::http_call::HttpCall;
use shared::json;
use shared::labels::LabelApplier;
use shared::locations::Locations;
use shared::mapping::Mapping;
use shared::profiles::ProfileTable;
use shared::queue_backoff::{NamesFailures, QueueBackoff, QueueDelivery, select_failed};
use shared::rejected::RejectedStore;
use shared::settings::{Backend, Settings};
use shared::telemetry::{self, Metrics};
use tokio::time::Instant;

pub use held_predictions::held_predictions;

/// The shipped mapping. It is compiled in because SAM's builder for Rust copies only the executable.
const MAPPING: &str = include_str!("../../../config/mapping.yaml");

/// Time reserved before the deadline for sending the response.
const TO_ANSWER: Duration = Duration::from_millis(100);

/// The settings and clients of a function.
pub struct Wiring {
    /// The settings, from the environment.
    pub settings: Settings,
    /// The configuration of every client.
    pub config: SdkConfig,
    /// The client of Amazon Fraud Detector, with the backend of the settings.
    pub fraud_detector: aws_sdk_frauddetector::Client,
    engine: Option<Arc<Engine>>,
    backoff: QueueBackoff,
}

impl Wiring {
    /// Reads the settings through `variable` and builds the clients.
    ///
    /// # Errors
    /// A setting is missing or invalid.
    pub async fn new(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let settings = Settings::read(variable).map_err(|error| as_sentence(&error))?;
        telemetry::init_logs(&settings.log);
        let config = aws::load_config(&settings.region).await;
        Ok(Self::with_config(
            settings,
            config,
            Arc::new(Timestamp::now),
        ))
    }

    /// Builds the clients from a configuration; the engine reads the time from `clock`.
    pub fn with_config(settings: Settings, config: SdkConfig, clock: Clock) -> Self {
        let engine = (settings.backend == Backend::Engine)
            .then(|| Arc::new(build_engine(&settings, &config, clock)));
        let fraud_detector = match &engine {
            Some(engine) => {
                aws::make_in_process_client(engine::holding_http_client(Arc::clone(engine)))
            }
            None => aws::make_fraud_detector_client(&config),
        };
        Self {
            backoff: QueueBackoff::new(&config),
            settings,
            config,
            fraud_detector,
            engine,
        }
    }

    /// Reads the mapping: `MAPPING_FILE`, or the one compiled in, with the `IP_LOCATION_FILES`.
    ///
    /// # Errors
    /// A file is invalid; the error names file, line and what would be right.
    pub fn mapping(&self) -> Result<Arc<Mapping>, Error> {
        let mapping = match &self.settings.mapping_file {
            Some(path) => Mapping::read(path),
            None => Mapping::parse("config/mapping.yaml", MAPPING),
        };
        let mapping = mapping.map_err(|error| as_sentence(&error))?;
        let locations = Locations::read(&self.settings.ip_location_files);
        let locations = locations.map_err(|error| as_sentence(&error))?;
        Ok(Arc::new(mapping.with_locations(Arc::new(locations))))
    }

    /// The table of decisions.
    pub fn decisions(&self) -> Decisions {
        Decisions::new(
            aws_sdk_dynamodb::Client::new(&self.config),
            &self.settings.decisions_table,
        )
        .with_writes(self.settings.decision_writes)
    }

    /// The table of the profiles of keys with aggregates.
    pub fn profiles(&self) -> ProfileTable {
        ProfileTable::new(
            aws_sdk_dynamodb::Client::new(&self.config),
            &self.settings.velocity_table,
        )
    }

    /// Stores the predictions that the engine in this process holds back; with Amazon's service there are none.
    pub fn held_predictions(&self) -> HeldPredictions {
        let held = self.engine.as_ref().map(held_predictions);
        held.unwrap_or_default()
    }

    /// What applies labels of the mapping's event type.
    pub fn labels(&self, mapping: &Arc<Mapping>) -> LabelApplier {
        LabelApplier::new(
            self.decisions(),
            self.fraud_detector.clone(),
            self.rejected(),
            self.profiles(),
            Arc::clone(mapping),
        )
    }

    /// Where rejected records are written.
    pub fn rejected(&self) -> RejectedStore {
        RejectedStore::new(aws_sdk_s3::Client::new(&self.config), &self.settings.bucket)
    }

    /// What runs the batches of `function`.
    pub fn batcher(&self, function: &'static str) -> Batcher {
        Batcher::new(function, self.settings.budget)
    }

    /// Handles invocations of `function` until the environment ends.
    ///
    /// # Errors
    /// Lambda's runtime API is not available, or the process has a collector of metrics already.
    pub async fn run<R, E>(
        &self,
        function: &'static str,
        handle: impl AsyncFn(Value, InvocationContext) -> Result<R, E>,
    ) -> Result<(), Error>
    where
        R: NamesFailures + Serialize,
        E: Into<Error>,
    {
        let metrics = Metrics::install(function)?;
        let (handle, metrics) = (&handle, &metrics);
        // The event is taken as text, so that our own parser keeps numbers exact and limits the number of values.
        let answer = |event: LambdaEvent<Box<RawValue>>| async move {
            let context = InvocationContext::new(Timestamp::now(), event.context.deadline);
            let answer =
                Box::pin(self.handle_invocation(event.payload.get(), context, handle)).await;
            metrics.flush();
            answer
        };
        lambda_runtime::run(service_fn(answer)).await
    }

    /// Handles one invocation; `event` is the text of its event.
    ///
    /// The engine checks its definitions at the beginning of an invocation and writes its counters at the end, because the
    /// environment is frozen between invocations and no timer runs. Messages of a queue that failed are hidden for longer.
    /// A request over HTTP has the time that the settings give it: somebody waits for its answer.
    ///
    /// # Errors
    /// The event cannot be parsed, or the handler failed.
    pub async fn handle_invocation<R, E>(
        &self,
        event: &str,
        context: InvocationContext,
        handle: &impl AsyncFn(Value, InvocationContext) -> Result<R, E>,
    ) -> Result<R, Error>
    where
        R: NamesFailures,
        E: Into<Error>,
    {
        let payload = json::parse_event(event.as_bytes())?;
        let context = if HttpCall::is_one(&payload) {
            context.within(self.settings.decide_timeout)
        } else {
            context
        };
        let deliveries = QueueDelivery::read_all(&payload);
        self.begin_invocation(context).await;
        let answer = Box::pin(handle(payload, context)).await.map_err(Into::into);
        let failed = select_failed(deliveries, answer.as_ref().ok());
        // A late response counts as a failure.
        let end = context.deadline.and_then(|end| end.checked_sub(TO_ANSWER));
        tokio::join!(
            self.end_invocation(end),
            self.backoff.hide_longer(failed, end)
        );
        answer
    }

    async fn begin_invocation(&self, context: InvocationContext) {
        let Some(engine) = &self.engine else { return };
        engine.drop_held_predictions();
        // At most half of the time is used: records that need the definitions read them again.
        match run_until(context.half_time(), engine.refresh_definitions()).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(code = ?error.code(), "the definitions could not be checked");
            }
            None => tracing::warn!("there was no time to check the definitions"),
        }
    }

    /// What cannot be written by `end` is written next time.
    async fn end_invocation(&self, end: Option<Instant>) {
        let Some(engine) = &self.engine else { return };
        match run_until(end, Box::pin(engine.flush())).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(code = ?error.code(), "the counters could not be written");
            }
            None => tracing::warn!("there was no time to write the counters"),
        }
    }
}

/// An error as its sentence: `main` prints the `Debug` form of what it returns.
fn as_sentence(error: &dyn std::error::Error) -> Error {
    error.to_string().into()
}

fn build_engine(settings: &Settings, config: &SdkConfig, clock: Clock) -> Engine {
    let mut options = EngineOptions::new(&settings.region, &settings.account);
    options.clock = clock;
    options
        .definitions_table
        .clone_from(&settings.definitions_table);
    options.events_table.clone_from(&settings.events_table);
    if let Some(days) = settings.retention_days {
        options.retention_days = Some(days.get());
    }
    Engine::for_function(options, aws_sdk_dynamodb::Client::new(config))
        .with_bucket(aws_sdk_s3::Client::new(config), &settings.bucket)
        .with_sagemaker(aws_sdk_sagemakerruntime::Client::new(config))
        .with_event_bridge(
            aws_sdk_eventbridge::Client::new(config),
            &settings.event_bus,
        )
}
