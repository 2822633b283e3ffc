//! Labels and their timestamps: what a chargeback says of an order, and when it was known.
//!
//! An event has one label history, decided or not: an item of its own beside the decisions, which is only ever added to.
//! [`current`] says which of its labels counts. Decisions carry a copy of the history, the service gets the label that
//! counts.
//!
//! No label is missed, because both sides write before they look: [`Labels::apply`] adds to the history and then looks
//! for decisions and for the event at the service; `predict` and `ingest` write the decision or the event and then look
//! at the history ([`Labels::catch_up`]). Every step is safe to repeat.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use event::hash::short_hash;
use event::{EventId, EventTypeName, LabelMessage, LabelTime, Revision, Timestamp};
use futures::{StreamExt as _, stream};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::batch::Batcher;
use crate::decisions::{Decision, Decisions, Found, Key};
use crate::failure::{Call, CallError, Class, Failure, Rejection, dependency};
use crate::known_faults::{KnownFault, is_back};
use crate::mapping::Mapping;
use crate::records::{Origin, Position, Record};
use crate::rejected::{Rejected, RejectedRecord};

/// The function that labels are for, as rejected records name it.
pub const FUNCTION: &str = "label";
/// How far a label's time may lie before its event's: clocks and time zones differ.
const SKEW_SECONDS: i64 = 48 * 3600;
/// How far a label's time may lie in the future.
const FUTURE_SECONDS: i64 = 24 * 3600;
/// How often two writers of one event's labels may meet before the record is delivered again.
const MEETINGS: usize = 10;
/// Labels that are copied to a decision in one write: DynamoDB takes an expression of 4 KB.
const COPIED_AT_ONCE: usize = 50;
/// Events whose labels are brought home at a time.
const AT_ONCE: usize = 16;
/// Names the attribute of a label in a history.
const LABEL_PREFIX: &str = "label_";
/// Names the attribute with the message that brought a label.
const RECORD_PREFIX: &str = "record_";
/// Names the attribute with the time at which a label was first received, in milliseconds since 1970.
const SEEN_PREFIX: &str = "seen_";
/// The longest message that is kept beside its label, in bytes.
const LONGEST_RECORD: usize = 2 * 1024;
/// The most labels of one event: with their messages they fit into an item of 400 KB.
const MOST_LABELS: usize = 100;

/// A label message as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelEntry {
    /// The label, or none.
    pub label: Option<String>,
    /// When it was known, ISO 8601 UTC.
    pub label_timestamp: String,
    /// Whether the source gave a day only.
    #[serde(default)]
    pub day_only: bool,
    /// Rank of its source.
    pub rank: u32,
    /// What it is.
    pub kind: String,
    /// The scheme's reason code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    /// The amount in dispute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Its currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Who sent it.
    pub source: String,
}

impl From<&LabelMessage> for LabelEntry {
    fn from(label: &LabelMessage) -> Self {
        Self {
            label: label.label.as_ref().map(ToString::to_string),
            label_timestamp: label.time.time.to_string(),
            day_only: label.time.day_only,
            rank: label.rank,
            kind: label.kind.clone(),
            reason_code: label.reason_code.clone(),
            amount: label.amount.clone(),
            currency: label.currency.clone(),
            source: label.source.clone(),
        }
    }
}

impl LabelEntry {
    /// Names the message by its content, so that it is kept once however often it arrives.
    pub fn id(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        short_hash(text.as_bytes())
    }

    fn precedence(&self) -> (u32, &str, String) {
        // The id breaks ties, so that every reader picks the same one.
        (self.rank, &self.label_timestamp, self.id())
    }

    fn item(&self) -> Result<AttributeValue, Failure> {
        serde_dynamo::to_attribute_value(self)
            .map_err(|_| Failure::retry("a label does not serialize"))
    }
}

/// The current label of a history: the highest rank, then the newest.
pub fn current(history: &BTreeMap<String, LabelEntry>) -> Option<&LabelEntry> {
    history
        .values()
        .filter(|entry| entry.label.is_some())
        .max_by(|a, b| a.precedence().cmp(&b.precedence()))
}

