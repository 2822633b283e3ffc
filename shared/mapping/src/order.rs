//! Maps an order to an event for the service.

use std::borrow::Cow;
use std::fmt;

use event::hash::to_hex;
use event::{
    Entity, EventId, EventTypeName, InvalidRevision, LabelName, Revision, Timestamp, VariableName,
    VariableValue, Variables,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use velocity::{AggregateValue, LinkWalk, UnreadableProfile};

use crate::aggregates::{KeyFacts, OrderFacts, OrderKey, SeenLinks};
use crate::data_quality::DataQualityProblem;
use crate::failure::Failure;
use crate::label_message::{read_label, reject_label};
use crate::mapping::Mapping;
use crate::mapping_file::{LongVariable, ValueType};
use crate::on_invalid::OnInvalid;
use crate::required::read_required;
use crate::short_or_long::ShortOrLong;
use crate::value_source::Document;

/// A mapped order: the event that is sent to the service.
#[derive(Clone, Debug)]
pub struct MappedOrder {
    /// The id of the order as the shop writes it.
    pub order_id: String,
    /// The id under which the service knows it.
    pub event_id: EventId,
    /// Which version of the order this is.
    pub revision: Revision,
    /// When the order was made.
    pub timestamp: Timestamp,
    /// Whose order it is.
    pub entity: Entity,
    /// The variables of the event.
    pub variables: Variables,
    /// The bodies for external models.
    pub blobs: Vec<ModelBlob>,
    /// Problems with the values of the order.
    pub data_quality: Vec<DataQualityProblem>,
    /// The label and its time, if the record is history with a known label.
    pub label: Option<(LabelName, Timestamp)>,
    /// Hash of the mapped event, before variables that the service refuses are left out, and without aggregates.
    pub event_hash: String,
    /// The keys of the order that have aggregates, and what their profiles keep of it.
    pub keys: Vec<OrderKey>,
    /// What its decision keeps of them, and of the conditions of aggregates.
    pub key_facts: KeyFacts,
    /// The second generation of profiles in which it was counted, if there was one.
    pub also_counted_in: Option<u32>,
    /// The accounts that it shares keys with, if there are any.
    pub links: Option<SeenLinks>,
}

/// The body for an external model that does not take event variables (`externalModelEndpointDataBlobs`).
#[derive(Clone, PartialEq, Eq)]
pub struct ModelBlob {
    /// The endpoint.
    pub endpoint: String,
    /// The body's media type.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl fmt::Debug for ModelBlob {
    /// Leaves out the body, which holds values of the order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({}, {})", self.endpoint, self.content_type)
    }
}

impl Mapping {
    /// Maps one order.
    ///
    /// # Errors
    /// [`Failure::Rejected`] if the id, the timestamp, the entity type or the label cannot be read; [`Failure::Skipped`] if
    /// the message is no order.
    pub fn map_order(&self, value: &Value) -> Result<MappedOrder, Failure> {
        let value = self.file.normalize_message(value);
        let document = Document::new(&value);
        let mut data_quality = Vec::new();
        match self.file.skip_when.as_ref().map(|it| it.holds(&document)) {
            Some(Ok(true)) => return Err(Failure::Skipped),
            // It may be an order.
            Some(Err(problem)) => {
                data_quality.push(DataQualityProblem::undetermined("skip_when", problem));
            }
            Some(Ok(false)) | None => {}
        }
        let section = &self.file.event;
        let order_id = read_required(&section.id, &document, "id")?;
        let timestamp = read_required(&section.timestamp, &document, "timestamp")?;
        let timestamp =
            Timestamp::parse_in(&timestamp, &self.file.timezone.0).map_err(|error| {
                Failure::rejected(
                    "bad-timestamp",
                    format!("`{:?}`: {error}", section.timestamp),
                )
            })?;
        let revision = self.read_revision(&document, &mut data_quality)?;
        let entity = Entity {
            entity_type: self.read_entity_type(&document)?,
            entity_id: self.read_entity_id(&document, &mut data_quality),
        };
        let variables = self.read_variables(&document, &mut data_quality);
        let event_id = EventId::slug(&order_id);
        let facts = OrderFacts {
            event_id: &event_id,
            revision,
            timestamp,
        };
        let source = (&document, &self.file.timezone.0);
        let (keys, key_facts) =
            self.aggregates
                .read_keys(&facts, &variables, source, &mut data_quality);
        let blobs = self.read_blobs(&document, &mut data_quality);
        let label = self.read_history_label(&document, timestamp)?;
        if document.is_used_up() {
            // Values may be missing because of it, so the order is undetermined and must not pass silently.
            data_quality.push(DataQualityProblem::undetermined(
                "order",
                "makes the filters of the mapping do too much work",
            ));
        }
        let mut order = MappedOrder {
            event_id,
            order_id,
            revision,
            timestamp,
            entity,
            variables,
            blobs,
            data_quality,
            label,
            event_hash: String::new(),
            keys,
            key_facts,
            links: None,
            also_counted_in: None,
        };
        order.event_hash = order.compute_hash(&self.file.event_type);
        Ok(order)
    }

