//! The functions of the pipeline over some clients, local or not.

use std::sync::Arc;

use engine::Engine;
use event::DetectorVersionId;
use ingest::IngestFunction;
use label::LabelFunction;
use predict::PredictFunction;
use shared::batch::{Batcher, Budget};
use shared::decisions::{DecisionWrites, Decisions};
use shared::held_predictions::HeldPredictions;
use shared::labels::LabelApplier;
use shared::mapping::Mapping;
use shared::profiles::ProfileTable;
use shared::rejected::RejectedStore;
use wiring::held_predictions;

use super::{BUCKET, DECISIONS, VELOCITY};
use crate::clients::{Clients, connect_frauddetector};

/// The functions of the pipeline over some clients.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The clients that the functions use.
    pub clients: Clients,
    /// The table of decisions.
    pub decisions_table: String,
    /// The table of the profiles of keys with aggregates.
    pub velocity_table: String,
    /// The bucket of rejected records.
    pub bucket: String,
    /// Limits on concurrency and rate.
    pub budget: Budget,
    /// Stores the predictions that the engine behind `clients` holds back.
    pub held_predictions: HeldPredictions,
    /// How several decisions are written at once.
    pub decision_writes: DecisionWrites,
}

impl Pipeline {
    /// The functions over clients of a local stack. Predictions are stored before they are answered.
    pub fn local(clients: &Clients) -> Self {
        Self {
            clients: clients.clone(),
            decisions_table: DECISIONS.to_owned(),
            velocity_table: VELOCITY.to_owned(),
            bucket: BUCKET.to_owned(),
            budget: Budget::default(),
            held_predictions: HeldPredictions::default(),
            decision_writes: DecisionWrites::Statements,
        }
    }

    /// The functions over an engine in this process, which holds predictions back from them.
    #[must_use]
    pub fn with_engine(mut self, engine: &Arc<Engine>) -> Self {
        let client = engine::holding_http_client(Arc::clone(engine));
        self.clients.frauddetector = connect_frauddetector(client);
        self.held_predictions = held_predictions(engine);
        self
    }

    /// The table of decisions.
    pub fn decisions(&self) -> Decisions {
        Decisions::new(self.clients.dynamodb.clone(), &self.decisions_table)
            .with_writes(self.decision_writes)
    }

    /// The table of the profiles of keys with aggregates.
    pub fn profiles(&self) -> ProfileTable {
        ProfileTable::new(self.clients.dynamodb.clone(), &self.velocity_table)
    }

    /// What applies labels of the mapping's event type.
    pub fn labels(&self, mapping: &Arc<Mapping>) -> LabelApplier {
        LabelApplier::new(
            self.decisions(),
            self.clients.frauddetector.clone(),
            self.rejected(),
            self.profiles(),
            Arc::clone(mapping),
        )
    }

    fn rejected(&self) -> RejectedStore {
        RejectedStore::new(self.clients.s3.clone(), &self.bucket)
    }

    /// The function `predict`.
    pub fn predict(
        &self,
        mapping: impl Into<Arc<Mapping>>,
        detector_version: Option<DetectorVersionId>,
    ) -> PredictFunction {
        let mapping = mapping.into();
        PredictFunction {
            detector_version,
            fraud_detector: self.clients.frauddetector.clone(),
            held_predictions: self.held_predictions.clone(),
            decisions: self.decisions(),
            profiles: self.profiles(),
            labels: self.labels(&mapping),
            batcher: Batcher::new(predict::FUNCTION, self.budget),
            rejected: self.rejected(),
            mapping,
        }
    }

    /// The function `ingest`.
    pub fn ingest(&self, mapping: impl Into<Arc<Mapping>>) -> IngestFunction {
        let mapping = mapping.into();
        IngestFunction {
            profiles: self.profiles(),
            fraud_detector: self.clients.frauddetector.clone(),
            labels: self.labels(&mapping),
            batcher: Batcher::new(ingest::FUNCTION, self.budget),
            rejected: self.rejected(),
            mapping,
        }
    }

    /// The function `label`.
    pub fn label(&self, mapping: impl Into<Arc<Mapping>>) -> LabelFunction {
        let mapping = mapping.into();
        LabelFunction {
            labels: self.labels(&mapping),
            batcher: Batcher::new(label::FUNCTION, self.budget),
            rejected: self.rejected(),
            mapping,
        }
    }
}
