//! Every limit of the service, from its model and its published quotas. Those of one value are in [`event::limits`].

pub use event::limits::VARIABLES_PER_EVENT;

/// The largest request, in bytes: Amazon's quota for a prediction. No other request is larger, except those with the
/// elements of a list.
pub const LARGEST_REQUEST: usize = 256 * 1024;
/// The largest request with elements of a list, in bytes: 100,000 elements of 320 characters, with room for JSON
/// escapes.
pub const LARGEST_LIST_REQUEST: usize = 64 * 1024 * 1024;
/// The most tags of one resource.
pub const TAGS_PER_RESOURCE: usize = 200;
/// The most elements of one list, and of one request that changes it.
pub const ELEMENTS_PER_LIST: usize = 100_000;

/// The largest file of a batch import in bytes: 20 GB, as in Amazon's guide.
pub const BATCH_IMPORT_FILE_BYTES: u64 = 20_000_000_000;
/// The largest file of a batch prediction in bytes: 1 GB, as in Amazon's guide.
pub const BATCH_PREDICTION_FILE_BYTES: u64 = 1_000_000_000;
/// The largest file that a model is trained on in bytes: 5 GB, as at Amazon.
pub const TRAINING_FILE_BYTES: u64 = 5 << 30;
/// How many variables a model may be trained on.
pub const VARIABLES_PER_MODEL: std::ops::RangeInclusive<usize> = 2..=100;
/// The largest major version of a model.
pub const LAST_MAJOR_VERSION: u32 = 9999;
/// The largest minor version that fits into `modelVersionNumber`: `1.99`.
pub const LAST_MINOR_VERSION: u32 = 99;

/// The quotas of an account: the most of each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Variables of the account.
    pub variables: usize,
    /// Rules of the account; every version counts.
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
    /// Model versions in training at the same time; one model has at most one.
    pub trainings: usize,
    /// Versions of one detector that are DRAFT.
    pub drafts_per_detector: usize,
}

impl Default for Quotas {
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
            list_elements: ELEMENTS_PER_LIST,
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
