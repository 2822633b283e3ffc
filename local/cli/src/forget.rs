//! `fraudstream forget`: an entity or an order, wherever fraudstream keeps it.
//!
//! The note that it was forgotten is written first. The events go last, or without the engine, which
//! finds them, the decisions: whoever is interrupted finds the rest by them when the command is run
//! again.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::types::ListUpdateMode;
use aws_sdk_s3::primitives::ByteStream;
use engine::Subject;
use event::Timestamp;
use serde::Serialize;
use shared::decisions::Decision;
use shared::failure::code_of;
use shared::mapping::Mapping;
use shared::records::Record;
use thiserror::Error;

use crate::dynamodb::{self, OpenError};
use crate::hold::{self, Hold};
use crate::home::Home;
use crate::machine::Pipeline;
use crate::subject::{
    self, Finder, Found, FoundLabels, FoundObject, Remedy, Told, Traces, Types, Whom, failed,
};

/// What is kept beside decisions of a subject that was forgotten: `forgotten#<hash>`.
const NOTE: &str = "forgotten";
/// Present once anything was forgotten.
const ANY: &str = "forgotten#any";
/// When it was forgotten: the attribute of a note.
const TIME: &str = "forgotten_at";

/// Why not everything was forgotten. Running the command again goes on.
#[derive(Debug, Error)]
pub enum ForgetError {
    /// What is to be forgotten cannot be found or changed.
    #[error(transparent)]
    Subject(#[from] subject::Error),
    /// The file of outcomes.
    #[error("cannot rewrite {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The database's file, whose free pages still hold what was deleted.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// Another process works in the folder.
    #[error("another process works in {0}; stop it and run the command again")]
    Occupied(String),
}

impl From<engine::Error> for ForgetError {
    fn from(error: engine::Error) -> Self {
        Self::Subject(error.into())
    }
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
    /// Objects under `rejected/`, `replayed/` and `aws/lambda/` that were about nobody else.
    pub rejected_objects: usize,
    /// Objects under `aws/lambda/` that hold others' records, too, and go on without the subject's.
    pub rewritten_objects: usize,
    /// Lines of `outcomes.jsonl`.
    pub outcomes: usize,
    /// Orders that are not wiped yet, and why.
    pub held: Vec<Held>,
    /// What the command cannot reach.
    pub remains: Vec<String>,
}

/// An order that is not wiped yet: its decision stays without the person's values, hashes of these
/// stay beside it, and so do the person's elements of lists that block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Event type.
    pub event_type: String,
    /// Event id.
    pub event_id: String,
    /// Why.
    pub reason: Hold,
    /// Until when, ISO 8601 UTC. Then it can be forgotten.
    pub until: String,
    #[serde(skip)]
    expires_at: i64,
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
            (self.rewritten_objects, "objects of others' records, too"),
            (self.outcomes, "lines of outcomes"),
        ] {
            writeln!(f, "  {count:>6} {what}")?;
        }
        if !self.held.is_empty() {
            writeln!(f, "held, without the person's values:")?;
        }
        for held in &self.held {
            let (reason, until) = (held.reason, &held.until);
            writeln!(f, "  {} until {until}: {reason}", held.event_id)?;
        }
        writeln!(f, "remains:")?;
        self.remains
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Everything that forgets.
pub struct Forget<'a> {
    /// Where it is found.
    pub finder: Finder<'a>,
    /// Whether the tables are on AWS, where there are queues.
    pub is_remote: bool,
    /// Only count.
    pub dry_run: bool,
    /// When it is forgotten.
    pub now: Timestamp,
}

