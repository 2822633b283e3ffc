//! Whom `fraudstream forget` and `fraudstream subject` are about, and every place that keeps something
//! of them: `forget` deletes what is found here, `subject` shows it.

mod kept;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::operation::get_object::GetObjectError;
use engine::{Engine, FoundEvent, Subject};
use event::{EventId, EventTypeName, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use shared::decisions::{Decision, Key, entity_key};
use shared::failure::{Failure, code_of};
use shared::labels::LabelEntry;
use shared::mapping::Mapping;
use shared::records::{Invocation, Record};
use shared::rejected::{PREFIX, RejectedRecord};
use thiserror::Error;

pub use kept::Kept;

use crate::hold;
use crate::machine::Pipeline;
use crate::replay::REPLAYED;
use crate::spelling;

/// Where Lambda writes batches that outlived their stream.
const EXPIRED: &str = "aws/lambda/";
/// An entity's decisions that are read from the index at once.
const ROWS: usize = 10_000;
/// What the sort key of an item of labels is.
pub(crate) const LABELS: &str = "labels";
/// Begins the name of an attribute with the message that brought a label; see `shared::labels`.
const RECORD: &str = "record_";
/// Variable types whose values name one person.
const NAMING: [&str; 7] = [
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "BILLING_PHONE",
    "SHIPPING_PHONE",
    "FINGERPRINT",
    "SESSION_ID",
    "ORDER_ID",
];
/// Variable types whose values belong to a person and perhaps to others in the same household or
/// network. Many share a postal code, a country or a user agent: those belong to nobody.
const BELONGING: [&str; 8] = [
    "IP_ADDRESS",
    "BILLING_NAME",
    "BILLING_ADDRESS_L1",
    "BILLING_ADDRESS_L2",
    "SHIPPING_NAME",
    "SHIPPING_ADDRESS_L1",
    "SHIPPING_ADDRESS_L2",
    "AUTH_CODE",
];
/// Types of lists that may hold anything.
const ANYTHING: [&str; 2] = ["CATEGORICAL", "FREE_FORM_TEXT"];

type Item = HashMap<String, AttributeValue>;

/// Why a search ended.
#[derive(Debug, Error)]
pub enum Error {
    /// The entity that stands for all whose id is not known.
    #[error("entity `unknown` is everybody whose id is not known; name their orders one by one")]
    Unknown,
    /// The engine's tables.
    #[error("the engine: {0}")]
    Engine(#[from] engine::Error),
    /// A call failed.
    #[error("cannot {what}: {code}; run the command again to go on")]
    Call {
        /// What was being done.
        what: String,
        /// AWS's word for it.
        code: String,
    },
}

pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(String) -> Error {
    let what = what.into();
    |code| Error::Call { what, code }
}

/// An order or an entity, under every name that it may have.
#[derive(Clone)]
pub struct Whom {
    subjects: Vec<Subject>,
    /// Lower case.
    names: BTreeSet<String>,
}

impl Whom {
    /// The order with this id, as the shop writes it or as its event has it.
    pub fn order(mapping: &Mapping, order_id: &str) -> Self {
        let event_id = EventId::slug(order_id).to_string();
        Self {
            names: [order_id, &event_id].map(str::to_lowercase).into(),
            subjects: vec![Subject::Event {
                event_type: mapping.event_type().to_string(),
                event_id,
            }],
        }
    }

    /// The entity `TYPE/ID`, or an id of type `customer`. A value that the mapping hashes, such as a
    /// guest's address, names the entity behind the hash.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn entity(mapping: &Mapping, text: &str) -> Result<Self, Error> {
        let (entity_type, entity_id) = text.split_once('/').unwrap_or(("customer", text));
        if entity_id.trim().eq_ignore_ascii_case("unknown") {
            return Err(Error::Unknown);
        }
        let mapped = mapping.entity_ids(entity_id).into_iter();
        let mut ids: BTreeSet<String> = mapped.map(|id| id.as_str().to_owned()).collect();
        ids.insert(entity_id.to_owned());
        Ok(Self {
            names: ids.iter().map(|id| id.to_lowercase()).collect(),
            subjects: ids
                .into_iter()
                .map(|entity_id| Subject::Entity {
                    entity_type: entity_type.to_owned(),
                    entity_id,
                })
                .collect(),
        })
    }
}

/// What a subject is known by: its names, its events, and its values.
#[derive(Default)]
pub struct Traces {
    pub(crate) subjects: Vec<Subject>,
    /// Event type and event id.
    pub(crate) events: BTreeSet<(String, String)>,
    /// Hashes of ids and values that were held when it was forgotten before.
    held: BTreeSet<String>,
    /// Those of its hashes that are held for another subject.
    protected: BTreeSet<String>,
    /// Ids of entities that its events and decisions name.
    entities: BTreeSet<String>,
    /// What names the subject and nobody else, in lower case: ids, addresses, numbers.
    names: BTreeSet<String>,
    /// The names, and values that belong to the subject, in lower case.
    spellings: BTreeSet<String>,
    /// Values that belong to the subject by the type of their variable, in its normal form.
    values: BTreeMap<String, HashSet<String>>,
}

/// Whom and what a record is about, as the mapping reads it.
pub(crate) struct Told {
    pub(crate) subjects: Vec<Subject>,
    /// When the order was made; a label has none.
    pub(crate) ordered_at: Option<Timestamp>,
    /// The order's id as the shop writes it.
    order_id: Option<String>,
    variables: Vec<(String, String)>,
    /// Whether it is an order, and not a label.
    is_order: bool,
    /// Whether it is an order that does not say whose it is.
    is_guest: bool,
}

impl Told {
    /// `None` where the mapping reads neither an order nor a label.
    pub(crate) fn new(mapping: &Mapping, value: &Value) -> Option<Self> {
        let event = |event_id: &EventId| Subject::Event {
            event_type: mapping.event_type().to_string(),
            event_id: event_id.to_string(),
        };
        if let Ok(order) = mapping.order(value) {
            let names_entity = !order.entity.entity_id.is_unknown();
            let entity = names_entity.then(|| Subject::Entity {
                entity_type: order.entity.entity_type.to_string(),
                entity_id: order.entity.entity_id.as_str().to_owned(),
            });
            let variables = order.variables.iter();
            return Some(Self {
                subjects: [event(&order.event_id)].into_iter().chain(entity).collect(),
                ordered_at: Some(order.timestamp),
                order_id: Some(order.order_id.clone()),
                variables: variables
                    .map(|(name, value)| (name.to_string(), value.expose().to_owned()))
                    .collect(),
                is_order: true,
                is_guest: !names_entity,
            });
        }
        let labels = mapping.labels(value).ok()?;
        Some(Self {
            subjects: labels.iter().map(|label| event(&label.event_id)).collect(),
            ordered_at: None,
            order_id: None,
            variables: Vec::new(),
            is_order: false,
            is_guest: false,
        })
    }
}

/// Whom a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Others, or nobody.
    Others,
    /// The subject alone.
    Subject,
    /// A label of the subject's orders and of others'.
    Both,
}

