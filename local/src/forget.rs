//! `fraudstream forget`: an entity or an order, wherever fraudstream keeps it.
//!
//! The note that it was forgotten is written first, and the events go last: whoever is interrupted
//! finds the rest by them when the command is run again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::types::ListUpdateMode;
use engine::{Engine, FoundEvent, Subject};
use event::{EventId, EventTypeName};
use serde::Serialize;
use serde_json::Value;
use shared::decisions::{Decision, Key};
use shared::failure::code_of;
use shared::mapping::Mapping;
use shared::records::Record;
use shared::rejected::{PREFIX, RejectedRecord};
use thiserror::Error;

use crate::home::Home;
use crate::machine::Pipeline;
use crate::replay::REPLAYED;

/// Where Lambda writes batches that outlived their stream.
const EXPIRED: &str = "aws/lambda/";
/// What is kept beside decisions of a subject that was forgotten: `forgotten#<hash>`.
const NOTE: &str = "forgotten";
/// Present once anything was forgotten.
const ANY: &str = "forgotten#any";
/// An entity's decisions that are read from the index at once.
const ROWS: usize = 10_000;
/// Variable types whose values belong to one person, so that a list's element may be that person's.
/// Many share a postal code, a country or a user agent.
const PERSONAL: [&str; 15] = [
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "BILLING_PHONE",
    "SHIPPING_PHONE",
    "IP_ADDRESS",
    "FINGERPRINT",
    "SESSION_ID",
    "BILLING_NAME",
    "BILLING_ADDRESS_L1",
    "BILLING_ADDRESS_L2",
    "SHIPPING_NAME",
    "SHIPPING_ADDRESS_L1",
    "SHIPPING_ADDRESS_L2",
    "ORDER_ID",
    "AUTH_CODE",
];

/// Why not everything was forgotten. Running the command again goes on.
#[derive(Debug, Error)]
pub enum ForgetError {
    /// The entity that stands for all whose id is not known.
    #[error("entity `unknown` is everybody whose id is not known; forget their orders one by one")]
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
    /// The file of outcomes.
    #[error("cannot rewrite {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another process works in the folder.
    #[error("another process works in {0}; stop it and run the command again")]
    Occupied(String),
}

/// What was forgotten, or with `dry_run` would be.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Nothing was deleted.
    pub dry_run: bool,
    /// Stored events.
    pub events: usize,
    /// Predictions with their explanations.
    pub predictions: usize,
    /// Labels at the engine, on decisions, and those that wait for their event.
    pub labels: usize,
    /// Decisions.
    pub decisions: usize,
    /// Elements of lists.
    pub list_entries: usize,
    /// Objects under `rejected/` and `replayed/`.
    pub rejected_objects: usize,
    /// Lines of `outcomes.jsonl`.
    pub outcomes: usize,
    /// What the command cannot reach.
    pub remains: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run {
            "would be forgotten"
        } else {
            "forgotten"
        };
        writeln!(f, "{verb}:")?;
        for (count, what) in [
            (self.events, "events"),
            (self.predictions, "predictions"),
            (self.labels, "labels"),
            (self.decisions, "decisions"),
            (self.list_entries, "list entries"),
            (self.rejected_objects, "rejected objects"),
            (self.outcomes, "lines of outcomes"),
        ] {
            writeln!(f, "  {count:>6} {what}")?;
        }
        writeln!(f, "remains:")?;
        self.remains
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Everything that forgets.
pub struct Forget<'a> {
    /// The clients.
    pub pipeline: &'a Pipeline,
    /// The engine over the tables, where it judges.
    pub engine: Option<&'a Engine>,
    /// How a record becomes an event.
    pub mapping: &'a Mapping,
    /// Only count.
    pub dry_run: bool,
}

/// What is looked for: the subject, and its events as far as they are known.
pub struct Traces {
    subject: Subject,
    /// Event type and event id.
    events: BTreeSet<(String, String)>,
    /// Values that belong to the subject, by the type of their variable.
    values: BTreeMap<String, HashSet<String>>,
}

/// The subject that an order's id names.
pub fn order(mapping: &Mapping, order_id: &str) -> Subject {
    Subject::Event {
        event_type: mapping.event_type().to_string(),
        event_id: EventId::slug(order_id).to_string(),
    }
}

