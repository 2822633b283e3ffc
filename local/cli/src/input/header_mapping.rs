//! CSV files with Amazon's headers: what their columns mean.

use std::collections::BTreeMap;

use event::{EntityTypeName, EventTypeName};
use serde_json::{Map, Value};

pub(super) const EVENT_ID: &str = "EVENT_ID";
pub(super) const EVENT_TIMESTAMP: &str = "EVENT_TIMESTAMP";
const ENTITY_ID: &str = "ENTITY_ID";
pub(super) const ENTITY_TYPE: &str = "ENTITY_TYPE";
pub(super) const EVENT_LABEL: &str = "EVENT_LABEL";
pub(super) const LABEL_TIMESTAMP: &str = "LABEL_TIMESTAMP";
const METADATA: [&str; 6] = [
    EVENT_ID,
    EVENT_TIMESTAMP,
    ENTITY_ID,
    ENTITY_TYPE,
    EVENT_LABEL,
    LABEL_TIMESTAMP,
];

/// How a CSV file with Amazon's headers is read.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// The event type of its rows.
    pub event_type: EventTypeName,
    /// The detector that decides on them.
    pub detector: String,
    /// The entity type of rows without `ENTITY_TYPE`.
    pub entity_type: EntityTypeName,
    /// Labels that are not valid names, and what they become: `1.0` → `fraud`.
    pub labels: BTreeMap<String, String>,
}

/// The mapping of Amazon's headers: metadata by name, all other columns as variables.
pub(super) fn build_header_mapping(headers: &[String], options: &CsvOptions) -> String {
    let variables: Map<String, Value> = headers
        .iter()
        .filter(|header| !METADATA.contains(&header.as_str()))
        .map(|header| {
            (
                header.clone(),
                Value::from(format!("/{}", header.replace('~', "~0").replace('/', "~1"))),
            )
        })
        .collect();
    // JSON is YAML.
    serde_json::json!({
        "event_type": options.event_type.as_str(),
        "detector": options.detector,
        "event": {
            "id": format!("/{EVENT_ID}"),
            "timestamp": format!("/{EVENT_TIMESTAMP}"),
            "entity": { "type": format!("/{ENTITY_TYPE}"), "id": [format!("/{ENTITY_ID}")] },
            "label": format!("/{EVENT_LABEL}"),
            "label_timestamp": format!("/{LABEL_TIMESTAMP}"),
        },
        "variables": variables,
        "decision": {
            "outcome_priority": ["block", "review", "challenge", "approve"],
            "on_undetermined": ["review"],
            "on_no_match": ["approve"],
            "reviewable": ["review"],
        },
    })
    .to_string()
}

/// The section `labels` of a mapping for Amazon's headers: a row says itself which label its event has.
pub(super) fn build_label_section() -> String {
    serde_json::json!({
        "event_id": format!("/{EVENT_ID}"),
        "kind": format!("/{EVENT_LABEL}"),
        "label": format!("/{EVENT_LABEL}"),
        "timestamp": format!("/{LABEL_TIMESTAMP}"),
        "table": [],
    })
    .to_string()
}
