//! Any bytes as a request to an engine over a database in memory. What one request made, the next
//! ones find.
#![no_main]

use std::sync::{Arc, LazyLock};

use engine::{Engine, Options};
use local_aws::{clients, dynamodb::DynamoDb};
use tokio::runtime::Runtime;

static WORLD: LazyLock<(Runtime, Arc<Engine>)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let database = DynamoDb::in_memory().expect("a database");
    let client = clients::dynamodb(database.service().http_client());
    let options = Options::new("us-east-1", "123456789012");
    let engine = Arc::new(Engine::new(options, client));
    runtime.block_on(engine.create_tables()).expect("tables");
    (runtime, engine)
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (runtime, engine) = &*WORLD;
    runtime.block_on(engine::fuzz::wire(engine, data));
});
