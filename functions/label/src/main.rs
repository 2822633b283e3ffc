//! Lambda function `label`. See the library for what it does.

use label::{FUNCTION, LabelFunction};
use lambda_runtime::Error;
use wiring::Wiring;

/// An order takes hundreds of allocations, mostly in the SDK: see docs/decisions/0015.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        .run(FUNCTION, async |event, context| {
            label.handle(event, context).await
        })
        .await
}
