//! `fraudstream subject`: what is kept of an order or an entity, for the person who asks.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};
use shared::decisions::Decision;

use super::{Error, Finder, Found, FoundEvent, FoundLabels};
use crate::{list, show};

/// Everything that is kept of a subject.
#[derive(Debug, Serialize)]
pub struct Kept {
    /// Stored events: every value that a variable has had, the label, how many predictions.
    pub events: Vec<Value>,
    /// Decisions, with their variables and labels.
    pub decisions: Vec<Decision>,
    /// Label histories of its events, decided or not.
    pub labels: Vec<FoundLabels>,
    /// Elements of lists, with what is known of them.
    pub list_entries: BTreeMap<String, Vec<Value>>,
    /// Rejected records, by the object that holds them.
    pub rejected: BTreeMap<String, Vec<Value>>,
    /// What its entity did before, by event type.
    pub history: BTreeMap<String, Value>,
    /// Lines of `outcomes.jsonl`.
    pub outcomes: Vec<Value>,
    /// Why something is kept although the subject was forgotten, and until when.
    pub holds: Vec<Value>,
    /// Places that cannot be read, and why.
    pub unread: Vec<String>,
}

impl Kept {
    /// Tells what was found; `outcomes` is the text of the local file of outcomes.
    ///
    /// # Errors
    /// A list cannot be read.
    pub async fn new(finder: &Finder<'_>, found: Found, outcomes: &str) -> Result<Self, Error> {
        let mut list_entries = BTreeMap::new();
        for (name, elements) in found.list_elements {
            let entries = match finder.engine {
                Some(engine) => list::entries(engine, &name).await?,
                None => Vec::new(),
            };
            let known = |element: String| {
                let entry = entries.iter().find(|entry| entry["element"] == element);
                entry.cloned().unwrap_or_else(|| match finder.engine {
                    // Taken out of the list, or expired, and still in its log.
                    Some(_) => json!({"element": element, "removed": true}),
                    None => json!({"element": element}),
                })
            };
            list_entries.insert(name, elements.into_iter().map(known).collect());
        }
        let lines = outcomes
            .lines()
            .filter(|line| found.traces.is_told_in(line));
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| json!(line));
        let objects = found.objects.into_iter();
        Ok(Self {
            outcomes: lines.map(line).collect(),
            events: found.events.into_iter().map(event).collect(),
            decisions: found.decisions,
            labels: found.labels,
            list_entries,
            rejected: objects.map(|object| (object.key, object.records)).collect(),
            history: found.habits,
            holds: found.holds,
            unread: found.unread,
        })
    }
}

fn event(event: FoundEvent) -> Value {
    let values = event.values.into_iter().map(|(name, values)| {
        let mut values: Vec<String> = values.into_iter().collect();
        values.sort();
        (name, values)
    });
    let variables: BTreeMap<String, Vec<String>> = values.collect();
    let label = event
        .label
        .map(|(label, time)| json!({"label": label, "label_timestamp": time}));
    json!({
        "event_type": event.event_type,
        "event_id": event.event_id,
        "variables": variables,
        "label": label,
        "predictions": event.predictions,
    })
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section = |f: &mut fmt::Formatter<'_>, name: &str, lines: &[String]| {
            writeln!(f, "{name}: {}", lines.len())?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
        };
        let texts = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>();
        let by_place = |places: &BTreeMap<String, Vec<Value>>| {
            let lines = places.iter().flat_map(|(place, values)| {
                values.iter().map(move |value| format!("{place}: {value}"))
            });
            lines.collect::<Vec<_>>()
        };
        section(f, "events", &texts(&self.events))?;
        writeln!(f, "decisions: {}", self.decisions.len())?;
        for decision in &self.decisions {
            write!(f, "{}", show::describe(decision, None))?;
        }
        let labels = self.labels.iter();
        let labels = labels
            .flat_map(|found| {
                let records = found.records.iter();
                let records = records.map(|name| format!("message kept: {name}"));
                texts(&found.labels).into_iter().chain(records)
            })
            .collect::<Vec<_>>();
        section(f, "label histories", &labels)?;
        section(f, "list entries", &by_place(&self.list_entries))?;
        section(f, "rejected records", &by_place(&self.rejected))?;
        let history = self.history.iter();
        let history = history.map(|(event_type, profile)| format!("{event_type}: {profile}"));
        section(f, "entity histories", &history.collect::<Vec<_>>())?;
        section(f, "lines of outcomes", &texts(&self.outcomes))?;
        section(f, "holds", &texts(&self.holds))?;
        section(f, "places that cannot be read", &self.unread)
    }
}