impl Forget<'_> {
    /// Forgets a subject, but for what stands in local files; see [`local_files`].
    ///
    /// # Errors
    /// [`ForgetError`]; what was deleted before stays deleted.
    pub async fn run(&self, whom: Whom) -> Result<(Report, Traces), ForgetError> {
        let mut found = self.finder.find(whom, self.now).await?;
        let mut report = Report {
            dry_run: self.dry_run,
            remains: std::mem::take(&mut found.unread),
            ..Report::default()
        };
        let cannot_be_read = |place: &mut String| place.insert_str(0, "cannot be read: ");
        report.remains.iter_mut().for_each(cannot_be_read);
        report.held = self.held(&found);
        if !self.dry_run {
            self.note(&found.traces).await?;
        }
        if !self.dry_run && !report.held.is_empty() {
            self.hold(&found.traces, &report.held).await?;
        }
        self.forget_lists(&found, &mut report).await?;
        self.forget_objects(&found.objects, &mut report).await?;
        if self.finder.engine.is_some() {
            self.forget_decisions(&found, &mut report).await?;
            self.forget_events(&found, &mut report).await?;
        } else {
            // Only the decisions name the events at Amazon.
            self.forget_events(&found, &mut report).await?;
            self.forget_decisions(&found, &mut report).await?;
        }
        report
            .remains
            .extend(remains(self.is_remote, self.finder.engine.is_some()));
        Ok((report, found.traces))
    }

    async fn note(&self, traces: &Traces) -> Result<(), ForgetError> {
        let events = traces.events.iter();
        let events = events.map(|(event_type, event_id)| Subject::Event {
            event_type: event_type.clone(),
            event_id: event_id.clone(),
        });
        self.put_note(ANY.to_owned()).await?;
        for subject in traces.subjects.iter().cloned().chain(events) {
            if let Some(engine) = self.finder.engine {
                engine.note_forgotten(&subject).await?;
                engine.forget_habits(&subject).await?;
            }
            self.put_note(note_key(&subject)).await?;
        }
        Ok(())
    }

    /// The orders that cannot be wiped yet.
    fn held(&self, found: &Found) -> Vec<Held> {
        let fraud = self.finder.mapping.chargeback_labels();
        let events = found.traces.events.iter();
        let held = events.filter_map(|(event_type, event_id)| {
            let history = subject::history(found, event_type, event_id);
            let (reason, until) = hold::of(&history, &fraud, self.now)?;
            Some(Held {
                event_type: event_type.clone(),
                event_id: event_id.clone(),
                reason,
                until: until.to_string(),
                expires_at: until.epoch_seconds(),
            })
        });
        held.collect()
    }

    /// Keeps the hashes of who is held, with the reason that lasts longest.
    async fn hold(&self, traces: &Traces, held: &[Held]) -> Result<(), ForgetError> {
        let events = held
            .iter()
            .map(|held| hold::event_hash(&held.event_type, &held.event_id));
        let mut hashes = traces.hashes();
        hashes.extend(events);
        let Some(held) = held.iter().max_by_key(|held| held.expires_at) else {
            return Ok(());
        };
        let together = AttributeValue::Ss(hashes.iter().cloned().collect());
        let expires_at = held.expires_at + hold::LONGER;
        for owner in traces.owners() {
            for hash in &hashes {
                let put = self.finder.pipeline.clients.dynamodb.put_item();
                let put = put
                    .table_name(&self.finder.pipeline.decisions_table)
                    .item("pk", AttributeValue::S(hold::key(hash)))
                    .item("sk", AttributeValue::S(hold::sort(&owner)))
                    .item("kind", AttributeValue::S(hold::KIND.to_owned()))
                    .item(hold::HASHES, together.clone())
                    .item(hold::REASON, AttributeValue::S(held.reason.to_string()))
                    .item(hold::UNTIL, AttributeValue::S(held.until.clone()))
                    .item("expires_at", AttributeValue::N(expires_at.to_string()));
                let put = put.send().await;
                put.map_err(|error| failed("keep why something is held")(code_of(&error)))?;
            }
        }
        Ok(())
    }

    async fn put_note(&self, key: String) -> Result<(), ForgetError> {
        let put = self.finder.pipeline.clients.dynamodb.put_item();
        let put = put
            .table_name(&self.finder.pipeline.decisions_table)
            .item("pk", AttributeValue::S(key))
            .item("sk", AttributeValue::S(NOTE.to_owned()))
            .item("kind", AttributeValue::S(NOTE.to_owned()))
            .item(TIME, AttributeValue::S(self.now.to_string()));
        let put = put.send().await;
        put.map_err(|error| failed("note what is forgotten")(code_of(&error)))?;
        Ok(())
    }

    /// Deletes the objects that are about nobody else, and takes the subject's records out of the
    /// others.
    async fn forget_objects(
        &self,
        objects: &[FoundObject],
        report: &mut Report,
    ) -> Result<(), ForgetError> {
        let (s3, bucket) = (
            &self.finder.pipeline.clients.s3,
            &self.finder.pipeline.bucket,
        );
        for FoundObject { key, remedy, .. } in objects {
            match remedy {
                Remedy::Name(why) => {
                    report.remains.push(format!("s3://{bucket}/{key}: {why}"));
                }
                Remedy::Delete => {
                    report.rejected_objects += 1;
                    if !self.dry_run {
                        let delete = s3.delete_object().bucket(bucket).key(key).send().await;
                        delete.map_err(|e| failed(format!("delete {key}"))(code_of(&e)))?;
                    }
                }
                Remedy::Rewrite(body) => {
                    report.rewritten_objects += 1;
                    if !self.dry_run {
                        let put = s3.put_object().bucket(bucket).key(key);
                        let put = put.body(ByteStream::from(body.clone())).send().await;
                        put.map_err(|e| failed(format!("rewrite {key}"))(code_of(&e)))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes the subject's elements from lists. The engine's lists keep a log of their changes,
    /// so there they are removed from the log, too.
    async fn forget_lists(&self, found: &Found, report: &mut Report) -> Result<(), ForgetError> {
        let client = &self.finder.pipeline.clients.frauddetector;
        let is_held = !report.held.is_empty();
        let blocking = if is_held || found.traces.is_any_protected() {
            self.blocking_lists().await?
        } else {
            BTreeSet::new()
        };
        for (list, elements) in &found.list_elements {
            // What somebody else is held for stays, whatever becomes of the subject.
            let is_kept = |element: &String| {
                blocking.contains(list) && (is_held || found.traces.is_protected(element))
            };
            let (kept, elements): (Vec<String>, Vec<String>) =
                elements.iter().cloned().partition(is_kept);
            if !kept.is_empty() {
                let count = kept.len();
                let what = format!(
                    "list {list}, which blocks: {count} elements, as long as an order is held"
                );
                report.remains.push(what);
            }
            if elements.is_empty() {
                continue;
            }
            report.list_entries += elements.len();
            if self.dry_run {
                continue;
            }
            if let Some(engine) = self.finder.engine {
                engine.erase_list_elements(list, &elements).await?;
                continue;
            }
            let update = client.update_list().name(list);
            let update = update
                .update_mode(ListUpdateMode::Remove)
                .set_elements(Some(elements));
            let update = update.send().await;
            update.map_err(|e| failed(format!("change list {list}"))(code_of(&e)))?;
        }
        Ok(())
    }

    /// The lists by which a rule gives the most important outcome, as `in @list`.
    async fn blocking_lists(&self) -> Result<BTreeSet<String>, ForgetError> {
        let client = &self.finder.pipeline.clients.frauddetector;
        let (detector, worst) = (
            self.finder.mapping.detector(),
            self.finder.mapping.outcome_priority().first(),
        );
        let rules = client.get_rules().detector_id(detector.as_str());
        let mut pages = rules.into_paginator().send();
        let mut lists = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| failed("read the rules")(code_of(&e)))?;
            for rule in page.rule_details() {
                let mut outcomes = rule.outcomes().iter();
                if outcomes.any(|outcome| worst.is_some_and(|worst| worst.as_str() == outcome)) {
                    lists.extend(lists_in(rule.expression().unwrap_or_default()));
                }
            }
        }
        Ok(lists)
    }

    async fn forget_decisions(
        &self,
        found: &Found,
        report: &mut Report,
    ) -> Result<(), ForgetError> {
        let is_held = |event_id: &str, report: &Report| {
            report.held.iter().any(|held| held.event_id == event_id)
        };
        for (event_type, event_id) in &found.traces.events {
            if !is_held(event_id, report) {
                // A message stands on every decision of its event, and beside them.
                report.labels += subject::history(found, event_type, event_id).len();
            }
        }
        for labels in &found.labels {
            let mut held = report.held.iter();
            if held.any(|h| {
                labels
                    .pk
                    .ends_with(&format!("#{}#{}", h.event_type, h.event_id))
            }) {
                self.strip_labels(labels).await?;
                continue;
            }
            self.delete_item(&labels.pk, subject::LABELS).await?;
        }
        let types = self.finder.variable_types().await?;
        for decision in &found.decisions {
            if is_held(&decision.event_id, report) {
                self.strip(&found.traces, &types, decision).await?;
                continue;
            }
            report.decisions += 1;
            self.delete_item(&decision.pk, &decision.sk).await?;
        }
        // Once no order is held, nothing tells that one was.
        for (pk, sk) in found.held_items.iter().filter(|_| report.held.is_empty()) {
            self.delete_item(pk, sk).await?;
        }
        Ok(())
    }

    /// Takes the messages, which hold whatever was sent, away from the labels that they brought.
    async fn strip_labels(&self, labels: &FoundLabels) -> Result<(), ForgetError> {
        if self.dry_run || labels.records.is_empty() {
            return Ok(());
        }
        let update = self.finder.pipeline.clients.dynamodb.update_item();
        let mut update = update
            .table_name(&self.finder.pipeline.decisions_table)
            .key("pk", AttributeValue::S(labels.pk.clone()))
            .key("sk", AttributeValue::S(subject::LABELS.to_owned()))
            .condition_expression("attribute_exists(pk)");
        let mut places = Vec::new();
        for (place, name) in labels.records.iter().enumerate() {
            update = update.expression_attribute_names(format!("#r{place}"), name);
            places.push(format!("#r{place}"));
        }
        let update = update.update_expression(format!("REMOVE {}", places.join(", ")));
        let update = update.send().await;
        update.map_err(|e| failed("remove the messages of labels")(code_of(&e)))?;
        Ok(())
    }

    /// Writes a decision without what belongs to the person.
    async fn strip(
        &self,
        traces: &Traces,
        types: &Types,
        decision: &Decision,
    ) -> Result<(), ForgetError> {
        if self.dry_run {
            return Ok(());
        }
        let mut decision = decision.clone();
        traces.strip(types, &mut decision);
        let item = serde_dynamo::to_item(&decision);
        let item = item.map_err(|e| failed("write a held decision")(e.to_string()))?;
        let put = self.finder.pipeline.clients.dynamodb.put_item();
        let put = put
            .table_name(&self.finder.pipeline.decisions_table)
            .set_item(Some(item));
        // Whoever brings a label meanwhile counts it: the command is then to be run again.
        let put = put
            .condition_expression("label_revision = :revision")
            .expression_attribute_values(
                ":revision",
                AttributeValue::N(decision.label_revision.to_string()),
            );
        let put = put.send().await;
        put.map_err(|e| failed("write a held decision")(code_of(&e)))?;
        Ok(())
    }

    async fn delete_item(&self, pk: &str, sk: &str) -> Result<(), ForgetError> {
        if self.dry_run {
            return Ok(());
        }
        let delete = self.finder.pipeline.clients.dynamodb.delete_item();
        let delete = delete
            .table_name(&self.finder.pipeline.decisions_table)
            .key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()));
        let delete = delete.send().await;
        delete.map_err(|e| failed("delete a decision")(code_of(&e)))?;
        Ok(())
    }

    /// Deletes the events with their labels and predictions, through the API.
    async fn forget_events(&self, found: &Found, report: &mut Report) -> Result<(), ForgetError> {
        for event in &found.events {
            report.events += 1;
            report.predictions += event.predictions;
            report.labels += usize::from(event.label.is_some());
        }
        if self.finder.engine.is_none() {
            report.events = found.traces.events.len();
        }
        if self.dry_run {
            return Ok(());
        }
        for (event_type, event_id) in &found.traces.events {
            let delete = self.finder.pipeline.clients.frauddetector.delete_event();
            let delete = delete
                .event_type_name(event_type)
                .event_id(event_id)
                .delete_audit_history(true);
            let delete = delete.send().await;
            delete.map_err(|e| failed("delete an event")(code_of(&e)))?;
        }
        Ok(())
    }
}