    fn read_revision(
        &self,
        document: &Document<'_>,
        quality: &mut Vec<DataQualityProblem>,
    ) -> Result<Revision, Failure> {
        let Some(source) = &self.file.event.revision else {
            return Ok(Revision::FIRST);
        };
        let problem = match source.read(document) {
            Ok(None) => return Ok(Revision::FIRST),
            Ok(Some(text)) => match Revision::parse(&text, &self.file.timezone.0) {
                Ok(revision) => return Ok(revision),
                Err(error @ InvalidRevision::TooLarge) => {
                    return Err(Failure::rejected(
                        "bad-revision",
                        format!("`{source:?}` {error}"),
                    ));
                }
                Err(error) => error.to_string(),
            },
            Err(problem) => problem,
        };
        quality.push(DataQualityProblem::undetermined(
            "revision",
            format!("{problem}; 1 was taken"),
        ));
        Ok(Revision::FIRST)
    }

    fn read_variables(
        &self,
        document: &Document<'_>,
        quality: &mut Vec<DataQualityProblem>,
    ) -> Variables {
        let mut variables = Variables::default();
        for (name, variable) in &self.file.variables {
            match self.read_variable(variable, document) {
                Ok(Some(value)) => {
                    if let Err(error) = variables.insert(name.clone(), value) {
                        quality.push(DataQualityProblem::undetermined(
                            name.as_str(),
                            error.to_string(),
                        ));
                    }
                }
                Ok(None) if variable.is_required() => {
                    quality.push(DataQualityProblem::undetermined(
                        name.as_str(),
                        "is required and absent",
                    ));
                }
                Ok(None) => {}
                Err(problem) if variable.omits_invalid() => {
                    quality.push(DataQualityProblem {
                        undetermined: false,
                        ..DataQualityProblem::undetermined(name.as_str(), problem)
                    });
                }
                Err(problem) => {
                    quality.push(DataQualityProblem::undetermined(name.as_str(), problem));
                }
            }
        }
        variables
    }

    fn read_blobs(
        &self,
        document: &Document<'_>,
        quality: &mut Vec<DataQualityProblem>,
    ) -> Vec<ModelBlob> {
        let mut blobs = Vec::new();
        for (endpoint, model) in &self.file.external_models {
            let problem = match model.body.read(document) {
                Ok(Some(body)) => {
                    blobs.push(ModelBlob {
                        endpoint: endpoint.clone(),
                        content_type: model.content_type.clone(),
                        body: body.into_owned(),
                    });
                    continue;
                }
                Ok(None) => "has no body".to_owned(),
                Err(problem) => problem,
            };
            quality.push(DataQualityProblem::undetermined(endpoint.as_str(), problem));
        }
        blobs
    }

    pub(crate) fn read_variable(
        &self,
        variable: &ShortOrLong<LongVariable>,
        document: &Document<'_>,
    ) -> Result<Option<VariableValue>, String> {
        let text = match variable {
            ShortOrLong::Short(source) => source.read(document)?,
            ShortOrLong::Long(long) => self.read_long_variable(long, document)?,
        };
        text.map(|text| {
            VariableValue::try_from(text.into_owned()).map_err(|error| error.to_string())
        })
        .transpose()
    }