/// The labels of one event, as they are stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelHistory {
    /// The labels, by their ids.
    labels: BTreeMap<String, LabelEntry>,
    /// The messages that brought those which came before their decision, by the labels' ids; JSON of [`RejectedRecord`].
    records: HashMap<String, String>,
    /// When each was first received, by the labels' ids, in milliseconds since 1970. Releases before wrote none.
    seen: BTreeMap<String, i64>,
}

impl LabelHistory {
    /// Reads a label item.
    ///
    /// # Errors
    /// [`Failure::Retry`]: a label was written by another version of the product, so it is set-up.
    pub(crate) fn read(item: &HashMap<String, AttributeValue>) -> Result<Self, Failure> {
        let mut history = Self::default();
        for (name, value) in item {
            if let Some(id) = name.strip_prefix(LABEL_PREFIX) {
                let entry = serde_dynamo::from_attribute_value(value.clone())
                    .map_err(|_| Failure::set_up("a label is not readable by this version"))?;
                history.labels.insert(id.to_owned(), entry);
            } else if let (Some(id), Ok(record)) = (name.strip_prefix(RECORD_PREFIX), value.as_s())
            {
                history.records.insert(id.to_owned(), record.clone());
            } else if let (Some(id), Ok(time)) = (name.strip_prefix(SEEN_PREFIX), value.as_n())
                && let Ok(time) = time.parse()
            {
                history.seen.insert(id.to_owned(), time);
            }
        }
        Ok(history)
    }

    /// Whether there is room for the labels.
    ///
    /// # Errors
    /// [`Failure::Rejected`] where there are more than [`MOST_LABELS`].
    fn check_size(&self) -> Result<(), Failure> {
        if self.labels.len() <= MOST_LABELS {
            return Ok(());
        }
        let reason =
            format!("the event has {MOST_LABELS} labels already, which is the most that are kept");
        Err(Failure::rejected("too-many-labels", reason))
    }

    fn add(&mut self, other: &Self) {
        let labels = other.labels.iter();
        self.labels
            .extend(labels.map(|(id, entry)| (id.clone(), entry.clone())));
        let records = other.records.iter();
        self.records
            .extend(records.map(|(id, record)| (id.clone(), record.clone())));
        self.seen
            .extend(other.seen.iter().map(|(id, time)| (id.clone(), *time)));
    }

    /// Whether a label is the verdict on the order that was decided here: it was received after the decision was begun.
    /// One that was known before is none, for the decision asked for a review all the same; a message that gives no label
    /// is none either.
    ///
    /// It is told from what is stored, so that all who bring a label home close the same reviews, however often they do.
    fn has_verdict_on(&self, decision: &Decision) -> bool {
        let Ok(decided) = Timestamp::parse(&decision.decided_at) else {
            return false;
        };
        let mut seen = self.seen.iter();
        seen.any(|(id, time)| {
            let entry = self.labels.get(id);
            *time >= decided.epoch_millis() && entry.is_some_and(|entry| entry.label.is_some())
        })
    }

    fn add_copies(&mut self, decisions: &[Decision]) {
        let copies = decisions
            .iter()
            .flat_map(|decision| &decision.label_history);
        self.labels
            .extend(copies.map(|(id, entry)| (id.clone(), entry.clone())));
    }

    fn remove(&mut self, id: &str) {
        self.labels.remove(id);
        self.records.remove(id);
        self.seen.remove(id);
    }
}

/// What became of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It stands on the decision, or at the service, or both.
    Applied {
        /// Whether its time lay before the event's and was accepted all the same.
        skewed: bool,
    },
    /// It is a message that changes no label, and is kept in the history.
    Kept,
    /// Its event is not there yet.
    Waiting,
}

/// An event that its function has just created or found.
#[derive(Clone, Debug)]
pub struct Created<'a> {
    /// The event.
    pub event_id: EventId,
    /// The decision on it, where it has been decided.
    pub decision: Option<&'a Decision>,
}

