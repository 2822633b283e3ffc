//! `label`: chargebacks, early warnings, refunds, reversals and analysts' verdicts in; labels out.

use serde_json::Value;
use shared::batch::{BatchFailed, Batcher, Handled, Moment, Response, done, prepare};
use shared::failure::Rejection;
use shared::labels::{Applied, Labels};
use shared::mapping::Mapping;
use shared::records::{Invocation, Record};
use shared::rejected::Rejected;

/// The function's name, as rejected records and metrics carry it.
pub const FUNCTION: &str = "label";

/// The function over its clients.
pub struct Label {
    /// How a chargeback becomes a label.
    pub mapping: Mapping,
    /// Where labels go.
    pub labels: Labels,
    /// How batches are run.
    pub batcher: Batcher,
    /// Where records go that can never become a label.
    pub rejected: Rejected,
}

impl Label {
    /// Answers one invocation.
    ///
    /// # Errors
    /// [`BatchFailed`] where no record could be processed.
    pub async fn handle(&self, event: Value, moment: Moment) -> Result<Response, BatchFailed> {
        self.batch(Invocation::new(event).into_records(), moment)
            .await
            .response()
    }

    /// Applies the labels of a batch.
    pub async fn batch(&self, records: Vec<Record>, moment: Moment) -> Handled<Applied> {
        let labels = prepare(&records, |record| self.mapping.label(&record.json()?));
        let process = async |index: usize, _: &Record| {
            let label = labels[index].as_ref().map_err(Clone::clone)?;
            self.batcher.call_permit().await;
            let applied = self.labels.apply(label, moment.now).await?;
            metrics::counter!(if applied == Applied::Waiting {
                "LabelsWaiting"
            } else {
                "LabelsApplied"
            })
            .increment(1);
            Ok(applied)
        };
        let park = async |record: &Record, rejection: &Rejection| {
            self.rejected.write(FUNCTION, record, rejection).await
        };
        self.batcher
            .run(records, moment.deadline, process, done, park)
            .await
    }
}
