//! The shapes of the service model, as data: which values a request may have.
//!
//! Module `validation` checks values against them; module `operation` lists those of each operation. Names, lengths,
//! patterns and page sizes are those of the API's model of 2019-11-15.

use std::sync::LazyLock;

use regex::Regex;

use crate::limits::{ELEMENTS_PER_LIST, VARIABLES_PER_EVENT};

/// One shape of the service model.
#[derive(Debug)]
pub(crate) enum Shape {
    Text(TextShape),
    Enumeration(&'static [&'static str]),
    Integer {
        min: i64,
        max: i64,
    },
    Boolean,
    /// Base64 in a string.
    Blob,
    List {
        of: &'static Shape,
        min: usize,
        max: usize,
    },
    Map {
        key: &'static Shape,
        value: &'static Shape,
        min: usize,
        max: usize,
        nulls: bool,
    },
    Structure(&'static [Member]),
}

/// A string: its length in characters, its pattern, and whether errors may quote it.
#[derive(Debug)]
pub(crate) struct TextShape {
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) pattern: Option<TextPattern>,
    pub(crate) sensitive: bool,
}

/// A pattern of the model as AWS prints it, and the function that tests it.
#[derive(Debug)]
pub(crate) struct TextPattern {
    pub(crate) text: &'static str,
    pub(crate) matches: fn(&str) -> bool,
}

/// A member of a structure.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) shape: &'static Shape,
}

const UNBOUNDED: usize = usize::MAX;

pub(crate) const fn required_member(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        required: true,
        shape,
    }
}

pub(crate) const fn optional_member(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        required: false,
        shape,
    }
}

const fn text_of_length(min: usize, max: usize) -> TextShape {
    TextShape {
        min,
        max,
        pattern: None,
        sensitive: false,
    }
}

impl TextShape {
    const fn with_pattern(self, text: &'static str, matches: fn(&str) -> bool) -> Self {
        Self {
            pattern: Some(TextPattern { text, matches }),
            ..self
        }
    }

    const fn marked_sensitive(self) -> Self {
        Self {
            sensitive: true,
            ..self
        }
    }
}

const fn page_size_between(min: i64, max: i64) -> Shape {
    Shape::Integer { min, max }
}

const fn list_of(of: &'static Shape, min: usize, max: usize) -> Shape {
    Shape::List { of, min, max }
}

const fn map_of(key: &'static Shape, value: &'static Shape) -> Shape {
    Shape::Map {
        key,
        value,
        min: 0,
        max: UNBOUNDED,
        nulls: false,
    }
}

// Strings.

