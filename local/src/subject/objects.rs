//! Objects of the bucket with records about a subject.

use aws_sdk_s3::operation::get_object::GetObjectError;
use serde_json::{Value, json};
use shared::failure::code_of;
use shared::mapping::Mapping;
use shared::records::{Invocation, Record};
use shared::rejected::RejectedRecord;

use super::error::{Error, failed};
use super::ownership::About;
use super::spelling;
use super::traces::Traces;
use super::variable_types::Types;
use crate::machine::Pipeline;
use crate::object_prefixes::{ON_FAILURE, REJECTED, REPLAYED};

/// How to remove the subject's records from an object.
#[derive(Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Delete it: it is about nobody else.
    Delete,
    /// Replace it by these bytes: it has others' records, too, and these are kept.
    Rewrite(Vec<u8>),
    /// Only report it: the records cannot be separated, and this is why.
    Name(String),
}

/// An object with records about the subject.
#[derive(Debug)]
pub struct FoundObject {
    /// The object's key.
    pub key: String,
    /// The subject's records: as JSON, or as text if they are not JSON.
    pub records: Vec<Value>,
    /// How to remove the subject's records.
    pub remedy: Remedy,
}

/// Where objects are looked for, and how their records are read.
pub(super) struct ObjectSearch<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) mapping: &'a Mapping,
    pub(super) types: &'a Types,
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
    pub(super) async fn find(&self, traces: &mut Traces) -> Result<FoundObjects, Error> {
        let mut keys = Vec::new();
        for prefix in [REJECTED, REPLAYED, ON_FAILURE] {
            keys.extend(self.list_keys(prefix).await?);
        }
        loop {
            let known = traces.spellings.len();
            let mut found = FoundObjects::default();
            for key in &keys {
                let Some(body) = self.read_object(key).await? else {
                    continue;
                };
                let seen = self.inspect(traces, key, &body);
                for record in &seen.records {
                    traces.learn(self.mapping, self.types, record);
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

    async fn list_keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let list = self.pipeline.clients.s3.list_objects_v2();
        let list = list.bucket(&self.pipeline.bucket).prefix(prefix);
        let mut pages = list.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| failed(format!("list {prefix}"))(code_of(&e)))?;
            let found = page.contents().iter();
            keys.extend(found.filter_map(|object| object.key().map(str::to_owned)));
        }
        Ok(keys)
    }

    /// Reads an object's bytes; `None` if it has been deleted meanwhile.
    async fn read_object(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let get = self.pipeline.clients.s3.get_object();
        let object = match get.bucket(&self.pipeline.bucket).key(key).send().await {
            Ok(object) => object,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetObjectError::is_no_such_key) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed(format!("read {key}"))(code_of(&error))),
        };
        let body = object.body.collect().await;
        let body = body.map_err(|e| failed(format!("read {key}"))(e.to_string()))?;
        Ok(Some(body.to_vec()))
    }

    fn inspect(&self, traces: &Traces, key: &str, body: &[u8]) -> InspectedObject {
        let place = format!("s3://{}/{key}", self.pipeline.bucket);
        let value = serde_json::from_slice::<Value>(body);
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
            Err(why) if spelling::is_any_in(&traces.spellings, body) => {
                // A batch has others' records, too.
                let remedy = if key.starts_with(ON_FAILURE) {
                    Remedy::Name(format!("it names the subject and is not a batch: {why}"))
                } else {
                    Remedy::Delete
                };
                return InspectedObject::unreadable(body, remedy);
            }
            Err(why) => return InspectedObject::unread(&place, &why),
        };
        let remedy = match traces.about(self.mapping, &record) {
            Ok(About::Others) => return InspectedObject::default(),
            Ok(About::Subject) => Remedy::Delete,
            Ok(About::Both) => Remedy::Name("it is a label of others' orders, too".to_owned()),
            Err(why) => return InspectedObject::unread(&place, &why),
        };
        InspectedObject {
            records: vec![record],
            remedy: Some(remedy),
            unread: Vec::new(),
        }
    }

    /// Inspects an on-failure object: a batch that holds others' records, too.
    fn inspect_batch(&self, traces: &Traces, place: &str, object: &Value) -> InspectedObject {
        let (mut payload, is_batch) = match parse_payload(object) {
            Ok(parsed) => parsed,
            Err(why) => {
                let bytes = object.to_string().into_bytes();
                if spelling::is_any_in(&traces.spellings, &bytes) {
                    let why =
                        format!("it names the subject, and its payload is not a batch: {why}");
                    return InspectedObject::unreadable(&bytes, Remedy::Name(why));
                }
                return InspectedObject::unread(place, &why);
            }
        };
        let mut seen = InspectedObject::default();
        let mut kept = Vec::new();
        let mut mixed = false;
        let all = match payload.get("Records").and_then(Value::as_array) {
            Some(all) if is_batch => all.clone(),
            _ => vec![payload.clone()],
        };
        for delivered in all {
            let alone = if is_batch {
                json!({ "Records": [delivered] })
            } else {
                delivered.clone()
            };
            let (about, others) = self.sort_records(traces, place, alone, &mut seen.unread);
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
            Remedy::Name("an aggregate or a label in it is about others, too".to_owned())
        } else if kept.is_empty() {
            Remedy::Delete
        } else {
            let mut object = object.clone();
            payload["Records"] = Value::Array(kept);
            object["payload"] = match &object["payload"] {
                Value::String(_) => Value::String(payload.to_string()),
                _ => payload,
            };
            Remedy::Rewrite(object.to_string().into_bytes())
        });
        seen
    }

    /// The subject's records in a delivered one, and whether it has others' records: a record of a
    /// stream may hold several, see KPL.
    fn sort_records(
        &self,
        traces: &Traces,
        place: &str,
        delivered: Value,
        unread: &mut Vec<String>,
    ) -> (Vec<Record>, bool) {
        let (mut about, mut others) = (Vec::new(), false);
        let records = Invocation::new(delivered).map(Invocation::into_records);
        for record in records.unwrap_or_default() {
            match traces.about(self.mapping, &record) {
                Ok(About::Subject) => about.push(record),
                Ok(About::Others) => others = true,
                Ok(About::Both) => {
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
    remedy: Option<Remedy>,
    unread: Vec<String>,
}

impl InspectedObject {
    /// An object that contains a name of the subject and cannot be read.
    fn unreadable(bytes: &[u8], remedy: Remedy) -> Self {
        let position = shared::records::Position {
            origin: shared::records::Origin::Other,
            arn: String::new(),
            id: String::new(),
            sub: 0,
        };
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
