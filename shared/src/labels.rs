//! Labels and their timestamps: what a chargeback says of an order, and when it was known.
//!
//! Order of effects: the history on the decision item, then `UpdateEventLabel`, then the decision is
//! read again, and where a better label has come meanwhile it is sent too. Every step is safe to
//! repeat. A label whose order is not decided yet waits 30 days beside the decisions, also where the
//! service has the event already; whoever writes the decision, or creates the event, applies it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use event::{EventId, EventTypeName, InvalidTimestamp, LabelName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::decisions::{Decision, Decisions, Key};
use crate::failure::{Call, CallError, Class, Failure, dependency};
use crate::hash::short_hash;

/// How far a label's time may lie before its event's: clocks and time zones differ.
const SKEW_SECONDS: i64 = 48 * 3600;
/// How far a label's time may lie in the future.
const FUTURE_SECONDS: i64 = 24 * 3600;
/// How long a label waits for its event.
const WAITING_SECONDS: i64 = 30 * 86_400;
/// How often two writers of one decision's labels may meet before the record is delivered again.
const MEETINGS: usize = 10;
/// Names a waiting entry's attribute.
const WAITING_PREFIX: &str = "label_";

/// When a label was known, and how exactly that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelTime {
    /// The instant; midnight where the source gave a day only.
    pub time: Timestamp,
    /// Whether the source gave a day only: then it is compared by day.
    pub day_only: bool,
}

impl LabelTime {
    /// Reads a label time in the feed's time zone.
    ///
    /// # Errors
    /// What the text is instead.
    pub fn parse(text: &str, zone: &jiff::tz::TimeZone) -> Result<Self, InvalidTimestamp> {
        let time = Timestamp::parse_in(text, zone)?;
        Ok(Self {
            time,
            day_only: !Timestamp::has_clock_time(text),
        })
    }

    /// How many seconds the label's time lies before the event's; 0 where it does not.
    fn seconds_before(self, event: Timestamp) -> i64 {
        let day = |time: Timestamp| time.epoch_seconds().div_euclid(86_400);
        let before = if self.day_only {
            (day(event) - day(self.time)) * 86_400
        } else {
            event.epoch_seconds() - self.time.epoch_seconds()
        };
        before.max(0)
    }
}

/// One message about an order: a chargeback, an early warning, a refund, a reversal, a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The event it is about.
    pub event_id: EventId,
    /// The label it gives; none where the table says that it changes none.
    pub label: Option<LabelName>,
    /// When it was known.
    pub time: LabelTime,
    /// Rank of its source.
    pub rank: u32,
    /// What it is.
    pub kind: String,
    /// The scheme's reason code.
    pub reason_code: Option<String>,
    /// The amount in dispute, a decimal number.
    pub amount: Option<String>,
    /// Its currency.
    pub currency: Option<String>,
    /// Who sent it.
    pub source: String,
}

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

impl From<&Label> for LabelEntry {
    fn from(label: &Label) -> Self {
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

/// The labels inside a waiting item.
pub(crate) fn waiting_entries(item: &HashMap<String, AttributeValue>) -> Vec<LabelEntry> {
    let labels = item
        .iter()
        .filter(|(name, _)| name.starts_with(WAITING_PREFIX));
    labels
        .filter_map(|(_, value)| serde_dynamo::from_attribute_value(value.clone()).ok())
        .collect()
}

/// What became of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It stands on the decision, or at the service, or both.
    Applied {
        /// Whether its time lay before the event's and was accepted all the same.
        skewed: bool,
    },
    /// Its event is not there yet.
    Waiting,
}

/// Applies labels to decisions and to the service.
#[derive(Clone, Debug)]
pub struct Labels {
    decisions: Decisions,
    fraud_detector: aws_sdk_frauddetector::Client,
    event_type: EventTypeName,
}

impl Labels {
    /// Labels of one event type.
    pub fn new(
        decisions: Decisions,
        fraud_detector: aws_sdk_frauddetector::Client,
        event_type: EventTypeName,
    ) -> Self {
        Self {
            decisions,
            fraud_detector,
            event_type,
        }
    }