pub(crate) static ANY_TEXT: Shape = Shape::Text(text_of_length(0, UNBOUNDED));
pub(crate) static TAG_KEY: Shape = Shape::Text(
    text_of_length(1, 128).with_pattern(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", matches_tag_key),
);
pub(crate) static TAG_VALUE: Shape = Shape::Text(text_of_length(0, 256));
pub(crate) static IDENTIFIER: Shape =
    Shape::Text(text_of_length(1, 64).with_pattern("^[0-9a-z_-]+$", is_identifier));
pub(crate) static S3_LOCATION: Shape =
    Shape::Text(text_of_length(1, 512).with_pattern(r"^s3:\/\/(.+)$", is_s3_location));
pub(crate) static IAM_ROLE_ARN: Shape = Shape::Text(text_of_length(1, 256).with_pattern(
    r"^arn\:aws[a-z-]{0,15}\:iam\:\:[0-9]{12}\:role\/[^\s]{2,64}$",
    is_role_arn,
));
pub(crate) static VERSION: Shape =
    Shape::Text(text_of_length(1, 5).with_pattern("^([1-9][0-9]*)$", is_version));
pub(crate) static DESCRIPTION: Shape = Shape::Text(text_of_length(1, 128));
pub(crate) static MODEL_IDENTIFIER: Shape =
    Shape::Text(text_of_length(1, 64).with_pattern("^[0-9a-z_]+$", is_underscored));
pub(crate) static MODEL_VERSION_NUMBER: Shape = Shape::Text(
    text_of_length(3, 7).with_pattern(r"^[1-9][0-9]{0,3}\.[0-9]{1,2}$", is_model_version),
);
pub(crate) static RESOURCE_ARN: Shape = Shape::Text(text_of_length(1, 256).with_pattern(
    r"^arn\:aws[a-z-]{0,15}\:frauddetector\:[a-z0-9-]{3,20}\:[0-9]{12}\:[^\s]{2,128}$",
    is_resource_arn,
));
pub(crate) static LIST_NAME: Shape =
    Shape::Text(text_of_length(1, 64).with_pattern("^[0-9a-z_]+$", is_underscored));
pub(crate) static LIST_ELEMENT: Shape = Shape::Text(
    text_of_length(1, 320)
        .with_pattern(r"^\S+( +\S+)*$", is_list_element)
        .marked_sensitive(),
);
pub(crate) static VARIABLE_TYPE: Shape =
    Shape::Text(text_of_length(1, 64).with_pattern("^[A-Z_]{1,64}$", is_variable_type));
pub(crate) static RESPONSE_TIME: Shape = Shape::Text(text_of_length(11, 30));
pub(crate) static RULE_EXPRESSION: Shape = Shape::Text(text_of_length(1, 4096).marked_sensitive());
pub(crate) static MODEL_ENDPOINT: Shape =
    Shape::Text(text_of_length(1, 63).with_pattern("^[0-9A-Za-z_-]+$", is_name));
pub(crate) static ENTITY_ID: Shape = Shape::Text(
    text_of_length(1, 256)
        .with_pattern("^[0-9A-Za-z_.@+-]+$", is_entity_id)
        .marked_sensitive(),
);
pub(crate) static REQUEST_TIME: Shape = Shape::Text(text_of_length(10, 30));
pub(crate) static VARIABLE_NAME: Shape = Shape::Text(text_of_length(1, 64));
pub(crate) static VARIABLE_VALUE: Shape = Shape::Text(text_of_length(1, 8192).marked_sensitive());
pub(crate) static CONTENT_TYPE: Shape = Shape::Text(text_of_length(1, 1024));
pub(crate) static NEXT_TOKEN: Shape = Shape::Text(text_of_length(0, 8192));
pub(crate) static FILTER_STRING: Shape =
    Shape::Text(text_of_length(1, 256).with_pattern("^[0-9A-Za-z_-]+$", is_name));
pub(crate) static MODEL_INPUT_TEMPLATE: Shape = Shape::Text(text_of_length(1, 2000));
pub(crate) static KMS_KEY_ARN: Shape = Shape::Text(text_of_length(7, 90).with_pattern(
    r"^DEFAULT|arn:[a-zA-Z0-9-]+:kms:[a-zA-Z0-9-]+:\d{12}:key\/\w{8}-\w{4}-\w{4}-\w{4}-\w{12}$",
    is_kms_key_arn,
));

fn has_only(text: &str, allowed: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

fn is_identifier(text: &str) -> bool {
    has_only(text, |c| matches!(c, '0'..='9' | 'a'..='z' | '_' | '-'))
}

fn is_underscored(text: &str) -> bool {
    has_only(text, |c| matches!(c, '0'..='9' | 'a'..='z' | '_'))
}

fn is_name(text: &str) -> bool {
    has_only(text, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
    })
}

fn is_entity_id(text: &str) -> bool {
    has_only(text, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '+' | '-')
    })
}

fn is_variable_type(text: &str) -> bool {
    has_only(text, |c| c.is_ascii_uppercase() || c == '_')
}

fn is_version(text: &str) -> bool {
    !text.starts_with('0') && has_only(text, |c| c.is_ascii_digit())
}

/// Whether white space occurs only as single blanks between other characters.
fn is_list_element(text: &str) -> bool {
    !text.starts_with(' ')
        && !text.ends_with(' ')
        && has_only(text, |c| c == ' ' || !c.is_whitespace())
}

fn is_s3_location(text: &str) -> bool {
    text.strip_prefix("s3://")
        .is_some_and(|rest| !rest.is_empty())
}

/// Patterns that are not on a hot path use `regex`. A pattern that does not compile matches nothing.
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

pub(crate) static MODEL_TYPE: Shape = Shape::Enumeration(&[
    "ONLINE_FRAUD_INSIGHTS",
    "TRANSACTION_FRAUD_INSIGHTS",
    "ACCOUNT_TAKEOVER_INSIGHTS",
]);
pub(crate) static RULE_EXECUTION_MODE: Shape =
    Shape::Enumeration(&["ALL_MATCHED", "FIRST_MATCHED"]);
pub(crate) static TRAINING_DATA_SOURCE: Shape =
    Shape::Enumeration(&["EXTERNAL_EVENTS", "INGESTED_EVENTS"]);
pub(crate) static UNLABELED_EVENTS_TREATMENT: Shape =
    Shape::Enumeration(&["IGNORE", "FRAUD", "LEGIT", "AUTO"]);
pub(crate) static LANGUAGE: Shape = Shape::Enumeration(&["DETECTORPL"]);
pub(crate) static DATA_TYPE: Shape =
    Shape::Enumeration(&["STRING", "INTEGER", "FLOAT", "BOOLEAN", "DATETIME"]);