/// Why a record cannot be read.
fn reason(failure: Failure) -> String {
    match failure {
        Failure::Rejected(rejection) => rejection.reason,
        Failure::Retry(retry) => retry.to_string(),
    }
}

/// Whether the values of a variable type belong to a person.
fn is_personal(ty: &str) -> bool {
    NAMING.contains(&ty) || BELONGING.contains(&ty)
}

/// The type of every variable, by its name.
pub(crate) type Types = BTreeMap<String, String>;

impl Traces {
    fn new(whom: Whom) -> Self {
        let mut traces = Self::default();
        for subject in &whom.subjects {
            if let Subject::Event {
                event_type,
                event_id,
            } = subject
            {
                traces.events.insert((event_type.clone(), event_id.clone()));
            }
        }
        traces.spellings.clone_from(&whom.names);
        traces.names = whom.names;
        traces.subjects = whom.subjects;
        traces
    }

    fn add_event(&mut self, event_type: &str, event_id: &str) {
        self.add_name(event_id);
        self.events
            .insert((event_type.to_owned(), event_id.to_owned()));
    }

    fn add_name(&mut self, name: &str) {
        let name = name.to_lowercase();
        self.spellings.insert(name.clone());
        self.names.insert(name);
    }

    fn add_value(&mut self, types: &Types, variable: &str, value: &str) {
        let Some(ty) = types.get(variable).filter(|_| !value.trim().is_empty()) else {
            return;
        };
        if !is_personal(ty) {
            return;
        }
        let is_name = NAMING.contains(&ty.as_str());
        let normal = engine::normalized(ty, value).into_owned();
        for spelling in [value, &normal] {
            self.spellings.insert(spelling.to_lowercase());
            if is_name {
                self.names.insert(spelling.to_lowercase());
            }
        }
        self.values.entry(ty.clone()).or_default().insert(normal);
    }

