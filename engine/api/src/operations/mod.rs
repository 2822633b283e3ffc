//! The operations: one file per resource, one function per operation.
//!
//! A function takes the engine and its input as a type, and returns its output as a type. The
//! input has passed [`crate::shape`] already, so what is left to check is what the model does
//! not say: whether a name exists, whether a value is of its type, which state allows what.
//!
//! To add an operation, write its function in the file of its resource and give it a row in
//! [`all`]; its shape stands in [`crate::shapes`] already.

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

use bytes::Bytes;
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
use crate::error::{Code, Error, Result};
use crate::pause::pause;
use crate::shapes::Operation;
use crate::statistics::Count;

/// How often an operation is run when other writers keep getting in between.
const ATTEMPTS: u32 = 20;
/// The pause between two runs, at first and at most.
const PAUSE: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(250)];

/// What an operation answers: its JSON, and for a prediction how it came about.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) body: Bytes,
    pub(crate) prediction: Option<String>,
}

/// The output of an operation that has none: `{}` on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct Empty {}

/// The operations that an engine serves: [`all`] or [`of_events`].
pub(crate) type Serve = for<'a> fn(&'a Engine, &'a Operation, &'a Value) -> Answer<'a>;

/// A reply on its way.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>>;

/// Runs an operation; one that lost against another writer runs again.
pub(crate) async fn run(engine: &Engine, operation: &Operation, input: &Value) -> Result<Reply> {
    again(|| (engine.serve)(engine, operation, input)).await
}

/// Does something again for as long as it loses against other writers, but not for ever.
pub(crate) async fn again<T, R>(mut attempt: impl FnMut() -> R) -> Result<T>
where
    R: Future<Output = Result<T>>,
{
    for number in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_lost() => pause(number, PAUSE).await,
            result => return result,
        }
    }
    attempt().await
}

/// What a Lambda function calls. Whatever else is linked into it makes it start later.
pub(crate) fn of_events<'a>(
    engine: &'a Engine,
    operation: &'a Operation,
    input: &'a Value,
) -> Answer<'a> {
    match operation.name {
        "GetEventPrediction" => Box::pin(predict(engine, input)),
        "SendEvent" => Box::pin(call(engine, input, events::send)),
        "GetEvent" => Box::pin(call(engine, input, events::get)),
        "UpdateEventLabel" => Box::pin(call(engine, input, events::update_label)),
        name => {
            let message = format!("The operation {name} is not served inside a function.");
            Box::pin(ready(Err(Error::new(Code::UnknownOperation, message))))
        }
    }
}

