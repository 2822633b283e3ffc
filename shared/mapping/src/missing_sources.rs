//! Which sources of the mapping find nothing in a message: what a person needs to see when no order can be read.

use serde::Serialize;
use serde_json::Value;

use crate::mapping::Mapping;
use crate::short_or_long::ShortOrLong;
use crate::value_source::{Document, ValueSource};

/// The member of [`MissingSource`] for the id of an order.
pub const EVENT_ID_SOURCE: &str = "event.id";
/// The member of [`MissingSource`] for the time of an order.
pub const EVENT_TIMESTAMP_SOURCE: &str = "event.timestamp";
/// The member of [`MissingSource`] for the event id of a label.
pub const LABEL_EVENT_ID: &str = "labels.event_id";

/// A source of the mapping that gives no value for a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingSource {
    /// What it is for, as in the mapping file: `event.id`, `variables.order_price`.
    pub member: String,
    /// The source as it is written; `None` if the value is computed of several.
    pub source: Option<String>,
    /// Why there is no value.
    pub problem: String,
}

impl MissingSource {
    fn new(member: impl Into<String>, source: Option<&ValueSource>, problem: String) -> Self {
        Self {
            member: member.into(),
            source: source.map(|source| format!("{source:?}")),
            problem,
        }
    }
}

/// The problem of a source without a value.
fn find_problem<T>(read: Result<Option<T>, String>) -> Option<String> {
    match read {
        Ok(Some(_)) => None,
        Ok(None) => Some("finds nothing".to_owned()),
        Err(problem) => Some(problem),
    }
}

impl Mapping {
    /// The sources of an order's id, time, entity and variables that find nothing in `value`.
    pub fn missing_order_sources(&self, value: &Value) -> Vec<MissingSource> {
        let value = self.file.normalize_message(value);
        let document = Document::new(&value);
        let event = &self.file.event;
        let mut sources = vec![
            (EVENT_ID_SOURCE, &event.id),
            (EVENT_TIMESTAMP_SOURCE, &event.timestamp),
        ];
        let entity_ids = event.entity.id.iter().map(|source| match source {
            ShortOrLong::Short(source) => source,
            ShortOrLong::Long(hashed) => &hashed.hash,
        });
        sources.extend(entity_ids.map(|source| ("event.entity.id", source)));
        let mut missing = list_missing(&sources, &document);
        for (name, variable) in &self.file.variables {
            let source = match variable {
                ShortOrLong::Short(source) => Some(source),
                ShortOrLong::Long(long) => match &long.from {
                    ShortOrLong::Short(source) => Some(source),
                    ShortOrLong::Long(_) => None,
                },
            };
            if let Some(problem) = find_problem(self.read_variable(variable, &document)) {
                missing.push(MissingSource::new(
                    format!("variables.{name}"),
                    source,
                    problem,
                ));
            }
        }
        missing
    }

    /// The sources of a label's order, kind and time that find nothing in `value`; `None` if the mapping has no section
    /// `labels`.
    pub fn missing_label_sources(&self, value: &Value) -> Option<Vec<MissingSource>> {
        let section = self.file.labels.as_ref()?;
        let value = self.file.normalize_message(value);
        let sources = [
            (LABEL_EVENT_ID, &section.event_id),
            ("labels.kind", &section.kind),
            ("labels.timestamp", &section.timestamp),
        ];
        Some(list_missing(&sources, &Document::new(&value)))
    }
}

fn list_missing(sources: &[(&str, &ValueSource)], document: &Document<'_>) -> Vec<MissingSource> {
    let missing = sources.iter().filter_map(|(member, source)| {
        let all = source.read_all(document);
        let problem = find_problem(all.map(|all| all.into_iter().next()))?;
        Some(MissingSource::new(*member, Some(source), problem))
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = "
event_type: order
detector: orders
event: {id: /order_id, timestamp: /created_at, entity: {type: customer, id: [/customer]}}
variables: {price: /total, items: '[.items[].quantity] | add', country: /country}
decision: {outcome_priority: [review, approve], on_undetermined: [review], on_no_match: [approve]}
labels: {event_id: /order, kind: /kind, timestamp: /at, table: [{kind: refund, label: null}]}
";

    fn list(missing: &[MissingSource]) -> Vec<String> {
        let line = |one: &MissingSource| {
            let source = one.source.as_deref().unwrap_or("-");
            format!("{} {source}: {}", one.member, one.problem)
        };
        missing.iter().map(line).collect()
    }

    #[test]
    fn sources_that_find_nothing_are_named() {
        let mapping = Mapping::parse("mapping.yaml", MAPPING).unwrap();
        let order = serde_json::json!({"orderId": "A-1", "created_at": "2026-06-01", "customer": "jo", "total": [1], "country": "NO"});
        assert_eq!(
            list(&mapping.missing_order_sources(&order)),
            [
                "event.id /order_id: finds nothing",
                "variables.items [.items[].quantity] | add: makes the jq filter fail",
                "variables.price /total: is a list, and should be text, a number or a Boolean",
            ]
        );
        let message = serde_json::json!({"order": "A-1", "at": null});
        assert_eq!(
            list(&mapping.missing_label_sources(&message).unwrap()),
            [
                "labels.kind /kind: finds nothing",
                "labels.timestamp /at: finds nothing",
            ]
        );
        let whole = serde_json::json!({"order": "A-1", "kind": "refund", "at": "2026-06-01"});
        assert_eq!(mapping.missing_label_sources(&whole), Some(Vec::new()));
        let (without, _) = MAPPING.split_once("labels:").unwrap();
        let mapping = Mapping::parse("mapping.yaml", without).unwrap();
        assert_eq!(mapping.missing_label_sources(&whole), None);
    }
}