    fn is_held(&self, value: &str) -> bool {
        !self.held.is_empty() && self.held.contains(&hold::hash(value))
    }

    /// Whether an element of a list is held for another subject, too.
    pub(crate) fn is_protected(&self, element: &str) -> bool {
        let is = |text: &str| self.protected.contains(&hold::hash(text));
        let mut types = NAMING.into_iter().chain(BELONGING);
        !self.protected.is_empty()
            && (is(element) || types.any(|ty| is(&engine::normalized(ty, element))))
    }

    /// Whether a part of the subject is held for another one.
    pub(crate) fn is_any_protected(&self) -> bool {
        !self.protected.is_empty()
    }

    /// The hashes of whom the command names: whoever is held is held for these.
    pub(crate) fn owners(&self) -> BTreeSet<String> {
        let subjects = self.subjects.iter();
        subjects.map(owner).collect()
    }

    /// The hashes that name the subject and nobody else: of itself and of its orders. What is held
    /// for one of its orders is the subject's, and not the other way round: the person may be held
    /// for another order.
    fn own(&self) -> BTreeSet<String> {
        let events = self.events.iter();
        let events = events.map(|(event_type, event_id)| hold::event_hash(event_type, event_id));
        events.chain(self.owners()).collect()
    }

    /// What stays of the subject where it is held: the hashes of its ids and values.
    pub(crate) fn hashes(&self) -> BTreeSet<String> {
        let values = self.values.values().flatten();
        let texts = self.entities.iter().chain(values);
        texts
            .map(|text| hold::hash(text))
            .chain(self.owners())
            .chain(self.held.iter().cloned())
            .collect()
    }

    /// A decision without what belongs to a person: its entity is a hash, and variables stay only
    /// where their type says that their values are nobody's.
    pub(crate) fn strip(&self, types: &Types, decision: &mut Decision) {
        // Who is not known is everybody, and in no index.
        let is_known = decision.gsi1pk.is_some();
        if is_known && !hold::is_hash(&decision.entity_id) {
            decision.entity_id = hold::hash(&decision.entity_id);
        }
        decision.gsi1pk = is_known.then(|| entity_key(&decision.entity_type, &decision.entity_id));
        decision.variables.retain(|name, value| {
            types.get(name).is_some_and(|ty| !is_personal(ty))
                && !spelling::is_any_in(&self.spellings, value.as_bytes())
        });
    }

    /// Whether an event is the subject's.
    pub(crate) fn has(&self, event_type: &str, event_id: &str) -> bool {
        let mut events = self.events.iter();
        events.any(|(ty, id)| ty == event_type && id == event_id)
    }

