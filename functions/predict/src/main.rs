//! Lambda function `predict`. See the library for what it does.

use lambda_runtime::Error;
use predict::{FUNCTION, PredictFunction};
use wiring::Wiring;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::new(|name| std::env::var(name).ok()).await?;
    let mapping = wiring.mapping()?;
    let predict = PredictFunction {
        detector_version: wiring.settings.detector_version.clone(),
        fraud_detector: wiring.fraud_detector.clone(),
        decisions: wiring.decisions(),
        labels: wiring.labels(&mapping),
        batcher: wiring.batcher(FUNCTION),
        rejected: wiring.rejected(),
        mapping,
    };
    wiring
        .run(async |event, context| predict.handle(event, context).await)
        .await
}
