//! The input file of a job: its event type, its header, and its rows, read from S3 on a thread of its own.

use std::sync::Arc;

use csv_rows::CsvHeader;
use protocol::job_file::{
    ExpectedEvent, JobFileError, JobFileHeader, RequiredColumns, RowBatch, RowPosition, RowReader,
};
use protocol::{Error, Result};
use store::pinned_bundles::EventTypeBundle;
use store::records::event_type::missing_event_type;
use tokio::sync::mpsc;

use crate::work::source::{FailedRead, S3Source};
use crate::work::{JobRun, JobStopReason};

/// Checks the header of a file against an event type.
pub(super) fn check_header(
    header: &CsvHeader,
    event_type: &EventTypeBundle,
    required: RequiredColumns,
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
    JobFileHeader::new(header, &expected, required).map_err(JobStopReason::Failed)
}

/// The header of a file, and its rows after the position.
pub(super) async fn read_job_file(
    source: &S3Source,
    position: RowPosition,
) -> Result<(CsvHeader, mpsc::Receiver<Result<RowBatch, JobStopReason>>), JobStopReason> {
    let (sender, steps) = mpsc::channel(1);
    let source = source.clone();
    let (header, headers) = tokio::sync::oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let opened = RowReader::open(Box::new(source.read_from(0)), source.largest);
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(error) => {
                drop(header.send(Err(JobStopReason::from(error))));
                return;
            }
        };
        if header.send(Ok(reader.header().clone())).is_err() {
            return;
        }
        let skipped = reader.skip_to(position, |byte| Box::new(source.read_from(byte)));
        let mut failed = skipped.err();
        loop {
            let step = failed.take().map_or_else(|| reader.read_batch(), Err);
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

/// The event type of a job. It may have been deleted meanwhile.
pub(super) async fn load_event_type(
    job_run: &JobRun<'_>,
) -> Result<Arc<EventTypeBundle>, JobStopReason> {
    let name = &job_run.job.event_type_name;
    let found = job_run
        .services()
        .definition_cache
        .get_event_type(name)
        .await?;
    found.ok_or_else(|| JobStopReason::Failed(missing_event_type(name).message().to_owned()))
}

/// Opens the input file, which must not change until the job has ended.
pub(super) async fn open_input_file(
    job_run: &mut JobRun<'_>,
    largest: u64,
) -> Result<S3Source, JobStopReason> {
    let path = job_run
        .job
        .files
        .as_ref()
        .map(|files| files.input_path.as_str());
    let source = S3Source::open(&job_run.jobs.s3, path.unwrap_or_default(), largest).await?;
    match &job_run.state.input_tag {
        None => job_run.state.input_tag.clone_from(&source.tag),
        known if *known == source.tag => {}
        Some(_) => {
            let reason = "The input file was changed while the job read it.";
            return Err(JobStopReason::Failed(reason.to_owned()));
        }
    }
    Ok(source)
}
