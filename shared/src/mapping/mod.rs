//! How an order becomes an event, how outcomes become one decision, how a chargeback becomes a label.
//!
//! A [`Mapping`] is read once, at start; a broken file fails there, with file and line. After that
//! every order whose id and timestamp can be read becomes an [`Order`].

mod file;
mod jq;
mod locate;
mod money;
mod normal;
mod source;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use event::{
    DetectorId, Entity, EntityId, EntityTypeName, EventId, EventTypeName, InvalidRevision,
    LabelName, OutcomeName, Revision, Timestamp, VariableName, VariableValue, Variables,
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub use normal::Form;

use crate::failure::Failure;
use crate::hash::{hex, short_hash};
use crate::labels::{Label, LabelTime};
use crate::locations::Locations;
use file::{EntityType, File, HashedSource, LongVariable, OnInvalid, TextOr, ValueType};
use source::{Document, Source};

/// Why a mapping file cannot be used.
#[derive(Debug, Error)]
pub enum MappingError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no mapping. The text holds file, line, column and what would be right.
    #[error("{path}:{line}:{column}: {what}")]
    Invalid {
        /// The file.
        path: String,
        /// Line of the fault, from 1.
        line: u64,
        /// Column of the fault, from 1.
        column: u64,
        /// What is wrong there.
        what: String,
    },
}

/// A checked mapping.
#[derive(Debug)]
pub struct Mapping {
    file: File,
    hash: String,
    locations: Arc<Locations>,
}

/// One order, mapped.
#[derive(Clone, Debug)]
pub struct Order {
    /// The order's id as the shop writes it.
    pub order_id: String,
    /// The id under which the service knows it.
    pub event_id: EventId,
    /// Which version of the order this is.
    pub revision: Revision,
    /// When the order was made.
    pub timestamp: Timestamp,
    /// Whose order it is.
    pub entity: Entity,
    /// The values to judge.
    pub variables: Variables,
    /// What models elsewhere are asked.
    pub blobs: Vec<Blob>,
    /// What was wrong with the order's values.
    pub data_quality: Vec<Quality>,
    /// The label, where the record is history that knows its label.
    pub label: Option<(LabelName, Timestamp)>,
    /// Hash of the mapped event, before the service refuses anything.
    pub event_hash: String,
}

/// The body for an endpoint whose model does not take event variables
/// (`externalModelEndpointDataBlobs`).
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    /// The endpoint.
    pub endpoint: String,
    /// The body's media type.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl std::fmt::Debug for Blob {
    /// Without the body: it is made of the order's values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({}, {})", self.endpoint, self.content_type)
    }
}

