//! What a run of a file did, counted and as text.

use std::collections::BTreeMap;

use ingest::SentEvent;
use predict::OrderResult;
use serde::Serialize;
use shared::failure::Failure;
use shared::labels::{AppliedLabel, LabelReceipt};

use crate::first_refusals::AllRefused;
use crate::label_kinds::LabelKinds;

/// What happened to one record.
#[derive(Debug)]
pub enum RecordEffect {
    /// An order was decided, now or before.
    Decision(OrderResult),
    /// An event was stored.
    Event(SentEvent),
    /// What happened to the labels of a record.
    Labels(Vec<LabelReceipt>),
}

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub struct RunSummary {
    /// Records that earlier runs over the same file have done.
    pub skipped: u64,
    /// Records read by this run: one for each order or message, also where a line has several.
    pub records: u64,
    /// Orders decided by this run, by effective outcome.
    pub decided: BTreeMap<String, u64>,
    /// Orders that had been decided before.
    pub duplicates: u64,
    /// Events stored.
    pub events: u64,
    /// Events stored with a label.
    pub labelled_events: u64,
    /// Labels applied.
    pub labels: u64,
    /// Messages that change no label, kept in the history of their event.
    pub labels_kept: u64,
    /// Labels that wait for their event, which is neither decided nor stored.
    pub labels_waiting: u64,
    /// Label messages by their kind.
    #[serde(skip_serializing_if = "LabelKinds::is_empty")]
    pub label_kinds: LabelKinds,
    /// Records left out because their order or entity was forgotten.
    pub forgotten: u64,
    /// Messages that the mapping skips.
    pub skipped_messages: u64,
    /// Rejected records by class; each is kept under `rejected/`, unless `all_refused` is there.
    pub rejected: BTreeMap<String, u64>,
    /// Rows with a label but without a label time, which got the event's time.
    pub assumed_label_times: u64,
    /// Rows of the file that are not UTF-8 and were read as Windows-1252, those done before included.
    pub windows_1252_rows: u64,
    /// Duration in seconds.
    pub seconds: f64,
    /// Whether it was interrupted; the next run continues.
    pub interrupted: bool,
    /// Why it stopped, if its first records were all refused for one reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_refused: Option<AllRefused>,
}

impl RunSummary {
    pub(crate) fn add(&mut self, result: &Result<RecordEffect, Failure>) {
        match result {
            Ok(RecordEffect::Decision(OrderResult::Decided(decision))) => {
                *self
                    .decided
                    .entry(decision.effective_outcome.clone())
                    .or_default() += 1;
            }
            Ok(RecordEffect::Decision(OrderResult::Duplicate(_))) => self.duplicates += 1,
            Ok(RecordEffect::Event(sent)) => {
                self.events += 1;
                self.labelled_events += u64::from(sent.labelled);
            }
            Ok(RecordEffect::Labels(labels)) => {
                for receipt in labels {
                    self.label_kinds.add(receipt);
                    match receipt.applied {
                        AppliedLabel::Applied { .. } => self.labels += 1,
                        AppliedLabel::Kept => self.labels_kept += 1,
                        AppliedLabel::Waiting => self.labels_waiting += 1,
                    }
                }
            }
            Err(Failure::Rejected(rejection)) => {
                *self.rejected.entry(rejection.class.to_owned()).or_default() += 1;
            }
            Err(Failure::Skipped) => self.skipped_messages += 1,
            Err(Failure::Retry(_)) => {}
        }
    }

    /// Records per second.
    pub fn records_per_second(&self) -> f64 {
        // Counts are far below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let records = self.records as f64;
        if self.seconds > 0.0 {
            records / self.seconds
        } else {
            0.0
        }
    }
}

impl std::fmt::Display for RunSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.skipped > 0 {
            writeln!(f, "{} records of this file were done before", self.skipped)?;
        }
        writeln!(
            f,
            "{} records in {:.1} s, {:.0} a second",
            self.records,
            self.seconds,
            self.records_per_second()
        )?;
        for (outcome, count) in &self.decided {
            writeln!(f, "  {count:>8} decided: {outcome}")?;
        }
        let lines = [
            (self.duplicates, "decided before"),
            (self.events, "events stored"),
            (self.labelled_events, "of them with a label"),
            (
                self.assumed_label_times,
                "label times assumed to be the event's",
            ),
            (
                self.windows_1252_rows,
                "rows of the file are not UTF-8 and were read as Windows-1252",
            ),
            (self.labels, "labels applied"),
            (self.labels_kept, "messages kept that change no label"),
            (self.labels_waiting, "labels waiting for their event"),
            (self.forgotten, "left out: forgotten"),
            (self.skipped_messages, "skipped by the mapping"),
        ];
        for (count, what) in lines.into_iter().filter(|line| line.0 > 0) {
            writeln!(f, "  {count:>8} {what}")?;
        }
        write!(f, "{}", self.label_kinds)?;
        for (class, count) in &self.rejected {
            writeln!(f, "  {count:>8} rejected: {class}")?;
        }
        if let Some(stopped) = &self.all_refused {
            write!(f, "{stopped}")?;
        }
        if self.interrupted {
            writeln!(
                f,
                "stopped on request; run the same command again to continue"
            )?;
        }
        Ok(())
    }
}