/// What the service did with the label that counts.
enum Told {
    /// It has the label, or there is none to have.
    Knows,
    /// It has no such event.
    NoEvent,
}

/// Applies labels to decisions and to the service.
#[derive(Clone, Debug)]
pub struct Labels {
    decisions: Decisions,
    fraud_detector: aws_sdk_frauddetector::Client,
    rejected: Rejected,
    event_type: EventTypeName,
    zone: TimeZone,
    retention_seconds: i64,
}

impl Labels {
    /// Labels of the event type of a mapping; `rejected` is where a label goes that turns out to be before its event.
    pub fn new(
        decisions: Decisions,
        fraud_detector: aws_sdk_frauddetector::Client,
        rejected: Rejected,
        mapping: &Mapping,
    ) -> Self {
        Self {
            decisions,
            fraud_detector,
            rejected,
            event_type: mapping.event_type().clone(),
            zone: mapping.timezone().clone(),
            retention_seconds: mapping.retention_seconds(),
        }
    }

    /// Applies a label that a record brought; `now` is the time of receiving it. Calls of the service keep to the
    /// budget of `batcher`.
    ///
    /// # Errors
    /// [`Failure::Rejected`] for a time that cannot be right, a label the event type lacks, or one label too many,
    /// [`Failure::Retry`] where a dependency fails.
    pub async fn apply(
        &self,
        label: &LabelMessage,
        record: &Record,
        now: Timestamp,
        batcher: &Batcher,
    ) -> Result<Applied, Failure> {
        if label.time.time.epoch_seconds() - now.epoch_seconds() > FUTURE_SECONDS {
            let reason = format!(
                "the label's time {} is more than 24 hours in the future",
                label.time.time
            );
            return Err(Failure::rejected("label-in-future", reason));
        }
        let entry = LabelEntry::from(label);
        let event_id = &label.event_id;
        let decisions = self.decisions.revisions(&self.event_type, event_id).await?;
        self.check_skew(&decisions, &entry)?;
        // The message is kept only where its time could not be checked yet.
        let kept = decisions.is_empty().then_some(record);
        self.add_to_history(event_id, &entry, kept, Some(now), now)
            .await?;

        // A decision that was written before this look gets the label here; who writes one later finds the label.
        let decisions = self.decisions.revisions(&self.event_type, event_id).await?;
        let mut history = self.history(event_id).await?;
        let checked = self.check_skew(&decisions, &entry);
        let checked = checked.and_then(|skewed| history.check_size().map(|()| skewed));
        let skewed = match checked {
            Ok(skewed) => skewed,
            Err(failure) => {
                self.remove_from_history(event_id, &entry.id()).await?;
                return Err(failure);
            }
        };
        // Releases before label histories kept labels on decisions alone.
        for (id, copy) in decisions.iter().flat_map(|it| &it.label_history) {
            if !history.labels.contains_key(id) {
                self.add_to_history(event_id, copy, None, None, now).await?;
                history.labels.insert(id.clone(), copy.clone());
            }
        }
        let known = history.clone();
        let told = if is_back(KnownFault::RankIgnored) && decisions.is_empty() {
            let is_there = self.send(event_id, &entry).await;
            is_there.map(|is_there| if is_there { Told::Knows } else { Told::NoEvent })
        } else {
            self.tell_service(event_id, history, batcher).await
        };
        let told = match told {
            Err(Failure::Rejected(rejection)) => {
                return Err(self
                    .refused(event_id, &entry, &known.labels, rejection)
                    .await?);
            }
            told => told?,
        };
        for decision in &decisions {
            self.copy_to(decision.clone(), &known).await?;
        }
        Ok(match told {
            _ if entry.label.is_none() => Applied::Kept,
            Told::NoEvent if decisions.is_empty() => Applied::Waiting,
            Told::NoEvent => {
                // Decided, and not stored at the service (ingestion is off): the decision has the label.
                metrics::counter!("LabelWithoutStoredEvent").increment(1);
                Applied::Applied { skewed }
            }
            Told::Knows => Applied::Applied { skewed },
        })
    }