/// A value that was left out, and why. It quotes no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// The variable, the endpoint of an external model, `entity` or `revision`.
    pub variable: String,
    /// What was wrong.
    pub problem: String,
    /// Whether the decision must add the `on_undetermined` outcomes because of it.
    pub undetermined: bool,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`MappingError`]: unreadable, or invalid at a line.
    pub fn read(path: &Path) -> Result<Self, MappingError> {
        let text = std::fs::read_to_string(path).map_err(|source| MappingError::Unreadable {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Parses a mapping; `path` is its name in errors.
    ///
    /// # Errors
    /// [`MappingError::Invalid`] with line and column.
    pub fn parse(path: &str, text: &str) -> Result<Self, MappingError> {
        let invalid = |line, column, what| MappingError::Invalid {
            path: path.to_owned(),
            line,
            column,
            what,
        };
        let file: File = serde_saphyr::from_str(text).map_err(|error| {
            let (line, column) = error
                .location()
                .map_or((1, 1), |at| (at.line(), at.column()));
            invalid(line, column, sentence(&error.to_string()))
        })?;
        check_outcomes(&file.decision)
            .map_err(|(line, column, what)| invalid(line, column, what))?;
        if file.variables.is_empty() {
            return Err(invalid(
                1,
                1,
                "`variables` is empty; the service needs at least one variable".to_owned(),
            ));
        }
        Ok(Self {
            file,
            hash: short_hash(text.as_bytes()),
            locations: Arc::default(),
        })
    }

    /// With files that know where IP addresses are, for variables with `locate`.
    #[must_use]
    pub fn with_locations(mut self, locations: Arc<Locations>) -> Self {
        // With other files, another country is another mapping and not another order.
        for version in locations.versions() {
            self.hash = short_hash(format!("{} {version}", self.hash).as_bytes());
        }
        self.locations = locations;
        self
    }

    /// The event type of every order.
    pub fn event_type(&self) -> &EventTypeName {
        &self.file.event_type
    }

    /// The detector that judges the orders.
    pub fn detector(&self) -> &DetectorId {
        &self.file.detector
    }

    /// A hash of the mapping's text and of the versions of its IP location files.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Outcomes, most important first.
    pub fn outcome_priority(&self) -> &[OutcomeName] {
        &self.file.decision.outcome_priority
    }

    /// Added when something could not be judged.
    pub fn on_undetermined(&self) -> &[OutcomeName] {
        &self.file.decision.on_undetermined.value
    }

    /// Taken when no rule matched.
    pub fn on_no_match(&self) -> &[OutcomeName] {
        &self.file.decision.on_no_match.value
    }

    /// Whether a decision with this effective outcome waits for a reviewer.
    pub fn is_reviewable(&self, outcome: &OutcomeName) -> bool {
        self.file
            .decision
            .reviewable
            .as_ref()
            .is_some_and(|reviewable| reviewable.value.contains(outcome))
    }

    /// The outcomes that wait for a reviewer.
    pub fn reviewable(&self) -> &[OutcomeName] {
        self.file
            .decision
            .reviewable
            .as_ref()
            .map_or(&[], |reviewable| &reviewable.value)
    }

    /// The zone of times that name none.
    pub fn timezone(&self) -> &TimeZone {
        &self.file.timezone.0
    }

    /// How long a decision is kept, in seconds.
    pub fn retention_seconds(&self) -> i64 {
        i64::from(self.file.decision.retention_days) * 86_400
    }

    /// What keeps records of one order in order: its id, as an order or as a label names it.
    pub fn order_key(&self, value: &Value) -> Option<String> {
        let document = Document::new(value);
        let sources = [
            Some(&self.file.event.id),
            self.file.labels.as_ref().map(|labels| &labels.event_id),
        ];
        let mut ids = sources
            .into_iter()
            .flatten()
            .filter_map(|source| source.read_all(&document).ok());
        ids.find_map(|ids| ids.into_iter().next())
    }

    /// Maps one order.
    ///
    /// # Errors
    /// [`Failure::Rejected`] where the id or the timestamp cannot be read.
    pub fn order(&self, value: &Value) -> Result<Order, Failure> {
        let document = Document::new(value);
        let section = &self.file.event;
        let order_id = required(&section.id, &document, "id")?;
        let timestamp = required(&section.timestamp, &document, "timestamp")?;
        let timestamp =
            Timestamp::parse_in(&timestamp, &self.file.timezone.0).map_err(|error| {
                Failure::rejected(
                    "bad-timestamp",
                    format!("`{:?}`: {error}", section.timestamp),
                )
            })?;
        let mut data_quality = Vec::new();
        let revision = self.revision(&document, &mut data_quality)?;
        let entity = Entity {
            entity_type: self.entity_type(&document)?,
            entity_id: self.entity_id(&document, &mut data_quality),
        };
        let variables = self.variables(&document, &mut data_quality);
        let blobs = self.blobs(&document, &mut data_quality);
        let label = self.history_label(&document, timestamp)?;
        if document.is_used_up() {
            // Whatever else could not be read because of it, nothing may fail open.
            data_quality.push(Quality::undetermined(
                "order",
                "makes the filters of the mapping do too much work",
            ));
        }
        let mut order = Order {
            event_id: EventId::slug(&order_id),
            order_id,
            revision,
            timestamp,
            entity,
            variables,
            blobs,
            data_quality,
            label,
            event_hash: String::new(),
        };
        order.event_hash = order.hash(&self.file.event_type);
        Ok(order)
    }

    fn revision(
        &self,
        document: &Document<'_>,
        quality: &mut Vec<Quality>,
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
        quality.push(Quality::undetermined(
            "revision",
            format!("{problem}; 1 was taken"),
        ));
        Ok(Revision::FIRST)
    }

    fn entity_type(&self, document: &Document<'_>) -> Result<EntityTypeName, Failure> {
        match &self.file.event.entity.entity_type {
            EntityType::Fixed(name) => Ok(name.clone()),
            EntityType::From(source) => {
                EntityTypeName::try_from(required(source, document, "entity type")?).map_err(
                    |error| Failure::rejected("bad-entity-type", format!("`{source:?}`: {error}")),
                )
            }
        }
    }

    fn entity_id(&self, document: &Document<'_>, quality: &mut Vec<Quality>) -> EntityId {
        for source in &self.file.event.entity.id {
            match entity_from(source, document) {
                Ok(Some(id)) => return id,
                Ok(None) => {}
                Err(problem) => quality.push(Quality {
                    undetermined: false,
                    ..Quality::undetermined("entity", problem)
                }),
            }
        }
        EntityId::unknown()
    }

    fn variables(&self, document: &Document<'_>, quality: &mut Vec<Quality>) -> Variables {
        let mut variables = Variables::default();
        for (name, variable) in &self.file.variables {
            match self.variable(variable, document) {
                Ok(Some(value)) => {
                    if let Err(error) = variables.insert(name.clone(), value) {
                        quality.push(Quality::undetermined(name.as_str(), error.to_string()));
                    }
                }
                Ok(None) if variable.required() => {
                    quality.push(Quality::undetermined(
                        name.as_str(),
                        "is required and absent",
                    ));
                }
                Ok(None) => {}
                Err(problem) if variable.omits() => {
                    quality.push(Quality {
                        undetermined: false,
                        ..Quality::undetermined(name.as_str(), problem)
                    });
                }
                Err(problem) => quality.push(Quality::undetermined(name.as_str(), problem)),
            }
        }
        variables
    }

    fn blobs(&self, document: &Document<'_>, quality: &mut Vec<Quality>) -> Vec<Blob> {
        let mut blobs = Vec::new();
        for (endpoint, model) in &self.file.external_models {
            let problem = match model.body.read(document) {
                Ok(Some(body)) => {
                    blobs.push(Blob {
                        endpoint: endpoint.clone(),
                        content_type: model.content_type.clone(),
                        body: body.into_owned(),
                    });
                    continue;
                }
                Ok(None) => "has no body".to_owned(),
                Err(problem) => problem,
            };
            quality.push(Quality::undetermined(endpoint.as_str(), problem));
        }
        blobs
    }

    fn variable(
        &self,
        variable: &TextOr<LongVariable>,
        document: &Document<'_>,
    ) -> Result<Option<VariableValue>, String> {
        let text = match variable {
            TextOr::Text(source) => source.read(document)?,
            TextOr::Map(long) => self.long(long, document)?,
        };
        text.map(|text| {
            VariableValue::try_from(text.into_owned()).map_err(|error| error.to_string())
        })
        .transpose()
    }

    fn long<'a>(
        &self,
        variable: &LongVariable,
        document: &Document<'a>,
    ) -> Result<Option<Cow<'a, str>>, String> {
        let text = match &variable.from {
            TextOr::Text(source) => source.read(document)?,
            TextOr::Map(money) => money.read(document)?.map(Cow::Owned),
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
        text.map(|text| self.typed(variable.value_type, text))
            .transpose()
    }

    fn typed<'a>(&self, value_type: ValueType, text: Cow<'a, str>) -> Result<Cow<'a, str>, String> {
        match value_type {
            ValueType::String => Ok(text),
            ValueType::Integer if text.parse::<i64>().is_ok() => Ok(text),
            ValueType::Integer => Err("is not a whole number".to_owned()),
            ValueType::Float if text.parse::<f64>().is_ok_and(f64::is_finite) => Ok(text),
            ValueType::Float => Err("is not a number".to_owned()),
            ValueType::Boolean if is_word(&text, &["true", "1", "yes"]) => {
                Ok(Cow::Borrowed("true"))
            }
            ValueType::Boolean if is_word(&text, &["false", "0", "no"]) => {
                Ok(Cow::Borrowed("false"))
            }
            ValueType::Boolean => Err("is neither true nor false".to_owned()),
            ValueType::DateTime => Timestamp::parse_in(&text, &self.file.timezone.0)
                .map(|time| Cow::Owned(time.to_string()))
                .map_err(|_| "is not a date and time such as 2026-06-01T10:15:30Z".to_owned()),
        }
    }

    fn history_label(
        &self,
        document: &Document<'_>,
        event: Timestamp,
    ) -> Result<Option<(LabelName, Timestamp)>, Failure> {
        let Some(source) = &self.file.event.label else {
            return Ok(None);
        };
        let Some(label) = source
            .read(document)
            .map_err(|problem| bad_label(source, &problem))?
        else {
            return Ok(None);
        };
        let label = LabelName::try_from(label.into_owned())
            .map_err(|error| bad_label(source, &error.to_string()))?;
        let Some(source) = &self.file.event.label_timestamp else {
            return Ok(Some((label, event)));
        };
        let time = match source
            .read(document)
            .map_err(|problem| bad_label(source, &problem))?
        {
            None => event,
            Some(text) => Timestamp::parse_in(&text, &self.file.timezone.0)
                .map_err(|error| bad_label(source, &error.to_string()))?,
        };
        Ok(Some((label, time)))
    }

    /// Maps one chargeback, refund, reversal or analyst's verdict: a label for each order that it names, at least one.
    ///
    /// # Errors
    /// [`Failure::Rejected`] where an order id, the kind or the time cannot be read, or where the
    /// table has no row for the kind and code.
    pub fn labels(&self, value: &Value) -> Result<Vec<Label>, Failure> {
        let Some(section) = &self.file.labels else {
            return Err(Failure::set_up("the mapping has no `labels` section"));
        };
        let document = Document::new(value);
        let optional = |source: &Option<Source>| match source {
            None => Ok(None),
            Some(source) => short(
                source,
                source
                    .read(&document)
                    .map_err(|problem| bad_label(source, &problem))?,
            ),
        };
        let order_ids = all_required(&section.event_id, &document, "event_id")?;
        let kind = required(&section.kind, &document, "kind")?;
        let time = required(&section.timestamp, &document, "timestamp")?;
        let time = LabelTime::parse(&time, &self.file.timezone.0).map_err(|error| {
            Failure::rejected(
                "bad-timestamp",
                format!("`{:?}`: {error}", section.timestamp),
            )
        })?;
        let reason_code = optional(&section.reason_code)?;
        let row = section.table.iter().find(|row| row.fits(&kind, reason_code.as_deref())).ok_or_else(|| {
            let kinds: Vec<_> = section.table.iter().map(|row| row.kind.as_str()).collect();
            Failure::rejected(
                "unknown-label-kind",
                format!("the label table has no row for kind `{kind}` and this reason code; it has {}", kinds.join(", ")),
            )
        })?;
        let source = optional(&section.source)?.unwrap_or_default();
        let mut event_ids: Vec<EventId> = order_ids.iter().map(|id| EventId::slug(id)).collect();
        event_ids.sort_unstable();
        event_ids.dedup();
        let rank = section.source_ranks.get(&source).copied().unwrap_or(0);
        let (amount, currency) = (optional(&section.amount)?, optional(&section.currency)?);
        let of = |event_id| Label {
            event_id,
            label: row.label.clone(),
            time,
            rank,
            kind: kind.clone(),
            reason_code: reason_code.clone(),
            amount: amount.clone(),
            currency: currency.clone(),
            source: source.clone(),
        };
        Ok(event_ids.into_iter().map(of).collect())
    }

    /// Every entity id that `text` becomes, where an order has it in one of the entity's places: a
    /// guest's address, for example, is the hash under which the guest is known.
    pub fn entity_ids(&self, text: &str) -> BTreeSet<EntityId> {
        let text = text.trim();
        let ids = self.file.event.entity.id.iter();
        ids.filter_map(|source| match source {
            TextOr::Text(_) => {
                Some(EntityId::try_from(text).unwrap_or_else(|_| hashed_entity(text)))
            }
            TextOr::Map(hashed) => {
                let normal = hashed.form.apply(Cow::Borrowed(text)).ok()?;
                Some(hashed_entity(&normal))
            }
        })
        .collect()
    }

    /// The labels that the table gives for chargebacks.
    pub fn chargeback_labels(&self) -> BTreeSet<&str> {
        let rows = self.file.labels.iter().flat_map(|labels| &labels.table);
        rows.filter(|row| row.kind.eq_ignore_ascii_case("chargeback"))
            .filter_map(|row| row.label.as_ref().map(LabelName::as_str))
            .collect()
    }
}

