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
pub(crate) mod live_versions;
pub(crate) mod model_import;
pub(crate) mod model_versions;
pub(crate) mod models;
mod outcomes;
mod prediction_metadata;
pub(crate) mod predictions;
pub(crate) mod rules;
mod simple_resources;
mod tags;
mod training_checks;
pub(crate) mod training_result;
pub(crate) mod variables;
mod version_bundle;

use std::future::ready;
use std::pin::Pin;

use protocol::wire::{Reply, read_input};
use protocol::{Error, ErrorCode, Operation, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::predict;
use crate::services::EngineServices;

/// The output of an operation without output members: `{}` on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct EmptyOutput {}

/// The operations that an engine serves: [`serve_all`] or [`serve_events`].
pub(crate) type ServeOperation =
    for<'a> fn(&'a EngineServices, Operation, &'a Value) -> PendingReply<'a>;

/// The future of a reply.
type PendingReply<'a> = Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>>;

/// The operations that a Lambda function calls. Linking more of them would make its start slower.
pub(crate) fn serve_events<'a>(
    services: &'a EngineServices,
    operation: Operation,
    input: &'a Value,
) -> PendingReply<'a> {
    match operation {
        Operation::GetEventPrediction => Box::pin(get_event_prediction(services, input)),
        Operation::SendEvent => Box::pin(call_handler(services, input, events::send_event)),
        Operation::GetEvent => Box::pin(call_handler(services, input, events::get_event)),
        Operation::UpdateEventLabel => {
            Box::pin(call_handler(services, input, events::update_event_label))
        }
        _ => {
            let name = operation.name();
            let message = format!("The operation {name} is not served inside a function.");
            Box::pin(ready(Err(Error::new(ErrorCode::UnknownOperation, message))))
        }
    }
}

