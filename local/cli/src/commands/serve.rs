//! `fraudstream serve`: answers Fraud Detector, DynamoDB, S3 and `EventBridge` on one port, and decides orders.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::CommandError;
use super::workspace::{WorkspaceArgs, durability_for};
use crate::runners;
use crate::signals;
use local_aws::dynamodb::Durability;
use local_aws::fault::Faults;
use local_aws::local_stack::LocalStack;
use local_aws::serve::{self, DecideService};
use local_aws::signature::SigningKeys;
use shared::mapping::Mapping;
use shared::settings::DECIDE_TIMEOUT_MS;
use tokio::task::JoinHandle;

/// How often `serve` writes the counters of stored events, which a function writes after each batch.
const COUNTERS: Duration = Duration::from_secs(1);

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on; an address that other machines can reach needs --credentials.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// Port; 0 takes a free one.
    #[arg(long, default_value_t = 4567)]
    port: u16,
    /// Answer only requests signed with a key of this file, in the form of ~/.aws/credentials.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Make writes survive a power loss, too: about three times slower.
    #[arg(long, conflicts_with = "memory")]
    durable: bool,
    /// Keep the tables in memory: fastest, but lost when the process ends.
    #[arg(long)]
    memory: bool,
    /// Milliseconds after which an order that is posted to /decide is answered, decided or not.
    #[arg(
        long,
        env = "DECIDE_TIMEOUT_MS",
        default_value_t = DECIDE_TIMEOUT_MS,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "MS"
    )]
    decide_timeout: u32,
    /// Let tests make calls fail, see docs/differences.md.
    #[arg(long, conflicts_with = "credentials")]
    faults: bool,
}

impl ServeArgs {
    /// Serves until the process is told to stop.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let keys = self
            .credentials
            .as_deref()
            .map(SigningKeys::read)
            .transpose()?;
        let faults = self.faults.then(Faults::new);
        let durability = if self.memory {
            Durability::Nothing
        } else {
            durability_for(self.durable)
        };
        let mapping = workspace.read_mapping_if_any()?;
        let locations = workspace.read_locations()?;
        let stack = workspace.open_local_stack(durability).await?;
        let (decide, deciding) = mapping
            .map(|mapping| self.start_deciding(&stack, mapping.with_locations(locations)))
            .unzip();
        let engine = Arc::clone(&stack.engine);
        let counting = tokio::spawn(async move {
            loop {
                tokio::time::sleep(COUNTERS).await;
                if engine.flush().await.is_err() {
                    tracing::warn!("the counters could not be written");
                }
            }
        });
        let runners = runners::local_runners(&stack);
        let working = tokio::spawn(async move { runners.run().await });
        let front = serve::ServeOptions {
            keys,
            faults,
            decide,
            ..serve::ServeOptions::default()
        };
        let stop = signals::listen_for_interrupt(front.limits.finish + signals::GRACE)?;
        let served =
            serve::listen_and_serve(self.host, self.port, stack.services(), front, stop).await;
        // The tasks hold the engine until they have ended. A job continues at the next start.
        for task in [counting, working] {
            task.abort();
            let _ = task.await;
        }
        // It decides what still waits.
        if let Some(deciding) = deciding {
            let _ = deciding.await;
        }
        stack.close().await?;
        Ok(served?)
    }
    fn start_deciding(
        &self,
        stack: &LocalStack,
        mapping: Mapping,
    ) -> (DecideService, JoinHandle<()>) {
        let timeout = Duration::from_millis(self.decide_timeout.into());
        DecideService::start(stack.pipeline().predict(mapping, None), timeout)
    }
}