impl Order {
    /// Hash of what the service is asked to judge.
    fn hash(&self, event_type: &EventTypeName) -> String {
        let mut hasher = Sha256::new();
        // Lengths go in, so that moving a character from one value to the next changes the hash.
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
        hex(&hasher.finalize()[..16])
    }

    /// Whether something the mapping needs could not be read.
    pub fn is_undetermined(&self) -> bool {
        self.data_quality.iter().any(|quality| quality.undetermined)
    }

    /// Notes that no variable is left to judge, so that nothing fails open.
    pub fn note_nothing_to_judge(&mut self) {
        self.data_quality.push(Quality::undetermined(
            "order",
            "has no variable that could be judged",
        ));
    }

    /// Leaves a variable out because the service refused its value.
    pub fn leave_out(&mut self, name: &VariableName) {
        self.variables.remove(name.as_str());
        self.data_quality.push(Quality::undetermined(
            name.as_str(),
            "was refused by the service and left out",
        ));
    }
}

impl Quality {
    fn undetermined(variable: &str, problem: impl Into<String>) -> Self {
        Self {
            variable: variable.to_owned(),
            problem: problem.into(),
            undetermined: true,
        }
    }
}

impl TextOr<LongVariable> {
    fn required(&self) -> bool {
        matches!(self, Self::Map(long) if long.required)
    }

