//! Lambda function `webhook`. See the library for what it does.

use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::batch::InvocationContext;
use shared::queue_backoff::{QueueBackoff, QueueDelivery, select_failed};
use shared::telemetry::{self, Metrics};
use webhook::{
    FUNCTION, ReceiverUrl, ReceiverUrlError, SecretStore, TIMEOUT_MS, WebhookFunction,
    WebhookSender,
};

/// An order takes hundreds of allocations, mostly in the SDK: see docs/decisions/0015.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time reserved before the deadline for sending the response.
const TO_ANSWER: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let required = |name: &str, what: &str| {
        variable(name).ok_or_else(|| {
            Error::from(format!(
                "environment variable {name} is missing; set it to {what}"
            ))
        })
    };
    telemetry::init_logs(&variable("RUST_LOG").unwrap_or_else(|| "info".to_owned()));
    // As a sentence: `main` prints the `Debug` form of what it returns.
    let url = required("WEBHOOK_URL", "the address of the receiver")?;
    let url: ReceiverUrl = url
        .parse()
        .map_err(|error: ReceiverUrlError| error.to_string())?;
    let secret = required(
        "WEBHOOK_SECRET_NAME",
        "the name of the secret in Secrets Manager",
    )?;
    let timeout: u32 = match variable("WEBHOOK_TIMEOUT_MS") {
        Some(text) => text.parse().map_err(|_| {
            format!("environment variable WEBHOOK_TIMEOUT_MS is `{text}`; it should be a whole number of milliseconds")
        })?,
        None => TIMEOUT_MS,
    };
    let metrics = Metrics::install(FUNCTION)?;
    let region = variable("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned());
    let config = shared::aws::load_config(&region).await;
    let sender = WebhookSender::new(url, Duration::from_millis(timeout.into()));
    let webhook = WebhookFunction::new(sender, SecretStore::new(&config, &secret));
    let backoff = QueueBackoff::new(&config);
    let answer = |event: LambdaEvent<Value>| {
        let (webhook, backoff, metrics) = (&webhook, &backoff, &metrics);
        async move {
            let context = InvocationContext::new(jiff::Timestamp::now(), event.context.deadline);
            let answer = webhook.handle(&event.payload, context).await;
            let deliveries = QueueDelivery::read_all(&event.payload);
            let failed = select_failed(deliveries, answer.as_ref().ok());
            let end = context.deadline.and_then(|end| end.checked_sub(TO_ANSWER));
            backoff.hide_longer(failed, end).await;
            metrics.flush();
            answer.map_err(Error::from)
        }
    };
    lambda_runtime::run(service_fn(answer)).await
}