pub(crate) static DATA_SOURCE: Shape =
    Shape::Enumeration(&["EVENT", "MODEL_SCORE", "EXTERNAL_MODEL_SCORE"]);
pub(crate) static EVENT_INGESTION: Shape = Shape::Enumeration(&["ENABLED", "DISABLED"]);
pub(crate) static MODEL_SOURCE: Shape = Shape::Enumeration(&["SAGEMAKER"]);
pub(crate) static MODEL_INPUT_DATA_FORMAT: Shape =
    Shape::Enumeration(&["TEXT_CSV", "APPLICATION_JSON"]);
pub(crate) static MODEL_OUTPUT_DATA_FORMAT: Shape =
    Shape::Enumeration(&["TEXT_CSV", "APPLICATION_JSONLINES"]);
pub(crate) static MODEL_ENDPOINT_STATUS: Shape = Shape::Enumeration(&["ASSOCIATED", "DISSOCIATED"]);
pub(crate) static DETECTOR_VERSION_STATUS: Shape =
    Shape::Enumeration(&["DRAFT", "ACTIVE", "INACTIVE"]);
pub(crate) static LIST_UPDATE_MODE: Shape = Shape::Enumeration(&["REPLACE", "APPEND", "REMOVE"]);
pub(crate) static MODEL_VERSION_STATUS: Shape =
    Shape::Enumeration(&["ACTIVE", "INACTIVE", "TRAINING_CANCELLED"]);

// Page sizes.

pub(crate) static DETECTOR_VERSIONS_PAGE: Shape = page_size_between(1000, 2500);
pub(crate) static MODELS_PAGE: Shape = page_size_between(1, 10);
pub(crate) static BATCH_IMPORTS_PAGE: Shape = page_size_between(1, 50);
pub(crate) static BATCH_PREDICTIONS_PAGE: Shape = page_size_between(1, 50);
pub(crate) static DETECTORS_PAGE: Shape = page_size_between(5, 10);
pub(crate) static ENTITY_TYPES_PAGE: Shape = page_size_between(5, 10);
pub(crate) static EVENT_TYPES_PAGE: Shape = page_size_between(5, 10);
pub(crate) static EXTERNAL_MODELS_PAGE: Shape = page_size_between(5, 10);
pub(crate) static LABELS_PAGE: Shape = page_size_between(10, 50);
pub(crate) static LIST_ELEMENTS_PAGE: Shape = page_size_between(500, 5000);
pub(crate) static LISTS_PAGE: Shape = page_size_between(5, 50);
pub(crate) static OUTCOMES_PAGE: Shape = page_size_between(50, 100);
pub(crate) static RULES_PAGE: Shape = page_size_between(50, 100);
pub(crate) static VARIABLES_PAGE: Shape = page_size_between(50, 100);
pub(crate) static EVENT_PREDICTIONS_PAGE: Shape = page_size_between(50, 100);
pub(crate) static TAGS_PAGE: Shape = page_size_between(50, 50);

// Lists, maps and structures.