    /// Applies one message; `now` is the time of receiving it.
    ///
    /// # Errors
    /// [`Failure::Rejected`] for a time that cannot be right or a label the event type lacks,
    /// [`Failure::Retry`] where a dependency fails.
    pub async fn apply(&self, label: &Label, now: Timestamp) -> Result<Applied, Failure> {
        if label.time.time.epoch_seconds() - now.epoch_seconds() > FUTURE_SECONDS {
            let reason = format!(
                "the label's time {} is more than 24 hours in the future",
                label.time.time
            );
            return Err(Failure::rejected("label-in-future", reason));
        }
        let entry = LabelEntry::from(label);
        let event_id = &label.event_id;
        if let Some(skewed) = self.on_decisions(event_id, &entry).await? {
            return Ok(Applied::Applied { skewed });
        }
        // An order that is being predicted now is an event at the service and not yet a decision: the
        // label waits, whatever the service says, for who writes the decision to find it.
        let sent = self.send(event_id, &entry).await?;
        self.let_wait(event_id, &entry, now).await?;
        // What has come between the look and the write saw no waiting label.
        if let Some(skewed) = self.on_decisions(event_id, &entry).await? {
            self.wait_no_more(event_id, std::slice::from_ref(&entry))
                .await?;
            return Ok(Applied::Applied { skewed });
        }
        if sent {
            return Ok(Applied::Applied { skewed: false });
        }
        if self.send(event_id, &entry).await? {
            return Ok(Applied::Applied { skewed: false });
        }
        Ok(Applied::Waiting)
    }

    /// Applies labels that waited for the event that the caller has just created.
    ///
    /// # Errors
    /// [`Failure::Retry`] where a dependency fails. A label that is rejected now is dropped from the
    /// queue and logged: there is no record of it to park, and its message was answered long ago.
    pub async fn apply_waiting(
        &self,
        event_id: &EventId,
        entries: &[LabelEntry],
    ) -> Result<(), Failure> {
        for entry in entries {
            let applied = match self.on_decisions(event_id, entry).await {
                Ok(None) => self.send(event_id, entry).await,
                applied => applied.map(|_| true),
            };
            match applied {
                Ok(true) => {}
                // The service does not see its own event yet: the label waits on.
                Ok(false) => {
                    return Err(Failure::retry(
                        "UpdateEventLabel: the event is not visible yet",
                    ));
                }
                Err(Failure::Rejected(rejection)) if rejection.refusal.is_some() => {
                    return Err(Failure::set_up(
                        "UpdateEventLabel: a waiting label is refused",
                    ));
                }
                Err(Failure::Rejected(rejection)) => {
                    tracing::warn!(class = rejection.class, "waiting label rejected");
                }
                Err(retry) => return Err(retry),
            }
        }
        self.wait_no_more(event_id, entries).await
    }

    /// The labels that wait for an event.
    ///
    /// # Errors
    /// [`Failure::Retry`] where DynamoDB fails.
    pub async fn waiting(&self, event_id: &EventId) -> Result<Vec<LabelEntry>, Failure> {
        let key = Key::waiting(&self.event_type, event_id);
        let get = self
            .decisions
            .client()
            .get_item()
            .table_name(self.decisions.table())
            .consistent_read(true);
        let answer = get
            .set_key(Some(key.item()))
            .send()
            .await
            .map_err(|error| dependency("GetItem", &error))?;
        Ok(answer
            .item
            .as_ref()
            .map(waiting_entries)
            .unwrap_or_default())
    }

    /// Puts the label on every decision of the event and sends the best. Whether the label's time was
    /// skewed, or `None` where there is no decision.
    async fn on_decisions(
        &self,
        event_id: &EventId,
        entry: &LabelEntry,
    ) -> Result<Option<bool>, Failure> {
        let decisions = self.decisions.revisions(&self.event_type, event_id).await?;
        let Some(first) = decisions.first() else {
            return Ok(None);
        };
        let skewed = check_skew(first, entry)?;
        for decision in &decisions {
            self.append(decision, entry).await?;
        }
        self.send_best(event_id).await?;
        Ok(Some(skewed))
    }

    /// Sends the current label, and again while a better one has come.
    async fn send_best(&self, event_id: &EventId) -> Result<(), Failure> {
        let mut sent: Option<LabelEntry> = None;
        for _ in 0..MEETINGS {
            let decisions = self.decisions.revisions(&self.event_type, event_id).await?;
            let best = decisions
                .iter()
                .find_map(|decision| current(&decision.label_history))
                .cloned();
            if best == sent {
                return Ok(());
            }
            if let Some(best) = &best
                && !self.send(event_id, best).await?
            {
                // Decided, and not stored at the service (ingestion is off): the decision has the label.
                metrics::counter!("LabelWithoutStoredEvent").increment(1);
                return Ok(());
            }
            sent = best;
        }
        Err(Failure::retry("UpdateEventLabel: the label keeps changing"))
    }

