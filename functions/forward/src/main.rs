//! Lambda function `forward`. See the library for what it does.

use forward::{FUNCTION, ForwardFunction, REQUEST_BYTES};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::batch::InvocationContext;
use shared::telemetry::{self, Metrics};

/// An order takes hundreds of allocations, mostly in the SDK: see docs/decisions/0015.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name: &str, default: &str| {
        std::env::var(name)
            .ok()
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| default.to_owned())
    };
    telemetry::init_logs(&variable("RUST_LOG", "info"));
    let metrics = Metrics::install(FUNCTION)?;
    let config = shared::aws::load_config(&variable("AWS_REGION", "us-east-1")).await;
    let forward = ForwardFunction {
        event_bridge: aws_sdk_eventbridge::Client::new(&config),
        bus: variable("EVENT_BUS", "default"),
        request_bytes: REQUEST_BYTES,
    };
    let answer = |event: LambdaEvent<Value>| {
        let (forward, metrics) = (&forward, &metrics);
        async move {
            let context = InvocationContext::new(jiff::Timestamp::now(), event.context.deadline);
            let answer = forward
                .handle(event.payload, context)
                .await
                .map_err(Error::from);
            metrics.flush();
            answer
        }
    };
    lambda_runtime::run(service_fn(answer)).await
}
