//! Lambda function `label`. See the library for what it does.

use label::{FUNCTION, LabelFunction};
use lambda_runtime::Error;
use wiring::Wiring;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::new(|name| std::env::var(name).ok()).await?;
    let mapping = wiring.mapping()?;
    let label = LabelFunction {
        labels: wiring.labels(&mapping),
        batcher: wiring.batcher(FUNCTION),
        rejected: wiring.rejected(),
        mapping,
    };
    wiring
        .run(async |event, context| label.handle(event, context).await)
        .await
}
