//! The options of an engine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use protocol::limits::Quotas;

/// The clock that the engine reads.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The options of an engine. Every field may be changed after [`EngineOptions::new`].
#[derive(Clone)]
pub struct EngineOptions {
    /// The table of definitions. Default `Definitions`.
    pub definitions_table: String,
    /// The table of events and predictions. Default `Events`.
    pub events_table: String,
    /// The region in ARNs, e.g. `us-east-1`.
    pub region: String,
    /// The account in ARNs, twelve digits.
    pub account: String,
    /// The clock that the engine reads. Default: the system's clock.
    pub clock: Clock,
    /// How old cached data may be before the tables are read again. Default 2 s.
    pub freshness: Duration,
    /// How many days events, labels and predictions are kept after they were stored; `None` keeps them until they are
    /// deleted. Default 548, Amazon's 18 months.
    pub retention_days: Option<u32>,
    /// The `source` of predictions on the event bus. Default `fraudstream.frauddetector`, because AWS reserves
    /// `aws.frauddetector` for itself.
    pub event_source: String,
    /// The quotas. Default: Amazon's.
    pub quotas: Quotas,
}

impl EngineOptions {
    /// Options with Amazon's quotas and the default table names.
    pub fn new(region: impl Into<String>, account: impl Into<String>) -> Self {
        Self {
            definitions_table: "Definitions".to_owned(),
            events_table: "Events".to_owned(),
            region: region.into(),
            account: account.into(),
            clock: Arc::new(Timestamp::now),
            freshness: Duration::from_secs(2),
            retention_days: Some(548),
            event_source: "fraudstream.frauddetector".to_owned(),
            quotas: Quotas::default(),
        }
    }
}

impl fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineOptions")
            .field("definitions_table", &self.definitions_table)
            .field("events_table", &self.events_table)
            .field("region", &self.region)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}
