//! The operations: one file per resource, one function per operation.
//!
//! A function takes the engine and its input as a type, and returns its output as a type. The
//! input has passed [`protocol::validate`] already, so what is left to check is what the model does
//! not say: whether a name exists, whether a value is of its type, which state allows what.
//!
//! To add an operation, write its function in the file of its resource and give it a row in
//! [`all`]; its shape is in [`protocol::Operation`] already.

mod detectors;
mod entity_types;
pub(crate) mod event_types;
pub(crate) mod events;
mod external_models;
mod jobs;
mod kms_key;
mod labels;
mod lists;
pub(crate) mod models;
mod named;
mod outcomes;
mod page;
pub(crate) mod predictions;
mod rules;
mod tags;
pub(crate) mod variables;
mod versions;

use std::future::ready;
use std::pin::Pin;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use detectors::{Detector, detector_key};
pub(crate) use event_types::{EventType, event_type_key};
pub use lists::ListEntry;
pub use models::ImportedVersion;
pub(crate) use named::{Named, named_key};
pub(crate) use predictions::NotedDay;
pub use predictions::{ExplainedPrediction, ExplainedScore, ExplainedVariable};
pub(crate) use rules::RuleReference;
pub(crate) use tags::Tags;
pub(crate) use variables::default_value;
pub(crate) use versions::{DetectorVersion, Status, rules_over, version_key};

use crate::engine::Engine;
use crate::pause::pause;
use crate::statistics::Count;
use protocol::Operation;
use protocol::wire::{Reply, read_input, validate_and_read_input};
use protocol::{Code, Error, Result};

/// How often an operation is run when other writers keep getting in between.
const ATTEMPTS: u32 = 20;
/// The pause between two runs, at first and at most.
const PAUSE: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(250)];

/// The output of an operation that has none: `{}` on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct Empty {}

/// The operations that an engine serves: [`all`] or [`of_events`].
pub(crate) type Serve = for<'a> fn(&'a Engine, Operation, &'a Value) -> Answer<'a>;

/// A reply on its way.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>>;

/// Runs an operation; one that lost against another writer runs again.
pub(crate) async fn run(engine: &Engine, operation: Operation, input: &Value) -> Result<Reply> {
    again(|| (engine.serve)(engine, operation, input)).await
}

/// Does something again for as long as it loses against other writers, but not for ever.
pub(crate) async fn again<T, R>(mut attempt: impl FnMut() -> R) -> Result<T>
where
    R: Future<Output = Result<T>>,
{
    for number in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_write_conflict() => pause(number, PAUSE).await,
            result => return result,
        }
    }
    attempt().await
}

/// What a Lambda function calls. Whatever else is linked into it makes it start later.
pub(crate) fn of_events<'a>(
    engine: &'a Engine,
    operation: Operation,
    input: &'a Value,
) -> Answer<'a> {
    match operation {
        Operation::GetEventPrediction => Box::pin(predict(engine, input)),
        Operation::SendEvent => Box::pin(call(engine, input, events::send)),
        Operation::GetEvent => Box::pin(call(engine, input, events::get)),
        Operation::UpdateEventLabel => Box::pin(call(engine, input, events::update_label)),
        _ => {
            let name = operation.name();
            let message = format!("The operation {name} is not served inside a function.");
            Box::pin(ready(Err(Error::new(Code::UnknownOperation, message))))
        }
    }
}

