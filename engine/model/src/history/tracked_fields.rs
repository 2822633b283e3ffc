//! Which fields of an event a history keeps, and which keys have histories.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::key_names::is_key_name;
use super::places::{PLACE_FEATURES, PLACES, Place, PlaceVariables, find_places};
use super::{
    BASE_FEATURES, CATEGORIES, EntityEvent, EntityHistory, FRAUD_FEATURES, HISTORY_FEATURES,
    hash_id, list_feature_names,
};
use crate::hash::shorten_key;
use crate::parse;
use crate::value_reader::{ReadValue, ValueReader};
use crate::variable::{Variable, VariableType};

/// The types of categorical variables, from the one whose change points most to fraud.
const CATEGORY_TYPES: [VariableType; 22] = [
    VariableType::Fingerprint,
    VariableType::IpAddress,
    VariableType::UserAgent,
    VariableType::CardBin,
    VariableType::ShippingZip,
    VariableType::PaymentType,
    VariableType::EmailAddress,
    VariableType::AreCredentialsValid,
    VariableType::ShippingAddressL1,
    VariableType::PhoneNumber,
    VariableType::ShippingCountry,
    VariableType::BillingZip,
    VariableType::BillingAddressL1,
    VariableType::BillingCountry,
    VariableType::ProductCategory,
    VariableType::ShippingCity,
    VariableType::BillingCity,
    VariableType::ShippingPhone,
    VariableType::BillingPhone,
    VariableType::CurrencyCode,
    VariableType::Avs,
    VariableType::Categorical,
];

/// The types of variables whose values have histories of their own, from the one that tells most. Categorical variables
/// that are named like a key come after the first of them, see [`is_key_name`].
const KEY_TYPES: [VariableType; 9] = [
    VariableType::Fingerprint,
    VariableType::Categorical,
    VariableType::EmailAddress,
    VariableType::IpAddress,
    VariableType::ShippingAddressL1,
    VariableType::PhoneNumber,
    VariableType::BillingAddressL1,
    VariableType::ShippingPhone,
    VariableType::BillingPhone,
];

/// How many keys have histories beside the entity, at most.
pub const MOST_KEYS: usize = 3;

/// The variables of an event type that the histories keep (a price, up to five categorical values whose change may point
/// to fraud, and up to two places), and the keys that have histories beside the entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackedFields {
    price: Option<String>,
    categories: Vec<Variable>,
    /// `None` in what releases without keys stored: then only the entity has a history, and it gives
    /// [`BASE_FEATURES`] numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<HistoryKey>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    places: Vec<PlaceVariables>,
}

/// A key that has histories beside the entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HistoryKey {
    /// The entity of a further entity type.
    Entity(String),
    /// The value of a variable.
    Variable(Variable),
}

impl HistoryKey {
    /// The name for tables: the entity type, or the variable.
    pub fn name(&self) -> &str {
        match self {
            Self::Entity(entity_type) => entity_type,
            Self::Variable(variable) => &variable.name,
        }
    }
}

/// One of the features that histories give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryFeature {
    /// The name, such as `count 7d`.
    pub name: String,
    /// The key whose history it is from, such as `device_id`; `None` for the entity.
    pub key: Option<String>,
    /// The variable that it is about; `None` where it is about the events as such.
    pub variable: Option<String>,
}

/// An event as histories keep it, with the keys whose histories it is part of.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedEvent {
    /// The event.
    pub event: EntityEvent,
    /// The entity, then the other keys in the order of [`TrackedFields::keys`]; `None` where the event has none. A key
    /// that is a value of a variable is hashed.
    pub keys: Vec<Option<String>>,
}

