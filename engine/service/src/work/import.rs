//! Batch imports: the rows of a file become events.
//!
//! The whole file is checked before anything is stored. Rows that are rejected go to the output with the reason, the
//! others are stored; if more than half of the rows are rejected, nothing is stored.

use std::collections::HashSet;

use csv::WriterBuilder;
use csv_rows::CsvRow;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use protocol::job_file::{JobFileColumn, JobFileHeader, RequiredColumns, RowBatch};
use protocol::limits::BATCH_IMPORT_FILE_BYTES;
use protocol::wire::validate_and_read_input;
use protocol::{Error, ErrorCode, Operation, Result};
use serde_json::Value;
use store::pinned_bundles::EventTypeBundle;
use store::records::event::StoreResult;
use store::records::event_type::ingestion_disabled_error;
use store::records::forgotten::Subject;
use store::records::job::JobPhase;

use crate::operations::events;
use crate::operations::events::CheckedEvent;
use crate::services::EngineServices;
use crate::services::forgotten::{find_forgotten, forgotten_error};
use crate::services::statistics::EventCount;
use crate::work::job_file::{check_header, load_event_type, open_input_file, read_job_file};
use crate::work::source::S3Source;
use crate::work::{AT_ONCE, JobRun, JobStopReason, output};

pub(super) async fn run_import(job_run: &mut JobRun<'_>) -> Result<(), JobStopReason> {
    let event_type = load_event_type(job_run).await?;
    if !event_type.ingestion {
        let refused = ingestion_disabled_error(&event_type.name);
        return Err(JobStopReason::Failed(refused.message().to_owned()));
    }
    let source = open_input_file(job_run, BATCH_IMPORT_FILE_BYTES).await?;
    if job_run.state.position.phase == JobPhase::Check {
        check_file(job_run, &source, &event_type).await?;
        if job_run.state.total == 0 {
            return Err(JobStopReason::Failed(
                "The input file has no rows.".to_owned(),
            ));
        }
        job_run.begin_work_phase();
        refuse_bad_file(job_run).await?;
        job_run.save_progress(None).await?;
    }
    store_file(job_run, &source, &event_type).await?;
    refuse_bad_file(job_run).await?;
    output::join_parts(job_run).await
}

/// Fails the job if more than half of the rows were rejected.
async fn refuse_bad_file(job_run: &JobRun<'_>) -> Result<(), JobStopReason> {
    let (failed, total) = (job_run.state.failed, job_run.state.total);
    if failed * 2 <= total {
        return Ok(());
    }
    output::join_parts(job_run).await?;
    Err(JobStopReason::Failed(format!(
        "{failed} of {total} records failed, which is more than 50%. The output file has the reasons: \
         fix the errors in the data file and start a new import job."
    )))
}

async fn check_file(
    job_run: &mut JobRun<'_>,
    source: &S3Source,
    event_type: &EventTypeBundle,
) -> Result<(), JobStopReason> {
    let (header, mut steps) = read_job_file(source, job_run.row_position()).await?;
    let header = check_header(&header, event_type, RequiredColumns::Import)?;
    while let Some(step) = steps.recv().await {
        let step = step?;
        let mut errors = ImportErrors::default();
        for row in &step.rows {
            if let Err(reason) = check_row(job_run, event_type, &header, row)? {
                errors.add(&header, row, &reason);
            }
        }
        job_run.state.total += step.rows.len() as u64;
        job_run.finish_step(&step, errors).await?;
        job_run.save_progress(None).await?;
    }
    Ok(())
}

async fn store_file(
    job_run: &mut JobRun<'_>,
    source: &S3Source,
    event_type: &EventTypeBundle,
) -> Result<(), JobStopReason> {
    let (header, mut steps) = read_job_file(source, job_run.row_position()).await?;
    let header = check_header(&header, event_type, RequiredColumns::Import)?;
    while let Some(step) = steps.recv().await {
        let step = step?;
        let (count, errors) = store_rows(job_run, event_type, &header, &step).await?;
        job_run.state.processed += step.rows.len() as u64;
        job_run.finish_step(&step, errors).await?;
        job_run.save_stored_step(&count).await?;
    }
    Ok(())
}