pub(crate) static VARIABLE_ENTRY: Shape = Shape::Structure(&[
    optional_member("name", &ANY_TEXT),
    optional_member("dataType", &ANY_TEXT),
    optional_member("dataSource", &ANY_TEXT),
    optional_member("defaultValue", &ANY_TEXT),
    optional_member("description", &ANY_TEXT),
    optional_member("variableType", &ANY_TEXT),
]);
pub(crate) static VARIABLE_ENTRIES: Shape = list_of(&VARIABLE_ENTRY, 1, 25);
pub(crate) static TAG: Shape = Shape::Structure(&[
    required_member("key", &TAG_KEY),
    required_member("value", &TAG_VALUE),
]);
pub(crate) static TAGS: Shape = list_of(&TAG, 0, 200);
pub(crate) static HUNDRED_NAMES: Shape = list_of(&ANY_TEXT, 1, 100);
pub(crate) static NAMES: Shape = list_of(&ANY_TEXT, 0, UNBOUNDED);
pub(crate) static RULE: Shape = Shape::Structure(&[
    required_member("detectorId", &IDENTIFIER),
    required_member("ruleId", &IDENTIFIER),
    required_member("ruleVersion", &VERSION),
]);
pub(crate) static RULES: Shape = list_of(&RULE, 0, UNBOUNDED);
pub(crate) static MODEL_VERSION: Shape = Shape::Structure(&[
    required_member("modelId", &MODEL_IDENTIFIER),
    required_member("modelType", &MODEL_TYPE),
    required_member("modelVersionNumber", &MODEL_VERSION_NUMBER),
    optional_member("arn", &RESOURCE_ARN),
]);
pub(crate) static MODEL_VERSIONS: Shape = list_of(&MODEL_VERSION, 0, UNBOUNDED);
pub(crate) static LIST_ELEMENTS: Shape = list_of(&LIST_ELEMENT, 0, ELEMENTS_PER_LIST);
pub(crate) static LABEL_MAPPER: Shape = map_of(&ANY_TEXT, &NAMES);
pub(crate) static LABEL_SCHEMA: Shape = Shape::Structure(&[
    optional_member("labelMapper", &LABEL_MAPPER),
    optional_member("unlabeledEventsTreatment", &UNLABELED_EVENTS_TREATMENT),
]);
pub(crate) static TRAINING_DATA_SCHEMA: Shape = Shape::Structure(&[
    required_member("modelVariables", &NAMES),
    optional_member("labelSchema", &LABEL_SCHEMA),
]);
pub(crate) static EXTERNAL_EVENTS_DETAIL: Shape = Shape::Structure(&[
    required_member("dataLocation", &S3_LOCATION),
    required_member("dataAccessRoleArn", &IAM_ROLE_ARN),
]);
pub(crate) static INGESTED_EVENTS_TIME_WINDOW: Shape = Shape::Structure(&[
    required_member("startTime", &RESPONSE_TIME),
    required_member("endTime", &RESPONSE_TIME),
]);
pub(crate) static INGESTED_EVENTS_DETAIL: Shape = Shape::Structure(&[required_member(
    "ingestedEventsTimeWindow",
    &INGESTED_EVENTS_TIME_WINDOW,
)]);
pub(crate) static SOME_NAMES: Shape = list_of(&ANY_TEXT, 1, UNBOUNDED);
pub(crate) static BOOLEAN: Shape = Shape::Boolean;
pub(crate) static ENTITY: Shape = Shape::Structure(&[
    required_member("entityType", &ANY_TEXT),
    required_member("entityId", &ENTITY_ID),
]);
pub(crate) static ENTITIES: Shape = list_of(&ENTITY, 0, UNBOUNDED);
pub(crate) static EVENT_VARIABLES: Shape = Shape::Map {
    key: &VARIABLE_NAME,
    value: &VARIABLE_VALUE,
    min: 1,
    max: VARIABLES_PER_EVENT,
    nulls: true,
};
pub(crate) static BLOB: Shape = Shape::Blob;
pub(crate) static ENDPOINT_BLOB: Shape = Shape::Structure(&[
    optional_member("byteBuffer", &BLOB),
    optional_member("contentType", &CONTENT_TYPE),
]);
pub(crate) static ENDPOINT_BLOBS: Shape = map_of(&MODEL_ENDPOINT, &ENDPOINT_BLOB);
pub(crate) static FILTER_CONDITION: Shape =
    Shape::Structure(&[optional_member("value", &FILTER_STRING)]);
pub(crate) static PREDICTION_TIME_RANGE: Shape = Shape::Structure(&[
    required_member("startTime", &RESPONSE_TIME),
    required_member("endTime", &RESPONSE_TIME),
]);
pub(crate) static EVENT_ORCHESTRATION: Shape =
    Shape::Structure(&[required_member("eventBridgeEnabled", &BOOLEAN)]);
pub(crate) static MODEL_INPUT_CONFIGURATION: Shape = Shape::Structure(&[
    optional_member("eventTypeName", &IDENTIFIER),
    optional_member("format", &MODEL_INPUT_DATA_FORMAT),
    required_member("useEventVariables", &BOOLEAN),
    optional_member("jsonInputTemplate", &MODEL_INPUT_TEMPLATE),
    optional_member("csvInputTemplate", &MODEL_INPUT_TEMPLATE),
]);
pub(crate) static JSON_KEY_TO_VARIABLE_MAP: Shape = map_of(&ANY_TEXT, &ANY_TEXT);
pub(crate) static CSV_INDEX_TO_VARIABLE_MAP: Shape = map_of(&ANY_TEXT, &ANY_TEXT);
pub(crate) static MODEL_OUTPUT_CONFIGURATION: Shape = Shape::Structure(&[
    required_member("format", &MODEL_OUTPUT_DATA_FORMAT),
    optional_member("jsonKeyToVariableMap", &JSON_KEY_TO_VARIABLE_MAP),
    optional_member("csvIndexToVariableMap", &CSV_INDEX_TO_VARIABLE_MAP),
]);
pub(crate) static TAG_KEYS: Shape = list_of(&TAG_KEY, 0, 50);

#[cfg(test)]
mod tests {
    use super::*;

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
