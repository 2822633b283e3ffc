//! Evaluates the rules of a detector on the events of a file.

use std::collections::BTreeMap;
use std::path::Path;

use model::metrics::Ranking;
use rules::{Type, Value, Verdict};

use super::detector::{MeasuredDetector, MeasuredRule, RulesError};
use super::figures::{OutcomeEffect, RulesOnly};
use crate::measures::ScoredEvent;
use crate::table::TableEvent;

/// A detector, applied to the columns of a file.
#[derive(Debug)]
pub struct AppliedDetector<'a> {
    detector: &'a MeasuredDetector,
    /// The column of each variable, by its slot.
    columns: Vec<Option<usize>>,
    missing: Vec<String>,
    unreadable: BTreeMap<String, usize>,
    undetermined: usize,
    /// The current time for events without a time, in milliseconds since 1970.
    now_ms: i64,
}

impl MeasuredDetector {
    /// Applies the detector to a file with these headers.
    ///
    /// # Errors
    /// [`RulesError::NoColumn`].
    pub fn apply_to(
        &self,
        path: &Path,
        headers: &[String],
    ) -> Result<AppliedDetector<'_>, RulesError> {
        let columns: Vec<Option<usize>> = self
            .schema
            .variables()
            .map(|(name, _)| headers.iter().position(|header| header == name))
            .collect();
        let is_missing = |name: &str| {
            let slot = self.schema.slot(name);
            slot.is_none_or(|slot| columns[slot].is_none())
        };
        let mut used: Vec<String> = Vec::new();
        for name in self.rules.iter().flat_map(|rule| rule.rule.variables()) {
            if !used.iter().any(|known| known == name) {
                used.push(name.to_owned());
            }
        }
        let missing: Vec<String> = used
            .iter()
            .filter(|name| is_missing(name))
            .cloned()
            .collect();
        if missing.len() == used.len() {
            return Err(RulesError::NoColumn {
                path: path.display().to_string(),
                variables: used,
            });
        }
        Ok(AppliedDetector {
            detector: self,
            columns,
            missing,
            unreadable: BTreeMap::new(),
            undetermined: 0,
            now_ms: jiff::Timestamp::now().as_millisecond(),
        })
    }
}

impl AppliedDetector<'_> {
    /// The most severe outcome of an event, by its place among the alarms.
    pub fn find_alarm(&mut self, event: &TableEvent<'_>) -> Option<usize> {
        let detector = self.detector;
        let mut row = detector.defaults.clone();
        for ((value, column), (name, ty)) in row
            .iter_mut()
            .zip(&self.columns)
            .zip(detector.schema.variables())
        {
            let Some(text) = column.and_then(|column| event.cell(column)) else {
                continue;
            };
            match parse_value(ty, text) {
                Some(parsed) => *value = parsed,
                None => *self.unreadable.entry(name.to_owned()).or_default() += 1,
            }
        }
        // The current time in a rule is the time of the event.
        let now = event.row.event_time;
        let now = now.map_or(self.now_ms, |seconds| seconds.saturating_mul(1000));
        let mut worst: Option<usize> = None;
        let mut undetermined = false;
        for MeasuredRule { rule, alarm } in &detector.rules {
            match rule.evaluate(&row, &detector.lists, now) {
                Verdict::Matched => {
                    worst = [worst, *alarm].into_iter().flatten().min();
                    if detector.mode == "FIRST_MATCHED" {
                        break;
                    }
                }
                Verdict::NotMatched => {}
                Verdict::Undetermined => undetermined = true,
            }
        }
        self.undetermined += usize::from(undetermined);
        worst
    }

    /// The figures of the rules on all events. Each event has the result of `AppliedDetector::find_alarm`.
    pub fn measure(self, scored: &[ScoredEvent]) -> RulesOnly {
        let detector = self.detector;
        let by_model = Ranking::new(scored.iter().map(|event| (event.log_odds, event.fraud)));
        let row = |place: usize| {
            let is_called = |event: &ScoredEvent| event.alarm.is_some_and(|alarm| alarm <= place);
            let called = |event: &ScoredEvent| (f64::from(u8::from(is_called(event))), event.fraud);
            let point = Ranking::new(scored.iter().map(called)).point_at(1.0);
            OutcomeEffect {
                outcomes: detector.alarms[..=place].to_vec(),
                events: scored.iter().filter(|event| is_called(event)).count(),
                fpr: point.fpr,
                recall: point.tpr,
                precision: point.precision,
                model_recall: by_model.recall_at(point.fpr),
            }
        };
        RulesOnly {
            detector: detector.id.clone(),
            mode: detector.mode.clone(),
            rules: detector.rules.len(),
            left_out: detector.left_out.clone(),
            missing_columns: self.missing,
            unreadable_values: self.unreadable,
            undetermined_events: self.undetermined,
            outcomes: (0..detector.alarms.len()).map(row).collect(),
        }
    }
}

/// Reads a value as the service does; times also as files write them.
fn parse_value(ty: Type, text: &str) -> Option<Value> {
    let as_sent = Value::parse(ty, text).ok();
    as_sent.or_else(|| match ty {
        Type::DateTime => {
            let seconds = model::parse_date(text, false)?;
            Some(Value::DateTime(seconds.saturating_mul(1000)))
        }
        _ => None,
    })
}