    /// What it means that the service refuses the label that counts: the fault of this label, which leaves the history,
    /// or of one that the service took before.
    async fn refused(
        &self,
        event_id: &EventId,
        entry: &LabelEntry,
        labels: &BTreeMap<String, LabelEntry>,
        rejection: Rejection,
    ) -> Result<Failure, Failure> {
        if current(labels) != Some(entry) {
            return Ok(Failure::set_up(
                "UpdateEventLabel: a label of before is refused",
            ));
        }
        self.remove_from_history(event_id, &entry.id()).await?;
        Ok(Failure::Rejected(rejection))
    }

    /// Brings home the labels of events that were just created or found; `done` is told of each when it is done.
    ///
    /// A label whose time turns out to be impossible is written to the rejected records, with the message that brought
    /// it, and taken out of the history.
    pub async fn catch_up(
        &self,
        created: &[Created<'_>],
        batcher: &Batcher,
        done: impl Fn(usize, Result<(), Failure>),
    ) {
        let mut keys: Vec<Key> = Vec::with_capacity(2 * created.len());
        for event_id in created.iter().map(|created| &created.event_id) {
            keys.extend(self.label_keys(event_id));
        }
        // BatchGetItem refuses a request that names a key twice.
        keys.sort_unstable();
        keys.dedup();
        let found = self.decisions.read(keys).await;
        stream::iter(created.iter().enumerate())
            .for_each_concurrent(AT_ONCE, async |(index, created)| {
                done(
                    index,
                    match &found {
                        Ok(found) => self.catch_up_one(created, found, batcher).await,
                        Err(failure) => Err(failure.clone()),
                    },
                );
            })
            .await;
    }

    async fn catch_up_one(
        &self,
        created: &Created<'_>,
        found: &Found,
        batcher: &Batcher,
    ) -> Result<(), Failure> {
        let Created { event_id, decision } = created;
        let mut history = self.history_in(event_id, found);
        if let Some(decision) = decision {
            self.park_impossible(event_id, decision, &mut history)
                .await?;
            history.add_copies(std::slice::from_ref(*decision));
            // Releases before label histories kept labels on the decisions of other revisions alone.
            if decision.revision != Revision::FIRST.number() {
                let decisions = self.decisions.revisions(&self.event_type, event_id).await?;
                history.add_copies(&decisions);
            }
            self.copy_to((*decision).clone(), &history).await?;
        }
        if current(&history.labels).is_none() {
            return Ok(());
        }
        match self.tell_service(event_id, history, batcher).await {
            Ok(Told::NoEvent) if decision.is_none() => Err(Failure::retry(
                "UpdateEventLabel: the event is not visible yet",
            )),
            Ok(_) => Ok(()),
            Err(Failure::Rejected(rejection)) if rejection.refusal.is_some() => Err(
                Failure::set_up("UpdateEventLabel: a label that came before its event is refused"),
            ),
            Err(failure) => Err(failure),
        }
    }

    /// Takes labels out of a history that are from before the event, and keeps them with the rejected records.
    async fn park_impossible(
        &self,
        event_id: &EventId,
        decision: &Decision,
        history: &mut LabelHistory,
    ) -> Result<(), Failure> {
        for (id, entry) in history.labels.clone() {
            let on_time = self
                .check_skew(std::slice::from_ref(decision), &entry)
                .is_ok();
            if on_time || decision.label_history.contains_key(&id) {
                continue;
            }
            // As with a label that comes now, the first revision's time counts; what a decision has was checked.
            let decisions = self.decisions.revisions(&self.event_type, event_id).await?;
            let mut others = decisions.iter();
            if others.any(|other| other.label_history.contains_key(&id)) {
                continue;
            }
            if let Err(failure) = self.check_skew(&decisions, &entry) {
                self.park(event_id, &id, &entry, history, failure).await?;
                history.remove(&id);
            }
        }
        Ok(())
    }

    fn label_keys(&self, event_id: &EventId) -> [Key; 2] {
        [
            Key::labels(&self.event_type, event_id),
            Key::waiting(&self.event_type, event_id),
        ]
    }

    /// The label history of an event.
    async fn history(&self, event_id: &EventId) -> Result<LabelHistory, Failure> {
        let found = self.decisions.read(self.label_keys(event_id)).await?;
        Ok(self.history_in(event_id, &found))
    }

    fn history_in(&self, event_id: &EventId, found: &Found) -> LabelHistory {
        let mut history = LabelHistory::default();
        for key in self.label_keys(event_id) {
            if let Some(labels) = found.labels(&key) {
                history.add(labels);
            }
        }
        history
    }

    /// Adds a label to the history of its event, with the time at which it was `seen` first. Adding it again changes
    /// nothing.
    async fn add_to_history(
        &self,
        event_id: &EventId,
        entry: &LabelEntry,
        record: Option<&Record>,
        seen: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let until = now.epoch_seconds() + self.retention_seconds;
        let record = record.filter(|record| record.payload.len() <= LONGEST_RECORD);
        let record = record.map(stored_record).transpose()?;
        let mut set = "SET #label = :label, kind = :kind, expires_at = :until".to_owned();
        let mut update = self
            .decisions
            .client()
            .update_item()
            .table_name(self.decisions.table());
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
            .set_key(Some(Key::labels(&self.event_type, event_id).item()))
            .update_expression(set)
            .expression_attribute_names("#label", format!("{LABEL_PREFIX}{}", entry.id()))
            .expression_attribute_values(":label", entry.item()?)
            .expression_attribute_values(":kind", AttributeValue::S("labels".to_owned()))
            .expression_attribute_values(":until", AttributeValue::N(until.to_string()));
        update
            .send()
            .await
            .map_err(|error| dependency("UpdateItem", &error))?;
        Ok(())
    }

    /// Takes a label out of the history of its event, also where an earlier release wrote it.
    async fn remove_from_history(&self, event_id: &EventId, id: &str) -> Result<(), Failure> {
        for key in self.label_keys(event_id) {
            let update = self
                .decisions
                .client()
                .update_item()
                .table_name(self.decisions.table());
            let update = update
                .set_key(Some(key.item()))
                .update_expression("REMOVE #label, #record, #seen")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_names("#label", format!("{LABEL_PREFIX}{id}"))
                .expression_attribute_names("#record", format!("{RECORD_PREFIX}{id}"))
                .expression_attribute_names("#seen", format!("{SEEN_PREFIX}{id}"));
            match update.send().await {
                Ok(_) => {}
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(_)) => {}
                    _ => return Err(dependency("UpdateItem", &error)),
                },
            }
        }
        Ok(())
    }

    /// Keeps a label that cannot be right with the rejected records, and takes it out of the history.
    async fn park(
        &self,
        event_id: &EventId,
        id: &str,
        entry: &LabelEntry,
        history: &LabelHistory,
        failure: Failure,
    ) -> Result<(), Failure> {
        let Failure::Rejected(rejection) = failure else {
            return Err(failure);
        };
        let record = history
            .records
            .get(id)
            .and_then(|text| serde_json::from_str::<RejectedRecord>(text).ok())
            .and_then(|stored| stored.into_record().ok());
        let record = match record {
            Some(record) => record,
            None => self.record_of(event_id, id, entry)?,
        };
        self.rejected.write(FUNCTION, &record, &rejection).await?;
        tracing::warn!(
            class = rejection.class,
            "a label that came before its event is rejected"
        );
        self.remove_from_history(event_id, id).await
    }

    /// What is known of a label whose message was not kept.
    fn record_of(
        &self,
        event_id: &EventId,
        id: &str,
        entry: &LabelEntry,
    ) -> Result<Record, Failure> {
        let known = serde_json::json!({
            "event_type": self.event_type.as_str(), "event_id": event_id.as_str(), "label": entry,
        });
        let payload =
            serde_json::to_vec(&known).map_err(|_| Failure::retry("a label does not serialize"))?;
        let position = Position {
            origin: Origin::Other,
            arn: "labels".to_owned(),
            id: format!("{event_id}-{id}"),
            sub: 0,
        };
        Ok(Record {
            position,
            key: None,
            payload,
        })
    }

    /// Sends the label that counts, and again while a better one has come.
    async fn tell_service(
        &self,
        event_id: &EventId,
        mut history: LabelHistory,
        batcher: &Batcher,
    ) -> Result<Told, Failure> {
        let mut sent: Option<LabelEntry> = None;
        for _ in 0..MEETINGS {
            let best = current(&history.labels);
            if best == sent.as_ref() {
                return Ok(Told::Knows);
            }
            if let Some(best) = best {
                batcher.call_permit().await;
                if !self.send(event_id, best).await? {
                    return Ok(Told::NoEvent);
                }
            }
            if is_back(KnownFault::LabelRace) {
                return Ok(Told::Knows);
            }
            sent = best.cloned();
            history.add(&self.history(event_id).await?);
        }
        Err(Failure::retry("UpdateEventLabel: the label keeps changing"))
    }

    /// Calls `UpdateEventLabel`; `false` where the service has no such event.
    async fn send(&self, event_id: &EventId, entry: &LabelEntry) -> Result<bool, Failure> {
        let call = self.fraud_detector.update_event_label();
        let call = call
            .event_id(event_id.as_str())
            .event_type_name(self.event_type.as_str());
        let Err(error) = call
            .set_assigned_label(entry.label.clone())
            .label_timestamp(&entry.label_timestamp)
            .send()
            .await
        else {
            return Ok(true);
        };
        let error = CallError::new(Call::UpdateEventLabel, &error);
        if error.class == Class::NoEvent {
            Ok(false)
        } else {
            Err(error.into_failure(Call::UpdateEventLabel))
        }
    }

    /// Copies labels to a decision that lacks them, sets the one that counts, and closes its review where one of them is
    /// the verdict.
    async fn copy_to(&self, mut decision: Decision, history: &LabelHistory) -> Result<(), Failure> {
        let mut meetings = 0;
        loop {
            let lacking: Vec<(&String, &LabelEntry)> = history
                .labels
                .iter()
                .filter(|(id, _)| !decision.label_history.contains_key(*id))
                .take(COPIED_AT_ONCE)
                .collect();
            let closes = history.has_verdict_on(&decision);
            if lacking.is_empty() {
                // Its labels may have been copied before the verdict was known to be one.
                return match &decision.gsi2pk {
                    Some(_) if closes => self.close_review(&decision).await,
                    _ => Ok(()),
                };
            }
            if self.try_copy(&decision, &lacking, closes).await? {
                let copied = lacking
                    .into_iter()
                    .map(|(id, entry)| (id.clone(), entry.clone()));
                decision.label_history.extend(copied);
                decision.label_revision += 1;
                if closes {
                    decision.gsi2pk = None;
                }
                continue;
            }
            meetings += 1;
            if meetings == MEETINGS {
                return Err(Failure::retry("UpdateItem: the decision keeps changing"));
            }
            let key = Key::of(&decision);
            match self.decisions.read([key.clone()]).await?.decision(&key) {
                Some(newer) => decision = newer.clone(),
                // It was forgotten or has expired.
                None => return Ok(()),
            }
        }
    }

    /// Closes the open review of a decision.
    async fn close_review(&self, decision: &Decision) -> Result<(), Failure> {
        let update = self
            .decisions
            .client()
            .update_item()
            .table_name(self.decisions.table())
            .set_key(Some(Key::of(decision).item()))
            .update_expression("REMOVE gsi2pk, gsi2sk")
            .condition_expression("attribute_exists(gsi2pk)");
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // It is closed, or the decision is gone.
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(dependency("UpdateItem", &error)),
            },
        }
    }

    /// One conditional write; `false` where another writer was faster or the decision is gone.
    async fn try_copy(
        &self,
        decision: &Decision,
        lacking: &[(&String, &LabelEntry)],
        closes: bool,
    ) -> Result<bool, Failure> {
        let mut history = decision.label_history.clone();
        let number = |n: u32| AttributeValue::N(n.to_string());
        let mut update = "SET label_revision = :next".to_owned();
        let mut request = self
            .decisions
            .client()
            .update_item()
            .table_name(self.decisions.table());
        for (place, (id, entry)) in lacking.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(update, ", label_history.#l{place} = :l{place}");
            request = request
                .expression_attribute_names(format!("#l{place}"), *id)
                .expression_attribute_values(format!(":l{place}"), entry.item()?);
            history.insert((*id).clone(), (*entry).clone());
        }
        if let Some(best) = current(&history) {
            update.push_str(", label = :label");
            if closes {
                update.push_str(" REMOVE gsi2pk, gsi2sk");
            }
            request = request.expression_attribute_values(":label", best.item()?);
        }
        let request = request
            .set_key(Some(Key::of(decision).item()))
            .update_expression(update)
            // Never an upsert: a stub in the order's place would stop the order from being decided.
            .condition_expression("attribute_exists(pk) AND label_revision = :revision")
            .expression_attribute_values(":revision", number(decision.label_revision))
            .expression_attribute_values(":next", number(decision.label_revision + 1));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(dependency("UpdateItem", &error)),
            },
        }
    }

    /// Whether the label's time lies before its event's; `false` where there is no decision to tell the event's time.
    ///
    /// # Errors
    /// [`Failure::Rejected`] where it lies more than 48 hours before.
    fn check_skew(&self, decisions: &[Decision], entry: &LabelEntry) -> Result<bool, Failure> {
        let Some(decision) = decisions.first() else {
            return Ok(false);
        };
        let read = |text: &str| {
            Timestamp::parse(text)
                .map_err(|_| Failure::set_up("a stored time is not readable by this version"))
        };
        let time = LabelTime {
            time: read(&entry.label_timestamp)?,
            day_only: entry.day_only,
        };
        let before = time.seconds_before(read(&decision.event_timestamp)?, &self.zone);
        if before > SKEW_SECONDS {
            let reason = format!(
                "the label's time {} is more than 48 hours before its event's, {}",
                entry.label_timestamp, decision.event_timestamp
            );
            return Err(Failure::rejected("label-before-event", reason));
        }
        if before > 0 {
            metrics::counter!("LabelBeforeEvent").increment(1);
        }
        Ok(before > 0)
    }
}

