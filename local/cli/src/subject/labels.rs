//! Labels that are stored beside the decisions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use event::{EventId, EventTypeName};
use serde::Serialize;
use serde_json::Value;
use shared::decisions::ItemKey;
use shared::failure::error_code;

use super::error::{SubjectError, describe_failed_call};
use local_aws::local_stack::Pipeline;

/// The sort key of an item of labels.
pub(crate) const LABELS: &str = "labels";
/// Starts the name of an attribute with the message that brought a label; see `shared::labels`.
const RECORD: &str = "record_";

type LabelsItem = HashMap<String, AttributeValue>;

/// Labels that are stored beside the decisions, in one item.
#[derive(Debug, Serialize)]
pub struct FoundLabels {
    /// Partition key.
    pub pk: String,
    /// The messages.
    pub labels: Vec<Value>,
    /// The attributes with the messages that brought the labels, as they were sent.
    pub records: Vec<String>,
}

/// Reads the labels that are stored without a decision: those that wait for their event, and the
/// history of an event that was never decided.
pub(super) async fn read_labels(
    pipeline: &Pipeline,
    event_type: &str,
    event_id: &str,
) -> Result<Vec<FoundLabels>, SubjectError> {
    let Some((event_type, event_id)) = parse_event_key(event_type, event_id) else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for key in [
        ItemKey::labels(&event_type, &event_id),
        ItemKey::waiting_labels(&event_type, &event_id),
    ] {
        let pk = key.pk().to_owned();
        if let Some(item) = read_item(pipeline, &pk, LABELS).await? {
            let labels = label_messages(&item);
            let records = item.keys().filter(|name| name.starts_with(RECORD));
            let records = records.cloned().collect();
            all.push(FoundLabels {
                pk,
                labels,
                records,
            });
        }
    }
    Ok(all)
}

async fn read_item(
    pipeline: &Pipeline,
    pk: &str,
    sk: &str,
) -> Result<Option<LabelsItem>, SubjectError> {
    let get = pipeline.clients.dynamodb.get_item();
    let get = get
        .table_name(&pipeline.decisions_table)
        .consistent_read(true)
        .key("pk", AttributeValue::S(pk.to_owned()))
        .key("sk", AttributeValue::S(sk.to_owned()));
    let answer = get.send().await;
    let answer = answer.map_err(|e| describe_failed_call("read labels")(error_code(&e)))?;
    Ok(answer.item.filter(|item| !item.is_empty()))
}

/// The labels in an item: each is an attribute, or an entry of a map.
fn label_messages(item: &LabelsItem) -> Vec<Value> {
    let values = item.values().filter_map(|value| {
        let value: Value = serde_dynamo::from_attribute_value(value.clone()).ok()?;
        value.is_object().then_some(value)
    });
    let is_entry = |value: &Value| value.get("label_timestamp").is_some();
    values
        .flat_map(|value| match value {
            Value::Object(members) if !members.contains_key("label_timestamp") => {
                members.into_iter().map(|(_, value)| value).collect()
            }
            value => vec![value],
        })
        .filter(is_entry)
        .collect()
}

/// The names of an event, `None` if it cannot have them.
pub(super) fn parse_event_key(
    event_type: &str,
    event_id: &str,
) -> Option<(EventTypeName, EventId)> {
    let event_type = EventTypeName::try_from(event_type).ok()?;
    Some((event_type, EventId::try_from(event_id).ok()?))
}