    /// Whom a record is about.
    ///
    /// An order or a label that can be read is judged by the ids in it: a telephone, a device or a
    /// network may be somebody else's, too. A record that is no JSON is the subject's if a name or
    /// a value of the subject stands anywhere in it; one that is JSON and neither an order nor a
    /// label for the mapping, if a name does.
    ///
    /// # Errors
    /// Why the record cannot be read, where it does not name the subject either.
    fn about(&self, mapping: &Mapping, record: &Record) -> Result<About, String> {
        let key = record.key.as_deref().unwrap_or_default().as_bytes();
        let value = match record.json() {
            Ok(value) => value,
            Err(failure) => {
                let bytes = record.payload.as_slice();
                let mut places = [bytes, key].into_iter();
                return if places.any(|bytes| spelling::is_any_in(&self.spellings, bytes)) {
                    Ok(About::Subject)
                } else {
                    Err(reason(failure))
                };
            }
        };
        let is_subjects = match Told::new(mapping, &value) {
            None => spelling::is_any_in_json(&self.names, &value),
            Some(told) if told.is_order => self.is_order_of(&told),
            Some(told) => {
                let all = told.subjects.len();
                let own = told.subjects.iter().filter(|subject| self.is_one(subject));
                let own = own.count();
                if own > 0 && own < all {
                    return Ok(About::Both);
                }
                own > 0
            }
        };
        Ok(if is_subjects {
            About::Subject
        } else {
            About::Others
        })
    }

    fn is_one(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Event {
                event_type,
                event_id,
            } => self.has(event_type, event_id),
            Subject::Entity { .. } => self.subjects.contains(subject),
        }
    }

    /// Whether an order is the subject's: by its event or its entity, or, of a person's orders as a
    /// guest, by the address, which is all that tells whose they are.
    fn is_order_of(&self, told: &Told) -> bool {
        let mut subjects = self.subjects.iter();
        let is_person = subjects.any(|subject| matches!(subject, Subject::Entity { .. }));
        let is_address =
            |text: &str| text.contains('@') && self.names.contains(&text.trim().to_lowercase());
        let mut values = told.variables.iter();
        told.subjects.iter().any(|subject| self.is_one(subject))
            || (told.is_guest && is_person && values.any(|(_, value)| is_address(value)))
    }

    /// What a record about the subject adds to what is known of it.
    fn learn(&mut self, mapping: &Mapping, types: &Types, record: &Record) {
        let told = record.json().ok();
        let told = told.and_then(|value| Told::new(mapping, &value));
        // A label may name others' orders, too.
        let Some(told) = told.filter(|told| told.is_order && self.is_order_of(told)) else {
            return;
        };
        for subject in &told.subjects {
            if let Subject::Event {
                event_type,
                event_id,
            } = subject
            {
                self.add_event(event_type, event_id);
            }
        }
        if let Some(order_id) = &told.order_id {
            self.add_name(order_id);
        }
        for (name, value) in &told.variables {
            self.add_value(types, name, value);
        }
    }

    /// Whether an element of a list is the subject's: its id or one of its values. A list of a
    /// variable type holds such values only; one without may hold any.
    pub(crate) fn owns(&self, list_type: Option<&str>, element: &str) -> bool {
        let is_id = self.subjects.iter().any(
            |subject| matches!(subject, Subject::Entity { entity_id, .. } if entity_id == element),
        );
        let is_value = |ty: &str| {
            let element = engine::normalized(ty, element);
            let values = self.values.get(ty);
            values.is_some_and(|values| values.contains(&*element))
                || (is_personal(ty) && self.is_held(&element))
        };
        let mut types = NAMING.into_iter().chain(BELONGING);
        is_id
            || match list_type.filter(|ty| !ANYTHING.contains(ty)) {
                Some(ty) => is_value(ty),
                None => types.any(is_value),
            }
    }

    /// Whether a line of `outcomes.jsonl` is about the subject: a decision, or a prediction.
    pub(crate) fn is_told_in(&self, line: &str) -> bool {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            return spelling::is_any_in(&self.spellings, line.as_bytes());
        };
        let detail = &event["detail"];
        let text = |name: &str| detail[name].as_str().unwrap_or_default();
        if self.has(text("event_type"), text("event_id"))
            || self.has(text("eventTypeName"), text("eventId"))
        {
            return true;
        }
        let entities = detail["entities"].as_array().into_iter().flatten();
        let entities: Vec<_> = entities
            .map(|e| (e["entityType"].as_str(), e["entityId"].as_str()))
            .chain([(detail["entity_type"].as_str(), detail["entity_id"].as_str())])
            .collect();
        self.subjects.iter().any(|subject| match subject {
            Subject::Event { .. } => false,
            Subject::Entity {
                entity_type,
                entity_id,
            } => entities.contains(&(Some(entity_type.as_str()), Some(entity_id.as_str()))),
        })
    }
}

