//! The service model: what each of the 73 operations accepts, as one table.
//!
//! A row names an operation and its members; `must` marks the required ones. The names and
//! bounds are those of the API's model of 2019-11-15, with one exception: where it calls the ids
//! of `GetEvent` and `GetEventPrediction` a plain `string`, they are identifiers here, as in the
//! operations beside them. An id that only one of them took could never be labelled.

use std::sync::LazyLock;

use regex::Regex;

use crate::shape::{Member, Pattern, Shape, Text};

/// One operation of the API.
#[derive(Debug)]
pub(crate) struct Operation {
    /// As in `X-Amz-Target`, after the dot.
    pub(crate) name: &'static str,
    /// The members of its input.
    pub(crate) input: &'static [Member],
    /// The largest body it accepts, in bytes.
    pub(crate) largest: usize,
}

/// Finds an operation by its name.
pub(crate) fn find(name: &str) -> Option<&'static Operation> {
    let operations = OPERATIONS.iter().chain([&GET_PREDICTION]);
    operations
        .into_iter()
        .find(|operation| operation.name == name)
}

/// Every operation, in the order of their names.
pub(crate) fn all() -> &'static [Operation] {
    OPERATIONS
}

const ANY: usize = usize::MAX;
/// What a prediction may weigh by Amazon's quota; every other request is smaller but lists.
const LARGEST: usize = 256 * 1024;
/// The variables of one event, by Amazon's quota for a prediction.
const INPUTS: usize = 5000;
/// 100,000 elements of 320 characters, which JSON may escape.
const LARGEST_LIST: usize = 64 * 1024 * 1024;

const fn operation(name: &'static str, input: &'static [Member]) -> Operation {
    Operation {
        name,
        input,
        largest: LARGEST,
    }
}

const fn lists(name: &'static str, input: &'static [Member]) -> Operation {
    Operation {
        name,
        input,
        largest: LARGEST_LIST,
    }
}

const fn must(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        required: true,
        shape,
    }
}

const fn may(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        required: false,
        shape,
    }
}

const fn text(min: usize, max: usize) -> Text {
    Text {
        min,
        max,
        pattern: None,
        sensitive: false,
    }
}

impl Text {
    const fn matching(self, text: &'static str, matches: fn(&str) -> bool) -> Self {
        Self {
            pattern: Some(Pattern { text, matches }),
            ..self
        }
    }

    const fn sensitive(self) -> Self {
        Self {
            sensitive: true,
            ..self
        }
    }
}

const fn page(min: i64, max: i64) -> Shape {
    Shape::Integer { min, max }
}

const fn list(of: &'static Shape, min: usize, max: usize) -> Shape {
    Shape::List { of, min, max }
}

const fn map(key: &'static Shape, value: &'static Shape) -> Shape {
    Shape::Map {
        key,
        value,
        min: 0,
        max: ANY,
        nulls: false,
    }
}

// Strings.