    fn read_long_variable<'a>(
        &self,
        variable: &LongVariable,
        document: &Document<'a>,
    ) -> Result<Option<Cow<'a, str>>, String> {
        let text = match &variable.from {
            ShortOrLong::Short(source) => source.read(document)?,
            ShortOrLong::Long(source) => source.read(document, &self.file.timezone.0)?,
        };
        let Some(text) = text else {
            return Ok(None);
        };
        let text = variable.form.apply(text)?;
        let text = match &variable.locate {
            None => Some(text),
            Some(locate) => locate
                .read(&text, document, &self.locations)?
                .map(Cow::Owned),
        };
        text.map(|text| self.check_type(variable.value_type, text))
            .transpose()
    }

    fn check_type<'a>(
        &self,
        value_type: ValueType,
        text: Cow<'a, str>,
    ) -> Result<Cow<'a, str>, String> {
        match value_type {
            ValueType::String => Ok(text),
            ValueType::Integer if text.parse::<i64>().is_ok() => Ok(text),
            ValueType::Integer => Err("is not a whole number".to_owned()),
            ValueType::Float if text.parse::<f64>().is_ok_and(f64::is_finite) => Ok(text),
            ValueType::Float => Err("is not a number".to_owned()),
            ValueType::Boolean if is_one_of(&text, &["true", "1", "yes"]) => {
                Ok(Cow::Borrowed("true"))
            }
            ValueType::Boolean if is_one_of(&text, &["false", "0", "no"]) => {
                Ok(Cow::Borrowed("false"))
            }
            ValueType::Boolean => Err("is neither true nor false".to_owned()),
            ValueType::DateTime => Timestamp::parse_in(&text, &self.file.timezone.0)
                .map(|time| Cow::Owned(time.to_string()))
                .map_err(|_| "is not a date and time such as 2026-06-01T10:15:30Z".to_owned()),
        }
    }

    fn read_history_label(
        &self,
        document: &Document<'_>,
        event: Timestamp,
    ) -> Result<Option<(LabelName, Timestamp)>, Failure> {
        let Some(source) = &self.file.event.label else {
            return Ok(None);
        };
        let Some(label) = read_label(source, document)? else {
            return Ok(None);
        };
        let Some(source) = &self.file.event.label_timestamp else {
            return Ok(Some((label, event)));
        };
        let time = match source
            .read(document)
            .map_err(|problem| reject_label(source, &problem))?
        {
            None => event,
            Some(text) => Timestamp::parse_in(&text, &self.file.timezone.0)
                .map_err(|error| reject_label(source, &error.to_string()))?,
        };
        Ok(Some((label, time)))
    }
}

impl MappedOrder {
    /// Hash of everything that is sent to the service.
    fn compute_hash(&self, event_type: &EventTypeName) -> String {
        let mut hasher = Sha256::new();
        // The lengths are part of the hash, so that moving a character from one value to the next changes it.
        let mut add = |text: &str| {
            hasher.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(text.as_bytes());
        };
        add(event_type.as_str());
        add(self.event_id.as_str());
        add(&self.timestamp.to_string());
        add(self.entity.entity_type.as_str());
        add(self.entity.entity_id.as_str());
        for (name, value) in &self.variables {
            add(name.as_str());
            add(value.expose());
        }
        for blob in &self.blobs {
            add(&blob.endpoint);
            add(&blob.body);
        }
        to_hex(&hasher.finalize()[..16])
    }

    /// Whether a value that the mapping needs could not be read.
    pub fn is_undetermined(&self) -> bool {
        self.data_quality.iter().any(|quality| quality.undetermined)
    }

    /// Notes that the order has no variables, which makes it undetermined.
    pub fn note_no_variables(&mut self) {
        self.data_quality.push(DataQualityProblem::undetermined(
            "order",
            "has no variable that could be judged",
        ));
    }

    /// Notes that the order is not counted by its keys, which makes it undetermined: its aggregates are not known.
    pub fn leave_uncounted(&mut self, why: &str) {
        if !self.keys.is_empty() {
            self.keys.clear();
            self.key_facts = KeyFacts::default();
            let problem = format!("{why}, so its aggregates are not known");
            self.data_quality
                .push(DataQualityProblem::undetermined("timestamp", problem));
        }
    }

    /// Notes that the aggregates on a key are not known because its profile cannot be read, which makes the order
    /// undetermined.
    pub fn note_unknown_aggregates(&mut self, key: &str, why: UnreadableProfile) {
        let problem = format!("has no known aggregates: {why}");
        self.data_quality
            .push(DataQualityProblem::undetermined(key, problem));
    }

