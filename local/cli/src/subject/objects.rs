//! Objects of the bucket with records about a subject.

use serde_json::{Value, json};
use shared::mapping::Mapping;
use shared::records::{Invocation, Record};
use shared::rejected::{REJECTED_PREFIX, RejectedRecord};

use super::error::{SubjectError, describe_failed_call};
use super::name_search;
use super::ownership::RecordOwner;
use super::traces::Traces;
use super::variable_types::VariableTypes;
use crate::bucket_objects::{ON_FAILURE, REPLAYED, list_keys, read_object};
use local_aws::local_stack::Pipeline;

/// How to remove the subject's records from an object.
#[derive(Debug, PartialEq, Eq)]
pub enum ObjectRemedy {
    /// Delete it: it is about nobody else.
    Delete,
    /// Replace it by these bytes: it has others' records, too, and these are kept.
    Rewrite(Vec<u8>),
    /// Only report it: the records cannot be separated, and this is why.
    Report(String),
}

/// An object with records about the subject.
#[derive(Debug)]
pub struct FoundObject {
    /// The object's key.
    pub key: String,
    /// The subject's records: as JSON, or as text if they are not JSON.
    pub records: Vec<Value>,
    /// How to remove the subject's records.
    pub remedy: ObjectRemedy,
}

/// Where objects are looked for, and how their records are read.
pub(super) struct ObjectSearch<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) mapping: &'a Mapping,
    pub(super) types: &'a VariableTypes,
}

/// The objects that were found.
#[derive(Default)]
pub(super) struct FoundObjects {
    pub(super) objects: Vec<FoundObject>,
    /// Objects that cannot be read, and why.
    pub(super) unread: Vec<String>,
}

