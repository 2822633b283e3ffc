//! The stored label history of an event, and which of its labels is the current one.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use event::hash::short_hash;
use event::{LabelMessage, Timestamp};
use serde::{Deserialize, Serialize};

use crate::decisions::check_form;
use crate::failure::Failure;

/// Prefix of the attribute with a label; its id follows.
pub(crate) const LABEL_PREFIX: &str = "label_";
/// Prefix of the attribute with the record that brought a label.
pub(crate) const RECORD_PREFIX: &str = "record_";
/// Prefix of the attribute with the time when a label was first received, in milliseconds since 1970.
pub(crate) const SEEN_PREFIX: &str = "seen_";
/// The most labels of one event: together with their records they fit into an item of 400 KB.
const MOST_LABELS: usize = 100;

/// A label message as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelEntry {
    /// The label; `None` if the message changes no label.
    pub label: Option<String>,
    /// When it became known, ISO 8601 UTC.
    pub label_timestamp: String,
    /// Whether the source gave a day without a clock time.
    #[serde(default)]
    pub day_only: bool,
    /// Rank of its source: a label of a higher rank wins.
    pub rank: u32,
    /// What kind of message it is, such as `chargeback`.
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
    /// A hash of the content, so that a message is kept once however often it arrives.
    pub fn id(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        short_hash(text.as_bytes())
    }

    /// Orders labels: the greatest is the current one.
    fn precedence(&self) -> (u32, &str, String) {
        // The id breaks ties, so that every reader picks the same label.
        (self.rank, &self.label_timestamp, self.id())
    }

    /// The label as an attribute of DynamoDB.
    pub(crate) fn attribute(&self) -> Result<AttributeValue, Failure> {
        serde_dynamo::to_attribute_value(self)
            .map_err(|_| Failure::retry("a label does not serialize"))
    }
}

/// The current label of a history: the one with the highest rank, and among these the newest.
pub fn current_label(history: &BTreeMap<String, LabelEntry>) -> Option<&LabelEntry> {
    history
        .values()
        .filter(|entry| entry.label.is_some())
        .max_by(|a, b| a.precedence().cmp(&b.precedence()))
}

/// The label history of one event, as it is stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelHistory {
    /// The labels, by their ids.
    pub(crate) labels: BTreeMap<String, LabelEntry>,
    /// The records that brought labels before the decision was made, by the ids of the labels; JSON of
    /// [`RejectedRecord`](crate::rejected::RejectedRecord).
    pub(crate) records: HashMap<String, String>,
    /// When each label was first received, by id, in milliseconds since 1970. Earlier releases stored no such times.
    seen: BTreeMap<String, i64>,
}

impl LabelHistory {
    /// Parses the item with the label history.
    ///
    /// # Errors
    /// [`Failure::Retry`], as a wrong set-up, if a label was written by an incompatible version.
    pub(crate) fn read(item: &HashMap<String, AttributeValue>) -> Result<Self, Failure> {
        check_form(item)?;
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

    /// Checks that there are not too many labels.
    ///
    /// # Errors
    /// [`Failure::Rejected`] if there are more than [`MOST_LABELS`].
    pub(crate) fn check_size(&self) -> Result<(), Failure> {
        if self.labels.len() <= MOST_LABELS {
            return Ok(());
        }
        let reason =
            format!("the event has {MOST_LABELS} labels already, which is the most that are kept");
        Err(Failure::rejected("too-many-labels", reason))
    }

    /// Whether there is a current label.
    pub(crate) fn has_label(&self) -> bool {
        current_label(&self.labels).is_some()
    }

    /// Adds everything in another history of the same event.
    pub(crate) fn add(&mut self, other: &Self) {
        let labels = other.labels.iter();
        self.labels
            .extend(labels.map(|(id, entry)| (id.clone(), entry.clone())));
        let records = other.records.iter();
        self.records
            .extend(records.map(|(id, record)| (id.clone(), record.clone())));
        self.seen
            .extend(other.seen.iter().map(|(id, time)| (id.clone(), *time)));
    }

    /// Whether a label was received since a time, that of the decision or of an appeal, which closes its case.
    ///
    /// A label that was known before does not close it, because the decision or the appeal came in spite of that label.
    /// Nor does a message that changes no label. Only stored values are used, so that all functions that apply labels
    /// close the same reviews, however often they run.
    pub(crate) fn has_verdict_since(&self, time: &str) -> bool {
        let Ok(since) = Timestamp::parse(time) else {
            return false;
        };
        let mut seen = self.seen.iter();
        seen.any(|(id, time)| {
            let entry = self.labels.get(id);
            *time >= since.epoch_millis() && entry.is_some_and(|entry| entry.label.is_some())
        })
    }

    /// Since when the event is known as fraud, in milliseconds since 1970; `None` if its current label does not mean fraud.
    /// Of several messages that gave that label, the first counts; a time after its reception is that of the reception.
    pub(crate) fn known_as_fraud(&self, is_fraud: impl Fn(&str) -> bool) -> Option<i64> {
        let current = current_label(&self.labels)?.label.as_deref()?;
        if !is_fraud(current) {
            return None;
        }
        let same = self.labels.iter();
        let same = same.filter(|(_, entry)| entry.label.as_deref() == Some(current));
        let times = same.filter_map(|(id, entry)| {
            let given = Timestamp::parse(&entry.label_timestamp).ok()?;
            let seen = self.seen.get(id).copied().unwrap_or(i64::MAX);
            Some(given.epoch_millis().min(seen))
        });
        times.min()
    }

    /// Adds the copies of labels that decisions carry.
    pub(crate) fn add_copies<'a>(
        &mut self,
        copies: impl IntoIterator<Item = (&'a String, &'a LabelEntry)>,
    ) {
        let copies = copies.into_iter();
        self.labels
            .extend(copies.map(|(id, entry)| (id.clone(), entry.clone())));
    }

    /// Removes a label with all that is kept about it.
    pub(crate) fn remove(&mut self, id: &str) {
        self.labels.remove(id);
        self.records.remove(id);
        self.seen.remove(id);
    }
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
            current_label(&history).and_then(|entry| entry.label.as_deref()),
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