impl TrackedFields {
    /// Chooses the fields to track and the keys of an event type with these variables and, beside the first, these
    /// entity types. The order of the variables does not matter.
    pub fn new<'v>(
        variables: impl IntoIterator<Item = &'v Variable>,
        further_entity_types: &[String],
    ) -> Self {
        let mut variables: Vec<&Variable> = variables.into_iter().collect();
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        let of = |kind: VariableType| {
            variables
                .iter()
                .filter(move |variable| variable.kind == kind)
        };
        let categories = CATEGORY_TYPES.iter().flat_map(|kind| of(*kind));
        let keys = KEY_TYPES.iter().flat_map(|kind| of(*kind));
        let keys = keys.filter(|variable| {
            variable.kind != VariableType::Categorical || is_key_name(&variable.name)
        });
        let keys = keys.map(|variable| HistoryKey::Variable((*variable).clone()));
        let more_entities = further_entity_types.iter().cloned();
        let more_entities = more_entities.map(HistoryKey::Entity);
        Self {
            price: of(VariableType::Price)
                .next()
                .map(|price| price.name.clone()),
            categories: categories.take(CATEGORIES).copied().cloned().collect(),
            keys: Some(more_entities.chain(keys).take(MOST_KEYS).collect()),
            places: find_places(&variables),
        }
    }

    /// The same fields, with histories of the entity alone and without places.
    #[must_use]
    pub fn without_keys(self) -> Self {
        Self {
            keys: None,
            places: Vec::new(),
            ..self
        }
    }

    /// The same fields with the keys and places of `other`, if these fields were stored by a release without keys.
    #[must_use]
    pub fn with_keys_of(self, other: Self) -> Self {
        match self.keys {
            Some(_) => self,
            None => Self {
                keys: other.keys,
                places: other.places,
                ..self
            },
        }
    }

    /// The keys that have histories beside the entity.
    pub fn keys(&self) -> &[HistoryKey] {
        self.keys.as_deref().unwrap_or_default()
    }

    /// An event as histories keep it: `time` in seconds since 1970, `entities` as `type#id` in any order (without a type
    /// where there is only one), `value` gives the value of a variable.
    pub fn build_event<'v>(
        &self,
        id: &str,
        time: i64,
        entities: &[String],
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> TrackedEvent {
        let value = |name: &str| value(name).and_then(parse::trim_present_value);
        let price = self
            .price
            .as_deref()
            .and_then(value)
            .and_then(parse::parse_number);
        let mut categories = [None; CATEGORIES];
        for (place, variable) in categories.iter_mut().zip(&self.categories) {
            *place =
                value(&variable.name).and_then(|value| find_category_key(variable.kind, value));
        }
        let mut places = [None; PLACES];
        for (place, variables) in places.iter_mut().zip(&self.places) {
            let degrees = |name: &str| value(name).and_then(parse::parse_number);
            *place = degrees(&variables.latitude)
                .zip(degrees(&variables.longitude))
                .and_then(|(latitude, longitude)| Place::new(latitude, longitude));
        }
        let entity = entities.iter().find(|entity| !self.is_further(entity));
        let more = self.keys().iter().map(|key| match key {
            HistoryKey::Entity(entity_type) => entities
                .iter()
                .find(|entity| has_type(entity, entity_type))
                .cloned(),
            HistoryKey::Variable(variable) => {
                value(&variable.name).and_then(|value| hash_key(variable, value))
            }
        });
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
        let event = EntityEvent {
            time,
            id: hash_id(id),
            price: price.map(|price| price as f32),
            categories,
            places,
        };
        TrackedEvent {
            event,
            keys: std::iter::once(entity.cloned()).chain(more).collect(),
        }
    }

    /// Whether an entity is of one of the further entity types, so that its history is not that of the entity.
    fn is_further(&self, entity: &str) -> bool {
        self.keys().iter().any(
            |key| matches!(key, HistoryKey::Entity(entity_type) if has_type(entity, entity_type)),
        )
    }

    /// The event as the history of its key at `place` keeps it, where 0 is the entity. In the history of another key,
    /// the entity takes the place of the key's own value, which is the same in all its events.
    pub fn event_of_key(&self, place: usize, event: &TrackedEvent) -> EntityEvent {
        let mut of_key = event.event;
        if place > 0 {
            let entity = event.keys.first().and_then(Option::as_deref);
            of_key.categories[self.place_of_entity(place - 1)] = entity.map(hash_id);
        }
        of_key
    }

    /// Appends the features that the history of one of the event's keys gives; unknown ones where the event has no such
    /// key.
    pub fn append_features(
        &self,
        history: Option<&EntityHistory>,
        event: &EntityEvent,
        features: &mut Vec<f32>,
    ) {
        let end_of_events = features.len() + self.event_features_of_key();
        let end = features.len() + self.features_of_key();
        if let Some(history) = history {
            features.extend(history.features(event));
            features.truncate(end_of_events);
            for place in 0..self.places.len().min(PLACES) {
                features.extend(history.place_features(event, place));
            }
        }
        features.resize(end, f32::NAN);
    }

    /// Which category the entity takes the place of, in the histories of a key.
    fn place_of_entity(&self, key: usize) -> usize {
        let own = match self.keys().get(key) {
            Some(HistoryKey::Variable(variable)) => {
                self.categories.iter().position(|other| other == variable)
            }
            _ => None,
        };
        own.unwrap_or(self.categories.len().min(CATEGORIES - 1))
    }

    /// How many numbers the history of each key gives.
    fn features_of_key(&self) -> usize {
        self.event_features_of_key() + self.places.len().min(PLACES) * PLACE_FEATURES.len()
    }

    /// How many of them are not about places.
    fn event_features_of_key(&self) -> usize {
        match self.keys {
            Some(_) => HISTORY_FEATURES,
            None => BASE_FEATURES,
        }
    }

    /// How many numbers the histories of an event give together.
    pub fn feature_count(&self) -> usize {
        (1 + self.keys().len()) * self.features_of_key()
    }

    /// What these numbers are, in their order: those of the entity's history, then those of each key's.
    pub fn features(&self) -> Vec<HistoryFeature> {
        let keys = self.keys().iter().map(|key| Some(key.name().to_owned()));
        std::iter::once(None)
            .chain(keys)
            .enumerate()
            .flat_map(|(place, key)| self.list_features_of_key(place, key.as_deref()))
            .collect()
    }

    fn list_features_of_key(&self, key_place: usize, key: Option<&str>) -> Vec<HistoryFeature> {
        let of_events =
            list_feature_names().map(|(name, price)| (name, self.price.clone().filter(|_| price)));
        let entity_place = key.map(|_| self.place_of_entity(key_place - 1));
        let of_categories = (0..CATEGORIES).flat_map(|place| {
            let variable = self.categories.get(place);
            let variable = variable
                .filter(|_| entity_place != Some(place))
                .map(|variable| variable.name.clone());
            let what = match &variable {
                _ if entity_place == Some(place) => "entity".to_owned(),
                Some(variable) => variable.clone(),
                None => (place + 1).to_string(),
            };
            ["distinct", "same"].map(|aspect| (format!("{aspect} {what}"), variable.clone()))
        });
        let of_fraud = FRAUD_FEATURES.map(|name| (name.to_owned(), None));
        let of_places = self.places.iter().take(PLACES).flat_map(|place| {
            let latitude = &place.latitude;
            PLACE_FEATURES.map(|name| (format!("{name} {latitude}"), Some(latitude.clone())))
        });
        of_events
            .chain(of_categories)
            .chain(of_fraud)
            .take(self.event_features_of_key())
            .chain(of_places)
            .map(|(name, variable)| HistoryFeature {
                name,
                key: key.map(str::to_owned),
                variable,
            })
            .collect()
    }
}