/// The subject `TYPE/ID`, or an id of type `customer`.
///
/// # Errors
/// [`ForgetError::Unknown`].
pub fn entity(text: &str) -> Result<Subject, ForgetError> {
    let (entity_type, entity_id) = text.split_once('/').unwrap_or(("customer", text));
    if entity_id.eq_ignore_ascii_case("unknown") {
        return Err(ForgetError::Unknown);
    }
    Ok(Subject::Entity {
        entity_type: entity_type.to_owned(),
        entity_id: entity_id.to_owned(),
    })
}

fn failed(what: impl Into<String>) -> impl FnOnce(String) -> ForgetError {
    let what = what.into();
    |code| ForgetError::Call { what, code }
}

impl Forget<'_> {
    /// Forgets a subject, but for its lines in the local file of outcomes; see [`outcomes`].
    ///
    /// # Errors
    /// [`ForgetError`]; what was deleted before stays deleted.
    pub async fn run(&self, subject: Subject) -> Result<(Report, Traces), ForgetError> {
        let mut report = Report {
            dry_run: self.dry_run,
            ..Report::default()
        };
        let found = match self.engine {
            Some(engine) => engine.events_of(&subject).await?,
            None => Vec::new(),
        };
        let decisions = self.decisions_of(&subject, &found).await?;
        let traces = self.traces(subject, &found, &decisions).await?;
        if !self.dry_run {
            self.note(&traces.subject).await?;
        }
        self.forget_objects(&traces, &mut report).await?;
        self.forget_lists(&traces, &mut report).await?;
        self.forget_decisions(&traces, &decisions, &mut report)
            .await?;
        self.forget_events(&traces, &found, &mut report).await?;
        report.remains.extend(remains(self.engine.is_some()));
        Ok((report, traces))
    }

    async fn decisions_of(
        &self,
        subject: &Subject,
        found: &[FoundEvent],
    ) -> Result<Vec<Decision>, ForgetError> {
        let decisions = self.pipeline.decisions();
        let mut all: BTreeMap<(String, String), Decision> = BTreeMap::new();
        let mut events: BTreeSet<(String, String)> = found
            .iter()
            .map(|event| (event.event_type.clone(), event.event_id.clone()))
            .collect();
        match subject {
            Subject::Entity {
                entity_type,
                entity_id,
            } => {
                let of_entity = decisions.of_entity(entity_type, entity_id, ROWS).await;
                let of_entity = of_entity.map_err(|f| failed("read decisions")(f.to_string()))?;
                events.extend(of_entity.into_iter().map(|d| (d.event_type, d.event_id)));
            }
            Subject::Event {
                event_type,
                event_id,
            } => {
                events.insert((event_type.clone(), event_id.clone()));
            }
        }
        for (event_type, event_id) in events {
            let Some((event_type, event_id)) = names(&event_type, &event_id) else {
                continue;
            };
            let revisions = decisions.revisions(&event_type, &event_id).await;
            for decision in revisions.map_err(|f| failed("read decisions")(f.to_string()))? {
                all.insert((decision.pk.clone(), decision.sk.clone()), decision);
            }
        }
        Ok(all.into_values().collect())
    }

    async fn traces(
        &self,
        subject: Subject,
        found: &[FoundEvent],
        decisions: &[Decision],
    ) -> Result<Traces, ForgetError> {
        let types = self.variable_types().await?;
        let mut values: BTreeMap<String, HashSet<String>> = BTreeMap::new();
        let mut add = |name: &str, value: &str| {
            if let Some(ty) = types.get(name).filter(|ty| PERSONAL.contains(&ty.as_str())) {
                let values = values.entry(ty.clone()).or_default();
                values.insert(engine::normalized(ty, value).into_owned());
            }
        };
        for event in found {
            for (name, values) in &event.values {
                for value in values {
                    add(name, value);
                }
            }
        }
        for decision in decisions {
            for (name, value) in &decision.variables {
                add(name, value);
            }
        }
        let of_engine = found
            .iter()
            .map(|e| (e.event_type.clone(), e.event_id.clone()));
        let of_table = decisions
            .iter()
            .map(|d| (d.event_type.clone(), d.event_id.clone()));
        let mut events: BTreeSet<_> = of_engine.chain(of_table).collect();
        if let Subject::Event {
            event_type,
            event_id,
        } = &subject
        {
            events.insert((event_type.clone(), event_id.clone()));
        }
        Ok(Traces {
            subject,
            events,
            values,
        })
    }

    async fn variable_types(&self) -> Result<BTreeMap<String, String>, ForgetError> {
        let client = &self.pipeline.clients.frauddetector;
        let mut pages = client.get_variables().into_paginator().send();
        let mut types = BTreeMap::new();
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

    async fn note(&self, subject: &Subject) -> Result<(), ForgetError> {
        if let Some(engine) = self.engine {
            engine.note_forgotten(subject).await?;
            engine.forget_habits(subject).await?;
        }
        for key in [ANY.to_owned(), note_key(subject)] {
            let put = self.pipeline.clients.dynamodb.put_item();
            let put = put
                .table_name(&self.pipeline.decisions_table)
                .item("pk", AttributeValue::S(key))
                .item("sk", AttributeValue::S(NOTE.to_owned()))
                .item("kind", AttributeValue::S(NOTE.to_owned()));
            put.send()
                .await
                .map_err(|error| failed("note what is forgotten")(code_of(&error)))?;
        }
        Ok(())
    }

    /// Deletes the rejected records that are about the subject; batches can only be named.
    async fn forget_objects(
        &self,
        traces: &Traces,
        report: &mut Report,
    ) -> Result<(), ForgetError> {
        for prefix in [PREFIX, REPLAYED, EXPIRED] {
            for key in self.objects(prefix).await? {
                let body = self.object(&key).await?;
                if !self.is_about(traces, &body) {
                    continue;
                }
                if prefix == EXPIRED {
                    let place = format!("s3://{}/{key}", self.pipeline.bucket);
                    report
                        .remains
                        .push(format!("{place}: a batch with others' records"));
                    continue;
                }
                report.rejected_objects += 1;
                if !self.dry_run {
                    let delete = self.pipeline.clients.s3.delete_object();
                    let delete = delete.bucket(&self.pipeline.bucket).key(&key);
                    delete
                        .send()
                        .await
                        .map_err(|e| failed(format!("delete {key}"))(code_of(&e)))?;
                }
            }
        }
        Ok(())
    }

    async fn objects(&self, prefix: &str) -> Result<Vec<String>, ForgetError> {
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

    async fn object(&self, key: &str) -> Result<Vec<u8>, ForgetError> {
        let get = self.pipeline.clients.s3.get_object();
        let get = get.bucket(&self.pipeline.bucket).key(key).send().await;
        let object = get.map_err(|e| failed(format!("read {key}"))(code_of(&e)))?;
        let body = object.body.collect().await;
        Ok(body
            .map_err(|e| failed(format!("read {key}"))(e.to_string()))?
            .to_vec())
    }

    fn is_about(&self, traces: &Traces, body: &[u8]) -> bool {
        let record = serde_json::from_slice::<RejectedRecord>(body)
            .ok()
            .and_then(|rejected| rejected.into_record().ok());
        match record {
            Some(record) => traces.is_about(self.mapping, &record),
            None => traces.is_named_in(&String::from_utf8_lossy(body)),
        }
    }

    /// Removes elements that are the entity's id, or a value that belongs to the subject, from lists
    /// whose type says that their elements belong to persons.
    async fn forget_lists(&self, traces: &Traces, report: &mut Report) -> Result<(), ForgetError> {
        let client = &self.pipeline.clients.frauddetector;
        let reading = |code: String| failed("read the lists")(code);
        let mut pages = client.get_lists_metadata().into_paginator().send();
        while let Some(page) = pages.next().await {
            for list in page.map_err(|e| reading(code_of(&e)))?.lists() {
                let name = list.name();
                let ty = list.variable_type().unwrap_or_default();
                let mut elements = client
                    .get_list_elements()
                    .name(name)
                    .max_results(5000)
                    .into_paginator()
                    .send();
                let mut remove = Vec::new();
                while let Some(page) = elements.next().await {
                    let page = page.map_err(|e| reading(code_of(&e)))?;
                    let of_subject = page.elements().iter().filter(|e| traces.owns(ty, e));
                    remove.extend(of_subject.cloned());
                }
                report.list_entries += remove.len();
                if remove.is_empty() || self.dry_run {
                    continue;
                }
                let update = client.update_list().name(name);
                let update = update
                    .update_mode(ListUpdateMode::Remove)
                    .set_elements(Some(remove));
                update
                    .send()
                    .await
                    .map_err(|e| failed(format!("change list {name}"))(code_of(&e)))?;
            }
        }
        Ok(())
    }

    async fn forget_decisions(
        &self,
        traces: &Traces,
        decisions: &[Decision],
        report: &mut Report,
    ) -> Result<(), ForgetError> {
        report.decisions += decisions.len();
        report.labels += decisions
            .iter()
            .map(|d| d.label_history.len())
            .sum::<usize>();
        for decision in decisions {
            self.delete_item(&decision.pk, &decision.sk).await?;
        }
        for (event_type, event_id) in &traces.events {
            if let Some((event_type, event_id)) = names(event_type, event_id) {
                let key = Key::waiting(&event_type, &event_id);
                report.labels += self.delete_item(key.pk(), "labels").await?;
            }
        }
        Ok(())
    }

    /// Deletes an item, or with `dry_run` looks whether it is there; returns how many it was.
    async fn delete_item(&self, pk: &str, sk: &str) -> Result<usize, ForgetError> {
        let (pk, sk) = (
            AttributeValue::S(pk.to_owned()),
            AttributeValue::S(sk.to_owned()),
        );
        let client = &self.pipeline.clients.dynamodb;
        let table = &self.pipeline.decisions_table;
        let code = |code: String| failed("delete a decision")(code);
        let item = if self.dry_run {
            let get = client
                .get_item()
                .table_name(table)
                .key("pk", pk)
                .key("sk", sk);
            get.send().await.map_err(|e| code(code_of(&e)))?.item
        } else {
            let delete = client.delete_item().table_name(table).key("pk", pk);
            let delete = delete
                .key("sk", sk)
                .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld);
            delete
                .send()
                .await
                .map_err(|e| code(code_of(&e)))?
                .attributes
        };
        Ok(usize::from(item.is_some_and(|item| !item.is_empty())))
    }

    /// Deletes the events with their labels and predictions, through the API.
    async fn forget_events(
        &self,
        traces: &Traces,
        found: &[FoundEvent],
        report: &mut Report,
    ) -> Result<(), ForgetError> {
        for event in found {
            report.events += 1;
            report.predictions += event.predictions;
            report.labels += usize::from(event.has_label);
        }
        if self.engine.is_none() {
            report.events = traces.events.len();
        }
        if self.dry_run {
            return Ok(());
        }
        for (event_type, event_id) in &traces.events {
            let delete = self.pipeline.clients.frauddetector.delete_event();
            let delete = delete
                .event_type_name(event_type)
                .event_id(event_id)
                .delete_audit_history(true);
            delete
                .send()
                .await
                .map_err(|e| failed("delete an event")(code_of(&e)))?;
        }
        Ok(())
    }
}