    /// Notes that the links of the order are not known because the profile of another key cannot be read, which makes the
    /// order undetermined.
    pub fn note_unknown_links(&mut self, why: UnreadableProfile) {
        let problem = format!("are not known: {why}");
        self.data_quality
            .push(DataQualityProblem::undetermined("links", problem));
    }

    /// Notes that so many orders share the value of a key that it should be a hub.
    pub fn note_busy_key(&mut self, key: &str) {
        self.data_quality.push(DataQualityProblem {
            undetermined: false,
            ..DataQualityProblem::undetermined(
                key,
                "is shared by very many orders within minutes; if they are unrelated, make it a `hub`",
            )
        });
    }

    fn set_variable(&mut self, name: &VariableName, value: String) {
        let set = VariableValue::try_from(value).map_err(|error| error.to_string());
        let set = set.and_then(|value| {
            let inserted = self.variables.insert(name.clone(), value);
            inserted.map_err(|error| error.to_string())
        });
        if let Err(problem) = set {
            let problem = DataQualityProblem::undetermined(name.as_str(), problem);
            self.data_quality.push(problem);
        }
    }

    /// Removes a variable whose value the service refused, which makes the order undetermined.
    pub fn leave_out(&mut self, name: &VariableName) {
        self.variables.remove(name.as_str());
        self.data_quality.push(DataQualityProblem::undetermined(
            name.as_str(),
            "was refused by the service and left out",
        ));
    }
}

impl Mapping {
    /// Sets the variables of the aggregates on a key of the order. `values` has the order of the aggregates of
    /// its layout; one that is not known stays absent.
    pub fn set_aggregates(
        &self,
        order: &mut MappedOrder,
        key: usize,
        values: Vec<Option<AggregateValue>>,
    ) {
        let Some(key) = self.aggregates.keys.get(key) else {
            return;
        };
        for (name, value) in key.format_values(values) {
            order.set_variable(name, value);
        }
    }

    /// Sets the variables of the links of the order, and notes what it saw of them.
    pub fn set_links(&self, order: &mut MappedOrder, walk: &LinkWalk) {
        let Some(linked) = self.linked_keys() else {
            return;
        };
        for (name, value) in linked.variables(walk) {
            order.set_variable(&name, value);
        }
        let seen = linked.seen(walk);
        order.links = (seen != SeenLinks::default()).then_some(seen);
    }
}

impl ShortOrLong<LongVariable> {
    fn is_required(&self) -> bool {
        matches!(self, Self::Long(long) if long.required)
    }

    fn omits_invalid(&self) -> bool {
        matches!(self, Self::Long(long) if long.on_invalid == OnInvalid::Omit)
    }
}