/// Whether an entity such as `customer#17` is of a type.
fn has_type(entity: &str, entity_type: &str) -> bool {
    entity
        .split_once('#')
        .is_some_and(|(of, _)| of == entity_type)
}

/// The key of a value, hashed because it may be personal; `None` where the value says that it is not known. Case and, in
/// telephone numbers and addresses, everything but letters and digits do not matter. It begins with `=`, as no entity
/// type does.
fn hash_key(variable: &Variable, value: &str) -> Option<String> {
    use VariableType as T;
    let mut text = value.to_lowercase();
    if matches!(
        variable.kind,
        T::PhoneNumber
            | T::ShippingPhone
            | T::BillingPhone
            | T::ShippingAddressL1
            | T::BillingAddressL1
    ) {
        text.retain(char::is_alphanumeric);
    }
    if text.is_empty() || NOT_KNOWN.contains(&text.as_str()) {
        return None;
    }
    let digest = Sha256::digest(text.as_bytes());
    let mut key = format!("={}#", variable.name);
    for byte in digest.iter().take(KEY_BYTES) {
        // Writing to a string does not fail.
        let _ = write!(key, "{byte:02x}");
    }
    Some(key)
}

/// Values that stand for no key.
const NOT_KNOWN: [&str; 3] = ["unknown", "undefined", "n/a"];

/// So many bytes of a hash are enough to tell keys apart.
const KEY_BYTES: usize = 16;