/// Stores the valid rows of a step. Of several rows with the same event id, the first counts.
async fn store_rows(
    job_run: &JobRun<'_>,
    event_type: &EventTypeBundle,
    header: &JobFileHeader,
    step: &RowBatch,
) -> Result<(EventCount, ImportErrors), JobStopReason> {
    let mut rows = Vec::with_capacity(step.rows.len());
    for row in &step.rows {
        // Rows that are rejected here were already reported when the file was checked.
        if let Ok(checked) = check_row(job_run, event_type, header, row)? {
            rows.push((row, checked));
        }
    }
    let of_step: Vec<Subject> = rows.iter().flat_map(|(_, c)| list_subjects(c)).collect();
    let forgotten = find_forgotten(&job_run.services().account, &of_step).await?;
    let mut seen = HashSet::new();
    let mut errors = ImportErrors::default();
    let mut good = Vec::with_capacity(rows.len());
    for (row, checked) in rows {
        if has_forgotten_subject(&forgotten, &checked) {
            errors.add(header, row, forgotten_error().message());
        } else if seen.insert(checked.event.event_id.clone()) {
            good.push((row, checked));
        } else {
            errors.add(header, row, REPEATED_EVENT_ID_MESSAGE);
        }
    }
    let (services, run) = (job_run.services(), job_run.job.run.as_str());
    let work: Vec<_> = good
        .into_iter()
        .map(|(row, checked)| store_row(services, event_type, run, row, checked))
        .collect();
    let stored: Vec<_> = stream::iter(work).buffered(AT_ONCE).try_collect().await?;
    let mut count = EventCount::default();
    for (row, CheckedEvent { event, .. }, stored) in stored {
        match stored {
            StoreResult::New => count.merge(EventCount::of_stored_event(
                event.bytes(),
                &event.event_timestamp,
            )),
            StoreResult::Replaced => {}
            StoreResult::Repeated => errors.add(header, row, REPEATED_EVENT_ID_MESSAGE),
        }
    }
    Ok((count, errors))
}

/// The event and its entities, to test whether they were forgotten.
fn list_subjects(checked: &CheckedEvent) -> impl Iterator<Item = Subject> {
    let event = &checked.event;
    let entities = event.entities.iter().map(|entity| Subject::Entity {
        entity_type: entity.entity_type.clone(),
        entity_id: entity.entity_id.clone(),
    });
    entities.chain([Subject::Event {
        event_type: event.event_type_name.clone(),
        event_id: event.event_id.clone(),
    }])
}

fn has_forgotten_subject(forgotten: &HashSet<Subject>, checked: &CheckedEvent) -> bool {
    !forgotten.is_empty() && list_subjects(checked).any(|subject| forgotten.contains(&subject))
}

async fn store_row<'r>(
    services: &EngineServices,
    event_type: &EventTypeBundle,
    run: &str,
    row: &'r CsvRow,
    mut checked: CheckedEvent,
) -> Result<(&'r CsvRow, CheckedEvent, StoreResult), Error> {
    let stored = events::import_event(services, event_type, &mut checked, run, row.number).await?;
    Ok((row, checked, stored))
}

const REPEATED_EVENT_ID_MESSAGE: &str = "Another row of the file has the same EVENT_ID.";

/// Checks a row as `SendEvent` would.
fn check_row(
    job_run: &JobRun<'_>,
    event_type: &EventTypeBundle,
    header: &JobFileHeader,
    row: &CsvRow,
) -> Result<Result<CheckedEvent, String>, JobStopReason> {
    let request = match header.request_from_row(&event_type.name, row) {
        Ok(request) => Value::Object(request),
        Err(reason) => return Ok(Err(reason)),
    };
    let checked = validate_and_read_input(Operation::SendEvent, &request)
        .and_then(|event| events::check_event(job_run.services(), event_type, event));
    match checked {
        Ok(checked) => Ok(Ok(checked)),
        Err(error) if error.code() == ErrorCode::InternalServer => Err(JobStopReason::Error(error)),
        Err(error) => Ok(Err(error.message().to_owned())),
    }
}

/// The rejected rows of a step, as in the output: `ROW`, `EVENT_ID`, `ERROR`.
#[derive(Default)]
pub(super) struct ImportErrors(Vec<[String; 3]>);

impl ImportErrors {
    fn add(&mut self, header: &JobFileHeader, row: &CsvRow, reason: &str) {
        let id = header.column_index(&JobFileColumn::EventId);
        let id = id.and_then(|place| row.fields_as_read().get(place));
        let id = id.unwrap_or_default();
        self.0
            .push([row.number.to_string(), id.to_owned(), reason.to_owned()]);
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// The rows as CSV; the first part begins with the header.
    fn to_csv(&self, first: bool) -> Result<Vec<u8>, JobStopReason> {
        let mut writer = WriterBuilder::new().from_writer(Vec::new());
        if first && !self.0.is_empty() {
            writer
                .write_record(["ROW", "EVENT_ID", "ERROR"])
                .map_err(Error::internal)?;
        }
        for row in &self.0 {
            writer.write_record(row).map_err(Error::internal)?;
        }
        writer
            .into_inner()
            .map_err(|error| JobStopReason::Error(Error::internal(error.to_string())))
    }
}

impl JobRun<'_> {
    /// Counts and writes the rejected rows of a step, and moves the position behind it.
    async fn finish_step(
        &mut self,
        step: &RowBatch,
        errors: ImportErrors,
    ) -> Result<(), JobStopReason> {
        self.state.failed += errors.len();
        let first = self.state.position.parts == 0;
        output::write_part(self, errors.to_csv(first)?).await?;
        self.advance_past(step);
        Ok(())
    }
}
