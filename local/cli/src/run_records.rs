//! The records of one batch of a run.

use shared::failure::Rejection;
use shared::records::Record;

/// The records of a batch.
#[derive(Default)]
pub(crate) struct RunRecords {
    /// Those for the function.
    pub(crate) whole: Vec<Record>,
    /// Rows that were refused when they were read, and why.
    pub(crate) refused: Vec<(Record, Rejection)>,
}

impl RunRecords {
    pub(crate) fn count(&self) -> usize {
        self.whole.len() + self.refused.len()
    }

    pub(crate) fn first_record(&self) -> Option<&Record> {
        let refused = self.refused.first().map(|(record, _)| record);
        self.whole.first().or(refused)
    }
}
