//! What operations share: caches, counters, entity histories, the event bus and external models.
//!
//! Each service works on the [`Account`] and knows no operation.

pub(crate) mod definition_cache;
pub(crate) mod entity_history;
pub(crate) mod event_bus;
pub(crate) mod external_models;
pub(crate) mod forgotten;
pub(crate) mod model_cache;
pub(crate) mod prediction_buffer;
pub(crate) mod prediction_index;
pub(crate) mod statistics;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use definition_cache::DefinitionCache;
use entity_history::EntityHistoryStore;
use event_bus::PredictionBus;
use external_models::ExternalModelClient;
use model_cache::ModelCache;
use prediction_buffer::PredictionBuffer;
use prediction_index::PredictionIndex;
use protocol::Result;
use statistics::EventStatistics;
use store::{Account, EngineOptions};

/// The services of one account.
#[derive(Debug)]
pub(crate) struct EngineServices {
    pub(crate) account: Arc<Account>,
    pub(crate) definition_cache: DefinitionCache,
    pub(crate) model_cache: ModelCache,
    pub(crate) entity_histories: EntityHistoryStore,
    pub(crate) statistics: EventStatistics,
    pub(crate) prediction_index: PredictionIndex,
    pub(crate) prediction_buffer: PredictionBuffer,
    /// Without one, a detector version with external models answers `ResourceUnavailableException`.
    pub(crate) sagemaker: Option<ExternalModelClient>,
    pub(crate) event_bus: Option<Arc<PredictionBus>>,
}

impl EngineServices {
    pub(crate) fn new(options: EngineOptions, client: Client) -> Self {
        let account = Arc::new(Account::new(options, client));
        Self {
            definition_cache: DefinitionCache::new(Arc::clone(&account)),
            model_cache: ModelCache::default(),
            entity_histories: EntityHistoryStore::new(Arc::clone(&account)),
            statistics: EventStatistics::new(Arc::clone(&account)),
            prediction_index: PredictionIndex::new(Arc::clone(&account)),
            prediction_buffer: PredictionBuffer::default(),
            sagemaker: None,
            event_bus: None,
            account,
        }
    }

    /// Writes the counts in memory, and sends what is left for the event bus.
    pub(crate) async fn flush(&self) -> Result<()> {
        let written = self.statistics.write_all_counts().await;
        if let Some(bus) = &self.event_bus {
            bus.flush().await;
        }
        written
    }
}