    /// Calls `UpdateEventLabel`; `false` where the service has no such event.
    async fn send(&self, event_id: &EventId, entry: &LabelEntry) -> Result<bool, Failure> {
        let Some(label) = &entry.label else {
            return Ok(false);
        };
        let call = self.fraud_detector.update_event_label();
        let call = call
            .event_id(event_id.as_str())
            .event_type_name(self.event_type.as_str());
        let Err(error) = call
            .assigned_label(label)
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

    /// Appends to the history of one decision and sets its current label.
    async fn append(&self, decision: &Decision, entry: &LabelEntry) -> Result<(), Failure> {
        let mut decision = decision.clone();
        for _ in 0..MEETINGS {
            if decision.label_history.contains_key(&entry.id()) {
                return Ok(());
            }
            if self.try_append(&decision, entry).await? {
                return Ok(());
            }
            let id = decision.event_id()?;
            let again = self.decisions.revisions(&self.event_type, &id).await?;
            match again.into_iter().find(|other| other.sk == decision.sk) {
                Some(newer) => decision = newer,
                None => return Ok(()),
            }
        }
        Err(Failure::retry("UpdateItem: the decision keeps changing"))
    }

    /// One conditional write; `false` where another writer was faster or the decision is gone.
    async fn try_append(&self, decision: &Decision, entry: &LabelEntry) -> Result<bool, Failure> {
        let mut history = decision.label_history.clone();
        history.insert(entry.id(), entry.clone());
        let number = |n: u32| AttributeValue::N(n.to_string());
        let mut update = "SET label_history.#id = :entry, label_revision = :next".to_owned();
        let mut request = self
            .decisions
            .client()
            .update_item()
            .table_name(self.decisions.table());
        if let Some(best) = current(&history) {
            // A verdict closes the review.
            update.push_str(", label = :label REMOVE gsi2pk, gsi2sk");
            request = request.expression_attribute_values(":label", best.item()?);
        }
        let key = HashMap::from([
            ("pk".to_owned(), AttributeValue::S(decision.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(decision.sk.clone())),
        ]);
        let request = request
            .set_key(Some(key))
            .update_expression(update)
            // Never an upsert: a stub in the order's place would stop the order from being decided.
            .condition_expression("attribute_exists(pk) AND label_revision = :revision")
            .expression_attribute_names("#id", entry.id())
            .expression_attribute_values(":entry", entry.item()?)
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

    async fn let_wait(
        &self,
        event_id: &EventId,
        entry: &LabelEntry,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let until = now.epoch_seconds() + WAITING_SECONDS;
        let update = self
            .decisions
            .client()
            .update_item()
            .table_name(self.decisions.table());
        let update = update
            .set_key(Some(Key::waiting(&self.event_type, event_id).item()))
            .update_expression("SET #id = :entry, kind = :kind, expires_at = :until")
            .expression_attribute_names("#id", format!("{WAITING_PREFIX}{}", entry.id()))
            .expression_attribute_values(":entry", entry.item()?)
            .expression_attribute_values(":kind", AttributeValue::S("waiting".to_owned()))
            .expression_attribute_values(":until", AttributeValue::N(until.to_string()));
        update
            .send()
            .await
            .map_err(|error| dependency("UpdateItem", &error))?;
        Ok(())
    }

    /// Takes these entries from the waiting item; others may have come, so the item stays.
    async fn wait_no_more(
        &self,
        event_id: &EventId,
        entries: &[LabelEntry],
    ) -> Result<(), Failure> {
        if entries.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = (0..entries.len()).map(|n| format!("#l{n}")).collect();
        let mut update = self
            .decisions
            .client()
            .update_item()
            .table_name(self.decisions.table());
        for (name, entry) in names.iter().zip(entries) {
            update =
                update.expression_attribute_names(name, format!("{WAITING_PREFIX}{}", entry.id()));
        }
        let update = update
            .set_key(Some(Key::waiting(&self.event_type, event_id).item()))
            .update_expression(format!("REMOVE {}", names.join(", ")))
            .condition_expression("attribute_exists(pk)");
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(dependency("UpdateItem", &error)),
            },
        }
    }
}

/// Whether the label's time lies before the event's.
///
/// # Errors
/// [`Failure::Rejected`] where it lies more than 48 hours before.
fn check_skew(decision: &Decision, entry: &LabelEntry) -> Result<bool, Failure> {
    let read = |text: &str| {
        Timestamp::parse(text)
            .map_err(|_| Failure::set_up("a stored time is not readable by this version"))
    };
    let time = LabelTime {
        time: read(&entry.label_timestamp)?,
        day_only: entry.day_only,
    };
    let before = time.seconds_before(read(&decision.event_timestamp)?);
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

    #[test]
    fn a_day_is_compared_by_day() {
        let utc = jiff::tz::TimeZone::UTC;
        let event = Timestamp::parse("2026-06-01T23:00:00Z").unwrap();
        let before = |text| LabelTime::parse(text, &utc).unwrap().seconds_before(event);
        assert_eq!(before("2026-06-01"), 0);
        assert_eq!(before("2026/05/31"), 86_400);
        assert_eq!(before("2026-06-01T22:00:00Z"), 3600);
        assert_eq!(before("2026-06-02T00:00:00Z"), 0);
    }
}
