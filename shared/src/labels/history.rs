//! Reads and changes the item with the label history of an event.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use event::{EventId, Timestamp};

use super::{FUNCTION, LabelApplier};
use crate::decisions::{
    FoundItems, ItemKey, check_form, form_attribute, update_if_condition_holds,
};
use crate::failure::{Failure, Rejection, dependency_failure};
use crate::label_history::{LABEL_PREFIX, LabelEntry, LabelHistory, RECORD_PREFIX, SEEN_PREFIX};
use crate::records::Record;
use crate::rejected::RejectedRecord;

/// The longest record that is kept with its label, in bytes.
const LONGEST_RECORD: usize = 2 * 1024;

impl LabelApplier {
    /// The keys under which labels of an event may be stored, by this and by earlier releases.
    pub(super) fn label_keys(&self, event_id: &EventId) -> [ItemKey; 2] {
        [
            ItemKey::labels(self.event_type(), event_id),
            ItemKey::waiting_labels(self.event_type(), event_id),
        ]
    }

    /// Reads the label history of an event.
    pub(super) async fn read_history(&self, event_id: &EventId) -> Result<LabelHistory, Failure> {
        let found = self.decisions.read(self.label_keys(event_id)).await?;
        Ok(self.find_history(event_id, &found))
    }

    /// The label history of an event among items that were read before.
    pub(super) fn find_history(&self, event_id: &EventId, found: &FoundItems) -> LabelHistory {
        let mut history = LabelHistory::default();
        for key in self.label_keys(event_id) {
            if let Some(labels) = found.labels(&key) {
                history.add(labels);
            }
        }
        history
    }

    /// Adds a label to the history of its event, with the time `seen` when it was first received. Adding it again changes
    /// nothing. Returns whether it was there before.
    pub(super) async fn add_to_history(
        &self,
        event_id: &EventId,
        entry: &LabelEntry,
        record: Option<&Record>,
        seen: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let until = now.epoch_seconds() + self.mapping.retention_seconds();
        let record = record.filter(|record| record.payload.len() <= LONGEST_RECORD);
        let record = record.map(serialize_record).transpose()?;
        let mut set =
            "SET #label = :label, kind = :kind, form = :form, expires_at = :until".to_owned();
        let key = ItemKey::labels(self.event_type(), event_id);
        let label = format!("{LABEL_PREFIX}{}", entry.id());
        let mut update = self.decisions.update(&key);
        if let Some(record) = record {
            set.push_str(", #record = :record");
            update = update
                .expression_attribute_names("#record", format!("{RECORD_PREFIX}{}", entry.id()))
                .expression_attribute_values(":record", AttributeValue::S(record));
        }
        if let Some(seen) = seen {
            set.push_str(", #seen = if_not_exists(#seen, :seen)");
            let seen = AttributeValue::N(seen.epoch_millis().to_string());
            update = update
                .expression_attribute_names("#seen", format!("{SEEN_PREFIX}{}", entry.id()))
                .expression_attribute_values(":seen", seen);
        }
        let update = update
            .update_expression(set)
            .condition_expression("attribute_not_exists(form) OR form <= :form")
            .expression_attribute_values(":form", form_attribute())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_values(ReturnValue::UpdatedOld)
            .expression_attribute_names("#label", &label)
            .expression_attribute_values(":label", entry.attribute()?)
            .expression_attribute_values(":kind", AttributeValue::S("labels".to_owned()))
            .expression_attribute_values(":until", AttributeValue::N(until.to_string()));
        let updated = update
            .send()
            .await
            .map_err(|error| match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(newer)) => {
                    let item = newer.item().cloned().unwrap_or_default();
                    check_form(&item)
                        .err()
                        .unwrap_or_else(|| dependency_failure("UpdateItem", &error))
                }
                _ => dependency_failure("UpdateItem", &error),
            })?;
        let before = updated.attributes();
        Ok(before.is_some_and(|before| before.contains_key(&label)))
    }

    /// Removes a label from the history of its event, also from the item that earlier releases wrote.
    pub(super) async fn remove_from_history(
        &self,
        event_id: &EventId,
        id: &str,
    ) -> Result<(), Failure> {
        for key in self.label_keys(event_id) {
            let update = self
                .decisions
                .update(&key)
                .update_expression("REMOVE #label, #record, #seen")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_names("#label", format!("{LABEL_PREFIX}{id}"))
                .expression_attribute_names("#record", format!("{RECORD_PREFIX}{id}"))
                .expression_attribute_names("#seen", format!("{SEEN_PREFIX}{id}"));
            // If the condition does not hold, there is no such item.
            update_if_condition_holds(update).await?;
        }
        Ok(())
    }
}

/// A record as it is kept with its label, to be written to the rejected records if the label has to be rejected later.
fn serialize_record(record: &Record) -> Result<String, Failure> {
    let none = Rejection {
        class: "",
        reason: String::new(),
        refusal: None,
    };
    serde_json::to_string(&RejectedRecord::new(FUNCTION, record, &none))
        .map_err(|_| Failure::retry("a record does not serialize"))
}