/// What is to be done with an object, so that it tells of the subject no more.
#[derive(Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It is about nobody else.
    Delete,
    /// It holds others' records; this is the object without the subject's.
    Rewrite(Vec<u8>),
    /// It cannot be taken apart, and why.
    Name(String),
}

/// An object with records about the subject.
#[derive(Debug)]
pub struct FoundObject {
    /// Its key.
    pub key: String,
    /// The subject's records: JSON where they are, else their text.
    pub records: Vec<Value>,
    /// What makes it forget.
    pub remedy: Remedy,
}

/// Labels that stand beside the decisions.
#[derive(Debug, Serialize)]
pub struct FoundLabels {
    /// Partition key.
    pub pk: String,
    /// The messages.
    pub labels: Vec<Value>,
    /// The attributes with the messages that brought the labels, as they were sent.
    pub records: Vec<String>,
}

/// Everything that is kept of a subject.
#[derive(Default)]
pub struct Found {
    /// What it is known by.
    pub traces: Traces,
    /// Its stored events; those at Amazon are not looked for.
    pub events: Vec<FoundEvent>,
    /// Its decisions.
    pub decisions: Vec<Decision>,
    /// Labels without decision: those that wait, and the histories of events.
    pub labels: Vec<FoundLabels>,
    /// Its elements of lists, by list.
    pub list_elements: BTreeMap<String, Vec<String>>,
    /// Objects with its records.
    pub objects: Vec<FoundObject>,
    /// What its entity did before, by event type.
    pub habits: BTreeMap<String, Value>,
    /// Why something of it was kept when it was forgotten before, and until when.
    pub holds: Vec<Value>,
    /// The partition and sort keys of the items that keep its hashes.
    pub(crate) held_items: Vec<(String, String)>,
    /// Places that cannot be read, and why: what is in there is not known.
    pub unread: Vec<String>,
}

/// Where a search goes.
pub struct Finder<'a> {
    /// The clients.
    pub pipeline: &'a Pipeline,
    /// The engine over the tables, where it judges.
    pub engine: Option<&'a Engine>,
    /// How a record becomes an event.
    pub mapping: &'a Mapping,
}

