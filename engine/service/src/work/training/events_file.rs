//! The files that a version learns from: one, or all of a folder.

use csv_rows::{CsvError, CsvHeader, CsvReader, DecodedRows, StringRecord};
use event::Timestamp;
use model::{Dataset, EventRow, Severity, TrainingMessage, Variable};
use protocol::job_file::JobFileError;
use protocol::limits::TRAINING_FILE_BYTES;
use store::records::entity_history::is_nobody;
use store::records::model_version::ModelVersion;

use crate::work::JobStopReason;
use crate::work::source::S3Source;
use crate::work::training::rows::{LabelMapping, push_row};
use crate::work::training::{TrainingStopReason, TrainingTracker, new_message};

/// Opens the file at the version's `dataLocation`, or every file below it if it is a folder.
pub(super) async fn open_events_files(
    s3: &aws_sdk_s3::Client,
    version: &ModelVersion,
) -> Result<Vec<S3Source>, TrainingStopReason> {
    let detail = version.details.external_events_detail.as_ref();
    let location = detail.map(|detail| detail.data_location.as_str());
    let location = location.unwrap_or_default();
    let sources = S3Source::open_all(s3, location, TRAINING_FILE_BYTES).await;
    sources.map_err(convert_job_stop)
}

fn convert_job_stop(stop: JobStopReason) -> TrainingStopReason {
    match stop {
        JobStopReason::Failed(why) => TrainingStopReason::with_message("Unreadable file", why),
        JobStopReason::Error(error) => TrainingStopReason::Error(error),
        JobStopReason::Canceled | JobStopReason::Lost => TrainingStopReason::Cancelled,
    }
}

/// The events of all files.
pub(super) struct EventsFiles {
    pub(super) dataset: Dataset,
    /// Whether every file has the times of its labels.
    pub(super) has_label_times: bool,
    pub(super) notes: Vec<TrainingMessage>,
}

/// The positions of the columns in a file.
struct TrainingColumns {
    variables: Vec<usize>,
    time: usize,
    label: usize,
    label_time: Option<usize>,
    entity: Option<usize>,
}

impl TrainingColumns {
    fn new(header: &CsvHeader, variables: &[Variable]) -> Result<Self, TrainingStopReason> {
        let repeated = header.find_repeated_names();
        if !repeated.is_empty() {
            let repeated = protocol::text::join_names(repeated);
            let content = format!("The file has columns {repeated} more than once.");
            return Err(TrainingStopReason::with_message(
                "Repeated columns",
                content,
            ));
        }
        let place = |name: &str| header.names.iter().position(|column| column == name);
        let names = variables.iter().map(|variable| variable.name.as_str());
        let missing: Vec<&str> = names
            .chain(["EVENT_TIMESTAMP", "EVENT_LABEL"])
            .filter(|name| place(name).is_none())
            .collect();
        let (Some(time), Some(label), true) = (
            place("EVENT_TIMESTAMP"),
            place("EVENT_LABEL"),
            missing.is_empty(),
        ) else {
            let missing = protocol::text::join_names(missing);
            let content = format!("The file has no columns {missing} in its first row.");
            return Err(TrainingStopReason::with_message("Missing columns", content));
        };
        Ok(Self {
            variables: variables.iter().filter_map(|v| place(&v.name)).collect(),
            time,
            label,
            label_time: place("LABEL_TIMESTAMP"),
            entity: place("ENTITY_ID"),
        })
    }
}

/// Reads files of Amazon's form: variables, `EVENT_TIMESTAMP` and `EVENT_LABEL`, and `LABEL_TIMESTAMP` and `ENTITY_ID`
/// if present. Each has its own header.
pub(super) fn read_events_files(
    sources: &[S3Source],
    variables: &[Variable],
    labels: &LabelMapping,
    tracker: &TrainingTracker,
) -> Result<EventsFiles, TrainingStopReason> {
    let mut dataset = Dataset::new(variables.to_vec());
    let mut has_label_times = true;
    let mut notes = Vec::new();
    for source in sources {
        let read = read_events_file(source, variables, labels, tracker, &mut dataset);
        // A single file is known from the request.
        let name = (sources.len() > 1).then(|| source.location.to_uri());
        let read = read.map_err(|stop| name_file(stop, name.as_deref()))?;
        has_label_times &= read.has_label_times;
        notes.extend(read.decoded.map(|decoded| {
            let name = name.as_deref().unwrap_or("The file");
            note_decoded_rows(name, decoded)
        }));
    }
    if !has_label_times {
        let content = "The file has no LABEL_TIMESTAMP, so its labels are taken as final.";
        notes.push(new_message(Severity::Info, "Final labels", content));
    }
    Ok(EventsFiles {
        dataset,
        has_label_times,
        notes,
    })
}