    fn omits(&self) -> bool {
        matches!(self, Self::Map(long) if long.on_invalid == OnInvalid::Omit)
    }
}

fn is_word(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn bad_label(source: &Source, problem: &str) -> Failure {
    Failure::rejected("bad-label", format!("`{source:?}`: {problem}"))
}

/// The longest id, kind or time: an item of DynamoDB has room for much more, and no such text has.
const LONGEST_ID: usize = 1024;

fn required(source: &Source, document: &Document<'_>, what: &str) -> Result<String, Failure> {
    let text = source
        .read(document)
        .map_err(|problem| missing(source, what, &problem))?;
    short(source, text)?.ok_or_else(|| missing(source, what, "is absent or blank"))
}

fn all_required(
    source: &Source,
    document: &Document<'_>,
    what: &str,
) -> Result<Vec<String>, Failure> {
    let texts = source
        .read_all(document)
        .map_err(|problem| missing(source, what, &problem))?;
    if texts.is_empty() {
        return Err(missing(source, what, "is absent or blank"));
    }
    for text in &texts {
        short(source, Some(Cow::Borrowed(text)))?;
    }
    Ok(texts)
}

fn missing(source: &Source, what: &str, problem: &str) -> Failure {
    Failure::rejected(
        "missing-member",
        format!("the record has no {what}: `{source:?}` {problem}"),
    )
}

fn short(source: &Source, text: Option<Cow<'_, str>>) -> Result<Option<String>, Failure> {
    match text {
        Some(text) if text.len() > LONGEST_ID => Err(Failure::rejected(
            "too-long",
            format!(
                "`{source:?}` has {} bytes; at most {LONGEST_ID} are taken here",
                text.len()
            ),
        )),
        text => Ok(text.map(Cow::into_owned)),
    }
}

fn entity_from(
    source: &TextOr<HashedSource>,
    document: &Document<'_>,
) -> Result<Option<EntityId>, String> {
    match source {
        TextOr::Text(source) => {
            let Some(text) = source.read(document)? else {
                return Ok(None);
            };
            // An id with characters the service does not take is still the same customer each time.
            Ok(Some(
                EntityId::try_from(text.as_ref()).unwrap_or_else(|_| hashed_entity(&text)),
            ))
        }
        TextOr::Map(hashed) => {
            let Some(text) = hashed.hash.read(document)? else {
                return Ok(None);
            };
            Ok(Some(hashed_entity(&hashed.form.apply(text)?)))
        }
    }
}

fn hashed_entity(text: &str) -> EntityId {
    EntityId::try_from(hex(&Sha256::digest(text.as_bytes())[..16]))
        .unwrap_or_else(|_| EntityId::unknown())
}

type Fault = (u64, u64, String);

fn check_outcomes(decision: &file::Decision) -> Result<(), Fault> {
    let known = &decision.outcome_priority;
    let lists = [
        ("on_undetermined", Some(&decision.on_undetermined)),
        ("on_no_match", Some(&decision.on_no_match)),
        ("reviewable", decision.reviewable.as_ref()),
    ];
    for (key, list) in lists
        .into_iter()
        .filter_map(|(key, list)| list.map(|list| (key, list)))
    {
        let fault = |what| Err((list.referenced.line(), list.referenced.column(), what));
        if list.value.is_empty() && key != "reviewable" {
            return fault(format!("`{key}` is empty; name at least one outcome"));
        }
        if let Some(outcome) = list.value.iter().find(|outcome| !known.contains(outcome)) {
            let known: Vec<_> = known.iter().map(|outcome| format!("`{outcome}`")).collect();
            return fault(format!(
                "`{key}` names `{outcome}`, which `outcome_priority` lacks; it has {}",
                known.join(", ")
            ));
        }
    }
    duplicate(known).map_or(Ok(()), |outcome| {
        Err((1, 1, format!("`outcome_priority` names `{outcome}` twice")))
    })
}

fn duplicate(outcomes: &[OutcomeName]) -> Option<&OutcomeName> {
    let mut seen = BTreeSet::new();
    outcomes
        .iter()
        .find(|outcome| !seen.insert(outcome.as_str()))
}

/// The reader's sentence without the place, which stands before it already.
fn sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let what = line
        .strip_prefix("error: line ")
        .and_then(|rest| rest.split_once(": "));
    what.map_or(line, |(_, what)| what).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "event_type: order
detector: orders
event:
  id: /order_id
  timestamp: /created_at
  entity: {type: customer, id: [/customer/id, {hash: /customer/email, as: email}]}
variables:
  email: {from: /customer/email, as: email}
  price:
    from: {amount: /total, currency: /currency, base: USD, rates: {EUR: 1.08}}
    required: true
decision:
  outcome_priority: [review, approve]
  on_undetermined: [review]
  on_no_match: [approve]
";

    #[track_caller]
    fn broken(from: &str, to: &str, want: &str) {
        assert!(FILE.contains(from), "{from}");
        let error = Mapping::parse("mapping.yaml", &FILE.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn a_broken_file_says_where_and_what_would_be_right() {
        broken(
            "on_no_match: [approve]",
            "on_no_match: [aprove]",
            "mapping.yaml:15:16: `on_no_match` names `aprove`, which `outcome_priority` lacks; it has `review`, `approve`",
        );
        broken(
            "on_no_match: [approve]",
            "on_no_match: []",
            "mapping.yaml:15:16: `on_no_match` is empty; name at least one outcome",
        );
        broken(
            "  on_no_match: [approve]\n",
            "",
            "mapping.yaml:14:3: missing field `on_no_match`",
        );
        broken(
            "event_type: order",
            "event_type: Order",
            "mapping.yaml:1:13: event type has `O` at character 1; only 0-9, a-z, `_` and `-` are allowed",
        );
        broken(
            "/order_id",
            "'.order_id |'",
            "mapping.yaml:4:7: `.order_id |` is neither a JSON pointer (`/customer/email`) nor a jq filter: it does not parse",
        );
        broken(
            "as: email}\n  price",
            "ass: email}\n  price",
            "mapping.yaml:8:34: unknown field `ass`, expected one of from, as, locate, type, required, on_invalid",
        );
        broken(
            "EUR: 1.08",
            "EUR: much",
            "mapping.yaml:10:73: `much` is not an exchange rate; write a positive number such as 1.08",
        );
        broken(
            "detector: orders",
            "detector: orders\ntimezone: Mars/Olympus",
            "mapping.yaml:3:11: `Mars/Olympus` is not a time zone; write an IANA name such as Europe/Berlin, or UTC",
        );
    }

    fn order(text: &str) -> Order {
        Mapping::parse("mapping.yaml", FILE)
            .unwrap()
            .order(&serde_json::from_str(text).unwrap())
            .unwrap()
    }

    #[test]
    fn an_entity_is_the_first_that_is_there() {
        let entity = |customer: &str| {
            let text = format!(
                r#"{{"order_id":"1","created_at":"2026-06-01T10:15:30Z","customer":{customer}}}"#
            );
            order(&text).entity.entity_id.as_str().to_owned()
        };
        assert_eq!(
            entity(r#"{"id":"cust-42","email":"jo@example.com"}"#),
            "cust-42"
        );
        let guest = entity(r#"{"email":"Jo@Example.com "}"#);
        assert_eq!(guest, entity(r#"{"id":"","email":"jo@example.com"}"#));
        assert_eq!(guest.len(), 32);
        assert_eq!(entity("{}"), "unknown");
        assert_eq!(entity(r#"{"email":"no address"}"#), "unknown");
        // Not an id the service takes, and the same customer each time all the same.
        assert_eq!(entity(r#"{"id":"a b"}"#), entity(r#"{"id":"a b"}"#));
    }

    #[test]
    fn the_hash_tells_orders_apart_and_not_their_unmapped_members() {
        let base =
            r#"{"order_id":"1","created_at":"2026-06-01T10:15:30Z","total":"5","currency":"USD"}"#;
        let hash = |text: &str| order(text).event_hash;
        assert_eq!(hash(base), hash(&base.replace('}', r#","note":"x"}"#)));
        assert_eq!(
            hash(base),
            hash(&base.replace("10:15:30Z", "12:15:30+02:00"))
        );
        assert_ne!(hash(base), hash(&base.replace("\"5\"", "\"6\"")));
        assert_ne!(hash(base), hash(&base.replace("10:15:30Z", "10:15:31Z")));
    }
}