impl Finder<'_> {
    /// Finds everything that is kept of a subject at `now`.
    ///
    /// # Errors
    /// [`enum@Error`].
    pub async fn find(&self, whom: Whom, now: Timestamp) -> Result<Found, Error> {
        let mut found = Found {
            traces: Traces::new(whom),
            ..Found::default()
        };
        let subjects = found.traces.subjects.clone();
        if let Some(engine) = self.engine {
            for subject in &subjects {
                found.events.extend(engine.events_of(subject).await?);
                for (event_type, habits) in engine.habits_of(subject).await? {
                    let habits = serde_json::from_str(&habits).unwrap_or(Value::String(habits));
                    found.habits.insert(event_type, habits);
                }
            }
        }
        for event in &found.events {
            found.traces.add_event(&event.event_type, &event.event_id);
        }
        let types = self.variable_types().await?;
        // An object may tell of an order that has a decision and an event.
        loop {
            found.decisions = self.decisions(&subjects, &found.traces).await?;
            learn(&types, &mut found);
            let known = found.traces.events.clone();
            self.objects(&types, &mut found).await?;
            if found.traces.events == known {
                break;
            }
            if let Some(engine) = self.engine {
                for (event_type, event_id) in found.traces.events.difference(&known) {
                    let event = Subject::Event {
                        event_type: event_type.clone(),
                        event_id: event_id.clone(),
                    };
                    found.events.extend(engine.events_of(&event).await?);
                }
            }
        }
        for (event_type, event_id) in &found.traces.events {
            found
                .labels
                .extend(self.labels(event_type, event_id).await?);
        }
        self.holds(&mut found, now).await?;
        found.list_elements = self.list_elements(&found.traces).await?;
        Ok(found)
    }

    async fn decisions(
        &self,
        subjects: &[Subject],
        traces: &Traces,
    ) -> Result<Vec<Decision>, Error> {
        let decisions = self.pipeline.decisions();
        let reading = |f: Failure| failed("read decisions")(f.to_string());
        let mut events = traces.events.clone();
        for subject in subjects {
            if let Subject::Entity {
                entity_type,
                entity_id,
            } = subject
            {
                // Those that were held when it was forgotten before have its hash.
                for id in [entity_id, &hold::hash(entity_id)] {
                    let of_entity = decisions.of_entity(entity_type, id, ROWS).await;
                    let of_entity = of_entity.map_err(reading)?.into_iter();
                    events.extend(of_entity.map(|d| (d.event_type, d.event_id)));
                }
            }
        }
        let mut all = Vec::new();
        for (event_type, event_id) in events {
            if let Some((event_type, event_id)) = names(&event_type, &event_id) {
                let revisions = decisions.revisions(&event_type, &event_id).await;
                all.extend(revisions.map_err(reading)?);
            }
        }
        Ok(all)
    }

    pub(crate) async fn variable_types(&self) -> Result<Types, Error> {
        let client = &self.pipeline.clients.frauddetector;
        let mut pages = client.get_variables().into_paginator().send();
        let mut types = Types::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("read the variables")(code_of(&error)))?;
            for variable in page.variables() {
                if let (Some(name), Some(ty)) = (variable.name(), variable.variable_type()) {
                    types.insert(name.to_owned(), ty.to_owned());
                }
            }
        }
        Ok(types)
    }

    /// Looks into every object; again as long as the objects themselves name further events, because
    /// a label is known by its event alone.
    async fn objects(&self, types: &Types, found: &mut Found) -> Result<(), Error> {
        let mut keys = Vec::new();
        for prefix in [PREFIX, REPLAYED, EXPIRED] {
            keys.extend(self.keys(prefix).await?);
        }
        loop {
            let known = found.traces.spellings.len();
            (found.objects, found.unread) = (Vec::new(), Vec::new());
            for key in &keys {
                let Some(body) = self.object(key).await? else {
                    continue;
                };
                let seen = self.look(&found.traces, key, &body);
                for record in &seen.records {
                    found.traces.learn(self.mapping, types, record);
                }
                found.unread.extend(seen.unread);
                if let Some(remedy) = seen.remedy {
                    found.objects.push(FoundObject {
                        key: key.clone(),
                        records: seen.records.iter().map(shown).collect(),
                        remedy,
                    });
                }
            }
            if found.traces.spellings.len() == known {
                return Ok(());
            }
        }
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
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

    /// An object's bytes; `None` where it was deleted meanwhile.
    async fn object(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
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

    fn look(&self, traces: &Traces, key: &str, body: &[u8]) -> Seen {
        let place = format!("s3://{}/{key}", self.pipeline.bucket);
        let value = serde_json::from_slice::<Value>(body);
        if let Ok(batch) = &value
            && batch.get("requestContext").is_some()
        {
            return self.look_at_batch(traces, &place, batch);
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
                // What Lambda wrote holds others' records, too.
                let remedy = if key.starts_with(EXPIRED) {
                    Remedy::Name(format!("it names the subject and is no batch: {why}"))
                } else {
                    Remedy::Delete
                };
                return Seen::whole(body, remedy);
            }
            Err(why) => return Seen::unread(&place, &why),
        };
        let remedy = match traces.about(self.mapping, &record) {
            Ok(About::Others) => return Seen::default(),
            Ok(About::Subject) => Remedy::Delete,
            Ok(About::Both) => Remedy::Name("it is a label of others' orders, too".to_owned()),
            Err(why) => return Seen::unread(&place, &why),
        };
        Seen {
            records: vec![record],
            remedy: Some(remedy),
            unread: Vec::new(),
        }
    }

    /// Takes apart what Lambda writes where an event source mapping gives up: a batch with others'
    /// records.
    fn look_at_batch(&self, traces: &Traces, place: &str, object: &Value) -> Seen {
        let payload = match &object["payload"] {
            Value::String(text) => {
                shared::json::parse_event(text.as_bytes()).map_err(|error| error.to_string())
            }
            Value::Null => Err("it has no payload".to_owned()),
            payload => Ok(payload.clone()),
        };
        let bytes = object.to_string().into_bytes();
        // A batch of another source is refused whole.
        let payload = payload.and_then(|payload| match Invocation::new(payload.clone()) {
            Ok(invocation) => Ok((payload, matches!(invocation, Invocation::Batch(_)))),
            Err(foreign) => Err(foreign.to_string()),
        });
        let (mut payload, is_batch) = match payload {
            Ok(payload) => payload,
            Err(why) if spelling::is_any_in(&traces.spellings, &bytes) => {
                let why = format!("it names the subject, and its payload is no batch: {why}");
                return Seen::whole(&bytes, Remedy::Name(why));
            }
            Err(why) => return Seen::unread(place, &why),
        };
        let mut seen = Seen::default();
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
            // A record of a stream may hold several, see KPL.
            let (mut about, mut others) = (Vec::new(), false);
            let alone = Invocation::new(alone).map(Invocation::into_records);
            for record in alone.unwrap_or_default() {
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
                        seen.unread.push(format!("{place}, record {id}: {why}"));
                    }
                }
            }
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

    /// Labels that stand without a decision: those that wait for their event, and the history of an
    /// event that was never decided.
    async fn labels(&self, event_type: &str, event_id: &str) -> Result<Vec<FoundLabels>, Error> {
        let Some((event_type, event_id)) = names(event_type, event_id) else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for key in [
            Key::labels(&event_type, &event_id),
            Key::waiting(&event_type, &event_id),
        ] {
            let pk = key.pk().to_owned();
            if let Some(item) = self.item(&pk, LABELS).await? {
                let labels = entries(&item);
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

    async fn item(&self, pk: &str, sk: &str) -> Result<Option<Item>, Error> {
        let get = self.pipeline.clients.dynamodb.get_item();
        let get = get
            .table_name(&self.pipeline.decisions_table)
            .consistent_read(true)
            .key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()));
        let answer = get.send().await;
        let answer = answer.map_err(|e| failed("read labels")(code_of(&e)))?;
        Ok(answer.item.filter(|item| !item.is_empty()))
    }

    /// Reads why something was held before, and the hashes that were kept then. What is held for
    /// another subject that shares a value is no reason to touch that one's hold: its hashes are
    /// protected until it ends.
    async fn holds(&self, found: &mut Found, now: Timestamp) -> Result<(), Error> {
        let own = found.traces.own();
        let mut read = BTreeSet::new();
        loop {
            let mut hashes = found.traces.hashes();
            hashes.extend(own.iter().cloned());
            let Some(hash) = hashes.difference(&read).next().cloned() else {
                return Ok(());
            };
            for item in self.held_items(&hash).await? {
                let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
                let (Some(pk), Some(sk)) = (text("pk"), text("sk")) else {
                    continue;
                };
                let until = text(hold::UNTIL);
                let reason = text(hold::REASON);
                if own.contains(&hash) {
                    let shown = json!({"reason": reason, "until": until});
                    if !found.holds.contains(&shown) {
                        found.holds.push(shown);
                    }
                }
                if hold::owner(sk).is_some_and(|owner| own.contains(owner)) {
                    found.held_items.push((pk.clone(), sk.clone()));
                    let together = item.get(hold::HASHES);
                    let together = together.and_then(|hashes| hashes.as_ss().ok());
                    let together = together.into_iter().flatten().cloned();
                    found.traces.held.extend(together);
                } else if until
                    .and_then(|until| Timestamp::parse(until).ok())
                    .is_some_and(|until| until > now)
                {
                    found.traces.protected.insert(hash.clone());
                }
            }
            read.insert(hash);
        }
    }

    /// The items that keep a hash, one for each who is held.
    async fn held_items(&self, hash: &str) -> Result<Vec<Item>, Error> {
        let query = self.pipeline.clients.dynamodb.query();
        let query = query
            .table_name(&self.pipeline.decisions_table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(hold::key(hash)));
        let mut pages = query.into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| failed("read what is held")(code_of(&e)))?;
            items.extend(page.items.unwrap_or_default());
        }
        Ok(items)
    }

    async fn list_elements(&self, traces: &Traces) -> Result<BTreeMap<String, Vec<String>>, Error> {
        if let Some(engine) = self.engine {
            let owns = |ty: Option<&str>, element: &str| traces.owns(ty, element);
            return Ok(engine.find_list_elements(owns).await?);
        }
        let client = &self.pipeline.clients.frauddetector;
        let reading = |code: String| failed("read the lists")(code);
        let mut owned = BTreeMap::new();
        let mut pages = client.get_lists_metadata().into_paginator().send();
        while let Some(page) = pages.next().await {
            for list in page.map_err(|e| reading(code_of(&e)))?.lists() {
                let elements = client.get_list_elements().name(list.name());
                let elements = elements.max_results(5000);
                let mut elements = elements.into_paginator().send();
                let mut of_subject = Vec::new();
                while let Some(page) = elements.next().await {
                    let page = page.map_err(|e| reading(code_of(&e)))?;
                    let owned = page.elements().iter();
                    let owned = owned.filter(|e| traces.owns(list.variable_type(), e));
                    of_subject.extend(owned.cloned());
                }
                if !of_subject.is_empty() {
                    owned.insert(list.name().to_owned(), of_subject);
                }
            }
        }
        Ok(owned)
    }
}

