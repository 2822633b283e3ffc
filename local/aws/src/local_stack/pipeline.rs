//! The functions of the pipeline over some clients, local or not.

use event::DetectorVersionId;
use ingest::IngestFunction;
use label::LabelFunction;
use predict::PredictFunction;
use shared::batch::{Batcher, Budget};
use shared::decisions::Decisions;
use shared::labels::LabelApplier;
use shared::mapping::Mapping;
use shared::rejected::RejectedStore;

use super::{BUCKET, DECISIONS};
use crate::clients::Clients;

/// The functions of the pipeline over some clients.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The clients that the functions use.
    pub clients: Clients,
    /// The table of decisions.
    pub decisions_table: String,
    /// The bucket of rejected records.
    pub bucket: String,
    /// Limits on concurrency and rate.
    pub budget: Budget,
}

impl Pipeline {
    /// The functions over the local stack.
    pub fn local(clients: &Clients) -> Self {
        Self {
            clients: clients.clone(),
            decisions_table: DECISIONS.to_owned(),
            bucket: BUCKET.to_owned(),
            budget: Budget::default(),
        }
    }

    /// The table of decisions.
    pub fn decisions(&self) -> Decisions {
        Decisions::new(self.clients.dynamodb.clone(), &self.decisions_table)
    }

    fn labels(&self, mapping: &Mapping) -> LabelApplier {
        LabelApplier::new(
            self.decisions(),
            self.clients.frauddetector.clone(),
            self.rejected(),
            mapping,
        )
    }

    fn rejected(&self) -> RejectedStore {
        RejectedStore::new(self.clients.s3.clone(), &self.bucket)
    }

    /// The function `predict`.
    pub fn predict(
        &self,
        mapping: Mapping,
        detector_version: Option<DetectorVersionId>,
    ) -> PredictFunction {
        PredictFunction {
            detector_version,
            fraud_detector: self.clients.frauddetector.clone(),
            decisions: self.decisions(),
            labels: self.labels(&mapping),
            batcher: Batcher::new(predict::FUNCTION, self.budget),
            rejected: self.rejected(),
            mapping,
        }
    }

    /// The function `ingest`.
    pub fn ingest(&self, mapping: Mapping) -> IngestFunction {
        IngestFunction {
            fraud_detector: self.clients.frauddetector.clone(),
            labels: self.labels(&mapping),
            batcher: Batcher::new(ingest::FUNCTION, self.budget),
            rejected: self.rejected(),
            mapping,
        }
    }

    /// The function `label`.
    pub fn label(&self, mapping: Mapping) -> LabelFunction {
        LabelFunction {
            labels: self.labels(&mapping),
            batcher: Batcher::new(label::FUNCTION, self.budget),
            rejected: self.rejected(),
            mapping,
        }
    }
}
