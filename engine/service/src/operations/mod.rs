//! The operations: one file per resource, one function per operation.
//!
//! A handler takes the services and its input as a type, and returns its output as a type. The input has already passed
//! [`protocol::validate`], so a handler checks only what the service model does not state: whether a name exists,
//! whether a value has its type, what a status allows.
//!
//! To add an operation, write its handler in the file of its resource and give it a row in [`serve_all`]; its input is
//! a row of [`protocol::Operation`].

pub(crate) mod detector_versions;
mod detectors;
mod entity_types;
pub(crate) mod event_types;
pub(crate) mod events;
pub(crate) mod external_models;
mod get_prediction;
mod jobs;
mod kms_key;
mod labels;
pub(crate) mod lists;
pub(crate) mod model_import;
pub(crate) mod model_versions;
pub(crate) mod models;
mod outcomes;
pub(crate) mod predictions;
pub(crate) mod rules;
mod simple_resources;
mod tags;
pub(crate) mod training_result;
pub(crate) mod variables;

use std::future::ready;
use std::pin::Pin;

use protocol::wire::{Reply, read_input};
use protocol::{Code, Error, Operation, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::predict;
use crate::services::Services;

/// The output of an operation without output members: `{}` on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct Empty {}

/// The operations that an engine serves: [`serve_all`] or [`serve_events`].
pub(crate) type Serve = for<'a> fn(&'a Services, Operation, &'a Value) -> Answer<'a>;

/// The future of a reply.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>>;

/// The operations that a Lambda function calls. Linking more of them would make its start slower.
pub(crate) fn serve_events<'a>(
    services: &'a Services,
    operation: Operation,
    input: &'a Value,
) -> Answer<'a> {
    match operation {
        Operation::GetEventPrediction => Box::pin(get_event_prediction(services, input)),
        Operation::SendEvent => Box::pin(call(services, input, events::send)),
        Operation::GetEvent => Box::pin(call(services, input, events::get)),
        Operation::UpdateEventLabel => Box::pin(call(services, input, events::update_label)),
        _ => {
            let name = operation.name();
            let message = format!("The operation {name} is not served inside a function.");
            Box::pin(ready(Err(Error::new(Code::UnknownOperation, message))))
        }
    }
}

/// Every operation.
pub(crate) fn serve_all<'a>(
    services: &'a Services,
    operation: Operation,
    input: &'a Value,
) -> Answer<'a> {
    macro_rules! run {
        ($function:expr) => {
            Box::pin(call(services, input, $function))
        };
    }
    match operation {
        Operation::GetEventPrediction => Box::pin(get_event_prediction(services, input)),
        Operation::GetPrediction => run!(get_prediction::get_prediction),
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
        Operation::CreateDetectorVersion => run!(detector_versions::create),
        Operation::GetDetectorVersion => run!(detector_versions::get),
        Operation::UpdateDetectorVersion => run!(detector_versions::update),
        Operation::UpdateDetectorVersionMetadata => run!(detector_versions::update_metadata),
        Operation::UpdateDetectorVersionStatus => run!(detector_versions::update_status),
        Operation::DeleteDetectorVersion => run!(detector_versions::delete),

        Operation::CreateModel => run!(models::create),
        Operation::GetModels => run!(models::get),
        Operation::UpdateModel => run!(models::update),
        Operation::DeleteModel => run!(models::delete),
        Operation::CreateModelVersion => run!(model_versions::create_version),
        Operation::GetModelVersion => run!(model_versions::get_version),
        Operation::DescribeModelVersions => run!(model_versions::describe_versions),
        Operation::UpdateModelVersion => run!(model_versions::update_version),
        Operation::UpdateModelVersionStatus => run!(model_versions::update_version_status),
        Operation::DeleteModelVersion => run!(model_versions::delete_version),
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

async fn call<'e, I, O, F, R>(services: &'e Services, input: &Value, function: F) -> Result<Reply>
where
    I: DeserializeOwned + Send,
    O: Serialize,
    F: FnOnce(&'e Services, I) -> R + Send,
    R: Future<Output = Result<O>> + Send,
{
    let output = function(services, read_input(input)?).await?;
    Reply::new(&output)
}

async fn get_event_prediction(services: &Services, input: &Value) -> Result<Reply> {
    let (output, header) = predict::predict(services, read_input(input)?).await?;
    Ok(Reply {
        prediction: Some(header),
        ..Reply::new(&output)?
    })
}

/// The input of an operation that has only a name.
#[derive(Debug, Deserialize)]
pub(crate) struct ByName {
    pub(crate) name: String,
}