/// A message as it is kept beside its label, to be written to the rejected records if the label turns out to be one.
fn stored_record(record: &Record) -> Result<String, Failure> {
    let none = Rejection {
        class: "",
        reason: String::new(),
        refusal: None,
    };
    serde_json::to_string(&RejectedRecord::new(FUNCTION, record, &none))
        .map_err(|_| Failure::retry("a record does not serialize"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str, rank: u32, time: &str) -> LabelEntry {
        LabelEntry {
            label: (!label.is_empty()).then(|| label.to_owned()),
            label_timestamp: time.to_owned(),
            day_only: false,
            rank,
            kind: "chargeback".to_owned(),
            reason_code: None,
            amount: None,
            currency: None,
            source: "processor".to_owned(),
        }
    }

    #[track_caller]
    fn check(entries: &[LabelEntry], want: Option<&str>) {
        let history = entries
            .iter()
            .map(|entry| (entry.id(), entry.clone()))
            .collect();
        assert_eq!(
            current(&history).and_then(|entry| entry.label.as_deref()),
            want
        );
    }

    #[test]
    fn the_current_label_is_the_highest_rank_then_the_newest() {
        let fraud = entry("fraud", 1, "2026-06-01T00:00:00Z");
        let reversed = entry("legit", 1, "2026-07-01T00:00:00Z");
        let analyst = entry("fraud", 3, "2026-05-01T00:00:00Z");
        let refund = entry("", 9, "2026-08-01T00:00:00Z");
        check(&[], None);
        check(std::slice::from_ref(&refund), None);
        check(&[fraud.clone(), refund.clone()], Some("fraud"));
        check(&[fraud.clone(), reversed.clone()], Some("legit"));
        check(&[reversed.clone(), fraud.clone()], Some("legit"));
        check(&[reversed, analyst, fraud], Some("fraud"));
    }
}
