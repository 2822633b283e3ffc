//! Lambda function `label`: applies chargebacks, early warnings, refunds, reversals and analysts' verdicts as labels.

use std::sync::Arc;

use event::LabelMessage;
use serde_json::Value;
use shared::batch::{
    BatchResponse, BatchResults, Batcher, InvocationContext, InvocationError, keep_results,
    prepare_records,
};
use shared::failure::{Failure, Rejection};
use shared::labels::{AppliedLabel, LabelApplier, LabelReceipt};
use shared::mapping::Mapping;
use shared::records::{Invocation, Record};
use shared::rejected::RejectedStore;

pub use shared::labels::FUNCTION;

/// The handler of the function, with its clients.
pub struct LabelFunction {
    /// How a chargeback becomes a label.
    pub mapping: Arc<Mapping>,
    /// Applies labels to decisions and to the service.
    pub labels: LabelApplier,
    /// Runs batches.
    pub batcher: Batcher,
    /// Where rejected records are written.
    pub rejected: RejectedStore,
}

impl LabelFunction {
    /// Handles one invocation.
    ///
    /// # Errors
    /// [`InvocationError`] if no record could be processed.
    pub async fn handle(
        &self,
        event: Value,
        context: InvocationContext,
    ) -> Result<BatchResponse, InvocationError> {
        let records = Invocation::new(event)?.into_records();
        Ok(Box::pin(self.label_batch(records, context))
            .await
            .response()?)
    }

    /// Applies the labels of a batch; a record may bring labels for several orders.
    pub async fn label_batch(
        &self,
        records: Vec<Record>,
        context: InvocationContext,
    ) -> BatchResults<Vec<LabelReceipt>> {
        let ends = self.batcher.phase_deadlines(context.deadline);
        let labels = prepare_records(&records, ends, |record| {
            self.mapping.map_labels(&record.json()?)
        });
        let subjects = |index: usize| {
            let labels = labels[index].iter().flatten();
            labels.map(|label| label.event_id.to_string()).collect()
        };
        let process = async |index: usize, record: &Record| {
            let labels = labels[index].as_ref().map_err(Clone::clone)?;
            self.apply_all(labels, record, context).await
        };
        let park = async |record: &Record, rejection: &Rejection| {
            self.rejected.write(FUNCTION, record, rejection).await
        };
        self.batcher
            .run(records, ends, subjects, process, 1, keep_results, park)
            .await
    }

    /// Applies each label of a record. If one fails, the whole record fails and is repeated, because applying a label twice
    /// changes nothing.
    async fn apply_all(
        &self,
        labels: &[LabelMessage],
        record: &Record,
        context: InvocationContext,
    ) -> Result<Vec<LabelReceipt>, Failure> {
        let mut all = Vec::with_capacity(labels.len());
        for label in labels {
            let applied = self.labels.apply(label, record, context.now, &self.batcher);
            all.push(Box::pin(applied).await);
        }
        let all: Vec<LabelReceipt> = all.into_iter().collect::<Result<_, _>>()?;
        for receipt in &all {
            let name = match receipt.applied {
                AppliedLabel::Applied { .. } => "LabelsApplied",
                AppliedLabel::Kept => "LabelsKept",
                AppliedLabel::Waiting => "LabelsWaiting",
            };
            metrics::counter!(name).increment(1);
        }
        Ok(all)
    }
}