impl ObjectSearch<'_> {
    /// Inspects every object, and repeats it as long as the objects name further events, because a
    /// label is known by its event alone. `traces` learn what the records say.
    pub(super) async fn find_objects(
        &self,
        traces: &mut Traces,
    ) -> Result<FoundObjects, SubjectError> {
        let Pipeline {
            clients, bucket, ..
        } = self.pipeline;
        let s3 = &clients.s3;
        let mut keys = Vec::new();
        for prefix in [REJECTED_PREFIX, REPLAYED, ON_FAILURE] {
            let listed = list_keys(s3, bucket, prefix).await;
            keys.extend(listed.map_err(describe_failed_call(format!("list {prefix}")))?);
        }
        loop {
            let known = traces.spellings.len();
            let mut found = FoundObjects::default();
            for key in &keys {
                // One that is missing was deleted meanwhile.
                let body = read_object(s3, bucket, key).await;
                let Some(body) = body.map_err(describe_failed_call(format!("read {key}")))? else {
                    continue;
                };
                let seen = self.inspect_object(traces, key, &body);
                for record in &seen.records {
                    traces.learn_record(self.mapping, self.types, record);
                }
                found.unread.extend(seen.unread);
                if let Some(remedy) = seen.remedy {
                    found.objects.push(FoundObject {
                        key: key.clone(),
                        records: seen.records.iter().map(readable_record).collect(),
                        remedy,
                    });
                }
            }
            if traces.spellings.len() == known {
                return Ok(found);
            }
        }
    }

    fn inspect_object(&self, traces: &Traces, key: &str, body: &[u8]) -> InspectedObject {
        let place = format!("s3://{}/{key}", self.pipeline.bucket);
        let value = shared::json::parse_stored(body);
        if let Ok(batch) = &value
            && batch.get("requestContext").is_some()
        {
            return self.inspect_batch(traces, &place, batch);
        }
        let record = value
            .map_err(|error| error.to_string())
            .and_then(|value| {
                serde_json::from_value::<RejectedRecord>(value).map_err(|e| e.to_string())
            })
            .and_then(RejectedRecord::into_record);
        let record = match record {
            Ok(record) => record,
            Err(why) if name_search::is_any_in(&traces.spellings, body) => {
                // A batch has others' records, too.
                let remedy = if key.starts_with(ON_FAILURE) {
                    ObjectRemedy::Report(format!("it names the subject and is not a batch: {why}"))
                } else {
                    ObjectRemedy::Delete
                };
                return InspectedObject::unreadable(body, remedy);
            }
            Err(why) => return InspectedObject::unread(&place, &why),
        };
        let mut seen = InspectedObject::default();
        let (about, others) = self.sort_records(traces, &place, record.split(), &mut seen.unread);
        if !about.is_empty() {
            seen.remedy = Some(if others {
                ObjectRemedy::Report("it has orders or labels of others, too".to_owned())
            } else {
                ObjectRemedy::Delete
            });
        }
        seen.records = about;
        seen
    }

    /// Inspects an on-failure object: a batch that holds others' records, too.
    fn inspect_batch(&self, traces: &Traces, place: &str, object: &Value) -> InspectedObject {
        let (mut payload, is_batch) = match parse_payload(object) {
            Ok(parsed) => parsed,
            Err(why) => {
                let bytes = object.to_string().into_bytes();
                if name_search::is_any_in(&traces.spellings, &bytes) {
                    let why =
                        format!("it names the subject, and its payload is not a batch: {why}");
                    return InspectedObject::unreadable(&bytes, ObjectRemedy::Report(why));
                }
                return InspectedObject::unread(place, &why);
            }
        };
        let mut seen = InspectedObject::default();
        let mut kept = Vec::new();
        let mut mixed = false;
        let list = payload.get("Records").and_then(Value::as_array);
        let list = list.filter(|_| is_batch).cloned();
        let can_be_divided = list.is_some();
        for delivered in list.unwrap_or_else(|| vec![payload.clone()]) {
            let alone = if can_be_divided {
                json!({ "Records": [delivered] })
            } else {
                delivered.clone()
            };
            let records = Invocation::new(alone).map(Invocation::into_records);
            let records = records.unwrap_or_default();
            let (about, others) = self.sort_records(traces, place, records, &mut seen.unread);
            mixed |= others && !about.is_empty();
            if about.is_empty() {
                kept.push(delivered);
            }
            seen.records.extend(about);
        }
        if seen.records.is_empty() {
            return seen;
        }
        seen.remedy = Some(if mixed {
            ObjectRemedy::Report("a record in it is about others, too".to_owned())
        } else if kept.is_empty() {
            ObjectRemedy::Delete
        } else {
            let mut object = object.clone();
            payload["Records"] = Value::Array(kept);
            object["payload"] = match &object["payload"] {
                Value::String(_) => Value::String(payload.to_string()),
                _ => payload,
            };
            ObjectRemedy::Rewrite(object.to_string().into_bytes())
        });
        seen
    }

    /// The subject's records among those of one delivery, and whether there are others' records: a
    /// delivered record may hold several orders.
    fn sort_records(
        &self,
        traces: &Traces,
        place: &str,
        records: Vec<Record>,
        unread: &mut Vec<String>,
    ) -> (Vec<Record>, bool) {
        let (mut about, mut others) = (Vec::new(), false);
        for record in records {
            match traces.find_owner(self.mapping, &record) {
                Ok(RecordOwner::Subject) => about.push(record),
                Ok(RecordOwner::Others) => others = true,
                Ok(RecordOwner::Both) => {
                    others = true;
                    about.push(record);
                }
                Err(why) => {
                    others = true;
                    let id = &record.position.id;
                    unread.push(format!("{place}, record {id}: {why}"));
                }
            }
        }
        (about, others)
    }
}

/// The payload of an on-failure object, and whether it is a batch. A batch of a source that is not
/// known is an error.
fn parse_payload(object: &Value) -> Result<(Value, bool), String> {
    let payload = match &object["payload"] {
        Value::String(text) => {
            shared::json::parse_event(text.as_bytes()).map_err(|error| error.to_string())?
        }
        Value::Null => return Err("it has no payload".to_owned()),
        payload => payload.clone(),
    };
    match Invocation::new(payload.clone()) {
        Ok(invocation) => Ok((payload, matches!(invocation, Invocation::Batch(_)))),
        Err(foreign) => Err(foreign.to_string()),
    }
}

/// What an inspection of one object found.
#[derive(Default)]
struct InspectedObject {
    records: Vec<Record>,
    remedy: Option<ObjectRemedy>,
    unread: Vec<String>,
}

impl InspectedObject {
    /// An object that contains a name of the subject and cannot be read.
    fn unreadable(bytes: &[u8], remedy: ObjectRemedy) -> Self {
        let position = shared::records::Position::new(shared::records::Origin::Other, "", "");
        Self {
            records: vec![Record {
                position,
                key: None,
                payload: bytes.to_vec(),
            }],
            remedy: Some(remedy),
            unread: Vec::new(),
        }
    }

    fn unread(place: &str, why: &str) -> Self {
        Self {
            unread: vec![format!("{place}: {why}")],
            ..Self::default()
        }
    }
}

/// A record as JSON, or as text if it is not JSON.
fn readable_record(record: &Record) -> Value {
    record
        .json()
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&record.payload).into_owned()))
}
