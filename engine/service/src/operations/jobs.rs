//! Jobs: batch imports, batch predictions, and the deletion of an event type's events.
//!
//! The operations store the request of a job and show its progress. [`crate::Jobs`] does the work, possibly in another
//! process.

use protocol::page::{Page, PageRequest};
use protocol::s3_location::S3Location;
use protocol::{Error, Result, page, text};
use serde::{Deserialize, Serialize};
use store::listing::Listing;
use store::records::event_type::{ingestion_disabled_error, missing_event_type};
use store::records::job::{
    Job, JobDetector, JobFiles, JobKind, JobPhase, JobState, JobStatus, job_key,
};
use store::records::tags::{Tag, Tags};

use crate::operations::EmptyOutput;
use crate::services::EngineServices;

/// The input of an operation on one job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobIdInput {
    job_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateBatchImportJobInput {
    job_id: String,
    event_type_name: String,
    #[serde(flatten)]
    files: JobFiles,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(crate) async fn create_batch_import_job(
    services: &EngineServices,
    input: CreateBatchImportJobInput,
) -> Result<EmptyOutput> {
    let name = &input.event_type_name;
    let event_type = services.definition_cache.get_event_type(name).await?;
    let event_type = event_type.ok_or_else(|| missing_event_type(name))?;
    if !event_type.ingestion {
        return Err(ingestion_disabled_error(name));
    }
    let kind = JobKind::BatchImport;
    let mut job = Job::new(&services.account, kind, input.job_id, input.event_type_name);
    job.files = Some(input.files);
    job.tags = Tags::new(input.tags)?;
    create_job(services, job).await
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateBatchPredictionJobInput {
    job_id: String,
    event_type_name: String,
    detector_name: String,
    detector_version: Option<String>,
    #[serde(flatten)]
    files: JobFiles,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Creates a batch prediction. The detector version is decided now: activating another one while the job runs changes
/// nothing.
pub(crate) async fn create_batch_prediction_job(
    services: &EngineServices,
    input: CreateBatchPredictionJobInput,
) -> Result<EmptyOutput> {
    let name = &input.event_type_name;
    if services
        .definition_cache
        .get_event_type(name)
        .await?
        .is_none()
    {
        return Err(missing_event_type(name));
    }
    // Validation has ensured that it is a number of at most five digits.
    let version = input
        .detector_version
        .and_then(|version| version.parse().ok());
    let ready = services
        .definition_cache
        .get_ready_detector(&input.detector_name, version)
        .await?;
    let decides_on = &ready.compiled.event_type.name;
    if decides_on != name {
        return Err(Error::validation(format!(
            "Detector '{}' decides on event type '{decides_on}', not on '{name}'.",
            input.detector_name
        )));
    }
    let kind = JobKind::BatchPrediction;
    let mut job = Job::new(&services.account, kind, input.job_id, input.event_type_name);
    job.files = Some(input.files);
    job.detector = Some(JobDetector {
        detector_name: input.detector_name,
        detector_version: ready.compiled.version.detector_version_id.to_string(),
    });
    job.tags = Tags::new(input.tags)?;
    create_job(services, job).await
}

/// Stores a new job. Its id cannot be used again while the record of the job exists.
async fn create_job(services: &EngineServices, job: Job) -> Result<EmptyOutput> {
    if let Some(files) = &job.files {
        S3Location::parse_object("inputPath", &files.input_path)?;
        S3Location::parse_folder("outputPath", &files.output_path)?;
    }
    let mut change = services.account.begin_change().await?;
    let key = job_key(job.kind, &job.job_id);
    if change.get::<Job>(&key).await?.is_some() {
        return Err(Error::validation(format!(
            "{} '{}' already exists: the id of a past job cannot be used again.",
            job.kind.title(),
            job.job_id
        )));
    }
    change.put(&job)?;
    change.put(&job.to_open_job())?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetJobsInput {
    job_id: Option<String>,
    #[serde(flatten)]
    paging: PageRequest,
}

/// A job on the wire: `BatchImport` and `BatchPrediction` of the service model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct JobOutput {
    job_id: String,
    status: JobStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
    start_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_heartbeat_time: Option<String>,
    #[serde(flatten)]
    files: Option<JobFiles>,
    event_type_name: String,
    #[serde(flatten)]
    detector: Option<JobDetector>,
    arn: String,
    processed_records_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_records_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_records_count: Option<u64>,
}

pub(crate) async fn get_batch_import_jobs(
    services: &EngineServices,
    input: GetJobsInput,
) -> Result<impl Serialize + use<>> {
    let listing = ("GetBatchImportJobs", "batchImports");
    get_jobs(services, JobKind::BatchImport, listing, input).await
}

pub(crate) async fn get_batch_prediction_jobs(
    services: &EngineServices,
    input: GetJobsInput,
) -> Result<impl Serialize + use<>> {
    let listing = ("GetBatchPredictionJobs", "batchPredictions");
    get_jobs(services, JobKind::BatchPrediction, listing, input).await
}

async fn get_jobs(
    services: &EngineServices,
    kind: JobKind,
    (operation, member): (&'static str, &'static str),
    input: GetJobsInput,
) -> Result<impl Serialize + use<>> {
    let page: Page<Job> = if let Some(job_id) = &input.job_id {
        Page::of_one_row(find_job(services, kind, job_id).await?)
    } else {
        let listing = Listing {
            operation,
            filters: "",
            pk: kind.name(),
            prefix: "",
            default_size: 50,
        };
        listing.read_page(&services.account, &input.paging).await?
    };
    let runs: Vec<&str> = page.rows.iter().map(|job| job.run.as_str()).collect();
    let mut states = JobState::load_all(&services.account, &runs)
        .await?
        .into_iter();
    let row = |job: Job| Some(make_job_output(services, job, states.next()?));
    let rows = page.rows.into_iter().filter_map(row).collect();
    let next_token = page.next_token;
    Ok(page::make_page_output(member, Page { rows, next_token }))
}

async fn find_job(services: &EngineServices, kind: JobKind, job_id: &str) -> Result<Job> {
    let found = services
        .account
        .definitions
        .get(&job_key(kind, job_id))
        .await?;
    found.ok_or_else(|| Error::not_found(format!("{} '{job_id}' does not exist.", kind.title())))
}

fn make_job_output(services: &EngineServices, job: Job, state: JobState) -> JobOutput {
    let predicts = job.kind == JobKind::BatchPrediction;
    let start_time = text::format_seconds(job.start_time());
    // A job that no runner has taken yet was last heard of when it was created.
    let heartbeat_time = || state.heartbeat_time.unwrap_or_else(|| start_time.clone());
    JobOutput {
        last_heartbeat_time: predicts.then(heartbeat_time),
        // The rows are counted before the work begins.
        total_records_count: (state.position.phase == JobPhase::Work).then_some(state.total),
        start_time,
        arn: services.account.arn(job.kind.name(), &job.job_id),
        job_id: job.job_id,
        status: state.status,
        failure_reason: state.failure_reason,
        completion_time: state.completion_time,
        files: job.files,
        event_type_name: job.event_type_name,
        detector: job.detector,
        processed_records_count: state.processed,
        failed_records_count: (!predicts).then_some(state.failed),
    }
}

pub(crate) async fn cancel_batch_import_job(
    services: &EngineServices,
    input: JobIdInput,
) -> Result<EmptyOutput> {
    cancel_job(services, JobKind::BatchImport, &input.job_id).await
}

pub(crate) async fn cancel_batch_prediction_job(
    services: &EngineServices,
    input: JobIdInput,
) -> Result<EmptyOutput> {
    cancel_job(services, JobKind::BatchPrediction, &input.job_id).await
}

/// Cancels a job. If a runner has started it, that runner ends it.
async fn cancel_job(services: &EngineServices, kind: JobKind, job_id: &str) -> Result<EmptyOutput> {
    let job = find_job(services, kind, job_id).await?;
    let mut state = JobState::load(&services.account, &job.run).await?;
    match state.status {
        JobStatus::Canceled | JobStatus::CancelInProgress => return Ok(EmptyOutput {}),
        JobStatus::Complete | JobStatus::Failed => {
            return Err(Error::validation(format!(
                "{} '{job_id}' has ended with {}: only a job in progress can be canceled.",
                kind.title(),
                state.status.name()
            )));
        }
        _ if state.is_untouched() => state.end(JobStatus::Canceled, services.account.now()),
        _ => state.status = JobStatus::CancelInProgress,
    }
    state
        .save(&services.account, None)
        .await
        .map(|()| EmptyOutput {})
}

pub(crate) async fn delete_batch_import_job(
    services: &EngineServices,
    input: JobIdInput,
) -> Result<EmptyOutput> {
    delete_job(services, JobKind::BatchImport, &input.job_id).await
}

pub(crate) async fn delete_batch_prediction_job(
    services: &EngineServices,
    input: JobIdInput,
) -> Result<EmptyOutput> {
    delete_job(services, JobKind::BatchPrediction, &input.job_id).await
}

/// Deletes the record of a job that has ended; the output of the job is kept.
async fn delete_job(services: &EngineServices, kind: JobKind, job_id: &str) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let key = job_key(kind, job_id);
    let Some(job) = change.get::<Job>(&key).await? else {
        return Ok(EmptyOutput {});
    };
    let state = JobState::load(&services.account, &job.run).await?;
    if !state.status.has_ended() {
        return Err(Error::validation(format!(
            "{} '{job_id}' is in status {}: cancel it first.",
            kind.title(),
            state.status.name()
        )));
    }
    change.delete(key);
    services.account.commit_change(change).await?;
    JobState::delete(&services.account, &job.run)
        .await
        .map(|()| EmptyOutput {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventTypeInput {
    event_type_name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeleteEventsOutput {
    event_type_name: String,
    events_deletion_status: JobStatus,
}

/// Starts a deletion. An earlier deletion that has ended is replaced.
pub(crate) async fn delete_events_by_event_type(
    services: &EngineServices,
    input: EventTypeInput,
) -> Result<DeleteEventsOutput> {
    let name = input.event_type_name;
    if services
        .definition_cache
        .get_event_type(&name)
        .await?
        .is_none()
    {
        return Err(missing_event_type(&name));
    }
    let mut change = services.account.begin_change().await?;
    let kind = JobKind::EventsDeletion;
    let before: Option<Job> = change.get(&job_key(kind, &name)).await?;
    if let Some(before) = &before
        && !JobState::load(&services.account, &before.run)
            .await?
            .status
            .has_ended()
    {
        let message = format!("The events of event type '{name}' are being deleted already.");
        return Err(Error::conflict(message));
    }
    let job = Job::new(&services.account, kind, name.clone(), name);
    change.put(&job)?;
    change.put(&job.to_open_job())?;
    services.account.commit_change(change).await?;
    if let Some(before) = before {
        JobState::delete(&services.account, &before.run).await?;
    }
    Ok(DeleteEventsOutput {
        event_type_name: job.event_type_name,
        events_deletion_status: JobStatus::InProgressInitializing,
    })
}

pub(crate) async fn get_delete_events_status(
    services: &EngineServices,
    input: EventTypeInput,
) -> Result<DeleteEventsOutput> {
    let kind = JobKind::EventsDeletion;
    let job = find_job(services, kind, &input.event_type_name).await?;
    let state = JobState::load(&services.account, &job.run).await?;
    Ok(DeleteEventsOutput {
        event_type_name: job.event_type_name,
        events_deletion_status: state.status,
    })
}