/// What events and decisions tell of the subject.
fn learn(types: &Types, found: &mut Found) {
    let Found {
        traces,
        events,
        decisions,
        ..
    } = found;
    for event in &*events {
        for (name, values) in &event.values {
            for value in values {
                traces.add_value(types, name, value);
            }
        }
    }
    for decision in &*decisions {
        traces.add_event(&decision.event_type, &decision.event_id);
        traces.add_name(&decision.order_id);
        // An entity that is not known is in no index.
        if decision.gsi1pk.is_some() {
            let known = if hold::is_hash(&decision.entity_id) {
                &mut traces.held
            } else {
                &mut traces.entities
            };
            known.insert(decision.entity_id.clone());
        }
        for (name, value) in &decision.variables {
            traces.add_value(types, name, value);
        }
    }
}

/// The hash of whom the command names.
fn owner(subject: &Subject) -> String {
    match subject {
        Subject::Event {
            event_type,
            event_id,
        } => hold::event_hash(event_type, event_id),
        Subject::Entity { entity_id, .. } => hold::hash(entity_id),
    }
}

/// What was seen in one object.
#[derive(Default)]
struct Seen {
    records: Vec<Record>,
    remedy: Option<Remedy>,
    unread: Vec<String>,
}

impl Seen {
    /// An object that is about the subject and cannot be read.
    fn whole(bytes: &[u8], remedy: Remedy) -> Self {
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

/// A record as a person reads it.
fn shown(record: &Record) -> Value {
    record
        .json()
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&record.payload).into_owned()))
}

/// The labels that were told of an event: on its decisions, and without a decision.
pub(crate) fn history(
    found: &Found,
    event_type: &str,
    event_id: &str,
) -> BTreeMap<String, LabelEntry> {
    let is_it =
        |decision: &&Decision| decision.event_type == event_type && decision.event_id == event_id;
    let decisions = found.decisions.iter().filter(is_it);
    let mut history: BTreeMap<String, LabelEntry> = decisions
        .flat_map(|decision| decision.label_history.clone())
        .collect();
    let end = format!("#{event_type}#{event_id}");
    let beside = found
        .labels
        .iter()
        .filter(|labels| labels.pk.ends_with(&end));
    for label in beside.flat_map(|labels| &labels.labels) {
        if let Ok(entry) = serde_json::from_value::<LabelEntry>(label.clone()) {
            history.insert(entry.id(), entry);
        }
    }
    history
}

/// The label messages in an item, each an attribute or in a map of them.
fn entries(item: &Item) -> Vec<Value> {
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

fn names(event_type: &str, event_id: &str) -> Option<(EventTypeName, EventId)> {
    let event_type = EventTypeName::try_from(event_type).ok()?;
    Some((event_type, EventId::try_from(event_id).ok()?))
}
