//! What the profiles of an order's keys keep of it.

use std::collections::BTreeMap;

use event::hash::{parse_hex, to_hex};
use event::{EntityId, EventId, Revision, Timestamp, VariableName, VariableValue, Variables};
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};
use velocity::{Amount, KeyEvent, KeyHash, hash_text, shorten_hash};

use super::{AggregateKey, Aggregates, DistinctValue};
use crate::computed_source::parse_decimal;
use crate::condition::Condition;
use crate::data_quality::DataQualityProblem;
use crate::on_invalid::OnInvalid;
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

/// What is kept of an order, in its decision or with an ingested event, so that its keys can be worked out again without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// The hashes of the values of its keys, by the name of the key, also of those that nothing is counted by.
    pub hashes: HashedKeys,
    /// Whether it fulfils each condition of the aggregates, by the hash of the condition. One that could not be
    /// evaluated is absent.
    pub conditions: BTreeMap<String, bool>,
}

/// What was read of an order already.
pub struct OrderFacts<'a> {
    /// Its event id.
    pub event_id: &'a EventId,
    /// Which version of the order it is.
    pub revision: Revision,
    /// When it was made.
    pub timestamp: Timestamp,
}

/// What the keys and conditions of the mapping are for an order; both have the order of the mapping.
struct ReadKeys {
    hashes: Vec<Vec<KeyHash>>,
    conditions: Vec<Result<bool, String>>,
}

impl Aggregates {
    /// The keys of an order that have aggregates, and what is kept of the order. What is wrong with them is noted in
    /// `quality`.
    pub(crate) fn read_keys(
        &self,
        order: &OrderFacts<'_>,
        variables: &Variables,
        (document, zone): (&Document<'_>, &TimeZone),
        quality: &mut Vec<DataQualityProblem>,
    ) -> (Vec<OrderKey>, KeyFacts) {
        let mut note = |name: &VariableName, problem: String, undetermined: bool| {
            let problem = DataQualityProblem {
                undetermined,
                ..DataQualityProblem::undetermined(name.as_str(), problem)
            };
            if !quality.contains(&problem) {
                quality.push(problem);
            }
        };
        let mut hashes = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let values = key.read_values(document, zone);
            let values = values.unwrap_or_else(|problem| {
                note(&key.name, problem, key.on_invalid != OnInvalid::Omit);
                Vec::new()
            });
            hashes.push(values.iter().map(|value| hash_key(value)).collect());
        }
        let conditions = self.conditions.iter();
        let read = ReadKeys {
            hashes,
            conditions: conditions.map(|it| it.holds(document)).collect(),
        };
        let variable = |name: &str| variables.get(name).map(VariableValue::expose);
        let note = |name: &VariableName, problem| note(name, problem, true);
        let keys = self.build_keys(order, &read, variable, note);
        (keys, self.keep_facts(&read))
    }

    /// The keys of an order from what was kept of it. A key, variable or condition that was not kept is absent.
    pub(crate) fn restore_keys<'v>(
        &self,
        order: &OrderFacts<'_>,
        kept: &KeyFacts,
        variable: impl Fn(&str) -> Option<&'v str>,
    ) -> Vec<OrderKey> {
        let hashes = self.keys.iter().map(|key| {
            let hashes = kept.hashes.get(key.name()).into_iter().flatten();
            hashes.filter_map(|hash| parse_key_hash(hash)).collect()
        });
        let conditions = self.conditions.iter().map(|condition| {
            let kept = kept.conditions.get(&name_condition(condition)).copied();
            Ok(kept.unwrap_or(false))
        });
        let read = ReadKeys {
            hashes: hashes.collect(),
            conditions: conditions.collect(),
        };
        self.build_keys(order, &read, variable, |_, _| {})
    }

    fn keep_facts(&self, read: &ReadKeys) -> KeyFacts {
        let keys = self.keys.iter().zip(&read.hashes);
        let keys = keys.filter(|(_, hashes)| !hashes.is_empty());
        let conditions = self.conditions.iter().zip(&read.conditions);
        KeyFacts {
            hashes: keys
                .map(|(key, hashes)| {
                    let hashes = hashes.iter().map(|hash| to_hex(hash)).collect();
                    (key.name().to_owned(), hashes)
                })
                .collect(),
            conditions: conditions
                .filter_map(|(condition, holds)| {
                    Some((name_condition(condition), *holds.as_ref().ok()?))
                })
                .collect(),
        }
    }

    fn build_keys<'v>(
        &self,
        order: &OrderFacts<'_>,
        read: &ReadKeys,
        variable: impl Fn(&str) -> Option<&'v str>,
        mut note: impl FnMut(&VariableName, String),
    ) -> Vec<OrderKey> {
        let mut keys = Vec::new();
        for (place, key) in self.keys.iter().enumerate() {
            let own = &read.hashes[place];
            if own.is_empty() || !key.is_counted() {
                continue;
            }
            let mut numbers = Vec::with_capacity(key.numbers.len());
            for name in &key.numbers {
                let value = variable(name.as_str());
                let number = value.and_then(parse_decimal);
                if value.is_some() && number.is_none() {
                    note(name, "is no number that aggregates can use".to_owned());
                }
                numbers.push(number.map(Amount::from_decimal));
            }
            let mut bits = 0;
            for (bit, at) in (0..).zip(&key.conditions) {
                match &read.conditions[*at] {
                    Ok(holds) => bits |= u32::from(*holds) << bit,
                    Err(problem) => note(&key.name, problem.clone()),
                }
            }
            let distinct = key.values.iter().map(|value| match value {
                DistinctValue::Key(name) => {
                    let place = self.keys.iter().position(|key| key.name == *name)?;
                    read.hashes[place].first().map(shorten_hash)
                }
                DistinctValue::Variable(name) => variable(name.as_str()).map(hash_text),
            });
            let links = self.links.iter();
            let hashes_of = |place: usize| read.hashes[place].clone();
            let partners = links.flat_map(|links| links.partners_of(place, &self.keys, hashes_of));
            keys.push(OrderKey {
                key: place,
                hashes: own.iter().map(|hash| to_hex(hash)).collect(),
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

/// The hash of a key from its text.
pub(super) fn parse_key_hash(hash: &str) -> Option<KeyHash> {
    parse_hex(hash)?.try_into().ok()
}

/// The name of a condition in what is kept of an order: a hash, because a condition may quote values.
pub(super) fn name_condition(condition: &Condition) -> String {
    to_hex(&hash_text(&condition.definition()).to_be_bytes())
}
