//! The labels of one event, as they are stored, and which of them counts.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use event::hash::short_hash;
use event::{LabelMessage, Timestamp};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Names the attribute of a label in a history.
pub(crate) const LABEL_PREFIX: &str = "label_";
/// Names the attribute with the message that brought a label.
pub(crate) const RECORD_PREFIX: &str = "record_";
/// Names the attribute with the time at which a label was first received, in milliseconds since 1970.
pub(crate) const SEEN_PREFIX: &str = "seen_";
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

    pub(crate) fn item(&self) -> Result<AttributeValue, Failure> {
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
    pub(crate) labels: BTreeMap<String, LabelEntry>,
    /// The messages that brought those which came before their decision, by the labels' ids; JSON of [`RejectedRecord`].
    pub(crate) records: HashMap<String, String>,
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
    pub(crate) fn check_size(&self) -> Result<(), Failure> {
        if self.labels.len() <= MOST_LABELS {
            return Ok(());
        }
        let reason =
            format!("the event has {MOST_LABELS} labels already, which is the most that are kept");
        Err(Failure::rejected("too-many-labels", reason))
    }

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

    /// Whether a label is the verdict on the order that was decided here: it was received after the decision was begun.
    /// One that was known before is none, for the decision asked for a review all the same; a message that gives no label
    /// is none either.
    ///
    /// It is told from what is stored, so that all who bring a label home close the same reviews, however often they do.
    pub(crate) fn has_verdict_since(&self, decided_at: &str) -> bool {
        let Ok(decided) = Timestamp::parse(decided_at) else {
            return false;
        };
        let mut seen = self.seen.iter();
        seen.any(|(id, time)| {
            let entry = self.labels.get(id);
            *time >= decided.epoch_millis() && entry.is_some_and(|entry| entry.label.is_some())
        })
    }

    /// Adds the copies that decisions carry.
    pub(crate) fn add_copies<'a>(
        &mut self,
        copies: impl IntoIterator<Item = (&'a String, &'a LabelEntry)>,
    ) {
        let copies = copies.into_iter();
        self.labels
            .extend(copies.map(|(id, entry)| (id.clone(), entry.clone())));
    }

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
