//! The operations of the API, as an enum with the input and the largest body of each.
//!
//! The rows are those of the service model of 2019-11-15, with one exception: the model gives the ids of `GetEvent` and
//! `GetEventPrediction` as a plain `string`; here they are identifiers, as in the related operations. Otherwise an
//! event could be predicted under an id that no other operation accepts, and could never be labelled.
//!
//! A test in `tests/python/contract` compares this table with botocore's model.

use crate::limits::{LARGEST_LIST_REQUEST, LARGEST_REQUEST};
#[allow(
    clippy::wildcard_imports,
    reason = "the table below uses nearly all of them"
)]
use crate::shapes::*;

/// Makes the enum and its functions from one row per operation: its name, its largest body in bytes, and the members of
/// its input.
macro_rules! operations {
    ($($name:ident, $largest:ident: [$($member:expr),* $(,)?];)*) => {
        /// An operation of the API, with the name that it has in `X-Amz-Target`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names are those of the API")]
        pub enum Operation {
            $($name,)*
        }

        impl Operation {
            /// Every operation, sorted by name.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name, e.g. `GetEventPrediction`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Finds an operation by its name.
            pub fn find(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The members of the operation's input.
            pub(crate) fn input(self) -> &'static [Member] {
                match self {
                    $(Self::$name => {
                        static INPUT: &[Member] = &[$($member,)*];
                        INPUT
                    })*
                }
            }

            /// The largest body that the operation accepts, in bytes.
            pub fn largest_request(self) -> usize {
                match self {
                    $(Self::$name => $largest,)*
                }
            }
        }
    };
}