/// Puts the name of the file before what is wrong with it.
fn name_file(stop: TrainingStopReason, name: Option<&str>) -> TrainingStopReason {
    match (stop, name) {
        (TrainingStopReason::Found(mut messages), Some(name)) => {
            for message in &mut messages {
                message.content = format!("{name}: {}", message.content);
            }
            TrainingStopReason::Found(messages)
        }
        (stop, _) => stop,
    }
}

/// What is to be known of a file whose rows were read.
struct ReadFile {
    has_label_times: bool,
    decoded: Option<DecodedRows>,
}

fn note_decoded_rows(name: &str, decoded: DecodedRows) -> TrainingMessage {
    let DecodedRows { count, first } = decoded;
    let content = format!(
        "{name} has rows that are not UTF-8, which were read as Windows-1252: {count}, the first is row {first}."
    );
    new_message(Severity::Info, "Encoding", content)
}

/// Adds the rows of a file.
fn read_events_file(
    source: &S3Source,
    variables: &[Variable],
    labels: &LabelMapping,
    tracker: &TrainingTracker,
    dataset: &mut Dataset,
) -> Result<ReadFile, TrainingStopReason> {
    let reader = CsvReader::open(Box::new(source.read_from(0)));
    let mut reader = reader.map_err(convert_csv_error)?;
    let columns = TrainingColumns::new(reader.header(), variables)?;
    let mut bad_times = 0_usize;
    while let Some(row) = read_whole_row(&mut reader, source.largest)? {
        if tracker.is_cancelled() {
            return Err(TrainingStopReason::Cancelled);
        }
        let cell = |at: usize| row.get(at).map(str::trim).filter(|cell| !cell.is_empty());
        let time = |at: usize| cell(at).map(Timestamp::parse_file);
        let values: Vec<Option<&str>> = columns.variables.iter().map(|at| row.get(*at)).collect();
        let event_time = time(columns.time);
        bad_times += usize::from(matches!(event_time, Some(Err(_))));
        let seconds = |time: Option<Result<Timestamp, _>>| {
            time.and_then(Result::ok).map(Timestamp::epoch_seconds)
        };
        let row = EventRow {
            values: &values,
            event_time: seconds(event_time),
            entity: columns.entity.and_then(cell).filter(|id| !is_nobody(id)),
            label: labels.classify(cell(columns.label)),
            label_time: seconds(columns.label_time.and_then(time)),
            ..EventRow::default()
        };
        push_row(dataset, &row)?;
    }
    if bad_times > 0 {
        return Err(TrainingStopReason::with_message(
            "Unreadable timestamps",
            "Your training data set contains EVENT_TIMESTAMP with timestamps that do not conform to accepted formats. \
             Ensure the format is one of the accepted date/timestamp formats.",
        ));
    }
    Ok(ReadFile {
        has_label_times: columns.label_time.is_some(),
        decoded: reader.decoded_rows(),
    })
}

/// The fields of the next row. Every row has to have the header's: a training on a part of a file would pass unnoticed.
fn read_whole_row(
    reader: &mut CsvReader,
    largest: u64,
) -> Result<Option<StringRecord>, TrainingStopReason> {
    let row = reader.read_row();
    if reader.position() > largest {
        let content = format!("The file unpacks to more than {largest} bytes.");
        return Err(TrainingStopReason::with_message("Large file", content));
    }
    let Some(row) = row.map_err(convert_csv_error)? else {
        return Ok(None);
    };
    let fields = row.content.map_err(|broken| {
        let content = format!("Row {} cannot be read. {}", row.number, broken.fault);
        TrainingStopReason::with_message("Broken file", content)
    })?;
    Ok(Some(fields))
}

fn convert_csv_error(error: CsvError) -> TrainingStopReason {
    convert_job_stop(JobFileError::from(error).into())
}
