//! The file of a job, read from S3 on a thread of its own.

use csv::ByteRecord;
use protocol::job_file::{
    ExpectedEvent, JobFileError, JobFileHeader, RequiredColumns, RowBatch, RowReader,
};
use protocol::{Error, Result};
use store::pinned_bundles::EventTypeBundle;
use tokio::sync::mpsc;

use crate::work::JobStopReason;
use crate::work::source::{FailedRead, S3Source};

/// Checks the header of a file against an event type.
pub(super) fn check_header(
    record: &ByteRecord,
    event_type: &EventTypeBundle,
    rules: RequiredColumns,
) -> Result<JobFileHeader, JobStopReason> {
    let expected = ExpectedEvent {
        event_type: &event_type.name,
        entity_type: event_type.entity_types.first().map_or("", String::as_str),
        variables: event_type
            .variables
            .iter()
            .map(|v| v.name.as_str())
            .collect(),
    };
    JobFileHeader::new(record, &expected, rules).map_err(JobStopReason::Failed)
}

/// The header of a file, and its rows from `row` on, which begins at `byte`.
pub(super) async fn read_job_file(
    source: &S3Source,
    row: u64,
    byte: u64,
) -> Result<(ByteRecord, mpsc::Receiver<Result<RowBatch, JobStopReason>>), JobStopReason> {
    let (sender, steps) = mpsc::channel(1);
    let source = source.clone();
    let (header, headers) = tokio::sync::oneshot::channel();
    let (first, rest) = (source.read_from(0), source.read_from(byte));
    tokio::task::spawn_blocking(move || {
        let mut reader = RowReader::new(first, 0, 0);
        let read = reader.header();
        let fine = read.is_ok();
        let heard = header.send(read.map_err(JobStopReason::from)).is_ok();
        if !fine || !heard {
            return;
        }
        if byte > 0 {
            reader = RowReader::new(rest, row, byte);
        }
        loop {
            let step = reader.step();
            if step.as_ref().is_ok_and(|step| step.rows.is_empty()) {
                return;
            }
            let failed = step.is_err();
            // Nobody listens any more where the job has been stopped.
            if sender
                .blocking_send(step.map_err(JobStopReason::from))
                .is_err()
                || failed
            {
                return;
            }
        }
    });
    let header = headers
        .await
        .map_err(|_| Error::internal("the reader of a file ended early"))??;
    Ok((header, steps))
}

impl From<JobFileError> for JobStopReason {
    fn from(error: JobFileError) -> Self {
        match error {
            JobFileError::Invalid(reason) => Self::Failed(reason),
            JobFileError::Source(error) => match error.downcast::<FailedRead>() {
                Ok(FailedRead(stop)) => stop,
                Err(error) => Self::Error(Error::internal(error)),
            },
        }
    }
}
