//! Batch imports: the rows of a file become events.
//!
//! The whole file is checked before anything is stored. Rows that are rejected go to the output with the reason, the
//! others are stored; if more than half of the rows are rejected, nothing is stored.

use std::collections::HashSet;
use std::sync::Arc;

use csv::WriterBuilder;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use protocol::job_file::{JobFileColumn, JobFileHeader, JobFileRow, RequiredColumns, RowBatch};
use protocol::limits::BATCH_IMPORT_FILE_BYTES;
use protocol::wire::validate_and_read_input;
use protocol::{Error, ErrorCode, Operation, Result};
use serde_json::Value;
use store::pinned_bundles::EventTypeBundle;
use store::records::event::StoreResult;
use store::records::event_type::{ingestion_disabled_error, missing_event_type};
use store::records::forgotten::Subject;
use store::records::job::JobPhase;

use crate::operations::events;
use crate::operations::events::CheckedEvent;
use crate::services::EngineServices;
use crate::services::forgotten::{describe_refusal, find_forgotten};
use crate::services::statistics::EventCount;
use crate::work::job_file::{check_header, read_job_file};
use crate::work::source::S3Source;
use crate::work::{AT_ONCE, JobRun, JobStopReason, output};

pub(super) async fn run_import(turn: &mut JobRun<'_>) -> Result<(), JobStopReason> {
    let event_type = load_event_type(turn).await?;
    if !event_type.ingestion {
        let refused = ingestion_disabled_error(&event_type.name);
        return Err(JobStopReason::Failed(refused.message().to_owned()));
    }
    let source = open_input_file(turn, BATCH_IMPORT_FILE_BYTES).await?;
    if turn.state.place.phase == JobPhase::Check {
        check_file(turn, &source, &event_type).await?;
        if turn.state.total == 0 {
            return Err(JobStopReason::Failed(
                "The input file has no rows.".to_owned(),
            ));
        }
        refuse_bad_file(turn).await?;
        turn.begin_work_phase();
        turn.save_progress(None).await?;
    }
    store_file(turn, &source, &event_type).await?;
    refuse_bad_file(turn).await?;
    output::join_parts(turn).await
}

/// The event type of a job. It may have been deleted meanwhile.
pub(super) async fn load_event_type(
    turn: &JobRun<'_>,
) -> Result<Arc<EventTypeBundle>, JobStopReason> {
    let name = &turn.job.event_type_name;
    let found = turn
        .services()
        .definition_cache
        .get_event_type(name)
        .await?;
    found.ok_or_else(|| JobStopReason::Failed(missing_event_type(name).message().to_owned()))
}

/// Opens the input file, which must not change until the job has ended.
pub(super) async fn open_input_file(
    turn: &mut JobRun<'_>,
    largest: u64,
) -> Result<S3Source, JobStopReason> {
    let path = turn
        .job
        .files
        .as_ref()
        .map(|files| files.input_path.as_str());
    let source = S3Source::open(&turn.jobs.s3, path.unwrap_or_default(), largest).await?;
    match &turn.state.input_tag {
        None => turn.state.input_tag.clone_from(&source.tag),
        known if *known == source.tag => {}
        Some(_) => {
            let reason = "The input file was changed while the job read it.";
            return Err(JobStopReason::Failed(reason.to_owned()));
        }
    }
    Ok(source)
}

/// Fails the job if more than half of the rows were rejected.
async fn refuse_bad_file(turn: &JobRun<'_>) -> Result<(), JobStopReason> {
    let (failed, total) = (turn.state.failed, turn.state.total);
    if failed * 2 <= total {
        return Ok(());
    }
    output::join_parts(turn).await?;
    Err(JobStopReason::Failed(format!(
        "{failed} of {total} records failed, which is more than 50%. The output file has the reasons: \
         fix the errors in the data file and start a new import job."
    )))
}

async fn check_file(
    turn: &mut JobRun<'_>,
    source: &S3Source,
    event_type: &EventTypeBundle,
) -> Result<(), JobStopReason> {
    let (row, byte) = (turn.state.place.row, turn.state.place.byte);
    let (header, mut steps) = read_job_file(source, row, byte).await?;
    let header = check_header(&header, event_type, RequiredColumns::Import)?;
    while let Some(step) = steps.recv().await {
        let step = step?;
        let mut errors = ImportErrors::default();
        for row in &step.rows {
            if let Err(reason) = check_row(turn, event_type, &header, row)? {
                errors.add(&header, row, &reason);
            }
        }
        turn.state.total += step.rows.len() as u64;
        turn.finish_step(&step, errors).await?;
        turn.save_progress(None).await?;
    }
    Ok(())
}