/// Every operation. One line for each: the function is long because it is a table, and whole because it compiles.
pub(crate) fn serve_all<'a>(
    services: &'a EngineServices,
    operation: Operation,
    input: &'a Value,
) -> PendingReply<'a> {
    macro_rules! run {
        ($function:expr) => {
            Box::pin(call_handler(services, input, $function))
        };
    }
    match operation {
        Operation::GetEventPrediction => Box::pin(get_event_prediction(services, input)),
        Operation::GetPrediction => run!(get_prediction::get_prediction),
        Operation::GetEventPredictionMetadata => {
            run!(prediction_metadata::get_event_prediction_metadata)
        }
        Operation::ListEventPredictions => run!(predictions::list_event_predictions),
        Operation::SendEvent => run!(events::send_event),
        Operation::GetEvent => run!(events::get_event),
        Operation::UpdateEventLabel => run!(events::update_event_label),
        Operation::DeleteEvent => run!(events::delete_event),

        Operation::CreateBatchImportJob => run!(jobs::create_batch_import_job),
        Operation::GetBatchImportJobs => run!(jobs::get_batch_import_jobs),
        Operation::CancelBatchImportJob => run!(jobs::cancel_batch_import_job),
        Operation::DeleteBatchImportJob => run!(jobs::delete_batch_import_job),
        Operation::CreateBatchPredictionJob => run!(jobs::create_batch_prediction_job),
        Operation::GetBatchPredictionJobs => run!(jobs::get_batch_prediction_jobs),
        Operation::CancelBatchPredictionJob => run!(jobs::cancel_batch_prediction_job),
        Operation::DeleteBatchPredictionJob => run!(jobs::delete_batch_prediction_job),
        Operation::DeleteEventsByEventType => run!(jobs::delete_events_by_event_type),
        Operation::GetDeleteEventsByEventTypeStatus => run!(jobs::get_delete_events_status),

        Operation::CreateVariable => run!(variables::create_variable),
        Operation::BatchCreateVariable => run!(variables::batch_create_variable),
        Operation::UpdateVariable => run!(variables::update_variable),
        Operation::GetVariables => run!(variables::get_variables),
        Operation::BatchGetVariable => run!(variables::batch_get_variable),
        Operation::DeleteVariable => run!(variables::delete_variable),

        Operation::PutEntityType => run!(entity_types::put_entity_type),
        Operation::GetEntityTypes => run!(entity_types::get_entity_types),
        Operation::DeleteEntityType => run!(entity_types::delete_entity_type),
        Operation::PutLabel => run!(labels::put_label),
        Operation::GetLabels => run!(labels::get_labels),
        Operation::DeleteLabel => run!(labels::delete_label),
        Operation::PutOutcome => run!(outcomes::put_outcome),
        Operation::GetOutcomes => run!(outcomes::get_outcomes),
        Operation::DeleteOutcome => run!(outcomes::delete_outcome),
        Operation::PutEventType => run!(event_types::put_event_type),
        Operation::GetEventTypes => run!(event_types::get_event_types),
        Operation::DeleteEventType => run!(event_types::delete_event_type),

        Operation::CreateList => run!(lists::create_list),
        Operation::UpdateList => run!(lists::update_list),
        Operation::GetListElements => run!(lists::get_list_elements),
        Operation::GetListsMetadata => run!(lists::get_lists_metadata),
        Operation::DeleteList => run!(lists::delete_list),

        Operation::CreateRule => run!(rules::create_rule),
        Operation::UpdateRuleVersion => run!(rules::update_rule_version),
        Operation::UpdateRuleMetadata => run!(rules::update_rule_metadata),
        Operation::GetRules => run!(rules::get_rules),
        Operation::DeleteRule => run!(rules::delete_rule),

        Operation::PutDetector => run!(detectors::put_detector),
        Operation::GetDetectors => run!(detectors::get_detectors),
        Operation::DescribeDetector => run!(detectors::describe_detector),
        Operation::DeleteDetector => run!(detectors::delete_detector),
        Operation::CreateDetectorVersion => run!(detector_versions::create_detector_version),
        Operation::GetDetectorVersion => run!(detector_versions::get_detector_version),
        Operation::UpdateDetectorVersion => run!(detector_versions::update_detector_version),
        Operation::UpdateDetectorVersionMetadata => {
            run!(detector_versions::update_detector_version_metadata)
        }
        Operation::UpdateDetectorVersionStatus => {
            run!(detector_versions::update_detector_version_status)
        }
        Operation::DeleteDetectorVersion => run!(detector_versions::delete_detector_version),

        Operation::CreateModel => run!(models::create_model),
        Operation::GetModels => run!(models::get_models),
        Operation::UpdateModel => run!(models::update_model),
        Operation::DeleteModel => run!(models::delete_model),
        Operation::CreateModelVersion => run!(model_versions::create_model_version),
        Operation::GetModelVersion => run!(model_versions::get_model_version),
        Operation::DescribeModelVersions => run!(model_versions::describe_model_versions),
        Operation::UpdateModelVersion => run!(model_versions::update_model_version),
        Operation::UpdateModelVersionStatus => run!(model_versions::update_model_version_status),
        Operation::DeleteModelVersion => run!(model_versions::delete_model_version),
        Operation::PutExternalModel => run!(external_models::put_external_model),
        Operation::GetExternalModels => run!(external_models::get_external_models),
        Operation::DeleteExternalModel => run!(external_models::delete_external_model),

        Operation::PutKMSEncryptionKey => run!(kms_key::put_kms_encryption_key),
        Operation::GetKMSEncryptionKey => run!(kms_key::get_kms_encryption_key),

        Operation::TagResource => run!(tags::tag_resource),
        Operation::UntagResource => run!(tags::untag_resource),
        Operation::ListTagsForResource => run!(tags::list_tags_for_resource),
    }
}

async fn call_handler<'e, I, O, F, R>(
    services: &'e EngineServices,
    input: &Value,
    function: F,
) -> Result<Reply>
where
    I: DeserializeOwned + Send,
    O: Serialize,
    F: FnOnce(&'e EngineServices, I) -> R + Send,
    R: Future<Output = Result<O>> + Send,
{
    let output = function(services, read_input(input)?).await?;
    Reply::new(&output)
}

async fn get_event_prediction(services: &EngineServices, input: &Value) -> Result<Reply> {
    let (output, header) = predict::predict_event(services, read_input(input)?).await?;
    make_prediction_reply(&output, header)
}

/// `GetEventPrediction` for a caller that stores the prediction later.
pub(crate) async fn get_event_prediction_and_hold(
    services: &EngineServices,
    input: &Value,
) -> Result<Reply> {
    let (output, header) = predict::predict_and_hold(services, read_input(input)?).await?;
    make_prediction_reply(&output, header)
}

fn make_prediction_reply(output: &impl Serialize, header: String) -> Result<Reply> {
    Ok(Reply {
        prediction: Some(header),
        ..Reply::new(output)?
    })
}

/// The input of an operation that has only a name.
#[derive(Debug, Deserialize)]
pub(crate) struct NameInput {
    pub(crate) name: String,
}