operations! {
    BatchCreateVariable, LARGEST_REQUEST: [
        must("variableEntries", &VARIABLE_ENTRIES),
        may("tags", &TAGS),
    ];
    BatchGetVariable, LARGEST_REQUEST: [
        must("names", &HUNDRED_NAMES),
    ];
    CancelBatchImportJob, LARGEST_REQUEST: [
        must("jobId", &IDENTIFIER),
    ];
    CancelBatchPredictionJob, LARGEST_REQUEST: [
        must("jobId", &IDENTIFIER),
    ];
    CreateBatchImportJob, LARGEST_REQUEST: [
        must("jobId", &IDENTIFIER),
        must("inputPath", &S3_LOCATION),
        must("outputPath", &S3_LOCATION),
        must("eventTypeName", &IDENTIFIER),
        must("iamRoleArn", &IAM_ROLE_ARN),
        may("tags", &TAGS),
    ];
    CreateBatchPredictionJob, LARGEST_REQUEST: [
        must("jobId", &IDENTIFIER),
        must("inputPath", &S3_LOCATION),
        must("outputPath", &S3_LOCATION),
        must("eventTypeName", &IDENTIFIER),
        must("detectorName", &IDENTIFIER),
        may("detectorVersion", &VERSION),
        must("iamRoleArn", &IAM_ROLE_ARN),
        may("tags", &TAGS),
    ];
    CreateDetectorVersion, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
        may("description", &DESCRIPTION),
        may("externalModelEndpoints", &NAMES),
        must("rules", &RULES),
        may("modelVersions", &MODEL_VERSIONS),
        may("ruleExecutionMode", &RULE_EXECUTION_MODE),
        may("tags", &TAGS),
    ];
    CreateList, LARGEST_LIST_REQUEST: [
        must("name", &LIST_NAME),
        may("elements", &LIST_ELEMENTS),
        may("variableType", &VARIABLE_TYPE),
        may("description", &DESCRIPTION),
        may("tags", &TAGS),
    ];
    CreateModel, LARGEST_REQUEST: [
        must("modelId", &MODEL_IDENTIFIER),
        must("modelType", &MODEL_TYPE),
        may("description", &DESCRIPTION),
        must("eventTypeName", &ANY_TEXT),
        may("tags", &TAGS),
    ];
    CreateModelVersion, LARGEST_REQUEST: [
        must("modelId", &MODEL_IDENTIFIER),
        must("modelType", &MODEL_TYPE),
        must("trainingDataSource", &TRAINING_DATA_SOURCE),
        must("trainingDataSchema", &TRAINING_DATA_SCHEMA),
        may("externalEventsDetail", &EXTERNAL_EVENTS_DETAIL),
        may("ingestedEventsDetail", &INGESTED_EVENTS_DETAIL),
        may("tags", &TAGS),
    ];
    CreateRule, LARGEST_REQUEST: [
        must("ruleId", &IDENTIFIER),
        must("detectorId", &IDENTIFIER),
        may("description", &DESCRIPTION),
        must("expression", &RULE_EXPRESSION),
        must("language", &LANGUAGE),
        must("outcomes", &SOME_NAMES),
        may("tags", &TAGS),
    ];
    CreateVariable, LARGEST_REQUEST: [
        must("name", &ANY_TEXT),
        must("dataType", &DATA_TYPE),
        must("dataSource", &DATA_SOURCE),
        must("defaultValue", &ANY_TEXT),
        may("description", &ANY_TEXT),
        may("variableType", &ANY_TEXT),
        may("tags", &TAGS),
    ];
    DeleteBatchImportJob, LARGEST_REQUEST: [
        must("jobId", &IDENTIFIER),
    ];
    DeleteBatchPredictionJob, LARGEST_REQUEST: [
        must("jobId", &IDENTIFIER),
    ];
    DeleteDetector, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
    ];
    DeleteDetectorVersion, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
        must("detectorVersionId", &VERSION),
    ];
    DeleteEntityType, LARGEST_REQUEST: [
        must("name", &IDENTIFIER),
    ];
    DeleteEvent, LARGEST_REQUEST: [
        must("eventId", &IDENTIFIER),
        must("eventTypeName", &IDENTIFIER),
        may("deleteAuditHistory", &BOOLEAN),
    ];
    DeleteEventType, LARGEST_REQUEST: [
        must("name", &IDENTIFIER),
    ];
    DeleteEventsByEventType, LARGEST_REQUEST: [
        must("eventTypeName", &IDENTIFIER),
    ];
    DeleteExternalModel, LARGEST_REQUEST: [
        must("modelEndpoint", &MODEL_ENDPOINT),
    ];
    DeleteLabel, LARGEST_REQUEST: [
        must("name", &IDENTIFIER),
    ];
    DeleteList, LARGEST_REQUEST: [
        must("name", &LIST_NAME),
    ];
    DeleteModel, LARGEST_REQUEST: [
        must("modelId", &MODEL_IDENTIFIER),
        must("modelType", &MODEL_TYPE),
    ];
    DeleteModelVersion, LARGEST_REQUEST: [
        must("modelId", &MODEL_IDENTIFIER),
        must("modelType", &MODEL_TYPE),
        must("modelVersionNumber", &MODEL_VERSION_NUMBER),
    ];
    DeleteOutcome, LARGEST_REQUEST: [
        must("name", &IDENTIFIER),
    ];
    DeleteRule, LARGEST_REQUEST: [
        must("rule", &RULE),
    ];
    DeleteVariable, LARGEST_REQUEST: [
        must("name", &ANY_TEXT),
    ];
    DescribeDetector, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &DETECTOR_VERSIONS_PAGE),
    ];
    DescribeModelVersions, LARGEST_REQUEST: [
        may("modelId", &MODEL_IDENTIFIER),
        may("modelVersionNumber", &MODEL_VERSION_NUMBER),
        may("modelType", &MODEL_TYPE),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &MODELS_PAGE),
    ];
    GetBatchImportJobs, LARGEST_REQUEST: [
        may("jobId", &IDENTIFIER),
        may("maxResults", &BATCH_IMPORTS_PAGE),
        may("nextToken", &ANY_TEXT),
    ];
    GetBatchPredictionJobs, LARGEST_REQUEST: [
        may("jobId", &IDENTIFIER),
        may("maxResults", &BATCH_PREDICTIONS_PAGE),
        may("nextToken", &ANY_TEXT),
    ];
    GetDeleteEventsByEventTypeStatus, LARGEST_REQUEST: [
        must("eventTypeName", &IDENTIFIER),
    ];
    GetDetectorVersion, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
        must("detectorVersionId", &VERSION),
    ];
    GetDetectors, LARGEST_REQUEST: [
        may("detectorId", &IDENTIFIER),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &DETECTORS_PAGE),
    ];
    GetEntityTypes, LARGEST_REQUEST: [
        may("name", &IDENTIFIER),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &ENTITY_TYPES_PAGE),
    ];
    GetEvent, LARGEST_REQUEST: [
        must("eventId", &IDENTIFIER),
        must("eventTypeName", &IDENTIFIER),
    ];
    GetEventPrediction, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
        may("detectorVersionId", &VERSION),
        must("eventId", &IDENTIFIER),
        must("eventTypeName", &IDENTIFIER),
        must("entities", &ENTITIES),
        must("eventTimestamp", &REQUEST_TIME),
        must("eventVariables", &EVENT_VARIABLES),
        may("externalModelEndpointDataBlobs", &ENDPOINT_BLOBS),
    ];
    GetEventPredictionMetadata, LARGEST_REQUEST: [
        must("eventId", &IDENTIFIER),
        must("eventTypeName", &IDENTIFIER),
        must("detectorId", &IDENTIFIER),
        must("detectorVersionId", &VERSION),
        must("predictionTimestamp", &RESPONSE_TIME),
    ];
    GetEventTypes, LARGEST_REQUEST: [
        may("name", &IDENTIFIER),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &EVENT_TYPES_PAGE),
    ];
    GetExternalModels, LARGEST_REQUEST: [
        may("modelEndpoint", &ANY_TEXT),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &EXTERNAL_MODELS_PAGE),
    ];
    GetKMSEncryptionKey, LARGEST_REQUEST: [
    ];
    GetLabels, LARGEST_REQUEST: [
        may("name", &IDENTIFIER),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &LABELS_PAGE),
    ];
    GetListElements, LARGEST_REQUEST: [
        must("name", &LIST_NAME),
        may("nextToken", &NEXT_TOKEN),
        may("maxResults", &LIST_ELEMENTS_PAGE),
    ];
    GetListsMetadata, LARGEST_REQUEST: [
        may("name", &LIST_NAME),
        may("nextToken", &NEXT_TOKEN),
        may("maxResults", &LISTS_PAGE),
    ];
    GetModelVersion, LARGEST_REQUEST: [
        must("modelId", &MODEL_IDENTIFIER),
        must("modelType", &MODEL_TYPE),
        must("modelVersionNumber", &MODEL_VERSION_NUMBER),
    ];
    GetModels, LARGEST_REQUEST: [
        may("modelId", &MODEL_IDENTIFIER),
        may("modelType", &MODEL_TYPE),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &MODELS_PAGE),
    ];
    GetOutcomes, LARGEST_REQUEST: [
        may("name", &IDENTIFIER),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &OUTCOMES_PAGE),
    ];
    // Today's model does not have it; the API had it until 2020.
    GetPrediction, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
        may("detectorVersionId", &VERSION),
        must("eventId", &IDENTIFIER),
        may("eventAttributes", &EVENT_VARIABLES),
        may("externalModelEndpointDataBlobs", &ENDPOINT_BLOBS),
    ];
    GetRules, LARGEST_REQUEST: [
        may("ruleId", &IDENTIFIER),
        must("detectorId", &IDENTIFIER),
        may("ruleVersion", &VERSION),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &RULES_PAGE),
    ];
    GetVariables, LARGEST_REQUEST: [
        may("name", &ANY_TEXT),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &VARIABLES_PAGE),
    ];
    ListEventPredictions, LARGEST_REQUEST: [
        may("eventId", &FILTER_CONDITION),
        may("eventType", &FILTER_CONDITION),
        may("detectorId", &FILTER_CONDITION),
        may("detectorVersionId", &FILTER_CONDITION),
        may("predictionTimeRange", &PREDICTION_TIME_RANGE),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &EVENT_PREDICTIONS_PAGE),
    ];
    ListTagsForResource, LARGEST_REQUEST: [
        must("resourceARN", &RESOURCE_ARN),
        may("nextToken", &ANY_TEXT),
        may("maxResults", &TAGS_PAGE),
    ];
    PutDetector, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
        may("description", &DESCRIPTION),
        must("eventTypeName", &IDENTIFIER),
        may("tags", &TAGS),
    ];
    PutEntityType, LARGEST_REQUEST: [
        must("name", &IDENTIFIER),
        may("description", &DESCRIPTION),
        may("tags", &TAGS),
    ];
    PutEventType, LARGEST_REQUEST: [
        must("name", &IDENTIFIER),
        may("description", &DESCRIPTION),
        must("eventVariables", &SOME_NAMES),
        may("labels", &NAMES),
        must("entityTypes", &SOME_NAMES),
        may("eventIngestion", &EVENT_INGESTION),
        may("tags", &TAGS),
        may("eventOrchestration", &EVENT_ORCHESTRATION),
    ];
    PutExternalModel, LARGEST_REQUEST: [
        must("modelEndpoint", &MODEL_ENDPOINT),
        must("modelSource", &MODEL_SOURCE),
        must("invokeModelEndpointRoleArn", &ANY_TEXT),
        must("inputConfiguration", &MODEL_INPUT_CONFIGURATION),
        must("outputConfiguration", &MODEL_OUTPUT_CONFIGURATION),
        must("modelEndpointStatus", &MODEL_ENDPOINT_STATUS),
        may("tags", &TAGS),
    ];
    PutKMSEncryptionKey, LARGEST_REQUEST: [
        must("kmsEncryptionKeyArn", &KMS_KEY_ARN),
    ];
    PutLabel, LARGEST_REQUEST: [
        must("name", &IDENTIFIER),
        may("description", &DESCRIPTION),
        may("tags", &TAGS),
    ];
    PutOutcome, LARGEST_REQUEST: [
        must("name", &IDENTIFIER),
        may("description", &DESCRIPTION),
        may("tags", &TAGS),
    ];
    SendEvent, LARGEST_REQUEST: [
        must("eventId", &IDENTIFIER),
        must("eventTypeName", &IDENTIFIER),
        must("eventTimestamp", &REQUEST_TIME),
        must("eventVariables", &EVENT_VARIABLES),
        may("assignedLabel", &IDENTIFIER),
        may("labelTimestamp", &REQUEST_TIME),
        must("entities", &ENTITIES),
    ];
    TagResource, LARGEST_REQUEST: [
        must("resourceARN", &RESOURCE_ARN),
        must("tags", &TAGS),
    ];
    UntagResource, LARGEST_REQUEST: [
        must("resourceARN", &RESOURCE_ARN),
        must("tagKeys", &TAG_KEYS),
    ];
    UpdateDetectorVersion, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
        must("detectorVersionId", &VERSION),
        must("externalModelEndpoints", &NAMES),
        must("rules", &RULES),
        may("description", &DESCRIPTION),
        may("modelVersions", &MODEL_VERSIONS),
        may("ruleExecutionMode", &RULE_EXECUTION_MODE),
    ];
    UpdateDetectorVersionMetadata, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
        must("detectorVersionId", &VERSION),
        must("description", &DESCRIPTION),
    ];
    UpdateDetectorVersionStatus, LARGEST_REQUEST: [
        must("detectorId", &IDENTIFIER),
        must("detectorVersionId", &VERSION),
        must("status", &DETECTOR_VERSION_STATUS),
    ];
    UpdateEventLabel, LARGEST_REQUEST: [
        must("eventId", &IDENTIFIER),
        must("eventTypeName", &IDENTIFIER),
        must("assignedLabel", &IDENTIFIER),
        must("labelTimestamp", &REQUEST_TIME),
    ];
    UpdateList, LARGEST_LIST_REQUEST: [
        must("name", &LIST_NAME),
        may("elements", &LIST_ELEMENTS),
        may("description", &DESCRIPTION),
        may("updateMode", &LIST_UPDATE_MODE),
        may("variableType", &VARIABLE_TYPE),
    ];
    UpdateModel, LARGEST_REQUEST: [
        must("modelId", &MODEL_IDENTIFIER),
        must("modelType", &MODEL_TYPE),
        may("description", &DESCRIPTION),
    ];
    UpdateModelVersion, LARGEST_REQUEST: [
        must("modelId", &MODEL_IDENTIFIER),
        must("modelType", &MODEL_TYPE),
        must("majorVersionNumber", &VERSION),
        may("externalEventsDetail", &EXTERNAL_EVENTS_DETAIL),
        may("ingestedEventsDetail", &INGESTED_EVENTS_DETAIL),
        may("tags", &TAGS),
    ];
    UpdateModelVersionStatus, LARGEST_REQUEST: [
        must("modelId", &MODEL_IDENTIFIER),
        must("modelType", &MODEL_TYPE),
        must("modelVersionNumber", &MODEL_VERSION_NUMBER),
        must("status", &MODEL_VERSION_STATUS),
    ];
    UpdateRuleMetadata, LARGEST_REQUEST: [
        must("rule", &RULE),
        must("description", &DESCRIPTION),
    ];
    UpdateRuleVersion, LARGEST_REQUEST: [
        must("rule", &RULE),
        may("description", &DESCRIPTION),
        must("expression", &RULE_EXPRESSION),
        must("language", &LANGUAGE),
        must("outcomes", &SOME_NAMES),
        may("tags", &TAGS),
    ];
    UpdateVariable, LARGEST_REQUEST: [
        must("name", &ANY_TEXT),
        may("defaultValue", &ANY_TEXT),
        may("description", &ANY_TEXT),
        may("variableType", &ANY_TEXT),
    ];
}

#[cfg(test)]
mod tests {
    use super::Operation;

    #[test]
    fn the_table_is_the_whole_api_and_sorted() {
        // The 73 of today's model, and `GetPrediction`.
        assert_eq!(Operation::ALL.len(), 74);
        assert!(Operation::ALL.is_sorted_by_key(|operation| operation.name()));
        for &operation in Operation::ALL {
            assert_eq!(Operation::find(operation.name()), Some(operation));
        }
        assert_eq!(Operation::find("getevent"), None);
    }
}
