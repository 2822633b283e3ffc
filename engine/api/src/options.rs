//! What an engine is told when it is built.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// Where the engine reads the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How an engine is set up. Every field may be changed after [`Options::new`].
#[derive(Clone)]
pub struct Options {
    /// The table of definitions. Default `Definitions`.
    pub definitions_table: String,
    /// The table of events and predictions. Default `Events`.
    pub events_table: String,
    /// The region in ARNs, e.g. `us-east-1`.
    pub region: String,
    /// The account in ARNs, twelve digits.
    pub account: String,
    /// Where the engine reads the time. Default: the system's clock.
    pub clock: Clock,
    /// How old what is cached may be before the tables are asked again. Default 2 s.
    pub freshness: Duration,
    /// How many days after storing events, labels and predictions are kept; `None` keeps them
    /// until they are deleted. Default 548, the 18 months of Amazon.
    pub retention_days: Option<u32>,
    /// The `source` of predictions on the event bus. Default `fraudstream.frauddetector`: AWS
    /// refuses `aws.frauddetector` from anyone else.
    pub event_source: String,
    /// The quotas. Default: Amazon's.
    pub limits: Limits,
}

impl Options {
    /// Amazon's quotas and the default table names.
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
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("definitions_table", &self.definitions_table)
            .field("events_table", &self.events_table)
            .field("region", &self.region)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// The quotas of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Variables of the account.
    pub variables: usize,
    /// Rules of the account, every version counted.
    pub rules: usize,
    /// Outcomes of the account.
    pub outcomes: usize,
    /// Labels of the account.
    pub labels: usize,
    /// Entity types of the account.
    pub entity_types: usize,
    /// Event types of the account.
    pub event_types: usize,
    /// Detectors of the account.
    pub detectors: usize,
    /// Lists of the account.
    pub lists: usize,
    /// Elements of one list.
    pub list_elements: usize,
    /// Lists that the rules of one detector version use together.
    pub lists_per_detector: usize,
    /// Models and external models of one detector version, together.
    pub models_per_detector_version: usize,
    /// Models of the account.
    pub models: usize,
    /// Versions of one model.
    pub versions_per_model: usize,
    /// Model versions that are ACTIVE.
    pub deployed_model_versions: usize,
    /// Model versions in training at once; a model has one at most.
    pub trainings: usize,
    /// Versions of one detector that are DRAFT.
    pub drafts_per_detector: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            variables: 5000,
            rules: 5000,
            outcomes: 5000,
            labels: 100,
            entity_types: 100,
            event_types: 100,
            detectors: 100,
            lists: 1000,
            list_elements: 100_000,
            lists_per_detector: 30,
            models_per_detector_version: 10,
            models: 50,
            versions_per_model: 200,
            deployed_model_versions: 5,
            trainings: 3,
            drafts_per_detector: 100,
        }
    }
}
