//! A batch import: the rows of a file become events.
//!
//! The whole file is checked before anything is stored. Rows that are refused go to the output
//! with their reason, the others are stored; where more than half is refused, nothing is.

use std::collections::HashSet;
use std::sync::Arc;

use crate::operations::events;
use crate::operations::events::Checked;
use crate::services::Services;
use crate::services::forgotten::{find_forgotten, refused};
use crate::services::statistics::Count;
use crate::work::AT_ONCE;
use crate::work::csv::{check_header, read};
use crate::work::output;
use crate::work::source::Source;
use crate::work::{Stop, Turn};
use csv::WriterBuilder;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use protocol::job_file::{Column, Header, Row, Rules, Step};
use protocol::wire::validate_and_read_input;
use protocol::{Code, Operation};
use protocol::{Error, Result};
use serde_json::Value;
use store::pinned::EventTypeBundle;
use store::records::event::StoreOutcome;
use store::records::event_type::{ingestion_disabled, missing_event_type};
use store::records::forgotten::Subject;
use store::records::job::JobPhase;

/// 20 GB, the guide's limit of an import.
const LARGEST: u64 = 20_000_000_000;

pub(super) async fn run(turn: &mut Turn<'_>) -> Result<(), Stop> {
    let event_type = event_type(turn).await?;
    if !event_type.ingestion {
        let refused = ingestion_disabled(&event_type.name);
        return Err(Stop::Failed(refused.message().to_owned()));
    }
    let source = open(turn, LARGEST).await?;
    if turn.state.place.phase == JobPhase::Check {
        check_file(turn, &source, &event_type).await?;
        if turn.state.total == 0 {
            return Err(Stop::Failed("The input file has no rows.".to_owned()));
        }
        refuse_bad_file(turn).await?;
        turn.begin_work();
        turn.note(None).await?;
    }
    store_file(turn, &source, &event_type).await?;
    refuse_bad_file(turn).await?;
    output::finish(turn).await
}

/// The event type of a job, which may be gone by now.
pub(super) async fn event_type(turn: &Turn<'_>) -> Result<Arc<EventTypeBundle>, Stop> {
    let name = &turn.job.event_type_name;
    let found = turn.services().definition_cache.event_type(name).await?;
    found.ok_or_else(|| Stop::Failed(missing_event_type(name).message().to_owned()))
}

/// The input file, which has to stay the same until the job has ended.
pub(super) async fn open(turn: &mut Turn<'_>, largest: u64) -> Result<Source, Stop> {
    let path = turn
        .job
        .files
        .as_ref()
        .map(|files| files.input_path.as_str());
    let source = Source::open(&turn.jobs.s3, path.unwrap_or_default(), largest).await?;
    match &turn.state.input_tag {
        None => turn.state.input_tag.clone_from(&source.tag),
        known if *known == source.tag => {}
        Some(_) => {
            let reason = "The input file was changed while the job read it.";
            return Err(Stop::Failed(reason.to_owned()));
        }
    }
    Ok(source)
}

/// The file as a whole is no good if more than half of its rows are not.
async fn refuse_bad_file(turn: &Turn<'_>) -> Result<(), Stop> {
    let (failed, total) = (turn.state.failed, turn.state.total);
    if failed * 2 <= total {
        return Ok(());
    }
    output::finish(turn).await?;
    Err(Stop::Failed(format!(
        "{failed} of {total} records failed, which is more than 50%. The output file has the reasons: \
         fix the errors in the data file and start a new import job."
    )))
}

async fn check_file(
    turn: &mut Turn<'_>,
    source: &Source,
    event_type: &EventTypeBundle,
) -> Result<(), Stop> {
    let (row, byte) = (turn.state.place.row, turn.state.place.byte);
    let (header, mut steps) = read(source, row, byte).await?;
    let header = check_header(&header, event_type, Rules::Import)?;
    while let Some(step) = steps.recv().await {
        let step = step?;
        let mut errors = Errors::default();
        for row in &step.rows {
            if let Err(reason) = check(turn, event_type, &header, row)? {
                errors.add(&header, row, &reason);
            }
        }
        turn.state.total += step.rows.len() as u64;
        turn.done(&step, errors).await?;
        turn.note(None).await?;
    }
    Ok(())
}

async fn store_file(
    turn: &mut Turn<'_>,
    source: &Source,
    event_type: &EventTypeBundle,
) -> Result<(), Stop> {
    let (row, byte) = (turn.state.place.row, turn.state.place.byte);
    let (header, mut steps) = read(source, row, byte).await?;
    let header = check_header(&header, event_type, Rules::Import)?;
    while let Some(step) = steps.recv().await {
        let step = step?;
        let (count, errors) = store(turn, event_type, &header, &step).await?;
        turn.state.processed += step.rows.len() as u64;
        turn.done(&step, errors).await?;
        turn.note_stored(&count).await?;
    }
    Ok(())
}