static ANY_TEXT: Shape = Shape::Text(text(0, ANY));
static TAG_KEY: Shape =
    Shape::Text(text(1, 128).matching(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", matches_tag_key));
static TAG_VALUE: Shape = Shape::Text(text(0, 256));
static IDENTIFIER: Shape = Shape::Text(text(1, 64).matching("^[0-9a-z_-]+$", is_identifier));
static S3_LOCATION: Shape = Shape::Text(text(1, 512).matching(r"^s3:\/\/(.+)$", is_s3_location));
static IAM_ROLE_ARN: Shape = Shape::Text(text(1, 256).matching(
    r"^arn\:aws[a-z-]{0,15}\:iam\:\:[0-9]{12}\:role\/[^\s]{2,64}$",
    is_role_arn,
));
static VERSION: Shape = Shape::Text(text(1, 5).matching("^([1-9][0-9]*)$", is_version));
static DESCRIPTION: Shape = Shape::Text(text(1, 128));
static MODEL_IDENTIFIER: Shape = Shape::Text(text(1, 64).matching("^[0-9a-z_]+$", is_underscored));
static MODEL_VERSION_NUMBER: Shape =
    Shape::Text(text(3, 7).matching(r"^[1-9][0-9]{0,3}\.[0-9]{1,2}$", is_model_version));
static RESOURCE_ARN: Shape = Shape::Text(text(1, 256).matching(
    r"^arn\:aws[a-z-]{0,15}\:frauddetector\:[a-z0-9-]{3,20}\:[0-9]{12}\:[^\s]{2,128}$",
    is_resource_arn,
));
static LIST_NAME: Shape = Shape::Text(text(1, 64).matching("^[0-9a-z_]+$", is_underscored));
static LIST_ELEMENT: Shape = Shape::Text(
    text(1, 320)
        .matching(r"^\S+( +\S+)*$", is_list_element)
        .sensitive(),
);
static VARIABLE_TYPE: Shape = Shape::Text(text(1, 64).matching("^[A-Z_]{1,64}$", is_variable_type));
static RESPONSE_TIME: Shape = Shape::Text(text(11, 30));
static RULE_EXPRESSION: Shape = Shape::Text(text(1, 4096).sensitive());
static MODEL_ENDPOINT: Shape = Shape::Text(text(1, 63).matching("^[0-9A-Za-z_-]+$", is_name));
static ENTITY_ID: Shape = Shape::Text(
    text(1, 256)
        .matching("^[0-9A-Za-z_.@+-]+$", is_entity_id)
        .sensitive(),
);
static REQUEST_TIME: Shape = Shape::Text(text(10, 30));
static VARIABLE_NAME: Shape = Shape::Text(text(1, 64));
static VARIABLE_VALUE: Shape = Shape::Text(text(1, 8192).sensitive());
static CONTENT_TYPE: Shape = Shape::Text(text(1, 1024));
static NEXT_TOKEN: Shape = Shape::Text(text(0, 8192));
static FILTER_STRING: Shape = Shape::Text(text(1, 256).matching("^[0-9A-Za-z_-]+$", is_name));
static MODEL_INPUT_TEMPLATE: Shape = Shape::Text(text(1, 2000));
static KMS_KEY_ARN: Shape = Shape::Text(text(7, 90).matching(
    r"^DEFAULT|arn:[a-zA-Z0-9-]+:kms:[a-zA-Z0-9-]+:\d{12}:key\/\w{8}-\w{4}-\w{4}-\w{4}-\w{12}$",
    is_kms_key_arn,
));

fn of(text: &str, allowed: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

fn is_identifier(text: &str) -> bool {
    of(text, |c| matches!(c, '0'..='9' | 'a'..='z' | '_' | '-'))
}

fn is_underscored(text: &str) -> bool {
    of(text, |c| matches!(c, '0'..='9' | 'a'..='z' | '_'))
}

fn is_name(text: &str) -> bool {
    of(text, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
    })
}

fn is_entity_id(text: &str) -> bool {
    of(text, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '+' | '-')
    })
}

fn is_variable_type(text: &str) -> bool {
    of(text, |c| c.is_ascii_uppercase() || c == '_')
}

fn is_version(text: &str) -> bool {
    !text.starts_with('0') && of(text, |c| c.is_ascii_digit())
}

/// No white space but single runs of blanks between other characters.
fn is_list_element(text: &str) -> bool {
    !text.starts_with(' ') && !text.ends_with(' ') && of(text, |c| c == ' ' || !c.is_whitespace())
}

fn is_s3_location(text: &str) -> bool {
    text.strip_prefix("s3://")
        .is_some_and(|rest| !rest.is_empty())
}

/// The patterns no hot path needs are left to `regex`; one that does not compile matches nothing.
macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        fn $name(text: &str) -> bool {
            static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($pattern).ok());
            PATTERN
                .as_ref()
                .is_some_and(|pattern| pattern.is_match(text))
        }
    };
}