/// The lists that an expression tests with `in @list`, and not with `not in`.
fn lists_in(expression: &str) -> BTreeSet<String> {
    let places = expression.match_indices('@').filter_map(|(at, _)| {
        let before = expression.get(..at)?.trim_end().strip_suffix("in")?;
        if before.trim_end().ends_with("not") {
            return None;
        }
        let name = expression.get(at + 1..)?;
        let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-';
        name.split(is_end).next().map(str::to_owned)
    });
    places.collect()
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
    /// [`ForgetError::Subject`].
    pub async fn is_any(&self) -> Result<bool, ForgetError> {
        Ok(self.note(ANY).await?.is_some())
    }

    /// Whether a record is about something that was forgotten: an event, or an entity's order that
    /// was made before. A later order of a forgotten customer is a new order.
    ///
    /// # Errors
    /// [`ForgetError::Subject`].
    pub async fn holds(&self, record: &Record) -> Result<bool, ForgetError> {
        // What cannot be read cannot be decided either.
        let Ok(value) = record.json() else {
            return Ok(false);
        };
        let Some(told) = Told::new(&self.mapping, &value) else {
            return Ok(false);
        };
        for subject in &told.subjects {
            let Some(note) = self.note(&note_key(subject)).await? else {
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

    async fn note(&self, key: &str) -> Result<Option<Note>, ForgetError> {
        let get = self.pipeline.clients.dynamodb.get_item();
        let get = get
            .table_name(&self.pipeline.decisions_table)
            .key("pk", AttributeValue::S(key.to_owned()))
            .key("sk", AttributeValue::S(NOTE.to_owned()));
        let found = get.send().await;
        let found = found.map_err(|e| failed("read what was forgotten")(code_of(&e)))?;
        Ok(found.item.filter(|item| !item.is_empty()).map(|item| {
            let time = item.get(TIME).and_then(|time| time.as_s().ok());
            let time = time.and_then(|time| Timestamp::parse(time).ok());
            Note { time }
        }))
    }
}

/// That something was forgotten, and when; an old note does not say when.
struct Note {
    time: Option<Timestamp>,
}

/// Rewrites the files of the local folder once its database is closed: the outcomes without the lines
/// about the subject, and the database without the pages that deleted items left behind. Returns how
/// many lines there were. Nobody else may work in the folder meanwhile.
///
/// # Errors
/// [`ForgetError::Occupied`], [`ForgetError::File`], [`ForgetError::Database`].
pub fn local_files(home: &Home, traces: &Traces, dry_run: bool) -> Result<usize, ForgetError> {
    if dry_run {
        return count_outcomes(home, traces);
    }
    let path = home.at_work();
    let wrong = |source| ForgetError::File {
        path: path.display().to_string(),
        source,
    };
    let at_work = std::fs::File::create(&path).map_err(wrong)?;
    if at_work.try_lock().is_err() {
        return Err(ForgetError::Occupied(home.path().display().to_string()));
    }
    let forgotten = outcomes(home, traces)?;
    dynamodb::compact(&home.database())?;
    std::fs::remove_file(&path).map_err(wrong)?;
    Ok(forgotten)
}

/// How many lines there are about the subject; writes nothing.
fn count_outcomes(home: &Home, traces: &Traces) -> Result<usize, ForgetError> {
    let path = home.outcomes();
    let Ok(file) = std::fs::File::open(&path) else {
        return Ok(0);
    };
    let mut count = 0;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|source| ForgetError::File {
            path: path.display().to_string(),
            source,
        })?;
        count += usize::from(traces.is_told_in(&line));
    }
    Ok(count)
}

fn outcomes(home: &Home, traces: &Traces) -> Result<usize, ForgetError> {
    let path = home.outcomes();
    let wrong = |source| ForgetError::File {
        path: path.display().to_string(),
        source,
    };
    let Ok(file) = std::fs::File::open(&path) else {
        return Ok(0);
    };
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
    if forgotten == 0 {
        std::fs::remove_file(&new).map_err(wrong)?;
    } else {
        std::fs::rename(&new, &path).map_err(wrong)?;
    }
    Ok(forgotten)
}

/// What no command of ours reaches.
fn remains(is_remote: bool, is_engine: bool) -> Vec<String> {
    let mut remains = vec![
        "what was put on streams, queues and the event bus before, and whatever its readers kept",
        "back-ups: point-in-time recovery of the tables, versions of objects, copies of the folder",
        "input and output files of batch jobs, and files that `fraudstream run` read",
        "models that were trained with the events",
        "a hash of the id, so that replay and import refuse it",
    ];
    if is_remote {
        remains.push(DEAD_LETTERS);
    }
    if !is_engine {
        remains.push("list entries and events at Amazon that no decision of ours names");
    }
    remains.into_iter().map(str::to_owned).collect()
}

/// Queues are no part of the clients: a person looks into them.
const DEAD_LETTERS: &str = "messages in the dead-letter queues STACK-orders-dead, STACK-orders-dead.fifo, \
STACK-history-dead and STACK-chargebacks-dead; read each with `aws sqs receive-message --queue-url \
$(aws sqs get-queue-url --queue-name STACK-orders-dead --query QueueUrl --output text) \
--max-number-of-messages 10`, and delete the subject's with `aws sqs delete-message` and the ReceiptHandle";

#[cfg(test)]
mod tests;
