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
        required_member("variableEntries", &VARIABLE_ENTRIES),
        optional_member("tags", &TAGS),
    ];
    BatchGetVariable, LARGEST_REQUEST: [
        required_member("names", &HUNDRED_NAMES),
    ];
    CancelBatchImportJob, LARGEST_REQUEST: [
        required_member("jobId", &IDENTIFIER),
    ];
    CancelBatchPredictionJob, LARGEST_REQUEST: [
        required_member("jobId", &IDENTIFIER),
    ];
    CreateBatchImportJob, LARGEST_REQUEST: [
        required_member("jobId", &IDENTIFIER),
        required_member("inputPath", &S3_LOCATION),
        required_member("outputPath", &S3_LOCATION),
        required_member("eventTypeName", &IDENTIFIER),
        required_member("iamRoleArn", &IAM_ROLE_ARN),
        optional_member("tags", &TAGS),
    ];
    CreateBatchPredictionJob, LARGEST_REQUEST: [
        required_member("jobId", &IDENTIFIER),
        required_member("inputPath", &S3_LOCATION),
        required_member("outputPath", &S3_LOCATION),
        required_member("eventTypeName", &IDENTIFIER),
        required_member("detectorName", &IDENTIFIER),
        optional_member("detectorVersion", &VERSION),
        required_member("iamRoleArn", &IAM_ROLE_ARN),
        optional_member("tags", &TAGS),
    ];
    CreateDetectorVersion, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
        optional_member("description", &DESCRIPTION),
        optional_member("externalModelEndpoints", &NAMES),
        required_member("rules", &RULES),
        optional_member("modelVersions", &MODEL_VERSIONS),
        optional_member("ruleExecutionMode", &RULE_EXECUTION_MODE),
        optional_member("tags", &TAGS),
    ];
    CreateList, LARGEST_LIST_REQUEST: [
        required_member("name", &LIST_NAME),
        optional_member("elements", &LIST_ELEMENTS),
        optional_member("variableType", &VARIABLE_TYPE),
        optional_member("description", &DESCRIPTION),
        optional_member("tags", &TAGS),
    ];
    CreateModel, LARGEST_REQUEST: [
        required_member("modelId", &MODEL_IDENTIFIER),
        required_member("modelType", &MODEL_TYPE),
        optional_member("description", &DESCRIPTION),
        required_member("eventTypeName", &ANY_TEXT),
        optional_member("tags", &TAGS),
    ];
    CreateModelVersion, LARGEST_REQUEST: [
        required_member("modelId", &MODEL_IDENTIFIER),
        required_member("modelType", &MODEL_TYPE),
        required_member("trainingDataSource", &TRAINING_DATA_SOURCE),
        required_member("trainingDataSchema", &TRAINING_DATA_SCHEMA),
        optional_member("externalEventsDetail", &EXTERNAL_EVENTS_DETAIL),
        optional_member("ingestedEventsDetail", &INGESTED_EVENTS_DETAIL),
        optional_member("tags", &TAGS),
    ];
    CreateRule, LARGEST_REQUEST: [
        required_member("ruleId", &IDENTIFIER),
        required_member("detectorId", &IDENTIFIER),
        optional_member("description", &DESCRIPTION),
        required_member("expression", &RULE_EXPRESSION),
        required_member("language", &LANGUAGE),
        required_member("outcomes", &SOME_NAMES),
        optional_member("tags", &TAGS),
    ];
    CreateVariable, LARGEST_REQUEST: [
        required_member("name", &ANY_TEXT),
        required_member("dataType", &DATA_TYPE),
        required_member("dataSource", &DATA_SOURCE),
        required_member("defaultValue", &ANY_TEXT),
        optional_member("description", &ANY_TEXT),
        optional_member("variableType", &ANY_TEXT),
        optional_member("tags", &TAGS),
    ];
    DeleteBatchImportJob, LARGEST_REQUEST: [
        required_member("jobId", &IDENTIFIER),
    ];
    DeleteBatchPredictionJob, LARGEST_REQUEST: [
        required_member("jobId", &IDENTIFIER),
    ];
    DeleteDetector, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
    ];
    DeleteDetectorVersion, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
        required_member("detectorVersionId", &VERSION),
    ];
    DeleteEntityType, LARGEST_REQUEST: [
        required_member("name", &IDENTIFIER),
    ];
    DeleteEvent, LARGEST_REQUEST: [
        required_member("eventId", &IDENTIFIER),
        required_member("eventTypeName", &IDENTIFIER),
        optional_member("deleteAuditHistory", &BOOLEAN),
    ];
    DeleteEventType, LARGEST_REQUEST: [
        required_member("name", &IDENTIFIER),
    ];
    DeleteEventsByEventType, LARGEST_REQUEST: [
        required_member("eventTypeName", &IDENTIFIER),
    ];
    DeleteExternalModel, LARGEST_REQUEST: [
        required_member("modelEndpoint", &MODEL_ENDPOINT),
    ];
    DeleteLabel, LARGEST_REQUEST: [
        required_member("name", &IDENTIFIER),
    ];
    DeleteList, LARGEST_REQUEST: [
        required_member("name", &LIST_NAME),
    ];
    DeleteModel, LARGEST_REQUEST: [
        required_member("modelId", &MODEL_IDENTIFIER),
        required_member("modelType", &MODEL_TYPE),
    ];
    DeleteModelVersion, LARGEST_REQUEST: [
        required_member("modelId", &MODEL_IDENTIFIER),
        required_member("modelType", &MODEL_TYPE),
        required_member("modelVersionNumber", &MODEL_VERSION_NUMBER),
    ];
    DeleteOutcome, LARGEST_REQUEST: [
        required_member("name", &IDENTIFIER),
    ];
    DeleteRule, LARGEST_REQUEST: [
        required_member("rule", &RULE),
    ];
    DeleteVariable, LARGEST_REQUEST: [
        required_member("name", &ANY_TEXT),
    ];
    DescribeDetector, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &DETECTOR_VERSIONS_PAGE),
    ];
    DescribeModelVersions, LARGEST_REQUEST: [
        optional_member("modelId", &MODEL_IDENTIFIER),
        optional_member("modelVersionNumber", &MODEL_VERSION_NUMBER),
        optional_member("modelType", &MODEL_TYPE),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &MODELS_PAGE),
    ];
    GetBatchImportJobs, LARGEST_REQUEST: [
        optional_member("jobId", &IDENTIFIER),
        optional_member("maxResults", &BATCH_IMPORTS_PAGE),
        optional_member("nextToken", &ANY_TEXT),
    ];
    GetBatchPredictionJobs, LARGEST_REQUEST: [
        optional_member("jobId", &IDENTIFIER),
        optional_member("maxResults", &BATCH_PREDICTIONS_PAGE),
        optional_member("nextToken", &ANY_TEXT),
    ];
    GetDeleteEventsByEventTypeStatus, LARGEST_REQUEST: [
        required_member("eventTypeName", &IDENTIFIER),
    ];
    GetDetectorVersion, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
        required_member("detectorVersionId", &VERSION),
    ];
    GetDetectors, LARGEST_REQUEST: [
        optional_member("detectorId", &IDENTIFIER),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &DETECTORS_PAGE),
    ];
    GetEntityTypes, LARGEST_REQUEST: [
        optional_member("name", &IDENTIFIER),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &ENTITY_TYPES_PAGE),
    ];
    GetEvent, LARGEST_REQUEST: [
        required_member("eventId", &IDENTIFIER),
        required_member("eventTypeName", &IDENTIFIER),
    ];
    GetEventPrediction, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
        optional_member("detectorVersionId", &VERSION),
        required_member("eventId", &IDENTIFIER),
        required_member("eventTypeName", &IDENTIFIER),
        required_member("entities", &ENTITIES),
        required_member("eventTimestamp", &REQUEST_TIME),
        required_member("eventVariables", &EVENT_VARIABLES),
        optional_member("externalModelEndpointDataBlobs", &ENDPOINT_BLOBS),
    ];
    GetEventPredictionMetadata, LARGEST_REQUEST: [
        required_member("eventId", &IDENTIFIER),
        required_member("eventTypeName", &IDENTIFIER),
        required_member("detectorId", &IDENTIFIER),
        required_member("detectorVersionId", &VERSION),
        required_member("predictionTimestamp", &RESPONSE_TIME),
    ];
    GetEventTypes, LARGEST_REQUEST: [
        optional_member("name", &IDENTIFIER),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &EVENT_TYPES_PAGE),
    ];
    GetExternalModels, LARGEST_REQUEST: [
        optional_member("modelEndpoint", &ANY_TEXT),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &EXTERNAL_MODELS_PAGE),
    ];
    GetKMSEncryptionKey, LARGEST_REQUEST: [
    ];
    GetLabels, LARGEST_REQUEST: [
        optional_member("name", &IDENTIFIER),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &LABELS_PAGE),
    ];
    GetListElements, LARGEST_REQUEST: [
        required_member("name", &LIST_NAME),
        optional_member("nextToken", &NEXT_TOKEN),
        optional_member("maxResults", &LIST_ELEMENTS_PAGE),
    ];
    GetListsMetadata, LARGEST_REQUEST: [
        optional_member("name", &LIST_NAME),
        optional_member("nextToken", &NEXT_TOKEN),
        optional_member("maxResults", &LISTS_PAGE),
    ];
    GetModelVersion, LARGEST_REQUEST: [
        required_member("modelId", &MODEL_IDENTIFIER),
        required_member("modelType", &MODEL_TYPE),
        required_member("modelVersionNumber", &MODEL_VERSION_NUMBER),
    ];
    GetModels, LARGEST_REQUEST: [
        optional_member("modelId", &MODEL_IDENTIFIER),
        optional_member("modelType", &MODEL_TYPE),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &MODELS_PAGE),
    ];
    GetOutcomes, LARGEST_REQUEST: [
        optional_member("name", &IDENTIFIER),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &OUTCOMES_PAGE),
    ];
    // Today's model does not have it; the API had it until 2020.
    GetPrediction, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
        optional_member("detectorVersionId", &VERSION),
        required_member("eventId", &IDENTIFIER),
        optional_member("eventAttributes", &EVENT_VARIABLES),
        optional_member("externalModelEndpointDataBlobs", &ENDPOINT_BLOBS),
    ];
    GetRules, LARGEST_REQUEST: [
        optional_member("ruleId", &IDENTIFIER),
        required_member("detectorId", &IDENTIFIER),
        optional_member("ruleVersion", &VERSION),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &RULES_PAGE),
    ];
    GetVariables, LARGEST_REQUEST: [
        optional_member("name", &ANY_TEXT),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &VARIABLES_PAGE),
    ];
    ListEventPredictions, LARGEST_REQUEST: [
        optional_member("eventId", &FILTER_CONDITION),
        optional_member("eventType", &FILTER_CONDITION),
        optional_member("detectorId", &FILTER_CONDITION),
        optional_member("detectorVersionId", &FILTER_CONDITION),
        optional_member("predictionTimeRange", &PREDICTION_TIME_RANGE),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &EVENT_PREDICTIONS_PAGE),
    ];
    ListTagsForResource, LARGEST_REQUEST: [
        required_member("resourceARN", &RESOURCE_ARN),
        optional_member("nextToken", &ANY_TEXT),
        optional_member("maxResults", &TAGS_PAGE),
    ];
    PutDetector, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
        optional_member("description", &DESCRIPTION),
        required_member("eventTypeName", &IDENTIFIER),
        optional_member("tags", &TAGS),
    ];
    PutEntityType, LARGEST_REQUEST: [
        required_member("name", &IDENTIFIER),
        optional_member("description", &DESCRIPTION),
        optional_member("tags", &TAGS),
    ];
    PutEventType, LARGEST_REQUEST: [
        required_member("name", &IDENTIFIER),
        optional_member("description", &DESCRIPTION),
        required_member("eventVariables", &SOME_NAMES),
        optional_member("labels", &NAMES),
        required_member("entityTypes", &SOME_NAMES),
        optional_member("eventIngestion", &EVENT_INGESTION),
        optional_member("tags", &TAGS),
        optional_member("eventOrchestration", &EVENT_ORCHESTRATION),
    ];
    PutExternalModel, LARGEST_REQUEST: [
        required_member("modelEndpoint", &MODEL_ENDPOINT),
        required_member("modelSource", &MODEL_SOURCE),
        required_member("invokeModelEndpointRoleArn", &ANY_TEXT),
        required_member("inputConfiguration", &MODEL_INPUT_CONFIGURATION),
        required_member("outputConfiguration", &MODEL_OUTPUT_CONFIGURATION),
        required_member("modelEndpointStatus", &MODEL_ENDPOINT_STATUS),
        optional_member("tags", &TAGS),
    ];
    PutKMSEncryptionKey, LARGEST_REQUEST: [
        required_member("kmsEncryptionKeyArn", &KMS_KEY_ARN),
    ];
    PutLabel, LARGEST_REQUEST: [
        required_member("name", &IDENTIFIER),
        optional_member("description", &DESCRIPTION),
        optional_member("tags", &TAGS),
    ];
    PutOutcome, LARGEST_REQUEST: [
        required_member("name", &IDENTIFIER),
        optional_member("description", &DESCRIPTION),
        optional_member("tags", &TAGS),
    ];
    SendEvent, LARGEST_REQUEST: [
        required_member("eventId", &IDENTIFIER),
        required_member("eventTypeName", &IDENTIFIER),
        required_member("eventTimestamp", &REQUEST_TIME),
        required_member("eventVariables", &EVENT_VARIABLES),
        optional_member("assignedLabel", &IDENTIFIER),
        optional_member("labelTimestamp", &REQUEST_TIME),
        required_member("entities", &ENTITIES),
    ];
    TagResource, LARGEST_REQUEST: [
        required_member("resourceARN", &RESOURCE_ARN),
        required_member("tags", &TAGS),
    ];
    UntagResource, LARGEST_REQUEST: [
        required_member("resourceARN", &RESOURCE_ARN),
        required_member("tagKeys", &TAG_KEYS),
    ];
    UpdateDetectorVersion, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
        required_member("detectorVersionId", &VERSION),
        required_member("externalModelEndpoints", &NAMES),
        required_member("rules", &RULES),
        optional_member("description", &DESCRIPTION),
        optional_member("modelVersions", &MODEL_VERSIONS),
        optional_member("ruleExecutionMode", &RULE_EXECUTION_MODE),
    ];
    UpdateDetectorVersionMetadata, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
        required_member("detectorVersionId", &VERSION),
        required_member("description", &DESCRIPTION),
    ];
    UpdateDetectorVersionStatus, LARGEST_REQUEST: [
        required_member("detectorId", &IDENTIFIER),
        required_member("detectorVersionId", &VERSION),
        required_member("status", &DETECTOR_VERSION_STATUS),
    ];
    UpdateEventLabel, LARGEST_REQUEST: [
        required_member("eventId", &IDENTIFIER),
        required_member("eventTypeName", &IDENTIFIER),
        required_member("assignedLabel", &IDENTIFIER),
        required_member("labelTimestamp", &REQUEST_TIME),
    ];
    UpdateList, LARGEST_LIST_REQUEST: [
        required_member("name", &LIST_NAME),
        optional_member("elements", &LIST_ELEMENTS),
        optional_member("description", &DESCRIPTION),
        optional_member("updateMode", &LIST_UPDATE_MODE),
        optional_member("variableType", &VARIABLE_TYPE),
    ];
    UpdateModel, LARGEST_REQUEST: [
        required_member("modelId", &MODEL_IDENTIFIER),
        required_member("modelType", &MODEL_TYPE),
        optional_member("description", &DESCRIPTION),
    ];
    UpdateModelVersion, LARGEST_REQUEST: [
        required_member("modelId", &MODEL_IDENTIFIER),
        required_member("modelType", &MODEL_TYPE),
        required_member("majorVersionNumber", &VERSION),
        optional_member("externalEventsDetail", &EXTERNAL_EVENTS_DETAIL),
        optional_member("ingestedEventsDetail", &INGESTED_EVENTS_DETAIL),
        optional_member("tags", &TAGS),
    ];
    UpdateModelVersionStatus, LARGEST_REQUEST: [
        required_member("modelId", &MODEL_IDENTIFIER),
        required_member("modelType", &MODEL_TYPE),
        required_member("modelVersionNumber", &MODEL_VERSION_NUMBER),
        required_member("status", &MODEL_VERSION_STATUS),
    ];
    UpdateRuleMetadata, LARGEST_REQUEST: [
        required_member("rule", &RULE),
        required_member("description", &DESCRIPTION),
    ];
    UpdateRuleVersion, LARGEST_REQUEST: [
        required_member("rule", &RULE),
        optional_member("description", &DESCRIPTION),
        required_member("expression", &RULE_EXPRESSION),
        required_member("language", &LANGUAGE),
        required_member("outcomes", &SOME_NAMES),
        optional_member("tags", &TAGS),
    ];
    UpdateVariable, LARGEST_REQUEST: [
        required_member("name", &ANY_TEXT),
        optional_member("defaultValue", &ANY_TEXT),
        optional_member("description", &ANY_TEXT),
        optional_member("variableType", &ANY_TEXT),
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