pattern!(matches_tag_key, r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$");
pattern!(is_model_version, r"^[1-9][0-9]{0,3}\.[0-9]{1,2}$");
pattern!(
    is_role_arn,
    r"^arn:aws[a-z-]{0,15}:iam::[0-9]{12}:role/[^\s]{2,64}$"
);
pattern!(
    is_resource_arn,
    r"^arn:aws[a-z-]{0,15}:frauddetector:[a-z0-9-]{3,20}:[0-9]{12}:[^\s]{2,128}$"
);
pattern!(
    is_kms_key_arn,
    r"^(DEFAULT|arn:[a-zA-Z0-9-]+:kms:[a-zA-Z0-9-]+:\d{12}:key/\w{8}-\w{4}-\w{4}-\w{4}-\w{12})$"
);

// Enumerations.

static MODEL_TYPE: Shape = Shape::Enumeration(&[
    "ONLINE_FRAUD_INSIGHTS",
    "TRANSACTION_FRAUD_INSIGHTS",
    "ACCOUNT_TAKEOVER_INSIGHTS",
]);
static RULE_EXECUTION_MODE: Shape = Shape::Enumeration(&["ALL_MATCHED", "FIRST_MATCHED"]);
static TRAINING_DATA_SOURCE: Shape = Shape::Enumeration(&["EXTERNAL_EVENTS", "INGESTED_EVENTS"]);
static UNLABELED_EVENTS_TREATMENT: Shape =
    Shape::Enumeration(&["IGNORE", "FRAUD", "LEGIT", "AUTO"]);
static LANGUAGE: Shape = Shape::Enumeration(&["DETECTORPL"]);
static DATA_TYPE: Shape =
    Shape::Enumeration(&["STRING", "INTEGER", "FLOAT", "BOOLEAN", "DATETIME"]);
static DATA_SOURCE: Shape = Shape::Enumeration(&["EVENT", "MODEL_SCORE", "EXTERNAL_MODEL_SCORE"]);
static EVENT_INGESTION: Shape = Shape::Enumeration(&["ENABLED", "DISABLED"]);
static MODEL_SOURCE: Shape = Shape::Enumeration(&["SAGEMAKER"]);
static MODEL_INPUT_DATA_FORMAT: Shape = Shape::Enumeration(&["TEXT_CSV", "APPLICATION_JSON"]);
static MODEL_OUTPUT_DATA_FORMAT: Shape = Shape::Enumeration(&["TEXT_CSV", "APPLICATION_JSONLINES"]);
static MODEL_ENDPOINT_STATUS: Shape = Shape::Enumeration(&["ASSOCIATED", "DISSOCIATED"]);
static DETECTOR_VERSION_STATUS: Shape = Shape::Enumeration(&["DRAFT", "ACTIVE", "INACTIVE"]);
static LIST_UPDATE_MODE: Shape = Shape::Enumeration(&["REPLACE", "APPEND", "REMOVE"]);
static MODEL_VERSION_STATUS: Shape =
    Shape::Enumeration(&["ACTIVE", "INACTIVE", "TRAINING_CANCELLED"]);

// Page sizes.

static DETECTOR_VERSIONS_PAGE: Shape = page(1000, 2500);
static MODELS_PAGE: Shape = page(1, 10);
static BATCH_IMPORTS_PAGE: Shape = page(1, 50);
static BATCH_PREDICTIONS_PAGE: Shape = page(1, 50);
static DETECTORS_PAGE: Shape = page(5, 10);
static ENTITY_TYPES_PAGE: Shape = page(5, 10);
static EVENT_TYPES_PAGE: Shape = page(5, 10);
static EXTERNAL_MODELS_PAGE: Shape = page(5, 10);
static LABELS_PAGE: Shape = page(10, 50);
static LIST_ELEMENTS_PAGE: Shape = page(500, 5000);
static LISTS_PAGE: Shape = page(5, 50);
static OUTCOMES_PAGE: Shape = page(50, 100);
static RULES_PAGE: Shape = page(50, 100);
static VARIABLES_PAGE: Shape = page(50, 100);
static EVENT_PREDICTIONS_PAGE: Shape = page(50, 100);
static TAGS_PAGE: Shape = page(50, 50);

// Lists, maps and structures.

static VARIABLE_ENTRY: Shape = Shape::Structure(&[
    may("name", &ANY_TEXT),
    may("dataType", &ANY_TEXT),
    may("dataSource", &ANY_TEXT),
    may("defaultValue", &ANY_TEXT),
    may("description", &ANY_TEXT),
    may("variableType", &ANY_TEXT),
]);
static VARIABLE_ENTRIES: Shape = list(&VARIABLE_ENTRY, 1, 25);
static TAG: Shape = Shape::Structure(&[must("key", &TAG_KEY), must("value", &TAG_VALUE)]);
static TAGS: Shape = list(&TAG, 0, 200);
static HUNDRED_NAMES: Shape = list(&ANY_TEXT, 1, 100);
static NAMES: Shape = list(&ANY_TEXT, 0, ANY);
static RULE: Shape = Shape::Structure(&[
    must("detectorId", &IDENTIFIER),
    must("ruleId", &IDENTIFIER),
    must("ruleVersion", &VERSION),
]);
static RULES: Shape = list(&RULE, 0, ANY);
static MODEL_VERSION: Shape = Shape::Structure(&[
    must("modelId", &MODEL_IDENTIFIER),
    must("modelType", &MODEL_TYPE),
    must("modelVersionNumber", &MODEL_VERSION_NUMBER),
    may("arn", &RESOURCE_ARN),
]);
static MODEL_VERSIONS: Shape = list(&MODEL_VERSION, 0, ANY);
static LIST_ELEMENTS: Shape = list(&LIST_ELEMENT, 0, 100_000);
static LABEL_MAPPER: Shape = map(&ANY_TEXT, &NAMES);
static LABEL_SCHEMA: Shape = Shape::Structure(&[
    may("labelMapper", &LABEL_MAPPER),
    may("unlabeledEventsTreatment", &UNLABELED_EVENTS_TREATMENT),
]);
static TRAINING_DATA_SCHEMA: Shape = Shape::Structure(&[
    must("modelVariables", &NAMES),
    may("labelSchema", &LABEL_SCHEMA),
]);
static EXTERNAL_EVENTS_DETAIL: Shape = Shape::Structure(&[
    must("dataLocation", &S3_LOCATION),
    must("dataAccessRoleArn", &IAM_ROLE_ARN),
]);
static INGESTED_EVENTS_TIME_WINDOW: Shape = Shape::Structure(&[
    must("startTime", &RESPONSE_TIME),
    must("endTime", &RESPONSE_TIME),
]);
static INGESTED_EVENTS_DETAIL: Shape = Shape::Structure(&[must(
    "ingestedEventsTimeWindow",
    &INGESTED_EVENTS_TIME_WINDOW,
)]);
static SOME_NAMES: Shape = list(&ANY_TEXT, 1, ANY);
static BOOLEAN: Shape = Shape::Boolean;
static ENTITY: Shape =
    Shape::Structure(&[must("entityType", &ANY_TEXT), must("entityId", &ENTITY_ID)]);
static ENTITIES: Shape = list(&ENTITY, 0, ANY);
static EVENT_VARIABLES: Shape = Shape::Map {
    key: &VARIABLE_NAME,
    value: &VARIABLE_VALUE,
    min: 1,
    max: INPUTS,
    nulls: true,
};
static BLOB: Shape = Shape::Blob;
static ENDPOINT_BLOB: Shape =
    Shape::Structure(&[may("byteBuffer", &BLOB), may("contentType", &CONTENT_TYPE)]);
static ENDPOINT_BLOBS: Shape = map(&MODEL_ENDPOINT, &ENDPOINT_BLOB);
static FILTER_CONDITION: Shape = Shape::Structure(&[may("value", &FILTER_STRING)]);
static PREDICTION_TIME_RANGE: Shape = Shape::Structure(&[
    must("startTime", &RESPONSE_TIME),
    must("endTime", &RESPONSE_TIME),
]);
static EVENT_ORCHESTRATION: Shape = Shape::Structure(&[must("eventBridgeEnabled", &BOOLEAN)]);
static MODEL_INPUT_CONFIGURATION: Shape = Shape::Structure(&[
    may("eventTypeName", &IDENTIFIER),
    may("format", &MODEL_INPUT_DATA_FORMAT),
    must("useEventVariables", &BOOLEAN),
    may("jsonInputTemplate", &MODEL_INPUT_TEMPLATE),
    may("csvInputTemplate", &MODEL_INPUT_TEMPLATE),
]);
static JSON_KEY_TO_VARIABLE_MAP: Shape = map(&ANY_TEXT, &ANY_TEXT);
static CSV_INDEX_TO_VARIABLE_MAP: Shape = map(&ANY_TEXT, &ANY_TEXT);
static MODEL_OUTPUT_CONFIGURATION: Shape = Shape::Structure(&[
    must("format", &MODEL_OUTPUT_DATA_FORMAT),
    may("jsonKeyToVariableMap", &JSON_KEY_TO_VARIABLE_MAP),
    may("csvIndexToVariableMap", &CSV_INDEX_TO_VARIABLE_MAP),
]);
static TAG_KEYS: Shape = list(&TAG_KEY, 0, 50);

// Operations, in the order of their names.

/// The model of today lacks it: the API had it until 2020.
static GET_PREDICTION: Operation = operation(
    "GetPrediction",
    &[
        must("detectorId", &IDENTIFIER),
        may("detectorVersionId", &VERSION),
        must("eventId", &IDENTIFIER),
        may("eventAttributes", &EVENT_VARIABLES),
        may("externalModelEndpointDataBlobs", &ENDPOINT_BLOBS),
    ],
);

static OPERATIONS: &[Operation] = &[
    operation(
        "BatchCreateVariable",
        &[
            must("variableEntries", &VARIABLE_ENTRIES),
            may("tags", &TAGS),
        ],
    ),
    operation("BatchGetVariable", &[must("names", &HUNDRED_NAMES)]),
    operation("CancelBatchImportJob", &[must("jobId", &IDENTIFIER)]),
    operation("CancelBatchPredictionJob", &[must("jobId", &IDENTIFIER)]),
    operation(
        "CreateBatchImportJob",
        &[
            must("jobId", &IDENTIFIER),
            must("inputPath", &S3_LOCATION),
            must("outputPath", &S3_LOCATION),
            must("eventTypeName", &IDENTIFIER),
            must("iamRoleArn", &IAM_ROLE_ARN),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "CreateBatchPredictionJob",
        &[
            must("jobId", &IDENTIFIER),
            must("inputPath", &S3_LOCATION),
            must("outputPath", &S3_LOCATION),
            must("eventTypeName", &IDENTIFIER),
            must("detectorName", &IDENTIFIER),
            may("detectorVersion", &VERSION),
            must("iamRoleArn", &IAM_ROLE_ARN),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "CreateDetectorVersion",
        &[
            must("detectorId", &IDENTIFIER),
            may("description", &DESCRIPTION),
            may("externalModelEndpoints", &NAMES),
            must("rules", &RULES),
            may("modelVersions", &MODEL_VERSIONS),
            may("ruleExecutionMode", &RULE_EXECUTION_MODE),
            may("tags", &TAGS),
        ],
    ),
    lists(
        "CreateList",
        &[
            must("name", &LIST_NAME),
            may("elements", &LIST_ELEMENTS),
            may("variableType", &VARIABLE_TYPE),
            may("description", &DESCRIPTION),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "CreateModel",
        &[
            must("modelId", &MODEL_IDENTIFIER),
            must("modelType", &MODEL_TYPE),
            may("description", &DESCRIPTION),
            must("eventTypeName", &ANY_TEXT),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "CreateModelVersion",
        &[
            must("modelId", &MODEL_IDENTIFIER),
            must("modelType", &MODEL_TYPE),
            must("trainingDataSource", &TRAINING_DATA_SOURCE),
            must("trainingDataSchema", &TRAINING_DATA_SCHEMA),
            may("externalEventsDetail", &EXTERNAL_EVENTS_DETAIL),
            may("ingestedEventsDetail", &INGESTED_EVENTS_DETAIL),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "CreateRule",
        &[
            must("ruleId", &IDENTIFIER),
            must("detectorId", &IDENTIFIER),
            may("description", &DESCRIPTION),
            must("expression", &RULE_EXPRESSION),
            must("language", &LANGUAGE),
            must("outcomes", &SOME_NAMES),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "CreateVariable",
        &[
            must("name", &ANY_TEXT),
            must("dataType", &DATA_TYPE),
            must("dataSource", &DATA_SOURCE),
            must("defaultValue", &ANY_TEXT),
            may("description", &ANY_TEXT),
            may("variableType", &ANY_TEXT),
            may("tags", &TAGS),
        ],
    ),
    operation("DeleteBatchImportJob", &[must("jobId", &IDENTIFIER)]),
    operation("DeleteBatchPredictionJob", &[must("jobId", &IDENTIFIER)]),
    operation("DeleteDetector", &[must("detectorId", &IDENTIFIER)]),
    operation(
        "DeleteDetectorVersion",
        &[
            must("detectorId", &IDENTIFIER),
            must("detectorVersionId", &VERSION),
        ],
    ),
    operation("DeleteEntityType", &[must("name", &IDENTIFIER)]),
    operation(
        "DeleteEvent",
        &[
            must("eventId", &IDENTIFIER),
            must("eventTypeName", &IDENTIFIER),
            may("deleteAuditHistory", &BOOLEAN),
        ],
    ),
    operation("DeleteEventType", &[must("name", &IDENTIFIER)]),
    operation(
        "DeleteEventsByEventType",
        &[must("eventTypeName", &IDENTIFIER)],
    ),
    operation(
        "DeleteExternalModel",
        &[must("modelEndpoint", &MODEL_ENDPOINT)],
    ),
    operation("DeleteLabel", &[must("name", &IDENTIFIER)]),
    operation("DeleteList", &[must("name", &LIST_NAME)]),
    operation(
        "DeleteModel",
        &[
            must("modelId", &MODEL_IDENTIFIER),
            must("modelType", &MODEL_TYPE),
        ],
    ),
    operation(
        "DeleteModelVersion",
        &[
            must("modelId", &MODEL_IDENTIFIER),
            must("modelType", &MODEL_TYPE),
            must("modelVersionNumber", &MODEL_VERSION_NUMBER),
        ],
    ),
    operation("DeleteOutcome", &[must("name", &IDENTIFIER)]),
    operation("DeleteRule", &[must("rule", &RULE)]),
    operation("DeleteVariable", &[must("name", &ANY_TEXT)]),
    operation(
        "DescribeDetector",
        &[
            must("detectorId", &IDENTIFIER),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &DETECTOR_VERSIONS_PAGE),
        ],
    ),
    operation(
        "DescribeModelVersions",
        &[
            may("modelId", &MODEL_IDENTIFIER),
            may("modelVersionNumber", &MODEL_VERSION_NUMBER),
            may("modelType", &MODEL_TYPE),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &MODELS_PAGE),
        ],
    ),
    operation(
        "GetBatchImportJobs",
        &[
            may("jobId", &IDENTIFIER),
            may("maxResults", &BATCH_IMPORTS_PAGE),
            may("nextToken", &ANY_TEXT),
        ],
    ),
    operation(
        "GetBatchPredictionJobs",
        &[
            may("jobId", &IDENTIFIER),
            may("maxResults", &BATCH_PREDICTIONS_PAGE),
            may("nextToken", &ANY_TEXT),
        ],
    ),
    operation(
        "GetDeleteEventsByEventTypeStatus",
        &[must("eventTypeName", &IDENTIFIER)],
    ),
    operation(
        "GetDetectorVersion",
        &[
            must("detectorId", &IDENTIFIER),
            must("detectorVersionId", &VERSION),
        ],
    ),
    operation(
        "GetDetectors",
        &[
            may("detectorId", &IDENTIFIER),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &DETECTORS_PAGE),
        ],
    ),
    operation(
        "GetEntityTypes",
        &[
            may("name", &IDENTIFIER),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &ENTITY_TYPES_PAGE),
        ],
    ),
    operation(
        "GetEvent",
        &[
            must("eventId", &IDENTIFIER),
            must("eventTypeName", &IDENTIFIER),
        ],
    ),
    operation(
        "GetEventPrediction",
        &[
            must("detectorId", &IDENTIFIER),
            may("detectorVersionId", &VERSION),
            must("eventId", &IDENTIFIER),
            must("eventTypeName", &IDENTIFIER),
            must("entities", &ENTITIES),
            must("eventTimestamp", &REQUEST_TIME),
            must("eventVariables", &EVENT_VARIABLES),
            may("externalModelEndpointDataBlobs", &ENDPOINT_BLOBS),
        ],
    ),
    operation(
        "GetEventPredictionMetadata",
        &[
            must("eventId", &IDENTIFIER),
            must("eventTypeName", &IDENTIFIER),
            must("detectorId", &IDENTIFIER),
            must("detectorVersionId", &VERSION),
            must("predictionTimestamp", &RESPONSE_TIME),
        ],
    ),
    operation(
        "GetEventTypes",
        &[
            may("name", &IDENTIFIER),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &EVENT_TYPES_PAGE),
        ],
    ),
    operation(
        "GetExternalModels",
        &[
            may("modelEndpoint", &ANY_TEXT),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &EXTERNAL_MODELS_PAGE),
        ],
    ),
    operation("GetKMSEncryptionKey", &[]),
    operation(
        "GetLabels",
        &[
            may("name", &IDENTIFIER),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &LABELS_PAGE),
        ],
    ),
    operation(
        "GetListElements",
        &[
            must("name", &LIST_NAME),
            may("nextToken", &NEXT_TOKEN),
            may("maxResults", &LIST_ELEMENTS_PAGE),
        ],
    ),
    operation(
        "GetListsMetadata",
        &[
            may("name", &LIST_NAME),
            may("nextToken", &NEXT_TOKEN),
            may("maxResults", &LISTS_PAGE),
        ],
    ),
    operation(
        "GetModelVersion",
        &[
            must("modelId", &MODEL_IDENTIFIER),
            must("modelType", &MODEL_TYPE),
            must("modelVersionNumber", &MODEL_VERSION_NUMBER),
        ],
    ),
    operation(
        "GetModels",
        &[
            may("modelId", &MODEL_IDENTIFIER),
            may("modelType", &MODEL_TYPE),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &MODELS_PAGE),
        ],
    ),
    operation(
        "GetOutcomes",
        &[
            may("name", &IDENTIFIER),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &OUTCOMES_PAGE),
        ],
    ),
    operation(
        "GetRules",
        &[
            may("ruleId", &IDENTIFIER),
            must("detectorId", &IDENTIFIER),
            may("ruleVersion", &VERSION),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &RULES_PAGE),
        ],
    ),
    operation(
        "GetVariables",
        &[
            may("name", &ANY_TEXT),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &VARIABLES_PAGE),
        ],
    ),
    operation(
        "ListEventPredictions",
        &[
            may("eventId", &FILTER_CONDITION),
            may("eventType", &FILTER_CONDITION),
            may("detectorId", &FILTER_CONDITION),
            may("detectorVersionId", &FILTER_CONDITION),
            may("predictionTimeRange", &PREDICTION_TIME_RANGE),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &EVENT_PREDICTIONS_PAGE),
        ],
    ),
    operation(
        "ListTagsForResource",
        &[
            must("resourceARN", &RESOURCE_ARN),
            may("nextToken", &ANY_TEXT),
            may("maxResults", &TAGS_PAGE),
        ],
    ),
    operation(
        "PutDetector",
        &[
            must("detectorId", &IDENTIFIER),
            may("description", &DESCRIPTION),
            must("eventTypeName", &IDENTIFIER),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "PutEntityType",
        &[
            must("name", &IDENTIFIER),
            may("description", &DESCRIPTION),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "PutEventType",
        &[
            must("name", &IDENTIFIER),
            may("description", &DESCRIPTION),
            must("eventVariables", &SOME_NAMES),
            may("labels", &NAMES),
            must("entityTypes", &SOME_NAMES),
            may("eventIngestion", &EVENT_INGESTION),
            may("tags", &TAGS),
            may("eventOrchestration", &EVENT_ORCHESTRATION),
        ],
    ),
    operation(
        "PutExternalModel",
        &[
            must("modelEndpoint", &MODEL_ENDPOINT),
            must("modelSource", &MODEL_SOURCE),
            must("invokeModelEndpointRoleArn", &ANY_TEXT),
            must("inputConfiguration", &MODEL_INPUT_CONFIGURATION),
            must("outputConfiguration", &MODEL_OUTPUT_CONFIGURATION),
            must("modelEndpointStatus", &MODEL_ENDPOINT_STATUS),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "PutKMSEncryptionKey",
        &[must("kmsEncryptionKeyArn", &KMS_KEY_ARN)],
    ),
    operation(
        "PutLabel",
        &[
            must("name", &IDENTIFIER),
            may("description", &DESCRIPTION),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "PutOutcome",
        &[
            must("name", &IDENTIFIER),
            may("description", &DESCRIPTION),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "SendEvent",
        &[
            must("eventId", &IDENTIFIER),
            must("eventTypeName", &IDENTIFIER),
            must("eventTimestamp", &REQUEST_TIME),
            must("eventVariables", &EVENT_VARIABLES),
            may("assignedLabel", &IDENTIFIER),
            may("labelTimestamp", &REQUEST_TIME),
            must("entities", &ENTITIES),
        ],
    ),
    operation(
        "TagResource",
        &[must("resourceARN", &RESOURCE_ARN), must("tags", &TAGS)],
    ),
    operation(
        "UntagResource",
        &[
            must("resourceARN", &RESOURCE_ARN),
            must("tagKeys", &TAG_KEYS),
        ],
    ),
    operation(
        "UpdateDetectorVersion",
        &[
            must("detectorId", &IDENTIFIER),
            must("detectorVersionId", &VERSION),
            must("externalModelEndpoints", &NAMES),
            must("rules", &RULES),
            may("description", &DESCRIPTION),
            may("modelVersions", &MODEL_VERSIONS),
            may("ruleExecutionMode", &RULE_EXECUTION_MODE),
        ],
    ),
    operation(
        "UpdateDetectorVersionMetadata",
        &[
            must("detectorId", &IDENTIFIER),
            must("detectorVersionId", &VERSION),
            must("description", &DESCRIPTION),
        ],
    ),
    operation(
        "UpdateDetectorVersionStatus",
        &[
            must("detectorId", &IDENTIFIER),
            must("detectorVersionId", &VERSION),
            must("status", &DETECTOR_VERSION_STATUS),
        ],
    ),
    operation(
        "UpdateEventLabel",
        &[
            must("eventId", &IDENTIFIER),
            must("eventTypeName", &IDENTIFIER),
            must("assignedLabel", &IDENTIFIER),
            must("labelTimestamp", &REQUEST_TIME),
        ],
    ),
    lists(
        "UpdateList",
        &[
            must("name", &LIST_NAME),
            may("elements", &LIST_ELEMENTS),
            may("description", &DESCRIPTION),
            may("updateMode", &LIST_UPDATE_MODE),
            may("variableType", &VARIABLE_TYPE),
        ],
    ),
    operation(
        "UpdateModel",
        &[
            must("modelId", &MODEL_IDENTIFIER),
            must("modelType", &MODEL_TYPE),
            may("description", &DESCRIPTION),
        ],
    ),
    operation(
        "UpdateModelVersion",
        &[
            must("modelId", &MODEL_IDENTIFIER),
            must("modelType", &MODEL_TYPE),
            must("majorVersionNumber", &VERSION),
            may("externalEventsDetail", &EXTERNAL_EVENTS_DETAIL),
            may("ingestedEventsDetail", &INGESTED_EVENTS_DETAIL),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "UpdateModelVersionStatus",
        &[
            must("modelId", &MODEL_IDENTIFIER),
            must("modelType", &MODEL_TYPE),
            must("modelVersionNumber", &MODEL_VERSION_NUMBER),
            must("status", &MODEL_VERSION_STATUS),
        ],
    ),
    operation(
        "UpdateRuleMetadata",
        &[must("rule", &RULE), must("description", &DESCRIPTION)],
    ),
    operation(
        "UpdateRuleVersion",
        &[
            must("rule", &RULE),
            may("description", &DESCRIPTION),
            must("expression", &RULE_EXPRESSION),
            must("language", &LANGUAGE),
            must("outcomes", &SOME_NAMES),
            may("tags", &TAGS),
        ],
    ),
    operation(
        "UpdateVariable",
        &[
            must("name", &ANY_TEXT),
            may("defaultValue", &ANY_TEXT),
            may("description", &ANY_TEXT),
            may("variableType", &ANY_TEXT),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_whole_api_and_sorted() {
        assert_eq!(OPERATIONS.len(), 73);
        assert!(OPERATIONS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn patterns() {
        type Matches = fn(&str) -> bool;
        let yes: &[(Matches, &str)] = &[
            (is_list_element, "a  b"),
            (is_kms_key_arn, "DEFAULT"),
            (matches_tag_key, "Kostenstelle ä/1"),
            (is_model_version, "1.0"),
            (
                is_resource_arn,
                "arn:aws:frauddetector:us-east-1:123456789012:label/fraud",
            ),
        ];
        let no: &[(Matches, &str)] = &[
            (is_list_element, "a\tb"),
            (is_list_element, " a"),
            (is_kms_key_arn, "DEFAULTS"),
            (is_version, "01"),
            (is_identifier, ""),
            (is_identifier, "Ä"),
        ];
        assert!(yes.iter().all(|(matches, text)| matches(text)));
        assert!(no.iter().all(|(matches, text)| !matches(text)));
    }
}
