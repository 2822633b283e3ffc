//! Lambda function `predict`. See the library for what it does.

use lambda_runtime::Error;
use predict::{FUNCTION, PredictFunction};
use wiring::Wiring;

/// An order takes hundreds of allocations, mostly in the SDK: see docs/decisions/0015.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::new(|name| std::env::var(name).ok()).await?;
    let mapping = wiring.mapping()?;
    let predict = PredictFunction {
        detector_version: wiring.settings.detector_version.clone(),
        fraud_detector: wiring.fraud_detector.clone(),
        held_predictions: wiring.held_predictions(),
        decisions: wiring.decisions(),
        profiles: wiring.profiles(),
        labels: wiring.labels(&mapping),
        batcher: wiring.batcher(FUNCTION),
        rejected: wiring.rejected(),
        mapping,
    };
    wiring
        .run(FUNCTION, async |event, context| {
            predict.handle(event, context).await
        })
        .await
}
