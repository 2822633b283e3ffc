//! Which fields of an event a history keeps.

use serde::{Deserialize, Serialize};

use super::{CATEGORIES, EntityEvent, hash_id, list_feature_names};
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

/// The variables of an event type that the histories of its entities keep: a price, and up to five categorical values
/// whose change may point to fraud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackedFields {
    price: Option<String>,
    categories: Vec<Variable>,
}

/// One of the features that a history gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryFeature {
    /// The name, such as `count 7d`.
    pub name: String,
    /// The variable that it is about; `None` where it is about the events as such.
    pub variable: Option<String>,
}

impl TrackedFields {
    /// Chooses the fields to track of an event type with these variables. The order of the variables does not matter.
    pub fn new<'v>(variables: impl IntoIterator<Item = &'v Variable>) -> Self {
        let mut variables: Vec<&Variable> = variables.into_iter().collect();
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        let of = |kind: VariableType| {
            variables
                .iter()
                .filter(move |variable| variable.kind == kind)
        };
        let categories = CATEGORY_TYPES.iter().flat_map(|kind| of(*kind));
        Self {
            price: of(VariableType::Price)
                .next()
                .map(|price| price.name.clone()),
            categories: categories.take(CATEGORIES).copied().cloned().collect(),
        }
    }

    /// An event as the history of its entity keeps it: `time` in seconds since 1970, `value` gives the value of a
    /// variable.
    pub fn build_event<'v>(
        &self,
        id: &str,
        time: i64,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> EntityEvent {
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
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
        EntityEvent {
            time,
            id: hash_id(id),
            price: price.map(|price| price as f32),
            categories,
        }
    }

    /// What the numbers of [`EntityHistory::features`](super::EntityHistory::features) are, in their order.
    pub fn features(&self) -> Vec<HistoryFeature> {
        let of_events = list_feature_names().map(|(name, price)| HistoryFeature {
            name,
            variable: self.price.clone().filter(|_| price),
        });
        let of_categories = (0..CATEGORIES).flat_map(|place| {
            let variable = self
                .categories
                .get(place)
                .map(|variable| variable.name.clone());
            let what = variable.clone().unwrap_or_else(|| (place + 1).to_string());
            ["distinct", "same"].map(|aspect| HistoryFeature {
                name: format!("{aspect} {what}"),
                variable: variable.clone(),
            })
        });
        of_events.chain(of_categories).collect()
    }
}

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
        TrackedFields::new(&[
            Variable::new("note", VariableType::FreeFormText),
            Variable::new("total", VariableType::Price),
            Variable::new("browser", VariableType::UserAgent),
            Variable::new("ip", VariableType::IpAddress),
        ])
    }

    #[test]
    fn a_small_change_is_none() {
        let category = |name: &str, text: &'static str| {
            let event = tracked().build_event("1", 0, |asked| (asked == name).then_some(text));
            event.categories.iter().flatten().copied().next()
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
                .build_event("1", 0, |asked| (asked == "total").then_some(text))
                .price
        };
        assert_eq!(price("12.50"), Some(12.5));
        assert_eq!(price("NaN"), None);
        assert_eq!(price("a dozen"), None);
    }
}