/// Stores the good rows of a step. The first of several with one id wins.
async fn store(
    turn: &Turn<'_>,
    event_type: &EventTypeBundle,
    header: &Header,
    step: &Step,
) -> Result<(Count, Errors), Stop> {
    let mut rows = Vec::with_capacity(step.rows.len());
    for row in &step.rows {
        // What is refused here was so when the file was checked.
        if let Ok(checked) = check(turn, event_type, header, row)? {
            rows.push((row, checked));
        }
    }
    let of_step: Vec<Subject> = rows.iter().flat_map(|(_, c)| subjects(c)).collect();
    let forgotten = find_forgotten(&turn.services().account, &of_step).await?;
    let mut seen = HashSet::new();
    let mut errors = Errors::default();
    let mut good = Vec::with_capacity(rows.len());
    for (row, checked) in rows {
        if is_forgotten(&forgotten, &checked) {
            errors.add(header, row, refused().message());
        } else if seen.insert(checked.event.event_id.clone()) {
            good.push((row, checked));
        } else {
            errors.add(header, row, REPEATED);
        }
    }
    let (services, run) = (turn.services(), turn.job.run.as_str());
    let work: Vec<_> = good
        .into_iter()
        .map(|(row, checked)| store_row(services, event_type, run, row, checked))
        .collect();
    let stored: Vec<_> = stream::iter(work).buffered(AT_ONCE).try_collect().await?;
    let mut count = Count::default();
    for (row, Checked { event, .. }, stored) in stored {
        match stored {
            StoreOutcome::New => count.add(Count::stored(event.bytes(), &event.event_timestamp)),
            StoreOutcome::Replaced => {}
            StoreOutcome::Repeated => errors.add(header, row, REPEATED),
        }
    }
    Ok((count, errors))
}

/// Whom and what an event is about.
fn subjects(checked: &Checked) -> impl Iterator<Item = Subject> {
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

fn is_forgotten(forgotten: &HashSet<Subject>, checked: &Checked) -> bool {
    !forgotten.is_empty() && subjects(checked).any(|subject| forgotten.contains(&subject))
}

async fn store_row<'r>(
    services: &Services,
    event_type: &EventTypeBundle,
    run: &str,
    row: &'r Row,
    mut checked: Checked,
) -> Result<(&'r Row, Checked, StoreOutcome), Error> {
    let stored = events::import(services, event_type, &mut checked, run, row.number).await?;
    Ok((row, checked, stored))
}

const REPEATED: &str = "Another row of the file has the same EVENT_ID.";

/// Checks a row as `SendEvent` would.
fn check(
    turn: &Turn<'_>,
    event_type: &EventTypeBundle,
    header: &Header,
    row: &Row,
) -> Result<Result<Checked, String>, Stop> {
    let request = match header.request(&event_type.name, row) {
        Ok(request) => Value::Object(request),
        Err(reason) => return Ok(Err(reason)),
    };
    let checked = validate_and_read_input(Operation::SendEvent, &request)
        .and_then(|event| events::check(turn.services(), event_type, event));
    match checked {
        Ok(checked) => Ok(Ok(checked)),
        Err(error) if error.code() == Code::InternalServer => Err(Stop::Error(error)),
        Err(error) => Ok(Err(error.message().to_owned())),
    }
}

/// The rows of a step that failed, as they stand in the output: `ROW`, `EVENT_ID`, `ERROR`.
#[derive(Default)]
pub(super) struct Errors(Vec<[String; 3]>);

impl Errors {
    fn add(&mut self, header: &Header, row: &Row, reason: &str) {
        let id = header.place(&Column::EventId);
        let id = id.and_then(|place| row.fields.get(place));
        let id = id.map(String::from_utf8_lossy).unwrap_or_default();
        self.0
            .push([row.number.to_string(), id.into_owned(), reason.to_owned()]);
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// As CSV; the first part begins with the header.
    fn lines(&self, first: bool) -> Result<Vec<u8>, Stop> {
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
            .map_err(|error| Stop::Error(Error::internal(error.to_string())))
    }
}

impl Turn<'_> {
    /// Counts and writes what failed in a step, and moves behind it.
    async fn done(&mut self, step: &Step, errors: Errors) -> Result<(), Stop> {
        self.state.failed += errors.len();
        let first = self.state.place.parts == 0;
        output::write_part(self, errors.lines(first)?).await?;
        self.behind(step);
        Ok(())
    }

    pub(super) fn behind(&mut self, step: &Step) {
        self.state.place.row += step.rows.len() as u64;
        self.state.place.byte = step.byte;
    }

    /// From the check to the work: the file begins again, the output goes on.
    pub(super) fn begin_work(&mut self) {
        let place = &mut self.state.place;
        place.phase = JobPhase::Work;
        (place.row, place.byte) = (0, 0);
    }
}