/// The key of a value. Of an IP address it is the network, and of a user agent the browser, so that a small change does
/// not count as a change.
fn find_category_key(kind: VariableType, value: &str) -> Option<u32> {
    let (reading, level) = match kind {
        VariableType::IpAddress => (ValueReader::Ip, 2),
        VariableType::UserAgent => (ValueReader::UserAgent, 1),
        _ => (ValueReader::Category { wide: false }, 0),
    };
    let mut read = ReadValue::default();
    reading.read(value, &mut read);
    read.keys
        .get(level)
        .map(|key| shorten_key(*key))
        .filter(|key| *key != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracked() -> TrackedFields {
        let variables = [
            Variable::new("note", VariableType::FreeFormText),
            Variable::new("total", VariableType::Price),
            Variable::new("browser", VariableType::UserAgent),
            Variable::new("ip", VariableType::IpAddress),
        ];
        TrackedFields::new(&variables, &[])
    }

    #[test]
    fn a_small_change_is_none() {
        let category = |name: &str, text: &'static str| {
            let event = tracked().build_event("1", 0, &[], |asked| (asked == name).then_some(text));
            event.event.categories.iter().flatten().copied().next()
        };
        let same = [
            ("ip", "203.0.113.7", "203.0.113.200"),
            (
                "browser",
                "Mozilla/5.0 (X11; Linux x86_64) Firefox/127.0",
                "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0",
            ),
        ];
        for (name, one, other) in same {
            assert!(category(name, one).is_some(), "{name}");
            assert_eq!(category(name, one), category(name, other), "{name}");
        }
        assert_ne!(category("ip", "203.0.113.7"), category("ip", "203.0.114.7"));
        assert_eq!(category("ip", "none of your business"), None);
        assert_eq!(category("note", "anything"), None);
    }

    #[test]
    fn features_say_what_they_are_about() {
        let about = |name: &str| {
            let features = tracked().features();
            let found = features.into_iter().find(|feature| feature.name == name);
            found.map(|feature| feature.variable.unwrap_or_default())
        };
        assert_eq!(about("count 7d").as_deref(), Some(""));
        assert_eq!(about("sum 7d").as_deref(), Some("total"));
        assert_eq!(about("distinct ip").as_deref(), Some("ip"));
        assert_eq!(about("same browser").as_deref(), Some("browser"));
        assert_eq!(about("same 3").as_deref(), Some(""));
    }

    #[test]
    fn prices_are_read_as_models_read_them() {
        let price = |text: &'static str| {
            tracked()
                .build_event("1", 0, &[], |asked| (asked == "total").then_some(text))
                .event
                .price
        };
        assert_eq!(price("12.50"), Some(12.5));
        assert_eq!(price("NaN"), None);
        assert_eq!(price("a dozen"), None);
    }

    #[test]
    fn the_keys_are_those_that_tell_most() {
        let variable = |(name, kind): &(&str, VariableType)| Variable::new(*name, *kind);
        let names = |variables: &[(&str, VariableType)], further: &[String]| {
            let variables: Vec<Variable> = variables.iter().map(variable).collect();
            let keys = TrackedFields::new(&variables, further);
            let names: Vec<&str> = keys.keys().iter().map(HistoryKey::name).collect();
            names.join(" ")
        };
        let shop = [
            ("browser", VariableType::UserAgent),
            ("client_ip", VariableType::IpAddress),
            ("currency", VariableType::Categorical),
            ("delivery", VariableType::ShippingAddressL1),
            ("device", VariableType::Fingerprint),
            ("mail", VariableType::EmailAddress),
            ("total", VariableType::Price),
        ];
        assert_eq!(names(&shop, &[]), "device mail client_ip");
        assert_eq!(names(&shop, &["card".to_owned()]), "card device mail");
        let transfers = [
            ("beneficiary_iban", VariableType::Categorical),
            ("channel", VariableType::Categorical),
            ("order_id", VariableType::Categorical),
        ];
        assert_eq!(names(&transfers, &[]), "beneficiary_iban");
    }

    #[test]
    fn one_key_for_the_ways_to_write_it() {
        let key = |kind, value| hash_key(&Variable::new("v", kind), value);
        let phone = key(VariableType::PhoneNumber, "+49 30 123-45");
        assert_eq!(phone, key(VariableType::PhoneNumber, "+493012345"));
        assert!(phone.is_some_and(|key| key.starts_with("=v#") && key.len() == 3 + 32));
        let mail = key(VariableType::EmailAddress, "Ann@Example.com");
        assert_eq!(mail, key(VariableType::EmailAddress, "ann@example.com"));
        for nothing in ["unknown", "N/A", "Undefined"] {
            assert_eq!(key(VariableType::Fingerprint, nothing), None);
        }
    }

    #[test]
    fn the_history_of_a_key_tells_its_entities_apart() {
        let tracked =
            TrackedFields::new(&[Variable::new("device", VariableType::Fingerprint)], &[]);
        let event =
            |entity: &str| tracked.build_event("1", 0, &[entity.to_owned()], |_| Some("d1"));
        let of_key = |entity: &str| {
            let event = event(entity);
            assert_eq!(
                (event.keys.len(), event.keys[0].as_deref()),
                (2, Some(entity))
            );
            tracked.event_of_key(1, &event).categories[0]
        };
        assert_eq!(of_key("ann"), of_key("ann"));
        assert_ne!(of_key("ann"), of_key("ben"));
        let names: Vec<String> = tracked
            .features()
            .into_iter()
            .filter(|feature| feature.name.starts_with("distinct"))
            .map(|feature| format!("{} {}", feature.key.unwrap_or_default(), feature.name))
            .collect();
        assert_eq!(names[0], " distinct device");
        assert_eq!(names[CATEGORIES], "device distinct entity");
    }

    #[test]
    fn each_key_tells_of_places() {
        let variables = [
            Variable::new("device", VariableType::Fingerprint),
            Variable::new("ip_lat", VariableType::Numeric),
            Variable::new("ip_lon", VariableType::Numeric),
        ];
        let tracked = TrackedFields::new(&variables, &[]);
        let names: Vec<String> = tracked
            .features()
            .into_iter()
            .filter(|feature| feature.name.starts_with("km"))
            .map(|feature| format!("{} {}", feature.key.unwrap_or_default(), feature.name))
            .collect();
        let expected = [
            " km from usual ip_lat",
            " km from last ip_lat",
            " km/h from last ip_lat",
            "device km from usual ip_lat",
            "device km from last ip_lat",
            "device km/h from last ip_lat",
        ];
        assert_eq!(names, expected);
        assert_eq!(tracked.features().len(), tracked.feature_count());
        let event = tracked.build_event("1", 0, &[], |name| {
            [("ip_lat", "52.5"), ("ip_lon", "13.4")]
                .into_iter()
                .find_map(|(known, degrees)| (known == name).then_some(degrees))
        });
        assert_eq!(event.event.places, [Place::new(52.5, 13.4), None]);
        let mut features = Vec::new();
        tracked.append_features(Some(&EntityHistory::default()), &event.event, &mut features);
        assert_eq!(2 * features.len(), tracked.feature_count());
        assert_eq!(tracked.without_keys().feature_count(), BASE_FEATURES);
    }

    #[test]
    fn entities_are_found_by_their_type() {
        let tracked = TrackedFields::new([], &["card".to_owned()]);
        let keys = |entities: &[&str]| {
            let entities: Vec<String> =
                entities.iter().map(|entity| (*entity).to_owned()).collect();
            let keys = tracked.build_event("1", 0, &entities, |_| None).keys;
            let keys: Vec<String> = keys.into_iter().map(Option::unwrap_or_default).collect();
            keys.join(" ")
        };
        assert_eq!(keys(&["customer#1", "card#9"]), "customer#1 card#9");
        assert_eq!(keys(&["card#9", "customer#1"]), "customer#1 card#9");
        assert_eq!(keys(&["card#9"]), " card#9");
        assert_eq!(keys(&["customer#1", "customer#1"]), "customer#1 ");
    }

    #[test]
    fn what_a_release_without_keys_stored_has_none() {
        let stored = r#"{"price":"total","categories":[]}"#;
        let tracked: TrackedFields = serde_json::from_str(stored).unwrap();
        assert_eq!(tracked.feature_count(), BASE_FEATURES);
        assert_eq!(serde_json::to_string(&tracked).unwrap(), stored);
        let event = tracked.build_event("1", 0, &["ann".to_owned()], |_| None);
        assert_eq!(event.keys.len(), 1);
    }
}