fn is_one_of(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::json::parse_json;
    use crate::sample::map_sample;

    #[test]
    fn the_hash_tells_orders_apart_and_not_their_unmapped_members() {
        let base =
            r#"{"order_id":"1","created_at":"2026-06-01T10:15:30Z","total":"5","currency":"USD"}"#;
        let hash = |text: &str| map_sample(text).event_hash;
        assert_eq!(hash(base), hash(&base.replace('}', r#","note":"x"}"#)));
        assert_eq!(
            hash(base),
            hash(&base.replace("10:15:30Z", "12:15:30+02:00"))
        );
        assert_ne!(hash(base), hash(&base.replace("\"5\"", "\"6\"")));
        assert_ne!(hash(base), hash(&base.replace("10:15:30Z", "10:15:31Z")));
    }

    const WEBHOOKS: &str = r#"
event_type: order
detector: orders
skip_when: '.topic | (. != null and (startswith("orders/") | not))'
no_value: {/customer_id: [0, guest]}
event: {id: /id, timestamp: /at, entity: {type: customer, id: [/customer_id, {hash: /email}]}}
variables:
  customer: /customer_id
  guest: {from: {absent: /customer_id}}
  by_filter: 'if .customer_id == null then "none" else "some" end'
aggregates:
  keys: {customer_key: /customer_id}
  variables: {orders_1d: {count: {by: customer_key, within: 1d}}}
decision: {outcome_priority: [review], on_undetermined: [review], on_no_match: [review]}
labels: {event_id: /id, kind: /kind, timestamp: /at, table: [], skip_when: {/topic: orders/create}}
"#;

    #[test]
    fn what_stands_for_no_value_is_none_for_all_that_read_it() {
        let mapping = Mapping::parse("mapping.yaml", WEBHOOKS).unwrap();
        let map = |customer: Value| {
            let order = serde_json::json!({"id": "1", "at": "2026-06-01T10:15:30Z", "customer_id": customer});
            let order = mapping.map_order(&order).unwrap();
            let text = |name: &str| {
                let value = order.variables.get(name);
                value.map_or("-", |value| value.expose()).to_owned()
            };
            let entity = order.entity.entity_id.as_str();
            let variables = ["customer", "guest", "by_filter"].map(text).join(" ");
            format!("{entity} {variables} {}", order.keys.len())
        };
        assert_eq!(map(7.into()), "7 7 false some 1");
        for guest in [Value::from(0), "0".into(), "guest".into(), Value::Null] {
            assert_eq!(map(guest), "unknown - true none 0");
        }
    }

    #[test]
    fn a_message_that_is_no_order_is_skipped() {
        let mapping = Mapping::parse("mapping.yaml", WEBHOOKS).unwrap();
        let map = |topic: Value| {
            let message =
                serde_json::json!({"id": "1", "at": "2026-06-01T10:15:30Z", "topic": topic});
            let order = match mapping.map_order(&message) {
                Ok(order) if order.is_undetermined() => "undetermined".to_owned(),
                Ok(_) => "order".to_owned(),
                Err(failure) => failure.to_string(),
            };
            let label = mapping.map_labels(&message).unwrap_err();
            format!(
                "{order}, {}",
                label.to_string().split(':').next().unwrap_or_default()
            )
        };
        assert_eq!(map("orders/create".into()), "order, skipped");
        assert_eq!(map("orders/cancel".into()), "order, rejected");
        assert_eq!(
            map("products/update".into()),
            "skipped: the mapping skips this message, rejected"
        );
        assert_eq!(map(Value::Null), "order, rejected");
        // Whether it is an order cannot be told, so it is treated as one.
        assert_eq!(map(7.into()), "undetermined, rejected");
    }

    /// The sample mapping gives what its first version gave with jq filters, for each sample order. That had no keys of
    /// aggregates, and orders whose value of one of these is invalid were undetermined.
    #[test]
    fn computed_values_give_what_filters_gave() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let read = |path: &str| Mapping::read(Path::new(&format!("{folder}/{path}"))).unwrap();
        let with_jq = read("shared/mapping/testdata/with-jq.yaml");
        let sample = read("config/mapping.yaml");
        let orders = std::fs::read_to_string(format!("{folder}/events/orders.jsonl")).unwrap();
        let mut compared = 0;
        for line in orders.lines() {
            let Ok(order) = parse_json(line.as_bytes()) else {
                continue;
            };
            let (Ok(want), Ok(got)) = (with_jq.map_order(&order), sample.map_order(&order)) else {
                continue;
            };
            let is_key = |name: &str| sample.aggregate_keys().iter().any(|key| key.name() == name);
            let left_out = ["email_address", "signed_up_at", "address_changed_at"];
            let undetermined = |order: &MappedOrder| -> Vec<String> {
                let problems = order.data_quality.iter();
                let problems = problems
                    .filter(|it| it.undetermined || left_out.contains(&it.variable.as_str()));
                let names = problems.map(|it| it.variable.clone());
                names.filter(|name| !is_key(name)).collect()
            };
            assert_eq!(undetermined(&got), undetermined(&want), "{line}");
            // An age is also known where the time has a form that jq's `fromdate` does not read.
            for (name, want) in &want.variables {
                let got = got.variables.get(name.as_str()).unwrap().expose();
                let want = want.expose();
                let close = |got: f64, want: f64| (got - want).abs() <= 1e-9 * want.abs();
                let is_same = got == want
                    || matches!((got.parse(), want.parse()), (Ok(got), Ok(want)) if close(got, want));
                assert!(is_same, "{name}: `{got}` instead of `{want}`: {line}");
                compared += 1;
            }
        }
        assert!(compared > 30_000, "{compared}");
    }
}