/// Every operation.
pub(crate) fn all<'a>(
    engine: &'a Engine,
    operation: &'a Operation,
    input: &'a Value,
) -> Answer<'a> {
    macro_rules! run {
        ($function:expr) => {
            Box::pin(call(engine, input, $function))
        };
    }
    match operation.name {
        "GetEventPrediction" => Box::pin(predict(engine, input)),
        "GetPrediction" => run!(predictions::get_prediction),
        "GetEventPredictionMetadata" => run!(predictions::metadata),
        "ListEventPredictions" => run!(predictions::list),
        "SendEvent" => run!(events::send),
        "GetEvent" => run!(events::get),
        "UpdateEventLabel" => run!(events::update_label),
        "DeleteEvent" => run!(events::delete),

        "CreateBatchImportJob" => run!(jobs::create_import),
        "GetBatchImportJobs" => run!(jobs::get_imports),
        "CancelBatchImportJob" => run!(jobs::cancel_import),
        "DeleteBatchImportJob" => run!(jobs::delete_import),
        "CreateBatchPredictionJob" => run!(jobs::create_prediction),
        "GetBatchPredictionJobs" => run!(jobs::get_predictions),
        "CancelBatchPredictionJob" => run!(jobs::cancel_prediction),
        "DeleteBatchPredictionJob" => run!(jobs::delete_prediction),
        "DeleteEventsByEventType" => run!(jobs::delete_events),
        "GetDeleteEventsByEventTypeStatus" => run!(jobs::deletion_status),

        "CreateVariable" => run!(variables::create),
        "BatchCreateVariable" => run!(variables::batch_create),
        "UpdateVariable" => run!(variables::update),
        "GetVariables" => run!(variables::get),
        "BatchGetVariable" => run!(variables::batch_get),
        "DeleteVariable" => run!(variables::delete),

        "PutEntityType" => run!(entity_types::put),
        "GetEntityTypes" => run!(entity_types::get),
        "DeleteEntityType" => run!(entity_types::delete),
        "PutLabel" => run!(labels::put),
        "GetLabels" => run!(labels::get),
        "DeleteLabel" => run!(labels::delete),
        "PutOutcome" => run!(outcomes::put),
        "GetOutcomes" => run!(outcomes::get),
        "DeleteOutcome" => run!(outcomes::delete),
        "PutEventType" => run!(event_types::put),
        "GetEventTypes" => run!(event_types::get),
        "DeleteEventType" => run!(event_types::delete),

        "CreateList" => run!(lists::create),
        "UpdateList" => run!(lists::update),
        "GetListElements" => run!(lists::elements),
        "GetListsMetadata" => run!(lists::metadata),
        "DeleteList" => run!(lists::delete),

        "CreateRule" => run!(rules::create),
        "UpdateRuleVersion" => run!(rules::update_version),
        "UpdateRuleMetadata" => run!(rules::update_metadata),
        "GetRules" => run!(rules::get),
        "DeleteRule" => run!(rules::delete),

        "PutDetector" => run!(detectors::put),
        "GetDetectors" => run!(detectors::get),
        "DescribeDetector" => run!(detectors::describe),
        "DeleteDetector" => run!(detectors::delete),
        "CreateDetectorVersion" => run!(versions::create),
        "GetDetectorVersion" => run!(versions::get),
        "UpdateDetectorVersion" => run!(versions::update),
        "UpdateDetectorVersionMetadata" => run!(versions::update_metadata),
        "UpdateDetectorVersionStatus" => run!(versions::update_status),
        "DeleteDetectorVersion" => run!(versions::delete),

        "CreateModel" => run!(models::create),
        "GetModels" => run!(models::get),
        "UpdateModel" => run!(models::update),
        "DeleteModel" => run!(models::delete),
        "CreateModelVersion" => run!(models::create_version),
        "GetModelVersion" => run!(models::get_version),
        "DescribeModelVersions" => run!(models::describe_versions),
        "UpdateModelVersion" => run!(models::update_version),
        "UpdateModelVersionStatus" => run!(models::update_version_status),
        "DeleteModelVersion" => run!(models::delete_version),
        "PutExternalModel" => run!(external_models::put),
        "GetExternalModels" => run!(external_models::get),
        "DeleteExternalModel" => run!(external_models::delete),

        "PutKMSEncryptionKey" => run!(kms_key::put),
        "GetKMSEncryptionKey" => run!(kms_key::get),

        "TagResource" => run!(tags::tag),
        "UntagResource" => run!(tags::untag),
        "ListTagsForResource" => run!(tags::list),

        // Every row of the table of shapes has its function above.
        name => {
            let error = Error::internal(format!("{name} has no function"));
            Box::pin(ready(Err(error)))
        }
    }
}

async fn call<'e, I, O, F, R>(engine: &'e Engine, input: &Value, function: F) -> Result<Reply>
where
    I: DeserializeOwned + Send,
    O: Serialize,
    F: FnOnce(&'e Engine, I) -> R + Send,
    R: Future<Output = Result<O>> + Send,
{
    let output = function(engine, typed(input)?).await?;
    Ok(Reply {
        body: json(&output)?,
        prediction: None,
    })
}

async fn predict(engine: &Engine, input: &Value) -> Result<Reply> {
    let (output, how) = predictions::predict(engine, typed(input)?).await?;
    Ok(Reply {
        body: json(&output)?,
        prediction: Some(how),
    })
}

/// The input of an operation from JSON that no client sent: a row of a file.
pub(crate) fn checked<I: DeserializeOwned>(operation: &str, input: &Value) -> Result<I> {
    let operation =
        crate::shapes::find(operation).ok_or_else(|| Error::internal("no operation"))?;
    crate::shape::check(operation.input, input)?;
    typed(input)
}

/// A prediction for one row of a job, named by `origin`, and what it stores, which the job counts.
/// Where the row may have been predicted before (`again`), that prediction makes room.
pub(crate) async fn predict_for_job(
    engine: &Engine,
    input: &Value,
    origin: String,
    again: bool,
) -> Result<(Value, Count)> {
    let mut input: predictions::Predict = checked("GetEventPrediction", input)?;
    if again {
        predictions::take_back(engine, &input, &origin).await?;
    }
    input.origin = Some(origin);
    let count = input.count();
    let (output, _) = predictions::predict(engine, input).await?;
    let output = serde_json::to_value(&output).map_err(Error::internal)?;
    Ok((output, count))
}

/// The walk over the shape has found every violation, so this fails only if our own input type
/// is wrong; serde's text could quote a value.
fn typed<I: DeserializeOwned>(input: &Value) -> Result<I> {
    I::deserialize(input).map_err(|_| Error::internal(std::any::type_name::<I>()))
}

fn json(output: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(output)
        .map(Bytes::from)
        .map_err(Error::internal)
}

/// The input of an operation that takes a name and nothing else.
#[derive(Debug, Deserialize)]
pub(crate) struct ByName {
    pub(crate) name: String,
}
