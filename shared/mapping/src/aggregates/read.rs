//! What the profiles of an order's keys keep of it.

use std::collections::BTreeMap;

use event::hash::to_hex;
use event::{EntityId, EventId, Revision, Timestamp, VariableName, Variables};
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};
use velocity::{Amount, KeyEvent, KeyHash, hash_text};

use super::{AggregateKey, Aggregates, DistinctValue};
use crate::computed_source::parse_decimal;
use crate::data_quality::DataQualityProblem;
use crate::short_or_long::ShortOrLong;
use crate::value_source::Document;

/// The hashes of an order's keys, by the name of the key, as decisions keep them.
pub type HashedKeys = BTreeMap<String, Vec<String>>;

/// A key of an order: which one, its values, and what its profiles keep of the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderKey {
    /// The place of the key among [`Mapping::aggregate_keys`](crate::Mapping::aggregate_keys).
    pub key: usize,
    /// The hashes of its values: several if the key has several sources.
    pub hashes: Vec<String>,
    /// What the profile of each keeps of the order.
    pub event: KeyEvent,
}

/// What was read of an order already.
pub(crate) struct OrderFacts<'a> {
    pub(crate) event_id: &'a EventId,
    pub(crate) revision: Revision,
    pub(crate) timestamp: Timestamp,
    pub(crate) variables: &'a Variables,
}

impl Aggregates {
    /// The keys of an order that have aggregates. What is wrong with them is noted in `quality`.
    pub(crate) fn read_keys(
        &self,
        order: &OrderFacts<'_>,
        document: &Document<'_>,
        zone: &TimeZone,
        quality: &mut Vec<DataQualityProblem>,
    ) -> Vec<OrderKey> {
        let mut note = |name: &VariableName, problem: String| {
            let problem = DataQualityProblem::undetermined(name.as_str(), problem);
            if !quality.contains(&problem) {
                quality.push(problem);
            }
        };
        let mut values: BTreeMap<&VariableName, Vec<String>> = BTreeMap::new();
        for key in &self.keys {
            match key.read_values(document, zone) {
                Ok(read) => drop(values.insert(&key.name, read)),
                Err(problem) => note(&key.name, problem),
            }
        }
        let conditions: Vec<Result<bool, String>> = self
            .conditions
            .iter()
            .map(|condition| condition.holds(document))
            .collect();
        let mut keys = Vec::new();
        for (place, key) in self.keys.iter().enumerate() {
            let own = values.get(&key.name).filter(|values| !values.is_empty());
            let Some(own) = own.filter(|_| key.is_counted()) else {
                continue;
            };
            let mut numbers = Vec::with_capacity(key.numbers.len());
            for name in &key.numbers {
                let value = order.variables.get(name.as_str());
                let number = value.and_then(|value| parse_decimal(value.expose()));
                if value.is_some() && number.is_none() {
                    note(name, "is no number that aggregates can use".to_owned());
                }
                numbers.push(number.map(Amount::from_decimal));
            }
            let mut bits = 0;
            for (bit, at) in (0..).zip(&key.conditions) {
                match &conditions[*at] {
                    Ok(holds) => bits |= u32::from(*holds) << bit,
                    Err(problem) => note(&key.name, problem.clone()),
                }
            }
            let distinct = key.values.iter().map(|value| match value {
                DistinctValue::Key(name) => values.get(name)?.first().map(|value| hash_text(value)),
                DistinctValue::Variable(name) => {
                    let value = order.variables.get(name.as_str());
                    value.map(|value| hash_text(value.expose()))
                }
            });
            let hashes_of = |place: usize| {
                let values = values.get(&self.keys[place].name).into_iter().flatten();
                values.map(|value| hash_key(value)).collect()
            };
            let links = self.links.iter();
            let partners = links.flat_map(|links| links.partners_of(place, &self.keys, hashes_of));
            let hash = |value: &String| to_hex(&hash_key(value));
            keys.push(OrderKey {
                key: place,
                hashes: own.iter().map(hash).collect(),
                event: KeyEvent {
                    time: order.timestamp.epoch_millis(),
                    id: hash_text(order.event_id.as_str()),
                    revision: order.revision.parts(),
                    numbers,
                    values: distinct.collect(),
                    conditions: bits,
                    partners: partners.collect(),
                },
            });
        }
        keys
    }
}

impl AggregateKey {
    /// The values of the key in an order, in their normal form.
    fn read_values(&self, document: &Document<'_>, zone: &TimeZone) -> Result<Vec<String>, String> {
        let mut values = Vec::new();
        for source in &self.sources {
            let text = match source {
                ShortOrLong::Short(source) => source.read(document)?,
                ShortOrLong::Long(source) => source.read(document, zone)?,
            };
            let Some(text) = text else { continue };
            let value = self.form.apply(text)?.into_owned();
            // The word for nobody in particular is not a key that strangers share.
            if !EntityId::unknown().as_str().eq_ignore_ascii_case(&value)
                && !values.contains(&value)
            {
                values.push(value);
            }
        }
        Ok(values)
    }
}

/// The hash of a value of a key, under which its profile is stored. It hides the value from a reader, not from one who
/// tries all telephone numbers.
fn hash_key(value: &str) -> KeyHash {
    let hash = Sha256::digest(value.as_bytes());
    hash.first_chunk().copied().unwrap_or_default()
}