fn names(event_type: &str, event_id: &str) -> Option<(EventTypeName, EventId)> {
    let event_type = EventTypeName::try_from(event_type).ok()?;
    Some((event_type, EventId::try_from(event_id).ok()?))
}

fn note_key(subject: &Subject) -> String {
    format!("{NOTE}#{}", subject.hash())
}

/// Knows which records are about something that was forgotten: history that is put in again, and
/// rejected records.
#[derive(Debug)]
pub struct Forgotten {
    /// Where it was noted.
    pub pipeline: Pipeline,
    /// How a record becomes an event.
    pub mapping: Mapping,
}

impl Forgotten {
    /// Whether anything was forgotten at all: one read for all records.
    ///
    /// # Errors
    /// [`ForgetError::Call`].
    pub async fn is_any(&self) -> Result<bool, ForgetError> {
        self.is_noted(ANY).await
    }

    /// Whether a record is about something that was forgotten.
    ///
    /// # Errors
    /// [`ForgetError::Call`].
    pub async fn holds(&self, record: &Record) -> Result<bool, ForgetError> {
        for subject in subjects(&self.mapping, record) {
            if self.is_noted(&note_key(&subject)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_noted(&self, key: &str) -> Result<bool, ForgetError> {
        let get = self.pipeline.clients.dynamodb.get_item();
        let get = get
            .table_name(&self.pipeline.decisions_table)
            .key("pk", AttributeValue::S(key.to_owned()))
            .key("sk", AttributeValue::S(NOTE.to_owned()));
        let found = get
            .send()
            .await
            .map_err(|e| failed("read what was forgotten")(code_of(&e)))?;
        Ok(found.item.is_some_and(|item| !item.is_empty()))
    }
}

/// Whom and what a record is about, as far as the mapping can read it.
fn subjects(mapping: &Mapping, record: &Record) -> Vec<Subject> {
    let Ok(value) = serde_json::from_slice::<Value>(&record.payload) else {
        return Vec::new();
    };
    let event = |event_id: &EventId| Subject::Event {
        event_type: mapping.event_type().to_string(),
        event_id: event_id.to_string(),
    };
    if let Ok(order) = mapping.order(&value) {
        let entity = Subject::Entity {
            entity_type: order.entity.entity_type.to_string(),
            entity_id: order.entity.entity_id.as_str().to_owned(),
        };
        return vec![event(&order.event_id), entity];
    }
    let labels = mapping.labels(&value).unwrap_or_default();
    labels.iter().map(|label| event(&label.event_id)).collect()
}

impl Traces {
    fn is_about(&self, mapping: &Mapping, record: &Record) -> bool {
        let read = subjects(mapping, record);
        read.iter().any(|subject| match subject {
            Subject::Event {
                event_type,
                event_id,
            } => self.has(event_type, event_id),
            Subject::Entity { .. } => *subject == self.subject,
        }) || self.is_named_in(&String::from_utf8_lossy(&record.payload))
    }

    fn has(&self, event_type: &str, event_id: &str) -> bool {
        let mut events = self.events.iter();
        events.any(|(ty, id)| ty == event_type && id == event_id)
    }

    /// For what no mapping reads: the id as a JSON string.
    fn is_named_in(&self, text: &str) -> bool {
        let named = |id: &str| {
            let quoted = Value::from(id).to_string();
            // In an object that holds a payload as text, its quotes are escaped.
            text.contains(&quoted) || text.contains(&quoted.replace('"', "\\\""))
        };
        match &self.subject {
            Subject::Entity { entity_id, .. } => named(entity_id),
            Subject::Event { event_id, .. } => named(event_id),
        }
    }

    fn owns(&self, list_type: &str, element: &str) -> bool {
        if let Subject::Entity { entity_id, .. } = &self.subject
            && element == entity_id
        {
            return true;
        }
        let element = engine::normalized(list_type, element);
        let values = self.values.get(list_type);
        values.is_some_and(|values| values.contains(&*element))
    }

    /// Whether a line of `outcomes.jsonl` is about the subject: a decision, or a prediction.
    fn is_told_in(&self, line: &str) -> bool {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            return false;
        };
        let detail = &event["detail"];
        let text = |name: &str| detail[name].as_str().unwrap_or_default();
        if self.has(text("event_type"), text("event_id"))
            || self.has(text("eventTypeName"), text("eventId"))
        {
            return true;
        }
        let Subject::Entity {
            entity_type,
            entity_id,
        } = &self.subject
        else {
            return false;
        };
        let entities = detail["entities"].as_array().into_iter().flatten();
        let mut entities = entities.map(|e| (e["entityType"].as_str(), e["entityId"].as_str()));
        text("entity_type") == entity_type && text("entity_id") == entity_id
            || entities.any(|entity| entity == (Some(entity_type), Some(entity_id)))
    }
}

/// Rewrites the local file of outcomes without the lines about the subject; returns how many they
/// were. Nobody else may work in the folder meanwhile.
///
/// # Errors
/// [`ForgetError::Occupied`], [`ForgetError::File`].
pub fn outcomes(home: &Home, traces: &Traces, dry_run: bool) -> Result<usize, ForgetError> {
    let path = home.outcomes();
    let wrong = |source| ForgetError::File {
        path: path.display().to_string(),
        source,
    };
    let Ok(file) = std::fs::File::open(&path) else {
        return Ok(0);
    };
    let at_work = std::fs::File::create(home.at_work()).map_err(wrong)?;
    if at_work.try_lock().is_err() {
        return Err(ForgetError::Occupied(home.path().display().to_string()));
    }
    let new = path.with_extension("new");
    let mut kept = std::io::BufWriter::new(std::fs::File::create(&new).map_err(wrong)?);
    let mut forgotten = 0;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(wrong)?;
        if traces.is_told_in(&line) {
            forgotten += 1;
        } else {
            writeln!(kept, "{line}").map_err(wrong)?;
        }
    }
    kept.into_inner()
        .map_err(|error| wrong(error.into_error()))?
        .sync_all()
        .map_err(wrong)?;
    if dry_run || forgotten == 0 {
        std::fs::remove_file(&new).map_err(wrong)?;
    } else {
        std::fs::rename(&new, &path).map_err(wrong)?;
    }
    std::fs::remove_file(home.at_work()).map_err(wrong)?;
    Ok(forgotten)
}

/// What no command of ours reaches.
fn remains(is_engine: bool) -> Vec<String> {
    let mut remains = vec![
        "what was put on streams, queues and the event bus before, and whatever its readers kept",
        "back-ups: point-in-time recovery of the tables, versions of objects, copies of the folder",
        "input and output files of batch jobs, and files that `fraudstream run` read",
        "models that were trained with the events",
        "a hash of the id, so that replay and import refuse it",
    ];
    if !is_engine {
        remains.push("list entries and events at Amazon that no decision of ours names");
    }
    remains.into_iter().map(str::to_owned).collect()
}
