//! Notes that a subject was forgotten: by them `run` and `replay` leave out its records.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use engine::Subject;
use event::Timestamp;
use shared::failure::error_code;
use shared::mapping::Mapping;
use shared::records::Record;

use crate::subject::{self, MappedRecord, describe_failed_call};
use local_aws::local_stack::Pipeline;

/// Starts the partition key of a note: `forgotten#<hash>`. Also its sort key and kind.
const NOTE: &str = "forgotten";
/// The note that anything was forgotten at all.
const ANY: &str = "forgotten#any";
/// The attribute with the time at which the subject was forgotten.
const TIME: &str = "forgotten_at";

/// Notes that something was forgotten at all.
pub(super) async fn write_any_note(
    pipeline: &Pipeline,
    now: Timestamp,
) -> Result<(), subject::SubjectError> {
    put_note(pipeline, ANY.to_owned(), now).await
}

/// Notes that a subject was forgotten.
pub(super) async fn write_note(
    pipeline: &Pipeline,
    subject: &Subject,
    now: Timestamp,
) -> Result<(), subject::SubjectError> {
    put_note(pipeline, format_note_key(subject), now).await
}

async fn put_note(
    pipeline: &Pipeline,
    key: String,
    now: Timestamp,
) -> Result<(), subject::SubjectError> {
    let put = pipeline.clients.dynamodb.put_item();
    let put = put
        .table_name(&pipeline.decisions_table)
        .item("pk", AttributeValue::S(key))
        .item("sk", AttributeValue::S(NOTE.to_owned()))
        .item("kind", AttributeValue::S(NOTE.to_owned()))
        .item(TIME, AttributeValue::S(now.to_string()));
    let put = put.send().await;
    put.map_err(|error| describe_failed_call("note what is forgotten")(error_code(&error)))?;
    Ok(())
}

fn format_note_key(subject: &Subject) -> String {
    format!("{NOTE}#{}", subject.hash())
}

/// Tells which records are about a subject that was forgotten: in a file that is run again, or among
/// rejected records.
#[derive(Debug)]
pub struct ForgottenSubjects {
    /// The tables with the notes.
    pub pipeline: Pipeline,
    /// How a record becomes an event.
    pub mapping: Arc<Mapping>,
}

impl ForgottenSubjects {
    /// Whether anything was forgotten at all. One read answers for all records.
    ///
    /// # Errors
    /// [`subject::SubjectError`].
    pub async fn is_any(&self) -> Result<bool, subject::SubjectError> {
        Ok(self.read_note(ANY).await?.is_some())
    }

    /// Whether a record is about a subject that was forgotten: an event, or an order that the entity made
    /// before. A later order of a forgotten customer is a new order.
    ///
    /// # Errors
    /// [`subject::SubjectError`].
    pub async fn is_forgotten(&self, record: &Record) -> Result<bool, subject::SubjectError> {
        // A record that cannot be read cannot be decided either.
        let Ok(value) = record.json() else {
            return Ok(false);
        };
        let Some(told) = MappedRecord::new(&self.mapping, &value) else {
            return Ok(false);
        };
        for subject in &told.subjects {
            let Some(note) = self.read_note(&format_note_key(subject)).await? else {
                continue;
            };
            let is_new = matches!(subject, Subject::Entity { .. })
                && matches!((told.ordered_at, note.time), (Some(at), Some(time)) if at > time);
            if !is_new {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn read_note(&self, key: &str) -> Result<Option<ForgottenNote>, subject::SubjectError> {
        let get = self.pipeline.clients.dynamodb.get_item();
        let get = get
            .table_name(&self.pipeline.decisions_table)
            .key("pk", AttributeValue::S(key.to_owned()))
            .key("sk", AttributeValue::S(NOTE.to_owned()));
        let found = get.send().await;
        let found =
            found.map_err(|e| describe_failed_call("read what was forgotten")(error_code(&e)))?;
        Ok(found.item.filter(|item| !item.is_empty()).map(|item| {
            let time = item.get(TIME).and_then(|time| time.as_s().ok());
            let time = time.and_then(|time| Timestamp::parse(time).ok());
            ForgottenNote { time }
        }))
    }
}

/// A note that a subject was forgotten. Notes of early releases have no time.
struct ForgottenNote {
    time: Option<Timestamp>,
}