/// Every operation.
pub(crate) fn all<'a>(engine: &'a Engine, operation: Operation, input: &'a Value) -> Answer<'a> {
    macro_rules! run {
        ($function:expr) => {
            Box::pin(call(engine, input, $function))
        };
    }
    match operation {
        Operation::GetEventPrediction => Box::pin(predict(engine, input)),
        Operation::GetPrediction => run!(predictions::get_prediction),
        Operation::GetEventPredictionMetadata => run!(predictions::metadata),
        Operation::ListEventPredictions => run!(predictions::list),
        Operation::SendEvent => run!(events::send),
        Operation::GetEvent => run!(events::get),
        Operation::UpdateEventLabel => run!(events::update_label),
        Operation::DeleteEvent => run!(events::delete),

        Operation::CreateBatchImportJob => run!(jobs::create_import),
        Operation::GetBatchImportJobs => run!(jobs::get_imports),
        Operation::CancelBatchImportJob => run!(jobs::cancel_import),
        Operation::DeleteBatchImportJob => run!(jobs::delete_import),
        Operation::CreateBatchPredictionJob => run!(jobs::create_prediction),
        Operation::GetBatchPredictionJobs => run!(jobs::get_predictions),
        Operation::CancelBatchPredictionJob => run!(jobs::cancel_prediction),
        Operation::DeleteBatchPredictionJob => run!(jobs::delete_prediction),
        Operation::DeleteEventsByEventType => run!(jobs::delete_events),
        Operation::GetDeleteEventsByEventTypeStatus => run!(jobs::deletion_status),

        Operation::CreateVariable => run!(variables::create),
        Operation::BatchCreateVariable => run!(variables::batch_create),
        Operation::UpdateVariable => run!(variables::update),
        Operation::GetVariables => run!(variables::get),
        Operation::BatchGetVariable => run!(variables::batch_get),
        Operation::DeleteVariable => run!(variables::delete),

        Operation::PutEntityType => run!(entity_types::put),
        Operation::GetEntityTypes => run!(entity_types::get),
        Operation::DeleteEntityType => run!(entity_types::delete),
        Operation::PutLabel => run!(labels::put),
        Operation::GetLabels => run!(labels::get),
        Operation::DeleteLabel => run!(labels::delete),
        Operation::PutOutcome => run!(outcomes::put),
        Operation::GetOutcomes => run!(outcomes::get),
        Operation::DeleteOutcome => run!(outcomes::delete),
        Operation::PutEventType => run!(event_types::put),
        Operation::GetEventTypes => run!(event_types::get),
        Operation::DeleteEventType => run!(event_types::delete),

        Operation::CreateList => run!(lists::create),
        Operation::UpdateList => run!(lists::update),
        Operation::GetListElements => run!(lists::elements),
        Operation::GetListsMetadata => run!(lists::metadata),
        Operation::DeleteList => run!(lists::delete),

        Operation::CreateRule => run!(rules::create),
        Operation::UpdateRuleVersion => run!(rules::update_version),
        Operation::UpdateRuleMetadata => run!(rules::update_metadata),
        Operation::GetRules => run!(rules::get),
        Operation::DeleteRule => run!(rules::delete),

        Operation::PutDetector => run!(detectors::put),
        Operation::GetDetectors => run!(detectors::get),
        Operation::DescribeDetector => run!(detectors::describe),
        Operation::DeleteDetector => run!(detectors::delete),
        Operation::CreateDetectorVersion => run!(versions::create),
        Operation::GetDetectorVersion => run!(versions::get),
        Operation::UpdateDetectorVersion => run!(versions::update),
        Operation::UpdateDetectorVersionMetadata => run!(versions::update_metadata),
        Operation::UpdateDetectorVersionStatus => run!(versions::update_status),
        Operation::DeleteDetectorVersion => run!(versions::delete),

        Operation::CreateModel => run!(models::create),
        Operation::GetModels => run!(models::get),
        Operation::UpdateModel => run!(models::update),
        Operation::DeleteModel => run!(models::delete),
        Operation::CreateModelVersion => run!(models::create_version),
        Operation::GetModelVersion => run!(models::get_version),
        Operation::DescribeModelVersions => run!(models::describe_versions),
        Operation::UpdateModelVersion => run!(models::update_version),
        Operation::UpdateModelVersionStatus => run!(models::update_version_status),
        Operation::DeleteModelVersion => run!(models::delete_version),
        Operation::PutExternalModel => run!(external_models::put),
        Operation::GetExternalModels => run!(external_models::get),
        Operation::DeleteExternalModel => run!(external_models::delete),

        Operation::PutKMSEncryptionKey => run!(kms_key::put),
        Operation::GetKMSEncryptionKey => run!(kms_key::get),

        Operation::TagResource => run!(tags::tag),
        Operation::UntagResource => run!(tags::untag),
        Operation::ListTagsForResource => run!(tags::list),
    }
}

async fn call<'e, I, O, F, R>(engine: &'e Engine, input: &Value, function: F) -> Result<Reply>
where
    I: DeserializeOwned + Send,
    O: Serialize,
    F: FnOnce(&'e Engine, I) -> R + Send,
    R: Future<Output = Result<O>> + Send,
{
    let output = function(engine, read_input(input)?).await?;
    Reply::new(&output)
}

async fn predict(engine: &Engine, input: &Value) -> Result<Reply> {
    let (output, how) = predictions::predict(engine, read_input(input)?).await?;
    Ok(Reply {
        prediction: Some(how),
        ..Reply::new(&output)?
    })
}

/// A prediction for one row of a job, named by `origin`, and what it stores, which the job counts.
/// Where the row may have been predicted before (`again`), that prediction makes room.
pub(crate) async fn predict_for_job(
    engine: &Engine,
    input: &Value,
    origin: String,
    again: bool,
) -> Result<(Value, Count)> {
    let mut input: predictions::Predict =
        validate_and_read_input(Operation::GetEventPrediction, input)?;
    if again {
        predictions::take_back(engine, &input, &origin).await?;
    }
    input.origin = Some(origin);
    let count = input.count();
    let (output, _) = predictions::predict(engine, input).await?;
    let output = serde_json::to_value(&output).map_err(Error::internal)?;
    Ok((output, count))
}

/// The input of an operation that takes a name and nothing else.
#[derive(Debug, Deserialize)]
pub(crate) struct ByName {
    pub(crate) name: String,
}
