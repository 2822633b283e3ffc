//! Lambda function `ingest`. See the library for what it does.

use ingest::{FUNCTION, IngestFunction};
use lambda_runtime::Error;
use wiring::Wiring;

/// An order takes hundreds of allocations, mostly in the SDK: see docs/decisions/0015.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::new(|name| std::env::var(name).ok()).await?;
    let mapping = wiring.mapping()?;
    let ingest = IngestFunction {
        profiles: wiring.profiles(),
        fraud_detector: wiring.fraud_detector.clone(),
        labels: wiring.labels(&mapping),
        batcher: wiring.batcher(FUNCTION),
        rejected: wiring.rejected(),
        mapping,
    };
    wiring
        .run(FUNCTION, async |event, context| {
            ingest.handle(event, context).await
        })
        .await
}