async fn store_file(
    turn: &mut JobRun<'_>,
    source: &S3Source,
    event_type: &EventTypeBundle,
) -> Result<(), JobStopReason> {
    let (row, byte) = (turn.state.place.row, turn.state.place.byte);
    let (header, mut steps) = read_job_file(source, row, byte).await?;
    let header = check_header(&header, event_type, RequiredColumns::Import)?;
    while let Some(step) = steps.recv().await {
        let step = step?;
        let (count, errors) = store_rows(turn, event_type, &header, &step).await?;
        turn.state.processed += step.rows.len() as u64;
        turn.finish_step(&step, errors).await?;
        turn.save_stored_step(&count).await?;
    }
    Ok(())
}

/// Stores the valid rows of a step. Of several rows with the same event id, the first counts.
async fn store_rows(
    turn: &JobRun<'_>,
    event_type: &EventTypeBundle,
    header: &JobFileHeader,
    step: &RowBatch,
) -> Result<(EventCount, ImportErrors), JobStopReason> {
    let mut rows = Vec::with_capacity(step.rows.len());
    for row in &step.rows {
        // Rows that are rejected here were already reported when the file was checked.
        if let Ok(checked) = check_row(turn, event_type, header, row)? {
            rows.push((row, checked));
        }
    }
    let of_step: Vec<Subject> = rows.iter().flat_map(|(_, c)| list_subjects(c)).collect();
    let forgotten = find_forgotten(&turn.services().account, &of_step).await?;
    let mut seen = HashSet::new();
    let mut errors = ImportErrors::default();
    let mut good = Vec::with_capacity(rows.len());
    for (row, checked) in rows {
        if has_forgotten_subject(&forgotten, &checked) {
            errors.add(header, row, describe_refusal().message());
        } else if seen.insert(checked.event.event_id.clone()) {
            good.push((row, checked));
        } else {
            errors.add(header, row, REPEATED_EVENT_ID_MESSAGE);
        }
    }
    let (services, run) = (turn.services(), turn.job.run.as_str());
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
    row: &'r JobFileRow,
    mut checked: CheckedEvent,
) -> Result<(&'r JobFileRow, CheckedEvent, StoreResult), Error> {
    let stored = events::import_event(services, event_type, &mut checked, run, row.number).await?;
    Ok((row, checked, stored))
}

const REPEATED_EVENT_ID_MESSAGE: &str = "Another row of the file has the same EVENT_ID.";

/// Checks a row as `SendEvent` would.
fn check_row(
    turn: &JobRun<'_>,
    event_type: &EventTypeBundle,
    header: &JobFileHeader,
    row: &JobFileRow,
) -> Result<Result<CheckedEvent, String>, JobStopReason> {
    let request = match header.request_from_row(&event_type.name, row) {
        Ok(request) => Value::Object(request),
        Err(reason) => return Ok(Err(reason)),
    };
    let checked = validate_and_read_input(Operation::SendEvent, &request)
        .and_then(|event| events::check_event(turn.services(), event_type, event));
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
    fn add(&mut self, header: &JobFileHeader, row: &JobFileRow, reason: &str) {
        let id = header.column_index(&JobFileColumn::EventId);
        let id = id.and_then(|place| row.fields.get(place));
        let id = id.map(String::from_utf8_lossy).unwrap_or_default();
        self.0
            .push([row.number.to_string(), id.into_owned(), reason.to_owned()]);
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
        let first = self.state.place.parts == 0;
        output::write_part(self, errors.to_csv(first)?).await?;
        self.advance_past(step);
        Ok(())
    }

    pub(super) fn advance_past(&mut self, step: &RowBatch) {
        self.state.place.row += step.rows.len() as u64;
        self.state.place.byte = step.byte;
    }

    /// Goes from the check to the work: the file is read from the start again, the output continues.
    pub(super) fn begin_work_phase(&mut self) {
        let place = &mut self.state.place;
        place.phase = JobPhase::Work;
        (place.row, place.byte) = (0, 0);
    }
}
